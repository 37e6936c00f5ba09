//! The embedded engine: DynamoDB's API on SQLite, called with the JSON the SDK sends.

use std::path::Path;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Config, IdentityCache, Region, SharedAsyncSleep, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use dynoxide::{Database, DynoxideError};
use serde_json::{Value, json};

use crate::connector::EngineClient;
use crate::faults::Faults;
use crate::meter::Meter;
use crate::tables::{TABLES, TableSpec};

/// Attempts of one SDK call, the first included: what the functions use as well.
const ATTEMPTS_MAX: u32 = 3;
/// The SDK sleeps between attempts; in one process there is nothing to wait for.
const BACKOFF: std::time::Duration = std::time::Duration::from_millis(1);

/// Why the engine could not be opened or prepared.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The path is not valid UTF-8.
    #[error("the path of the engine's file is not valid UTF-8")]
    Path,
    /// The engine refused.
    #[error("the embedded engine refused a call")]
    Engine(#[source] DynoxideError),
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
        Self { database: Database::memory().map_err(EngineError::Engine)? }.with_tables()
    }

    /// The database in `file`, created if absent, with the product's tables. Every acknowledged write is on disk.
    ///
    /// # Errors
    /// When the file cannot be opened or is no database.
    pub fn open(file: &Path) -> Result<Self, EngineError> {
        let path = file.to_str().ok_or(EngineError::Path)?;
        Self { database: Database::new(path).map_err(EngineError::Engine)? }.with_tables()
    }

    fn with_tables(self) -> Result<Self, EngineError> {
        self.create_tables()?;
        Ok(self)
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
        let described = self.request("DescribeTable", &json!({"TableName": table}))?;
        let arn = text_at(&described, "/Table/LatestStreamArn");
        let stream = self.request("DescribeStream", &json!({"StreamArn": arn}))?;
        let mut from = json!({
            "StreamArn": arn,
            "ShardId": text_at(&stream, "/StreamDescription/Shards/0/ShardId"),
            "ShardIteratorType": "TRIM_HORIZON",
        });
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
            fields.insert("eventSourceARN".into(), arn.into());
        }
        Ok(records)
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
