//! The books over the API: who reads them, and that a reader can verify them alone.

use parkade_api::wire::LedgerView;
use parkade_ledger::{Book, Verifier};
use parkade_store::Journal;
use parkade_testkit::RECORDS;
use parkade_tests::books::images;
use serde_json::json;

use crate::harness::{ALICE, Api, GATE, OLGA, ROOT, booking};

const LEDGER: &str = "/v1/lots/central/ledger";

/// What `seal-ledger` does with the stream.
async fn seal(api: &Api) {
    let mut journal = Journal::new(&api.deps.store);
    let mut entries = Vec::new();
    for (old, new) in api.engine.stream_records(RECORDS.name, None, 1_000).unwrap().iter().map(images) {
        journal.see(&new);
        entries.extend(journal.entry(&old, &new).await.unwrap());
    }
    for fate in api.deps.store.seal(&entries, api.now().timestamp()).await {
        fate.unwrap();
    }
}

#[tokio::test]
async fn a_prepayment_is_a_debt_to_the_driver_until_the_stay_has_ended_and_then_it_is_earned() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    seal(&api).await;
    let balances = async || {
        let view = api.get(&format!("{LEDGER}?limit=1"), OLGA).await.expect(200);
        view.body["summary"]["balances"].clone()
    };
    let balance = |account: &str, minor: i64| json!({"account": account, "amount_minor": minor, "currency": "EUR"});
    assert_eq!(balances().await, json!([balance("clearing", 400), balance("receivable", -400)]));
    let gate = json!({"lot_id": "central", "reservation_id": id});
    api.at("12:00:00");
    api.post("/v1/gate/check-in", GATE, "in", gate.clone()).await.expect(200);
    api.at("14:30:00");
    api.post("/v1/gate/check-out", GATE, "out", gate).await.expect(200);
    seal(&api).await;
    let owed = api.get(&format!("/v1/reservations/{id}"), ALICE).await.expect(200).body["balance_due"].clone();
    // Half an hour late: one started hour and the fee.
    assert_eq!(owed["amount_minor"], 1_250);
    let ended = json!([balance("clearing", 400), balance("receivable", 1_250), balance("revenue", -1_650)]);
    assert_eq!(balances().await, ended);
    let of = api.get(&format!("{LEDGER}?reservation_id={id}"), OLGA).await.expect(200);
    let causes: Vec<_> = of.body["items"].as_array().unwrap().iter().map(|entry| entry["cause"].clone()).collect();
    assert_eq!(causes, ["charge", "stay"]);
    assert_eq!(of.body["items"][0]["payment_id"], format!("pay_{}_1", id.trim_start_matches("res_")));
    assert_eq!(of.body.get("summary"), None);
}

#[tokio::test]
async fn a_reader_verifies_the_chain_page_by_page_from_what_it_is_sent() {
    let api = Api::new().await;
    for (n, hour) in [(1, "12"), (2, "13"), (3, "14")] {
        api.confirmed(&format!("k{n}"), booking(&format!("{hour}:00"), &format!("{hour}:30"))).await;
        seal(&api).await;
    }
    let (book, month): (Book, _) = ("central".parse().unwrap(), "2026-11".parse().unwrap());
    let (mut verifier, mut next, mut pages) = (Verifier::new(book.clone(), month), String::new(), 0);
    loop {
        let page = api.get(&format!("{LEDGER}?month=2026-11&limit=2{next}"), OLGA).await.expect(200);
        let page: LedgerView = serde_json::from_value(page.body).unwrap();
        for entry in &page.items {
            verifier.check(&entry.to_domain(&book, month).unwrap()).unwrap();
        }
        pages += 1;
        match page.next {
            Some(cursor) => next = format!("&next={cursor}"),
            None => {
                let summary = page.summary.unwrap();
                let head = verifier.head();
                assert_eq!((summary.entries, summary.hash), (head.seq, head.hash.to_string()));
                break;
            }
        }
    }
    assert_eq!((pages, verifier.head().seq), (2, 3));
}

#[tokio::test]
async fn books_without_entries_are_empty_and_wrong_questions_are_refused() {
    let api = Api::new().await;
    let empty = api.get(&format!("{LEDGER}?month=2020-01"), OLGA).await.expect(200);
    assert_eq!((&empty.body["items"], &empty.body["summary"]["entries"]), (&json!([]), &json!(0)));
    let of_nobody = api.get(&format!("{LEDGER}?reservation_id=res_0000000000001"), OLGA).await.expect(200);
    assert_eq!(of_nobody.body["items"], json!([]));
    let provider = api.get("/v1/reconciliation/ledger", ROOT).await.expect(200);
    assert_eq!((provider.text("book"), provider.text("month")), ("*provider".to_owned(), "2026-11".to_owned()));
    for (query, pointer) in [
        ("month=2026-13", "/query/month"),
        ("reservation_id=res_1", "/query/reservation_id"),
        ("next=x", "/query/next"),
        ("limit=0", "/query/limit"),
        ("year=2026", "/query/year"),
    ] {
        let refused = api.get(&format!("{LEDGER}?{query}"), OLGA).await.refused(422, "invalid_fields");
        assert_eq!(refused.errors()[0].0, pointer);
    }
    api.get("/v1/lots/nowhere/ledger", ROOT).await.refused(404, "lot_not_found");
    // Whoever runs one lot sees nothing of what concerns all.
    api.get("/v1/reconciliation/ledger", OLGA).await.refused(403, "forbidden");
}
