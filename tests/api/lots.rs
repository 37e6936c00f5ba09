//! Lots, spots, and what is free.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, booking, lot, with};

#[tokio::test]
async fn a_lot_is_created_replaced_and_keeps_what_bookings_rely_on() {
    let api = Api::empty();
    let made = api.call("PUT", "/v1/lots/north", ROOT).json(lot()).await.expect(201);
    assert_eq!((made.header("location"), made.header("etag")), ("/v1/lots/north", "\"v1\""));
    let dearer = with(lot(), "tariff", json!({"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 60}}));
    let replaced = api.call("PUT", "/v1/lots/north", "dev.operator.o.north").header("if-match", "\"v1\"");
    assert_eq!(replaced.json(dearer.clone()).await.expect(200).body["tariff_version"], 2);
    let stale = api.call("PUT", "/v1/lots/north", ROOT).header("if-match", "\"v1\"").json(dearer).await;
    assert_eq!(stale.refused(412, "version_mismatch").body["version"], 2);
    let moved = api.call("PUT", "/v1/lots/north", ROOT).json(with(lot(), "time_zone", json!("Europe/Paris"))).await;
    assert_eq!(moved.refused(422, "invalid_fields").errors(), [("/time_zone".to_owned(), "not_allowed".to_owned())]);
}

#[tokio::test]
async fn two_thousand_spots_are_imported_at_once_and_listed_by_page() {
    let api = Api::empty();
    api.call("PUT", "/v1/lots/big", ROOT).json(lot()).await.expect(201);
    let spot = |n: usize| json!({"number": format!("{n:04}"), "zone": "A", "size": "standard"});
    let spots = |count: usize| json!({"spots": (0..count).map(spot).collect::<Vec<_>>()});
    let put = api.call("PUT", "/v1/lots/big/spots", ROOT).json(spots(2_000)).await.expect(200).body;
    assert_eq!(put, json!({"lot_id": "big", "written": 2_000, "total": 2_000, "version": 1}));
    let many = api.call("PUT", "/v1/lots/big/spots", ROOT).json(spots(2_001)).await.refused(422, "invalid_fields");
    assert_eq!(many.errors(), [("/spots".to_owned(), "too_many".to_owned())]);

    let (mut seen, mut path) = (Vec::new(), "/v1/lots/big/spots?limit=200".to_owned());
    loop {
        let page = api.get(&path, ALICE).await.expect(200).body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|spot| spot["spot_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/lots/big/spots?limit=200&next={next}");
    }
    assert_eq!(seen.len(), 2_000);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn a_spot_shows_its_state_and_nobodys_name() {
    let api = Api::new().await;
    let at = |spot: &str| with(booking("10:00", "12:00"), "spot_id", json!(spot));
    api.held("k1", at("A1")).await;
    let paid = api.confirmed("k2", at("A2")).await;
    let entered = api.confirmed("k3", at("B1")).await;
    api.post("/v1/gate/check-in", GATE, "in", json!({"lot_id": "central", "reservation_id": entered}))
        .await
        .expect(200);
    let out = json!({"status": "out_of_service", "until": "2026-11-21T18:00"});
    api.call("PUT", "/v1/lots/central/spots/M1/status", OLGA).json(out).await.expect(200);
    let page = api.get("/v1/lots/central/spots", BOB).await.expect(200).body;
    let mut states: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|s| (s["spot_id"].clone(), s["state"].clone())).collect();
    states.sort_by_key(|(spot, _)| spot.to_string());
    let expected = [("A1", "held"), ("A2", "reserved"), ("B1", "occupied"), ("M1", "out_of_service")];
    assert_eq!(states, expected.map(|(spot, state)| (json!(spot), json!(state))));
    assert!(
        !page.to_string().contains("res_") && !page.to_string().contains("alice") && !page.to_string().contains(&paid)
    );
    api.at("10:10:00");
    assert_eq!(
        api.get("/v1/lots/central/spots/A1", BOB).await.expect(200).body["state"],
        "available",
        "the hold is over (I4)"
    );
}

#[tokio::test]
async fn a_spot_goes_out_of_service_and_its_reservations_move_or_are_refunded() {
    let api = Api::new().await;
    let at = |spot: &str| with(booking("12:00", "14:00"), "spot_id", json!(spot));
    let moved = api.confirmed("k1", at("A1")).await;
    api.confirmed("k2", at("A2")).await;
    let path = "/v1/lots/central/spots/A1/status";
    let out = json!({"status": "out_of_service", "from": "2026-11-21T11:00:00Z", "until": "2026-11-21T20:00:00Z"});
    let result = api.call("PUT", path, OLGA).json(out).await.expect(200).body;
    assert_eq!(result["displaced"], json!([{"reservation_id": moved, "outcome": "moved", "spot_id": "B1"}]));
    let out = json!({"status": "out_of_service", "from": "2026-11-21T11:00:00Z", "until": "2026-11-21T20:00:00Z"});
    let result = api.call("PUT", "/v1/lots/central/spots/B1/status", OLGA).json(out).await.expect(200).body;
    assert_eq!(result["displaced"], json!([{"reservation_id": moved, "outcome": "refunded"}]));
    let refunded = api.get(&format!("/v1/reservations/{moved}"), ALICE).await.expect(200);
    assert_eq!((refunded.text("status"), refunded.text("reason")), ("cancelled".into(), "spot_out_of_service".into()));
    assert_eq!(refunded.body["refunded"]["amount_minor"], 400, "in full, whatever the ladder says");

    api.call("PUT", path, OLGA).json(json!({"status": "in_service"})).await.expect(200);
    api.held("k3", at("A1")).await;
}

#[tokio::test]
async fn an_interval_that_makes_no_sense_is_refused() {
    let api = Api::new().await;
    let path = "/v1/lots/central/spots/A1/status";
    let out = |from: Value, until: &str| json!({"status": "out_of_service", "from": from, "until": until});
    for (body, code, pointer) in [
        (out(Value::Null, "2026-11-21T10:00:00Z"), "window_in_past", "/until"),
        (out(json!("2026-11-22T10:00:00Z"), "2026-11-22T10:00:00Z"), "window_reversed", "/until"),
        (out(Value::Null, "2027-06-22T10:00:00Z"), "window_too_long", "/end_time"),
        (out(Value::Null, "tomorrow"), "invalid_fields", "/until"),
        (out(json!("2027-03-28T02:30"), "2027-03-29T02:30"), "local_time_gap", "/from"),
    ] {
        let refused = api.call("PUT", path, OLGA).json(body.clone()).await.refused(422, code);
        assert_eq!(refused.errors()[0].0, pointer, "{body}");
    }
    let out = out(Value::Null, "2026-11-21T12:00:00Z");
    api.call("PUT", "/v1/lots/central/spots/Z9/status", OLGA).json(out.clone()).await.refused(404, "spot_not_found");
    let entered = api.confirmed("k", with(booking("10:00", "12:00"), "spot_id", json!("A1"))).await;
    api.post("/v1/gate/check-in", GATE, "in", json!({"lot_id": "central", "reservation_id": entered}))
        .await
        .expect(200);
    api.call("PUT", path, OLGA).json(out).await.refused(409, "spot_not_available");
}

#[tokio::test]
async fn a_search_shows_as_many_as_asked_for_and_counts_all() {
    let api = Api::new().await;
    let path = |more: &str| {
        format!(
            "/v1/spots/available?lot_id=central&start_time=2026-11-21T12:00:00Z&end_time=2026-11-21T14:00:00Z{more}"
        )
    };
    let found = api.get(&path("&vehicle_class=regular&limit=1"), ALICE).await.expect(200).body;
    assert_eq!((&found["free_spots"], found["items"].as_array().unwrap().len()), (&json!(3), 1));
    api.held("k", with(booking("13:00", "15:00"), "spot_id", json!("A1"))).await;
    assert_eq!(api.get(&path("&vehicle_class=standard"), ALICE).await.expect(200).body["free_spots"], 2);
    assert_eq!(api.get(&path("&vehicle_class=suv"), ALICE).await.expect(200).body["free_spots"], 1);
    api.get(&path("&vehicle_class=motorcycle"), ALICE).await.refused(422, "not_priced");
}

#[tokio::test]
async fn lots_are_found_by_distance_and_counted_days() {
    let api = Api::new().await;
    let at =
        |latitude: i64, longitude: i64| json!({"latitude_microdegrees": latitude, "longitude_microdegrees": longitude});
    for (id, latitude, longitude) in
        [("near", 52_525_000, 13_404_954), ("far", 52_900_000, 13_404_954), ("fiji", -17_000_000, 179_999_000)]
    {
        let body = with(lot(), "position", at(latitude, longitude));
        api.call("PUT", &format!("/v1/lots/{id}"), ROOT).json(body).await.expect(201);
    }
    let ids = async |query: &str| {
        let body = api.get(&format!("/v1/lots?{query}"), ALICE).await.expect(200).body;
        body["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lot| lot["lot_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("near=52.52,13.405").await, ["central", "near"]);
    assert_eq!(ids("near=52.525,13.405&limit=1").await, ["near"]);
    assert_eq!(ids("near=-17,-179.999&radius=1000").await, ["fiji"], "across the date line");
    assert!(ids("near=0,0&radius=20000").await.is_empty());

    api.held("k", with(booking("12:00", "13:00"), "spot_id", json!("A1"))).await;
    let calendar = api.engine.stream_records("Calendar", None, 100).unwrap();
    let key = |name: &str| calendar[0].pointer(&format!("/dynamodb/Keys/{name}/S")).unwrap().as_str().unwrap();
    let page = parkade_store::lot_page(key("pk"), key("sk")).unwrap();
    api.deps.store.recompute_occupancy(&page, api.now().timestamp()).await.unwrap();
    let count = async |window: &str| {
        let path = format!("/v1/lots?near=52.52,13.405&radius=100&{window}");
        api.get(&path, ALICE).await.expect(200).body["items"][0]["free_spots"].clone()
    };
    assert_eq!(count("start_time=2026-11-21T12:00:00Z&end_time=2026-11-21T13:00:00Z").await, 2);
    assert_eq!(count("start_time=2026-11-21T14:00:00Z&end_time=2026-11-21T15:00:00Z").await, 3);
    assert_eq!(
        count("start_time=2026-11-21T11:00:00Z&end_time=2026-11-23T15:00:00Z").await,
        2,
        "the fullest hour counts"
    );
    assert_eq!(count("start_time=2026-11-25T12:00:00Z&end_time=2026-11-25T13:00:00Z").await, 3, "never counted: all");
}
