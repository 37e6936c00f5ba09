//! Cold start of `payment-webhook`.

use parkade_billing::Cashier;
use parkade_payments::{StripeClient, WebhookSecrets};
use parkade_runtime::{Environment, Fatal, clients, run_http, telemetry};
use payment_webhook::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let stripe = StripeClient::new(&environment.stripe()?)?;
    let cashier = Cashier::new(clients::store(&environment)?, stripe, environment.stage()?);
    let former = environment.optional("STRIPE_WEBHOOK_SECRET_FORMER");
    let secrets = WebhookSecrets::new(environment.required("STRIPE_WEBHOOK_SECRET")?, former)?;
    run_http(&Deps { cashier, secrets }, handle).await
}
