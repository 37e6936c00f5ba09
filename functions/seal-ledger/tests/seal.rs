//! The function on the stream of the real engine: what was committed is booked once, and nothing else is.
#![cfg(test)]

use aws_lambda_events::dynamodb::Event as StreamEvent;
use chrono::DateTime;
use parkade_domain::geometry::Shape;
use parkade_domain::payment::Means;
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::Reason;
use parkade_ledger::{Book, Cause};
use parkade_store::{Reserve, Store};
use parkade_testkit::{Fault, Faults};
use parkade_tests::World;
use parkade_tests::books::wrongly_sealed;
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::world::order;
use seal_ledger::handle;
use serde_json::{Value, json};

const NONE: Vec<String> = Vec::new();

/// A stay from the hold to the exit and a cancellation with its refund, both paid.
async fn day() -> World {
    let world = World::new(Shape::Hourly, 2, LotPolicy::default()).await;
    let store = world.store();
    for n in [1, 2] {
        let new = booking(n, n, vec![window(60, 120)]);
        store.reserve(&Reserve { new, spot: None, promise: None, now_s: T0_S }).await.unwrap();
        let payment = store.pay(&order(id(n), 10, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
        world.deliver(&store, payment.id, false).await.unwrap();
    }
    store.check_in(&order(id(1), 11, 1, T0_S + 3_600)).await.unwrap();
    store.check_out(&order(id(1), 12, 1, T0_S + 7_200)).await.unwrap();
    let cancelled = store.cancel(&order(id(2), 11, 1, T0_S + 30), Reason::SpotOutOfService).await.unwrap();
    let refund = cancelled.dossier.payments.last().unwrap().id;
    world.deliver(&store, refund, false).await.unwrap();
    world
}

/// The sequence number of the first failed record.
async fn deliver(store: &Store, records: &[Value]) -> Option<String> {
    let batch: StreamEvent = serde_json::from_value(json!({"Records": records})).unwrap();
    let response = handle(store, DateTime::from_timestamp(T0_S, 0).unwrap(), batch).await;
    assert!(response.batch_item_failures.len() <= 1);
    response.batch_item_failures.into_iter().next().map(|failure| failure.item_identifier.unwrap())
}

fn number(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

async fn causes(world: &World) -> Vec<Cause> {
    let (book, month) = (Book::Lot(world.lot.id.clone()), "2025-02".parse().unwrap());
    let (sealed, next) = world.store().sealed(&book, month, None, 100).await.unwrap();
    assert_eq!(next, None);
    sealed.iter().map(|sealed| sealed.entry.about.cause).collect()
}

#[tokio::test(start_paused = true)]
async fn a_day_is_booked_once_however_often_and_in_whatever_pieces_the_stream_delivers_it() {
    let world = day().await;
    let records = world.stream();
    let faults = Faults::none();
    assert_eq!(deliver(&world.process(&faults), &records).await, None);
    let operations: Vec<String> = faults.log().into_iter().map(|call| call.operation).collect();
    // Lot and tariff are read once; whose payments they are is in the batch.
    assert_eq!(operations, ["BatchGetItem", "GetItem", "Query", "TransactWriteItems"]);
    assert_eq!(wrongly_sealed(&world).await, NONE);
    let once = causes(&world).await;
    assert_eq!(once, [Cause::Charge, Cause::Charge, Cause::Stay, Cause::Refund], "free cancellations earn nothing");
    assert_eq!(deliver(&world.store(), &records).await, None);
    for piece in records.chunks(1).rev() {
        assert_eq!(deliver(&world.store(), piece).await, None);
    }
    assert_eq!(causes(&world).await, once);
    assert_eq!(wrongly_sealed(&world).await, NONE);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_for_a_while_comes_again_from_its_record_on() {
    let world = day().await;
    let records = world.stream();
    for operation in ["BatchGetItem", "GetItem", "Query", "TransactWriteItems"] {
        let faults = Faults::none();
        faults.add_rule(move |call| (call.operation == operation).then_some(Fault::Throttled));
        let failed = deliver(&world.process(&faults), &records).await.unwrap();
        let from = records.iter().position(|record| number(record) == failed).unwrap();
        assert!(records[from]["dynamodb"]["NewImage"]["st"]["S"].is_string(), "{operation} fails a change of money");
    }
    assert_eq!(deliver(&world.store(), &records).await, None);
    assert_eq!(wrongly_sealed(&world).await, NONE);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_holds_up_nothing_behind_it() {
    let world = day().await;
    let mut records = world.stream();
    let damaged = records.iter().position(|record| record["dynamodb"]["NewImage"]["st"]["S"] == "completed").unwrap();
    records[damaged]["dynamodb"]["NewImage"]["_s"] = json!({"N": "99"});
    assert_eq!(deliver(&world.store(), &records).await, None);
    assert_eq!(causes(&world).await, [Cause::Charge, Cause::Charge, Cause::Refund]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_reservation_is_not_in_the_batch_costs_one_read() {
    let world = day().await;
    let payments: Vec<Value> =
        world.stream().into_iter().filter(|r| r["dynamodb"]["NewImage"]["am"]["N"].is_string()).collect();
    let faults = Faults::none();
    assert_eq!(deliver(&world.process(&faults), &payments).await, None);
    let reads = faults.log().iter().filter(|call| call.operation == "GetItem").count();
    assert_eq!(reads, 2, "one for each reservation");
    assert_eq!(causes(&world).await, [Cause::Charge, Cause::Charge, Cause::Refund]);
}
