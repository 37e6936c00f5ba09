//! Recurring reservations (I11).

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, booking, with};

fn weekdays(from: &str, until: &str, mode: &str) -> Value {
    json!({
        "lot_id": "central",
        "vehicle": {"class": "standard"},
        "recurrence": {
            "weekdays": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00",
            "from": from, "until": until, "mode": mode,
        },
    })
}

fn outcomes(body: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    body["occurrences"].as_array().unwrap().iter().map(|o| (text(&o["date"]), text(&o["outcome"]))).collect()
}

#[tokio::test]
async fn a_series_is_one_reservation_on_one_spot_with_every_occurrence() {
    let api = Api::new().await;
    let body = weekdays("2026-11-23", "2026-12-05", "all_or_nothing");
    let made = api.post("/v1/reservations", ALICE, "k", body.clone()).await.expect(201);
    assert_eq!(made.body["price"]["amount_minor"], 10 * 32 * 50);
    assert_eq!(made.body["occurrences"].as_array().unwrap().len(), 10);
    assert_eq!(made.body["occurrences"][0]["start_time"], "2026-11-23T08:00:00Z");
    let again = api.post("/v1/reservations", ALICE, "k", body).await.expect(201);
    assert_eq!(again.body, made.body);
    assert_eq!(made.body["price_lines"].as_array().unwrap().len(), 10, "a line for each (P18)");
    let path = format!("/v1/reservations/{}", made.text("id"));
    api.call("PATCH", &path, ALICE).json(json!({"spot_id": "A2"})).await.refused(409, "series_unchangeable");
    assert_eq!(api.call("DELETE", &path, ALICE).send().await.expect(200).text("status"), "cancelled");
}

#[tokio::test]
async fn all_or_nothing_books_nothing_and_best_effort_books_the_rest() {
    let api = Api::new().await;
    for spot in ["A1", "A2", "B1"] {
        let one = with(booking("12:00", "13:00"), "spot_id", json!(spot));
        let one = with(with(one, "start_time", json!("2026-11-24T10:00")), "end_time", json!("2026-11-24T11:00"));
        api.post("/v1/reservations", BOB, spot, one).await.expect(201);
    }
    let series = weekdays("2026-11-23", "2026-11-26", "all_or_nothing");
    api.post("/v1/reservations", ALICE, "k1", series).await.refused(409, "no_spot_available");
    assert_eq!(api.get("/v1/users/alice/reservations", ALICE).await.expect(200).body["items"], json!([]));

    let series = weekdays("2026-11-23", "2026-11-26", "best_effort");
    let made = api.post("/v1/reservations", ALICE, "k2", series.clone()).await.expect(201);
    let expected = [("2026-11-23", "booked"), ("2026-11-24", "conflict"), ("2026-11-25", "booked")];
    assert_eq!(outcomes(&made.body), expected.map(|(date, outcome)| (date.to_owned(), outcome.to_owned())));
    assert_eq!(made.body["booked"], 2);
    let first = made.body["occurrences"][0]["reservation_id"].as_str().unwrap();
    api.get(&format!("/v1/reservations/{first}"), ALICE).await.expect(200);
    let again = api.post("/v1/reservations", ALICE, "k2", series).await.expect(201);
    assert_eq!(again.body, made.body);
    assert!(again.is_replay() && !made.is_replay());
}

#[tokio::test]
async fn a_series_outside_the_policy_says_which_dates() {
    let api = Api::new().await;
    let late = weekdays("2026-12-21", "2026-12-24", "all_or_nothing");
    let refused = api.post("/v1/reservations", ALICE, "k", late).await.refused(422, "window_beyond_horizon");
    let expected = [
        ("2026-12-21", "not_booked"),
        ("2026-12-22", "window_beyond_horizon"),
        ("2026-12-23", "window_beyond_horizon"),
    ];
    assert_eq!(outcomes(&refused.body), expected.map(|(date, outcome)| (date.to_owned(), outcome.to_owned())));
    let late = weekdays("2026-12-21", "2026-12-23", "best_effort");
    let made = api.post("/v1/reservations", ALICE, "k2", late).await.expect(201);
    assert_eq!((&made.body["booked"], outcomes(&made.body).len()), (&json!(1), 2));
    let none = weekdays("2026-12-22", "2026-12-23", "best_effort");
    assert_eq!(api.post("/v1/reservations", ALICE, "k3", none).await.expect(200).body["booked"], 0);
}

#[tokio::test]
async fn a_series_without_dates_and_one_with_too_many_are_refused() {
    let api = Api::new().await;
    let none = weekdays("2026-11-21", "2026-11-23", "all_or_nothing");
    let refused = api.post("/v1/reservations", ALICE, "k", none).await.refused(422, "invalid_fields");
    assert_eq!(refused.errors(), [("/recurrence".to_owned(), "recurrence_empty".to_owned())]);
    let many = weekdays("2026-11-23", "2027-03-23", "best_effort");
    let refused = api.post("/v1/reservations", ALICE, "k", many).await.refused(422, "invalid_fields");
    assert_eq!(refused.errors(), [("/recurrence".to_owned(), "recurrence_too_many".to_owned())]);
}
