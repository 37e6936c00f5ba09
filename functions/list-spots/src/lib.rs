//! `GET /v1/lots/{lot}/spots`: the spots of a lot with their state now, page by page.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::PageView;
use parkade_api::{Answer, Problem, Query, cursor, path_lot, respond_to};
use parkade_domain::ids::SpotIndex;
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_runtime::stays::{lot, spot_view};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = list_spots(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn list_spots(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    deps.identity.principal(request.headers())?;
    let id = path_lot(request, "lot")?;
    let mut query = Query::new(request.uri(), &["limit", "next"]);
    let limit = usize::try_from(query.page_limit()).unwrap_or(usize::MAX);
    let first = query.cursor::<u16>().unwrap_or(0);
    query.finish()?;
    let facts = lot(&deps.store, &id).await?;
    let mut rest = facts.directory.spots.iter().skip(usize::from(first)).map(|spot| spot.index);
    let page: Vec<SpotIndex> = rest.by_ref().take(limit).collect();
    let next = rest.next().map(|spot| cursor(&spot.0)).transpose()?;
    let states = deps.store.spots_now(&facts, &page, now.timestamp()).await.map_err(|error| store_problem(&error))?;
    let items: Vec<_> = states.iter().filter_map(|state| spot_view(&facts, state)).collect();
    Answer::ok(&PageView { items, next })
}
