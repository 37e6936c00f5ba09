//! Cold start of `seal-ledger`.

use parkade_runtime::{Environment, Fatal, clients, run_stream, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let store = clients::store(&environment)?;
    run_stream(&store, seal_ledger::handle).await
}
