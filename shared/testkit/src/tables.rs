//! The four tables as data: names, keys, indexes, streams and expiry. The template declares the same, and a test of the
//! local server compares the two.

use serde_json::{Value, json};

/// An attribute that is part of a key: its name and its DynamoDB type, `S` or `N`.
pub type Key = (&'static str, &'static str);

/// A secondary index that projects keys only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexSpec {
    /// Index name.
    pub name: &'static str,
    /// Partition key.
    pub hash: Key,
    /// Sort key.
    pub range: Key,
}

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSpec {
    /// Table name on the embedded engine.
    pub name: &'static str,
    /// Stream view type, or none without a stream.
    pub stream: Option<&'static str>,
    /// Secondary indexes.
    pub indexes: &'static [IndexSpec],
    /// Attribute with the expiry in epoch seconds, if items expire.
    pub ttl: Option<&'static str>,
}

/// What is claimed, page by page.
pub const CALENDAR: TableSpec = TableSpec { name: "Calendar", stream: Some("KEYS_ONLY"), indexes: &[], ttl: Some("x") };

/// Lots, reservations, payments: the records of the trade.
pub const RECORDS: TableSpec = TableSpec {
    name: "Records",
    stream: Some("NEW_AND_OLD_IMAGES"),
    indexes: &[
        IndexSpec { name: "by-owner", hash: ("u", "S"), range: ("us", "S") },
        IndexSpec { name: "by-plate", hash: ("p", "S"), range: ("ps", "S") },
        IndexSpec { name: "by-exit", hash: ("e", "S"), range: ("es", "S") },
        IndexSpec { name: "due", hash: ("du", "S"), range: ("ds", "N") },
    ],
    ttl: Some("x"),
};

/// The double-entry books: entries in a hash chain per lot and month, receipt numbers, what nobody could explain.
pub const LEDGER: TableSpec = TableSpec { name: "Ledger", stream: None, indexes: &[], ttl: None };

/// What can be rebuilt from the others.
pub const DERIVED: TableSpec = TableSpec { name: "Derived", stream: None, indexes: &[], ttl: Some("x") };

/// All tables of the product.
pub const TABLES: [TableSpec; 4] = [CALENDAR, RECORDS, LEDGER, DERIVED];

const PARTITION_KEY: Key = ("pk", "S");
const SORT_KEY: Key = ("sk", "S");

impl TableSpec {
    /// The `CreateTable` request, on demand capacity.
    pub(crate) fn create_request(&self) -> Value {
        let keys = [PARTITION_KEY, SORT_KEY].into_iter().chain(self.indexes.iter().flat_map(|i| [i.hash, i.range]));
        let attributes: Vec<Value> =
            keys.map(|(name, kind)| json!({"AttributeName": name, "AttributeType": kind})).collect();
        let mut request = json!({
            "TableName": self.name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attributes,
            "KeySchema": key_schema(PARTITION_KEY, SORT_KEY),
        });
        let Some(fields) = request.as_object_mut() else { return request };
        if !self.indexes.is_empty() {
            let indexes: Vec<Value> = self
                .indexes
                .iter()
                .map(|index| {
                    json!({
                        "IndexName": index.name,
                        "KeySchema": key_schema(index.hash, index.range),
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    })
                })
                .collect();
            fields.insert("GlobalSecondaryIndexes".into(), indexes.into());
        }
        if let Some(view) = self.stream {
            fields.insert("StreamSpecification".into(), json!({"StreamEnabled": true, "StreamViewType": view}));
        }
        request
    }
}

fn key_schema(hash: Key, range: Key) -> Value {
    json!([{"AttributeName": hash.0, "KeyType": "HASH"}, {"AttributeName": range.0, "KeyType": "RANGE"}])
}
