//! The twin with the client in front of it and a receiver of its webhooks behind it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parkade_domain::money::Currency;
use parkade_payments::{
    BalanceQuery, BalanceTransaction, Capture, Charge, ChargeRequest, ChargeTerms, Config, ConfirmRequest,
    ConfirmSetupRequest, CustomerRequest, Event, PaymentError, Presence, ProviderId, RefundRequest, SecretKey, Setup,
    SetupRequest, StripeClient, WebhookSecrets,
};
use parkade_twin::Twin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const SECRET: &str = "whsec_twin";
const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const RESERVED: ChargeTerms = ChargeTerms { capture: Capture::Manual, presence: Presence::OnSession };
pub(crate) const AWAY: ChargeTerms = ChargeTerms { capture: Capture::Automatic, presence: Presence::OffSession };

pub(crate) struct Scene {
    pub(crate) twin: Twin,
    pub(crate) client: StripeClient,
    events: UnboundedReceiver<Event>,
    address: String,
}

async fn listen(router: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

impl Scene {
    pub(crate) async fn new(journal: Option<PathBuf>) -> Self {
        let (sender, events) = unbounded_channel();
        let secrets = WebhookSecrets::new(SECRET, None).unwrap();
        let receive = async move |headers: HeaderMap, body: Bytes| {
            let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let signature = headers.get("stripe-signature").unwrap().to_str().unwrap();
            sender.send(secrets.verify(&body, signature, i64::try_from(now_s).unwrap()).unwrap()).unwrap();
            StatusCode::OK
        };
        let hook = listen(Router::new().route("/hook", post(receive))).await;
        let twin = Twin::open(journal).unwrap();
        twin.send_events_to(&format!("http://{hook}/hook"), SECRET).unwrap();
        let address = listen(twin.router()).await;
        let config = Config::new(format!("http://{address}"), SecretKey::new("sk_test_twin"));
        Self { twin, client: StripeClient::new(&config).unwrap(), events, address }
    }

    pub(crate) async fn charge(&self, key: &str, method: &str) -> Charge {
        self.client.create_payment_intent(&charge_of(key, method)).await.unwrap()
    }

    /// A charge while its driver is away, or why not.
    pub(crate) async fn away(&self, request: &ChargeRequest) -> Result<Charge, String> {
        self.client.create_payment_intent_on(request, AWAY).await.map_err(code)
    }

    pub(crate) async fn refund(&self, key: &str, charge: &Charge, amount_minor: i64) -> Result<ProviderId, String> {
        let refund = self.client.refund(&refund_of(key, charge, amount_minor)).await;
        refund.map(|refund| refund.id).map_err(code)
    }

    pub(crate) async fn customer(&self, user: &str) -> ProviderId {
        let request = CustomerRequest { user: user.into(), idempotency_key: format!("customer/{user}") };
        self.client.create_customer(&request).await.unwrap()
    }

    pub(crate) async fn setup(&self, key: &str, customer: &ProviderId) -> Setup {
        let request = SetupRequest { customer: customer.clone(), user: "u1".into(), idempotency_key: key.into() };
        self.client.create_setup_intent(&request).await.unwrap()
    }

    pub(crate) async fn confirm_setup(&self, key: &str, setup: &Setup, method: &str) -> Result<Setup, PaymentError> {
        let request = ConfirmSetupRequest {
            setup_intent: setup.setup_intent.clone(),
            payment_method: Some(method.into()),
            idempotency_key: key.into(),
        };
        self.client.confirm_setup_intent(&request).await
    }

    /// Saves a card with everything its issuer asks for.
    pub(crate) async fn save(&self, customer: &ProviderId, method: &str) -> ProviderId {
        let setup = self.setup(&format!("setup/{customer}/{method}"), customer).await;
        self.confirm_setup(&format!("confirm/{customer}/{method}"), &setup, method).await.unwrap();
        self.turn(&format!("authenticate/{}/success", setup.setup_intent)).await;
        self.client.retrieve_setup_intent(&setup.setup_intent).await.unwrap().payment_method.unwrap()
    }

    pub(crate) async fn confirm(
        &self,
        key: &str,
        charge: &Charge,
        method: Option<&str>,
    ) -> Result<Charge, PaymentError> {
        let request = ConfirmRequest {
            payment_intent: charge.payment_intent.clone(),
            payment_method: method.map(str::to_owned),
            idempotency_key: key.into(),
        };
        self.client.confirm_payment_intent(&request).await
    }

    /// Everything in the balance, oldest first.
    pub(crate) async fn balance(&self) -> Vec<BalanceTransaction> {
        let query = BalanceQuery { from_s: 0, before_s: 1 << 40, after: None };
        let page = self.client.list_balance_transactions(&query).await.unwrap();
        assert!(!page.has_more);
        page.transactions.into_iter().rev().collect()
    }

    /// The next events whose names begin so.
    pub(crate) async fn told<const N: usize>(&mut self, prefix: &str) -> [Event; N] {
        let mut told = Vec::new();
        while told.len() < N {
            let event = tokio::time::timeout(DEADLINE, self.events.recv()).await.unwrap().unwrap();
            told.extend(Some(event).filter(|event| event.kind.starts_with(prefix)));
        }
        told.try_into().unwrap()
    }

    /// Turns one of the twin's knobs; the answer with its status line.
    pub(crate) async fn turn(&self, knob: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        let path = format!("/_twin/{knob}");
        let request = format!("POST {path} HTTP/1.1\r\nhost: twin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

pub(crate) fn charge_of(key: &str, method: &str) -> ChargeRequest {
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

pub(crate) fn refund_of(key: &str, charge: &Charge, amount_minor: i64) -> RefundRequest {
    RefundRequest {
        payment_intent: charge.payment_intent.clone(),
        amount_minor,
        currency: charge.currency,
        idempotency_key: key.into(),
        reservation: "res_0000000000012".into(),
        payment: format!("pay_{key}"),
    }
}

/// Why money definitely did not move.
pub(crate) fn code(error: PaymentError) -> String {
    match error {
        PaymentError::Refused { code, .. } => code,
        PaymentError::Declined { code, decline_code } => decline_code.unwrap_or(code),
        PaymentError::Unknown(uncertainty) => panic!("{uncertainty}"),
    }
}
