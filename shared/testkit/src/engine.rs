//! The embedded engine: DynamoDB's API on SQLite, called with the JSON the SDK sends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Config, IdentityCache, Region, SharedAsyncSleep, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use dynoxide::{Database, DynoxideError, ImportOptions};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::connector::EngineClient;
use crate::faults::Faults;
use crate::meter::Meter;
use crate::tables::{TABLES, TableSpec};

/// Attempts of one SDK call, the first included: what the functions use as well.
const ATTEMPTS_MAX: u32 = 3;
/// The SDK sleeps between attempts; in one process there is nothing to wait for.
const BACKOFF: std::time::Duration = std::time::Duration::from_millis(1);

const STREAM_INDEX: &str = "CREATE INDEX IF NOT EXISTS parkade_stream_order
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";
/// Databases in memory so far: each has a name of its own.
static MEMORIES: AtomicU64 = AtomicU64::new(0);

/// Why the engine could not be opened or prepared.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The path is not valid UTF-8.
    #[error("the path of the engine's file is not valid UTF-8")]
    Path,
    /// The engine refused.
    #[error("the embedded engine refused a call")]
    Engine(#[source] DynoxideError),
    /// The engine's file refuses an index.
    #[error("the engine's file cannot be indexed")]
    Index(#[source] rusqlite::Error),
    /// A reply was not the JSON expected.
    #[error("the embedded engine's reply is not what DynamoDB would send")]
    Reply(#[source] serde_json::Error),
    /// A call of ours was refused.
    #[error("{operation} failed: {body}")]
    Refused {
        /// The DynamoDB operation.
        operation: &'static str,
        /// The JSON error of the engine.
        body: String,
    },
}

/// An error reply as DynamoDB sends it over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// JSON body with `__type`.
    pub body: String,
}

/// An embedded database. Clones share it.
#[derive(Clone)]
pub struct Engine {
    database: Database,
    /// ARN and shard of each stream asked for; they never change.
    streams: Arc<Mutex<BTreeMap<String, (String, String)>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Engine")
    }
}

impl Engine {
    /// A database in memory, with the product's tables.
    ///
    /// # Errors
    /// When the engine cannot start.
    pub fn memory() -> Result<Self, EngineError> {
        // Named, so that the index can be added through a connection of its own; it is gone with the last connection.
        let number = MEMORIES.fetch_add(1, Ordering::Relaxed);
        Self::at(&format!("file:parkade-{}-{number}?mode=memory&cache=shared", std::process::id()))
    }

    /// The database in `file`, created if absent, with the product's tables. Every acknowledged write is on disk.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub fn open(file: &Path) -> Result<Self, EngineError> {
        Self::at(file.to_str().ok_or(EngineError::Path)?)
    }

    fn at(path: &str) -> Result<Self, EngineError> {
        let database = Database::new(path).map_err(EngineError::Engine)?;
        let engine = Self { database, streams: Arc::default() };
        // The engine looks for the last stream record at every write, through all of them.
        let index = Connection::open(path).and_then(|connection| connection.execute_batch(STREAM_INDEX));
        index.map_err(EngineError::Index)?;
        engine.create_tables()?;
        Ok(engine)
    }

    /// Creates the product's tables where they do not exist; running it again changes nothing.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn create_tables(&self) -> Result<(), EngineError> {
        TABLES.iter().try_for_each(|table| self.create_table(table))
    }

    /// Creates one table with its indexes, stream and expiry where it does not exist.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn create_table(&self, table: &TableSpec) -> Result<(), EngineError> {
        if let Err(refusal) = self.call("CreateTable", &table.create_request().to_string())
            && !refusal.body.contains("ResourceInUseException")
        {
            return Err(EngineError::Refused { operation: "CreateTable", body: refusal.body });
        }
        let Some(attribute) = table.ttl else { return Ok(()) };
        let state = self.request("DescribeTimeToLive", &json!({"TableName": table.name}))?;
        if state.pointer("/TimeToLiveDescription/TimeToLiveStatus").and_then(Value::as_str) == Some("ENABLED") {
            return Ok(());
        }
        let expiry = json!({"Enabled": true, "AttributeName": attribute});
        self.request("UpdateTimeToLive", &json!({"TableName": table.name, "TimeToLiveSpecification": expiry}))?;
        Ok(())
    }

    /// The SDK's client on this engine; `faults` decides what goes wrong underneath.
    pub fn client(&self, faults: Faults) -> Client {
        self.metered_client(faults, Meter::default())
    }

    /// As [`Engine::client`], and `meter` counts the calls and the capacity they consume.
    pub fn metered_client(&self, faults: Faults, meter: Meter) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-central-1"))
            .endpoint_url("http://engine.invalid")
            .credentials_provider(Credentials::new("embedded", "embedded", None, None, "embedded engine"))
            .identity_cache(IdentityCache::no_cache())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS_MAX)
                    .with_initial_backoff(BACKOFF)
                    .with_max_backoff(BACKOFF),
            )
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(EngineClient::new(self.clone(), faults, meter))
            .build();
        Client::from_conf(config)
    }

    /// One DynamoDB or DynamoDB Streams call as JSON, without the SDK and without faults.
    ///
    /// # Errors
    /// The reply DynamoDB would give.
    pub fn call(&self, operation: &str, body: &str) -> Result<String, Refusal> {
        dispatch(&self.database, operation, body)
            .map_err(|error| Refusal { status: error.status_code(), body: error.to_json() })
    }

    /// Records of `table`'s stream after `sequence_number` (from the beginning when none), oldest first, at most
    /// `limit`, in the shape a function receives them. The engine keeps one shard per table and never trims it.
    ///
    /// # Errors
    /// When the table has no stream.
    pub fn stream_records(
        &self,
        table: &str,
        sequence_number: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Value>, EngineError> {
        let (arn, shard) = self.stream_of(table)?;
        let mut from = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        if let (Some(number), Some(fields)) = (sequence_number, from.as_object_mut()) {
            fields.insert("ShardIteratorType".into(), "AFTER_SEQUENCE_NUMBER".into());
            fields.insert("SequenceNumber".into(), number.into());
        }
        let iterator = self.request("GetShardIterator", &from)?;
        let page = json!({"ShardIterator": text_at(&iterator, "/ShardIterator"), "Limit": limit});
        let mut reply = self.request("GetRecords", &page)?;
        let mut records = match reply.pointer_mut("/Records").map(Value::take) {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        };
        for fields in records.iter_mut().filter_map(Value::as_object_mut) {
            fields.insert("eventSourceARN".into(), arn.as_str().into());
        }
        Ok(records)
    }

    fn stream_of(&self, table: &str) -> Result<(String, String), EngineError> {
        let known = || self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = known().get(table) {
            return Ok(stream.clone());
        }
        let listed = self.request("ListStreams", &json!({"TableName": table}))?;
        let arn = text_at(&listed, "/Streams/0/StreamArn").to_owned();
        let described = self.request("DescribeStream", &json!({"StreamArn": arn}))?;
        let shard = text_at(&described, "/StreamDescription/Shards/0/ShardId").to_owned();
        known().insert(table.to_owned(), (arn.clone(), shard.clone()));
        Ok((arn, shard))
    }

    /// Stores many items at once, over what is there and without stream records: how a test gets a large table.
    ///
    /// # Errors
    /// When an item is not DynamoDB JSON or the engine refuses; then none is stored.
    pub fn load(&self, table: &str, items: Vec<Value>) -> Result<usize, EngineError> {
        let items =
            items.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().map_err(EngineError::Reply)?;
        let loaded = self.database.import_items(table, items, ImportOptions::default());
        Ok(loaded.map_err(EngineError::Engine)?.items_imported)
    }

    /// Loads items in bulk, with their index entries and without stream records: large tables for measurements.
    ///
    /// # Errors
    /// When an item is not valid for the table; then none is loaded.
    pub fn import(&self, table: &str, items: Vec<Value>) -> Result<usize, EngineError> {
        let items: Vec<dynoxide::Item> =
            items.into_iter().map(serde_json::from_value).collect::<Result<_, _>>().map_err(EngineError::Reply)?;
        let loaded = self.database.import_items(table, items, dynoxide::ImportOptions::default());
        loaded.map(|loaded| loaded.items_imported).map_err(EngineError::Engine)
    }

    /// Deletes what has expired, as DynamoDB does within days; returns how many items.
    ///
    /// # Errors
    /// When the engine's file fails.
    pub fn sweep_expired(&self) -> Result<usize, EngineError> {
        self.database.sweep_ttl().map_err(EngineError::Engine)
    }

    fn request(&self, operation: &'static str, body: &Value) -> Result<Value, EngineError> {
        let reply = self
            .call(operation, &body.to_string())
            .map_err(|refusal| EngineError::Refused { operation, body: refusal.body })?;
        serde_json::from_str(&reply).map_err(EngineError::Reply)
    }
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn dispatch(database: &Database, operation: &str, body: &str) -> Result<String, DynoxideError> {
    /// Each arm parses the operation's own request type and prints its own reply type.
    macro_rules! operations {
        ($($name:literal => $method:ident),* $(,)?) => {
            match operation {
                $($name => {
                    let request = serde_json::from_str(body).map_err(serialization)?;
                    serde_json::to_string(&database.$method(request)?).map_err(serialization)
                })*
                unknown => Err(DynoxideError::SerializationException(format!("unknown operation {unknown}"))),
            }
        };
    }
    operations! {
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DeleteTable" => delete_table,
        "DescribeStream" => describe_stream,
        "DescribeTable" => describe_table,
        "DescribeTimeToLive" => describe_time_to_live,
        "GetItem" => get_item,
        "GetRecords" => get_records,
        "GetShardIterator" => get_shard_iterator,
        "ListStreams" => list_streams,
        "ListTables" => list_tables,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UpdateItem" => update_item,
        "UpdateTimeToLive" => update_time_to_live,
    }
}

fn serialization(error: serde_json::Error) -> DynoxideError {
    DynoxideError::SerializationException(error.to_string())
}
