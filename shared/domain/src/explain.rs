//! What a reservation owes, as an explained price (P18). The record keeps only the amount and the tariff's version (P7): the lines are
//! computed again from them, and shown only if they add up to what was agreed.

use crate::decide::{Rules, price};
use crate::ids::Claimant;
use crate::money::Money;
use crate::reservation::{Reservation, Status};
use crate::settlement::{self, Stay};
use crate::tariff::Price;
use crate::time::{Minute, Window};

/// What is owed now, explained.
#[must_use]
pub fn owed(r: &Reservation, rules: Rules<'_>) -> Price {
    let booked = booked(r, rules);
    let priced = match (r.status, r.left_at_s) {
        (Status::Completed, Some(left_at_s)) if r.id.claimant() != Claimant::WalkIn => {
            booked.and_then(|agreed| left(r, rules, &agreed, left_at_s))
        }
        _ => booked,
    };
    exactly(r, priced)
}

/// What a cancellation of `before` at `now` left owed on `after`, explained.
#[must_use]
pub fn cancelled(before: &Reservation, after: &Reservation, rules: Rules<'_>, now: Minute) -> Price {
    let ladder = rules.policy().cancellation;
    let agreed = booked(before, rules);
    let settled = agreed.and_then(|agreed| settlement::cancellation(&agreed, &ladder, now, before.window).ok());
    exactly(after, settled.map(|settled| settled.owed))
}

/// The tariff's price of what was booked: one window, or the occurrences that are still to come.
fn booked(r: &Reservation, rules: Rules<'_>) -> Option<Price> {
    if r.claims.len() < 2 {
        return price(rules, r.vehicle, &[r.window]).ok();
    }
    let buffer = i64::from(rules.lot.policy.turnover_buffer_minutes);
    let occurrence = |claim: &Window| Window::new(claim.start(), claim.end().plus(-buffer)).ok();
    let occurrences: Vec<Window> = r.claims.iter().filter_map(occurrence).collect();
    price(rules, r.vehicle, &occurrences).ok()
}

fn left(r: &Reservation, rules: Rules<'_>, agreed: &Price, left_at_s: i64) -> Option<Price> {
    let left_at = Minute((left_at_s + 59).div_euclid(60));
    let (zone, class) = (&rules.lot.zone, r.vehicle.class);
    let stay = Stay { tariff: rules.tariff, zone, class, booked: r.window, left_at, price: agreed };
    settlement::leave(&rules.policy(), &stay).ok().map(|settled| settled.owed)
}

/// `priced` if it is what the record says; otherwise one line of the recorded amount.
fn exactly(r: &Reservation, priced: Option<Price>) -> Price {
    let amount = Money::new(r.price_minor, r.currency);
    match (priced, r.price_minor) {
        (Some(price), minor) if price.total_minor() == minor => price,
        (_, 0) => {
            Price::new(r.currency, r.tariff, Vec::new()).unwrap_or_else(|_| Price::agreed(amount, r.tariff, r.window))
        }
        _ => Price::agreed(amount, r.tariff, r.window),
    }
}
