//! The payment provider: a slim client of the part of Stripe that Parkade uses, the keys that make asking again safe, and its webhooks.
//!
//! This crate promises: one HTTP call per method and no retry of its own; an answer is either definite or
//! [`PaymentError::Unknown`], and nothing is called definite that is not; parsing reads only the fields it needs, so a new
//! field of the provider's never turns a charge into an error. It refuses to know: reservations' states, tables, queues,
//! and card numbers (M11: provider tokens only).
//!
//! The rule for callers (M1): after `Unknown` ask again with the *same* [`provider_key`]; a new attempt number is allowed
//! only after `Declined`, `Refused`, or a status that took no money.

mod balance;
mod client;
mod dispute;
mod error;
mod id;
mod key;
mod reserved;
mod saved;
mod types;
mod units;
mod webhook;
mod wire;

pub use balance::{BalanceKind, BalancePage, BalanceQuery, BalanceTransaction};
pub use client::{API_VERSION, CONNECT_TIMEOUT, Config, ConfigError, SecretKey, StripeClient, TOTAL_TIMEOUT};
pub use dispute::{Dispute, DisputeStatus};
pub use error::{PaymentError, Uncertainty};
pub use id::{InvalidProviderId, ProviderId};
pub use key::{Purpose, provider_key, subject_key};
pub use reserved::{ChargePage, ChargesQuery};
pub use saved::{ConfirmSetupRequest, CustomerRequest, SavedCard, Setup, SetupRequest, SetupStatus};
pub use types::{
    Capture, CaptureRequest, Charge, ChargeRequest, ChargeStatus, ChargeTerms, ClientSecret, ConfirmRequest, Presence,
    Refund, RefundRequest, RefundStatus,
};
pub use webhook::{
    EmptySecret, Event, EventObject, PAYLOAD_BYTES_MAX, SIGNATURE_TOLERANCE_S, Subject, WebhookError, WebhookSecrets,
};
