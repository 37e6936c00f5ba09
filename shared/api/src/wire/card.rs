//! Saved cards and automatic billing.

use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::vehicle::{PlateFields, PlateInput};

/// Longest name of the provider's that is taken.
const NAME_CHARS_MAX: usize = 255;
/// Plates that a request may name; the store takes fewer.
const PLATES_MAX: usize = 5;

/// Body of `POST /v1/users/{id}/payment-methods`: empty to begin, or the setup that the driver has finished.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveCardRequest {
    /// The provider's id of the setup, from the answer to the beginning.
    pub setup_intent_id: Option<String>,
}

impl SaveCardRequest {
    /// The setup to finish, if there is one.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<Option<String>, Problem> {
        let Some(id) = self.setup_intent_id else { return Ok(None) };
        let mut errors = FieldErrors::new();
        let id = name("/setup_intent_id", id, &mut errors);
        errors.finish(id).map(Some)
    }
}

/// Body of `PUT /v1/users/{id}/automatic-payment`: what an exit may bill by itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutomaticRequest {
    /// A saved card; `null` to bill nothing automatically.
    pub payment_method: Option<String>,
    /// Plates that are billed to it when they drive up without a reservation, each with its region: only an exact match is billed (G7).
    #[serde(default)]
    pub plates: Vec<PlateFields>,
}

/// A checked [`AutomaticRequest`].
#[derive(Debug, Clone)]
pub struct AutomaticInput {
    /// The card, if any.
    pub method: Option<String>,
    /// The plates.
    pub plates: Vec<PlateInput>,
}

impl AutomaticRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<AutomaticInput, Problem> {
        let mut errors = FieldErrors::new();
        let named = self.payment_method.is_some();
        let method = self.payment_method.and_then(|id| name("/payment_method", id, &mut errors));
        if self.plates.len() > PLATES_MAX {
            errors.push("/plates", FieldCode::TooMany, format!("at most {PLATES_MAX} plates"));
        }
        if !named && !self.plates.is_empty() {
            errors.push("/payment_method", FieldCode::Required, "plates are billed to a saved card");
        }
        let mut plates = Vec::new();
        for (position, plate) in self.plates.into_iter().take(PLATES_MAX).enumerate() {
            let pointer = format!("/plates/{position}");
            let plate = plate.check(&pointer, &mut errors);
            if plate.as_ref().is_some_and(|plate| plate.plate.region().is_none()) {
                errors.push(
                    format!("{pointer}/region"),
                    FieldCode::Required,
                    "equal plates of two regions are two cars",
                );
            }
            plates.extend(plate);
        }
        errors.finish(Some(AutomaticInput { method, plates }))
    }
}

fn name(pointer: &str, text: String, errors: &mut FieldErrors) -> Option<String> {
    let text = errors.text(pointer, text, NAME_CHARS_MAX)?;
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Some(text);
    }
    errors.push(pointer, FieldCode::Invalid, "letters, digits and '_' only");
    None
}

/// A setup that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSetupView {
    /// The provider's id of the setup.
    pub setup_intent_id: String,
    /// With it the driver's app enters the card at the provider.
    pub client_secret: String,
}

/// A saved card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardView {
    /// The provider's id.
    pub id: String,
    /// For example `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// 1 to 12.
    pub exp_month: u8,
    /// Four digits.
    pub exp_year: u16,
    /// Whether an exit bills it by itself.
    pub automatic: bool,
}

/// What a user pays with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardsView {
    /// The saved cards.
    pub payment_methods: Vec<CardView>,
    /// How many plates are billed automatically. Plates are kept as keyed hashes here, so they cannot be shown.
    pub automatic_plates: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_billing_needs_plates_that_are_exact_and_lists_all_that_is_wrong() {
        let body = r#"{"payment_method": "pm 1", "plates": [{"text": "B PK 1"}, {"region": "DE", "text": "!"}]}"#;
        let problem = serde_json::from_str::<AutomaticRequest>(body).unwrap().check().unwrap_err();
        let pointers: Vec<_> = problem.errors().iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/payment_method", "/plates/0/region", "/plates/1"]);
        let none = serde_json::from_str::<AutomaticRequest>(r#"{"payment_method": null}"#).unwrap().check().unwrap();
        assert_eq!((none.method, none.plates.len()), (None, 0));
        let body = r#"{"payment_method": null, "plates": [{"region": "DE", "text": "B PK 1"}]}"#;
        let problem = serde_json::from_str::<AutomaticRequest>(body).unwrap().check().unwrap_err();
        let errors: Vec<_> = problem.errors().iter().map(|error| (error.pointer.as_str(), error.code)).collect();
        assert_eq!(errors, [("/payment_method", "required")], "nobody keeps a plate from others without paying for it");
    }
}
