//! What the embedded engine does where DynamoDB's behaviour matters to us.
#![cfg(test)]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure as OnFailure, TransactWriteItem, Update,
};
use parkade_testkit::{CALENDAR, Engine, Faults, Meter, RECORDS, Units};
use serde_json::Value;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn key(pk: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".into(), s(pk)), ("sk".into(), s("A"))])
}

async fn put(client: &Client, table: &str, pk: &str, more: &[(&str, &str)]) {
    let mut item = key(pk);
    item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), s(value))));
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

fn put_new(pk: &str, value: &str) -> TransactWriteItem {
    let mut item = key(pk);
    item.insert("value".into(), s(value));
    let put = Put::builder()
        .table_name(RECORDS.name)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(OnFailure::AllOld)
        .build()
        .unwrap();
    TransactWriteItem::builder().put(put).build()
}

fn scratch(name: &str) -> std::path::PathBuf {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("engine.db")
}

#[tokio::test]
async fn tables_are_created_once_and_keep_their_items_across_a_restart() {
    let file = scratch("restart");
    let engine = Engine::open(&file).unwrap();
    put(&engine.client(Faults::none()), RECORDS.name, "R#1", &[]).await;
    drop(engine);
    let engine = Engine::open(&file).unwrap();
    engine.create_tables().unwrap();
    let client = engine.client(Faults::none());
    let found = client.get_item().table_name(RECORDS.name).set_key(Some(key("R#1"))).send().await.unwrap();
    assert_eq!(found.item, Some(key("R#1")));
}

#[tokio::test]
async fn a_request_token_is_replayed_without_a_second_write_and_billed_as_reads() {
    let engine = Engine::memory().unwrap();
    let meter = Meter::default();
    let client = engine.metered_client(Faults::none(), meter.clone());
    let send =
        || client.transact_write_items().transact_items(put_new("R#1", "first")).client_request_token("token-1").send();
    send().await.unwrap();
    assert_eq!(meter.reset().wru, Units::whole(2));
    send().await.expect("the replay of a committed transaction is a success, its condition is not evaluated again");
    let replay = meter.reset();
    assert_eq!((replay.wru, replay.rru), (Units::whole(0), Units::whole(2)));
    let other = client.transact_write_items().transact_items(put_new("R#2", "x")).client_request_token("token-1");
    let error = other.send().await.unwrap_err().into_service_error();
    assert!(matches!(error, TransactWriteItemsError::IdempotentParameterMismatchException(_)), "{error:?}");
}

#[tokio::test]
async fn a_request_token_is_forgotten_by_a_restart_of_the_engine_so_conditions_must_guard() {
    let file = scratch("token");
    for attempt in 0..2 {
        let client = Engine::open(&file).unwrap().client(Faults::none());
        let sent = client.transact_write_items().transact_items(put_new("R#1", "x")).client_request_token("t").send();
        assert_eq!(sent.await.is_ok(), attempt == 0);
    }
}

#[tokio::test]
async fn a_cancelled_transaction_names_each_action_and_returns_the_old_item_where_asked() {
    let client = Engine::memory().unwrap().client(Faults::none());
    put(&client, RECORDS.name, "R#1", &[("value", "theirs")]).await;
    let update = Update::builder()
        .table_name(CALENDAR.name)
        .set_key(Some(key("lot#0")))
        .update_expression("SET #a = :new")
        .condition_expression("attribute_not_exists(#a)")
        .expression_attribute_names("#a", "a")
        .expression_attribute_values(":new", AttributeValue::B(vec![0; 16].into()))
        .build()
        .unwrap();
    let tile = TransactWriteItem::builder().update(update).build();
    let sent = client.transact_write_items().transact_items(tile).transact_items(put_new("R#1", "mine")).send().await;
    let Err(SdkError::ServiceError(failure)) = sent else { panic!("{sent:?}") };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = failure.err() else { panic!("{failure:?}") };
    let reasons = cancelled.cancellation_reasons();
    let codes: Vec<_> = reasons.iter().map(|reason| reason.code().unwrap_or_default()).collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(reasons[1].item().unwrap()["value"], s("theirs"));
    let tile = client.get_item().table_name(CALENDAR.name).set_key(Some(key("lot#0"))).send().await.unwrap();
    assert_eq!(tile.item, None, "nothing of a cancelled transaction is written");
}

#[tokio::test]
async fn sparse_indexes_hold_only_items_with_their_keys_and_project_keys_only() {
    let client = Engine::memory().unwrap().client(Faults::none());
    put(&client, RECORDS.name, "R#1", &[("u", "U#7"), ("us", "2026-01-01"), ("secret", "plate")]).await;
    put(&client, RECORDS.name, "R#2", &[]).await;
    let query = client
        .query()
        .table_name(RECORDS.name)
        .index_name("by-owner")
        .key_condition_expression("u = :u")
        .expression_attribute_values(":u", s("U#7"));
    let items = query.send().await.unwrap().items.unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["pk"], s("R#1"));
    assert!(!items[0].contains_key("secret"));
}

#[tokio::test]
async fn a_stream_is_durable_ordered_and_resumes_after_a_sequence_number() {
    let file = scratch("stream");
    let engine = Engine::open(&file).unwrap();
    for value in ["1", "2", "3"] {
        put(&engine.client(Faults::none()), RECORDS.name, "R#1", &[("value", value)]).await;
    }
    put(&engine.client(Faults::none()), CALENDAR.name, "lot#0", &[]).await;
    drop(engine);

    let engine = Engine::open(&file).unwrap();
    let records = engine.stream_records(RECORDS.name, None, 100).unwrap();
    let text = |record: &Value, pointer: &str| {
        record.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {record}")).to_owned()
    };
    let events: Vec<_> = records.iter().map(|record| text(record, "/eventName")).collect();
    assert_eq!(events, ["INSERT", "MODIFY", "MODIFY"]);
    assert_eq!(text(&records[1], "/dynamodb/OldImage/value/S"), "1");
    assert_eq!(text(&records[1], "/dynamodb/NewImage/value/S"), "2");
    assert!(text(&records[0], "/eventSourceARN").contains(":table/Records/stream/"));

    let checkpoint = text(&records[1], "/dynamodb/SequenceNumber");
    let rest = engine.stream_records(RECORDS.name, Some(&checkpoint), 100).unwrap();
    assert_eq!(rest, records[2..]);
    put(&engine.client(Faults::none()), RECORDS.name, "R#1", &[("value", "4")]).await;
    assert_eq!(engine.stream_records(RECORDS.name, Some(&checkpoint), 1).unwrap(), rest, "limit, oldest first");
    assert_eq!(engine.stream_records(RECORDS.name, Some(&checkpoint), 9).unwrap().len(), 2);

    let calendar = engine.stream_records(CALENDAR.name, None, 100).unwrap();
    assert_eq!(calendar.len(), 1);
    assert_eq!(calendar[0].pointer("/dynamodb/NewImage"), None, "keys only");
}

#[tokio::test]
async fn a_write_that_changes_nothing_leaves_no_stream_record() {
    let engine = Engine::memory().unwrap();
    for _ in 0..2 {
        put(&engine.client(Faults::none()), RECORDS.name, "R#1", &[("value", "same")]).await;
    }
    let records = engine.stream_records(RECORDS.name, None, 100).unwrap();
    // DynamoDB writes none for the second put; consumers must tolerate either.
    assert!((1..=2).contains(&records.len()), "{}", records.len());
}

#[tokio::test]
async fn the_meter_counts_what_the_engine_bills() {
    let engine = Engine::memory().unwrap();
    let meter = Meter::default();
    let client = engine.metered_client(Faults::none(), meter.clone());
    put(&client, RECORDS.name, "R#1", &[("u", "U#7"), ("us", "x")]).await;
    assert_eq!(meter.reset().wru, Units::whole(2), "the item and one index entry");
    client.get_item().table_name(RECORDS.name).set_key(Some(key("R#1"))).send().await.unwrap();
    client.get_item().table_name(RECORDS.name).set_key(Some(key("R#1"))).consistent_read(true).send().await.unwrap();
    let reads = meter.snapshot();
    assert_eq!(reads["GetItem"].rru, Units::halves(3));
    assert_eq!((reads["GetItem"].calls, reads["GetItem"].items_read), (2, 2));
    assert_eq!(meter.total().wru, Units::whole(0));
}

#[tokio::test]
async fn an_expression_that_aws_would_refuse_is_refused() {
    let client = Engine::memory().unwrap().client(Faults::none());
    let condition = vec!["attribute_not_exists(a)"; 151].join(" OR ");
    let sent = client
        .put_item()
        .table_name(RECORDS.name)
        .set_item(Some(key("R#1")))
        .condition_expression(condition)
        .send()
        .await;
    let error = sent.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    assert!(error.message().unwrap().contains("operators"), "{error:?}");
}
