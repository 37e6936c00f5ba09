//! The routes: Stripe's under `/v1`, the test's under `/_twin`.

use std::io;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Serialize;

use crate::Twin;
use crate::faults::{Fault, FaultKind, Target};
use crate::keys::{Admission, Use};
use crate::ledger::Ledger;
use crate::outbox::{Event, publish};
use crate::params::{Command, Form, cancel_intent, capture_intent, create_intent, create_refund};
use crate::reply::{ApiError, Reply};

/// Far above any form the twin understands.
const BODY_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn router(twin: Twin) -> Router {
    Router::new()
        .route("/v1/payment_intents", post(post_intent))
        .route("/v1/payment_intents/search", get(search_intents))
        .route("/v1/payment_intents/{id}", get(get_intent))
        .route("/v1/payment_intents/{id}/capture", post(capture))
        .route("/v1/payment_intents/{id}/cancel", post(cancel))
        .route("/v1/refunds", post(post_refund).get(list_refunds))
        .route("/v1/refunds/{id}", get(get_refund))
        .route("/v1/balance_transactions", get(list_transactions))
        .route("/_twin/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/_twin/clock/{seconds}", post(advance_clock))
        .route("/_twin/authenticate/{id}/{outcome}", post(authenticate))
        .route("/_twin/books", get(books))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

async fn post_intent(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let asked = Asked::new(Target::Charge, "/v1/payment_intents".into(), &form);
    move_money(twin, asked, &headers, create_intent(form)).await
}

async fn post_refund(State(twin): State<Twin>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let asked = Asked::new(Target::Refund, "/v1/refunds".into(), &form);
    move_money(twin, asked, &headers, create_refund(form)).await
}

async fn capture(State(twin): State<Twin>, headers: HeaderMap, Path(id): Path<String>, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let asked = Asked::new(Target::Capture, format!("/v1/payment_intents/{id}/capture"), &form);
    move_money(twin, asked, &headers, capture_intent(id, form)).await
}

async fn cancel(State(twin): State<Twin>, headers: HeaderMap, Path(id): Path<String>, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let asked = Asked::new(Target::Cancel, format!("/v1/payment_intents/{id}/cancel"), &form);
    move_money(twin, asked, &headers, cancel_intent(id, form)).await
}

async fn search_intents(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let found = || current(&twin).search_intents(form).unwrap_or_else(ApiError::into_reply);
    let reply = authorise(&headers).err().unwrap_or_else(found);
    respond(&twin, reply)
}

async fn list_refunds(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let found = || twin.ledger().list_refunds(form).unwrap_or_else(ApiError::into_reply);
    let reply = authorise(&headers).err().unwrap_or_else(found);
    respond(&twin, reply)
}

async fn list_transactions(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let found = || twin.ledger().list_transactions(form).unwrap_or_else(ApiError::into_reply);
    let reply = authorise(&headers).err().unwrap_or_else(found);
    respond(&twin, reply)
}

/// The payer, not the merchant: no key is needed and no fault met.
async fn authenticate(State(twin): State<Twin>, Path((id, outcome)): Path<(String, String)>) -> Response {
    let success = match outcome.as_str() {
        "success" => true,
        "failure" => false,
        _ => return json(StatusCode::BAD_REQUEST, &"the outcome is success or failure"),
    };
    let (reply, events) = execute(&twin, None, Command::Authenticate { id, success }, false);
    publish(&twin, events, FaultKind::Approve).await;
    respond(&twin, reply)
}

async fn get_intent(State(twin): State<Twin>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let reply = authorise(&headers).err().unwrap_or_else(|| current(&twin).get_intent(&id));
    respond(&twin, reply)
}

async fn get_refund(State(twin): State<Twin>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    let reply = authorise(&headers).err().unwrap_or_else(|| current(&twin).get_refund(&id));
    respond(&twin, reply)
}

async fn add_fault(State(twin): State<Twin>, body: Bytes) -> Response {
    match serde_json::from_slice::<Fault>(&body) {
        Ok(fault) => match twin.inject(fault) {
            Ok(()) => json(StatusCode::OK, &twin.faults().pending()),
            Err(refusal) => json(StatusCode::BAD_REQUEST, &refusal.to_string()),
        },
        Err(error) => json(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn list_faults(State(twin): State<Twin>) -> Response {
    json(StatusCode::OK, &twin.faults().pending())
}

async fn clear_faults(State(twin): State<Twin>) -> StatusCode {
    twin.faults().clear();
    StatusCode::NO_CONTENT
}

async fn books(State(twin): State<Twin>) -> Response {
    json(StatusCode::OK, &twin.books())
}

/// Which call it is, and the parameters its key is bound to.
struct Asked {
    target: Target,
    endpoint: String,
    parameters: String,
}

impl Asked {
    fn new(target: Target, endpoint: String, form: &Form) -> Self {
        Self { target, endpoint, parameters: form.canonical() }
    }
}

async fn move_money(twin: Twin, asked: Asked, headers: &HeaderMap, parsed: Result<Command, ApiError>) -> Response {
    if let Err(refused) = authorise(headers) {
        return respond(&twin, refused);
    }
    let fault = twin.faults().next(asked.target);
    match fault.fault {
        FaultKind::DropBefore => return hang_up(),
        FaultKind::TooManyRequests => {
            let error = ApiError::new(429, "invalid_request_error", "Too many requests.").code("rate_limit");
            return respond(&twin, error.into_reply());
        }
        _ => {}
    }
    let key = headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    let of = key.map(|key| Use { key, endpoint: asked.endpoint, parameters: asked.parameters });
    // A task of its own: a provider does not stop charging because the caller hung up.
    let work = tokio::spawn(run(twin.clone(), of, parsed, fault));
    let reply = work.await.unwrap_or_else(|_| ApiError::new(500, "api_error", "The twin has a defect.").into_reply());
    if fault.fault == FaultKind::ExecuteThenDropReply { hang_up() } else { respond(&twin, reply) }
}

async fn run(twin: Twin, of: Option<Use>, parsed: Result<Command, ApiError>, fault: Fault) -> Reply {
    let admission = current(&twin).admit(of.as_ref(), parsed);
    let command = match admission {
        Admission::Run(command) => command,
        Admission::Answer(reply) => return reply,
    };
    if fault.fault == FaultKind::Slow {
        tokio::time::sleep(Duration::from_millis(fault.ms)).await;
    }
    let crash = fault.fault == FaultKind::ExecuteThen500;
    let (reply, events) = execute(&twin, of.as_ref(), command, crash);
    publish(&twin, events, fault.fault).await;
    reply
}

/// Lets time pass, and what it ends.
async fn advance_clock(State(twin): State<Twin>, Path(seconds): Path<u64>) -> Response {
    let (reply, mut events) = execute(&twin, None, Command::AdvanceClock { seconds }, false);
    events.extend(current(&twin).take_fresh());
    publish(&twin, events, FaultKind::Approve).await;
    respond(&twin, reply)
}

/// The answer and the events, under one lock.
fn execute(twin: &Twin, of: Option<&Use>, command: Command, crash: bool) -> (Reply, Vec<Event>) {
    let mut ledger = current(twin);
    let now = now(&ledger);
    let reply = ledger.execute(of, command, now, crash);
    (reply, ledger.take_fresh())
}

/// The ledger as it is now: what time has ended is ended.
fn current(twin: &Twin) -> MutexGuard<'_, Ledger> {
    let mut ledger = twin.ledger();
    let now = now(&ledger);
    ledger.expire(now);
    ledger
}

/// Epoch seconds by the twin's clock.
fn now(ledger: &Ledger) -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()) + ledger.clock_ahead_s()
}

/// A test key is needed; which one does not matter, there is one account.
fn authorise(headers: &HeaderMap) -> Result<(), Reply> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match sent.strip_prefix("Bearer ").and_then(|key| key.strip_prefix("sk_test_")) {
        Some(rest) if !rest.is_empty() => Ok(()),
        _ => {
            let message = "Provide a test API key: 'Authorization: Bearer sk_test_...'.";
            Err(ApiError::new(401, "invalid_request_error", message).into_reply())
        }
    }
}

fn respond(twin: &Twin, reply: Reply) -> Response {
    let request = twin.requests().fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if let Ok(id) = http::HeaderValue::from_str(&format!("req_twin{request:08}")) {
        headers.insert("request-id", id);
    }
    if reply.replayed {
        headers.insert("idempotent-replayed", http::HeaderValue::from_static("true"));
    }
    response
}

/// An answer whose body breaks before its first byte: the server closes the connection and the caller learns nothing.
fn hang_up() -> Response {
    let broken = futures::stream::once(async { Err::<Bytes, _>(io::Error::other("the twin was asked to hang up")) });
    let mut response = Response::new(Body::from_stream(broken));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
