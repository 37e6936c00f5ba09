//! `GET /v1/receipts/{id}`: a receipt or credit note, as JSON, as a page that prints well, or as PDF; for the driver, the lot's
//! operators and admins. It never changes, so who has it may keep it.

use chrono::{DateTime, Utc};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{Request, Response, StatusCode};
use parkade_api::wire::ReceiptView;
use parkade_api::{Answer, Code, Format, Problem, Query, negotiation, path_receipt, respond_to};
use parkade_receipts::{EDITION, html, pdf, sheet};
use parkade_runtime::Deps;
use parkade_runtime::access::change_access;
use parkade_runtime::problems::command_problem;
use parkade_store::CommandError;

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = get_receipt(deps, &request).await;
    respond_to(&request, outcome)
}

async fn get_receipt(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let id = path_receipt(request, "id")?;
    let mut query = Query::new(request.uri(), &["format", "locale"]);
    let format = negotiation::format(&mut query, request.headers());
    let locale = negotiation::locale(&mut query, request.headers());
    query.finish()?;
    // A gate lets vehicles in and out; what was paid is not its business, nor whether it was.
    let access = change_access(&principal).map_err(|_| Problem::new(Code::ReceiptNotFound))?;
    let found = deps.store.receipt(id, &access).await;
    let document = found.map_err(|error| match error {
        CommandError::NotFound => Problem::new(Code::ReceiptNotFound),
        other => command_problem(other),
    })?;
    let tag = format!("{id}-{EDITION}-{}-{}", format.as_str(), locale.tag());
    if let Some(answer) = Answer::not_modified(request.headers(), &tag) {
        return Ok(answer);
    }
    let shown = || sheet(&document, locale);
    let answer = match format {
        Format::Json => Answer::json(StatusCode::OK, &ReceiptView::from_domain(&document))?,
        Format::Html => {
            let page = html(&shown()).map_err(|error| Problem::internal(&error))?;
            Answer::bytes("text/html; charset=utf-8", page.into_bytes())
                .header(CONTENT_SECURITY_POLICY, parkade_receipts::CONTENT_SECURITY_POLICY)
        }
        Format::Pdf => {
            let bytes = pdf(&shown()).map_err(|error| Problem::internal(&error))?;
            let name = format!("inline; filename=\"{}.pdf\"", document.number);
            Answer::bytes("application/pdf", bytes).header(CONTENT_DISPOSITION, &name)
        }
    };
    Ok(answer.never_changes(&tag))
}
