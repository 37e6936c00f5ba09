//! What merchants and the operator give towards stays, through the API.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, booking, lot, with};

const CINEMA: &str = "dev.merchant.cinema.central";
const CAFE: &str = "dev.merchant.cafe.central";

/// The lot of the tests with a cinema, a café and the operator, who give.
async fn giving() -> Api {
    let api = Api::new().await;
    let validations = json!([
        {"id": "code", "merchant": "cinema", "benefit": {"money": {"amount": 1_100}}},
        {"id": "half", "merchant": "cafe", "benefit": {"percent": {"basis_points": 5_000}}},
        {"id": "once", "merchant": "cafe", "benefit": {"percent": {"basis_points": 5_000}}, "limit": {"uses": 1, "period_days": 7}},
        {"id": "sorry", "benefit": {"free": {}}},
        {"id": "more", "benefit": {"time": {"minutes": 15}}},
        {"id": "even-more", "benefit": {"time": {"minutes": 30}}},
    ]);
    let tariff = with(lot()["tariff"].clone(), "validations", validations);
    api.call("PUT", "/v1/lots/central", ROOT).json(with(lot(), "tariff", tariff)).await.expect(200);
    api
}

fn path(id: &str) -> String {
    format!("/v1/reservations/{id}/validations")
}

fn named(validation: &str) -> Value {
    json!({"validation": validation})
}

#[tokio::test]
async fn a_cinemas_code_of_eleven_pays_a_session_of_five_and_no_more() {
    let api = giving().await;
    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}});
    let stay = api.post("/v1/gate/check-in", GATE, "in", walk_in).await.expect(200).text("id");
    let given = api.post(&path(&stay), CINEMA, "v", named("code")).await.expect(201);
    assert_eq!(given.body, json!({"reservation_id": stay, "validation": "code"}), "a merchant learns nothing else");
    assert!(api.post(&path(&stay), CINEMA, "v", named("code")).await.expect(201).is_replay());
    let other = api.post(&path(&stay), CINEMA, "v", named("other")).await;
    other.refused(422, "idempotency_key_reused");
    api.at("12:30:00");
    let exit = json!({"lot_id": "central", "reservation_id": stay});
    let out = api.post("/v1/gate/check-out", GATE, "out", exit).await.expect(200);
    assert_eq!(out.body["balance_due"]["amount_minor"], 0);
    let voucher = out.body["price"]["lines"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&voucher["rule"], &voucher["id"], &voucher["amount_minor"]),
        (&json!("validation"), &json!("code"), &json!(-500))
    );
    assert_eq!(out.body["reservation"]["validations"], json!(["code"]));
    let price = api.get(&format!("/v1/reservations/{stay}/price"), OLGA).await.expect(200);
    let debits = &price.body["receipt"]["price"]["debits"];
    assert_eq!(*debits, json!([{"validation": "code", "merchant": "cinema", "amount_minor": 500}]));
    let check = json!({"lot_id": "central", "receipt": price.body["receipt"]});
    assert_eq!(api.call("POST", "/v1/prices/explain", OLGA).json(check).await.expect(200).body["reproduced"], true);
    api.post(&path(&stay), CINEMA, "late", named("code")).await.refused(409, "state_conflict");
}

#[tokio::test]
async fn what_was_paid_and_is_given_comes_back() {
    let api = giving().await;
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    api.post(&path(&id), OLGA, "v", named("half")).await.expect(201);
    let stay = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!(
        (&stay.body["price"]["amount_minor"], &stay.body["refunded"]["amount_minor"]),
        (&json!(200), &json!(200))
    );
    assert_eq!(stay.body["validations"], json!(["half"]));
    let code = id.trim_start_matches("res_");
    assert_eq!(api.get(&format!("/v1/payments/pay_{code}_2"), ALICE).await.expect(200).text("reason"), "change");
    // The credit note says why.
    api.settle(&format!("pay_{code}_2"), true).await;
    assert_eq!(api.documented(&id).await.len(), 2);
    let note = api.get(&format!("/v1/receipts/rcp_{code}_2"), ALICE).await.expect(200).body;
    let line = note["price"]["lines"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&line["rule"], &line["id"], &line["amount_minor"]),
        (&json!("validation"), &json!("half"), &json!(-200))
    );
    assert_eq!((&note["kind"], &note["total"]["amount_minor"]), (&json!("credit_note"), &json!(-200)));
}

#[tokio::test]
async fn a_merchant_gives_its_own_in_its_lot_and_sees_nothing() {
    let api = giving().await;
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    for (token, validation) in [(CINEMA, "half"), (CINEMA, "sorry"), (OLGA, "nothing")] {
        api.post(&path(&id), token, "v1", named(validation)).await.refused(404, "validation_not_found");
    }
    api.post(&path(&id), "dev.merchant.cinema.elsewhere", "v2", named("code"))
        .await
        .refused(404, "reservation_not_found");
    for token in [ALICE, BOB, GATE] {
        api.post(&path(&id), token, "v3", named("code")).await.refused(403, "forbidden");
    }
    // A merchant that is called like a driver is not that driver.
    for token in [CINEMA, "dev.merchant.alice.central"] {
        api.get(&format!("/v1/reservations/{id}"), token).await.refused(404, "reservation_not_found");
        api.get("/v1/users/alice/wallet", token).await.refused(404, "reservation_not_found");
        api.call("DELETE", &format!("/v1/reservations/{id}"), token).send().await.refused(403, "forbidden");
        let pay = json!({"reservation_id": id, "wallet": true});
        api.post("/v1/payments", token, "p", pay).await.refused(403, "forbidden");
    }
    api.post(&path(&id), OLGA, "v4", named("no name")).await.refused(422, "invalid_fields");
}

#[tokio::test]
async fn each_is_given_once_a_stay_and_as_often_as_the_tariff_allows_a_vehicle() {
    let api = giving().await;
    let plate = |start: &str, end: &str| with(booking(start, end), "plate", json!({"text": "B-NO 1234"}));
    let first = api.held("k1", plate("12:00", "14:00")).await;
    let second = api.held("k2", plate("15:00", "16:00")).await;
    let unknown = api.held("k3", booking("12:00", "14:00")).await;
    api.post(&path(&unknown), CAFE, "v0", named("once")).await.refused(409, "plate_needed");
    api.post(&path(&first), CAFE, "v1", named("once")).await.expect(201);
    api.post(&path(&first), CAFE, "v2", named("once")).await.refused(409, "already_validated");
    api.post(&path(&second), CAFE, "v3", named("once")).await.refused(409, "validation_used_up");
    for (key, validation) in [("v4", "half"), ("v5", "more"), ("v6", "even-more")] {
        api.post(&path(&first), OLGA, key, named(validation)).await.expect(201);
    }
    let refused = api.post(&path(&first), OLGA, "v7", named("code")).await.refused(422, "invalid_fields");
    assert_eq!(refused.errors(), [("/validation".to_owned(), "too_many".to_owned())]);
}

#[tokio::test]
async fn a_hold_that_is_given_all_it_costs_is_confirmed_without_a_payment() {
    let api = giving().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    api.post(&path(&id), OLGA, "v", named("sorry")).await.expect(201);
    let stay = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!((stay.text("status"), &stay.body["balance_due"]["amount_minor"]), ("confirmed".to_owned(), &json!(0)));
}
