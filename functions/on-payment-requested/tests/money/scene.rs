//! The stage: a lot on the real store engine, the payment twin over loopback HTTP, and the function.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use chrono::DateTime;
use on_payment_requested::handle;
use parkade_billing::Cashier;
use parkade_domain::decide::Dossier;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::Reason;
use parkade_payments::{Config, SecretKey, StripeClient};
use parkade_store::{Access, Cause, Order, Reserve, Store};
use parkade_testkit::Faults;
use parkade_tests::World;
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::world::order;
use parkade_twin::{Fault, FaultKind, Target, Totals, Twin};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const APPROVES: &str = "pm_card_visa";
/// What the hold of [`Scene::held`] costs: an hour.
pub(crate) const PRICE: i64 = 400;
/// When a hold has run out.
pub(crate) const LAPSED_S: i64 = 700;

/// A lot of two spots, the twin, and the function.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) store: Store,
    pub(crate) twin: Twin,
    address: SocketAddr,
    pub(crate) stripe: StripeClient,
    pub(crate) cashier: Cashier,
}

impl Scene {
    pub(crate) async fn new(spots: u16) -> Self {
        let world = World::new(Shape::Hourly, spots, LotPolicy::default()).await;
        let twin = Twin::open(None).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let base_url = format!("http://{address}");
        let router = twin.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = Config::new(base_url, SecretKey::new("sk_test_twin"));
        let stripe = StripeClient::new(&Config { total_timeout: Duration::from_secs(5), ..config }).unwrap();
        let store = world.store();
        let cashier = Cashier::new(store.clone(), stripe.clone(), "test");
        Self { address, stripe, cashier, world, store, twin }
    }

    /// The function in a process of its own, whose calls of the store suffer `faults`.
    pub(crate) fn process(&self, faults: &Faults) -> Cashier {
        Cashier::new(self.world.process(faults), self.stripe.clone(), "test")
    }

    /// A hold of the first hour by driver `n`.
    pub(crate) async fn held(&self, n: u64) -> ReservationId {
        let request = Reserve { new: booking(n, n, vec![window(60, 120)]), spot: None, promise: None, now_s: T0_S };
        self.store.reserve(&request).await.unwrap();
        id(n)
    }

    pub(crate) async fn paying(&self, n: u64, method: &str) -> PaymentId {
        let held = self.held(n).await;
        self.pay(held, method).await
    }

    pub(crate) async fn pay(&self, id: ReservationId, method: &str) -> PaymentId {
        let key = 1_000 + self.dossier(id).await.payments.len() as u64;
        self.store.pay(&order(id, key, 1, T0_S + 10), &Means::card(method)).await.unwrap().payment.id
    }

    pub(crate) async fn cancel(&self, id: ReservationId) {
        self.store.cancel(&order(id, 2_000, 1, T0_S + 20), Reason::DriverCancelled).await.unwrap();
    }

    pub(crate) async fn expire(&self, id: ReservationId) {
        let expires_at_s = self.dossier(id).await.reservation.hold_expires_at_s.unwrap();
        self.store.expire(&Order::system(id, Cause::HoldExpiry, expires_at_s, T0_S + LAPSED_S)).await.unwrap();
    }

    /// One delivery; whether it was done.
    pub(crate) async fn deliver(&self, payment: PaymentId) -> bool {
        deliver(&self.cashier, payment, 30).await
    }

    /// Delivers every open request, again and again, until none is left; the queue would do the same.
    pub(crate) async fn settle(&self, id: ReservationId, after_s: i64) {
        for _ in 0..10 {
            let open: Vec<Payment> = self.dossier(id).await.payments;
            let open: Vec<_> = open.iter().filter(|p| p.status == PaymentStatus::Requested).map(|p| p.id).collect();
            if open.is_empty() {
                return;
            }
            for payment in open {
                deliver(&self.cashier, payment, after_s).await;
            }
        }
        panic!("{:?} never comes to rest", self.dossier(id).await);
    }

    pub(crate) async fn dossier(&self, id: ReservationId) -> Dossier {
        self.store.dossier(id, &Access::System).await.unwrap()
    }

    pub(crate) async fn status(&self, payment: PaymentId) -> PaymentStatus {
        self.store.payment(payment, &Access::System).await.unwrap().0.status
    }

    /// What the payer, or time, does at the provider.
    pub(crate) async fn at_the_twin(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: twin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        answer
    }

    /// How many calls will still meet a fault.
    pub(crate) async fn faults_left(&self) -> u64 {
        let answer = self.at_the_twin("GET", "/_twin/faults").await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let pending: serde_json::Value = serde_json::from_str(body).unwrap();
        pending.as_array().unwrap().iter().map(|fault| fault["count"].as_u64().unwrap()).sum()
    }

    pub(crate) fn totals(&self) -> Totals {
        self.twin.books().totals.get("eur").copied().unwrap_or_default()
    }

    pub(crate) fn fault(&self, kind: FaultKind, on: Target, count: u32) {
        self.twin.inject(Fault { on: Some(on), count, ..Fault::new(kind) }).unwrap();
    }

    /// What the records say was taken and given back is what the twin has in its books.
    pub(crate) async fn agree(&self, id: ReservationId) {
        let d = self.dossier(id).await;
        let sum = |wanted: fn(&PaymentKind) -> bool| -> i64 {
            let done = d.payments.iter().filter(|p| p.status == PaymentStatus::Succeeded && wanted(&p.kind));
            done.map(|p| p.amount_minor).sum()
        };
        let charged = sum(|kind| matches!(kind, PaymentKind::Charge(_)));
        let refunded = sum(|kind| matches!(kind, PaymentKind::Refund { .. }));
        let totals = self.totals();
        assert_eq!((charged, refunded), (totals.charged, totals.refunded), "{d:?} {totals:?}");
        assert_eq!((charged, refunded), (d.reservation.paid_minor, d.reservation.refunded_minor), "{d:?}");
        assert!(d.reservation.due_minor() >= 0, "nothing is owed to the driver: {d:?}");
    }
}

pub(crate) fn message(payment: PaymentId, name: &str) -> SqsMessage {
    let detail =
        json!({"event_id": "e", "reservation_id": payment.reservation.to_string(), "payment_id": payment.to_string()});
    let body = json!({"source": "parkade", "detail-type": name, "detail": detail});
    let mut message = SqsMessage::default();
    (message.message_id, message.body) = (Some("m".to_owned()), Some(body.to_string()));
    message
}

pub(crate) async fn deliver(cashier: &Cashier, payment: PaymentId, after_s: i64) -> bool {
    let mut batch = SqsEvent::default();
    batch.records = vec![message(payment, "payment.requested.v1")];
    let now = DateTime::from_timestamp(T0_S + after_s, 0).unwrap();
    handle(cashier, now, batch).await.batch_item_failures.is_empty()
}
