//! Payments: the intent is stored before the provider is asked; its result is stored with everything it causes.

use futures::future::join;
use parkade_domain::calendar::{Allocation, CalendarView, choose};
use parkade_domain::decide::{self, Change, Dossier, Refusal};
use parkade_domain::ids::{PaymentId, UserId};
use parkade_domain::money::Currency;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, Word};
use parkade_domain::reservation::{Mark, Status};

use crate::execute::{Cause, CommandError, Commit, Done, Order, contended, edits_of, merged};
use crate::items::payment as payment_item;
use crate::transact::{self, Outcome};
use crate::wallet::Beside;
use crate::{Access, Store, StoreError};

/// Rounds of planning when the record moves between read and write.
const TRIES_MAX: u32 = 12;
/// Why a charge by credit is declined.
pub const INSUFFICIENT_CREDIT: &str = "insufficient_credit";

/// What a payer offers to pay with.
#[derive(Debug, Clone, Copy)]
pub enum With<'a> {
    /// This.
    Means(&'a Means),
    /// A card by its token, which may be one that the user has saved.
    Card {
        /// Who pays.
        user: &'a UserId,
        /// The provider's token.
        method: &'a str,
    },
}

/// What a payer offers.
#[derive(Debug, Clone, Copy)]
pub struct Tender<'a> {
    /// What is charged.
    pub with: With<'a>,
    /// What the payer has seen to be due: minor units and currency. `None` takes whatever is due.
    pub seen: Option<(i64, Currency)>,
}

impl<'a> From<&'a Means> for Tender<'a> {
    fn from(means: &'a Means) -> Self {
        Self { with: With::Means(means), seen: None }
    }
}

/// A stored intent to charge, with what was read on the way: enough to record the provider's word in one more round trip.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The payment.
    pub payment: Payment,
    /// Its reservation with all payments.
    pub dossier: Dossier,
    /// The intent had been stored before.
    pub replayed: bool,
    /// The tiles that a confirmation changes.
    tiles: Option<CalendarView>,
}

impl Intent {
    /// What is known of a payment without having just stored it.
    #[must_use]
    pub const fn known(payment: Payment, dossier: Dossier) -> Self {
        Self { payment, dossier, replayed: true, tiles: None }
    }
}

impl Store {
    /// Stores the intent to charge what is due: one conditional put, while the tiles are read that its success will change. The provider
    /// is asked by the caller, or by whoever receives the event of it.
    ///
    /// # Errors
    /// [`CommandError`]; [`Refusal::HoldExpired`] after the hold, [`Refusal::PaymentInProgress`] while a charge is under way,
    /// [`Refusal::AmountChanged`] if another amount is due than the payer has seen.
    pub async fn pay<'a>(&self, order: &Order, tender: impl Into<Tender<'a>>) -> Result<Intent, CommandError> {
        let Tender { with, seen } = tender.into();
        let (before, means) = join(self.dossier(order.id, &order.access), self.means_of(with)).await;
        let (mut before, means) = (before?, means?);
        for _ in 0..TRIES_MAX {
            if let Some(known) = before.payments.iter().find(|p| p.mark.key == order.mark.key) {
                if known.mark.fingerprint != order.mark.fingerprint {
                    return Err(CommandError::KeyReused);
                }
                return Ok(Intent::known(known.clone(), before));
            }
            let payment = decide::pay(&before, order.now_s, order.mark, means.clone(), seen)?;
            let put = self.put_alone(payment_item::write(&payment), None);
            let (written, tiles) = join(put, self.confirmed_tiles(&before, &payment, order.now_s)).await;
            if written? {
                let change = Change { reservation: before.reservation.clone(), payments: vec![payment.clone()] };
                return Ok(Intent { payment, dossier: merged(before, change), replayed: false, tiles });
            }
            before = self.dossier(order.id, &order.access).await?;
        }
        Err(contended())
    }

    /// How it is charged: a saved card with its customer, without whom the provider refuses it.
    async fn means_of(&self, with: With<'_>) -> Result<Means, StoreError> {
        match with {
            With::Means(means) => Ok(means.clone()),
            With::Card { user, method } => {
                let customer = self.customer_of(user, method).await?;
                Ok(Means::Provider { method: Some(method.to_owned()), customer })
            }
        }
    }

    /// The tiles that the success of a charge will change. Only saves a later read, so without them all goes on.
    async fn confirmed_tiles(&self, before: &Dossier, payment: &Payment, now_s: i64) -> Option<CalendarView> {
        let r = &before.reservation;
        let facts = self.lot(&r.lot).await.ok().flatten()?;
        let paid = payment.after(&Word::Succeeded { reference: String::new() }, now_s)?;
        let change = decide::charged(before, &paid, now_s, charged_mark(&paid, now_s), r.spot).ok()?;
        let edits = edits_of(before, &change);
        if edits.is_empty() { None } else { self.tiles_of(&facts, &edits).await.ok() }
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
    pub async fn settle(&self, id: PaymentId, word: &Word, now_s: i64) -> Result<Done, CommandError> {
        let (payment, dossier) = self.payment(id, &Access::System).await?;
        self.settle_known(Intent::known(payment, dossier), word, now_s).await
    }

    /// As [`Self::settle`], beginning with what is known of the payment: one round trip if it has not moved.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn settle_known(&self, intent: Intent, word: &Word, now_s: i64) -> Result<Done, CommandError> {
        let id = intent.payment.id;
        let mut known = intent;
        for _ in 0..TRIES_MAX {
            let Some(settled) = known.payment.after(word, now_s) else {
                return Ok(Done { dossier: known.dossier, replayed: true });
            };
            if let Some(done) = self.settle_once(&known, settled, now_s).await? {
                return Ok(done);
            }
            let (payment, dossier) = self.payment(id, &Access::System).await?;
            known = Intent::known(payment, dossier);
        }
        Err(contended())
    }

    /// Carries out a charge or refund by the user's credit, once: the wallet changes in the same transaction. A charge that it holds too
    /// little for is declined with [`INSUFFICIENT_CREDIT`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn settle_by_credit(&self, intent: Intent, now_s: i64) -> Result<Done, CommandError> {
        let short = Word::Declined { code: INSUFFICIENT_CREDIT.to_owned() };
        let id = intent.payment.id;
        let mut known = intent;
        for _ in 0..TRIES_MAX {
            let Some(settled) = known.payment.after(&Word::CarriedOut, now_s) else {
                return Ok(Done { dossier: known.dossier, replayed: true });
            };
            let wallet = self.wallet_change(&known.dossier.reservation, &settled).await?;
            let done = match (wallet, settled.kind) {
                (Some(wallet), PaymentKind::Charge(_)) => {
                    let tiles = known.tiles.clone();
                    Box::pin(self.settle_charge(&known.dossier, tiles, &settled, vec![wallet], now_s)).await?
                }
                (Some(wallet), PaymentKind::Refund { .. }) => {
                    self.settle_with(&known.dossier, settled, vec![wallet]).await?
                }
                (None, PaymentKind::Charge(_)) => return Box::pin(self.settle_known(known, &short, now_s)).await,
                (None, PaymentKind::Refund { .. }) => return Err(overflowing().into()),
            };
            if let Some(done) = done {
                return Ok(done);
            }
            let (payment, dossier) = self.payment(id, &Access::System).await?;
            known = Intent::known(payment, dossier);
        }
        Err(contended())
    }

    /// A payment that changes nothing of its reservation, with what changes beside it.
    async fn settle_with(
        &self,
        before: &Dossier,
        settled: Payment,
        beside: Vec<Beside>,
    ) -> Result<Option<Done>, CommandError> {
        let mut writes = vec![self.put(payment_item::write(&settled), Some(settled.version - 1))?];
        for (item, version) in beside {
            writes.push(self.put(item, version)?);
        }
        let outcome = transact::write(&self.client, writes).await?;
        let change = Change { reservation: before.reservation.clone(), payments: vec![settled] };
        Ok(matches!(outcome, Outcome::Committed).then(|| done(before, change)))
    }

    /// One try; `None` if something has moved.
    async fn settle_once(&self, known: &Intent, settled: Payment, now_s: i64) -> Result<Option<Done>, CommandError> {
        let before = &known.dossier;
        match (settled.kind, settled.status) {
            (PaymentKind::Charge(_), PaymentStatus::Succeeded) => {
                Box::pin(self.settle_charge(before, known.tiles.clone(), &settled, Vec::new(), now_s)).await
            }
            (PaymentKind::Refund { .. }, PaymentStatus::Declined) => {
                self.settle_declined_refund(before, &settled, now_s).await
            }
            _ => self.settle_alone(before, settled).await,
        }
    }

    async fn settle_alone(&self, before: &Dossier, settled: Payment) -> Result<Option<Done>, CommandError> {
        let written = self.put_alone(payment_item::write(&settled), Some(settled.version - 1)).await?;
        let change = Change { reservation: before.reservation.clone(), payments: vec![settled] };
        Ok(written.then(|| done(before, change)))
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
        match self.commit(&pricing.facts, &[(before, &change)], Vec::new(), now_s).await? {
            Commit::Written => Ok(Some(done(before, change))),
            Commit::Moved | Commit::Taken(..) => Ok(None),
        }
    }

    async fn settle_charge(
        &self,
        before: &Dossier,
        tiles: Option<CalendarView>,
        paid: &Payment,
        beside: Vec<Beside>,
        now_s: i64,
    ) -> Result<Option<Done>, CommandError> {
        let context = self.pricing_of(&before.reservation).await?;
        let r = &before.reservation;
        let mark = charged_mark(paid, now_s);
        match decide::charged(before, paid, now_s, mark, r.spot) {
            Ok(change) => {
                let changes = [(before, &change)];
                let commit = match tiles {
                    Some(tiles) => self.commit_on(tiles, &context.facts, &changes, beside.clone(), now_s).await?,
                    None => self.commit(&context.facts, &changes, beside.clone(), now_s).await?,
                };
                match commit {
                    Commit::Written => return Ok(Some(done(before, change))),
                    Commit::Moved => return Ok(None),
                    Commit::Taken(..) => {}
                }
            }
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
        match self.commit(&context.facts, &[(before, &change)], beside, now_s).await? {
            Commit::Written => Ok(Some(done(before, change))),
            Commit::Moved | Commit::Taken(..) => Ok(None),
        }
    }
}

/// Nobody has so much.
fn overflowing() -> StoreError {
    StoreError::Refused { operation: "wallet", cause: "the credit does not fit 64 bits".to_owned() }
}

fn charged_mark(paid: &Payment, now_s: i64) -> Mark {
    Order::system(paid.id.reservation, Cause::Charged, i64::from(paid.id.number), now_s).mark
}

fn done(before: &Dossier, change: Change) -> Done {
    Done { dossier: merged(before.clone(), change), replayed: false }
}
