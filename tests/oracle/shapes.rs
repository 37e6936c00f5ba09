//! A strict reader of Stripe's objects: every object the twin answers or tells, in each of its states, has all the fields that
//! `async-stripe`'s generated types insist on. Our own client reads only what it needs, so it would not notice what is missing.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use parkade_twin::Twin;
use serde_json::Value;
use stripe_shared as strict;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const DEADLINE: Duration = Duration::from_secs(20);

/// What the oracle has read, by kind: the states that came by.
#[derive(Default)]
struct Oracle(BTreeMap<String, BTreeSet<String>>);

impl Oracle {
    /// Reads an object with everything inside it.
    fn read(&mut self, value: &Value) {
        if let Some(kind) = value.get("object").and_then(Value::as_str) {
            let refused = refusal(kind, value);
            assert!(refused.is_none(), "{kind}: {refused:?}\n{value:#}");
            let state = ["status", "type"].iter().find_map(|name| value.get(name)?.as_str());
            self.0.entry(kind.to_owned()).or_default().insert(state.unwrap_or_default().to_owned());
        }
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.read(value)),
            Value::Object(fields) => fields.values().for_each(|value| self.read(value)),
            _ => {}
        }
    }

    fn saw(&self, kind: &str, states: &[&str]) {
        let seen: Vec<_> = self.0.get(kind).into_iter().flatten().map(String::as_str).collect();
        assert_eq!(seen, states, "{kind}");
    }
}

/// Why the oracle does not take an object, if it does not.
fn refusal(kind: &str, value: &Value) -> Option<&'static str> {
    let text = value.to_string();
    // A word that a type does not know is kept as `Unknown`: Stripe never says it.
    let read = match kind {
        "payment_intent" => is::<strict::PaymentIntent>(&text, |read| {
            !matches!(read.status, strict::PaymentIntentStatus::Unknown(_))
                && !matches!(read.capture_method, strict::PaymentIntentCaptureMethod::Unknown(_))
        }),
        "charge" => is::<strict::Charge>(&text, |read| !matches!(read.status, strict::ChargeStatus::Unknown(_))),
        "refund" => is::<strict::Refund>(&text, |read| !matches!(read.reason, Some(strict::RefundReason::Unknown(_)))),
        "setup_intent" => {
            is::<strict::SetupIntent>(&text, |read| !matches!(read.status, strict::SetupIntentStatus::Unknown(_)))
        }
        "customer" => is::<strict::Customer>(&text, |_| true),
        "payment_method" => {
            is::<strict::PaymentMethod>(&text, |read| !matches!(read.type_, strict::PaymentMethodType::Unknown(_)))
        }
        "dispute" => is::<strict::Dispute>(&text, |read| !matches!(read.status, strict::DisputeStatus::Unknown(_))),
        "balance_transaction" => is::<strict::BalanceTransaction>(&text, |read| {
            !matches!(read.type_, strict::BalanceTransactionType::Unknown(_))
                && !matches!(read.balance_type, strict::BalanceTransactionBalanceType::Unknown(_))
        }),
        "payout" => is::<strict::Payout>(&text, |read| !matches!(read.type_, strict::PayoutType::Unknown(_))),
        "event" => is::<strict::Event>(&text, |read| !matches!(read.type_, strict::EventType::Unknown(_))),
        "list" | "search_result" => is_list(value),
        _ => return Some("a kind nobody knows"),
    };
    (!read).then_some("a field is missing, of another type or a word that is not Stripe's")
}

/// An error has to have one of Stripe's types and, if it has a code, one of Stripe's.
fn is_error(error: &Value) -> bool {
    is::<strict::ApiErrors>(&error.to_string(), |read| {
        !matches!(read.type_, strict::ApiErrorsType::Unknown(_))
            && !matches!(read.code, Some(strict::ApiErrorsCode::Unknown(_)))
    })
}

fn is<T: miniserde::Deserialize>(text: &str, known: impl FnOnce(&T) -> bool) -> bool {
    miniserde::json::from_str(text).is_ok_and(|read| known(&read))
}

fn is_list(value: &Value) -> bool {
    let has = |name: &str, is: fn(&Value) -> bool| value.get(name).is_some_and(is);
    has("data", Value::is_array) && has("has_more", Value::is_boolean) && has("url", Value::is_string)
}

struct Scene {
    http: Client<HttpConnector, Full<Bytes>>,
    address: String,
    events: UnboundedReceiver<Bytes>,
    oracle: Oracle,
}

async fn listen(router: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

impl Scene {
    async fn new() -> Self {
        let (sender, events) = unbounded_channel();
        let hook = listen(Router::new().route("/", post(async move |body: Bytes| sender.send(body).unwrap()))).await;
        let twin = Twin::open(None).unwrap();
        twin.send_events_to(&format!("http://{hook}/"), "whsec_oracle").unwrap();
        let address = listen(twin.router()).await;
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { http, address, events, oracle: Oracle::default() }
    }

    async fn call(&mut self, method: &str, path: &str, form: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", "Bearer sk_test_oracle")
            .body(Full::new(Bytes::from(form.to_owned())))
            .unwrap();
        let answer = self.http.request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&body).unwrap();
        if path.starts_with("/v1/") {
            self.oracle.read(&value);
            assert!(value.get("error").is_none_or(is_error), "{value:#}");
        }
        (status, value)
    }

    /// What a call makes, by its id.
    async fn post(&mut self, path: &str, form: &str) -> String {
        let (status, value) = self.call("POST", path, form).await;
        assert_eq!(status, 200, "{path} {form}: {value:#}");
        value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    async fn get(&mut self, path: &str) -> Value {
        let (status, value) = self.call("GET", path, "").await;
        assert_eq!(status, 200, "{path}: {value:#}");
        value
    }

    async fn refused(&mut self, path: &str, form: &str, expected: u16) {
        let (status, value) = self.call("POST", path, form).await;
        assert_eq!(status, expected, "{path} {form}: {value:#}");
    }

    async fn charge(&mut self, method: &str, more: &str) -> String {
        let form = format!(
            "amount=1250&currency=eur&confirm=true&payment_method_types[]=card&payment_method={method}\
             &metadata[payment]=pay_1&expand[]=latest_charge{more}"
        );
        self.post("/v1/payment_intents", &form).await
    }

    /// Everything that is told until this event.
    async fn told_until(&mut self, kind: &str) {
        loop {
            let body = tokio::time::timeout(DEADLINE, self.events.recv()).await.unwrap().unwrap();
            let event: Value = serde_json::from_slice(&body).unwrap();
            self.oracle.read(&event);
            if event.get("type").and_then(Value::as_str) == Some(kind) {
                return;
            }
        }
    }
}

async fn charges(scene: &mut Scene) {
    let prepared = scene.post("/v1/payment_intents", "amount=1250&currency=eur").await;
    scene.refused(&format!("/v1/payment_intents/{prepared}/confirm"), "", 400).await;
    let declined = "payment_method=pm_card_visa_chargeDeclined";
    scene.refused(&format!("/v1/payment_intents/{prepared}/confirm"), declined, 402).await;
    scene.get(&format!("/v1/payment_intents/{prepared}?expand[]=latest_charge")).await;
    let asked = "payment_method=pm_card_authenticationRequired";
    scene.post(&format!("/v1/payment_intents/{prepared}/confirm"), asked).await;
    scene.post(&format!("/_twin/authenticate/{prepared}/failure"), "").await;
    scene.post(&format!("/v1/payment_intents/{prepared}/cancel"), "cancellation_reason=abandoned").await;
    scene.post("/v1/payment_intents", "amount=1250&currency=eur&payment_method=pm_card_visa").await;

    let reserved = scene.charge("pm_card_visa", "&capture_method=manual").await;
    scene.get(&format!("/v1/payment_intents/{reserved}?expand[]=latest_charge")).await;
    scene
        .post(&format!("/v1/payment_intents/{reserved}/capture"), "amount_to_capture=900&expand[]=latest_charge")
        .await;
    scene.refused(&format!("/v1/payment_intents/{reserved}/capture"), "", 400).await;
    scene.get("/v1/payment_intents/search?query=metadata['payment']:'pay_1'").await;
}

async fn saved_cards(scene: &mut Scene) {
    let customer = scene.post("/v1/customers", "metadata[user]=u1").await;
    scene.get(&format!("/v1/customers/{customer}")).await;
    let setup = scene.post("/v1/setup_intents", &format!("customer={customer}&payment_method_types[]=card")).await;
    scene
        .refused(&format!("/v1/setup_intents/{setup}/confirm"), "payment_method=pm_card_visa_chargeDeclined", 402)
        .await;
    scene.refused(&format!("/v1/setup_intents/{setup}/confirm"), "", 400).await;
    scene.post(&format!("/v1/setup_intents/{setup}/confirm"), "payment_method=pm_card_authenticationRequired").await;
    scene.post(&format!("/_twin/authenticate/{setup}/success"), "").await;
    scene.get(&format!("/v1/setup_intents/{setup}")).await;
    scene.post("/v1/setup_intents", "payment_method=pm_card_visa").await;

    let amex = scene.post("/v1/payment_methods/pm_card_amex/attach", &format!("customer={customer}")).await;
    scene.refused("/v1/payment_methods/pm_card_radarBlock/attach", &format!("customer={customer}"), 402).await;
    scene.charge(&amex, &format!("&customer={customer}&off_session=true")).await;
    scene.get(&format!("/v1/payment_methods?customer={customer}&type=card")).await;
    scene.get(&format!("/v1/payment_methods/{amex}")).await;
    scene.post(&format!("/v1/payment_methods/{amex}/detach"), "").await;
}

async fn aftermath(scene: &mut Scene) {
    for method in ["pm_card_visa", "pm_card_pendingRefund", "pm_card_refundFail"] {
        let charge = scene.charge(method, "").await;
        let refund = scene.post("/v1/refunds", &format!("payment_intent={charge}&amount=500&reason=duplicate")).await;
        scene.refused("/v1/refunds", &format!("payment_intent={charge}&amount=5000"), 400).await;
        scene.post("/_twin/clock/61", "").await;
        scene.get(&format!("/v1/refunds/{refund}")).await;
        scene.get(&format!("/v1/refunds?payment_intent={charge}")).await;
    }
    for (method, evidence, knob) in [
        ("pm_card_createDispute", Some("a photograph"), Some("won")),
        ("pm_card_createDisputeProductNotReceived", Some("losing_evidence"), None),
        ("pm_card_createDisputeInquiry", Some("a letter"), Some("lost")),
    ] {
        let charge = scene.charge(method, "").await;
        scene.refused("/v1/refunds", &format!("payment_intent={charge}&amount=5000"), 400).await;
        let listed = scene.get(&format!("/v1/disputes?payment_intent={charge}")).await;
        let dispute = listed.pointer("/data/0/id").and_then(Value::as_str).unwrap().to_owned();
        if let Some(text) = evidence {
            scene.post(&format!("/v1/disputes/{dispute}"), &format!("evidence[uncategorized_text]={text}")).await;
        }
        if let Some(outcome) = knob {
            scene.post(&format!("/_twin/disputes/{dispute}/{outcome}"), "").await;
        }
        scene.get(&format!("/v1/disputes/{dispute}?expand[]=payment_intent")).await;
    }
    scene.post("/_twin/payout", "").await;
    scene.get("/v1/balance_transactions?limit=100").await;
    scene.get("/v1/balance_transactions?limit=100&expand[]=data.source&expand[]=data.source.payment_intent").await;
}

async fn refusals(scene: &mut Scene) {
    let charge = "amount=1250&currency=eur&confirm=true&payment_method_types[]=card";
    for (form, status) in [
        ("currency=eur", 400),
        ("amount=&currency=eur", 400),
        ("amount=x&currency=eur", 400),
        ("amount=1&currency=eur", 400),
        ("amount=100000000&currency=eur", 400),
        ("amount=1250&currency=eur&surprise=1", 400),
        ("amount=1250&currency=eur&payment_method=pm_absent", 400),
        ("amount=1250&currency=eur&customer=cus_absent", 400),
        (charge, 400),
        (&format!("{charge}&payment_method=pm_twin00000004"), 400),
        (&format!("{charge}&payment_method=pm_card_authenticationRequired&off_session=true"), 402),
        (&format!("{charge}&payment_method=pm_card_visa_chargeDeclinedLostCard"), 402),
        (&format!("{charge}&payment_method=pm_card_chargeDeclinedExpiredCard"), 402),
        (&format!("{charge}&payment_method=pm_card_chargeDeclinedIncorrectCvc"), 402),
        (&format!("{charge}&payment_method=pm_card_chargeDeclinedProcessingError"), 402),
    ] {
        scene.refused("/v1/payment_intents", form, status).await;
    }
    let paid = scene.charge("pm_card_visa", "").await;
    scene.post("/v1/refunds", &format!("payment_intent={paid}")).await;
    scene.refused("/v1/refunds", &format!("payment_intent={paid}"), 400).await;
    scene.call("GET", "/v1/refunds/re_absent", "").await;
    scene.call("GET", "/v1/payment_intents/pi_absent", "").await;
}

#[tokio::test]
async fn every_object_in_every_state_is_what_a_strict_reader_of_stripe_expects() {
    let mut scene = Scene::new().await;
    charges(&mut scene).await;
    refusals(&mut scene).await;
    saved_cards(&mut scene).await;
    aftermath(&mut scene).await;
    scene.told_until("charge.dispute.closed").await;
    scene.told_until("charge.dispute.closed").await;
    scene.told_until("charge.dispute.closed").await;

    let oracle = &scene.oracle;
    let [capture, method] = ["requires_capture", "requires_payment_method"];
    let waiting = ["requires_action", "requires_confirmation", method];
    oracle.saw("payment_intent", &["canceled", waiting[0], capture, waiting[1], method, "succeeded"]);
    oracle.saw("charge", &["failed", "succeeded"]);
    oracle.saw("setup_intent", &[waiting[0], waiting[1], method, "succeeded"]);
    oracle.saw("refund", &["failed", "pending", "succeeded"]);
    oracle.saw("payment_method", &["card"]);
    oracle.saw("customer", &[""]);
    oracle.saw("payout", &["paid"]);
    oracle.saw("balance_transaction", &["pending"]);
    let [closed, asked, review] = ["warning_closed", "warning_needs_response", "warning_under_review"];
    oracle.saw("dispute", &["lost", "needs_response", "under_review", closed, asked, review, "won"]);
    let told = oracle.0.get("event").unwrap();
    assert_eq!(told.len(), 19, "{told:?}");
}

#[test]
fn the_oracle_refuses_what_stripe_never_says() {
    let refund = serde_json::json!({ "object": "refund", "id": "re_1", "amount": 5, "created": 1, "currency": "eur" });
    assert_eq!(refusal("refund", &refund), None);
    for field in ["id", "amount", "created", "currency"] {
        let mut without = refund.clone();
        without.as_object_mut().unwrap().remove(field);
        assert!(refusal("refund", &without).is_some(), "{field}");
    }
    let mut with = refund.clone();
    with.as_object_mut().unwrap().insert("reason".into(), "because".into());
    assert!(refusal("refund", &with).is_some(), "a word that is not Stripe's");
    assert!(!is_error(&serde_json::json!({ "type": "invalid_request_error", "code": "card_sulks" })));
}
