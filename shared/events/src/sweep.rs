//! What the clock has to do, reservation by reservation: none waits for another, and one that fails stops nothing.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt as _, StreamExt as _, stream};
use parkade_domain::decide::{Dossier, Refusal};
use parkade_domain::ids::ReservationId;
use parkade_domain::reservation::DueKind;
use parkade_store::{Access, CommandError, Done, Store, StoreError};
use serde::Serialize;
use thiserror::Error;
use tracing::error;

use crate::batch::chain;

/// Commands under way at a time: enough to hide the store's latency, too few to crowd out drivers.
const CONCURRENCY_MAX: usize = 8;
/// Reservations dealt with in one run, which takes about half of the function's 50 seconds. The others are still due a minute later.
pub const PER_RUN_MAX: usize = 8_000;

/// What one run found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SweepReport {
    /// Reservations found due. What exceeds the sum of the next three was left to the next run.
    pub due: usize,
    /// Changed.
    pub done: usize,
    /// Not changed because it was not due any more: paid, cancelled or entered meanwhile, or done by an earlier run.
    pub left_alone: usize,
    /// Failed. They stay due and are tried again by the next run.
    pub failed: usize,
    /// Index items read to find them.
    pub items_read: usize,
}

/// A run that did not do all it should have.
#[derive(Debug, Error)]
pub enum SweepError {
    /// What is due could not be read.
    #[error("what is due could not be read")]
    Due(#[source] StoreError),
    /// Some reservations failed; all others were dealt with.
    #[error("{} of {} due reservations failed", .0.failed, .0.due)]
    Failed(SweepReport),
}

impl SweepError {
    /// Stable code, for alarms.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Due(_) => "sweep_store_failed",
            Self::Failed(_) => "sweep_incomplete",
        }
    }
}

/// What became of one reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// It was changed.
    Done,
    /// There was nothing to do.
    LeftAlone,
}

impl Swept {
    /// What a command's result means to a sweep: that somebody else was faster is no failure.
    ///
    /// # Errors
    /// The command's error if it is one.
    pub fn of(result: Result<Done, CommandError>) -> Result<Self, CommandError> {
        match result {
            Ok(Done { replayed, .. }) => Ok(if replayed { Self::LeftAlone } else { Self::Done }),
            Err(CommandError::NotFound | CommandError::Refused(Refusal::State(_) | Refusal::NotDue(_))) => {
                Ok(Self::LeftAlone)
            }
            Err(error) => Err(error),
        }
    }
}

/// Calls `each` with every reservation of a kind that is due at `now_s`.
///
/// # Errors
/// [`SweepError`], after everything that can be done was done.
pub async fn sweep<Fut>(
    store: &Store,
    kind: DueKind,
    now_s: i64,
    each: impl Fn(Dossier) -> Fut,
) -> Result<SweepReport, SweepError>
where
    Fut: Future<Output = Result<Swept, CommandError>>,
{
    // Boxed: the layout of the future of main would otherwise be nested deeper than the compiler looks.
    let found = Box::pin(store.due(kind, now_s)).await.map_err(SweepError::Due)?;
    let mut report = SweepReport { due: found.due.len(), items_read: found.items_read, ..SweepReport::default() };
    let one = async |id: ReservationId| -> Result<Swept, CommandError> {
        match store.dossier(id, &Access::System).await {
            Ok(dossier) => each(dossier).await,
            other => Swept::of(other.map(|dossier| Done { dossier, replayed: true })),
        }
    };
    let work = found.due.into_iter().take(PER_RUN_MAX);
    // A panic leaves nothing behind that another reservation could see: all state is in the store.
    // Boxed, so that the function's own future stays small however much one reservation takes.
    let work = work.map(|id| AssertUnwindSafe(Box::pin(one(id))).catch_unwind().map(move |result| (id, result)));
    let mut outcomes = stream::iter(work).buffer_unordered(CONCURRENCY_MAX);
    while let Some((id, outcome)) = outcomes.next().await {
        let failure = match outcome {
            Ok(Ok(Swept::Done)) => {
                report.done += 1;
                continue;
            }
            Ok(Ok(Swept::LeftAlone)) => {
                report.left_alone += 1;
                continue;
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => "it panicked".to_owned(),
        };
        report.failed += 1;
        error!(reservation.id = %id, "sweeping {id} failed: {failure}");
    }
    if report.failed == 0 { Ok(report) } else { Err(SweepError::Failed(report)) }
}
