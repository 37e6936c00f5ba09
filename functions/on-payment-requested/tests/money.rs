//! The function on the real store engine and on the payment twin over loopback HTTP: whatever happens to messages, answers and processes,
//! the twin's books say what the records say.
#![cfg(test)]

use std::net::Ipv4Addr;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use chrono::DateTime;
use futures::future::join_all;
use on_payment_requested::{ASKED_WITHIN_S, Deps, handle};
use parkade_domain::decide::Dossier;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{Reason, Status};
use parkade_payments::{Config, SecretKey, StripeClient};
use parkade_store::{Access, Cause, ChargeOutcome, Order, Reserve, Store};
use parkade_testkit::Faults;
use parkade_tests::World;
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::world::order;
use parkade_twin::{Fault, FaultKind, Target, Totals, Twin};
use serde_json::json;
use tokio::net::TcpListener;

const APPROVES: &str = "pm_card_visa";
/// What the hold of [`Scene::held`] costs: an hour.
const PRICE: i64 = 400;
/// When a hold has run out.
const LAPSED_S: i64 = 700;

/// A lot of two spots, the twin, and the function.
struct Scene {
    world: World,
    store: Store,
    twin: Twin,
    deps: Deps,
}

impl Scene {
    async fn new(spots: u16) -> Self {
        let world = World::new(Shape::Hourly, spots, LotPolicy::default()).await;
        let twin = Twin::open(None).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let router = twin.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = Config::new(base_url, SecretKey::new("sk_test_twin"));
        let stripe = StripeClient::new(&Config { total_timeout: Duration::from_secs(5), ..config }).unwrap();
        let store = world.store();
        Self { deps: Deps { store: store.clone(), stripe, stage: "test".to_owned() }, world, store, twin }
    }

    /// The function in a process of its own, whose calls of the store suffer `faults`.
    fn process(&self, faults: &Faults) -> Deps {
        Deps { store: self.world.process(faults), ..self.deps.clone() }
    }

    /// A hold of the first hour by driver `n`.
    async fn held(&self, n: u64) -> ReservationId {
        let request = Reserve { new: booking(n, n, vec![window(60, 120)]), spot: None, promise: None, now_s: T0_S };
        self.store.reserve(&request).await.unwrap();
        id(n)
    }

    async fn paying(&self, n: u64, method: &str) -> PaymentId {
        let held = self.held(n).await;
        self.pay(held, method).await
    }

    async fn pay(&self, id: ReservationId, method: &str) -> PaymentId {
        let key = 1_000 + self.dossier(id).await.payments.len() as u64;
        self.store.pay(&order(id, key, 1, T0_S + 10), &Means::card(method)).await.unwrap().0.id
    }

    async fn cancel(&self, id: ReservationId) {
        self.store.cancel(&order(id, 2_000, 1, T0_S + 20), Reason::DriverCancelled).await.unwrap();
    }

    async fn expire(&self, id: ReservationId) {
        let expires_at_s = self.dossier(id).await.reservation.hold_expires_at_s.unwrap();
        self.store.expire(&Order::system(id, Cause::HoldExpiry, expires_at_s, T0_S + LAPSED_S)).await.unwrap();
    }

    /// One delivery; whether it was done.
    async fn deliver(&self, payment: PaymentId) -> bool {
        deliver(&self.deps, payment, 30).await
    }

    /// Delivers every open request, again and again, until none is left; the queue would do the same.
    async fn settle(&self, id: ReservationId, after_s: i64) {
        for _ in 0..10 {
            let open: Vec<Payment> = self.dossier(id).await.payments;
            let open: Vec<_> = open.iter().filter(|p| p.status == PaymentStatus::Requested).map(|p| p.id).collect();
            if open.is_empty() {
                return;
            }
            for payment in open {
                deliver(&self.deps, payment, after_s).await;
            }
        }
        panic!("{:?} never comes to rest", self.dossier(id).await);
    }

    async fn dossier(&self, id: ReservationId) -> Dossier {
        self.store.dossier(id, &Access::System).await.unwrap()
    }

    async fn status(&self, payment: PaymentId) -> PaymentStatus {
        self.store.payment(payment, &Access::System).await.unwrap().0.status
    }

    fn totals(&self) -> Totals {
        self.twin.books().totals.get("eur").copied().unwrap_or_default()
    }

    fn fault(&self, kind: FaultKind, on: Target, count: u32) {
        self.twin.inject(Fault { on: Some(on), count, ..Fault::new(kind) }).unwrap();
    }

    /// What the records say was taken and given back is what the twin has in its books.
    async fn agree(&self, id: ReservationId) {
        let d = self.dossier(id).await;
        let sum = |wanted: fn(&PaymentKind) -> bool| -> i64 {
            let done = d.payments.iter().filter(|p| p.status == PaymentStatus::Succeeded && wanted(&p.kind));
            done.map(|p| p.amount_minor).sum()
        };
        let charged = sum(|kind| matches!(kind, PaymentKind::Charge(_)));
        let refunded = sum(|kind| matches!(kind, PaymentKind::Refund { .. }));
        let totals = self.totals();
        assert_eq!((charged, refunded), (totals.charged, totals.refunded), "{d:?} {totals:?}");
        assert_eq!((charged, refunded), (d.reservation.paid_minor, d.reservation.refunded_minor), "{d:?}");
        assert!(d.reservation.due_minor() >= 0, "nothing is owed to the driver: {d:?}");
    }
}

fn message(payment: PaymentId, name: &str) -> SqsMessage {
    let detail =
        json!({"event_id": "e", "reservation_id": payment.reservation.to_string(), "payment_id": payment.to_string()});
    let body = json!({"source": "parkade", "detail-type": name, "detail": detail});
    let mut message = SqsMessage::default();
    (message.message_id, message.body) = (Some("m".to_owned()), Some(body.to_string()));
    message
}

async fn deliver(deps: &Deps, payment: PaymentId, after_s: i64) -> bool {
    let mut batch = SqsEvent::default();
    batch.records = vec![message(payment, "payment.requested.v1")];
    let now = DateTime::from_timestamp(T0_S + after_s, 0).unwrap();
    handle(deps, now, batch).await.batch_item_failures.is_empty()
}

#[tokio::test]
async fn an_approved_charge_confirms_the_reservation() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    assert!(scene.deliver(payment).await);
    let d = scene.dossier(id(1)).await;
    assert_eq!(
        (d.reservation.status, d.reservation.paid_minor, d.reservation.due_minor()),
        (Status::Confirmed, PRICE, 0)
    );
    let books = scene.twin.books();
    assert_eq!(books.charges.len(), 1);
    assert_eq!(Some(&books.charges[0].payment_intent), d.payments[0].provider_reference.as_ref());
    assert_eq!(books.charges[0].metadata["payment"], payment.to_string());
    scene.agree(id(1)).await;
}

#[tokio::test]
async fn a_declined_charge_leaves_the_hold_and_another_card_may_follow() {
    let scene = Scene::new(2).await;
    let held = scene.held(1).await;
    for (method, code) in [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_of_nobody", "payment_method_not_accepted"),
    ] {
        let payment = scene.pay(held, method).await;
        assert!(scene.deliver(payment).await, "{method}");
        let d = scene.dossier(held).await;
        let declined = d.payments.last().unwrap();
        assert_eq!((declined.status, declined.decline_code.as_deref()), (PaymentStatus::Declined, Some(code)));
        assert_eq!((d.reservation.status, d.reservation.paid_minor), (Status::Held, 0));
    }
    let payment = scene.pay(held, APPROVES).await;
    assert!(scene.deliver(payment).await);
    assert_eq!(scene.dossier(held).await.reservation.status, Status::Confirmed);
    assert_eq!((scene.totals().charges, scene.totals().charged), (1, PRICE));
    scene.agree(held).await;
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_asked_for_again_and_taken_once() {
    for fault in [FaultKind::DropBefore, FaultKind::ExecuteThenDropReply, FaultKind::TooManyRequests] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, APPROVES).await;
        scene.fault(fault, Target::Charge, 2);
        assert!(!scene.deliver(payment).await, "{fault:?}: the outcome is unknown, so the message comes again");
        assert_eq!(scene.status(payment).await, PaymentStatus::Requested);
        scene.settle(id(1), 40).await;
        assert_eq!(scene.dossier(id(1)).await.reservation.status, Status::Confirmed);
        assert_eq!((scene.totals().charges, scene.totals().charged), (1, PRICE), "{fault:?}");
        scene.agree(id(1)).await;
    }
}

#[tokio::test]
async fn a_charge_whose_key_answers_500_for_ever_is_never_recorded_as_anything() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    scene.fault(FaultKind::ExecuteThen500, Target::Charge, 1);
    for _ in 0..3 {
        assert!(!scene.deliver(payment).await);
    }
    assert_eq!(scene.status(payment).await, PaymentStatus::Requested);
    assert_eq!(scene.totals().charges, 1);
}

#[tokio::test]
async fn five_deliveries_charge_once_one_after_the_other_and_all_at_once() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    for _ in 0..5 {
        assert!(scene.deliver(payment).await);
    }
    scene.agree(id(1)).await;
    let payment = scene.paying(2, APPROVES).await;
    let mut batch = SqsEvent::default();
    batch.records = vec![message(payment, "payment.requested.v1"); 5];
    let now = DateTime::from_timestamp(T0_S + 30, 0).unwrap();
    join_all((0..5).map(|_| handle(&scene.deps, now, batch.clone()))).await;
    scene.settle(id(2), 40).await;
    assert_eq!((scene.totals().charges, scene.totals().charged, scene.totals().refunds), (2, 2 * PRICE, 0));
    assert_eq!(scene.dossier(id(2)).await.reservation.paid_minor, PRICE);
}

#[tokio::test]
async fn a_process_that_dies_at_any_call_of_the_store_leaves_one_charge_for_the_next_one() {
    for executed in [false, true] {
        for call in 1.. {
            let scene = Scene::new(2).await;
            let payment = scene.paying(1, APPROVES).await;
            let faults = if executed { Faults::stop_after(call) } else { Faults::stop_before(call) };
            let done = deliver(&scene.process(&faults), payment, 30).await;
            if faults.calls() < call {
                assert!(done && call > 5, "read, charge, read again, write: {call} calls");
                break;
            }
            assert!(!done, "stopped at call {call}, after it: {executed}");
            scene.settle(id(1), 40).await;
            assert_eq!(scene.dossier(id(1)).await.reservation.status, Status::Confirmed);
            assert_eq!((scene.totals().charges, scene.totals().refunds), (1, 0), "call {call}, after it: {executed}");
            scene.agree(id(1)).await;
        }
    }
}

#[tokio::test]
async fn a_reservation_that_was_cancelled_or_expired_before_the_charge_is_not_charged() {
    for cancelled in [true, false] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, APPROVES).await;
        if cancelled {
            scene.cancel(id(1)).await
        } else {
            scene.expire(id(1)).await
        }
        for _ in 0..3 {
            assert!(deliver(&scene.deps, payment, LAPSED_S).await);
            assert_eq!(scene.status(payment).await, PaymentStatus::Void);
        }
        assert_eq!(scene.totals(), Totals::default());
        scene.agree(id(1)).await;
    }
}

#[tokio::test]
async fn a_reservation_that_is_cancelled_between_charge_and_record_gets_all_of_it_back() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    // The first delivery charges and never learns it, as if its process had died.
    scene.fault(FaultKind::ExecuteThenDropReply, Target::Charge, 1);
    assert!(!scene.deliver(payment).await);
    scene.cancel(id(1)).await;
    scene.settle(id(1), 40).await;
    let d = scene.dossier(id(1)).await;
    assert_eq!(
        (d.reservation.status, d.reservation.paid_minor, d.reservation.refunded_minor),
        (Status::Cancelled, PRICE, PRICE)
    );
    assert_eq!((scene.totals().charged, scene.totals().refunded, scene.totals().refunds), (PRICE, PRICE, 1));
    scene.agree(id(1)).await;
}

#[tokio::test]
async fn a_charge_that_became_void_while_the_provider_worked_on_it_is_given_back() {
    // Two deliveries at once: this one asks, the other one finds the reservation cancelled and the key not yet used.
    for answer_is_lost in [false, true] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, APPROVES).await;
        let (store, twin) = (scene.store.clone(), scene.twin.clone());
        let faults = Faults::none();
        // Just before this delivery's second read, which follows the charge; or never, if it does not get its answer.
        faults.add_hook(move |call| {
            let (store, strikes) = (store.clone(), call.number == 2);
            async move {
                if strikes {
                    store.cancel(&order(id(1), 2_000, 1, T0_S + 20), Reason::DriverCancelled).await.unwrap();
                    store.settle(payment, &ChargeOutcome::Void, T0_S + 25).await.unwrap();
                }
            }
        });
        if answer_is_lost {
            scene.fault(FaultKind::ExecuteThenDropReply, Target::Charge, 1);
            assert!(!deliver(&scene.process(&faults), payment, 30).await);
            scene.cancel(id(1)).await;
            scene.store.settle(payment, &ChargeOutcome::Void, T0_S + 25).await.unwrap();
            assert_eq!(twin.books().totals["eur"].refunded, 0);
            assert!(scene.deliver(payment).await);
        } else {
            assert!(deliver(&scene.process(&faults), payment, 30).await);
        }
        let totals = scene.totals();
        assert_eq!((totals.charged, totals.refunded), (PRICE, PRICE), "lost: {answer_is_lost}");
        assert!(scene.deliver(payment).await, "and once more changes nothing");
        assert_eq!(scene.totals(), totals);
    }
}

#[tokio::test]
async fn a_payment_after_the_hold_gets_the_same_time_on_another_spot_or_all_its_money_back() {
    for (spots, expected) in [(2, Status::Confirmed), (1, Status::Expired)] {
        let scene = Scene::new(spots).await;
        let payment = scene.paying(1, APPROVES).await;
        let booked = scene.dossier(id(1)).await.reservation.spot;
        // The charge succeeds, its record waits; meanwhile the hold runs out and somebody takes the spot.
        scene.fault(FaultKind::ExecuteThenDropReply, Target::Charge, 1);
        assert!(!scene.deliver(payment).await);
        let number = format!("{:04}", booked.0 + 1);
        let new = booking(2, 2, vec![window(60, 120)]);
        scene.store.reserve(&Reserve { new, spot: Some(number), promise: None, now_s: T0_S + LAPSED_S }).await.unwrap();
        scene.settle(id(1), LAPSED_S).await;
        let d = scene.dossier(id(1)).await;
        assert_eq!(d.reservation.status, expected, "{spots} spots");
        if expected == Status::Confirmed {
            assert_ne!(d.reservation.spot, booked);
            assert_eq!((scene.totals().charged, scene.totals().refunded), (PRICE, 0));
        } else {
            assert_eq!(d.reservation.reason, Some(Reason::PaidTooLate));
            assert_eq!((scene.totals().charged, scene.totals().refunded), (PRICE, PRICE));
        }
        scene.agree(id(1)).await;
        let wrong = scene.world.wrong().await;
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_given_once_whatever_the_deliveries() {
    for fault in [FaultKind::DropBefore, FaultKind::ExecuteThenDropReply, FaultKind::TooManyRequests] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, APPROVES).await;
        assert!(scene.deliver(payment).await);
        // Inside the last hour before the start the driver gets nothing back, so the operator's reason is used.
        let cancel = order(id(1), 2_000, 1, T0_S + 20);
        scene.store.cancel(&cancel, Reason::SpotOutOfService).await.unwrap();
        let refund = scene.dossier(id(1)).await.payments[1].id;
        scene.fault(fault, Target::Refund, 1);
        assert!(!scene.deliver(refund).await, "{fault:?}");
        assert_eq!(scene.status(refund).await, PaymentStatus::Requested);
        join_all((0..3).map(|_| scene.deliver(refund))).await;
        scene.settle(id(1), 40).await;
        assert!(scene.deliver(refund).await && scene.deliver(payment).await, "late duplicates of both");
        assert_eq!((scene.totals().refunds, scene.totals().refunded), (1, PRICE), "{fault:?}");
        scene.agree(id(1)).await;
    }
}

#[tokio::test]
async fn what_the_provider_will_not_return_is_still_owed() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    assert!(scene.deliver(payment).await);
    scene.store.cancel(&order(id(1), 2_000, 1, T0_S + 20), Reason::SpotOutOfService).await.unwrap();
    let before = scene.dossier(id(1)).await;
    assert_eq!((before.reservation.due_minor(), before.reservation.refunded_minor), (0, PRICE));
    let declined = ChargeOutcome::Declined { code: "charge_disputed".to_owned() };
    for _ in 0..2 {
        scene.store.settle(before.payments[1].id, &declined, T0_S + 40).await.unwrap();
        let after = scene.dossier(id(1)).await;
        assert_eq!((after.reservation.due_minor(), after.reservation.refunded_minor), (-PRICE, 0), "once");
        assert_eq!(after.payments[1].status, PaymentStatus::Declined);
    }
    let wrong = scene.world.wrong().await;
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[tokio::test]
async fn what_nobody_can_carry_out_comes_again_and_the_rest_of_the_batch_is_done() {
    let scene = Scene::new(3).await;
    let good = scene.paying(2, APPROVES).await;
    let unknown = PaymentId { number: 9, ..good };
    let mut batch = SqsEvent::default();
    batch.records = vec![
        message(unknown, "payment.requested.v1"),
        message(good, "payment.processed.v1"),
        message(good, "payment.requested.v1"),
    ];
    batch.records.iter_mut().zip(["unknown", "misrouted", "good"]).for_each(|(record, id)| {
        record.message_id = Some(id.to_owned());
    });
    let now = DateTime::from_timestamp(T0_S + 30, 0).unwrap();
    let response = handle(&scene.deps, now, batch).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    assert_eq!(failed, ["unknown", "misrouted"]);
    assert_eq!(scene.status(good).await, PaymentStatus::Succeeded);
    assert_eq!(scene.totals().charges, 1);
}

#[tokio::test]
async fn what_is_older_than_the_providers_memory_is_left_to_a_person() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    // `Scene::pay` asks ten seconds after the start.
    assert!(!deliver(&scene.deps, payment, 10 + ASKED_WITHIN_S + 1).await);
    assert_eq!(scene.totals(), Totals::default());
    assert_eq!(scene.status(payment).await, PaymentStatus::Requested);
}
