//! Prices in words, and receipts that can be checked (P18).

use std::collections::BTreeSet;

use parkade_domain::ids::LotId;
use parkade_domain::tariff::Receipt;
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::PriceView;

/// Most validations of one receipt: a price is computed once for each and each order of them.
const VALIDATIONS_MAX: usize = 20;

/// Body of `POST /v1/prices/explain`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// The lot whose tariff the receipt names.
    pub lot_id: String,
    /// The receipt: a price and the facts it was computed from. Lines that do not add up are refused.
    pub receipt: Receipt,
}

/// A checked [`ExplainRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainInput {
    /// The lot.
    pub lot: LotId,
    /// The receipt.
    pub receipt: Receipt,
}

impl ExplainRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<ExplainInput, Problem> {
        let mut errors = FieldErrors::new();
        let lot = errors.parse("/lot_id", &self.lot_id);
        let facts = &self.receipt.facts;
        errors.document("/receipt/facts/calendar", facts.calendar.validate());
        let given: BTreeSet<_> = facts.validations.iter().map(|given| &given.id).collect();
        if given.len() != facts.validations.len() || given.len() > VALIDATIONS_MAX {
            let detail = format!("at most {VALIDATIONS_MAX}, each once");
            errors.push("/receipt/facts/validations", FieldCode::TooMany, detail);
        }
        errors.finish(lot.map(|lot| ExplainInput { lot, receipt: self.receipt }))
    }
}

/// Answer of `GET /v1/reservations/{id}/price`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplanationView {
    /// The reservation.
    pub reservation_id: String,
    /// Language of the sentences: `en` or `de`.
    pub locale: String,
    /// One sentence per line of the price, then the total; times are those of the lot.
    pub sentences: Vec<String>,
    /// What is owed now.
    pub price: PriceView,
    /// What was agreed, or driven without a booking, with everything it was computed from: the same bytes come out again. Left out for
    /// a series, and while a drive-up is still inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// Answer of `POST /v1/prices/explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptCheckView {
    /// Whether the tariff version that the receipt names gives exactly this price for its facts.
    pub reproduced: bool,
    /// Language of the sentences: `en` or `de`.
    pub locale: String,
    /// What the receipt says.
    pub sentences: Vec<String>,
    /// What the tariff gives instead, if it prices the facts at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<PriceView>,
}
