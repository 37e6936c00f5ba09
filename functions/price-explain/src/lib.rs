//! `GET /v1/reservations/{id}/price` and `POST /v1/prices/explain`: what a stay owes or a receipt says, in words, line by line (P18).
//! A receipt is priced anew with the version it names, so that anybody can check that it is what the tariff says.

use chrono::{DateTime, Utc};
use http::{Method, Request, Response};
use parkade_api::wire::PriceView;
use parkade_api::wire::explain::{ExplainInput, ExplainRequest, ExplanationView, ReceiptCheckView};
use parkade_api::{Answer, Code, Problem, Query, negotiation, path_reservation, read_json, respond_to};
use parkade_domain::explain;
use parkade_domain::tariff::{Locale, explain as in_words, reprice};
use parkade_domain::time::Minute;
use parkade_domain::zone::LotZone;
use parkade_identity::permit_operator;
use parkade_runtime::Deps;
use parkade_runtime::access::read_access;
use parkade_runtime::problems::{command_problem, store_problem};
use parkade_runtime::stays::{lot, pricing};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = if request.method() == Method::GET {
        reservation(deps, &request).await
    } else {
        receipt(deps, now, &request).await
    };
    respond_to(&request, outcome)
}

/// What a reservation owes now.
async fn reservation(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let id = path_reservation(request, "id")?;
    let locale = locale(request)?;
    let stay = deps.store.dossier(id, &read_access(&principal)).await.map_err(command_problem)?.reservation;
    let pricing = pricing(&deps.store, &stay).await?;
    let owed = explain::owed(&stay, pricing.rules());
    let view = ExplanationView {
        reservation_id: stay.id.to_string(),
        locale: locale.tag().to_owned(),
        sentences: in_words(&owed, locale, &pricing.facts.lot.zone),
        price: PriceView::from_domain(&owed),
        receipt: explain::receipt(&stay, pricing.rules()),
    };
    Ok(Answer::ok(&view)?.version(stay.version))
}

/// What a receipt says, and whether its lot's tariff says the same.
async fn receipt(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let locale = locale(request)?;
    let ExplainInput { lot: id, receipt } = read_json::<ExplainRequest>(request)?.check()?;
    let zone = LotZone::parse(&receipt.facts.time_zone);
    let zone = zone.map_err(|error| Problem::at(Code::InvalidFields, "/receipt/facts/time_zone", error.to_string()))?;
    lot(&deps.store, &id).await?;
    let version = receipt.price.tariff_version();
    // A draft is its operator's business until it has been in force.
    let summary = deps.store.summary(&id, version).await.map_err(|error| store_problem(&error))?;
    let was_in_force =
        summary.and_then(|summary| summary.published_from).is_some_and(|from| from <= Minute::floor(now));
    let visible = was_in_force || permit_operator(&principal, &id).is_ok();
    let tariff = deps.store.tariff_maybe(&id, version).await.map_err(|error| store_problem(&error))?;
    let tariff = tariff.filter(|_| visible);
    let expected = reprice(tariff.ok_or_else(|| Problem::new(Code::TariffNotFound))?.as_ref(), &receipt).ok();
    let reproduced = expected.as_ref() == Some(&receipt.price);
    Answer::ok(&ReceiptCheckView {
        reproduced,
        locale: locale.tag().to_owned(),
        sentences: in_words(&receipt.price, locale, &zone),
        expected: expected.filter(|_| !reproduced).map(|price| PriceView::from_domain(&price)),
    })
}

/// The language asked for.
fn locale(request: &Request<Vec<u8>>) -> Result<Locale, Problem> {
    let mut query = Query::new(request.uri(), &["locale"]);
    let locale = negotiation::locale(&mut query, request.headers());
    query.finish()?;
    Ok(locale)
}
