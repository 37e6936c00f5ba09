//! Recurring reservations (I11): one reservation for all occurrences or nothing, or a reservation for each that can be had.

use http::StatusCode;
use parkade_api::wire::reservation::{OccurrenceView, OccurrencesView};
use parkade_api::wire::{minute_text, refused_window};
use parkade_api::{Answer, Code, FieldCode, FieldErrors, Problem};
use parkade_domain::decide::Refusal;
use parkade_domain::recurrence::{Occurrence, Recurrence, RecurrenceError};
use parkade_domain::time::{Minute, Window};
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::{spot_number, stay_view};
use parkade_store::{CommandError, Done};

use crate::{Asked, created};

/// Of an occurrence that has a reservation.
const BOOKED: &str = "booked";
/// Of an occurrence for which no spot is free.
const CONFLICT: &str = "conflict";
/// Of an occurrence that could be had, but not all of the others.
const NOT_BOOKED: &str = "not_booked";

/// One reservation with every occurrence, on one spot.
pub(crate) async fn all_or_nothing(asked: &Asked<'_>, recurrence: &Recurrence) -> Result<Answer, Problem> {
    let occurrences = expand(asked, recurrence)?;
    let windows: Vec<Window> = occurrences.iter().filter_map(|occurrence| occurrence.window.ok()).collect();
    if let Some(gap) = occurrences.iter().find(|occurrence| occurrence.window.is_err()) {
        let detail = format!("On {} the clocks skip the start or the end.", gap.date);
        return Err(refused(asked, &occurrences, Problem::at(Code::LocalTimeGap, "/recurrence", detail)));
    }
    let done = asked.hold(asked.key, windows, None).await?.map_err(|error| match error {
        CommandError::Refused(Refusal::Window(refusal)) => refused(asked, &occurrences, refused_window(refusal)),
        other => command_problem(other),
    })?;
    let stay = &done.dossier.reservation;
    let view = stay_view(&asked.deps.store, stay).await?;
    let booked = occurrences.iter().map(|occurrence| occurrence_view(occurrence, BOOKED)).collect();
    created(stay, &view.with_occurrences(booked), done.replayed)
}

/// A reservation for each occurrence that can be had, each under a key of its own; the others are told with their reason.
pub(crate) async fn best_effort(asked: &Asked<'_>, recurrence: &Recurrence) -> Result<Answer, Problem> {
    let mut views = Vec::new();
    let (mut booked, mut replayed) = (0, 0);
    for occurrence in expand(asked, recurrence)? {
        let Ok(window) = occurrence.window else {
            views.push(occurrence_view(&occurrence, Code::LocalTimeGap.entry().code));
            continue;
        };
        // The blank keeps it apart from every key that a client can send.
        let key = format!("{} {}", asked.key, occurrence.date);
        match asked.hold(&key, vec![window], None).await? {
            Ok(done) => {
                booked += 1;
                replayed += usize::from(done.replayed);
                views.push(booked_view(asked, &occurrence, &done));
            }
            Err(CommandError::NoSpot | CommandError::SpotTaken) => views.push(occurrence_view(&occurrence, CONFLICT)),
            Err(CommandError::Refused(Refusal::Window(refusal))) => {
                views.push(occurrence_view(&occurrence, refusal.code()));
            }
            Err(error) => return Err(command_problem(error)),
        }
    }
    let status = if booked > 0 { StatusCode::CREATED } else { StatusCode::OK };
    let answer = Answer::json(status, &OccurrencesView { booked, occurrences: views })?;
    Ok(answer.replayed(booked > 0 && booked == replayed))
}

fn expand(asked: &Asked<'_>, recurrence: &Recurrence) -> Result<Vec<Occurrence>, Problem> {
    recurrence.expand(asked.facts.lot.zone).map_err(|error| {
        let code = match error {
            RecurrenceError::Empty => FieldCode::RecurrenceEmpty,
            RecurrenceError::TooMany => FieldCode::RecurrenceTooMany,
            RecurrenceError::NotWholeMinute => FieldCode::TimeNotWholeMinute,
        };
        let mut errors = FieldErrors::new();
        errors.push("/recurrence", code, error.to_string());
        errors.into_result().err().unwrap_or_else(|| Code::InvalidFields.into())
    })
}

/// The problem of a series, with what is wrong with each of its occurrences.
fn refused(asked: &Asked<'_>, occurrences: &[Occurrence], problem: Problem) -> Problem {
    let now = Minute::floor(asked.now);
    let outcome = |occurrence: &Occurrence| match occurrence.window {
        Err(_) => Code::LocalTimeGap.entry().code,
        Ok(window) => {
            asked.facts.lot.policy.check_window(now, window).map_or_else(|refusal| refusal.code(), |()| NOT_BOOKED)
        }
    };
    let views: Vec<_> = occurrences.iter().map(|occurrence| occurrence_view(occurrence, outcome(occurrence))).collect();
    match serde_json::to_value(views) {
        Ok(views) => problem.member("occurrences", views),
        Err(error) => Problem::internal(&error),
    }
}

fn occurrence_view(occurrence: &Occurrence, outcome: &str) -> OccurrenceView {
    OccurrenceView {
        date: occurrence.date.to_string(),
        start_time: occurrence.window.ok().map(|window| minute_text(window.start())),
        end_time: occurrence.window.ok().map(|window| minute_text(window.end())),
        outcome: outcome.to_owned(),
        spot_id: None,
        reservation_id: None,
    }
}

fn booked_view(asked: &Asked<'_>, occurrence: &Occurrence, done: &Done) -> OccurrenceView {
    let stay = &done.dossier.reservation;
    OccurrenceView {
        spot_id: spot_number(&asked.facts, stay.spot).map(str::to_owned),
        reservation_id: Some(stay.id.to_string()),
        ..occurrence_view(occurrence, BOOKED)
    }
}
