//! Compares the provider's account of money with ours, settles what is explainable, and lists the rest for a person.
//!
//! | found | done |
//! |---|---|
//! | a charge or refund that the records have | its fee is booked; if its own entry is missing in the books, that too |
//! | a charge that the records call requested, declined or void, or a refund they call requested | the provider's word is recorded, with all it causes |
//! | a refund that came back | recorded; it is owed again, and an exception until it is given back |
//! | a payout, a fee, a dispute opened or won | booked |
//! | a dispute that was lost | booked as a loss |
//! | money by the books that the provider does not list a day later | an exception |
//! | what the record does not take, or whose record cannot be read | an exception; the others go on |
//! | anything else | an exception with both sides, what was tried, and how to decide |
//! | an open exception that meanwhile explains itself | closed |
//! | money reserved for five days | reserved anew while a driver still needs it, else released (M4) |
//!
//! Each run goes on where the last one stopped, and some hours before: lists of the provider's lag. Everything it writes has an id or a
//! condition, so running it twice, or two at once, or dying anywhere changes nothing.

mod authorisations;
mod missing;
mod open;
mod transaction;
mod transactions;

use chrono::{DateTime, Utc};
use parkade_ledger::EntryError;
use parkade_payments::{PaymentError, StripeClient};
use parkade_runtime::EventFailure;
use parkade_store::{CommandError, NotSealed, Reconciled, Store, StoreError};
use serde::Serialize;
use thiserror::Error;
use tracing::error;

/// How far the first run looks back: nothing was charged before the first deployment, and books that begin later begin here.
const FIRST_LOOK_BACK_S: i64 = 7 * 86_400;
/// Read again by each run: a list of the provider's may show a transaction some hours late.
const OVERLAP_S: i64 = 6 * 3_600;
/// The stretch after which the run's progress is kept.
const STRETCH_S: i64 = 86_400;
/// Stretches of one run: after an outage of a week one run catches up.
const STRETCHES_MAX: usize = 8;

/// What the function needs.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The tables.
    pub store: Store,
    /// The payment provider.
    pub stripe: StripeClient,
    /// Which deployment this is: part of every provider key.
    pub stage: String,
}

/// What one run found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ReconcileReport {
    /// Transactions that no earlier run had explained.
    pub transactions: usize,
    /// Payments that got the provider's word.
    pub settled: usize,
    /// Entries of payments that were missing in the books.
    pub resealed: usize,
    /// New exceptions.
    pub opened: usize,
    /// Exceptions that explained themselves.
    pub closed: usize,
    /// Exceptions that wait for a person.
    pub open: usize,
    /// Reserved money that was reserved anew.
    pub renewed: usize,
    /// Reserved money that was released.
    pub released: usize,
}

/// Why a run ended early. The next one begins where its last stretch began.
#[derive(Debug, Error)]
pub enum Failure {
    /// The provider's account cannot be read.
    #[error("the provider's account cannot be read")]
    Provider(#[source] PaymentError),
    /// The records cannot be read or written.
    #[error("the records cannot be read or written")]
    Records(#[source] CommandError),
    /// An entry was not sealed.
    #[error("the books did not take an entry")]
    Books(#[source] NotSealed),
    /// A transaction makes no entry.
    #[error("a transaction makes no entry")]
    Entry(#[source] EntryError),
}

impl Failure {
    const fn code(&self) -> &'static str {
        match self {
            Self::Provider(_) => "reconcile_provider_failed",
            Self::Records(_) => "reconcile_store_failed",
            Self::Books(_) => "reconcile_books_failed",
            Self::Entry(_) => "reconcile_entry_failed",
        }
    }
}

impl Failure {
    /// Whether only one transaction's record is concerned, and trying again would end the same.
    const fn is_of_one(&self) -> bool {
        match self {
            Self::Entry(_) | Self::Records(CommandError::Store(StoreError::Corrupt { .. })) => true,
            Self::Provider(_) | Self::Books(_) | Self::Records(CommandError::Store(_)) => false,
            Self::Records(_) => true,
        }
    }
}

impl From<PaymentError> for Failure {
    fn from(error: PaymentError) -> Self {
        Self::Provider(error)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Records(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Records(error.into())
    }
}

impl From<NotSealed> for Failure {
    fn from(error: NotSealed) -> Self {
        Self::Books(error)
    }
}

impl From<EntryError> for Failure {
    fn from(error: EntryError) -> Self {
        Self::Entry(error)
    }
}

/// One run.
#[derive(Debug)]
struct Run<'a> {
    deps: &'a Deps,
    now_s: i64,
    report: ReconcileReport,
}

/// Reconciles what has happened since the last run.
///
/// # Errors
/// [`EventFailure`] if the provider or the store failed; what was done before stays done.
pub async fn handle(deps: &Deps, now: DateTime<Utc>) -> Result<ReconcileReport, EventFailure> {
    let run = Run { deps, now_s: now.timestamp(), report: ReconcileReport::default() };
    // Boxed: the layout of the future of main would otherwise be nested deeper than the compiler looks.
    Box::pin(run.reconcile()).await.map_err(|failure| EventFailure::new(failure.code(), &failure))
}

impl Run<'_> {
    async fn reconcile(mut self) -> Result<ReconcileReport, Failure> {
        let before = self.deps.store.reconciled().await?;
        let first_s = self.now_s - FIRST_LOOK_BACK_S;
        let mut done = before.unwrap_or(Reconciled { transactions_s: first_s, sealed_s: first_s });
        for _ in 0..STRETCHES_MAX {
            if done.transactions_s >= self.now_s {
                break;
            }
            let until_s = self.now_s.min(done.transactions_s + STRETCH_S);
            let stretch = [done.transactions_s - OVERLAP_S, until_s];
            Box::pin(self.read_transactions(stretch)).await?;
            Box::pin(self.tend_authorisations(stretch)).await?;
            done.transactions_s = until_s;
            done.sealed_s = Box::pin(self.look_for_missing(done)).await?;
            self.deps.store.advance_reconciled(done).await?;
        }
        Box::pin(self.examine_open()).await?;
        if self.report.open > 0 {
            error!(exceptions = self.report.open, "{} exceptions wait for a decision", self.report.open);
        }
        Ok(self.report)
    }
}
