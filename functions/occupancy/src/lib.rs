//! Recounts how full a lot is on the days whose calendar changed. It recounts from the calendar itself, so a record that comes twice,
//! late or out of order changes nothing, and a missed one is healed by the next.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::dynamodb::{Event as StreamEvent, EventRecord};
use aws_lambda_events::streams::DynamoDbEventResponse;
use chrono::{DateTime, Utc};
use futures::{FutureExt as _, StreamExt as _, stream};
use parkade_events::{chain, stream_answer};
use parkade_store::{LotPage, Store, lot_page};
use tracing::error;

/// Pages recounted at a time. A page is one query per 128 spots, so this is enough to hide the store's latency.
const CONCURRENCY_MAX: usize = 8;

/// Recounts each page of the calendar that the batch names, once. The answer names the first record whose page failed.
pub async fn handle(store: &Store, now: DateTime<Utc>, batch: StreamEvent) -> DynamoDbEventResponse {
    let now_s = now.timestamp();
    // Each page with the position of its first record.
    let mut pages: BTreeMap<LotPage, usize> = BTreeMap::new();
    let mut failed: Option<usize> = None;
    for (position, record) in batch.records.iter().enumerate() {
        // Only housekeeping deletes an item, a week after its page has passed.
        if record.event_name == "REMOVE" {
            continue;
        }
        match page_of(record) {
            Some(page) => {
                pages.entry(page).or_insert(position);
            }
            None => {
                error!(record = record.change.sequence_number, "a record of the calendar's stream names no page");
                failed = Some(failed.map_or(position, |first| first.min(position)));
            }
        }
    }
    let recount = |(page, position): (LotPage, usize)| async move {
        let recount = AssertUnwindSafe(store.recompute_occupancy(&page, now_s)).catch_unwind();
        let failure = match recount.await {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => chain(&error),
            Err(_) => "it panicked".to_owned(),
        };
        error!(lot.id = %page.lot, page = page.page, "page {} of lot {} was not recounted: {failure}", page.page, page.lot);
        Some(position)
    };
    let mut recounted = stream::iter(pages).map(recount).buffer_unordered(CONCURRENCY_MAX);
    while let Some(outcome) = recounted.next().await {
        failed = failed.into_iter().chain(outcome).min();
    }
    let failed = failed.and_then(|position| batch.records.get(position));
    stream_answer(failed.map(|record| record.change.sequence_number.clone().unwrap_or_default()))
}

fn page_of(record: &EventRecord) -> Option<LotPage> {
    let keys = record.change.keys.inner();
    let text = |name: &str| match keys.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => Some(text.as_str()),
        _ => None,
    };
    lot_page(text("pk")?, text("sk")?)
}
