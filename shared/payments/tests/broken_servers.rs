//! The client against servers that answer wrongly, partly or not at all: never a definite outcome, never longer than the
//! total time-out.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use parkade_domain::money::Currency;
use parkade_payments::{
    Charge, ChargeRequest, Config, ConfirmRequest, ConfirmSetupRequest, PaymentError, ProviderId, SecretKey,
    SetupRequest, StripeClient, Uncertainty,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn client(address: SocketAddr, total_timeout: Duration) -> StripeClient {
    let config = Config { total_timeout, ..Config::new(format!("http://{address}"), SecretKey::new("sk_test_x")) };
    StripeClient::new(&config).unwrap()
}

async fn charge(address: SocketAddr, total_timeout: Duration) -> Result<Charge, PaymentError> {
    let request = ChargeRequest {
        amount_minor: 1250,
        currency: Currency::from_code("EUR").unwrap(),
        payment_method: "pm_card_visa".into(),
        customer: None,
        idempotency_key: "k".into(),
        reservation: "res_0000000000012".into(),
        payment: "pay_0000000000012_1".into(),
        statement_suffix: None,
    };
    client(address, total_timeout).create_payment_intent(&request).await
}

/// Reads whatever comes, writes `answer` and closes.
async fn server(answer: String) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut heard = [0; 4096];
        assert!(socket.read(&mut heard).await.unwrap() > 0);
        // The client may hang up before the end of an answer that is too long.
        drop(socket.write_all(answer.as_bytes()).await);
    });
    address
}

async fn answering(answer: String) -> Result<Charge, PaymentError> {
    charge(server(answer).await, Duration::from_secs(8)).await
}

fn ok(body: &str, length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn an_answer_that_is_cut_garbled_too_long_or_about_another_amount_is_unknown() {
    let whole = r#"{"id":"pi_1","status":"succeeded","amount":1250,"currency":"eur"}"#;
    assert!(answering(ok(whole, whole.len())).await.is_ok());

    let other_amount = whole.replace("1250", "1251");
    let other_currency = whole.replace("eur", "usd");
    let huge = format!("{whole}{}", " ".repeat(1_100 * 1024));
    for (answer, expected) in [
        (ok(whole, whole.len() + 1), Uncertainty::ConnectionLost),
        (String::new(), Uncertainty::ConnectionLost),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), Uncertainty::ConnectionLost),
        (ok("<html>", 6), Uncertainty::Unreadable),
        (ok(&huge, huge.len()), Uncertainty::Unreadable),
        (ok(&other_amount, whole.len()), Uncertainty::Unreadable),
        (ok(&other_currency, whole.len()), Uncertainty::Unreadable),
    ] {
        let start: String = answer.chars().take(200).collect();
        assert_eq!(answering(answer).await, Err(PaymentError::Unknown(expected)), "{start}");
    }
}

#[tokio::test]
async fn an_answer_about_something_else_than_was_asked_for_is_unknown() {
    let id = |text: &str| ProviderId::new(text).unwrap();
    let unreadable = PaymentError::Unknown(Uncertainty::Unreadable);
    let asked = async |body: &str| client(server(ok(body, body.len())).await, Duration::from_secs(8));
    let charge = r#"{"id":"pi_1","status":"succeeded","amount":1250,"currency":"eur"}"#;
    let setup = r#"{"id":"seti_1","status":"succeeded","customer":"cus_1"}"#;
    for (number, other) in [(1, false), (2, true)] {
        let [payment_intent, setup_intent, customer] =
            ["pi", "seti", "cus"].map(|kind| id(&format!("{kind}_{number}")));
        let key = || "k".to_owned();
        let request = ConfirmRequest { payment_intent, payment_method: None, idempotency_key: key() };
        let confirmed = asked(charge).await.confirm_payment_intent(&request).await;
        let request = ConfirmSetupRequest { setup_intent, payment_method: None, idempotency_key: key() };
        let consented = asked(setup).await.confirm_setup_intent(&request).await;
        let request = SetupRequest { customer, user: "u1".into(), idempotency_key: key() };
        let created = asked(setup).await.create_setup_intent(&request).await;
        assert_eq!(confirmed.err(), other.then(|| unreadable.clone()));
        assert_eq!(consented.err(), other.then(|| unreadable.clone()));
        assert_eq!(created.err(), other.then(|| unreadable.clone()));
    }
}

#[tokio::test]
async fn a_server_that_listens_and_never_answers_costs_the_total_time_out_and_no_more() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let answer = charge(listener.local_addr().unwrap(), Duration::from_millis(50)).await;
    assert_eq!(answer, Err(PaymentError::Unknown(Uncertainty::TimedOut)));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_known_not_to_have_been_reached() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = charge(address, Duration::from_secs(8)).await;
    assert_eq!(answer, Err(PaymentError::Unknown(Uncertainty::NotConnected)));
}
