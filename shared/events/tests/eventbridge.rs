//! EventBridge takes some entries of a call and refuses others: each event's outcome is its own.
#![cfg(test)]

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::{BehaviorVersion, Config, IdentityCache, Region, retry::RetryConfig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use chrono::DateTime;
use parkade_events::{Bus, EVENTS_PER_CALL_MAX, Event, EventBridge, EventName, NotTaken};
use serde_json::{Value, json};

type Refuses = dyn Fn(usize, &str) -> bool + Send + Sync;

/// EventBridge as far as these tests need it: notes each call's entries and refuses those that `refuses` picks (by call and event id).
#[derive(Clone)]
struct Bridge {
    calls: Arc<Mutex<Vec<Vec<Value>>>>,
    refuses: Arc<Refuses>,
    answers: fn(Vec<Value>) -> (u16, Value),
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bridge")
    }
}

impl HttpConnector for Bridge {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let entries = body["Entries"].as_array().unwrap().clone();
        let mut calls = self.calls.lock().unwrap();
        let results = entries.iter().map(|entry| {
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            if (self.refuses)(calls.len(), detail["event_id"].as_str().unwrap()) {
                json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"})
            } else {
                json!({"EventId": "id"})
            }
        });
        let (status, reply) = (self.answers)(results.collect());
        calls.push(entries);
        let status = StatusCode::try_from(status).unwrap();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(reply.to_string()))))
    }
}

impl HttpClient for Bridge {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn all(results: Vec<Value>) -> (u16, Value) {
    let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
    (200, json!({"FailedEntryCount": failed, "Entries": results}))
}

fn bridge(refuses: impl Fn(usize, &str) -> bool + Send + Sync + 'static) -> Bridge {
    Bridge { calls: Arc::default(), refuses: Arc::new(refuses), answers: all }
}

fn bus(bridge: &Bridge) -> EventBridge {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-central-1"))
        .endpoint_url("http://bridge.invalid")
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .http_client(bridge.clone())
        .build();
    EventBridge::new(Client::from_conf(config), "parkade-dev")
}

fn event(id: usize) -> Event {
    let detail = parkade_events::SpotDetail {
        spot_index: 1,
        in_service: true,
        start_time: "2027-06-01T08:00:00Z".to_owned(),
        end_time: "2027-06-01T09:00:00Z".to_owned(),
    };
    Event {
        id: format!("e{id}"),
        name: EventName::SpotStatusChanged,
        occurred_at: DateTime::from_timestamp(1_811_836_800, 0).unwrap(),
        lot: None,
        reservation: None,
        payment: None,
        detail: parkade_events::Detail::Spot(detail),
    }
}

fn sizes(bridge: &Bridge) -> Vec<usize> {
    bridge.calls.lock().unwrap().iter().map(Vec::len).collect()
}

fn refused(outcomes: &[Result<(), NotTaken>]) -> Vec<usize> {
    outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_err()).map(|(index, _)| index).collect()
}

#[tokio::test]
async fn events_go_out_in_order_in_calls_of_ten() {
    let bridge = bridge(|_, _| false);
    let events: Vec<Event> = (0..23).map(event).collect();
    assert_eq!(bus(&bridge).put(&events).await, vec![Ok(()); 23]);
    assert_eq!(sizes(&bridge), [EVENTS_PER_CALL_MAX, EVENTS_PER_CALL_MAX, 3]);
    let entry = bridge.calls.lock().unwrap()[0][0].clone();
    let expected = json!({
        "EventBusName": "parkade-dev",
        "Source": "parkade",
        "DetailType": "spot.status-changed.v1",
        "Time": 1_811_836_800,
        "Detail": event(0).to_json().to_string(),
    });
    assert_eq!(entry, expected);
    let sent = bridge.calls.lock().unwrap().concat();
    let ids = sent.iter().map(|entry| serde_json::from_str::<Value>(entry["Detail"].as_str().unwrap()).unwrap());
    assert!(ids.enumerate().all(|(index, detail)| detail["event_id"] == format!("e{index}")));
}

#[tokio::test]
async fn only_the_entries_that_failed_are_offered_again() {
    let bridge = bridge(|call, id| call == 0 && (id == "e1" || id == "e3"));
    let events: Vec<Event> = (0..5).map(event).collect();
    assert_eq!(bus(&bridge).put(&events).await, vec![Ok(()); 5]);
    assert_eq!(sizes(&bridge), [5, 2]);
}

#[tokio::test]
async fn an_entry_that_always_fails_is_reported_and_later_calls_are_not_made() {
    let bridge = bridge(|_, id| id == "e2");
    let events: Vec<Event> = (0..12).map(event).collect();
    let outcomes = bus(&bridge).put(&events).await;
    assert_eq!(refused(&outcomes), [2, 10, 11]);
    assert_eq!(outcomes[2].clone().unwrap_err().cause, "ThrottlingException: slow down");
    assert_eq!(sizes(&bridge), [10, 1, 1]);
}

#[tokio::test]
async fn a_call_that_fails_or_answers_too_little_leaves_nothing_taken_unseen() {
    let events: Vec<Event> = (0..3).map(event).collect();
    let fails = Bridge { answers: |_| (500, json!({"__type": "InternalException"})), ..bridge(|_, _| false) };
    assert_eq!(refused(&bus(&fails).put(&events).await), [0, 1, 2]);
    let answers = |results: Vec<Value>| (200, json!({"FailedEntryCount": 0, "Entries": results[..1]}));
    let short = Bridge { answers, ..bridge(|_, _| false) };
    assert_eq!(bus(&short).put(&events).await, vec![Ok(()); 3], "each call answers for one, so three calls take three");
    assert_eq!(sizes(&short), [3, 2, 1]);
}
