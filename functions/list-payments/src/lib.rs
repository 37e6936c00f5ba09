//! `GET /v1/users/{id}/payments`: what a user has paid and got back, page by page: of the reservation with the latest start first, and
//! of one reservation the newest first.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{PageView, PaymentView};
use parkade_api::{Answer, FieldCode, Problem, Query, cursor, path_user, respond_to};
use parkade_identity::permit_own;
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_store::is_payment_position;

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = list_payments(deps, &request).await;
    respond_to(&request, outcome)
}

async fn list_payments(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_own(&principal, &path_user(request, "id")?)?;
    let mut query = Query::new(request.uri(), &["limit", "next"]);
    let limit = query.page_limit();
    let after = query.cursor::<String>();
    if after.as_deref().is_some_and(|after| !is_payment_position(after)) {
        query.error("next", FieldCode::Invalid, "not a cursor of this list");
    }
    query.finish()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = deps.store.payments_of(permit.owner(), after.as_deref(), limit).await;
    let page = page.map_err(|error| store_problem(&error))?;
    let items: Vec<PaymentView> = page.items.iter().map(PaymentView::from_domain).collect();
    Answer::ok(&PageView { items, next: page.next.map(|next| cursor(&next)).transpose()? })
}
