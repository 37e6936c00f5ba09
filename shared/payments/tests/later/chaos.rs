use std::time::{Duration, Instant};

use parkade_payments::{Charge, ChargeStatus, PaymentError, ProviderId, Refund, Uncertainty};
use parkade_twin::Totals;

use crate::scene::{Scene, charge_of, refund_of};

const DEADLINE: Duration = Duration::from_secs(20);

/// Asks until the outcome is known: again with the same key, and where the key repeats a 500 for ever, by looking for what was done. If that
/// is nothing (the twin's search does not lag), nothing can come of the key any more, so the next one is asked.
async fn settled(scene: &Scene, key: &str, method: &str) -> Result<Charge, PaymentError> {
    let mut request = charge_of(key, method);
    let started = Instant::now();
    loop {
        match scene.client.create_payment_intent(&request).await {
            Err(PaymentError::Unknown(Uncertainty::ServerError { replayed: true, .. })) => {
                let found = scene.client.find_payment_intents(&request.payment).await.unwrap();
                match &found[..] {
                    [charge] => return Ok(charge.clone()),
                    [] => request.idempotency_key.push('+'),
                    several => panic!("one charge: {several:?}"),
                }
            }
            Err(PaymentError::Unknown(uncertainty)) => assert!(started.elapsed() < DEADLINE, "still {uncertainty}"),
            definite => return definite,
        }
    }
}

async fn settled_refund(scene: &Scene, key: &str, charge: &Charge) -> Refund {
    let mut request = refund_of(key, charge, 300);
    let started = Instant::now();
    loop {
        match scene.client.refund(&request).await {
            Err(PaymentError::Unknown(Uncertainty::ServerError { replayed: true, .. })) => {
                let found = scene.client.find_refunds(&charge.payment_intent, &request.payment).await.unwrap();
                match &found[..] {
                    [refund] => return refund.clone(),
                    [] => request.idempotency_key.push('+'),
                    several => panic!("one refund: {several:?}"),
                }
            }
            Err(PaymentError::Unknown(uncertainty)) => assert!(started.elapsed() < DEADLINE, "still {uncertainty}"),
            definite => return definite.unwrap(),
        }
    }
}

#[tokio::test]
async fn whatever_chance_breaks_every_charge_and_refund_happens_exactly_once() {
    let seed = std::env::var("PARKADE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("PARKADE_SEED={seed}");
    let mut scene = Scene::new(None).await;
    assert!(scene.twin.chaos(101, seed).is_err());
    scene.twin.chaos(40, seed).unwrap();
    let mut expected = Totals::default();
    for number in 0..60 {
        let declines = number % 5 == 4;
        let method = if declines { "pm_card_visa_chargeDeclined" } else { "pm_card_visa" };
        match settled(&scene, &format!("c{number}"), method).await {
            Ok(charge) if charge.status == ChargeStatus::Succeeded => {
                settled_refund(&scene, &format!("r{number}"), &charge).await;
                (expected.charges, expected.charged) = (expected.charges + 1, expected.charged + 1250);
                (expected.refunds, expected.refunded) = (expected.refunds + 1, expected.refunded + 300);
            }
            Ok(Charge { status: ChargeStatus::RequiresPaymentMethod, .. }) | Err(PaymentError::Declined { .. }) => {
                assert!(declines);
                expected.declines += 1;
            }
            other => panic!("charge {number}: {other:?}"),
        }
    }
    expected.net = expected.charged - expected.refunded;
    assert_eq!((expected.charges, expected.declines), (48, 12));
    assert_eq!(scene.twin.books().totals["eur"], expected);

    scene.twin.chaos(0, seed).unwrap();
    let calm = scene.charge("calm", "pm_card_visa").await;
    assert_eq!(calm.status, ChargeStatus::Succeeded);
    loop {
        // Late, twice or in any order: in the end what happened without a fault is told.
        let [event] = scene.told("payment_intent.succeeded").await;
        if event.object.id.as_ref().map(ProviderId::as_str) == Some(calm.payment_intent.as_str()) {
            break;
        }
    }
}
