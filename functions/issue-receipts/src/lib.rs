//! Writes a receipt for every charge that succeeded, a credit note for every refund, and what takes a credit note back if the bank
//! returns the refund. On a queue and not where the driver waits: nobody pays more slowly because many pay at once.
//!
//! A message only says where to look. Whatever a reservation lacks is written then, in the order of its payments, so messages may come
//! late, twice and in any order.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use parkade_events::{EventName, Incoming, run_batch};
use parkade_store::{CommandError, Store};
use thiserror::Error;
use tracing::info;

/// Why a message was not done. It comes again, and after some tries a person looks at it.
#[derive(Debug, Error)]
pub enum Failure {
    /// The event does not belong on this queue.
    #[error("{} does not say that money moved", .0.as_str())]
    NoMovement(EventName),
    /// The event does not name a payment.
    #[error("the event names no payment")]
    NoPayment,
    /// The records cannot be read or written, or there is no such reservation.
    #[error("the records did not take it")]
    Store(#[source] CommandError),
}

/// Documents what the messages of a batch tell of, one after the other. The answer names the messages that have to come again.
pub async fn handle(store: &Store, now: DateTime<Utc>, batch: SqsEvent) -> SqsBatchResponse {
    run_batch(batch, |incoming| document(store, now.timestamp(), incoming)).await
}

async fn document(store: &Store, now_s: i64, incoming: Incoming) -> Result<(), Failure> {
    let moved = [EventName::PaymentProcessed, EventName::RefundProcessed, EventName::RefundFailed];
    if !moved.contains(&incoming.name) {
        return Err(Failure::NoMovement(incoming.name));
    }
    let payment = incoming.payment.ok_or(Failure::NoPayment)?;
    let issued = store.issue_documents(payment.reservation, now_s).await.map_err(Failure::Store)?;
    for document in issued {
        info!(receipt.id = %document.id, "issued {} as {}", document.id, document.number);
    }
    Ok(())
}
