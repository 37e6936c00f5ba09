//! The twin's webhooks over loopback HTTP, checked and read by this crate: late, twice, reordered, before the reply, or never.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parkade_domain::money::Currency;
use parkade_payments::{Charge, ChargeRequest, Config, Event, RefundRequest, SecretKey, StripeClient, WebhookSecrets};
use parkade_twin::{Fault, FaultKind, Twin};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const SECRET: &str = "whsec_twin";
const DEADLINE: Duration = Duration::from_secs(20);

struct Scene {
    twin: Twin,
    client: StripeClient,
    events: UnboundedReceiver<Event>,
    /// How many deliveries the receiver still answers with 503.
    refusals: Arc<AtomicU32>,
}

async fn listen(router: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

impl Scene {
    async fn new(journal: Option<PathBuf>, refusals: u32) -> Self {
        let refusals = Arc::new(AtomicU32::new(refusals));
        let (sender, events) = unbounded_channel();
        let secrets = WebhookSecrets::new(SECRET, None).unwrap();
        let left = refusals.clone();
        let receive = async move |headers: HeaderMap, body: Bytes| {
            if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let signature = headers.get("stripe-signature").unwrap().to_str().unwrap();
            sender.send(secrets.verify(&body, signature, i64::try_from(now_s).unwrap()).unwrap()).unwrap();
            StatusCode::OK
        };
        let receiver = listen(Router::new().route("/hook", post(receive))).await;
        let twin = Twin::open(journal).unwrap();
        twin.send_events_to(&format!("{receiver}/hook"), SECRET).unwrap();
        let base_url = listen(twin.router()).await;
        let client = StripeClient::new(&Config::new(base_url, SecretKey::new("sk_test_twin"))).unwrap();
        Self { twin, client, events, refusals }
    }

    async fn charge(&self, key: &str) -> Charge {
        let request = ChargeRequest {
            amount_minor: 1250,
            currency: Currency::from_code("EUR").unwrap(),
            payment_method: "pm_card_visa".into(),
            customer: None,
            idempotency_key: key.into(),
            reservation: "res_0000000000012".into(),
            payment: format!("pay_{key}"),
            statement_suffix: None,
        };
        self.client.create_payment_intent(&request).await.unwrap()
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(DEADLINE, self.events.recv()).await.unwrap().unwrap()
    }

    async fn kinds<const N: usize>(&mut self) -> [String; N] {
        let mut kinds = Vec::new();
        for _ in 0..N {
            kinds.push(self.next().await.kind);
        }
        kinds.try_into().unwrap()
    }
}

#[tokio::test]
async fn what_happens_is_told_signed_with_the_object_as_it_was() {
    let mut scene = Scene::new(None, 0).await;
    let charge = scene.charge("k").await;
    assert_eq!(scene.next().await.kind, "payment_intent.created");
    let event = scene.next().await;
    assert_eq!((event.kind.as_str(), event.object.charge()), ("payment_intent.succeeded", Ok(charge.clone())));
    assert_eq!(event.object.payment.as_deref(), Some("pay_k"));

    let request = RefundRequest {
        payment_intent: charge.payment_intent.clone(),
        amount_minor: 300,
        currency: charge.currency,
        idempotency_key: "r".into(),
        reservation: "res_0000000000012".into(),
        payment: "pay_r".into(),
    };
    let refund = scene.client.refund(&request).await.unwrap();
    let event = scene.next().await;
    assert_eq!((event.kind.as_str(), event.object.refund()), ("refund.created", Ok(refund)));
    assert_eq!(event.object.payment_intent, Some(charge.payment_intent));
    assert!(event.object.charge().is_err(), "a refund is no charge");
}

#[tokio::test]
async fn a_delivery_that_is_not_taken_comes_again() {
    let mut scene = Scene::new(None, 3).await;
    scene.charge("k").await;
    let mut kinds: [String; 2] = scene.kinds().await;
    kinds.sort();
    assert_eq!(kinds, ["payment_intent.created", "payment_intent.succeeded"]);
    assert_eq!(scene.refusals.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn each_delivery_fault_does_what_it_is_called() {
    let mut scene = Scene::new(None, 0).await;
    let [created, succeeded] = ["payment_intent.created", "payment_intent.succeeded"];
    scene.twin.inject(Fault::new(FaultKind::WebhookReordered)).unwrap();
    scene.charge("a").await;
    assert_eq!(scene.kinds().await, [succeeded, created]);

    scene.twin.inject(Fault::new(FaultKind::WebhookDuplicate)).unwrap();
    scene.charge("b").await;
    let twice = [scene.next().await, scene.next().await, scene.next().await, scene.next().await];
    assert_eq!((&twice[0], &twice[2]), (&twice[1], &twice[3]));
    assert_eq!((twice[0].kind.as_str(), twice[2].kind.as_str()), (created, succeeded));

    scene.twin.inject(Fault::new(FaultKind::WebhookBeforeReply)).unwrap();
    scene.charge("c").await;
    assert_eq!(scene.events.len(), 2, "told before the call was answered");
    assert_eq!(scene.kinds().await, [created, succeeded]);

    scene.twin.inject(Fault::new(FaultKind::WebhookNever)).unwrap();
    scene.charge("d").await;
    scene.charge("e").await;
    scene.next().await;
    assert_eq!(scene.next().await.object.payment.as_deref(), Some("pay_e"), "nothing of d");
}

#[tokio::test]
async fn a_replayed_key_tells_nothing_again() {
    let mut scene = Scene::new(None, 0).await;
    scene.charge("k").await;
    scene.charge("k").await;
    scene.charge("l").await;
    let of: Vec<_> = [scene.next().await, scene.next().await, scene.next().await, scene.next().await].into();
    let of: Vec<_> = of.iter().map(|event| event.object.payment.as_deref().unwrap()).collect();
    assert_eq!(of, ["pay_k", "pay_k", "pay_l", "pay_l"]);
}

#[test]
fn what_could_not_be_told_before_a_restart_is_told_after() {
    let journal = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("events-{}.jsonl", std::process::id()));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(async {
        let scene = Scene::new(Some(journal.clone()), u32::MAX).await;
        scene.charge("k").await;
    });
    runtime().block_on(async {
        let mut scene = Scene::new(Some(journal.clone()), 0).await;
        assert_eq!(scene.kinds().await, ["payment_intent.created", "payment_intent.succeeded"]);
        scene.charge("l").await;
        let next = scene.next().await;
        assert_eq!((next.object.payment.as_deref(), next.id.as_str()), (Some("pay_l"), "evt_twin00000003"));
    });
    std::fs::remove_file(journal).unwrap();
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_signed_for_or_reached_by_plain_http_is_refused() {
    let twin = Twin::open(None).unwrap();
    for (url, secret) in
        [("https://127.0.0.1/hook", SECRET), ("/hook", SECRET), ("", SECRET), ("http://127.0.0.1/", "")]
    {
        assert!(twin.send_events_to(url, secret).is_err(), "{url}");
    }
}
