//! Which version new bookings get, and from when.

use parkade_api::wire::tariff::{PublicationsView, PublishRequest};
use parkade_api::wire::time_at;
use parkade_api::{Answer, Code, FieldCode, FieldErrors, Problem, if_match_version, read_json};
use parkade_domain::policy::HORIZON_DAYS_MAX;
use parkade_domain::time::{DAY_MINUTES, Minute};
use parkade_runtime::problems::lot_problem;

use crate::Desk;

/// How late "now" may arrive: a form that was filled in, a clock that is slow.
const PAST_MINUTES_MAX: i64 = 5;

/// `PUT …/tariffs/{version}/publication`: new bookings get the version from an instant on.
pub(crate) async fn publish(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let (lot, version) = (&desk.facts.lot, desk.version()?);
    let expected = if_match_version(desk.request.headers())?;
    let asked = read_json::<PublishRequest>(desk.request)?;
    let now = Minute::floor(desk.now);
    let from = asked.from.map_or(Ok(now), |text| time_at(lot.zone, "/from", &text))?;
    let ahead = from.0 - now.0;
    if !(-PAST_MINUTES_MAX..=i64::from(HORIZON_DAYS_MAX) * DAY_MINUTES).contains(&ahead) {
        let mut errors = FieldErrors::new();
        errors.push("/from", FieldCode::OutOfRange, format!("from now to {HORIZON_DAYS_MAX} days ahead"));
        return Err(errors.into_result().err().unwrap_or_else(|| Code::InvalidFields.into()));
    }
    let stored = desk.deps.store.publish_tariff(&lot.id, version, from, expected, desk.now.timestamp()).await;
    let stored = stored.map_err(lot_problem)?;
    tracing::info!(lot.id = %lot.id, tariff.version = version.0, "published tariff {} from {from}", version.0);
    Ok(Answer::ok(&PublicationsView::from_domain(&stored))?.version(stored.version))
}

/// `DELETE …/tariffs/{version}/publication`: takes back what has not come into force.
pub(crate) async fn withdraw(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let (lot, version) = (&desk.facts.lot.id, desk.version()?);
    let expected = if_match_version(desk.request.headers())?;
    let stored = desk.deps.store.withdraw_tariff(lot, version, expected, desk.now.timestamp()).await;
    let stored = stored.map_err(lot_problem)?;
    tracing::info!(lot.id = %lot, tariff.version = version.0, "withdrew tariff {} of {lot}", version.0);
    Ok(Answer::ok(&PublicationsView::from_domain(&stored))?.version(stored.version))
}
