//! Cold start of `notify`.

use notify::handle;
use parkade_notify::{AwsNotifier, Courier};
use parkade_runtime::{Deps, Environment, Fatal, clients, run_sqs, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fatal> {
    let environment = Environment::from_process();
    telemetry::init(&environment);
    let Deps { store, identity } = Deps::from_environment(&environment)?;
    let access = environment.notifications()?;
    let notifier = AwsNotifier::new(&clients::once(&environment)?, access.from);
    run_sqs(&Courier { store, identity, notifier, api_url: access.api_url }, handle).await
}
