//! The store's engine, the twin in the suite's time, the cashier between them, and reconciliation.

use std::net::{Ipv4Addr, SocketAddr};

use axum::http::StatusCode;
use chrono::DateTime;
use parkade_billing::Cashier;
use parkade_domain::geometry::Shape;
use parkade_domain::money::Currency;
use parkade_domain::payment::{Means, Payment};
use parkade_domain::policy::LotPolicy;
use parkade_ledger::{Account, Book, Exception, Month};
use parkade_payments::{BalanceQuery, ChargeRequest, ChargeTerms, Config, ProviderId, SecretKey, StripeClient};
use parkade_store::{Access, Reserve, Store};
use parkade_testkit::Faults;
use parkade_tests::World;
use parkade_tests::books::entries;
use parkade_tests::given::{booking, id, window};
use parkade_tests::world::order;
use parkade_twin::Twin;
use reconcile::{Deps, ReconcileReport, handle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const HOUR_S: i64 = 3_600;
pub(crate) const DAY_S: i64 = 24 * HOUR_S;
/// What a booking of the suite costs.
pub(crate) const PRICE: i64 = 400;

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) store: Store,
    pub(crate) twin: Twin,
    pub(crate) stripe: StripeClient,
    pub(crate) cashier: Cashier,
    address: SocketAddr,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let policy = LotPolicy { hold_ttl_s: 24 * 3_600, horizon_days: 60, ..LotPolicy::default() };
        let world = World::new(Shape::Hourly, 10, policy).await;
        let clock = world.clock.clone();
        let twin = Twin::open_at(None, move || u64::try_from(clock.now_s()).unwrap()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = twin.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = Config::new(format!("http://{address}"), SecretKey::new("sk_test_reconcile"));
        let stripe = StripeClient::new(&config).unwrap();
        let store = world.store();
        let cashier = Cashier::new(store.clone(), stripe.clone(), "test");
        Self { world, store, twin, stripe, cashier, address }
    }

    /// A booking of ten days later, an hour long, with its charge requested.
    pub(crate) async fn requested(&self, key: u64, method: &str) -> Payment {
        self.requested_by(key, &Means::card(method)).await
    }

    pub(crate) async fn requested_by(&self, key: u64, means: &Means) -> Payment {
        let now_s = self.world.clock.now_s();
        let from = 10 * 1_440 + 15;
        let new = booking(key, key, vec![window(from, from + 60)]);
        self.store.reserve(&Reserve { new, spot: None, promise: None, now_s }).await.unwrap();
        self.store.pay(&order(id(key), 10, 1, now_s), means).await.unwrap().payment
    }

    /// As [`Self::requested`], and the cashier has asked the provider.
    pub(crate) async fn paid(&self, key: u64, method: &str) -> Payment {
        let payment = self.requested(key, method).await;
        self.cashier.carry_out(payment.id, self.world.clock.now_s()).await.unwrap()
    }

    /// A charge at the provider that names a payment, whoever made it.
    pub(crate) async fn charged(&self, key: &str, payment: &str, amount_minor: i64, terms: ChargeTerms) -> ProviderId {
        let request = ChargeRequest {
            amount_minor,
            currency: Currency::from_code("EUR").unwrap(),
            payment_method: "pm_card_visa".to_owned(),
            customer: None,
            idempotency_key: key.to_owned(),
            reservation: "res_0000000000001".to_owned(),
            payment: payment.to_owned(),
            statement_suffix: None,
        };
        self.stripe.create_payment_intent_on(&request, terms).await.unwrap().payment_intent
    }

    /// What `seal-ledger` does.
    pub(crate) async fn seal(&self) {
        let made = entries(&self.store, &self.world.stream()).await;
        for fate in self.store.seal(&made, self.world.clock.now_s()).await {
            fate.unwrap();
        }
    }

    pub(crate) async fn reconcile(&self) -> ReconcileReport {
        self.reconcile_with(&Faults::none()).await.unwrap()
    }

    /// One run by a process of its own; why it ended early.
    pub(crate) async fn reconcile_with(&self, faults: &Faults) -> Result<ReconcileReport, &'static str> {
        self.reconcile_at(self.stripe.clone(), faults).await
    }

    pub(crate) async fn reconcile_at(
        &self,
        stripe: StripeClient,
        faults: &Faults,
    ) -> Result<ReconcileReport, &'static str> {
        let deps = Deps { store: self.world.process(faults), stripe, stage: "test".to_owned() };
        let now = DateTime::from_timestamp(self.world.clock.now_s(), 0).unwrap();
        handle(&deps, now).await.map_err(|failure| failure.code)
    }

    pub(crate) async fn payment(&self, payment: &Payment) -> Payment {
        self.store.payment(payment.id, &Access::System).await.unwrap().0
    }

    /// Takes away from a payment's record what it cannot be read without; returns it as it was.
    pub(crate) fn break_record(&self, payment: &Payment) -> String {
        let code = payment.id.reservation.code();
        let number = payment.id.number;
        let key = format!(r#"{{"pk": {{"S": "R#{code}"}}, "sk": {{"S": "P#{number:02}"}}}}"#);
        let get = format!(r#"{{"TableName": "Records", "Key": {key}}}"#);
        let item = self.world.engine.call("GetItem", &get).unwrap();
        let remove = format!(
            r##"{{"TableName": "Records", "Key": {key}, "UpdateExpression": "REMOVE #a", "ExpressionAttributeNames": {{"#a": "mf"}}}}"##
        );
        self.world.engine.call("UpdateItem", &remove).unwrap();
        item
    }

    /// Puts back what [`Self::break_record`] returned.
    pub(crate) fn mend_record(&self, item: &str) {
        let item: serde_json::Value = serde_json::from_str(item).unwrap();
        let put = serde_json::json!({"TableName": "Records", "Item": item["Item"]});
        self.world.engine.call("PutItem", &put.to_string()).unwrap();
    }

    pub(crate) async fn open(&self) -> Vec<Exception> {
        self.store.exceptions(true, None, 100).await.unwrap().items
    }

    /// What all books of the months around the present have on an account.
    pub(crate) async fn on(&self, account: &Account) -> i64 {
        let present = Month::utc(self.world.clock.now_s());
        let eur = Currency::from_code("EUR").unwrap();
        let mut sum = 0;
        for month in [present.previous(), present] {
            for book in [Book::Lot(self.world.lot.id.clone()), Book::Provider] {
                let last = self.store.last_batch(&book, month).await.unwrap();
                sum += last.map_or(0, |batch| batch.balances.of(eur, account));
            }
        }
        sum
    }

    /// What the account at the provider holds by its own word.
    pub(crate) async fn balance(&self) -> i64 {
        let query = BalanceQuery { from_s: 0, before_s: 1 << 40, after: None };
        let page = self.stripe.list_balance_transactions(&query).await.unwrap();
        assert!(!page.has_more);
        page.transactions.iter().map(|transaction| transaction.net_minor).sum()
    }

    /// What happens at the provider without us.
    pub(crate) async fn happens(&self, path: &str) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("POST /_twin/{path} HTTP/1.1\r\nhost: twin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", StatusCode::OK.as_u16())), "{answer}");
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.world.clock.advance(seconds);
    }
}
