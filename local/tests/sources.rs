//! Queues and streams deliver at least once, in order where Lambda does, retry, and dead-letter as the template says.
#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use parkade_local::consumer::QueueConsumer;
use parkade_local::function::Handler;
use parkade_local::queue::{DeadLetters, Depth, QueueSpec, Queues};
use parkade_local::stream::{Polled, StreamConsumer};
use parkade_local::table::LocalTable;
use parkade_local::template::StreamSource;
use parkade_testkit::{Engine, RECORDS};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(5);

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn queues(engine: &Engine) -> Queues {
    let dead_letters = Some(DeadLetters { queue: "Dead".into(), receives_max: 2 });
    let specs = BTreeMap::from([
        ("Work".to_owned(), QueueSpec { delay: Duration::ZERO, visibility: Duration::from_secs(60), dead_letters }),
        (
            "Dead".to_owned(),
            QueueSpec { delay: Duration::ZERO, visibility: Duration::from_secs(60), dead_letters: None },
        ),
    ]);
    Queues::open(LocalTable::open(engine.clone()).unwrap(), specs).unwrap()
}

/// What a handler was given, delivery by delivery.
type Seen = Arc<Mutex<Vec<Vec<String>>>>;

fn put(engine: &Engine, name: &str) {
    let item = json!({"pk": {"S": name}, "sk": {"S": "A"}});
    engine.call("PutItem", &json!({"TableName": RECORDS.name, "Item": item}).to_string()).unwrap();
}

/// A stream handler that notes the keys and reports those named in `poison`; a key in `panics` makes it panic.
fn stream_handler(seen: &Seen, poison: &'static [&'static str], panics: &'static [&'static str]) -> Handler {
    let seen = seen.clone();
    Handler::Stream(Arc::new(move |_, event: Event| {
        let seen = seen.clone();
        Box::pin(async move {
            let key = |record: &aws_lambda_events::dynamodb::EventRecord| -> String {
                let keys = serde_json::to_value(&record.change.keys).unwrap();
                keys.pointer("/pk/S").and_then(Value::as_str).unwrap().to_owned()
            };
            let keys: Vec<String> = event.records.iter().map(key).collect();
            seen.lock().unwrap().push(keys.clone());
            assert!(!keys.iter().any(|key| panics.contains(&key.as_str())), "a bug on this record");
            let mut response = DynamoDbEventResponse::default();
            for record in event.records.iter().filter(|record| poison.contains(&key(record).as_str())) {
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = record.change.sequence_number.clone();
                response.batch_item_failures.push(failure);
            }
            response
        })
    }))
}

fn stream_consumer(engine: &Engine, queues: &Queues, handler: Handler) -> StreamConsumer {
    let source = StreamSource {
        table: RECORDS.name.into(),
        batch_size: 4,
        bisects: true,
        retries_max: 2,
        dead_letters: Some("Dead".into()),
    };
    StreamConsumer::new("reader", source, (handler, LIMIT), engine.clone(), queues.clone()).unwrap()
}

async fn poll_until_idle(consumer: &mut StreamConsumer) -> Vec<Polled> {
    let mut polls = Vec::new();
    for _ in 0..50 {
        match consumer.poll(at(0)).await.unwrap() {
            Polled::Idle => return polls,
            polled => polls.push(polled),
        }
    }
    panic!("never idle: {polls:?}");
}

#[tokio::test]
async fn a_stream_is_delivered_in_order_and_the_checkpoint_survives_a_restart() {
    let engine = Engine::memory().unwrap();
    let queues = queues(&engine);
    let seen = Seen::default();
    ["1", "2", "3", "4", "5"].iter().for_each(|name| put(&engine, name));
    poll_until_idle(&mut stream_consumer(&engine, &queues, stream_handler(&seen, &[], &[]))).await;
    put(&engine, "6");
    poll_until_idle(&mut stream_consumer(&engine, &queues, stream_handler(&seen, &[], &[]))).await;
    assert_eq!(seen.lock().unwrap().concat(), ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn a_batch_whose_function_died_is_delivered_again_by_the_next_process() {
    let engine = Engine::memory().unwrap();
    let queues = queues(&engine);
    let seen = Seen::default();
    ["1", "2"].iter().for_each(|name| put(&engine, name));
    let mut dying = stream_consumer(&engine, &queues, stream_handler(&seen, &[], &["2"]));
    assert_eq!(dying.poll(at(0)).await.unwrap(), Polled::Failed);
    drop(dying);
    poll_until_idle(&mut stream_consumer(&engine, &queues, stream_handler(&seen, &[], &[]))).await;
    assert_eq!(seen.lock().unwrap().as_slice(), [vec!["1", "2"], vec!["1", "2"]]);
}

#[tokio::test]
async fn a_reported_record_is_retried_alone_then_dead_lettered_and_the_others_pass_once() {
    let engine = Engine::memory().unwrap();
    let queues = queues(&engine);
    let seen = Seen::default();
    ["1", "2", "3"].iter().for_each(|name| put(&engine, name));
    poll_until_idle(&mut stream_consumer(&engine, &queues, stream_handler(&seen, &["2"], &[]))).await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.as_slice(), [vec!["1", "2", "3"], vec!["2"], vec!["2"], vec!["3"]], "1 try and 2 retries of 2");
    let letters = queues.bodies("Dead").unwrap();
    assert_eq!(letters.len(), 1);
    let letter: Value = serde_json::from_str(&letters[0]).unwrap();
    assert_eq!(letter["DDBStreamBatchInfo"]["batchSize"], 1);
    assert_eq!(letter["requestContext"]["functionName"], "reader");
}

#[tokio::test]
async fn a_record_that_makes_the_function_panic_is_found_by_halving_and_blocks_nobody_else() {
    let engine = Engine::memory().unwrap();
    let queues = queues(&engine);
    let seen = Seen::default();
    ["1", "2", "3", "4", "5"].iter().for_each(|name| put(&engine, name));
    let polls = poll_until_idle(&mut stream_consumer(&engine, &queues, stream_handler(&seen, &[], &["4"]))).await;
    assert!(polls.contains(&Polled::Failed));
    let seen = seen.lock().unwrap();
    let passed: Vec<_> = seen.iter().filter(|batch| !batch.contains(&"4".to_owned())).flatten().collect();
    assert_eq!(passed, ["1", "2", "3", "5"]);
    assert_eq!(seen.iter().filter(|batch| **batch == ["4"]).count(), 3);
    assert_eq!(queues.bodies("Dead").unwrap().len(), 1);
}

/// A queue handler that notes the bodies and reports those starting with `bad`; `panic` makes it panic.
fn queue_handler(seen: &Seen) -> Handler {
    let seen = seen.clone();
    Handler::Queue(Arc::new(move |_, event: SqsEvent| {
        let seen = seen.clone();
        Box::pin(async move {
            let bodies: Vec<String> = event.records.iter().map(|record| record.body.clone().unwrap()).collect();
            seen.lock().unwrap().push(bodies.clone());
            assert!(!bodies.contains(&"panic".to_owned()), "a bug on this message");
            let mut response = SqsBatchResponse::default();
            for record in event.records.iter().filter(|record| record.body.as_ref().unwrap().starts_with("bad")) {
                response.add_failure(record.message_id.clone().unwrap());
            }
            response
        })
    }))
}

fn queue_consumer(handler: Handler) -> QueueConsumer {
    QueueConsumer { name: "worker".into(), queue: "Work".into(), batch_size: 5, handler, timeout: LIMIT }
}

#[tokio::test]
async fn a_failed_message_comes_back_after_its_time_and_then_goes_to_the_dead_letters() {
    let queues = queues(&Engine::memory().unwrap());
    let seen = Seen::default();
    let consumer = queue_consumer(queue_handler(&seen));
    ["good", "bad"].iter().for_each(|body| queues.send("Work", body, at(0)).unwrap());
    assert_eq!(consumer.poll(&queues, at(0)).await.unwrap(), Polled::Failed);
    assert_eq!(queues.depth("Work", at(0)).unwrap(), Depth { visible: 0, in_flight: 1 }, "the good one is deleted");
    assert_eq!(consumer.poll(&queues, at(59)).await.unwrap(), Polled::Idle);
    assert_eq!(consumer.poll(&queues, at(60)).await.unwrap(), Polled::Failed);
    assert_eq!(consumer.poll(&queues, at(120)).await.unwrap(), Polled::Idle);
    assert_eq!(seen.lock().unwrap().as_slice(), [vec!["good", "bad"], vec!["bad"]]);
    assert_eq!(queues.bodies("Dead").unwrap(), ["bad"]);
}

#[tokio::test]
async fn a_panic_deletes_nothing_of_its_batch() {
    let queues = queues(&Engine::memory().unwrap());
    let seen = Seen::default();
    let consumer = queue_consumer(queue_handler(&seen));
    ["good", "panic"].iter().for_each(|body| queues.send("Work", body, at(0)).unwrap());
    assert_eq!(consumer.poll(&queues, at(0)).await.unwrap(), Polled::Failed);
    assert_eq!(queues.depth("Work", at(60)).unwrap(), Depth { visible: 2, in_flight: 0 });
}
