//! Keys that say nothing any more: a saved 5xx, whether or not the call was carried out, or a key that the provider has forgotten.

use futures::future::join_all;
use parkade_billing::{ASKED_WITHIN_S, FOUND_WITHIN_S};
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Means, PaymentStatus};
use parkade_domain::reservation::{Reason, Status};
use parkade_payments::{ProviderId, RefundRequest};
use parkade_tests::given::{T0_S, id};
use parkade_tests::world::order;
use parkade_twin::{FaultKind, Target, Totals};

use crate::scene::{APPROVES, LAPSED_S, PRICE, Scene, deliver};

#[tokio::test]
async fn a_charge_or_refund_whose_key_answers_500_for_ever_is_looked_up() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    scene.fault(FaultKind::ExecuteThen500, Target::Charge, 1);
    assert!(!scene.deliver(payment).await, "a first 500 may be anything");
    assert_eq!(scene.status(payment).await, PaymentStatus::Requested);
    assert!(scene.deliver(payment).await, "a repeated one is the key's last word");
    assert_eq!(scene.dossier(id(1)).await.reservation.status, Status::Confirmed);
    scene.store.cancel(&order(id(1), 2_000, 1, T0_S + 20), Reason::SpotOutOfService).await.unwrap();
    let refund = scene.dossier(id(1)).await.payments[1].id;
    scene.fault(FaultKind::ExecuteThen500, Target::Refund, 1);
    assert!(!scene.deliver(refund).await);
    assert!(scene.deliver(refund).await);
    assert_eq!((scene.totals().charges, scene.totals().refunds), (1, 1));
    scene.agree(id(1)).await;
}

#[tokio::test]
async fn a_charge_that_was_not_made_and_whose_key_answers_500_for_ever_is_void_once_a_search_would_find_it() {
    let scene = Scene::new(2).await;
    let payment = scene.paying(1, APPROVES).await;
    scene.fault(FaultKind::SkipThen500, Target::Charge, 1);
    let mut tries = 1;
    let mut after_s = 30;
    while !deliver(&scene.cashier, payment, after_s).await {
        (tries, after_s) = (tries + 1, after_s + 160);
        assert!(tries < 100, "the queue has given up");
    }
    assert!(after_s > 10 + FOUND_WITHIN_S, "decided after {after_s} s");
    assert_eq!((scene.status(payment).await, scene.totals()), (PaymentStatus::Void, Totals::default()));
    // The hold has waited for the provider, so the driver can still pay.
    let again = order(id(1), 3_000, 1, T0_S + after_s + 10);
    let again = scene.store.pay(&again, &Means::card(APPROVES)).await.unwrap().payment.id;
    assert!(deliver(&scene.cashier, again, after_s + 20).await);
    assert!(deliver(&scene.cashier, payment, after_s + 30).await, "a late duplicate of the first");
    assert_eq!((scene.totals().charges, scene.dossier(id(1)).await.reservation.status), (1, Status::Confirmed));
    scene.agree(id(1)).await;
}

/// A refund of all that was paid, not asked for yet.
async fn refundable(scene: &Scene) -> PaymentId {
    let payment = scene.paying(1, APPROVES).await;
    assert!(scene.deliver(payment).await);
    scene.store.cancel(&order(id(1), 2_000, 1, T0_S + 20), Reason::SpotOutOfService).await.unwrap();
    scene.dossier(id(1)).await.payments[1].id
}

#[tokio::test]
async fn a_refund_that_was_not_made_and_whose_key_answers_500_for_ever_is_asked_for_under_the_next_key_once() {
    for (fault, skipped) in [(FaultKind::SkipThen500, 1), (FaultKind::SkipThen500, 2), (FaultKind::ExecuteThen500, 1)] {
        let scene = Scene::new(2).await;
        let refund = refundable(&scene).await;
        for _ in 0..skipped {
            scene.fault(fault, Target::Refund, 1);
            // The spent key repeats itself before the next one is used.
            scene.fault(FaultKind::Approve, Target::Refund, 1);
        }
        for _ in 0..skipped {
            assert!(!scene.deliver(refund).await, "a first 500 may be anything");
        }
        join_all((0..4).map(|_| scene.deliver(refund))).await;
        scene.settle(id(1), 40).await;
        assert_eq!(scene.status(refund).await, PaymentStatus::Succeeded);
        assert_eq!((scene.totals().refunds, scene.totals().refunded), (1, PRICE), "{fault:?} {skipped}");
        scene.agree(id(1)).await;
    }
}

#[tokio::test]
async fn a_refund_that_is_redriven_after_a_day_is_looked_for_and_made_once_if_it_never_was() {
    for fault in [FaultKind::DropBefore, FaultKind::ExecuteThenDropReply] {
        let scene = Scene::new(2).await;
        let refund = refundable(&scene).await;
        scene.fault(fault, Target::Refund, 1);
        assert!(!scene.deliver(refund).await);
        // By then the provider has forgotten the key.
        let after_s = 20 + ASKED_WITHIN_S + 7_200;
        scene.at_the_twin("POST", &format!("/_twin/clock/{after_s}")).await;
        join_all((0..3).map(|_| deliver(&scene.cashier, refund, after_s))).await;
        scene.settle(id(1), after_s + 10).await;
        assert_eq!(scene.status(refund).await, PaymentStatus::Succeeded);
        assert_eq!((scene.totals().refunds, scene.totals().refunded), (1, PRICE), "{fault:?}");
        scene.agree(id(1)).await;
    }
}

#[tokio::test]
async fn a_refund_that_the_provider_refuses_for_a_day_is_left_to_a_person() {
    let scene = Scene::new(2).await;
    let refund = refundable(&scene).await;
    let charge = scene.dossier(id(1)).await.payments[0].clone();
    let by_hand = RefundRequest {
        payment_intent: ProviderId::new(charge.provider_reference.unwrap()).unwrap(),
        amount_minor: PRICE,
        currency: charge.currency,
        idempotency_key: "by hand".to_owned(),
        reservation: "none".to_owned(),
        payment: "none".to_owned(),
    };
    scene.stripe.refund(&by_hand).await.unwrap();
    assert!(!scene.deliver(refund).await, "the key may know better tomorrow");
    assert!(deliver(&scene.cashier, refund, 20 + ASKED_WITHIN_S + 1).await);
    assert_eq!((scene.status(refund).await, scene.totals().refunds), (PaymentStatus::Declined, 1));
}

#[tokio::test]
async fn a_charge_is_called_off_although_the_key_of_that_answers_500_for_ever() {
    for fault in [FaultKind::SkipThen500, FaultKind::ExecuteThen500] {
        let scene = Scene::new(2).await;
        let payment = scene.paying(1, "pm_card_authenticationRequired").await;
        assert!(scene.deliver(payment).await);
        scene.expire(id(1)).await;
        scene.fault(fault, Target::Cancel, 1);
        assert!(!deliver(&scene.cashier, payment, LAPSED_S).await, "a first 500 may be anything");
        assert!(deliver(&scene.cashier, payment, LAPSED_S).await, "{fault:?}");
        assert_eq!(scene.status(payment).await, PaymentStatus::Void);
        scene.agree(id(1)).await;
    }
}
