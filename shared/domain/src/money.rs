//! Money as an integer count of minor units, and the only places where a fraction of one is rounded.
//!
//! Intermediates are `i128`, results `i64`; nothing here is a float, saturates or wraps.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// The whole in basis points: 100 %.
pub const BASIS_POINTS: u32 = 10_000;
/// [`BASIS_POINTS`], to divide by.
pub(crate) const BASIS_POINTS_DIVISOR: NonZeroU64 = NonZeroU64::new(10_000).unwrap();

/// Why an amount cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code, or one without minor units (gold, test codes), which nothing can be priced in.
    #[error("not an ISO 4217 currency with minor units")]
    Currency,
    /// Two currencies were combined.
    #[error("{left} and {right} are different currencies")]
    Mismatch {
        /// Currency of the left operand.
        left: Currency,
        /// Currency of the right operand.
        right: Currency,
    },
    /// The result does not fit 64 bits.
    #[error("the amount is out of range")]
    Overflow,
}

/// An ISO 4217 currency that has minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Takes an upper-case ISO 4217 code.
    ///
    /// # Errors
    /// [`MoneyError::Currency`] for an unknown code and for one without an exponent, such as `XAU`.
    pub fn from_code(code: &str) -> Result<Self, MoneyError> {
        let currency = iso_currency::Currency::from_code(code).ok_or(MoneyError::Currency)?;
        currency.exponent().map(|_| Self(currency)).ok_or(MoneyError::Currency)
    }

    /// The three letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The steps in which cards move money in this currency, in minor units: 1 but for a few, of which Stripe rounds the third decimal away
    /// (<https://docs.stripe.com/currencies#special-cases>) or knows no fifths.
    #[must_use]
    pub fn card_step_minor(self) -> i64 {
        match self.code() {
            "MGA" => 100,
            "BHD" | "JOD" | "KWD" | "OMR" | "TND" => 10,
            _ => 1,
        }
    }

    /// Decimal digits of the minor unit: 0 for JPY, 2 for EUR, 3 for KWD.
    #[must_use]
    pub fn exponent(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).map_err(de::Error::custom)
    }
}

/// An amount of one currency; negative amounts are differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Count of minor units: cents, yen, fils.
    pub minor: i64,
    /// What they are units of.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::Mismatch`] for two currencies, [`MoneyError::Overflow`] beyond 64 bits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::Mismatch`] for two currencies, [`MoneyError::Overflow`] beyond 64 bits.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// For people: code, blank, amount with the currency's own digits, as `EUR 12.50`, `JPY 1250` or `KWD -1.250`.
    #[must_use]
    pub fn format(self) -> String {
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = self.currency.exponent();
        let (major, fraction) = match 10_u64.checked_pow(digits) {
            Some(scale) => (self.minor.unsigned_abs() / scale.max(1), self.minor.unsigned_abs() % scale.max(1)),
            None => (self.minor.unsigned_abs(), 0),
        };
        let code = self.currency.code();
        match usize::try_from(digits) {
            Ok(width) if width > 0 => format!("{code} {sign}{major}.{fraction:0width$}"),
            _ => format!("{code} {sign}{major}"),
        }
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::Mismatch { left: self.currency, right: other.currency })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format())
    }
}

/// The quotient, rounded towards minus infinity.
#[must_use]
pub const fn div_down(numerator: i128, divisor: NonZeroU64) -> i128 {
    numerator.div_euclid(divisor.get() as i128)
}

/// The quotient, rounded towards plus infinity.
#[must_use]
pub const fn div_up(numerator: i128, divisor: NonZeroU64) -> i128 {
    let exact = numerator.rem_euclid(divisor.get() as i128) == 0;
    div_down(numerator, divisor) + if exact { 0 } else { 1 }
}

/// The nearest quotient; a tie goes away from zero, as invoices do, so that a refund of an amount rounds like its charge.
#[must_use]
pub const fn div_half_up(numerator: i128, divisor: NonZeroU64) -> i128 {
    let (down, twice, whole) = halves(numerator, divisor);
    let up = twice > whole || (twice == whole && numerator >= 0);
    down + if up { 1 } else { 0 }
}

/// The nearest quotient; a tie goes to the even neighbour.
#[must_use]
pub const fn div_half_even(numerator: i128, divisor: NonZeroU64) -> i128 {
    let (down, twice, whole) = halves(numerator, divisor);
    let up = twice > whole || (twice == whole && down.rem_euclid(2) == 1);
    down + if up { 1 } else { 0 }
}

/// The quotient rounded down, twice the remainder, and the divisor to compare that with.
const fn halves(numerator: i128, divisor: NonZeroU64) -> (i128, i128, i128) {
    let whole = divisor.get() as i128;
    (numerator.div_euclid(whole), 2 * numerator.rem_euclid(whole), whole)
}

/// The share of `basis_points` (of 10,000) in `minor`, half-up. A share is never more than the whole: above 10,000 is 10,000.
#[must_use]
pub fn share_basis_points(minor: i64, basis_points: u32) -> i64 {
    let product = i128::from(minor) * i128::from(basis_points.min(BASIS_POINTS));
    // At most `minor` in magnitude, so the conversion cannot fail.
    i64::try_from(div_half_up(product, BASIS_POINTS_DIVISOR)).unwrap_or(minor)
}
