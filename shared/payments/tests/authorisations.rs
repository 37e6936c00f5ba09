//! The client against the twin over loopback HTTP: reserved money, absent drivers, authentication, and looking things up.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::net::Ipv4Addr;
use std::path::PathBuf;

use parkade_domain::money::Currency;
use parkade_payments::{
    BalanceKind, BalanceQuery, Capture, CaptureRequest, Charge, ChargeRequest, ChargeStatus, ChargeTerms, Config,
    PaymentError, Presence, ProviderId, RefundRequest, SecretKey, StripeClient, Uncertainty,
};
use parkade_twin::{Fault, FaultKind, Target, Twin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const RESERVED: ChargeTerms = ChargeTerms { capture: Capture::Manual, presence: Presence::OnSession };
const AWAY: ChargeTerms = ChargeTerms { capture: Capture::Automatic, presence: Presence::OffSession };

struct Scene {
    twin: Twin,
    client: StripeClient,
    address: String,
}

impl Scene {
    async fn new(journal: Option<PathBuf>) -> Self {
        let twin = Twin::open(journal).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = twin.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = Config::new(format!("http://{address}"), SecretKey::new("sk_test_twin"));
        Self { twin, client: StripeClient::new(&config).unwrap(), address }
    }

    async fn charge(&self, key: &str, method: &str, terms: ChargeTerms) -> Result<Charge, PaymentError> {
        self.client.create_payment_intent_on(&charge_of(key, method), terms).await
    }

    async fn capture(&self, key: &str, charge: &Charge, amount_minor: i64) -> Result<Charge, PaymentError> {
        let request = CaptureRequest {
            payment_intent: charge.payment_intent.clone(),
            amount_minor,
            currency: charge.currency,
            idempotency_key: key.into(),
        };
        self.client.capture_payment_intent(&request).await
    }

    /// The payer answers the issuer's question.
    async fn authenticate(&self, charge: &Charge, outcome: &str) -> String {
        self.turn(&format!("authenticate/{}/{outcome}", charge.payment_intent)).await
    }

    async fn turn(&self, knob: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        let path = format!("/_twin/{knob}");
        let request = format!("POST {path} HTTP/1.1\r\nhost: twin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn status(&self, charge: &Charge) -> ChargeStatus {
        self.client.retrieve_payment_intent(&charge.payment_intent).await.unwrap().status
    }
}

fn charge_of(key: &str, method: &str) -> ChargeRequest {
    ChargeRequest {
        amount_minor: 1250,
        currency: Currency::from_code("EUR").unwrap(),
        payment_method: method.into(),
        customer: None,
        idempotency_key: key.into(),
        reservation: "res_0000000000012".into(),
        payment: format!("pay_{key}"),
        statement_suffix: None,
    }
}

fn refund_of(key: &str, charge: &Charge, amount_minor: i64) -> RefundRequest {
    RefundRequest {
        payment_intent: charge.payment_intent.clone(),
        amount_minor,
        currency: charge.currency,
        idempotency_key: key.into(),
        reservation: "res_0000000000012".into(),
        payment: format!("pay_{key}"),
    }
}

fn refused(code: &str) -> Result<Charge, PaymentError> {
    Err(PaymentError::Refused { status: 400, code: code.into() })
}

#[tokio::test]
async fn reserved_money_is_taken_once_in_part_and_never_beyond_its_bounds() {
    let scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_visa", RESERVED).await.unwrap();
    assert_eq!((charge.status, charge.received_minor), (ChargeStatus::RequiresCapture, 0));
    assert!(scene.twin.books().charges.is_empty(), "reserved is not taken");
    assert!(scene.client.refund(&refund_of("r0", &charge, 1)).await.is_err());

    assert_eq!(scene.capture("too much", &charge, 1251).await, refused("amount_too_large"));
    let taken = scene.capture("c", &charge, 900).await.unwrap();
    assert_eq!((taken.status, taken.amount_minor, taken.received_minor), (ChargeStatus::Succeeded, 1250, 900));
    assert_eq!(scene.capture("c", &charge, 900).await, Ok(taken.clone()), "the same key repeats its answer");
    assert_eq!(scene.capture("second", &charge, 350).await, refused("payment_intent_unexpected_state"));
    assert!(scene.client.refund(&refund_of("r1", &taken, 901)).await.is_err(), "the released part is not there");
    scene.client.refund(&refund_of("r2", &taken, 900)).await.unwrap();
    assert_eq!((scene.twin.books().totals["eur"].charged, scene.twin.books().totals["eur"].net), (900, 0));
}

#[tokio::test]
async fn released_money_cannot_be_taken_and_taken_money_cannot_be_released() {
    let scene = Scene::new(None).await;
    let released = scene.charge("a", "pm_card_visa", RESERVED).await.unwrap();
    let canceled = scene.client.cancel_payment_intent(&released.payment_intent, "x").await.unwrap();
    assert_eq!((canceled.status, canceled.received_minor), (ChargeStatus::Canceled, 0));
    assert_eq!(scene.capture("c", &released, 1250).await, refused("payment_intent_unexpected_state"));
    assert!(scene.twin.books().charges.is_empty());

    let taken = scene.charge("b", "pm_card_visa", ChargeTerms::default()).await.unwrap();
    let canceled = scene.client.cancel_payment_intent(&taken.payment_intent, "y").await;
    assert_eq!(canceled, refused("payment_intent_unexpected_state"));
    let absent = scene.client.cancel_payment_intent(&ProviderId::new("pi_absent").unwrap(), "z").await;
    assert_eq!(absent, Err(PaymentError::Refused { status: 404, code: "resource_missing".into() }));
}

#[tokio::test]
async fn a_capture_or_release_whose_answer_was_lost_happened_once() {
    let scene = Scene::new(None).await;
    let lost = |on| Fault { on: Some(on), ..Fault::new(FaultKind::ExecuteThenDropReply) };
    let unknown = Err(PaymentError::Unknown(Uncertainty::ConnectionLost));
    let first = scene.charge("a", "pm_card_visa", RESERVED).await.unwrap();
    scene.twin.inject(lost(Target::Capture)).unwrap();
    assert_eq!(scene.capture("c", &first, 700).await, unknown);
    assert_eq!(scene.capture("c", &first, 700).await.unwrap().received_minor, 700);

    let second = scene.charge("b", "pm_card_visa", RESERVED).await.unwrap();
    scene.twin.inject(lost(Target::Cancel)).unwrap();
    assert_eq!(scene.client.cancel_payment_intent(&second.payment_intent, "x").await, unknown);
    let canceled = scene.client.cancel_payment_intent(&second.payment_intent, "x").await.unwrap();
    assert_eq!(canceled.status, ChargeStatus::Canceled);
    assert_eq!((scene.twin.books().totals["eur"].charges, scene.twin.books().totals["eur"].charged), (1, 700));
}

#[tokio::test]
async fn a_key_is_bound_to_one_charge_and_one_kind_of_call() {
    let scene = Scene::new(None).await;
    let reused = Err(PaymentError::Unknown(Uncertainty::KeyReused));
    let first = scene.charge("k", "pm_card_visa", RESERVED).await.unwrap();
    assert_eq!(scene.charge("k", "pm_card_visa", ChargeTerms::default()).await, reused);
    assert_eq!(scene.capture("k", &first, 1250).await, reused);
    let second = scene.charge("l", "pm_card_visa", RESERVED).await.unwrap();
    scene.capture("c", &first, 1250).await.unwrap();
    assert_eq!(scene.capture("c", &second, 1250).await, reused);
    assert_eq!(scene.client.cancel_payment_intent(&first.payment_intent, "c").await, reused);
}

#[tokio::test]
async fn nobody_is_asked_who_is_not_there() {
    let scene = Scene::new(None).await;
    let declined =
        |code: &str, reason: &str| Err(PaymentError::Declined { code: code.into(), decline_code: Some(reason.into()) });
    let asks = scene.charge("a", "pm_card_authenticationRequired", AWAY).await;
    assert_eq!(asks, declined("authentication_required", "authentication_required"));
    let poor = scene.charge("b", "pm_card_visa_chargeDeclinedInsufficientFunds", AWAY).await;
    assert_eq!(poor, declined("card_declined", "insufficient_funds"));
    assert_eq!(scene.charge("c", "pm_card_visa", AWAY).await.unwrap().status, ChargeStatus::Succeeded);
}

#[tokio::test]
async fn authentication_decides_what_becomes_of_a_charge() {
    let scene = Scene::new(None).await;
    for (key, terms, outcome, expected) in [
        ("a", ChargeTerms::default(), "success", ChargeStatus::Succeeded),
        ("b", RESERVED, "success", ChargeStatus::RequiresCapture),
        ("c", RESERVED, "failure", ChargeStatus::RequiresPaymentMethod),
    ] {
        let charge = scene.charge(key, "pm_card_threeDSecure2Required", terms).await.unwrap();
        assert_eq!(charge.status, ChargeStatus::RequiresAction);
        assert!(scene.authenticate(&charge, outcome).await.starts_with("HTTP/1.1 200"));
        assert_eq!(scene.status(&charge).await, expected, "{key}");
        assert!(scene.authenticate(&charge, outcome).await.starts_with("HTTP/1.1 400"), "it is asked once");
    }
    assert_eq!(scene.twin.books().totals["eur"].charges, 1);
}

#[tokio::test]
async fn a_charge_and_its_refunds_are_found_by_the_payment_they_were_made_for() {
    let scene = Scene::new(None).await;
    scene.twin.inject(Fault::new(FaultKind::ExecuteThen500)).unwrap();
    assert!(scene.charge("k", "pm_card_visa", ChargeTerms::default()).await.is_err());
    let found = scene.client.find_payment_intents("pay_k").await.unwrap();
    let [charge] = &found[..] else { panic!("one charge: {found:?}") };
    assert_eq!((charge.status, charge.received_minor), (ChargeStatus::Succeeded, 1250));
    assert_eq!(scene.client.find_payment_intents("pay_other").await, Ok(Vec::new()));
    for payment in ["", "pay' OR status:'succeeded", "pay\\"] {
        let answer = scene.client.find_payment_intents(payment).await;
        assert!(matches!(answer, Err(PaymentError::Refused { status: 400, .. })), "{answer:?}");
    }

    let first = scene.client.refund(&refund_of("r1", charge, 200)).await.unwrap();
    scene.client.refund(&refund_of("r2", charge, 300)).await.unwrap();
    assert_eq!(scene.client.find_refunds(&charge.payment_intent, "pay_r1").await, Ok(vec![first.clone()]));
    assert_eq!(scene.client.retrieve_refund(&first.id).await, Ok(first));
    assert_eq!(scene.client.find_refunds(&charge.payment_intent, "pay_r3").await, Ok(Vec::new()));
}

#[tokio::test]
async fn reserved_money_is_released_after_seven_days_and_not_before() {
    let scene = Scene::new(None).await;
    let charge = scene.charge("k", "pm_card_visa", RESERVED).await.unwrap();
    let week_s = 7 * 24 * 3_600;
    // A minute for a slow machine.
    assert!(scene.turn(&format!("clock/{}", week_s - 60)).await.starts_with("HTTP/1.1 200"));
    assert_eq!(scene.status(&charge).await, ChargeStatus::RequiresCapture);
    let renewed = scene.charge("l", "pm_card_visa", RESERVED).await.unwrap();
    assert!(scene.turn("clock/60").await.starts_with("HTTP/1.1 200"));
    assert_eq!(scene.status(&charge).await, ChargeStatus::Canceled);
    assert_eq!(scene.capture("c", &charge, 1250).await, refused("payment_intent_unexpected_state"));
    assert_eq!(scene.capture("d", &renewed, 1250).await.unwrap().received_minor, 1250);
    assert_eq!(scene.twin.books().totals["eur"].charged, 1250);
}

#[tokio::test]
async fn the_balance_tells_every_movement_once_with_its_fee_page_by_page() {
    let scene = Scene::new(None).await;
    let mut expected_minor = 0;
    for number in 0..60 {
        let charge = scene.charge(&format!("c{number}"), "pm_card_visa", ChargeTerms::default()).await.unwrap();
        scene.client.refund(&refund_of(&format!("r{number}"), &charge, 300)).await.unwrap();
        // 1.5 % of 12.50 is 0.19, and 0.25.
        expected_minor += 1250 - 44 - 300;
    }
    let reserved = scene.charge("reserved", "pm_card_visa", RESERVED).await.unwrap();
    assert!(scene.charge("declined", "pm_card_visa_chargeDeclined", ChargeTerms::default()).await.is_err());
    let mut query = BalanceQuery { from_s: 0, before_s: 1 << 40, after: None };
    let newest = scene.client.list_balance_transactions(&query).await.unwrap();
    query.after = newest.transactions.last().map(|last| last.id.clone());
    let oldest = scene.client.list_balance_transactions(&query).await.unwrap();
    assert_eq!((newest.transactions.len(), newest.has_more), (100, true));
    assert_eq!((oldest.transactions.len(), oldest.has_more), (20, false));
    let all = [newest.transactions, oldest.transactions].concat();
    assert_eq!(all.iter().map(|transaction| transaction.net_minor).sum::<i64>(), expected_minor);
    assert_eq!((all[0].kind, all[0].amount_minor, all[0].fee_minor), (BalanceKind::Refund, -300, 0));
    assert_eq!((all[119].kind, all[119].amount_minor, all[119].fee_minor), (BalanceKind::Charge, 1250, 44));
    assert_eq!((all[0].payment.as_deref(), all[119].payment.as_deref()), (Some("pay_r59"), Some("pay_c0")));
    assert_eq!(all[0].payment_intent, all[1].payment_intent);

    scene.capture("capture", &reserved, 900).await.unwrap();
    let query = BalanceQuery { from_s: 0, before_s: 1 << 40, after: None };
    let newest = scene.client.list_balance_transactions(&query).await.unwrap();
    assert_eq!((newest.transactions[0].amount_minor, newest.transactions[0].fee_minor), (900, 39));
    let past = BalanceQuery { before_s: 1, ..query };
    assert!(scene.client.list_balance_transactions(&past).await.unwrap().transactions.is_empty());
}

#[test]
fn reserved_taken_and_released_money_survives_a_restart() {
    let journal = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("states-{}.jsonl", std::process::id()));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [taken, reserved, released] = runtime().block_on(async {
        let scene = Scene::new(Some(journal.clone())).await;
        let mut charges = Vec::new();
        for key in ["a", "b", "c"] {
            charges.push(scene.charge(key, "pm_card_visa", RESERVED).await.unwrap());
        }
        scene.capture("capture", &charges[0], 900).await.unwrap();
        scene.client.refund(&refund_of("refund", &charges[0], 400)).await.unwrap();
        scene.client.cancel_payment_intent(&charges[2].payment_intent, "cancel").await.unwrap();
        <[Charge; 3]>::try_from(charges).unwrap()
    });
    runtime().block_on(async {
        let scene = Scene::new(Some(journal.clone())).await;
        assert_eq!(scene.capture("capture", &taken, 900).await.unwrap().received_minor, 900);
        assert!(scene.client.refund(&refund_of("too much", &taken, 501)).await.is_err());
        assert_eq!(scene.capture("later", &reserved, 1250).await.unwrap().received_minor, 1250);
        assert_eq!(scene.status(&released).await, ChargeStatus::Canceled);
        assert_eq!(scene.twin.books().totals["eur"].net, 900 - 400 + 1250);
    });
    std::fs::remove_file(journal).unwrap();
}
