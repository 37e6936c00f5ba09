//! What the provider tells by itself: a hint that something happened, which may be late, early, repeated or about nothing of ours (M2).
//!
//! There is no list of seen events. A payment moves forward only, so a hint that was taken before, or is behind the records, is no news.

use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Payment, PaymentKind, Word};
use parkade_payments::{Charge, ChargeStatus, Event, Refund, RefundStatus};
use parkade_store::{Access, CommandError, Intent};
use tracing::{error, info};

use crate::{Cashier, Failure, charge, refund};

/// What a hint led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A payment changed by it.
    News,
    /// The records knew, or the hint is not about a payment's end.
    Known,
    /// It is about nothing that these records have.
    NotOurs,
}

impl Cashier {
    /// Takes a verified event of the provider's.
    ///
    /// # Errors
    /// [`Failure`]; the provider then tells again.
    pub async fn take_hint(&self, event: &Event, now_s: i64) -> Result<Hint, Failure> {
        let object = &event.object;
        if event.kind == "setup_intent.succeeded" {
            return self.take_setup(event).await;
        }
        if !matches!(object.kind.as_str(), "payment_intent" | "refund") {
            return Ok(Hint::Known);
        }
        let Some(id) = object.payment.as_deref().and_then(|text| text.parse::<PaymentId>().ok()) else {
            return Ok(Hint::NotOurs);
        };
        let (payment, dossier) = match self.store.payment(id, &Access::System).await {
            Err(CommandError::NotFound) => return Ok(Hint::NotOurs),
            other => other?,
        };
        if !payment.by_provider() {
            return Ok(Hint::NotOurs);
        }
        let word = match payment.kind {
            PaymentKind::Charge(_) => of_charge(&event.kind, &payment, &object.charge()?),
            PaymentKind::Refund { .. } => of_refund(&payment, &object.refund()?),
        };
        let Some(word) = word else { return Ok(Hint::Known) };
        let version = payment.version;
        let after = self.record(Intent::known(payment, dossier), &word, now_s).await?;
        if after.version == version {
            return Ok(Hint::Known);
        }
        info!(payment.id = %id, event.id = %event.id, "{} is {} by the provider's own word", id, after.status.as_str());
        Ok(Hint::News)
    }
}

/// The final word in a charge that is told of; `None` if it is none, or about another amount.
fn of_charge(kind: &str, payment: &Payment, charge: &Charge) -> Option<Word> {
    if (charge.amount_minor, charge.currency) != (payment.amount_minor, payment.currency) {
        error!(payment.id = %payment.id, "the provider tells of another amount for {}", payment.id);
        return None;
    }
    match (kind, charge.status) {
        ("payment_intent.succeeded", ChargeStatus::Succeeded)
        | ("payment_intent.payment_failed", ChargeStatus::RequiresPaymentMethod)
        | ("payment_intent.canceled", ChargeStatus::Canceled) => charge::word_of(payment, charge).ok(),
        // A charge that was only created looks like one that failed.
        _ => None,
    }
}

fn of_refund(payment: &Payment, refund: &Refund) -> Option<Word> {
    if (refund.amount_minor, refund.currency) != (payment.amount_minor, payment.currency) {
        error!(payment.id = %payment.id, "the provider tells of another amount for {}", payment.id);
        return None;
    }
    match refund.status {
        RefundStatus::Pending => None,
        RefundStatus::Succeeded | RefundStatus::Failed | RefundStatus::Canceled => Some(refund::word_of(refund)),
    }
}
