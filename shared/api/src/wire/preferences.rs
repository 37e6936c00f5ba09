//! What a user wants to be told, by which channel, and when not.

use std::fmt;

use parkade_domain::contact::{EmailAddress, PhoneNumber};
use parkade_domain::preferences::{Channel, Channels, Locale, Preferences, QuietHours, Topic};
use parkade_domain::zone::LotZone;
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::second_text;

/// In place of a channel: silence.
const NO_CHANNEL: &str = "none";

/// Body of `PUT /v1/users/{id}/preferences`: replaces everything. Personal data: never printed.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferencesRequest {
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number for text messages, in the form of E.164.
    pub phone: Option<String>,
    /// `en` or `de`.
    pub locale: Option<String>,
    /// The channel of each topic.
    #[serde(default)]
    pub channels: ChannelFields,
    /// Whether the user agrees to get offers.
    #[serde(default)]
    pub offers_consent: bool,
    /// When nothing may ring.
    pub quiet_hours: Option<QuietHoursFields>,
}

impl fmt::Debug for PreferencesRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreferencesRequest(redacted)")
    }
}

/// `email`, `text` or `none` for each topic. What is left out is `email` where there is an address and `none` elsewhere; of offers, `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelFields {
    /// A booking was made, changed or lost, or its payment failed.
    pub bookings: Option<String>,
    /// A stay is about to begin or to end.
    pub reminders: Option<String>,
    /// Receipts and refunds.
    pub receipts: Option<String>,
    /// Anything else; only with `offers_consent`.
    pub offers: Option<String>,
}

/// A stretch of each day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHoursFields {
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`; earlier than `from` is on the next day.
    pub until: String,
    /// IANA name of where the clock is.
    pub time_zone: String,
}

/// A checked [`PreferencesRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferencesInput {
    /// E-mail address.
    pub email: Option<EmailAddress>,
    /// Phone number.
    pub phone: Option<PhoneNumber>,
    /// Language.
    pub locale: Locale,
    /// The channel of each topic.
    pub channels: Channels,
    /// Whether the user agrees to get offers.
    pub offers_consent: bool,
    /// When nothing may ring.
    pub quiet: Option<QuietHours>,
}

impl PreferencesRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<PreferencesInput, Problem> {
        let mut errors = FieldErrors::new();
        let email = self.email.as_deref().and_then(|text| errors.parse("/email", text));
        let phone = self.phone.as_deref().and_then(|text| errors.parse("/phone", text));
        let locale = self.locale.as_deref().map_or(Some(Locale::default()), Locale::parse);
        if locale.is_none() {
            errors.push("/locale", FieldCode::Invalid, "one of en, de");
        }
        let channels = self.check_channels(&mut errors);
        let quiet = self.quiet_hours.and_then(|quiet| quiet.check(&mut errors));
        let offers_consent = self.offers_consent;
        let input = locale.map(|locale| PreferencesInput { email, phone, locale, channels, offers_consent, quiet });
        errors.finish(input)
    }

    fn check_channels(&self, errors: &mut FieldErrors) -> Channels {
        let fallback = self.email.as_ref().map(|_| Channel::Email);
        let mut channel = |topic: Topic, text: &Option<String>| {
            let pointer = format!("/channels/{}", topic.as_str());
            let chosen = match text.as_deref() {
                None => return fallback.filter(|_| topic != Topic::Offers),
                Some(NO_CHANNEL) => return None,
                Some(text) => Channel::parse(text),
            };
            match chosen {
                None => errors.push(pointer, FieldCode::Invalid, "one of email, text, none"),
                Some(Channel::Email) if self.email.is_none() => {
                    errors.push("/email", FieldCode::Required, format!("needed for the channel of {}", topic.as_str()));
                }
                Some(Channel::Text) if self.phone.is_none() => {
                    errors.push("/phone", FieldCode::Required, format!("needed for the channel of {}", topic.as_str()));
                }
                Some(_) if topic == Topic::Offers && !self.offers_consent => {
                    errors.push(pointer, FieldCode::NotAllowed, "needs offers_consent");
                }
                Some(_) => {}
            }
            chosen
        };
        let fields = &self.channels;
        Channels {
            bookings: channel(Topic::Bookings, &fields.bookings),
            reminders: channel(Topic::Reminders, &fields.reminders),
            receipts: channel(Topic::Receipts, &fields.receipts),
            offers: channel(Topic::Offers, &fields.offers),
        }
    }
}

impl QuietHoursFields {
    fn check(&self, errors: &mut FieldErrors) -> Option<QuietHours> {
        let mut time = |pointer, text| {
            let minutes = minutes_of_day(text);
            if minutes.is_none() {
                errors.push(pointer, FieldCode::TimeMalformed, "a time of the day is HH:MM");
            }
            minutes
        };
        let (from, until) = (time("/quiet_hours/from", &self.from), time("/quiet_hours/until", &self.until));
        let zone = LotZone::parse(&self.time_zone).ok();
        if zone.is_none() {
            errors.push("/quiet_hours/time_zone", FieldCode::TimeZoneUnknown, "an IANA name such as Europe/Berlin");
        }
        let quiet = QuietHours::new(from?, until?, zone?);
        errors.take("/quiet_hours/until", quiet)
    }
}

fn minutes_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, below: u16| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

fn time_of_day(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A user's preferences. Only for the user's own eyes: never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferencesView {
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// `en` or `de`.
    pub locale: String,
    /// The channel of each topic.
    pub channels: ChannelFields,
    /// When the user agreed to get offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers_consented_at: Option<String>,
    /// When nothing may ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHoursFields>,
    /// Version, also the entity tag; 0 was never stored.
    pub version: u32,
}

impl fmt::Debug for PreferencesView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreferencesView(version {})", self.version)
    }
}

impl PreferencesView {
    /// The view of stored preferences and their opened contacts.
    #[must_use]
    pub fn from_domain(stored: &Preferences, email: Option<String>, phone: Option<String>) -> Self {
        let channel = |topic| Some(stored.channels.of(topic).map_or(NO_CHANNEL, Channel::as_str).to_owned());
        Self {
            email,
            phone,
            locale: stored.locale.as_str().to_owned(),
            channels: ChannelFields {
                bookings: channel(Topic::Bookings),
                reminders: channel(Topic::Reminders),
                receipts: channel(Topic::Receipts),
                offers: channel(Topic::Offers),
            },
            offers_consented_at: stored.offers_consented_at_s.map(second_text),
            quiet_hours: stored.quiet.map(|quiet| QuietHoursFields {
                from: time_of_day(quiet.from()),
                until: time_of_day(quiet.until()),
                time_zone: quiet.zone().name().to_owned(),
            }),
            version: stored.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(body: Value) -> Result<PreferencesInput, Vec<(String, &'static str)>> {
        let request: PreferencesRequest = serde_json::from_value(body).unwrap();
        let pairs =
            |problem: Problem| problem.errors().iter().map(|error| (error.pointer.clone(), error.code)).collect();
        request.check().map_err(pairs)
    }

    #[test]
    fn what_is_left_out_comes_by_e_mail_or_not_at_all() {
        let silent = check(json!({})).unwrap();
        assert_eq!((silent.channels, silent.locale, silent.quiet), (Channels::default(), Locale::English, None));
        let told = check(json!({"email": "a@b.de", "offers_consent": true, "channels": {"receipts": "none"}})).unwrap();
        let email = Some(Channel::Email);
        assert_eq!(told.channels, Channels { bookings: email, reminders: email, receipts: None, offers: None });
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = check(json!({
            "email": "a@b", "phone": "0301234567", "locale": "fr",
            "channels": {"bookings": "pigeon", "offers": "email"},
            "quiet_hours": {"from": "24:00", "until": "7:00", "time_zone": "Berlin"},
        }));
        let expected = [
            ("/email", "invalid"),
            ("/phone", "invalid"),
            ("/locale", "invalid"),
            ("/channels/bookings", "invalid"),
            ("/channels/offers", "not_allowed"),
            ("/quiet_hours/from", "time_malformed"),
            ("/quiet_hours/until", "time_malformed"),
            ("/quiet_hours/time_zone", "time_zone_unknown"),
        ];
        assert_eq!(wrong.unwrap_err(), expected.map(|(pointer, code)| (pointer.to_owned(), code)));
        let unreachable = check(json!({"channels": {"bookings": "email", "reminders": "text"}})).unwrap_err();
        assert_eq!(unreachable, [("/email".to_owned(), "required"), ("/phone".to_owned(), "required")]);
        let never = json!({"quiet_hours": {"from": "07:00", "until": "07:00", "time_zone": "Europe/Berlin"}});
        assert_eq!(check(never).unwrap_err(), [("/quiet_hours/until".to_owned(), "invalid")]);
    }

    #[test]
    fn nothing_prints_a_contact() {
        let body = json!({"email": "a@example.com", "phone": "+4930901820"});
        let request: PreferencesRequest = serde_json::from_value(body).unwrap();
        let mut printed = format!("{request:?} {:?}", request.clone().check());
        let stored = Preferences::none(parkade_domain::ids::UserId::new("alice").unwrap());
        let view = PreferencesView::from_domain(&stored, request.email, request.phone);
        printed += &format!("{view:?}");
        assert!(!printed.contains("example") && !printed.contains("4930"), "{printed}");
    }
}
