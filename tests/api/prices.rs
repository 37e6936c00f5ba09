//! What a stay costs, what was promised, and the words for it: the tariff's language through the API.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, Reply, booking, lot, with};

async fn put(api: &Api, changes: &[(&str, Value)]) {
    let body = changes.iter().fold(lot(), |body, (field, value)| with(body, field, value.clone()));
    api.call("PUT", "/v1/lots/central", OLGA).json(body).await.expect(200);
}

fn tariff(rate: i64) -> Value {
    json!({"currency": "EUR", "unit_minutes": 15, "rates": {"standard": rate}})
}

fn asked(start: &str, end: &str) -> Value {
    let times = booking(start, end);
    json!({"lot_id": "central", "vehicle_class": "standard", "start_time": times["start_time"], "end_time": times["end_time"]})
}

async fn quoted(api: &Api, body: Value) -> Reply {
    api.call("POST", "/v1/quotes", ALICE).json(body).await
}

fn total(view: &Value) -> i64 {
    view["total"]["amount_minor"].as_i64().unwrap()
}

fn price_of(reply: &Reply) -> i64 {
    reply.body["price"]["amount_minor"].as_i64().unwrap()
}

#[tokio::test]
async fn a_quote_holds_while_the_tariff_changes_and_a_booking_keeps_its_own() {
    let api = Api::new().await;
    let quote = quoted(&api, asked("12:00", "14:00")).await.expect(200).body["price"].clone();
    assert_eq!((total(&quote["price"]), quote["expires_at"].as_str()), (400, Some("2026-11-21T10:10:00Z")));
    put(&api, &[("tariff", tariff(90))]).await;

    let with_quote = with(booking("12:00", "14:00"), "quote", quote["quote"].clone());
    let first = api.post("/v1/reservations", ALICE, "a", with_quote.clone()).await.expect(201);
    assert_eq!(price_of(&first), 400, "what was promised");
    let other = api.post("/v1/reservations", ALICE, "b", booking("12:00", "14:00")).await.expect(201);
    assert_eq!(price_of(&other), 720, "without a promise, what is in force");

    api.at("10:10:00");
    let late = with(with_quote.clone(), "spot_id", json!("A2"));
    api.post("/v1/reservations", BOB, "c", late).await.refused(422, "invalid_fields");
    api.post("/v1/reservations", BOB, "c", with_quote.clone()).await.refused(410, "quote_expired");
    let again = api.post("/v1/reservations", ALICE, "a", with_quote).await;
    assert!(again.is_replay(), "a retry gets its first answer although the quote has expired meanwhile");

    // It also settles by its own version: an hour given back is an hour at the old rate.
    api.at("10:09:00");
    let id = first.text("id");
    api.paid(&id, "a").await;
    api.at("12:00:00");
    api.post("/v1/gate/check-in", GATE, "in", json!({"lot_id": "central", "reservation_id": id})).await.expect(200);
    api.at("13:00:00");
    let out = json!({"lot_id": "central", "reservation_id": id});
    let left = api.post("/v1/gate/check-out", GATE, "out", out).await.expect(200);
    assert_eq!(total(&left.body["price"]), 200);
}

#[tokio::test]
async fn a_quote_is_for_exactly_one_stay_and_cannot_be_changed() {
    let api = Api::new().await;
    let quote = quoted(&api, asked("12:00", "14:00")).await.expect(200).body["price"]["quote"].clone();
    let refused = async |body: Value, code: &str| {
        let reply = api.post("/v1/reservations", ALICE, "k", body).await.refused(422, "invalid_fields");
        assert_eq!(reply.errors(), [("/quote".to_owned(), code.to_owned())]);
    };
    refused(with(booking("12:00", "14:15"), "quote", quote.clone()), "quote_mismatch").await;
    refused(with(with(booking("12:00", "14:00"), "quote", quote.clone()), "spot_id", json!("A1")), "quote_mismatch")
        .await;
    let large = with(booking("12:00", "14:00"), "vehicle", json!({"class": "large"}));
    refused(with(large, "quote", quote.clone()), "quote_mismatch").await;
    let forged = format!("A{}", &quote.as_str().unwrap()[1..]);
    refused(with(booking("12:00", "14:00"), "quote", json!(forged)), "invalid").await;
    let series = json!({"lot_id": "central", "vehicle": {"class": "standard"}, "quote": quote, "recurrence":
        {"weekdays": ["mon"], "start": "09:00", "end": "17:00", "from": "2026-11-23", "until": "2026-11-25"}});
    refused(series, "not_allowed").await;
}

#[tokio::test]
async fn driving_in_now_is_quoted_by_when_one_leaves() {
    let api = Api::new().await;
    let tariff = json!({"currency": "EUR", "graces": {"turnaround": {"minutes": 15, "forfeit": true}}, "tables": [{
        "id": "all", "base": [{"up_to_minutes": 60, "total": 200}, {"up_to_minutes": 180, "total": 500}, {"every_minutes": 60, "add": 100}],
        "caps": [{"period": "rolling_24h", "amount": 1_000}]}]});
    put(&api, &[("tariff", tariff)]).await;
    let now = json!({"lot_id": "central", "vehicle_class": "standard"});
    let steps = quoted(&api, now).await.expect(200).body["drive_up"]["steps"].clone();
    let steps: Vec<_> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["end_time"].as_str().unwrap()[11..16].to_owned(), total(step)))
        .collect();
    let expected = [
        ("10:15", 0),
        ("11:00", 200),
        ("13:00", 500),
        ("14:00", 600),
        ("15:00", 700),
        ("16:00", 800),
        ("17:00", 900),
        ("10:00", 1_000),
    ];
    assert_eq!(steps, expected.map(|(at, minor)| (at.to_owned(), minor)));
}

#[tokio::test]
async fn holidays_and_events_are_priced_as_they_were_known_at_booking() {
    let api = Api::new().await;
    let charge = |add: i64| json!([{"every_minutes": 60, "add": add}]);
    let tariff = json!({"currency": "EUR", "tables": [{"id": "all", "base": charge(200),
        "windows": [{"id": "holiday", "at": {"days": ["holiday"], "from": "00:00", "to": "24:00"}, "charge": charge(100)}],
        "events": [{"id": "match", "event": "match", "charge": charge(900)}]}]});
    let holiday = json!({"holidays": ["2026-11-21"]});
    put(&api, &[("tariff", tariff), ("calendar", holiday)]).await;
    let early = api.post("/v1/reservations", ALICE, "a", booking("12:00", "14:00")).await.expect(201);
    assert_eq!(price_of(&early), 200);
    let lines = early.body["price_lines"].as_array().unwrap().clone();
    assert_eq!((lines[0]["rule"].as_str(), lines[0]["id"].as_str()), (Some("window_rate"), Some("holiday")));

    let event = json!({"events": {"match": [{"start": "2026-11-21T12:00:00Z", "end": "2026-11-21T14:00:00Z"}]}});
    put(&api, &[("tariff", Value::Null), ("calendar", event)]).await;
    assert_eq!(total(&quoted(&api, asked("12:00", "14:00")).await.expect(200).body["price"]["price"]), 1_800);
    let id = early.text("id");
    let kept = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!((price_of(&kept), &kept.body["price_lines"]), (200, &early.body["price_lines"]));
    let longer = json!({"end_time": "2026-11-21T15:00:00Z"});
    let longer = api.call("PATCH", &format!("/v1/reservations/{id}"), ALICE).json(longer).await.expect(200);
    assert_eq!(price_of(&longer), 300, "a change goes on under the calendar of the booking (P7)");
    let wrong = json!({"events": {"match": [{"start": "2026-11-21T12:00:00Z", "end": "2026-11-21T12:00:00Z"}]}});
    let refused = api.call("PUT", "/v1/lots/central", OLGA).json(with(lot(), "calendar", wrong)).await;
    assert_eq!(refused.errors(), [("/calendar/events/match/0/end".to_owned(), "window_reversed".to_owned())]);
}

#[tokio::test]
async fn a_named_spot_is_paid_by_its_features_and_the_best_one_by_the_class() {
    let api = Api::new().await;
    let premium = json!({"spots": [{"number": "A1", "zone": "A", "size": "standard", "features": ["premium"]}]});
    api.call("PUT", "/v1/lots/central/spots", OLGA).json(premium).await.expect(200);
    let table = |id: &str, wanted: Value, add: i64| json!({"id": id, "for": wanted, "base": [{"every_minutes": 60, "add": add}]});
    let tables = json!([table("premium", json!({"features": ["premium"]}), 700), table("all", json!({}), 200)]);
    put(&api, &[("tariff", json!({"currency": "EUR", "tables": tables}))]).await;
    let named = with(asked("12:00", "14:00"), "spot_id", json!("A1"));
    let quote = quoted(&api, named).await.expect(200).body["price"].clone();
    assert_eq!(total(&quote["price"]), 1_400);
    let taken = with(with(booking("12:00", "14:00"), "spot_id", json!("A1")), "quote", quote["quote"].clone());
    let taken = api.post("/v1/reservations", ALICE, "a", taken).await.expect(201);
    assert_eq!(price_of(&taken), 1_400);
    let best = api.post("/v1/reservations", ALICE, "b", booking("12:00", "14:00")).await.expect(201);
    assert_eq!(price_of(&best), 400);
    let path = format!("/v1/reservations/{}", best.text("id"));
    let later = json!({"start_time": "2026-11-21T15:00:00Z", "end_time": "2026-11-21T17:00:00Z", "spot_id": "A1"});
    assert_eq!(
        price_of(&api.call("PATCH", &path, ALICE).json(later).await.expect(200)),
        1_400,
        "who moves there pays it"
    );
}

#[tokio::test]
async fn demand_moves_the_price_in_steps_and_a_booking_keeps_its_step() {
    let api = Api::new().await;
    let dynamic = json!({"floor_basis_points": -2_000, "ceiling_basis_points": 5_000, "largest_step_basis_points": 5_000,
        "occupancy": [{"from": 25, "basis_points": 1_000}, {"from": 50, "basis_points": 5_000}],
        "lead_time": [{"from": 360, "basis_points": -1_000}]});
    put(&api, &[("tariff", with(tariff(50), "dynamic", dynamic))]).await;
    assert_eq!(total(&quoted(&api, asked("12:00", "14:00")).await.expect(200).body["price"]["price"]), 400);
    assert_eq!(total(&quoted(&api, asked("17:00", "19:00")).await.expect(200).body["price"]["price"]), 360);
    let first = api.post("/v1/reservations", ALICE, "a", booking("12:00", "14:00")).await.expect(201);
    recount(&api).await;
    // One of four spots is taken.
    let second = api.post("/v1/reservations", ALICE, "b", booking("12:00", "14:00")).await.expect(201);
    assert_eq!((price_of(&first), price_of(&second)), (400, 440));
    let explained = api.get(&format!("/v1/reservations/{}/price", second.text("id")), ALICE).await.expect(200).body;
    let facts = &explained["receipt"]["facts"];
    assert_eq!((facts["occupancy_percent"].as_i64(), facts["lead_minutes"].as_i64()), (Some(25), Some(120)));
    recount(&api).await;
    let kept = api.get(&format!("/v1/reservations/{}", second.text("id")), ALICE).await.expect(200);
    assert_eq!(price_of(&kept), 440, "the lot fills up, the price stays");
}

/// What the function `occupancy` does when the calendar changes.
async fn recount(api: &Api) {
    let pages = api.engine.call("Scan", &json!({"TableName": "Calendar"}).to_string()).unwrap();
    let pages: Value = serde_json::from_str(&pages).unwrap();
    for item in pages["Items"].as_array().unwrap() {
        let page = parkade_store::lot_page(item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
        api.deps.store.recompute_occupancy(&page.unwrap(), api.now().timestamp()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_free_is_confirmed_at_once() {
    let api = Api::new().await;
    let tables = json!([{"id": "all", "base": [{"every_minutes": 60, "add": 200}],
        "windows": [{"id": "evening", "at": {"from": "18:00", "to": "06:00"}, "free": true}]}]);
    put(&api, &[("tariff", json!({"currency": "EUR", "tables": tables}))]).await;
    let free = api.post("/v1/reservations", ALICE, "a", booking("18:00", "20:00")).await.expect(201);
    assert_eq!((free.text("status"), price_of(&free)), ("confirmed".to_owned(), 0));
    let paid = api.post("/v1/reservations", ALICE, "b", booking("12:00", "14:00")).await.expect(201);
    assert_eq!(paid.text("status"), "held");
    let moved = json!({"start_time": "2026-11-21T20:00:00Z", "end_time": "2026-11-21T22:00:00Z"});
    let path = format!("/v1/reservations/{}", paid.text("id"));
    let moved = api.call("PATCH", &path, ALICE).json(moved).await.expect(200);
    assert_eq!((moved.text("status"), price_of(&moved)), ("confirmed".to_owned(), 0));
    api.at("18:00:00");
    let id = free.text("id");
    api.post("/v1/gate/check-in", GATE, "in", json!({"lot_id": "central", "reservation_id": id})).await.expect(200);
}

#[tokio::test]
async fn a_change_costs_its_fee_once_and_cancelling_does_not_give_it_back() {
    let api = Api::new().await;
    let terms = json!({"modification": {"fee_minor": 150}, "cancellation": [{"hours_before_start": 0, "refund_basis_points": 10_000}]});
    put(&api, &[("tariff", with(tariff(50), "terms", terms))]).await;
    let id = api.confirmed("a", booking("12:00", "14:00")).await;
    let path = format!("/v1/reservations/{id}");
    let change = || api.call("PATCH", &path, ALICE).key("m").json(json!({"end_time": "2026-11-21T15:00:00Z"}));
    let quote = json!({"reservation_id": id, "action": "modify", "end_time": "2026-11-21T15:00:00Z"});
    let quote = quoted(&api, quote).await.expect(200).body["settlement"].clone();
    assert_eq!((total(&quote["owed"]), quote["balance_due"]["amount_minor"].as_i64()), (750, Some(350)));
    let changed = change().await.expect(200);
    assert_eq!(price_of(&changed), 750);
    assert!(change().await.is_replay(), "asked again, it costs nothing more");
    let explained = api.get(&format!("{path}/price?locale=en"), ALICE).await.expect(200).body;
    assert!(explained["sentences"].to_string().contains("Fee for changing the booking"), "{explained}");
    let gone = api.call("DELETE", &path, ALICE).send().await.expect(200);
    assert_eq!(price_of(&gone), 150);
}

#[tokio::test]
async fn a_price_is_told_in_words_and_its_receipt_can_be_checked_by_anybody() {
    let api = Api::new().await;
    let id = api.held("a", booking("12:00", "14:00")).await;
    let path = format!("/v1/reservations/{id}/price");
    let german = api.call("GET", &path, ALICE).header("accept-language", "fr, de-AT;q=0.9").send().await.expect(200);
    assert_eq!(german.text("locale"), "de");
    let words = german.body["sentences"].as_array().unwrap().clone();
    assert!(words[0].as_str().unwrap().contains("Parken") && words[0].to_string().contains("13:00"), "{words:?}");
    let english = api.get(&format!("{path}?locale=en"), ALICE).await.expect(200).body;
    assert!(english["sentences"][0].as_str().unwrap().contains("Parking"), "{english}");
    api.get(&path, BOB).await.refused(404, "reservation_not_found");
    let refused = api.get(&format!("{path}?locale=tlh"), ALICE).await.refused(422, "invalid_fields");
    assert_eq!(refused.errors(), [("/query/locale".to_owned(), "invalid".to_owned())]);

    let check = async |receipt: &Value| {
        api.call("POST", "/v1/prices/explain", BOB).json(json!({"lot_id": "central", "receipt": receipt})).await
    };
    let receipt = english["receipt"].clone();
    put(&api, &[("tariff", tariff(90))]).await;
    assert_eq!(check(&receipt).await.expect(200).body["reproduced"], true, "by the version it names");
    let mut shorter = receipt.clone();
    shorter["facts"]["end"] = json!("2026-11-21T13:00:00Z");
    let differs = check(&shorter).await.expect(200).body;
    assert_eq!((&differs["reproduced"], total(&differs["expected"])), (&json!(false), 200));
    let mut cheaper = receipt.clone();
    cheaper["price"]["total_minor"] = json!(1);
    check(&cheaper).await.refused(422, "invalid_fields");
    let mut unknown = receipt;
    unknown["price"]["tariff_version"] = json!(99);
    check(&unknown).await.refused(404, "tariff_not_found");
}

#[tokio::test]
async fn an_exit_opens_although_the_tariff_sells_no_stay_so_long() {
    let api = Api::new().await;
    let tables = json!([{"id": "all", "base": [{"every_minutes": 60, "add": 200}], "max_stay_minutes": 120}]);
    let tariff = json!({"currency": "EUR", "tables": tables, "overstay": "drive_up"});
    put(&api, &[("tariff", tariff)]).await;
    api.post("/v1/reservations", ALICE, "k", booking("12:00", "14:15")).await.refused(422, "not_priced");
    let id = api.confirmed("a", booking("12:00", "14:00")).await;
    api.at("12:00:00");
    let stay = json!({"lot_id": "central", "reservation_id": id});
    api.post("/v1/gate/check-in", GATE, "in", stay.clone()).await.expect(200);
    let drive_up = json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": {"text": "AB 1"}});
    let came = api.post("/v1/gate/check-in", GATE, "w", drive_up).await.expect(200);
    api.at("17:01:00");
    let left = api.post("/v1/gate/check-out", GATE, "out", stay).await.expect(200);
    // Two hours booked, three hours and a minute more as a drive-up: two hours, and what coming back at once would cost.
    assert_eq!(total(&left.body["price"]), 400 + 400 + 400);
    let walked = json!({"lot_id": "central", "reservation_id": came.text("id")});
    let walked = api.post("/v1/gate/check-out", GATE, "wout", walked).await.expect(200);
    assert_eq!(total(&walked.body["price"]), 1_200, "five hours and a minute in stretches of two hours");
}

/// A lot whose ladder refunds nothing, with a premium spot.
async fn strict(api: &Api, more: Value) {
    let premium = json!({"spots": [{"number": "A1", "zone": "A", "size": "standard", "features": ["premium"]}]});
    api.call("PUT", "/v1/lots/central/spots", OLGA).json(premium).await.expect(200);
    let hourly = |id: &str, wanted: Value, add: i64| json!({"id": id, "for": wanted, "base": [{"every_minutes": 60, "add": add}]});
    let tables = json!([hourly("premium", json!({"features": ["premium"]}), 700), hourly("all", json!({}), 200)]);
    let mut terms = json!({"cancellation": []});
    terms.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    put(api, &[("tariff", json!({"currency": "EUR", "tables": tables, "terms": terms}))]).await;
}

async fn change(api: &Api, id: &str, body: Value) -> Reply {
    api.call("PATCH", &format!("/v1/reservations/{id}"), ALICE).json(body).await
}

/// The rules of the lines of what a reservation owes.
async fn rules(api: &Api, id: &str) -> Vec<String> {
    let price = api.get(&format!("/v1/reservations/{id}/price"), ALICE).await.expect(200).body["price"].clone();
    price["lines"].as_array().unwrap().iter().map(|line| line["rule"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn no_change_is_a_way_round_the_ladder() {
    let api = Api::new().await;
    strict(&api, json!({})).await;
    let id = api.confirmed("a", with(booking("12:00", "14:00"), "spot_id", json!("A1"))).await;
    let cheaper = change(&api, &id, json!({"spot_id": "A2"})).await.expect(200);
    assert_eq!((price_of(&cheaper), cheaper.body["refunded"]["amount_minor"].as_i64()), (1_400, Some(0)));
    assert_eq!(rules(&api, &id).await, ["unit_rate", "change_kept"]);
    let longer = json!({"spot_id": "A2", "end_time": "2026-11-21T15:00:00Z"});
    assert_eq!(
        price_of(&change(&api, &id, longer).await.expect(200)),
        1_400,
        "three hours there cost less than what is kept"
    );

    // Shortened, and then nobody comes.
    let id = api.confirmed("b", with(booking("16:00", "20:00"), "spot_id", json!("A1"))).await;
    let shorter = change(&api, &id, json!({"end_time": "2026-11-21T16:15:00Z"})).await.expect(200);
    assert_eq!(price_of(&shorter), 2_800);
    api.at("17:00:00");
    let order =
        parkade_store::Order::system(id.parse().unwrap(), parkade_store::Cause::NoShow, 0, api.now().timestamp());
    api.deps.store.no_show(&order, false).await.unwrap();
    let gone = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!((gone.text("status"), price_of(&gone)), ("no_show".to_owned(), 2_800));
    assert_eq!(rules(&api, &id).await, ["no_show_fee", "change_kept"]);
}

#[tokio::test]
async fn who_thinks_better_of_it_at_once_owes_nothing_also_after_a_change() {
    let api = Api::new().await;
    strict(&api, json!({"cool_off_minutes": 60})).await;
    let id = api.confirmed("a", booking("12:00", "14:00")).await;
    assert_eq!(price_of(&change(&api, &id, json!({"end_time": "2026-11-21T13:00:00Z"})).await.expect(200)), 200);
    let gone = api.call("DELETE", &format!("/v1/reservations/{id}"), ALICE).send().await.expect(200);
    assert_eq!((price_of(&gone), gone.body["refunded"]["amount_minor"].as_i64()), (0, Some(400)));
}

#[tokio::test]
async fn a_free_booking_is_not_changed_into_an_unpaid_one() {
    let api = Api::new().await;
    let tables = json!([{"id": "all", "base": [{"every_minutes": 60, "add": 200}],
        "windows": [{"id": "evening", "at": {"from": "18:00", "to": "06:00"}, "free": true}]}]);
    let terms = json!({"modification": {"fee_minor": 150}});
    put(&api, &[("tariff", json!({"currency": "EUR", "tables": tables, "terms": terms}))]).await;
    let id = api.held("a", booking("18:00", "20:00")).await;
    let day = json!({"start_time": "2026-11-21T12:00:00Z"});
    change(&api, &id, day).await.refused(409, "booking_was_free");
    let evening = json!({"start_time": "2026-11-21T19:00:00Z"});
    assert_eq!(
        price_of(&change(&api, &id, evening).await.expect(200)),
        0,
        "what was not paid for costs no fee to change"
    );
}

#[tokio::test]
async fn the_lines_of_a_cancellation_can_be_read_afterwards_and_a_series_has_no_receipt() {
    let api = Api::new().await;
    let fees = json!([{"id": "service", "amount": 30, "refundable": false}]);
    let tariff = with(
        with(tariff(50), "fees", fees),
        "terms",
        json!({"cancellation": [{"hours_before_start": 1, "refund_basis_points": 5_000}]}),
    );
    put(&api, &[("tariff", tariff)]).await;
    let id = api.confirmed("a", booking("12:00", "14:00")).await;
    api.call("DELETE", &format!("/v1/reservations/{id}"), ALICE).send().await.expect(200);
    api.at("13:00:00");
    assert_eq!(rules(&api, &id).await, ["service_fee_kept", "cancellation_kept"]);
    let series = json!({"lot_id": "central", "vehicle": {"class": "standard"}, "recurrence":
        {"weekdays": ["mon", "tue"], "start": "09:00", "end": "17:00", "from": "2026-11-23", "until": "2026-11-25"}});
    let series = api.held("s", series).await;
    for _ in 0..2 {
        let price = api.get(&format!("/v1/reservations/{series}/price"), ALICE).await.expect(200);
        assert_eq!(price.body.get("receipt"), None);
        api.call("DELETE", &format!("/v1/reservations/{series}"), ALICE).key("gone").send().await.expect(200);
    }
}

#[tokio::test]
async fn a_service_fee_is_kept_by_whoever_leaves_early_or_does_not_come() {
    let api = Api::new().await;
    let fees = json!([{"id": "service", "amount": 30, "refundable": false}]);
    let terms = json!({"early_exit": "prorated", "no_show_fee_basis_points": 0});
    put(&api, &[("tariff", with(with(tariff(50), "fees", fees), "terms", terms))]).await;
    let (early, missing) =
        (api.confirmed("a", booking("12:00", "14:00")).await, api.confirmed("b", booking("12:00", "14:00")).await);
    api.at("12:00:00");
    let stay = json!({"lot_id": "central", "reservation_id": early});
    api.post("/v1/gate/check-in", GATE, "in", stay.clone()).await.expect(200);
    api.at("13:00:00");
    let left = api.post("/v1/gate/check-out", GATE, "out", stay).await.expect(200);
    assert_eq!(total(&left.body["price"]), 200 + 30);
    let order =
        parkade_store::Order::system(missing.parse().unwrap(), parkade_store::Cause::NoShow, 0, api.now().timestamp());
    api.deps.store.no_show(&order, false).await.unwrap();
    assert_eq!(price_of(&api.get(&format!("/v1/reservations/{missing}"), ALICE).await.expect(200)), 30);
}

#[tokio::test]
async fn every_exit_opens_and_a_short_maximum_keeps_no_drive_up_out() {
    for early_exit in
        [json!("none"), json!("reprice"), json!("prorated"), json!({"prorated_minus_fee": {"fee_minor_min": 100}})]
    {
        let api = Api::new().await;
        // Sold from four hours on, and nothing else.
        let tables =
            json!([{"id": "all", "products": [{"id": "day", "min_minutes": 240, "charge": [{"total": 900}]}]}]);
        put(&api, &[("tariff", json!({"currency": "EUR", "tables": tables, "terms": {"early_exit": early_exit}}))])
            .await;
        let id = api.confirmed("a", booking("12:00", "18:00")).await;
        let stay = json!({"lot_id": "central", "reservation_id": id});
        api.at("12:00:00");
        api.post("/v1/gate/check-in", GATE, "in", stay.clone()).await.expect(200);
        api.at("13:30:00");
        let left = api.post("/v1/gate/check-out", GATE, "out", stay).await.expect(200);
        assert!(total(&left.body["price"]) <= 900, "{}", left.body);
    }
    let api = Api::new().await;
    let tables = json!([{"id": "all", "base": [{"every_minutes": 60, "add": 200}], "max_stay_minutes": 30}]);
    put(&api, &[("tariff", json!({"currency": "EUR", "tables": tables}))]).await;
    let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": {"text": "AB 1"}});
    api.post("/v1/gate/check-in", GATE, "w", walk_in).await.expect(200);
    let large = json!({"lot_id": "central", "walk_in": {"class": "motorcycle"}, "plate": {"text": "AB 2"}});
    put(&api, &[("tariff", tariff(50))]).await;
    api.post("/v1/gate/check-in", GATE, "m", large).await.refused(422, "not_priced");
}

#[tokio::test]
async fn who_is_moved_to_a_lesser_spot_gets_the_difference_back() {
    let api = Api::new().await;
    strict(&api, json!({})).await;
    let id = api.confirmed("a", with(booking("12:00", "14:00"), "spot_id", json!("A1"))).await;
    let out = json!({"status": "out_of_service", "until": "2026-11-21T18:00"});
    api.call("PUT", "/v1/lots/central/spots/A1/status", OLGA).json(out).await.expect(200);
    let moved = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    assert_eq!((moved.text("spot_id"), price_of(&moved)), ("A2".to_owned(), 400));
    assert_eq!(moved.body["refunded"]["amount_minor"], 1_000);
}

#[tokio::test]
async fn a_receipt_shows_no_draft_and_is_small() {
    let api = Api::new().await;
    let id = api.held("a", booking("12:00", "14:00")).await;
    let receipt = api.get(&format!("/v1/reservations/{id}/price"), ALICE).await.expect(200).body["receipt"].clone();
    api.call("POST", "/v1/lots/central/tariffs", OLGA).json(tariff(90)).await.expect(201);
    let mut of_draft = receipt.clone();
    of_draft["price"]["tariff_version"] = json!(2);
    let check = async |token: &str, receipt: &Value| {
        api.call("POST", "/v1/prices/explain", token).json(json!({"lot_id": "central", "receipt": receipt})).await
    };
    check(ALICE, &of_draft).await.refused(404, "tariff_not_found");
    assert_eq!(total(&check(OLGA, &of_draft).await.expect(200).body["expected"]), 720);
    let mut many = receipt;
    let mut nothing = many.clone();
    nothing["price"]["tariff_version"] = json!(0);
    check(ALICE, &nothing).await.refused(404, "tariff_not_found");
    many["facts"]["validations"] = json!((0..21).map(|n| json!({"id": format!("v{n}")})).collect::<Vec<_>>());
    let refused = check(ALICE, &many).await.refused(422, "invalid_fields");
    assert_eq!(refused.errors(), [("/receipt/facts/validations".to_owned(), "too_many".to_owned())]);
}

#[tokio::test]
async fn another_spot_is_quoted_before_it_is_taken() {
    let api = Api::new().await;
    strict(&api, json!({"modification": {"fee_minor": 150}})).await;
    let id = api.confirmed("a", booking("12:00", "14:00")).await;
    let wish = json!({"reservation_id": id, "action": "modify", "spot_id": "A1"});
    let quote = quoted(&api, wish).await.expect(200).body["settlement"].clone();
    assert_eq!(total(&quote["owed"]), 1_400 + 150);
    assert_eq!(price_of(&change(&api, &id, json!({"spot_id": "A1"})).await.expect(200)), 1_550);
    // What is kept, and the fee for the next change on top of it.
    assert_eq!(price_of(&change(&api, &id, json!({"spot_id": "A2"})).await.expect(200)), 1_700);
    quoted(&api, with(asked("12:00", "14:00"), "spot_id", json!("M1"))).await.refused(422, "vehicle_fits_nowhere");
}

#[tokio::test]
async fn who_stays_longer_than_anything_that_is_sold_does_not_park_for_free() {
    // Four hours are the last tier; and a garage that sells no night.
    let tiers = json!([{"id": "all", "base": [{"up_to_minutes": 240, "total": 800}], "max_stay_minutes": 240}]);
    let day =
        json!({"id": "day", "within": {"from": "08:00", "to": "20:00"}, "charge": [{"every_minutes": 60, "add": 100}]});
    let days = json!([{"id": "all", "products": [day]}]);
    for (tables, exits) in [
        (tiers, [("15:00:00", 800), ("15:01:00", 1_600), ("19:00:00", 1_600)]),
        (days, [("18:59:00", 800), ("19:00:00", 800), ("22:00:00", 800)]),
    ] {
        for (at, expected) in exits {
            let api = Api::new().await;
            put(&api, &[("tariff", json!({"currency": "EUR", "tables": tables}))]).await;
            api.at("11:00:00");
            let walk_in = json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": {"text": "AB 1"}});
            let id = api.post("/v1/gate/check-in", GATE, "w", walk_in).await.expect(200).text("id");
            api.at(at);
            let stay = json!({"lot_id": "central", "reservation_id": id});
            let left = api.post("/v1/gate/check-out", GATE, "out", stay).await.expect(200);
            assert_eq!(total(&left.body["price"]), expected, "{at} {}", left.body);
        }
    }
}

#[tokio::test]
async fn a_moved_series_pays_for_what_it_used_and_what_was_kept_stays_kept() {
    let api = Api::new().await;
    strict(&api, json!({})).await;
    let series = json!({"lot_id": "central", "vehicle": {"class": "standard"}, "spot_id": "A1", "recurrence":
        {"weekdays": ["sat", "sun"], "start": "14:00", "end": "15:00", "from": "2026-11-21", "until": "2026-11-23"}});
    let id = api.confirmed("s", series).await;
    api.at("13:00:00");
    let stay = json!({"lot_id": "central", "reservation_id": id});
    api.post("/v1/gate/check-in", GATE, "in", stay.clone()).await.expect(200);
    api.at("13:50:00");
    api.post("/v1/gate/check-out", GATE, "out", stay).await.expect(200);
    let kept = api.confirmed("k", with(booking("18:00", "20:00"), "spot_id", json!("A1"))).await;
    change(&api, &kept, json!({"end_time": "2026-11-21T18:15:00Z"})).await.expect(200);
    let out = json!({"status": "out_of_service", "until": "2026-11-23T18:00"});
    api.call("PUT", "/v1/lots/central/spots/A1/status", OLGA).json(out).await.expect(200);
    let moved = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
    // 7.00 for the hour that was used on the premium spot, 2.00 for tomorrow's.
    assert_eq!((moved.text("spot_id"), price_of(&moved)), ("A2".to_owned(), 900));
    let moved = api.get(&format!("/v1/reservations/{kept}"), ALICE).await.expect(200);
    // 14.00 were kept when it was shortened; a started hour there is 5.00 dearer than here.
    assert_eq!((moved.text("spot_id"), price_of(&moved)), ("A2".to_owned(), 900));
}

#[tokio::test]
async fn thinking_better_of_it_ends_when_the_stay_begins_and_covers_the_fee() {
    let api = Api::new().await;
    strict(&api, json!({"cool_off_minutes": 600, "modification": {"fee_minor": 150}})).await;
    let id = api.confirmed("a", booking("12:00", "14:00")).await;
    change(&api, &id, json!({"end_time": "2026-11-21T13:00:00Z"})).await.expect(200);
    let gone = api.call("DELETE", &format!("/v1/reservations/{id}"), ALICE).send().await.expect(200);
    assert_eq!(price_of(&gone), 0, "not even a fee");
    let id = api.confirmed("b", booking("15:00", "19:00")).await;
    api.at("15:10:00");
    let shorter = change(&api, &id, json!({"end_time": "2026-11-21T15:30:00Z"})).await.expect(200);
    assert_eq!(price_of(&shorter), 800 + 150, "what has begun is not thought better of");
}

#[tokio::test]
async fn who_thinks_better_of_a_series_pays_for_what_was_used() {
    let api = Api::new().await;
    strict(&api, json!({"cool_off_minutes": 600})).await;
    let series = json!({"lot_id": "central", "vehicle": {"class": "standard"}, "recurrence":
        {"weekdays": ["sat", "sun"], "start": "14:00", "end": "15:00", "from": "2026-11-21", "until": "2026-11-23"}});
    let id = api.confirmed("s", series).await;
    api.at("13:00:00");
    let stay = json!({"lot_id": "central", "reservation_id": id});
    api.post("/v1/gate/check-in", GATE, "in", stay.clone()).await.expect(200);
    api.at("13:50:00");
    api.post("/v1/gate/check-out", GATE, "out", stay).await.expect(200);
    let gone = api.call("DELETE", &format!("/v1/reservations/{id}"), ALICE).send().await.expect(200);
    assert_eq!((price_of(&gone), gone.body["refunded"]["amount_minor"].as_i64()), (200, Some(200)));
}
