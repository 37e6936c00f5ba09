//! The HTTP client: built once at cold start, one call per method, no retry of its own.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;
use tracing::info;

use crate::balance::{BalancePage, BalanceQuery};
use crate::error::{PaymentError, Uncertainty};
use crate::id::ProviderId;
use crate::types::{
    Capture, CaptureRequest, Charge, ChargeRequest, ChargeTerms, ConfirmRequest, Refund, RefundRequest,
};
use crate::wire::{self, Answer};

/// Stripe's API version this client was written for; moving it is a change to review, never an accident.
pub const API_VERSION: &str = "2025-10-29.clover";
/// How long a TCP connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a whole call may take, connection and TLS included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);
/// A hundred balance transactions with their charges and PaymentIntents are about 700 KB; far more is not an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// A connection idle for longer has probably been closed by the other side, and finding out looks like a lost answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The provider's secret key. It does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(String);

impl SecretKey {
    /// Wraps a key (`sk_test_…`, `sk_live_…`, `rk_…`).
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}

/// How to reach the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `https://api.stripe.com`, or the twin's `http://127.0.0.1:…`; a path is kept as a prefix.
    pub base_url: String,
    /// The account's key.
    pub secret_key: SecretKey,
    /// [`CONNECT_TIMEOUT`] unless a test says otherwise.
    pub connect_timeout: Duration,
    /// [`TOTAL_TIMEOUT`] unless a test says otherwise.
    pub total_timeout: Duration,
}

impl Config {
    /// A configuration with the standard time-outs.
    #[must_use]
    pub fn new(base_url: impl Into<String>, secret_key: SecretKey) -> Self {
        Self { base_url: base_url.into(), secret_key, connect_timeout: CONNECT_TIMEOUT, total_timeout: TOTAL_TIMEOUT }
    }
}

/// Why a client cannot be built.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Not `http(s)://host[:port][/path]`.
    #[error("the payment provider's base URL is not http(s)://host[:port][/path]")]
    BaseUrl,
    /// The key is empty or has characters a header cannot carry.
    #[error("the payment provider's secret key is empty or has characters that no key has")]
    SecretKey,
    /// Only test keys may travel without TLS.
    #[error("a key that is not a test key needs an https base URL")]
    PlaintextLiveKey,
    /// The TLS library accepts no protocol version.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A client of Stripe's API. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct StripeClient {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    scheme: Scheme,
    authority: http::uri::Authority,
    path_prefix: String,
    headers: HeaderMap,
    total_timeout: Duration,
}

impl StripeClient {
    /// Builds the client with everything that can be prepared: TLS with Mozilla's roots compiled in (nothing is read from
    /// disk), headers, time-outs. Opens no connection.
    ///
    /// # Errors
    /// [`ConfigError`] if the URL or the key cannot be used.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let base: Uri = config.base_url.parse().map_err(|_| ConfigError::BaseUrl)?;
        let parts = base.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else { return Err(ConfigError::BaseUrl) };
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() || (scheme != Scheme::HTTP && scheme != Scheme::HTTPS) {
            return Err(ConfigError::BaseUrl);
        }
        let key = &config.secret_key.0;
        if scheme == Scheme::HTTP && !key.starts_with("sk_test_") {
            return Err(ConfigError::PlaintextLiveKey);
        }
        Ok(Self {
            http: Client::builder(TokioExecutor::new())
                // Only a request that never left a stale pooled connection goes out again, on a fresh one.
                .retry_canceled_requests(true)
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build(connector(config.connect_timeout)?),
            scheme,
            authority,
            path_prefix: path.path().trim_end_matches('/').to_owned(),
            headers: headers(key)?,
            total_timeout: config.total_timeout,
        })
    }

    /// Creates and confirms a charge on the usual terms.
    ///
    /// # Errors
    /// [`PaymentError`]; after `Unknown` only the same key may be used again.
    pub async fn create_payment_intent(&self, request: &ChargeRequest) -> Result<Charge, PaymentError> {
        self.create_payment_intent_on(request, ChargeTerms::default()).await
    }

    /// Creates and confirms a charge: only reserved, or while the driver is away. The terms are part of what the key is bound to.
    ///
    /// # Errors
    /// [`PaymentError`]; after `Unknown` only the same key may be used again, on the same terms.
    pub async fn create_payment_intent_on(
        &self,
        request: &ChargeRequest,
        terms: ChargeTerms,
    ) -> Result<Charge, PaymentError> {
        self.create(request, wire::charge_form(request, terms)?).await
    }

    /// Creates a charge and leaves it to be confirmed: by the driver's browser with the client secret, or by
    /// [`StripeClient::confirm_payment_intent`]. An empty [`ChargeRequest::payment_method`] is chosen then.
    ///
    /// # Errors
    /// [`PaymentError`]; after `Unknown` only the same key may be used again.
    pub async fn prepare_payment_intent(
        &self,
        request: &ChargeRequest,
        capture: Capture,
    ) -> Result<Charge, PaymentError> {
        self.create(request, wire::prepare_form(request, capture)?).await
    }

    async fn create(&self, request: &ChargeRequest, form: String) -> Result<Charge, PaymentError> {
        let answer = self.call(Method::POST, "/v1/payment_intents", Some((&request.idempotency_key, form))).await?;
        let charge = wire::charge(&answer)?;
        if (charge.amount_minor, charge.currency) != (request.amount_minor, request.currency) {
            return Err(Uncertainty::Unreadable.into());
        }
        Ok(charge)
    }

    /// Confirms a charge that was prepared, or tries one again whose means of payment did not do. The driver is present.
    ///
    /// # Errors
    /// [`PaymentError`]; `Refused` if it is confirmed already: retrieve it. After `Unknown` only the same key may be used again.
    pub async fn confirm_payment_intent(&self, request: &ConfirmRequest) -> Result<Charge, PaymentError> {
        let path = format!("/v1/payment_intents/{}/confirm", request.payment_intent);
        let post = Some((request.idempotency_key.as_str(), wire::confirm_form(request)));
        let charge = wire::charge(&self.call(Method::POST, &path, post).await?)?;
        if charge.payment_intent == request.payment_intent { Ok(charge) } else { Err(Uncertainty::Unreadable.into()) }
    }

    /// Takes reserved money, all or part of it, once; the rest is released.
    ///
    /// # Errors
    /// [`PaymentError`]; `Refused` if more is asked than is reserved or nothing is (any more); after `Unknown` only the same
    /// key may be used again.
    pub async fn capture_payment_intent(&self, request: &CaptureRequest) -> Result<Charge, PaymentError> {
        let form = wire::capture_form(request)?;
        let path = format!("/v1/payment_intents/{}/capture", request.payment_intent);
        let answer = self.call(Method::POST, &path, Some((&request.idempotency_key, form))).await?;
        let charge = wire::charge(&answer)?;
        if (charge.received_minor, charge.currency) != (request.amount_minor, request.currency) {
            return Err(Uncertainty::Unreadable.into());
        }
        Ok(charge)
    }

    /// Ends a charge that has taken no money; what it reserved is released.
    ///
    /// # Errors
    /// [`PaymentError`]; `Refused` if it has taken money or is cancelled already: retrieve it.
    pub async fn cancel_payment_intent(&self, id: &ProviderId, idempotency_key: &str) -> Result<Charge, PaymentError> {
        let path = format!("/v1/payment_intents/{id}/cancel");
        wire::charge(&self.call(Method::POST, &path, Some((idempotency_key, String::new()))).await?)
    }

    /// Gives money back from a charge. Never more than was taken and not yet given back: the provider refuses (M5).
    ///
    /// # Errors
    /// [`PaymentError`]; after `Unknown` only the same key may be used again.
    pub async fn refund(&self, request: &RefundRequest) -> Result<Refund, PaymentError> {
        let form = wire::refund_form(request)?;
        let answer = self.call(Method::POST, "/v1/refunds", Some((&request.idempotency_key, form))).await?;
        let refund = wire::refund(&answer)?;
        if (refund.amount_minor, refund.currency) != (request.amount_minor, request.currency) {
            return Err(Uncertainty::Unreadable.into());
        }
        Ok(refund)
    }

    /// Reads a charge's present state.
    ///
    /// # Errors
    /// [`PaymentError::Refused`] with status 404 if there is no such charge; `Unknown` says nothing about the charge.
    pub async fn retrieve_payment_intent(&self, id: &ProviderId) -> Result<Charge, PaymentError> {
        let query = wire::form().append_pair(wire::WITH_CHARGE.0, wire::WITH_CHARGE.1).finish();
        wire::charge(&self.call(Method::GET, &format!("/v1/payment_intents/{id}?{query}"), None).await?)
    }

    /// The charges that name this payment, newest first: for payments so old that the provider may have forgotten their key.
    ///
    /// The provider's search lags behind by a minute, in bad times by an hour: an empty answer about a young charge means nothing.
    ///
    /// # Errors
    /// [`PaymentError`]; `Refused` if `payment` is none of our ids, `Unknown` says nothing about the charges.
    pub async fn find_payment_intents(&self, payment: &str) -> Result<Vec<Charge>, PaymentError> {
        let path = format!("/v1/payment_intents/search?{}", wire::search_query(payment)?);
        wire::charges(&self.call(Method::GET, &path, None).await?)
    }

    /// The refunds of a charge that name this payment, newest first. Unlike a search it does not lag.
    ///
    /// # Errors
    /// [`PaymentError`]; `Unknown` says nothing about the refunds.
    pub async fn find_refunds(&self, payment_intent: &ProviderId, payment: &str) -> Result<Vec<Refund>, PaymentError> {
        let path = format!("/v1/refunds?{}", wire::refunds_query(payment_intent));
        wire::refunds_for(&self.call(Method::GET, &path, None).await?, payment)
    }

    /// One page of the money that came and went, newest first.
    ///
    /// # Errors
    /// [`PaymentError`]; nothing of the page is known then.
    pub async fn list_balance_transactions(&self, query: &BalanceQuery) -> Result<BalancePage, PaymentError> {
        let path = format!("/v1/balance_transactions?{}", query.form());
        wire::balance(&self.call(Method::GET, &path, None).await?)
    }

    /// Reads a refund's present state.
    ///
    /// # Errors
    /// [`PaymentError::Refused`] with status 404 if there is no such refund; `Unknown` says nothing about the refund.
    pub async fn retrieve_refund(&self, id: &ProviderId) -> Result<Refund, PaymentError> {
        wire::refund(&self.call(Method::GET, &format!("/v1/refunds/{id}"), None).await?)
    }

    /// One exchange within the total time-out. `post` is the idempotency key and the form.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        post: Option<(&str, String)>,
    ) -> Result<Answer, PaymentError> {
        let request = self.request(method, path, post)?;
        // What is searched for is nobody's business.
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let started = Instant::now();
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| {
                if error.is_connect() { Uncertainty::NotConnected } else { Uncertainty::ConnectionLost }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| {
                if error.is::<LengthLimitError>() { Uncertainty::Unreadable } else { Uncertainty::ConnectionLost }
            })?;
            Ok((head, body.to_bytes().to_vec()))
        };
        let timed = tokio::time::timeout(self.total_timeout, exchange).await;
        let outcome: Result<_, Uncertainty> = timed.unwrap_or(Err(Uncertainty::TimedOut));
        let duration_ms = started.elapsed().as_millis();
        let (head, body) = outcome.inspect_err(|uncertainty| {
            info!(stripe.path = path, duration_ms, "stripe did not answer {path}: {uncertainty}");
        })?;
        let text =
            |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let (status, request_id) = (head.status.as_u16(), text("request-id"));
        info!(
            stripe.path = path,
            stripe.request_id = request_id,
            status,
            duration_ms,
            "stripe answered {path} {status}"
        );
        Ok(Answer { status: head.status, replayed: text("idempotent-replayed") == "true", body })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        post: Option<(&str, String)>,
    ) -> Result<Request<Full<Bytes>>, PaymentError> {
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.path_prefix))
            .build()
            .map_err(|_| refused_here("path_invalid"))?;
        let (key, form) = post.unzip();
        let mut request = Request::new(Full::new(Bytes::from(form.unwrap_or_default())));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        if let Some(key) = key {
            let key = HeaderValue::from_str(key).map_err(|_| refused_here("idempotency_key_invalid"))?;
            let headers = request.headers_mut();
            headers.insert("idempotency-key", key);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        Ok(request)
    }
}

fn connector(connect_timeout: Duration) -> Result<HttpsConnector<HttpConnector>, ConfigError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map_err(ConfigError::Tls)?;
    Ok(tls.https_or_http().enable_http1().wrap_connector(tcp))
}

fn headers(key: &str) -> Result<HeaderMap, ConfigError> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::SecretKey);
    }
    let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| ConfigError::SecretKey)?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert("stripe-version", HeaderValue::from_static(API_VERSION));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("parkade/", env!("CARGO_PKG_VERSION"))));
    Ok(headers)
}

fn refused_here(code: &str) -> PaymentError {
    PaymentError::Refused { status: 400, code: code.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_key_never_prints_itself() {
        let config = Config::new("https://api.stripe.com", SecretKey::new("sk_live_abc"));
        let client = StripeClient::new(&config).unwrap();
        assert!(!format!("{config:?} {client:?}").contains("sk_live_abc"));
    }

    #[test]
    fn a_client_is_refused_where_it_could_leak_a_key_or_never_work() {
        let build = |url: &str, key: &str| StripeClient::new(&Config::new(url, SecretKey::new(key))).map(|_| ());
        assert!(build("https://api.stripe.com", "sk_live_abc").is_ok());
        assert!(build("http://127.0.0.1:12111/_stripe/", "sk_test_abc").is_ok());
        assert!(matches!(build("http://api.stripe.com", "sk_live_abc"), Err(ConfigError::PlaintextLiveKey)));
        assert!(matches!(build("https://api.stripe.com", ""), Err(ConfigError::SecretKey)));
        assert!(matches!(build("https://api.stripe.com", "sk_live_a\nb"), Err(ConfigError::SecretKey)));
        for url in ["", "api.stripe.com", "ftp://api.stripe.com", "https://api.stripe.com/?a=b", "/v1"] {
            assert!(matches!(build(url, "sk_test_abc"), Err(ConfigError::BaseUrl)), "{url}");
        }
    }
}
