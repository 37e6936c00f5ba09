use parkade_payments::{Capture, CaptureRequest, ChargeStatus, PaymentError, Uncertainty};
use parkade_twin::{Fault, FaultKind, Target};

use crate::scene::{RESERVED, Scene, charge_of, code};

const WEEK_S: i64 = 7 * 24 * 3_600;

#[tokio::test]
async fn a_prepared_charge_takes_nothing_until_it_is_confirmed_and_then_once() {
    let scene = Scene::new(None).await;
    let prepared = scene.client.prepare_payment_intent(&charge_of("k", ""), Capture::Automatic).await.unwrap();
    assert_eq!((prepared.status, prepared.received_minor), (ChargeStatus::RequiresPaymentMethod, 0));
    assert_eq!(prepared.payment.as_deref(), Some("pay_k"));
    assert!(prepared.client_secret.as_ref().unwrap().expose().starts_with(prepared.payment_intent.as_str()));
    assert_eq!(scene.confirm("a", &prepared, None).await.map_err(code), Err("payment_intent_unexpected_state".into()));
    assert!(scene.twin.books().charges.is_empty());

    let confirmed = scene.confirm("b", &prepared, Some("pm_card_visa")).await.unwrap();
    assert_eq!((confirmed.status, confirmed.received_minor), (ChargeStatus::Succeeded, 1250));
    assert_eq!(scene.confirm("b", &prepared, Some("pm_card_visa")).await, Ok(confirmed), "the key repeats its answer");
    let again = scene.confirm("c", &prepared, Some("pm_card_visa")).await.map_err(code);
    assert_eq!(again, Err("payment_intent_unexpected_state".into()));
    assert_eq!(scene.twin.books().totals["eur"].charged, 1250);
}

#[tokio::test]
async fn a_charge_prepared_with_a_card_needs_no_other_and_may_be_given_up() {
    let scene = Scene::new(None).await;
    let request = charge_of("k", "pm_card_visa");
    let prepared = scene.client.prepare_payment_intent(&request, Capture::Manual).await.unwrap();
    let reserved = scene.confirm("a", &prepared, None).await.unwrap();
    assert_eq!(reserved.status, ChargeStatus::RequiresCapture);
    assert!(reserved.capture_before_s.is_some());

    let other = scene.client.prepare_payment_intent(&charge_of("l", ""), Capture::Automatic).await.unwrap();
    scene.client.cancel_payment_intent(&other.payment_intent, "cancel").await.unwrap();
    let late = scene.confirm("b", &other, Some("pm_card_visa")).await.map_err(code);
    assert_eq!(late, Err("payment_intent_unexpected_state".into()));
    assert!(scene.twin.books().charges.is_empty(), "reserved is not taken");
}

#[tokio::test]
async fn after_a_decline_or_a_failed_authentication_another_card_may_pay_the_same_charge() {
    let scene = Scene::new(None).await;
    let prepared = scene.client.prepare_payment_intent(&charge_of("k", ""), Capture::Automatic).await.unwrap();
    for (key, method) in [("a", "pm_card_visa_chargeDeclined"), ("b", "pm_card_chargeDeclinedExpiredCard")] {
        assert!(matches!(scene.confirm(key, &prepared, Some(method)).await, Err(PaymentError::Declined { .. })));
        let status = scene.client.retrieve_payment_intent(&prepared.payment_intent).await.unwrap().status;
        assert_eq!(status, ChargeStatus::RequiresPaymentMethod);
        let without = scene.confirm(&format!("{key}2"), &prepared, None).await.map_err(code);
        assert_eq!(without, Err("payment_intent_unexpected_state".into()), "the old card is taken away");
    }
    let asked = scene.confirm("c", &prepared, Some("pm_card_authenticationRequired")).await.unwrap();
    assert_eq!(asked.status, ChargeStatus::RequiresAction);
    scene.turn(&format!("authenticate/{}/failure", prepared.payment_intent)).await;
    assert_eq!(scene.confirm("d", &prepared, Some("pm_card_visa")).await.unwrap().status, ChargeStatus::Succeeded);
    let books = scene.twin.books();
    assert_eq!((books.totals["eur"].declines, books.totals["eur"].charges, books.charges.len()), (2, 1, 3));
    let distinct = std::collections::BTreeSet::from_iter(books.charges.iter().map(|charge| &charge.id));
    assert_eq!(distinct.len(), 3, "each attempt is a charge of its own");
}

#[tokio::test]
async fn a_card_that_declines_after_the_authentication_has_taken_nothing() {
    let scene = Scene::new(None).await;
    let asked = scene.charge("k", "pm_card_threeDSecureRequiredChargeDeclined").await;
    assert_eq!(asked.status, ChargeStatus::RequiresAction);
    assert!(scene.turn(&format!("authenticate/{}/success", asked.payment_intent)).await.starts_with("HTTP/1.1 200"));
    let after = scene.client.retrieve_payment_intent(&asked.payment_intent).await.unwrap();
    assert_eq!((after.status, after.received_minor), (ChargeStatus::RequiresPaymentMethod, 0));
    assert_eq!(scene.twin.books().totals["eur"].declines, 1);
}

#[tokio::test]
async fn a_confirmation_whose_answer_was_lost_happened_once() {
    for (fault, done) in [(FaultKind::DropBefore, 0), (FaultKind::ExecuteThenDropReply, 1)] {
        let scene = Scene::new(None).await;
        let prepared = scene.client.prepare_payment_intent(&charge_of("k", ""), Capture::Automatic).await.unwrap();
        scene.twin.inject(Fault { on: Some(Target::Confirm), ..Fault::new(fault) }).unwrap();
        let lost = scene.confirm("a", &prepared, Some("pm_card_visa")).await;
        assert_eq!(lost, Err(PaymentError::Unknown(Uncertainty::ConnectionLost)));
        assert_eq!(scene.twin.books().charges.len(), done, "{fault:?}");
        scene.confirm("a", &prepared, Some("pm_card_visa")).await.unwrap();
        assert_eq!(scene.twin.books().charges.len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn reserved_money_says_until_when_and_taken_money_does_not() {
    let scene = Scene::new(None).await;
    let reserved = scene.client.create_payment_intent_on(&charge_of("k", "pm_card_visa"), RESERVED).await.unwrap();
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let left_s = reserved.capture_before_s.unwrap() - i64::try_from(now_s).unwrap();
    assert!((WEEK_S - 60..=WEEK_S).contains(&left_s), "{left_s}");
    assert_eq!(scene.client.retrieve_payment_intent(&reserved.payment_intent).await, Ok(reserved.clone()));
    let capture = CaptureRequest {
        payment_intent: reserved.payment_intent.clone(),
        amount_minor: 900,
        currency: reserved.currency,
        idempotency_key: "c".into(),
    };
    assert_eq!(scene.client.capture_payment_intent(&capture).await.unwrap().capture_before_s, None);
    let taken = scene.client.retrieve_payment_intent(&reserved.payment_intent).await.unwrap();
    assert_eq!((taken.received_minor, taken.capture_before_s), (900, None));
}
