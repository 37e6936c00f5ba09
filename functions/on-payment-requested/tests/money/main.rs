//! The function on the real store engine and on the payment twin over loopback HTTP: whatever happens to messages, answers and processes,
//! the twin's books say what the records say.
#![cfg(test)]

mod scene;
mod spent_keys;

use aws_lambda_events::sqs::SqsEvent;
use chrono::DateTime;
use futures::future::join_all;
use on_payment_requested::handle;
use parkade_billing::ASKED_WITHIN_S;
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{PaymentStatus, Word};
use parkade_domain::reservation::{Reason, Status};
use parkade_payments::{ChargeStatus, ProviderId};
use parkade_store::{Access, Reserve};
use parkade_testkit::Faults;
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::world::order;
use parkade_twin::{FaultKind, Target, Totals};
use scene::{APPROVES, LAPSED_S, PRICE, Scene, deliver, message};

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
async fn a_card_that_asks_its_driver_waits_and_is_called_off_when_the_reservation_ends() {
    for answered in [false, true] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, "pm_card_authenticationRequired").await;
        for _ in 0..3 {
            assert!(scene.deliver(payment).await, "nothing can be done about it here");
            let (waiting, _) = scene.store.payment(payment, &Access::System).await.unwrap();
            assert_eq!((waiting.status, waiting.version), (PaymentStatus::Requested, 2));
            assert!(waiting.client_secret.is_some());
        }
        if answered {
            let intent = scene.store.payment(payment, &Access::System).await.unwrap().0.provider_reference.unwrap();
            scene.at_the_twin("POST", &format!("/_twin/authenticate/{intent}/success")).await;
        }
        scene.expire(id(1)).await;
        let mut batch = SqsEvent::default();
        batch.records = vec![message(payment, "reservation.expired.v1")];
        let now = DateTime::from_timestamp(T0_S + LAPSED_S, 0).unwrap();
        for _ in 0..2 {
            assert!(handle(&scene.cashier, now, batch.clone()).await.batch_item_failures.is_empty());
        }
        let expected = if answered { PaymentStatus::Succeeded } else { PaymentStatus::Void };
        assert_eq!(scene.status(payment).await, expected);
        // Who answered in the last moment has paid, and gets the spot that is still free (M3).
        let status = if answered { Status::Confirmed } else { Status::Expired };
        assert_eq!(scene.dossier(id(1)).await.reservation.status, status);
        scene.agree(id(1)).await;
    }
}

#[tokio::test]
async fn a_card_that_asks_the_driver_of_a_reservation_that_has_ended_meanwhile_is_called_off() {
    for ended_while_asking in [false, true] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, "pm_card_authenticationRequired").await;
        let faults = Faults::none();
        if ended_while_asking {
            let store = scene.store.clone();
            // Just before the first call of the store that follows the charge.
            faults.add_hook(move |call| {
                let (store, strikes) = (store.clone(), call.number == 3);
                async move {
                    if strikes {
                        let cancel = order(id(1), 2_000, 1, T0_S + 20);
                        store.cancel(&cancel, Reason::DriverCancelled).await.unwrap();
                    }
                }
            });
        } else {
            scene.fault(FaultKind::ExecuteThenDropReply, Target::Charge, 1);
            assert!(!scene.deliver(payment).await);
            scene.cancel(id(1)).await;
        }
        assert!(deliver(&scene.process(&faults), payment, 40).await);
        let (ended, _) = scene.store.payment(payment, &Access::System).await.unwrap();
        assert_eq!((ended.status, ended.client_secret.is_none()), (PaymentStatus::Void, true), "{ended_while_asking}");
        let charge = ProviderId::new(ended.provider_reference.unwrap()).unwrap();
        assert_eq!(scene.stripe.retrieve_payment_intent(&charge).await.unwrap().status, ChargeStatus::Canceled);
        scene.agree(id(1)).await;
    }
}

#[tokio::test]
async fn while_the_provider_does_not_answer_nobody_waits_for_it_and_the_hold_is_kept_as_long_as_the_policy_says() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    scene.fault(FaultKind::DropBefore, Target::Charge, 7);
    let hold = async || scene.dossier(id(1)).await.reservation.hold_expires_at_s.unwrap() - T0_S;
    assert_eq!(hold().await, 600);
    // Five failures within half a minute open the breaker; then the provider is not asked at all.
    for second in 0..5 {
        assert!(!deliver(&scene.cashier, payment, 430 + second).await);
    }
    assert!(hold().await > 900, "near its end, the hold was kept");
    assert!(!deliver(&scene.process(&Faults::none()), payment, 440).await, "for other processes too");
    assert_eq!(scene.faults_left().await, 2, "five of seven faults were met");
    // A probe every half minute, then the provider is back.
    assert!(!deliver(&scene.process(&Faults::none()), payment, 470).await);
    assert_eq!(scene.faults_left().await, 1);
    for now_s in (700..5_000).step_by(125) {
        deliver(&scene.process(&Faults::none()), payment, now_s).await;
    }
    assert_eq!(scene.status(payment).await, PaymentStatus::Succeeded);
    assert_eq!(scene.totals().charges, 1);
    scene.agree(id(1)).await;
}

#[tokio::test]
async fn a_hold_that_waits_for_the_provider_ends_when_the_policy_says_and_its_late_money_finds_a_spot() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    scene.fault(FaultKind::DropBefore, Target::Charge, 100);
    let longest_s = 600 + 60 * 60;
    for now_s in (430..longest_s + 300).step_by(125) {
        assert!(!deliver(&scene.process(&Faults::none()), payment, now_s).await);
        let kept_s = scene.dossier(id(1)).await.reservation.hold_expires_at_s.unwrap() - T0_S;
        assert!(kept_s <= longest_s && (kept_s > now_s || now_s >= longest_s), "{now_s}: kept until {kept_s}");
    }
    scene.at_the_twin("DELETE", "/_twin/faults").await;
    assert!(deliver(&scene.process(&Faults::none()), payment, longest_s + 400).await);
    let d = scene.dossier(id(1)).await;
    assert_eq!(d.payments[0].status, PaymentStatus::Succeeded);
    assert_eq!(d.reservation.status, Status::Confirmed, "nobody has taken its time");
    scene.agree(id(1)).await;
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
    join_all((0..5).map(|_| handle(&scene.cashier, now, batch.clone()))).await;
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
            assert!(deliver(&scene.cashier, payment, LAPSED_S).await);
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
async fn a_charge_that_became_void_while_the_provider_worked_on_it_is_recorded_and_given_back() {
    // Two deliveries at once: this one asks, the other one finds the reservation cancelled and the key not yet used.
    for answer_is_lost in [false, true] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, APPROVES).await;
        let (store, twin) = (scene.store.clone(), scene.twin.clone());
        let faults = Faults::none();
        // Just before the first call of the store that follows the charge; or never, if it does not get its answer.
        faults.add_hook(move |call| {
            let (store, strikes) = (store.clone(), call.number == 3);
            async move {
                if strikes {
                    store.cancel(&order(id(1), 2_000, 1, T0_S + 20), Reason::DriverCancelled).await.unwrap();
                    store.settle(payment, &Word::Void, T0_S + 25).await.unwrap();
                }
            }
        });
        if answer_is_lost {
            scene.fault(FaultKind::ExecuteThenDropReply, Target::Charge, 1);
            assert!(!deliver(&scene.process(&faults), payment, 30).await);
            scene.cancel(id(1)).await;
            scene.store.settle(payment, &Word::Void, T0_S + 25).await.unwrap();
            assert_eq!(twin.books().totals["eur"].refunded, 0);
            assert!(scene.deliver(payment).await);
        } else {
            assert!(deliver(&scene.process(&faults), payment, 30).await);
        }
        assert_eq!(scene.status(payment).await, PaymentStatus::Succeeded, "the provider's word wins");
        scene.settle(id(1), 40).await;
        let totals = scene.totals();
        assert_eq!((totals.charged, totals.refunded), (PRICE, PRICE), "lost: {answer_is_lost}");
        assert!(scene.deliver(payment).await, "and once more changes nothing");
        assert_eq!(scene.totals(), totals);
        scene.agree(id(1)).await;
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
    let declined = Word::Declined { code: "charge_disputed".to_owned() };
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
    let response = handle(&scene.cashier, now, batch).await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    assert_eq!(failed, ["unknown", "misrouted"]);
    assert_eq!(scene.status(good).await, PaymentStatus::Succeeded);
    assert_eq!(scene.totals().charges, 1);
}

#[tokio::test]
async fn what_is_older_than_the_providers_memory_is_looked_up_and_never_asked_for_again() {
    for charged in [false, true] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, APPROVES).await;
        if charged {
            scene.fault(FaultKind::ExecuteThenDropReply, Target::Charge, 1);
            assert!(!scene.deliver(payment).await);
        }
        // `Scene::pay` asks ten seconds after the start. The stay is over by then, so what was taken goes back.
        let after_s = 10 + ASKED_WITHIN_S + 1;
        assert!(deliver(&scene.cashier, payment, after_s).await);
        let expected = if charged { PaymentStatus::Succeeded } else { PaymentStatus::Void };
        assert_eq!(scene.status(payment).await, expected);
        scene.settle(id(1), after_s + 10).await;
        let charges = u64::from(charged);
        assert_eq!((scene.totals().charges, scene.totals().refunds), (charges, charges));
        scene.agree(id(1)).await;
    }
}
