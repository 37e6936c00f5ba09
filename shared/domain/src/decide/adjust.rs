//! What an operator adds to a stay or takes off it: a violation at the tariff's price, its annulment, and goodwill. Money that was paid
//! beyond what is owed then is refunded with it.

use super::money::with_refunds;
use super::{Change, Dossier, Refusal, Rules, after};
use crate::adjustment::{ADJUSTMENTS_MAX, Adjustment, AdjustmentKind, ViolationKind};
use crate::money::Money;
use crate::payment::RefundReason;
use crate::policy::RefundTo;
use crate::reservation::{Command, Mark};

/// Records a violation of a vehicle that is or was inside. It is owed from now on, and nobody is billed for it unasked: its driver pays it,
/// or objects. One visit has each kind once, so two wardens who see the same car do not fine it twice.
///
/// # Errors
/// [`Refusal::State`]; [`Refusal::NoViolationFee`] if the pinned tariff has no price for it, [`Refusal::AlreadyRecorded`],
/// [`Refusal::TooManyAdjustments`].
pub fn record_violation(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    kind: ViolationKind,
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::RecordViolation)?, mark);
    let fee = rules.tariff.violations.get(&kind).ok_or(Refusal::NoViolationFee(kind))?;
    let came_at_s = r.entered_at_s.unwrap_or(r.created_at_s);
    let same = |known: &Adjustment| {
        known.is_violation() && known.kind == AdjustmentKind::Violation(kind) && known.at_s >= came_at_s
    };
    if r.adjustments.iter().any(same) {
        return Err(Refusal::AlreadyRecorded(kind));
    }
    add(&mut next.adjustments, AdjustmentKind::Violation(kind), fee.minor(), now_s)?;
    Ok(Change { reservation: next, payments: Vec::new() })
}

/// Annuls violation `number`: it counts no more, and what was paid for it goes back to where it came from. Goodwill given since may have
/// been for it, and nobody knows; then the rest is given as goodwill too.
///
/// # Errors
/// [`Refusal::State`]; [`Refusal::NoSuchViolation`] if there is none of that number that counts; [`Refusal::GoodwillGiven`];
/// [`Refusal::TooManyPayments`].
pub fn void_violation(d: &Dossier, now_s: i64, mark: Mark, number: usize) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::VoidViolation)?, mark);
    let place = number.checked_sub(1).and_then(|position| next.adjustments.get_mut(position));
    let violation = place.filter(|known| known.is_violation()).ok_or(Refusal::NoSuchViolation)?;
    violation.voided_at_s = Some(now_s);
    if next.adjustments.iter().skip(number).any(|since| since.kind == AdjustmentKind::Goodwill) {
        return Err(Refusal::GoodwillGiven);
    }
    with_refunds(d, next, (RefundReason::ViolationVoided, RefundTo::Origin), mark, now_s)
}

/// Takes something off what an ended stay owes. What was paid of it is refunded, what was not is waived; never more than is owed (M5).
///
/// # Errors
/// [`Refusal::State`]; [`Refusal::MoreThanOwed`] if that is less than `amount`, or in another currency; [`Refusal::TooManyAdjustments`],
/// [`Refusal::TooManyPayments`].
pub fn give_goodwill(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark, amount: Money) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::GiveGoodwill)?, mark);
    if amount.currency != r.currency || amount.minor > r.owed_minor() {
        return Err(Refusal::MoreThanOwed { owed_minor: r.owed_minor(), currency: r.currency });
    }
    add(&mut next.adjustments, AdjustmentKind::Goodwill, amount.minor, now_s)?;
    with_refunds(d, next, (RefundReason::Goodwill, rules.policy().refund_to), mark, now_s)
}

fn add(to: &mut Vec<Adjustment>, kind: AdjustmentKind, amount_minor: i64, at_s: i64) -> Result<(), Refusal> {
    if to.len() >= ADJUSTMENTS_MAX {
        return Err(Refusal::TooManyAdjustments);
    }
    to.push(Adjustment { kind, amount_minor, at_s, voided_at_s: None });
    Ok(())
}
