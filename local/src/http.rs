//! The API: what API Gateway does with the template's routes, and a few routes of our own for people and tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on, post};
use chrono::SecondsFormat;
use parkade_api::{PathParameters, RequestId};
use parkade_events::chain;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{App, Route};
use crate::function::{Handler, InvocationError, invoke};
use crate::sqs;

/// What Lambda takes as a request.
const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Each minute moved runs the schedules; more in one request would look like a hang.
const ADVANCE_MINUTES_MAX: u32 = 2 * 24 * 60;

/// The routes of the template, of the payment twin (`twin`, under `/_stripe`) and of this server (`/_local`).
pub fn router(app: Arc<App>, twin: Option<Router>) -> Router {
    let mut router = Router::new();
    for route in app.routes.clone() {
        let Ok(method) = route.method.parse::<Method>() else { continue };
        let Ok(filter) = MethodFilter::try_from(method) else { continue };
        let (path, route) = (route.path.clone(), Arc::new(route));
        let handler = move |state, parameters, request| call(state, parameters, route.clone(), request);
        router = router.route(&path, on(filter, handler));
    }
    let not_found = || async { message(StatusCode::NOT_FOUND, "Not Found") };
    let router = router
        .route("/_local/health", get(health))
        .route("/_local/queues", get(queues))
        .route(sqs::PATH, post(sqs::call))
        .route(&format!("{}/", sqs::PATH), post(sqs::call))
        .route("/_local/clock", post(clock))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .with_state(app);
    match twin {
        Some(twin) => router.nest("/_stripe", twin),
        None => router,
    }
}

async fn call(
    State(app): State<Arc<App>>,
    Path(parameters): Path<BTreeMap<String, String>>,
    route: Arc<Route>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match &route.handler {
        Handler::Http(_) => run(&app, parameters, &route, request).await,
        _ => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    };
    if method != Method::GET {
        app.wake();
    }
    let duration_ms = started.elapsed().as_millis();
    let status = response.status().as_u16();
    tracing::info!(function = route.name, status, duration_ms, "{method} {path} {status} in {duration_ms} ms");
    response
}

async fn run(app: &App, parameters: BTreeMap<String, String>, route: &Route, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long");
    };
    let Handler::Http(run) = &route.handler else {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let mut request = Request::from_parts(parts, body.to_vec());
    let request_id = Uuid::new_v4().to_string();
    request.extensions_mut().insert(PathParameters(parameters));
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let mut response = match invoke(run(app.platform.clock.now(), request), route.timeout).await {
        Ok(response) => response.map(Body::from),
        Err(error) => {
            tracing::error!(function = route.name, "{} failed: {error}", route.name);
            match error {
                InvocationError::Panicked => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
                InvocationError::TimedOut => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            }
        }
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    response
}

async fn health(State(app): State<Arc<App>>) -> Response {
    let now = app.platform.clock.now().to_rfc3339_opts(SecondsFormat::Secs, true);
    answer(StatusCode::OK, &json!({"status": "ok", "now": now, "routes": app.routes.len()}))
}

async fn queues(State(app): State<Arc<App>>) -> Response {
    match app.queues_report() {
        Ok(report) => answer(StatusCode::OK, &report),
        Err(error) => message(StatusCode::INTERNAL_SERVER_ERROR, &chain(&error)),
    }
}

/// `{"advance_minutes": 90, "step_minutes": 10}`: answers when the clock has moved, the schedules have run at each step (each
/// minute by default) and what they caused is delivered. 0 minutes deliver what is waiting.
async fn clock(State(app): State<Arc<App>>, request: Request) -> Response {
    let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let number = |name: &str| body.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    let Some(minutes) = number("advance_minutes").filter(|minutes| *minutes <= ADVANCE_MINUTES_MAX) else {
        let wanted = format!("send {{\"advance_minutes\": n}}, n from 0 to {ADVANCE_MINUTES_MAX}");
        return message(StatusCode::BAD_REQUEST, &wanted);
    };
    let step_minutes = number("step_minutes").unwrap_or(1);
    // A task of its own: a client that hangs up does not leave half of the minutes undone.
    let moving = app.clone();
    let moved = tokio::spawn(async move {
        moving.advance(minutes, step_minutes).await;
        moving.settle().await;
    });
    if moved.await.is_err() {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "moving the clock failed");
    }
    health(State(app)).await
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// The way API Gateway says things.
fn message(status: StatusCode, text: &str) -> Response {
    answer(status, &json!({"message": text}))
}
