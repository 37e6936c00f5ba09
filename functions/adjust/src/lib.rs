//! What an operator adds to a stay or takes off it: `POST /v1/reservations/{id}/violations` at the tariff's price, `DELETE
//! /v1/reservations/{id}/violations/{number}` to annul one, and `POST /v1/reservations/{id}/refunds` out of goodwill. What was paid beyond
//! what is owed then goes back by itself.

use chrono::{DateTime, Utc};
use http::{Method, Request, Response};
use parkade_api::wire::{GoodwillRequest, ViolationRequest};
use parkade_api::{Answer, Code, Problem, idempotency_key, path_reservation, path_text, read_json, respond_to};
use parkade_domain::ids::ReservationId;
use parkade_identity::Principal;
use parkade_runtime::Deps;
use parkade_runtime::access::adjust_access;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::{key_or, mark, stay_view};
use parkade_store::{Access, Done, Order};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = adjust(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn adjust(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let access = adjust_access(&principal)?;
    let id = path_reservation(request, "id")?;
    let desk = Desk { deps, now, principal, access, id, request };
    let below = request.uri().path().rsplit('/').next().unwrap_or_default();
    match (request.method(), below) {
        (&Method::POST, "violations") => desk.record_violation().await,
        (&Method::POST, "refunds") => desk.give_goodwill().await,
        (&Method::DELETE, _) => desk.void_violation().await,
        _ => Err(Problem::new(Code::RouteNotFound)),
    }
}

/// What every operation has at hand.
struct Desk<'a> {
    deps: &'a Deps,
    now: DateTime<Utc>,
    principal: Principal,
    access: Access,
    id: ReservationId,
    request: &'a Request<Vec<u8>>,
}

impl Desk<'_> {
    async fn record_violation(&self) -> Result<Answer, Problem> {
        let key = idempotency_key(self.request.headers())?;
        let kind = read_json::<ViolationRequest>(self.request)?.check()?;
        let order = self.order(key, &[b"violation", kind.as_str().as_bytes()]);
        let done = self.deps.store.record_violation(&order, kind).await.map_err(command_problem)?;
        self.answer(&done, true).await
    }

    async fn void_violation(&self) -> Result<Answer, Problem> {
        let number = path_text(self.request, "number").parse().map_err(|_| Problem::new(Code::ViolationNotFound))?;
        let name = format!("{} {number}", self.id);
        let key = key_or(self.request.headers(), &["void", &name])?;
        let order = self.order(&key, &[b"void", name.as_bytes()]);
        let done = self.deps.store.void_violation(&order, number).await.map_err(command_problem)?;
        self.answer(&done, false).await
    }

    async fn give_goodwill(&self) -> Result<Answer, Problem> {
        let key = idempotency_key(self.request.headers())?;
        let amount = read_json::<GoodwillRequest>(self.request)?.check()?;
        let asked = [&amount.minor.to_be_bytes()[..], amount.currency.code().as_bytes()].concat();
        let order = self.order(key, &[b"goodwill", &asked]);
        let done = self.deps.store.give_goodwill(&order, amount).await.map_err(command_problem)?;
        self.answer(&done, true).await
    }

    fn order(&self, key: &str, asked: &[&[u8]]) -> Order {
        let id = self.id.bits().to_be_bytes();
        let parts: Vec<&[u8]> = asked.iter().copied().chain([&id[..]]).collect();
        Order {
            id: self.id,
            access: self.access.clone(),
            mark: mark(self.deps.identity.keys(), &self.principal.subject, key, &parts),
            expected_version: None,
            now_s: self.now.timestamp(),
        }
    }

    /// The stay, with what is owed for it and why.
    async fn answer(&self, done: &Done, created: bool) -> Result<Answer, Problem> {
        let stay = &done.dossier.reservation;
        if !done.replayed {
            tracing::info!(reservation.id = %self.id, "adjusted what is owed for {}", self.id);
        }
        let view = stay_view(&self.deps.store, stay).await?;
        let answer = if created {
            Answer::created(&format!("/v1/reservations/{}", self.id), &view)?
        } else {
            Answer::ok(&view)?
        };
        Ok(answer.version(stay.version).replayed(done.replayed))
    }
}
