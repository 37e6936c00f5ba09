//! Stored items ↔ domain types, one file per item. A domain type is never the stored type.

pub(crate) mod count;
pub(crate) mod document;
pub(crate) mod exception;
pub(crate) mod ledger;
pub(crate) mod lot;
pub(crate) mod notice;
pub(crate) mod payment;
pub(crate) mod preferences;
pub(crate) mod purse;
pub(crate) mod reservation;
