//! Lets the claims of vehicles that stay beyond their time follow them, and gives the next driver another spot while there is one.

use chrono::{DateTime, Utc};
use parkade_domain::decide::Dossier;
use parkade_domain::reservation::DueKind;
use parkade_events::{SweepReport, Swept, sweep};
use parkade_runtime::{Deps, EventFailure};
use parkade_store::{Cause, CommandError, Order, Store};

/// Extends every claim that has ended with its vehicle inside, by the lot's step. Running it twice, or two at once, extends each once.
///
/// # Errors
/// [`EventFailure`] if any failed, after all the others were dealt with.
pub async fn handle(deps: &Deps, now: DateTime<Utc>) -> Result<SweepReport, EventFailure> {
    let now_s = now.timestamp();
    sweep(&deps.store, DueKind::Overstay, now_s, |found| follow(&deps.store, found, now_s))
        .await
        .map_err(|error| EventFailure::new(error.code(), &error))
}

async fn follow(store: &Store, found: Dossier, now_s: i64) -> Result<Swept, CommandError> {
    // No claim any more: the vehicle has left since the index was read.
    let Some(claim) = found.reservation.claims.first() else { return Ok(Swept::LeftAlone) };
    let order = Order::system(found.reservation.id, Cause::Overstay, claim.end().0, now_s);
    match Box::pin(store.overstay(&order)).await {
        // The vehicle stands where the next one was to stand, and there is no other spot: that driver has been told, or an operator
        // has closed the spot. The next run tries again, because a spot may become free.
        Err(CommandError::SpotTaken) => Ok(Swept::LeftAlone),
        result => Swept::of(result),
    }
}
