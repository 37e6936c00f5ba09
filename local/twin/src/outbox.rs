//! Signed webhooks: events leave for one endpoint, again and again until it answers 2xx, also after a restart.
//!
//! As with Stripe, an event may come before the answer of the call that made it, more than once, and in any order; faults make each
//! of that happen for certain. Only what happens while an endpoint is set makes events.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::sync::Notify;

use crate::Twin;
use crate::faults::FaultKind;
use crate::routes::tick;

/// Stripe waits that long for an endpoint at least.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Stripe's first retry comes after minutes; nobody wants to wait for that in a test.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Events that can be sent again after they were taken.
const TAKEN_MAX: usize = 100;
/// How often the twin looks what time has ended by itself.
const TICK: Duration = Duration::from_secs(1);
/// The version whose shapes the twin speaks.
const API_VERSION: &str = "2025-10-29.clover";

/// Something that happened, as it will be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) kind: String,
    /// The object as it was then.
    pub(crate) object: Value,
}

impl Event {
    fn body(&self) -> Bytes {
        let body = json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": { "object": self.object },
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "type": self.kind,
        });
        body.to_string().into()
    }
}

/// Not `http://host[:port][/path]`, or an empty secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a webhook endpoint is http://host[:port][/path] and has a secret")]
pub struct InvalidEndpoint;

#[derive(Debug, Clone)]
struct Endpoint {
    uri: Uri,
    key: hmac::Key,
}

#[derive(Debug)]
struct Delivery {
    event: Event,
    due: Instant,
    /// The pause if it fails again.
    pause: Duration,
}

impl Delivery {
    fn new(event: Event) -> Self {
        Self { event, due: Instant::now(), pause: RETRY_FIRST }
    }
}

#[derive(Debug, Default)]
struct State {
    endpoint: Option<Endpoint>,
    /// What was taken lately, newest first.
    taken: VecDeque<Event>,
    waiting: Vec<Delivery>,
}

impl State {
    fn taken(&mut self, event: Event) {
        self.taken.truncate(TAKEN_MAX - 1);
        self.taken.push_front(event);
    }
}

/// Events on their way.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    changed: Notify,
}

impl Outbox {
    /// Sets the endpoint. The first time it also starts the delivery, on the runtime of the caller.
    pub(crate) fn open(&self, twin: &Twin, url: &str, secret: &str, left: Vec<Event>) -> Result<(), InvalidEndpoint> {
        let uri: Uri = url.parse().map_err(|_| InvalidEndpoint)?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() || secret.is_empty() {
            return Err(InvalidEndpoint);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let first = self.state().endpoint.replace(Endpoint { uri, key }).is_none();
        if first {
            self.state().waiting.extend(left.into_iter().map(Delivery::new));
            tokio::spawn(deliver(twin.clone()));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, delivery: Delivery) {
        self.state().waiting.push(delivery);
        self.changed.notify_one();
    }

    /// The delivery that is due first, if it is due; else when to look again.
    fn next(&self, now: Instant) -> Result<Delivery, Option<Instant>> {
        let waiting = &mut self.state().waiting;
        let first = waiting.iter().enumerate().min_by_key(|(_, delivery)| delivery.due);
        match first.map(|(index, delivery)| (index, delivery.due)) {
            Some((index, due)) if due <= now => Ok(waiting.remove(index)),
            Some((_, due)) => Err(Some(due)),
            None => Err(None),
        }
    }
}

/// Sends the events of one call, with the fault that call met.
pub(crate) async fn publish(twin: &Twin, mut events: Vec<Event>, fault: FaultKind) {
    if fault == FaultKind::WebhookReordered {
        events.reverse();
    }
    for event in events {
        match fault {
            FaultKind::WebhookNever => twin.ledger().delivered(&event.id),
            FaultKind::WebhookBeforeReply => attempt(twin, Delivery::new(event)).await,
            FaultKind::WebhookDuplicate => {
                twin.outbox().push(Delivery::new(event.clone()));
                twin.outbox().push(Delivery::new(event));
            }
            _ => twin.outbox().push(Delivery::new(event)),
        }
    }
}

/// Delivers for as long as the runtime lives.
async fn deliver(twin: Twin) {
    loop {
        let now = Instant::now();
        let due = match twin.outbox().next(now) {
            Ok(delivery) => {
                attempt(&twin, delivery).await;
                continue;
            }
            Err(due) => due.map_or(now + TICK, |due| due.min(now + TICK)),
        };
        // Something due earlier may come meanwhile; running out of time is the other way to go on.
        if tokio::time::timeout_at(due.into(), twin.outbox().changed.notified()).await.is_err() {
            tick(&twin).await;
        }
    }
}

/// Delivers the newest event about a payment again, as `stripe events resend` does; its id and whether it was taken. `None` if no event
/// of it was taken lately, or one is still on its way: then which is the newest is about to change.
pub(crate) async fn resend(twin: &Twin, payment: &str) -> Option<(String, bool)> {
    let is_about = |event: &&Event| event.object.pointer("/metadata/payment").and_then(Value::as_str) == Some(payment);
    if twin.ledger().undelivered().iter().any(|event| is_about(&event)) {
        return None;
    }
    let (endpoint, event) = {
        let state = twin.outbox().state();
        (state.endpoint.clone()?, state.taken.iter().find(is_about).cloned()?)
    };
    let taken = send(endpoint, event.body(), twin.present_s()).await;
    Some((event.id, taken))
}

/// Delivers once; on failure it waits for its next turn.
async fn attempt(twin: &Twin, delivery: Delivery) {
    let Some(endpoint) = twin.outbox().state().endpoint.clone() else { return };
    if send(endpoint, delivery.event.body(), twin.present_s()).await {
        let id = delivery.event.id.clone();
        twin.outbox().state().taken(delivery.event);
        twin.ledger().delivered(&id);
        return;
    }
    let pause = (delivery.pause * 2).min(RETRY_MAX);
    twin.outbox().push(Delivery { due: Instant::now() + delivery.pause, pause, ..delivery });
}

/// Whether the endpoint took it. Signed with the time of the clock that the receiver judges by.
async fn send(endpoint: Endpoint, body: Bytes, time: u64) -> bool {
    let mut signed = format!("{time}.").into_bytes();
    signed.extend_from_slice(&body);
    let signature = hmac::sign(&endpoint.key, &signed);
    let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = Request::post(endpoint.uri)
        .header("content-type", "application/json")
        .header("stripe-signature", format!("t={time},v1={hex}"))
        .body(Full::new(body));
    let Ok(request) = request else { return false };
    let client = Client::builder(TokioExecutor::new()).build_http();
    match tokio::time::timeout(ANSWER_TIMEOUT, client.request(request)).await {
        Ok(Ok(answer)) => answer.status().is_success(),
        _ => false,
    }
}
