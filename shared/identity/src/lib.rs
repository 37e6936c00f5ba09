//! Who is asking, what they may do, and the keys that keep plates unreadable.
//!
//! This crate promises: one place that turns a request's credentials into a [`Principal`], permission as a value that only
//! [`permit`] can make, and keyed hashing and encryption of personal data. It refuses to know: HTTP answers, storage, the
//! environment.

pub mod contacts;
pub mod keys;
pub mod permit;
pub mod principal;

pub use contacts::Contact;
pub use keys::{CipherError, Keys, QUOTE_TAG_BYTES, fingerprint};
pub use permit::{
    AllLotsPermit, ChangePermit, Denied, DriverPermit, GatePermit, OperatorPermit, OwnerPermit, StayPermit,
    ValidationPermit,
};
pub use permit::{
    permit_all_lots, permit_change, permit_driver, permit_gate, permit_operator, permit_own, permit_stay,
    permit_validation,
};
pub use principal::{AuthError, DevTokens, Identity, Principal, Role};
