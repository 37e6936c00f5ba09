//! What reconciliation could not explain, and how it was decided.

use parkade_ledger::{Exception, Facts, Resolution, TransactionFacts};
use serde::{Deserialize, Serialize};

use super::second_text;
use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;

/// Longest note: a few sentences.
const NOTE_CHARS_MAX: usize = 1_000;

/// A decision on an exception.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    /// How it was decided: one of [`Resolution`]'s names.
    pub resolution: String,
    /// Why, for whoever asks in a year. Nothing that names a person.
    pub note: String,
}

impl DecideRequest {
    /// The decision, or everything that is wrong with it.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<(Resolution, String), Problem> {
        let mut errors = FieldErrors::new();
        let resolution = Resolution::parse(&self.resolution);
        if resolution.is_none() {
            let known: Vec<&str> = Resolution::ALL.iter().map(|one| one.as_str()).collect();
            errors.push("/resolution", FieldCode::Invalid, format!("one of {}", known.join(", ")));
        }
        let note = self.note.trim();
        if note.is_empty() {
            errors.push("/note", FieldCode::Empty, "says why");
        } else if note.chars().count() > NOTE_CHARS_MAX {
            errors.push("/note", FieldCode::TooLong, format!("at most {NOTE_CHARS_MAX} characters"));
        }
        errors.finish(resolution.map(|resolution| (resolution, note.to_owned())))
    }
}

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionView {
    /// Its id.
    pub id: String,
    /// `open` or `closed`.
    pub state: String,
    /// What is unexplained.
    pub kind: String,
    /// How to decide it.
    pub advice: String,
    /// When it was found.
    pub opened_at: String,
    /// Our payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// The lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot_id: Option<String>,
    /// What our records or books say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<OursView>,
    /// What the provider's account says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<TheirsView>,
    /// What was tried before a person was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<String>,
    /// How it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionView>,
}

/// Our side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OursView {
    /// Minor units; below zero if it went.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// The payment's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The provider's id in our records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_reference: Option<String>,
}

/// The provider's side: a balance transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TheirsView {
    /// The provider's id.
    pub transaction_id: String,
    /// `charge`, `refund`, `adjustment`, `stripe_fee`, `payout` or `other`.
    pub kind: String,
    /// Minor units before the fee; below zero if it went.
    pub amount_minor: i64,
    /// Minor units that the provider keeps.
    pub fee_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// When.
    pub created_at: String,
    /// The charge, refund, dispute or payout at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The PaymentIntent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent_id: Option<String>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// How.
    pub resolution: String,
    /// Who; `reconcile` if it explained itself.
    pub by: String,
    /// When.
    pub at: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ExceptionView {
    /// The view of an exception.
    #[must_use]
    pub fn from_domain(exception: &Exception) -> Self {
        let Facts { transaction, payment, lot, ours_minor, our_currency, our_status, our_reference, tried } =
            exception.facts.clone();
        let ours = ours_minor.zip(our_currency).map(|(amount_minor, currency)| OursView {
            amount_minor,
            currency,
            status: our_status,
            provider_reference: our_reference,
        });
        let decision = exception.closed.as_ref().map(|closed| DecisionView {
            resolution: closed.resolution.as_str().to_owned(),
            by: closed.by.clone(),
            at: second_text(closed.at_s),
            note: closed.note.clone(),
        });
        Self {
            id: exception.id.to_string(),
            state: if decision.is_some() { "closed" } else { "open" }.to_owned(),
            kind: exception.kind.as_str().to_owned(),
            advice: exception.kind.advice().to_owned(),
            opened_at: second_text(exception.opened_at_s),
            payment_id: payment,
            lot_id: lot,
            ours,
            theirs: transaction.map(theirs),
            tried,
            decision,
        }
    }
}

fn theirs(transaction: TransactionFacts) -> TheirsView {
    TheirsView {
        transaction_id: transaction.id,
        kind: transaction.kind,
        amount_minor: transaction.amount_minor,
        fee_minor: transaction.fee_minor,
        currency: transaction.currency,
        created_at: second_text(transaction.created_s),
        source_id: transaction.source,
        payment_intent_id: transaction.payment_intent,
    }
}
