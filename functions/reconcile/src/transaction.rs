//! What one transaction of the provider's means to us.

use parkade_domain::ids::{LotId, PaymentId};
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, Word};
use parkade_domain::zone::LotZone;
use parkade_ledger::{
    Account, Book, Cause, Concerning, Entry, EntryError, ExceptionKind, Facts, Month, Movement, Place,
    TransactionFacts, of_fee, of_movement, of_payment,
};
use parkade_payments::{BalanceKind, BalanceTransaction, ProviderId};
use parkade_store::{Access, CommandError, Confirmation, Store, StoreError};

use crate::{Deps, Failure};

/// How long a payment's own flow is left alone: the driver's request, and the messages that repeat it.
const TAKEN_UP_S: i64 = 15 * 60;
/// How long the books may be behind the records before an entry is taken for missing.
const SEALED_WITHIN_S: i64 = 3_600;
/// What a refund is declined with that its driver's bank sent back.
const SENT_BACK: &str = "refund_failed";

/// What became of looking into a transaction.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is what the records say, or they say so now.
    Explained(Box<Explained>),
    /// Somebody is at it: the next run looks again.
    Later,
    /// A person has to decide.
    Unexplained(ExceptionKind, Box<Facts>),
}

/// What follows from a transaction that is understood.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    /// To be sealed.
    pub(crate) entries: Vec<Entry>,
    /// The payment whose money it is.
    pub(crate) confirms: Option<Confirmation>,
    /// A person has to answer it nevertheless: about what, why, and with which facts.
    pub(crate) asks: Option<(String, ExceptionKind, Facts)>,
    /// The records got the provider's word.
    pub(crate) settled: bool,
    /// The books lacked the payment's own entry.
    pub(crate) resealed: bool,
}

/// Which payment's money a charge or refund is.
pub(crate) fn confirmation_of(transaction: &BalanceTransaction) -> Option<Confirmation> {
    let payment = transaction.payment.as_deref()?.parse().ok()?;
    match transaction.kind {
        BalanceKind::Charge => Some(Confirmation { payment, came_back: false }),
        BalanceKind::Refund => Some(Confirmation { payment, came_back: transaction.amount_minor > 0 }),
        _ => None,
    }
}

/// Looks into a transaction. `known` is the transaction that confirmed its payment before, if one did.
pub(crate) async fn judge(
    deps: &Deps,
    now_s: i64,
    transaction: &BalanceTransaction,
    known: Option<&String>,
) -> Result<Outcome, Failure> {
    let case = Case { deps, now_s, transaction };
    match transaction.kind {
        BalanceKind::Charge | BalanceKind::Refund => case.of_payment(known).await,
        BalanceKind::Adjustment if transaction.dispute.is_some() => case.of_dispute().await,
        BalanceKind::Payout => case.of_provider(Cause::Payout, &Account::Bank),
        BalanceKind::StripeFee => case.of_provider(Cause::ProviderCharge, &Account::Fees),
        BalanceKind::Adjustment | BalanceKind::Other => {
            Ok(Outcome::Unexplained(ExceptionKind::UnknownKind, Box::default()))
        }
    }
}

/// In which books a transaction belongs: its payment's lot's, or the provider's own if it names none; `None` if the records do not have the
/// payment it names.
pub(crate) async fn concerning(
    store: &Store,
    created_s: i64,
    payment: Option<PaymentId>,
) -> Result<Option<Concerning>, Failure> {
    let Some(id) = payment else {
        return Ok(Some(Concerning { book: Book::Provider, month: Month::utc(created_s), payment: None }));
    };
    match store.payment(id, &Access::System).await {
        Ok((_, dossier)) => {
            let (lot, zone) = place(store, &dossier.reservation.lot).await?;
            Ok(Some(Concerning { book: Book::Lot(lot), month: Month::of(created_s, zone), payment: Some(id) }))
        }
        Err(CommandError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn place(store: &Store, lot: &LotId) -> Result<(LotId, LotZone), Failure> {
    let facts = store.lot(lot).await?.ok_or(CommandError::UnknownLot)?;
    Ok((facts.lot.id.clone(), facts.lot.zone))
}

pub(crate) fn movement(transaction: &BalanceTransaction) -> Movement<'_> {
    Movement {
        id: transaction.id.as_str(),
        currency: transaction.currency,
        at_s: transaction.created_s,
        amount_minor: transaction.amount_minor,
        fee_minor: transaction.fee_minor,
    }
}

pub(crate) fn facts_of(transaction: &BalanceTransaction) -> TransactionFacts {
    let text = |id: &Option<ProviderId>| id.as_ref().map(ToString::to_string);
    let kind = match transaction.kind {
        BalanceKind::Charge => "charge",
        BalanceKind::Refund => "refund",
        BalanceKind::Adjustment => "adjustment",
        BalanceKind::StripeFee => "stripe_fee",
        BalanceKind::Payout => "payout",
        BalanceKind::Other => "other",
    };
    TransactionFacts {
        id: transaction.id.to_string(),
        kind: kind.to_owned(),
        amount_minor: transaction.amount_minor,
        fee_minor: transaction.fee_minor,
        currency: transaction.currency.code().to_owned(),
        created_s: transaction.created_s,
        source: text(&transaction.source),
        charge: text(&transaction.charge),
        dispute: text(&transaction.dispute),
        payment_intent: text(&transaction.payment_intent),
    }
}

/// One transaction under examination.
struct Case<'a> {
    deps: &'a Deps,
    now_s: i64,
    transaction: &'a BalanceTransaction,
}

impl Case<'_> {
    /// Books against the bank or fees, in the provider's own book.
    fn of_provider(&self, cause: Cause, against: &Account) -> Result<Outcome, Failure> {
        let concerning =
            Concerning { book: Book::Provider, month: Month::utc(self.transaction.created_s), payment: None };
        let entries = booked(of_movement(movement(self.transaction), cause, against, concerning))?;
        Ok(Outcome::Explained(Box::new(Explained { entries, ..Explained::default() })))
    }

    async fn of_dispute(&self) -> Result<Outcome, Failure> {
        let transaction = self.transaction;
        let payment = transaction.payment.as_deref().and_then(|text| text.parse().ok());
        let Some(concerning) = concerning(&self.deps.store, transaction.created_s, payment).await? else {
            let named = Facts { payment: transaction.payment.clone(), ..Facts::default() };
            return Ok(Outcome::Unexplained(ExceptionKind::UnknownPayment, Box::new(named)));
        };
        let opened = transaction.amount_minor < 0;
        let cause = if opened { Cause::DisputeOpened } else { Cause::DisputeWon };
        let lot = match &concerning.book {
            Book::Lot(lot) => Some(lot.to_string()),
            Book::Provider => None,
        };
        let entries = booked(of_movement(movement(transaction), cause, &Account::Disputed, concerning))?;
        let facts = || Facts {
            transaction: Some(facts_of(transaction)),
            payment: transaction.payment.clone(),
            lot,
            ..Facts::default()
        };
        let asks = transaction.dispute.as_ref().filter(|_| opened);
        let asks = asks.map(|dispute| (dispute.to_string(), ExceptionKind::DisputeOpen, facts()));
        Ok(Outcome::Explained(Box::new(Explained { entries, asks, ..Explained::default() })))
    }

    async fn of_payment(&self, known: Option<&String>) -> Result<Outcome, Failure> {
        let named = Facts { payment: self.transaction.payment.clone(), ..Facts::default() };
        let Some(confirms) = confirmation_of(self.transaction) else {
            return Ok(Outcome::Unexplained(ExceptionKind::NamesNoPayment, Box::new(named)));
        };
        let (payment, dossier) = match self.deps.store.payment(confirms.payment, &Access::System).await {
            Ok(found) => found,
            Err(CommandError::NotFound) => {
                return Ok(Outcome::Unexplained(ExceptionKind::UnknownPayment, Box::new(named)));
            }
            Err(error) => return Err(error.into()),
        };
        let (lot, zone) = place(&self.deps.store, &dossier.reservation.lot).await?;
        let unexplained = |kind, payment: &Payment, tried: Option<String>| {
            let facts = Facts { lot: Some(lot.to_string()), tried, ..ours(payment) };
            Ok(Outcome::Unexplained(kind, Box::new(facts)))
        };
        if !self.is_of(&payment) {
            return unexplained(ExceptionKind::Differs, &payment, None);
        }
        if let Some(known) = known.filter(|known| known.as_str() != self.transaction.id.as_str()) {
            let tried = Some(format!("the payment was confirmed by {known}"));
            return unexplained(ExceptionKind::TakenTwice, &payment, tried);
        }
        let word = match self.word(&payment, confirms.came_back) {
            Said::Nothing => None,
            Said::Later => return Ok(Outcome::Later),
            Said::Word(word) => Some(word),
            Said::Twice => return unexplained(ExceptionKind::TakenTwice, &payment, None),
            Said::Gone if self.came_back_too(confirms.payment).await? => None,
            Said::Gone => return unexplained(ExceptionKind::NotRecorded, &payment, None),
        };
        let settled = word.is_some();
        let payment = match word {
            None => payment,
            Some(word) => {
                let done = self.deps.store.settle(payment.id, &word, self.now_s).await?;
                done.dossier.payments.into_iter().find(|known| known.id == payment.id).unwrap_or(payment)
            }
        };
        if settled && self.is_another(&payment) {
            return unexplained(ExceptionKind::TakenTwice, &payment, None);
        }
        let expected = if confirms.came_back { PaymentStatus::Declined } else { PaymentStatus::Succeeded };
        if settled && payment.status != expected {
            let tried = Some("to record the provider's word".to_owned());
            return unexplained(ExceptionKind::NotRecorded, &payment, tried);
        }
        let month = Month::of(self.transaction.created_s, zone);
        let concerning = Concerning { book: Book::Lot(lot.clone()), month, payment: Some(payment.id) };
        let mut entries: Vec<Entry> = of_fee(movement(self.transaction), concerning)?.into_iter().collect();
        let missing = self.missing(&payment, Place { lot: &lot, zone }).await?;
        let resealed = missing.is_some();
        entries.extend(missing);
        let asks = confirms.came_back.then(|| {
            let facts =
                Facts { lot: Some(lot.to_string()), transaction: Some(facts_of(self.transaction)), ..ours(&payment) };
            // By the refund: the transaction may have been an exception of its own, which is closed for good.
            let subject = self.transaction.source.as_ref().unwrap_or(&self.transaction.id);
            (subject.to_string(), ExceptionKind::RefundReturned, facts)
        });
        Ok(Outcome::Explained(Box::new(Explained { entries, confirms: Some(confirms), settled, resealed, asks })))
    }

    /// Whether the payment moves this amount through the provider, in this direction.
    fn is_of(&self, payment: &Payment) -> bool {
        let sign = match (payment.kind, self.transaction.kind) {
            (PaymentKind::Charge(_), BalanceKind::Charge) => 1,
            (PaymentKind::Refund { .. }, BalanceKind::Refund) if self.transaction.amount_minor > 0 => 1,
            (PaymentKind::Refund { .. }, BalanceKind::Refund) => -1,
            _ => return false,
        };
        matches!(payment.means, Means::Provider { .. })
            && (sign * payment.amount_minor, payment.currency)
                == (self.transaction.amount_minor, self.transaction.currency)
    }

    /// What the transaction has to say that the record does not.
    fn word(&self, payment: &Payment, came_back: bool) -> Said {
        let charge = payment.returns().is_none();
        let theirs = self.reference(payment);
        match (payment.status, came_back) {
            (PaymentStatus::Declined, true) => Said::Nothing,
            (PaymentStatus::Succeeded | PaymentStatus::Requested, true) => {
                Said::Word(Word::Declined { code: SENT_BACK.to_owned() })
            }
            (PaymentStatus::Succeeded, false) if self.is_another(payment) => Said::Twice,
            (PaymentStatus::Succeeded, false) => Said::Nothing,
            (PaymentStatus::Requested, false) if self.is_new(Some(payment.requested_at_s)) => Said::Later,
            // Its return has been told of already, and is listed a moment later.
            (PaymentStatus::Declined, false) if !charge && self.is_new(payment.settled_at_s) => Said::Later,
            (PaymentStatus::Declined | PaymentStatus::Void, false) if !charge => Said::Gone,
            (_, false) => match theirs {
                Some(theirs) => Said::Word(Word::Succeeded { reference: theirs.to_string() }),
                None => Said::Gone,
            },
            (PaymentStatus::Void, true) => Said::Gone,
        }
    }

    /// Whether the payment's own flow may still be at it.
    fn is_new(&self, since_s: Option<i64>) -> bool {
        since_s.is_some_and(|since_s| self.now_s - since_s < TAKEN_UP_S)
    }

    /// What the record of such a payment calls it by at the provider.
    fn reference(&self, payment: &Payment) -> Option<&ProviderId> {
        let transaction = self.transaction;
        if payment.returns().is_none() { transaction.payment_intent.as_ref() } else { transaction.source.as_ref() }
    }

    /// Whether the record has another charge or refund of the provider's than this one.
    fn is_another(&self, payment: &Payment) -> bool {
        let both = payment.provider_reference.as_deref().zip(self.reference(payment));
        both.is_some_and(|(ours, theirs)| ours != theirs.as_str())
    }

    /// Whether the provider's account has the return of a refund as well.
    async fn came_back_too(&self, payment: PaymentId) -> Result<bool, Failure> {
        let back = Confirmation { payment, came_back: true };
        Ok(self.deps.store.confirmed(&[back]).await?.contains_key(&back))
    }

    /// The payment's own entry, if the books should have it by now and do not: its stream record could not be read, or was given up.
    async fn missing(&self, payment: &Payment, place: Place<'_>) -> Result<Option<Entry>, Failure> {
        if payment.settled_at_s.is_none_or(|at_s| self.now_s - at_s < SEALED_WITHIN_S) {
            return Ok(None);
        }
        let Some(entry) = of_payment(None, payment, place)? else { return Ok(None) };
        Ok(self.deps.store.unsealed(&[entry]).await?.into_iter().next())
    }
}

enum Said {
    /// The record says the same.
    Nothing,
    /// The payment's own flow is still at it.
    Later,
    /// This.
    Word(Word),
    /// The record has another charge or refund.
    Twice,
    /// The record says that no money moved, and does not take another word.
    Gone,
}

fn ours(payment: &Payment) -> Facts {
    let sign = if payment.returns().is_some() { -1 } else { 1 };
    Facts {
        payment: Some(payment.id.to_string()),
        ours_minor: Some(sign * payment.amount_minor),
        our_currency: Some(payment.currency.code().to_owned()),
        our_status: Some(payment.status.as_str().to_owned()),
        our_reference: payment.provider_reference.clone(),
        ..Facts::default()
    }
}

/// An entry, or none where nothing moved.
fn booked(made: Result<Entry, EntryError>) -> Result<Vec<Entry>, Failure> {
    match made {
        Ok(entry) => Ok(vec![entry]),
        Err(EntryError::Empty) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// A stored transaction as it was read from the provider.
pub(crate) fn transaction_of(facts: &Facts) -> Result<BalanceTransaction, StoreError> {
    use parkade_domain::money::Currency;
    let corrupt = |why: &str| StoreError::Corrupt { key: "an exception".to_owned(), why: why.to_owned() };
    let stored = facts.transaction.as_ref().ok_or_else(|| corrupt("it has no transaction"))?;
    let id = |text: &Option<String>| text.as_deref().and_then(|text| ProviderId::new(text).ok());
    Ok(BalanceTransaction {
        id: ProviderId::new(stored.id.as_str()).map_err(|_| corrupt("its transaction has no id"))?,
        kind: match stored.kind.as_str() {
            "charge" => BalanceKind::Charge,
            "refund" => BalanceKind::Refund,
            "adjustment" => BalanceKind::Adjustment,
            "stripe_fee" => BalanceKind::StripeFee,
            "payout" => BalanceKind::Payout,
            _ => BalanceKind::Other,
        },
        amount_minor: stored.amount_minor,
        fee_minor: stored.fee_minor,
        net_minor: stored.amount_minor - stored.fee_minor,
        currency: Currency::from_code(&stored.currency).map_err(|_| corrupt("its currency is unknown"))?,
        created_s: stored.created_s,
        source: id(&stored.source),
        charge: id(&stored.charge),
        dispute: id(&stored.dispute),
        payment_intent: id(&stored.payment_intent),
        payment: facts.payment.clone(),
    })
}
