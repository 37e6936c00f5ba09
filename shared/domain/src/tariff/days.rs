//! Local days: which windows hold at an instant, and when the next thing changes (T8, T9, P9).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days as ChronoDays, NaiveDate};
use serde::{Deserialize, Serialize};

use super::FieldError;
use super::language::{DayWindow, LeaveBy, Period};
use super::scalar::{Day, RuleId, TimeOfDay};
use crate::time::{DAY_MINUTES, Minute, Window};
use crate::zone::LotZone;

/// What a lot knows about its days: public holidays, and events by kind (P8, P9).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LotCalendar {
    /// Local dates.
    pub holidays: BTreeSet<NaiveDate>,
    /// Start and end of each event, by kind.
    pub events: BTreeMap<RuleId, Vec<Occasion>>,
}

/// When an event takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Occasion {
    /// First minute.
    #[serde(with = "super::receipt::minute_text")]
    pub start: Minute,
    /// First minute after it.
    #[serde(with = "super::receipt::minute_text")]
    pub end: Minute,
}

static ORDINARY: LotCalendar = LotCalendar { holidays: BTreeSet::new(), events: BTreeMap::new() };

/// Most holidays of a calendar: 20 a year for a whole generation.
const HOLIDAYS_MAX: usize = 500;
/// Most events of a calendar, of all kinds: three a week for five years, in an item of at most 100 KB.
const OCCASIONS_MAX: usize = 800;

/// Most kinds of events: far more than a tariff has rates for.
const KINDS_MAX: usize = 100;

impl LotCalendar {
    /// A calendar of ordinary days.
    #[must_use]
    pub fn ordinary() -> &'static Self {
        &ORDINARY
    }

    /// What of it lies within `days` days of a window.
    #[must_use]
    pub fn around(&self, window: Window, days: i64) -> Self {
        let (from, until) = (window.start().plus(-days * DAY_MINUTES), window.end().plus(days * DAY_MINUTES));
        let date = |minute: Minute| chrono::DateTime::from_timestamp(minute.epoch_s(), 0).map(|at| at.date_naive());
        let dates = date(from)..date(until);
        let near = |occasion: &&Occasion| occasion.start < until && from < occasion.end;
        let events = self.events.iter().map(|(kind, all)| (kind.clone(), all.iter().filter(near).copied().collect()));
        Self {
            holidays: self.holidays.iter().filter(|day| dates.contains(&Some(**day))).copied().collect(),
            events: events.filter(|(_, near): &(_, Vec<_>)| !near.is_empty()).collect(),
        }
    }

    /// Everything wrong with it, by field; empty if it can be used.
    #[must_use]
    pub fn validate(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.holidays.len() > HOLIDAYS_MAX {
            errors.push(FieldError::new("/holidays", "too_many", &format!("at most {HOLIDAYS_MAX} holidays")));
        }
        if self.events.values().map(Vec::len).sum::<usize>() > OCCASIONS_MAX {
            errors.push(FieldError::new("/events", "too_many", &format!("at most {OCCASIONS_MAX} events")));
        }
        if self.events.len() > KINDS_MAX {
            errors.push(FieldError::new("/events", "too_many", &format!("at most {KINDS_MAX} kinds of events")));
        }
        for (kind, occasions) in &self.events {
            if !kind.is_valid() {
                let detail = "a kind of event is named by 1 to 40 of a-z, 0-9, - and _";
                errors.push(FieldError::new("/events", "malformed", detail));
                continue;
            }
            for (position, occasion) in occasions.iter().enumerate() {
                if occasion.end <= occasion.start {
                    let pointer = format!("/events/{}/{position}/end", kind.as_str());
                    errors.push(FieldError::new(pointer, "window_reversed", "an event ends after it begins"));
                }
            }
        }
        errors
    }
}

/// One local day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalDay {
    date: NaiveDate,
    pub(crate) start: Minute,
    pub(crate) next: Minute,
    bit: u8,
}

/// A lot's zone and holidays.
#[derive(Clone, Copy)]
pub(crate) struct LotDays<'a> {
    pub(crate) zone: LotZone,
    pub(crate) calendar: &'a LotCalendar,
    /// Whether the tariff lists holidays anywhere.
    pub(crate) heeds_holidays: bool,
}

impl LotDays<'_> {
    /// The day that contains `minute`.
    pub(crate) fn containing(&self, minute: Minute) -> LocalDay {
        let mut day = self.on(self.zone.local(minute).date());
        while day.next <= minute {
            day = self.after(day);
        }
        day
    }

    pub(crate) fn after(&self, day: LocalDay) -> LocalDay {
        let date = day.date.checked_add_days(ChronoDays::new(1)).unwrap_or(day.date);
        LocalDay { next: self.start_after(date), start: day.next, bit: self.bit(date), date }
    }

    pub(crate) fn before(&self, day: LocalDay) -> LocalDay {
        let date = day.date.checked_sub_days(ChronoDays::new(1)).unwrap_or(day.date);
        LocalDay { date, start: self.zone.day_start(date), next: day.start, bit: self.bit(date) }
    }

    fn on(&self, date: NaiveDate) -> LocalDay {
        LocalDay { date, start: self.zone.day_start(date), next: self.start_after(date), bit: self.bit(date) }
    }

    fn start_after(&self, date: NaiveDate) -> Minute {
        let start = || self.zone.day_start(date).plus(DAY_MINUTES);
        date.checked_add_days(ChronoDays::new(1)).map_or_else(start, |next| self.zone.day_start(next))
    }

    fn bit(&self, date: NaiveDate) -> u8 {
        if self.heeds_holidays && self.calendar.holidays.contains(&date) {
            return Day::Holiday.bit();
        }
        1 << date.weekday().num_days_from_monday()
    }

    /// The instant of a time of day: of a repeated hour the first, of a skipped one the end of the gap (T9).
    pub(crate) fn at(&self, day: LocalDay, time: TimeOfDay) -> Minute {
        let minutes = i64::from(time.minutes());
        if day.next.0 - day.start.0 == DAY_MINUTES {
            return day.start.plus(minutes);
        }
        let (hour, minute) = (u32::from(time.minutes() / 60), u32::from(time.minutes() % 60));
        match day.date.and_hms_opt(hour, minute, 0) {
            Some(local) => self.zone.first_minute_from(local),
            None => day.next,
        }
    }

    /// The occurrence of a window that begins on `day`; it may be empty on a day whose clocks skip it.
    pub(crate) fn occurrence(&self, window: DayWindow, day: LocalDay) -> Option<Window> {
        if !window.days.has_bit(day.bit) {
            return None;
        }
        let start = self.at(day, window.from);
        let end = if window.to > window.from { self.at(day, window.to) } else { self.at(self.after(day), window.to) };
        Window::new(start, end).ok()
    }

    /// The occurrence of a window that contains `minute`.
    pub(crate) fn holding(&self, window: DayWindow, minute: Minute) -> Option<Window> {
        let today = self.containing(minute);
        let yesterday = self.before(today);
        let found = self.occurrence(window, today).filter(|occurrence| occurrence.contains(minute));
        found.or_else(|| self.occurrence(window, yesterday).filter(|occurrence| occurrence.contains(minute)))
    }

    /// The first `time` after `minute`.
    pub(crate) fn next_time(&self, minute: Minute, time: TimeOfDay) -> Minute {
        let mut day = self.containing(minute);
        let mut at = self.at(day, time);
        while at <= minute {
            day = self.after(day);
            at = self.at(day, time);
        }
        at
    }

    /// The latest exit after an entry.
    pub(crate) fn leave_by(&self, rule: LeaveBy, entry: Minute) -> Minute {
        let mut day = self.containing(entry);
        let wanted = |day: &LocalDay| rule.day.is_none_or(|wanted| wanted.bit() & week_bit(day.date) != 0);
        // A day of the week comes within eight days.
        for _ in 0..=8 {
            if wanted(&day) && self.at(day, rule.time) > entry {
                break;
            }
            day = self.after(day);
        }
        for _ in 0..rule.days_later {
            day = self.after(day);
        }
        self.at(day, rule.time)
    }

    /// When a period that is at `minute` ends.
    pub(crate) fn period_end(&self, period: Period, minute: Minute, stay_end: Minute) -> Minute {
        match period {
            Period::Rolling24h => minute.plus(DAY_MINUTES),
            Period::CalendarDay => self.zone.next_day_start(minute),
            Period::ResetAt(time) => self.next_time(minute, time),
            Period::Days(days) => minute.plus(i64::from(days.max(1)) * DAY_MINUTES),
            Period::Stay => stay_end,
        }
    }
}

fn week_bit(date: NaiveDate) -> u8 {
    1 << date.weekday().num_days_from_monday()
}
