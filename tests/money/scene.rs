//! The stage: the store's engine, the twin over HTTP, and the webhook function that the twin's events go to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::post;
use chrono::DateTime;
use parkade_billing::Cashier;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::ReservationId;
use parkade_domain::payment::{Payment, PaymentStatus};
use parkade_domain::policy::LotPolicy;
use parkade_payments::{Config, SecretKey, StripeClient, WebhookSecrets};
use parkade_store::{Access, Store};
use parkade_testkit::Faults;
use parkade_tests::World;
use parkade_tests::world::Clock;
use parkade_twin::{Books, Twin};
use tokio::net::{TcpListener, TcpStream};

/// Spots of the lot.
pub(crate) const SPOTS: u64 = 40;
const SECRET: &str = "whsec_money";
/// How long the last webhooks may take to come.
const QUIET_WITHIN: Duration = Duration::from_secs(20);

/// Shared by all drivers.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) store: Store,
    pub(crate) twin: Twin,
    pub(crate) stripe: StripeClient,
    address: SocketAddr,
    hooks: Arc<Hooks>,
}

/// The webhook's side.
struct Hooks {
    deps: payment_webhook::Deps,
    clock: Clock,
    received: AtomicU64,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        // Longer than the drivers need among each other.
        let policy = LotPolicy { hold_ttl_s: 3_600, ..LotPolicy::default() };
        let world = World::new(Shape::Hourly, u16::try_from(SPOTS).unwrap(), policy).await;
        let clock = world.clock.clone();
        let twin = Twin::open_at(None, move || u64::try_from(clock.now_s()).unwrap()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = twin.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = Config::new(format!("http://{address}"), SecretKey::new("sk_test_money"));
        let stripe = StripeClient::new(&Config { total_timeout: Duration::from_millis(500), ..config }).unwrap();
        let store = world.store();
        let cashier = Cashier::new(store.clone(), stripe.clone(), "money");
        let deps = payment_webhook::Deps { cashier, secrets: WebhookSecrets::new(SECRET, None).unwrap() };
        let hooks = Arc::new(Hooks { deps, clock: world.clock.clone(), received: AtomicU64::new(0) });
        twin.send_events_to(&format!("http://{}/", serve_hooks(hooks.clone()).await), SECRET).unwrap();
        Self { world, store, twin, stripe, address, hooks }
    }

    /// A process of its own.
    pub(crate) fn process(&self, faults: &Faults) -> (Store, Cashier) {
        let store = self.world.process(faults);
        (store.clone(), Cashier::new(store, self.stripe.clone(), "money"))
    }

    /// The driver answers the card's issuer, if it asks.
    pub(crate) async fn answer_the_issuer(&self, id: ReservationId, success: bool) {
        let Ok(dossier) = self.store.dossier(id, &Access::System).await else { return };
        let asked = dossier.payments.iter().find(|payment| payment.client_secret.is_some());
        let Some(intent) = asked.and_then(|payment| payment.provider_reference.clone()) else { return };
        let outcome = if success { "success" } else { "failure" };
        post_to(self.address, &format!("/_twin/authenticate/{intent}/{outcome}")).await;
    }

    /// How many webhooks came.
    pub(crate) fn webhooks(&self) -> u64 {
        self.hooks.received.load(Ordering::SeqCst)
    }

    /// Waits until every event that is sent at all has been taken.
    pub(crate) async fn webhooks_are_quiet(&self) -> bool {
        tokio::time::timeout(QUIET_WITHIN, async {
            while self.twin.undelivered() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .is_ok()
    }
}

/// The address at which the webhook function answers.
async fn serve_hooks(hooks: Arc<Hooks>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/", post(receive)).with_state(hooks);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn receive(State(hooks): State<Arc<Hooks>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    hooks.received.fetch_add(1, Ordering::SeqCst);
    let now = DateTime::from_timestamp(hooks.clock.now_s(), 0).unwrap();
    let mut request = Request::new(body.to_vec());
    (*request.method_mut(), *request.headers_mut()) = (Method::POST, headers);
    request.extensions_mut().insert(parkade_api::RequestId("hook".to_owned()));
    Box::pin(payment_webhook::handle(&hooks.deps, now, request)).await.status()
}

async fn post_to(address: SocketAddr, path: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("POST {path} HTTP/1.1\r\nhost: twin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_string(&mut String::new()).await.unwrap();
}

/// What the provider took for each payment of ours, or gave back.
pub(crate) struct Moved(BTreeMap<String, Vec<i64>>);

impl Moved {
    pub(crate) fn of(books: &Books) -> Self {
        let mut moved: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let charges = books.charges.iter().filter(|charge| charge.decline_code.is_none());
        let refunds = books.refunds.iter().filter(|refund| !refund.failed);
        let named = charges.map(|charge| (&charge.metadata, charge.amount));
        for (metadata, amount) in named.chain(refunds.map(|refund| (&refund.metadata, refund.amount))) {
            moved.entry(metadata["payment"].clone()).or_default().push(amount);
        }
        Self(moved)
    }

    /// Where the provider's books say something else of a payment than the records.
    pub(crate) fn disagrees(&self, payment: &Payment) -> Option<String> {
        let moved = self.0.get(&payment.id.to_string()).cloned().unwrap_or_default();
        let succeeded = payment.status == PaymentStatus::Succeeded;
        let expected: Vec<i64> = succeeded.then_some(payment.amount_minor).into_iter().collect();
        (moved != expected).then(|| format!("the provider has {moved:?} for {payment:?}"))
    }
}
