//! Paying without the provider: with credit, and in cash.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, Reply, booking, lot, with};

/// The lot gives refunds as credit.
async fn generous() -> Api {
    let api = Api::new().await;
    let policy = with(lot()["policy"].clone(), "refund_to", json!("wallet"));
    api.call("PUT", "/v1/lots/central", ROOT).json(with(lot(), "policy", policy)).await.expect(200);
    api
}

fn by_credit(id: &str) -> Value {
    json!({"reservation_id": id, "wallet": true})
}

async fn credit(api: &Api) -> Value {
    api.get("/v1/users/alice/wallet", ALICE).await.expect(200).body["balances"].clone()
}

async fn payment(api: &Api, reservation: &str, number: u8) -> Reply {
    let payment = format!("pay_{}_{number}", reservation.trim_start_matches("res_"));
    api.get(&format!("/v1/payments/{payment}"), ALICE).await.expect(200)
}

#[tokio::test]
async fn a_refund_as_credit_pays_the_next_booking_and_comes_back_as_credit() {
    let api = generous().await;
    assert_eq!(credit(&api).await, json!([]));
    let first = api.confirmed("k1", booking("20:00", "22:00")).await;
    api.call("DELETE", &format!("/v1/reservations/{first}"), ALICE).send().await.expect(200);
    let refund = payment(&api, &first, 2).await;
    assert_eq!((refund.text("status"), refund.text("means")), ("requested".to_owned(), "wallet".to_owned()));
    for _ in 0..2 {
        api.carry_out(&refund.text("id")).await;
        assert_eq!(credit(&api).await, json!([{"amount_minor": 200, "currency": "EUR"}]), "half, and once");
    }
    assert_eq!(payment(&api, &first, 2).await.text("status"), "succeeded");

    let second = api.held("k2", booking("20:00", "21:00")).await;
    let paid = api.post("/v1/payments", ALICE, "p2", by_credit(&second)).await.expect(201);
    assert_eq!((paid.text("status"), paid.text("means")), ("succeeded".to_owned(), "wallet".to_owned()));
    let again = api.post("/v1/payments", ALICE, "p2", by_credit(&second)).await.expect(201);
    assert!(again.is_replay());
    assert_eq!(again.body, paid.body);
    let stay = api.get(&format!("/v1/reservations/{second}"), ALICE).await.expect(200);
    assert_eq!((stay.text("status"), &stay.body["paid"]["amount_minor"]), ("confirmed".to_owned(), &json!(200)));
    assert_eq!(credit(&api).await, json!([{"amount_minor": 0, "currency": "EUR"}]));

    api.call("DELETE", &format!("/v1/reservations/{second}"), ALICE).send().await.expect(200);
    let back = payment(&api, &second, 2).await;
    assert_eq!((back.text("means"), &back.body["amount"]["amount_minor"]), ("wallet".to_owned(), &json!(100)));
}

#[tokio::test]
async fn too_little_credit_is_declined_and_a_card_may_follow() {
    let api = generous().await;
    let id = api.held("k", booking("20:00", "21:00")).await;
    for _ in 0..2 {
        let declined = api.post("/v1/payments", ALICE, "p1", by_credit(&id)).await.refused(402, "payment_declined");
        assert_eq!(declined.text("decline_code"), "insufficient_credit");
    }
    api.post("/v1/payments", ALICE, "p1", json!({"reservation_id": id, "payment_method": "pm_1"}))
        .await
        .refused(422, "idempotency_key_reused");
    api.paid(&id, "p2").await;
    let stay = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!((stay.text("status"), credit(&api).await), ("confirmed".to_owned(), json!([])));
}

#[tokio::test]
async fn a_payment_names_a_card_or_the_wallet() {
    let api = Api::new().await;
    let id = api.held("k", booking("20:00", "21:00")).await;
    let cases = [
        (json!({"reservation_id": id}), "/payment_method"),
        (json!({"reservation_id": id, "wallet": false}), "/payment_method"),
        (json!({"reservation_id": id, "wallet": true, "payment_method": "pm_1"}), "/wallet"),
    ];
    for (body, pointer) in cases {
        let refused = api.post("/v1/payments", ALICE, "p", body).await.refused(422, "invalid_fields");
        assert_eq!(refused.errors(), [(pointer.to_owned(), "one_of".to_owned())]);
    }
}

#[tokio::test]
async fn nobody_else_sees_what_credit_a_user_has() {
    let api = Api::new().await;
    for token in [BOB, OLGA, "dev.gate.lane-1.central"] {
        api.get("/v1/users/alice/wallet", token).await.refused(404, "reservation_not_found");
    }
    api.get("/v1/users/alice/wallet", ROOT).await.expect(200);
}

#[tokio::test]
async fn what_a_driver_has_is_not_an_operators_to_spend_nor_a_lanes_of_the_same_name() {
    let api = generous().await;
    let first = api.confirmed("k1", booking("20:00", "22:00")).await;
    api.call("DELETE", &format!("/v1/reservations/{first}"), ALICE).send().await.expect(200);
    api.carry_out(&payment(&api, &first, 2).await.text("id")).await;
    assert_eq!(credit(&api).await, json!([euros(200)]));
    let second = api.held("k2", booking("20:00", "21:00")).await;
    api.post("/v1/payments", OLGA, "p1", by_credit(&second)).await.refused(403, "forbidden");

    let lane = "dev.gate.alice.central";
    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}});
    let stay = api.post("/v1/gate/check-in", lane, "in", walk_in).await.expect(200).text("id");
    api.at("11:00:00");
    let exit = json!({"lot_id": "central", "reservation_id": stay});
    api.post("/v1/gate/check-out", lane, "out", exit).await.expect(200);
    for token in [ROOT, ALICE] {
        api.post("/v1/payments", token, "p2", by_credit(&stay)).await.refused(402, "payment_declined");
    }
    assert_eq!(credit(&api).await, json!([euros(200)]));
}

const KIOSK: &str = "/v1/lots/central/tills/kiosk-1";
const DEVICE: &str = "dev.gate.kiosk-1.central";

fn euros(minor: i64) -> Value {
    json!({"amount_minor": minor, "currency": "EUR"})
}

/// A walk-in that came at 10:00, left at `until` and owes what that costs.
async fn owing(api: &Api, until: &str) -> String {
    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}});
    let stay = api.post("/v1/gate/check-in", GATE, "in", walk_in).await.expect(200).text("id");
    api.at(until);
    let exit = json!({"lot_id": "central", "reservation_id": stay});
    api.post("/v1/gate/check-out", GATE, "out", exit).await.expect(200);
    stay
}

#[tokio::test]
async fn a_kiosk_takes_notes_gives_change_and_confirms_the_booking() {
    let api = Api::new().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let body = json!({"code": id.trim_start_matches("res_").to_lowercase(), "tendered": euros(1_000)});
    let paid = api.post(&format!("{KIOSK}/payments"), DEVICE, "c1", body.clone()).await.expect(201);
    assert_eq!((&paid.body["change"], &paid.body["payment"]["amount"]), (&euros(600), &euros(400)));
    assert_eq!(
        (&paid.body["payment"]["means"], &paid.body["payment"]["status"]),
        (&json!("cash"), &json!("succeeded"))
    );
    assert_eq!(paid.body["reservation"]["status"], "confirmed");
    let again = api.post(&format!("{KIOSK}/payments"), DEVICE, "c1", body.clone()).await.expect(201);
    assert!(again.is_replay());
    assert_eq!(again.body, paid.body);
    api.post(&format!("{KIOSK}/payments"), DEVICE, "c2", body).await.refused(409, "nothing_to_pay");
    let more = json!({"reservation_id": id, "tendered": euros(500)});
    api.post(&format!("{KIOSK}/payments"), DEVICE, "c1", more).await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn a_kiosk_without_coins_owes_a_driver_credit_and_a_walk_in_change() {
    let api = Api::new().await;
    let booked = api.held("k", booking("20:00", "22:00")).await;
    let short = json!({"reservation_id": booked, "tendered": euros(399)});
    let refused = api.post(&format!("{KIOSK}/payments"), DEVICE, "c0", short).await.refused(422, "too_little_cash");
    assert_eq!(refused.body["due_minor"], 400);
    let kept = json!({"reservation_id": booked, "tendered": euros(1_000), "change_given": euros(500)});
    let paid = api.post(&format!("{KIOSK}/payments"), DEVICE, "c1", kept).await.expect(201);
    let owed = &paid.body["owed"][0];
    assert_eq!((&owed["means"], &owed["amount"], &owed["reason"]), (&json!("wallet"), &euros(100), &json!("overpaid")));
    api.carry_out(owed["id"].as_str().unwrap()).await;
    assert_eq!(credit(&api).await, json!([euros(100)]));
    let payout = json!({"payment_id": owed["id"]});
    api.post(&format!("{KIOSK}/payouts"), DEVICE, "o1", payout).await.refused(409, "nothing_to_pay");

    let stay = owing(&api, "11:00:00").await;
    let part = json!({"reservation_id": stay, "tendered": euros(50)});
    let first = api.post(&format!("{KIOSK}/payments"), DEVICE, "c2", part).await.expect(201);
    assert_eq!(first.body["reservation"]["balance_due"], euros(150));
    let rest = json!({"reservation_id": stay, "tendered": euros(200), "change_given": euros(0)});
    let paid = api.post(&format!("{KIOSK}/payments"), DEVICE, "c3", rest).await.expect(201);
    let owed = paid.body["owed"][0].clone();
    assert_eq!((&owed["means"], &owed["amount"], &owed["status"]), (&json!("cash"), &euros(50), &json!("requested")));
    // The message of it comes, and nobody is at the till.
    api.carry_out(owed["id"].as_str().unwrap()).await;
    let payout = || json!({"payment_id": owed["id"]});
    let empty = "/v1/lots/central/tills/kiosk-2/payouts";
    api.post(empty, DEVICE, "o2", payout()).await.refused(409, "not_in_till");
    for _ in 0..2 {
        let out = api.post(&format!("{KIOSK}/payouts"), DEVICE, "o2", payout()).await.expect(200);
        assert_eq!(out.text("status"), "succeeded");
    }
    api.post(&format!("{KIOSK}/payouts"), OLGA, "o3", payout()).await.refused(409, "nothing_to_pay");
    let unknown = json!({"payment_id": "pay_0000000000012_1"});
    api.post(&format!("{KIOSK}/payouts"), OLGA, "o4", unknown).await.refused(404, "payment_not_found");
}

#[tokio::test]
async fn an_operator_counts_a_till_and_sees_what_was_counted() {
    let api = Api::new().await;
    let stay = owing(&api, "11:00:00").await;
    let paid = json!({"reservation_id": stay, "tendered": euros(500)});
    api.post(&format!("{KIOSK}/payments"), DEVICE, "c", paid).await.expect(201);
    let counts = format!("{KIOSK}/counts");
    let evening = json!({"counted": euros(190), "left_in_till": euros(50)});
    for _ in 0..2 {
        let count = api.post(&counts, OLGA, "n1", evening.clone()).await.expect(201).body;
        assert_eq!(
            (&count["expected"], &count["counted"], &count["difference"]),
            (&euros(200), &euros(190), &euros(-10))
        );
        assert_eq!(
            (&count["left_in_till"], &count["banked"], &count["counted_by"]),
            (&euros(50), &euros(140), &json!("olga"))
        );
    }
    api.post(&counts, OLGA, "n1", json!({"counted": euros(200)})).await.refused(422, "idempotency_key_reused");
    api.post(&counts, OLGA, "n2", json!({"counted": euros(50)})).await.expect(201);
    let page = api.get(&format!("{counts}?limit=1"), OLGA).await.expect(200);
    assert_eq!(page.body["items"][0]["difference"], euros(0));
    let next = api.get(&format!("{counts}?limit=1&next={}", page.text("next")), OLGA).await.expect(200);
    assert_eq!(next.body["items"][0]["difference"], euros(-10));
    for token in [DEVICE, ALICE] {
        api.get(&counts, token).await.refused(403, "forbidden");
        api.post(&counts, token, "n3", evening.clone()).await.refused(403, "forbidden");
    }
    let dollars = json!({"counted": {"amount_minor": 1, "currency": "USD"}});
    let refused = api.post(&counts, OLGA, "n4", dollars).await.refused(422, "invalid_fields");
    assert_eq!(refused.errors(), [("/counted/currency".to_owned(), "currency_mismatch".to_owned())]);
}
