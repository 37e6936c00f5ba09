//! The books: what a change of money means in double entry, and the hash chain that entries are sealed into.
//!
//! This crate promises: an entry sums to zero by construction and names its cause; the entries of a change are a pure function of the
//! record before and after it, so they can be made again at any time; a chain that was altered anywhere does not verify. It refuses to
//! know: where entries are stored, the provider's protocol, the present.
//!
//! A settled payment is its own ledger entry (ADR 7): nothing is written on the driver's path for the books.

mod account;
mod balances;
mod chain;
mod entry;
mod exception;
mod mapping;
mod month;
mod movement;
mod verify;

pub use account::Account;
pub use balances::{Balances, Overflow};
pub use chain::{Book, Hash, Head, Sealed, genesis, link, seal};
pub use entry::{About, Cause, Entry, EntryError, Posting};
pub use exception::{
    Closed, Exception, ExceptionId, ExceptionKind, Facts, NotAnException, Resolution, TransactionFacts,
};
pub use mapping::{Place, changes_books, money_moved, of_count, of_payment, of_stay, recognised_minor};
pub use month::Month;
pub use movement::{Concerning, Movement, of_fee, of_lost_dispute, of_movement};
pub use verify::{Broken, Fault, Verifier};
