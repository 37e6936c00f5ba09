//! The test's routes, under `/_twin`: what the payer, the banks and time do, which faults come, and what the books say. No key is needed
//! and no fault met.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::Twin;
use crate::faults::{Chaos, Fault, FaultKind};
use crate::outbox::resend;
use crate::params::Command;
use crate::routes::{execute, respond, tick};

pub(crate) fn router() -> Router<Twin> {
    Router::new()
        .route("/_twin/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/_twin/chaos", post(chaos))
        .route("/_twin/clock/{seconds}", post(advance_clock))
        .route("/_twin/authenticate/{id}/{outcome}", post(authenticate))
        .route("/_twin/disputes/{id}/{outcome}", post(close_dispute))
        .route("/_twin/payout", post(pay_out))
        .route("/_twin/webhook", post(set_webhook))
        .route("/_twin/resend/{payment}", post(send_again))
        .route("/_twin/books", get(books))
}

async fn authenticate(State(twin): State<Twin>, Path((id, outcome)): Path<(String, String)>) -> Response {
    match outcome.as_str() {
        "success" => happen(&twin, Command::Authenticate { id, success: true }).await,
        "failure" => happen(&twin, Command::Authenticate { id, success: false }).await,
        _ => json(StatusCode::BAD_REQUEST, &"the outcome is success or failure"),
    }
}

async fn close_dispute(State(twin): State<Twin>, Path((id, outcome)): Path<(String, String)>) -> Response {
    match outcome.as_str() {
        "won" => happen(&twin, Command::CloseDispute { id, won: true }).await,
        "lost" => happen(&twin, Command::CloseDispute { id, won: false }).await,
        _ => json(StatusCode::BAD_REQUEST, &"the outcome is won or lost"),
    }
}

async fn pay_out(State(twin): State<Twin>) -> Response {
    happen(&twin, Command::PayOut).await
}

/// Where events go from now on.
async fn set_webhook(State(twin): State<Twin>, body: Bytes) -> Response {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Endpoint {
        url: String,
        secret: String,
    }
    match serde_json::from_slice::<Endpoint>(&body) {
        Ok(Endpoint { url, secret }) => match twin.send_events_to(&url, &secret) {
            Ok(()) => json(StatusCode::OK, &"events go there"),
            Err(refusal) => json(StatusCode::BAD_REQUEST, &refusal.to_string()),
        },
        Err(error) => json(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Sends the newest event about a payment again.
async fn send_again(State(twin): State<Twin>, Path(payment): Path<String>) -> Response {
    match resend(&twin, &payment).await {
        Some((event, taken)) => json(StatusCode::OK, &serde_json::json!({ "event": event, "taken": taken })),
        None => json(StatusCode::NOT_FOUND, &"no event about this payment was taken lately, or one is on its way"),
    }
}

/// Lets time pass, and what it ends.
async fn advance_clock(State(twin): State<Twin>, Path(seconds): Path<u64>) -> Response {
    happen(&twin, Command::AdvanceClock { seconds }).await
}

/// What nobody at the merchant's does.
async fn happen(twin: &Twin, command: Command) -> Response {
    let reply = execute(twin, None, command, FaultKind::Approve).await;
    tick(twin).await;
    respond(twin, reply)
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

async fn chaos(State(twin): State<Twin>, body: Bytes) -> Response {
    match serde_json::from_slice::<Chaos>(&body) {
        Ok(Chaos { percent, seed }) => match twin.chaos(percent, seed) {
            Ok(()) => json(StatusCode::OK, &Chaos { percent, seed }),
            Err(refusal) => json(StatusCode::BAD_REQUEST, &refusal.to_string()),
        },
        Err(error) => json(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn books(State(twin): State<Twin>) -> Response {
    json(StatusCode::OK, &twin.books())
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let mut response = Response::new(Body::from(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
