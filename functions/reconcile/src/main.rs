//! Cold start of `reconcile`.

use parkade_payments::{Config, SecretKey, StripeClient};
use parkade_runtime::{Environment, Fatal, clients, run_schedule, telemetry};
use reconcile::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let access = environment.stripe()?;
    let stripe = StripeClient::new(&Config::new(access.base_url, SecretKey::new(access.secret_key)))?;
    let deps = Deps { store: clients::store(&environment)?, stripe, stage: environment.stage()?.to_owned() };
    run_schedule(&deps, handle).await
}
