//! From a request to the lines of the parking charge: table, graces, walk, dynamic change, minimum and maximum.

use super::engine::{Rates, Walk};
use super::extras::{Dynamic, Step};
use super::language::{Audience, Band, Cap, Period, Selection, Table};
use super::price::{Line, Price, Rule, Unit, sum};
use super::scalar::Amount;
use super::{Basis, CapPeriod, PriceRequest, Tariff, TariffError};
use crate::money::BASIS_POINTS;
use crate::time::Window;

impl Tariff {
    /// The lines of the parking charge, before validations, fees and taxes.
    pub(super) fn parking(&self, request: &PriceRequest<'_>) -> Result<Vec<Line>, TariffError> {
        if self.tables.is_empty() {
            return self.simple(request);
        }
        let table = self.tables.iter().find(|table| fits(&table.audience, request));
        let table = table.ok_or(TariffError::NoRate { class: request.class })?;
        // A longest stay is a rule of what may be booked. Who drove up and stayed longer owes the tariff's price all the same (T6).
        let too_long = |most: &u32| request.basis == Basis::Booking && request.window.minutes() > i64::from(*most);
        if let Some(max_minutes) = table.max_stay_minutes.filter(too_long) {
            return Err(TariffError::MaxStay { max_minutes });
        }
        let mut lines = self.walked(request, Rates::from(table))?;
        bound(table, request.window, &mut lines)?;
        Ok(lines)
    }

    /// The simple form: a rate per started unit, within a cap.
    fn simple(&self, request: &PriceRequest<'_>) -> Result<Vec<Line>, TariffError> {
        let class = request.class;
        let rate_minor = *self.rates.get(&class).ok_or(TariffError::NoRate { class })?;
        let cap_minor = self.daily_cap.as_ref().and_then(|caps| caps.get(&class)).copied();
        let base = [Band {
            every_minutes: Some(self.unit_minutes.max(1)),
            add: Some(Amount::from_minor(rate_minor)),
            ..Band::default()
        }];
        let period = match self.cap_period {
            CapPeriod::Rolling24h => Period::Rolling24h,
            CapPeriod::CalendarDay => Period::CalendarDay,
        };
        let cap = cap_minor.map(|minor| Cap { period, amount: Some(Amount::from_minor(minor)) });
        self.walked(
            request,
            Rates {
                id: None,
                base: &base,
                later_base: &base,
                caps: cap.as_slice(),
                tolerance_minutes: 0,
                windows: &[],
                events: &[],
                products: &[],
                selection: Selection::AsPublished,
            },
        )
    }

    /// Graces, the walk, and the dynamic change.
    fn walked(&self, request: &PriceRequest<'_>, rates: Rates<'_>) -> Result<Vec<Line>, TariffError> {
        let Some(stay) = self.charged_part(request) else {
            return Ok(vec![Line::new(Rule::Grace, request.window, 1, Unit::Item, 0)?]);
        };
        let mut lines = Walk::new(rates, *request.zone, request.calendar, stay).lines()?;
        let change = self.dynamic.as_ref().map_or(0, |dynamic| change_basis_points(dynamic, request));
        if change != 0 {
            let charge = sum(&lines)?;
            lines.push(Line::new(Rule::Dynamic, stay, i64::from(change), Unit::BasisPoint, charge)?);
        }
        Ok(lines)
    }

    /// The part of the stay that is charged (T1); nothing if a grace covers all of it.
    fn charged_part(&self, request: &PriceRequest<'_>) -> Option<Window> {
        let (window, graces) = (request.window, self.graces);
        let driven = request.basis == Basis::Stay;
        if driven && window.minutes() <= i64::from(graces.consideration_minutes) {
            return None;
        }
        let mut start = window.start();
        if let Some(turnaround) = graces.turnaround {
            if window.minutes() <= i64::from(turnaround.minutes) {
                return None;
            }
            start = if turnaround.forfeit { start } else { start.plus(i64::from(turnaround.minutes)) };
        }
        let softened = if driven { i64::from(graces.continuous_minutes) } else { 0 };
        Window::new(start, window.end().plus(-softened).max(start.plus(1))).ok()
    }

    /// An unpaid price after some days: the last step of the escalation that is reached adds to what is owed.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] never happens for a price that was made here.
    pub fn escalated(&self, price: &Price, days_unpaid: u32, interval: Window) -> Result<Price, TariffError> {
        let reached = self.escalation.iter().rfind(|step| days_unpaid >= step.after_days);
        let Some(step) = reached else { return Ok(price.clone()) };
        let mut lines = Vec::new();
        if step.add_basis_points > 0 {
            let share = i64::from(step.add_basis_points);
            lines.push(Line::new(Rule::Escalation, interval, share, Unit::BasisPoint, price.total_minor())?);
        }
        if let Some(add) = step.add {
            lines.push(Line::new(Rule::Escalation, interval, 1, Unit::Item, add.minor())?);
        }
        price.with_lines(lines)
    }
}

fn fits(audience: &Audience, request: &PriceRequest<'_>) -> bool {
    let class = audience.classes.is_empty() || audience.classes.contains(&request.class);
    let permit = audience.permits.is_empty() || !audience.permits.is_disjoint(request.permits);
    class && permit && audience.features.is_subset(request.features)
}

/// The change by occupancy and lead time, within the table's bounds (P17).
fn change_basis_points(dynamic: &Dynamic, request: &PriceRequest<'_>) -> i32 {
    let step = |steps: &[Step], at: Option<u32>| {
        let reached = |at: u32| steps.iter().rfind(|step| step.from <= at);
        at.and_then(reached).map_or(0, |step| step.basis_points)
    };
    let occupancy = step(&dynamic.occupancy, request.occupancy_percent.map(u32::from));
    let lead = step(&dynamic.lead_time, request.lead_minutes);
    let least = dynamic.floor_basis_points.max(-i32::try_from(BASIS_POINTS).unwrap_or(i32::MAX));
    occupancy.saturating_add(lead).min(dynamic.ceiling_basis_points).max(least)
}

/// Lifts the charge to the minimum, lowers it to the maximum.
fn bound(table: &Table, window: Window, lines: &mut Vec<Line>) -> Result<(), TariffError> {
    let charge = sum(lines)?;
    let least = table.minimum_charge.map(Amount::minor).filter(|least| (1..*least).contains(&charge));
    let most = table.maximum_charge.map(Amount::minor).filter(|most| charge > *most);
    let correction = least.map(|least| (Rule::MinimumCharge, least - charge));
    if let Some((rule, amount)) = correction.or(most.map(|most| (Rule::MaximumCharge, most - charge))) {
        lines.push(Line::new(rule, window, 1, Unit::Item, amount)?.of(Some(&table.id)));
    }
    Ok(())
}
