//! Uploading, checking, listing, showing and comparing versions.

use parkade_api::wire::tariff::{
    ChangesView, CheckedTariffView, TariffStatus, TariffVersionView, TariffView, WarningView, check_tariff,
};
use parkade_api::wire::{PageView, minute_text, second_text};
use parkade_api::{Answer, FieldErrors, Problem, Query, cursor, read_json};
use parkade_domain::ids::TariffVersion;
use parkade_domain::lot::Lot;
use parkade_domain::tariff::Tariff;
use parkade_domain::time::Minute;
use parkade_runtime::problems::{lot_problem, store_problem};
use parkade_store::TariffSummary;

use crate::Desk;

/// `POST …/tariffs`: stores a draft.
pub(crate) async fn draft(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let tariff = read(desk)?;
    let lot = &desk.facts.lot.id;
    let stored = desk.deps.store.draft_tariff(lot, &tariff, desk.now.timestamp()).await;
    let (version, is_new) = stored.map_err(lot_problem)?;
    let view = CheckedTariffView { tariff_version: Some(version.0), warnings: warnings(&tariff) };
    if !is_new {
        return Answer::ok(&view);
    }
    tracing::info!(lot.id = %lot, tariff.version = version.0, "drafted tariff {} of {lot}", version.0);
    Answer::created(&format!("/v1/lots/{lot}/tariffs/{}", version.0), &view)
}

/// `POST …/tariffs/validation`: the same checks, and nothing stored.
pub(crate) fn validate(desk: &Desk<'_>) -> Result<Answer, Problem> {
    Answer::ok(&CheckedTariffView { tariff_version: None, warnings: warnings(&read(desk)?) })
}

fn read(desk: &Desk<'_>) -> Result<Tariff, Problem> {
    let tariff = read_json::<Tariff>(desk.request)?;
    let mut errors = FieldErrors::new();
    check_tariff(&mut errors, "", &tariff, Some(desk.facts.lot.currency));
    errors.finish(Some(tariff))
}

fn warnings(tariff: &Tariff) -> Vec<WarningView> {
    tariff.warnings().iter().map(WarningView::from_domain).collect()
}

/// `GET …/tariffs`: the newest first.
pub(crate) async fn list(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let mut query = Query::new(desk.request.uri(), &["limit", "next"]);
    let limit = i32::try_from(query.page_limit()).unwrap_or(i32::MAX);
    let before = query.cursor::<u32>().map(TariffVersion);
    query.finish()?;
    let page = desk.deps.store.tariffs(&desk.facts.lot.id, before, limit).await;
    let page = page.map_err(|error| store_problem(&error))?;
    // Publications change seldom and are felt everywhere within seconds; a list may be as late as the bookings are.
    let view = |summary: &TariffSummary| TariffVersionView {
        tariff_version: summary.version.0,
        status: status(&desk.facts.lot, summary, Minute::floor(desk.now)),
        created_at: second_text(summary.created_at_s),
        published_from: summary.published_from.map(minute_text),
    };
    let next = page.items.last().filter(|_| page.next.is_some()).map(|last| cursor(&last.version.0)).transpose()?;
    Answer::ok(&PageView { items: page.items.iter().map(view).collect(), next })
}

fn status(lot: &Lot, summary: &TariffSummary, now: Minute) -> TariffStatus {
    if lot.tariff_at(now) == summary.version {
        TariffStatus::InForce
    } else if lot.upcoming.iter().any(|next| next.version == summary.version && next.from > now) {
        TariffStatus::Scheduled
    } else if summary.published_from.is_some_and(|from| from <= now) {
        TariffStatus::Retired
    } else {
        TariffStatus::Draft
    }
}

/// `GET …/tariffs/{version}`: the document.
pub(crate) async fn show(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let version = desk.version()?;
    let tariff = desk.tariff(version).await?.as_ref().clone();
    Answer::ok(&TariffView { tariff_version: version.0, tariff })
}

/// `GET …/tariffs/{version}/changes`: what differs from another version, by default the one in force.
pub(crate) async fn changes(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let mut query = Query::new(desk.request.uri(), &["since"]);
    let since = query.optional::<u32>("since").map(TariffVersion);
    query.finish()?;
    let since = since.unwrap_or_else(|| desk.facts.lot.tariff_at(Minute::floor(desk.now)));
    let version = desk.version()?;
    let json = |tariff: &Tariff| serde_json::to_value(tariff).map_err(|error| Problem::internal(&error));
    let (before, after) = (json(desk.tariff(since).await?.as_ref())?, json(desk.tariff(version).await?.as_ref())?);
    let changes = serde_json::to_value(json_patch::diff(&before, &after)).map_err(|error| Problem::internal(&error))?;
    Answer::ok(&ChangesView { since: since.0, tariff_version: version.0, changes })
}
