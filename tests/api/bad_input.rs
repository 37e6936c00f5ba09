//! What is refused before anything is written, with the place of the mistake.

use parkade_testkit::Call;
use serde_json::{Value, json};

use crate::harness::{ALICE, Api, GATE, OLGA, ROOT, booking, lot, with};

fn pair((pointer, code): (&str, &str)) -> (String, String) {
    (pointer.to_owned(), code.to_owned())
}

#[tokio::test]
async fn wrong_reservations_are_refused_with_code_and_pointer_and_write_nothing() {
    let api = Api::new().await;
    let base = || booking("12:00", "14:00");
    let times = |start: &str, end: &str| with(with(base(), "start_time", json!(start)), "end_time", json!(end));
    let vehicle = |vehicle: Value| with(base(), "vehicle", vehicle);
    let cases: Vec<(Value, u16, &str, &str)> = vec![
        (with(base(), "lot_id", json!("nowhere")), 404, "lot_not_found", ""),
        (with(base(), "lot_id", json!("no/where")), 422, "invalid_fields", "/lot_id"),
        (with(base(), "lot_id", json!(7)), 422, "invalid_fields", "/lot_id"),
        (with(base(), "spot_id", json!("Z9")), 404, "spot_not_found", ""),
        (with(base(), "spot_id", json!("")), 422, "invalid_fields", "/spot_id"),
        (with(base(), "user", json!("bob")), 422, "invalid_fields", "/user"),
        (with(base(), "price_minor", json!(0)), 422, "invalid_fields", "/price_minor"),
        (times("2026-11-21T09:45:00Z", "2026-11-21T12:00:00Z"), 422, "window_in_past", "/start_time"),
        (times("2026-11-21T13:00:00Z", "2026-11-21T12:00:00Z"), 422, "window_reversed", "/end_time"),
        (times("2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z"), 422, "window_reversed", "/end_time"),
        (times("2026-11-21T12:05:00Z", "2026-11-21T13:00:00Z"), 422, "window_off_grid", "/start_time"),
        (times("2026-11-21T12:00:30Z", "2026-11-21T13:00:00Z"), 422, "window_off_grid", "/start_time"),
        (times("2026-11-21T12:00:00Z", "2026-11-22T12:15:00Z"), 422, "window_too_long", "/end_time"),
        (times("2026-12-21T10:15:00Z", "2026-12-21T12:00:00Z"), 422, "window_beyond_horizon", "/start_time"),
        (times("2027-03-28T02:30", "2027-03-28T05:00"), 422, "local_time_gap", "/start_time"),
        (times("2027-03-28T01:30", "2027-03-28T02:30"), 422, "local_time_gap", "/end_time"),
        (times("soon", "2026-11-21T12:00:00Z"), 422, "invalid_fields", "/start_time"),
        (times("+12026-11-21T12:00:00Z", "2026-11-21T12:00:00Z"), 422, "invalid_fields", "/start_time"),
        (with(base(), "start_time", Value::Null), 422, "invalid_fields", "/start_time"),
        (with(base(), "start_time", json!(1_795_000_000)), 422, "invalid_fields", "/start_time"),
        (vehicle(json!({"class": "tank"})), 422, "invalid_fields", "/vehicle/class"),
        (vehicle(json!({"class": "standard", "ev": "yes"})), 422, "invalid_fields", "/vehicle/ev"),
        (vehicle(json!({"class": "standard", "wheels": 4})), 422, "invalid_fields", "/vehicle/wheels"),
        (vehicle(json!("standard")), 422, "invalid_fields", "/vehicle"),
        (vehicle(json!({"class": "motorcycle"})), 422, "not_priced", ""),
        (with(vehicle(json!({"class": "large"})), "spot_id", json!("M1")), 422, "vehicle_fits_nowhere", ""),
        (with(base(), "plate", json!({"text": "!"})), 422, "invalid_fields", "/plate"),
        (with(base(), "plate", json!({"text": "4111 1111 1111 1111"})), 422, "invalid_fields", ""),
        (with(base(), "recurrence", json!({})), 422, "invalid_fields", "/recurrence"),
    ];
    let before = written(&api);
    for (body, status, code, pointer) in cases {
        let reply = api.post("/v1/reservations", ALICE, "k", body.clone()).await.refused(status, code);
        let found = reply.errors().first().map(|(pointer, _)| pointer.clone()).unwrap_or_default();
        assert_eq!(found, pointer, "{body}");
    }
    assert_eq!(written(&api), before, "nothing was written");
}

/// Calls that write, so far.
fn written(api: &Api) -> usize {
    api.faults.log().iter().filter(|call| Call::writes(call)).count()
}

#[tokio::test]
async fn bodies_that_are_no_json_are_told_from_json_of_the_wrong_shape() {
    let api = Api::new().await;
    let before = written(&api);
    let routes = [
        ("POST", "/v1/quotes", ALICE),
        ("POST", "/v1/reservations", ALICE),
        ("PATCH", "/v1/reservations/res_0000000000001", ALICE),
        ("POST", "/v1/payments", ALICE),
        ("PUT", "/v1/users/alice/preferences", ALICE),
        ("PUT", "/v1/lots/central", ROOT),
        ("PUT", "/v1/lots/central/spots", OLGA),
        ("PUT", "/v1/lots/central/spots/A1/status", OLGA),
        ("POST", "/v1/gate/check-in", GATE),
        ("POST", "/v1/gate/check-out", GATE),
    ];
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes();
    let bodies: [(Vec<u8>, u16, &str); 9] = [
        (Vec::new(), 400, "malformed_json"),
        (b"null".to_vec(), 400, "malformed_json"),
        (b"[]".to_vec(), 400, "malformed_json"),
        (b"{\"a\":1".to_vec(), 400, "malformed_json"),
        (b"{\"a\":\"\xff\xfe\"}".to_vec(), 400, "malformed_json"),
        (nested, 400, "malformed_json"),
        (b"{\"admin\":true}".to_vec(), 422, "invalid_fields"),
        (b"{\"start_time\":99999999999999999999999}".to_vec(), 422, "invalid_fields"),
        (vec![b' '; 2 * 1024 * 1024], 413, "body_too_large"),
    ];
    for (method, path, token) in routes {
        for (body, status, code) in &bodies {
            let reply = api.call(method, path, token).key("k").bytes(body.clone()).await;
            assert_eq!(
                (reply.status, reply.text("code")),
                (*status, (*code).to_owned()),
                "{method} {path}: {}",
                reply.body
            );
        }
    }
    assert_eq!(written(&api), before, "nothing was written");
}

#[tokio::test]
async fn everything_wrong_with_a_request_is_said_at_once() {
    let api = Api::new().await;
    let body = json!({
        "lot_id": "a b", "spot_id": "", "vehicle": {"class": "tank"}, "plate": {"text": "?"}, "start_time": "2026-11-21T12:00:00Z",
    });
    let refused = api.post("/v1/reservations", ALICE, "k", body).await.refused(422, "invalid_fields");
    let expected = [
        ("/lot_id", "invalid"),
        ("/spot_id", "invalid"),
        ("/vehicle/class", "invalid"),
        ("/plate", "invalid"),
        ("/end_time", "required"),
    ];
    assert_eq!(refused.errors(), expected.map(pair));

    let spots = json!({"spots": [
        {"number": "A 1", "zone": "A", "size": "standard"},
        {"number": "A2", "zone": "A", "size": "giant"},
        {"number": "A2", "zone": "", "size": "large", "features": ["pool"]},
    ]});
    let refused = api.call("PUT", "/v1/lots/central/spots", OLGA).json(spots).await.refused(422, "invalid_fields");
    let expected = [
        ("/spots/0/number", "invalid"),
        ("/spots/1/size", "invalid"),
        ("/spots/2/number", "duplicate"),
        ("/spots/2/features/0", "invalid"),
        ("/spots/2/zone", "invalid"),
    ];
    assert_eq!(refused.errors(), expected.map(pair));

    let mut wrong = with(lot(), "name", json!(""));
    wrong["position"]["latitude_microdegrees"] = json!(90_000_001);
    wrong["policy"] = json!({"hold_ttl_s": 1, "grid_minutes": 7});
    wrong["tariff"]["rates"] = json!({});
    let refused = api.call("PUT", "/v1/lots/central", OLGA).json(wrong).await.refused(422, "invalid_fields");
    let pointers: Vec<_> = refused.errors().into_iter().map(|(pointer, _)| pointer).collect();
    for pointer in
        ["/name", "/position/latitude_microdegrees", "/policy/hold_ttl_s", "/policy/grid_minutes", "/tariff/rates"]
    {
        assert!(pointers.iter().any(|found| found == pointer), "{pointer} of {pointers:?}");
    }
}

#[tokio::test]
async fn wrong_queries_are_refused_with_every_parameter() {
    let api = Api::new().await;
    let search = "/v1/spots/available?vehicle_class=tank&start_time=2026-11-21T12:00:00Z&ev=maybe&limit=0&colour=red";
    let cases: [(&str, &[(&str, &str)]); 8] = [
        (
            search,
            &[
                ("/query/colour", "unknown"),
                ("/query/lot_id", "required"),
                ("/query/vehicle_class", "invalid"),
                ("/query/end_time", "required"),
                ("/query/ev", "invalid"),
                ("/query/limit", "out_of_range"),
            ],
        ),
        ("/v1/lots", &[("/query/near", "required")]),
        (
            "/v1/lots?near=1&radius=20001&limit=51",
            &[("/query/near", "invalid"), ("/query/radius", "out_of_range"), ("/query/limit", "out_of_range")],
        ),
        ("/v1/lots?near=1,1&start_time=2026-11-21T12:00", &[("/query/start_time", "time_malformed")]),
        ("/v1/lots?near=1,1&end_time=2026-12-21T12:00:00Z", &[("/query/end_time", "out_of_range")]),
        ("/v1/users/alice/reservations?limit=201", &[("/query/limit", "out_of_range")]),
        ("/v1/users/alice/reservations?next=IngiCg", &[("/query/next", "invalid")]),
        ("/v1/lots/central/spots?next=IngiCg", &[("/query/next", "invalid")]),
    ];
    for (path, expected) in cases {
        let refused = api.get(path, ALICE).await.refused(422, "invalid_fields");
        assert_eq!(refused.errors(), expected.iter().map(|error| pair(*error)).collect::<Vec<_>>(), "{path}");
    }
    let forged = parkade_api::cursor(&"0029000010#!!!".to_owned()).unwrap();
    api.get(&format!("/v1/users/alice/reservations?next={forged}"), ALICE).await.refused(422, "invalid_fields");
    let reversed = "/v1/lots?near=1,1&start_time=2026-11-21T12:00:00Z&end_time=2026-11-21T12:00:00Z";
    api.get(reversed, ALICE).await.refused(422, "window_reversed");
    let past =
        "/v1/spots/available?lot_id=central&vehicle_class=large&start_time=2026-11-20T12:00&end_time=2026-11-20T13:00";
    api.get(past, ALICE).await.refused(422, "window_in_past");
    api.get(&past.replace("central", "nowhere"), ALICE).await.refused(404, "lot_not_found");
}

#[tokio::test]
async fn names_that_cannot_exist_are_not_found() {
    let api = Api::new().await;
    for (path, code) in [
        ("/v1/reservations/res_1", "reservation_not_found"),
        ("/v1/reservations/RES_0000000000001", "reservation_not_found"),
        ("/v1/reservations/res_ZZZZZZZZZZZZZ", "reservation_not_found"),
        ("/v1/payments/pay_0000000000001_0", "payment_not_found"),
        ("/v1/payments/pay_0000000000001_100", "payment_not_found"),
        ("/v1/users/al%23ice/reservations", "reservation_not_found"),
        ("/v1/lots/no%23where/spots", "lot_not_found"),
        ("/v1/lots/nowhere/spots", "lot_not_found"),
        ("/v1/lots/nowhere/spots/A1", "lot_not_found"),
        ("/v1/lots/central/spots/Z9", "spot_not_found"),
    ] {
        api.get(path, ALICE).await.refused(404, code);
    }
    let spots = json!({"spots": [{"number": "1", "zone": "A", "size": "large"}]});
    api.call("PUT", "/v1/lots/nowhere/spots", ROOT).json(spots).await.refused(404, "lot_not_found");
    let walk_in = json!({"lot_id": "nowhere", "walk_in": {"class": "standard"}});
    api.post("/v1/gate/check-in", "dev.gate.g.nowhere", "k", walk_in).await.refused(404, "lot_not_found");
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    let path = format!("/v1/reservations/{id}");
    for (body, status, code) in [
        (json!({}), 422, "invalid_fields"),
        (json!({"lot_id": "north"}), 422, "invalid_fields"),
        (json!({"start_time": "2026-11-21T15:00:00Z"}), 422, "window_reversed"),
        (json!({"end_time": "2026-11-21T12:00:00Z"}), 422, "window_reversed"),
        (json!({"end_time": "2026-11-23T12:00:00Z"}), 422, "window_too_long"),
        (json!({"start_time": "2026-11-21T09:00:00Z"}), 422, "window_in_past"),
        (json!({"start_time": "2027-03-28T02:30"}), 422, "local_time_gap"),
        (json!({"spot_id": "Z9"}), 404, "spot_not_found"),
        (json!({"spot_id": "M1"}), 422, "vehicle_fits_nowhere"),
    ] {
        api.call("PATCH", &path, ALICE).json(body).await.refused(status, code);
        let quote = json!({"reservation_id": id, "action": "modify", "end_time": "2026-11-21T12:00:00Z"});
        api.call("POST", "/v1/quotes", ALICE).json(quote).await.refused(422, "window_reversed");
    }
    let taken = with(booking("14:00", "15:00"), "spot_id", json!(api.get(&path, ALICE).await.text("spot_id")));
    api.held("next", taken).await;
    api.call("PATCH", &path, ALICE)
        .json(json!({"end_time": "2026-11-21T14:15:00Z"}))
        .await
        .refused(409, "spot_not_available");
    let kept = api.get(&path, ALICE).await;
    assert_eq!((kept.text("end_time"), kept.text("status")), ("2026-11-21T14:00:00Z".into(), "confirmed".into()));
}
