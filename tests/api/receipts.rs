//! Receipts and credit notes as their readers get them, and the history of payments.

use parkade_domain::payment::Word;
use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, booking, lot, with};

/// A lot whose prices contain 19 % and whose stays cost 2.00 an hour.
async fn taxed(api: &Api) {
    let tariff = json!({"currency": "EUR", "tables": [{"id": "all", "base": [{"every_minutes": 15, "add": 50}]}],
        "taxes": {"prices": "inclusive", "rounding": "per_component", "components": [{"id": "vat", "rate_millionths": 190_000}]}});
    let put = api.call("PUT", "/v1/lots/central", ROOT).json(with(lot(), "tariff", tariff)).await;
    put.expect(200);
}

/// A stay that is so far away that cancelling it costs nothing.
fn far() -> Value {
    let far = with(booking("18:00", "20:00"), "start_time", json!("2026-11-28T18:00:00Z"));
    with(far, "end_time", json!("2026-11-28T20:00:00Z"))
}

fn amounts(receipt: &Value) -> [i64; 4] {
    let amount = |name: &str| receipt[name]["amount_minor"].as_i64().unwrap();
    let price = receipt["price"]["total"]["amount_minor"].as_i64().unwrap();
    [price, amount("documented_before"), amount("on_account"), amount("total")]
}

fn vat(receipt: &Value) -> i64 {
    receipt["taxes"].as_array().unwrap().iter().map(|tax| tax["amount_minor"].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn a_stay_that_is_paid_extended_and_cancelled_has_papers_that_add_up() {
    let api = Api::new().await;
    taxed(&api).await;
    let id = api.confirmed("k", far()).await;
    assert_eq!(api.documented(&id).await.len(), 1);
    let extended = json!({"end_time": "2026-11-28T21:00:00Z"});
    api.call("PATCH", &format!("/v1/reservations/{id}"), ALICE).json(extended).await.expect(200);
    api.paid(&id, "more").await;
    assert_eq!(api.documented(&id).await.len(), 1);
    api.call("DELETE", &format!("/v1/reservations/{id}"), OLGA).send().await.expect(200);
    let code = id.trim_start_matches("res_");
    for number in [3, 4] {
        api.settle(&format!("pay_{code}_{number}"), true).await;
    }
    assert_eq!(api.documented(&id).await.len(), 2);
    let mut sums = (0, 0);
    let expected = [[400, 0, 0, 400], [600, 400, 0, 200], [0, 600, -400, -200], [0, 400, 0, -400]];
    for (number, expected) in (1..).zip(expected) {
        let receipt = api.get(&format!("/v1/receipts/rcp_{code}_{number}"), ALICE).await.expect(200).body;
        let mut found = amounts(&receipt);
        // The refunds of the two charges: whichever is numbered first leaves the other's money on account.
        if number > 2 {
            assert_eq!(found[0] - found[1] + found[2], found[3]);
            found = expected;
        }
        assert_eq!(found, expected, "{receipt}");
        assert_eq!(receipt["number"], format!("central-2026-00000{number}"));
        sums = (sums.0 + amounts(&receipt)[3], sums.1 + vat(&receipt));
    }
    assert_eq!(sums, (0, 0), "everything was returned, the taxes too");
    let note = api.get(&format!("/v1/receipts/rcp_{code}_3"), ALICE).await.expect(200).body;
    assert_eq!((&note["kind"], &note["reason"]), (&json!("credit_note"), &json!("operator_cancellation")));
    let of = api.get(&format!("/v1/payments/pay_{code}_3"), ALICE).await.expect(200).text("refund_of");
    assert_eq!(note["corrects"]["id"], of.replace("pay_", "rcp_"));
}

#[tokio::test]
async fn a_receipt_says_who_what_when_and_how_and_where_its_forms_are() {
    let api = Api::new().await;
    taxed(&api).await;
    let id = api.confirmed("k", with(booking("18:00", "20:00"), "spot_id", json!("A1"))).await;
    let receipt = api.documented(&id).await.remove(0);
    let reply = api.get(&format!("/v1/receipts/{receipt}"), ALICE).await.expect(200);
    assert_eq!(reply.header("cache-control"), "private, max-age=31536000, immutable");
    let code = id.trim_start_matches("res_");
    let body = reply.body;
    assert_eq!(body["issued_at"], "2026-11-21T11:00:00+01:00");
    assert_eq!(
        body["issuer"],
        json!({"lot_id": "central", "name": "Central", "address": "Platz 1, 10117 Berlin", "time_zone": "Europe/Berlin"})
    );
    assert_eq!(
        body["stay"],
        json!({"reservation_id": id, "spot_id": "A1", "vehicle_class": "standard",
            "start_time": "2026-11-21T18:00:00Z", "end_time": "2026-11-21T20:00:00Z"})
    );
    assert_eq!((&body["kind"], &body["means"]), (&json!("receipt"), &json!("provider")));
    let line = &body["price"]["lines"][0];
    for field in [
        "rule",
        "id",
        "label_key",
        "start_time",
        "end_time",
        "quantity",
        "unit",
        "unit_rate_minor",
        "rounding",
        "amount_minor",
    ] {
        assert!(!line[field].is_null(), "{field} of {line}");
    }
    assert_eq!(
        body["taxes"],
        json!([{"id": "vat", "rate_millionths": 190_000, "base_minor": 400, "amount_minor": 64, "included": true}])
    );
    assert_eq!(body["links"]["pdf"], format!("/v1/receipts/rcp_{code}_1?format=pdf"));
    assert_eq!(body["links"]["payment"], format!("/v1/payments/pay_{code}_1"));
    let payment = api.get(&format!("/v1/payments/pay_{code}_1"), ALICE).await.expect(200).body;
    assert_eq!(payment["links"]["receipt"], body["links"]["self"]);
}

#[tokio::test]
async fn a_receipt_comes_in_the_form_and_language_that_are_asked_for_and_only_once() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("18:00", "20:00")).await;
    let path = format!("/v1/receipts/{}", api.documented(&id).await.remove(0));
    let ask = |query: &str| api.call("GET", &format!("{path}{query}"), ALICE);
    let page = ask("").header("accept", "text/html").header("accept-language", "de-AT").raw(Vec::new()).await;
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((page.status().as_u16(), header("content-type").as_str()), (200, "text/html; charset=utf-8"));
    assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
    assert_eq!(
        (header("x-content-type-options"), header("vary")),
        ("nosniff".into(), "accept, accept-language, authorization".into())
    );
    let text = std::str::from_utf8(page.body()).unwrap();
    assert!(text.contains("<html lang=\"de\">") && text.contains("4,00 EUR") && text.contains("central-2026-000001"));
    let pdf = ask("?format=pdf&locale=en").header("accept", "text/html").raw(Vec::new()).await;
    assert_eq!(pdf.headers()["content-type"], "application/pdf");
    assert_eq!(pdf.headers()["content-disposition"], "inline; filename=\"central-2026-000001.pdf\"");
    assert!(pdf.body().starts_with(b"%PDF-"));
    let tag = header("etag");
    assert_ne!(pdf.headers()["etag"], tag.as_str());
    let again = ask("?format=html&locale=de").header("if-none-match", &tag).raw(Vec::new()).await;
    assert_eq!(
        (again.status().as_u16(), again.body().len(), &again.headers()["etag"]),
        (304, 0, &page.headers()["etag"])
    );
    let foreign = api.call("GET", &path, BOB).header("if-none-match", &tag).raw(Vec::new()).await;
    assert_eq!(foreign.status(), 404, "whose copy it is does not matter");
    let wrong = ask("?format=xml&locale=fr&color=red").send().await.refused(422, "invalid_fields");
    let pointers: Vec<_> = wrong.errors().into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/query/color", "/query/format", "/query/locale"]);
}

#[tokio::test]
async fn a_receipt_is_for_the_driver_and_who_runs_the_lot() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("18:00", "20:00")).await;
    let path = format!("/v1/receipts/rcp_{}_1", id.trim_start_matches("res_"));
    api.get(&path, ALICE).await.refused(404, "receipt_not_found");
    api.documented(&id).await;
    for reader in [ALICE, OLGA, ROOT] {
        api.get(&path, reader).await.expect(200);
    }
    for stranger in [BOB, GATE, "dev.operator.olga.elsewhere"] {
        api.get(&path, stranger).await.refused(404, "receipt_not_found");
    }
    for nothing in ["rcp_1", "pay_0000000000001_1", "rcp_0000000000001_1", "rcp_0000000000001_1r"] {
        api.get(&format!("/v1/receipts/{nothing}"), ALICE).await.refused(404, "receipt_not_found");
    }
}

#[tokio::test]
async fn a_credit_note_whose_refund_came_back_is_taken_back_and_stays() {
    let api = Api::new().await;
    let id = api.confirmed("k", far()).await;
    api.call("DELETE", &format!("/v1/reservations/{id}"), OLGA).send().await.expect(200);
    let code = id.trim_start_matches("res_").to_owned();
    api.settle(&format!("pay_{code}_2"), true).await;
    assert_eq!(api.documented(&id).await.len(), 2);
    let word = Word::Declined { code: "account_closed".to_owned() };
    api.deps.store.settle(format!("pay_{code}_2").parse().unwrap(), &word, api.now().timestamp()).await.unwrap();
    assert_eq!(api.documented(&id).await, [format!("rcp_{code}_2r")]);
    let back = api.get(&format!("/v1/receipts/rcp_{code}_2r"), ALICE).await.expect(200).body;
    assert_eq!(
        (&back["kind"], &back["corrects"]["id"]),
        (&json!("credit_note_reversal"), &json!(format!("rcp_{code}_2")))
    );
    assert_eq!(back["total"]["amount_minor"], 400);
    api.get(&format!("/v1/receipts/rcp_{code}_2"), ALICE).await.expect(200);
}

#[tokio::test]
async fn currencies_without_and_with_three_digits_are_shown_as_their_people_write_them() {
    for (currency, zone, shown) in [("JPY", "Asia/Tokyo", "JPY 1200"), ("SEK", "Europe/Stockholm", "SEK 12.00")] {
        let api = Api::new().await;
        let tariff = json!({"currency": currency, "unit_minutes": 15, "rates": {"standard": 150}});
        let lot = with(with(with(lot(), "currency", json!(currency)), "time_zone", json!(zone)), "tariff", tariff);
        api.call("PUT", "/v1/lots/abroad", ROOT).json(lot).await.expect(201);
        let spots = json!({"spots": [{"number": "1", "zone": "A", "size": "standard"}]});
        api.call("PUT", "/v1/lots/abroad/spots", ROOT).json(spots).await.expect(200);
        let id = api.confirmed("k", with(booking("18:00", "20:00"), "lot_id", json!("abroad"))).await;
        let path = format!("/v1/receipts/{}", api.documented(&id).await.remove(0));
        let body = api.get(&path, ALICE).await.expect(200).body;
        assert_eq!(body["total"], json!({"amount_minor": 1_200, "currency": currency}));
        let page = api.call("GET", &format!("{path}?format=html"), ALICE).raw(Vec::new()).await;
        assert!(std::str::from_utf8(page.body()).unwrap().contains(shown), "{shown}");
    }
}

#[tokio::test]
async fn a_users_payments_are_listed_newest_first_page_by_page_without_gap_or_repeat() {
    let api = Api::new().await;
    let mut expected = Vec::new();
    for (key, start, end) in [("a", "12:00", "13:00"), ("b", "14:00", "15:00"), ("c", "16:00", "17:00")] {
        let id = api.held(key, booking(start, end)).await;
        let body = json!({"reservation_id": id, "payment_method": "pm_1"});
        let declined = api.post("/v1/payments", ALICE, &format!("{key}1"), body).await.expect(202).text("id");
        api.settle(&declined, false).await;
        let paid = api.paid(&id, &format!("{key}2")).await;
        expected.splice(0..0, [paid, declined]);
    }
    // A reservation without payments is no gap.
    api.held("d", booking("15:00", "16:00")).await;
    for limit in 1..=7 {
        let (mut found, mut next) = (Vec::new(), String::new());
        for _ in 0..10 {
            let page = api.get(&format!("/v1/users/alice/payments?limit={limit}{next}"), ALICE).await.expect(200);
            let items = page.body["items"].as_array().unwrap().clone();
            assert!(items.len() <= limit);
            found.extend(items);
            match page.body["next"].as_str() {
                Some(cursor) => next = format!("&next={cursor}"),
                None => break,
            }
        }
        let ids: Vec<_> = found.iter().map(|payment| payment["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{limit} at a time");
        for payment in &found {
            let linked = payment["links"]["receipt"].is_string();
            assert_eq!(linked, payment["status"] == "succeeded", "{payment}");
            assert!(payment["client_secret"].is_null());
        }
    }
    api.get("/v1/users/alice/payments", BOB).await.refused(404, "reservation_not_found");
    api.get("/v1/users/alice/payments", ROOT).await.expect(200);
    let nothing = api.get("/v1/users/bob/payments", BOB).await.expect(200);
    assert_eq!(nothing.body, json!({"items": []}));
    for wrong in ["next=x", "next=IngiCg", "limit=0"] {
        api.get(&format!("/v1/users/alice/payments?{wrong}"), ALICE).await.refused(422, "invalid_fields");
    }
}
