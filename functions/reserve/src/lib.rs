//! `POST /v1/reservations`: holds a spot, a named one or the best, for one window or for a recurrence. The reservation's id follows
//! from who asks and the idempotency key, so the record answers every retry by itself.

mod recurring;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::reserve::{Mode, ReserveInput, ReserveRequest, When};
use parkade_api::wire::window_at;
use parkade_api::{Answer, FieldCode, Problem, idempotency_key, read_json, respond_to};
use parkade_domain::decide::NewReservation;
use parkade_domain::ids::{Claimant, ReservationId};
use parkade_domain::reservation::Reservation;
use parkade_domain::time::Window;
use parkade_identity::{DriverPermit, fingerprint, permit_driver};
use parkade_runtime::Deps;
use parkade_runtime::problems::command_problem;
use parkade_runtime::quotes::{Quote, refused_quote};
use parkade_runtime::stays::{lot, stay_view};
use parkade_store::{CommandError, Done, LotFacts, Promise, Reserve};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = reserve(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn reserve(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_driver(&principal)?;
    let key = idempotency_key(request.headers())?;
    let input = read_json::<ReserveRequest>(request)?.check()?;
    let facts = lot(&deps.store, &input.lot).await?;
    let asked = Asked { deps, permit, key, input: &input, facts, now };
    match &input.when {
        When::Once { start, end } => {
            let window = window_at(asked.facts.lot.zone, start, end)?;
            let promise = asked.promise(window)?;
            let done = asked.hold(key, vec![window], promise).await?.map_err(command_problem)?;
            let view = stay_view(&deps.store, &done.dossier.reservation).await?;
            created(&done.dossier.reservation, &view, done.replayed)
        }
        When::Recurring { recurrence, mode: Mode::AllOrNothing } => recurring::all_or_nothing(&asked, recurrence).await,
        When::Recurring { recurrence, mode: Mode::BestEffort } => recurring::best_effort(&asked, recurrence).await,
    }
}

/// One request with everything it needs.
struct Asked<'a> {
    deps: &'a Deps,
    permit: DriverPermit,
    key: &'a str,
    input: &'a ReserveInput,
    facts: Arc<LotFacts>,
    now: DateTime<Utc>,
}

impl Asked<'_> {
    /// What the quote promises that came with the request; it must be for exactly this stay.
    fn promise(&self, window: Window) -> Result<Option<Promise>, Problem> {
        let Some(text) = &self.input.quote else { return Ok(None) };
        let quote = Quote::open(self.deps.identity.keys(), text)?;
        let asked = (&self.input.lot, self.input.vehicle.class, window, &self.input.spot);
        if (&quote.lot, quote.class, quote.window, &quote.spot) != asked {
            return Err(refused_quote(FieldCode::QuoteMismatch, "the quote is for another stay"));
        }
        Ok(Some(quote.promise))
    }

    /// Holds a spot for `windows` under `key`. The outer error is the request's, the inner one this hold's.
    async fn hold(
        &self,
        key: &str,
        windows: Vec<Window>,
        promise: Option<Promise>,
    ) -> Result<Result<Done, CommandError>, Problem> {
        let new = self.new_reservation(key, windows)?;
        let id = new.id;
        let wanted = Reserve { new, spot: self.input.spot.clone(), promise, now_s: self.now.timestamp() };
        let done = self.deps.store.reserve(&wanted).await;
        if done.as_ref().is_ok_and(|done| !done.replayed) {
            tracing::info!(reservation.id = %id, lot.id = %self.input.lot, "held reservation {id}");
        }
        Ok(done)
    }

    fn new_reservation(&self, key: &str, windows: Vec<Window>) -> Result<NewReservation, Problem> {
        let keys = self.deps.identity.keys();
        let ReserveInput { lot, spot, vehicle, plate, .. } = self.input;
        let user = self.permit.subject().clone();
        let id = ReservationId::new(Claimant::Reservation, keys.reservation_hash(&user, key));
        let sealed = plate.as_ref().map(|plate| keys.seal_plate(lot, id, &plate.plate, &plate.typed)).transpose();
        let sealed = sealed.map_err(|error| Problem::internal(&error))?;
        let minutes = windows.iter().flat_map(|window| [window.start(), window.end()]);
        let times: Vec<u8> = minutes.flat_map(|minute| minute.0.to_be_bytes()).collect();
        let flags = [u8::from(vehicle.ev), u8::from(vehicle.accessible_permit)];
        // What the server chooses is left out: a retry may find another spot the best.
        let mut asked: Vec<&[u8]> = vec![
            b"reserve",
            lot.as_str().as_bytes(),
            spot.as_deref().unwrap_or_default().as_bytes(),
            vehicle.class.as_str().as_bytes(),
            &flags,
            sealed.as_ref().map_or(&[], |sealed| sealed.index.as_slice()),
            &times,
        ];
        asked.extend(self.input.quote.as_deref().map(str::as_bytes));
        let fingerprint = fingerprint(&asked);
        Ok(NewReservation { id, lot: lot.clone(), user, vehicle: *vehicle, plate: sealed, windows, fingerprint })
    }
}

/// 201 for the first request and for its retries alike.
fn created(stay: &Reservation, view: &impl serde::Serialize, replayed: bool) -> Result<Answer, Problem> {
    Ok(Answer::created(&format!("/v1/reservations/{}", stay.id), view)?.version(stay.version).replayed(replayed))
}
