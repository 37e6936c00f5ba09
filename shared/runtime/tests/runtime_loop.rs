//! The loops against a small Runtime API: answers, panics and failures arrive where Lambda expects them, and the process
//! goes on. Each loop runs in a child process, because the Lambda runtime reads the process's environment.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::{Answer, RequestId, path_text, respond};
use parkade_runtime::{Environment, EventFailure, run_http, run_schedule, run_sqs, telemetry};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);

/// What the child posted: `response` or `error`, the request id, the body.
type Posted = (String, String, Value);

/// Starts the ignored test `child` against a Runtime API that hands out `events`; returns what it posted for each, and its log.
fn drive(child: &str, events: &[Value]) -> (Vec<Posted>, Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let queue = Arc::new(Mutex::new(events.iter().cloned().enumerate().collect::<VecDeque<_>>()));
    let (sender, posted) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (queue, sender) = (Arc::clone(&queue), sender.clone());
            std::thread::spawn(move || serve(&stream.unwrap(), &queue, &sender));
        }
    });
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", child, "--nocapture"])
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", child)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let received = receive(&posted, events.len());
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    (received, lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn receive(posted: &Receiver<Posted>, count: usize) -> Vec<Posted> {
    (0..count).map(|_| posted.recv_timeout(DEADLINE).expect("the child answers every event")).collect()
}

fn serve(stream: &TcpStream, queue: &Mutex<VecDeque<(usize, Value)>>, sender: &Sender<Posted>) {
    let mut reader = BufReader::new(stream);
    while let Some((line, body)) = read_request(&mut reader) {
        let path = line.split(' ').nth(1).unwrap().to_owned();
        if path.ends_with("/invocation/next") {
            let Some((index, event)) = queue.lock().unwrap().pop_front() else {
                // No more work: Lambda would freeze the process here.
                std::thread::park_timeout(DEADLINE);
                return;
            };
            answer(
                stream,
                "200 OK",
                &format!("Lambda-Runtime-Aws-Request-Id: r-{index}\r\nLambda-Runtime-Deadline-Ms: 99999999999999\r\n"),
                &event.to_string(),
            );
        } else {
            let parts: Vec<_> = path.rsplit('/').map(str::to_owned).collect();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            answer(stream, "202 Accepted", "", "");
            sender.send((parts[0].clone(), parts[1].clone(), body)).unwrap();
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        length = header.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
        chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
    }
    assert!(!chunked, "answers are sent with their length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

fn answer(mut stream: &TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).unwrap();
}

fn http_event(word: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "POST /v1/{word}", "rawPath": format!("/v1/{word}"), "rawQueryString": "",
        "headers": {"host": "example.org"}, "pathParameters": {"word": word}, "isBase64Encoded": false,
        "body": "{\"secret\":\"do not log\"}",
        "requestContext": {
            "accountId": "1", "apiId": "a", "requestId": "gw", "stage": "$default", "time": "", "timeEpoch": 1,
            "http": {"method": "POST", "path": format!("/v1/{word}"), "protocol": "HTTP/1.1"},
        },
    })
}

async fn handle(greeting: &&str, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    assert_ne!(path_text(&request, "word"), "panic", "asked to panic");
    tracing::info!("handled");
    respond(&RequestId::of(&request), Answer::ok(&format!("{greeting} {}", path_text(&request, "word"))))
}

#[tokio::test]
#[ignore = "a child of the test below"]
async fn child_http() {
    telemetry::init(&Environment::from_pairs([("", "")]));
    run_http(&"hello", handle).await.unwrap();
}

#[test]
fn requests_are_answered_and_a_panic_is_reported_without_ending_the_process() {
    let events = ["a", "panic", "b"].map(http_event);
    let (posted, log) = drive("child_http", &events);

    let (kind, id, body) = &posted[0];
    assert_eq!((kind.as_str(), id.as_str()), ("response", "r-0"));
    assert_eq!(body["statusCode"], 200);
    assert_eq!(body["body"], "\"hello a\"");
    assert_eq!(body["isBase64Encoded"], false);
    assert_eq!(body["headers"]["content-type"], "application/json");
    assert_eq!(body["headers"]["x-request-id"], "r-0");

    let (kind, id, body) = &posted[1];
    assert_eq!((kind.as_str(), id.as_str()), ("error", "r-1"));
    assert!(body["errorMessage"].as_str().unwrap().contains("asked to panic"), "{body}");

    assert_eq!(posted[2].0, "response");
    assert_eq!(posted[2].2["body"], "\"hello b\"");

    let requests: Vec<_> = log
        .iter()
        .filter(|line| line["message"] == "handled")
        .map(|line| line["requestId"].as_str().unwrap())
        .collect();
    assert_eq!(requests, ["r-0", "r-2"]);
    assert!(log.iter().any(|line| line["level"] == "ERROR" && line["requestId"] == "r-1"), "{log:?}");
    assert!(!log.iter().any(|line| line.to_string().contains("do not log")), "{log:?}");
}

async fn fail_second(_: &(), _: DateTime<Utc>, event: SqsEvent) -> SqsBatchResponse {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = event.records[1].message_id.clone().unwrap();
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures.push(failure);
    response
}

#[tokio::test]
#[ignore = "a child of the test below"]
async fn child_sqs() {
    run_sqs(&(), fail_second).await.unwrap();
}

#[test]
fn a_batch_answers_with_what_it_failed_and_garbage_fails_as_a_whole() {
    let message = |id: &str| json!({"messageId": id, "body": "{}"});
    let (posted, _) = drive("child_sqs", &[json!({"Records": [message("m1"), message("m2")]}), json!({"records": 1})]);
    assert_eq!(posted[0].0, "response");
    assert_eq!(posted[0].2, json!({"batchItemFailures": [{"itemIdentifier": "m2"}]}));
    assert_eq!(posted[1].0, "error");
}

async fn sweep(calls: &std::sync::atomic::AtomicU8, _: DateTime<Utc>) -> Result<Vec<u8>, EventFailure> {
    match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Ok(vec![1]),
        _ => Err(EventFailure { code: "store_unavailable", message: "the store did not answer".to_owned() }),
    }
}

#[tokio::test]
#[ignore = "a child of the test below"]
async fn child_schedule() {
    let calls = std::sync::atomic::AtomicU8::new(0);
    run_schedule(&calls, sweep).await.unwrap();
}

#[test]
fn a_tick_reports_its_work_or_our_code() {
    let (posted, _) = drive("child_schedule", &[json!({"time": "2026-11-21T00:00:00Z"}), json!(null)]);
    assert_eq!((posted[0].0.as_str(), &posted[0].2), ("response", &json!([1])));
    assert_eq!(posted[1].0, "error");
    let expected = json!({"errorType": "store_unavailable", "errorMessage": "the store did not answer"});
    assert_eq!(posted[1].2, expected);
}
