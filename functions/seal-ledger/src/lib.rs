//! Keeps the books: each committed change of money, and each stay that ends, becomes an entry in the hash chain of its lot and month.
//!
//! The table's stream is the journal, so nothing is booked that was not committed, and nothing committed is left unbooked. Batches are
//! sealed here, off the driver's path: a payment never waits for the end of a chain.

use aws_lambda_events::dynamodb::{Event as StreamEvent, EventRecord};
use aws_lambda_events::streams::DynamoDbEventResponse;
use chrono::{DateTime, Utc};
use parkade_events::{chain, stream_answer};
use parkade_ledger::Entry;
use parkade_store::{CommandError, Image, Journal, Store, StoreError, image};
use tracing::error;

/// Seals the entries of a batch, in the stream's order. The answer names the first record that is not wholly booked, from which the
/// stream delivers again; an entry that was sealed before is known by its id.
pub async fn handle(store: &Store, now: DateTime<Utc>, batch: StreamEvent) -> DynamoDbEventResponse {
    let mut journal = Journal::new(store);
    let mut entries: Vec<Entry> = Vec::new();
    // For each entry, the record it is of.
    let mut of: Vec<String> = Vec::new();
    let mut failed: Option<String> = None;
    for record in batch.records {
        let number = record.change.sequence_number.clone().unwrap_or_default();
        // Boxed: the layout of the future of main would otherwise be nested deeper than the compiler looks.
        match Box::pin(made(&mut journal, record)).await {
            Ok(entry) => {
                of.extend(entry.iter().map(|_| number.clone()));
                entries.extend(entry);
            }
            Err(unmade @ CommandError::Store(StoreError::Unavailable { .. } | StoreError::Refused { .. })) => {
                // What comes before it is sealed; from here on it comes again.
                error!(record = number, "stream record {number} cannot be booked now: {}", chain(&unmade));
                failed = Some(number);
                break;
            }
            Err(corrupt) => {
                // It will never become readable, and waiting for it would hold up, and in the end lose, every entry behind it. The
                // alarm on error lines calls a person; the item itself is still in the table.
                error!(record = number, "stream record {number} cannot be booked: {}", chain(&corrupt));
            }
        }
    }
    let fates = Box::pin(store.seal(&entries, now.timestamp())).await;
    let unsealed = entries.iter().zip(of).zip(fates).find_map(|((entry, number), fate)| {
        let not_sealed = fate.err()?;
        let id = &entry.about.id;
        error!(entry.id = id, record = number, "entry {id} was not sealed: {}", chain(&not_sealed));
        Some(number)
    });
    stream_answer(unsealed.or(failed))
}

/// The entry of one record.
async fn made(journal: &mut Journal<'_>, record: EventRecord) -> Result<Option<Entry>, CommandError> {
    let (old, new): (Image, Image) = (image(record.change.old_image)?, image(record.change.new_image)?);
    journal.see(&new);
    journal.entry(&old, &new).await
}
