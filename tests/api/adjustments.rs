//! Violations and goodwill through the API: what operators add to stays and take off them.

use parkade_domain::adjustment::ADJUSTMENTS_MAX;
use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, Reply, booking, lot, with};

/// The lot of the tests, where some violations have a price.
async fn strict() -> Api {
    let api = Api::new().await;
    let violations = json!({"wrong_spot": "40.00", "unpaid": 3_000});
    let tariff = with(lot()["tariff"].clone(), "violations", violations);
    api.call("PUT", "/v1/lots/central", ROOT).json(with(lot(), "tariff", tariff)).await.expect(200);
    api
}

/// A paid booking of 4.00 whose vehicle has left on time.
async fn parked(api: &Api) -> String {
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    let stay = || json!({"lot_id": "central", "reservation_id": id});
    api.at("12:00:00");
    api.post("/v1/gate/check-in", GATE, "in", stay()).await.expect(200);
    api.at("13:59:00");
    api.post("/v1/gate/check-out", GATE, "out", stay()).await.expect(200);
    id
}

fn of(id: &str, below: &str) -> String {
    format!("/v1/reservations/{id}/{below}")
}

fn euros(minor: i64) -> Value {
    json!({"amount": {"amount_minor": minor, "currency": "EUR"}})
}

fn minors(stay: &Reply) -> [i64; 4] {
    ["price", "paid", "refunded", "balance_due"].map(|field| stay.body[field]["amount_minor"].as_i64().unwrap())
}

#[tokio::test]
async fn a_violation_is_told_owed_paid_annulled_and_given_back_with_its_documents() {
    let api = strict().await;
    let id = parked(&api).await;
    let kind = json!({"kind": "wrong_spot"});
    let fined = api.post(&of(&id, "violations"), OLGA, "v", kind.clone()).await.expect(201);
    assert_eq!(minors(&fined), [4_400, 400, 0, 4_000]);
    let lines = fined.body["price_lines"].as_array().unwrap();
    assert_eq!((&lines[1]["rule"], &lines[1]["amount_minor"]), (&json!("violation_wrong_spot"), &json!(4_000)));
    let known = &fined.body["adjustments"][0];
    assert_eq!(
        (&known["number"], &known["kind"], &known["violation"]),
        (&json!(1), &json!("violation"), &json!("wrong_spot"))
    );
    assert!(api.post(&of(&id, "violations"), OLGA, "v", kind.clone()).await.expect(201).is_replay());
    api.post(&of(&id, "violations"), OLGA, "v", json!({"kind": "unpaid"})).await.refused(422, "idempotency_key_reused");
    api.post(&of(&id, "violations"), OLGA, "again", kind).await.refused(409, "violation_recorded");

    let seen = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!((minors(&seen)[3], &seen.body["links"]["pay"]), (4_000, &json!("/v1/payments")));
    let pay = json!({"reservation_id": id, "payment_method": "pm_card_visa"});
    let paid = api.post("/v1/payments", ALICE, "fine", pay).await;
    api.settle(&paid.text("id"), true).await;
    let back = api.call("DELETE", &of(&id, "violations/1"), OLGA).send().await.expect(200);
    assert_eq!(minors(&back), [400, 4_400, 4_000, 0]);
    assert!(back.body["adjustments"][0]["voided_at"].is_string());
    assert!(api.call("DELETE", &of(&id, "violations/1"), OLGA).send().await.expect(200).is_replay());

    let code = id.trim_start_matches("res_");
    assert_eq!(
        api.get(&format!("/v1/payments/pay_{code}_3"), ALICE).await.expect(200).text("reason"),
        "violation_voided"
    );
    api.settle(&format!("pay_{code}_3"), true).await;
    assert_eq!(api.documented(&id).await.len(), 3);
    let note = api.get(&format!("/v1/receipts/rcp_{code}_3"), ALICE).await.expect(200).body;
    assert_eq!((&note["total"]["amount_minor"], &note["reason"]), (&json!(-4_000), &json!("violation_voided")));
}

#[tokio::test]
async fn goodwill_refunds_what_was_paid_up_to_what_is_owed() {
    let api = strict().await;
    let id = parked(&api).await;
    let refunds = of(&id, "refunds");
    let problem = api.post(&refunds, OLGA, "g", euros(401)).await.refused(409, "more_than_owed");
    assert_eq!((&problem.body["owed_minor"], &problem.body["currency"]), (&json!(400), &json!("EUR")));
    let given = api.post(&refunds, OLGA, "g", euros(150)).await.expect(201);
    assert_eq!(minors(&given), [250, 400, 150, 0]);
    assert!(api.post(&refunds, OLGA, "g", euros(150)).await.expect(201).is_replay());
    let twice = api.post(&refunds, OLGA, "g", euros(151)).await;
    twice.refused(422, "idempotency_key_reused");
    let code = id.trim_start_matches("res_");
    assert_eq!(api.get(&format!("/v1/payments/pay_{code}_2"), ALICE).await.expect(200).text("reason"), "goodwill");
    assert_eq!(minors(&api.post(&refunds, OLGA, "rest", euros(250)).await.expect(201)), [0, 400, 400, 0]);
    api.post(&refunds, OLGA, "more", euros(1)).await.refused(409, "more_than_owed");
}

#[tokio::test]
async fn only_those_who_run_the_lot_add_and_take_off() {
    let api = strict().await;
    let id = parked(&api).await;
    let kind = || json!({"kind": "unpaid"});
    for who in [ALICE, BOB, GATE, "dev.merchant.cinema.central"] {
        api.post(&of(&id, "violations"), who, "v", kind()).await.refused(403, "forbidden");
        api.post(&of(&id, "refunds"), who, "g", euros(100)).await.refused(403, "forbidden");
        api.call("DELETE", &of(&id, "violations/1"), who).send().await.refused(403, "forbidden");
    }
    let other = "dev.operator.otto.elsewhere";
    api.post(&of(&id, "violations"), other, "v", kind()).await.refused(404, "reservation_not_found");
    api.post(&of(&id, "refunds"), other, "g", euros(100)).await.refused(404, "reservation_not_found");
    assert_eq!(minors(&api.post(&of(&id, "violations"), ROOT, "v", kind()).await.expect(201))[3], 3_000);
}

#[tokio::test]
async fn bad_input_is_named_and_changes_nothing() {
    let api = strict().await;
    let id = parked(&api).await;
    let (violations, refunds) = (of(&id, "violations"), of(&id, "refunds"));
    api.post(&violations, OLGA, "a", json!({"kind": "parked"})).await.refused(422, "invalid_fields");
    api.post(&violations, OLGA, "b", json!({"kind": "unpaid", "fee": 1})).await.refused(422, "invalid_fields");
    api.post(&violations, OLGA, "c", json!({"kind": "no_right"})).await.refused(409, "violation_not_priced");
    api.call("POST", &violations, OLGA).json(json!({"kind": "unpaid"})).await.refused(400, "missing_idempotency_key");
    for amount in [0, -1, i64::MAX] {
        let problem = api.post(&refunds, OLGA, "d", euros(amount)).await.refused(422, "invalid_fields");
        assert_eq!(problem.body["errors"][0]["pointer"], "/amount/amount_minor");
    }
    let dollars = json!({"amount": {"amount_minor": 100, "currency": "USD"}});
    api.post(&refunds, OLGA, "e", dollars).await.refused(409, "more_than_owed");
    for number in ["0", "1", "x", "-1", "99999999999999999999"] {
        let path = of(&id, &format!("violations/{number}"));
        api.call("DELETE", &path, OLGA).send().await.refused(404, "violation_not_found");
    }
    let held = api.held("h", booking("17:00", "18:00")).await;
    api.post(&of(&held, "violations"), OLGA, "f", json!({"kind": "unpaid"})).await.refused(409, "state_conflict");
    api.post(&of(&held, "refunds"), OLGA, "g", euros(1)).await.refused(409, "state_conflict");
    let stay = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!((minors(&stay), stay.body.get("adjustments")), ([400, 400, 0, 0], None));
    for number in 1..=ADJUSTMENTS_MAX {
        let key = format!("v{number}");
        api.post(&violations, OLGA, &key, json!({"kind": "unpaid"})).await.expect(201);
        api.call("DELETE", &of(&id, &format!("violations/{number}")), OLGA).send().await.expect(200);
    }
    api.post(&refunds, OLGA, "full", euros(1)).await.refused(409, "too_many_adjustments");
}
