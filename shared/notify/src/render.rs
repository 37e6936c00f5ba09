//! From a notice to what is sent. Pure: the same notice, place and language give the same bytes.

use parkade_domain::notice::Notice;
use parkade_domain::preferences::Locale;

use crate::catalogue::{Labels, Place, Say, labels, words};

/// The sender's name in texts to phones, where there is no other.
const SENDER: &str = "Parkade";

/// An e-mail, in two forms that say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML: headings, a table with named rows, a language, and nothing to load.
    pub html: String,
}

/// The e-mail that tells a notice.
#[must_use]
pub fn mail(locale: Locale, notice: &Notice, place: &Place<'_>) -> Mail {
    let (words, labels) = (words(locale, notice, place), labels(locale));
    let rows = rows(locale, notice, place, labels);
    let link = link(notice, place).map(|url| (labels.receipt, url));
    let mut text = String::new();
    for paragraph in &words.paragraphs {
        text += &format!("{paragraph}\n\n");
    }
    for (label, value) in &rows {
        text += &format!("{label}: {value}\n");
    }
    if let Some((label, url)) = &link {
        text += &format!("{label}: {url}\n");
    }
    text += &format!("\n-- \n{}\n", labels.footer);
    let html = html(locale, &words.subject, &words.paragraphs, &rows, link.as_ref(), labels.footer);
    Mail { subject: words.subject, text, html }
}

/// The text to a phone that tells a notice.
#[must_use]
pub fn text(locale: Locale, notice: &Notice, place: &Place<'_>) -> String {
    let short = words(locale, notice, place).short;
    match link(notice, place) {
        Some(url) => format!("{SENDER}: {short} {url}"),
        None => format!("{SENDER}: {short}"),
    }
}

/// What the table of an e-mail shows.
fn rows(locale: Locale, notice: &Notice, place: &Place<'_>, labels: &Labels) -> Vec<(&'static str, String)> {
    let say = Say { locale, place };
    let (from, until) = match notice {
        Notice::Confirmed { window, .. }
        | Notice::Extended { window, .. }
        | Notice::Changed { window, .. }
        | Notice::Violation { window, .. } => (Some(window.start()), Some(window.end())),
        Notice::NoShow { window, .. } => (window.map(|w| w.start()), window.map(|w| w.end())),
        Notice::Reminder { start } => (Some(*start), None),
        Notice::Expiring { end } => (None, Some(*end)),
        Notice::PaymentFailed { .. } | Notice::Receipt { .. } | Notice::Refund { .. } => (None, None),
    };
    // The code opens the gate: it is shown where the driver is about to need it.
    let pass = matches!(
        notice,
        Notice::Confirmed { .. } | Notice::Reminder { .. } | Notice::Extended { .. } | Notice::Changed { .. }
    );
    let all = [
        (labels.lot, Some(place.lot.to_owned())),
        (labels.address, Some(place.address.to_owned())),
        (labels.spot, place.spot.map(str::to_owned)),
        (labels.from, from.map(|minute| say.at(minute))),
        (labels.until, until.map(|minute| say.at(minute))),
        (labels.code, pass.then(|| place.code.to_owned())),
    ];
    all.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn link(notice: &Notice, place: &Place<'_>) -> Option<String> {
    match notice {
        Notice::Receipt { id } => Some(format!("{}/v1/receipts/{id}", place.api_url)),
        _ => None,
    }
}

fn html(
    locale: Locale,
    subject: &str,
    paragraphs: &[String],
    rows: &[(&str, String)],
    link: Option<&(&str, String)>,
    footer: &str,
) -> String {
    let title = escaped(subject);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\"><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n",
        locale.as_str()
    );
    for paragraph in paragraphs {
        html += &format!("<p>{}</p>\n", escaped(paragraph));
    }
    html += "<table>\n";
    for (label, value) in rows {
        html +=
            &format!("<tr><th scope=\"row\" align=\"left\">{}</th><td>{}</td></tr>\n", escaped(label), escaped(value));
    }
    html += "</table>\n";
    if let Some((label, url)) = link {
        html += &format!("<p><a href=\"{}\">{}</a></p>\n", escaped(url), escaped(label));
    }
    html += &format!("<hr>\n<p><small>{}</small></p>\n</body>\n</html>\n", escaped(footer));
    html
}

/// Text inside HTML, attribute values included.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
