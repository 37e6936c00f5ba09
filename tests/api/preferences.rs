//! What a user wants to be told: own only, replaced as a whole, with every mistake named.

use parkade_testkit::{Fault, RECORDS};
use parkade_tests::Snapshot;
use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, with};

const PATH: &str = "/v1/users/alice/preferences";

fn everything() -> Value {
    json!({
        "email": "alice@example.com",
        "phone": "+4915112345678",
        "locale": "de",
        "channels": {"bookings": "email", "reminders": "text", "receipts": "none", "offers": "email"},
        "offers_consent": true,
        "quiet_hours": {"from": "22:00", "until": "07:00", "time_zone": "Europe/Berlin"},
    })
}

#[tokio::test]
async fn who_has_said_nothing_is_told_nothing_and_what_is_said_reads_back() {
    let api = Api::empty();
    let silent = api.get(PATH, ALICE).await.expect(200);
    let none = json!({"bookings": "none", "reminders": "none", "receipts": "none", "offers": "none"});
    assert_eq!(silent.body, json!({"locale": "en", "channels": none, "version": 0}));
    assert_eq!(silent.header("etag"), "\"v0\"");

    let put = api.call("PUT", PATH, ALICE).json(everything()).await.expect(201);
    assert_eq!((put.header("etag"), put.header("location")), ("\"v1\"", PATH));
    let mut expected = everything();
    expected.as_object_mut().unwrap().remove("offers_consent");
    expected = with(with(expected, "version", json!(1)), "offers_consented_at", json!("2026-11-21T10:00:00Z"));
    assert_eq!(put.body, expected);
    assert_eq!(api.get(PATH, ALICE).await.expect(200).body, expected);
}

#[tokio::test]
async fn nothing_that_is_stored_shows_a_contact() {
    let api = Api::empty();
    api.call("PUT", PATH, ALICE).json(everything()).await.expect(201);
    let snapshot = Snapshot::take(&api.engine);
    let items: Vec<String> = snapshot.table(RECORDS.name).map(|(_, _, item)| item.to_string()).collect();
    assert_eq!(items.len(), 1);
    assert!(!items[0].contains("alice@") && !items[0].contains("4915112345678"), "{}", items[0]);
}

#[tokio::test]
async fn only_the_user_and_an_administrator_see_and_change_them() {
    let api = Api::empty();
    for stranger in [BOB, OLGA, GATE, "dev.operator.alice", "dev.gate.alice.central"] {
        api.get(PATH, stranger).await.refused(404, "reservation_not_found");
        api.call("PUT", PATH, stranger).json(everything()).await.refused(404, "reservation_not_found");
    }
    api.call("PUT", PATH, ROOT).json(everything()).await.expect(201);
    assert_eq!(api.get(PATH, ROOT).await.expect(200).text("email"), "alice@example.com");
    assert_eq!(api.get("/v1/users/bob/preferences", BOB).await.expect(200).body["version"], 0);
}

#[tokio::test]
async fn a_stale_version_changes_nothing() {
    let api = Api::empty();
    let put = |tag: &str, body: Value| api.call("PUT", PATH, ALICE).header("if-match", tag).json(body);
    put("\"v1\"", everything()).await.refused(412, "version_mismatch");
    put("\"v0\"", everything()).await.expect(201);
    let stale = put("\"v0\"", json!({})).await.refused(412, "version_mismatch");
    assert_eq!(stale.body["version"], 1);
    assert_eq!(api.get(PATH, ALICE).await.text("email"), "alice@example.com");
    let silenced = put("\"v1\"", json!({})).await.expect(200);
    assert_eq!((silenced.body["version"].clone(), silenced.body.get("email")), (json!(2), None));
    api.call("PUT", PATH, ALICE).json(everything()).await.expect(200);
}

#[tokio::test]
async fn consent_keeps_its_time_until_it_is_taken_back() {
    let api = Api::empty();
    let put = |body: Value| api.call("PUT", PATH, ALICE).json(body);
    put(everything()).await.expect(201);
    api.at("11:00:00");
    assert_eq!(put(everything()).await.expect(200).text("offers_consented_at"), "2026-11-21T10:00:00Z");
    let without = with(everything(), "offers_consent", json!(false));
    let refused = put(without.clone()).await.refused(422, "invalid_fields");
    assert_eq!(refused.errors(), [("/channels/offers".to_owned(), "not_allowed".to_owned())]);
    let channels = json!({"offers": "none"});
    assert_eq!(put(with(without, "channels", channels)).await.expect(200).body.get("offers_consented_at"), None);
    assert_eq!(put(everything()).await.expect(200).text("offers_consented_at"), "2026-11-21T11:00:00Z");
}

#[tokio::test]
async fn every_mistake_is_named_and_none_is_repeated() {
    let api = Api::empty();
    let wrong = json!({
        "email": "alice example", "phone": "0151 12345678", "locale": "fr",
        "channels": {"bookings": "pigeon"}, "quiet_hours": {"from": "25:00", "until": "07:00", "time_zone": "Mars"},
    });
    let refused = api.call("PUT", PATH, ALICE).json(wrong).await.refused(422, "invalid_fields");
    let pointers: Vec<_> = refused.errors().into_iter().map(|(pointer, _)| pointer).collect();
    let expected = ["/email", "/phone", "/locale", "/channels/bookings", "/quiet_hours/from", "/quiet_hours/time_zone"];
    assert_eq!(pointers, expected);
    assert!(!refused.body.to_string().contains("12345678"), "{}", refused.body);
    for (field, value, pointer) in [
        ("admin", json!(true), "/admin"),
        ("offers_consented_at", json!("2026-01-01T00:00:00Z"), "/offers_consented_at"),
        ("channels", json!({"pigeon": "email"}), "/channels/pigeon"),
        ("email", json!("4242 4242 4242 4242"), ""),
    ] {
        let body = with(everything(), field, value);
        let refused = api.call("PUT", PATH, ALICE).json(body).await.refused(422, "invalid_fields");
        assert_eq!(refused.errors()[0].0, pointer, "{field}");
    }
    assert_eq!(api.get(PATH, ALICE).await.body["version"], 0, "nothing was stored");
}

#[tokio::test]
async fn a_put_whose_answer_the_store_lost_has_happened_once() {
    for fault in [Fault::LostReply, Fault::TimedOut, Fault::LostRequest, Fault::Throttled] {
        let api = Api::empty();
        // The first call reads, the second writes.
        api.faults.add(2, fault);
        let put = api.call("PUT", PATH, ALICE).header("if-match", "\"v0\"").json(everything()).await.expect(201);
        assert_eq!(put.body["version"], 1, "{fault:?}");
    }
}
