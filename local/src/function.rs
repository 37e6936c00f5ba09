//! Functions as values, invoked the way Lambda does: one invocation is one task with a time limit; a panic, a time-out and
//! an error are failures that the source deals with.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};

/// What an invocation gives, in the end.
pub type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Run<In, Out> = Arc<dyn Fn(DateTime<Utc>, In) -> Running<Out> + Send + Sync>;

/// A function by what invokes it, bound to what it needs.
#[derive(Clone)]
pub enum Handler {
    /// Answers requests.
    Http(Run<::http::Request<Vec<u8>>, ::http::Response<Vec<u8>>>),
    /// Runs on a schedule; the error is for people.
    Schedule(Run<(), Result<(), String>>),
    /// Consumes a queue.
    Queue(Run<SqsEvent, SqsBatchResponse>),
    /// Consumes a stream.
    Stream(Run<StreamEvent, DynamoDbEventResponse>),
}

impl Handler {
    /// Its kind, as the template's sources are called here.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Schedule(_) => "schedule",
            Self::Queue(_) => "queue",
            Self::Stream(_) => "stream",
        }
    }
}

/// The functions by name.
pub type Functions = BTreeMap<&'static str, Handler>;

/// How an invocation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// It panicked.
    #[error("the function panicked")]
    Panicked,
    /// It ran longer than the template allows; it was stopped at its next `await`.
    #[error("the function ran out of time")]
    TimedOut,
}

/// Runs one invocation to its end or its time limit.
///
/// # Errors
/// When it panicked or took too long.
pub async fn invoke<T: Send + 'static>(running: Running<T>, limit: Duration) -> Result<T, InvocationError> {
    let mut task = tokio::spawn(running);
    match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(InvocationError::Panicked),
        Err(_) => {
            task.abort();
            Err(InvocationError::TimedOut)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_and_a_time_out_are_failures_of_one_invocation() {
        let limit = Duration::from_secs(5);
        assert_eq!(invoke(Box::pin(async { 7 }), limit).await, Ok(7));
        assert_eq!(invoke::<()>(Box::pin(async { panic!("a bug") }), limit).await, Err(InvocationError::Panicked));
        let forever = Box::pin(std::future::pending::<()>());
        assert_eq!(invoke(forever, Duration::from_millis(1)).await, Err(InvocationError::TimedOut));
    }
}
