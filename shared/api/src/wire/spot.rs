//! Spots: registered in bulk, shown, taken out of service.

use std::collections::BTreeSet;

use parkade_domain::lot::NewSpot;
use parkade_domain::vehicle::{Features, Spot};
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::vehicle::vehicle_class;

/// Most spots of one import.
pub const SPOTS_PER_REQUEST_MAX: usize = 2_000;
/// Longest spot number and zone: they are painted on the ground.
pub const NUMBER_CHARS_MAX: usize = 32;
/// Longest reason for an out-of-service interval.
const REASON_CHARS_MAX: usize = 200;

/// Body of `PUT /v1/lots/{lot}/spots`: spots are added, or their facts changed, by number.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutSpotsRequest {
    /// 1 to [`SPOTS_PER_REQUEST_MAX`].
    pub spots: Vec<SpotFields>,
}

/// One spot to be registered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpotFields {
    /// The number painted on the ground: letters, digits, `-`, `_` and `.`.
    pub number: String,
    /// Zone or floor, of the same characters.
    pub zone: String,
    /// `motorcycle`, `compact`, `standard` or `large`.
    pub size: String,
    /// Out of `ev_charger`, `accessible`, `premium`, `covered`.
    #[serde(default)]
    pub features: Vec<String>,
}

impl PutSpotsRequest {
    /// The spots, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<Vec<NewSpot>, Problem> {
        let mut errors = FieldErrors::new();
        match self.spots.len() {
            0 => errors.push("/spots", FieldCode::Empty, "needs a spot"),
            1..=SPOTS_PER_REQUEST_MAX => {}
            _ => errors.push("/spots", FieldCode::TooMany, format!("at most {SPOTS_PER_REQUEST_MAX} spots at once")),
        }
        errors.into_result()?;
        let mut errors = FieldErrors::new();
        let mut numbers = BTreeSet::new();
        let mut spots = Vec::with_capacity(self.spots.len());
        for (position, spot) in self.spots.into_iter().enumerate() {
            if !numbers.insert(spot.number.clone()) {
                errors.push(format!("/spots/{position}/number"), FieldCode::Duplicate, "another spot has this number");
            }
            spots.extend(spot.check(position, &mut errors));
        }
        errors.into_result()?;
        Ok(spots)
    }
}

impl SpotFields {
    fn check(self, position: usize, errors: &mut FieldErrors) -> Option<NewSpot> {
        let at = |field: &str| format!("/spots/{position}/{field}");
        let size = vehicle_class(&at("size"), &self.size, errors);
        let mut features = Features::default();
        for (index, name) in self.features.iter().enumerate() {
            match name.as_str() {
                "ev_charger" => features.ev_charger = true,
                "accessible" => features.accessible = true,
                "premium" => features.premium = true,
                "covered" => features.covered = true,
                _ => {
                    let pointer = format!("/spots/{position}/features/{index}");
                    errors.push(pointer, FieldCode::Invalid, "one of ev_charger, accessible, premium, covered");
                }
            }
        }
        let number = painted(&at("number"), self.number, errors);
        let zone = painted(&at("zone"), self.zone, errors);
        Some(NewSpot { number: number?, zone: zone?, size: size?, features })
    }
}

/// A number or zone is part of paths and keys.
fn painted(pointer: &str, text: String, errors: &mut FieldErrors) -> Option<String> {
    let text = errors.text(pointer, text, NUMBER_CHARS_MAX)?;
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return Some(text);
    }
    errors.push(pointer, FieldCode::Invalid, "letters, digits, '-', '_' and '.'");
    None
}

/// Body of `PUT /v1/lots/{lot}/spots/{spot}/status`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpotStatusRequest {
    /// What the spot becomes.
    pub status: ServiceStatus,
    /// From when; now if left out.
    pub from: Option<String>,
    /// Until when; needed to take a spot out of service.
    pub until: Option<String>,
    /// Why, for operators.
    pub reason: Option<String>,
}

/// Whether a spot can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    /// Not from `from` until `until`.
    OutOfService,
    /// It can: an out-of-service interval that covers now ends.
    InService,
}

/// A checked [`SpotStatusRequest`]. Times are read in the lot's zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpotStatusInput {
    /// Out of service for an interval.
    OutOfService {
        /// `from` as sent; now if absent.
        from: Option<String>,
        /// `until` as sent.
        until: String,
        /// Why.
        reason: Option<String>,
    },
    /// Back in service.
    InService,
}

impl SpotStatusRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<SpotStatusInput, Problem> {
        let mut errors = FieldErrors::new();
        let reason = self.reason.and_then(|reason| errors.text("/reason", reason, REASON_CHARS_MAX));
        let input = match self.status {
            ServiceStatus::OutOfService => errors
                .required("/until", self.until)
                .map(|until| SpotStatusInput::OutOfService { from: self.from, until, reason }),
            ServiceStatus::InService => {
                for (pointer, given) in [("/from", self.from.is_some()), ("/until", self.until.is_some())] {
                    if given {
                        errors.push(pointer, FieldCode::NotAllowed, "only with the status out_of_service");
                    }
                }
                Some(SpotStatusInput::InService)
            }
        };
        errors.finish(input)
    }
}

/// Answer of `PUT /v1/lots/{lot}/spots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutSpotsView {
    /// The lot.
    pub lot_id: String,
    /// How many spots the request had.
    pub written: usize,
    /// How many spots the lot has now.
    pub total: usize,
    /// Version of the list of spots.
    pub version: u32,
}

/// Answer of `PUT /v1/lots/{lot}/spots/{spot}/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotStatusView {
    /// The spot, with its state now.
    pub spot: SpotView,
    /// The reservations that were in the way, and what became of each (I7).
    pub displaced: Vec<DisplacedView>,
}

/// A reservation that was in the way of an out-of-service interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplacedView {
    /// The reservation.
    pub reservation_id: String,
    /// `moved` or `refunded`.
    pub outcome: String,
    /// The number of its new spot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_id: Option<String>,
}

/// A spot's state at an instant: derived, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpotState {
    /// Free.
    Available,
    /// Claimed and not yet paid.
    Held,
    /// Claimed for good.
    Reserved,
    /// A vehicle is on it.
    Occupied,
    /// Cannot be used.
    OutOfService,
}

/// A spot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotView {
    /// The number painted on the ground.
    pub spot_id: String,
    /// Zone or floor.
    pub zone: String,
    /// Size.
    pub size: String,
    /// Equipment.
    pub features: Vec<String>,
    /// Its state now; absent in a search, which lists free spots only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SpotState>,
    /// When that state ends, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_until: Option<String>,
}

impl SpotView {
    /// The view of a spot without its state.
    #[must_use]
    pub fn from_domain(spot: &Spot) -> Self {
        let Features { ev_charger, accessible, premium, covered } = spot.features;
        let features =
            [("ev_charger", ev_charger), ("accessible", accessible), ("premium", premium), ("covered", covered)];
        Self {
            spot_id: spot.number.clone(),
            zone: spot.zone.clone(),
            size: spot.size.as_str().to_owned(),
            features: features.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()).collect(),
            state: None,
            state_until: None,
        }
    }

    /// With its state now.
    #[must_use]
    pub fn with_state(mut self, state: SpotState, until: Option<String>) -> Self {
        (self.state, self.state_until) = (Some(state), until);
        self
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::{BODY_BYTES_MAX, read_json};

    fn put(body: &Value) -> Result<Vec<NewSpot>, Problem> {
        let request = Request::new(body.to_string().into_bytes());
        assert!(request.body().len() <= BODY_BYTES_MAX);
        read_json::<PutSpotsRequest>(&request).and_then(PutSpotsRequest::check)
    }

    fn spots(count: usize) -> Value {
        let spot = |n: usize| {
            json!({
                "number": format!("{n:0>32}"),
                "zone": "z".repeat(32),
                "size": "motorcycle",
                "features": ["ev_charger", "accessible", "premium", "covered"],
            })
        };
        json!({"spots": (0..count).map(spot).collect::<Vec<_>>()})
    }

    #[test]
    fn the_largest_import_fits_and_one_more_does_not() {
        assert_eq!(put(&spots(SPOTS_PER_REQUEST_MAX)).unwrap().len(), SPOTS_PER_REQUEST_MAX);
        assert_eq!(put(&spots(SPOTS_PER_REQUEST_MAX + 1)).unwrap_err().errors()[0].code, "too_many");
        assert_eq!(put(&spots(0)).unwrap_err().errors()[0].code, "empty");
    }

    #[test]
    fn every_wrong_spot_is_named() {
        let body = json!({"spots": [
            {"number": "A1", "zone": "A", "size": "large"},
            {"number": "A1", "zone": "A", "size": "large"},
            {"number": "A#2", "zone": "", "size": "huge", "features": ["covered", "helipad"]},
        ]});
        let problem = put(&body).unwrap_err();
        let found: Vec<_> = problem.errors().iter().map(|error| (error.pointer.as_str(), error.code)).collect();
        let expected = [
            ("/spots/1/number", "duplicate"),
            ("/spots/2/size", "invalid"),
            ("/spots/2/features/1", "invalid"),
            ("/spots/2/number", "invalid"),
            ("/spots/2/zone", "invalid"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_status_says_until_when() {
        let check = |body: Value| {
            let read = read_json::<SpotStatusRequest>(&Request::new(body.to_string().into_bytes()));
            read.and_then(SpotStatusRequest::check)
        };
        assert_eq!(check(json!({"status": "in_service"})).unwrap(), SpotStatusInput::InService);
        let out = check(json!({"status": "out_of_service", "until": "2026-11-21T10:00"})).unwrap();
        assert!(matches!(out, SpotStatusInput::OutOfService { from: None, .. }));
        for wrong in [
            json!({"status": "out_of_service"}),
            json!({"status": "in_service", "until": "2026-11-21T10:00"}),
            json!({"status": "broken"}),
        ] {
            assert!(check(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
