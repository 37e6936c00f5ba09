//! What operators add to a stay and take off it.

use parkade_domain::adjustment::{Adjustment, AdjustmentKind, ViolationKind};
use parkade_domain::decide::CASH_MINOR_MAX;
use parkade_domain::money::{Currency, Money};
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::till::AmountFields;
use crate::wire::{AmountView, second_text};

/// Body of `POST /v1/reservations/{id}/violations`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViolationRequest {
    /// `overstay`, `wrong_spot`, `no_right` or `unpaid`; what it costs is the tariff's to say.
    pub kind: String,
}

impl ViolationRequest {
    /// The kind, or what is wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<ViolationKind, Problem> {
        let mut errors = FieldErrors::new();
        let kind = ViolationKind::parse(&self.kind);
        if kind.is_none() {
            errors.push("/kind", FieldCode::Malformed, "overstay, wrong_spot, no_right or unpaid");
        }
        errors.finish(kind)
    }
}

/// Body of `POST /v1/reservations/{id}/refunds`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodwillRequest {
    /// What is taken off what is owed; at most that.
    pub amount: AmountFields,
}

impl GoodwillRequest {
    /// The amount, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<Money, Problem> {
        let mut errors = FieldErrors::new();
        let currency = errors.take("/amount/currency", Currency::from_code(&self.amount.currency));
        let minor = self.amount.amount_minor;
        let fits = (1..=CASH_MINOR_MAX).contains(&minor);
        if !fits {
            errors.push("/amount/amount_minor", FieldCode::OutOfRange, format!("from 1 to {CASH_MINOR_MAX}"));
        }
        errors.finish(currency.filter(|_| fits).map(|currency| Money::new(minor, currency)))
    }
}

/// Something that an operator has added to a stay or taken off it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustmentView {
    /// Its place among them, from 1.
    pub number: usize,
    /// `violation` or `goodwill`.
    pub kind: String,
    /// Of a violation: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
    /// How much.
    pub amount: AmountView,
    /// When it was recorded.
    pub recorded_at: String,
    /// When it was annulled; from then on it counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<String>,
}

impl AdjustmentView {
    /// The views of a stay's adjustments.
    #[must_use]
    pub fn of(adjustments: &[Adjustment], currency: Currency) -> Vec<Self> {
        let view = |(position, known): (usize, &Adjustment)| {
            let (kind, violation) = match known.kind {
                AdjustmentKind::Violation(kind) => ("violation", Some(kind.as_str().to_owned())),
                AdjustmentKind::Goodwill => ("goodwill", None),
            };
            Self {
                number: position + 1,
                kind: kind.to_owned(),
                violation,
                amount: AmountView::new(known.amount_minor, currency),
                recorded_at: second_text(known.at_s),
                voided_at: known.voided_at_s.map(second_text),
            }
        };
        adjustments.iter().enumerate().map(view).collect()
    }
}
