//! `GET /v1/payments/{id}`: a charge or refund, for whoever may read its reservation.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::PaymentView;
use parkade_api::{Answer, Code, Problem, path_payment, respond_to};
use parkade_identity::Role;
use parkade_runtime::Deps;
use parkade_runtime::access::read_access;
use parkade_runtime::problems::command_problem;
use parkade_store::CommandError;

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = get_payment(deps, &request).await;
    respond_to(&request, outcome)
}

async fn get_payment(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let id = path_payment(request, "id")?;
    let found = deps.store.payment(id, &read_access(&principal)).await;
    let (payment, _) = found.map_err(|error| match error {
        CommandError::NotFound => Problem::new(Code::PaymentNotFound),
        other => command_problem(other),
    })?;
    let view = match principal.role {
        Role::Driver => PaymentView::for_payer(&payment),
        Role::Operator | Role::Gate | Role::Admin | Role::Merchant => PaymentView::from_domain(&payment),
    };
    Ok(Answer::ok(&view)?.version(payment.version))
}
