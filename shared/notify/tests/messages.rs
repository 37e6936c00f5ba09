//! Every message in every language, as it is sent.
#![cfg(test)]

use chrono::{DateTime, Utc};
use parkade_domain::adjustment::ViolationKind;
use parkade_domain::money::{Currency, Money};
use parkade_domain::notice::{Notice, Unpaid};
use parkade_domain::preferences::Locale;
use parkade_domain::time::{Minute, Window};
use parkade_domain::zone::LotZone;
use parkade_notify::{Files, Message, Notifier, Place, mail, text};

/// What a text to a phone can have without taking twice the parts: the basic characters of GSM 03.38.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// One part of a text.
const PART_CHARS: usize = 160;

fn at(text: &str) -> Minute {
    Minute::floor(text.parse::<DateTime<Utc>>().unwrap())
}

fn money(minor: i64, code: &str) -> Money {
    Money::new(minor, Currency::from_code(code).unwrap())
}

fn place(zone: &str) -> Place<'static> {
    Place {
        lot: "Central",
        address: "Platz 1, 10117 Berlin",
        spot: Some("1-13"),
        zone: LotZone::parse(zone).unwrap(),
        code: "09VX-RDCK-M22JF",
        api_url: "https://api.example.com",
    }
}

/// The night in which Berlin's clocks go back: the stay is four hours long.
fn window() -> Window {
    Window::new(at("2026-10-24T22:00:00Z"), at("2026-10-25T02:00:00Z")).unwrap()
}

/// One of each, and of those with several forms each form. The match makes a new notice fail to compile until it is added.
fn notices() -> Vec<(&'static str, Notice)> {
    let (window, paid) = (window(), money(400, "EUR"));
    let (start, end) = (window.start(), window.end());
    let all = vec![
        Notice::Confirmed { window, series: false, paid },
        Notice::Confirmed { window, series: true, paid: money(0, "EUR") },
        Notice::PaymentFailed { amount: paid, then: Unpaid::Held(start) },
        Notice::PaymentFailed { amount: money(1250, "JPY"), then: Unpaid::Lost },
        Notice::PaymentFailed { amount: money(1250, "KWD"), then: Unpaid::Balance },
        Notice::Reminder { start },
        Notice::Expiring { end },
        Notice::Extended { window, due: None },
        Notice::Extended { window, due: Some(paid) },
        Notice::Changed { window, due: Some(paid) },
        Notice::NoShow { window: Some(window), kept: paid, refunded: paid },
        Notice::NoShow { window: None, kept: paid, refunded: money(0, "EUR") },
        Notice::Receipt { id: "rcp_1".to_owned() },
        Notice::Violation { window, kind: ViolationKind::Overstay, amount: paid, voided: false },
        Notice::Violation { window, kind: ViolationKind::WrongSpot, amount: paid, voided: false },
        Notice::Violation { window, kind: ViolationKind::NoRight, amount: paid, voided: false },
        Notice::Violation { window, kind: ViolationKind::Unpaid, amount: paid, voided: false },
        Notice::Violation { window, kind: ViolationKind::WrongSpot, amount: paid, voided: true },
        Notice::Refund { amount: money(123_450, "EUR") },
    ];
    let named = |notice: Notice| {
        let name = match notice {
            Notice::Confirmed { series: false, .. } => "confirmed",
            Notice::Confirmed { series: true, .. } => "confirmed_series",
            Notice::PaymentFailed { then: Unpaid::Held(_), .. } => "payment_failed_held",
            Notice::PaymentFailed { then: Unpaid::Lost, .. } => "payment_failed_lost",
            Notice::PaymentFailed { then: Unpaid::Balance, .. } => "payment_failed_balance",
            Notice::Reminder { .. } => "reminder",
            Notice::Expiring { .. } => "expiring",
            Notice::Extended { due: None, .. } => "extended",
            Notice::Extended { due: Some(_), .. } => "extended_due",
            Notice::Changed { .. } => "changed",
            Notice::NoShow { window: Some(_), .. } => "no_show",
            Notice::NoShow { window: None, .. } => "no_show_series",
            Notice::Receipt { .. } => "receipt",
            Notice::Violation { voided: true, .. } => "violation_voided",
            Notice::Violation { kind: ViolationKind::Overstay, .. } => "violation_overstay",
            Notice::Violation { kind: ViolationKind::WrongSpot, .. } => "violation_wrong_spot",
            Notice::Violation { kind: ViolationKind::NoRight, .. } => "violation_no_right",
            Notice::Violation { kind: ViolationKind::Unpaid, .. } => "violation_unpaid",
            Notice::Refund { .. } => "refund",
        };
        (name, notice)
    };
    all.into_iter().map(named).collect()
}

#[test]
fn every_message_in_every_language_is_as_it_was_reviewed() {
    for (name, notice) in notices() {
        for locale in Locale::ALL {
            let mail = mail(locale, &notice, &place("Europe/Berlin"));
            let short = text(locale, &notice, &place("Europe/Berlin"));
            let shown =
                format!("Subject: {}\n\n{}\n=== html\n{}\n=== text\n{short}", mail.subject, mail.text, mail.html);
            insta::assert_snapshot!(format!("{name}_{}", locale.as_str()), shown);
        }
    }
}

#[test]
fn texts_to_phones_use_the_characters_that_phones_have_and_few_parts() {
    let long = Place { lot: "Tiefgarage Alexanderplatz am Fernsehturm, Einfahrt Nord", ..place("Europe/Berlin") };
    for (name, notice) in notices() {
        for locale in Locale::ALL {
            let short = text(locale, &notice, &long);
            let odd: String = short.chars().filter(|c| !GSM.contains(*c)).collect();
            assert!(odd.is_empty(), "{name} {locale:?}: {odd:?} in {short}");
            assert!(short.chars().count() <= 2 * PART_CHARS, "{name} {locale:?}: {}", short.chars().count());
        }
    }
}

#[test]
fn times_are_the_lots_and_of_the_year_round() {
    let reminder = |start: &str, zone| text(Locale::English, &Notice::Reminder { start: at(start) }, &place(zone));
    assert!(reminder("2026-07-01T07:00:00Z", "Europe/Berlin").contains("at 09:00."));
    assert!(reminder("2026-12-01T07:00:00Z", "Europe/Berlin").contains("at 08:00."));
    assert!(reminder("2026-07-01T07:00:00Z", "Asia/Kathmandu").contains("at 12:45."));
}

#[test]
fn a_lots_name_cannot_bring_markup_into_a_message() {
    let evil = Place {
        lot: "<script>alert(1)</script>",
        address: "\" onload='x' & co",
        spot: Some("<b>"),
        ..place("Europe/Berlin")
    };
    for (name, notice) in notices() {
        let html = mail(Locale::English, &notice, &evil).html;
        for raw in ["<script", "<b>", "onload='", "\" onload"] {
            assert!(!html.contains(raw), "{name}: {html}");
        }
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{name}");
    }
}

#[test]
fn neither_form_of_an_e_mail_says_less_than_the_other() {
    for (name, notice) in notices() {
        for locale in Locale::ALL {
            let mail = mail(locale, &notice, &place("Europe/Berlin"));
            for line in mail.text.lines().filter(|line| !line.is_empty() && *line != "-- ") {
                let said = line.split_once(": ").map_or(vec![line], |(label, value)| vec![label, value]);
                assert!(said.iter().all(|part| mail.html.contains(part)), "{name} {locale:?}: {line}\n{}", mail.html);
            }
        }
    }
}

#[tokio::test]
async fn a_laptop_keeps_each_message_as_one_file_named_by_its_event() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("outbox");
    std::fs::remove_dir_all(&folder).ok();
    let files = Files::open(&folder).unwrap();
    let notice = Notice::Reminder { start: at("2026-07-01T07:00:00Z") };
    let mail = mail(Locale::German, &notice, &place("Europe/Berlin"));
    let email = Message::Email { to: "alice@example.com".parse().unwrap(), mail };
    let short = text(Locale::German, &notice, &place("Europe/Berlin"));
    let text = Message::Text { to: "+4930901820".parse().unwrap(), text: short.clone() };
    files.send("09VX#v2#reservation.confirmed.v1", &email).await.unwrap();
    files.send("../../etc/passwd", &text).await.unwrap();
    let mut names: Vec<_> = std::fs::read_dir(files.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["..-..-etc-passwd.txt", "09VX-v2-reservation.confirmed.v1.eml"]);
    let eml = std::fs::read_to_string(folder.join(&names[1])).unwrap();
    let (head, body) = eml.split_once("\r\n\r\n").unwrap();
    for header in
        ["From: \"Parkade\" <parkade@localhost>", "To: <alice@example.com>", "Content-Type: multipart/alternative"]
    {
        assert!(head.lines().any(|line| line.starts_with(header)), "{header} in {head}");
    }
    assert!(body.contains("text/plain") && body.contains("text/html"), "{body}");
    let kept = std::fs::read_to_string(folder.join(&names[0])).unwrap();
    assert_eq!(kept, format!("To: +4930901820\n\n{short}\n"));
}

#[test]
fn nothing_prints_a_message() {
    let text = Message::Text { to: "+4930901820".parse().unwrap(), text: "secret".to_owned() };
    assert_eq!(format!("{text:?}"), "Text(redacted)");
}
