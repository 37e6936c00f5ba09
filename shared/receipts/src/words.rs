//! The words of a sheet in each language.

use parkade_domain::document::Kind;
use parkade_domain::payment::RefundReason;
use parkade_domain::tariff::Locale;
use parkade_domain::vehicle::VehicleClass;

/// Everything that is not an amount, a time or a name.
pub(crate) struct Words {
    pub(crate) number: &'static str,
    pub(crate) issued: &'static str,
    pub(crate) corrects: &'static str,
    pub(crate) reservation: &'static str,
    pub(crate) spot: &'static str,
    pub(crate) vehicle: &'static str,
    pub(crate) booked: &'static str,
    pub(crate) entry: &'static str,
    pub(crate) exit: &'static str,
    pub(crate) tariff: &'static str,
    pub(crate) means: &'static str,
    pub(crate) tendered: &'static str,
    pub(crate) change: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) price: &'static str,
    pub(crate) what: &'static str,
    pub(crate) when: &'static str,
    pub(crate) how: &'static str,
    pub(crate) amount: &'static str,
    pub(crate) price_total: &'static str,
    pub(crate) before: &'static str,
    pub(crate) on_account: &'static str,
    pub(crate) paid: &'static str,
    pub(crate) returned: &'static str,
    pub(crate) taxes: &'static str,
    pub(crate) tax: &'static str,
    pub(crate) rate: &'static str,
    pub(crate) base: &'static str,
    pub(crate) included: &'static str,
    pub(crate) added: &'static str,
    pub(crate) details: &'static str,
    pub(crate) clock: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) cash: &'static str,
    pub(crate) wallet: &'static str,
}

const ENGLISH: Words = Words {
    number: "Number",
    issued: "Issued",
    corrects: "Corrects",
    reservation: "Reservation",
    spot: "Spot",
    vehicle: "Vehicle class",
    booked: "Booked",
    entry: "Entry",
    exit: "Exit",
    tariff: "Tariff version",
    means: "Means of payment",
    tendered: "Given",
    change: "Change",
    reason: "Reason",
    price: "Price of the stay",
    what: "For",
    when: "Time",
    how: "Calculation",
    amount: "Amount",
    price_total: "Price of the stay",
    before: "On earlier documents",
    on_account: "On account",
    paid: "Total paid",
    returned: "Total returned",
    taxes: "Taxes in the total",
    tax: "Tax",
    rate: "Rate",
    base: "Of",
    included: "included",
    added: "added",
    details: "Details",
    clock: "All times are local times of",
    provider: "Card or online wallet",
    cash: "Cash",
    wallet: "Credit",
};

const GERMAN: Words = Words {
    number: "Nummer",
    issued: "Ausgestellt",
    corrects: "Berichtigt",
    reservation: "Reservierung",
    spot: "Stellplatz",
    vehicle: "Fahrzeugklasse",
    booked: "Gebucht",
    entry: "Einfahrt",
    exit: "Ausfahrt",
    tariff: "Tarifversion",
    means: "Zahlungsmittel",
    tendered: "Gegeben",
    change: "Rückgeld",
    reason: "Grund",
    price: "Preis des Aufenthalts",
    what: "Wofür",
    when: "Zeit",
    how: "Berechnung",
    amount: "Betrag",
    price_total: "Preis des Aufenthalts",
    before: "Auf früheren Belegen",
    on_account: "Auf Rechnung",
    paid: "Gezahlt",
    returned: "Erstattet",
    taxes: "Steuern im Gesamtbetrag",
    tax: "Steuer",
    rate: "Satz",
    base: "Von",
    included: "enthalten",
    added: "zuzüglich",
    details: "Angaben",
    clock: "Alle Zeiten sind Ortszeiten von",
    provider: "Karte oder Online-Zahlung",
    cash: "Bar",
    wallet: "Guthaben",
};

pub(crate) const fn words(locale: Locale) -> &'static Words {
    match locale {
        Locale::En => &ENGLISH,
        Locale::De => &GERMAN,
    }
}

/// English, German.
const fn pick(locale: Locale, (english, german): (&'static str, &'static str)) -> &'static str {
    match locale {
        Locale::En => english,
        Locale::De => german,
    }
}

pub(crate) const fn kind(kind: Kind, locale: Locale) -> &'static str {
    let texts = match kind {
        Kind::Receipt => ("Receipt", "Quittung"),
        Kind::CreditNote => ("Credit note", "Gutschrift"),
        Kind::CreditNoteReversal => ("Reversal of a credit note", "Storno einer Gutschrift"),
    };
    pick(locale, texts)
}

pub(crate) const fn reason(reason: RefundReason, locale: Locale) -> &'static str {
    let texts = match reason {
        RefundReason::Cancellation => ("Cancelled", "Storniert"),
        RefundReason::OperatorCancellation => ("Cancelled by the operator", "Vom Betreiber storniert"),
        RefundReason::Change => ("Booking changed", "Buchung geändert"),
        RefundReason::EarlyExit => ("Left early", "Früher ausgefahren"),
        RefundReason::NoShow => ("Not used", "Nicht angetreten"),
        RefundReason::PaidTooLate => ("Paid too late for the spot", "Zu spät für den Stellplatz gezahlt"),
        RefundReason::Overpaid => ("More was paid than was owed", "Mehr gezahlt als geschuldet"),
        RefundReason::OutOfService => ("The spot was out of service", "Stellplatz außer Betrieb"),
        RefundReason::Relocation => ("Another spot was given", "Anderer Stellplatz zugewiesen"),
        RefundReason::Goodwill => ("Goodwill", "Kulanz"),
        RefundReason::ViolationVoided => ("A violation was annulled", "Verstoß aufgehoben"),
    };
    pick(locale, texts)
}

pub(crate) const fn vehicle(class: VehicleClass, locale: Locale) -> &'static str {
    let texts = match class {
        VehicleClass::Motorcycle => ("Motorcycle", "Motorrad"),
        VehicleClass::Compact => ("Compact", "Kleinwagen"),
        VehicleClass::Standard => ("Standard", "Mittelklasse"),
        VehicleClass::Large => ("Large", "Groß"),
    };
    pick(locale, texts)
}
