//! Tells drivers that their booking begins or their time ends soon, and sends what has waited for the end of quiet hours.
//!
//! Each run looks at the minutes since the last one, moved ahead by the lead; what a run misses the next one has. Bookings made later than the
//! lead before their start are not in any run's minutes: their confirmation has just been sent.

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use parkade_domain::ids::ReservationId;
use parkade_domain::notice::{EXPIRY_LEAD_MINUTES, Occasion, REMINDER_LEAD_MINUTES, upcoming};
use parkade_domain::reservation::DueKind;
use parkade_domain::time::Minute;
use parkade_events::chain;
use parkade_notify::{Courier, Notifier, TellError, Telling, Told};
use parkade_runtime::EventFailure;
use parkade_store::{Access, CommandError, StoreError};
use serde::Serialize;
use thiserror::Error;
use tracing::warn;

/// Messages under way at a time, as of a sweep's commands.
const CONCURRENCY_MAX: usize = 8;

/// What one run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Stays and waiting messages that were looked at.
    pub looked_at: usize,
    /// Messages sent.
    pub sent: usize,
    /// Messages that wait for the end of quiet hours.
    pub waiting: usize,
    /// Tries that failed. The next run has them again.
    pub failed: usize,
}

/// A run that did not do all it should have.
#[derive(Debug, Error)]
enum RunError {
    #[error("what is about to happen could not be read")]
    Store(#[source] StoreError),
    #[error("{} of {} could not be told", .0.failed, .0.looked_at)]
    Failed(Report),
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Why one stay's driver was not told.
#[derive(Debug, Error)]
enum Failure {
    #[error("the reservation cannot be read")]
    Reservation(#[source] CommandError),
    #[error("its lot cannot be read")]
    Lot(#[source] StoreError),
    #[error("it was not told")]
    Tell(#[source] TellError),
}

/// Tells everything that is due. Running it twice, or two at once, tells each once.
///
/// # Errors
/// [`EventFailure`] if any failed, after all the others were dealt with.
pub async fn handle<N: Notifier + Sync>(courier: &Courier<N>, now: DateTime<Utc>) -> Result<Report, EventFailure> {
    // Boxed, as in a sweep: the layout of the future of main would otherwise be nested deeper than the compiler looks.
    Box::pin(run(courier, now)).await.map_err(|error| {
        let code = match error {
            RunError::Store(_) => "remind_store_failed",
            RunError::Failed(_) => "remind_incomplete",
        };
        EventFailure::new(code, &error)
    })
}

async fn run<N: Notifier + Sync>(courier: &Courier<N>, now: DateTime<Utc>) -> Result<Report, RunError> {
    let (store, minute) = (&courier.store, Minute::floor(now));
    let mut report = Report::default();
    let waiting = Box::pin(store.notices_due(now.timestamp())).await?;
    let work = waiting.into_iter().map(|event_id| {
        let told = async move {
            let told = courier.tell_waiting(&event_id, now).await.map_err(Failure::Tell);
            (event_id, told)
        };
        told.boxed()
    });
    all(work.collect(), &mut report).await;

    let last = store.reminded_until().await?.unwrap_or(minute.plus(-1));
    let mut reminders = Report::default();
    for (kind, lead) in [(DueKind::NoShow, REMINDER_LEAD_MINUTES), (DueKind::Overstay, EXPIRY_LEAD_MINUTES)] {
        // After a long pause only what has not happened yet is told.
        let (after, until) = (last.max(minute.plus(-lead)).plus(lead), minute.plus(lead));
        if after >= until {
            continue;
        }
        let found = Box::pin(store.soon(kind, after, until)).await?;
        let work = found
            .into_iter()
            .map(|id| async move { (id.to_string(), one(courier, id, (after, until), now).await) }.boxed());
        all(work.collect(), &mut reminders).await;
    }
    if reminders.failed == 0 {
        store.note_reminded_until(minute).await?;
    }
    report.add(reminders);
    if report.failed == 0 { Ok(report) } else { Err(RunError::Failed(report)) }
}

/// Tells the driver of one stay whose time may lie in `(after, until]`.
async fn one<N: Notifier + Sync>(
    courier: &Courier<N>,
    id: ReservationId,
    (after, until): (Minute, Minute),
    now: DateTime<Utc>,
) -> Result<Told, Failure> {
    let store = &courier.store;
    let dossier = match store.dossier(id, &Access::System).await {
        Err(CommandError::NotFound) => return Ok(Told::Nothing),
        other => other.map_err(Failure::Reservation)?,
    };
    let lot = store.lot(&dossier.reservation.lot).await.map_err(Failure::Lot)?;
    let occasion = lot.and_then(|facts| upcoming(&dossier.reservation, &facts.lot));
    let (name, at) = match occasion {
        Some(Occasion::StartsSoon(start)) => ("reminder", start),
        Some(Occasion::EndsSoon(end)) => ("expiring", end),
        _ => return Ok(Told::Nothing),
    };
    // The index was read where times of other lots would be as well.
    let (Some(occasion), true) = (occasion, after < at && at <= until) else { return Ok(Told::Nothing) };
    let event_id = format!("{}#{name}#{}", id.code(), at.0);
    courier.tell(&Telling { event_id, reservation: id, occasion }, now).await.map_err(Failure::Tell)
}

/// One message's way, boxed, so that the function's own future stays small however much it takes.
type Work<'a> = BoxFuture<'a, (String, Result<Told, Failure>)>;

/// Does all of it, some at a time; one that fails or panics stops no other.
async fn all(work: Vec<Work<'_>>, report: &mut Report) {
    let work: Vec<_> = work.into_iter().map(|one| AssertUnwindSafe(one).catch_unwind()).collect();
    let mut outcomes = stream::iter(work).buffer_unordered(CONCURRENCY_MAX);
    while let Some(outcome) = outcomes.next().await {
        report.looked_at += 1;
        let (id, failure) = match outcome {
            Ok((_, Ok(told))) => {
                report.sent += usize::from(told == Told::Sent);
                report.waiting += usize::from(told == Told::Waits);
                continue;
            }
            Ok((id, Err(failure))) => (id, chain(&failure)),
            Err(_) => ("one".to_owned(), "it panicked".to_owned()),
        };
        report.failed += 1;
        warn!("{id} was not told and is tried again: {failure}");
    }
}

impl Report {
    const fn add(&mut self, other: Self) {
        self.looked_at += other.looked_at;
        self.sent += other.sent;
        self.waiting += other.waiting;
        self.failed += other.failed;
    }
}
