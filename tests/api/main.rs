//! The API, function by function, in process and on the embedded engine: what each answers, what it refuses, and that asking again
//! is safe.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod adjustments;
mod bad_input;
mod cards;
mod exceptions;
mod gate;
mod harness;
mod ledger;
mod lots;
mod means;
mod payments;
mod preferences;
mod prices;
mod problems;
mod receipts;
mod recurring;
mod retries;
mod story;
mod tariffs;
mod tenants;
mod validations;
