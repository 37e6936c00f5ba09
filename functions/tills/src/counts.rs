//! Counting a till at the end of its day, and what was counted before.

use parkade_api::wire::{CountRequest, CountView, PageView};
use parkade_api::{Answer, Problem, Query, cursor, read_json};
use parkade_domain::till::Counted;
use parkade_runtime::problems::{command_problem, store_problem};

use crate::Desk;

/// `POST …/counts`: what was counted, against what should be there.
pub(crate) async fn count(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let lot = &desk.facts.lot;
    let (counted_minor, left_minor) = read_json::<CountRequest>(desk.request)?.check(lot.currency)?;
    let left = left_minor.map_or_else(Vec::new, |minor| minor.to_be_bytes().to_vec());
    let mark = desk.mark("count", &[&counted_minor.to_be_bytes(), &left])?;
    let (till, by) = (desk.till.clone(), desk.principal.subject.clone());
    let counted = Counted { lot: lot.id.clone(), till, counted_minor, left_minor, by };
    let done = desk.deps.store.count_till(&counted, lot.currency, mark, desk.now.timestamp()).await;
    let (count, replayed) = done.map_err(command_problem)?;
    if !replayed {
        tracing::info!(lot.id = %lot.id, till.id = %desk.till, "counted till {}", desk.till);
    }
    let here = desk.request.uri().path();
    Ok(Answer::created(here, &CountView::from_domain(&count))?.replayed(replayed))
}

/// `GET …/counts`: the newest first.
pub(crate) async fn list(desk: &Desk<'_>) -> Result<Answer, Problem> {
    let mut query = Query::new(desk.request.uri(), &["limit", "next"]);
    let limit = i32::try_from(query.page_limit()).unwrap_or(i32::MAX);
    let before = query.cursor::<u32>();
    query.finish()?;
    let page = desk.deps.store.counts(&desk.facts.lot.id, &desk.till, before, limit).await;
    let page = page.map_err(|error| store_problem(&error))?;
    let next = page.items.last().filter(|_| page.next.is_some()).map(|last| cursor(&last.number)).transpose()?;
    Answer::ok(&PageView { items: page.items.iter().map(CountView::from_domain).collect(), next })
}
