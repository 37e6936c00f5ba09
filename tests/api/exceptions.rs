//! What nobody could explain: listed with both sides, decided once, by whoever runs all lots.

use parkade_api::Code;
use parkade_ledger::{Exception, ExceptionId, ExceptionKind, Facts, TransactionFacts};
use serde_json::{Value, json};

use crate::harness::{Api, OLGA, ROOT};

const EXCEPTIONS: &str = "/v1/reconciliation/exceptions";
/// Runs all lots.
const OTTO: &str = "dev.operator.otto";

pub(crate) fn exception(id: &str) -> Exception {
    let transaction = TransactionFacts {
        id: id.to_owned(),
        kind: "charge".to_owned(),
        amount_minor: 399,
        fee_minor: 31,
        currency: "EUR".to_owned(),
        created_s: 1_795_255_210,
        source: Some("ch_1".to_owned()),
        charge: Some("ch_1".to_owned()),
        dispute: None,
        payment_intent: Some("pi_1".to_owned()),
    };
    let facts = Facts {
        transaction: Some(transaction),
        payment: Some("pay_09VXRDCKM22JF_1".to_owned()),
        ours_minor: Some(400),
        our_currency: Some("EUR".to_owned()),
        our_status: Some("requested".to_owned()),
        ..Facts::default()
    };
    let id = ExceptionId::new("2026-11".parse().unwrap(), id).unwrap();
    Exception { id, kind: ExceptionKind::Differs, facts, opened_at_s: 1_795_258_810, closed: None, version: 1 }
}

#[tokio::test]
async fn a_person_sees_both_sides_and_decides_once() {
    let api = Api::new().await;
    for id in ["txn_1", "txn_2", "txn_3"] {
        assert!(api.deps.store.open_exception(&exception(id)).await.unwrap());
        assert!(!api.deps.store.open_exception(&exception(id)).await.unwrap(), "it is told once");
    }
    let first = api.get(&format!("{EXCEPTIONS}?limit=2"), OTTO).await.expect(200);
    let next = first.text("next");
    let rest = api.get(&format!("{EXCEPTIONS}?limit=2&next={next}"), OTTO).await.expect(200);
    let ids = |body: &Value| body["items"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!([ids(&first.body), ids(&rest.body)].concat(), ["2026-11.txn_3", "2026-11.txn_2", "2026-11.txn_1"]);
    let one = &rest.body["items"][0];
    assert_eq!((&one["kind"], &one["state"]), (&json!("differs"), &json!("open")));
    assert_eq!((&one["ours"]["amount_minor"], &one["theirs"]["amount_minor"]), (&json!(400), &json!(399)));
    assert!(one["advice"].as_str().unwrap().contains("provider"));

    api.at("11:00:00");
    let path = format!("{EXCEPTIONS}/2026-11.txn_1");
    let decision = json!({"resolution": "refunded", "note": "  The cent went back.  "});
    let decided = api.call("PUT", &path, OTTO).json(decision.clone()).await.expect(200);
    let expected =
        json!({"resolution": "refunded", "by": "otto", "at": "2026-11-21T11:00:00Z", "note": "The cent went back."});
    assert_eq!((&decided.body["decision"], decided.header("etag")), (&expected, "\"v2\""));
    api.at("12:00:00");
    let again = api.call("PUT", &path, OTTO).json(decision.clone()).await.expect(200);
    assert_eq!(again.body, decided.body, "a retry changes nothing");
    api.call("PUT", &path, ROOT).json(decision).await.refused(409, "exception_decided");
    let open = api.get(EXCEPTIONS, OTTO).await.expect(200);
    assert_eq!(ids(&open.body), ["2026-11.txn_3", "2026-11.txn_2"]);
    assert_eq!(ids(&api.get(&format!("{EXCEPTIONS}?state=all"), OTTO).await.expect(200).body).len(), 3);
}

#[tokio::test]
async fn a_decision_has_a_reason_and_only_who_runs_all_lots_makes_it() {
    let api = Api::new().await;
    api.deps.store.open_exception(&exception("txn_1")).await.unwrap();
    let path = format!("{EXCEPTIONS}/2026-11.txn_1");
    for (body, pointer) in [
        (json!({"resolution": "forgotten", "note": "x"}), "/resolution"),
        (json!({"resolution": "refunded", "note": "  "}), "/note"),
        (json!({"resolution": "refunded", "note": "x".repeat(1_001)}), "/note"),
        (json!({"resolution": "refunded", "note": "x", "by": "somebody"}), "/by"),
    ] {
        let refused = api.call("PUT", &path, ROOT).json(body).await.refused(422, "invalid_fields");
        assert_eq!(refused.errors()[0].0, pointer);
    }
    let decision = json!({"resolution": "explained", "note": "x"});
    api.call("PUT", &path, OLGA).json(decision.clone()).await.refused(403, "forbidden");
    for unknown in ["2026-11.txn_9", "nothing", "2026-13.txn_1"] {
        let call = api.call("PUT", &format!("{EXCEPTIONS}/{unknown}"), ROOT);
        call.json(decision.clone()).await.refused(404, Code::ExceptionNotFound.entry().code);
    }
    for (query, pointer) in [("state=closed", "/query/state"), ("next=x", "/query/next")] {
        let refused = api.get(&format!("{EXCEPTIONS}?{query}"), ROOT).await.refused(422, "invalid_fields");
        assert_eq!(refused.errors()[0].0, pointer);
    }
}
