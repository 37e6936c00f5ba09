//! The API in process: the template's routes, the embedded engine, a clock that tests move.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use http::{HeaderMap, Request, Response};
use parkade_api::{PathParameters, RequestId};
use parkade_billing::Cashier;
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::Word;
use parkade_identity::{DevTokens, Identity, Keys};
use parkade_payments::{Config, SecretKey, StripeClient, WebhookSecrets};
use parkade_runtime::Deps;
use parkade_store::{Store, TableNames};
use parkade_testkit::{CALENDAR, DERIVED, Engine, Faults, LEDGER, RECORDS};
use parkade_twin::Twin;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// When every test begins: a Saturday, 11:00 in Berlin.
pub(crate) const NOW: &str = "2026-11-21T10:00:00Z";
pub(crate) const ALICE: &str = "dev.driver.alice";
pub(crate) const BOB: &str = "dev.driver.bob";
pub(crate) const OLGA: &str = "dev.operator.olga.central";
pub(crate) const GATE: &str = "dev.gate.lane-1.central";
pub(crate) const ROOT: &str = "dev.admin.root";

/// Where no payment provider answers.
const NOBODY: &str = "http://127.0.0.1:1";
/// What the payment provider signs its webhooks with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_api";

macro_rules! routes {
    (@deps $api:ident) => { &$api.deps };
    (@deps $api:ident $deps:ident) => { &$api.$deps };
    ($($method:literal $path:literal => $function:ident $(with $deps:ident)?;)+) => {
        /// Every route of the API.
        pub(crate) const ROUTES: &[(&str, &str)] = &[$(($method, $path)),+];

        async fn dispatch(api: &Api, now: DateTime<Utc>, mut request: Request<Vec<u8>>) -> Response<Vec<u8>> {
            $(if request.method() == $method && let Some(path) = matched($path, request.uri().path()) {
                request.extensions_mut().insert(path);
                return Box::pin($function::handle(routes!(@deps api $($deps)?), now, request)).await;
            })+
            panic!("no route {} {}", request.method(), request.uri());
        }
    };
}

routes! {
    "GET" "/v1/spots/available" => search;
    "GET" "/v1/lots" => discover;
    "POST" "/v1/quotes" => quote;
    "POST" "/v1/reservations" => reserve;
    "GET" "/v1/reservations/{id}" => get_reservation;
    "GET" "/v1/reservations/{id}/price" => price_explain;
    "POST" "/v1/prices/explain" => price_explain;
    "GET" "/v1/users/{id}/reservations" => list_reservations;
    "GET" "/v1/users/{id}/preferences" => preferences;
    "PUT" "/v1/users/{id}/preferences" => preferences;
    "PATCH" "/v1/reservations/{id}" => modify;
    "PUT" "/v1/reservations/{id}/cancel" => cancel;
    "DELETE" "/v1/reservations/{id}" => cancel;
    "POST" "/v1/reservations/{id}/validations" => validate;
    "POST" "/v1/reservations/{id}/violations" => adjust;
    "DELETE" "/v1/reservations/{id}/violations/{number}" => adjust;
    "POST" "/v1/reservations/{id}/refunds" => adjust;
    "POST" "/v1/payments" => pay with pay;
    "POST" "/v1/users/{id}/payment-methods" => payment_methods with cards;
    "GET" "/v1/users/{id}/payment-methods" => payment_methods with cards;
    "DELETE" "/v1/users/{id}/payment-methods/{method}" => payment_methods with cards;
    "PUT" "/v1/users/{id}/automatic-payment" => payment_methods with cards;
    "POST" "/v1/webhooks/stripe" => payment_webhook with webhook;
    "GET" "/v1/payments/{id}" => get_payment;
    "GET" "/v1/users/{id}/payments" => list_payments;
    "GET" "/v1/receipts/{id}" => get_receipt;
    "GET" "/v1/users/{id}/wallet" => get_wallet;
    "GET" "/v1/lots/{lot}/spots" => list_spots;
    "GET" "/v1/lots/{lot}/spots/{spot}" => get_spot;
    "PUT" "/v1/lots/{lot}" => put_lot;
    "POST" "/v1/lots/{lot}/tariffs" => tariffs;
    "GET" "/v1/lots/{lot}/tariffs" => tariffs;
    "POST" "/v1/lots/{lot}/tariffs/validation" => tariffs;
    "GET" "/v1/lots/{lot}/tariffs/{version}" => tariffs;
    "GET" "/v1/lots/{lot}/tariffs/{version}/changes" => tariffs;
    "PUT" "/v1/lots/{lot}/tariffs/{version}/publication" => tariffs;
    "DELETE" "/v1/lots/{lot}/tariffs/{version}/publication" => tariffs;
    "POST" "/v1/lots/{lot}/tariffs/{version}/simulation" => tariffs;
    "POST" "/v1/lots/{lot}/tills/{till}/payments" => tills;
    "POST" "/v1/lots/{lot}/tills/{till}/payouts" => tills;
    "POST" "/v1/lots/{lot}/tills/{till}/counts" => tills;
    "GET" "/v1/lots/{lot}/tills/{till}/counts" => tills;
    "PUT" "/v1/lots/{lot}/spots" => put_spots;
    "PUT" "/v1/lots/{lot}/spots/{spot}/status" => set_spot_status;
    "GET" "/v1/lots/{lot}/ledger" => get_ledger;
    "GET" "/v1/reconciliation/exceptions" => exceptions;
    "PUT" "/v1/reconciliation/exceptions/{id}" => exceptions;
    "GET" "/v1/reconciliation/ledger" => get_ledger;
    "POST" "/v1/gate/check-in" => check_in;
    "POST" "/v1/gate/check-out" => check_out;
}

fn matched(template: &str, path: &str) -> Option<PathParameters> {
    let (mut names, mut parts) = (template.split('/'), path.split('/'));
    let mut found = BTreeMap::new();
    loop {
        match (names.next(), parts.next()) {
            (None, None) => return Some(PathParameters(found)),
            (Some(name), Some(part)) if name.starts_with('{') => {
                found.insert(name.trim_matches(['{', '}']).to_owned(), part.to_owned());
            }
            (Some(name), Some(part)) if name == part => {}
            _ => return None,
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Checks that it is a problem of this status and code, as RFC 9457 says.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.text("code")), (status, code.to_owned()), "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.text("type"), format!("https://parkade.dev/problems/{code}"));
        assert_eq!(self.text("instance"), format!("urn:request:{}", self.header("x-request-id")));
        self
    }

    /// The pointers and codes of the wrong fields.
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
        errors.iter().map(|error| (text(error, "pointer"), text(error, "code"))).collect()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == "true"
    }
}

/// A request in the making.
pub(crate) struct Call<'a> {
    api: &'a Api,
    request: http::request::Builder,
}

impl Call<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) async fn send(self) -> Reply {
        self.bytes(Vec::new()).await
    }

    pub(crate) async fn json(self, body: Value) -> Reply {
        self.bytes(body.to_string().into_bytes()).await
    }

    pub(crate) async fn bytes(self, body: Vec<u8>) -> Reply {
        let (parts, body) = self.raw(body).await.into_parts();
        let body = serde_json::from_slice(&body).expect("every answer is JSON, unless another form is asked for");
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body };
        assert_lines_add_up(&reply.body);
        reply
    }

    /// The answer in whatever form.
    pub(crate) async fn raw(self, body: Vec<u8>) -> Response<Vec<u8>> {
        let Self { api, request } = self;
        let mut request = request.body(body).unwrap();
        let receipt = request.uri().path().starts_with("/v1/receipts/");
        let id = api.requests.fetch_add(1, Ordering::SeqCst);
        request.extensions_mut().insert(RequestId(format!("r-{id}")));
        // On the heap: a long test would otherwise hold the state of every function once per call.
        let response = Box::pin(dispatch(api, api.now(), request)).await;
        // What may be kept is only ever kept by who asked.
        let kept = response.headers()["cache-control"].to_str().unwrap();
        assert!(kept == "no-store" || (receipt && kept.starts_with("private, ")), "{kept}");
        response
    }
}

/// The API on an engine of its own.
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) faults: Faults,
    pub(crate) deps: Deps,
    pay: pay::Deps,
    cards: payment_methods::Deps,
    webhook: payment_webhook::Deps,
    now_s: AtomicI64,
    requests: AtomicU64,
}

impl Api {
    /// Without any lot, and without a payment provider: whatever is to be charged waits for [`Self::settle`].
    pub(crate) fn empty() -> Self {
        Self::paying_at(NOBODY)
    }

    /// As [`Self::empty`], with a payment provider at `url`.
    fn paying_at(url: &str) -> Self {
        let engine = Engine::memory().unwrap();
        let faults = Faults::none();
        let tables = TableNames {
            calendar: CALENDAR.name.to_owned(),
            records: RECORDS.name.to_owned(),
            ledger: LEDGER.name.to_owned(),
            derived: DERIVED.name.to_owned(),
        };
        let store = Store::new(engine.client(faults.clone()), tables);
        let identity = Identity::new(Keys::from_master(&[7; 32]), DevTokens::On);
        let now: DateTime<Utc> = NOW.parse().unwrap();
        let (now_s, requests) = (AtomicI64::new(now.timestamp()), AtomicU64::new(1));
        let stripe = StripeClient::new(&Config::new(url, SecretKey::new("sk_test_api"))).unwrap();
        let cashier = Cashier::new(store.clone(), stripe, "test");
        let deps = Deps { store, identity };
        let pay = pay::Deps { common: deps.clone(), cashier: cashier.clone() };
        let cards = payment_methods::Deps { common: deps.clone(), cashier: cashier.clone() };
        let secrets = WebhookSecrets::new(WEBHOOK_SECRET, None).unwrap();
        let webhook = payment_webhook::Deps { cashier, secrets };
        Self { engine, faults, deps, pay, cards, webhook, now_s, requests }
    }

    /// As [`Self::new`], with the payment twin.
    pub(crate) async fn with_twin() -> (Self, Twin) {
        let twin = Twin::open(None).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let api = Self::paying_at(&format!("http://{}", listener.local_addr().unwrap()));
        let router = twin.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (api.with_lot().await, twin)
    }

    /// With the lot `central` and its spots `A1`, `A2` (standard), `B1` (large) and `M1` (motorcycle).
    pub(crate) async fn new() -> Self {
        Self::empty().with_lot().await
    }

    async fn with_lot(self) -> Self {
        let api = self;
        api.call("PUT", "/v1/lots/central", ROOT).json(lot()).await.expect(201);
        let spots = [("A1", "standard"), ("A2", "standard"), ("B1", "large"), ("M1", "motorcycle")];
        let spots = spots.map(|(number, size)| json!({"number": number, "zone": "A", "size": size}));
        api.call("PUT", "/v1/lots/central/spots", ROOT).json(json!({"spots": spots})).await.expect(200);
        api
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.now_s.load(Ordering::SeqCst), 0).unwrap()
    }

    /// Sets the clock to a time of the test's day.
    pub(crate) fn at(&self, time: &str) {
        let time: DateTime<Utc> = format!("2026-11-21T{time}Z").parse().unwrap();
        self.now_s.store(time.timestamp(), Ordering::SeqCst);
    }

    pub(crate) fn call(&self, method: &str, path: &str, token: &str) -> Call<'_> {
        self.anonymous(method, path).header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn anonymous(&self, method: &str, path: &str) -> Call<'_> {
        Call { api: self, request: Request::builder().method(method).uri(path) }
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, token).send().await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, key: &str, body: Value) -> Reply {
        self.call("POST", path, token).key(key).json(body).await
    }

    /// A reservation of alice's that is held.
    pub(crate) async fn held(&self, key: &str, body: Value) -> String {
        self.post("/v1/reservations", ALICE, key, body).await.expect(201).text("id")
    }

    /// A reservation of alice's that is paid.
    pub(crate) async fn confirmed(&self, key: &str, body: Value) -> String {
        let id = self.held(key, body).await;
        self.paid(&id, key).await;
        id
    }

    /// Pays what is due of a reservation of alice's; the provider approves.
    pub(crate) async fn paid(&self, id: &str, key: &str) -> String {
        let body = json!({"reservation_id": id, "payment_method": "pm_card_visa"});
        let payment = self.post("/v1/payments", ALICE, &format!("pay-{key}"), body).await.expect(202).text("id");
        self.settle(&payment, true).await;
        payment
    }

    /// One delivery of a payment's message.
    pub(crate) async fn carry_out(&self, payment: &str) {
        let id = payment.parse().unwrap();
        self.pay.cashier.carry_out(id, self.now().timestamp()).await.unwrap();
    }

    /// Issues what a reservation lacks, as the queue's consumer does.
    pub(crate) async fn documented(&self, reservation: &str) -> Vec<String> {
        let issued = self.deps.store.issue_documents(reservation.parse().unwrap(), self.now().timestamp()).await;
        issued.unwrap().iter().map(|document| document.id.to_string()).collect()
    }

    /// The provider's word on a payment.
    pub(crate) async fn settle(&self, payment: &str, approved: bool) {
        let id: PaymentId = payment.parse().unwrap();
        let outcome = if approved {
            Word::Succeeded { reference: format!("pi_{payment}") }
        } else {
            Word::Declined { code: "card_declined".to_owned() }
        };
        self.deps.store.settle(id, &outcome, self.now().timestamp()).await.unwrap();
    }
}

/// What a driver's app asks of the provider itself.
pub(crate) async fn to_twin(twin: &Twin, path: &str, form: &str) {
    let request =
        Request::post(path).header("authorization", "Bearer sk_test_app").body(axum::body::Body::from(form.to_owned()));
    let answer = twin.router().oneshot(request.unwrap()).await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
}

/// Wherever a price is explained, its lines are its total (P18).
fn assert_lines_add_up(value: &Value) {
    let sum = |lines: &Value| lines.as_array().unwrap().iter().map(|line| line["amount_minor"].as_i64().unwrap()).sum();
    for (lines, total) in [("lines", "total"), ("price_lines", "price")] {
        if let Some(lines) = value.get(lines) {
            let total = value.get(total).map_or(&value["total_minor"], |total| &total["amount_minor"]);
            assert_eq!(Some(sum(lines)), total.as_i64(), "{value}");
        }
    }
    value.as_object().into_iter().flat_map(|fields| fields.values()).for_each(assert_lines_add_up);
    value.as_array().into_iter().flatten().for_each(assert_lines_add_up);
}

/// The lot of most tests: 50 cents per quarter of an hour.
pub(crate) fn lot() -> Value {
    json!({
        "name": "Central",
        "address": "Platz 1, 10117 Berlin",
        "position": {"latitude_microdegrees": 52_520_008, "longitude_microdegrees": 13_404_954},
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "policy": {"max_length_minutes": 1_440, "min_notice_minutes": 0, "horizon_days": 30},
        "tariff": {
            "currency": "EUR",
            "unit_minutes": 15,
            "rates": {"standard": 50, "large": 75},
            "overstay": {"per_started_unit": {"unit_minutes": 60, "rate_minor": 250, "admin_fee_minor": 1_000}},
        },
    })
}

/// A request for `[start, end)` of the test's day, in UTC.
pub(crate) fn booking(start: &str, end: &str) -> Value {
    json!({
        "lot_id": "central",
        "vehicle": {"class": "standard"},
        "start_time": format!("2026-11-21T{start}:00Z"),
        "end_time": format!("2026-11-21T{end}:00Z"),
    })
}

/// `body` with one field set.
pub(crate) fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}
