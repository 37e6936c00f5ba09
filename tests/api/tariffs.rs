//! An operator's work on tariffs: drafts, publications, differences, and what they would have meant.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, GATE, OLGA, Reply, booking, with};

const TARIFFS: &str = "/v1/lots/central/tariffs";

fn tariff(rate: i64) -> Value {
    json!({"currency": "EUR", "unit_minutes": 15, "rates": {"standard": rate}})
}

async fn operator(api: &Api, method: &str, below: &str, body: Value) -> Reply {
    api.call(method, &format!("{TARIFFS}{below}"), OLGA).json(body).await
}

/// The versions with their states, newest first.
async fn listed(api: &Api) -> Vec<(u64, String)> {
    let page = api.get(TARIFFS, OLGA).await.expect(200).body;
    let entry = |item: &Value| (item["tariff_version"].as_u64().unwrap(), item["status"].as_str().unwrap().to_owned());
    page["items"].as_array().unwrap().iter().map(entry).collect()
}

fn states<const N: usize>(entries: [(u64, &str); N]) -> Vec<(u64, String)> {
    entries.map(|(version, status)| (version, status.to_owned())).to_vec()
}

async fn quoted(api: &Api) -> (i64, u64) {
    let times = booking("18:00", "19:00");
    let body = json!({"lot_id": "central", "vehicle_class": "standard", "start_time": times["start_time"], "end_time": times["end_time"]});
    let price = api.call("POST", "/v1/quotes", ALICE).json(body).await.expect(200).body["price"]["price"].clone();
    (price["total"]["amount_minor"].as_i64().unwrap(), price["tariff_version"].as_u64().unwrap())
}

#[tokio::test]
async fn a_draft_is_published_at_an_instant_and_bookings_made_before_keep_their_own() {
    let api = Api::new().await;
    let drafted = operator(&api, "POST", "", tariff(90)).await.expect(201);
    assert_eq!(
        (drafted.body["tariff_version"].as_u64(), drafted.header("location")),
        (Some(2), "/v1/lots/central/tariffs/2")
    );
    let again = operator(&api, "POST", "", tariff(90)).await.expect(200);
    assert_eq!(again.body["tariff_version"], 2, "a retry makes no other version");
    assert_eq!(listed(&api).await, states([(2, "draft"), (1, "in_force")]));

    let before = api.confirmed("a", booking("18:00", "19:00")).await;
    let at_noon = json!({"from": "2026-11-21T12:00"});
    for _ in 0..2 {
        let published = operator(&api, "PUT", "/2/publication", at_noon.clone()).await.expect(200);
        assert_eq!(published.body["upcoming_tariffs"], json!([{"tariff_version": 2, "from": "2026-11-21T11:00:00Z"}]));
    }
    assert_eq!(listed(&api).await, states([(2, "scheduled"), (1, "in_force")]));
    api.at("10:59:59");
    assert_eq!(quoted(&api).await, (200, 1));
    api.at("11:00:00");
    assert_eq!(quoted(&api).await, (360, 2));
    assert_eq!(listed(&api).await, states([(2, "in_force"), (1, "retired")]));
    let after = api.post("/v1/reservations", ALICE, "b", booking("18:00", "19:00")).await.expect(201);
    assert_eq!(after.body["price"]["amount_minor"], 360);

    let path = format!("/v1/reservations/{before}");
    let longer = api.call("PATCH", &path, ALICE).json(json!({"end_time": "2026-11-21T20:00:00Z"})).await.expect(200);
    assert_eq!(longer.body["price"]["amount_minor"], 400, "two hours at the rate of its booking (P7)");
}

#[tokio::test]
async fn a_publication_to_come_can_be_taken_back_and_one_in_force_cannot() {
    let api = Api::new().await;
    operator(&api, "POST", "", tariff(90)).await.expect(201);
    operator(&api, "PUT", "/2/publication", json!({"from": "2026-11-22T00:00"})).await.expect(200);
    for _ in 0..2 {
        let left = operator(&api, "DELETE", "/2/publication", json!({})).await.expect(200);
        assert_eq!(left.body, json!({"tariff_version": 1, "upcoming_tariffs": []}));
    }
    assert_eq!(listed(&api).await, states([(2, "draft"), (1, "in_force")]));
    operator(&api, "PUT", "/2/publication", json!({})).await.expect(200);
    assert_eq!(quoted(&api).await, (360, 2), "without an instant it holds at once");
    operator(&api, "DELETE", "/2/publication", json!({})).await.refused(409, "tariff_in_force");
    operator(&api, "PUT", "/1/publication", json!({})).await.expect(200);
    assert_eq!(quoted(&api).await, (200, 1), "an old version can come back");

    for (below, from) in [("/2/publication", "2026-11-21T09:00:00Z"), ("/2/publication", "2028-01-01T00:00:00Z")] {
        let refused = operator(&api, "PUT", below, json!({"from": from})).await.refused(422, "invalid_fields");
        assert_eq!(refused.errors(), [("/from".to_owned(), "out_of_range".to_owned())]);
    }
    for version in ["0", "3", "99999999999", "x"] {
        let below = format!("/{version}/publication");
        operator(&api, "PUT", &below, json!({})).await.refused(404, "tariff_not_found");
        operator(&api, "GET", &format!("/{version}"), json!({})).await.refused(404, "tariff_not_found");
    }
    for day in 1..=16 {
        let from = json!({"from": format!("2026-12-{day:02}T00:00")});
        operator(&api, "PUT", "/2/publication", from).await.expect(200);
    }
    let many = operator(&api, "PUT", "/2/publication", json!({"from": "2026-12-17T00:00"})).await;
    many.refused(409, "too_many_publications");
}

#[tokio::test]
async fn what_is_wrong_is_named_before_anything_is_stored() {
    let api = Api::new().await;
    let wrong = json!({"currency": "USD", "tables": [{"id": "all",
        "base": [{"up_to_minutes": 60, "total": 500}, {"total": 100}], "caps": [{"period": "rolling_24h", "amount": 300}]}]});
    for below in ["", "/validation"] {
        let refused = operator(&api, "POST", below, wrong.clone()).await.refused(422, "invalid_fields");
        let codes: Vec<_> = refused.errors().into_iter().map(|(pointer, code)| format!("{pointer} {code}")).collect();
        assert!(codes.contains(&"/currency not_allowed".to_owned()), "{codes:?}");
        assert!(codes.contains(&"/tables/0/caps/0/amount cap_below_tier".to_owned()), "{codes:?}");
        let unknown = operator(&api, "POST", below, with(tariff(90), "rate", json!(1))).await;
        assert_eq!(unknown.refused(422, "invalid_fields").errors()[0].0, "/rate");
    }
    let dips = json!({"currency": "EUR", "tables": [{"id": "all",
        "base": [{"up_to_minutes": 1_440, "total": 2_000}, {"total": 1_500}]}]});
    let checked = operator(&api, "POST", "/validation", dips).await.expect(200).body;
    assert_eq!((checked["warnings"][0]["code"].as_str(), checked.get("tariff_version")), (Some("non_monotone"), None));
    assert_eq!(listed(&api).await, states([(1, "in_force")]));
    let huge = (0..60).map(|n| json!({"id": format!("t{n}"), "for": {"permits": [format!("p{n}")]},
        "base": (1..=60).map(|m| json!({"up_to_minutes": m, "total": m * 1_000_000})).chain([json!({"total": 60_000_000})]).collect::<Vec<_>>()}));
    let huge = json!({"currency": "EUR", "tables": huge.collect::<Vec<_>>()});
    let refused = operator(&api, "POST", "", huge).await.refused(422, "invalid_fields");
    assert!(!refused.errors().is_empty());
}

#[tokio::test]
async fn two_versions_are_compared_field_by_field() {
    let api = Api::new().await;
    operator(&api, "POST", "", with(tariff(90), "overstay", json!("drive_up"))).await.expect(201);
    operator(&api, "POST", "", with(tariff(95), "overstay", json!("drive_up"))).await.expect(201);
    let changes = operator(&api, "GET", "/3/changes?since=2", json!({})).await.expect(200).body;
    assert_eq!(changes["changes"], json!([{"op": "replace", "path": "/rates/standard", "value": 95}]));
    let since_now = operator(&api, "GET", "/3/changes", json!({})).await.expect(200).body;
    assert_eq!(since_now["since"], 1, "the one in force");
    let document = operator(&api, "GET", "/3", json!({})).await.expect(200).body;
    assert_eq!(document["tariff"]["rates"]["standard"], 95);
    let pages = api.get(&format!("{TARIFFS}?limit=2"), OLGA).await.expect(200).body;
    let next = format!("{TARIFFS}?limit=2&next={}", pages["next"].as_str().unwrap());
    let last = api.get(&next, OLGA).await.expect(200).body;
    assert_eq!((last["items"][0]["tariff_version"].as_u64(), last.get("next")), (Some(1), None));
}

#[tokio::test]
async fn last_days_stays_are_tried_under_another_version() {
    let api = Api::new().await;
    operator(
        &api,
        "POST",
        "",
        json!({"currency": "EUR", "tables": [{"id": "all",
        "base": [{"up_to_minutes": 60, "total": 300}, {"every_minutes": 15, "add": 40}], "max_stay_minutes": 180}]}),
    )
    .await
    .expect(201);
    // Left after one of two hours; left in time after four hours; a drive-up of half an hour.
    let early = api.confirmed("a", booking("11:00", "13:00")).await;
    let long = api.confirmed("b", booking("11:00", "15:00")).await;
    api.at("11:00:00");
    let stay = |id: &str| json!({"lot_id": "central", "reservation_id": id});
    for id in [&early, &long] {
        api.post("/v1/gate/check-in", GATE, id, stay(id)).await.expect(200);
    }
    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": {"text": "AB 1"}});
    api.at("11:30:00");
    let drive_up = api.post("/v1/gate/check-in", GATE, "w", walk_in).await.expect(200).text("id");
    for (id, at) in [(&early, "12:00:00"), (&drive_up, "12:00:00"), (&long, "15:00:00")] {
        api.at(at);
        api.post("/v1/gate/check-out", GATE, &format!("out {id}").replace(' ', "-"), stay(id)).await.expect(200);
    }
    let range = json!({"from": "2026-11-21T12:00", "until": "2026-11-22T00:00"});
    let tried = operator(&api, "POST", "/2/simulation", range.clone()).await.expect(200).body;
    let counts = ["stays", "cheaper", "same", "dearer", "not_sold"].map(|name| tried[name].as_i64().unwrap());
    // 2.00 and 1.00 were owed for what would be 3.00 each; four hours are not sold.
    assert_eq!(counts, [3, 0, 0, 2, 1], "{tried}");
    assert_eq!((tried["owed_minor"].as_i64(), tried["simulated_minor"].as_i64()), (Some(300), Some(600)));
    let largest = json!({"reservation_id": drive_up, "owed_minor": 100, "simulated_minor": 300});
    assert_eq!(tried["largest"][0], largest);
    let own = operator(&api, "POST", "/1/simulation", range).await.expect(200).body;
    assert_eq!(
        (own["same"].as_i64(), own["owed_minor"].as_i64()),
        (Some(3), Some(1_100)),
        "its own version changes nothing"
    );
    let half = json!({"from": "2026-11-21T12:00", "until": "2026-11-21T13:00"});
    let half = operator(&api, "POST", "/1/simulation", half).await.expect(200).body;
    assert_eq!(half["stays"], 0, "the end of the range is not part of it: they left at 13:00 lot time");
    for (name, value, pointer) in [("until", "2027-03-01T00:00", "/until"), ("next", "x", "/next")] {
        let range = json!({"from": "2026-11-21T12:00", "until": "2026-11-22T00:00"});
        let refused = operator(&api, "POST", "/1/simulation", with(range, name, json!(value))).await;
        assert_eq!(refused.refused(422, "invalid_fields").errors()[0].0, pointer);
    }
}

#[tokio::test]
async fn a_list_says_what_is_in_force_whatever_was_taken_back() {
    let api = Api::new().await;
    operator(&api, "POST", "", tariff(90)).await.expect(201);
    operator(&api, "POST", "", tariff(95)).await.expect(201);
    operator(&api, "PUT", "/2/publication", json!({"from": "2026-11-22T00:00"})).await.expect(200);
    operator(&api, "PUT", "/1/publication", json!({"from": "2026-11-23T00:00"})).await.expect(200);
    operator(&api, "DELETE", "/1/publication", json!({})).await.expect(200);
    assert_eq!(listed(&api).await, states([(3, "draft"), (2, "scheduled"), (1, "in_force")]));
    // Another one takes its place.
    operator(&api, "PUT", "/3/publication", json!({"from": "2026-11-22T00:00"})).await.expect(200);
    assert_eq!(listed(&api).await, states([(3, "scheduled"), (2, "draft"), (1, "in_force")]));

    let lot = api.call("PUT", &format!("{TARIFFS}/2/publication"), OLGA).header("if-match", "\"v1\"");
    lot.json(json!({})).await.refused(412, "version_mismatch");
    let seen = operator(&api, "PUT", "/2/publication", json!({"from": "2026-11-24T00:00"})).await.expect(200);
    let fresh = api.call("PUT", &format!("{TARIFFS}/2/publication"), OLGA).header("if-match", seen.header("etag"));
    fresh.json(json!({})).await.expect(200);
    assert_eq!(listed(&api).await, states([(3, "scheduled"), (2, "in_force"), (1, "retired")]));
}
