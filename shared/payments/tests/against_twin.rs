//! The client against the twin over loopback HTTP: what the driver pays is what the twin's books say, whatever happens to
//! the answers on the way.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parkade_domain::money::Currency;
use parkade_payments::{
    Charge, ChargeRequest, ChargeStatus, Config, PaymentError, ProviderId, Refund, RefundRequest, RefundStatus,
    SecretKey, StripeClient, Uncertainty,
};
use parkade_twin::{Fault, FaultKind, Target, Totals, Twin};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(20);

async fn serve(twin: &Twin) -> Config {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base_url = format!("http://{}/stripe", listener.local_addr().unwrap());
    // Under a path, as the local server mounts it.
    let app = axum::Router::new().nest("/stripe", twin.router());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Config::new(base_url, SecretKey::new("sk_test_twin"))
}

async fn start() -> (Twin, StripeClient) {
    let twin = Twin::open(None).unwrap();
    let client = StripeClient::new(&serve(&twin).await).unwrap();
    (twin, client)
}

fn eur() -> Currency {
    Currency::from_code("EUR").unwrap()
}

fn charge_of(key: &str, amount_minor: i64, payment_method: &str) -> ChargeRequest {
    ChargeRequest {
        amount_minor,
        currency: eur(),
        payment_method: payment_method.into(),
        customer: None,
        idempotency_key: key.into(),
        reservation: "res_0000000000012".into(),
        payment: format!("pay_of_{key}"),
        statement_suffix: Some("Lot Nord".into()),
    }
}

fn refund_of(key: &str, charge: &Charge, amount_minor: i64) -> RefundRequest {
    RefundRequest {
        payment_intent: charge.payment_intent.clone(),
        amount_minor,
        currency: charge.currency,
        idempotency_key: key.into(),
        reservation: "res_0000000000012".into(),
        payment: format!("pay_of_{key}"),
    }
}

fn unknown<T>(uncertainty: Uncertainty) -> Result<T, PaymentError> {
    Err(PaymentError::Unknown(uncertainty))
}

/// Asks again with the same key until the outcome is known, as the queue consumer does.
async fn settle(client: &StripeClient, request: &ChargeRequest) -> Result<Charge, PaymentError> {
    let started = Instant::now();
    loop {
        match client.create_payment_intent(request).await {
            Err(PaymentError::Unknown(uncertainty)) => assert!(started.elapsed() < DEADLINE, "still {uncertainty}"),
            definite => return definite,
        }
    }
}

async fn settle_refund(client: &StripeClient, request: &RefundRequest) -> Result<Refund, PaymentError> {
    let started = Instant::now();
    loop {
        match client.refund(request).await {
            Err(PaymentError::Unknown(uncertainty)) => assert!(started.elapsed() < DEADLINE, "still {uncertainty}"),
            definite => return definite,
        }
    }
}

#[tokio::test]
async fn an_approved_charge_is_in_the_books_once_as_it_was_asked_for() {
    let (twin, client) = start().await;
    let charge = client.create_payment_intent(&charge_of("k", 1250, "pm_card_visa")).await.unwrap();
    assert_eq!((charge.status, charge.amount_minor, charge.received_minor), (ChargeStatus::Succeeded, 1250, 1250));
    assert_eq!(client.retrieve_payment_intent(&charge.payment_intent).await, Ok(charge.clone()));

    let books = twin.books();
    let [booked] = &books.charges[..] else { panic!("one charge: {books:?}") };
    assert_eq!((booked.amount, booked.currency.as_str(), &booked.decline_code), (1250, "eur", &None));
    assert_eq!(booked.payment_intent, charge.payment_intent.as_str());
    assert_eq!(booked.metadata["reservation"], "res_0000000000012");
    assert_eq!(booked.metadata["payment"], "pay_of_k");
}

#[tokio::test]
async fn a_decline_is_definite_for_its_key_and_a_new_attempt_may_succeed() {
    let (twin, client) = start().await;
    for (card, code, decline_code) in [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ] {
        let request = charge_of(card, 1250, card);
        let declined = Err(PaymentError::Declined { code: code.into(), decline_code: Some(decline_code.into()) });
        assert_eq!(client.create_payment_intent(&request).await, declined);
        assert_eq!(client.create_payment_intent(&request).await, declined, "the same key replays it");
    }
    assert_eq!(twin.books().totals["eur"], Totals { declines: 6, ..Totals::default() });

    client.create_payment_intent(&charge_of("second attempt", 1250, "pm_card_visa")).await.unwrap();
    assert_eq!(twin.books().totals["eur"].charged, 1250);
}

#[tokio::test]
async fn a_card_that_wants_authentication_is_neither_a_success_nor_an_error() {
    let (twin, client) = start().await;
    let charge = client.create_payment_intent(&charge_of("k", 1250, "pm_card_authenticationRequired")).await.unwrap();
    assert_eq!((charge.status, charge.received_minor), (ChargeStatus::RequiresAction, 0));
    let refused = client.refund(&refund_of("r", &charge, 100)).await;
    assert!(matches!(refused, Err(PaymentError::Refused { status: 400, .. })), "{refused:?}");
    assert!(twin.books().charges.is_empty());
}

#[tokio::test]
async fn a_charge_that_times_out_is_unknown_and_the_same_key_charges_exactly_once() {
    let twin = Twin::open(None).unwrap();
    let patient = serve(&twin).await;
    let client = StripeClient::new(&Config { total_timeout: Duration::from_millis(100), ..patient.clone() }).unwrap();
    twin.inject(Fault { ms: 1_000, ..Fault::new(FaultKind::Slow) }).unwrap();
    let request = charge_of("k", 1250, "pm_card_visa");
    assert_eq!(client.create_payment_intent(&request).await, unknown(Uncertainty::TimedOut));
    assert!(twin.books().charges.is_empty(), "the first request is still running");

    let charge = settle(&StripeClient::new(&patient).unwrap(), &request).await.unwrap();
    assert_eq!(charge.status, ChargeStatus::Succeeded);
    assert_eq!((twin.books().totals["eur"].charges, twin.books().totals["eur"].charged), (1, 1250));
}

#[tokio::test]
async fn a_call_that_never_arrived_and_one_whose_answer_was_lost_look_alike_and_end_alike() {
    for (fault, done_meanwhile) in [(FaultKind::DropBefore, 0), (FaultKind::ExecuteThenDropReply, 1)] {
        let (twin, client) = start().await;
        twin.inject(Fault::new(fault)).unwrap();
        let request = charge_of("k", 1250, "pm_card_visa");
        assert_eq!(client.create_payment_intent(&request).await, unknown(Uncertainty::ConnectionLost), "{fault:?}");
        assert_eq!(twin.books().charges.len(), done_meanwhile, "{fault:?}");
        let charge = client.create_payment_intent(&request).await.unwrap();
        assert_eq!(twin.books().charges.len(), 1, "{fault:?}");

        twin.inject(Fault { on: Some(Target::Refund), ..Fault::new(fault) }).unwrap();
        let request = refund_of("r", &charge, 450);
        assert_eq!(client.refund(&request).await, unknown(Uncertainty::ConnectionLost), "{fault:?}");
        assert_eq!(client.refund(&request).await.unwrap().status, RefundStatus::Succeeded);
        assert_eq!((twin.books().refunds.len(), twin.books().totals["eur"].net), (1, 800), "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_error_after_the_charge_is_replayed_for_ever_and_says_so() {
    let (twin, client) = start().await;
    twin.inject(Fault::new(FaultKind::ExecuteThen500)).unwrap();
    let request = charge_of("k", 1250, "pm_card_visa");
    for replayed in [false, true, true] {
        let uncertainty = Uncertainty::ServerError { status: 500, replayed };
        assert_eq!(client.create_payment_intent(&request).await, unknown(uncertainty));
    }
    let [booked] = &twin.books().charges[..] else { panic!("one charge") };
    let id = ProviderId::new(booked.payment_intent.clone()).unwrap();
    assert_eq!(client.retrieve_payment_intent(&id).await.unwrap().status, ChargeStatus::Succeeded);
}

#[tokio::test]
async fn a_server_error_instead_of_the_charge_is_replayed_too_and_only_another_key_charges() {
    let (twin, client) = start().await;
    twin.inject(Fault::new(FaultKind::SkipThen500)).unwrap();
    let request = charge_of("k", 1250, "pm_card_visa");
    for replayed in [false, true] {
        let uncertainty = Uncertainty::ServerError { status: 500, replayed };
        assert_eq!(client.create_payment_intent(&request).await, unknown(uncertainty));
    }
    assert!(twin.books().charges.is_empty());
    client.create_payment_intent(&charge_of("l", 1250, "pm_card_visa")).await.unwrap();
    assert_eq!(twin.books().charges.len(), 1);
}

#[tokio::test]
async fn a_throttled_charge_did_nothing_and_may_be_asked_again() {
    let (twin, client) = start().await;
    twin.inject(Fault { count: 2, ..Fault::new(FaultKind::TooManyRequests) }).unwrap();
    let request = charge_of("k", 1250, "pm_card_visa");
    for _ in 0..2 {
        assert_eq!(client.create_payment_intent(&request).await, unknown(Uncertainty::Throttled));
    }
    assert!(twin.books().charges.is_empty());
    client.create_payment_intent(&request).await.unwrap();
    assert_eq!(twin.books().charges.len(), 1);
}

#[tokio::test]
async fn a_key_used_for_something_else_is_unknown_because_that_request_may_have_charged() {
    let (twin, client) = start().await;
    let charge = client.create_payment_intent(&charge_of("k", 1250, "pm_card_visa")).await.unwrap();
    let reused = Uncertainty::KeyReused;
    assert_eq!(client.create_payment_intent(&charge_of("k", 1300, "pm_card_visa")).await, unknown(reused));
    assert_eq!(client.create_payment_intent(&charge_of("k", 1250, "pm_card_amex")).await, unknown(reused));
    assert_eq!(client.refund(&refund_of("k", &charge, 1250)).await, unknown(reused));
    assert_eq!(twin.books().totals["eur"], Totals { charges: 1, charged: 1250, net: 1250, ..Totals::default() });
}

#[tokio::test]
async fn twenty_senders_of_one_key_make_one_charge() {
    let (twin, client) = start().await;
    let mut senders = JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        senders
            .spawn(async move { settle(&client, &charge_of("k", 1250, "pm_card_visa")).await.unwrap().payment_intent });
    }
    let ids = senders.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(twin.books().charges.len(), 1);
}

#[tokio::test]
async fn refunds_never_exceed_the_charge_one_by_one_or_racing() {
    let (twin, client) = start().await;
    let charge = client.create_payment_intent(&charge_of("k", 1000, "pm_card_visa")).await.unwrap();
    let too_much = client.refund(&refund_of("r0", &charge, 1001)).await;
    assert!(matches!(too_much, Err(PaymentError::Refused { status: 400, .. })), "{too_much:?}");

    let mut racers = JoinSet::new();
    for racer in 0..5 {
        let (client, request) = (client.clone(), refund_of(&format!("race {racer}"), &charge, 400));
        racers.spawn(async move { client.refund(&request).await });
    }
    let won = racers.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!((won, twin.books().totals["eur"].net), (2, 200));

    client.refund(&refund_of("rest", &charge, 200)).await.unwrap();
    let nothing_left = PaymentError::Refused { status: 400, code: "charge_already_refunded".into() };
    assert_eq!(client.refund(&refund_of("more", &charge, 1)).await, Err(nothing_left));
    assert_eq!(twin.books().charges[0].refunded, 1000);
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_and_books_nothing() {
    let (twin, client) = start().await;
    let code = async |request: ChargeRequest| match client.create_payment_intent(&request).await {
        Err(PaymentError::Refused { status: 400, code }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(charge_of("a", 49, "pm_card_visa")).await, "amount_too_small");
    assert_eq!(code(charge_of("b", 100_000_000, "pm_card_visa")).await, "amount_too_large");
    assert_eq!(code(charge_of("c", 0, "pm_card_visa")).await, "amount_not_representable");
    assert_eq!(code(charge_of("d", 1250, "4242424242424242")).await, "resource_missing");
    assert_eq!(code(charge_of("line\nbreak", 1250, "pm_card_visa")).await, "idempotency_key_invalid");
    let absent = client.retrieve_payment_intent(&ProviderId::new("pi_absent").unwrap()).await;
    assert_eq!(absent, Err(PaymentError::Refused { status: 404, code: "resource_missing".into() }));
    assert_eq!(twin.books(), parkade_twin::Books::default());
}

#[tokio::test]
async fn a_secret_key_that_is_not_accepted_fails_no_payment_for_good() {
    let twin = Twin::open(None).unwrap();
    let config = Config { secret_key: SecretKey::new("sk_test_"), ..serve(&twin).await };
    let client = StripeClient::new(&config).unwrap();
    let answer = client.create_payment_intent(&charge_of("k", 1250, "pm_card_visa")).await;
    assert_eq!(answer, unknown(Uncertainty::Unauthorized));
    assert!(twin.books().charges.is_empty());
}

/// A small generator with a printed seed; the order of faults is what varies.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test]
async fn under_a_storm_of_faults_every_logical_charge_and_refund_happens_exactly_once() {
    let seed = std::env::var("PARKADE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("PARKADE_SEED={seed}");
    let mut dice = Dice(seed);
    let (twin, client) = start().await;
    let faults =
        [FaultKind::DropBefore, FaultKind::ExecuteThenDropReply, FaultKind::TooManyRequests, FaultKind::Approve];
    let cards = ["pm_card_visa", "pm_card_visa", "pm_card_mastercard", "pm_card_visa_chargeDeclined"];
    let mut expected = Totals::default();
    for number in 0..200 {
        for _ in 0..dice.roll(4) {
            let fault = faults[usize::try_from(dice.roll(4)).unwrap()];
            twin.inject(Fault::new(fault)).unwrap();
        }
        let card = cards[usize::try_from(dice.roll(4)).unwrap()];
        let amount_minor = 50 + i64::try_from(dice.roll(5_000)).unwrap();
        match settle(&client, &charge_of(&format!("c{number}"), amount_minor, card)).await {
            Ok(charge) => {
                expected.charges += 1;
                expected.charged += amount_minor;
                let part = 1 + i64::try_from(dice.roll(u64::try_from(amount_minor).unwrap())).unwrap();
                settle_refund(&client, &refund_of(&format!("r{number}"), &charge, part)).await.unwrap();
                expected.refunds += 1;
                expected.refunded += part;
            }
            Err(PaymentError::Declined { .. }) => expected.declines += 1,
            Err(other) => panic!("charge {number}: {other}"),
        }
    }
    expected.net = expected.charged - expected.refunded;
    let books = twin.books();
    assert_eq!(books.totals["eur"], expected);
    for charge in &books.charges {
        let of_charge = books.refunds.iter().filter(|refund| refund.payment_intent == charge.payment_intent);
        assert_eq!(of_charge.map(|refund| refund.amount).sum::<i64>(), charge.refunded);
        assert!((0..=charge.amount).contains(&charge.refunded), "{charge:?}");
    }
}

/// One life of the twin: when the runtime is dropped, so is everything that held the journal.
fn life<T>(journal: &Path, story: impl AsyncFnOnce(Twin, StripeClient) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let twin = Twin::open(Some(journal.to_path_buf())).unwrap();
        let client = StripeClient::new(&serve(&twin).await).unwrap();
        story(twin, client).await
    })
}

#[test]
fn what_the_twin_knew_before_a_restart_it_knows_after() {
    let journal = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("twin-{}.jsonl", std::process::id()));
    let (charge, books) = life(&journal, async |twin, client| {
        let charge = client.create_payment_intent(&charge_of("k", 1250, "pm_card_visa")).await.unwrap();
        let declined = client.create_payment_intent(&charge_of("d", 1250, "pm_card_visa_chargeDeclined")).await;
        assert!(declined.is_err());
        twin.inject(Fault::new(FaultKind::ExecuteThenDropReply)).unwrap();
        let lost = client.refund(&refund_of("r", &charge, 450)).await;
        assert_eq!(lost, unknown(Uncertainty::ConnectionLost));
        (charge, twin.books())
    });
    let after = life(&journal, async |twin, client| {
        assert_eq!(twin.books(), books);
        let again = client.create_payment_intent(&charge_of("k", 1250, "pm_card_visa")).await;
        assert_eq!(again.as_ref(), Ok(&charge));
        let declined = client.create_payment_intent(&charge_of("d", 1250, "pm_card_visa_chargeDeclined")).await;
        assert!(matches!(declined, Err(PaymentError::Declined { .. })));
        assert_eq!(client.refund(&refund_of("r", &charge, 450)).await.unwrap().amount_minor, 450);
        let too_much = client.refund(&refund_of("r2", &charge, 801)).await;
        assert!(matches!(too_much, Err(PaymentError::Refused { .. })), "{too_much:?}");
        let next = client.create_payment_intent(&charge_of("k2", 2000, "pm_card_visa")).await.unwrap();
        assert_ne!(next.payment_intent, charge.payment_intent);
        twin.books()
    });
    let totals = Totals { charges: 2, declines: 1, refunds: 1, charged: 3250, refunded: 450, net: 2800 };
    assert_eq!(after.totals["eur"], totals);
    std::fs::remove_file(journal).unwrap();
}
