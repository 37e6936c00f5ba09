//! Field errors, collected so that a client learns of all of them at once.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;

use crate::problem::Problem;
use crate::registry::FieldCode;

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, `/query/<name>` or `/header/<name>`.
    pub pointer: String,
    /// A [`FieldCode`] or a problem's code.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

/// Most errors reported at once; an import of 2,000 broken spots need not be answered with 2,000 sentences.
pub const FIELD_ERRORS_MAX: usize = 50;

/// Collects field errors.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// No errors yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error; beyond [`FIELD_ERRORS_MAX`] they are dropped.
    pub fn push(&mut self, pointer: impl Into<String>, code: FieldCode, detail: impl Into<String>) {
        if self.0.len() < FIELD_ERRORS_MAX {
            self.0.push(FieldError { pointer: pointer.into(), code: code.as_str(), detail: detail.into() });
        }
    }

    /// Parses a text field; a failure is collected as [`FieldCode::Invalid`] with the parser's sentence.
    pub fn parse<T: FromStr<Err: Display>>(&mut self, pointer: &str, text: &str) -> Option<T> {
        self.take(pointer, text.parse())
    }

    /// Takes the value of a conversion; a failure is collected as [`FieldCode::Invalid`] with its sentence.
    pub fn take<T, E: Display>(&mut self, pointer: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.push(pointer, FieldCode::Invalid, error.to_string());
                None
            }
        }
    }

    /// Takes a value that must be present.
    pub fn required<T>(&mut self, pointer: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.push(pointer, FieldCode::Required, "needed here");
        }
        value
    }

    /// Takes the errors of a validated document (a policy, a tariff) that stands at `pointer` in the body.
    pub fn document(&mut self, pointer: &str, errors: Vec<parkade_domain::tariff::FieldError>) {
        for error in errors.into_iter().take(FIELD_ERRORS_MAX.saturating_sub(self.0.len())) {
            let pointer = format!("{pointer}{}", error.pointer);
            self.0.push(FieldError { pointer, code: error.code, detail: error.detail });
        }
    }

    /// A text of 1 to `chars_max` characters without control characters.
    pub fn text(&mut self, pointer: &str, text: String, chars_max: usize) -> Option<String> {
        let chars = text.chars().count();
        if chars == 0 || text.chars().any(char::is_control) {
            self.push(pointer, FieldCode::Invalid, "needs at least one character, and no control characters");
        } else if chars > chars_max {
            self.push(pointer, FieldCode::TooLong, format!("at most {chars_max} characters"));
        } else {
            return Some(text);
        }
        None
    }

    /// Whether nothing was wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of the check.
    ///
    /// # Errors
    /// `invalid_fields` with everything collected.
    pub fn into_result(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(self.0)) }
    }

    /// The end of a check that made a value. The value is there if and only if nothing was wrong.
    ///
    /// # Errors
    /// `invalid_fields` with everything collected.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => {
                if self.0.is_empty() {
                    self.push("", FieldCode::Invalid, "the request is incomplete");
                }
                Err(Problem::invalid_fields(self.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_collected_up_to_the_limit() {
        let mut errors = FieldErrors::new();
        assert_eq!(errors.parse::<u8>("/a", "300"), None);
        assert_eq!(errors.parse::<u8>("/b", "3"), Some(3));
        assert_eq!(errors.required::<u8>("/c", None), None);
        let problem = errors.finish(Some(1)).unwrap_err();
        assert_eq!(problem.errors().iter().map(|e| e.pointer.as_str()).collect::<Vec<_>>(), ["/a", "/c"]);

        let mut many = FieldErrors::new();
        for index in 0..1_000 {
            many.push(format!("/spots/{index}"), FieldCode::Duplicate, "twice");
        }
        assert_eq!(many.into_result().unwrap_err().errors().len(), FIELD_ERRORS_MAX);
    }

    #[test]
    fn a_check_without_value_and_without_error_is_still_refused() {
        assert!(FieldErrors::new().finish::<u8>(None).is_err());
        assert_eq!(FieldErrors::new().finish(Some(1)).unwrap(), 1);
        assert!(FieldErrors::new().into_result().is_ok());
    }
}
