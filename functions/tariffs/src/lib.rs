//! A lot's tariffs, for its operator: `/v1/lots/{lot}/tariffs` and what lies below it. One function for all of it: an operator's calls
//! come in bursts of a few a month, so one instance that is warm serves them better than one for each.
//!
//! No call needs an idempotency key: a document is its own (the newest version uploaded again is that version), and a publication names
//! its version and instant. Operators who work at the same time name the lot's version they have seen (`If-Match`).

mod publication;
mod simulation;
mod versions;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Method, Request, Response};
use parkade_api::{Answer, Code, Problem, path_lot, path_text, respond_to};
use parkade_domain::ids::TariffVersion;
use parkade_domain::tariff::Tariff;
use parkade_identity::permit_operator;
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_runtime::stays::lot;
use parkade_store::LotFacts;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = tariffs(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn tariffs(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_operator(&principal, &path_lot(request, "lot")?)?;
    let desk = Desk { deps, now, facts: lot(&deps.store, permit.lot()).await?, request };
    let below = request.uri().path().rsplit('/').next().unwrap_or_default();
    match (request.method(), below) {
        (&Method::POST, "tariffs") => versions::draft(&desk).await,
        (&Method::POST, "validation") => versions::validate(&desk),
        (&Method::GET, "tariffs") => versions::list(&desk).await,
        (&Method::GET, "changes") => versions::changes(&desk).await,
        (&Method::PUT, "publication") => publication::publish(&desk).await,
        (&Method::DELETE, "publication") => publication::withdraw(&desk).await,
        (&Method::POST, "simulation") => simulation::simulate(&desk).await,
        (&Method::GET, _) => versions::show(&desk).await,
        _ => Err(Problem::new(Code::RouteNotFound)),
    }
}

/// What every operation has at hand: the caller is an operator of the lot.
struct Desk<'a> {
    deps: &'a Deps,
    now: DateTime<Utc>,
    facts: Arc<LotFacts>,
    request: &'a Request<Vec<u8>>,
}

impl Desk<'_> {
    /// The version in the path.
    fn version(&self) -> Result<TariffVersion, Problem> {
        let number = path_text(self.request, "version").parse().map(TariffVersion);
        number.map_err(|_| Problem::new(Code::TariffNotFound))
    }

    async fn tariff(&self, version: TariffVersion) -> Result<Arc<Tariff>, Problem> {
        let found = self.deps.store.tariff_maybe(&self.facts.lot.id, version).await;
        found.map_err(|error| store_problem(&error))?.ok_or_else(|| Problem::new(Code::TariffNotFound))
    }
}
