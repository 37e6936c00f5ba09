//! Prices as documents: what is printed can be read again, and priced again to the same bytes (P18).

use std::collections::BTreeSet;

use serde::de::{self, Deserializer};
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::days::LotCalendar;
use super::language::Feature;
use super::price::{Debit, Line, Price, Rounding, Rule, Tax, Unit};
use super::scalar::RuleId;
use super::{Basis, PriceRequest, Tariff, TariffError, Ticket, ValidationUse};
use crate::ids::TariffVersion;
use crate::money::Currency;
use crate::time::{Minute, Window};
use crate::vehicle::VehicleClass;
use crate::zone::LotZone;

/// A minute as RFC 3339 in UTC.
pub(crate) mod minute_text {
    use chrono::{DateTime, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::time::Minute;

    pub(crate) fn serialize<S: Serializer>(minute: &Minute, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(minute)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Minute, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instant = DateTime::parse_from_rfc3339(&text).map_err(de::Error::custom)?.with_timezone(&Utc);
        let minute = Minute::floor(instant);
        if Minute::ceil(instant) == minute { Ok(minute) } else { Err(de::Error::custom("a time is a whole minute")) }
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("Line", 10)?;
        line.serialize_field("rule", &self.rule())?;
        if let Some(id) = self.id() {
            line.serialize_field("id", id)?;
        }
        line.serialize_field("label_key", self.rule().label_key())?;
        line.serialize_field("start", &self.interval().start().to_string())?;
        line.serialize_field("end", &self.interval().end().to_string())?;
        line.serialize_field("quantity", &self.quantity())?;
        line.serialize_field("unit", &self.unit())?;
        line.serialize_field("unit_rate_minor", &self.unit_rate_minor())?;
        line.serialize_field("rounding", &self.rounding())?;
        line.serialize_field("amount_minor", &self.amount_minor())?;
        line.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrintedLine {
    rule: Rule,
    id: Option<RuleId>,
    label_key: String,
    #[serde(with = "minute_text")]
    start: Minute,
    #[serde(with = "minute_text")]
    end: Minute,
    quantity: i64,
    unit: Unit,
    unit_rate_minor: i64,
    rounding: Rounding,
    amount_minor: i64,
}

impl<'de> Deserialize<'de> for Line {
    /// Refuses a line whose amount does not follow from its quantity and rate.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let printed = PrintedLine::deserialize(deserializer)?;
        let interval = Window::new(printed.start, printed.end).map_err(de::Error::custom)?;
        let line = Self::new(printed.rule, interval, printed.quantity, printed.unit, printed.unit_rate_minor);
        let line = line.map_err(de::Error::custom)?.of(printed.id.as_ref());
        let follows = line.amount_minor() == printed.amount_minor
            && line.rounding() == printed.rounding
            && line.rule().label_key() == printed.label_key;
        if follows { Ok(line) } else { Err(de::Error::custom("the line's amount does not follow from its rate")) }
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut price = serializer.serialize_struct("Price", 6)?;
        price.serialize_field("currency", &self.currency)?;
        price.serialize_field("total_minor", &self.total_minor)?;
        price.serialize_field("tariff_version", &self.tariff_version.0)?;
        price.serialize_field("lines", &self.lines)?;
        if !self.taxes.is_empty() {
            price.serialize_field("taxes", &self.taxes)?;
        }
        if !self.debits.is_empty() {
            price.serialize_field("debits", &self.debits)?;
        }
        price.end()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrintedPrice {
    currency: Currency,
    total_minor: i64,
    tariff_version: u32,
    lines: Vec<Line>,
    #[serde(default)]
    taxes: Vec<Tax>,
    #[serde(default)]
    debits: Vec<Debit>,
}

impl<'de> Deserialize<'de> for Price {
    /// Refuses a price whose lines do not add up.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let printed = PrintedPrice::deserialize(deserializer)?;
        let price = Self::new(printed.currency, TariffVersion(printed.tariff_version), printed.lines);
        let price = price.map_err(de::Error::custom)?;
        if price.total_minor() != printed.total_minor {
            return Err(de::Error::custom("the lines do not add up to the total"));
        }
        Ok(Self { taxes: printed.taxes, debits: printed.debits, ..price })
    }
}

/// Everything a price was computed from, except the tariff: owned, so that it can be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// IANA zone.
    pub time_zone: String,
    /// The vehicle's class.
    pub class: VehicleClass,
    /// Entry, or the booked start.
    #[serde(with = "minute_text")]
    pub start: Minute,
    /// Exit, or the booked end.
    #[serde(with = "minute_text")]
    pub end: Minute,
    /// Booked or driven.
    #[serde(default)]
    pub basis: Basis,
    /// Features of the spot.
    #[serde(default)]
    pub features: BTreeSet<Feature>,
    /// Permits of the driver.
    #[serde(default)]
    pub permits: BTreeSet<RuleId>,
    /// Holidays and events.
    #[serde(default)]
    pub calendar: LotCalendar,
    /// Validations given.
    #[serde(default)]
    pub validations: Vec<ValidationUse>,
    /// Whether the driver pays no taxes.
    #[serde(default)]
    pub tax_exempt: bool,
    /// Per cent of the lot that was taken when the price was asked for.
    #[serde(default)]
    pub occupancy_percent: Option<u8>,
    /// Minutes from then to the start.
    #[serde(default)]
    pub lead_minutes: Option<u32>,
    /// Whether the ticket is at hand.
    #[serde(default)]
    pub ticket: Ticket,
}

impl Facts {
    /// Prices them.
    ///
    /// # Errors
    /// [`TariffError`]; [`TariffError::Unreadable`] if the facts name no zone or no time.
    pub fn price(&self, tariff: &Tariff) -> Result<Price, TariffError> {
        let zone = LotZone::parse(&self.time_zone).map_err(|_| TariffError::Unreadable)?;
        let window = Window::new(self.start, self.end).map_err(|_| TariffError::Unreadable)?;
        tariff.price(&PriceRequest {
            zone: &zone,
            class: self.class,
            window,
            basis: self.basis,
            features: &self.features,
            permits: &self.permits,
            calendar: &self.calendar,
            validations: &self.validations,
            tax_exempt: self.tax_exempt,
            occupancy_percent: self.occupancy_percent,
            lead_minutes: self.lead_minutes,
            ticket: self.ticket,
        })
    }
}

/// A price with what it was computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// From what.
    pub facts: Facts,
    /// What.
    pub price: Price,
}

impl Receipt {
    /// Prices the facts and keeps both.
    ///
    /// # Errors
    /// [`TariffError`].
    pub fn issue(tariff: &Tariff, facts: Facts) -> Result<Self, TariffError> {
        let price = facts.price(tariff)?;
        Ok(Self { facts, price })
    }
}

/// The price of a receipt, computed anew under the version it names: the same bytes (P18).
///
/// # Errors
/// [`TariffError::OtherVersion`] for another version's receipt, else as [`Tariff::price`].
pub fn reprice(tariff: &Tariff, receipt: &Receipt) -> Result<Price, TariffError> {
    if tariff.version != receipt.price.tariff_version() {
        return Err(TariffError::OtherVersion);
    }
    receipt.facts.price(tariff)
}
