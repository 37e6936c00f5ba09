//! Lots.

use parkade_domain::geometry::Shape;
use parkade_domain::lot::{Lot, LotKind, Publication};
use parkade_domain::money::Currency;
use parkade_domain::policy::LotPolicy;
use parkade_domain::tariff::{LotCalendar, Tariff};
use parkade_domain::zone::{LotZone, ZoneError};
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::minute_text;
use crate::wire::tariff::check_tariff;

/// Longest name of a lot.
const NAME_CHARS_MAX: usize = 120;
/// Longest address, one line.
const ADDRESS_CHARS_MAX: usize = 240;
/// Latitude of the poles, in millionths of a degree.
const LATITUDE_MAX: i32 = 90_000_000;
/// Longitude of the date line, in millionths of a degree.
const LONGITUDE_MAX: i32 = 180_000_000;

/// Body of `PUT /v1/lots/{lot}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutLotRequest {
    /// Name on the sign.
    pub name: String,
    /// Postal address, one line.
    pub address: String,
    /// Where it is.
    pub position: PositionFields,
    /// IANA zone, such as `Europe/Berlin`.
    pub time_zone: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Whether a right names a spot.
    #[serde(default)]
    pub kind: KindField,
    /// Shape of the calendar; cannot be changed later.
    #[serde(default)]
    pub geometry: GeometryField,
    /// The lot's rules; what is left out has a default.
    #[serde(default)]
    pub policy: LotPolicy,
    /// What a stay costs; a lot that exists keeps the tariff in force if it is left out.
    pub tariff: Option<Tariff>,
    /// Holidays and events; left out, they stay as they are.
    pub calendar: Option<LotCalendar>,
}

/// A position. Integers, because a position that is compared must not depend on rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionFields {
    /// Millionths of a degree, north positive.
    pub latitude_microdegrees: i32,
    /// Millionths of a degree, east positive.
    pub longitude_microdegrees: i32,
}

/// Whether a right names a spot (I1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum KindField {
    /// It does.
    #[default]
    Assigned,
    /// The driver takes any.
    Pooled,
}

/// Shape of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum GeometryField {
    /// Stays of hours.
    #[default]
    Hourly,
    /// Stays of weeks: airports, monthly permits.
    LongStay,
}

/// A checked [`PutLotRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct PutLotInput {
    /// Name on the sign.
    pub name: String,
    /// Postal address, one line.
    pub address: String,
    /// Where it is, within the globe.
    pub position: PositionFields,
    /// The zone.
    pub zone: LotZone,
    /// The currency, the same as the tariff's.
    pub currency: Currency,
    /// Whether a right names a spot.
    pub kind: LotKind,
    /// Shape of the calendar.
    pub shape: Shape,
    /// A valid policy.
    pub policy: LotPolicy,
    /// A valid tariff, without a version.
    pub tariff: Option<Tariff>,
    /// A valid calendar.
    pub calendar: Option<LotCalendar>,
}

impl PutLotRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<PutLotInput, Problem> {
        let mut errors = FieldErrors::new();
        let name = errors.text("/name", self.name, NAME_CHARS_MAX);
        let address = errors.text("/address", self.address, ADDRESS_CHARS_MAX);
        self.position.check("/position", &mut errors);
        let zone = zone("/time_zone", &self.time_zone, &mut errors);
        let currency = errors.take("/currency", Currency::from_code(&self.currency));
        if currency.is_some_and(|currency| currency.card_step_minor() != 1) {
            errors.push(
                "/currency",
                FieldCode::Invalid,
                "cards move this currency only in steps that prices do not keep",
            );
        }
        errors.document("/policy", self.policy.validate());
        if let Some(tariff) = &self.tariff {
            check_tariff(&mut errors, "/tariff", tariff, currency);
        }
        if let Some(calendar) = &self.calendar {
            errors.document("/calendar", calendar.validate());
        }
        let Self { position, policy, tariff, calendar, .. } = self;
        let (kind, shape) = (self.kind.into(), Shape::from(self.geometry));
        if policy.max_length_minutes.max(policy.max_session_minutes) > shape.stay_minutes_max() {
            let longest = format!("with this geometry a stay has at most {} minutes", shape.stay_minutes_max());
            errors.push("/policy/max_session_minutes", FieldCode::OutOfRange, longest);
        }
        let input = match (name, address, zone, currency) {
            (Some(name), Some(address), Some(zone), Some(currency)) => {
                Some(PutLotInput { name, address, position, zone, currency, kind, shape, policy, tariff, calendar })
            }
            _ => None,
        };
        errors.finish(input)
    }
}

fn zone(pointer: &str, name: &str, errors: &mut FieldErrors) -> Option<LotZone> {
    match LotZone::parse(name) {
        Ok(zone) => Some(zone),
        Err(error @ ZoneError::UnknownZone) => {
            errors.push(pointer, FieldCode::TimeZoneUnknown, error.to_string());
            None
        }
        Err(error) => {
            errors.push(pointer, FieldCode::Invalid, error.to_string());
            None
        }
    }
}

impl PositionFields {
    fn check(self, pointer: &str, errors: &mut FieldErrors) {
        let axes = [
            ("latitude_microdegrees", self.latitude_microdegrees, LATITUDE_MAX),
            ("longitude_microdegrees", self.longitude_microdegrees, LONGITUDE_MAX),
        ];
        for (field, value, max) in axes {
            if !(-max..=max).contains(&value) {
                errors.push(format!("{pointer}/{field}"), FieldCode::OutOfRange, format!("from {} to {max}", -max));
            }
        }
    }
}

impl From<KindField> for LotKind {
    fn from(kind: KindField) -> Self {
        match kind {
            KindField::Assigned => Self::Assigned,
            KindField::Pooled => Self::Pooled,
        }
    }
}

impl From<LotKind> for KindField {
    fn from(kind: LotKind) -> Self {
        match kind {
            LotKind::Assigned => Self::Assigned,
            LotKind::Pooled => Self::Pooled,
        }
    }
}

impl From<GeometryField> for Shape {
    fn from(geometry: GeometryField) -> Self {
        match geometry {
            GeometryField::Hourly => Self::Hourly,
            GeometryField::LongStay => Self::LongStay,
        }
    }
}

impl From<Shape> for GeometryField {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Hourly => Self::Hourly,
            Shape::LongStay => Self::LongStay,
        }
    }
}

/// A tariff version and from when new bookings get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationView {
    /// The version.
    pub tariff_version: u32,
    /// The instant.
    pub from: String,
}

impl PublicationView {
    /// The view of a publication.
    #[must_use]
    pub fn from_domain(publication: &Publication) -> Self {
        Self { tariff_version: publication.version.0, from: minute_text(publication.from) }
    }
}

/// A lot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LotView {
    /// Identity.
    pub lot_id: String,
    /// Name on the sign.
    pub name: String,
    /// Postal address, one line.
    pub address: String,
    /// Where it is.
    pub position: PositionFields,
    /// IANA zone.
    pub time_zone: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Whether a right names a spot.
    pub kind: KindField,
    /// Shape of the calendar.
    pub geometry: GeometryField,
    /// The lot's rules.
    pub policy: LotPolicy,
    /// The tariff that new bookings get.
    pub tariff_version: u32,
    /// The holidays and events that new bookings get; 0 if there are none.
    pub calendar_version: u32,
    /// Tariffs that come into force later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upcoming_tariffs: Vec<PublicationView>,
    /// Version, also the entity tag.
    pub version: u32,
}

impl LotView {
    /// The view of a stored lot.
    #[must_use]
    pub fn from_domain(lot: &Lot) -> Self {
        Self {
            lot_id: lot.id.to_string(),
            name: lot.name.clone(),
            address: lot.address.clone(),
            position: PositionFields {
                latitude_microdegrees: lot.latitude_microdegrees,
                longitude_microdegrees: lot.longitude_microdegrees,
            },
            time_zone: lot.zone.name().to_owned(),
            currency: lot.currency.code().to_owned(),
            kind: lot.kind.into(),
            geometry: lot.geometry.shape.into(),
            policy: lot.policy.clone(),
            tariff_version: lot.tariff.0,
            calendar_version: lot.calendar.0,
            upcoming_tariffs: lot.upcoming.iter().map(PublicationView::from_domain).collect(),
            version: lot.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::read_json;

    fn check(body: &Value) -> Result<PutLotInput, Problem> {
        let request = Request::new(body.to_string().into_bytes());
        read_json::<PutLotRequest>(&request).and_then(PutLotRequest::check)
    }

    fn base() -> Value {
        json!({
            "name": "Central",
            "address": "Platz 1, 10117 Berlin",
            "position": {"latitude_microdegrees": 52_520_008, "longitude_microdegrees": 13_404_954},
            "time_zone": "Europe/Berlin",
            "currency": "EUR",
            "tariff": {"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 50}},
        })
    }

    #[test]
    fn a_lot_without_options_gets_the_defaults() {
        let input = check(&base()).unwrap();
        assert_eq!((input.kind, input.shape), (LotKind::Assigned, Shape::Hourly));
        assert_eq!(input.policy, LotPolicy::default());
    }

    #[test]
    fn errors_of_the_lot_its_policy_and_its_tariff_come_together() {
        let mut body = base();
        body["name"] = json!("");
        body["position"]["latitude_microdegrees"] = json!(90_000_001);
        body["time_zone"] = json!("Europe/Atlantis");
        body["currency"] = json!("USD");
        body["policy"] = json!({"hold_ttl_s": 1});
        body["tariff"]["unit_minutes"] = json!(0);
        let problem = check(&body).unwrap_err();
        let found: Vec<_> = problem.errors().iter().map(|error| (error.pointer.as_str(), error.code)).collect();
        let expected = [
            ("/name", "invalid"),
            ("/position/latitude_microdegrees", "out_of_range"),
            ("/time_zone", "time_zone_unknown"),
            ("/policy/hold_ttl_s", "out_of_range"),
            ("/tariff/unit_minutes", "out_of_range"),
            ("/tariff/currency", "not_allowed"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_position_is_an_integer_and_unknown_fields_are_refused() {
        for (pointer, change) in [
            ("/position/latitude_microdegrees", json!({"latitude_microdegrees": 52.5, "longitude_microdegrees": 1})),
            ("/position/altitude", json!({"latitude_microdegrees": 1, "longitude_microdegrees": 1, "altitude": 1})),
        ] {
            let mut body = base();
            body["position"] = change;
            assert_eq!(check(&body).unwrap_err().errors()[0].pointer, pointer);
        }
    }
}
