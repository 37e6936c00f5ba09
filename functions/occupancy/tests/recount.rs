//! The function on the stream of the real engine: each changed page is recounted once, and the count is what the calendar says.
#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};

use aws_lambda_events::dynamodb::Event as StreamEvent;
use chrono::DateTime;
use occupancy::handle;
use parkade_domain::geometry::Shape;
use parkade_domain::policy::LotPolicy;
use parkade_domain::vehicle::VehicleClass;
use parkade_store::{LotPage, Reserve, Store};
use parkade_testkit::{CALENDAR, Fault, Faults};
use parkade_tests::World;
use parkade_tests::given::{T0, T0_S, booking, window};
use serde_json::{Value, json};

/// Four bookings of one day and one of the day after, on a lot of six spots.
async fn booked() -> World {
    let world = World::new(Shape::Hourly, 6, LotPolicy::default()).await;
    let store = world.store();
    for (n, from) in [(1, 60), (2, 60), (3, 60), (4, 120), (5, 60 + 1_440)] {
        let new = booking(n, n, vec![window(from, from + 60)]);
        store.reserve(&Reserve { new, spot: None, promise: None, now_s: T0_S }).await.unwrap();
    }
    world
}

fn records(world: &World) -> Vec<Value> {
    world.engine.stream_records(CALENDAR.name, None, 100).unwrap()
}

/// The sequence number of the first failed record.
async fn deliver(store: &Store, records: &[Value]) -> Option<String> {
    let batch: StreamEvent = serde_json::from_value(json!({"Records": records})).unwrap();
    let response = handle(store, DateTime::from_timestamp(T0_S, 0).unwrap(), batch).await;
    assert!(response.batch_item_failures.len() <= 1);
    response.batch_item_failures.into_iter().next().map(|failure| failure.item_identifier.unwrap())
}

fn page(record: &Value) -> LotPage {
    let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str().unwrap().to_owned();
    parkade_store::lot_page(&key("pk"), &key("sk")).unwrap()
}

fn number(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

fn writes(faults: &Faults) -> usize {
    faults.log().iter().filter(|call| call.writes()).count()
}

#[tokio::test]
async fn each_page_of_a_batch_is_recounted_once_from_the_calendar() {
    let world = booked().await;
    let records = records(&world);
    assert_eq!(records.len(), 5);
    let faults = Faults::none();
    assert_eq!(deliver(&world.process(&faults), &records).await, None);
    assert_eq!(writes(&faults), 2, "one item for each of the two days");
    let lot = world.lot.id.clone();
    let days =
        world.store().occupancy(&[(lot.clone(), page(&records[0]).page), (lot, page(&records[4]).page)]).await.unwrap();
    let mut free: Vec<_> =
        days.iter().map(|day| day.free_for(VehicleClass::Standard, day.starts, day.starts.plus(1_440))).collect();
    free.sort_unstable();
    assert_eq!(free, [3, 5], "the fullest hour of each day");
    let today = days.iter().find(|day| day.starts <= T0 && T0 < day.starts.plus(1_440)).unwrap();
    assert_eq!(today.free_for(VehicleClass::Standard, T0.plus(-120), T0.plus(-60)), 6);
}

#[tokio::test]
async fn a_page_that_fails_comes_again_with_its_first_record_and_the_others_are_counted() {
    let world = booked().await;
    let records = records(&world);
    // One query for each of two pages, which the SDK sends three times: five failures are the end of one of them.
    let (faults, queries) = (Faults::none(), AtomicU32::new(0));
    faults.add_rule(move |call| {
        let strikes = call.operation == "Query" && queries.fetch_add(1, Ordering::SeqCst) < 5;
        strikes.then_some(Fault::ServerError)
    });
    let failed = deliver(&world.process(&faults), &records).await.unwrap();
    assert!(failed == number(&records[0]) || failed == number(&records[4]), "{failed}");
    assert_eq!(writes(&faults), 1, "the other page was counted");
    assert_eq!(deliver(&world.store(), &records).await, None);
    assert_eq!(deliver(&world.store(), &records).await, None, "and once more changes nothing");
}

#[tokio::test]
async fn housekeeping_is_not_counted_and_a_record_without_a_page_is_a_failure() {
    let world = booked().await;
    let mut records = records(&world);
    records[0]["eventName"] = json!("REMOVE");
    let faults = Faults::none();
    assert_eq!(deliver(&world.process(&faults), &records[..1]).await, None);
    assert_eq!(faults.calls(), 0);
    records[1]["dynamodb"]["Keys"]["sk"] = json!({"S": "A"});
    assert_eq!(deliver(&world.store(), &records).await, Some(number(&records[1])));
}
