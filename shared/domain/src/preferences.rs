//! What a person wants to be told, by which channel, in which language, and when not.

use chrono::{NaiveDateTime, Timelike};
use thiserror::Error;

use crate::ids::UserId;
use crate::time::{DAY_MINUTES, Minute};
use crate::zone::LotZone;

/// Longest quiet time that is looked through: a day, and what the clocks repeat of it.
const QUIET_MINUTES_MAX: i64 = 2 * DAY_MINUTES;

/// What a message is about; each has a channel of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// A booking was made, changed or lost, or its payment failed.
    Bookings,
    /// A stay is about to begin or to end.
    Reminders,
    /// Receipts and refunds.
    Receipts,
    /// Anything that nobody needs. Only with consent.
    Offers,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 4] = [Self::Bookings, Self::Reminders, Self::Receipts, Self::Offers];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bookings => "bookings",
            Self::Reminders => "reminders",
            Self::Receipts => "receipts",
            Self::Offers => "offers",
        }
    }
}

/// The way a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// E-mail.
    Email,
    /// A text message to a phone.
    Text,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::Email, Self::Text];

    /// The name in the API and in the stored item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Text => "text",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text)
    }
}

/// A language that messages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Locale {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Locale {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// The BCP 47 tag, also in the stored item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|locale| locale.as_str() == text)
    }
}

/// The two times of quiet hours are the same, or not times of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("quiet hours begin and end at two different times of the day")]
pub struct QuietHoursError;

/// A stretch of each day, by the clock on the person's wall, in which nothing rings. Half-open, and over midnight if it ends before it
/// begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: u16,
    until: u16,
    zone: LotZone,
}

impl QuietHours {
    /// `[from, until)` in minutes after midnight of `zone`.
    ///
    /// # Errors
    /// [`QuietHoursError`].
    pub fn new(from: u16, until: u16, zone: LotZone) -> Result<Self, QuietHoursError> {
        let of_a_day = |minutes: u16| i64::from(minutes) < DAY_MINUTES;
        let good = from != until && of_a_day(from) && of_a_day(until);
        if good { Ok(Self { from, until, zone }) } else { Err(QuietHoursError) }
    }

    /// Minutes after midnight at which they begin.
    #[must_use]
    pub const fn from(self) -> u16 {
        self.from
    }

    /// Minutes after midnight at which they end.
    #[must_use]
    pub const fn until(self) -> u16 {
        self.until
    }

    /// Where the clock on the wall is.
    #[must_use]
    pub const fn zone(self) -> LotZone {
        self.zone
    }

    /// The minute at which it stops being quiet; `None` if it is not quiet at `now`.
    ///
    /// It is the first minute at which the clock on the wall shows a time outside, so hours that are skipped or shown twice need no rule
    /// of their own.
    #[must_use]
    pub fn end_after(self, now: Minute) -> Option<Minute> {
        if !self.hold(self.zone.local(now)) {
            return None;
        }
        let mut minutes = (1..=QUIET_MINUTES_MAX).map(|ahead| now.plus(ahead));
        Some(minutes.find(|minute| !self.hold(self.zone.local(*minute))).unwrap_or(now.plus(DAY_MINUTES)))
    }

    fn hold(self, local: NaiveDateTime) -> bool {
        let shown = local.hour() * 60 + local.minute();
        let (from, until) = (u32::from(self.from), u32::from(self.until));
        if from < until { (from..until).contains(&shown) } else { shown >= from || shown < until }
    }
}

/// The channel of each topic; `None` is silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Channels {
    /// See [`Topic::Bookings`].
    pub bookings: Option<Channel>,
    /// See [`Topic::Reminders`].
    pub reminders: Option<Channel>,
    /// See [`Topic::Receipts`].
    pub receipts: Option<Channel>,
    /// See [`Topic::Offers`].
    pub offers: Option<Channel>,
}

impl Channels {
    /// The channel of a topic.
    #[must_use]
    pub const fn of(&self, topic: Topic) -> Option<Channel> {
        match topic {
            Topic::Bookings => self.bookings,
            Topic::Reminders => self.reminders,
            Topic::Receipts => self.receipts,
            Topic::Offers => self.offers,
        }
    }
}

/// A user's contacts and wishes. The contacts are sealed: the domain never sees them.
#[derive(Clone, PartialEq, Eq)]
pub struct Preferences {
    /// Whose.
    pub user: UserId,
    /// Authenticated ciphertext of the e-mail address.
    pub email: Option<Vec<u8>>,
    /// Authenticated ciphertext of the phone number.
    pub phone: Option<Vec<u8>>,
    /// The language of messages.
    pub locale: Locale,
    /// The channel of each topic.
    pub channels: Channels,
    /// Epoch second at which the person agreed to get offers; none without.
    pub offers_consented_at_s: Option<i64>,
    /// When nothing may ring.
    pub quiet: Option<QuietHours>,
    /// Optimistic version, from 1; 0 was never stored.
    pub version: u32,
}

impl std::fmt::Debug for Preferences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preferences").field("user", &self.user).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Preferences {
    /// Those of somebody who has said nothing: nothing is sent.
    #[must_use]
    pub fn none(user: UserId) -> Self {
        Self {
            user,
            email: None,
            phone: None,
            locale: Locale::default(),
            channels: Channels::default(),
            offers_consented_at_s: None,
            quiet: None,
            version: 0,
        }
    }

    /// The channel by which the person is told of a topic, if at all: there is a contact for it, and offers have consent.
    #[must_use]
    pub fn channel(&self, topic: Topic) -> Option<Channel> {
        let channel = self.channels.of(topic)?;
        let reachable = match channel {
            Channel::Email => self.email.is_some(),
            Channel::Text => self.phone.is_some(),
        };
        let allowed = topic != Topic::Offers || self.offers_consented_at_s.is_some();
        (reachable && allowed).then_some(channel)
    }

    /// Until when a message has to wait; `None` if it goes at once. An e-mail that is urgent wakes nobody and goes at once; whatever
    /// rings waits.
    #[must_use]
    pub fn waits_until(&self, channel: Channel, urgent: bool, now: Minute) -> Option<Minute> {
        let end = self.quiet?.end_after(now)?;
        (channel == Channel::Text || !urgent).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn at(text: &str) -> Minute {
        Minute::floor(text.parse::<DateTime<Utc>>().unwrap())
    }

    fn quiet(from: u16, until: u16) -> QuietHours {
        QuietHours::new(from, until, LotZone::parse("Europe/Berlin").unwrap()).unwrap()
    }

    const NIGHT: (u16, u16) = (22 * 60, 7 * 60);

    #[test]
    fn a_quiet_stretch_contains_its_start_and_not_its_end() {
        let night = quiet(NIGHT.0, NIGHT.1);
        let cases = [
            ("2026-07-01T19:59:00Z", None),
            ("2026-07-01T20:00:00Z", Some("2026-07-02T05:00:00Z")),
            ("2026-07-01T23:30:00Z", Some("2026-07-02T05:00:00Z")),
            ("2026-07-02T04:59:00Z", Some("2026-07-02T05:00:00Z")),
            ("2026-07-02T05:00:00Z", None),
        ];
        for (now, end) in cases {
            assert_eq!(night.end_after(at(now)), end.map(at), "{now}");
        }
        let noon = quiet(12 * 60, 14 * 60);
        assert_eq!(noon.end_after(at("2026-07-01T10:30:00Z")), Some(at("2026-07-01T12:00:00Z")));
        assert_eq!(noon.end_after(at("2026-07-01T12:00:00Z")), None);
    }

    #[test]
    fn the_night_of_a_clock_change_ends_by_the_clock_on_the_wall() {
        let night = quiet(NIGHT.0, NIGHT.1);
        // Forward on 29 March 2026: 07:00 is 05:00Z instead of 06:00Z. Back on 25 October: 06:00Z instead of 05:00Z.
        assert_eq!(night.end_after(at("2026-03-28T21:30:00Z")), Some(at("2026-03-29T05:00:00Z")));
        assert_eq!(night.end_after(at("2026-10-24T21:30:00Z")), Some(at("2026-10-25T06:00:00Z")));
        // The end is skipped: quiet until the clocks resume at 03:00.
        let short = quiet(60, 150);
        assert_eq!(short.end_after(at("2026-03-29T00:30:00Z")), Some(at("2026-03-29T01:00:00Z")));
        // The end is shown twice, and so is the quiet half hour before it.
        assert_eq!(short.end_after(at("2026-10-25T00:10:00Z")), Some(at("2026-10-25T00:30:00Z")));
        assert_eq!(short.end_after(at("2026-10-25T00:40:00Z")), None);
        assert_eq!(short.end_after(at("2026-10-25T01:10:00Z")), Some(at("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn times_that_are_no_stretch_are_refused() {
        let zone = LotZone::parse("Europe/Berlin").unwrap();
        for (from, until) in [(60, 60), (1_440, 60), (60, 1_440)] {
            assert_eq!(QuietHours::new(from, until, zone), Err(QuietHoursError));
        }
    }

    fn everything() -> Preferences {
        let email = Some(Channel::Email);
        Preferences {
            email: Some(vec![1]),
            channels: Channels { bookings: email, reminders: Some(Channel::Text), receipts: email, offers: email },
            quiet: Some(quiet(NIGHT.0, NIGHT.1)),
            ..Preferences::none(UserId::new("alice").unwrap())
        }
    }

    #[test]
    fn nobody_is_told_without_a_contact_and_offers_need_consent() {
        let told = everything();
        assert_eq!(
            Topic::ALL.map(|topic| told.channel(topic)),
            [Some(Channel::Email), None, Some(Channel::Email), None]
        );
        let told = Preferences { phone: Some(vec![1]), offers_consented_at_s: Some(1), ..told };
        let (email, text) = (Some(Channel::Email), Some(Channel::Text));
        assert_eq!(Topic::ALL.map(|topic| told.channel(topic)), [email, text, email, email]);
        let silent = Preferences::none(told.user);
        assert_eq!(Topic::ALL.map(|topic| silent.channel(topic)), [None; 4]);
    }

    #[test]
    fn at_night_only_an_urgent_e_mail_goes_at_once() {
        let (told, night, day) = (everything(), at("2026-07-01T23:00:00Z"), at("2026-07-01T12:00:00Z"));
        let morning = Some(at("2026-07-02T05:00:00Z"));
        let cases = [(Channel::Email, true, None), (Channel::Email, false, morning), (Channel::Text, true, morning)];
        for (channel, urgent, until) in cases {
            assert_eq!(told.waits_until(channel, urgent, night), until, "{channel:?} {urgent}");
            assert_eq!(told.waits_until(channel, urgent, day), None);
        }
        let loud = Preferences { quiet: None, ..told };
        assert_eq!(loud.waits_until(Channel::Text, false, night), None);
    }

    #[test]
    fn contacts_are_not_printed() {
        let printed = format!("{:?}", everything());
        assert!(!printed.contains("email") && !printed.contains("phone"), "{printed}");
    }
}
