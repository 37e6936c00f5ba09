//! Tells drivers what happened to their bookings and their money.
//!
//! An event only says where to look: what is told is what the records say when it is told. Each event is told once at most, and the message
//! comes again if it certainly was not sent.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use parkade_domain::notice::Occasion;
use parkade_events::{EventName, Incoming, run_batch};
use parkade_notify::{Courier, Notifier, TellError, Telling};
use thiserror::Error;

/// What drivers are told of; the rule of the queue lets exactly these through.
pub const TOLD: [EventName; 8] = [
    EventName::ReservationConfirmed,
    EventName::ReservationModified,
    EventName::ReservationNoShow,
    EventName::PaymentFailed,
    EventName::RefundProcessed,
    EventName::ReceiptIssued,
    EventName::ViolationDetected,
    EventName::ViolationVoided,
];
/// Longest event id: a key's partition has room for many times that.
const EVENT_ID_CHARS_MAX: usize = 200;

/// Why a message was not done. It comes again, and after some tries a person looks at it.
#[derive(Debug, Error)]
pub enum Failure {
    /// The event does not belong on this queue.
    #[error("nobody is told of {}", .0.as_str())]
    NotTold(EventName),
    /// The event does not say what it is about.
    #[error("the event lacks {0}")]
    Incomplete(&'static str),
    /// It could not be told.
    #[error("it was not told")]
    Tell(#[source] TellError),
}

/// Tells of the events of a batch, one after the other. The answer names the messages that have to come again.
pub async fn handle<N: Notifier + Sync>(courier: &Courier<N>, now: DateTime<Utc>, batch: SqsEvent) -> SqsBatchResponse {
    run_batch(batch, |incoming| tell(courier, now, incoming)).await
}

async fn tell<N: Notifier + Sync>(courier: &Courier<N>, now: DateTime<Utc>, incoming: Incoming) -> Result<(), Failure> {
    let Some(telling) = telling(incoming)? else { return Ok(()) };
    courier.tell(&telling, now).await.map(drop).map_err(Failure::Tell)
}

/// What an event tells; `None` if it is one of before events said enough.
fn telling(incoming: Incoming) -> Result<Option<Telling>, Failure> {
    let payment = || incoming.payment.map(|id| id.number).ok_or(Failure::Incomplete("a payment"));
    let violation = || incoming.violation.ok_or(Failure::Incomplete("a violation"));
    let occasion = match incoming.name {
        EventName::ReservationConfirmed => Occasion::Confirmed,
        EventName::ReservationModified => match incoming.moved {
            Some((from, to)) => Occasion::Moved { from, to },
            None => return Ok(None),
        },
        EventName::ReservationNoShow => Occasion::NotCome,
        EventName::PaymentFailed => Occasion::PaymentFailed(payment()?),
        EventName::RefundProcessed => Occasion::Refunded(payment()?),
        EventName::ReceiptIssued => Occasion::ReceiptIssued(incoming.receipt.ok_or(Failure::Incomplete("a receipt"))?),
        EventName::ViolationDetected => Occasion::Fined(violation()?),
        EventName::ViolationVoided => Occasion::Annulled(violation()?),
        other => return Err(Failure::NotTold(other)),
    };
    let reservation = incoming.reservation.ok_or(Failure::Incomplete("a reservation"))?;
    if incoming.event_id.len() > EVENT_ID_CHARS_MAX {
        return Err(Failure::Incomplete("an id of a usual length"));
    }
    Ok(Some(Telling { event_id: incoming.event_id, reservation, occasion }))
}
