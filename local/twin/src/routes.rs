//! Stripe's routes, under `/v1`. The test's are in [`crate::knobs`].

use std::io;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};

use crate::faults::{Fault, FaultKind, Target};
use crate::form::Form;
use crate::keys::{Admission, Use};
use crate::ledger::Ledger;
use crate::outbox::publish;
use crate::params::{self, Command};
use crate::reply::{ApiError, Reply};
use crate::{Twin, knobs};

/// Far above any form the twin understands.
const BODY_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn router(twin: Twin) -> Router {
    Router::new()
        .route("/v1/payment_intents", post(create_intent).get(list_intents))
        .route("/v1/payment_intents/search", get(search_intents))
        .route("/v1/payment_intents/{id}", get(get_intent))
        .route("/v1/payment_intents/{id}/confirm", post(confirm_intent))
        .route("/v1/payment_intents/{id}/capture", post(capture_intent))
        .route("/v1/payment_intents/{id}/cancel", post(cancel_intent))
        .route("/v1/refunds", post(create_refund).get(list_refunds))
        .route("/v1/refunds/{id}", get(get_refund))
        .route("/v1/customers", post(create_customer))
        .route("/v1/customers/{id}", get(get_customer))
        .route("/v1/customers/{id}/payment_methods", get(list_methods_of))
        .route("/v1/payment_methods", get(list_methods))
        .route("/v1/payment_methods/{id}", get(get_method))
        .route("/v1/payment_methods/{id}/attach", post(attach_method))
        .route("/v1/payment_methods/{id}/detach", post(detach_method))
        .route("/v1/setup_intents", post(create_setup))
        .route("/v1/setup_intents/{id}", get(get_setup))
        .route("/v1/setup_intents/{id}/confirm", post(confirm_setup))
        .route("/v1/disputes", get(list_disputes))
        .route("/v1/disputes/{id}", get(get_dispute).post(send_evidence))
        .route("/v1/balance_transactions", get(list_transactions))
        .merge(knobs::router())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(twin)
}

async fn create_intent(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    submit(twin, Call { target: Target::Charge, headers, uri, body }, params::create_intent).await
}

async fn confirm_intent(
    State(twin): State<Twin>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let call = Call { target: Target::Confirm, headers, uri, body };
    submit(twin, call, |form| params::confirm_intent(id, form)).await
}

async fn capture_intent(
    State(twin): State<Twin>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let call = Call { target: Target::Capture, headers, uri, body };
    submit(twin, call, |form| params::capture_intent(id, form)).await
}

async fn cancel_intent(
    State(twin): State<Twin>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let call = Call { target: Target::Cancel, headers, uri, body };
    submit(twin, call, |form| params::cancel_intent(id, form)).await
}

async fn create_refund(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    submit(twin, Call { target: Target::Refund, headers, uri, body }, params::create_refund).await
}

async fn create_customer(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    submit(twin, Call { target: Target::Customer, headers, uri, body }, params::create_customer).await
}

async fn attach_method(
    State(twin): State<Twin>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let call = Call { target: Target::Attach, headers, uri, body };
    submit(twin, call, |form| params::attach_method(id, form)).await
}

async fn detach_method(
    State(twin): State<Twin>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let call = Call { target: Target::Detach, headers, uri, body };
    submit(twin, call, |form| params::detach_method(id, form)).await
}

async fn create_setup(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    submit(twin, Call { target: Target::Setup, headers, uri, body }, params::create_setup).await
}

async fn confirm_setup(
    State(twin): State<Twin>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let call = Call { target: Target::ConfirmSetup, headers, uri, body };
    submit(twin, call, |form| params::confirm_setup(id, form)).await
}

async fn send_evidence(
    State(twin): State<Twin>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let call = Call { target: Target::Evidence, headers, uri, body };
    submit(twin, call, |form| params::send_evidence(id, form)).await
}

async fn list_intents(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.list_intents(form))
}

async fn search_intents(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.search_intents(form))
}

async fn get_intent(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, Path(id): Path<String>) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.get_intent(&id, form))
}

async fn list_refunds(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.list_refunds(form))
}

async fn get_refund(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, Path(id): Path<String>) -> Response {
    read(&twin, &headers, &uri, |ledger, form| form.finish().and_then(|()| ledger.get_refund(&id)))
}

async fn get_customer(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, Path(id): Path<String>) -> Response {
    read(&twin, &headers, &uri, |ledger, form| form.finish().and_then(|()| ledger.get_customer(&id)))
}

async fn get_method(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, Path(id): Path<String>) -> Response {
    read(&twin, &headers, &uri, |ledger, form| form.finish().and_then(|()| ledger.get_method(&id)))
}

async fn get_setup(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, Path(id): Path<String>) -> Response {
    read(&twin, &headers, &uri, |ledger, form| form.finish().and_then(|()| ledger.get_setup(&id)))
}

async fn list_methods_of(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, Path(id): Path<String>) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.list_methods(Some(id), form))
}

async fn list_methods(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.list_methods(None, form))
}

async fn list_disputes(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.list_disputes(form))
}

async fn get_dispute(State(twin): State<Twin>, headers: HeaderMap, uri: Uri, Path(id): Path<String>) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.get_dispute(&id, form))
}

async fn list_transactions(State(twin): State<Twin>, headers: HeaderMap, uri: Uri) -> Response {
    read(&twin, &headers, &uri, |ledger, form| ledger.list_transactions(form))
}

/// A call that changes something.
struct Call {
    target: Target,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
}

/// Answers a query of the present state.
fn read(
    twin: &Twin,
    headers: &HeaderMap,
    uri: &Uri,
    query: impl FnOnce(&Ledger, Form) -> Result<Reply, ApiError>,
) -> Response {
    let form = Form::parse(uri.query().unwrap_or_default().as_bytes());
    let found = || query(&current(twin), form).unwrap_or_else(ApiError::into_reply);
    let reply = authorise(headers).err().unwrap_or_else(found);
    respond(twin, reply)
}

/// Does what is asked, with what the test has in store for it.
async fn submit(twin: Twin, call: Call, parse: impl FnOnce(Form) -> Result<Command, ApiError>) -> Response {
    if let Err(refused) = authorise(&call.headers) {
        return respond(&twin, refused);
    }
    let fault = twin.faults().next(call.target);
    match fault.fault {
        FaultKind::DropBefore => return hang_up(),
        FaultKind::TooManyRequests => {
            let error = ApiError::new(429, "invalid_request_error", "Too many requests.").code("rate_limit");
            return respond(&twin, error.into_reply());
        }
        _ => {}
    }
    let form = Form::parse(&call.body);
    let key = call.headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    let (endpoint, parameters) = (call.uri.path().to_owned(), form.canonical());
    let of = key.map(|key| Use { key, endpoint, parameters });
    // A task of its own: a provider does not stop charging because the caller hung up.
    let work = tokio::spawn(run(twin.clone(), of, parse(form), fault));
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
    execute(&twin, of.as_ref(), command, fault.fault).await
}

/// Does what was admitted and tells it, with the fault it met; what time had ended meanwhile is told without.
pub(crate) async fn execute(twin: &Twin, of: Option<&Use>, command: Command, fault: FaultKind) -> Reply {
    let (reply, ended, events) = {
        let mut ledger = current(twin);
        let (ended, now) = (ledger.take_fresh(), now(twin, &ledger));
        let reply = ledger.execute(of, command, now, fault);
        (reply, ended, ledger.take_fresh())
    };
    publish(twin, ended, FaultKind::Approve).await;
    publish(twin, events, fault).await;
    reply
}

/// Tells what time has ended.
pub(crate) async fn tick(twin: &Twin) {
    let ended = current(twin).take_fresh();
    publish(twin, ended, FaultKind::Approve).await;
}

/// The ledger as it is now: what time has ended is ended.
fn current(twin: &Twin) -> MutexGuard<'_, Ledger> {
    let mut ledger = twin.ledger();
    let now = now(twin, &ledger);
    ledger.pass_time(now);
    ledger
}

/// Epoch seconds by the twin's clock.
fn now(twin: &Twin, ledger: &Ledger) -> u64 {
    twin.present_s() + ledger.clock_ahead_s()
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

pub(crate) fn respond(twin: &Twin, reply: Reply) -> Response {
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
