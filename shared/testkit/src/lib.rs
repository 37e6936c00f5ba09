//! The real DynamoDB client on an engine inside the process, with faults injected under it.
//!
//! Promises: production code under test is unchanged (the seam is the SDK's HTTP connector), the engine is real (SQL on
//! disk or in memory, conditions and transactions evaluated), every fault is repeatable from its call number or seed.
//! Refuses to know: what Parkade stores. Only tests and the local server depend on this crate.

mod connector;
mod engine;
mod faults;
mod limits;
mod meter;
mod tables;

pub use engine::{Engine, EngineError, Refusal};
pub use faults::{Call, Fault, Faults, LOG_MAX, Rates};
pub use meter::{Meter, Units, Usage};
pub use tables::{CALENDAR, DERIVED, IndexSpec, Key, LEDGER, RECORDS, TABLES, TableSpec};
