//! The laptop's queues behind SQS's own protocol (AWS JSON 1.0), as far as looking after dead letters needs it: so that one command, on
//! the real SDK, serves the laptop and AWS alike.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parkade_events::chain;
use serde_json::{Value, json};

use crate::app::App;
use crate::table::LocalError;

/// Where it answers; a queue's URL is this and its name.
pub const PATH: &str = "/_local/sqs";

/// A request that SQS would refuse too.
enum Refusal {
    /// No such queue.
    NoQueue,
    /// Not one of the operations below, or a field is missing.
    Invalid(&'static str),
    /// The engine fails.
    Local(LocalError),
}

impl From<LocalError> for Refusal {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}

/// Answers one call.
pub async fn call(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let outcome = operation(&app, target.trim_start_matches("AmazonSQS."), &request, host);
    app.wake();
    match outcome {
        Ok(answer) => respond(StatusCode::OK, &answer),
        Err(Refusal::NoQueue) => {
            let kind = "com.amazonaws.sqs#QueueDoesNotExist";
            respond(StatusCode::BAD_REQUEST, &json!({"__type": kind, "message": "The specified queue does not exist."}))
        }
        Err(Refusal::Invalid(what)) => {
            let kind = "com.amazonaws.sqs#UnsupportedOperation";
            respond(StatusCode::BAD_REQUEST, &json!({"__type": kind, "message": what}))
        }
        Err(Refusal::Local(error)) => {
            let kind = "com.amazonaws.sqs#InternalError";
            respond(StatusCode::INTERNAL_SERVER_ERROR, &json!({"__type": kind, "message": chain(&error)}))
        }
    }
}

fn operation(app: &App, name: &str, request: &Value, host: &str) -> Result<Value, Refusal> {
    let (queues, now) = (&app.platform.queues, app.platform.clock.now());
    let url = |queue: &str| format!("http://{host}{PATH}/{queue}");
    let text = |field: &str| request.get(field).and_then(Value::as_str);
    let queue = || {
        let named = text("QueueUrl").and_then(|url| url.rsplit('/').next()).unwrap_or_default();
        queues.names().find(|known| *known == named).ok_or(Refusal::NoQueue)
    };
    match name {
        "ListQueues" => {
            let prefix = text("QueueNamePrefix").unwrap_or_default();
            let urls: Vec<String> = queues.names().filter(|name| name.starts_with(prefix)).map(url).collect();
            Ok(json!({"QueueUrls": urls}))
        }
        "ListDeadLetterSourceQueues" => {
            let dead = queue()?;
            let sources: Vec<String> = queues.sources_of(dead).map(url).collect();
            Ok(json!({"queueUrls": sources}))
        }
        "GetQueueAttributes" => {
            let depth = queues.depth(queue()?, now)?;
            Ok(json!({"Attributes": {
                "ApproximateNumberOfMessages": depth.visible.to_string(),
                "ApproximateNumberOfMessagesNotVisible": depth.in_flight.to_string(),
            }}))
        }
        "ReceiveMessage" => {
            let max = request.get("MaxNumberOfMessages").and_then(Value::as_u64).unwrap_or(1).min(10);
            let max = usize::try_from(max).unwrap_or(1);
            let messages = match request.get("VisibilityTimeout").and_then(Value::as_u64) {
                Some(seconds) => queues.receive_for(queue()?, max, Duration::from_secs(seconds), now)?,
                None => queues.receive(queue()?, max, now)?,
            };
            let messages: Vec<Value> = messages
                .into_iter()
                .map(|message| {
                    json!({
                        "MessageId": message.id,
                        "ReceiptHandle": message.receipt,
                        "Body": message.body,
                        "Attributes": {"ApproximateReceiveCount": message.receives.to_string()},
                    })
                })
                .collect();
            Ok(json!({"Messages": messages}))
        }
        "SendMessage" => {
            let body = text("MessageBody").ok_or(Refusal::Invalid("MessageBody is missing"))?;
            queues.send(queue()?, body, now)?;
            Ok(json!({"MessageId": uuid::Uuid::new_v4().to_string(), "MD5OfMessageBody": ""}))
        }
        "DeleteMessage" => {
            let receipt = text("ReceiptHandle").ok_or(Refusal::Invalid("ReceiptHandle is missing"))?;
            queues.delete(queue()?, receipt)?;
            Ok(json!({}))
        }
        _ => Err(Refusal::Invalid("this operation is not known here")),
    }
}

fn respond(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response()
}
