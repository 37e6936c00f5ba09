//! Asks the payment provider for what the records say is to be charged or given back, and records its answer with all it causes.
//!
//! Each message may come late, twice or after its first try died anywhere. What makes that harmless:
//!
//! | what happens | why no money is lost or taken twice |
//! |---|---|
//! | the process dies after the provider's answer, before it is recorded | the message comes again and asks with the same key (M1): the provider repeats its answer |
//! | the outcome is unknown (time-out, lost reply, 5xx) | the message fails and comes again, with the same key |
//! | two deliveries at once | one key, one charge; the second one's record finds the first one's |
//! | the reservation ends before the charge | nothing is charged, unless the provider knows a request with the key: then its outcome is recorded and refunded |
//! | the reservation ends during the charge | the success is recorded all the same, and its refund with it |
//! | the key is so old that the provider may have forgotten it | nothing is asked; a person decides |

mod charge;
mod refund;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use parkade_domain::payment::{Payment, PaymentKind, PaymentStatus};
use parkade_events::{EventName, Incoming, run_batch};
use parkade_payments::{PaymentError, StripeClient};
use parkade_store::{Access, CommandError, Store};
use thiserror::Error;

/// How long after its request a payment is still asked for. The provider remembers a key for 24 hours at least; an hour of that is left
/// for clocks that differ. After it, asking again might charge or refund a second time (M1).
pub const ASKED_WITHIN_S: i64 = 23 * 3_600;

/// What the function needs.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The tables.
    pub store: Store,
    /// The payment provider.
    pub stripe: StripeClient,
    /// Which deployment this is: part of every provider key, so that two never share one.
    pub stage: String,
}

/// Why a message was not done. It comes again, and after some tries a person looks at it.
#[derive(Debug, Error)]
pub enum Failure {
    /// The event does not belong on this queue.
    #[error("{} is not a request for money", .0.as_str())]
    NotARequest(EventName),
    /// The event does not name a payment.
    #[error("the event names no payment")]
    NoPayment,
    /// The records cannot be read or written, or there is no such payment.
    #[error("the records did not take it")]
    Store(#[source] CommandError),
    /// The provider's answer is unknown, or it refused the request.
    #[error("the provider did not carry it out")]
    Provider(#[source] PaymentError),
    /// The provider has accepted it but does not say yet how it ends.
    #[error("the provider is still working on it")]
    NotFinal,
    /// The provider took another amount than it was asked for.
    #[error("the provider took {received_minor} instead of {asked_minor}")]
    OtherAmount {
        /// Minor units.
        asked_minor: i64,
        /// Minor units.
        received_minor: i64,
    },
    /// The provider may have forgotten the key, so whether it was asked before cannot be found out by asking again.
    #[error("it was requested {age_s} s ago, too long to ask for it safely")]
    TooOld {
        /// Seconds since the request.
        age_s: i64,
    },
    /// What the records say about the payment cannot be: a bug.
    #[error("the payment's record makes no sense: {0}")]
    Inconsistent(&'static str),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Store(error)
    }
}

impl From<PaymentError> for Failure {
    fn from(error: PaymentError) -> Self {
        Self::Provider(error)
    }
}

/// Carries out the requests of a batch, one after the other. The answer names the messages that have to come again.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, batch: SqsEvent) -> SqsBatchResponse {
    run_batch(batch, |incoming| carry_out(deps, now.timestamp(), incoming)).await
}

async fn carry_out(deps: &Deps, now_s: i64, incoming: Incoming) -> Result<(), Failure> {
    if !matches!(incoming.name, EventName::PaymentRequested | EventName::RefundRequested) {
        return Err(Failure::NotARequest(incoming.name));
    }
    let id = incoming.payment.ok_or(Failure::NoPayment)?;
    // The event only says where to look: the record may be ahead of it.
    let (payment, dossier) = deps.store.payment(id, &Access::System).await?;
    match (payment.kind, payment.status) {
        (_, PaymentStatus::Succeeded | PaymentStatus::Declined) => Ok(()),
        (PaymentKind::Charge(_), _) => charge::carry_out(deps, now_s, &payment, &dossier).await,
        (PaymentKind::Refund { .. }, PaymentStatus::Void) => Err(Failure::Inconsistent("a refund is void")),
        (PaymentKind::Refund { of, .. }, PaymentStatus::Requested) => {
            refund::carry_out(deps, now_s, &payment, of, &dossier).await
        }
    }
}

/// Refuses to ask for what is too old.
fn check_age(payment: &Payment, now_s: i64) -> Result<(), Failure> {
    let age_s = now_s - payment.requested_at_s;
    if age_s > ASKED_WITHIN_S { Err(Failure::TooOld { age_s }) } else { Ok(()) }
}
