//! `POST /v1/payments`: asks for what is due of a reservation to be charged. The intent is stored; the provider is asked by whoever
//! receives its event, and the outcome is read at the payment's address.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{PayRequest, PaymentView};
use parkade_api::{Answer, Code, Problem, idempotency_key, read_json, respond_to};
use parkade_domain::payment::{Means, Payment, PaymentStatus};
use parkade_runtime::Deps;
use parkade_runtime::access::change_access;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::mark;
use parkade_store::Order;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = pay(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn pay(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let access = change_access(&principal)?;
    let key = idempotency_key(request.headers())?;
    let input = read_json::<PayRequest>(request)?.check()?;
    let id = input.reservation;
    let asked: [&[u8]; 3] = [b"pay", &id.bits().to_be_bytes(), input.method.as_bytes()];
    let order = Order {
        id,
        access,
        mark: mark(deps.identity.keys(), &principal.subject, key, &asked),
        expected_version: None,
        now_s: now.timestamp(),
    };
    let (payment, done) = deps.store.pay(&order, &Means::card(input.method.as_str())).await.map_err(command_problem)?;
    if payment.status == PaymentStatus::Declined {
        return Err(declined(&payment));
    }
    if !done.replayed {
        tracing::info!(payment.id = %payment.id, reservation.id = %id, "requested payment {} of {id}", payment.id);
    }
    let view = PaymentView::from_domain(&payment);
    Ok(Answer::accepted(&view.links.this, &view)?.version(payment.version).replayed(done.replayed))
}

/// The key belongs to one charge, and that one was refused for good.
fn declined(payment: &Payment) -> Problem {
    let problem = Problem::new(Code::PaymentDeclined).member("payment_id", payment.id.to_string());
    match &payment.decline_code {
        Some(code) => problem.member("decline_code", code.as_str()),
        None => problem,
    }
}
