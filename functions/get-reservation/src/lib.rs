//! `GET /v1/reservations/{id}`: a reservation or walk-in session, for its owner, the lot's operators and gates, and admins.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::{Answer, Problem, path_reservation, respond_to};
use parkade_runtime::Deps;
use parkade_runtime::access::read_access;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::stay_view;

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = get_reservation(deps, &request).await;
    respond_to(&request, outcome)
}

async fn get_reservation(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let id = path_reservation(request, "id")?;
    let dossier = deps.store.dossier(id, &read_access(&principal)).await.map_err(command_problem)?;
    let stay = dossier.reservation;
    Ok(Answer::ok(&stay_view(&deps.store, &stay).await?)?.version(stay.version))
}
