//! What a stay costs: a pure function of tariff, zone, facts and window (P1 to P19: no clock, no I/O, no float).
//!
//! A tariff is a document. Its simple form is a rate per started unit and vehicle class with a cap that repeats; its full form is
//! a list of tables. Callers see [`Tariff::validate`], [`Tariff::price`] and the explained [`Price`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::adjustment::ViolationKind;
use crate::ids::TariffVersion;
use crate::money::Currency;
use crate::policy::Terms;
use crate::time::{DAY_MINUTES, Window};
use crate::vehicle::VehicleClass;
use crate::zone::LotZone;

mod adjust;
mod charge;
mod check;
mod check_windows;
mod days;
mod engine;
mod explain;
mod extras;
mod language;
mod price;
mod pricing;
mod receipt;
mod scalar;
mod schema;
mod warn;

pub use days::{LotCalendar, Occasion};
pub use explain::{Locale, Wording, explain, money_text, tax_rate_text, time_text, wording};
pub use extras::{
    Benefit, Dynamic, End, Escalation, Fee, Graces, Half, Limit, LostTicket, Prices, Stacking, Step, TaxComponent,
    TaxRounding, Taxes, Turnaround, Validation,
};
pub use language::{
    Audience, Band, Cap, DayWindow, EventRate, EventScope, Feature, Late, LeaveBy, Period, Product, Selection, Table,
    UnitRounding, WindowRate,
};
pub use price::{Debit, Line, Price, Rounding, Rule, Tax, Unit};
pub(crate) use receipt::minute_text;
pub use receipt::{Facts, Receipt, reprice};
pub use scalar::{Amount, Day, Days, RULE_ID_CHARS_MAX, RuleId, TimeOfDay};
pub use schema::json_schema;
pub use warn::Warning;

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
    /// Stable code that clients match: such as `out_of_range`, `empty`, `gap`, `overlap`, `unreachable`.
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
    /// The tariff sells no stay of this shape: not within one window, or beyond the last tier.
    #[error("the tariff does not sell a stay of these times")]
    Unavailable,
    /// The stay is longer than the tariff allows (T6).
    #[error("the longest stay is {max_minutes} minutes")]
    MaxStay {
        /// The tariff's maximum.
        max_minutes: u32,
    },
    /// A validation is not one of the tariff's.
    #[error("validation {position} is unknown to the tariff")]
    UnknownValidation {
        /// Its position in the request.
        position: usize,
    },
    /// The vehicle has used a validation as often as it may.
    #[error("validation {position} is used up")]
    ValidationUsedUp {
        /// Its position in the request.
        position: usize,
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
    /// A receipt names another tariff version.
    #[error("the receipt was made by another tariff version")]
    OtherVersion,
    /// A receipt's facts name no zone or no time.
    #[error("the receipt's facts cannot be read")]
    Unreadable,
}

/// When a cap starts anew (T8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, JsonSchema)]
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
    /// The excess is priced as a stay of its own that nobody booked, from the booked end.
    DriveUp,
}

/// One immutable version of a lot's tariff, as uploaded and stored. Give `unit_minutes` and `rates`, or `tables`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Which version; kept in the item's key, so it is not part of the document: set it with [`Tariff::at_version`].
    #[serde(skip, default = "unversioned")]
    pub version: TariffVersion,
    /// Currency of every amount in it.
    #[schemars(with = "String", regex(pattern = "^[A-Z]{3}$"))]
    pub currency: Currency,
    /// Simple form: length of a unit, 1 to 1,440. A started unit is charged whole (P2).
    #[serde(default, skip_serializing_if = "language::is_default")]
    pub unit_minutes: u32,
    /// Simple form: minor units of money per started unit. A class without a rate cannot park here.
    #[serde(default, deserialize_with = "amounts_by_class", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = {"$ref": "#/$defs/VehicleClass"}))]
    pub rates: BTreeMap<VehicleClass, i64>,
    /// Simple form: most minor units of money per period; a class without one is not capped.
    #[serde(default, deserialize_with = "optional_amounts_by_class", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<VehicleClass, i64>", extend("propertyNames" = {"$ref": "#/$defs/VehicleClass"}))]
    pub daily_cap: Option<BTreeMap<VehicleClass, i64>>,
    /// Simple form: when the cap starts anew.
    #[serde(default)]
    pub cap_period: CapPeriod,
    /// What staying too long costs.
    #[serde(default)]
    pub overstay: OverstayRule,
    /// Full form: the prices by audience; the first that fits counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Times that cost nothing (T1).
    #[serde(default, skip_serializing_if = "language::is_default")]
    pub graces: Graces,
    /// What a driver without a ticket owes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_ticket: Option<LostTicket>,
    /// What each violation costs, taxes included. A kind without a price cannot be charged.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = {"$ref": "#/$defs/ViolationKind"}))]
    pub violations: BTreeMap<ViolationKind, Amount>,
    /// Fees of their own lines, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<Fee>,
    /// Taxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxes: Option<Taxes>,
    /// Validations that drivers may be given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<Validation>,
    /// What several of them give together.
    #[serde(default, skip_serializing_if = "language::is_default")]
    pub validation_stacking: Stacking,
    /// Steps by occupancy and lead time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic: Option<Dynamic>,
    /// What an unpaid amount grows by, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<Escalation>,
    /// Terms of bookings; without them the lot's policy holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

/// Whether a window was booked or driven; graces of a drive-up are not for bookings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The window is booked.
    #[default]
    Booking,
    /// The window is entry and exit.
    Stay,
}

/// Whether a driver has the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Ticket {
    /// At hand, or none is needed.
    #[default]
    Present,
    /// Lost: see [`Tariff::lost_ticket`].
    Lost,
}

/// A validation given to a driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationUse {
    /// The tariff's validation.
    pub id: RuleId,
    /// How often the vehicle used it in the period of its limit before.
    #[serde(default)]
    pub used_before: u32,
}

/// What is to be priced. Start from [`PriceRequest::booking`] or [`PriceRequest::stay`].
#[derive(Debug, Clone, Copy)]
pub struct PriceRequest<'a> {
    /// The lot's zone, for windows and caps in local time.
    pub zone: &'a LotZone,
    /// The vehicle's class (not the spot's: a larger spot is the lot's choice).
    pub class: VehicleClass,
    /// Entry and exit, or the booked window.
    pub window: Window,
    /// Which of the two.
    pub basis: Basis,
    /// Features of the spot.
    pub features: &'a BTreeSet<Feature>,
    /// Permits of the driver.
    pub permits: &'a BTreeSet<RuleId>,
    /// The lot's holidays and events.
    pub calendar: &'a LotCalendar,
    /// Validations given to the driver.
    pub validations: &'a [ValidationUse],
    /// Whether the driver pays no taxes on top. Included taxes are then not shown; the price stands.
    pub tax_exempt: bool,
    /// Per cent of the lot that is taken when the price is asked for.
    pub occupancy_percent: Option<u8>,
    /// Minutes from then to the start.
    pub lead_minutes: Option<u32>,
    /// Whether the ticket is at hand.
    pub ticket: Ticket,
}

static NO_FEATURES: BTreeSet<Feature> = BTreeSet::new();
static NO_PERMITS: BTreeSet<RuleId> = BTreeSet::new();

impl<'a> PriceRequest<'a> {
    /// A booked window of an ordinary vehicle.
    #[must_use]
    pub fn booking(zone: &'a LotZone, class: VehicleClass, window: Window) -> Self {
        Self {
            zone,
            class,
            window,
            basis: Basis::Booking,
            features: &NO_FEATURES,
            permits: &NO_PERMITS,
            calendar: LotCalendar::ordinary(),
            validations: &[],
            tax_exempt: false,
            occupancy_percent: None,
            lead_minutes: None,
            ticket: Ticket::Present,
        }
    }

    /// A stay of an ordinary vehicle that drove up.
    #[must_use]
    pub fn stay(zone: &'a LotZone, class: VehicleClass, window: Window) -> Self {
        Self { basis: Basis::Stay, ..Self::booking(zone, class, window) }
    }
}

impl Tariff {
    /// A tariff that sells nothing yet.
    #[must_use]
    pub fn new(currency: Currency) -> Self {
        Self {
            version: unversioned(),
            currency,
            unit_minutes: 0,
            rates: BTreeMap::new(),
            daily_cap: None,
            cap_period: CapPeriod::default(),
            overstay: OverstayRule::default(),
            tables: Vec::new(),
            graces: Graces::default(),
            lost_ticket: None,
            violations: BTreeMap::new(),
            fees: Vec::new(),
            taxes: None,
            validations: Vec::new(),
            validation_stacking: Stacking::default(),
            dynamic: None,
            escalation: Vec::new(),
            terms: None,
        }
    }

    /// The same tariff as `version`.
    #[must_use]
    pub fn at_version(mut self, version: TariffVersion) -> Self {
        self.version = version;
        self
    }

    /// Everything wrong with it, by field; empty if it can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<FieldError> {
        check::tariff(self)
    }

    /// What may surprise: stays that cost more than longer ones (P5). Empty for a tariff that does not validate.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        if self.validate().is_empty() { warn::non_monotone(self) } else { Vec::new() }
    }

    /// The explained price of a stay.
    ///
    /// The steps, in this order: the first table for the audience; graces; product, or events, windows and base within the
    /// periods of the caps; dynamic change; minimum and maximum; validations; fees; taxes; vouchers.
    ///
    /// # Errors
    /// [`TariffError::NoRate`] if the class cannot park here, [`TariffError::Unavailable`] if the tariff sells no such stay,
    /// [`TariffError::MaxStay`], [`TariffError::TooLong`], and the two of validations.
    pub fn price(&self, request: &PriceRequest<'_>) -> Result<Price, TariffError> {
        if request.window.minutes() > PRICED_DAYS_MAX * DAY_MINUTES {
            return Err(TariffError::TooLong);
        }
        let fee_is_all = self.lost_ticket.is_some_and(|lost| !lost.plus_stay) && request.ticket == Ticket::Lost;
        let parking = if fee_is_all { Vec::new() } else { self.parking(request)? };
        adjust::finish(self, request, parking)
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
