//! A queue as a source: batches of messages, deleted when done, left to come back when not.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use chrono::{DateTime, Utc};

use crate::function::{Handler, invoke};
use crate::queue::{Message, Queues};
use crate::stream::Polled;
use crate::table::LocalError;

/// One function's reading of one queue.
#[derive(Clone)]
pub struct QueueConsumer {
    /// The function's name.
    pub name: String,
    /// Logical name of the queue.
    pub queue: String,
    /// Messages per invocation at most.
    pub batch_size: usize,
    /// The function.
    pub handler: Handler,
    /// Longest run.
    pub timeout: Duration,
}

impl QueueConsumer {
    /// Delivers one batch, if there is one. What fails stays invisible until its time is over, then comes back.
    ///
    /// # Errors
    /// When the queue cannot be read or a message not be deleted; then it is delivered again.
    pub async fn poll(&self, queues: &Queues, now: DateTime<Utc>) -> Result<Polled, LocalError> {
        let Handler::Queue(run) = &self.handler else { return Ok(Polled::Idle) };
        let messages = queues.receive(&self.queue, self.batch_size, now)?;
        if messages.is_empty() {
            return Ok(Polled::Idle);
        }
        let mut event = SqsEvent::default();
        event.records = messages.iter().map(|message| self.record(message)).collect();
        let Ok(response) = invoke(run(now, event), self.timeout).await else { return Ok(Polled::Failed) };
        let failed: BTreeSet<String> =
            response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        // As in Lambda: a failure that names no message of the batch fails the whole batch.
        if !failed.iter().all(|id| messages.iter().any(|message| message.id == *id)) {
            return Ok(Polled::Failed);
        }
        let mut done = messages.iter().filter(|message| !failed.contains(&message.id));
        done.try_for_each(|message| queues.delete(&self.queue, &message.receipt))?;
        Ok(if failed.is_empty() { Polled::Advanced } else { Polled::Failed })
    }

    fn record(&self, message: &Message) -> SqsMessage {
        let mut record = SqsMessage::default();
        record.message_id = Some(message.id.clone());
        record.receipt_handle = Some(message.receipt.clone());
        record.body = Some(message.body.clone());
        record.attributes = HashMap::from([("ApproximateReceiveCount".to_owned(), message.receives.to_string())]);
        record.event_source = Some("aws:sqs".to_owned());
        record.event_source_arn = Some(format!("arn:aws:sqs:local:000000000000:{}", self.queue));
        record
    }
}
