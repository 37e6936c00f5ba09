//! The function on the real store engine, minute by minute: who is reminded, when, and that it is once.
#![cfg(test)]

#[path = "../../notify/tests/tell/outbox.rs"]
mod outbox;

use chrono::{DateTime, Utc};
use outbox::{Outbox, courier, listening, night, wants};
use parkade_domain::decide::NewReservation;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{LotId, ReservationId};
use parkade_domain::notice::{EXPIRY_LEAD_MINUTES, Occasion, REMINDER_LEAD_MINUTES};
use parkade_domain::payment::{Means, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::preferences::{Channel, Channels, Preferences};
use parkade_domain::reservation::Reason;
use parkade_domain::time::Window;
use parkade_notify::{Courier, Message, SendError, Telling, Told};
use parkade_store::{Modification, Reserve, Store};
use parkade_testkit::{Fault, Faults};
use parkade_tests::World;
use parkade_tests::given::{self, T0, T0_S, booking, id, window};
use parkade_tests::world::order;
use remind::{Report, handle};

/// The start of the usual booking, in minutes after T0, and its end.
const START: i64 = 240;
const END: i64 = 360;

struct Scene {
    world: World,
    store: Store,
    outbox: Outbox,
    courier: Courier<Outbox>,
}

impl Scene {
    async fn new(policy: LotPolicy) -> Self {
        let world = World::new(Shape::Hourly, 8, policy).await;
        let (store, outbox) = (world.store(), Outbox::default());
        Self { courier: courier(store.clone(), &outbox), world, store, outbox }
    }

    /// With the usual booking of driver 1, who hears by e-mail.
    async fn booked(policy: LotPolicy) -> Self {
        let scene = Self::new(policy).await;
        wants(&scene.store, listening(1, Channel::Email)).await;
        confirmed(&scene.store, 1, &[window(START, END)]).await;
        scene
    }

    /// One run, some minutes after T0.
    async fn run(&self, minute: i64) -> Report {
        handle(&self.courier, at(minute)).await.unwrap()
    }

    /// Runs of every minute in `[from, until)`; the minutes at which something was sent.
    async fn run_each(&self, from: i64, until: i64) -> Vec<(i64, String)> {
        let mut sent = Vec::new();
        for minute in from..until {
            self.run(minute).await;
            sent.extend(self.outbox.take().into_iter().map(|event_id| (minute, event_id)));
        }
        sent
    }
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(T0_S + minute * 60 + 7, 0).unwrap()
}

async fn confirmed(store: &Store, n: u64, windows: &[Window]) -> ReservationId {
    paid(store, Reserve { new: booking(n, n, windows.to_vec()), spot: None, promise: None, now_s: T0_S }).await;
    id(n)
}

async fn paid(store: &Store, request: Reserve) {
    let id = request.new.id;
    store.reserve(&request).await.unwrap();
    let payment = store.pay(&order(id, 10, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
    let taken = Word::Succeeded { reference: "pi_1".to_owned() };
    store.settle(payment.id, &taken, T0_S + 20).await.unwrap();
}

fn reminder(n: u64, start: i64) -> String {
    format!("{}#reminder#{}", id(n).code(), T0.plus(start).0)
}

fn expiring(n: u64, end: i64) -> String {
    format!("{}#expiring#{}", id(n).code(), T0.plus(end).0)
}

#[tokio::test]
async fn a_booking_is_reminded_of_once_a_lead_before_its_start_whatever_the_lots_grace() {
    for grace in [0, 30, 1_440] {
        let scene = Scene::booked(LotPolicy { no_show_grace_minutes: grace, ..LotPolicy::default() }).await;
        let sent = scene.run_each(START - REMINDER_LEAD_MINUTES - 3, START - REMINDER_LEAD_MINUTES + 3).await;
        assert_eq!(sent, [(START - REMINDER_LEAD_MINUTES, reminder(1, START))], "grace {grace}");
    }
}

#[tokio::test]
async fn a_vehicle_inside_is_told_before_the_booked_end_whatever_the_buffer_and_never_of_an_overstay() {
    for buffer in [0, 240] {
        let scene = Scene::booked(LotPolicy { turnover_buffer_minutes: buffer, ..LotPolicy::default() }).await;
        scene.store.check_in(&order(id(1), 11, 1, T0_S + START * 60)).await.unwrap();
        let sent = scene.run_each(END - EXPIRY_LEAD_MINUTES - 3, END - EXPIRY_LEAD_MINUTES + 3).await;
        assert_eq!(sent, [(END - EXPIRY_LEAD_MINUTES, expiring(1, END))], "buffer {buffer}");
        let claim_end = END + i64::from(buffer);
        scene.store.overstay(&order(id(1), 12, 1, T0_S + claim_end * 60)).await.unwrap();
        assert_eq!(scene.run_each(claim_end - 1, claim_end + 2).await, [], "buffer {buffer}");
    }
}

#[tokio::test]
async fn lots_of_different_policies_do_not_disturb_each_other() {
    let scene = Scene::booked(LotPolicy::default()).await;
    let mut lot = given::lot(Shape::Hourly, LotPolicy { no_show_grace_minutes: 60, ..LotPolicy::default() });
    lot.id = LotId::new("lot-2").unwrap();
    scene.store.put_lot(lot.clone(), given::documents(), None, T0_S).await.unwrap();
    scene.store.put_spots(&lot.id, given::spots(1)).await.unwrap();
    wants(&scene.store, listening(2, Channel::Email)).await;
    let new = NewReservation { lot: lot.id, ..booking(2, 2, vec![window(START + 15, END)]) };
    paid(&scene.store, Reserve { new, spot: None, promise: None, now_s: T0_S }).await;
    // Here the first lot's booking is found where the second lot's would be.
    assert_eq!(scene.run_each(START - 91, START - 88).await, []);
    let sent = scene.run_each(START - 61, START - 43).await;
    let expected = [(START - 60, reminder(1, START)), (START - 45, reminder(2, START + 15))];
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn each_date_of_a_series_is_reminded_of() {
    let scene = Scene::new(LotPolicy::default()).await;
    wants(&scene.store, listening(1, Channel::Email)).await;
    let tomorrow = window(START + 1_440, END + 1_440);
    confirmed(&scene.store, 1, &[window(START, END), tomorrow]).await;
    assert_eq!(scene.run_each(START - 61, START - 58).await, [(START - 60, reminder(1, START))]);
    scene.store.check_in(&order(id(1), 11, 1, T0_S + START * 60)).await.unwrap();
    assert_eq!(scene.run_each(END - 17, END - 14).await, [(END - 15, expiring(1, END))]);
    scene.store.check_out(&order(id(1), 12, 1, T0_S + END * 60)).await.unwrap();
    let sent = scene.run_each(START + 1_379, START + 1_382).await;
    assert_eq!(sent, [(START + 1_380, reminder(1, START + 1_440))]);
}

#[tokio::test]
async fn a_booking_that_moves_or_ends_is_reminded_of_as_it_is_then() {
    let scene = Scene::booked(LotPolicy::default()).await;
    assert_eq!(scene.run_each(START - 61, START - 58).await, [(START - 60, reminder(1, START))]);
    let later = Modification { start: Some(T0.plus(START + 60)), end: Some(T0.plus(END + 60)), spot: None };
    scene.store.modify(&order(id(1), 11, 1, T0_S + (START - 58) * 60), &later).await.unwrap();
    assert_eq!(scene.run_each(START - 1, START + 2).await, [(START, reminder(1, START + 60))]);

    let scene = Scene::booked(LotPolicy::default()).await;
    scene.store.cancel(&order(id(1), 11, 1, T0_S + 600), Reason::DriverCancelled).await.unwrap();
    assert_eq!(scene.run_each(START - 61, START - 58).await, []);
}

#[tokio::test]
async fn who_books_later_than_the_lead_has_just_been_told() {
    let scene = Scene::new(LotPolicy::default()).await;
    wants(&scene.store, listening(1, Channel::Email)).await;
    scene.run(START - 45).await;
    confirmed(&scene.store, 1, &[window(START, END)]).await;
    for minute in (START - 44..=START).step_by(4) {
        assert_eq!(scene.run(minute).await.sent, 0, "{minute}");
    }
}

#[tokio::test]
async fn minutes_without_a_run_are_caught_up_as_far_as_it_still_helps() {
    let scene = Scene::booked(LotPolicy::default()).await;
    scene.run(START - 70).await;
    assert_eq!(scene.run_each(START - 1, START + 1).await, [(START - 1, reminder(1, START))]);

    let scene = Scene::booked(LotPolicy::default()).await;
    scene.run(START - 70).await;
    assert_eq!(scene.run_each(START, START + 2).await, [], "it has begun");

    // Days later only what is about to happen is looked at.
    let scene = Scene::booked(LotPolicy::default()).await;
    confirmed(&scene.store, 2, &[window(START + 5_010, END + 5_010)]).await;
    wants(&scene.store, listening(2, Channel::Email)).await;
    scene.run(0).await;
    let report = scene.run(START + 5_009).await;
    assert_eq!((report.looked_at, report.sent), (1, 1));
    assert_eq!(scene.outbox.take(), [reminder(2, START + 5_010)]);
}

#[tokio::test]
async fn a_run_that_fails_is_done_by_the_next_and_what_it_did_is_not_done_again() {
    let scene = Scene::booked(LotPolicy::default()).await;
    wants(&scene.store, listening(2, Channel::Email)).await;
    confirmed(&scene.store, 2, &[window(START, END)]).await;
    scene.run(START - 61).await;
    scene.outbox.fail(SendError::NotSent { cause: "TooManyRequestsException".to_owned() });
    let failure = handle(&scene.courier, at(START - 60)).await.unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), ("remind_incomplete", "1 of 2 could not be told"));
    let mut sent = scene.outbox.take();
    assert_eq!(sent.len(), 1);
    assert_eq!(scene.run(START - 59).await.sent, 1);
    sent.extend(scene.outbox.take());
    sent.sort();
    let mut expected = [reminder(1, START), reminder(2, START)];
    expected.sort();
    assert_eq!(sent, expected);
    assert_eq!(scene.run_each(START - 58, START - 55).await, []);
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_to_one_call_of_the_store_a_later_run_has_told_it_once() {
    let scene = Scene::booked(LotPolicy::default()).await;
    scene.run(START - 61).await;
    let before = parkade_tests::Snapshot::take(&scene.world.engine);
    let counting = Faults::none();
    handle(&courier(scene.world.process(&counting), &scene.outbox), at(START - 60)).await.unwrap();
    assert_eq!(scene.outbox.take(), [reminder(1, START)]);
    let log = counting.log();
    // The shards of the due index are all alike: two calls of each operation stand for it.
    let picked = log.iter().filter(|call| {
        log.iter().filter(|other| other.operation == call.operation && other.number < call.number).count() < 2
    });
    for call in picked {
        for faults in [
            Faults::at(call.number, Fault::LostReply),
            Faults::at(call.number, Fault::Throttled),
            Faults::stop_before(call.number),
            Faults::stop_after(call.number),
        ] {
            before.restore(&scene.world.engine);
            let first = courier(scene.world.process(&faults), &scene.outbox);
            let broke = handle(&first, at(START - 60)).await.is_err();
            scene.run(START - 59).await;
            scene.run(START - 58).await;
            let sent = scene.outbox.take();
            let died_with_the_right = broke && call.operation == "PutItem" && sent.is_empty();
            assert!(sent == [reminder(1, START)] || died_with_the_right, "{call:?}: {sent:?}");
        }
    }
}

#[tokio::test]
async fn two_runs_at_once_tell_once() {
    let scene = Scene::booked(LotPolicy::default()).await;
    scene.run(START - 61).await;
    let faults = Faults::none();
    faults.interleave(7);
    let (one, other) = [(); 2].map(|()| courier(scene.world.process(&faults), &scene.outbox)).into();
    let (one, other) = tokio::join!(handle(&one, at(START - 60)), handle(&other, at(START - 60)));
    assert_eq!(one.unwrap().sent + other.unwrap().sent, 1);
    assert_eq!(scene.outbox.take(), [reminder(1, START)]);
}

/// A confirmation of driver 1 by text, which waits: T0 is half past ten in the evening.
async fn waiting() -> (Scene, Telling) {
    let scene = Scene::new(LotPolicy::default()).await;
    wants(&scene.store, Preferences { quiet: night(), ..listening(1, Channel::Text) }).await;
    let reservation = confirmed(&scene.store, 1, &[window(1_440, 1_500)]).await;
    let event_id = format!("{}#v2#reservation.confirmed.v1", reservation.code());
    let telling = Telling { event_id, reservation, occasion: Occasion::Confirmed };
    assert_eq!(scene.courier.tell(&telling, at(1)).await.unwrap(), Told::Waits);
    (scene, telling)
}

/// Seven in the morning, in minutes after T0.
const MORNING: i64 = 510;

#[tokio::test]
async fn what_waited_is_sent_when_quiet_hours_end_and_never_again() {
    let (scene, telling) = waiting().await;
    assert_eq!(scene.run_each(MORNING - 2, MORNING + 2).await, [(MORNING, telling.event_id.clone())]);
    for _ in 0..3 {
        assert_eq!(scene.courier.tell(&telling, at(MORNING + 5)).await.unwrap(), Told::Nothing);
    }
    assert_eq!(scene.run_each(MORNING + 6, MORNING + 8).await, []);
}

#[tokio::test]
async fn two_runs_at_once_send_what_waited_once() {
    let (scene, telling) = waiting().await;
    let faults = Faults::none();
    faults.interleave(3);
    let (one, other) = [(); 2].map(|()| courier(scene.world.process(&faults), &scene.outbox)).into();
    let (one, other) = tokio::join!(handle(&one, at(MORNING)), handle(&other, at(MORNING)));
    assert_eq!(one.unwrap().sent + other.unwrap().sent, 1);
    assert_eq!(scene.outbox.take(), [telling.event_id]);
}

#[tokio::test]
async fn the_event_that_comes_again_while_its_message_waits_changes_nothing() {
    let (scene, telling) = waiting().await;
    assert_eq!(scene.courier.tell(&telling, at(2)).await.unwrap(), Told::Nothing);
    // After the end but before the run: the queue's delivery leaves it to the run.
    assert_eq!(scene.courier.tell(&telling, at(MORNING + 1)).await.unwrap(), Told::Nothing);
    assert_eq!(scene.outbox.take(), Vec::<String>::new());
    assert_eq!(scene.run_each(MORNING + 1, MORNING + 3).await, [(MORNING + 1, telling.event_id)]);
}

#[tokio::test]
async fn what_waited_is_decided_anew() {
    let (scene, _) = waiting().await;
    scene.store.cancel(&order(id(1), 11, 1, T0_S + 600), Reason::DriverCancelled).await.unwrap();
    let report = scene.run(MORNING).await;
    assert_eq!((report.looked_at, report.sent, report.waiting), (1, 0, 0));
    assert_eq!(scene.run(MORNING + 1).await, Report::default(), "it is not looked at again");

    let (scene, telling) = waiting().await;
    let user = booking(1, 1, vec![window(0, 1)]).user;
    let told = scene.store.preferences(&user).await.unwrap();
    let told = wants(&scene.store, Preferences { channels: Channels::default(), ..told }).await;
    assert_eq!(scene.run(MORNING).await.sent, 0);
    // Whoever wants it again has asked too late.
    wants(&scene.store, Preferences { channels: listening(1, Channel::Text).channels, ..told }).await;
    assert_eq!(scene.run_each(MORNING + 1, MORNING + 3).await, []);
    assert_eq!(scene.courier.tell(&telling, at(MORNING + 5)).await.unwrap(), Told::Nothing);
}

#[tokio::test]
async fn who_sleeps_longer_gets_it_later() {
    let (scene, telling) = waiting().await;
    let user = booking(1, 1, vec![window(0, 1)]).user;
    let told = scene.store.preferences(&user).await.unwrap();
    let zone = told.quiet.unwrap().zone();
    let longer = parkade_domain::preferences::QuietHours::new(22 * 60, 8 * 60, zone).ok();
    wants(&scene.store, Preferences { quiet: longer, ..told }).await;
    let report = scene.run(MORNING).await;
    assert_eq!((report.sent, report.waiting), (0, 1));
    assert_eq!(scene.run_each(MORNING + 59, MORNING + 62).await, [(MORNING + 60, telling.event_id)]);
}

#[tokio::test]
async fn what_waited_and_was_not_sent_waits_on() {
    let (scene, telling) = waiting().await;
    scene.outbox.fail(SendError::NotSent { cause: "Throttling".to_owned() });
    assert_eq!(handle(&scene.courier, at(MORNING)).await.unwrap_err().code, "remind_incomplete");
    assert_eq!(scene.run_each(MORNING + 1, MORNING + 8).await, [(MORNING + 5, telling.event_id)]);
}

#[tokio::test]
async fn what_could_not_be_sent_for_days_is_given_up() {
    let (scene, telling) = waiting().await;
    let report = scene.run(3 * 1_440 + MORNING).await;
    assert_eq!((report.looked_at, report.sent), (1, 0));
    assert_eq!(scene.courier.tell(&telling, at(3 * 1_440 + MORNING + 1)).await.unwrap(), Told::Nothing);
}

#[tokio::test]
async fn a_reminder_by_text_that_waits_beyond_the_start_is_not_sent() {
    let scene = Scene::new(LotPolicy::default()).await;
    wants(&scene.store, Preferences { quiet: night(), ..listening(1, Channel::Text) }).await;
    confirmed(&scene.store, 1, &[window(START, END)]).await;
    confirmed(&scene.store, 2, &[window(MORNING + 30, MORNING + 90)]).await;
    wants(&scene.store, Preferences { quiet: night(), ..listening(2, Channel::Text) }).await;
    for minute in (START - 61..MORNING).step_by(15) {
        assert_eq!(scene.run(minute).await.sent, 0, "{minute}");
    }
    assert_eq!(scene.run(MORNING).await.sent, 1);
    let messages = scene.outbox.messages();
    let [Message::Text { text, .. }] = messages.as_slice() else { panic!("one text: {messages:?}") };
    assert!(text.starts_with("Parkade: Ihre Buchung für Main street beginnt um 07:30 Uhr."), "{text}");
}
