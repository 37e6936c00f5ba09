//! Carries out what the records say is to be charged or given back: whatever the driver's own request did not see the end of, and every
//! refund. Each message may come late, twice or after its first try died anywhere; the cashier makes that harmless.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use parkade_billing::{Cashier, Failure};
use parkade_domain::ids::ReservationId;
use parkade_domain::payment::Payment;
use parkade_events::{EventName, Incoming, run_batch};
use parkade_store::{Access, Intent};
use thiserror::Error;

/// How long the provider is asked about a batch, all calls together: three of them (whether it was asked, the charge, what became of it) as
/// slow as one may be. The function's time-out leaves two seconds more for the store.
const ASKED_FOR: Duration = Duration::from_secs(24);

/// Why a message was not done. It comes again, and after some tries a person looks at it.
#[derive(Debug, Error)]
pub enum Undone {
    /// The event does not belong on this queue.
    #[error("{} is not about money", .0.as_str())]
    Misrouted(EventName),
    /// The event does not name what it is about.
    #[error("the event names no payment or reservation")]
    Nameless,
    /// The money could not be moved.
    #[error("the money was not moved")]
    Money(#[source] Failure),
}

/// Carries out the requests of a batch, one after the other. The answer names the messages that have to come again.
pub async fn handle(cashier: &Cashier, now: DateTime<Utc>, batch: SqsEvent) -> SqsBatchResponse {
    let cashier = cashier.within(ASKED_FOR);
    run_batch(batch, |incoming| carry_out(&cashier, now.timestamp(), incoming)).await
}

async fn carry_out(cashier: &Cashier, now_s: i64, incoming: Incoming) -> Result<(), Undone> {
    let done = match incoming.name {
        // The event only says where to look: the record may be ahead of it.
        EventName::PaymentRequested | EventName::RefundRequested => {
            let id = incoming.payment.ok_or(Undone::Nameless)?;
            cashier.carry_out(id, now_s).await.map(drop)
        }
        EventName::ReservationExpired | EventName::ReservationCancelled => {
            let id = incoming.reservation.ok_or(Undone::Nameless)?;
            end_open_charges(cashier, id, now_s).await
        }
        other => return Err(Undone::Misrouted(other)),
    };
    done.map_err(Undone::Money)
}

/// Calls off what waits for the driver of a reservation that has ended.
async fn end_open_charges(cashier: &Cashier, id: ReservationId, now_s: i64) -> Result<(), Failure> {
    let dossier = cashier.store().dossier(id, &Access::System).await?;
    let waits = |payment: &&Payment| payment.is_open_charge() && payment.client_secret.is_some();
    for payment in dossier.payments.iter().filter(waits) {
        cashier.carry_out_known(Intent::known(payment.clone(), dossier.clone()), now_s).await?;
    }
    Ok(())
}
