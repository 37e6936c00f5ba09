//! The engine stays usable as tables and streams grow.
#![cfg(test)]

use parkade_testkit::{Engine, RECORDS};
use serde_json::{Value, json};

fn item(number: usize) -> Value {
    let (du, ds) = (format!("D#{}", number / 100), number.to_string());
    json!({"pk": {"S": format!("R#{number}")}, "sk": {"S": "A"}, "du": {"S": du}, "ds": {"N": ds}, "more": {"S": "x".repeat(500)}})
}

#[test]
fn the_stream_is_ordered_by_an_index_that_the_engines_queries_use() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("scale");
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("engine.db");
    let engine = Engine::open(&file).unwrap();
    engine.call("PutItem", &json!({"TableName": RECORDS.name, "Item": item(1)}).to_string()).unwrap();
    let database = rusqlite::Connection::open(&file).unwrap();
    // What the engine asks at each write, and at each poll of a stream.
    for query in [
        "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = ?1",
        "SELECT keys_json FROM _stream_records WHERE table_name = ?1 AND shard_id = ?1
           AND CAST(sequence_number AS INTEGER) > 7 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 10",
    ] {
        let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let steps = plan.query_map(["Records"], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(steps.len() == 1 && steps[0].contains("INDEX parkade_stream_order"), "{query}: {steps:?}");
    }
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
