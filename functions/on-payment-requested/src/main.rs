//! Cold start of `on-payment-requested`.

use on_payment_requested::handle;
use parkade_billing::Cashier;
use parkade_payments::{Config, SecretKey, StripeClient};
use parkade_runtime::{Environment, Fatal, clients, run_sqs, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let access = environment.stripe()?;
    let stripe = StripeClient::new(&Config::new(access.base_url, SecretKey::new(access.secret_key)))?;
    let cashier = Cashier::new(clients::store(&environment)?, stripe, environment.stage()?);
    run_sqs(&cashier, handle).await
}
