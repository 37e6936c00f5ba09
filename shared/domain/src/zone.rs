//! A lot's time zone: the one place that decides what a skipped or a repeated hour means (T9).
//!
//! Promises: an instant always has one local time; a local time has one instant or is refused. Refuses to know: the
//! machine's zone and the present.

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use thiserror::Error;

use crate::time::{DAY_MINUTES, Minute};

/// Pages of the calendar begin at this hour of standard local time, when the fewest stays cross the boundary.
const QUIET_HOUR_MINUTES: i64 = 4 * 60;
/// The year whose offsets decide the page boundary. Fixed, so that the answer does not depend on when it is asked.
const REFERENCE_YEAR: i32 = 2025;

/// Why a zone or a time is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ZoneError {
    /// Not a name of the IANA time zone database.
    #[error("unknown IANA time zone")]
    UnknownZone,
    /// Neither RFC 3339 with an offset nor a local `YYYY-MM-DDTHH:MM[:SS]`.
    #[error("a time is RFC 3339 with an offset, or local as YYYY-MM-DDTHH:MM")]
    Malformed,
    /// The clocks skip this local time.
    #[error("the clocks skip {local} in this zone")]
    Gap {
        /// The local time that does not exist.
        local: NaiveDateTime,
    },
    /// Has seconds or fractions of a second.
    #[error("a time is a whole minute")]
    NotWholeMinute,
}

impl ZoneError {
    /// The stable code that clients match.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownZone => "time_zone_unknown",
            Self::Malformed => "time_malformed",
            Self::Gap { .. } => "local_time_skipped",
            Self::NotWholeMinute => "time_not_whole_minute",
        }
    }
}

/// The IANA time zone of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LotZone(Tz);

impl LotZone {
    /// Takes a name of the IANA database, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// [`ZoneError::UnknownZone`] for any other text; names are case-sensitive.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        name.parse().map(Self).map_err(|_| ZoneError::UnknownZone)
    }

    /// The zone without an offset.
    pub const UTC: Self = Self(Tz::UTC);

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The instant of a local time; of a repeated hour the first (T9).
    ///
    /// # Errors
    /// [`ZoneError::Gap`] if the clocks skip it.
    pub fn resolve(self, local: NaiveDateTime) -> Result<DateTime<Utc>, ZoneError> {
        let instant = self.0.from_local_datetime(&local).earliest().ok_or(ZoneError::Gap { local })?;
        Ok(instant.with_timezone(&Utc))
    }

    /// The local time of a minute.
    #[must_use]
    pub fn local(self, minute: Minute) -> NaiveDateTime {
        minute.instant().with_timezone(&self.0).naive_local()
    }

    /// The minute with its local offset, for printing: `to_rfc3339` says `2026-07-01T09:00:00+02:00`.
    #[must_use]
    pub fn local_with_offset(self, minute: Minute) -> DateTime<FixedOffset> {
        minute.instant().with_timezone(&self.0).fixed_offset()
    }

    /// An epoch second with its local offset, for printing. Values outside chrono's range become the epoch.
    #[must_use]
    pub fn second_with_offset(self, epoch_s: i64) -> DateTime<FixedOffset> {
        DateTime::from_timestamp(epoch_s, 0).unwrap_or_default().with_timezone(&self.0).fixed_offset()
    }

    /// Reads a time as clients send it: RFC 3339 with an offset, or local `YYYY-MM-DDTHH:MM[:SS]` in this zone.
    ///
    /// # Errors
    /// [`ZoneError::Malformed`], [`ZoneError::Gap`] for a skipped local time, [`ZoneError::NotWholeMinute`].
    pub fn parse_time(self, text: &str) -> Result<Minute, ZoneError> {
        let instant = match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => instant.with_timezone(&Utc),
            Err(_) => self.resolve(parse_local(text)?)?,
        };
        let minute = Minute::floor(instant);
        if Minute::ceil(instant) == minute { Ok(minute) } else { Err(ZoneError::NotWholeMinute) }
    }

    /// The first minute of a local day. Where the clocks skip midnight it is the minute they resume at; where they repeat
    /// it, the first.
    #[must_use]
    pub fn day_start(self, date: NaiveDate) -> Minute {
        self.first_minute_from(date.and_time(NaiveTime::MIN))
    }

    /// The first minute at which the clocks on the wall show `local` or, where they skip it, resume after it.
    #[must_use]
    pub fn first_minute_from(self, local: NaiveDateTime) -> Minute {
        let resumed = || GapInfo::new(&local, &self.0)?.end.map(|end| end.with_timezone(&Utc));
        // A gap that nothing ends is outside the database; UTC is as good as any.
        Minute::ceil(self.resolve(local).ok().or_else(resumed).unwrap_or(local.and_utc()))
    }

    /// The first local midnight after `minute`, as [`Self::day_start`] defines it.
    #[must_use]
    pub fn next_day_start(self, minute: Minute) -> Minute {
        let mut date = self.local(minute).date();
        // Where the clocks were set back across midnight (St. John's, 2010-11-07 00:01), the next date has begun already.
        while let Some(next) = date.checked_add_days(Days::new(1)) {
            let start = self.day_start(next);
            if start > minute {
                return start;
            }
            date = next;
        }
        minute.plus(DAY_MINUTES)
    }

    /// The calendar's page boundary in minutes after UTC midnight: subtract it before dividing by the day.
    ///
    /// The boundary is 04:00 *standard* local time all year, so clock changes never move a page: standard is the smaller
    /// of January's and July's offset, and the result is 4 h minus that offset, from −600 (UTC+14) to 960 (UTC−12).
    /// Store it with the lot: a new release of the zone database must not move the pages of bookings that exist.
    #[must_use]
    pub fn quiet_hours_offset_minutes(self) -> i64 {
        let january = self.offset_minutes_on(1);
        let july = self.offset_minutes_on(7);
        QUIET_HOUR_MINUTES - january.min(july)
    }

    fn offset_minutes_on(self, month: u32) -> i64 {
        let noon = NaiveDate::from_ymd_opt(REFERENCE_YEAR, month, 1).and_then(|day| day.and_hms_opt(12, 0, 0));
        let offset = self.0.offset_from_utc_datetime(&noon.unwrap_or_default()).fix();
        i64::from(offset.local_minus_utc()).div_euclid(60)
    }
}

/// Reads `YYYY-MM-DDTHH:MM` with optional seconds. The length is checked first because chrono reads years of any length.
fn parse_local(text: &str) -> Result<NaiveDateTime, ZoneError> {
    let format = match text.len() {
        16 => "%Y-%m-%dT%H:%M",
        19 => "%Y-%m-%dT%H:%M:%S",
        _ => return Err(ZoneError::Malformed),
    };
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(ZoneError::Malformed);
    }
    NaiveDateTime::parse_from_str(text, format).map_err(|_| ZoneError::Malformed)
}
