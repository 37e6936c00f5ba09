//! The month that an entry falls in: by the clocks on the lot's walls.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike};
use parkade_domain::time::Minute;
use parkade_domain::zone::LotZone;

/// A calendar month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month {
    year: u16,
    /// From 1.
    month: u8,
}

/// Not `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is YYYY-MM")]
pub struct NotAMonth;

impl Month {
    /// The month in which an epoch second falls in a lot's zone.
    #[must_use]
    pub fn of(at_s: i64, zone: LotZone) -> Self {
        Self::of_date(&zone.local(Minute(at_s.div_euclid(60))))
    }

    /// The month in which an epoch second falls in UTC: of what belongs to no lot.
    #[must_use]
    pub fn utc(at_s: i64) -> Self {
        Self::of_date(&DateTime::from_timestamp(at_s, 0).unwrap_or_default())
    }

    fn of_date(date: &impl Datelike) -> Self {
        let month = u8::try_from(date.month()).unwrap_or(1);
        Self { year: u16::try_from(date.year()).unwrap_or(0), month }
    }

    /// The month before.
    #[must_use]
    pub const fn previous(self) -> Self {
        match self.month {
            0 | 1 => Self { year: self.year.saturating_sub(1), month: 12 },
            month => Self { year: self.year, month: month - 1 },
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        let read = Self { year: year.parse().map_err(|_| NotAMonth)?, month: month.parse().map_err(|_| NotAMonth)? };
        // One spelling per month: it is part of a key.
        if (1..=12).contains(&read.month) && read.year <= 9_999 && read.to_string() == text {
            Ok(read)
        } else {
            Err(NotAMonth)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_when_the_clocks_of_the_lot_say_so() {
        // 2026-11-30T23:30:00Z
        let at_s = 1_796_081_400;
        let month = |zone: &str| Month::of(at_s, LotZone::parse(zone).unwrap()).to_string();
        assert_eq!((month("Europe/Berlin"), month("America/Chicago")), ("2026-12".into(), "2026-11".into()));
        assert_eq!(Month::utc(at_s).to_string(), "2026-11");
        assert_eq!(Month::utc(at_s).previous().to_string(), "2026-10");
        assert_eq!("2027-01".parse::<Month>().unwrap().previous().to_string(), "2026-12");
    }

    #[test]
    fn a_month_has_one_spelling() {
        assert!("2026-11".parse::<Month>().is_ok());
        for text in ["", "2026", "2026-1", "2026-13", "2026-00", "+226-01", "2026-11-01", "12026-01"] {
            assert_eq!(text.parse::<Month>(), Err(NotAMonth), "{text}");
        }
    }
}
