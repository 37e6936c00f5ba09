//! What a document shows, in the words of one language: the template of which page and PDF are two prints.

use parkade_domain::document::{By, Document};
use parkade_domain::money::Money;
use parkade_domain::tariff::{Locale, Tax, Wording, money_text, tax_rate_text, time_text, wording};
use parkade_domain::time::Minute;

use crate::words::{self, Words, words};

/// A document in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// Language tag.
    pub lang: &'static str,
    /// What it is, and its number.
    pub title: String,
    /// What it is.
    pub heading: &'static str,
    /// Who issued it: name and address.
    pub issuer: [String; 2],
    /// Epoch second of the issue.
    pub issued_at_s: i64,
    /// Number, dates, what was bought, how it was paid.
    pub details: Table,
    /// The price line by line, down to the money that moved.
    pub price: Table,
    /// The taxes in it, if there are any.
    pub taxes: Option<Table>,
    /// What else is to be said.
    pub note: String,
}

/// A table. The first cell of each row is its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub caption: &'static str,
    /// Whether the columns' titles are shown; where they would say nothing, the rows' headers are enough.
    pub head: bool,
    /// From left to right.
    pub columns: Vec<Column>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
    /// Below the rows: a text and an amount.
    pub sums: Vec<Sum>,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its header.
    pub title: &'static str,
    /// Whether it has amounts, which stand to the right.
    pub amounts: bool,
    /// Share of the width, in per cent.
    pub width_percent: u8,
}

/// A line below a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Of what.
    pub text: &'static str,
    /// How much.
    pub amount: String,
    /// Whether it is what the document is about.
    pub total: bool,
}

/// A document in the words of a language.
#[must_use]
pub fn sheet(document: &Document, locale: Locale) -> Sheet {
    let (words, heading) = (words(locale), words::kind(document.kind, locale));
    Sheet {
        lang: locale.tag(),
        title: format!("{heading} {}", document.number),
        heading,
        issuer: [document.issuer.name.clone(), document.issuer.address.clone()],
        issued_at_s: document.issued_at_s,
        details: details(document, locale, words),
        price: price(document, locale, words),
        taxes: taxes(document, locale, words),
        note: format!("{} {}.", words.clock, document.issuer.time_zone),
    }
}

fn column(title: &'static str, width_percent: u8) -> Column {
    Column { title, amounts: false, width_percent }
}

fn amounts(title: &'static str, width_percent: u8) -> Column {
    Column { title, amounts: true, width_percent }
}

fn details(document: &Document, locale: Locale, words: &Words) -> Table {
    let zone = document.zone();
    let time = |minute| time_text(minute, locale, &zone);
    let second = |at_s: i64| time(Minute(at_s.div_euclid(60)));
    let money = |minor| money_text(Money::new(minor, document.price.currency()), locale);
    let stay = &document.stay;
    let (means, tendered) = match document.by {
        By::Provider => (words.provider, None),
        By::Cash { tendered_minor } => (words.cash, Some(tendered_minor)),
        By::Wallet => (words.wallet, None),
    };
    let change = tendered.map(|tendered| tendered.saturating_sub(document.total_minor));
    let rows = [
        (words.number, Some(document.number.to_string())),
        (words.issued, Some(second(document.issued_at_s))),
        (words.corrects, document.corrects.as_ref().map(|corrected| corrected.number.to_string())),
        (words.reason, document.reason.map(|reason| words::reason(reason, locale).to_owned())),
        (words.reservation, Some(stay.reservation.to_string())),
        (words.spot, stay.spot.clone()),
        (words.vehicle, Some(words::vehicle(stay.vehicle_class, locale).to_owned())),
        (words.booked, Some(format!("{} – {}", time(stay.start), time(stay.end)))),
        (words.entry, stay.entered_at_s.map(second)),
        (words.exit, stay.left_at_s.map(second)),
        (words.tariff, Some(document.price.tariff_version().0.to_string())),
        (words.means, Some(means.to_owned())),
        (words.tendered, tendered.map(money)),
        (words.change, change.map(money)),
    ];
    let rows = rows.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
    Table {
        caption: words.details,
        head: false,
        columns: vec![column("", 30), column("", 70)],
        rows: rows.collect(),
        sums: Vec::new(),
    }
}

fn price(document: &Document, locale: Locale, words: &Words) -> Table {
    let (currency, zone) = (document.price.currency(), document.zone());
    let money = |minor| money_text(Money::new(minor, currency), locale);
    let row = |Wording { what, when, how, amount }| vec![what, when, how.unwrap_or_default(), amount];
    let lines = document.price.lines().iter().map(|line| row(wording(line, currency, locale, &zone)));
    let moved = if document.kind.returns_money() { words.returned } else { words.paid };
    let sums = [
        (words.price_total, document.price.total_minor(), true, false),
        (words.before, -document.documented_before_minor, document.documented_before_minor != 0, false),
        (words.on_account, document.on_account_minor, document.on_account_minor != 0, false),
        (moved, document.total_minor, true, true),
    ];
    let sums = sums.into_iter().filter(|(.., shown, _)| *shown);
    Table {
        caption: words.price,
        head: true,
        columns: vec![column(words.what, 26), column(words.when, 36), column(words.how, 22), amounts(words.amount, 16)],
        rows: lines.collect(),
        sums: sums.map(|(text, minor, _, total)| Sum { text, amount: money(minor), total }).collect(),
    }
}

fn taxes(document: &Document, locale: Locale, words: &Words) -> Option<Table> {
    let money = |minor| money_text(Money::new(minor, document.price.currency()), locale);
    let row = |tax: &Tax| {
        let name = tax.id.as_ref().map_or(words.tax, |id| id.as_str());
        let place = if tax.included { words.included } else { words.added };
        vec![
            format!("{name}, {place}"),
            tax_rate_text(tax.rate_millionths, locale),
            money(tax.base_minor),
            money(tax.amount_minor),
        ]
    };
    let table = Table {
        caption: words.taxes,
        head: true,
        columns: vec![
            column(words.tax, 40),
            amounts(words.rate, 15),
            amounts(words.base, 22),
            amounts(words.amount, 23),
        ],
        rows: document.taxes.iter().map(row).collect(),
        sums: Vec::new(),
    };
    (!table.rows.is_empty()).then_some(table)
}
