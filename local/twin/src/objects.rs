//! What the twin remembers, as it is journaled. Everything of one charge hangs on its PaymentIntent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A PaymentIntent with its charges, their refunds and a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) payment_method: Option<String>,
    /// The test card behind the payment method.
    #[serde(default)]
    pub(crate) card: Option<String>,
    #[serde(default)]
    pub(crate) customer: Option<String>,
    pub(crate) capture_method: String,
    pub(crate) description: Option<String>,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) outcome: Outcome,
    /// Charges of earlier attempts, which all failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failed: Vec<FailedCharge>,
    /// Lines of their own in the journal, as the dispute.
    #[serde(skip)]
    pub(crate) refunds: Vec<Refund>,
    #[serde(skip)]
    pub(crate) dispute: Option<Dispute>,
}

/// What came of confirming an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Unpaid,
    RequiresAction,
    /// The payer did not pass the issuer's question.
    AuthenticationFailed,
    Declined {
        charge: String,
        decline_code: String,
        error: Value,
    },
    /// The money is reserved, to be captured or released.
    Authorised {
        charge: String,
        capture_before: u64,
    },
    Succeeded {
        charge: String,
        /// All of it if absent.
        #[serde(default)]
        captured: Option<i64>,
    },
    Canceled {
        reason: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedCharge {
    pub(crate) charge: String,
    pub(crate) decline_code: String,
}

impl Intent {
    /// Money taken.
    pub(crate) fn captured(&self) -> i64 {
        match self.outcome {
            Outcome::Succeeded { captured, .. } => captured.unwrap_or(self.amount),
            _ => 0,
        }
    }

    /// Money given back: always the sum of the refunds, never a counter.
    pub(crate) fn refunded(&self) -> i64 {
        let kept = self.refunds.iter().filter(|refund| refund.status != RefundStatus::Failed);
        kept.map(|refund| refund.amount).sum()
    }

    /// The charge of the last attempt.
    pub(crate) fn charge_id(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Declined { charge, .. }
            | Outcome::Authorised { charge, .. }
            | Outcome::Succeeded { charge, .. } => Some(charge),
            Outcome::Unpaid | Outcome::RequiresAction | Outcome::AuthenticationFailed | Outcome::Canceled { .. } => {
                None
            }
        }
    }

    /// The id of the next attempt's charge.
    pub(crate) fn next_charge(&self) -> String {
        let first = self.id.replacen("pi_", "ch_", 1);
        let declined = usize::from(matches!(self.outcome, Outcome::Declined { .. }));
        match self.failed.len() + declined {
            0 => first,
            earlier => format!("{first}_{}", earlier + 1),
        }
    }
}

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) payment_intent: String,
    pub(crate) amount: i64,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) status: RefundStatus,
    /// When the bank says how it ends, if it has not yet.
    #[serde(default)]
    pub(crate) settles: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    #[default]
    Succeeded,
    Failed,
}

/// A charge taken back by the payer's bank, or its question about one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) closed: Option<u64>,
    pub(crate) charge: String,
    pub(crate) payment_intent: String,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) reason: String,
    pub(crate) status: DisputeStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisputeStatus {
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

impl Dispute {
    /// A question takes no money.
    pub(crate) const fn is_inquiry(&self) -> bool {
        use DisputeStatus::{WarningClosed, WarningNeedsResponse, WarningUnderReview};
        matches!(self.status, WarningNeedsResponse | WarningUnderReview | WarningClosed)
    }

    pub(crate) const fn is_open(&self) -> bool {
        use DisputeStatus::{NeedsResponse, UnderReview, WarningNeedsResponse, WarningUnderReview};
        matches!(self.status, NeedsResponse | UnderReview | WarningNeedsResponse | WarningUnderReview)
    }

    /// Whether the bank has the money, so that it cannot be refunded.
    pub(crate) const fn holds_the_money(&self) -> bool {
        use DisputeStatus::{Lost, NeedsResponse, UnderReview};
        matches!(self.status, NeedsResponse | UnderReview | Lost)
    }
}

/// The owner of saved payment methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A payment method: made when a test card is used, attached or set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Method {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) card: String,
    pub(crate) customer: Option<String>,
    /// The issuer has consented to charges while the payer is away.
    pub(crate) set_up: bool,
    /// Used without a customer, or taken from one: it serves no second time.
    pub(crate) spent: bool,
}

/// A SetupIntent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) customer: Option<String>,
    pub(crate) payment_method: Option<String>,
    pub(crate) usage: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) outcome: SetupOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SetupOutcome {
    Open,
    RequiresAction,
    Failed { error: Value },
    Succeeded,
}

/// Money sent to the bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payout {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) amount: i64,
    pub(crate) currency: String,
}
