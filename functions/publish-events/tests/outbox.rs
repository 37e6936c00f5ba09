//! The function on the stream of the real engine: what was committed is told, in order, and nothing else is.
#![cfg(test)]

use std::sync::{Arc, Mutex};

use aws_lambda_events::dynamodb::Event as StreamEvent;
use aws_lambda_events::streams::DynamoDbEventResponse;
use chrono::DateTime;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::LotId;
use parkade_domain::payment::{Means, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::Reason;
use parkade_events::{Bus, Event, NotTaken};
use parkade_store::{OutOfService, Reserve};
use parkade_testkit::RECORDS;
use parkade_tests::World;
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::world::order;
use publish_events::handle;
use serde_json::{Value, json};

/// A bus that notes what it takes, and refuses the events that `refuses` names.
#[derive(Clone, Default)]
struct Listener {
    taken: Arc<Mutex<Vec<Event>>>,
    refuses: Arc<Mutex<Vec<&'static str>>>,
}

impl Bus for Listener {
    async fn put(&self, events: &[Event]) -> Vec<Result<(), NotTaken>> {
        let one = |event: &Event| {
            if self.refuses.lock().unwrap().contains(&event.name.as_str()) {
                return Err(NotTaken { cause: "busy".to_owned() });
            }
            self.taken.lock().unwrap().push(event.clone());
            Ok(())
        };
        events.iter().map(one).collect()
    }
}

impl Listener {
    fn names(&self) -> Vec<&'static str> {
        self.taken.lock().unwrap().iter().map(|event| event.name.as_str()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|event| event.id.clone()).collect()
    }
}

async fn deliver(bus: &Listener, records: &[Value]) -> DynamoDbEventResponse {
    let batch: StreamEvent = serde_json::from_value(json!({"Records": records})).unwrap();
    handle(bus, DateTime::from_timestamp(T0_S, 0).unwrap(), batch).await
}

fn failed(response: &DynamoDbEventResponse) -> Option<&str> {
    assert!(response.batch_item_failures.len() <= 1);
    response.batch_item_failures.first().map(|failure| failure.item_identifier.as_deref().unwrap())
}

fn number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap()
}

/// A stay from the hold to the exit, a cancelled one with its refund, and a spot that is closed for an hour and opened again.
async fn day() -> World {
    let world = World::new(Shape::Hourly, 2, LotPolicy::default()).await;
    let store = world.store();
    for n in [1, 2] {
        let new = booking(n, n, vec![window(60, 120)]);
        store.reserve(&Reserve { new, spot: None, promise: None, now_s: T0_S }).await.unwrap();
        let payment = store.pay(&order(id(n), 10, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
        let taken = Word::Succeeded { reference: "pi_1".to_owned() };
        store.settle(payment.id, &taken, T0_S + 20).await.unwrap();
    }
    store.check_in(&order(id(1), 11, 1, T0_S + 3_600)).await.unwrap();
    store.check_out(&order(id(1), 12, 1, T0_S + 7_200)).await.unwrap();
    let cancelled = store.cancel(&order(id(2), 11, 1, T0_S + 30), Reason::SpotOutOfService).await.unwrap();
    let refund = cancelled.dossier.payments.last().unwrap().id;
    let returned = Word::Succeeded { reference: "re_1".to_owned() };
    store.settle(refund, &returned, T0_S + 40).await.unwrap();
    let lot = LotId::new("lot-1").unwrap();
    let closed = OutOfService {
        lot: lot.clone(),
        spot: "0002".to_owned(),
        window: window(300, 360),
        reason: "paint".to_owned(),
        key: 9,
        now_s: T0_S,
    };
    store.take_out_of_service(&closed).await.unwrap();
    assert_eq!(store.put_in_service(&lot, "0002", T0_S).await.unwrap(), 1);
    world
}

const TOLD: [&str; 16] = [
    "reservation.held.v1",
    "payment.requested.v1",
    "payment.processed.v1",
    "reservation.confirmed.v1",
    "reservation.held.v1",
    "payment.requested.v1",
    "payment.processed.v1",
    "reservation.confirmed.v1",
    "parking.entry.v1",
    "parking.exit.v1",
    "reservation.completed.v1",
    "reservation.cancelled.v1",
    "refund.requested.v1",
    "refund.processed.v1",
    "spot.status-changed.v1",
    "spot.status-changed.v1",
];

/// The events in the order of the stream; the items of one transaction may come in any order.
fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_day_is_told_once_however_often_the_stream_delivers_it() {
    let records = day().await.stream();
    let bus = Listener::default();
    assert_eq!(failed(&deliver(&bus, &records).await), None);
    assert_eq!(
        sorted(bus.names()),
        sorted(TOLD.to_vec()),
        "lots, spots and tariffs are in the stream and are not told"
    );
    let once = bus.ids();
    deliver(&bus, &records).await;
    assert_eq!(bus.ids(), [once.clone(), once.clone()].concat(), "a redelivery has the same ids");
    let mut distinct = once.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), once.len());
    let position = |name| bus.names().iter().position(|told| *told == name).unwrap();
    assert!(position("reservation.held.v1") < position("reservation.confirmed.v1"));
    assert!(position("parking.entry.v1") < position("parking.exit.v1"));
}

#[tokio::test]
async fn an_event_that_the_bus_refuses_comes_again_from_its_own_record_on() {
    let records = day().await.stream();
    for refused in ["parking.exit.v1", "reservation.held.v1", "spot.status-changed.v1"] {
        let bus = Listener::default();
        bus.refuses.lock().unwrap().push(refused);
        let response = deliver(&bus, &records).await;
        let from = records.iter().position(|record| Some(number(record)) == failed(&response)).unwrap();
        let before = Listener::default();
        assert_eq!(failed(&deliver(&before, &records[..from]).await), None);
        assert!(!before.names().contains(&refused));
        bus.refuses.lock().unwrap().clear();
        assert_eq!(failed(&deliver(&bus, &records[from..]).await), None);
        let mut told = bus.ids();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), 16, "{refused}: everything is told at last");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_holds_up_nothing_behind_it() {
    let mut records = day().await.stream();
    let damaged = records.iter().position(|record| record["dynamodb"]["NewImage"]["st"]["S"] == "checked_in").unwrap();
    records[damaged]["dynamodb"]["NewImage"]["_s"] = json!({"N": "99"});
    let bus = Listener::default();
    assert_eq!(failed(&deliver(&bus, &records).await), None);
    let mut expected = TOLD.to_vec();
    expected.retain(|name| *name != "parking.entry.v1");
    assert_eq!(sorted(bus.names()), sorted(expected));
}

#[tokio::test]
async fn a_batch_without_news_asks_the_bus_for_nothing() {
    let world = World::new(Shape::Hourly, 2, LotPolicy::default()).await;
    let records = world.engine.stream_records(RECORDS.name, None, 100).unwrap();
    assert!(!records.is_empty());
    let bus = Listener::default();
    assert_eq!(failed(&deliver(&bus, &records).await), None);
    assert!(bus.ids().is_empty());
}
