//! Cold start of `reconcile`.

use parkade_payments::StripeClient;
use parkade_runtime::{Environment, Fatal, clients, run_schedule, telemetry};
use reconcile::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let stripe = StripeClient::new(&environment.stripe()?)?;
    let deps = Deps { store: clients::store(&environment)?, stripe, stage: environment.stage()?.to_owned() };
    run_schedule(&deps, handle).await
}
