//! `POST /v1/gate/check-in`: lets a vehicle in by its reservation, its code or its plate, or admits it as a drive-up. The answer
//! names the spot.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::gate::{CheckInRequest, Entry};
use parkade_api::wire::vehicle::PlateInput;
use parkade_api::{Answer, Code, Problem, idempotency_key, read_json, respond_to};
use parkade_domain::decide::NewReservation;
use parkade_domain::ids::{Claimant, ReservationId};
use parkade_domain::reservation::{Reservation, Status};
use parkade_domain::time::Minute;
use parkade_domain::vehicle::Vehicle;
use parkade_identity::fingerprint;
use parkade_runtime::Deps;
use parkade_runtime::lanes::{Lane, enrolled_index};
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::{lot, stay_view};
use parkade_store::{Done, WalkIn};

/// Names the command in its fingerprint.
const OPERATION: &str = "check-in";

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = check_in(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn check_in(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let key = idempotency_key(request.headers())?;
    let input = read_json::<CheckInRequest>(request)?.check()?;
    let lane = Lane::of(deps, &principal, &input.lot, now, key)?;
    let done = match input.entry {
        Entry::Reservation(id) => enter(&lane, id).await?,
        Entry::Plate(plate) => {
            let id = right(&lane, &plate).await?.ok_or_else(|| Problem::new(Code::ReservationNotFound))?;
            enter(&lane, id).await?
        }
        Entry::WalkIn { vehicle, plate } => match entitled(&lane, plate.as_ref()).await? {
            Some(id) => enter(&lane, id).await?,
            None => admit(&lane, vehicle, plate.as_ref()).await?,
        },
    };
    let stay = &done.dossier.reservation;
    if !done.replayed {
        tracing::info!(reservation.id = %stay.id, lot.id = %stay.lot, "let {} in", stay.id);
    }
    Ok(Answer::ok(&stay_view(&deps.store, stay).await?)?.version(stay.version).replayed(done.replayed))
}

async fn enter(lane: &Lane<'_>, id: ReservationId) -> Result<Done, Problem> {
    lane.deps.store.check_in(&lane.order(id, OPERATION)).await.map_err(command_problem)
}

/// The stay that a plate may use now, or else the one whose refusal tells the driver the reason.
async fn right(lane: &Lane<'_>, plate: &PlateInput) -> Result<Option<ReservationId>, Problem> {
    let stays = lane.stays_of(plate).await?;
    let waiting = |stay: &&Reservation| matches!(stay.status, Status::Held | Status::Confirmed | Status::CheckedIn);
    // Latest first, so the last is the next to begin.
    Ok(usable(lane, plate, &stays).await?.or(stays.iter().rfind(waiting).map(|stay| stay.id)))
}

/// The reservation of a vehicle that asks for a drive-up's place although it has one.
async fn entitled(lane: &Lane<'_>, plate: Option<&PlateInput>) -> Result<Option<ReservationId>, Problem> {
    match plate {
        Some(plate) => usable(lane, plate, &lane.stays_of(plate).await?).await,
        None => Ok(None),
    }
}

/// The stay that this command used before, or the one that may be used now: one that has begun before one that comes early (T3).
async fn usable(lane: &Lane<'_>, plate: &PlateInput, stays: &[Reservation]) -> Result<Option<ReservationId>, Problem> {
    if let Some(id) = lane.answered(stays, OPERATION) {
        return Ok(Some(id));
    }
    let early_minutes = i64::from(lot(&lane.deps.store, &lane.lot).await?.lot.policy.early_arrival_minutes);
    let now = Minute::floor(lane.now);
    let opens_before = |stay: &Reservation, minute: Minute| {
        let open = stay.claims.first().is_some_and(|claim| claim.start() <= minute && now < claim.end());
        stay.status == Status::Confirmed && open
    };
    let begun = lane.only_one(plate, stays.iter().filter(|stay| opens_before(stay, now)))?;
    let early = || lane.only_one(plate, stays.iter().filter(|stay| opens_before(stay, now.plus(early_minutes))));
    begun.map_or_else(early, |id| Ok(Some(id)))
}

/// A session of its own, on the best free spot. It belongs to who has enrolled the plate, whose card is then billed at the exit (G7), or
/// else to the lane that opened (G14).
async fn admit(lane: &Lane<'_>, vehicle: Vehicle, plate: Option<&PlateInput>) -> Result<Done, Problem> {
    let (keys, lot) = (lane.deps.identity.keys(), lane.lot.clone());
    let id = ReservationId::new(Claimant::WalkIn, keys.reservation_hash(&lane.subject, lane.key));
    let user = match plate.and_then(|plate| enrolled_index(keys, &plate.plate)) {
        // Without an answer the vehicle is a stranger's: the entry degrades to a ticket (G1).
        Some(index) => lane.deps.store.enrolled(&index).await.ok().flatten(),
        None => None,
    };
    let user = user.unwrap_or_else(|| lane.subject.clone());
    let plate = plate.map(|plate| keys.seal_plate(&lot, id, &plate.plate, &plate.typed)).transpose();
    let plate = plate.map_err(|error| Problem::internal(&error))?;
    let fingerprint = fingerprint(&[
        b"walk-in",
        lot.as_str().as_bytes(),
        vehicle.class.as_str().as_bytes(),
        &[u8::from(vehicle.ev), u8::from(vehicle.accessible_permit)],
        plate.as_ref().map_or(&[], |plate| plate.index.as_slice()),
    ]);
    let new = NewReservation { id, lot, user, vehicle, plate, windows: Vec::new(), fingerprint };
    lane.deps.store.walk_in(&WalkIn { new, now_s: lane.now.timestamp() }).await.map_err(command_problem)
}
