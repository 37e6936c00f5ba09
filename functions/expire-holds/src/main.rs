//! Cold start of `expire-holds`.

use parkade_runtime::{Deps, Environment, Fatal, run_schedule, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let deps = Deps::from_environment(&environment)?;
    run_schedule(&deps, expire_holds::handle).await
}
