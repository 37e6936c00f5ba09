//! `GET /v1/users/{id}/reservations`: a user's reservations, latest start first, page by page.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{PageView, ReservationView};
use parkade_api::{Answer, FieldCode, Problem, Query, cursor, path_user, respond_to};
use parkade_domain::ids::ReservationId;
use parkade_identity::permit_own;
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_runtime::stays::{lot, spot_number};

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = list_reservations(deps, &request).await;
    respond_to(&request, outcome)
}

async fn list_reservations(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_own(&principal, &path_user(request, "id")?)?;
    let mut query = Query::new(request.uri(), &["limit", "next"]);
    let limit = query.page_limit();
    let after = query.cursor::<String>();
    if after.as_deref().is_some_and(|after| !is_position(after)) {
        query.error("next", FieldCode::Invalid, "not a cursor of this list");
    }
    query.finish()?;
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let page = deps.store.reservations_of(permit.owner(), after.as_deref(), limit).await;
    let page = page.map_err(|error| store_problem(&error))?;
    let mut items = Vec::with_capacity(page.items.len());
    for stay in &page.items {
        let facts = lot(&deps.store, &stay.lot).await?;
        items.push(ReservationView::from_domain(stay, spot_number(&facts, stay.spot)));
    }
    Answer::ok(&PageView { items, next: page.next.map(|next| cursor(&next)).transpose()? })
}

/// Whether a cursor's text is a position of the list, a minute and a code: the database takes no other as a start.
fn is_position(text: &str) -> bool {
    let minute = |text: &str| text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('#').is_some_and(|(start, code)| minute(start) && ReservationId::from_code(code).is_ok())
}
