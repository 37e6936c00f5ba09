//! `PATCH /v1/reservations/{id}`: extends, shortens, moves in time or to another spot. The claim is swapped whole: there is never a
//! moment with neither or both (I10).

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::reserve::{ModifyInput, ModifyRequest};
use parkade_api::wire::time_at;
use parkade_api::{Answer, Code, Problem, RequestId, if_match_version, path_reservation, read_json, respond_to};
use parkade_domain::ids::ReservationId;
use parkade_domain::reservation::{Mark, Reservation, Seen};
use parkade_domain::time::{Minute, Window};
use parkade_domain::zone::LotZone;
use parkade_identity::Principal;
use parkade_runtime::Deps;
use parkade_runtime::access::change_access;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::{key_or, lot, mark, stay_view};
use parkade_store::{Modification, Order};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = modify(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn modify(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let access = change_access(&principal)?;
    let id = path_reservation(request, "id")?;
    let expected_version = if_match_version(request.headers())?;
    let input = read_json::<ModifyRequest>(request)?.check()?;
    // Local times are read in the lot's zone, which the reservation tells.
    let stay = deps.store.dossier(id, &access).await.map_err(command_problem)?.reservation;
    let zone = lot(&deps.store, &stay.lot).await?.lot.zone;
    let wish = wish(zone, &input)?;
    let mark = name(deps, &principal, request, (id, expected_version, &wish))?;
    if stay.seen(mark) == Seen::New {
        refuse_reversed(&stay, &wish)?;
    }
    let order = Order { id, access, mark, expected_version, now_s: now.timestamp() };
    let done = deps.store.modify(&order, &wish).await.map_err(command_problem)?;
    let stay = &done.dossier.reservation;
    if !done.replayed {
        tracing::info!(reservation.id = %id, "modified reservation {id}");
    }
    Ok(Answer::ok(&stay_view(&deps.store, stay).await?)?.version(stay.version).replayed(done.replayed))
}

fn wish(zone: LotZone, input: &ModifyInput) -> Result<Modification, Problem> {
    let time =
        |pointer: &str, text: &Option<String>| text.as_ref().map(|text| time_at(zone, pointer, text)).transpose();
    let start = time("/start_time", &input.start)?;
    Ok(Modification { start, end: time("/end_time", &input.end)?, spot: input.spot.clone() })
}

/// Without a key, the version the client has seen names the command together with what is asked; without a version, the request
/// itself does, because the same change is a new one after another change came between.
fn name(
    deps: &Deps,
    principal: &Principal,
    request: &Request<Vec<u8>>,
    (id, expected_version, wish): (ReservationId, Option<u32>, &Modification),
) -> Result<Mark, Problem> {
    let minute = |minute: Option<Minute>| minute.map(|minute| minute.to_string()).unwrap_or_default();
    let (id, start, end) = (id.to_string(), minute(wish.start), minute(wish.end));
    let spot = wish.spot.as_deref().unwrap_or_default();
    let seen = expected_version.map_or_else(|| RequestId::of(request).0, |version| format!("v{version}"));
    let key = key_or(request.headers(), &["modify", &id, &seen, &start, &end, spot])?;
    let asked = ["modify", &id, &start, &end, spot].map(str::as_bytes);
    Ok(mark(deps.identity.keys(), &principal.subject, &key, &asked))
}

fn refuse_reversed(stay: &Reservation, wish: &Modification) -> Result<(), Problem> {
    let (start, end) = (wish.start.unwrap_or(stay.window.start()), wish.end.unwrap_or(stay.window.end()));
    let pointer = if wish.end.is_some() { "/end_time" } else { "/start_time" };
    let window = Window::new(start, end).map(drop);
    window.map_err(|error| Problem::at(Code::WindowReversed, pointer, error.to_string()))
}
