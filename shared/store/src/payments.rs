//! Payments: the intent is stored before the provider is asked; its result is stored with everything it causes.

use parkade_domain::calendar::{Allocation, choose};
use parkade_domain::decide::{self, Dossier, Refusal};
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus};
use parkade_domain::reservation::Status;

use crate::execute::{Cause, CommandError, Commit, Done, Order, contended, merged};
use crate::items::payment as payment_item;
use crate::{Access, Store};

/// Rounds of planning when the record moves between read and write.
const TRIES_MAX: u32 = 12;

/// The provider's final word on a charge or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// It was carried out; the provider's id of it.
    Succeeded {
        /// The provider's id.
        provider_reference: String,
    },
    /// It was refused for good.
    Declined {
        /// The provider's reason.
        code: String,
    },
    /// The provider was not asked: the reservation had ended first.
    Void,
}

impl Store {
    /// Stores the intent to charge what is due: one conditional put. The provider is asked by whoever receives the event of it.
    ///
    /// # Errors
    /// [`CommandError`]; [`Refusal::HoldExpired`] after the hold, [`Refusal::PaymentInProgress`] while a charge is under way.
    pub async fn pay(&self, order: &Order, means: &Means) -> Result<(Payment, Done), CommandError> {
        for _ in 0..TRIES_MAX {
            let before = self.dossier(order.id, &order.access).await?;
            if let Some(known) = before.payments.iter().find(|p| p.mark.key == order.mark.key) {
                if known.mark.fingerprint != order.mark.fingerprint {
                    return Err(CommandError::KeyReused);
                }
                return Ok((known.clone(), Done { dossier: before, replayed: true }));
            }
            let payment = decide::pay(&before, order.now_s, order.mark, means.clone())?;
            if self.put_alone(payment_item::write(&payment), None).await? {
                let change =
                    decide::Change { reservation: before.reservation.clone(), payments: vec![payment.clone()] };
                return Ok((payment, Done { dossier: merged(before, change), replayed: false }));
            }
        }
        Err(contended())
    }

    /// A payment with its reservation.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] also if it is not the caller's.
    pub async fn payment(&self, id: PaymentId, access: &Access) -> Result<(Payment, Dossier), CommandError> {
        let dossier = self.dossier(id.reservation, access).await?;
        let payment = dossier.payments.iter().find(|p| p.id == id).cloned().ok_or(CommandError::NotFound)?;
        Ok((payment, dossier))
    }

    /// Whether a requested charge still makes sense: the reservation has not ended meanwhile.
    #[must_use]
    pub fn is_wanted(dossier: &Dossier, payment: &Payment) -> bool {
        let ended = matches!(dossier.reservation.status, Status::Cancelled | Status::Expired);
        !(matches!(payment.kind, PaymentKind::Charge(_)) && ended)
    }

    /// Stores the provider's word on a payment with everything it causes, once. A booking's charge confirms the reservation in the same
    /// transaction; if its hold is gone, the same time is claimed again, on another fitting spot if need be, or all of it is refunded (M3).
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn settle(&self, id: PaymentId, outcome: &ChargeOutcome, now_s: i64) -> Result<Done, CommandError> {
        for _ in 0..TRIES_MAX {
            let (payment, before) = self.payment(id, &Access::System).await?;
            if payment.status != PaymentStatus::Requested {
                return Ok(Done { dossier: before, replayed: true });
            }
            let settled = settled(&payment, outcome, now_s);
            let written = match (payment.kind, settled.status) {
                (PaymentKind::Charge(_), PaymentStatus::Succeeded) => {
                    self.settle_charge(&before, &settled, now_s).await?
                }
                (PaymentKind::Refund { .. }, PaymentStatus::Declined) => {
                    self.settle_declined_refund(&before, &settled, now_s).await?
                }
                _ => self.settle_alone(&before, settled).await?,
            };
            if let Some(done) = written {
                return Ok(done);
            }
        }
        Err(contended())
    }

    async fn settle_alone(&self, before: &Dossier, settled: Payment) -> Result<Option<Done>, CommandError> {
        let written = self.put_alone(payment_item::write(&settled), Some(settled.version - 1)).await?;
        let change = decide::Change { reservation: before.reservation.clone(), payments: vec![settled] };
        Ok(written.then(|| Done { dossier: merged(before.clone(), change), replayed: false }))
    }

    async fn settle_declined_refund(
        &self,
        before: &Dossier,
        declined: &Payment,
        now_s: i64,
    ) -> Result<Option<Done>, CommandError> {
        let pricing = self.pricing_of(&before.reservation).await?;
        let cause = Order::system(before.reservation.id, Cause::RefundDeclined, i64::from(declined.id.number), now_s);
        let change = decide::refund_declined(before, declined, cause.mark);
        match self.commit(&pricing.facts, &[(before, &change)], now_s).await? {
            Commit::Written => Ok(Some(Done { dossier: merged(before.clone(), change), replayed: false })),
            Commit::Moved | Commit::Taken(..) => Ok(None),
        }
    }

    async fn settle_charge(&self, before: &Dossier, paid: &Payment, now_s: i64) -> Result<Option<Done>, CommandError> {
        let context = self.pricing_of(&before.reservation).await?;
        let r = &before.reservation;
        let mark = Order::system(r.id, Cause::Charged, i64::from(paid.id.number), now_s).mark;
        let done = |change| Some(Done { dossier: merged(before.clone(), change), replayed: false });
        match decide::charged(before, paid, now_s, mark, r.spot) {
            Ok(change) => match self.commit(&context.facts, &[(before, &change)], now_s).await? {
                Commit::Written => return Ok(done(change)),
                Commit::Moved => return Ok(None),
                Commit::Taken(..) => {}
            },
            Err(Refusal::Ended) => {}
            Err(refusal) => return Err(refusal.into()),
        }
        let free = self.free_for(&context.facts, r.vehicle, &r.claims, now_s).await?;
        let change = match choose(&free, Allocation::BestFit, r.id.bits()) {
            Some(spot) => match decide::charged(before, paid, now_s, mark, spot) {
                Err(Refusal::Ended) => decide::paid_too_late(before, paid, now_s, mark)?,
                other => other?,
            },
            None => decide::paid_too_late(before, paid, now_s, mark)?,
        };
        match self.commit(&context.facts, &[(before, &change)], now_s).await? {
            Commit::Written => Ok(done(change)),
            Commit::Moved | Commit::Taken(..) => Ok(None),
        }
    }
}

fn settled(payment: &Payment, outcome: &ChargeOutcome, now_s: i64) -> Payment {
    let mut next =
        Payment { version: payment.version + 1, settled_at_s: Some(now_s), client_secret: None, ..payment.clone() };
    match outcome {
        ChargeOutcome::Succeeded { provider_reference } => {
            next.status = PaymentStatus::Succeeded;
            next.provider_reference = Some(provider_reference.clone());
        }
        ChargeOutcome::Declined { code } => {
            next.status = PaymentStatus::Declined;
            next.decline_code = Some(code.clone());
        }
        ChargeOutcome::Void => next.status = PaymentStatus::Void,
    }
    next
}
