//! Making and changing a reservation.

use chrono::{NaiveDate, NaiveTime, Weekday, WeekdaySet};
use parkade_domain::ids::LotId;
use parkade_domain::recurrence::Recurrence;
use parkade_domain::vehicle::Vehicle;
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::spot::NUMBER_CHARS_MAX;
use crate::wire::vehicle::{PlateFields, PlateInput, VehicleFields};

/// Body of `POST /v1/reservations`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReserveRequest {
    /// The lot.
    pub lot_id: String,
    /// The number of a spot; without it the best free one is taken.
    pub spot_id: Option<String>,
    /// What is to be parked.
    pub vehicle: VehicleFields,
    /// The plate, if it is known already.
    pub plate: Option<PlateFields>,
    /// With `end_time`: the window.
    pub start_time: Option<String>,
    /// The first instant after the window.
    pub end_time: Option<String>,
    /// Instead of a window: the same local times on several days.
    pub recurrence: Option<RecurrenceFields>,
    /// The `quote` of a quote for exactly this stay: its price holds until it expires.
    pub quote: Option<String>,
}

/// The same local times on some weekdays (I11).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecurrenceFields {
    /// `mon` to `sun`.
    pub weekdays: Vec<String>,
    /// Local start, `09:00`.
    pub start: String,
    /// Local end, `17:00`; not after `start` means on the next day.
    pub end: String,
    /// First date, `2026-11-02`.
    pub from: String,
    /// The date after the last.
    pub until: String,
    /// What happens when an occurrence cannot be had.
    #[serde(default)]
    pub mode: Mode,
}

/// What happens to the other occurrences when one cannot be had (I11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing is booked.
    #[default]
    AllOrNothing,
    /// They are booked.
    BestEffort,
}

/// A checked [`ReserveRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveInput {
    /// The lot.
    pub lot: LotId,
    /// The number of a spot; `None` for the best free one.
    pub spot: Option<String>,
    /// What is to be parked.
    pub vehicle: Vehicle,
    /// The plate.
    pub plate: Option<PlateInput>,
    /// When. Times are still text: they are read in the lot's zone.
    pub when: When,
    /// The quote as sent.
    pub quote: Option<String>,
}

/// One window or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// One window; read it with [`crate::wire::window_at`].
    Once {
        /// `start_time` as sent.
        start: String,
        /// `end_time` as sent.
        end: String,
    },
    /// The same local times on several days.
    Recurring {
        /// Which days and times.
        recurrence: Recurrence,
        /// What happens when one cannot be had.
        mode: Mode,
    },
}

impl ReserveRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<ReserveInput, Problem> {
        let mut errors = FieldErrors::new();
        let lot = errors.parse("/lot_id", &self.lot_id);
        let spot = self.spot_id.and_then(|spot| errors.text("/spot_id", spot, NUMBER_CHARS_MAX));
        let vehicle = self.vehicle.check("/vehicle", &mut errors);
        let plate = self.plate.and_then(|plate| plate.check("/plate", &mut errors));
        if self.quote.is_some() && self.recurrence.is_some() {
            errors.push("/quote", FieldCode::NotAllowed, "a quote is for one window");
        }
        let quote = self.quote;
        let when = match (self.recurrence, self.start_time, self.end_time) {
            (Some(recurrence), None, None) => recurrence.check(&mut errors),
            (None, start, end) => once(start, end, &mut errors),
            (Some(_), start, _) => {
                let pointer = if start.is_some() { "/start_time" } else { "/end_time" };
                errors.push(pointer, FieldCode::NotAllowed, "a window or a recurrence, not both");
                None
            }
        };
        let input = match (lot, vehicle, when) {
            (Some(lot), Some(vehicle), Some(when)) => Some(ReserveInput { lot, spot, vehicle, plate, when, quote }),
            _ => None,
        };
        errors.finish(input)
    }
}

fn once(start: Option<String>, end: Option<String>, errors: &mut FieldErrors) -> Option<When> {
    let start = errors.required("/start_time", start);
    let end = errors.required("/end_time", end);
    Some(When::Once { start: start?, end: end? })
}

impl RecurrenceFields {
    fn check(self, errors: &mut FieldErrors) -> Option<When> {
        let mut weekdays = WeekdaySet::EMPTY;
        for (position, text) in self.weekdays.iter().enumerate() {
            match weekday(text) {
                Some(day) if weekdays.insert(day) => {}
                Some(_) => errors.push(format!("/recurrence/weekdays/{position}"), FieldCode::Duplicate, "given twice"),
                None => {
                    errors.push(format!("/recurrence/weekdays/{position}"), FieldCode::Invalid, "one of mon to sun");
                }
            }
        }
        if self.weekdays.is_empty() {
            errors.push("/recurrence/weekdays", FieldCode::Empty, "needs a weekday");
        }
        let start = local_time("/recurrence/start", &self.start, errors);
        let end = local_time("/recurrence/end", &self.end, errors);
        let from = date("/recurrence/from", &self.from, errors);
        let until = date("/recurrence/until", &self.until, errors);
        let recurrence = Recurrence { weekdays, start: start?, end: end?, from: from?, until: until? };
        if recurrence.until <= recurrence.from {
            errors.push("/recurrence/until", FieldCode::RecurrenceEmpty, "the date after the last, so after `from`");
            return None;
        }
        Some(When::Recurring { recurrence, mode: self.mode })
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    match text {
        "mon" => Some(Weekday::Mon),
        "tue" => Some(Weekday::Tue),
        "wed" => Some(Weekday::Wed),
        "thu" => Some(Weekday::Thu),
        "fri" => Some(Weekday::Fri),
        "sat" => Some(Weekday::Sat),
        "sun" => Some(Weekday::Sun),
        _ => None,
    }
}

/// chrono also reads one-digit parts and years of any length: a request has exactly one spelling.
fn local_time(pointer: &str, text: &str, errors: &mut FieldErrors) -> Option<NaiveTime> {
    let time = Some(text).filter(|text| text.len() == 5).and_then(|text| NaiveTime::parse_from_str(text, "%H:%M").ok());
    if time.is_none() {
        errors.push(pointer, FieldCode::TimeMalformed, "a local time as HH:MM");
    }
    time
}

fn date(pointer: &str, text: &str, errors: &mut FieldErrors) -> Option<NaiveDate> {
    let date = Some(text).filter(|text| text.len() == 10 && text.starts_with(|c: char| c.is_ascii_digit()));
    let date = date.and_then(|text| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok());
    if date.is_none() {
        errors.push(pointer, FieldCode::TimeMalformed, "a date as YYYY-MM-DD");
    }
    date
}

/// Body of `PATCH /v1/reservations/{id}`; what is left out stays.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifyRequest {
    /// New start.
    pub start_time: Option<String>,
    /// New end.
    pub end_time: Option<String>,
    /// The number of another spot.
    pub spot_id: Option<String>,
}

/// A checked [`ModifyRequest`]: at least one change. Times are read in the lot's zone with [`crate::wire::time_at`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyInput {
    /// New start as sent.
    pub start: Option<String>,
    /// New end as sent.
    pub end: Option<String>,
    /// The number of another spot.
    pub spot: Option<String>,
}

impl ModifyRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`, also if nothing is to be changed.
    pub fn check(self) -> Result<ModifyInput, Problem> {
        let mut errors = FieldErrors::new();
        if self.start_time.is_none() && self.end_time.is_none() && self.spot_id.is_none() {
            errors.push("", FieldCode::Required, "give start_time, end_time or spot_id");
        }
        let spot = self.spot_id.and_then(|spot| errors.text("/spot_id", spot, NUMBER_CHARS_MAX));
        errors.into_result()?;
        Ok(ModifyInput { start: self.start_time, end: self.end_time, spot })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::read_json;

    fn check(body: Value) -> Result<ReserveInput, Vec<(String, &'static str)>> {
        let request = Request::new(body.to_string().into_bytes());
        let read = read_json::<ReserveRequest>(&request).and_then(ReserveRequest::check);
        read.map_err(|problem| problem.errors().iter().map(|e| (e.pointer.clone(), e.code)).collect())
    }

    fn base() -> Value {
        json!({
            "lot_id": "lot-1",
            "vehicle": {"class": "regular", "ev": true},
            "plate": {"region": "DE", "text": "B NO 1234"},
            "start_time": "2026-11-21T10:00:00Z",
            "end_time": "2026-11-21T12:00:00Z",
        })
    }

    fn recurring() -> Value {
        let mut body = base();
        body["start_time"].take();
        body["end_time"].take();
        body["recurrence"] = json!({
            "weekdays": ["mon", "fri"], "start": "09:00", "end": "17:00", "from": "2026-11-02", "until": "2026-12-01",
        });
        body
    }

    #[test]
    fn a_full_request_becomes_an_input() {
        let input = check(base()).unwrap();
        assert_eq!(input.lot.as_str(), "lot-1");
        assert_eq!(input.vehicle.class.as_str(), "standard");
        assert_eq!(input.plate.as_ref().unwrap().plate.canonical(), "BNO1234");
        assert!(matches!(input.when, When::Once { .. }));
        assert!(!format!("{input:?}").contains("1234"), "a plate is never printed");
    }

    #[test]
    fn a_recurrence_becomes_an_input() {
        let When::Recurring { recurrence, mode } = check(recurring()).unwrap().when else { panic!("not recurring") };
        assert_eq!(recurrence.weekdays, WeekdaySet::from_array([Weekday::Mon, Weekday::Fri]));
        assert_eq!(mode, Mode::AllOrNothing);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut body = base();
        body["lot_id"] = json!("a#b");
        body["spot_id"] = json!("");
        body["vehicle"]["class"] = json!("tank");
        body["plate"]["text"] = json!("!");
        body["end_time"].take();
        let expected = [
            ("/lot_id", "invalid"),
            ("/spot_id", "invalid"),
            ("/vehicle/class", "invalid"),
            ("/plate", "invalid"),
            ("/end_time", "required"),
        ];
        assert_eq!(check(body).unwrap_err(), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    }

    #[test]
    fn every_wrong_part_of_a_recurrence_is_named() {
        let mut body = recurring();
        body["recurrence"]["weekdays"] = json!(["mon", "monday", "mon"]);
        body["recurrence"]["start"] = json!("9:00");
        body["recurrence"]["from"] = json!("2026-11-31");
        let expected = [
            ("/recurrence/weekdays/1", "invalid"),
            ("/recurrence/weekdays/2", "duplicate"),
            ("/recurrence/start", "time_malformed"),
            ("/recurrence/from", "time_malformed"),
        ];
        assert_eq!(check(body).unwrap_err(), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        let mut reversed = recurring();
        reversed["recurrence"]["until"] = json!("2026-11-02");
        assert_eq!(check(reversed).unwrap_err(), [("/recurrence/until".to_owned(), "recurrence_empty")]);
        let mut both = recurring();
        both["start_time"] = json!("2026-11-21T10:00:00Z");
        assert_eq!(check(both).unwrap_err(), [("/start_time".to_owned(), "not_allowed")]);
    }

    #[test]
    fn a_modification_changes_something() {
        let read = |body: Value| read_json::<ModifyRequest>(&Request::new(body.to_string().into_bytes()));
        assert!(read(json!({})).unwrap().check().is_err());
        assert!(read(json!({"lot_id": "x"})).is_err());
        assert_eq!(read(json!({"spot_id": "A1"})).unwrap().check().unwrap().spot.as_deref(), Some("A1"));
    }
}
