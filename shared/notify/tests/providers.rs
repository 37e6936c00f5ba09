//! SES and SNS as the SDK meets them over HTTP: what each answer means for the message, and that no request is repeated.
#![cfg(test)]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use parkade_notify::{AwsNotifier, Mail, Message, Notifier, SendError};
use parkade_runtime::{Environment, clients};
use tokio::net::TcpListener;

/// An answer of a provider: status, code, and a sentence that repeats the address.
#[derive(Clone, Copy)]
struct Given(u16, &'static str);

/// A provider that always gives the same answer; the bodies it got.
async fn provider(given: Given) -> (String, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = seen.clone();
    let answer = move |headers: HeaderMap, body: Bytes| {
        kept.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
        let Given(status, code) = given;
        let sns = headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().contains("urlencoded"));
        let body = match (status, sns) {
            (200, true) => {
                "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>".to_owned()
            }
            (200, false) => "{\"MessageId\":\"m\"}".to_owned(),
            (_, true) => format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>+4930901820</Message></Error></ErrorResponse>"
            ),
            (_, false) => "{\"message\":\"alice@example.com\"}".to_owned(),
        };
        let status = StatusCode::from_u16(status).unwrap();
        async move { (status, [("x-amzn-errortype", code)], body).into_response() }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, seen)
}

fn notifier(url: &str, from: Option<&str>) -> AwsNotifier {
    let environment = Environment::from_pairs([
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", url),
    ]);
    AwsNotifier::new(&clients::once(&environment).unwrap(), from.map(str::to_owned))
}

fn email() -> Message {
    let mail = Mail { subject: "Grüße".to_owned(), text: "plain".to_owned(), html: "<p>rich</p>".to_owned() };
    Message::Email { to: "alice@example.com".parse().unwrap(), mail }
}

fn phone() -> Message {
    Message::Text { to: "+4930901820".parse().unwrap(), text: "Grüße & mehr".to_owned() }
}

#[tokio::test]
async fn each_answer_means_sent_not_sent_never_or_unknown_and_is_asked_for_once() {
    #[derive(Debug, PartialEq)]
    enum Outcome {
        Sent,
        NotSent,
        Undeliverable,
        Unknown,
    }
    let cases = [
        (email(), Given(200, ""), Outcome::Sent),
        (email(), Given(429, "TooManyRequestsException"), Outcome::NotSent),
        (email(), Given(400, "MessageRejected"), Outcome::NotSent),
        (email(), Given(400, "SendingPausedException"), Outcome::NotSent),
        (email(), Given(403, "AccessDeniedException"), Outcome::NotSent),
        (email(), Given(400, "BadRequestException"), Outcome::Undeliverable),
        (email(), Given(500, "InternalFailure"), Outcome::Unknown),
        (email(), Given(503, "ServiceUnavailable"), Outcome::Unknown),
        (phone(), Given(200, ""), Outcome::Sent),
        (phone(), Given(400, "Throttling"), Outcome::NotSent),
        (phone(), Given(403, "AuthorizationError"), Outcome::NotSent),
        (phone(), Given(400, "InvalidParameter"), Outcome::Undeliverable),
        (phone(), Given(500, "InternalError"), Outcome::Unknown),
    ];
    for (message, given, expected) in cases {
        let (url, seen) = provider(given).await;
        let sent = notifier(&url, Some("parkade@example.com")).send("e", &message).await;
        let outcome = match &sent {
            Ok(()) => Outcome::Sent,
            Err(SendError::NotSent { .. }) => Outcome::NotSent,
            Err(SendError::Undeliverable { .. }) => Outcome::Undeliverable,
            Err(SendError::Unknown { .. }) => Outcome::Unknown,
        };
        assert_eq!(outcome, expected, "{message:?} {} {}", given.0, given.1);
        assert_eq!(seen.lock().unwrap().len(), 1, "{message:?} {} {}", given.0, given.1);
        let printed = format!("{sent:?}");
        assert!(!printed.contains("alice") && !printed.contains("4930"), "{printed}");
    }
}

#[tokio::test]
async fn the_requests_say_who_writes_what_to_whom() {
    let (url, seen) = provider(Given(200, "")).await;
    let notifier = notifier(&url, Some("parkade@example.com"));
    notifier.send("e", &email()).await.unwrap();
    notifier.send("e", &phone()).await.unwrap();
    let seen = seen.lock().unwrap();
    let sent: serde_json::Value = serde_json::from_str(&seen[0]).unwrap();
    assert_eq!(sent["FromEmailAddress"], "parkade@example.com");
    assert_eq!(sent["Destination"]["ToAddresses"], serde_json::json!(["alice@example.com"]));
    let simple = &sent["Content"]["Simple"];
    assert_eq!(simple["Subject"], serde_json::json!({"Data": "Grüße", "Charset": "UTF-8"}));
    assert_eq!(
        (&simple["Body"]["Text"]["Data"], &simple["Body"]["Html"]["Data"]),
        (&"plain".into(), &"<p>rich</p>".into())
    );
    assert!(seen[1].contains("PhoneNumber=%2B4930901820") && seen[1].contains("Transactional"), "{}", seen[1]);
}

#[tokio::test]
async fn what_never_reached_the_provider_was_not_sent() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let refused = notifier(&url, Some("parkade@example.com")).send("e", &email()).await;
    assert!(matches!(refused, Err(SendError::NotSent { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_says_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
            drop(stream);
        }
    });
    let unknown = notifier(&url, Some("parkade@example.com")).send("e", &email()).await;
    assert!(matches!(unknown, Err(SendError::Unknown { .. })), "{unknown:?}");
}

#[tokio::test]
async fn without_a_sender_no_e_mail_is_tried() {
    let (url, seen) = provider(Given(200, "")).await;
    let off = notifier(&url, None).send("e", &email()).await;
    assert!(matches!(off, Err(SendError::Undeliverable { .. })), "{off:?}");
    assert!(seen.lock().unwrap().is_empty());
}
