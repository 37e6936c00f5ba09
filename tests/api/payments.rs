//! Paying through the API, with the payment twin over HTTP: what a driver's app and the provider's webhooks see.

use std::time::Instant;

use parkade_twin::{Fault, FaultKind, Target, Twin};
use ring::hmac;
use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, OLGA, Reply, WEBHOOK_SECRET, booking};

fn pay(id: &str, method: &str) -> Value {
    json!({"reservation_id": id, "payment_method": method})
}

async fn status(api: &Api, id: &str) -> String {
    api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200).text("status")
}

fn totals(twin: &Twin) -> (u64, i64, i64) {
    let totals = twin.books().totals.get("eur").copied().unwrap_or_default();
    (totals.charges, totals.charged, totals.refunded)
}

/// A webhook as the provider sends it: the event `kind` about the twin's intent of a payment.
fn event(id: &str, kind: &str, intent: &str, payment: &str, amount: i64) -> String {
    let status = match kind {
        "payment_intent.succeeded" => "succeeded",
        "payment_intent.canceled" => "canceled",
        _ => "requires_payment_method",
    };
    let received = if status == "succeeded" { amount } else { 0 };
    let object = json!({"id": intent, "object": "payment_intent", "status": status, "amount": amount,
        "amount_received": received, "currency": "eur", "metadata": {"payment": payment}});
    json!({"id": id, "object": "event", "type": kind, "created": 1, "data": {"object": object}}).to_string()
}

async fn hook(api: &Api, body: &str, signed_at_s: i64, secret: &str) -> Reply {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{signed_at_s}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let call = api.anonymous("POST", "/v1/webhooks/stripe");
    call.header("stripe-signature", &format!("t={signed_at_s},v1={hex}")).bytes(body.as_bytes().to_vec()).await
}

#[tokio::test]
async fn a_quick_provider_answers_within_the_request() {
    let (api, twin) = Api::with_twin().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let paid = api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_visa")).await.expect(201);
    assert_eq!((paid.text("status"), paid.text("means")), ("succeeded".to_owned(), "provider".to_owned()));
    assert_eq!(paid.header("location"), format!("/v1/payments/{}", paid.text("id")));
    assert_eq!(status(&api, &id).await, "confirmed");
    let again = api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_visa")).await.expect(201);
    assert!(again.is_replay());
    assert_eq!((again.body, totals(&twin)), (paid.body, (1, 400, 0)));
}

#[tokio::test]
async fn a_decline_is_told_at_once_with_a_reason_that_the_driver_can_use_and_another_card_may_follow() {
    let (api, twin) = Api::with_twin().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    for (key, method, reason) in [
        ("p1", "pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("p2", "pm_card_visa_chargeDeclinedStolenCard", "card_declined"),
        ("p3", "pm_of_nobody", "payment_method_not_accepted"),
    ] {
        for _ in 0..2 {
            let refused = api.post("/v1/payments", ALICE, key, pay(&id, method)).await;
            assert_eq!(refused.refused(402, "payment_declined").text("decline_code"), reason);
        }
        assert_eq!(status(&api, &id).await, "held");
    }
    api.post("/v1/payments", ALICE, "p4", pay(&id, "pm_card_visa")).await.expect(201);
    assert_eq!(totals(&twin), (1, 400, 0));
}

#[tokio::test]
async fn a_price_that_has_changed_since_it_was_seen_is_not_charged() {
    let (api, twin) = Api::with_twin().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let seen = |minor: i64, currency: &str| {
        let mut body = pay(&id, "pm_card_visa");
        body["amount"] = json!({"amount_minor": minor, "currency": currency});
        body
    };
    for (key, body) in [("p1", seen(399, "EUR")), ("p2", seen(400, "USD"))] {
        let refused = api.post("/v1/payments", ALICE, key, body).await.refused(409, "amount_changed");
        assert_eq!((refused.body["due_minor"].as_i64(), refused.text("currency")), (Some(400), "EUR".to_owned()));
    }
    api.post("/v1/payments", ALICE, "p3", seen(400, "euro")).await.refused(422, "invalid_fields");
    assert_eq!(totals(&twin), (0, 0, 0));
    api.post("/v1/payments", ALICE, "p4", seen(400, "EUR")).await.expect(201);
    api.post("/v1/payments", ALICE, "p4", seen(399, "EUR")).await.refused(422, "idempotency_key_reused");
    assert_eq!(totals(&twin), (1, 400, 0));
}

#[tokio::test]
async fn two_requests_at_once_charge_once_whatever_their_keys() {
    let (api, twin) = Api::with_twin().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let ask = |key| api.post("/v1/payments", ALICE, key, pay(&id, "pm_card_visa"));
    let (first, second, other) = tokio::join!(ask("same"), ask("same"), ask("another"));
    assert!([201, 202].contains(&first.status) && [201, 202].contains(&second.status), "{first:?} {second:?}");
    assert_eq!(first.text("id"), second.text("id"));
    assert!([201, 202, 409].contains(&other.status), "{other:?}");
    assert_eq!(totals(&twin), (1, 400, 0));
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_the_payment_open_and_the_webhook_closes_it_once() {
    let (api, twin) = Api::with_twin().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    twin.inject(Fault { on: Some(Target::Charge), ..Fault::new(FaultKind::ExecuteThenDropReply) }).unwrap();
    let open = api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_visa")).await.expect(202);
    assert_eq!((open.text("status"), status(&api, &id).await), ("requested".to_owned(), "held".to_owned()));
    let (payment, intent) = (open.text("id"), twin.books().charges[0].payment_intent.clone());
    let now_s = api.now().timestamp();
    let succeeded = event("evt_1", "payment_intent.succeeded", &intent, &payment, 400);
    assert_eq!(hook(&api, &succeeded, now_s, WEBHOOK_SECRET).await.expect(200).body["news"], true);
    assert_eq!(status(&api, &id).await, "confirmed");
    let before = api.get(&format!("/v1/reservations/{id}"), ALICE).await.body;
    // Again, late, and behind what is known: nothing changes.
    let failed = event("evt_0", "payment_intent.payment_failed", &intent, &payment, 400);
    let canceled = event("evt_2", "payment_intent.canceled", &intent, &payment, 400);
    for body in [&succeeded, &failed, &succeeded, &canceled] {
        assert_eq!(hook(&api, body, now_s, WEBHOOK_SECRET).await.expect(200).body["news"], false);
    }
    assert_eq!(api.get(&format!("/v1/reservations/{id}"), ALICE).await.body, before);
    let again = api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_visa")).await.expect(201);
    assert_eq!((again.text("status"), totals(&twin)), ("succeeded".to_owned(), (1, 400, 0)));
}

#[tokio::test]
async fn a_webhook_that_is_forged_old_about_nothing_of_ours_or_about_another_amount_changes_nothing() {
    let api = Api::new().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let payment = api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_visa")).await.expect(202).text("id");
    let now_s = api.now().timestamp();
    let good = event("evt_1", "payment_intent.succeeded", "pi_1", &payment, 400);
    hook(&api, &good, now_s, "whsec_forged").await.refused(400, "webhook_refused");
    hook(&api, &good, now_s - 301, WEBHOOK_SECRET).await.refused(400, "webhook_refused");
    hook(&api, "{}", now_s, WEBHOOK_SECRET).await.refused(400, "webhook_refused");
    api.anonymous("POST", "/v1/webhooks/stripe").bytes(good.into_bytes()).await.refused(400, "webhook_refused");
    let unknown = "pay_0000000000012_1";
    for body in [
        event("evt_2", "payment_intent.succeeded", "pi_1", &payment, 399),
        event("evt_3", "payment_intent.succeeded", "pi_1", unknown, 400),
        event("evt_4", "payment_intent.succeeded", "pi_1", "somebody else's", 400),
        // A charge that was only created looks like one that failed.
        event("evt_5", "payment_intent.created", "pi_1", &payment, 400),
        json!({"id": "evt_6", "type": "balance.available", "created": 1, "data": {"object": {"object": "balance"}}})
            .to_string(),
    ] {
        assert_eq!(hook(&api, &body, now_s, WEBHOOK_SECRET).await.expect(200).body["news"], false, "{body}");
    }
    let open = api.get(&format!("/v1/payments/{payment}"), ALICE).await.expect(200);
    assert_eq!((open.text("status"), status(&api, &id).await), ("requested".to_owned(), "held".to_owned()));
}

#[tokio::test]
async fn a_provider_that_hangs_keeps_no_driver_longer_than_announced_and_is_soon_not_asked_any_more() {
    let (api, twin) = Api::with_twin().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_authenticationRequired")).await.expect(202);
    let hang = |on| twin.inject(Fault { on: Some(on), ms: 8_000, count: 20, ..Fault::new(FaultKind::Slow) }).unwrap();
    hang(Target::Cancel);
    hang(Target::Charge);
    let began = Instant::now();
    // The first charge would have to be called off for another one.
    let other = pay(&id, "pm_card_visa");
    let waits = async |hour: u32| {
        let window = booking(&format!("{hour}:00"), &format!("{}:00", hour + 1));
        let id = api.held(&format!("h{hour}"), window).await;
        api.post("/v1/payments", ALICE, &format!("p{hour}"), pay(&id, "pm_card_visa")).await.expect(202);
    };
    let refused = api.post("/v1/payments", ALICE, "p2", other);
    let (refused, ..) = tokio::join!(refused, waits(15), waits(16), waits(17), waits(18));
    refused.refused(409, "payment_in_progress");
    assert!(began.elapsed() < 2 * ::pay::ANSWERED_WITHIN, "{:?}", began.elapsed());
    // Five have waited in vain, so nobody does any more.
    let began = Instant::now();
    let late = api.held("late", booking("20:00", "21:00")).await;
    api.post("/v1/payments", ALICE, "late", pay(&late, "pm_card_visa")).await.expect(202);
    assert!(began.elapsed() < ::pay::ANSWERED_WITHIN / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_card_that_asks_its_driver_shows_only_the_driver_how_to_answer() {
    let (api, twin) = Api::with_twin().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let asked = api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_authenticationRequired")).await.expect(202);
    assert_eq!(asked.text("status"), "action_required");
    let secret = asked.body["next_action"]["client_secret"].as_str().unwrap();
    assert!(secret.starts_with("pi_"), "{secret}");
    let path = format!("/v1/payments/{}", asked.text("id"));
    assert_eq!(api.get(&path, ALICE).await.expect(200).body["next_action"], asked.body["next_action"]);
    let seen = api.get(&path, OLGA).await.expect(200);
    assert_eq!((seen.text("status"), &seen.body["next_action"]), ("action_required".to_owned(), &Value::Null));
    api.get(&path, BOB).await.refused(404, "payment_not_found");
    // Another card takes its place: the first charge is called off at the provider before the second is made.
    api.post("/v1/payments", ALICE, "p2", pay(&id, "pm_card_visa")).await.expect(201);
    assert_eq!(api.get(&path, ALICE).await.expect(200).text("status"), "void");
    assert_eq!((status(&api, &id).await, totals(&twin)), ("confirmed".to_owned(), (1, 400, 0)));
    // The issuer's answer to the first one comes too late to take anything.
    let again = api.post("/v1/payments", ALICE, "p", pay(&id, "pm_card_authenticationRequired")).await.expect(201);
    assert_eq!(again.text("status"), "void");
}
