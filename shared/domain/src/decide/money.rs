//! What money does: the intent to charge, what the provider says of it, and the refunds that a smaller price leaves.

use super::{Change, Dossier, Refusal, Rules, after, minute};
use crate::ids::{PAYMENTS_PER_RESERVATION_MAX, PaymentId, SpotIndex};
use crate::money::Currency;
use crate::payment::{Means, Payment, PaymentKind, PaymentStatus, Purpose, RefundReason, refundable};
use crate::policy::RefundTo;
use crate::reservation::{Command, Mark, Reason, Reservation, Status};
use crate::settlement;

/// Highest number of what somebody asks for: charges, and refunds of a change, of goodwill or of a violation. What is above it holds a refund of each charge and a part of
/// one more, so that an exit, a cancellation and a charge that comes late can always be recorded.
const ASKED_FOR_MAX: u8 = (PAYMENTS_PER_RESERVATION_MAX - 3) / 2;

/// The intent to charge what is due, if that is what the payer has `seen` (minor units and currency) or nobody has looked.
///
/// # Errors
/// [`Refusal`] of the state, an expired hold (410), nothing due, or a charge under way; [`Refusal::AmountChanged`] if another amount is due.
pub fn pay(
    d: &Dossier,
    now_s: i64,
    mark: Mark,
    means: Means,
    seen: Option<(i64, Currency)>,
) -> Result<Payment, Refusal> {
    let (number, purpose) = chargeable(d, now_s)?;
    let r = &d.reservation;
    if seen.is_some_and(|seen| seen != (r.due_minor(), r.currency)) {
        return Err(Refusal::AmountChanged { due_minor: r.due_minor(), currency: r.currency });
    }
    Ok(requested(r, number, PaymentKind::Charge(purpose), r.due_minor(), means, mark, now_s))
}

/// The number and the purpose of a charge that may be made now.
pub(super) fn chargeable(d: &Dossier, now_s: i64) -> Result<(u8, Purpose), Refusal> {
    let r = &d.reservation;
    let lapsed = r.status == Status::Held && r.hold_expires_at_s.is_some_and(|at_s| at_s <= now_s);
    if lapsed || r.status == Status::Expired {
        return Err(Refusal::HoldExpired);
    }
    after(r.status, Command::Pay)?;
    if let Some(open) = d.payments.iter().find(|p| p.is_open_charge()) {
        return Err(Refusal::PaymentInProgress(open.id));
    }
    if r.due_minor() <= 0 {
        return Err(Refusal::NothingToPay);
    }
    let purpose = if r.status == Status::Held { Purpose::Booking } else { Purpose::Balance };
    let number = next_number(&d.payments)?;
    if number > ASKED_FOR_MAX {
        return Err(Refusal::TooManyPayments);
    }
    Ok((number, purpose))
}

/// The intent to bill at the exit what it leaves owed; `None` if nothing is, or if it cannot be asked for now: then it stays a debt. A
/// violation is not billed unasked: its driver may object to it.
pub(super) fn exit_charge(d: &Dossier, exit: &Change, means: &Means, now_s: i64, mark: Mark) -> Option<Payment> {
    let due_minor = exit.reservation.due_minor() - d.reservation.unpaid_penalties_minor();
    let number = next_number(&d.payments).ok().filter(|number| *number <= ASKED_FOR_MAX)?;
    if due_minor <= 0 || d.payments.iter().any(Payment::is_open_charge) {
        return None;
    }
    let kind = PaymentKind::Charge(Purpose::Exit);
    Some(requested(&exit.reservation, number, kind, due_minor, means.clone(), mark, now_s))
}

/// A payment that nobody has carried out yet.
pub(super) fn requested(
    r: &Reservation,
    number: u8,
    kind: PaymentKind,
    amount_minor: i64,
    means: Means,
    mark: Mark,
    now_s: i64,
) -> Payment {
    Payment {
        id: PaymentId { reservation: r.id, number },
        kind,
        status: PaymentStatus::Requested,
        amount_minor,
        currency: r.currency,
        means,
        provider_reference: None,
        decline_code: None,
        client_secret: None,
        mark,
        requested_at_s: now_s,
        settled_at_s: None,
        version: 1,
    }
}

/// How soon before its end a hold is kept on: longer than the pause between two tries of a payment.
pub const HOLD_KEPT_BEFORE_S: i64 = 180;

/// Keeps a hold whose charge is under way while the provider does not answer: as long as the lot's policy lets it, and never a hold that
/// has run out.
///
/// # Errors
/// [`Refusal::State`] if it is no hold any more, [`Refusal::NotDue`] if no charge is under way or the end is not near,
/// [`Refusal::HoldExpired`] if it has ended or the policy gives no more.
pub fn keep_hold(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let status = after(r.status, Command::Expire).and(after(r.status, Command::Pay))?;
    let expires_at_s = r.hold_expires_at_s.unwrap_or(0);
    if expires_at_s <= now_s {
        return Err(Refusal::HoldExpired);
    }
    let charging = d.payments.iter().any(Payment::is_open_charge);
    if !charging || expires_at_s - now_s > HOLD_KEPT_BEFORE_S {
        return Err(Refusal::NotDue(minute(expires_at_s - HOLD_KEPT_BEFORE_S)));
    }
    let policy = &rules.lot.policy;
    let hold_s = i64::from(policy.hold_ttl_s);
    let longest_s = r.created_at_s + hold_s + 60 * i64::from(policy.payment_wait_minutes);
    let kept_until_s = longest_s.min(now_s + hold_s.max(2 * HOLD_KEPT_BEFORE_S));
    if kept_until_s <= expires_at_s {
        return Err(Refusal::HoldExpired);
    }
    let mut next = r.next(status, mark);
    next.hold_expires_at_s = Some(kept_until_s);
    Ok(Change { reservation: next, payments: Vec::new() })
}

/// A charge succeeded at the provider. Confirms a hold, also one that expired meanwhile if its time is still free on `spot` (M3);
/// on a reservation that has ended otherwise, what is too much is refunded at once.
///
/// # Errors
/// [`Refusal::Ended`] if a lapsed reservation's time is over: use [`paid_too_late`].
pub fn charged(d: &Dossier, paid: &Payment, now_s: i64, mark: Mark, spot: SpotIndex) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(r.status.after(Command::Confirm).unwrap_or(r.status), mark);
    next.paid_minor += paid.amount_minor;
    if matches!(r.status, Status::Held | Status::Expired) {
        if minute(now_s) >= r.window.end() {
            return Err(Refusal::Ended);
        }
        next.spot = spot;
        next.hold_expires_at_s = None;
    }
    with_charge(d, paid, next, RefundReason::Overpaid, mark, now_s)
}

/// A charge succeeded and neither the spot nor another fitting one is free any more: everything is refunded (M3).
///
/// # Errors
/// [`Refusal::Refund`] if the payments do not add up.
pub fn paid_too_late(d: &Dossier, paid: &Payment, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(Status::Expired, mark);
    next.claims.clear();
    next.paid_minor += paid.amount_minor;
    (next.price_minor, next.reason) = (0, Some(Reason::PaidTooLate));
    with_charge(d, paid, next, RefundReason::PaidTooLate, mark, now_s)
}

/// The provider will not return a refund: it is owed again, so the record shows it, and a later command that settles asks anew. After
/// the stay's end none does: a person decides.
#[must_use]
pub fn refund_declined(d: &Dossier, declined: &Payment, mark: Mark) -> Change {
    let mut next = d.reservation.next(d.reservation.status, mark);
    next.refunded_minor -= declined.amount_minor;
    Change { reservation: next, payments: vec![declined.clone()] }
}

/// The change that records a successful charge, with the refund of what it is too much.
fn with_charge(
    d: &Dossier,
    paid: &Payment,
    next: Reservation,
    reason: RefundReason,
    mark: Mark,
    now_s: i64,
) -> Result<Change, Refusal> {
    let known = Dossier { reservation: d.reservation.clone(), payments: replaced(&d.payments, paid) };
    let mut change = with_refunds(&known, next, (reason, RefundTo::Origin), mark, now_s)?;
    change.payments.insert(0, paid.clone());
    Ok(change)
}

fn next_number(payments: &[Payment]) -> Result<u8, Refusal> {
    let last = payments.iter().map(|p| p.id.number).max().unwrap_or(0);
    if last >= PAYMENTS_PER_RESERVATION_MAX { Err(Refusal::TooManyPayments) } else { Ok(last + 1) }
}

fn replaced(payments: &[Payment], with: &Payment) -> Vec<Payment> {
    payments.iter().map(|p| if p.id == with.id { with.clone() } else { p.clone() }).collect()
}

/// Adds the refunds that a smaller price leaves: their intents are written in the same transaction as their cause, and the record's
/// version guards that two of them never refund the same cent (M5).
pub(super) fn with_refunds(
    d: &Dossier,
    mut next: Reservation,
    (reason, to): (RefundReason, RefundTo),
    mark: Mark,
    now_s: i64,
) -> Result<Change, Refusal> {
    let too_much = too_much(d, &next, reason);
    if too_much <= 0 {
        return Ok(Change { reservation: next, payments: Vec::new() });
    }
    let asked_for = matches!(reason, RefundReason::Change | RefundReason::Goodwill | RefundReason::ViolationVoided);
    if asked_for && next_number(&d.payments)? > ASKED_FOR_MAX {
        return Err(Refusal::TooManyPayments);
    }
    let parts = settlement::allocate_refund(&refundable(&d.payments), too_much).map_err(Refusal::Refund)?;
    let mut payments: Vec<Payment> = Vec::new();
    for (of, amount_minor) in parts {
        let known: Vec<Payment> = d.payments.iter().chain(&payments).cloned().collect();
        let (number, kind) = (next_number(&known)?, PaymentKind::Refund { of, reason });
        let means = means_back(&next, known.iter().find(|p| p.id.number == of), to, amount_minor);
        payments.push(requested(&next, number, kind, amount_minor, means, mark, now_s));
    }
    next.refunded_minor += too_much;
    Ok(Change { reservation: next, payments })
}

/// What has to go back now.
fn too_much(d: &Dossier, next: &Reservation, reason: RefundReason) -> i64 {
    let before = &d.reservation;
    // Only what this gives: what was owed back before, because a bank had returned it, a person settles.
    let given = || (-next.due_minor()).max(0) - (-before.due_minor()).max(0);
    match reason {
        RefundReason::Goodwill => given(),
        // Nor can more have been paid for a violation than was paid since.
        RefundReason::ViolationVoided => {
            let changed = before.adjustments.iter().zip(&next.adjustments).find(|(before, next)| before != next);
            let since = |p: &&Payment| changed.is_some_and(|(violation, _)| p.requested_at_s >= violation.at_s);
            let captured = |p: &&Payment| p.returns().is_none() && p.status == PaymentStatus::Succeeded;
            let paid: i64 = d.payments.iter().filter(captured).filter(since).map(|p| p.amount_minor).sum();
            given().min(paid)
        }
        RefundReason::Overpaid | RefundReason::PaidTooLate => -next.due_minor(),
        // Nothing of the stay's money pays for a violation that its driver has not agreed to.
        _ => before.unpaid_penalties_minor() - next.due_minor(),
    }
}

/// How a refund goes. Credit goes back as credit. Cash cannot be sent after somebody: a driver gets credit for it, anybody else is owed it
/// over the counter.
fn means_back(r: &Reservation, charge: Option<&Payment>, to: RefundTo, amount_minor: i64) -> Means {
    match charge.map(|charge| &charge.means) {
        Some(Means::Wallet) => Means::Wallet,
        _ if to == RefundTo::Wallet && r.has_driver() => Means::Wallet,
        Some(Means::Cash { .. }) if r.has_driver() => Means::Wallet,
        Some(Means::Cash { till, .. }) => Means::Cash { till: till.clone(), tendered_minor: amount_minor },
        Some(Means::Provider { .. }) | None => Means::returned_by_provider(),
    }
}
