//! Prices in words, from a catalogue of messages per language (P18).

use super::price::{Line, Price, Rule, Unit};
use crate::money::{Currency, Money};
use crate::time::Minute;
use crate::zone::LotZone;

/// A language that prices are explained in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locale {
    /// English.
    En,
    /// German.
    De,
}

impl Locale {
    /// The best of the two for a language tag such as `de-AT`; English if neither.
    #[must_use]
    pub fn of_tag(tag: &str) -> Self {
        Self::known(tag).unwrap_or(Self::En)
    }

    /// The language of a tag such as `de-AT`, if it is one of the two.
    #[must_use]
    pub fn known(tag: &str) -> Option<Self> {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        [Self::En, Self::De].into_iter().find(|locale| locale.tag().eq_ignore_ascii_case(language))
    }

    /// Its language tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

/// The message of a rule: English, German.
const fn rule_text(rule: Rule) -> (&'static str, &'static str) {
    match rule {
        Rule::UnitRate => ("Parking", "Parken"),
        Rule::Tier => ("Parking, price for this length", "Parken, Preis für diese Dauer"),
        Rule::DailyCap => ("Daily maximum", "Tageshöchstsatz"),
        Rule::PeriodCap => ("Maximum for the period", "Höchstsatz für den Zeitraum"),
        Rule::WindowRate => ("Parking at this time", "Parken zu dieser Zeit"),
        Rule::WindowCap => ("Maximum at this time", "Höchstsatz zu dieser Zeit"),
        Rule::FreeTime => ("Free time", "Gebührenfreie Zeit"),
        Rule::EventRate => ("Event rate", "Veranstaltungstarif"),
        Rule::Product => ("Special price", "Sondertarif"),
        Rule::Grace => ("Free: short stay", "Kostenlos: Kurzparker"),
        Rule::MinimumCharge => ("Up to the minimum charge", "Aufschlag bis zum Mindestbetrag"),
        Rule::MaximumCharge => ("Down to the maximum charge", "Abzug bis zum Höchstbetrag"),
        Rule::LostTicket => ("Lost ticket", "Verlorenes Ticket"),
        Rule::Dynamic => ("Adjustment by demand", "Anpassung nach Nachfrage"),
        Rule::Validation => ("Validation", "Parkvergünstigung"),
        Rule::ServiceFee => ("Service fee, refundable", "Servicegebühr, erstattbar"),
        Rule::ServiceFeeKept => ("Service fee", "Servicegebühr"),
        Rule::Tax => ("Tax", "Steuer"),
        Rule::Escalation => ("Late payment", "Zahlungsverzug"),
        Rule::AgreedPrice => ("Agreed price", "Vereinbarter Preis"),
        Rule::TopUp => ("Left later than paid for", "Später ausgefahren als bezahlt"),
        Rule::OverstayRate => ("Time after the booked end", "Zeit nach dem gebuchten Ende"),
        Rule::OverstayFee => ("Administration fee for overstaying", "Bearbeitungsgebühr für Überziehen"),
        Rule::OverstayTariff => ("Tariff after the booked end", "Tarif nach dem gebuchten Ende"),
        Rule::EarlyExitProrated => ("Share for the time used", "Anteil für die genutzte Zeit"),
        Rule::EarlyExitFee => ("Fee for leaving early", "Gebühr für frühere Ausfahrt"),
        Rule::CancellationKept => ("Kept after cancellation", "Einbehalten nach Stornierung"),
        Rule::ChangeKept => ("Kept after changing the booking", "Einbehalten nach Umbuchung"),
        Rule::ModificationFee => ("Fee for changing the booking", "Gebühr für die Umbuchung"),
        Rule::NoShowFee => ("Kept because nobody came", "Einbehalten wegen Nichterscheinens"),
        Rule::ViolationOverstay => ("Violation: overstay", "Verstoß: Parkzeit überschritten"),
        Rule::ViolationWrongSpot => ("Violation: wrong spot", "Verstoß: falscher Stellplatz"),
        Rule::ViolationNoRight => ("Violation: no permit", "Verstoß: ohne Berechtigung"),
        Rule::ViolationUnpaid => ("Violation: left without paying", "Verstoß: ohne Zahlung ausgefahren"),
        Rule::Goodwill => ("Goodwill", "Kulanz"),
    }
}

/// The sentences of a price, one per line and one for the total, with times on the wall of the lot's zone.
#[must_use]
pub fn explain(price: &Price, locale: Locale, zone: &LotZone) -> Vec<String> {
    let money = |minor: i64| money_text(Money::new(minor, price.currency()), locale);
    let mut sentences: Vec<String> = price.lines().iter().map(|line| sentence(line, price, locale, zone)).collect();
    for tax in price.taxes().iter().filter(|tax| tax.included) {
        let (percent, amount) = (tax_rate_text(tax.rate_millionths, locale), money(tax.amount_minor));
        sentences.push(match locale {
            Locale::En => format!("Contains {percent} tax: {amount}"),
            Locale::De => format!("Enthält {percent} Steuer: {amount}"),
        });
    }
    for debit in price.debits() {
        let amount = money(debit.amount_minor);
        let payer = debit.merchant.as_ref().map_or("–", |merchant| merchant.as_str());
        sentences.push(match locale {
            Locale::En => format!("Paid by {payer} ({}): {amount}", debit.validation),
            Locale::De => format!("Bezahlt von {payer} ({}): {amount}", debit.validation),
        });
    }
    let total = money(price.total_minor());
    sentences.push(match locale {
        Locale::En => format!("Total: {total}"),
        Locale::De => format!("Summe: {total}"),
    });
    sentences
}

/// A line of a price in words, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// What it is for, with the name of the tariff's rule.
    pub what: String,
    /// From when until when, on the wall of the lot's zone.
    pub when: String,
    /// How the amount follows from the rate; nothing if it is one thing at its price.
    pub how: Option<String>,
    /// The amount.
    pub amount: String,
}

/// A line of a price of `currency` in words.
#[must_use]
pub fn wording(line: &Line, currency: Currency, locale: Locale, zone: &LotZone) -> Wording {
    let money = |minor: i64| money_text(Money::new(minor, currency), locale);
    let (english, german) = rule_text(line.rule());
    let german_asked = locale == Locale::De;
    let text = if german_asked { german } else { english };
    let what = line.id().map_or_else(|| text.to_owned(), |id| format!("{text} ({id})"));
    let time = |minute| time_text(minute, locale, zone);
    let when = format!("{} – {}", time(line.interval().start()), time(line.interval().end()));
    let (rate, quantity) = (money(line.unit_rate_minor()), line.quantity());
    let of = if german_asked { "von" } else { "of" };
    let how = match line.unit() {
        Unit::StartedUnit { minutes } if german_asked => format!("{quantity} × {rate} je angefangene {minutes} min"),
        Unit::StartedUnit { minutes } => format!("{quantity} × {rate} per started {minutes} min"),
        Unit::WholeUnit { minutes } if german_asked => format!("{quantity} × {rate} je volle {minutes} min"),
        Unit::WholeUnit { minutes } => format!("{quantity} × {rate} per full {minutes} min"),
        Unit::NearestUnit { minutes } if german_asked => format!("{quantity} × {rate} je {minutes} min, gerundet"),
        Unit::NearestUnit { minutes } => format!("{quantity} × {rate} per {minutes} min, rounded"),
        Unit::Period => format!("{quantity} × {rate}"),
        Unit::BasisPoint => format!("{} {of} {rate}", share(quantity, 2, locale)),
        Unit::Millionth | Unit::MillionthHalfEven => format!("{} {of} {rate}", share(quantity, 4, locale)),
        Unit::MinuteOf { minutes } if german_asked => format!("{quantity} von {minutes} min zu {rate}"),
        Unit::MinuteOf { minutes } => format!("{quantity} of {minutes} min at {rate}"),
        Unit::Item => String::new(),
    };
    Wording { what, when, how: Some(how).filter(|how| !how.is_empty()), amount: money(line.amount_minor()) }
}

/// A minute on the wall of the lot's zone: `2026-11-21 11:00`, and `21.11.2026 11:00` in German.
#[must_use]
pub fn time_text(minute: Minute, locale: Locale, zone: &LotZone) -> String {
    let pattern = if locale == Locale::De { "%d.%m.%Y %H:%M" } else { "%Y-%m-%d %H:%M" };
    zone.local(minute).format(pattern).to_string()
}

/// A rate of taxes as per cent without superfluous zeros: `19 %`.
#[must_use]
pub fn tax_rate_text(rate_millionths: u32, locale: Locale) -> String {
    share(i64::from(rate_millionths), 4, locale)
}

fn sentence(line: &Line, price: &Price, locale: Locale, zone: &LotZone) -> String {
    let Wording { what, when, how, amount } = wording(line, price.currency(), locale, zone);
    match how {
        Some(how) => format!("{what}, {when}: {how} = {amount}"),
        None => format!("{what}, {when}: {amount}"),
    }
}

/// A share as per cent without superfluous zeros; `digits` after the point are hidden in `quantity`.
fn share(quantity: i64, digits: u32, locale: Locale) -> String {
    let (sign, scale) = (if quantity < 0 { "-" } else { "" }, 10_u64.pow(digits));
    let (whole, rest) = (quantity.unsigned_abs() / scale, quantity.unsigned_abs() % scale);
    let width = usize::try_from(digits).unwrap_or_default();
    let fraction = format!("{rest:0width$}");
    let fraction = fraction.trim_end_matches('0');
    let point = if locale == Locale::De { "," } else { "." };
    if fraction.is_empty() { format!("{sign}{whole} %") } else { format!("{sign}{whole}{point}{fraction} %") }
}

/// `EUR 12.50`, and `12,50 EUR` in German.
#[must_use]
pub fn money_text(money: Money, locale: Locale) -> String {
    let text = money.format();
    match (locale, text.split_once(' ')) {
        (Locale::De, Some((code, amount))) => format!("{} {code}", amount.replace('.', ",")),
        _ => text,
    }
}
