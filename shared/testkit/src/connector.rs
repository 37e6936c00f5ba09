//! The SDK's HTTP client, answered by the engine instead of a socket.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use crate::engine::{Engine, Refusal};
use crate::faults::{Call, Fault, Faults, Step};
use crate::limits;
use crate::meter::{self, Meter};

#[derive(Debug, Clone)]
pub(crate) struct EngineClient {
    engine: Engine,
    faults: Faults,
    meter: Meter,
}

impl EngineClient {
    pub(crate) fn new(engine: Engine, faults: Faults, meter: Meter) -> Self {
        Self { engine, faults, meter }
    }

    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).map_err(|error| ConnectorError::user(error.into()))?;
        let call = self.faults.begin(&operation, actions(&body));
        self.faults.pause(Some(&call)).await;
        let reply = match self.faults.decide(&call) {
            Step::Pass => respond(self.execute(&call, body)),
            Step::Stopped { executed } => {
                if executed {
                    self.execute(&call, body).ok();
                }
                Err(ConnectorError::user("the process was stopped by the test".into()))
            }
            Step::Fail(fault @ (Fault::LostReply | Fault::TimedOut)) => {
                self.execute(&call, body).ok();
                Err(broken(fault))
            }
            Step::Fail(Fault::LostRequest) => Err(broken(Fault::LostRequest)),
            Step::Fail(fault) => respond(Err(refusal(fault, &call))),
        };
        self.faults.pause(None).await;
        reply
    }

    fn execute(&self, call: &Call, mut body: Value) -> Result<String, Refusal> {
        if let Err(message) = limits::check(&body) {
            return Err(error(400, "com.amazon.coral.validate#ValidationException", &message));
        }
        if meter::reports_capacity(&call.operation)
            && let Some(fields) = body.as_object_mut()
        {
            fields.entry("ReturnConsumedCapacity").or_insert_with(|| "TOTAL".into());
        }
        let reply = self.engine.call(&call.operation, &body.to_string());
        let parsed = reply.as_ref().ok().and_then(|text| serde_json::from_str(text).ok());
        self.meter.record(&call.operation, parsed.as_ref());
        reply
    }
}

impl HttpConnector for EngineClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}

impl HttpClient for EngineClient {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn actions(body: &Value) -> usize {
    body.get("TransactItems").and_then(Value::as_array).map_or(0, Vec::len)
}

fn respond(reply: Result<String, Refusal>) -> Result<HttpResponse, ConnectorError> {
    let (status, body) = match reply {
        Ok(body) => (200, body),
        Err(refusal) => (refusal.status, refusal.body),
    };
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::user(error.into()))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response.headers_mut().insert("x-amzn-requestid", "EMBEDDED");
    Ok(response)
}

fn broken(fault: Fault) -> ConnectorError {
    match fault {
        Fault::TimedOut => ConnectorError::timeout("the reply came too late (injected)".into()),
        _ => ConnectorError::io("the connection broke (injected)".into()),
    }
}

fn refusal(fault: Fault, call: &Call) -> Refusal {
    const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810";
    let named = |name: &str, message| error(400, &format!("{DYNAMODB}#{name}"), message);
    match fault {
        Fault::Throttled => named("ThrottlingException", "Rate of requests exceeds the allowed throughput."),
        Fault::ThroughputExceeded => named(
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded.",
        ),
        Fault::TransactionConflict if call.actions == 0 => {
            named("TransactionConflictException", "Transaction is ongoing for the item")
        }
        Fault::TransactionConflict => cancelled(call, "TransactionConflict", "Transaction is ongoing for the item"),
        Fault::TransactionThrottled => {
            cancelled(call, "ThrottlingError", "Throughput exceeds the current capacity of your table or index.")
        }
        Fault::ServerError | Fault::LostRequest | Fault::LostReply | Fault::TimedOut => {
            error(500, &format!("{DYNAMODB}#InternalServerError"), "Internal server error")
        }
    }
}

fn error(status: u16, kind: &str, message: &str) -> Refusal {
    Refusal { status, body: json!({"__type": kind, "message": message}).to_string() }
}

/// One reason per action, as DynamoDB sends them; which action is hit changes from call to call.
fn cancelled(call: &Call, code: &str, message: &str) -> Refusal {
    let hit = usize::try_from(call.number).unwrap_or(0) % call.actions.max(1);
    let codes: Vec<&str> = (0..call.actions).map(|action| if action == hit { code } else { "None" }).collect();
    let reasons: Vec<Value> = codes
        .iter()
        .map(|code| if *code == "None" { json!({"Code": code}) } else { json!({"Code": code, "Message": message}) })
        .collect();
    let text = "Transaction cancelled, please refer cancellation reasons for specific reasons";
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("{text} [{}]", codes.join(", ")),
        "CancellationReasons": reasons,
    });
    Refusal { status: 400, body: body.to_string() }
}
