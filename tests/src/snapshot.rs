//! Everything that is stored, as one value: to compare, to go back to, to look into.

use std::collections::BTreeMap;

use parkade_domain::ids::ReservationId;
use parkade_testkit::{DERIVED, Engine, RECORDS, TABLES};
use serde_json::{Value, json};

/// All items of all tables, by table, partition and sort key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snapshot {
    /// The items as JSON text: `serde_json` sorts the attributes, so equal items are equal texts.
    items: BTreeMap<(String, String, String), String>,
}

impl Snapshot {
    /// Reads everything. No other task runs meanwhile on a current-thread runtime, so there it is one instant.
    #[must_use]
    pub fn take(engine: &Engine) -> Self {
        let mut items = BTreeMap::new();
        for table in TABLES {
            let mut start = Value::Null;
            loop {
                let mut request = json!({"TableName": table.name, "ConsistentRead": true});
                if !start.is_null() {
                    request["ExclusiveStartKey"] = start;
                }
                let reply = call(engine, "Scan", &request);
                for item in reply["Items"].as_array().into_iter().flatten() {
                    let key = |name: &str| item[name]["S"].as_str().unwrap().to_owned();
                    items.insert((table.name.to_owned(), key("pk"), key("sk")), item.to_string());
                }
                start = reply["LastEvaluatedKey"].clone();
                if start.is_null() {
                    break;
                }
            }
        }
        Self { items }
    }

    /// Makes the engine hold exactly this again.
    pub fn restore(&self, engine: &Engine) {
        self.restore_from(engine, &Self::take(engine));
    }

    /// As [`Self::restore`] for an engine that is known to hold `now`.
    pub fn restore_from(&self, engine: &Engine, now: &Self) {
        for key in now.items.keys().filter(|key| !self.items.contains_key(*key)) {
            let (table, pk, sk) = key;
            let request = json!({"TableName": table, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}});
            call(engine, "DeleteItem", &request);
        }
        for (key, item) in self.items.iter().filter(|(key, item)| now.items.get(*key) != Some(*item)) {
            let item: Value = serde_json::from_str(item).unwrap();
            call(engine, "PutItem", &json!({"TableName": key.0, "Item": item}));
        }
    }

    /// The items of a table.
    pub fn table(&self, name: &str) -> impl Iterator<Item = (&str, &str, Value)> {
        let of_table = self.items.iter().filter(move |(key, _)| key.0 == name);
        of_table.map(|((_, pk, sk), item)| (pk.as_str(), sk.as_str(), serde_json::from_str(item).unwrap()))
    }

    /// Whether a table has an item with such keys.
    #[must_use]
    pub fn has(&self, name: &str, which: impl Fn(&str, &str) -> bool) -> bool {
        self.items.keys().any(|(table, pk, sk)| table == name && which(pk, sk))
    }

    /// The ids of all reservations and walk-ins.
    #[must_use]
    pub fn reservations(&self) -> Vec<ReservationId> {
        let records = self.items.keys().filter(|(table, _, sk)| table == RECORDS.name && sk == "A");
        records
            .filter_map(|(_, pk, _)| pk.strip_prefix("R#"))
            .map(|code| ReservationId::from_code(code).unwrap())
            .collect()
    }

    /// Everything that says who has what: without what can be rebuilt.
    #[must_use]
    pub fn truth(&self) -> Self {
        let kept = self.items.iter().filter(|((table, ..), _)| table != DERIVED.name);
        Self { items: kept.map(|(key, item)| (key.clone(), item.clone())).collect() }
    }

    /// The bytes of each item whose keys pass `which`, as DynamoDB counts them: names and values.
    #[must_use]
    pub fn sizes(&self, table: &str, which: impl Fn(&str, &str) -> bool) -> Vec<usize> {
        let of_table = self.table(table).filter(|(pk, sk, _)| which(pk, sk));
        of_table
            .map(|(_, _, item)| item.as_object().into_iter().flatten().map(|(k, v)| k.len() + size(v)).sum())
            .collect()
    }
}

/// The size of one attribute value: the rules of DynamoDB for the types we store.
fn size(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else { return 0 };
    match (kind.as_str(), value.as_str()) {
        ("S", Some(text)) => text.len(),
        ("N", Some(digits)) => digits.len().div_ceil(2) + 1,
        ("B", Some(base64)) => aws_smithy_types::base64::decode(base64).unwrap().len(),
        ("BOOL" | "NULL", _) => 1,
        other => panic!("a stored attribute has the type {other:?}"),
    }
}

fn call(engine: &Engine, operation: &str, request: &Value) -> Value {
    let reply =
        engine.call(operation, &request.to_string()).unwrap_or_else(|refusal| panic!("{operation}: {}", refusal.body));
    serde_json::from_str(&reply).unwrap()
}
