//! A table beside the product's, in the same file: queued messages, checkpoints, the clock. One process uses it.

use parkade_testkit::{Engine, EngineError, Refusal, TableSpec};
use serde_json::{Value, json};

/// The table.
pub const LOCAL: TableSpec = TableSpec { name: "Local", stream: None, indexes: &[], ttl: None };

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The table could not be created.
    #[error("the local table could not be created")]
    Create(#[source] EngineError),
    /// The engine refused a call.
    #[error("the embedded engine answered {status} to {operation}: {body}")]
    Refused {
        /// DynamoDB operation.
        operation: &'static str,
        /// HTTP status.
        status: u16,
        /// JSON error.
        body: String,
    },
    /// What is stored is not JSON.
    #[error("an item of the local table is not readable")]
    Corrupt(#[source] serde_json::Error),
}

/// One change; several are made together or not at all.
#[derive(Debug)]
pub enum Change {
    /// Stores `value` under the key, over whatever is there: this process is the only writer.
    Put(String, String, Value),
    /// Removes the key.
    Delete(String, String),
}

/// Access to the table. Clones share it.
#[derive(Debug, Clone)]
pub struct LocalTable {
    engine: Engine,
}

impl LocalTable {
    /// The table in `engine`, created if absent.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn open(engine: Engine) -> Result<Self, LocalError> {
        engine.create_table(&LOCAL).map_err(LocalError::Create)?;
        Ok(Self { engine })
    }

    /// The value under a key.
    ///
    /// # Errors
    /// When the engine refuses or the item is not ours.
    pub fn get(&self, pk: &str, sk: &str) -> Result<Option<Value>, LocalError> {
        let request = json!({"TableName": LOCAL.name, "Key": key(pk, sk), "ConsistentRead": true});
        let reply = self.call("GetItem", &request)?;
        reply.get("Item").map(value_of).transpose()
    }

    /// Sort keys and values of a partition with sort keys up to `until` inclusive, in order, at most `limit`.
    ///
    /// # Errors
    /// When the engine refuses or an item is not ours.
    pub fn list(&self, pk: &str, until: &str, limit: usize) -> Result<Vec<(String, Value)>, LocalError> {
        let request = json!({
            "TableName": LOCAL.name,
            "KeyConditionExpression": "pk = :pk AND sk <= :until",
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":until": {"S": until}},
            "ConsistentRead": true,
            "Limit": limit,
        });
        let reply = self.call("Query", &request)?;
        let items = reply.get("Items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().map(|item| Ok((text(item, "/sk/S").to_owned(), value_of(item)?))).collect()
    }

    /// Makes all changes together. Nothing to change is no call.
    ///
    /// # Errors
    /// When the engine refuses; then nothing changed.
    pub fn write(&self, changes: &[Change]) -> Result<(), LocalError> {
        if changes.is_empty() {
            return Ok(());
        }
        let actions: Vec<Value> = changes
            .iter()
            .map(|change| match change {
                Change::Put(pk, sk, value) => {
                    let mut item = key(pk, sk);
                    if let Some(fields) = item.as_object_mut() {
                        fields.insert("v".into(), json!({"S": value.to_string()}));
                    }
                    json!({"Put": {"TableName": LOCAL.name, "Item": item}})
                }
                Change::Delete(pk, sk) => json!({"Delete": {"TableName": LOCAL.name, "Key": key(pk, sk)}}),
            })
            .collect();
        self.call("TransactWriteItems", &json!({"TransactItems": actions})).map(|_| ())
    }

    fn call(&self, operation: &'static str, request: &Value) -> Result<Value, LocalError> {
        let refused = |Refusal { status, body }| LocalError::Refused { operation, status, body };
        let reply = self.engine.call(operation, &request.to_string()).map_err(refused)?;
        serde_json::from_str(&reply).map_err(LocalError::Corrupt)
    }
}

fn key(pk: &str, sk: &str) -> Value {
    json!({"pk": {"S": pk}, "sk": {"S": sk}})
}

fn value_of(item: &Value) -> Result<Value, LocalError> {
    serde_json::from_str(text(item, "/v/S")).map_err(LocalError::Corrupt)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
