//! Instants in whole minutes and half-open windows (T9, T10).

use std::fmt;

use chrono::{DateTime, Timelike, Utc};
use thiserror::Error;

/// The grid on which the capacity invariant is stated and which bookings use by default (I1).
pub const QUARTER_HOUR_MINUTES: i64 = 15;
/// Minutes in a calendar page's day. Pages are cut at a fixed UTC offset, so each has exactly this many.
pub const DAY_MINUTES: i64 = 1_440;

/// A UTC instant in whole minutes since 1970-01-01T00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Minute(pub i64);

impl Minute {
    /// The minute that contains `instant`.
    #[must_use]
    pub fn floor(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp().div_euclid(60))
    }

    /// The first minute not before `instant`.
    #[must_use]
    pub fn ceil(instant: DateTime<Utc>) -> Self {
        let whole = instant.second() == 0 && instant.nanosecond() == 0;
        if whole { Self::floor(instant) } else { Self(instant.timestamp().div_euclid(60) + 1) }
    }

    /// `self` moved by `minutes`, which may be negative.
    #[must_use]
    pub const fn plus(self, minutes: i64) -> Self {
        Self(self.0 + minutes)
    }

    /// Seconds since the epoch at the start of this minute.
    #[must_use]
    pub const fn epoch_s(self) -> i64 {
        self.0 * 60
    }

    /// The start of this minute as an instant. Values outside chrono's range (year 262,000) become the epoch.
    #[must_use]
    pub fn instant(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.epoch_s(), 0).unwrap_or_default()
    }

    /// Whether this minute lies on a grid of `grid_minutes` (which is at least 1) counted from the hour in UTC.
    #[must_use]
    pub const fn is_on_grid(self, grid_minutes: i64) -> bool {
        self.0.rem_euclid(grid_minutes) == 0
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.instant().format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl fmt::Debug for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why two minutes are not a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a window ends after it starts")]
pub struct EmptyWindow;

/// An elapsed time for people: `45 min`, `1 day 2 h`, `13 days`. Nothing is rounded; a day is 24 hours (T9).
#[must_use]
pub fn elapsed_text(minutes: i64) -> String {
    let (days, rest) = (minutes.div_euclid(DAY_MINUTES), minutes.rem_euclid(DAY_MINUTES));
    let parts = [(days, if days == 1 { "day" } else { "days" }), (rest / 60, "h"), (rest % 60, "min")];
    let text: Vec<_> =
        parts.iter().filter(|(count, _)| *count != 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    if text.is_empty() { "0 min".to_owned() } else { text.join(" ") }
}

/// A half-open interval `[start, end)` that is never empty (T10).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    start: Minute,
    end: Minute,
}

impl Window {
    /// Makes `[start, end)`.
    ///
    /// # Errors
    /// [`EmptyWindow`] unless `start < end`.
    pub fn new(start: Minute, end: Minute) -> Result<Self, EmptyWindow> {
        if start < end { Ok(Self { start, end }) } else { Err(EmptyWindow) }
    }

    /// The first minute inside.
    #[must_use]
    pub const fn start(self) -> Minute {
        self.start
    }

    /// The first minute after it.
    #[must_use]
    pub const fn end(self) -> Minute {
        self.end
    }

    /// Elapsed minutes, at least 1 (T9: elapsed UTC time).
    #[must_use]
    pub const fn minutes(self) -> i64 {
        self.end.0 - self.start.0
    }

    /// Whether the two share a minute; windows that only touch do not (T10).
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether `minute` is inside.
    #[must_use]
    pub fn contains(self, minute: Minute) -> bool {
        self.start <= minute && minute < self.end
    }

    /// The common part, if there is one.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end)).ok()
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}
