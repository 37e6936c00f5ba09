//! Cold start of `adjust`.

use parkade_runtime::{Deps, Environment, Fatal, run_http, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let deps = Deps::from_environment(&environment)?;
    run_http(&deps, adjust::handle).await
}
