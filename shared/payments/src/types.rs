//! What is asked of the provider and what it answers, in our words.

use std::fmt;

use parkade_domain::money::Currency;
use serde::Deserialize;

use crate::id::ProviderId;

/// A charge to create and confirm in one call, captured at once, with the driver present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeRequest {
    /// Minor units of `currency` (ISO 4217), above zero.
    pub amount_minor: i64,
    /// The lot's currency.
    pub currency: Currency,
    /// The provider's token of the means of payment (M11), for example `pm_…`.
    pub payment_method: String,
    /// Whose means of payment it is. The provider refuses a saved one without its customer.
    pub customer: Option<ProviderId>,
    /// From [`crate::provider_key`].
    pub idempotency_key: String,
    /// Shown in the provider's dashboard and reports: the reservation.
    pub reservation: String,
    /// Shown in the provider's dashboard and reports: the payment.
    pub payment: String,
    /// Last part of the text on the card statement, at most 22 characters with a letter; usually the lot.
    pub statement_suffix: Option<String>,
}

/// How a charge differs from the usual one. [`ChargeTerms::default`] is the usual one: captured at once, with the driver present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChargeTerms {
    /// When the money is taken.
    pub capture: Capture,
    /// Whether the driver can be asked anything. If not, a card that wants to ask is declined with `authentication_required`.
    pub presence: Presence,
}

/// When an approved charge takes the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capture {
    /// At once.
    #[default]
    Automatic,
    /// It is only reserved (M4), until [`crate::StripeClient::capture_payment_intent`] or
    /// [`crate::StripeClient::cancel_payment_intent`]; the issuer releases it by itself after about seven days.
    Manual,
}

/// Where the driver is while the card is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// In front of our page.
    #[default]
    OnSession,
    /// Elsewhere: the card was saved before.
    OffSession,
}

/// A charge to confirm that was only prepared, or whose means of payment did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmRequest {
    /// A charge in [`ChargeStatus::RequiresPaymentMethod`].
    pub payment_intent: ProviderId,
    /// Another means of payment than the charge has; needed after a decline, which takes the old one away.
    pub payment_method: Option<String>,
    /// From [`crate::provider_key`], for [`crate::Purpose::Confirm`].
    pub idempotency_key: String,
}

/// Money to take from what a charge reserved; the rest is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureRequest {
    /// A charge in [`ChargeStatus::RequiresCapture`].
    pub payment_intent: ProviderId,
    /// Minor units of the charge's currency, above zero; at most what is reserved.
    pub amount_minor: i64,
    /// The charge's currency.
    pub currency: Currency,
    /// From [`crate::provider_key`], for [`crate::Purpose::Capture`].
    pub idempotency_key: String,
}

/// A charge's state at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Needed for a refund.
    pub payment_intent: ProviderId,
    /// Whether the money is ours.
    pub status: ChargeStatus,
    /// Asked for, in minor units.
    pub amount_minor: i64,
    /// Taken, in minor units; zero unless `Succeeded`.
    pub received_minor: i64,
    /// Of both amounts.
    pub currency: Currency,
    /// With it the driver's browser authenticates or confirms.
    pub client_secret: Option<ClientSecret>,
    /// The payment we named when the charge was made.
    pub payment: Option<String>,
    /// Whose means of payment it is, if that is saved.
    pub customer: Option<ProviderId>,
    /// Epoch second at which the issuer releases reserved money. Only while it is reserved; events and searches leave it out.
    pub capture_before_s: Option<i64>,
}

/// Lets its bearer finish one charge or set up one card, and read a little of it. For the driver's browser; it does not print itself.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ClientSecret(String);

impl ClientSecret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be sent to the driver it belongs to and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

/// What a charge came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeStatus {
    /// The money is ours.
    Succeeded,
    /// The driver has to authenticate (3-D Secure); no money moved yet.
    RequiresAction,
    /// Accepted but not final: retrieve it later.
    Processing,
    /// Authorised but not captured.
    RequiresCapture,
    /// Nothing was taken: declined before, or never confirmed.
    #[serde(alias = "requires_confirmation")]
    RequiresPaymentMethod,
    /// Nothing was taken and nothing will be.
    Canceled,
}

/// Money to give back from a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The charge to give back from.
    pub payment_intent: ProviderId,
    /// Minor units of the charge's currency, above zero; at most what is left of the charge (M5).
    pub amount_minor: i64,
    /// The charge's currency.
    pub currency: Currency,
    /// From [`crate::provider_key`].
    pub idempotency_key: String,
    /// Shown in the provider's dashboard and reports: the reservation.
    pub reservation: String,
    /// Shown in the provider's dashboard and reports: the payment.
    pub payment: String,
}

/// A refund's state at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The provider's id.
    pub id: ProviderId,
    /// Whether the money is on its way.
    pub status: RefundStatus,
    /// Given back, in minor units.
    pub amount_minor: i64,
    /// Of the amount.
    pub currency: Currency,
}

/// What a refund came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Sent to the card.
    Succeeded,
    /// Accepted, not final.
    #[serde(alias = "requires_action")]
    Pending,
    /// The bank did not take it.
    Failed,
    /// Withdrawn.
    Canceled,
}
