//! Messages of a queue, one by one: what fails comes back, what succeeded does not, and one message never decides another's fate.

use std::error::Error;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use futures::FutureExt as _;
use tracing::warn;

use crate::incoming::{Incoming, Unreadable};

/// Calls `each` for every message, one after the other, and answers with the ids of those that failed: with an error, by a panic, or
/// because they are no event. A message without an id cannot be named, so its failure fails the batch.
pub async fn run_batch<E, Fut>(batch: SqsEvent, each: impl Fn(Incoming) -> Fut) -> SqsBatchResponse
where
    E: Error + 'static,
    Fut: Future<Output = Result<(), E>>,
{
    let mut response = SqsBatchResponse::default();
    for message in batch.records {
        let id = message.message_id.unwrap_or_default();
        let incoming = message.body.as_deref().ok_or(Unreadable::NoBody).and_then(Incoming::parse);
        let (event_id, failure) = match incoming {
            Err(unreadable) => (String::new(), Some(chain(&unreadable))),
            // Boxed, so that the function's own future stays small however much one message takes.
            Ok(incoming) => (incoming.event_id.clone(), outcome(Box::pin(each(incoming))).await),
        };
        if let Some(failure) = failure {
            warn!(message.id = id, event.id = event_id, "message {id} failed and comes again: {failure}");
            response.add_failure(id);
        }
    }
    response
}

/// A stream's answer: deliver again from the record of this sequence number on, or go on. A record without a number fails the batch.
#[must_use]
pub fn stream_answer(first_failed: Option<String>) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures.extend(first_failed.map(|number| {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(number);
        failure
    }));
    response
}

/// Why it failed, if it did.
async fn outcome<E: Error + 'static>(work: impl Future<Output = Result<(), E>>) -> Option<String> {
    // A panic leaves nothing behind that a later message could see: all state is in the store.
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(chain(&error)),
        Err(_) => Some("it panicked".to_owned()),
    }
}

/// An error with its causes, on one line.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::sqs::SqsMessage;
    use std::sync::Mutex;

    fn message(id: &str, body: Option<String>) -> SqsMessage {
        let mut message = SqsMessage::default();
        (message.message_id, message.body) = (Some(id.to_owned()), body);
        message
    }

    fn event(id: &str) -> Option<String> {
        let detail = serde_json::json!({"event_id": id});
        Some(serde_json::json!({"source": "parkade", "detail-type": "parking.exit.v1", "detail": detail}).to_string())
    }

    #[tokio::test]
    async fn every_message_is_tried_once_and_exactly_the_failed_ones_come_back() {
        let mut batch = SqsEvent::default();
        batch.records = vec![
            message("ok", event("fine")),
            message("panics", event("panic")),
            message("fails", event("error")),
            message("text", Some("hello".to_owned())),
            message("empty", Some(String::new())),
            message("none", None),
            message("last", event("fine too")),
        ];
        let seen = Mutex::new(Vec::new());
        let response = run_batch(batch, |incoming| {
            seen.lock().unwrap().push(incoming.event_id.clone());
            async move {
                assert_ne!(incoming.event_id, "panic", "a bug");
                if incoming.event_id == "error" { Err(std::io::Error::other("no")) } else { Ok(()) }
            }
        })
        .await;
        let failed: Vec<_> =
            response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(failed, ["panics", "fails", "text", "empty", "none"]);
        assert_eq!(*seen.lock().unwrap(), ["fine", "panic", "error", "fine too"]);
    }

    #[tokio::test]
    async fn a_failed_message_without_an_id_fails_the_batch() {
        let mut batch = SqsEvent::default();
        batch.records = vec![SqsMessage::default()];
        let response = run_batch(batch, |_| async { Ok::<_, std::io::Error>(()) }).await;
        assert_eq!(response.batch_item_failures[0].item_identifier, "");
    }
}
