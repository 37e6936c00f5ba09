//! From a committed change, (record before, record after), to its entry. Pure: the same records give the same entry under the same id,
//! so an entry can be made again at any time.
//!
//! | change | debit | credit |
//! |---|---|---|
//! | a charge succeeds | clearing, cash or wallet | receivable |
//! | a refund succeeds | receivable | clearing, cash or wallet |
//! | a refund is sent back | clearing, cash or wallet | receivable |
//! | a stay ends | receivable, merchants | revenue, tax |
//! | a violation of an ended stay | receivable | revenue, tax |
//! | one is annulled, or goodwill given | revenue, tax | receivable |
//! | a till is counted | cash; bank for what is taken there | over-short, if there is more than expected |
//!
//! So a prepayment is never revenue before the stay has ended, and the receivable of an ended stay is what its driver still owes.

use std::collections::BTreeMap;

use parkade_domain::adjustment::AdjustmentKind;
use parkade_domain::decide::Rules;
use parkade_domain::explain;
use parkade_domain::ids::LotId;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus};
use parkade_domain::reservation::{Reservation, Status};
use parkade_domain::till::Count;
use parkade_domain::zone::LotZone;

use crate::account::Account;
use crate::chain::Book;
use crate::entry::{About, Cause, Entry, EntryError, Posting};
use crate::month::Month;

/// Whose books, and by which clocks.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The lot.
    pub lot: &'a LotId,
    /// Its zone.
    pub zone: LotZone,
}

/// What a payment has moved to us, in minor units: above zero for a charge that succeeded, below for a refund that did.
#[must_use]
pub const fn money_moved(payment: &Payment) -> i64 {
    match (payment.status, payment.kind) {
        (PaymentStatus::Succeeded, PaymentKind::Charge(_)) => payment.amount_minor,
        (PaymentStatus::Succeeded, PaymentKind::Refund { .. }) => -payment.amount_minor,
        _ => 0,
    }
}

/// What a reservation has made us earn of its driver, tax included, in minor units: what it owes once it has ended. A hold that ran out owes
/// nothing.
#[must_use]
pub fn recognised_minor(stay: &Reservation) -> i64 {
    if has_ended(stay) { stay.owed_minor() } else { 0 }
}

const fn has_ended(stay: &Reservation) -> bool {
    matches!(stay.status, Status::Completed | Status::Cancelled | Status::NoShow)
}

/// Whether the books may have to know of a stay's change: it has ended, or what it owes was changed after that.
#[must_use]
pub fn changes_books(old: Option<&Reservation>, new: &Reservation) -> bool {
    old.is_some_and(has_ended) != has_ended(new) || old.map_or(0, recognised_minor) != recognised_minor(new)
}

/// The entry of a payment's change; none if no money moved.
///
/// # Errors
/// [`EntryError::Overflow`].
pub fn of_payment(old: Option<&Payment>, new: &Payment, place: Place<'_>) -> Result<Option<Entry>, EntryError> {
    let moved = i128::from(money_moved(new)) - i128::from(old.map_or(0, money_moved));
    if moved == 0 {
        return Ok(None);
    }
    let moved = i64::try_from(moved).map_err(|_| EntryError::Overflow)?;
    let cause = match (new.kind, moved > 0) {
        (PaymentKind::Charge(_), true) => Cause::Charge,
        (PaymentKind::Charge(_), false) => Cause::ChargeReversed,
        (PaymentKind::Refund { .. }, false) => Cause::Refund,
        (PaymentKind::Refund { .. }, true) => Cause::RefundSentBack,
    };
    let account = match &new.means {
        Means::Provider { .. } => Account::Clearing,
        Means::Cash { till, .. } => Account::Cash(till.clone()),
        Means::Wallet => Account::Wallet,
    };
    let at_s = new.settled_at_s.unwrap_or(new.requested_at_s);
    let about = About {
        // The version, because a refund may be sent back and arrive after all: the second success is another entry.
        id: format!("{}#P{:02}#v{}#{}", new.id.reservation.code(), new.id.number, new.version, new.status.as_str()),
        book: Book::Lot(place.lot.clone()),
        month: Month::of(at_s, place.zone),
        currency: new.currency,
        at_s,
        cause,
        reservation: Some(new.id.reservation),
        payment: Some(new.id),
        provider_reference: new.provider_reference.clone(),
    };
    let postings = BTreeMap::from([(account, i128::from(moved)), (Account::Receivable, -i128::from(moved))]);
    entry(about, postings).map(Some)
}

/// The entry of a stay's change; none if nothing was earned by it. `rules` are those that the stay was priced by.
///
/// # Errors
/// [`EntryError::Overflow`].
pub fn of_stay(old: Option<&Reservation>, new: &Reservation, rules: Rules<'_>) -> Result<Option<Entry>, EntryError> {
    if !changes_books(old, new) {
        return Ok(None);
    }
    let mut postings = earned(new, rules);
    for (account, minor) in old.map(|old| earned(old, rules)).unwrap_or_default() {
        *postings.entry(account).or_default() -= minor;
    }
    let at_s = ended_at_s(new).or_else(|| old.and_then(ended_at_s)).unwrap_or_else(|| new.window.end().epoch_s());
    let cause = match new.status {
        _ if old.is_some_and(has_ended) => old.map_or(Cause::PriceCorrected, |old| corrected(old, new)),
        Status::Cancelled => Cause::Cancellation,
        Status::NoShow => Cause::NoShow,
        _ => Cause::Stay,
    };
    let about = About {
        id: format!("{}#v{}#recognised", new.id.code(), new.version),
        book: Book::Lot(new.lot.clone()),
        month: Month::of(at_s, rules.lot.zone),
        currency: new.currency,
        at_s,
        cause,
        reservation: Some(new.id),
        payment: None,
        provider_reference: None,
    };
    // A stay that nobody paid for is no entry.
    if postings.values().all(|minor| *minor == 0) {
        return Ok(None);
    }
    entry(about, postings).map(Some)
}

/// The entry of a till's count; none if nothing was missing, too much, or moved. `place` is the till's lot.
///
/// # Errors
/// [`EntryError::Overflow`].
pub fn of_count(count: &Count, place: Place<'_>) -> Result<Option<Entry>, EntryError> {
    let [expected, counted, left] = [count.expected_minor, count.counted_minor, count.left_minor].map(i128::from);
    let postings = BTreeMap::from([
        (Account::Cash(count.till.clone()), left - expected),
        (Account::OverShort, expected - counted),
        (Account::Bank, counted - left),
    ]);
    if postings.values().all(|minor| *minor == 0) {
        return Ok(None);
    }
    let about = About {
        id: format!("{}#count{}", count.till, count.number),
        book: Book::Lot(place.lot.clone()),
        month: Month::of(count.at_s, place.zone),
        currency: count.currency,
        at_s: count.at_s,
        cause: Cause::TillCount,
        reservation: None,
        payment: None,
        provider_reference: None,
    };
    entry(about, postings).map(Some)
}

/// Why an ended stay owes something else.
fn corrected(old: &Reservation, new: &Reservation) -> Cause {
    match (new.adjustments.get(old.adjustments.len()).map(|added| added.kind), old.adjustments == new.adjustments) {
        (Some(AdjustmentKind::Violation(_)), _) => Cause::Violation,
        (Some(AdjustmentKind::Goodwill), _) => Cause::Goodwill,
        (None, false) => Cause::ViolationVoided,
        (None, true) => Cause::PriceCorrected,
    }
}

/// When it ended, by the record: so a correction is in the month of the stay, whenever it is made and however often.
const fn ended_at_s(stay: &Reservation) -> Option<i64> {
    match stay.status {
        Status::Completed => stay.left_at_s,
        _ => stay.ended_at_s,
    }
}

/// What an ended stay posts: the driver and merchants owe, the lot has earned and collected tax.
fn earned(stay: &Reservation, rules: Rules<'_>) -> BTreeMap<Account, i128> {
    let owed = i128::from(recognised_minor(stay));
    let mut postings = BTreeMap::new();
    if !has_ended(stay) {
        return postings;
    }
    let price = explain::owed(stay, rules);
    let tax: i128 = price.taxes().iter().map(|tax| i128::from(tax.amount_minor)).sum();
    let mut merchants: i128 = 0;
    for debit in price.debits() {
        // What the operator gives is nobody's debt.
        let Some(merchant) = &debit.merchant else { continue };
        merchants += i128::from(debit.amount_minor);
        *postings.entry(Account::Merchant(merchant.clone())).or_default() += i128::from(debit.amount_minor);
    }
    postings.extend([(Account::Receivable, owed), (Account::Tax, -tax), (Account::Revenue, tax - owed - merchants)]);
    postings
}

fn entry(about: About, postings: BTreeMap<Account, i128>) -> Result<Entry, EntryError> {
    let posting = |(account, minor): (Account, i128)| {
        let amount_minor = i64::try_from(minor).map_err(|_| EntryError::Overflow)?;
        Ok(Posting { account, amount_minor })
    };
    let moved = postings.into_iter().filter(|(_, minor)| *minor != 0);
    Entry::new(about, moved.map(posting).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
