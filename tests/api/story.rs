//! The main job from end to end.

use serde_json::json;

use crate::harness::{ALICE, Api, GATE, booking, with};

#[tokio::test]
async fn a_driver_finds_reserves_pays_extends_enters_and_leaves_early_with_a_refund() {
    let api = Api::new().await;
    let near = "/v1/lots?near=52.521,13.404&radius=500&start_time=2026-11-21T12:00:00Z&end_time=2026-11-21T14:00:00Z";
    let lots = api.get(near, ALICE).await.expect(200).body;
    assert_eq!(lots["total"], 1);
    assert_eq!(lots["items"][0]["lot_id"], "central");
    assert_eq!(lots["items"][0]["distance_m"], 128);
    assert_eq!(lots["items"][0]["free_spots"], 3, "the motorcycle's spot does not count for a car");

    let free = "/v1/spots/available?lot_id=central&vehicle_class=standard&start_time=2026-11-21T13:00&end_time=2026-11-21T15:00";
    let found = api.get(free, ALICE).await.expect(200).body;
    assert_eq!((&found["free_spots"], &found["price"]["total"]["amount_minor"]), (&json!(3), &json!(400)));
    assert_eq!(found["start_time"], "2026-11-21T12:00:00Z", "local times are the lot's");
    let numbers: Vec<_> = found["items"].as_array().unwrap().iter().map(|spot| spot["spot_id"].clone()).collect();
    assert_eq!(numbers, ["A1", "A2", "B1"], "the large one last (I2)");

    let quote = json!({"lot_id": "central", "vehicle_class": "standard",
        "start_time": "2026-11-21T12:00:00Z", "end_time": "2026-11-21T14:00:00Z"});
    let quote = api.call("POST", "/v1/quotes", ALICE).json(quote).await.expect(200).body;
    assert_eq!(quote["price"]["price"]["lines"][0]["quantity"], 8);
    assert_eq!(quote["price"]["overstay"]["per_started_unit"]["rate_minor"], 250);

    let body = with(booking("12:00", "14:00"), "plate", json!({"region": "DE", "text": "B-NO 1234"}));
    let held = api.post("/v1/reservations", ALICE, "k", body).await.expect(201);
    assert_eq!(held.header("location"), format!("/v1/reservations/{}", held.text("id")));
    assert_eq!(held.header("etag"), "\"v1\"");
    assert_eq!((held.text("status"), held.text("hold_expires_at")), ("held".into(), "2026-11-21T10:10:00Z".into()));
    assert_eq!(held.body["has_plate"], true);
    assert!(!held.body.to_string().contains("1234"), "a plate is never shown");
    let (id, spot) = (held.text("id"), held.text("spot_id"));

    let pay = json!({"reservation_id": id, "payment_method": "pm_card_visa"});
    let asked = api.post("/v1/payments", ALICE, "p", pay).await.expect(202);
    assert_eq!((asked.text("status"), &asked.body["amount"]["amount_minor"]), ("requested".into(), &json!(400)));
    let payment = asked.header("location").to_owned();
    api.settle(&asked.text("id"), true).await;
    assert_eq!(api.get(&payment, ALICE).await.expect(200).text("status"), "succeeded");
    let path = format!("/v1/reservations/{id}");
    let confirmed = api.get(&path, ALICE).await.expect(200);
    assert_eq!(
        (confirmed.text("status"), &confirmed.body["balance_due"]["amount_minor"]),
        ("confirmed".into(), &json!(0))
    );

    let cancel = json!({"reservation_id": id, "action": "cancel"});
    let unreserve = api.call("POST", "/v1/quotes", ALICE).json(cancel).await.expect(200).body;
    assert_eq!(unreserve["settlement"]["refund"]["amount_minor"], 200, "two hours before: half comes back");
    assert_eq!(unreserve["settlement"]["owed"]["lines"][0]["rule"], "cancellation_kept");

    let longer = json!({"end_time": "2026-11-21T15:00:00Z"});
    let quote = with(longer.clone(), "reservation_id", json!(id));
    let quote = api.call("POST", "/v1/quotes", ALICE).json(with(quote, "action", json!("modify"))).await.expect(200);
    assert_eq!(quote.body["settlement"]["balance_due"]["amount_minor"], 200);
    let changed =
        api.call("PATCH", &path, ALICE).header("if-match", confirmed.header("etag")).json(longer).await.expect(200);
    assert_eq!(changed.body["balance_due"]["amount_minor"], 200);
    api.paid(&id, "more").await;

    api.at("12:05:00");
    let plate = json!({"lot_id": "central", "plate": {"text": "b no 1234"}});
    let entered = api.post("/v1/gate/check-in", GATE, "in", plate.clone()).await.expect(200);
    assert_eq!((entered.text("status"), entered.text("spot_id")), ("checked_in".into(), spot.clone()));
    let spot = api.get(&format!("/v1/lots/central/spots/{spot}"), ALICE).await.expect(200).body;
    assert_eq!((&spot["state"], &spot["state_until"]), (&json!("occupied"), &json!("2026-11-21T15:00:00Z")));

    api.at("13:20:00");
    let leave = json!({"reservation_id": id, "action": "check_out"});
    let quote = api.call("POST", "/v1/quotes", ALICE).json(leave).await.expect(200).body;
    let left = api.post("/v1/gate/check-out", GATE, "out", plate).await.expect(200).body;
    assert_eq!(left["reservation"]["status"], "completed");
    assert_eq!(left["price"]["total"]["amount_minor"], 300, "six started quarters");
    assert_eq!((&left["refund"]["amount_minor"], &left["balance_due"]["amount_minor"]), (&json!(300), &json!(0)));
    assert_eq!(quote["settlement"]["refund"], left["refund"], "the quote is what happens");
    assert_eq!(quote["settlement"]["owed"], left["price"]);

    let listed = api.get("/v1/users/alice/reservations", ALICE).await.expect(200).body;
    assert_eq!((&listed["items"][0]["id"], listed.get("next")), (&json!(id), None));
    let refund = format!("/v1/payments/pay_{}_3", id.trim_start_matches("res_"));
    let refund = api.get(&refund, ALICE).await.expect(200).body;
    assert_eq!((&refund["kind"], &refund["status"]), (&json!("refund"), &json!("requested")));
}

#[tokio::test]
async fn a_list_is_read_page_by_page_without_gaps() {
    let api = Api::new().await;
    let mut made = Vec::new();
    for hour in 12..17 {
        made.push(api.held(&format!("k{hour}"), booking(&format!("{hour}:00"), &format!("{}:00", hour + 1))).await);
    }
    made.reverse();
    let (mut seen, mut path) = (Vec::new(), "/v1/users/alice/reservations?limit=2".to_owned());
    loop {
        let page = api.get(&path, ALICE).await.expect(200).body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/users/alice/reservations?limit=2&next={next}");
    }
    assert_eq!(seen, made, "latest start first");
}
