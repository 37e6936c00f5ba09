//! Gives up on drivers who did not come: their time is free for others, and what the policy leaves of the price is refunded (I13).

use chrono::{DateTime, Utc};
use parkade_domain::decide::Dossier;
use parkade_domain::reservation::DueKind;
use parkade_events::{SweepReport, Swept, sweep};
use parkade_runtime::{Deps, EventFailure};
use parkade_store::{Cause, CommandError, Order, Store};

/// I13: no fee if the lot's entry gate was offline within the window, for nobody could have come in. Gates do not report whether they
/// are online yet, so there is no evidence of an outage; the issue that brings heartbeats looks here.
const GATE_WAS_OFFLINE: bool = false;

/// Ends every reservation, or the occurrence of a series, for which nobody came. Running it twice, or two at once, ends each once.
///
/// # Errors
/// [`EventFailure`] if any failed, after all the others were dealt with.
pub async fn handle(deps: &Deps, now: DateTime<Utc>) -> Result<SweepReport, EventFailure> {
    let now_s = now.timestamp();
    sweep(&deps.store, DueKind::NoShow, now_s, |found| give_up(&deps.store, found, now_s))
        .await
        .map_err(|error| EventFailure::new(error.code(), &error))
}

async fn give_up(store: &Store, found: Dossier, now_s: i64) -> Result<Swept, CommandError> {
    let r = &found.reservation;
    // Of a series the first claim is the occurrence that is awaited.
    let awaited = r.claims.first().map_or(r.window.start(), |claim| claim.start());
    let order = Order::system(r.id, Cause::NoShow, awaited.0, now_s);
    Swept::of(store.no_show(&order, GATE_WAS_OFFLINE).await)
}
