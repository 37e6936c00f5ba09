//! The wiring over HTTP: routes, failures, the clock, and the way from a change to a queue's consumer.
#![cfg(test)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::streams::DynamoDbEventResponse;
use aws_lambda_events::sqs::SqsBatchResponse;
use axum::http::{Method, Response, StatusCode};
use chrono::{DateTime, SecondsFormat, Utc};
use parkade_api::PathParameters;
use parkade_local::app::{App, AppError, Platform};
use parkade_local::client::{Answer, Api, Ask};
use parkade_local::function::{Functions, Handler};
use parkade_local::template::{self, Wiring};
use parkade_testkit::{Engine, RECORDS};
use serde_json::{Value, json};

const TEMPLATE: &str = r#"
Resources:
  Write:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/write/
      Events: {A: {Type: HttpApi, Properties: {Method: PUT, Path: "/v1/things/{id}"}}}
  Fail:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/fail/
      Events: {A: {Type: HttpApi, Properties: {Method: GET, Path: /v1/fail}}}
  Sweep:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/sweep/
      EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Dead.Arn}}}
      Events: {A: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}}
  Publish:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/publish/
      Events: {A: {Type: DynamoDB, Properties: {Stream: !GetAtt Records.StreamArn}}}
  Consume:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/consume/
      Events: {A: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}}
  Wanted:
    Type: AWS::Events::Rule
    Properties: {EventPattern: {detail-type: [thing.written.v1]}, Targets: [{Id: a, Arn: !GetAtt Work.Arn}]}
  Work: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 60}}
  Dead: {Type: AWS::SQS::Queue}
"#;

/// What the consumer and the sweep noted.
type Notes = Arc<Mutex<Vec<String>>>;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn wiring() -> Wiring {
    template::parse(TEMPLATE).unwrap()
}

/// `write` puts an item, `publish` turns its stream record into an event, `consume` notes it.
fn functions(platform: &Platform, notes: &Notes) -> Functions {
    let (engine, bus) = (platform.engine.clone(), platform.bus.clone());
    let write = Handler::Http(Arc::new(move |_, request| {
        let id = request.extensions().get::<PathParameters>().unwrap().0["id"].clone();
        let item = json!({"pk": {"S": id}, "sk": {"S": String::from_utf8(request.into_body()).unwrap()}});
        engine.call("PutItem", &json!({"TableName": RECORDS.name, "Item": item}).to_string()).unwrap();
        Box::pin(async { Response::builder().status(201).body(b"{}".to_vec()).unwrap() })
    }));
    let fail = Handler::Http(Arc::new(|_, _| Box::pin(async { panic!("a bug") })));
    let swept = notes.clone();
    let sweep = Handler::Schedule(Arc::new(move |now, ()| {
        swept.lock().unwrap().push(now.to_rfc3339_opts(SecondsFormat::Secs, true));
        Box::pin(async { Err("nothing works today".to_owned()) })
    }));
    let publish = Handler::Stream(Arc::new(move |_, event| {
        for record in &event.records {
            let keys = serde_json::to_value(&record.change.keys).unwrap();
            bus.accept("shop", "thing.written.v1", &keys["pk"]).unwrap();
        }
        Box::pin(async { DynamoDbEventResponse::default() })
    }));
    let consumed = notes.clone();
    let consume = Handler::Queue(Arc::new(move |_, event| {
        for record in event.records {
            let event: Value = serde_json::from_str(&record.body.unwrap()).unwrap();
            consumed.lock().unwrap().push(event["detail"]["S"].as_str().unwrap().to_owned());
        }
        Box::pin(async { SqsBatchResponse::default() })
    }));
    [("write", write), ("fail", fail), ("sweep", sweep), ("publish", publish), ("consume", consume)].into()
}

struct Server {
    api: Api,
    app: Arc<App>,
    notes: Notes,
}

impl Server {
    async fn start() -> Self {
        let platform = Platform::open(Engine::memory().unwrap(), &wiring(), Some(start()), 0).unwrap();
        let notes = Notes::default();
        let functions = functions(&platform, &notes);
        let app = App::assemble(platform, &wiring(), &functions).unwrap();
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let api = Api::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let router = parkade_local::http::router(app.clone(), None);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { api, app, notes }
    }

    async fn ask(&self, method: Method, path: &str) -> Answer {
        self.api.ask(&Ask::new(method, path).json(json!({"any": "body"}))).await.unwrap()
    }

    fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }
}

#[tokio::test]
async fn what_no_route_names_is_not_found_whatever_the_method() {
    let server = Server::start().await;
    for (method, path) in [(Method::GET, "/v1/none"), (Method::POST, "/v1/things/1"), (Method::GET, "/")] {
        let answer = server.ask(method, path).await;
        assert_eq!((answer.status, answer.text("/message")), (StatusCode::NOT_FOUND, "Not Found"), "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_without_details_and_the_next_request_is_served() {
    let server = Server::start().await;
    for _ in 0..2 {
        let answer = server.ask(Method::GET, "/v1/fail").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.body, json!({"message": "Internal Server Error"}));
    }
}

#[tokio::test]
async fn a_change_reaches_the_queues_consumer_through_stream_and_bus() {
    let server = Server::start().await;
    assert_eq!(server.ask(Method::PUT, "/v1/things/a%20b").await.status, StatusCode::CREATED);
    server.app.settle().await;
    assert_eq!(server.notes(), ["a b"]);
    server.app.settle().await;
    assert_eq!(server.notes(), Vec::<String>::new(), "once is enough when nothing fails");
}

#[tokio::test]
async fn moving_the_clock_runs_the_schedules_of_every_minute_and_keeps_their_failures() {
    let server = Server::start().await;
    let moved = server.api.ask(&Ask::new(Method::POST, "/_local/clock").json(json!({"advance_minutes": 2}))).await;
    assert_eq!(moved.unwrap().text("/now"), "2027-01-15T08:02:00Z");
    assert_eq!(server.notes(), ["2027-01-15T08:01:00Z", "2027-01-15T08:02:00Z"]);
    let queues = server.ask(Method::GET, "/_local/queues").await;
    assert_eq!(queues.body["Dead"]["visible"], 2);
    assert_eq!(queues.body["Dead"]["messages"][0]["responsePayload"]["errorMessage"], "nothing works today");
    let refused = server.api.ask(&Ask::new(Method::POST, "/_local/clock").json(json!({"advance_minutes": -1}))).await;
    assert_eq!(refused.unwrap().status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_clock_never_goes_back_over_a_restart_unless_told() {
    let engine = Engine::memory().unwrap();
    let far = DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let platform = Platform::open(engine.clone(), &wiring(), Some(far), 0).unwrap();
    let functions = functions(&platform, &Notes::default());
    App::assemble(platform, &wiring(), &functions).unwrap().advance(3, 1).await;
    let shown = |start| Platform::open(engine.clone(), &wiring(), start, 0).unwrap().clock.now();
    assert_eq!(shown(None), DateTime::from_timestamp(4_000_000_000 / 60 * 60 + 180, 0).unwrap());
    assert_eq!(shown(Some(start())), start());
}

#[tokio::test]
async fn a_template_that_does_not_fit_the_functions_is_refused() {
    let platform = || Platform::open(Engine::memory().unwrap(), &wiring(), Some(start()), 0).unwrap();
    let mut functions = functions(&platform(), &Notes::default());
    let http = functions["write"].clone();
    functions.insert("sweep", http);
    let refused = App::assemble(platform(), &wiring(), &functions).err().unwrap();
    assert!(matches!(refused, AppError::Kind { kind: "http", source_kind: "schedule", .. }), "{refused}");
    functions.remove("sweep");
    let refused = App::assemble(platform(), &wiring(), &functions).err().unwrap();
    assert!(matches!(refused, AppError::Unknown(name) if name == "sweep"));
}
