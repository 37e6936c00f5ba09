//! What the suites share: a lot to fight over, processes that can die, snapshots of everything stored, and the invariants.
//!
//! Promises: an invariant is checked on the stored bytes and on what the product reads from them, never on what a command answered.
//! Refuses to know: HTTP; these suites drive the store, so that a defect there is not hidden by a function's own retry.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a suite that cannot be set up fails")]

pub mod books;
pub mod given;
pub mod invariants;
pub mod provider;
pub mod purses;
pub mod random;
pub mod snapshot;
pub mod world;

pub use random::Random;
pub use snapshot::Snapshot;
pub use world::{Clock, World};
