//! The loops of functions that no person waits for: queues, streams, schedules.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;

use aws_lambda_events::dynamodb;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::streams::DynamoDbEventResponse;
use chrono::{DateTime, Utc};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use parkade_store::{CommandError, StoreError};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{Fatal, telemetry};

/// Why an event could not be handled. The code becomes Lambda's `errorType`, on which alarms and destinations match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFailure {
    /// Stable code.
    pub code: &'static str,
    /// The error with all its causes, for people.
    pub message: String,
}

impl EventFailure {
    /// A failure of this code.
    #[must_use]
    pub fn new(code: &'static str, error: &(dyn Error + 'static)) -> Self {
        Self { code, message: parkade_api::chain(error) }
    }
}

impl From<StoreError> for EventFailure {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable { .. } => "store_unavailable",
            StoreError::Corrupt { .. } => "store_corrupt",
            StoreError::Refused { .. } => "store_refused",
        };
        Self::new(code, &error)
    }
}

impl From<CommandError> for EventFailure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Store(error) => error.into(),
            other => Self::new("command_refused", &other),
        }
    }
}

impl From<EventFailure> for Diagnostic {
    fn from(failure: EventFailure) -> Self {
        Self { error_type: failure.code.to_owned(), error_message: failure.message }
    }
}

/// Serves batches of a queue with `handler` until the process ends. An event that is no SQS event fails as a whole, as does a
/// panic; the handler answers with the ids of the messages it failed.
///
/// # Errors
/// [`Fatal`] if the runtime's own protocol fails.
pub async fn run_sqs<'a, D, F, Fut>(deps: &'a D, handler: F) -> Result<(), Fatal>
where
    F: Fn(&'a D, DateTime<Utc>, SqsEvent) -> Fut,
    Fut: Future<Output = SqsBatchResponse>,
{
    run(|event| {
        let answer = handler(deps, Utc::now(), event);
        async move { Ok(answer.await) }
    })
    .await
}

/// Serves batches of a table's stream with `handler` until the process ends. An event that is no stream event fails as a
/// whole, as does a panic; the handler answers with the first record it failed.
///
/// # Errors
/// [`Fatal`] if the runtime's own protocol fails.
pub async fn run_stream<'a, D, F, Fut>(deps: &'a D, handler: F) -> Result<(), Fatal>
where
    F: Fn(&'a D, DateTime<Utc>, dynamodb::Event) -> Fut,
    Fut: Future<Output = DynamoDbEventResponse>,
{
    run(|event| {
        let answer = handler(deps, Utc::now(), event);
        async move { Ok(answer.await) }
    })
    .await
}

/// Serves the ticks of a schedule with `handler` until the process ends. What the handler returns is logged and answered.
///
/// # Errors
/// [`Fatal`] if the runtime's own protocol fails.
pub async fn run_schedule<'a, D, F, Fut, R, E>(deps: &'a D, handler: F) -> Result<(), Fatal>
where
    F: Fn(&'a D, DateTime<Utc>) -> Fut,
    Fut: Future<Output = Result<R, E>>,
    R: Debug + Serialize,
    E: Into<EventFailure>,
{
    // A schedule's input says nothing: the clock does.
    run(|_: IgnoredAny| {
        let answer = handler(deps, Utc::now());
        async move {
            let report = answer.await.map_err(Into::into)?;
            tracing::info!(?report, "swept");
            Ok(report)
        }
    })
    .await
}

async fn run<E, R, F, Fut>(handle: F) -> Result<(), Fatal>
where
    E: DeserializeOwned,
    R: Serialize,
    F: Fn(E) -> Fut,
    Fut: Future<Output = Result<R, EventFailure>>,
{
    let serve = |event: LambdaEvent<E>| {
        telemetry::set_request_id(&event.context.request_id);
        handle(event.payload)
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(|error| Fatal::of(error.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_reported_under_our_code_with_its_causes() {
        let store = StoreError::Unavailable { operation: "Query", cause: "timed out".to_owned() };
        let diagnostic = Diagnostic::from(EventFailure::from(CommandError::from(store)));
        assert_eq!(diagnostic.error_type, "store_unavailable");
        assert_eq!(diagnostic.error_message, "the store did not answer (Query): timed out");
        assert_eq!(EventFailure::from(CommandError::KeyReused).code, "command_refused");
    }
}
