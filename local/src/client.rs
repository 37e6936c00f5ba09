//! A small HTTP client for the demo and the commands: JSON in, JSON out.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A cold start and a slow network fit in.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL or a header is not valid.
    #[error("the request cannot be built")]
    Request(#[source] axum::http::Error),
    /// TLS has no usable version.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// Nobody answers there.
    #[error("{0} does not answer; is `make run` running?")]
    Connect(String, #[source] hyper_util::client::legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off")]
    Body(#[source] hyper::Error),
    /// No answer in time.
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Development token, without `Bearer`.
    pub token: Option<Cow<'static, str>>,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// JSON body.
    pub body: Option<Value>,
}

impl Ask {
    /// A request without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), token: None, key: None, body: None }
    }

    /// On behalf of the principal in `token`.
    #[must_use]
    pub fn by(mut self, token: impl Into<Cow<'static, str>>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// With an idempotency key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// An answer: its status, and its body if it is JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// JSON body, or null.
    pub body: Value,
}

impl Answer {
    /// The text at a JSON pointer, or nothing.
    pub fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number at a JSON pointer, or 0.
    pub fn number(&self, pointer: &str) -> i64 {
        self.body.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
    }
}

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Api {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        let provider = rustls::crypto::ring::default_provider();
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map_err(ClientError::Tls)?
            .https_or_http()
            .enable_http1()
            .build();
        let http = Client::builder(TokioExecutor::new()).build(https);
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http })
    }

    /// A client of what the same server has below a path.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        Self { base: format!("{}{path}", self.base), http: self.http.clone() }
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// When there is none. A refusal is an answer.
    pub async fn ask(&self, ask: &Ask) -> Result<Answer, ClientError> {
        let mut request = Request::builder().method(&ask.method).uri(format!("{}{}", self.base, ask.path));
        if let Some(token) = &ask.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = &ask.key {
            request = request.header("idempotency-key", key);
        }
        let body = ask.body.as_ref().map(Value::to_string).unwrap_or_default();
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::from(body)).map_err(ClientError::Request)?;
        tokio::time::timeout(TIMEOUT, self.send(request)).await.map_err(|_| ClientError::TimedOut)?
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        let response = self.http.request(request).await;
        let response = response.map_err(|error| ClientError::Connect(self.base.clone(), error))?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(ClientError::Body)?.to_bytes();
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }
}
