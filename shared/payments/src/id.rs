//! Ids the provider gives out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Stripe reserves the right to this length.
const CHARS_MAX: usize = 255;

/// Not 1 to 255 characters out of letters, digits and `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a provider id has 1 to 255 characters out of letters, digits and '_'")]
pub struct InvalidProviderId;

/// An object's id at the provider: `pi_…`, `re_…`. Safe in a path and in a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProviderId(String);

impl ProviderId {
    /// Takes an id as the provider wrote it.
    ///
    /// # Errors
    /// [`InvalidProviderId`] if it is empty, too long or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidProviderId> {
        let text = text.into();
        let allowed = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if allowed && (1..=CHARS_MAX).contains(&text.len()) { Ok(Self(text)) } else { Err(InvalidProviderId) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ProviderId {
    type Err = InvalidProviderId;

    fn from_str(text: &str) -> Result<Self, InvalidProviderId> {
        Self::new(text)
    }
}

impl TryFrom<String> for ProviderId {
    type Error = InvalidProviderId;

    fn try_from(text: String) -> Result<Self, InvalidProviderId> {
        Self::new(text)
    }
}

impl From<ProviderId> for String {
    fn from(id: ProviderId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        for text in ["", "pi/../refunds", "pi_1?x", "pi 1", "pi_é", &"p".repeat(256)] {
            assert_eq!(ProviderId::new(text), Err(InvalidProviderId), "{text}");
        }
        assert_eq!(ProviderId::new("pi_3Nx0").unwrap().as_str(), "pi_3Nx0");
    }
}
