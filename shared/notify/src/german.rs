//! German.

use chrono::{Datelike, NaiveDateTime};
use parkade_domain::adjustment::ViolationKind;
use parkade_domain::notice::{Notice, Unpaid};

use crate::catalogue::{Labels, Say, Words};

pub(crate) const LABELS: Labels = Labels {
    lot: "Parkhaus",
    address: "Adresse",
    spot: "Stellplatz",
    from: "Von",
    until: "Bis",
    code: "Code für die Schranke",
    receipt: "Beleg",
    footer: "Sie erhalten diese Nachricht wegen Ihrer Buchung. In Ihren Einstellungen legen Sie fest, was wir Ihnen mitteilen und wie.",
};

const WEEKDAYS: [&str; 7] = ["Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."];

pub(crate) fn day_and_time(local: NaiveDateTime) -> String {
    let position = usize::try_from(local.weekday().num_days_from_monday()).unwrap_or_default();
    let weekday = WEEKDAYS.get(position).copied().unwrap_or_default();
    format!("{weekday}, {} Uhr", local.format("%d.%m.%Y, %H:%M"))
}

const fn violation(kind: ViolationKind) -> &'static str {
    match kind {
        ViolationKind::Overstay => "länger geparkt als gebucht",
        ViolationKind::WrongSpot => "auf einem Stellplatz geparkt, der nicht für Ihr Fahrzeug ist",
        ViolationKind::NoRight => "ohne die nötige Berechtigung geparkt",
        ViolationKind::Unpaid => "ohne Zahlung ausgefahren",
    }
}

pub(crate) fn words(notice: &Notice, say: Say<'_>) -> Words {
    let (lot, short_lot, code) = (say.place.lot, say.place.short_lot(), say.place.code);
    let (subject, paragraphs, short) = match notice {
        Notice::Confirmed { window, series, paid } => {
            let (from, until) = say.both_ends(*window);
            let mut paragraphs = vec![match paid.minor {
                0 => "Ihr Stellplatz ist gebucht.".to_owned(),
                _ => format!("Ihr Stellplatz ist gebucht, {} sind bezahlt.", say.money(*paid)),
            }];
            if *series {
                paragraphs.push("Die Buchung umfasst mehrere Termine in dieser Zeit.".to_owned());
            }
            paragraphs.push("An der Schranke wird Ihr Kennzeichen gelesen, oder Sie geben den Code ein.".to_owned());
            let short = format!("{short_lot} ist gebucht, {from} bis {until}. Code für die Schranke: {code}");
            (format!("Ihre Buchung für {lot} ist bestätigt"), paragraphs, short)
        }
        Notice::PaymentFailed { amount, then } => {
            let amount = say.money(*amount);
            let next = match then {
                Unpaid::Held(until) => {
                    format!(
                        "Ihr Stellplatz ist bis {} reserviert. Bitte zahlen Sie vorher auf anderem Weg.",
                        say.at(*until)
                    )
                }
                Unpaid::Lost => "Ihr Stellplatz ist nicht mehr reserviert. Bitte buchen Sie neu.".to_owned(),
                Unpaid::Balance => "Bitte zahlen Sie auf anderem Weg.".to_owned(),
            };
            let failed = format!("Wir konnten {amount} nicht abbuchen.");
            let short = format!("{short_lot}: {failed} {next}");
            (format!("Ihre Zahlung für {lot} ist fehlgeschlagen"), vec![failed, next], short)
        }
        Notice::Reminder { start } => {
            let subject = format!("Ihre Buchung für {lot} beginnt um {}", say.time(*start));
            let time = say.time(*start);
            let short = format!("Ihre Buchung für {short_lot} beginnt um {time}. Code für die Schranke: {code}");
            (subject, vec!["Ihr Stellplatz wartet auf Sie.".to_owned()], short)
        }
        Notice::Expiring { end } => {
            let subject = format!("Ihre Parkzeit in {lot} endet um {}", say.time(*end));
            let leave =
                "Bitte fahren Sie bis dahin aus oder verlängern Sie die Buchung. Länger zu bleiben kostet mehr.";
            let time = say.time(*end);
            let short = format!("Ihre Parkzeit in {short_lot} endet um {time}. Bitte ausfahren oder verlängern.");
            (subject, vec![leave.to_owned()], short)
        }
        Notice::Extended { window, due } => {
            let until = say.at(window.end());
            let mut paragraphs = vec![format!("Ihre Buchung endet jetzt später: {until}.")];
            paragraphs.extend(due.map(|due| format!("{} sind noch zu zahlen.", say.money(due))));
            (
                format!("Ihre Buchung für {lot} ist verlängert"),
                paragraphs,
                format!("Ihre Buchung für {short_lot} ist verlängert bis {until}."),
            )
        }
        Notice::Changed { window, due } => {
            let (from, until) = say.both_ends(*window);
            let mut paragraphs = vec!["Ihre Buchung hat sich geändert. Jetzt gilt:".to_owned()];
            paragraphs.extend(due.map(|due| format!("{} sind noch zu zahlen.", say.money(due))));
            let spot = say.place.spot.map_or(String::new(), |spot| format!(", Stellplatz {spot}"));
            let short = format!("Ihre Buchung für {short_lot} hat sich geändert: {from} bis {until}{spot}.");
            (format!("Ihre Buchung für {lot} hat sich geändert"), paragraphs, short)
        }
        Notice::NoShow { window, kept, refunded } => {
            let missed = match window {
                Some(_) => "Zu Ihrer Buchung ist niemand gekommen, der Stellplatz ist wieder frei.",
                None => {
                    "An einem Termin Ihrer Buchung ist niemand gekommen, der Stellplatz ist an diesem Tag wieder frei."
                }
            };
            let mut paragraphs = vec![missed.to_owned()];
            if refunded.minor > 0 {
                let (kept, refunded) = (say.money(*kept), say.money(*refunded));
                paragraphs.push(format!("{kept} behalten wir ein, {refunded} erhalten Sie zurück."));
            }
            (format!("Sie sind nicht nach {lot} gekommen"), paragraphs, format!("{short_lot}: {missed}"))
        }
        Notice::Receipt { .. } => {
            let ready = format!("Ihr Beleg für {lot} liegt bereit.");
            (format!("Ihr Beleg für {lot}"), vec![ready], format!("Ihr Beleg für {short_lot} liegt bereit."))
        }
        Notice::Violation { kind, amount, voided, .. } => {
            let (what, amount) = (violation(*kind), say.money(*amount));
            let told = match voided {
                false => {
                    format!(
                        "Wir haben festgehalten: {what}. Nach dem Tarif kostet das {amount}. Wenn das nicht stimmt, widersprechen Sie bitte."
                    )
                }
                true => format!(
                    "Wir haben aufgehoben: {what}. Sie schulden dafür nichts; was Sie gezahlt haben, kommt zurück."
                ),
            };
            let subject = if *voided { format!("Verstoß in {lot} aufgehoben") } else { format!("Verstoß in {lot}") };
            (subject, vec![told.clone()], format!("{short_lot}: {told}"))
        }
        Notice::Refund { amount } => {
            let amount = say.money(*amount);
            let back = format!("Wir haben {amount} erstattet. Bis Ihre Bank das zeigt, können einige Tage vergehen.");
            (format!("{amount} erstattet für {lot}"), vec![back], format!("{amount} erstattet für {short_lot}."))
        }
    };
    Words { subject, paragraphs, short }
}
