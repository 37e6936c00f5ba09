//! Times of requests, read in the lot's zone, and the refusals of windows.

use parkade_domain::policy::WindowRefusal;
use parkade_domain::time::{Minute, Window};
use parkade_domain::zone::{LotZone, ZoneError};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::{Code, FieldCode};

/// Reads the time at `pointer`: RFC 3339 with an offset, or local in the lot's zone.
///
/// # Errors
/// `local_time_gap` for a local time that the clocks skip, `window_off_grid` for seconds, `invalid_fields` for anything else
/// that is no time.
pub fn time_at(zone: LotZone, pointer: &str, text: &str) -> Result<Minute, Problem> {
    zone.parse_time(text).map_err(|error| refused_time(pointer, &error))
}

/// Reads the window between the times at `/start_time` and `/end_time`.
///
/// # Errors
/// As [`time_at`], and `window_reversed` unless the window ends after it starts.
pub fn window_at(zone: LotZone, start: &str, end: &str) -> Result<Window, Problem> {
    let (from, until) = match (zone.parse_time(start), zone.parse_time(end)) {
        (Ok(from), Ok(until)) => (from, until),
        (Err(error), Ok(_)) => return Err(refused_time("/start_time", &error)),
        (Ok(_), Err(error)) => return Err(refused_time("/end_time", &error)),
        (Err(first), Err(second)) => return Err(refused_times(&first, &second)),
    };
    Window::new(from, until).map_err(|error| Problem::at(Code::WindowReversed, "/end_time", error.to_string()))
}

/// The problem of a window that the lot's policy refuses (T11): a code for each reason.
#[must_use]
pub fn refused_window(refusal: WindowRefusal) -> Problem {
    let (code, pointer) = match refusal {
        WindowRefusal::InPast => (Code::WindowInPast, "/start_time"),
        WindowRefusal::OffGrid { .. } => (Code::WindowOffGrid, "/start_time"),
        WindowRefusal::TooShort { .. } => (Code::WindowTooShort, "/end_time"),
        WindowRefusal::TooLong { .. } => (Code::WindowTooLong, "/end_time"),
        WindowRefusal::TooSoon { .. } => (Code::WindowTooSoon, "/start_time"),
        WindowRefusal::BeyondHorizon { .. } => (Code::WindowBeyondHorizon, "/start_time"),
    };
    Problem::at(code, pointer, refusal.to_string())
}

fn refused_time(pointer: &str, error: &ZoneError) -> Problem {
    match error {
        ZoneError::Gap { .. } => Problem::at(Code::LocalTimeGap, pointer, error.to_string()),
        ZoneError::NotWholeMinute => Problem::at(Code::WindowOffGrid, pointer, error.to_string()),
        ZoneError::Malformed | ZoneError::UnknownZone => {
            let mut errors = FieldErrors::new();
            errors.push(pointer, FieldCode::TimeMalformed, error.to_string());
            errors.into_result().err().unwrap_or_else(|| Code::InvalidFields.into())
        }
    }
}

/// Two malformed times are told together; otherwise the first wrong one decides the code.
fn refused_times(start: &ZoneError, end: &ZoneError) -> Problem {
    if !matches!((start, end), (ZoneError::Malformed, ZoneError::Malformed)) {
        return refused_time("/start_time", start);
    }
    let mut errors = FieldErrors::new();
    errors.push("/start_time", FieldCode::TimeMalformed, start.to_string());
    errors.push("/end_time", FieldCode::TimeMalformed, end.to_string());
    errors.into_result().err().unwrap_or_else(|| Code::InvalidFields.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> LotZone {
        LotZone::parse("Europe/Berlin").unwrap()
    }

    fn refused(start: &str, end: &str) -> (Code, Vec<String>) {
        let problem = window_at(berlin(), start, end).unwrap_err();
        (problem.code(), problem.errors().iter().map(|error| error.pointer.clone()).collect())
    }

    #[test]
    fn a_window_is_read_with_offsets_or_in_the_lots_zone() {
        let utc = window_at(berlin(), "2026-07-01T09:00:00Z", "2026-07-01T12:00:00+01:00").unwrap();
        let local = window_at(berlin(), "2026-07-01T11:00", "2026-07-01T13:00:00").unwrap();
        assert_eq!(utc, local);
        assert_eq!(utc.minutes(), 120);
    }

    #[test]
    fn each_wrong_window_has_its_code_and_pointer() {
        let good = "2026-07-01T11:00";
        let cases = [
            (("2026-03-29T02:30", good), Code::LocalTimeGap, vec!["/start_time"]),
            ((good, "2027-03-28T02:00"), Code::LocalTimeGap, vec!["/end_time"]),
            ((good, good), Code::WindowReversed, vec!["/end_time"]),
            ((good, "2026-07-01T10:00"), Code::WindowReversed, vec!["/end_time"]),
            (("2026-07-01T11:00:30", good), Code::WindowOffGrid, vec!["/start_time"]),
            (("tomorrow", good), Code::InvalidFields, vec!["/start_time"]),
            (("tomorrow", ""), Code::InvalidFields, vec!["/start_time", "/end_time"]),
            (("tomorrow", "2026-03-29T02:30"), Code::InvalidFields, vec!["/start_time"]),
            (("2026-13-01T11:00", good), Code::InvalidFields, vec!["/start_time"]),
        ];
        for ((start, end), code, pointers) in cases {
            assert_eq!(refused(start, end), (code, pointers.into_iter().map(str::to_owned).collect()), "{start} {end}");
        }
    }

    #[test]
    fn every_refusal_of_the_policy_keeps_the_domains_code() {
        let refusals = [
            WindowRefusal::InPast,
            WindowRefusal::OffGrid { grid_minutes: 15 },
            WindowRefusal::TooShort { min_minutes: 15 },
            WindowRefusal::TooLong { max_minutes: 60 },
            WindowRefusal::TooSoon { notice_minutes: 5 },
            WindowRefusal::BeyondHorizon { days: 180 },
        ];
        for refusal in refusals {
            assert_eq!(refused_window(refusal).code().entry().code, refusal.code());
        }
    }
}
