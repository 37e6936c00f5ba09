//! Disputes: a driver's bank takes a charge back, with a fee, until somebody proves that it was right.

use http::Method;
use parkade_domain::money::Currency;
use serde::Deserialize;
use serde_json::Value;

use crate::client::StripeClient;
use crate::error::PaymentError;
use crate::id::ProviderId;
use crate::wire::{self, form, id_of, our_amount};

/// A dispute's state at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The provider's id (`dp_…`, `du_…`).
    pub id: ProviderId,
    /// Who has the money.
    pub status: DisputeStatus,
    /// Taken back by the bank, in minor units of the charge's currency; usually all that was charged.
    pub amount_minor: i64,
    /// Of the amount.
    pub currency: Currency,
    /// The bank's category, for example `fraudulent`, `product_not_received`; new ones appear at any time.
    pub reason: String,
    /// The charge at the provider (`ch_…`).
    pub charge: Option<ProviderId>,
    /// The PaymentIntent it is about.
    pub payment_intent: Option<ProviderId>,
    /// The payment we named when the charge was made. Events leave it out: retrieve the dispute or its charge.
    pub payment: Option<String>,
    /// Until when evidence can be sent, epoch seconds.
    pub evidence_due_s: Option<i64>,
}

/// What a dispute came to. While it is open, and after it is lost, the charge cannot be refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The bank has the money and waits for our evidence.
    NeedsResponse,
    /// The bank has the money and our evidence.
    UnderReview,
    /// The money came back.
    Won,
    /// The bank keeps the money.
    Lost,
    /// A question of the bank's, before it takes anything.
    #[serde(alias = "warning_under_review")]
    WarningNeedsResponse,
    /// The bank's question led to nothing.
    WarningClosed,
    /// One that is new: for a person.
    #[serde(other)]
    Other,
}

impl StripeClient {
    /// Reads a dispute's present state, with the payment it is about.
    ///
    /// # Errors
    /// [`PaymentError::Refused`] with status 404 if there is no such dispute; `Unknown` says nothing about it.
    pub async fn retrieve_dispute(&self, id: &ProviderId) -> Result<Dispute, PaymentError> {
        let query = form().append_pair("expand[]", "payment_intent").finish();
        let answer = self.call(Method::GET, &format!("/v1/disputes/{id}?{query}"), None).await?;
        wire::object::<DisputeWire>(&answer)?.read()
    }
}

/// Reads a Dispute inside something else.
pub(crate) fn dispute_in(fields: &Value) -> Result<Dispute, PaymentError> {
    wire::inside::<DisputeWire>(fields, "dispute")?.read()
}

#[derive(Deserialize)]
struct DisputeWire {
    id: ProviderId,
    status: DisputeStatus,
    amount: i64,
    currency: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    charge: Value,
    #[serde(default)]
    payment_intent: Value,
    #[serde(default)]
    evidence_details: Value,
}

impl DisputeWire {
    fn read(self) -> Result<Dispute, PaymentError> {
        let (currency, amount_minor) = our_amount(self.amount, &self.currency)?;
        Ok(Dispute {
            id: self.id,
            status: self.status,
            amount_minor,
            currency,
            reason: self.reason,
            charge: id_of(&self.charge),
            payment_intent: id_of(&self.payment_intent),
            payment: self.payment_intent.pointer("/metadata/payment").and_then(Value::as_str).map(str::to_owned),
            evidence_due_s: self.evidence_details.get("due_by").and_then(Value::as_i64),
        })
    }
}
