//! Cold start of `publish-events`.

use parkade_events::EventBridge;
use parkade_runtime::{Environment, Fatal, clients, run_stream, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let bus = clients::event_bus(&environment)?;
    run_stream(&EventBridge::new(bus.client, bus.name), publish_events::handle).await
}
