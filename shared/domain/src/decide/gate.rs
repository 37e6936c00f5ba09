//! What happens at the gate: entry, exit, and staying longer than booked. An exit always opens (G1).

use super::money::{exit_charge, with_refunds};
use super::{Change, Dossier, Refusal, Rules, after, agreed, minute};
use crate::ids::Claimant;
use crate::payment::{Means, RefundReason};
use crate::reservation::{Command, Mark, Reason, Reservation};
use crate::settlement::{self, Stay};
use crate::tariff::{Basis, Feature, Price, PriceRequest, TariffError, ValidationUse};
use crate::time::{Minute, Window};
use crate::vehicle::Vehicle;

/// Lets the vehicle in. Before the start the claim grows to now, which the store refuses if the spot is still taken (T3).
///
/// # Errors
/// [`Refusal::State`], [`Refusal::TooEarly`], [`Refusal::Ended`].
pub fn check_in(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::CheckIn)?, mark);
    let now = minute(now_s);
    let Some(claim) = next.claims.first_mut() else { return Err(Refusal::Ended) };
    let opens_at = claim.start().plus(-i64::from(rules.policy().early_arrival_minutes));
    if now < opens_at {
        return Err(Refusal::TooEarly { opens_at });
    }
    if now >= claim.end() {
        return Err(Refusal::Ended);
    }
    if now < claim.start() {
        *claim = Window::new(now, claim.end()).map_err(|_| Refusal::Ended)?;
    }
    (next.entered_at_s, next.left_at_s, next.spot_blocked) = (Some(now_s), None, false);
    Ok(Change { reservation: next, payments: Vec::new() })
}

/// Lets the vehicle out: the claim is cut, the policy settles an early or a late exit, a debt is recorded (G1, T4, T5). With a `payer`
/// the intent to bill it is part of the same change.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::Tariff`].
pub fn check_out(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    payer: Option<&Means>,
) -> Result<Change, Refusal> {
    let mut change = leave(d, rules, now_s, mark)?;
    if let Some(intent) = payer.and_then(|means| exit_charge(d, &change, means, now_s, mark)) {
        change.payments.push(intent);
    }
    Ok(change)
}

fn leave(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    after(r.status, Command::CheckOut)?;
    let left_at = Minute((now_s + 59).div_euclid(60));
    let series_goes_on = r.claims.len() > 1;
    let command = if series_goes_on { Command::CheckOutOfOccurrence } else { Command::CheckOut };
    let mut next = r.next(after(r.status, command)?, mark);
    next.left_at_s = Some(now_s);
    if series_goes_on {
        next.claims.remove(0);
        next.entered_at_s = None;
        return Ok(Change { reservation: next, payments: Vec::new() });
    }
    let buffer = i64::from(rules.lot.policy.turnover_buffer_minutes);
    if let Some(claim) = next.claims.first_mut() {
        let cut = claim.end().min(left_at.plus(buffer)).max(claim.start().plus(1));
        *claim = Window::new(claim.start(), cut).map_err(|_| Refusal::Ended)?;
    }
    if r.id.claimant() == Claimant::WalkIn {
        let stayed =
            Window::new(r.window.start(), left_at.max(r.window.start().plus(1))).map_err(|_| Refusal::Ended)?;
        next.window = stayed;
        next.price_minor = drive_up(rules, r.vehicle, stayed, &r.validations)?.total_minor();
    } else if !r.series {
        match left(r, rules, left_at) {
            Ok(owed) => next.price_minor = owed.total_minor().max(r.kept_minor),
            // The exit opens whatever the tariff says (G1): what was agreed stays owed.
            Err(Refusal::Tariff(_)) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    with_refunds(d, next, (RefundReason::EarlyExit, rules.policy().refund_to), mark, now_s)
}

/// Lets the claim of a vehicle that is still inside grow by the lot's step; the store refuses if somebody else's claim is in the way.
/// At the lot's longest session the stay is closed without evidence of an exit, which bounds its charge (G3).
///
/// # Errors
/// [`Refusal::State`], [`Refusal::NotDue`], [`Refusal::Tariff`].
pub fn overstay(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::Overstay)?, mark);
    let Some(claim) = next.claims.first_mut() else { return Err(Refusal::Ended) };
    if now_s < claim.end().epoch_s() {
        return Err(Refusal::NotDue(claim.end()));
    }
    let entered_at = minute(r.entered_at_s.unwrap_or(r.created_at_s));
    let longest = entered_at.plus(i64::from(rules.lot.policy.max_session_minutes));
    let step = i64::from(rules.lot.policy.overstay_step_minutes);
    let end = claim.end().max(minute(now_s)).plus(step);
    if claim.end() >= longest {
        let mut closed = leave(d, rules, claim.end().epoch_s(), mark)?;
        closed.reservation.reason = Some(Reason::NoExitEvidence);
        return Ok(closed);
    }
    *claim = Window::new(claim.start(), end.min(longest)).map_err(|_| Refusal::Ended)?;
    Ok(Change { reservation: next, payments: Vec::new() })
}

/// The price of a stay that nobody booked, with what is `given` towards it: graces for those who drive up are not for bookings (T1).
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn drive_up(rules: Rules<'_>, vehicle: Vehicle, stayed: Window, given: &[ValidationUse]) -> Result<Price, Refusal> {
    match sold_drive_up(rules, vehicle, stayed, given) {
        // The exit opens also where the tariff has no price for what was driven (G1); the record shows that nothing was owed.
        Err(TariffError::Unavailable | TariffError::TooLong) => {
            Price::new(rules.tariff.currency, rules.tariff.version, Vec::new()).map_err(Refusal::Tariff)
        }
        other => other.map_err(Refusal::Tariff),
    }
}

/// As [`drive_up`], where the tariff sells such a stay.
///
/// # Errors
/// [`TariffError`].
pub fn sold_drive_up(
    rules: Rules<'_>,
    vehicle: Vehicle,
    stayed: Window,
    given: &[ValidationUse],
) -> Result<Price, TariffError> {
    let features = Feature::of_spot(rules.circumstances.features);
    let request = PriceRequest { basis: Basis::Stay, ..rules.request(vehicle.class, stayed, &features, given) };
    settlement::drive_up(rules.tariff, &request)
}

/// What is owed for a booked stay that ended at `left_at`, early, in time or late (T4, T5).
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn left(r: &Reservation, rules: Rules<'_>, left_at: Minute) -> Result<Price, Refusal> {
    let features = Feature::of_spot(rules.circumstances.features);
    let booked = rules.request(r.vehicle.class, r.window, &features, &r.validations);
    let stay = Stay { tariff: rules.tariff, booked, left_at, price: &agreed(r, rules)? };
    Ok(settlement::leave(&rules.policy(), &stay).map_err(Refusal::Tariff)?.owed)
}
