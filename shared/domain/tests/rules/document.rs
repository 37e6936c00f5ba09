//! Receipts and credit notes: whatever happens to a stay and its money, and whenever its papers are written, they add up (M8).

use std::collections::BTreeMap;

use parkade_domain::document::{Document, Entry, Evidence, Kind, Number, Series, due};
use parkade_domain::ids::{Claimant, LotId, PaymentId, ReceiptId, ReservationId, SpotIndex, TariffVersion, UserId};
use parkade_domain::money::Currency;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, Purpose, RefundReason};
use parkade_domain::reservation::{Circumstances, Mark, Reservation, Status};
use parkade_domain::tariff::{Line, Price, Rule, RuleId, Tax, Unit};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Vehicle, VehicleClass};
use proptest::prelude::*;

use super::given::lot;

const NOW_S: i64 = 1_767_222_000;

fn stay() -> Window {
    Window::new(Minute(29_450_000), Minute(29_450_120)).unwrap()
}

fn eur() -> Currency {
    Currency::from_code("EUR").unwrap()
}

fn reservation() -> Reservation {
    Reservation {
        id: ReservationId::new(Claimant::Reservation, 7),
        lot: LotId::new("lot").unwrap(),
        user: UserId::new("driver").unwrap(),
        status: Status::Confirmed,
        version: 1,
        spot: SpotIndex(0),
        window: stay(),
        claims: vec![stay()],
        series: false,
        vehicle: Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false },
        plate: None,
        hold_expires_at_s: None,
        tariff: TariffVersion(1),
        circumstances: Circumstances::default(),
        validations: Vec::new(),
        currency: eur(),
        fees_minor: 0,
        price_minor: 0,
        kept_minor: 0,
        adjustments: Vec::new(),
        paid_minor: 0,
        refunded_minor: 0,
        created_at_s: 0,
        entered_at_s: None,
        left_at_s: None,
        ended_at_s: None,
        reason: None,
        spot_blocked: false,
        fingerprint: [0; 16],
        marks: Vec::new(),
    }
}

/// So many quarter-hours at 0.50, with the taxes in it at two rates.
fn price(quarters: i64) -> Price {
    let line = Line::new(Rule::UnitRate, stay(), quarters, Unit::StartedUnit { minutes: 15 }, 50).unwrap();
    let price = Price::new(eur(), TariffVersion(1), vec![line]).unwrap();
    let tax = |id: &str, rate_millionths: u32| Tax {
        id: Some(RuleId::new(id)),
        rate_millionths,
        base_minor: price.total_minor(),
        amount_minor: price.total_minor() * i64::from(rate_millionths) / (1_000_000 + i64::from(rate_millionths)),
        included: true,
    };
    let taxes = [tax("state", 70_000), tax("city", 12_500)];
    let mut json = serde_json::to_value(&price).unwrap();
    json["taxes"] = serde_json::to_value(taxes).unwrap();
    serde_json::from_value(json).unwrap()
}

fn payment(number: u8, kind: PaymentKind, amount_minor: i64) -> Payment {
    Payment {
        id: PaymentId { reservation: reservation().id, number },
        kind,
        status: PaymentStatus::Requested,
        amount_minor,
        currency: eur(),
        means: Means::Wallet,
        provider_reference: None,
        decline_code: None,
        client_secret: None,
        mark: Mark { key: 0, fingerprint: 0 },
        requested_at_s: NOW_S,
        settled_at_s: None,
        version: 1,
    }
}

/// What can happen to a stay.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It now costs so many quarter-hours.
    Costs(i64),
    /// A charge is asked for.
    Charge(i64),
    /// A refund of the newest charge is asked for.
    Refund(i64),
    /// The outcome of the oldest open payment.
    Settle(bool),
    /// The bank sends the newest refund back.
    SendBack,
    /// The consumer runs.
    Document,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..40_i64).prop_map(Step::Costs),
        (1..3_000_i64).prop_map(Step::Charge),
        (1..3_000_i64).prop_map(Step::Refund),
        prop::bool::weighted(0.8).prop_map(Step::Settle),
        Just(Step::SendBack),
        Just(Step::Document),
    ];
    prop::collection::vec(step, 1..40)
}

struct Story {
    price: Price,
    payments: Vec<Payment>,
    documents: Vec<Document>,
}

impl Story {
    fn entries(&self) -> Vec<Entry> {
        (1..).zip(&self.documents).map(|(position, document)| document.entry(position)).collect()
    }

    fn take(&mut self, step: Step) {
        let number = u8::try_from(self.payments.len() + 1).unwrap();
        match step {
            Step::Costs(quarters) => self.price = price(quarters),
            Step::Charge(minor) => {
                self.payments.push(payment(number, PaymentKind::Charge(Purpose::Balance), minor));
            }
            Step::Refund(minor) => {
                let charged = |p: &&Payment| p.returns().is_none() && p.status == PaymentStatus::Succeeded;
                let Some(of) = self.payments.iter().rfind(charged).map(|p| p.id.number) else { return };
                let kind = PaymentKind::Refund { of, reason: RefundReason::Change };
                self.payments.push(payment(number, kind, minor));
            }
            Step::Settle(succeeds) => {
                let open = self.payments.iter_mut().find(|p| p.status == PaymentStatus::Requested);
                let Some(open) = open else { return };
                open.status = if succeeds { PaymentStatus::Succeeded } else { PaymentStatus::Declined };
            }
            Step::SendBack => {
                let done = |p: &&mut Payment| p.returns().is_some() && p.status == PaymentStatus::Succeeded;
                let Some(refund) = self.payments.iter_mut().rfind(done) else { return };
                refund.status = PaymentStatus::Declined;
            }
            Step::Document => self.document(),
        }
    }

    /// Issues what is lacking, as the store does.
    fn document(&mut self) {
        let (lot, reservation) = (lot(), reservation());
        loop {
            let entries = self.entries();
            let Some(due) = due(&self.payments, &entries) else { return };
            let taxed = self.documents.last().map_or(&[][..], |last| last.price.taxes());
            let evidence = Evidence {
                lot: &lot,
                reservation: &reservation,
                spot: None,
                price: self.price.clone(),
                issued: &entries,
                taxed,
            };
            let serial = u32::try_from(entries.len() + 1).unwrap();
            let number = Number { series: Series::at(&lot, NOW_S), serial };
            self.documents.push(evidence.issue(&due, number, NOW_S).unwrap());
        }
    }
}

fn tax_sums<'a>(taxes: impl Iterator<Item = &'a Tax>) -> BTreeMap<u32, (i64, i64)> {
    let mut sums: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for tax in taxes {
        let sum = sums.entry(tax.rate_millionths).or_default();
        (sum.0, sum.1) = (sum.0 + tax.base_minor, sum.1 + tax.amount_minor);
    }
    sums.retain(|_, sum| *sum != (0, 0));
    sums
}

proptest! {
    #[test]
    fn the_documents_of_a_stay_add_up_to_its_money_and_its_taxes(steps in steps()) {
        let mut story = Story { price: price(8), payments: Vec::new(), documents: Vec::new() };
        for step in steps.into_iter().chain([Step::Document]) {
            story.take(step);
        }
        let mut before = 0;
        for document in &story.documents {
            prop_assert!(document.adds_up(), "{document:?}");
            prop_assert_eq!(document.documented_before_minor, before);
            before += document.total_minor;
            let lines: i64 = document.price.lines().iter().map(Line::amount_minor).sum();
            prop_assert_eq!(lines, document.price.total_minor());
            let moved = story.payments.iter().find(|p| p.id == document.id.payment).unwrap();
            let sign = if document.kind == Kind::CreditNote { -1 } else { 1 };
            prop_assert_eq!(document.total_minor, sign * moved.amount_minor);
            let corrected = document.corrects.as_ref().map(|corrected| &corrected.number);
            let earlier = story.documents.iter().take_while(|other| other.id != document.id).map(|other| &other.number);
            prop_assert_eq!(corrected.is_some(), document.kind != Kind::Receipt);
            prop_assert!(corrected.is_none_or(|corrected| earlier.into_iter().any(|number| number == corrected)));
            let json = serde_json::to_string(document).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Document>(&json).unwrap(), document);
        }
        let succeeded = |p: &&Payment| p.status == PaymentStatus::Succeeded;
        let signed = |p: &Payment| if p.returns().is_some() { -p.amount_minor } else { p.amount_minor };
        let moved: i64 = story.payments.iter().filter(succeeded).map(signed).sum();
        prop_assert_eq!(before, moved, "documents add up to what was paid less what was returned");
        if let Some(last) = story.documents.last() {
            let told = tax_sums(story.documents.iter().flat_map(|document| &document.taxes));
            prop_assert_eq!(told, tax_sums(last.price.taxes().iter()));
        }
    }
}

#[test]
fn the_year_of_a_number_is_the_lots_own() {
    let midnight_in_berlin = 1_767_222_000; // 2025-12-31T23:00:00Z
    assert_eq!(Series::at(&lot(), midnight_in_berlin - 1).year, 2025);
    assert_eq!(Series::at(&lot(), midnight_in_berlin).year, 2026);
}

#[test]
fn a_price_of_more_lines_than_fit_is_told_in_one() {
    let line = Line::new(Rule::UnitRate, stay(), 1, Unit::StartedUnit { minutes: 15 }, 50).unwrap();
    let many = Price::new(eur(), TariffVersion(1), vec![line; 601]).unwrap();
    let (lot, reservation) = (lot(), reservation());
    let mut paid = payment(1, PaymentKind::Charge(Purpose::Booking), 601 * 50);
    paid.status = PaymentStatus::Succeeded;
    let payments = [paid];
    let due = due(&payments, &[]).unwrap();
    assert_eq!((due.id, due.kind), (ReceiptId::of(payments[0].id), Kind::Receipt));
    let evidence = Evidence { lot: &lot, reservation: &reservation, spot: None, price: many, issued: &[], taxed: &[] };
    let number = Number { series: Series::at(&lot, NOW_S), serial: 1 };
    let document = evidence.issue(&due, number, NOW_S).unwrap();
    assert_eq!((document.price.lines().len(), document.price.total_minor(), document.on_account_minor), (1, 30_050, 0));
}
