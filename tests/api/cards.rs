//! Saved cards and automatic billing, with the payment twin: entered there, named here, billed at the exit only for an exact match.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parkade_domain::ids::UserId;
use parkade_store::{CARDS_MAX, Card, PayerError};
use parkade_twin::{Fault, FaultKind, Target, Twin};
use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, booking, to_twin};

const METHODS: &str = "/v1/users/alice/payment-methods";
const AUTOMATIC: &str = "/v1/users/alice/automatic-payment";

/// Alice saves a test card: her app confirms the setup at the provider.
async fn saved(api: &Api, twin: &Twin, key: &str, card: &str) -> String {
    let finish = entered(api, twin, key, card).await;
    let kept = api.post(METHODS, ALICE, "finish", finish.clone()).await.expect(201);
    let again = api.post(METHODS, ALICE, "finish", finish).await.expect(201);
    assert_eq!(kept.body, again.body);
    kept.text("id")
}

/// Her app has confirmed the setup: what finishes it.
async fn entered(api: &Api, twin: &Twin, key: &str, card: &str) -> Value {
    let setup = api.post(METHODS, ALICE, key, json!({})).await.expect(201);
    let id = setup.text("setup_intent_id");
    assert!(setup.text("client_secret").starts_with(&id));
    let finish = json!({"setup_intent_id": id});
    api.post(METHODS, ALICE, "finish", finish.clone()).await.refused(409, "card_not_entered");
    to_twin(twin, &format!("/v1/setup_intents/{id}/confirm"), &format!("payment_method={card}")).await;
    if card.contains("authenticationRequired") {
        to_twin(twin, &format!("/_twin/authenticate/{id}/success"), "").await;
    }
    finish
}

async fn automatic(api: &Api, method: &str, plates: Value) -> Value {
    let body = json!({"payment_method": method, "plates": plates});
    api.call("PUT", AUTOMATIC, ALICE).json(body).await.expect(200).body
}

fn by_plate(region: Option<&str>, text: &str) -> Value {
    let mut plate = json!({"text": text});
    if let Some(region) = region {
        plate["region"] = json!(region);
    }
    json!({"lot_id": "central", "walk_in": {"class": "standard"}, "plate": plate})
}

fn charged(twin: &Twin) -> i64 {
    twin.books().totals.get("eur").map_or(0, |totals| totals.charged)
}

/// Drives up with a plate, parks for half an hour, leaves; the exit's answer.
async fn stay(api: &Api, key: &str, entry: Value) -> Value {
    let plate = entry["plate"].clone();
    api.at("12:00:00");
    api.post("/v1/gate/check-in", GATE, &format!("in-{key}"), entry).await.expect(200);
    api.at("12:30:00");
    let exit = json!({"lot_id": "central", "plate": plate});
    api.post("/v1/gate/check-out", GATE, &format!("out-{key}"), exit).await.expect(200).body
}

#[tokio::test]
async fn a_card_is_saved_by_name_shown_to_its_owner_only_and_removed_for_good() {
    let (api, twin) = Api::with_twin().await;
    let id = saved(&api, &twin, "k", "pm_card_visa").await;
    let shown = api.get(METHODS, ALICE).await.expect(200).body;
    let card = &shown["payment_methods"][0];
    assert_eq!((card["id"].as_str(), card["brand"].as_str()), (Some(id.as_str()), Some("visa")));
    assert_eq!((card["last4"].as_str().map(str::len), card["automatic"].as_bool()), (Some(4), Some(false)));
    for stranger in [BOB, OLGA, GATE] {
        api.get(METHODS, stranger).await.refused(404, "payment_method_not_found");
    }
    let again = api.post(METHODS, ALICE, "k", json!({})).await.expect(201);
    let first = api.post(METHODS, ALICE, "k", json!({})).await.expect(201);
    assert_eq!(again.body, first.body, "one key, one setup");
    let other = api.post(METHODS, ALICE, "other", json!({})).await.expect(201).text("setup_intent_id");
    let stolen = json!({"setup_intent_id": other});
    api.post("/v1/users/bob/payment-methods", BOB, "b", stolen).await.refused(404, "payment_method_not_found");
    for _ in 0..2 {
        let left = api.call("DELETE", &format!("{METHODS}/{id}"), ALICE).send().await.expect(200).body;
        assert_eq!(left["payment_methods"], json!([]));
    }
}

#[tokio::test]
async fn a_card_is_removed_at_the_provider_whatever_its_answer_and_what_is_told_of_its_setup_later_brings_it_not_back()
{
    let gone = [FaultKind::ExecuteThenDropReply, FaultKind::ExecuteThen500];
    for fault in [FaultKind::DropBefore, FaultKind::SkipThen500].into_iter().chain(gone) {
        let (api, twin) = Api::with_twin().await;
        let finish = entered(&api, &twin, "k", "pm_card_visa").await;
        let id = api.post(METHODS, ALICE, "finish", finish.clone()).await.expect(201).text("id");
        let path = format!("{METHODS}/{id}");
        twin.inject(Fault { on: Some(Target::Detach), ..Fault::new(fault) }).unwrap();
        api.call("DELETE", &path, ALICE).send().await.refused(503, "provider_unavailable");
        assert_eq!(api.get(METHODS, ALICE).await.expect(200).body["payment_methods"][0]["id"], id.as_str());
        for _ in 0..2 {
            let left = api.call("DELETE", &path, ALICE).send().await.expect(200).body;
            assert_eq!(left["payment_methods"], json!([]), "{fault:?}");
        }
        api.post(METHODS, ALICE, "finish", finish).await.refused(409, "card_not_entered");
        assert_eq!(api.get(METHODS, ALICE).await.expect(200).body["payment_methods"], json!([]), "{fault:?}");
    }
}

#[tokio::test]
async fn a_card_that_is_removed_while_it_is_kept_stays_removed() {
    let (api, twin) = Api::with_twin().await;
    let finish = entered(&api, &twin, "k", "pm_card_visa").await;
    let id = api.post(METHODS, ALICE, "finish", finish.clone()).await.expect(201).text("id");
    api.deps.store.forget_card(&UserId::new("alice").unwrap(), &id).await.unwrap();
    // The card was looked at; before it is kept it is removed, by somebody who finds nothing to forget.
    let (provider, gone) = (twin.clone(), Arc::new(AtomicBool::new(false)));
    api.faults.add_hook(move |call| {
        let (twin, strikes, gone) = (provider.clone(), call.writes(), Arc::clone(&gone));
        let path = format!("/v1/payment_methods/{id}/detach");
        async move {
            // Again, it is refused: it is gone.
            if strikes && !gone.swap(true, Ordering::SeqCst) {
                to_twin(&twin, &path, "").await;
            }
        }
    });
    api.post(METHODS, ALICE, "finish", finish).await.refused(409, "card_not_entered");
    assert_eq!(api.get(METHODS, ALICE).await.expect(200).body["payment_methods"], json!([]));
}

#[tokio::test]
async fn a_saved_card_pays_for_a_booking_of_its_user_only() {
    let (api, twin) = Api::with_twin().await;
    let method = saved(&api, &twin, "k", "pm_card_visa").await;
    let id = api.held("r", booking("12:00", "13:00")).await;
    let pay = json!({"reservation_id": id, "payment_method": method});
    api.post("/v1/payments", ALICE, "p", pay).await.expect(201);
    assert_eq!(charged(&twin), 200);
    let bobs = api.post("/v1/reservations", BOB, "b", booking("12:00", "13:00")).await.expect(201).text("id");
    let pay = json!({"reservation_id": bobs, "payment_method": method});
    api.post("/v1/payments", BOB, "p", pay).await.refused(402, "payment_declined");
    assert_eq!(charged(&twin), 200);
}

#[tokio::test]
async fn what_the_provider_refuses_for_good_is_not_asked_for_again() {
    let (api, _twin) = Api::with_twin().await;
    // A customer that was deleted at the provider.
    api.deps.store.remember_customer(&UserId::new("alice").unwrap(), "cus_gone").await.unwrap();
    api.post(METHODS, ALICE, "k", json!({})).await.refused(409, "card_refused");
}

fn card(n: usize) -> Card {
    let (method, brand, last4) = (format!("pm_{n}"), "visa".to_owned(), "4242".to_owned());
    Card { method, brand, last4, exp_month: 12, exp_year: 2030 }
}

#[tokio::test]
async fn cards_that_are_kept_at_the_same_time_are_never_too_many() {
    let (api, _twin) = Api::with_twin().await;
    let (store, alice) = (&api.deps.store, UserId::new("alice").unwrap());
    store.remember_customer(&alice, "cus_1").await.unwrap();
    api.faults.interleave(7);
    for n in 1..CARDS_MAX {
        store.keep_card(&alice, &card(n)).await.unwrap();
    }
    let (one, other) = (card(100), card(101));
    let kept = tokio::join!(store.keep_card(&alice, &one), store.keep_card(&alice, &other));
    assert!(
        matches!(kept, (Ok(()), Err(PayerError::TooManyCards)) | (Err(PayerError::TooManyCards), Ok(()))),
        "{kept:?}"
    );
    assert_eq!(store.cards(&alice).await.unwrap().len(), CARDS_MAX);
}

#[tokio::test]
async fn a_card_that_is_forgotten_while_it_becomes_the_automatic_one_is_not_billed_and_its_plates_are_free() {
    for seed in 0..20 {
        let (api, _twin) = Api::with_twin().await;
        let (store, alice) = (&api.deps.store, UserId::new("alice").unwrap());
        store.remember_customer(&alice, "cus_1").await.unwrap();
        store.keep_card(&alice, &card(1)).await.unwrap();
        api.faults.interleave(seed);
        let plates = [[7; 16]];
        let (forgotten, billed) =
            tokio::join!(store.forget_card(&alice, "pm_1"), store.bill_automatically(&alice, Some("pm_1"), &plates));
        forgotten.unwrap();
        assert!(matches!(billed, Ok(_) | Err(PayerError::UnknownCard)), "{billed:?}");
        let payer = store.payer(&alice).await.unwrap().unwrap();
        assert_eq!((payer.automatic, payer.plates, store.enrolled(&plates[0]).await.unwrap()), (None, vec![], None));
    }
}

#[tokio::test]
async fn an_exit_bills_the_card_of_who_has_enrolled_exactly_this_plate() {
    let (api, twin) = Api::with_twin().await;
    api.call("PUT", AUTOMATIC, ALICE)
        .json(json!({"payment_method": "pm_1"}))
        .await
        .refused(404, "payment_method_not_found");
    let id = saved(&api, &twin, "k", "pm_card_visa").await;
    let plates = json!([{"region": "DE", "text": "B PK 2026"}]);
    assert_eq!(automatic(&api, &id, plates.clone()).await["automatic_plates"], 1);
    let left = stay(&api, "1", by_plate(Some("DE"), "b-pk 2026")).await;
    assert_eq!(left["balance_due"]["amount_minor"], 100);
    let payment = left["payment_id"].as_str().expect("billed");
    api.carry_out(payment).await;
    let view = api.get(&format!("/v1/payments/{payment}"), ALICE).await.expect(200);
    assert_eq!((view.text("kind"), view.text("status")), ("exit".to_owned(), "succeeded".to_owned()));
    assert_eq!(charged(&twin), 100);
    // The same characters of another region, or of none, are another car: it gets a ticket and its driver a bill (G6, G7).
    for (key, region) in [("2", Some("AT")), ("3", None)] {
        let left = stay(&api, key, by_plate(region, "B PK 2026")).await;
        assert_eq!((left["balance_due"]["amount_minor"].as_i64(), &left["payment_id"]), (Some(100), &Value::Null));
    }
    // A plate belongs to one user; another one's request changes nothing.
    api.post("/v1/users/bob/payment-methods", BOB, "b", json!({})).await.expect(201);
    let bob = UserId::new("bob").unwrap();
    api.deps.store.keep_card(&bob, &card(1)).await.unwrap();
    let wish = |method: Value| {
        let body = json!({"payment_method": method, "plates": [{"region": "DE", "text": "B PK 2026"}]});
        api.call("PUT", "/v1/users/bob/automatic-payment", BOB).json(body)
    };
    // Nor does anybody keep it from others without a card that pays for it.
    wish(Value::Null).await.refused(422, "invalid_fields");
    wish(json!("pm_1")).await.refused(409, "plate_enrolled");
    automatic(&api, &id, json!([])).await;
    wish(json!("pm_1")).await.expect(200);
    assert_eq!(charged(&twin), 100);
}

#[tokio::test]
async fn what_a_booking_owes_at_its_exit_is_billed_once_and_a_card_that_asks_leaves_the_debt() {
    for (card, settled) in [("pm_card_visa", true), ("pm_card_authenticationRequired", false)] {
        let (api, twin) = Api::with_twin().await;
        let method = saved(&api, &twin, "k", card).await;
        automatic(&api, &method, json!([])).await;
        let id = api.held("r", booking("12:00", "13:00")).await;
        let paid = json!({"reservation_id": id, "payment_method": "pm_card_visa"});
        api.post("/v1/payments", ALICE, "p", paid).await.expect(201);
        let gate = json!({"lot_id": "central", "reservation_id": id});
        api.at("12:00:00");
        api.post("/v1/gate/check-in", GATE, "in", gate.clone()).await.expect(200);
        api.at("14:05:00");
        let left = api.post("/v1/gate/check-out", GATE, "out", gate.clone()).await.expect(200).body;
        let again = api.post("/v1/gate/check-out", GATE, "out", gate).await.expect(200).body;
        assert_eq!(left, again, "a retry of the gate bills nothing more");
        let due = left["balance_due"]["amount_minor"].as_i64().unwrap();
        assert!(due > 0);
        let payment = left["payment_id"].as_str().expect("billed");
        for _ in 0..3 {
            api.carry_out(payment).await;
        }
        let view = api.get(&format!("/v1/payments/{payment}"), ALICE).await.expect(200);
        let stay = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200);
        let owed = stay.body["balance_due"]["amount_minor"].as_i64();
        if settled {
            assert_eq!((view.text("status"), owed, charged(&twin)), ("succeeded".to_owned(), Some(0), 200 + due));
        } else {
            assert_eq!((view.text("status"), owed, charged(&twin)), ("declined".to_owned(), Some(due), 200));
            assert_eq!(view.text("decline_code"), "authentication_required");
            // The driver pays the debt in person.
            let balance = json!({"reservation_id": id, "payment_method": "pm_card_visa"});
            api.post("/v1/payments", ALICE, "debt", balance).await.expect(201);
            assert_eq!(charged(&twin), 200 + due);
        }
    }
}
