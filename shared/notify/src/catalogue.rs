//! The catalogue of messages: for each notice and each language its words. What a message shows besides them is the same everywhere.

use chrono::NaiveDateTime;
use parkade_domain::money::Money;
use parkade_domain::notice::Notice;
use parkade_domain::preferences::Locale;
use parkade_domain::time::{Minute, Window};
use parkade_domain::zone::LotZone;

use crate::{english, german};

/// Characters of a lot's name in a text to a phone, so that most texts are one part.
const SHORT_NAME_CHARS_MAX: usize = 32;

/// What every message about a booking says of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The lot's name.
    pub lot: &'a str,
    /// The lot's address.
    pub address: &'a str,
    /// The number on the spot; none where spots are not named.
    pub spot: Option<&'a str>,
    /// The lot's zone: every time is shown in it.
    pub zone: LotZone,
    /// What the driver types at the gate.
    pub code: &'a str,
    /// Where the API answers, for links.
    pub api_url: &'a str,
}

impl Place<'_> {
    /// The name as a text to a phone shows it.
    pub(crate) fn short_lot(&self) -> String {
        self.lot.chars().take(SHORT_NAME_CHARS_MAX).collect()
    }
}

/// The words of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) subject: String,
    pub(crate) paragraphs: Vec<String>,
    /// The whole text to a phone, without the sender's name.
    pub(crate) short: String,
}

/// The names of what is shown in a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Labels {
    pub(crate) lot: &'static str,
    pub(crate) address: &'static str,
    pub(crate) spot: &'static str,
    pub(crate) from: &'static str,
    pub(crate) until: &'static str,
    pub(crate) code: &'static str,
    pub(crate) receipt: &'static str,
    pub(crate) footer: &'static str,
}

pub(crate) const fn labels(locale: Locale) -> &'static Labels {
    match locale {
        Locale::English => &english::LABELS,
        Locale::German => &german::LABELS,
    }
}

pub(crate) fn words(locale: Locale, notice: &Notice, place: &Place<'_>) -> Words {
    let say = Say { locale, place };
    match locale {
        Locale::English => english::words(notice, say),
        Locale::German => german::words(notice, say),
    }
}

/// Times and amounts as a language writes them.
#[derive(Clone, Copy)]
pub(crate) struct Say<'a> {
    pub(crate) locale: Locale,
    pub(crate) place: &'a Place<'a>,
}

impl Say<'_> {
    /// A day with its time, in the lot's zone.
    pub(crate) fn at(self, minute: Minute) -> String {
        let local: NaiveDateTime = self.place.zone.local(minute);
        match self.locale {
            Locale::English => english::day_and_time(local),
            Locale::German => german::day_and_time(local),
        }
    }

    /// The time alone, in the lot's zone.
    pub(crate) fn time(self, minute: Minute) -> String {
        let local = self.place.zone.local(minute).format("%H:%M");
        match self.locale {
            Locale::English => local.to_string(),
            Locale::German => format!("{local} Uhr"),
        }
    }

    /// An amount with its currency's own digits.
    pub(crate) fn money(self, money: Money) -> String {
        let text = money.format();
        match self.locale {
            Locale::English => text,
            Locale::German => match text.split_once(' ') {
                Some((code, amount)) => format!("{} {code}", amount.replace('.', ",")),
                None => text,
            },
        }
    }

    pub(crate) fn both_ends(self, window: Window) -> (String, String) {
        (self.at(window.start()), self.at(window.end()))
    }
}
