//! The words a tariff is written in: ids, amounts, times of day and sets of days.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::money::Currency;

/// Most characters of a rule's id.
pub const RULE_ID_CHARS_MAX: usize = 40;
/// Most digits after the point that any currency has.
const DIGITS_MAX: usize = 4;

/// Name of a rule within its tariff, printed on receipts: `early-bird`. Cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(Arc<str>);

impl RuleId {
    /// Takes any text; [`RuleId::is_valid`] says whether a tariff may use it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is 1 to [`RULE_ID_CHARS_MAX`] of `a-z`, `0-9`, `-` and `_`.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        (1..=RULE_ID_CHARS_MAX).contains(&self.0.len()) && self.0.bytes().all(good)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RuleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Arc::from(text)))
    }
}

impl JsonSchema for RuleId {
    fn schema_name() -> Cow<'static, str> {
        "RuleId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z0-9_-]{1,40}$", "description": "Name of a rule, printed on receipts."})
    }
}

/// An amount of a tariff: minor units (`1250`), or text with exactly the currency's digits (`"12.50"`, `"1200"`, `"0.500"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    minor: i64,
    /// Digits after the point, if it was written as text.
    digits: Option<u8>,
}

impl Amount {
    /// `minor` minor units.
    #[must_use]
    pub const fn from_minor(minor: i64) -> Self {
        Self { minor, digits: None }
    }

    /// Count of minor units; meaningful only if [`Amount::fits`] the currency.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// Whether it is written with the digits of `currency`.
    #[must_use]
    pub fn fits(self, currency: Currency) -> bool {
        self.digits.is_none_or(|digits| u32::from(digits) == currency.exponent())
    }

    fn parse(text: &str) -> Option<Self> {
        let (major, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let empty_fraction = text.ends_with('.');
        if major.is_empty() || !digits_only(major) || !digits_only(fraction) || empty_fraction {
            return None;
        }
        if fraction.len() > DIGITS_MAX || major.len() + fraction.len() > 15 {
            return None;
        }
        let minor = format!("{major}{fraction}").parse().ok()?;
        Some(Self { minor, digits: u8::try_from(fraction.len()).ok() })
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.digits {
            None => serializer.serialize_i64(self.minor),
            Some(0) => serializer.serialize_str(&self.minor.to_string()),
            Some(digits) => {
                let scale = 10_i64.pow(u32::from(digits));
                let width = usize::from(digits);
                serializer.collect_str(&format_args!("{}.{:0width$}", self.minor / scale, self.minor % scale))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("minor units such as 1250, or text with the currency's digits such as \"12.50\"")
            }
            fn visit_i64<E: de::Error>(self, minor: i64) -> Result<Amount, E> {
                Ok(Amount::from_minor(minor))
            }
            fn visit_u64<E: de::Error>(self, minor: u64) -> Result<Amount, E> {
                i64::try_from(minor).map(Amount::from_minor).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                Amount::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Minor units (1250), or text with exactly the currency's digits (\"12.50\").",
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 1_000_000_000},
                {"type": "string", "pattern": "^[0-9]{1,15}([.][0-9]{1,4})?$"},
            ],
        })
    }
}

/// A local time of day in whole minutes, `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Reads `HH:MM`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |part: &str| {
            let two_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if two_digits { part.parse::<u16>().ok() } else { None }
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let total = hours * 60 + minutes;
        if minutes < 60 && total <= 1_440 { Some(Self(total)) } else { None }
    }

    /// Minutes after midnight by the clock on the wall, 0 to 1,440.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a time of day is HH:MM, from 00:00 to 24:00"))
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "description": "Local time of day."})
    }
}

/// A day of the week, or a public holiday, which is a day of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
    /// A day of the lot's holiday calendar. A tariff that never lists it ignores the calendar.
    Holiday,
}

impl Day {
    /// All of them; the first seven are the week.
    pub const ALL: [Self; 8] =
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun, Self::Holiday];

    pub(crate) const fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of days; every day of the week and every holiday unless listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Default for Days {
    fn default() -> Self {
        Self(u8::MAX)
    }
}

impl Days {
    /// Whether `day` is one of them.
    #[must_use]
    pub const fn contains(self, day: Day) -> bool {
        self.0 & day.bit() != 0
    }

    pub(crate) const fn has_bit(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Whether none was listed.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all were meant, so that nobody has to list them.
    pub(crate) fn is_every(&self) -> bool {
        self.0 == u8::MAX
    }
}

impl Serialize for Days {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(Day::ALL.iter().filter(|day| self.contains(**day)))
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let days = Vec::<Day>::deserialize(deserializer)?;
        Ok(Self(days.iter().fold(0, |bits, day| bits | day.bit())))
    }
}

impl JsonSchema for Days {
    fn schema_name() -> Cow<'static, str> {
        "Days".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let day = generator.subschema_for::<Day>();
        json_schema!({"type": "array", "minItems": 1, "items": day})
    }
}
