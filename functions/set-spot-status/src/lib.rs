//! `PUT /v1/lots/{lot}/spots/{spot}/status`: takes a spot out of service for an interval, or back into service from now on. The
//! reservations in the way are moved or refunded, one by one, and the answer tells what became of each (I7).

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{DisplacedView, SpotStatusInput, SpotStatusRequest, SpotStatusView, refused_window, time_at};
use parkade_api::{Answer, Code, Problem, path_lot, path_text, read_json, respond_to};
use parkade_domain::policy::{LENGTH_MINUTES_MAX, WindowRefusal};
use parkade_domain::time::{Minute, Window};
use parkade_domain::zone::LotZone;
use parkade_identity::{Principal, permit_operator};
use parkade_runtime::Deps;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::{key_or, lot, spot_now, spot_number};
use parkade_store::{CommandError, Displaced, LotFacts, OutOfService, Relocated};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = set_spot_status(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn set_spot_status(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_operator(&principal, &path_lot(request, "lot")?)?;
    let input = read_json::<SpotStatusRequest>(request)?.check()?;
    let facts = lot(&deps.store, permit.lot()).await?;
    let number = path_text(request, "spot");
    let now_s = now.timestamp();
    let displaced = match input {
        SpotStatusInput::OutOfService { from, until, reason } => {
            let key = key(deps, &principal, request, [from.as_deref().unwrap_or_default(), &until])?;
            let window = interval(facts.lot.zone, Minute::floor(now), from.as_deref(), &until)?;
            let (lot, spot, reason) = (permit.lot().clone(), number.to_owned(), reason.unwrap_or_default());
            let wanted = OutOfService { lot, spot, window, reason, key, now_s };
            deps.store.take_out_of_service(&wanted).await.map_err(refused)?
        }
        SpotStatusInput::InService => {
            deps.store.put_in_service(permit.lot(), number, now_s).await.map_err(command_problem)?;
            Vec::new()
        }
    };
    tracing::info!(lot.id = %facts.lot.id, spot.number = number, "changed the service of spot {number}");
    let spot = spot_now(&deps.store, &facts, number, now_s).await?;
    let displaced = displaced.iter().map(|displaced| displaced_view(&facts, displaced)).collect();
    Answer::ok(&SpotStatusView { spot, displaced })
}

/// Names the request, so that its retry is recognised: the client's key, the spot and the interval.
fn key(
    deps: &Deps,
    principal: &Principal,
    request: &Request<Vec<u8>>,
    [from, until]: [&str; 2],
) -> Result<u64, Problem> {
    let (lot, spot) = (path_text(request, "lot"), path_text(request, "spot"));
    let key = key_or(request.headers(), &["out of service"])?;
    let name = [key.as_str(), lot, spot, from, until].join(" ");
    Ok(deps.identity.keys().reservation_hash(&principal.subject, &name))
}

fn interval(zone: LotZone, now: Minute, from: Option<&str>, until: &str) -> Result<Window, Problem> {
    let from = from.map_or(Ok(now), |from| time_at(zone, "/from", from))?;
    let until = time_at(zone, "/until", until)?;
    if until <= now {
        return Err(Problem::at(Code::WindowInPast, "/until", "the interval is over"));
    }
    // What is past cannot be taken back.
    let window = Window::new(from.max(now), until);
    let window = window.map_err(|error| Problem::at(Code::WindowReversed, "/until", error.to_string()))?;
    if window.minutes() > i64::from(LENGTH_MINUTES_MAX) {
        return Err(refused_window(WindowRefusal::TooLong { max_minutes: LENGTH_MINUTES_MAX }));
    }
    Ok(window)
}

fn refused(error: CommandError) -> Problem {
    match error {
        CommandError::SpotTaken => Problem::new(Code::SpotNotAvailable)
            .detail("A vehicle is on the spot, or another interval covers this one."),
        other => command_problem(other),
    }
}

fn displaced_view(facts: &LotFacts, displaced: &Displaced) -> DisplacedView {
    let (outcome, to) = match displaced.result {
        Relocated::Moved { to } => ("moved", Some(to)),
        Relocated::Refunded => ("refunded", None),
        Relocated::Inside => ("inside", None),
    };
    DisplacedView {
        reservation_id: displaced.id.to_string(),
        outcome: outcome.to_owned(),
        spot_id: to.and_then(|to| spot_number(facts, to)).map(str::to_owned),
    }
}
