//! What a reservation owes, as an explained price (P18). The record keeps the amount and what it was computed from (P7): the lines are
//! computed again from that, and shown only if they add up to what was agreed.

use std::collections::BTreeSet;

use crate::adjustment::{AdjustmentKind, ViolationKind};
use crate::decide::{self, Refusal, Rules};
use crate::ids::Claimant;
use crate::money::Money;
use crate::reservation::{Reservation, Status};
use crate::tariff::{
    Basis, Facts, Feature, Line, LotCalendar, Price, Receipt, Rule, TariffError, Ticket, Unit, ValidationUse,
};
use crate::time::{Minute, Window};
use crate::vehicle::Vehicle;

/// What is owed now, explained: for the stay, and for what an operator has added or taken off.
#[must_use]
pub fn owed(r: &Reservation, rules: Rules<'_>) -> Price {
    let of_stay = of_stay(r, rules);
    if r.adjustments.is_empty() {
        return of_stay;
    }
    adjusted(r, rules, &of_stay)
        .unwrap_or_else(|_| Price::agreed(Money::new(r.owed_minor(), r.currency), r.tariff, r.window))
}

/// The price of a stay with its violations, which are taxed like it, and with goodwill, which gives the same part of the taxes back.
fn adjusted(r: &Reservation, rules: Rules<'_>, of_stay: &Price) -> Result<Price, TariffError> {
    let (mut added, mut off_minor) = (Vec::new(), 0);
    for adjustment in &r.adjustments {
        match (adjustment.kind, adjustment.signed_minor()) {
            (_, 0) => {}
            (AdjustmentKind::Violation(kind), minor) => {
                added.push(Line::new(violation_rule(kind), r.window, 1, Unit::Item, minor)?);
            }
            (AdjustmentKind::Goodwill, minor) => off_minor += minor,
        }
    }
    let price = of_stay.with_taxed_lines(added, rules.tariff)?;
    if off_minor == 0 {
        return Ok(price);
    }
    let off_minor = off_minor.max(-price.total_minor());
    price
        .with_lines(vec![Line::new(Rule::Goodwill, r.window, 1, Unit::Item, off_minor)?])?
        .with_share_of_taxes(&price, rules.tariff)
}

const fn violation_rule(kind: ViolationKind) -> Rule {
    match kind {
        ViolationKind::Overstay => Rule::ViolationOverstay,
        ViolationKind::WrongSpot => Rule::ViolationWrongSpot,
        ViolationKind::NoRight => Rule::ViolationNoRight,
        ViolationKind::Unpaid => Rule::ViolationUnpaid,
    }
}

/// What the stay itself costs now.
fn of_stay(r: &Reservation, rules: Rules<'_>) -> Price {
    let priced = match (r.status, r.left_at_s) {
        (Status::Completed, Some(_)) if r.id.claimant() == Claimant::WalkIn => {
            decide::drive_up(rules, r.vehicle, r.window, &r.validations)
        }
        // A drive-up is priced at its exit.
        _ if r.id.claimant() == Claimant::WalkIn => return exactly(r, rules, None),
        (Status::Cancelled, _) => {
            let at = r.ended_at_s.map_or(r.window.start(), |at_s| Minute(at_s.div_euclid(60)));
            decide::given_up(r, rules, at, r.window).map(|settled| settled.owed)
        }
        (Status::NoShow, _) => decide::missed(r, rules),
        (Status::Completed, Some(left_at_s)) => decide::left(r, rules, left_minute(left_at_s)),
        _ => decide::agreed(r, rules),
    };
    exactly(r, rules, priced.ok())
}

/// Days around a stay whose holidays and events a receipt keeps; events are priced at most seven days before and after.
const CALENDAR_DAYS: i64 = 14;

/// What was agreed for a booking of one window, or driven by a drive-up that has left, as a document that can be priced again. Fees for
/// changes, and what a settlement made of it, are not part of it. `None` for a series and while a drive-up is inside.
#[must_use]
pub fn receipt(r: &Reservation, rules: Rules<'_>) -> Option<Receipt> {
    let walk_in = r.id.claimant() == Claimant::WalkIn;
    if r.series || (walk_in && r.status != Status::Completed) {
        return None;
    }
    let facts = |calendar: &LotCalendar| Facts {
        time_zone: rules.lot.zone.name().to_owned(),
        class: r.vehicle.class,
        start: r.window.start(),
        end: r.window.end(),
        basis: if walk_in { Basis::Stay } else { Basis::Booking },
        features: Feature::of_spot(rules.circumstances.features),
        permits: BTreeSet::new(),
        calendar: calendar.clone(),
        validations: r.validations.clone(),
        tax_exempt: false,
        occupancy_percent: rules.circumstances.occupancy_percent,
        lead_minutes: rules.circumstances.lead_minutes,
        ticket: Ticket::Present,
    };
    let whole = facts(rules.calendar).price(rules.tariff).ok()?;
    let near = Receipt::issue(rules.tariff, facts(&rules.calendar.around(r.window, CALENDAR_DAYS))).ok();
    near.filter(|near| near.price == whole).or_else(|| Receipt::issue(rules.tariff, facts(rules.calendar)).ok())
}

/// How far ahead a drive-up's price is shown.
const AHEAD_MINUTES: i64 = crate::time::DAY_MINUTES;
/// The instants at which it is computed: every quarter of an hour, the usual unit of a tariff.
const AHEAD_STEP: usize = 15;

/// What driving in at `entry` costs by when one leaves: the last instant at which each price holds, and the price in minor units, for
/// every quarter of an hour of the next day at which the tariff sells the stay.
///
/// # Errors
/// [`Refusal::Tariff`] if the class cannot park here.
pub fn ahead(rules: Rules<'_>, vehicle: Vehicle, entry: Minute) -> Result<Vec<(Minute, i64)>, Refusal> {
    let mut steps: Vec<(Minute, i64)> = Vec::new();
    for minutes in (15..=AHEAD_MINUTES).step_by(AHEAD_STEP) {
        let end = entry.plus(minutes);
        let stay = Window::new(entry, end).map_err(|_| Refusal::Ended)?;
        let total_minor = match decide::sold_drive_up(rules, vehicle, stay, &[]) {
            Ok(price) => price.total_minor(),
            Err(TariffError::Unavailable) => continue,
            Err(error) => return Err(Refusal::Tariff(error)),
        };
        match steps.last_mut() {
            Some((until, minor)) if *minor == total_minor => *until = end,
            _ => steps.push((end, total_minor)),
        }
    }
    Ok(steps)
}

/// What an ended stay would owe under `rules` that are not its own, in minor units; `None` if they do not sell it.
#[must_use]
pub fn would_owe(r: &Reservation, rules: Rules<'_>) -> Option<i64> {
    // Validations that these rules do not know would not have been given.
    let known = |given: &&ValidationUse| rules.tariff.validations.iter().any(|known| known.id == given.id);
    let given = r.validations.iter().filter(known).map(|given| ValidationUse { used_before: 0, ..given.clone() });
    let r = &Reservation { validations: given.collect(), ..r.clone() };
    let price = match r.left_at_s {
        Some(_) if r.id.claimant() == Claimant::WalkIn => {
            decide::sold_drive_up(rules, r.vehicle, r.window, &r.validations).map_err(Refusal::Tariff)
        }
        Some(left_at_s) => decide::left(r, rules, left_minute(left_at_s)),
        None => decide::agreed(r, rules),
    };
    price.ok().map(|price| price.total_minor().max(r.kept_minor))
}

/// The first minute that is over when a vehicle leaves.
const fn left_minute(left_at_s: i64) -> Minute {
    Minute((left_at_s + 59).div_euclid(60))
}

/// `priced` if it is what the record says, with what a change of the booking keeps above it; otherwise one line of the recorded amount.
fn exactly(r: &Reservation, rules: Rules<'_>, priced: Option<Price>) -> Price {
    let amount = Money::new(r.price_minor, r.currency);
    let agreed = || {
        let untaxed = Price::agreed(amount, r.tariff, r.window);
        // What is kept from somebody who did not park contains none.
        let kept = matches!(r.status, Status::Cancelled | Status::NoShow | Status::Expired);
        if kept { untaxed } else { untaxed.clone().taxed(rules.tariff).unwrap_or(untaxed) }
    };
    match priced.map(|price| (r.price_minor - price.total_minor(), price)) {
        // What others pay is shown also where the driver pays nothing.
        Some((0, price)) if r.price_minor > 0 || !price.debits().is_empty() => price,
        _ if r.price_minor == 0 => Price::new(r.currency, r.tariff, Vec::new()).unwrap_or_else(|_| agreed()),
        Some((above, price)) if above > 0 && r.price_minor == r.kept_minor => {
            let line = Line::new(Rule::ChangeKept, r.window, 1, Unit::Item, above);
            // What is kept all the same was not saved, so nobody else pays it.
            let debits = price.debits_less(above);
            line.and_then(|line| price.with_lines(vec![line]))
                .map_or_else(|_| agreed(), |kept| kept.with_debits(debits))
        }
        _ => agreed(),
    }
}
