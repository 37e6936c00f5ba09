//! `GET /v1/lots/{lot}/spots/{spot}`: one spot with its state now.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::{Answer, Problem, path_lot, path_text, respond_to};
use parkade_runtime::Deps;
use parkade_runtime::stays::{lot, spot_now};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = get_spot(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn get_spot(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    deps.identity.principal(request.headers())?;
    let facts = lot(&deps.store, &path_lot(request, "lot")?).await?;
    Answer::ok(&spot_now(&deps.store, &facts, path_text(request, "spot"), now.timestamp()).await?)
}
