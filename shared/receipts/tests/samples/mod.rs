//! Documents to look at: every kind, both languages' difficult words, currencies without and with three digits, more than a page.

use std::collections::BTreeMap;

use parkade_domain::decide;
use parkade_domain::document::{Document, Due, Entry, Evidence, Kind, Number, Series};
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, SpotIndex, TariffVersion, TillId};
use parkade_domain::lot::Lot;
use parkade_domain::money::Currency;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, Purpose, RefundReason};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{Mark, Reservation};
use parkade_domain::tariff::{Line, Price, Rule, RuleId, Tax, Unit};
use parkade_domain::time::{Minute, Window};
use parkade_domain::zone::LotZone;
use parkade_tests::given::{self, T0, T0_S, window};

/// Every sample, by name.
pub(crate) fn samples() -> BTreeMap<&'static str, Document> {
    BTreeMap::from([
        ("receipt", receipt()),
        ("credit-note", credit_note()),
        ("reversal", reversal()),
        ("yen", yen()),
        ("dinar", dinar()),
        ("month", month()),
    ])
}

fn lot(currency: &str, zone: &str) -> Lot {
    let lot = given::lot(Shape::Hourly, LotPolicy::default());
    Lot {
        name: "Parkhaus Größter Markt & <Söhne>".to_owned(),
        address: "Straße des 17. Juni 135, 10623 Berlin".to_owned(),
        currency: Currency::from_code(currency).unwrap(),
        zone: LotZone::parse(zone).unwrap(),
        ..lot
    }
}

fn stay(window: Window) -> Reservation {
    let new = given::booking(1, 1, vec![window]);
    let (lot, tariff) = (given::lot(Shape::Hourly, LotPolicy::default()), given::tariff());
    decide::hold(decide::Rules::ordinary(&lot, &tariff), &new, SpotIndex(3), T0_S).unwrap()
}

fn payment(number: u8, kind: PaymentKind, amount_minor: i64, currency: Currency, means: Means) -> Payment {
    Payment {
        id: PaymentId { reservation: given::id(1), number },
        kind,
        status: PaymentStatus::Succeeded,
        amount_minor,
        currency,
        means,
        provider_reference: None,
        decline_code: None,
        client_secret: None,
        mark: Mark { key: 1, fingerprint: 1 },
        requested_at_s: T0_S,
        settled_at_s: Some(T0_S + 5),
        version: 2,
    }
}

const CHARGE: PaymentKind = PaymentKind::Charge(Purpose::Booking);

fn line(rule: Rule, interval: Window, quantity: i64, unit: Unit, rate: i64, id: Option<&str>) -> Line {
    let id = id.map(RuleId::new);
    Line::new(rule, interval, quantity, unit, rate).unwrap().of(id.as_ref())
}

/// EUR 4.00 for two hours, with taxes: those that the price contains.
fn price(minor: i64) -> Price {
    let units = minor / 50;
    let lines =
        vec![line(Rule::UnitRate, window(60, 180), units, Unit::StartedUnit { minutes: 15 }, 50, Some("weekdays"))];
    let tax = minor - minor * 100 / 119;
    let taxes = serde_json::json!([{"id": "vat", "rate_millionths": 190_000, "base_minor": minor, "amount_minor": tax, "included": true}]);
    let price = Price::new(Currency::from_code("EUR").unwrap(), TariffVersion(7), lines).unwrap();
    with_taxes(&price, taxes)
}

fn with_taxes(price: &Price, taxes: serde_json::Value) -> Price {
    let mut json = serde_json::to_value(price).unwrap();
    json["taxes"] = taxes;
    serde_json::from_value(json).unwrap()
}

struct Given<'a> {
    lot: &'a Lot,
    reservation: &'a Reservation,
    price: Price,
    issued: &'a [Entry],
    taxed: &'a [Tax],
}

fn document(given: Given<'_>, kind: Kind, payment: &Payment, serial: u32) -> Document {
    let Given { lot, reservation, price, issued, taxed } = given;
    let evidence = Evidence { lot, reservation, spot: Some("A-17"), price, issued, taxed };
    let series = Series { lot: lot.id.clone(), year: 2025 };
    let due = Due { id: kind.id_of(payment.id), kind, payment };
    evidence.issue(&due, Number { series, serial }, T0_S + 60).unwrap()
}

fn receipt() -> Document {
    let (lot, reservation) = (lot("EUR", "Europe/Berlin"), stay(window(60, 180)));
    let paid = payment(1, CHARGE, 400, lot.currency, Means::card("pm_1"));
    let given = Given { lot: &lot, reservation: &reservation, price: price(400), issued: &[], taxed: &[] };
    document(given, Kind::Receipt, &paid, 1)
}

/// The driver left early: the stay costs 2.50, and 1.50 goes back.
fn credit_note() -> Document {
    let first = receipt();
    let mut reservation = stay(window(60, 180));
    (reservation.entered_at_s, reservation.left_at_s) = (Some(T0_S + 3_700), Some(T0_S + 8_000));
    let kind = PaymentKind::Refund { of: 1, reason: RefundReason::EarlyExit };
    let lot = lot("EUR", "Europe/Berlin");
    let refund = payment(2, kind, 150, lot.currency, Means::returned_by_provider());
    let issued = [first.entry(1)];
    let given =
        Given { lot: &lot, reservation: &reservation, price: price(250), issued: &issued, taxed: first.price.taxes() };
    document(given, Kind::CreditNote, &refund, 2)
}

fn reversal() -> Document {
    let (first, second) = (receipt(), credit_note());
    let (lot, reservation) = (lot("EUR", "Europe/Berlin"), stay(window(60, 180)));
    let kind = PaymentKind::Refund { of: 1, reason: RefundReason::EarlyExit };
    let refund = payment(2, kind, 150, lot.currency, Means::returned_by_provider());
    let issued = [first.entry(1), second.entry(2)];
    let given =
        Given { lot: &lot, reservation: &reservation, price: price(250), issued: &issued, taxed: second.price.taxes() };
    document(given, Kind::CreditNoteReversal, &refund, 3)
}

/// A lot whose name the PDF's fonts do not have.
fn yen() -> Document {
    let lot = Lot { name: "渋谷駐車場 Shibuya".to_owned(), ..lot("JPY", "Asia/Tokyo") };
    let reservation = stay(window(60, 180));
    let lines = vec![line(Rule::UnitRate, window(60, 180), 8, Unit::StartedUnit { minutes: 15 }, 150, None)];
    let price = Price::new(lot.currency, TariffVersion(1), lines).unwrap();
    let taxes =
        serde_json::json!([{"rate_millionths": 100_000, "base_minor": 1_200, "amount_minor": 109, "included": true}]);
    let paid = payment(
        1,
        CHARGE,
        1_200,
        lot.currency,
        Means::Cash { till: TillId::new("k1").unwrap(), tendered_minor: 2_000 },
    );
    let given =
        Given { lot: &lot, reservation: &reservation, price: with_taxes(&price, taxes), issued: &[], taxed: &[] };
    document(given, Kind::Receipt, &paid, 1)
}

/// Paid in part, before the stay went on: the rest is on account.
fn dinar() -> Document {
    let lot = lot("KWD", "Asia/Kuwait");
    let reservation = stay(window(60, 180));
    let lines = vec![line(Rule::UnitRate, window(60, 180), 8, Unit::StartedUnit { minutes: 15 }, 1_125, None)];
    let price = Price::new(lot.currency, TariffVersion(1), lines).unwrap();
    let paid = payment(1, CHARGE, 12_345, lot.currency, Means::Wallet);
    let given = Given { lot: &lot, reservation: &reservation, price, issued: &[], taxed: &[] };
    document(given, Kind::Receipt, &paid, 1)
}

/// Day after day, with long names of rules: more than a page.
fn month() -> Document {
    let lot = lot("EUR", "Europe/Berlin");
    let day = |n: i64| Window::new(Minute(T0.0 + n * 1_440), Minute(T0.0 + (n + 1) * 1_440)).unwrap();
    let cap = |n| line(Rule::DailyCap, day(n), 1, Unit::Period, 1_000, Some("daily-cap-of-the-upper-floors"));
    let mut lines: Vec<Line> = (0..45).map(cap).collect();
    lines.push(line(Rule::Tax, day(0), 190_000, Unit::Millionth, 45_000, Some("vat")));
    let taxes = serde_json::json!([{"id": "vat", "rate_millionths": 190_000, "base_minor": 45_000, "amount_minor": 8_550, "included": false}]);
    let price = with_taxes(&Price::new(lot.currency, TariffVersion(2), lines).unwrap(), taxes);
    let reservation = stay(window(60, 180));
    let paid = payment(1, CHARGE, 53_550, lot.currency, Means::card("pm_1"));
    let given = Given { lot: &lot, reservation: &reservation, price, issued: &[], taxed: &[] };
    document(given, Kind::Receipt, &paid, 123_456)
}
