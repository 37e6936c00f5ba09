//! Cold start of `occupancy`.

use parkade_runtime::{Environment, Fatal, clients, run_stream, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let store = clients::store(&environment)?;
    run_stream(&store, occupancy::handle).await
}
