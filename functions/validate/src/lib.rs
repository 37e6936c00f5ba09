//! `POST /v1/reservations/{id}/validations`: a merchant, or an operator of the lot, gives something towards a stay, before it or during it
//! (P15). What it is worth is the tariff's to say, and the merchant owes only what of it was used in the end (P16).

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{ValidateRequest, ValidatedView};
use parkade_api::{Answer, Problem, idempotency_key, path_reservation, read_json, respond_to};
use parkade_identity::permit_validation;
use parkade_runtime::Deps;
use parkade_runtime::access::validation_access;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::mark;
use parkade_store::Order;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = validate(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn validate(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_validation(&principal)?;
    let id = path_reservation(request, "id")?;
    let key = idempotency_key(request.headers())?;
    let validation = read_json::<ValidateRequest>(request)?.check()?;
    let asked: [&[u8]; 3] = [b"validate", &id.bits().to_be_bytes(), validation.as_str().as_bytes()];
    let order = Order {
        id,
        access: validation_access(&permit),
        mark: mark(deps.identity.keys(), &principal.subject, key, &asked),
        expected_version: None,
        now_s: now.timestamp(),
    };
    let done = deps.store.validate(&order, &validation, permit.merchant()).await.map_err(command_problem)?;
    if !done.replayed {
        tracing::info!(reservation.id = %id, validation.id = %validation, "gave {validation} towards {id}");
    }
    let view = ValidatedView { reservation_id: id.to_string(), validation: validation.to_string() };
    Ok(Answer::created(&format!("/v1/reservations/{id}"), &view)?.replayed(done.replayed))
}
