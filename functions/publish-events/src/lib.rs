//! Tells the bus of every committed change of the records: the table's stream is the outbox, so nothing is told that was not committed,
//! and nothing committed is left untold.

use aws_lambda_events::dynamodb::{Event as StreamEvent, EventRecord};
use aws_lambda_events::streams::DynamoDbEventResponse;
use chrono::{DateTime, Utc};
use parkade_events::{Bus, Event, chain, events, stream_answer};
use parkade_store::{StoreError, image};
use tracing::error;

/// Puts the events of a batch on the bus, in the stream's order. The answer names the first record that is not wholly published, from
/// which the stream delivers again; consumers know what they see twice by its event id.
pub async fn handle<B: Bus + Sync>(bus: &B, now: DateTime<Utc>, batch: StreamEvent) -> DynamoDbEventResponse {
    let mut told: Vec<Event> = Vec::new();
    // For each event, the record it is of.
    let mut of: Vec<String> = Vec::new();
    for record in batch.records {
        let number = record.change.sequence_number.clone().unwrap_or_default();
        match read(record, now) {
            Ok(events) => {
                of.extend(events.iter().map(|_| number.clone()));
                told.extend(events);
            }
            Err(corrupt) => {
                // It will never become readable, and waiting for it would hold up, and in the end lose, every event behind it. The
                // alarm on error lines calls a person; the item itself is still in the table.
                error!(record = number, "stream record {number} cannot be published: {}", chain(&corrupt));
            }
        }
    }
    let outcomes = bus.put(&told).await;
    let refused = told.iter().zip(of).enumerate().find_map(|(index, (event, number))| match outcomes.get(index) {
        Some(Ok(())) => None,
        Some(Err(not_taken)) => Some((event, number, chain(not_taken))),
        None => Some((event, number, "the bus did not answer for it".to_owned())),
    });
    let failed = refused.map(|(event, number, why)| {
        error!(event.id = event.id, record = number, "event {} was not published: {why}", event.id);
        number
    });
    stream_answer(failed)
}

/// The events of one record.
fn read(record: EventRecord, now: DateTime<Utc>) -> Result<Vec<Event>, StoreError> {
    let change = record.change;
    // Some records come without the stream's time.
    let at = change.approximate_creation_date_time;
    let at = if at == DateTime::<Utc>::default() { now } else { at };
    Ok(events(&image(change.old_image)?, &image(change.new_image)?, at))
}
