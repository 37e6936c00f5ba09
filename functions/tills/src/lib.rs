//! Cash at a kiosk or counter: `/v1/lots/{lot}/tills/{till}` and what lies below it (M9). One function for all of it: a till's calls follow
//! each other, so the instance that took the cash is warm for its payout and its count.
//!
//! Kiosks are gates of the lot; they and its operators take and pay out. Only operators count, for whoever could steal should not count.

mod counts;
mod payments;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Method, Request, Response};
use parkade_api::{Answer, Code, Problem, idempotency_key, path_lot, path_text, respond_to};
use parkade_domain::ids::{LotId, ReservationId, TillId};
use parkade_domain::reservation::Mark;
use parkade_identity::{Principal, permit_gate, permit_operator};
use parkade_runtime::Deps;
use parkade_runtime::stays::{lot, mark};
use parkade_store::{Access, LotFacts, Order};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = tills(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn tills(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let id = path_lot(request, "lot")?;
    let below = request.uri().path().rsplit('/').next().unwrap_or_default();
    permit(&principal, &id, below)?;
    let till = TillId::new(path_text(request, "till")).map_err(|_| Problem::new(Code::TillNotFound))?;
    let desk = Desk { deps, now, facts: lot(&deps.store, &id).await?, till, principal, request };
    match (request.method(), below) {
        (&Method::POST, "payments") => payments::take(&desk).await,
        (&Method::POST, "payouts") => payments::pay_out(&desk).await,
        (&Method::POST, "counts") => counts::count(&desk).await,
        (&Method::GET, "counts") => counts::list(&desk).await,
        _ => Err(Problem::new(Code::RouteNotFound)),
    }
}

/// Whoever works at a till of the lot; what concerns counts only its operators.
fn permit(principal: &Principal, lot: &LotId, below: &str) -> Result<(), Problem> {
    let gate = if below == "counts" { None } else { permit_gate(principal, lot).ok().map(drop) };
    gate.map_or_else(|| Ok(permit_operator(principal, lot).map(drop)?), Ok)
}

/// What every operation has at hand: the caller works at a till of the lot.
struct Desk<'a> {
    deps: &'a Deps,
    now: DateTime<Utc>,
    facts: Arc<LotFacts>,
    till: TillId,
    principal: Principal,
    request: &'a Request<Vec<u8>>,
}

impl Desk<'_> {
    /// The name of the command: what is asked is part of it, and at which till.
    fn mark(&self, operation: &str, asked: &[&[u8]]) -> Result<Mark, Problem> {
        let key = idempotency_key(self.request.headers())?;
        let lot = self.facts.lot.id.as_str();
        let place = [operation.as_bytes(), lot.as_bytes(), self.till.as_str().as_bytes()];
        let parts: Vec<&[u8]> = place.iter().chain(asked).copied().collect();
        Ok(mark(self.deps.identity.keys(), &self.principal.subject, key, &parts))
    }

    /// A command on a stay of this lot.
    fn order(&self, id: ReservationId, mark: Mark) -> Order {
        let access = Access::Lot(self.facts.lot.id.clone());
        Order { id, access, mark, expected_version: None, now_s: self.now.timestamp() }
    }
}
