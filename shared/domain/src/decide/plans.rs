//! What changes of plan do: cancelling, not coming, other times or another spot.

use super::money::with_refunds;
use super::{Change, Dossier, Refusal, Rules, after, agreed, claims_for, minute};
use crate::ids::SpotIndex;
use crate::payment::RefundReason;
use crate::reservation::{Command, Mark, Reason, Reservation, Status};
use crate::settlement::{self, Settlement, Stay};
use crate::tariff::{Feature, Price};
use crate::time::{Minute, Window};
use crate::vehicle::Features;

/// Most payments of a reservation that is still changed: each change may leave a refund, and the numbers above are for the exit or the
/// cancellation, which must always be able to record theirs.
const CHANGES_MAX: usize = 80;

/// Cancels: the ladder decides what stays owed, the rest is refunded.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::AlreadyStarted`].
pub fn cancel(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark, reason: Reason) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let status = after(r.status, Command::Cancel)?;
    let now = minute(now_s);
    let mut next = r.next(status, mark);
    (next.reason, next.ended_at_s) = (Some(reason), Some(now_s));
    next.price_minor = match (r.status, reason) {
        (Status::Held, _) | (_, Reason::SpotOutOfService) => 0,
        // Who was told that there is no spot owes nothing.
        _ if r.spot_blocked => 0,
        _ => {
            // Of a series only what is still to come is cancelled.
            let ahead = Window::new(r.claims.first().map_or(r.window.start(), |c| c.start()), r.window.end());
            let ahead = ahead.ok().filter(|ahead| now < ahead.start()).ok_or(Refusal::AlreadyStarted)?;
            // A booking that is thought better of costs nothing, whatever a change had kept; of a series, what was used is paid for.
            if cools_off(r, rules, now, ahead) && !r.series {
                0
            } else {
                let difference_minor = given_up(r, rules, now, ahead)?.difference_minor();
                (r.price_minor + difference_minor).max(r.kept_minor.min(r.price_minor))
            }
        }
    };
    next.claims.clear();
    let why = match reason {
        Reason::OperatorCancelled => RefundReason::OperatorCancellation,
        Reason::SpotOutOfService => RefundReason::OutOfService,
        Reason::DriverCancelled | Reason::PaidTooLate | Reason::NoExitEvidence => RefundReason::Cancellation,
    };
    with_refunds(d, next, (why, rules.policy().refund_to), mark, now_s)
}

/// Ends a hold whose time is over (I4).
///
/// # Errors
/// [`Refusal::State`], [`Refusal::NotDue`].
pub fn expire(d: &Dossier, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let status = after(d.reservation.status, Command::Expire)?;
    let expires_at_s = d.reservation.hold_expires_at_s.unwrap_or(i64::MAX);
    if now_s < expires_at_s {
        return Err(Refusal::NotDue(minute(expires_at_s)));
    }
    // The claims leave the calendar but stay on the record: a payment that lands late may still get them (M3).
    Ok(Change { reservation: d.reservation.next(status, mark), payments: Vec::new() })
}

/// Gives up on a driver who did not come: the remaining time is released, the policy's share stays owed (I13, M10). `gate_was_offline`
/// is the lot's evidence that nobody could have come in.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::NotDue`].
pub fn no_show(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    gate_was_offline: bool,
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    after(r.status, Command::NoShow)?;
    let awaited = r.claims.first().map_or(r.window.start(), |claim| claim.start());
    let due = awaited.plus(i64::from(rules.lot.policy.no_show_grace_minutes));
    if now_s < due.epoch_s() {
        return Err(Refusal::NotDue(due));
    }
    if r.claims.len() > 1 {
        // The prepaid series goes on; only the missed occurrence's time is given back.
        let mut next = r.next(after(r.status, Command::MissOccurrence)?, mark);
        next.claims.remove(0);
        return Ok(Change { reservation: next, payments: Vec::new() });
    }
    let mut next = r.next(after(r.status, Command::NoShow)?, mark);
    next.claims.clear();
    next.ended_at_s = Some(now_s);
    if !r.series {
        // Nobody is a no-show who was told that there is no spot, or who may have stood before a dead gate.
        next.price_minor = if gate_was_offline || r.spot_blocked {
            0
        } else {
            match missed(r, rules) {
                Ok(owed) => owed.total_minor().max(r.kept_minor.min(r.price_minor)),
                // The spot must not stay claimed because a tariff has no price any more: what was agreed stays owed.
                Err(Refusal::Tariff(_)) => r.price_minor,
                Err(refusal) => return Err(refusal),
            }
        };
    }
    with_refunds(d, next, (RefundReason::NoShow, rules.policy().refund_to), mark, now_s)
}

/// Extends, shortens, moves in time or to another spot; the state stays, the claim is swapped whole (I10). A paid booking pays the
/// fee of the tariff's terms for it. `features` are those that are paid for: of the spot, if the driver named it.
///
/// # Errors
/// [`Refusal`] of the state, the window or the tariff.
pub fn modify(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    window: Window,
    (spot, features): (SpotIndex, Features),
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let status = after(r.status, Command::Modify)?;
    let now = minute(now_s);
    if r.series {
        return Err(Refusal::Series);
    }
    if r.status == Status::Held && r.hold_expires_at_s.is_some_and(|at_s| at_s <= now_s) {
        return Err(Refusal::HoldExpired);
    }
    if r.window.end() <= now || window.end() <= now {
        return Err(Refusal::Ended);
    }
    if d.payments.len() >= CHANGES_MAX {
        return Err(Refusal::TooManyPayments);
    }
    // A hold's price must not change under a charge that will confirm it.
    if let Some(open) = d.payments.iter().find(|p| p.is_open_charge() && r.status == Status::Held) {
        return Err(Refusal::PaymentInProgress(open.id));
    }
    let started = r.status == Status::CheckedIn || r.window.start() <= now;
    if started && (window.start() != r.window.start() || (r.status == Status::CheckedIn && spot != r.spot)) {
        return Err(Refusal::AlreadyStarted);
    }
    // The notice is about when a stay begins: one that keeps its start has given it.
    let kept_start = window.start() == r.window.start();
    let notice = i64::from(rules.lot.policy.min_notice_minutes);
    let checked_at = if kept_start { window.start().plus(-notice) } else { now };
    rules.lot.policy.check_window(checked_at, window).map_err(Refusal::Window)?;
    let mut next = r.next(status, mark);
    (next.window, next.spot) = (window, spot);
    let entered_early = r.claims.first().map(|claim| claim.start()).filter(|start| *start < window.start());
    next.claims = match (r.status, entered_early) {
        (Status::CheckedIn, Some(start)) => {
            claims_for(rules.lot, &[Window::new(start, window.end()).map_err(|_| Refusal::Ended)?])
        }
        _ => claims_for(rules.lot, &[window]),
    };
    next.circumstances.features = features;
    let binding = r.status != Status::Held && !r.spot_blocked;
    let is_change = (window, spot) != (r.window, r.spot);
    let paid = r.paid_minor - r.refunded_minor > r.penalties_minor() - r.unpaid_penalties_minor();
    let terms = rules.tariff.terms.as_ref().filter(|_| binding && is_change && paid);
    let fee_minor = terms.map_or(0, |terms| terms.modification_fee_minor(now, r.window.start()));
    next.fees_minor += fee_minor;
    let agreed_minor = agreed(&next, Rules { circumstances: next.circumstances, ..rules })?.total_minor();
    let extends = window.start() == r.window.start() && window.end() >= r.window.end();
    // Who books more gives nothing up.
    if binding && !(extends && agreed_minor - fee_minor >= r.price_minor) {
        next.kept_minor = kept_by_change(r, rules, now, window)? + fee_minor;
    }
    next.price_minor = agreed_minor.max(next.kept_minor);
    if r.status == Status::Confirmed && r.price_minor == 0 && r.paid_minor == r.refunded_minor && next.price_minor > 0 {
        return Err(Refusal::WasFree);
    }
    if r.status == Status::Held && next.price_minor == 0 {
        (next.status, next.hold_expires_at_s) = (after(r.status, Command::Confirm)?, None);
    }
    next.spot_blocked = next.spot_blocked && spot == r.spot && window.overlaps(r.window);
    with_refunds(d, next, (RefundReason::Change, rules.policy().refund_to), mark, now_s)
}

/// What stays owed after a change to `window`: what giving up the booking instead would keep now, or for a vehicle inside what leaving
/// at the new end would.
fn kept_by_change(r: &Reservation, rules: Rules<'_>, now: Minute, window: Window) -> Result<i64, Refusal> {
    let owed = if r.status == Status::CheckedIn {
        let (price, features) = (agreed(r, rules)?, Feature::of_spot(r.circumstances.features));
        let booked = rules.request(r.vehicle.class, r.window, &features, &r.validations);
        let stay = Stay { tariff: rules.tariff, booked, left_at: window.end(), price: &price };
        settlement::early_exit(&rules.policy(), &stay).map_err(Refusal::Tariff)?
    } else {
        given_up(r, rules, now, r.window)?
    };
    Ok(owed.owed.total_minor().max(r.kept_minor))
}

/// What giving up the rest of a booking at `now` leaves owed: nothing while the driver may still think better of it, else what the
/// ladder keeps. `ahead` is what is still to come of it.
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn given_up(r: &Reservation, rules: Rules<'_>, now: Minute, ahead: Window) -> Result<Settlement, Refusal> {
    let agreed = agreed(r, rules)?;
    let settled = if cools_off(r, rules, now, ahead) {
        settlement::withdrawal(&agreed, ahead)
    } else {
        settlement::cancellation(&agreed, &rules.policy().cancellation, now, ahead)
    };
    settled.map_err(Refusal::Tariff)
}

/// Whether the driver may still think better of it: soon after the booking, and before what is to come has begun.
fn cools_off(r: &Reservation, rules: Rules<'_>, now: Minute, ahead: Window) -> bool {
    let soon = rules.tariff.terms.as_ref().is_some_and(|terms| terms.cools_off(minute(r.created_at_s), now));
    soon && now < ahead.start()
}

/// What somebody owes who never came, although the gate would have opened (I13).
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn missed(r: &Reservation, rules: Rules<'_>) -> Result<Price, Refusal> {
    let share = rules.policy().no_show_share(false);
    Ok(settlement::no_show(&agreed(r, rules)?, share, r.window).map_err(Refusal::Tariff)?.owed)
}

/// Gives the reservation another spot, with its features, or with `None` records that there is none and the driver has to be told. Who
/// paid for features that the other spot lacks gets back what they cost.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::Refund`].
pub fn relocate(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    spot: Option<(SpotIndex, Features)>,
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::Relocate)?, mark);
    let Some((spot, features)) = spot else {
        next.spot_blocked = true;
        return Ok(Change { reservation: next, payments: Vec::new() });
    };
    (next.spot, next.spot_blocked) = (spot, false);
    next.circumstances.features = r.circumstances.features.common(features);
    let without = agreed(&next, Rules { circumstances: next.circumstances, ..rules });
    match (agreed(r, rules), without) {
        (Ok(was), Ok(is)) if is.total_minor() < was.total_minor() => {
            next.price_minor = (r.price_minor - (was.total_minor() - is.total_minor())).max(0);
            next.kept_minor = r.kept_minor.min(next.price_minor);
        }
        // Nobody pays more for being moved, and what was agreed stays what it was.
        _ => next.circumstances = r.circumstances,
    }
    if r.status == Status::Held && next.price_minor == 0 {
        (next.status, next.hold_expires_at_s) = (after(r.status, Command::Confirm)?, None);
    }
    with_refunds(d, next, (RefundReason::Relocation, rules.policy().refund_to), mark, now_s)
}
