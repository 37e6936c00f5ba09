//! Measuring stick: what asks Stripe for a payment and settles it. Its twin, `without_stripe`, only settles.

use std::error::Error;

use parkade_billing::Cashier;
use parkade_domain::ids::PaymentId;
use parkade_payments::{Config, SecretKey, StripeClient};
use parkade_runtime::{Environment, clients};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let environment = Environment::from_process();
    let store = clients::store(&environment)?;
    let id: PaymentId = environment.required("PAYMENT")?.parse()?;
    let access = environment.stripe()?;
    let stripe = StripeClient::new(&Config::new(access.base_url, SecretKey::new(access.secret_key)))?;
    Cashier::new(store, stripe, environment.stage()?).carry_out(id, 0).await?;
    Ok(())
}
