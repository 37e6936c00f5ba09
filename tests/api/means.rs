//! Paying without the provider: with credit.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, OLGA, ROOT, Reply, booking, lot, with};

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
