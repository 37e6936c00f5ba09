//! Asking again is safe: the same request gets the same answer and nothing happens twice.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, GATE, OLGA, Reply, booking, with};

/// The second answer is the first, marked as a replay.
#[track_caller]
fn same(first: &Reply, again: &Reply) {
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    for header in ["etag", "location"] {
        assert_eq!(first.header(header), again.header(header));
    }
    assert!(!first.is_replay() && again.is_replay());
}

#[tokio::test]
async fn every_command_answers_a_retry_as_it_answered_first() {
    let api = Api::new().await;
    let plated = with(booking("12:00", "14:00"), "plate", json!({"text": "AB 123"}));
    let twice = async |token: &'static str, path: &'static str, key: &'static str, body: Value| {
        let first = api.post(path, token, key, body.clone()).await;
        assert!(first.status < 300, "{}", first.body);
        same(&first, &api.post(path, token, key, body).await);
        first
    };
    let id = twice(ALICE, "/v1/reservations", "k", plated).await.text("id");
    let pay = json!({"reservation_id": id, "payment_method": "pm_card_visa"});
    let payment = twice(ALICE, "/v1/payments", "p", pay).await.text("id");
    api.settle(&payment, true).await;

    let path = format!("/v1/reservations/{id}");
    let change =
        async |key: &str| api.call("PATCH", &path, ALICE).key(key).json(json!({"spot_id": "B1"})).await.expect(200);
    same(&change("m").await, &change("m").await);

    api.at("12:00:00");
    let vehicle = json!({"lot_id": "central", "plate": {"text": "AB 123"}});
    twice(GATE, "/v1/gate/check-in", "in", vehicle.clone()).await;
    api.at("13:00:00");
    let left = twice(GATE, "/v1/gate/check-out", "out", vehicle).await;
    assert_eq!(left.body["refund"]["amount_minor"], 200, "a retry tells the same refund");

    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": {"text": "XY 1"}});
    let session = twice(GATE, "/v1/gate/check-in", "walk", walk_in).await.text("id");
    api.at("13:40:00");
    let left =
        twice(GATE, "/v1/gate/check-out", "walk-out", json!({"lot_id": "central", "reservation_id": session})).await;
    assert_eq!(left.body["balance_due"]["amount_minor"], 150, "three started quarters, not paid yet (G1)");
}

#[tokio::test]
async fn a_retry_after_the_window_has_begun_still_gets_its_answer() {
    let api = Api::new().await;
    let first = api.post("/v1/reservations", ALICE, "k", booking("10:00", "11:00")).await.expect(201);
    api.at("10:05:00");
    same(&first, &api.post("/v1/reservations", ALICE, "k", booking("10:00", "11:00")).await);
}

#[tokio::test]
async fn the_spelling_of_a_time_is_not_part_of_what_was_asked() {
    let api = Api::new().await;
    let first = api.post("/v1/reservations", ALICE, "k", booking("12:00", "13:00")).await.expect(201);
    let local = with(booking("12:00", "13:00"), "start_time", json!("2026-11-21T13:00"));
    same(&first, &api.post("/v1/reservations", ALICE, "k", local).await);
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_everywhere() {
    let api = Api::new().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let other = api.post("/v1/reservations", ALICE, "k", booking("12:00", "15:00")).await;
    other.refused(422, "idempotency_key_reused");
    let path = format!("/v1/reservations/{id}");
    api.call("PATCH", &path, ALICE).key("m").json(json!({"spot_id": "A2"})).await.expect(200);
    let other = api.call("PATCH", &path, ALICE).key("m").json(json!({"spot_id": "A1"})).await;
    other.refused(422, "idempotency_key_reused");
    api.call("PUT", &format!("{path}/cancel"), ALICE).key("m").send().await.refused(422, "idempotency_key_reused");
    let pay = |method: &str| json!({"reservation_id": id, "payment_method": method});
    api.post("/v1/payments", ALICE, "p", pay("pm_1")).await.expect(202);
    api.post("/v1/payments", ALICE, "p", pay("pm_2")).await.refused(422, "idempotency_key_reused");
    let walk_in = |class: &str| json!({"lot_id": "central", "walk_in": {"class": class}});
    api.post("/v1/gate/check-in", GATE, "w", walk_in("standard")).await.expect(200);
    api.post("/v1/gate/check-in", GATE, "w", walk_in("large")).await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn cancelling_again_by_anyone_and_in_any_way_answers_what_is_cancelled() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    let path = format!("/v1/reservations/{id}");
    let first = api.call("PUT", &format!("{path}/cancel"), ALICE).send().await.expect(200);
    assert_eq!((first.text("status"), first.text("reason")), ("cancelled".into(), "driver_cancelled".into()));
    assert_eq!(first.body["refunded"]["amount_minor"], 200);
    same(&first, &api.call("PUT", &format!("{path}/cancel"), ALICE).send().await);
    same(&first, &api.call("DELETE", &path, ALICE).send().await);
    same(&first, &api.call("DELETE", &path, OLGA).key("other").send().await);
    same(&first, &api.call("DELETE", &path, ALICE).header("if-match", "*").send().await);
    api.call("DELETE", &path, OLGA).header("if-match", "\"v2\"").send().await.refused(412, "version_mismatch");
}

#[tokio::test]
async fn the_same_change_without_a_key_is_a_new_one_after_another() {
    let api = Api::new().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let path = format!("/v1/reservations/{id}");
    for spot in ["A2", "A1", "A2", "A2"] {
        let changed = api.call("PATCH", &path, ALICE).json(json!({"spot_id": spot})).await.expect(200);
        assert_eq!(changed.text("spot_id"), spot);
        assert!(!changed.is_replay());
    }
    let current = api.get(&path, ALICE).await.header("etag").to_owned();
    let with_version =
        async || api.call("PATCH", &path, ALICE).header("if-match", &current).json(json!({"spot_id": "B1"})).await;
    same(&with_version().await.expect(200), &with_version().await);
    let other = api.call("PATCH", &path, ALICE).header("if-match", &current).json(json!({"spot_id": "A1"})).await;
    other.refused(412, "version_mismatch");
}

#[tokio::test]
async fn two_users_may_choose_the_same_key() {
    let api = Api::new().await;
    let alice = api.post("/v1/reservations", ALICE, "k", booking("12:00", "13:00")).await.expect(201);
    let bob = api.post("/v1/reservations", crate::harness::BOB, "k", booking("12:00", "13:00")).await.expect(201);
    assert_ne!(alice.text("id"), bob.text("id"));
}

#[tokio::test]
async fn a_declined_payment_stays_declined_under_its_key_and_another_key_pays() {
    let api = Api::new().await;
    let id = api.held("k", booking("12:00", "14:00")).await;
    let pay = json!({"reservation_id": id, "payment_method": "pm_1"});
    let payment = api.post("/v1/payments", ALICE, "p1", pay.clone()).await.expect(202).text("id");
    api.settle(&payment, false).await;
    let refused = api.post("/v1/payments", ALICE, "p1", pay.clone()).await.refused(402, "payment_declined");
    assert_eq!((refused.text("payment_id"), refused.text("decline_code")), (payment, "card_declined".into()));
    api.post("/v1/payments", ALICE, "p2", pay).await.expect(202);
}

#[tokio::test]
async fn taking_a_spot_out_of_service_twice_is_taking_it_once() {
    let api = Api::new().await;
    let path = "/v1/lots/central/spots/A1/status";
    let out = json!({"status": "out_of_service", "until": "2026-11-21T20:00:00Z", "reason": "Repainting"});
    let first = api.call("PUT", path, OLGA).json(out.clone()).await.expect(200).body;
    assert_eq!(api.call("PUT", path, OLGA).json(out.clone()).await.expect(200).body, first);
    api.at("10:30:00");
    assert_eq!(api.call("PUT", path, OLGA).json(out).await.expect(200).body, first);
    let back = api.call("PUT", path, OLGA).json(json!({"status": "in_service"})).await.expect(200).body;
    assert_eq!(back["spot"]["state"], "available", "one interval was there");
}
