//! What a stay costs: a pure function of tariff, zone, class and window (DOMAIN of prices: no clock, no I/O).
//!
//! There is one kind of tariff now: a rate per started unit and vehicle class, with a cap that repeats. Callers see only
//! [`Tariff::price`] and the explained [`Price`], so another kind changes nothing for them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::ids::TariffVersion;
use crate::money::Currency;
use crate::time::{DAY_MINUTES, Window};
use crate::vehicle::VehicleClass;
use crate::zone::LotZone;

mod price;

pub use price::{Line, Price, Rounding, Rule, Unit};

/// Longest unit: a day.
pub const UNIT_MINUTES_MAX: u32 = 1_440;
/// Highest rate, cap or fee: ten million of a currency with two digits. Together with [`PRICED_DAYS_MAX`] sums fit `i64`.
pub const RATE_MINOR_MAX: i64 = 1_000_000_000;
/// Longest window that is priced, so that a price has at most about as many lines.
pub const PRICED_DAYS_MAX: i64 = 400;

/// One thing wrong with an uploaded document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) from the root of the validated document: `/rates/standard`.
    pub pointer: String,
    /// Stable code that clients match: `out_of_range`, `empty`, `unknown_class`, `not_descending`.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl FieldError {
    /// A number outside its range.
    pub(crate) fn range(pointer: impl Into<String>, min: i64, max: i64) -> Self {
        let detail = format!("must be from {min} to {max}");
        Self { pointer: pointer.into(), code: "out_of_range", detail }
    }

    pub(crate) fn new(pointer: impl Into<String>, code: &'static str, detail: &str) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.to_owned() }
    }
}

/// Why a stay cannot be priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TariffError {
    /// The tariff has no rate for the class.
    #[error("the tariff has no rate for {class}")]
    NoRate {
        /// The class asked for.
        class: VehicleClass,
    },
    /// The window is longer than [`PRICED_DAYS_MAX`].
    #[error("a stay of more than {PRICED_DAYS_MAX} days is not priced")]
    TooLong,
    /// An amount does not fit 64 bits; impossible with a tariff that validated.
    #[error("the price is out of range")]
    Overflow,
    /// Two prices in different currencies cannot be settled against each other.
    #[error("the prices are in different currencies")]
    CurrencyMismatch,
}

/// When a cap starts anew (T8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub enum CapPeriod {
    /// Every 24 elapsed hours from the start of the stay.
    #[default]
    #[serde(rename = "rolling_24h")]
    Rolling24h,
    /// At local midnight; the units start anew there too.
    #[serde(rename = "calendar_day")]
    CalendarDay,
}

/// What staying beyond the booked end costs (T5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OverstayRule {
    /// The stay is priced as if it had been booked that long; caps go on.
    #[default]
    TariffContinues,
    /// A rate per started unit, and a fee once.
    PerStartedUnit {
        /// Length of a unit, 1 to [`UNIT_MINUTES_MAX`].
        unit_minutes: u32,
        /// Minor units of money per started unit.
        rate_minor: i64,
        /// Minor units of money, once per overstay.
        #[serde(default)]
        admin_fee_minor: i64,
    },
}

/// One immutable version of a lot's tariff, as uploaded and stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Which version; kept in the item's key, so it is not part of the document: set it with [`Tariff::at_version`].
    #[serde(skip, default = "unversioned")]
    pub version: TariffVersion,
    /// Currency of every amount in it.
    pub currency: Currency,
    /// Length of a unit, 1 to [`UNIT_MINUTES_MAX`]. A started unit is charged whole (P2).
    pub unit_minutes: u32,
    /// Minor units of money per started unit. A class without a rate cannot park here.
    #[serde(deserialize_with = "amounts_by_class")]
    pub rates: BTreeMap<VehicleClass, i64>,
    /// Most minor units of money per period; a class without one is not capped.
    #[serde(default, deserialize_with = "optional_amounts_by_class", skip_serializing_if = "Option::is_none")]
    pub daily_cap: Option<BTreeMap<VehicleClass, i64>>,
    /// When the cap starts anew.
    #[serde(default)]
    pub cap_period: CapPeriod,
    /// What staying too long costs.
    #[serde(default)]
    pub overstay: OverstayRule,
}

/// What is to be priced.
#[derive(Debug, Clone, Copy)]
pub struct PriceRequest<'a> {
    /// The lot's zone, for caps that end at midnight.
    pub zone: &'a LotZone,
    /// The vehicle's class (not the spot's: a larger spot is the lot's choice).
    pub class: VehicleClass,
    /// Entry and exit, or the booked window.
    pub window: Window,
}

impl Tariff {
    /// The same tariff as `version`.
    #[must_use]
    pub fn at_version(mut self, version: TariffVersion) -> Self {
        self.version = version;
        self
    }

    /// Everything wrong with it, by field; empty if it can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_unit(&mut errors, "/unit_minutes", self.unit_minutes);
        if self.rates.is_empty() {
            errors.push(FieldError::new("/rates", "empty", "needs a rate for at least one vehicle class"));
        }
        for (class, rate) in &self.rates {
            check_amount(&mut errors, &format!("/rates/{class}"), *rate);
        }
        for (class, cap) in self.daily_cap.iter().flatten() {
            let pointer = format!("/daily_cap/{class}");
            check_amount(&mut errors, &pointer, *cap);
            if !self.rates.contains_key(class) {
                errors.push(FieldError::new(pointer, "unknown_class", "caps a class that has no rate"));
            }
        }
        if let OverstayRule::PerStartedUnit { unit_minutes, rate_minor, admin_fee_minor } = self.overstay {
            check_unit(&mut errors, "/overstay/per_started_unit/unit_minutes", unit_minutes);
            check_amount(&mut errors, "/overstay/per_started_unit/rate_minor", rate_minor);
            check_amount(&mut errors, "/overstay/per_started_unit/admin_fee_minor", admin_fee_minor);
        }
        errors
    }

    /// The explained price of a stay.
    ///
    /// Within each period of the cap the price is the smaller of the cap and the started units, which are counted from
    /// the period's start (P3, P4). A capped period is one line of its cap, and neighbouring capped periods share a line;
    /// so the lines are as many as the periods, whatever the length of a unit.
    ///
    /// # Errors
    /// [`TariffError::NoRate`] if the class cannot park here, [`TariffError::TooLong`].
    pub fn price(&self, request: &PriceRequest<'_>) -> Result<Price, TariffError> {
        let class = request.class;
        let rate_minor = *self.rates.get(&class).ok_or(TariffError::NoRate { class })?;
        if request.window.minutes() > PRICED_DAYS_MAX * DAY_MINUTES {
            return Err(TariffError::TooLong);
        }
        let cap_minor = self.daily_cap.as_ref().and_then(|caps| caps.get(&class)).copied();
        let lines = match cap_minor {
            None => vec![self.unit_line(request.window, rate_minor)?],
            Some(cap_minor) => self.capped_lines(request, rate_minor, cap_minor)?,
        };
        Price::new(self.currency, self.version, lines)
    }

    fn capped_lines(
        &self,
        request: &PriceRequest<'_>,
        rate_minor: i64,
        cap_minor: i64,
    ) -> Result<Vec<Line>, TariffError> {
        let mut lines: Vec<Line> = Vec::new();
        let mut rest = Some(request.window);
        while let Some(window) = rest {
            let period_end = match self.cap_period {
                CapPeriod::Rolling24h => window.start().plus(DAY_MINUTES),
                CapPeriod::CalendarDay => request.zone.next_day_start(window.start()),
            };
            let period_end = period_end.min(window.end());
            let period = Window::new(window.start(), period_end).map_err(|_| TariffError::Overflow)?;
            rest = Window::new(period_end, window.end()).ok();
            let units = self.unit_line(period, rate_minor)?;
            if units.amount_minor() <= cap_minor {
                lines.push(units);
                continue;
            }
            let (from, periods) = match lines.pop_if(|line| line.rule() == Rule::DailyCap) {
                Some(before) => (before.interval().start(), before.quantity() + 1),
                None => (period.start(), 1),
            };
            let capped = Window::new(from, period_end).map_err(|_| TariffError::Overflow)?;
            lines.push(Line::new(Rule::DailyCap, capped, periods, Unit::Period, cap_minor)?);
        }
        Ok(lines)
    }

    fn unit_line(&self, period: Window, rate_minor: i64) -> Result<Line, TariffError> {
        started_units(Rule::UnitRate, period, self.unit_minutes, rate_minor)
    }
}

/// A line of started units of `unit_minutes` (0 counts as 1) over `interval`.
pub(crate) fn started_units(
    rule: Rule,
    interval: Window,
    unit_minutes: u32,
    rate_minor: i64,
) -> Result<Line, TariffError> {
    let minutes = unit_minutes.max(1);
    // A window has at least one minute, so at least one unit has started.
    let quantity = (interval.minutes() - 1).div_euclid(i64::from(minutes)) + 1;
    Line::new(rule, interval, quantity, Unit::StartedUnit { minutes }, rate_minor)
}

const fn unversioned() -> TariffVersion {
    TariffVersion(0)
}

fn check_unit(errors: &mut Vec<FieldError>, pointer: &str, minutes: u32) {
    if minutes == 0 || minutes > UNIT_MINUTES_MAX {
        errors.push(FieldError::range(pointer, 1, i64::from(UNIT_MINUTES_MAX)));
    }
}

fn check_amount(errors: &mut Vec<FieldError>, pointer: &str, amount_minor: i64) {
    if !(0..=RATE_MINOR_MAX).contains(&amount_minor) {
        errors.push(FieldError::range(pointer, 0, RATE_MINOR_MAX));
    }
}

/// Reads amounts by class and refuses a class given twice, also as `regular` and `standard`: which rate would be meant?
fn amounts_by_class<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<VehicleClass, i64>, D::Error> {
    struct Amounts;

    impl<'de> Visitor<'de> for Amounts {
        type Value = BTreeMap<VehicleClass, i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("amounts in minor units by vehicle class")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut amounts = BTreeMap::new();
            while let Some((class, amount)) = map.next_entry::<VehicleClass, i64>()? {
                if amounts.insert(class, amount).is_some() {
                    return Err(de::Error::custom(format_args!("{class} is given twice")));
                }
            }
            Ok(amounts)
        }
    }

    deserializer.deserialize_map(Amounts)
}

fn optional_amounts_by_class<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<VehicleClass, i64>>, D::Error> {
    amounts_by_class(deserializer).map(Some)
}
