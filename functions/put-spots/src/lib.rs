//! `PUT /v1/lots/{lot}/spots`: registers up to 2,000 spots, or changes the facts of known ones, all or none.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{PutSpotsRequest, PutSpotsView};
use parkade_api::{Answer, Problem, path_lot, read_json, respond_to};
use parkade_identity::permit_operator;
use parkade_runtime::Deps;
use parkade_runtime::problems::lot_problem;

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = put_spots(deps, &request).await;
    respond_to(&request, outcome)
}

async fn put_spots(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_operator(&principal, &path_lot(request, "lot")?)?;
    let spots = read_json::<PutSpotsRequest>(request)?.check()?;
    let (lot, written) = (permit.lot(), spots.len());
    let directory = deps.store.put_spots(lot, spots).await.map_err(lot_problem)?;
    let (total, version) = (directory.spots.len(), directory.version);
    tracing::info!(lot.id = %lot, spots.written = written, spots.total = total, "lot {lot} has {total} spots");
    Answer::ok(&PutSpotsView { lot_id: lot.to_string(), written, total, version })
}
