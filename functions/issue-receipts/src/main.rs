//! Cold start of `issue-receipts`.

use issue_receipts::handle;
use parkade_runtime::{Environment, Fatal, clients, run_sqs, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let store = clients::store(&environment)?;
    run_sqs(&store, handle).await
}
