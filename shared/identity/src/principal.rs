//! The one extractor of principals: credentials in, [`Principal`] out.
//!
//! Development tokens are all there is so far: `Authorization: Bearer dev.<role>.<subject>[.<lot>]`, with the parts
//! separated by `.` and therefore without `.` inside.
//!
//! | role | lot |
//! |---|---|
//! | `driver`, `admin` | none |
//! | `operator` | optional: without one, every lot |
//! | `gate` | required: the device's subject is its name |
//! | `merchant` | required: the subject is the merchant's name in the lot's tariffs |

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use parkade_domain::ids::{LotId, UserId};
use thiserror::Error;

use crate::keys::Keys;

/// What kind of caller a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reserves, pays and parks for themselves.
    Driver,
    /// Runs one lot, or all of them.
    Operator,
    /// A lane controller of one lot.
    Gate,
    /// Gives validations towards stays of one lot.
    Merchant,
    /// May do everything.
    Admin,
}

/// An authenticated caller. What it may do is decided by [`crate::permit`], never by reading the role elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Driver, operator or device.
    pub subject: UserId,
    /// Kind of caller.
    pub role: Role,
    /// The lot the caller is bound to; always present for [`Role::Gate`] and [`Role::Merchant`], possible for [`Role::Operator`].
    pub lot: Option<LotId>,
}

/// Why a request has no principal. Every one is answered with 401 and nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    /// No `Authorization` header.
    #[error("the request carries no credentials")]
    Missing,
    /// More than one header, another scheme, or text that is no token.
    #[error("the credentials are not a bearer token")]
    Malformed,
    /// A token that is not accepted here.
    #[error("the token is not accepted")]
    Refused,
}

/// Whether development tokens, which anybody can write, are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevTokens {
    /// Laptop and tests.
    On,
    /// Everywhere else: every token is refused.
    Off,
}

/// Turns credentials into principals and lends the keys. Cloning is cheap.
#[derive(Clone)]
pub struct Identity {
    keys: Arc<Keys>,
    dev_tokens: DevTokens,
}

impl Identity {
    /// An identity with these keys.
    #[must_use]
    pub fn new(keys: Keys, dev_tokens: DevTokens) -> Self {
        Self { keys: Arc::new(keys), dev_tokens }
    }

    /// Keys for plates and reservation ids.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The principal named by the `Authorization` header.
    ///
    /// # Errors
    /// [`AuthError`] if there is none, if there are several, or if the token is not accepted.
    pub fn principal(&self, headers: &HeaderMap) -> Result<Principal, AuthError> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(AuthError::Missing)?;
        if values.next().is_some() {
            return Err(AuthError::Malformed);
        }
        let text = value.to_str().map_err(|_| AuthError::Malformed)?;
        let (scheme, token) = text.split_once(' ').ok_or(AuthError::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Malformed);
        }
        match self.dev_tokens {
            DevTokens::On => dev_principal(token),
            DevTokens::Off => Err(AuthError::Refused),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("dev_tokens", &self.dev_tokens).finish_non_exhaustive()
    }
}

impl FromStr for Role {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        match text {
            "driver" => Ok(Self::Driver),
            "operator" => Ok(Self::Operator),
            "gate" => Ok(Self::Gate),
            "merchant" => Ok(Self::Merchant),
            "admin" => Ok(Self::Admin),
            _ => Err(AuthError::Refused),
        }
    }
}

fn dev_principal(token: &str) -> Result<Principal, AuthError> {
    let mut parts = token.split('.');
    let (Some("dev"), Some(role), Some(subject)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(AuthError::Refused);
    };
    let (lot, rest) = (parts.next(), parts.next());
    if rest.is_some() {
        return Err(AuthError::Refused);
    }
    let role: Role = role.parse()?;
    let subject = UserId::new(subject).map_err(|_| AuthError::Refused)?;
    let lot = lot.map(LotId::new).transpose().map_err(|_| AuthError::Refused)?;
    match (role, &lot) {
        (Role::Driver | Role::Admin, None) | (Role::Operator, _) | (Role::Gate | Role::Merchant, Some(_)) => {
            Ok(Principal { subject, role, lot })
        }
        (Role::Driver | Role::Admin, Some(_)) | (Role::Gate | Role::Merchant, None) => Err(AuthError::Refused),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn identity(dev_tokens: DevTokens) -> Identity {
        Identity::new(Keys::from_master(&[7; 32]), dev_tokens)
    }

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        headers
    }

    #[test]
    fn the_token_grammar_accepts_exactly_these() {
        let accepted = [
            ("Bearer dev.driver.alice", Role::Driver, "alice", None),
            ("bearer dev.driver.alice-1_b", Role::Driver, "alice-1_b", None),
            ("Bearer dev.operator.olga", Role::Operator, "olga", None),
            ("Bearer dev.operator.olga.lot-1", Role::Operator, "olga", Some("lot-1")),
            ("Bearer dev.gate.lane-in.lot-1", Role::Gate, "lane-in", Some("lot-1")),
            ("Bearer dev.merchant.cinema.lot-1", Role::Merchant, "cinema", Some("lot-1")),
            ("Bearer dev.admin.root", Role::Admin, "root", None),
        ];
        for (value, role, subject, lot) in accepted {
            let principal = identity(DevTokens::On).principal(&headers(value)).unwrap();
            assert_eq!(principal.role, role, "{value}");
            assert_eq!(principal.subject.as_str(), subject, "{value}");
            assert_eq!(principal.lot.as_ref().map(LotId::as_str), lot, "{value}");
        }
    }

    #[test]
    fn the_token_grammar_refuses_everything_else() {
        let refused = [
            ("", AuthError::Malformed),
            ("Bearer", AuthError::Malformed),
            ("Basic dev.driver.alice", AuthError::Malformed),
            ("Bearer é", AuthError::Malformed),
            ("Bearer ", AuthError::Refused),
            ("Bearer  dev.driver.alice", AuthError::Refused),
            ("Bearer dev.driver.alice ", AuthError::Refused),
            ("Bearer dev", AuthError::Refused),
            ("Bearer dev.driver", AuthError::Refused),
            ("Bearer dev.driver.", AuthError::Refused),
            ("Bearer DEV.driver.alice", AuthError::Refused),
            ("Bearer dev.Driver.alice", AuthError::Refused),
            ("Bearer dev.root.alice", AuthError::Refused),
            ("Bearer dev.driver.alice.lot-1", AuthError::Refused),
            ("Bearer dev.admin.root.lot-1", AuthError::Refused),
            ("Bearer dev.gate.lane-in", AuthError::Refused),
            ("Bearer dev.merchant.cinema", AuthError::Refused),
            ("Bearer dev.gate.lane-in.", AuthError::Refused),
            ("Bearer dev.operator.olga.lot-1.more", AuthError::Refused),
            ("Bearer dev.driver.al#ice", AuthError::Refused),
            ("Bearer dev.driver.al ice", AuthError::Refused),
        ];
        for (value, error) in refused {
            assert_eq!(identity(DevTokens::On).principal(&headers(value)), Err(error), "{value:?}");
        }
    }

    #[test]
    fn no_header_and_two_headers_are_refused() {
        assert_eq!(identity(DevTokens::On).principal(&HeaderMap::new()), Err(AuthError::Missing));
        let mut two = headers("Bearer dev.driver.alice");
        two.append(AUTHORIZATION, HeaderValue::from_static("Bearer dev.admin.root"));
        assert_eq!(identity(DevTokens::On).principal(&two), Err(AuthError::Malformed));
    }

    #[test]
    fn every_token_is_refused_unless_development_tokens_are_on() {
        let value = headers("Bearer dev.admin.root");
        assert_eq!(identity(DevTokens::Off).principal(&value), Err(AuthError::Refused));
    }
}
