//! Entry and exit.

use serde_json::{Value, json};

use crate::harness::{Api, BOB, GATE, OLGA, booking, with};

fn plated(start: &str, end: &str, plate: &str) -> Value {
    with(booking(start, end), "plate", json!({"text": plate}))
}

fn by_plate(plate: &str) -> Value {
    json!({"lot_id": "central", "plate": {"text": plate}})
}

#[tokio::test]
async fn a_code_as_typed_opens_and_names_the_spot() {
    let api = Api::new().await;
    let id = api.confirmed("k", with(booking("12:00", "14:00"), "spot_id", json!("A2"))).await;
    let code = id.trim_start_matches("res_").to_ascii_lowercase();
    let typed = format!("{}-{} {}", &code[..5], &code[5..10], &code[10..]);
    api.at("12:00:00");
    let entered =
        api.post("/v1/gate/check-in", GATE, "in", json!({"lot_id": "central", "code": typed})).await.expect(200);
    assert_eq!((entered.text("id"), entered.text("spot_id")), (id, "A2".to_owned()));
    assert_eq!(entered.text("entered_at"), "2026-11-21T12:00:00Z");
}

#[tokio::test]
async fn early_is_let_in_within_the_grace_and_told_the_time_before_it() {
    let api = Api::new().await;
    api.confirmed("k", plated("12:00", "14:00", "AB 1")).await;
    let early = api.post("/v1/gate/check-in", GATE, "1", by_plate("AB 1")).await.refused(409, "too_early");
    assert_eq!(early.text("opens_at"), "2026-11-21T11:45:00Z");
    api.at("11:45:00");
    api.post("/v1/gate/check-in", GATE, "2", by_plate("AB 1")).await.expect(200);
    api.at("11:50:00");
    let left = api.post("/v1/gate/check-out", GATE, "3", by_plate("AB 1")).await.expect(200);
    assert_eq!(left.body["refund"]["amount_minor"], 400, "left before the start: nothing was used");
}

#[tokio::test]
async fn early_into_a_spot_that_is_still_taken_is_refused() {
    let api = Api::new().await;
    let at = |start, end, spot: &str| with(booking(start, end), "spot_id", json!(spot));
    api.confirmed("k1", at("11:00", "12:00", "A1")).await;
    let next = api.confirmed("k2", at("12:00", "13:00", "A1")).await;
    api.at("11:50:00");
    let enter = json!({"lot_id": "central", "reservation_id": next});
    api.post("/v1/gate/check-in", GATE, "1", enter.clone()).await.refused(409, "spot_not_available");
    api.at("12:00:00");
    api.post("/v1/gate/check-in", GATE, "2", enter).await.expect(200);
}

#[tokio::test]
async fn a_plate_without_a_right_is_unknown_and_one_that_has_not_paid_is_told_so() {
    let api = Api::new().await;
    api.post("/v1/gate/check-in", GATE, "1", by_plate("ZZ 9")).await.refused(404, "reservation_not_found");
    api.post("/v1/gate/check-out", GATE, "2", by_plate("ZZ 9")).await.refused(404, "reservation_not_found");
    api.held("k", plated("10:00", "11:00", "AB 1")).await;
    let unpaid = api.post("/v1/gate/check-in", GATE, "3", by_plate("AB 1")).await.refused(409, "state_conflict");
    assert_eq!((unpaid.text("state"), &unpaid.body["allowed"]), ("held".into(), &json!(["confirmed"])));
}

#[tokio::test]
async fn a_tie_of_plates_never_opens() {
    let api = Api::new().await;
    api.confirmed("k1", plated("12:00", "14:00", "B NO 1234")).await;
    let second = api.confirmed("k2", plated("12:00", "14:00", "BN O 1234")).await;
    api.at("12:00:00");
    api.post("/v1/gate/check-in", GATE, "1", by_plate("BNO1234")).await.refused(409, "plate_ambiguous");
    api.post("/v1/gate/check-in", GATE, "2", json!({"lot_id": "central", "reservation_id": second})).await.expect(200);
}

#[tokio::test]
async fn a_plates_region_tells_equal_plates_apart() {
    let api = Api::new().await;
    let of = |region: &str| json!({"region": region, "text": "AB 123"});
    let mut ids = Vec::new();
    for region in ["DE", "FR"] {
        ids.push(api.confirmed(region, with(booking("12:00", "14:00"), "plate", of(region))).await);
    }
    api.at("12:00:00");
    let enter = |region: &str| json!({"lot_id": "central", "plate": of(region)});
    api.post("/v1/gate/check-in", GATE, "1", by_plate("AB 123")).await.refused(409, "plate_ambiguous");
    api.post("/v1/gate/check-in", GATE, "2", enter("IT")).await.refused(409, "plate_ambiguous");
    assert_eq!(api.post("/v1/gate/check-in", GATE, "3", enter("FR")).await.expect(200).text("id"), ids[1]);
    assert_eq!(api.post("/v1/gate/check-in", GATE, "4", enter("DE")).await.expect(200).text("id"), ids[0]);
    assert_eq!(
        api.post("/v1/gate/check-out", GATE, "5", enter("DE")).await.expect(200).body["reservation"]["id"],
        json!(ids[0])
    );
}

#[tokio::test]
async fn one_reservation_after_another_of_the_same_plate_is_no_tie() {
    let api = Api::new().await;
    let first = api.confirmed("k1", plated("12:00", "13:00", "AB 1")).await;
    let second = api.confirmed("k2", plated("13:00", "14:00", "AB 1")).await;
    api.at("12:50:00");
    let entered = api.post("/v1/gate/check-in", GATE, "1", by_plate("AB 1")).await.expect(200);
    assert_eq!(entered.text("id"), first);
    api.at("13:00:00");
    let left = api.post("/v1/gate/check-out", GATE, "2", by_plate("AB 1")).await.expect(200);
    assert_eq!(left.body["reservation"]["id"], json!(first));
    let entered = api.post("/v1/gate/check-in", GATE, "3", by_plate("AB 1")).await.expect(200);
    assert_eq!(entered.text("id"), second);
}

#[tokio::test]
async fn a_drive_up_is_admitted_and_pays_for_its_stay_afterwards() {
    let api = Api::new().await;
    let body = json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": {"text": "XY 7"}});
    let session = api.post("/v1/gate/check-in", GATE, "1", body).await.expect(200);
    assert_eq!((session.text("kind"), session.text("status")), ("walk_in".into(), "checked_in".into()));
    assert!(session.text("spot_id").starts_with('A'), "the best free one");
    api.at("11:01:00");
    let left = api.post("/v1/gate/check-out", GATE, "2", by_plate("XY 7")).await.expect(200).body;
    assert_eq!(left["balance_due"]["amount_minor"], 250, "five started quarters");
    assert_eq!(left["price"]["lines"][0]["quantity"], 5);
    let pay = json!({"reservation_id": session.text("id"), "payment_method": "pm_1"});
    let payment = api.post("/v1/payments", OLGA, "p", pay).await.expect(202);
    assert_eq!(payment.text("kind"), "balance");
}

#[tokio::test]
async fn a_drive_up_that_has_a_reservation_uses_it() {
    let api = Api::new().await;
    let id = api.confirmed("k", plated("12:00", "14:00", "AB 1")).await;
    api.at("12:00:00");
    let body = json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": {"text": "AB 1"}});
    let entered = api.post("/v1/gate/check-in", GATE, "1", body).await.expect(200);
    assert_eq!((entered.text("id"), entered.text("kind")), (id, "reservation".to_owned()));
}

#[tokio::test]
async fn staying_too_long_is_charged_and_the_barrier_opens_all_the_same() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("12:00", "13:00")).await;
    let body = json!({"lot_id": "central", "reservation_id": id});
    api.at("12:00:00");
    api.post("/v1/gate/check-in", GATE, "1", body.clone()).await.expect(200);
    api.at("14:05:00");
    let left = api.post("/v1/gate/check-out", GATE, "2", body).await.expect(200).body;
    assert_eq!(left["balance_due"]["amount_minor"], 1_500, "two started hours and the fee");
    let rules: Vec<_> = left["price"]["lines"].as_array().unwrap().iter().map(|line| line["rule"].clone()).collect();
    assert_eq!(rules, ["unit_rate", "overstay_rate", "overstay_fee"]);
}

#[tokio::test]
async fn an_operator_may_open_in_the_gates_place_and_a_driver_may_not() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("12:00", "13:00")).await;
    api.at("12:00:00");
    let body = json!({"lot_id": "central", "reservation_id": id});
    api.post("/v1/gate/check-in", BOB, "1", body.clone()).await.refused(403, "forbidden");
    api.post("/v1/gate/check-in", "dev.driver.alice", "1", body.clone()).await.refused(403, "forbidden");
    api.post("/v1/gate/check-in", OLGA, "1", body.clone()).await.expect(200);
    let again = api.post("/v1/gate/check-in", GATE, "2", body).await.refused(409, "state_conflict");
    assert_eq!(again.text("state"), "checked_in");
}
