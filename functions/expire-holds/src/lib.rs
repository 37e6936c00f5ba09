//! Ends the holds whose time to pay is over. Their spots are free without it, because a hold's expiry is part of every claim (I4); this
//! makes the records say so and the events happen.

use chrono::{DateTime, Utc};
use parkade_domain::decide::Dossier;
use parkade_domain::reservation::DueKind;
use parkade_events::{SweepReport, Swept, sweep};
use parkade_runtime::{Deps, EventFailure};
use parkade_store::{Cause, CommandError, Order, Store};

/// Expires every hold that is due. Running it twice, or two at once, expires each once.
///
/// # Errors
/// [`EventFailure`] if any failed, after all the others were dealt with.
pub async fn handle(deps: &Deps, now: DateTime<Utc>) -> Result<SweepReport, EventFailure> {
    let now_s = now.timestamp();
    sweep(&deps.store, DueKind::HoldExpiry, now_s, |found| expire(&deps.store, found, now_s))
        .await
        .map_err(|error| EventFailure::new(error.code(), &error))
}

async fn expire(store: &Store, found: Dossier, now_s: i64) -> Result<Swept, CommandError> {
    // No expiry any more: it was paid or ended since the index was read.
    let Some(expires_at_s) = found.reservation.hold_expires_at_s else { return Ok(Swept::LeftAlone) };
    let order = Order::system(found.reservation.id, Cause::HoldExpiry, expires_at_s, now_s);
    Swept::of(store.expire(&order).await)
}
