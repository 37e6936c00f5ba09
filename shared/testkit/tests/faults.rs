//! Faults strike where and when the plan says, and what the SDK makes of each is known.
#![cfg(test)]

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use parkade_testkit::{Engine, Fault, Faults, Meter, RECORDS, Rates};

fn item(pk: &str) -> HashMap<String, AttributeValue> {
    ["pk", "sk"].into_iter().map(|name| (name.to_owned(), AttributeValue::S(pk.into()))).collect()
}

/// Puts a new item; the code of the refusal if any.
async fn put_new(client: &Client, pk: &str) -> Result<(), String> {
    let put = client.put_item().table_name(RECORDS.name).set_item(Some(item(pk)));
    let sent = put.condition_expression("attribute_not_exists(pk)").send().await;
    sent.map(|_| ()).map_err(|error| error.code().unwrap_or("no answer").to_owned())
}

async fn exists(engine: &Engine, pk: &str) -> bool {
    let get = engine.client(Faults::none()).get_item().table_name(RECORDS.name).set_key(Some(item(pk)));
    get.send().await.unwrap().item.is_some()
}

async fn transact(client: &Client, pks: &[&str]) -> Result<(), SdkError<TransactWriteItemsError>> {
    let mut request = client.transact_write_items();
    for pk in pks {
        let put = Put::builder().table_name(RECORDS.name).set_item(Some(item(pk))).build().unwrap();
        request = request.transact_items(TransactWriteItem::builder().put(put).build());
    }
    request.send().await.map(|_| ())
}

#[tokio::test]
async fn the_sdk_retries_what_may_not_have_arrived() {
    for fault in [Fault::LostRequest, Fault::Throttled, Fault::ThroughputExceeded, Fault::ServerError] {
        let engine = Engine::memory().unwrap();
        let faults = Faults::at(1, fault);
        assert_eq!(put_new(&engine.client(faults.clone()), "a").await, Ok(()), "{fault:?}");
        assert_eq!(faults.calls(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn after_a_lost_reply_the_sdks_own_retry_meets_its_own_first_try() {
    for fault in [Fault::LostReply, Fault::TimedOut] {
        let engine = Engine::memory().unwrap();
        let refused = put_new(&engine.client(Faults::at(1, fault)), "a").await;
        assert_eq!(refused, Err("ConditionalCheckFailedException".into()), "{fault:?}");
        assert!(exists(&engine, "a").await, "{fault:?}");
    }
}

#[tokio::test]
async fn a_transaction_conflict_is_not_retried_and_writes_nothing() {
    for (fault, code) in
        [(Fault::TransactionConflict, "TransactionConflict"), (Fault::TransactionThrottled, "ThrottlingError")]
    {
        let engine = Engine::memory().unwrap();
        let faults = Faults::at(1, fault);
        let error = transact(&engine.client(faults.clone()), &["a", "b"]).await.unwrap_err().into_service_error();
        let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { panic!("{error:?}") };
        let codes: Vec<_> = cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
        assert_eq!(codes, ["None", code]);
        assert_eq!(faults.calls(), 1);
        assert!(!exists(&engine, "a").await);
    }
}

#[tokio::test]
async fn a_conflict_does_not_strike_a_read() {
    let engine = Engine::memory().unwrap();
    let faults = Faults::at(1, Fault::TransactionConflict);
    let client = engine.client(faults.clone());
    client.get_item().table_name(RECORDS.name).set_key(Some(item("a"))).send().await.unwrap();
    assert_eq!(faults.calls(), 1);
}

#[tokio::test]
async fn a_stop_lets_no_later_call_through_until_it_is_lifted() {
    for (faults, first_is_written) in [(Faults::stop_before(1), false), (Faults::stop_after(1), true)] {
        let engine = Engine::memory().unwrap();
        let client = engine.client(faults.clone());
        assert_eq!(put_new(&client, "a").await, Err("no answer".into()));
        assert_eq!(faults.calls(), 1, "a dead process does not retry");
        assert_eq!(put_new(&client, "b").await, Err("no answer".into()));
        assert_eq!(exists(&engine, "a").await, first_is_written);
        assert!(!exists(&engine, "b").await);
        faults.lift();
        assert_eq!(put_new(&client, "b").await, Ok(()));
    }
}

#[tokio::test]
async fn the_same_seed_strikes_the_same_calls() {
    let mut outcomes = Vec::new();
    for seed in [7, 7, 8] {
        let rates = Rates { throttled: 200, lost_reply: 100, transaction_conflict: 300, ..Rates::default() };
        let engine = Engine::memory().unwrap();
        let client = engine.client(Faults::random(seed, rates));
        let mut outcome = Vec::new();
        for number in 0..60 {
            outcome.push(transact(&client, &[&number.to_string()]).await.is_ok());
        }
        outcomes.push(outcome);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_ne!(outcomes[0], outcomes[2]);
    let failed = outcomes[0].iter().filter(|ok| !**ok).count();
    assert!((10..30).contains(&failed), "about 30 % conflicts reach the caller: {failed} of 60");
}

#[tokio::test]
async fn a_rule_sees_every_call() {
    let engine = Engine::memory().unwrap();
    let faults = Faults::none();
    faults.add_rule(|call| (call.writes() && call.number % 2 == 1).then_some(Fault::Throttled));
    let meter = Meter::default();
    let client = engine.metered_client(faults.clone(), meter.clone());
    for pk in ["a", "b", "c"] {
        assert_eq!(put_new(&client, pk).await, Ok(()));
    }
    assert_eq!((faults.calls(), meter.total().calls), (6, 3));
    assert!(faults.log().iter().all(|call| call.operation == "PutItem"));
}

/// The order in which four tasks of two calls each got their turns.
async fn interleaving(seed: u64) -> Vec<String> {
    let engine = Engine::memory().unwrap();
    let faults = Faults::none();
    faults.interleave(seed);
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (client, order) = (engine.client(faults.clone()), order.clone());
            tokio::spawn(async move {
                for call in 0..2 {
                    put_new(&client, &format!("{task}{call}")).await.unwrap();
                    order.lock().unwrap().push(format!("{task}{call}"));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let order = order.lock().unwrap();
    order.clone()
}

#[tokio::test]
async fn the_seed_decides_how_tasks_interleave() {
    let orders = [interleaving(1).await, interleaving(1).await, interleaving(2).await, interleaving(3).await];
    assert_eq!(orders[0], orders[1]);
    assert!(orders[0] != orders[2] || orders[0] != orders[3]);
}

#[tokio::test]
async fn a_hook_is_awaited_before_each_call() {
    let engine = Engine::memory().unwrap();
    let faults = Faults::none();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let waiting = gate.clone();
    faults.add_hook(move |_| {
        let gate = waiting.clone();
        async move { gate.acquire().await.unwrap().forget() }
    });
    let client = engine.client(faults.clone());
    let put = tokio::spawn(async move { put_new(&client, "a").await });
    while faults.calls() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!exists(&engine, "a").await);
    gate.add_permits(1);
    assert_eq!(put.await.unwrap(), Ok(()));
}
