//! What can go wrong, sorted by what the caller may do next.

use thiserror::Error;

/// Why no charge or refund is in hand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PaymentError {
    /// The issuer said no and no money moved: tell the driver; a new attempt needs a new key.
    #[error("the card was declined: {code}")]
    Declined {
        /// Stripe's error code, for example `card_declined`, `expired_card`.
        code: String,
        /// The issuer's reason, for example `insufficient_funds`. Lost, stolen and fraud reasons are not for the driver's eyes.
        decline_code: Option<String>,
    },
    /// The provider rejects the request itself and no money moved: our bug, or a refund beyond the charge (M5).
    #[error("the provider refused the request with status {status}: {code}")]
    Refused {
        /// HTTP status; 400 also for what was refused here, before sending.
        status: u16,
        /// Stripe's error code, or its error type where there is no code.
        code: String,
    },
    /// Money may have moved. Ask again with the same key, or retrieve; never with a new key (M1).
    #[error("the outcome is unknown: {0}")]
    Unknown(Uncertainty),
}

/// Why an outcome is unknown. For people and metrics: the next step is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Uncertainty {
    /// No whole answer within the total time-out.
    #[error("no answer in time")]
    TimedOut,
    /// No connection could be made; this request did not leave, an earlier one with its key may have.
    #[error("no connection to the provider")]
    NotConnected,
    /// The connection broke after the request began to leave.
    #[error("the connection broke before the answer")]
    ConnectionLost,
    /// 409: the first request with this key is still running, or the object is locked.
    #[error("the same request is still in progress")]
    InFlight,
    /// 429: the provider wants us to slow down.
    #[error("the provider is throttling")]
    Throttled,
    /// 5xx. A *replayed* one is the saved answer of this key and never changes: only retrieving the object helps.
    #[error("the provider answered {status} (replayed: {replayed})")]
    ServerError {
        /// HTTP status.
        status: u16,
        /// Whether the provider answered from its idempotency record.
        replayed: bool,
    },
    /// 401 or 403: the provider does not accept our secret key. It says nothing about an earlier request with the same
    /// idempotency key, and no driver's payment should fail because a secret was rotated.
    #[error("the provider does not accept our secret key")]
    Unauthorized,
    /// The idempotency key was used before with other parameters or for another endpoint, and *that* request may have moved money.
    #[error("the key was first used for another request")]
    KeyReused,
    /// The answer is not what it should be: not Stripe's, cut, too long, or about another amount.
    #[error("the answer cannot be understood")]
    Unreadable,
}

impl From<Uncertainty> for PaymentError {
    fn from(uncertainty: Uncertainty) -> Self {
        Self::Unknown(uncertainty)
    }
}
