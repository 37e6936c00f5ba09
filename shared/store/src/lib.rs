//! The DynamoDB adapter: the only crate that speaks DynamoDB.
//!
//! Promises: every command is one conditional transaction; a command that is repeated answers from the record; what was read is
//! never trusted for a write that does not carry it as its condition. Refuses to know: HTTP, events, the payment provider, the time of day.

mod attributes;
mod breaker;
mod calendar;
mod commands;
mod documents;
mod error;
mod execute;
mod history;
mod images;
mod items;
mod journal;
mod keys;
mod ledger;
mod lots;
mod notices;
mod occupancy;
mod payers;
mod payments;
mod preferences;
mod pricing;
mod reconciliation;
mod reminders;
mod reserve;
mod search;
mod service;
mod sweeps;
mod tariffs;
mod tills;
mod transact;
mod validations;
mod wallet;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;

pub use commands::{Modification, WalkIn};
pub use error::StoreError;
pub use execute::{Access, Cause, CommandError, Done, Order};
pub use history::is_payment_position;
pub use images::{Block, Image, image};
pub use items::ledger::Batch as SealedBatch;
pub use journal::Journal;
pub use keys::CELL_MICRODEGREES;
pub use ledger::{ENTRIES_PER_SEAL_MAX, Fate, NotSealed, Position};
pub use lots::{LOT_CACHE_S, LotDocuments, LotError, LotFacts, LotPosition};
pub use notices::{Claim, WaitingNotice};
pub use occupancy::{LotDay, LotPage, lot_page};
pub use payers::{CARDS_MAX, Card, PLATES_MAX, Payer, PayerError};
pub use payments::{INSUFFICIENT_CREDIT, Intent, Tender, With};
pub use preferences::PreferencesError;
pub use pricing::{Pricing, Promise};
pub use reconciliation::{Confirmation, Decision, Reconciled};
pub use reserve::Reserve;
pub use search::{Availability, Listing, SpotNow, SpotState};
pub use service::{Displaced, OutOfService, Relocated};
pub use sweeps::Sweep;
pub use tariffs::TariffSummary;

/// The names of the four tables.
#[derive(Debug, Clone)]
pub struct TableNames {
    /// Inventory truth: who claims which spot when.
    pub calendar: String,
    /// Lots, reservations, payments; its stream is the outbox.
    pub records: String,
    /// The double-entry books, which only grow.
    pub ledger: String,
    /// What can be rebuilt: occupancy, sweep watermarks.
    pub derived: String,
}

/// The store. Cloning is cheap and shares the cache of lots.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    tables: Arc<TableNames>,
    lots: Arc<lots::LotCache>,
    crowd: Arc<reserve::Crowd>,
}

impl Store {
    /// A store on a client whose time-outs and retries are set by the caller.
    #[must_use]
    pub fn new(client: Client, tables: TableNames) -> Self {
        Self { client, tables: Arc::new(tables), lots: Arc::default(), crowd: Arc::default() }
    }
}
