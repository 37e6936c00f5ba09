//! A table's stream as a source: batches in order, a checkpoint on disk after success, retries, halving, dead letters.

use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use chrono::{DateTime, Utc};
use parkade_testkit::{Engine, EngineError};
use serde_json::{Value, json};

use crate::function::{Handler, InvocationError, invoke};
use crate::queue::Queues;
use crate::table::{Change, LocalError, LocalTable};
use crate::template::StreamSource;

/// Why a batch could not be read or its outcome not be stored. The batch is delivered again.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The stream cannot be read.
    #[error("the stream cannot be read")]
    Read(#[source] EngineError),
    /// A record is not what Lambda would pass.
    #[error("a stream record is not readable")]
    Record(#[source] serde_json::Error),
    /// The checkpoint or a dead letter cannot be stored.
    #[error("the stream's checkpoint cannot be stored")]
    Store(#[source] LocalError),
}

/// What one poll did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// There was nothing new.
    Idle,
    /// Records were dealt with: consumed, or given up and dead-lettered.
    Advanced,
    /// The batch failed and will be tried again.
    Failed,
}

/// One function's reading of one stream.
pub struct StreamConsumer {
    name: String,
    source: StreamSource,
    handler: Handler,
    timeout: Duration,
    engine: Engine,
    table: LocalTable,
    queues: Queues,
    /// Failures of the record the batch starts with; a restart counts from zero.
    failures: u32,
    /// The batch is smaller while it is being halved.
    batch_size: usize,
}

impl std::fmt::Debug for StreamConsumer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "StreamConsumer({} of {})", self.name, self.source.table)
    }
}

impl StreamConsumer {
    /// Function `name`, reading as `source` says.
    pub fn new(
        name: &str,
        source: StreamSource,
        function: (Handler, Duration),
        engine: Engine,
        queues: Queues,
    ) -> Result<Self, LocalError> {
        let (handler, timeout) = function;
        let batch_size = source.batch_size;
        let table = LocalTable::open(engine.clone())?;
        Ok(Self { name: name.to_owned(), source, handler, timeout, engine, table, queues, failures: 0, batch_size })
    }

    /// The function's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Delivers one batch, if there is one.
    ///
    /// # Errors
    /// When the engine fails; nothing is lost.
    pub async fn poll(&mut self, now: DateTime<Utc>) -> Result<Polled, StreamError> {
        let checkpoint = self.checkpoint().map_err(StreamError::Store)?;
        let mut records = self
            .engine
            .stream_records(&self.source.table, checkpoint.as_deref(), self.batch_size)
            .map_err(StreamError::Read)?;
        if records.is_empty() {
            return Ok(Polled::Idle);
        }
        // The engine stamps with the wall clock; changes happen by ours.
        for change in records.iter_mut().filter_map(|record| record.pointer_mut("/dynamodb")?.as_object_mut()) {
            change.insert("ApproximateCreationDateTime".into(), now.timestamp().into());
        }
        let event: Event = serde_json::from_value(json!({"Records": records})).map_err(StreamError::Record)?;
        let Handler::Stream(run) = &self.handler else { return Ok(Polled::Idle) };
        let outcome = invoke(run(now, event), self.timeout).await;
        let failed = first_failure(&records, outcome);
        self.settle(&records, failed, now).map_err(StreamError::Store)
    }

    /// Stores the checkpoint before the first failed record, and decides what becomes of that record.
    fn settle(&mut self, records: &[Value], failed: Option<Failed>, now: DateTime<Utc>) -> Result<Polled, LocalError> {
        let Some(Failed { index, whole_batch }) = failed else {
            self.store_checkpoint(records)?;
            self.start_over();
            return Ok(Polled::Advanced);
        };
        let (done, rest) = records.split_at_checked(index).unwrap_or((records, &[]));
        if !done.is_empty() {
            self.store_checkpoint(done)?;
            self.failures = 0;
        }
        if whole_batch && self.source.bisects && rest.len() > 1 {
            self.batch_size = rest.len() / 2;
            return Ok(Polled::Failed);
        }
        self.failures += 1;
        // With halving, only the record that fails is given up, not those behind it.
        let given_up = if self.source.bisects { rest.get(..1).unwrap_or(rest) } else { rest };
        self.batch_size = given_up.len().max(1);
        if self.failures <= self.source.retries_max {
            return Ok(Polled::Failed);
        }
        self.dead_letter(given_up, now)?;
        self.store_checkpoint(given_up)?;
        self.start_over();
        Ok(Polled::Advanced)
    }

    fn start_over(&mut self) {
        self.failures = 0;
        self.batch_size = self.source.batch_size;
    }

    fn dead_letter(&self, records: &[Value], now: DateTime<Utc>) -> Result<(), LocalError> {
        let Some(queue) = &self.source.dead_letters else { return Ok(()) };
        let letter = json!({
            "requestContext": {"functionName": self.name, "condition": "RetryAttemptsExhausted"},
            "timestamp": now.to_rfc3339(),
            "DDBStreamBatchInfo": {
                "tableName": self.source.table,
                "startSequenceNumber": records.first().map(sequence_number),
                "endSequenceNumber": records.last().map(sequence_number),
                "batchSize": records.len(),
            },
        });
        self.queues.send(queue, &letter.to_string(), now)
    }

    fn checkpoint(&self) -> Result<Option<String>, LocalError> {
        let stored = self.table.get(&self.partition(), &self.source.table)?;
        Ok(stored.and_then(|value| value.get("after").and_then(Value::as_str).map(str::to_owned)))
    }

    fn store_checkpoint(&self, done: &[Value]) -> Result<(), LocalError> {
        let Some(last) = done.last() else { return Ok(()) };
        let value = json!({"after": sequence_number(last)});
        self.table.write(&[Change::Put(self.partition(), self.source.table.clone(), value)])
    }

    fn partition(&self) -> String {
        format!("S#{}", self.name)
    }
}

struct Failed {
    index: usize,
    whole_batch: bool,
}

/// The first record to deliver again. As in Lambda, an empty or unknown identifier means the whole batch.
fn first_failure(records: &[Value], outcome: Result<DynamoDbEventResponse, InvocationError>) -> Option<Failed> {
    const WHOLE_BATCH: Failed = Failed { index: 0, whole_batch: true };
    let Ok(response) = outcome else { return Some(WHOLE_BATCH) };
    let identifiers = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_deref());
    let indexes =
        identifiers.map(|identifier| records.iter().position(|record| Some(sequence_number(record)) == identifier));
    let first = indexes.collect::<Option<Vec<_>>>().map(|indexes| indexes.into_iter().min());
    match first {
        Some(None) => None,
        Some(Some(index)) => Some(Failed { index, whole_batch: false }),
        None => Some(WHOLE_BATCH),
    }
}

fn sequence_number(record: &Value) -> &str {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).unwrap_or_default()
}
