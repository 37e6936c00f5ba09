//! Who may do what: every route for nobody, for strangers and for the wrong role.

use serde_json::{Value, json};

use crate::harness::{ALICE, Api, BOB, GATE, OLGA, ROOT, ROUTES, booking, lot};

/// The payment provider has no token: it signs what it sends, which `payments.rs` tests.
const PROVIDER: (&str, &str) = ("POST", "/v1/webhooks/stripe");

/// A valid body for each route that has one.
fn body(path: &str, id: &str) -> Value {
    match path {
        "/v1/prices/explain" => json!({"lot_id": "central", "receipt": {
            "facts": {"time_zone": "Europe/Berlin", "class": "standard", "start": "2026-11-21T15:00:00Z",
                "end": "2026-11-21T15:15:00Z"},
            "price": {"currency": "EUR", "tariff_version": 1, "total_minor": 0, "lines": []},
        }}),
        "/v1/quotes" => json!({"reservation_id": id, "action": "cancel"}),
        "/v1/reservations" => booking("15:00", "16:00"),
        "/v1/reservations/{id}" => json!({"spot_id": "A2"}),
        "/v1/payments" => json!({"reservation_id": id, "payment_method": "pm_1"}),
        "/v1/reservations/{id}/validations" => json!({"validation": "code"}),
        "/v1/reservations/{id}/violations" => json!({"kind": "unpaid"}),
        "/v1/reservations/{id}/refunds" => json!({"amount": {"amount_minor": 100, "currency": "EUR"}}),
        "/v1/lots/{lot}/tills/{till}/payments" => {
            json!({"reservation_id": id, "tendered": {"amount_minor": 500, "currency": "EUR"}})
        }
        "/v1/lots/{lot}/tills/{till}/payouts" => {
            json!({"payment_id": format!("pay_{}_2", id.trim_start_matches("res_"))})
        }
        "/v1/lots/{lot}/tills/{till}/counts" => json!({"counted": {"amount_minor": 500, "currency": "EUR"}}),
        "/v1/lots/{lot}" => lot(),
        "/v1/lots/{lot}/spots" => json!({"spots": [{"number": "C1", "zone": "C", "size": "large"}]}),
        "/v1/lots/{lot}/spots/{spot}/status" => json!({"status": "in_service"}),
        "/v1/gate/check-in" | "/v1/gate/check-out" => json!({"lot_id": "central", "reservation_id": id}),
        _ => json!({}),
    }
}

/// The status and the code of one route for one token.
async fn ask(api: &Api, (method, path): (&str, &str), token: Option<&str>, id: &str) -> (u16, String) {
    let payment = format!("pay_{}_1", id.trim_start_matches("res_"));
    let receipt = payment.replace("pay_", "rcp_");
    let resource = if path.contains("/users/") {
        "alice"
    } else if path.contains("/payments/") {
        &payment
    } else if path.contains("/receipts/") {
        &receipt
    } else {
        id
    };
    let query = match path {
        "/v1/spots/available" => {
            "?lot_id=central&vehicle_class=large&start_time=2026-11-21T15:00:00Z&end_time=2026-11-21T16:00:00Z"
        }
        "/v1/lots" => "?near=52.52,13.4",
        _ => "",
    };
    let uri = path
        .replace("{id}", resource)
        .replace("{lot}", "central")
        .replace("{till}", "kiosk-1")
        .replace("{spot}", "A1")
        .replace("{version}", "1")
        .replace("{number}", "1")
        + query;
    let call = match token {
        Some(token) => api.call(method, &uri, token),
        None => api.anonymous(method, &uri),
    };
    let call = if method == "POST" { call.key("k2") } else { call };
    let reply = call.json(body(path, id)).await;
    (reply.status, reply.text("code"))
}

#[tokio::test]
async fn without_credentials_every_route_is_closed() {
    let api = Api::new().await;
    for route in ROUTES.iter().filter(|route| **route != PROVIDER) {
        for token in [None, Some("nonsense"), Some("dev.root.x"), Some("dev.gate.lane")] {
            let answer = ask(&api, *route, token, "res_0000000000001").await;
            assert_eq!(answer, (401, "unauthenticated".to_owned()), "{route:?} {token:?}");
        }
    }
}

/// What a stranger gets on each route: 404 where something is somebody's, 403 where everybody knows that it is there.
#[tokio::test]
async fn what_is_somebody_elses_does_not_exist() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    assert_eq!(api.documented(&id).await.len(), 1);
    let (foreign_operator, foreign_gate) = ("dev.operator.olga.elsewhere", "dev.gate.lane-1.elsewhere");
    for route in ROUTES.iter().filter(|route| **route != PROVIDER) {
        let (drivers, operators, gates) = match *route {
            ("GET", "/v1/payments/{id}") => (404, 404, 404),
            ("GET", _) if route.1.contains("{id}") => (404, 404, 404),
            ("POST", "/v1/quotes") => (404, 404, 404),
            // A receipt shows nothing that its bearer does not know.
            ("POST", "/v1/prices/explain") => (200, 200, 200),
            (_, path) if path.starts_with("/v1/lots/{lot}/tariffs") || path.contains("/tills/") => (403, 403, 403),
            (_, path) if path.starts_with("/v1/users/{id}/") => (404, 404, 404),
            (_, "/v1/reservations/{id}/validations" | "/v1/reservations/{id}/refunds") => (403, 404, 403),
            (_, path) if path.starts_with("/v1/reservations/{id}/violations") => (403, 404, 403),
            (_, "/v1/lots/{lot}/ledger" | "/v1/reconciliation/ledger") => (403, 403, 403),
            (_, path) if path.starts_with("/v1/reconciliation/exceptions") => (403, 403, 403),
            ("PATCH" | "DELETE", _) | (_, "/v1/payments" | "/v1/reservations/{id}/cancel") => (404, 404, 403),
            (_, "/v1/gate/check-in" | "/v1/gate/check-out") => (403, 403, 403),
            ("PUT", _) => (403, 403, 403),
            ("POST", "/v1/reservations") => (201, 403, 403),
            ("GET", _) => (200, 200, 200),
            other => panic!("say who may use {other:?}"),
        };
        // A merchant reaches as little as a stranger's gate, also where it is called like the driver; only what it gives it may look for.
        let merchants = if route.1.ends_with("/validations") { 404 } else { gates };
        let all = [
            (BOB, drivers),
            (foreign_operator, operators),
            (foreign_gate, gates),
            ("dev.merchant.alice.elsewhere", merchants),
            ("dev.merchant.alice.central", merchants),
        ];
        for (token, expected) in all {
            let (status, code) = ask(&api, *route, Some(token), &id).await;
            assert_eq!(status, expected, "{route:?} {token} {code}");
            match status {
                404 if route.1 == "/v1/payments/{id}" => assert_eq!(code, "payment_not_found"),
                404 if route.1 == "/v1/receipts/{id}" => assert_eq!(code, "receipt_not_found"),
                404 if route.1.contains("/payment-methods") || route.1.ends_with("/automatic-payment") => {
                    assert_eq!(code, "payment_method_not_found");
                }
                404 if code == "validation_not_found" => assert_eq!(token, "dev.merchant.alice.central"),
                404 => assert_eq!(code, "reservation_not_found"),
                403 => assert_eq!(code, "forbidden"),
                _ => {}
            }
        }
    }
    let untouched = api.get(&format!("/v1/reservations/{id}"), ALICE).await;
    assert_eq!((untouched.text("status"), untouched.header("etag")), ("confirmed".into(), "\"v2\""));
}

#[tokio::test]
async fn the_lots_own_people_may_do_their_work() {
    let api = Api::new().await;
    let id = api.confirmed("k", booking("12:00", "14:00")).await;
    let path = format!("/v1/reservations/{id}");
    for reader in [ALICE, OLGA, GATE, ROOT, "dev.operator.olga"] {
        api.get(&path, reader).await.expect(200);
    }
    api.get("/v1/users/alice/reservations", ROOT).await.expect(200);
    api.get("/v1/users/alice/reservations", OLGA).await.refused(404, "reservation_not_found");
    let cancelled = api.call("DELETE", &path, OLGA).send().await.expect(200);
    assert_eq!(cancelled.text("reason"), "operator_cancelled");
}
