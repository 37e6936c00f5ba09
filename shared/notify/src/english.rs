//! English.

use chrono::NaiveDateTime;
use parkade_domain::adjustment::ViolationKind;
use parkade_domain::notice::{Notice, Unpaid};

use crate::catalogue::{Labels, Say, Words};

pub(crate) const LABELS: Labels = Labels {
    lot: "Car park",
    address: "Address",
    spot: "Spot",
    from: "From",
    until: "Until",
    code: "Code for the gate",
    receipt: "Receipt",
    footer: "You get this message because of your booking. In your preferences you choose what we tell you, and how.",
};

pub(crate) fn day_and_time(local: NaiveDateTime) -> String {
    local.format("%a %-d %b %Y, %H:%M").to_string()
}

const fn violation(kind: ViolationKind) -> &'static str {
    match kind {
        ViolationKind::Overstay => "stayed longer than you booked",
        ViolationKind::WrongSpot => "parked on a spot that is not for your vehicle",
        ViolationKind::NoRight => "parked where a permit is needed",
        ViolationKind::Unpaid => "left without paying",
    }
}

pub(crate) fn words(notice: &Notice, say: Say<'_>) -> Words {
    let (lot, short_lot, code) = (say.place.lot, say.place.short_lot(), say.place.code);
    let (subject, paragraphs, short) = match notice {
        Notice::Confirmed { window, series, paid } => {
            let (from, until) = say.both_ends(*window);
            let mut paragraphs = vec![match paid.minor {
                0 => "Your spot is booked.".to_owned(),
                _ => format!("Your spot is booked and {} is paid.", say.money(*paid)),
            }];
            if *series {
                paragraphs.push("The booking has several dates between these times.".to_owned());
            }
            paragraphs.push("At the gate your plate is read, or you type the code.".to_owned());
            let short = format!("{short_lot} is booked, {from} to {until}. Code for the gate: {code}");
            (format!("Your booking at {lot} is confirmed"), paragraphs, short)
        }
        Notice::PaymentFailed { amount, then } => {
            let amount = say.money(*amount);
            let next = match then {
                Unpaid::Held(until) => {
                    format!("Your spot is held until {}. Please pay in another way before that.", say.at(*until))
                }
                Unpaid::Lost => "Your spot is not held any more. Please book again.".to_owned(),
                Unpaid::Balance => "Please pay in another way.".to_owned(),
            };
            let failed = format!("We could not charge {amount}.");
            let short = format!("{short_lot}: {failed} {next}");
            (format!("Your payment for {lot} failed"), vec![failed, next], short)
        }
        Notice::Reminder { start } => {
            let subject = format!("Your booking at {lot} begins at {}", say.time(*start));
            let short =
                format!("Your booking at {short_lot} begins at {}. Code for the gate: {code}", say.time(*start));
            (subject, vec!["Your spot is waiting for you.".to_owned()], short)
        }
        Notice::Expiring { end } => {
            let subject = format!("Your time at {lot} ends at {}", say.time(*end));
            let leave =
                "Please leave by then, or extend your booking. To stay longer than booked costs more.".to_owned();
            let short = format!("Your time at {short_lot} ends at {}. Leave by then, or extend.", say.time(*end));
            (subject, vec![leave], short)
        }
        Notice::Extended { window, due } => {
            let until = say.at(window.end());
            let mut paragraphs = vec![format!("Your booking now ends later: {until}.")];
            paragraphs.extend(due.map(|due| format!("{} is still to be paid.", say.money(due))));
            (
                format!("Your booking at {lot} is extended"),
                paragraphs,
                format!("Your booking at {short_lot} is extended until {until}."),
            )
        }
        Notice::Changed { window, due } => {
            let (from, until) = say.both_ends(*window);
            let mut paragraphs = vec!["Your booking has changed. This holds now:".to_owned()];
            paragraphs.extend(due.map(|due| format!("{} is still to be paid.", say.money(due))));
            let spot = say.place.spot.map_or(String::new(), |spot| format!(", spot {spot}"));
            let short = format!("Your booking at {short_lot} has changed: {from} to {until}{spot}.");
            (format!("Your booking at {lot} has changed"), paragraphs, short)
        }
        Notice::NoShow { window, kept, refunded } => {
            let missed = match window {
                Some(_) => "Nobody came for your booking, so the spot is free for others.",
                None => "Nobody came on one date of your booking, so the spot is free for others on that day.",
            };
            let mut paragraphs = vec![missed.to_owned()];
            if refunded.minor > 0 {
                paragraphs.push(format!("{} stays with us, {} comes back.", say.money(*kept), say.money(*refunded)));
            }
            (format!("You did not come to {lot}"), paragraphs, format!("{short_lot}: {missed}"))
        }
        Notice::Receipt { .. } => {
            let ready = format!("Your receipt for {lot} is ready.");
            (format!("Your receipt for {lot}"), vec![ready], format!("Your receipt for {short_lot} is ready."))
        }
        Notice::Violation { kind, amount, voided, .. } => {
            let (what, amount) = (violation(*kind), say.money(*amount));
            let told = match voided {
                false => format!(
                    "We have recorded that you {what}. By the tariff that is {amount}. If this is wrong, please object."
                ),
                true => format!("We have annulled that you {what}. You owe nothing for it; what you paid comes back."),
            };
            let subject = if *voided { format!("Violation at {lot} annulled") } else { format!("Violation at {lot}") };
            (subject, vec![told.clone()], format!("{short_lot}: {told}"))
        }
        Notice::Refund { amount } => {
            let amount = say.money(*amount);
            let back = format!("We have refunded {amount}. Your bank may take some days to show it.");
            (format!("{amount} refunded for {lot}"), vec![back], format!("{amount} refunded for {short_lot}."))
        }
    };
    Words { subject, paragraphs, short }
}
