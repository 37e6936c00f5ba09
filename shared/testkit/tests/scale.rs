//! The engine stays usable as tables and streams grow.
#![cfg(test)]

use std::time::{Duration, Instant};

use parkade_testkit::{Engine, RECORDS};
use serde_json::{Value, json};

fn item(number: usize) -> Value {
    let (du, ds) = (format!("D#{}", number / 100), number.to_string());
    json!({"pk": {"S": format!("R#{number}")}, "sk": {"S": "A"}, "du": {"S": du}, "ds": {"N": ds}, "more": {"S": "x".repeat(500)}})
}

/// Time for the puts `from..until`.
fn puts(engine: &Engine, from: usize, until: usize) -> Duration {
    let started = Instant::now();
    for number in from..until {
        engine.call("PutItem", &json!({"TableName": RECORDS.name, "Item": item(number)}).to_string()).unwrap();
    }
    started.elapsed()
}

#[test]
fn a_write_does_not_get_slower_as_the_stream_grows() {
    let engine = Engine::memory().unwrap();
    let first = puts(&engine, 0, 500);
    puts(&engine, 500, 9_500);
    let last = puts(&engine, 9_500, 10_000);
    // Without the index it is eight times as long at this size, and the margin is for a busy machine.
    assert!(last < first * 4, "{first:?}, then {last:?}");
    let records = engine.stream_records(RECORDS.name, None, 1_000).unwrap();
    let number = records.last().and_then(|record| record.pointer("/dynamodb/SequenceNumber")).unwrap();
    let next = engine.stream_records(RECORDS.name, number.as_str(), 1).unwrap();
    assert_eq!(next[0].pointer("/dynamodb/Keys/pk/S").unwrap(), "R#1000");
}

#[test]
fn a_large_table_is_loaded_with_its_indexes_and_without_stream_records() {
    let engine = Engine::memory().unwrap();
    assert_eq!(engine.load(RECORDS.name, (0..2_000).map(item).collect()).unwrap(), 2_000);
    assert!(engine.stream_records(RECORDS.name, None, 10).unwrap().is_empty());
    let query = json!({
        "TableName": RECORDS.name,
        "IndexName": "due",
        "KeyConditionExpression": "du = :du AND ds <= :now",
        "ExpressionAttributeValues": {":du": {"S": "D#7"}, ":now": {"N": "709"}},
    });
    let reply: Value = serde_json::from_str(&engine.call("Query", &query.to_string()).unwrap()).unwrap();
    assert_eq!((reply["Count"].clone(), reply["ScannedCount"].clone()), (json!(10), json!(10)));
}
