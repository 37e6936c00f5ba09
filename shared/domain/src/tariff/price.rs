//! An explained price: lines whose sum is the total (P18).

use std::num::NonZeroU64;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::TariffError;
use crate::ids::TariffVersion;
use crate::money::{BASIS_POINTS_DIVISOR, Currency, Money, div_half_up};
use crate::time::Window;

/// Which rule made a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Rate per started unit (P2).
    UnitRate,
    /// The cap of one or more whole or partial periods replaces what their units would cost (P3, P4).
    DailyCap,
    /// A price agreed earlier, whose own lines are not at hand.
    AgreedPrice,
    /// Rate per started unit after the booked end (T5).
    OverstayRate,
    /// Administration fee of an overstay (T5).
    OverstayFee,
    /// What the tariff adds for the time after the booked end (T5).
    OverstayTariff,
    /// The share of the price for the time used (T4).
    EarlyExitProrated,
    /// Fee for leaving early (T4).
    EarlyExitFee,
    /// What the cancellation ladder leaves owed.
    CancellationKept,
    /// The share of the prepayment kept from somebody who never came (I13, M10).
    NoShowFee,
}

impl Rule {
    /// The rule's stable id, as serialised.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnitRate => "unit_rate",
            Self::DailyCap => "daily_cap",
            Self::AgreedPrice => "agreed_price",
            Self::OverstayRate => "overstay_rate",
            Self::OverstayFee => "overstay_fee",
            Self::OverstayTariff => "overstay_tariff",
            Self::EarlyExitProrated => "early_exit_prorated",
            Self::EarlyExitFee => "early_exit_fee",
            Self::CancellationKept => "cancellation_kept",
            Self::NoShowFee => "no_show_fee",
        }
    }

    /// The key under which clients keep the line's text in their own language.
    #[must_use]
    pub const fn label_key(self) -> &'static str {
        match self {
            Self::UnitRate => "price.unit_rate",
            Self::DailyCap => "price.daily_cap",
            Self::AgreedPrice => "price.agreed_price",
            Self::OverstayRate => "price.overstay_rate",
            Self::OverstayFee => "price.overstay_fee",
            Self::OverstayTariff => "price.overstay_tariff",
            Self::EarlyExitProrated => "price.early_exit_prorated",
            Self::EarlyExitFee => "price.early_exit_fee",
            Self::CancellationKept => "price.cancellation_kept",
            Self::NoShowFee => "price.no_show_fee",
        }
    }
}

/// What a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unit {
    /// Units of so many minutes, each charged once it has started.
    StartedUnit {
        /// Length of one unit.
        minutes: u32,
    },
    /// Periods of a cap.
    Period,
    /// Ten-thousandths of the rate.
    BasisPoint,
    /// Minutes out of so many that the rate pays for.
    MinuteOf {
        /// Minutes the rate pays for.
        minutes: NonZeroU64,
    },
    /// One thing.
    Item,
}

impl Unit {
    /// What `quantity × rate` is divided by.
    const fn divisor(self) -> NonZeroU64 {
        match self {
            Self::StartedUnit { .. } | Self::Period | Self::Item => NonZeroU64::MIN,
            Self::BasisPoint => BASIS_POINTS_DIVISOR,
            Self::MinuteOf { minutes } => minutes,
        }
    }

    const fn rounding(self) -> Rounding {
        match self {
            Self::StartedUnit { .. } => Rounding::QuantityUp,
            Self::Period | Self::Item => Rounding::Exact,
            Self::BasisPoint | Self::MinuteOf { .. } => Rounding::AmountHalfUp,
        }
    }
}

/// The rounding that a line went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// None.
    Exact,
    /// A started unit counts as a whole one (P2).
    QuantityUp,
    /// The amount goes to the nearest minor unit, a tie up.
    AmountHalfUp,
}

/// One line of a price. `amount_minor` is always what [`Line::new`] computes from the other fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    rule: Rule,
    interval: Window,
    quantity: i64,
    unit: Unit,
    unit_rate_minor: i64,
    amount_minor: i64,
}

impl Line {
    /// `quantity` units at `unit_rate_minor` for the time of `interval`.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if the amount does not fit 64 bits.
    pub fn new(
        rule: Rule,
        interval: Window,
        quantity: i64,
        unit: Unit,
        unit_rate_minor: i64,
    ) -> Result<Self, TariffError> {
        let product = i128::from(quantity) * i128::from(unit_rate_minor);
        let amount = div_half_up(product, unit.divisor());
        let amount_minor = i64::try_from(amount).map_err(|_| TariffError::Overflow)?;
        Ok(Self { rule, interval, quantity, unit, unit_rate_minor, amount_minor })
    }

    /// The rule that made it.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// The time it is for.
    #[must_use]
    pub const fn interval(&self) -> Window {
        self.interval
    }

    /// How many units.
    #[must_use]
    pub const fn quantity(&self) -> i64 {
        self.quantity
    }

    /// Of what.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Minor units of money per unit, or per whole where the unit is a share.
    #[must_use]
    pub const fn unit_rate_minor(&self) -> i64 {
        self.unit_rate_minor
    }

    /// The rounding applied.
    #[must_use]
    pub const fn rounding(&self) -> Rounding {
        self.unit.rounding()
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn amount_minor(&self) -> i64 {
        self.amount_minor
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("Line", 9)?;
        line.serialize_field("rule", &self.rule)?;
        line.serialize_field("label_key", self.rule.label_key())?;
        line.serialize_field("start", &self.interval.start().to_string())?;
        line.serialize_field("end", &self.interval.end().to_string())?;
        line.serialize_field("quantity", &self.quantity)?;
        line.serialize_field("unit", &self.unit)?;
        line.serialize_field("unit_rate_minor", &self.unit_rate_minor)?;
        line.serialize_field("rounding", &self.rounding())?;
        line.serialize_field("amount_minor", &self.amount_minor)?;
        line.end()
    }
}

/// What something costs, and why. The total is the sum of the lines by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    currency: Currency,
    tariff_version: TariffVersion,
    lines: Vec<Line>,
    total_minor: i64,
}

impl Price {
    /// Adds up the lines.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if the sum does not fit 64 bits.
    pub fn new(currency: Currency, tariff_version: TariffVersion, lines: Vec<Line>) -> Result<Self, TariffError> {
        let mut total_minor: i64 = 0;
        for line in &lines {
            total_minor = total_minor.checked_add(line.amount_minor).ok_or(TariffError::Overflow)?;
        }
        Ok(Self { currency, tariff_version, lines, total_minor })
    }

    /// A price agreed earlier of which only the amount is at hand: one line of it.
    #[must_use]
    pub fn agreed(amount: Money, tariff_version: TariffVersion, window: Window) -> Self {
        let line = Line {
            rule: Rule::AgreedPrice,
            interval: window,
            quantity: 1,
            unit: Unit::Item,
            unit_rate_minor: amount.minor,
            amount_minor: amount.minor,
        };
        Self { currency: amount.currency, tariff_version, lines: vec![line], total_minor: amount.minor }
    }

    /// This price with further lines.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if the sum does not fit 64 bits.
    pub fn with_lines(&self, more: Vec<Line>) -> Result<Self, TariffError> {
        let mut lines = self.lines.clone();
        lines.extend(more);
        Self::new(self.currency, self.tariff_version, lines)
    }

    /// The currency of every line.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The tariff version that made it (P7).
    #[must_use]
    pub const fn tariff_version(&self) -> TariffVersion {
        self.tariff_version
    }

    /// The lines, in order of time.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The sum of the lines in minor units, at least 0.
    #[must_use]
    pub const fn total_minor(&self) -> i64 {
        self.total_minor
    }

    /// The sum of the lines.
    #[must_use]
    pub const fn total(&self) -> Money {
        Money::new(self.total_minor, self.currency)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut price = serializer.serialize_struct("Price", 4)?;
        price.serialize_field("currency", &self.currency)?;
        price.serialize_field("total_minor", &self.total_minor)?;
        price.serialize_field("tariff_version", &self.tariff_version.0)?;
        price.serialize_field("lines", &self.lines)?;
        price.end()
    }
}
