//! Cold start of `on-payment-requested`.

use on_payment_requested::handle;
use parkade_billing::Cashier;
use parkade_payments::StripeClient;
use parkade_runtime::{Environment, Fatal, clients, run_sqs, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let stripe = StripeClient::new(&environment.stripe()?)?;
    let cashier = Cashier::new(clients::store(&environment)?, stripe, environment.stage()?);
    run_sqs(&cashier, handle).await
}
