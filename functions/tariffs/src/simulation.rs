//! What stays that have ended would have cost under another version.

use std::cmp::Reverse;

use parkade_api::wire::tariff::{SimulateRequest, SimulatedStayView, SimulationView};
use parkade_api::wire::time_at;
use parkade_api::{Answer, Code, FieldCode, FieldErrors, Problem, cursor, read_cursor, read_json};
use parkade_domain::explain;
use parkade_domain::ids::ReservationId;
use parkade_domain::reservation::Reservation;
use parkade_domain::time::{DAY_MINUTES, Minute};
use parkade_runtime::problems::store_problem;
use parkade_runtime::stays::pricing;

use crate::Desk;

/// Stays of one page: five reads of 100 records, and some milliseconds of pricing.
const STAYS_PER_PAGE: usize = 500;
/// Longest range of a simulation: two months.
const RANGE_DAYS_MAX: i64 = 62;
/// Stays that are named.
const LARGEST: usize = 5;

/// `POST …/tariffs/{version}/simulation`.
pub(crate) async fn simulate(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let version = desk.version()?;
    let tariff = desk.tariff(version).await?;
    let (range, after) = range(desk)?;
    let lot = &desk.facts.lot;
    let page = desk.deps.store.ended_stays(&lot.id, range, after.as_deref(), STAYS_PER_PAGE).await;
    let page = page.map_err(|error| store_problem(&error))?;
    let mut view = SimulationView {
        tariff_version: version.0,
        currency: lot.currency.code().to_owned(),
        stays: 0,
        owed_minor: 0,
        simulated_minor: 0,
        cheaper: 0,
        same: 0,
        dearer: 0,
        not_sold: 0,
        series: 0,
        largest: Vec::new(),
        next: page.next.as_ref().map(cursor).transpose()?,
    };
    for stay in &page.items {
        if stay.series {
            view.stays += 1;
            view.series += 1;
            continue;
        }
        let pricing = pricing(&desk.deps.store, stay).await?.under(tariff.clone());
        count(&mut view, stay, explain::would_owe(stay, pricing.rules()));
    }
    view.largest.sort_by_key(|stay| Reverse(stay.simulated_minor.abs_diff(stay.owed_minor)));
    view.largest.truncate(LARGEST);
    Answer::ok(&view)
}

fn count(view: &mut SimulationView, stay: &Reservation, simulated_minor: Option<i64>) {
    view.stays += 1;
    let owed_minor = stay.price_minor;
    let Some(simulated_minor) = simulated_minor else {
        view.not_sold += 1;
        return;
    };
    view.owed_minor += owed_minor;
    view.simulated_minor += simulated_minor;
    match simulated_minor.cmp(&owed_minor) {
        std::cmp::Ordering::Less => view.cheaper += 1,
        std::cmp::Ordering::Equal => view.same += 1,
        std::cmp::Ordering::Greater => view.dearer += 1,
    }
    if simulated_minor != owed_minor {
        view.largest.push(SimulatedStayView { reservation_id: stay.id.to_string(), owed_minor, simulated_minor });
    }
}

/// The range that is asked for, and where its page begins.
fn range(desk: &Desk<'_>) -> Result<([Minute; 2], Option<String>), Problem> {
    let asked = read_json::<SimulateRequest>(desk.request)?;
    let zone = desk.facts.lot.zone;
    let (from, until) = (time_at(zone, "/from", &asked.from)?, time_at(zone, "/until", &asked.until)?);
    let mut errors = FieldErrors::new();
    if !(1..=RANGE_DAYS_MAX * DAY_MINUTES).contains(&(until.0 - from.0)) {
        errors.push("/until", FieldCode::OutOfRange, format!("after `from`, by at most {RANGE_DAYS_MAX} days"));
    }
    let after = asked.next.as_deref().map(read_cursor::<String>);
    if after.as_ref().is_some_and(|after| !after.as_deref().is_some_and(is_position)) {
        errors.push("/next", FieldCode::Invalid, "not a cursor of this simulation");
    }
    errors.into_result()?;
    if from.0 < 0 {
        return Err(Problem::at(Code::InvalidFields, "/from", "after 1970"));
    }
    Ok(([from, until], after.flatten()))
}

/// Whether a cursor's text is a minute and a code.
fn is_position(text: &str) -> bool {
    let minute = |text: &str| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('#').is_some_and(|(left_at, code)| minute(left_at) && ReservationId::from_code(code).is_ok())
}
