//! What merchants and operators give towards a stay.

use parkade_domain::tariff::RuleId;
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;

/// Body of `POST /v1/reservations/{id}/validations`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidateRequest {
    /// The name that it has in the tariff of the stay.
    pub validation: String,
}

impl ValidateRequest {
    /// The name, or what is wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<RuleId, Problem> {
        let mut errors = FieldErrors::new();
        let id = RuleId::new(&self.validation);
        if !id.is_valid() {
            errors.push("/validation", FieldCode::Malformed, "1 to 40 of a-z, 0-9, '-' and '_'");
        }
        errors.finish(Some(id))
    }
}

/// The answer: what was given. A merchant learns nothing else of the stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatedView {
    /// The stay.
    pub reservation_id: String,
    /// What was given towards it.
    pub validation: String,
}
