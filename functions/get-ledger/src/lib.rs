//! `GET /v1/lots/{lot}/ledger`: a lot's sealed books, month by month, or the entries of one reservation.
//! `GET /v1/reconciliation/ledger`: the same of the account at the payment provider, for whoever runs all lots.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{LedgerEntryView, LedgerSummaryView, LedgerView};
use parkade_api::{Answer, Problem, Query, cursor, path_lot, path_text, respond_to};
use parkade_domain::ids::ReservationId;
use parkade_identity::{permit_all_lots, permit_operator};
use parkade_ledger::{Balances, Book, Month, genesis};
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_runtime::stays::lot;
use parkade_store::Position;

/// Months in which the entries of a reservation are looked for, the present one first: bookings reach half a year ahead, and debts are
/// paid within the other half.
const MONTHS_SEARCHED: usize = 13;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = get_ledger(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn get_ledger(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let (book, present) = if path_text(request, "lot").is_empty() {
        permit_all_lots(&principal)?;
        (Book::Provider, Month::utc(now.timestamp()))
    } else {
        let permit = permit_operator(&principal, &path_lot(request, "lot")?)?;
        let zone = lot(&deps.store, permit.lot()).await?.lot.zone;
        (Book::Lot(permit.lot().clone()), Month::of(now.timestamp(), zone))
    };
    let mut query = Query::new(request.uri(), &["month", "reservation_id", "limit", "next"]);
    let month = query.optional::<Month>("month");
    let reservation = query.optional::<ReservationId>("reservation_id");
    let limit = usize::try_from(query.page_limit()).unwrap_or(usize::MAX);
    let after = query.cursor::<Position>();
    query.finish()?;
    let view = match reservation {
        Some(reservation) => of_reservation(deps, book, month, present, reservation).await?,
        None => page(deps, book, month.unwrap_or(present), after, limit).await?,
    };
    Answer::ok(&view)
}

async fn page(
    deps: &Deps,
    book: Book,
    month: Month,
    after: Option<Position>,
    limit: usize,
) -> Result<LedgerView, Problem> {
    // First how the chain stands, then the page: so what the summary counts is in some page, and the books may grow meanwhile.
    let last = deps.store.last_batch(&book, month).await.map_err(|error| store_problem(&error))?;
    let summary = match &last {
        Some(batch) => LedgerSummaryView::from_domain(batch.head, &batch.balances, Some(batch.sealed_at_s)),
        None => LedgerSummaryView::from_domain(genesis(&book, month), &Balances::default(), None),
    };
    let (sealed, next) = deps.store.sealed(&book, month, after, limit).await.map_err(|error| store_problem(&error))?;
    Ok(LedgerView {
        book: book.to_string(),
        month: Some(month.to_string()),
        summary: Some(summary),
        items: sealed.iter().map(LedgerEntryView::from_domain).collect(),
        next: next.as_ref().map(cursor).transpose()?,
    })
}

async fn of_reservation(
    deps: &Deps,
    book: Book,
    month: Option<Month>,
    present: Month,
    reservation: ReservationId,
) -> Result<LedgerView, Problem> {
    let recent = || std::iter::successors(Some(present), |month| Some(month.previous())).take(MONTHS_SEARCHED);
    let months: Vec<Month> = month.map_or_else(|| recent().collect(), |month| vec![month]);
    let sealed = deps.store.sealed_of(&book, &months, reservation).await.map_err(|error| store_problem(&error))?;
    Ok(LedgerView {
        book: book.to_string(),
        month: month.map(|month| month.to_string()),
        summary: None,
        items: sealed.iter().map(LedgerEntryView::from_domain).collect(),
        next: None,
    })
}
