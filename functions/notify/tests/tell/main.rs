//! The function on the real store engine: each event is told once at most and, unless a process died in between, once at least.
#![cfg(test)]

mod outbox;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use chrono::{DateTime, Utc};
use notify::handle;
use outbox::{Outbox, courier, listening, night, wants};
use parkade_domain::adjustment::ViolationKind;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{ReservationId, UserId};
use parkade_domain::payment::{Means, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::preferences::{Channel, Channels, Preferences};
use parkade_domain::reservation::Reason;
use parkade_events::EventName;
use parkade_notify::{Courier, Message, SendError};
use parkade_store::{Access, Cause, Modification, Order, Reserve, Store};
use parkade_testkit::{Fault, Faults, RECORDS, Rates};
use parkade_tests::given::{T0, T0_S, booking, id, window};
use parkade_tests::world::order;
use parkade_tests::{Random, Snapshot, World};
use serde_json::{Value, json};

/// Times that each event is delivered.
const DELIVERIES: usize = 5;
const FAULTS: [Fault; 6] = [
    Fault::LostRequest,
    Fault::LostReply,
    Fault::TimedOut,
    Fault::Throttled,
    Fault::TransactionConflict,
    Fault::ServerError,
];

/// An event as the queue holds it.
fn event(name: EventName, reservation: ReservationId, more: &[(&str, Value)]) -> (String, String) {
    let event_id = format!("{}#v2#{}", reservation.code(), name.as_str());
    let mut detail = json!({"event_id": event_id, "lot_id": "lot-1", "reservation_id": reservation.to_string()});
    for (field, value) in more {
        detail[*field] = value.clone();
    }
    let body = json!({"source": "parkade", "detail-type": name.as_str(), "detail": detail}).to_string();
    (event_id, body)
}

fn payment(reservation: ReservationId, number: u8) -> (&'static str, Value) {
    ("payment_id", json!(format!("pay_{}_{number}", reservation.code())))
}

fn batch(bodies: &[&str]) -> SqsEvent {
    let mut batch = SqsEvent::default();
    for (number, body) in bodies.iter().enumerate() {
        let mut message = SqsMessage::default();
        (message.message_id, message.body) = (Some(number.to_string()), Some((*body).to_owned()));
        batch.records.push(message);
    }
    batch
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(T0_S + 30, 0).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Whether one delivery was done.
async fn deliver(courier: &Courier<Outbox>, now: DateTime<Utc>, body: &str) -> bool {
    handle(courier, now, batch(&[body])).await.batch_item_failures.is_empty()
}

async fn confirmed(store: &Store, n: u64) -> ReservationId {
    let new = booking(n, n, vec![window(60, 120)]);
    store.reserve(&Reserve { new, spot: None, promise: None, now_s: T0_S }).await.unwrap();
    let payment = store.pay(&order(id(n), 10, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
    let taken = Word::Succeeded { reference: "pi_1".to_owned() };
    store.settle(payment.id, &taken, T0_S + 20).await.unwrap();
    id(n)
}

struct Scene {
    world: World,
    store: Store,
    outbox: Outbox,
    courier: Courier<Outbox>,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new(Shape::Hourly, 8, LotPolicy::default()).await;
        let (store, outbox) = (world.store(), Outbox::default());
        Self { courier: courier(store.clone(), &outbox), world, store, outbox }
    }

    fn process(&self, faults: &Faults) -> Courier<Outbox> {
        courier(self.world.process(faults), &self.outbox)
    }

    /// Six drivers who hear by e-mail, and an event of each kind: all are worth telling.
    async fn eventful(&self) -> Vec<(String, String)> {
        for n in 1..=6 {
            wants(&self.store, listening(n, Channel::Email)).await;
        }
        let extended = confirmed(&self.store, 1).await;
        let wish = Modification { start: None, end: Some(T0.plus(180)), spot: None };
        self.store.modify(&order(extended, 11, 1, T0_S + 25), &wish).await.unwrap();

        let new = booking(2, 2, vec![window(60, 120)]);
        self.store.reserve(&Reserve { new, spot: None, promise: None, now_s: T0_S }).await.unwrap();
        let failed = self.store.pay(&order(id(2), 10, 1, T0_S + 10), &Means::card("pm_1")).await.unwrap().payment;
        let declined = Word::Declined { code: "card_declined".to_owned() };
        self.store.settle(failed.id, &declined, T0_S + 20).await.unwrap();

        let cancelled = confirmed(&self.store, 3).await;
        self.store.cancel(&order(cancelled, 12, 1, T0_S + 25), Reason::SpotOutOfService).await.unwrap();
        let d = self.store.dossier(cancelled, &Access::System).await.unwrap();
        let given = Word::Succeeded { reference: "re_1".to_owned() };
        self.store.settle(d.payments[1].id, &given, T0_S + 26).await.unwrap();

        let missed = confirmed(&self.store, 4).await;
        let gone = Order::system(missed, Cause::NoShow, T0.plus(60).0, T0_S + 6_000);
        self.store.no_show(&gone, false).await.unwrap();

        let wrong = ViolationKind::WrongSpot;
        for n in [5, 6] {
            let inside = confirmed(&self.store, n).await;
            self.store.check_in(&order(inside, 13, 1, T0_S + 3_600)).await.unwrap();
            self.store.record_violation(&order(inside, 14, 1, T0_S + 4_000), wrong).await.unwrap();
        }
        self.store.void_violation(&order(id(6), 15, 1, T0_S + 5_000), 1).await.unwrap();
        let first = [("violation_number", json!(1))];

        let spot = self.store.dossier(extended, &Access::System).await.unwrap().reservation.spot.0;
        let place = |end: i64| {
            let (start, end) = (T0.plus(60).to_string(), T0.plus(end).to_string());
            json!({"spot_index": spot, "start_time": start, "end_time": end})
        };
        let mut moved: Vec<(&str, Value)> = vec![("previous", place(120))];
        let after = place(180);
        moved.extend(["spot_index", "start_time", "end_time"].map(|field| (field, after[field].clone())));
        vec![
            event(EventName::ReservationConfirmed, extended, &[]),
            event(EventName::ReservationModified, extended, &moved),
            event(EventName::ReceiptIssued, extended, &[("receipt_id", json!("rcp_1"))]),
            event(EventName::PaymentFailed, id(2), &[payment(id(2), 1)]),
            event(EventName::RefundProcessed, cancelled, &[payment(cancelled, 2)]),
            event(EventName::ReservationNoShow, missed, &[]),
            event(EventName::ViolationDetected, id(5), &first),
            event(EventName::ViolationVoided, id(6), &first),
        ]
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test(start_paused = true)]
async fn each_event_is_told_once_though_it_comes_five_times_in_any_order_and_the_store_fails() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let before = Snapshot::take(&scene.world.engine);
    let expected = sorted(events.iter().map(|(id, _)| id.clone()).collect());
    let rates =
        Rates { lost_request: 30, lost_reply: 30, timed_out: 30, throttled: 30, server_error: 30, ..Rates::default() };
    for seed in 0..20 {
        before.restore(&scene.world.engine);
        let mut random = Random::new(seed);
        let mut deliveries: Vec<&String> = events.iter().flat_map(|(_, body)| [body; DELIVERIES]).collect();
        for last in (1..deliveries.len()).rev() {
            deliveries.swap(last, random.below(last + 1));
        }
        let process = scene.process(&Faults::random(seed, rates));
        let mut again = Vec::new();
        for body in deliveries {
            if !deliver(&process, now(), body).await {
                again.push(body);
            }
        }
        for body in again {
            assert!(deliver(&scene.courier, now(), body).await);
        }
        assert_eq!(sorted(scene.outbox.take()), expected, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_to_one_call_of_the_store_the_event_is_told_once() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let before = Snapshot::take(&scene.world.engine);
    let (event_id, body) = &events[0];
    let counting = Faults::none();
    assert!(deliver(&scene.process(&counting), now(), body).await);
    assert_eq!(scene.outbox.take(), [event_id.as_str()]);
    for call in 1..=counting.calls() {
        for fault in FAULTS {
            before.restore(&scene.world.engine);
            let first = scene.process(&Faults::at(call, fault));
            deliver(&first, now(), body).await;
            for _ in 1..DELIVERIES {
                assert!(deliver(&scene.courier, now(), body).await, "{fault:?} at {call}");
            }
            assert_eq!(scene.outbox.take(), [event_id.as_str()], "{fault:?} at {call}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_never_makes_a_second_message_and_loses_one_only_between_right_and_send() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let before = Snapshot::take(&scene.world.engine);
    let (event_id, body) = &events[0];
    let counting = Faults::none();
    assert!(deliver(&scene.process(&counting), now(), body).await);
    scene.outbox.take();
    let log = counting.log();
    for call in &log {
        for (faults, executed) in [(Faults::stop_before(call.number), false), (Faults::stop_after(call.number), true)] {
            before.restore(&scene.world.engine);
            assert!(!deliver(&scene.process(&faults), now(), body).await);
            for _ in 1..DELIVERIES {
                assert!(deliver(&scene.courier, now(), body).await);
            }
            let lost = executed && call.operation == "PutItem";
            let expected = if lost { Vec::new() } else { vec![event_id.as_str()] };
            assert_eq!(scene.outbox.take(), expected, "{call:?}, executed: {executed}");
        }
    }
    assert!(log.iter().any(|call| call.operation == "PutItem"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_try_that_did_not_get_the_right_never_gives_back_anothers() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let (event_id, body) = &events[0];
    assert!(deliver(&scene.courier, now(), body).await);
    let faults = Faults::none();
    faults.add_rule(|call| (call.operation == "PutItem").then_some(Fault::LostRequest));
    assert!(!deliver(&scene.process(&faults), now(), body).await, "whether it got the right is unknown to it");
    assert!(deliver(&scene.courier, now(), body).await);
    assert_eq!(scene.outbox.take(), [event_id.as_str()]);
}

#[tokio::test]
async fn two_deliveries_at_once_make_one_message() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let before = Snapshot::take(&scene.world.engine);
    let (event_id, body) = &events[0];
    for seed in 0..20 {
        before.restore(&scene.world.engine);
        let faults = Faults::none();
        faults.interleave(seed);
        let (one, other) = (scene.process(&faults), scene.process(&faults));
        let done = tokio::join!(deliver(&one, now(), body), deliver(&other, now(), body));
        assert_eq!(done, (true, true));
        assert_eq!(scene.outbox.take(), [event_id.as_str()], "seed {seed}");
    }
}

#[tokio::test]
async fn what_was_certainly_not_sent_comes_again_and_nothing_else_does() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let cause = || "TooManyRequestsException".to_owned();
    let (event_id, body) = &events[0];
    for _ in 0..2 {
        scene.outbox.fail(SendError::NotSent { cause: cause() });
        assert!(!deliver(&scene.courier, now(), body).await);
        assert_eq!(scene.outbox.take(), Vec::<String>::new());
    }
    assert!(deliver(&scene.courier, now(), body).await);
    assert_eq!(scene.outbox.take(), [event_id.as_str()]);
    for (error, sent) in [(SendError::Unknown { cause: cause() }, 1), (SendError::Undeliverable { cause: cause() }, 0)]
    {
        let (_, body) = &events[3 + sent];
        scene.outbox.fail(error);
        for _ in 0..DELIVERIES {
            assert!(deliver(&scene.courier, now(), body).await);
        }
        assert_eq!(scene.outbox.take().len(), sent);
    }
}

#[tokio::test]
async fn nobody_is_told_who_has_not_asked_for_it_and_that_is_no_failure() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let body = &events[0].1;
    let listening = scene.store.preferences(&UserId::new("driver-1").unwrap()).await.unwrap();
    let written = |scene: &Scene| Snapshot::take(&scene.world.engine).table(RECORDS.name).count();
    let before = written(&scene);
    // Another topic, no contact for the channel, and nothing at all.
    let receipts = Channels { receipts: Some(Channel::Email), ..Channels::default() };
    let mut told = wants(&scene.store, Preferences { channels: receipts, ..listening.clone() }).await;
    assert!(deliver(&scene.courier, now(), body).await);
    told = wants(&scene.store, Preferences { channels: listening.channels, email: None, ..told }).await;
    assert!(deliver(&scene.courier, now(), body).await);
    wants(&scene.store, Preferences { channels: Channels::default(), ..told }).await;
    assert!(deliver(&scene.courier, now(), body).await);
    assert_eq!((scene.outbox.take(), written(&scene)), (Vec::new(), before));

    let silent = confirmed(&scene.store, 7).await;
    assert!(deliver(&scene.courier, now(), &event(EventName::ReservationConfirmed, silent, &[]).1).await);
    assert_eq!(scene.outbox.take(), Vec::<String>::new());
}

#[tokio::test]
async fn a_message_is_in_the_drivers_language_and_shows_the_code_as_the_gate_takes_it() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    assert!(deliver(&scene.courier, now(), &events[0].1).await);
    let messages = scene.outbox.messages();
    let [Message::Email { to, mail }] = messages.as_slice() else { panic!("one e-mail: {messages:?}") };
    assert_eq!(to.as_str(), "driver@example.com");
    assert_eq!(mail.subject, "Ihre Buchung für Main street ist bestätigt");
    let code = mail.text.lines().find_map(|line| line.strip_prefix("Code für die Schranke: ")).unwrap();
    assert_eq!(ReservationId::from_code(code).unwrap(), id(1));
    assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [4, 4, 5]);
}

#[tokio::test]
async fn in_quiet_hours_only_an_urgent_e_mail_goes_and_the_rest_waits_until_they_end() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    for n in 1..=6 {
        let user = UserId::new(format!("driver-{n}")).unwrap();
        let listening = scene.store.preferences(&user).await.unwrap();
        wants(&scene.store, Preferences { quiet: night(), ..listening }).await;
    }
    // In Berlin's summer, in its winter, and in the two nights between.
    for (evening, morning) in [
        ("2026-07-01T20:30:00Z", "2026-07-02T05:00:00Z"),
        ("2026-12-01T21:30:00Z", "2026-12-02T06:00:00Z"),
        ("2026-03-28T21:30:00Z", "2026-03-29T05:00:00Z"),
        ("2026-10-24T20:30:00Z", "2026-10-25T06:00:00Z"),
    ] {
        let before = Snapshot::take(&scene.world.engine);
        for (_, body) in &events {
            assert!(
                deliver(&scene.courier, at(evening), body).await && deliver(&scene.courier, at(evening), body).await
            );
        }
        let urgent = sorted(vec![events[0].0.clone(), events[3].0.clone()]);
        assert_eq!(sorted(scene.outbox.take()), urgent, "{evening}");
        let morning_s = at(morning).timestamp();
        assert_eq!(scene.store.notices_due(morning_s - 1).await.unwrap(), Vec::<String>::new(), "{evening}");
        let due = sorted(scene.store.notices_due(morning_s).await.unwrap());
        let waiting = [1, 2, 4, 5, 6, 7].map(|position: usize| events[position].0.clone());
        assert_eq!(due, sorted(waiting.to_vec()), "{evening}");
        before.restore(&scene.world.engine);
    }
}

#[tokio::test]
async fn a_text_waits_however_urgent() {
    let scene = Scene::new().await;
    let told = Preferences { quiet: night(), ..listening(1, Channel::Text) };
    wants(&scene.store, told).await;
    let (event_id, body) = event(EventName::ReservationConfirmed, confirmed(&scene.store, 1).await, &[]);
    // T0 is half past ten in the evening in Berlin.
    assert!(deliver(&scene.courier, now(), &body).await);
    assert_eq!(scene.outbox.take(), Vec::<String>::new());
    assert_eq!(scene.store.notices_due(T0_S + 9 * 3_600).await.unwrap(), [event_id]);
}

#[tokio::test]
async fn what_cannot_be_told_comes_again_and_the_rest_of_the_batch_is_done() {
    let scene = Scene::new().await;
    let events = scene.eventful().await;
    let unknown = event(EventName::ReservationConfirmed, id(99), &[]).1;
    let misrouted = event(EventName::ParkingEntry, id(1), &[]).1;
    let no_payment = event(EventName::PaymentFailed, id(2), &[]).1;
    let no_receipt = event(EventName::ReceiptIssued, id(1), &[]).1;
    let no_previous = event(EventName::ReservationModified, id(1), &[]).1;
    let long = events[0].1.replace(&events[0].0, &"x".repeat(300));
    let bodies = [&unknown, &misrouted, &no_payment, &no_receipt, &long, "{}", &no_previous, &events[0].1];
    let response = handle(&scene.courier, now(), batch(&bodies)).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    assert_eq!(failed, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(scene.outbox.take(), [events[0].0.clone()]);
}
