//! `GET /v1/reconciliation/exceptions`: what nobody could explain, with everything needed to decide it.
//! `PUT /v1/reconciliation/exceptions/{id}`: how it was decided, by whom and when. The same decision again is the same answer.

use chrono::{DateTime, Utc};
use http::{Method, Request, Response};
use parkade_api::wire::{DecideRequest, ExceptionView, PageView};
use parkade_api::{Answer, Code, FieldCode, Problem, Query, cursor, path_text, read_json, respond_to};
use parkade_identity::{AllLotsPermit, permit_all_lots};
use parkade_ledger::{Closed, ExceptionId};
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_store::Decision;
use tracing::info;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = exceptions(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn exceptions(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_all_lots(&principal)?;
    match *request.method() {
        Method::PUT => decide(deps, now, request, &permit).await,
        _ => list(deps, request).await,
    }
}

async fn list(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let mut query = Query::new(request.uri(), &["state", "limit", "next"]);
    let limit = usize::try_from(query.page_limit()).unwrap_or(usize::MAX);
    let open_only = match query.text("state").unwrap_or("open") {
        "open" => true,
        "all" => false,
        _ => {
            query.error("state", FieldCode::Invalid, "open or all");
            true
        }
    };
    let after = query.cursor::<String>().map(|text| text.parse::<ExceptionId>());
    if matches!(after, Some(Err(_))) {
        query.error("next", FieldCode::Invalid, "not a cursor of this list");
    }
    query.finish()?;
    let after = after.and_then(Result::ok);
    let page = deps.store.exceptions(open_only, after.as_ref(), limit).await.map_err(|error| store_problem(&error))?;
    let next = page.next.as_ref().map(cursor).transpose()?;
    Answer::ok(&PageView { items: page.items.iter().map(ExceptionView::from_domain).collect(), next })
}

async fn decide(
    deps: &Deps,
    now: DateTime<Utc>,
    request: &Request<Vec<u8>>,
    permit: &AllLotsPermit,
) -> Result<Answer, Problem> {
    let not_found = || Problem::new(Code::ExceptionNotFound);
    let id: ExceptionId = path_text(request, "id").parse().map_err(|_| not_found())?;
    let (resolution, note) = read_json::<DecideRequest>(request)?.check()?;
    let closed = Closed { at_s: now.timestamp(), by: permit.subject().to_string(), resolution, note: Some(note) };
    match deps.store.close_exception(&id, &closed).await.map_err(|error| store_problem(&error))? {
        Decision::Recorded(exception) => {
            info!(exception.id = %id, "exception {id} was decided: {}", resolution.as_str());
            Ok(Answer::ok(&ExceptionView::from_domain(&exception))?.version(exception.version))
        }
        Decision::DecidedBefore(_) => Err(Problem::new(Code::ExceptionDecided)),
        Decision::Unknown => Err(not_found()),
    }
}
