//! An explained price: lines whose sum is the total (P18).

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::extras::Benefit;
use super::scalar::RuleId;
use super::{Tariff, TariffError};
use crate::ids::TariffVersion;
use crate::money::{BASIS_POINTS_DIVISOR, Currency, Money, div_half_even, div_half_up};
use crate::time::Window;

/// The whole in millionths.
const MILLIONTHS: NonZeroU64 = NonZeroU64::new(1_000_000).unwrap();

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// Which kind of rule made a line.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Rule {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Rule {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The kind's stable id, as serialised.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The key under which clients keep the line's text in their own language.
            #[must_use]
            pub const fn label_key(self) -> &'static str {
                match self { $(Self::$variant => concat!("price.", $name),)+ }
            }
        }
    };
}

rules! {
    /// Rate per unit (P2).
    UnitRate => "unit_rate",
    /// A tier: one price up to a length of stay (P1).
    Tier => "tier",
    /// The cap of one or more whole or partial days replaces what their time would cost (P3, P4).
    DailyCap => "daily_cap",
    /// The cap of a longer period: a week's or a month's price.
    PeriodCap => "period_cap",
    /// A rate by day and time.
    WindowRate => "window_rate",
    /// The most that one window costs.
    WindowCap => "window_cap",
    /// Time that costs nothing (P9).
    FreeTime => "free_time",
    /// A rate while an event takes place (P8).
    EventRate => "event_rate",
    /// A price for stays of a certain shape (P6).
    Product => "product",
    /// A grace made the stay free (T1).
    Grace => "grace",
    /// What is missing to the minimum charge (P14).
    MinimumCharge => "minimum_charge",
    /// What is above the maximum charge.
    MaximumCharge => "maximum_charge",
    /// Fee for a lost ticket (P14).
    LostTicket => "lost_ticket",
    /// Change by occupancy and lead time (P17).
    Dynamic => "dynamic",
    /// What a validation takes off (P15).
    Validation => "validation",
    /// A service fee that a cancellation gives back (P11).
    ServiceFee => "service_fee",
    /// A service fee that is kept (P11).
    ServiceFeeKept => "service_fee_kept",
    /// A tax on top (P13).
    Tax => "tax",
    /// What an unpaid amount grew by.
    Escalation => "escalation",
    /// A price agreed earlier, whose own lines are not at hand.
    AgreedPrice => "agreed_price",
    /// What leaving too late after paying adds (T1).
    TopUp => "top_up",
    /// Rate per started unit after the booked end (T5).
    OverstayRate => "overstay_rate",
    /// Administration fee of an overstay (T5).
    OverstayFee => "overstay_fee",
    /// What the tariff adds for the time after the booked end (T5).
    OverstayTariff => "overstay_tariff",
    /// The share of the price for the time used (T4).
    EarlyExitProrated => "early_exit_prorated",
    /// Fee for leaving early (T4).
    EarlyExitFee => "early_exit_fee",
    /// What the cancellation ladder leaves owed.
    CancellationKept => "cancellation_kept",
    /// What a change of the booking left owed, above the price of the new one.
    ChangeKept => "change_kept",
    /// Fee for changing a booking.
    ModificationFee => "modification_fee",
    /// The share of the prepayment kept from somebody who never came (I13, M10).
    NoShowFee => "no_show_fee",
    /// A violation: stayed beyond what was booked.
    ViolationOverstay => "violation_overstay",
    /// A violation: stood on a spot of another type.
    ViolationWrongSpot => "violation_wrong_spot",
    /// A violation: stood where a permit is needed.
    ViolationNoRight => "violation_no_right",
    /// A violation: left without paying.
    ViolationUnpaid => "violation_unpaid",
    /// What the operator's goodwill takes off (M6).
    Goodwill => "goodwill",
}

/// What a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Unit {
    /// Units of so many minutes, each charged once it has started.
    StartedUnit {
        /// Length of one unit.
        minutes: u32,
    },
    /// Units of so many minutes, each charged once it is complete.
    WholeUnit {
        /// Length of one unit.
        minutes: u32,
    },
    /// Units of so many minutes, each charged from its half on.
    NearestUnit {
        /// Length of one unit.
        minutes: u32,
    },
    /// Periods of a cap.
    Period,
    /// Ten-thousandths of the rate.
    BasisPoint,
    /// Millionths of the rate.
    Millionth,
    /// Millionths of the rate; a half goes to the even neighbour.
    MillionthHalfEven,
    /// Minutes out of so many that the rate pays for.
    MinuteOf {
        /// Minutes the rate pays for.
        minutes: NonZeroU64,
    },
    /// One thing.
    Item,
}

impl Unit {
    /// The unit's stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartedUnit { .. } => "started_unit",
            Self::WholeUnit { .. } => "whole_unit",
            Self::NearestUnit { .. } => "nearest_unit",
            Self::Period => "period",
            Self::BasisPoint => "basis_point",
            Self::Millionth => "millionth",
            Self::MillionthHalfEven => "millionth_half_even",
            Self::MinuteOf { .. } => "minute",
            Self::Item => "item",
        }
    }

    /// Length of a unit of time, or the minutes that the rate pays for.
    #[must_use]
    pub const fn minutes(self) -> Option<u64> {
        match self {
            Self::StartedUnit { minutes } | Self::WholeUnit { minutes } | Self::NearestUnit { minutes } => {
                Some(minutes as u64)
            }
            Self::MinuteOf { minutes } => Some(minutes.get()),
            Self::Period | Self::BasisPoint | Self::Millionth | Self::MillionthHalfEven | Self::Item => None,
        }
    }

    /// `quantity × rate`, divided and rounded as the unit says.
    const fn amount(self, product: i128) -> i128 {
        match self {
            Self::StartedUnit { .. }
            | Self::WholeUnit { .. }
            | Self::NearestUnit { .. }
            | Self::Period
            | Self::Item => product,
            Self::BasisPoint => div_half_up(product, BASIS_POINTS_DIVISOR),
            Self::Millionth => div_half_up(product, MILLIONTHS),
            Self::MillionthHalfEven => div_half_even(product, MILLIONTHS),
            Self::MinuteOf { minutes } => div_half_up(product, minutes),
        }
    }

    const fn rounding(self) -> Rounding {
        match self {
            Self::StartedUnit { .. } => Rounding::QuantityUp,
            Self::WholeUnit { .. } => Rounding::QuantityDown,
            Self::NearestUnit { .. } => Rounding::QuantityNearest,
            Self::Period | Self::Item => Rounding::Exact,
            Self::BasisPoint | Self::Millionth | Self::MinuteOf { .. } => Rounding::AmountHalfUp,
            Self::MillionthHalfEven => Rounding::AmountHalfEven,
        }
    }
}

/// The rounding that a line went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// None.
    Exact,
    /// A started unit counts as a whole one (P2).
    QuantityUp,
    /// A started unit does not count (P2).
    QuantityDown,
    /// A unit counts from its half on (P2).
    QuantityNearest,
    /// The amount goes to the nearest minor unit, a tie away from zero.
    AmountHalfUp,
    /// The amount goes to the nearest minor unit, a tie to the even one.
    AmountHalfEven,
}

impl Rounding {
    /// The rounding's stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::QuantityUp => "quantity_up",
            Self::QuantityDown => "quantity_down",
            Self::QuantityNearest => "quantity_nearest",
            Self::AmountHalfUp => "amount_half_up",
            Self::AmountHalfEven => "amount_half_even",
        }
    }
}

/// One line of a price. `amount_minor` is always what [`Line::new`] computes from the other fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    rule: Rule,
    id: Option<RuleId>,
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
        let amount = unit.amount(i128::from(quantity) * i128::from(unit_rate_minor));
        let amount_minor = i64::try_from(amount).map_err(|_| TariffError::Overflow)?;
        Ok(Self { rule, id: None, interval, quantity, unit, unit_rate_minor, amount_minor })
    }

    /// The line as made by the tariff's rule of this name.
    #[must_use]
    pub fn of(mut self, id: Option<&RuleId>) -> Self {
        self.id = id.cloned();
        self
    }

    /// The kind of rule that made it.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// The name of the tariff's rule, where rules have names.
    #[must_use]
    pub const fn id(&self) -> Option<&RuleId> {
        self.id.as_ref()
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

    /// The amount in minor units; negative for what is taken off.
    #[must_use]
    pub const fn amount_minor(&self) -> i64 {
        self.amount_minor
    }
}

/// A tax within a price or on top of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// The component; nothing if several are rounded together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RuleId>,
    /// The rate in millionths.
    pub rate_millionths: u32,
    /// What it is computed from: the net amount if it is added, the gross amount if it is included.
    pub base_minor: i64,
    /// The tax.
    pub amount_minor: i64,
    /// Whether the lines contain it already.
    pub included: bool,
}

/// What a merchant owes for a validation: exactly what the driver saved (P16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debit {
    /// The validation.
    pub validation: RuleId,
    /// The merchant; nothing if the operator gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<RuleId>,
    /// Minor units of money, at least 0.
    pub amount_minor: i64,
}

/// What something costs, and why. The total is the sum of the lines by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    pub(super) currency: Currency,
    pub(super) tariff_version: TariffVersion,
    pub(super) lines: Vec<Line>,
    pub(super) taxes: Vec<Tax>,
    pub(super) debits: Vec<Debit>,
    pub(super) total_minor: i64,
}

impl Price {
    /// Adds up the lines.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if the sum does not fit 64 bits.
    pub fn new(currency: Currency, tariff_version: TariffVersion, lines: Vec<Line>) -> Result<Self, TariffError> {
        let total_minor = sum(&lines)?;
        Ok(Self { currency, tariff_version, lines, taxes: Vec::new(), debits: Vec::new(), total_minor })
    }

    /// A price agreed earlier of which only the amount is at hand: one line of it.
    #[must_use]
    pub fn agreed(amount: Money, tariff_version: TariffVersion, window: Window) -> Self {
        let line = Line {
            rule: Rule::AgreedPrice,
            id: None,
            interval: window,
            quantity: 1,
            unit: Unit::Item,
            unit_rate_minor: amount.minor,
            amount_minor: amount.minor,
        };
        let (currency, total_minor) = (amount.currency, amount.minor);
        Self { currency, tariff_version, lines: vec![line], taxes: Vec::new(), debits: Vec::new(), total_minor }
    }

    /// This price, which has no taxes yet, with those of `tariff` within it.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if a tax does not fit 64 bits.
    pub fn taxed(self, tariff: &Tariff) -> Result<Self, TariffError> {
        tariff.taxes_within(self.total_minor)?.into_iter().try_fold(self, Self::with_tax)
    }

    /// This price in one line, where there is no room for all of them. Its taxes and debits stay.
    #[must_use]
    pub fn in_one_line(&self, window: Window) -> Self {
        let agreed = Self::agreed(self.total(), self.tariff_version, window);
        Self { taxes: self.taxes.clone(), debits: self.debits.clone(), ..agreed }
    }

    /// This price with further lines.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if the sum does not fit 64 bits.
    pub fn with_lines(&self, more: Vec<Line>) -> Result<Self, TariffError> {
        let mut lines = self.lines.clone();
        lines.extend(more);
        let total_minor = sum(&lines)?;
        Ok(Self { lines, total_minor, ..self.clone() })
    }

    /// This price with further lines of the same service: they contain the taxes of `tariff`.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if the sum does not fit 64 bits.
    pub fn with_taxed_lines(&self, more: Vec<Line>, tariff: &Tariff) -> Result<Self, TariffError> {
        let taxes = tariff.taxes_within(sum(&more)?)?;
        taxes.into_iter().try_fold(self.with_lines(more)?, Self::with_tax)
    }

    /// This price with a further line whose taxes are those of `longer` less those of `shorter`, which are prices of the same tariff.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if the sum does not fit 64 bits.
    pub(crate) fn with_line_to(&self, line: Line, longer: &Self, shorter: &Self) -> Result<Self, TariffError> {
        let added = longer.taxes.iter().map(|tax| (tax, 1)).chain(shorter.taxes.iter().map(|tax| (tax, -1)));
        added.into_iter().try_fold(self.with_lines(vec![line])?, |price, (tax, sign)| {
            // The line contains them, whether the prices that it compares do or not.
            let (base_minor, amount_minor) = (sign * tax.base_minor, sign * tax.amount_minor);
            price.with_tax(Tax { base_minor, amount_minor, included: true, ..tax.clone() })
        })
    }

    /// This price of a part of a service, with the same part of the taxes of the `whole`. Where those were lines of their own and no line
    /// of a tax is left, the part contains them; where the lines are still there, what is taken off does.
    ///
    /// # Errors
    /// [`TariffError::Overflow`] if a tax does not fit 64 bits.
    pub fn with_share_of_taxes(self, whole: &Self, tariff: &Tariff) -> Result<Self, TariffError> {
        let (part, all) = (self.taxed_minor(tariff)?, whole.taxed_minor(tariff)?);
        let Some(divisor) = u64::try_from(all).ok().and_then(NonZeroU64::new) else { return Ok(self) };
        let share = |minor: i64| {
            let product = i128::from(minor).checked_mul(i128::from(part)).ok_or(TariffError::Overflow)?;
            i64::try_from(div_half_up(product, divisor)).map_err(|_| TariffError::Overflow)
        };
        let lines_stay = self.lines.iter().any(|line| line.rule == Rule::Tax);
        let untaxed = Self { taxes: Vec::new(), ..self };
        whole.taxes.iter().try_fold(untaxed, |price, tax| {
            let amount_minor = share(tax.amount_minor)?;
            if tax.included {
                return price.with_tax(Tax { base_minor: share(tax.base_minor)?, amount_minor, ..tax.clone() });
            }
            let within = |base_minor, amount_minor| Tax { base_minor, amount_minor, included: true, ..tax.clone() };
            if lines_stay {
                return price.with_tax(tax.clone())?.with_tax(within(part - all, amount_minor - tax.amount_minor));
            }
            price.with_tax(within(part, amount_minor))
        })
    }

    /// With one tax more, as part of the one of its kind if there is one.
    fn with_tax(mut self, tax: Tax) -> Result<Self, TariffError> {
        let alike =
            |of: &&mut Tax| (&of.id, of.rate_millionths, of.included) == (&tax.id, tax.rate_millionths, tax.included);
        match self.taxes.iter_mut().find(alike) {
            Some(of) => {
                of.base_minor = of.base_minor.checked_add(tax.base_minor).ok_or(TariffError::Overflow)?;
                of.amount_minor = of.amount_minor.checked_add(tax.amount_minor).ok_or(TariffError::Overflow)?;
            }
            None => self.taxes.push(tax),
        }
        Ok(self)
    }

    /// The amount that its taxes are part of: the total, and what vouchers have paid of it. Whatever else is given lowers the price before
    /// it is taxed.
    fn taxed_minor(&self, tariff: &Tariff) -> Result<i64, TariffError> {
        let voucher = |debit: &&Debit| {
            let known = tariff.validations.iter().find(|known| known.id == debit.validation);
            known.is_some_and(|known| matches!(known.benefit, Benefit::Money { .. }))
        };
        let vouchers = self.debits.iter().filter(voucher).map(|debit| i128::from(debit.amount_minor)).sum::<i128>();
        i64::try_from(i128::from(self.total_minor) + vouchers).map_err(|_| TariffError::Overflow)
    }

    /// Two prices together: the occurrences of a series.
    ///
    /// # Errors
    /// [`TariffError::CurrencyMismatch`], [`TariffError::Overflow`].
    pub fn plus(mut self, other: Self) -> Result<Self, TariffError> {
        if self.currency != other.currency {
            return Err(TariffError::CurrencyMismatch);
        }
        self.lines.extend(other.lines);
        self.taxes.extend(other.taxes);
        self.debits.extend(other.debits);
        self.total_minor = sum(&self.lines)?;
        Ok(self)
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

    /// The lines: parking in order of time, then what changes it, fees, taxes, vouchers.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The taxes, included or added.
    #[must_use]
    pub fn taxes(&self) -> &[Tax] {
        &self.taxes
    }

    /// What merchants owe.
    #[must_use]
    pub fn debits(&self) -> &[Debit] {
        &self.debits
    }

    /// What merchants, and the operator itself, owe together in minor units.
    #[must_use]
    pub fn debited_minor(&self) -> i64 {
        // Each is a part of a price, and together they are at most one.
        self.debits.iter().map(|debit| debit.amount_minor).sum()
    }

    /// This price with what merchants owe by another one: of the same stay, or a part of it.
    #[must_use]
    pub fn with_debits(self, debits: Vec<Debit>) -> Self {
        Self { debits, ..self }
    }

    /// What merchants owe if the driver saves so much less: the last one given is the first to pay less.
    #[must_use]
    pub fn debits_less(&self, minor: i64) -> Vec<Debit> {
        let (mut debits, mut rest) = (self.debits.clone(), minor);
        for debit in debits.iter_mut().rev() {
            let less = rest.clamp(0, debit.amount_minor);
            (debit.amount_minor, rest) = (debit.amount_minor - less, rest - less);
        }
        debits.retain(|debit| debit.amount_minor > 0);
        debits
    }

    /// The sum of the lines in minor units, at least 0.
    #[must_use]
    pub const fn total_minor(&self) -> i64 {
        self.total_minor
    }

    /// The sum of the lines without the taxes that were added, at least 0: goodwill may give those back too.
    #[must_use]
    pub fn subtotal_minor(&self) -> i64 {
        let taxes = self.lines.iter().filter(|line| line.rule == Rule::Tax);
        // Both sums were checked when the price was made.
        (self.total_minor - taxes.map(|line| line.amount_minor).sum::<i64>()).max(0)
    }

    /// The sum of the lines.
    #[must_use]
    pub const fn total(&self) -> Money {
        Money::new(self.total_minor, self.currency)
    }
}

pub(super) fn sum(lines: &[Line]) -> Result<i64, TariffError> {
    let add = |sum: i64, line: &Line| sum.checked_add(line.amount_minor).ok_or(TariffError::Overflow);
    lines.iter().try_fold(0, add)
}
