//! Cold start of `pay`.

use parkade_billing::Cashier;
use parkade_payments::StripeClient;
use parkade_runtime::{Environment, Fatal, run_http, telemetry};
use pay::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let common = parkade_runtime::Deps::from_environment(&environment)?;
    let stripe = StripeClient::new(&environment.stripe()?)?;
    let cashier = Cashier::new(common.store.clone(), stripe, environment.stage()?);
    run_http(&Deps { common, cashier }, handle).await
}
