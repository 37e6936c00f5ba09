//! `GET /v1/users/{id}/wallet`: a user's credit, for the user alone.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{AmountView, WalletView};
use parkade_api::{Answer, Problem, path_user, respond_to};
use parkade_identity::permit_own;
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = get_wallet(deps, &request).await;
    respond_to(&request, outcome)
}

async fn get_wallet(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_own(&principal, &path_user(request, "id")?)?;
    let purses = deps.store.wallet(permit.owner()).await.map_err(|error| store_problem(&error))?;
    let balances = purses.iter().map(|purse| AmountView::new(purse.minor, purse.currency)).collect();
    Answer::ok(&WalletView { balances })
}
