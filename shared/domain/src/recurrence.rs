//! Recurring bookings: the same local times on some weekdays (I11).

use chrono::{Datelike, Days, NaiveDate, NaiveTime, Timelike, WeekdaySet};
use thiserror::Error;

use crate::time::{Minute, Window};
use crate::zone::{LotZone, ZoneError};

/// Most occurrences of one recurrence: two months of days, and what a single transaction can still hold on month pages.
pub const OCCURRENCES_MAX: usize = 62;

/// The same local times on some weekdays of a range of dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurrence {
    /// Days on which an occurrence starts.
    pub weekdays: WeekdaySet,
    /// Local start, a whole minute.
    pub start: NaiveTime,
    /// Local end, a whole minute; not after `start` means on the next day.
    pub end: NaiveTime,
    /// First date.
    pub from: NaiveDate,
    /// The date after the last.
    pub until: NaiveDate,
}

/// One date of a recurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The local date on which it starts.
    pub date: NaiveDate,
    /// Its window, or why that date has none.
    pub window: Result<Window, OccurrenceProblem>,
}

/// Why a date has no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OccurrenceProblem {
    /// The clocks skip the start or the end on that date (T9).
    #[error("the clocks skip the start or the end on this date")]
    Gap,
}

impl OccurrenceProblem {
    /// The stable code that clients match.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Gap => "local_time_skipped",
        }
    }
}

/// Why a recurrence has no list of occurrences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RecurrenceError {
    /// No date between `from` and `until` is one of the weekdays.
    #[error("no date of the range is one of the weekdays")]
    Empty,
    /// More than [`OCCURRENCES_MAX`].
    #[error("a recurrence has at most {OCCURRENCES_MAX} occurrences")]
    TooMany,
    /// A local time has seconds.
    #[error("a time is a whole minute")]
    NotWholeMinute,
}

impl RecurrenceError {
    /// The stable code that clients match.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "recurrence_empty",
            Self::TooMany => "recurrence_too_many",
            Self::NotWholeMinute => "time_not_whole_minute",
        }
    }
}

impl Recurrence {
    /// Every occurrence in a lot's zone, by date. Each keeps its local times, so one over a clock change is an hour longer
    /// or shorter.
    ///
    /// # Errors
    /// [`RecurrenceError`] if there is none, or more than [`OCCURRENCES_MAX`], or a time has seconds.
    pub fn expand(&self, zone: LotZone) -> Result<Vec<Occurrence>, RecurrenceError> {
        let whole = |time: NaiveTime| time.second() == 0 && time.nanosecond() == 0;
        if !whole(self.start) || !whole(self.end) {
            return Err(RecurrenceError::NotWholeMinute);
        }
        if self.weekdays.is_empty() || self.from >= self.until {
            return Err(RecurrenceError::Empty);
        }
        let mut occurrences = Vec::new();
        // Ends by itself: with one weekday at least, every seventh date counts towards the limit.
        for date in self.from.iter_days().take_while(|date| *date < self.until) {
            if !self.weekdays.contains(date.weekday()) {
                continue;
            }
            if occurrences.len() == OCCURRENCES_MAX {
                return Err(RecurrenceError::TooMany);
            }
            occurrences.push(Occurrence { date, window: self.window_on(date, zone) });
        }
        if occurrences.is_empty() { Err(RecurrenceError::Empty) } else { Ok(occurrences) }
    }

    fn window_on(&self, date: NaiveDate, zone: LotZone) -> Result<Window, OccurrenceProblem> {
        let overnight = self.end <= self.start;
        let end_date = if overnight { date.checked_add_days(Days::new(1)) } else { Some(date) };
        let end_date = end_date.ok_or(OccurrenceProblem::Gap)?;
        let minute = |date: NaiveDate, time: NaiveTime| -> Result<Minute, ZoneError> {
            zone.resolve(date.and_time(time)).map(Minute::ceil)
        };
        let start = minute(date, self.start).map_err(|_| OccurrenceProblem::Gap)?;
        let end = minute(end_date, self.end).map_err(|_| OccurrenceProblem::Gap)?;
        // Taking the first of a repeated hour keeps the order of local times, so the window is never empty.
        Window::new(start, end).map_err(|_| OccurrenceProblem::Gap)
    }
}
