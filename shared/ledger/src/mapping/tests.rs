use parkade_domain::adjustment::ViolationKind;
use parkade_domain::decide::{self, Dossier, NewReservation, Rules};
use parkade_domain::geometry::{Geometry, Shape};
use parkade_domain::ids::{
    CalendarVersion, Claimant, PaymentId, ReservationId, SpotIndex, TariffVersion, TillId, UserId,
};
use parkade_domain::lot::{Lot, LotKind};
use parkade_domain::money::{Currency, Money};
use parkade_domain::payment::{Purpose, RefundReason};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{Mark, Reason};
use parkade_domain::tariff::{Amount, RuleId, Tariff, ValidationUse};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Vehicle, VehicleClass};

use super::*;

const T0: Minute = Minute(29_921_220);
const MARK: Mark = Mark { key: 1, fingerprint: 1 };
const CAR: Vehicle = Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false };

fn lot() -> Lot {
    Lot {
        id: LotId::new("central").unwrap(),
        name: "Central".to_owned(),
        address: "Main street 1".to_owned(),
        latitude_microdegrees: 0,
        longitude_microdegrees: 0,
        zone: LotZone::parse("Europe/Berlin").unwrap(),
        currency: Currency::from_code("EUR").unwrap(),
        kind: LotKind::Assigned,
        geometry: Geometry { shape: Shape::Hourly, offset_minutes: 240 },
        policy: LotPolicy::default(),
        tariff: TariffVersion(1),
        upcoming: Vec::new(),
        newest_tariff: TariffVersion(1),
        calendar: CalendarVersion::default(),
        version: 1,
    }
}

/// Three euros an hour, 19 % of it tax.
fn tariff() -> Tariff {
    let text = r#"{"currency": "EUR", "tables": [{"id": "all", "base": [{"every_minutes": 60, "add": 300}]}], "taxes":
        {"prices": "inclusive", "rounding": "combined", "components": [{"id": "vat", "rate_millionths": 190000}]}}"#;
    serde_json::from_str(text).unwrap()
}

fn held(rules: Rules<'_>) -> Reservation {
    let new = NewReservation {
        id: ReservationId::new(Claimant::Reservation, 7),
        lot: rules.lot.id.clone(),
        user: UserId::new("alice").unwrap(),
        vehicle: CAR,
        plate: None,
        windows: vec![Window::new(T0, T0.plus(120)).unwrap()],
        fingerprint: [0; 16],
    };
    decide::hold(rules, &new, SpotIndex(0), T0.epoch_s() - 3_600).unwrap()
}

fn payment(kind: PaymentKind, means: Means) -> Payment {
    Payment {
        id: PaymentId { reservation: ReservationId::new(Claimant::Reservation, 7), number: 1 },
        kind,
        status: PaymentStatus::Requested,
        amount_minor: 600,
        currency: Currency::from_code("EUR").unwrap(),
        means,
        provider_reference: None,
        decline_code: None,
        client_secret: None,
        mark: MARK,
        requested_at_s: T0.epoch_s(),
        settled_at_s: None,
        version: 1,
    }
}

fn with(payment: &Payment, status: PaymentStatus) -> Payment {
    let settled_at_s = Some(T0.epoch_s() + 5);
    Payment { status, version: payment.version + 1, settled_at_s, ..payment.clone() }
}

fn told(entry: &Entry) -> String {
    let posting = |posting: &Posting| format!("{} {}", posting.account, posting.amount_minor);
    let postings: Vec<String> = entry.postings().iter().map(posting).collect();
    format!("{}: {}", entry.about.cause.as_str(), postings.join(", "))
}

fn payment_told(old: &Payment, new: &Payment) -> Option<String> {
    let lot = lot();
    of_payment(Some(old), new, Place { lot: &lot.id, zone: lot.zone }).unwrap().as_ref().map(told)
}

#[test]
fn money_is_booked_when_it_moves_and_never_before() {
    let charge = payment(PaymentKind::Charge(Purpose::Booking), Means::card("pm_1"));
    let paid = with(&charge, PaymentStatus::Succeeded);
    assert_eq!(payment_told(&charge, &paid).unwrap(), "charge: clearing 600, receivable -600");
    for status in [PaymentStatus::Requested, PaymentStatus::Declined, PaymentStatus::Void] {
        assert_eq!(payment_told(&charge, &with(&charge, status)), None, "{status:?}");
    }
    let late = with(&with(&charge, PaymentStatus::Void), PaymentStatus::Succeeded);
    assert_eq!(
        payment_told(&with(&charge, PaymentStatus::Void), &late).unwrap(),
        "charge: clearing 600, receivable -600"
    );
    let till = TillId::new("kiosk").unwrap();
    let cash = payment(PaymentKind::Charge(Purpose::Balance), Means::Cash { till, tendered_minor: 1_000 });
    let taken = with(&cash, PaymentStatus::Succeeded);
    assert_eq!(payment_told(&cash, &taken).unwrap(), "charge: cash:kiosk 600, receivable -600");
    let wallet = payment(PaymentKind::Charge(Purpose::Balance), Means::Wallet);
    let taken = with(&wallet, PaymentStatus::Succeeded);
    assert_eq!(payment_told(&wallet, &taken).unwrap(), "charge: receivable -600, wallet 600");
}

#[test]
fn a_refund_that_comes_back_is_a_new_entry_and_so_is_its_second_success() {
    let kind = PaymentKind::Refund { of: 1, reason: RefundReason::Cancellation };
    let refund = payment(kind, Means::returned_by_provider());
    let given = with(&refund, PaymentStatus::Succeeded);
    let back = with(&given, PaymentStatus::Declined);
    let again = with(&back, PaymentStatus::Succeeded);
    assert_eq!(payment_told(&refund, &given).unwrap(), "refund: clearing -600, receivable 600");
    assert_eq!(payment_told(&given, &back).unwrap(), "refund_sent_back: clearing 600, receivable -600");
    let lot = lot();
    let place = Place { lot: &lot.id, zone: lot.zone };
    let id = |old, new| of_payment(Some(old), new, place).unwrap().unwrap().about.id;
    let ids = [id(&refund, &given), id(&given, &back), id(&back, &again)];
    assert_eq!(ids[0], "0000000000007#P01#v2#succeeded");
    assert!(ids[0] != ids[2] && ids[1] != ids[0], "{ids:?}");
    assert_eq!(payment_told(&refund, &with(&refund, PaymentStatus::Declined)), None, "it never went");
}

#[test]
fn a_stay_is_earned_when_it_ends_with_its_tax_and_once() {
    let (lot, tariff) = (lot(), tariff());
    let rules = Rules::ordinary(&lot, &tariff);
    let held = held(rules);
    assert_eq!(of_stay(None, &held, rules).unwrap(), None);
    let mut confirmed = held.next(Status::Confirmed, MARK);
    confirmed.paid_minor = 600;
    assert_eq!(of_stay(Some(&held), &confirmed, rules).unwrap(), None, "a prepayment is no revenue");
    let d = Dossier { reservation: confirmed.clone(), payments: Vec::new() };
    let inside = decide::check_in(&d, rules, T0.epoch_s(), MARK).unwrap().reservation;
    let d = Dossier { reservation: inside.clone(), payments: Vec::new() };
    let left = decide::check_out(&d, rules, T0.plus(120).epoch_s(), MARK, None).unwrap().reservation;
    let entry = of_stay(Some(&inside), &left, rules).unwrap().unwrap();
    assert_eq!(told(&entry), "stay: receivable 600, revenue -504, tax -96");
    assert_eq!((entry.about.at_s, entry.about.id.as_str()), (T0.plus(120).epoch_s(), "0000000000007#v4#recognised"));
    let mut paid = left.next(Status::Completed, MARK);
    paid.paid_minor += 100;
    assert_eq!(of_stay(Some(&left), &paid, rules).unwrap(), None, "a payment afterwards earns nothing more");
}

#[test]
fn what_a_cancellation_or_a_no_show_keeps_is_earned_and_an_expired_hold_earns_nothing() {
    let (lot, tariff) = (lot(), tariff());
    let rules = Rules::ordinary(&lot, &tariff);
    let held = held(rules);
    let mut confirmed = held.next(Status::Confirmed, MARK);
    confirmed.kept_minor = 250;
    let mut cancelled = confirmed.next(Status::Cancelled, MARK);
    (cancelled.price_minor, cancelled.ended_at_s) = (250, Some(T0.epoch_s() - 60));
    cancelled.reason = Some(Reason::DriverCancelled);
    let entry = of_stay(Some(&confirmed), &cancelled, rules).unwrap().unwrap();
    assert_eq!(told(&entry), "cancellation: receivable 250, revenue -250");
    assert_eq!(entry.about.at_s, T0.epoch_s() - 60);
    let mut missed = confirmed.next(Status::NoShow, MARK);
    (missed.price_minor, missed.ended_at_s) = (300, Some(T0.epoch_s() + 1_800));
    let entry = of_stay(Some(&confirmed), &missed, rules).unwrap().unwrap();
    assert!(told(&entry).starts_with("no_show: receivable 300, revenue -300"), "{}", told(&entry));
    let expired = held.next(Status::Expired, MARK);
    assert_eq!(of_stay(Some(&held), &expired, rules).unwrap(), None);
    let mut lowered = missed.next(Status::NoShow, MARK);
    lowered.price_minor = 100;
    let entry = of_stay(Some(&missed), &lowered, rules).unwrap().unwrap();
    assert_eq!(told(&entry), "price_corrected: receivable -200, revenue 200");
    assert_eq!(entry.about.at_s, T0.epoch_s() + 1_800, "in the month of the stay, whenever it is made");
}

#[test]
fn violations_and_goodwill_are_earned_with_the_stay_or_corrected_after_it_with_their_tax() {
    let (lot, mut tariff) = (lot(), tariff());
    tariff.violations = BTreeMap::from([(ViolationKind::WrongSpot, Amount::from_minor(4_000))]);
    let rules = Rules::ordinary(&lot, &tariff);
    let d = |reservation: &Reservation| Dossier { reservation: reservation.clone(), payments: Vec::new() };
    let fine = |r: &Reservation| {
        decide::record_violation(&d(r), rules, T0.epoch_s() + 7_000, MARK, ViolationKind::WrongSpot)
            .unwrap()
            .reservation
    };
    let out = |r: &Reservation| decide::check_out(&d(r), rules, T0.epoch_s() + 7_200, MARK, None).unwrap().reservation;
    let confirmed = held(rules).next(Status::Confirmed, MARK);
    let inside = decide::check_in(&d(&confirmed), rules, T0.epoch_s(), MARK).unwrap().reservation;
    let booked = |old: &Reservation, new: &Reservation| of_stay(Some(old), new, rules).unwrap().as_ref().map(told);
    let fined_inside = fine(&inside);
    assert_eq!(booked(&inside, &fined_inside), None, "it is earned with the stay");
    assert_eq!(booked(&fined_inside, &out(&fined_inside)).unwrap(), "stay: receivable 4600, revenue -3865, tax -735");
    let (left, fined) = (out(&inside), fine(&out(&inside)));
    assert_eq!(booked(&left, &fined).unwrap(), "violation: receivable 4000, revenue -3361, tax -639");
    let voided = decide::void_violation(&d(&fined), T0.epoch_s() + 9_000, MARK, 1).unwrap().reservation;
    assert_eq!(booked(&fined, &voided).unwrap(), "violation_voided: receivable -4000, revenue 3361, tax 639");
    let some = Money::new(150, lot.currency);
    let given = decide::give_goodwill(&d(&voided), rules, T0.epoch_s() + 9_000, MARK, some).unwrap().reservation;
    assert_eq!(booked(&voided, &given).unwrap(), "goodwill: receivable -150, revenue 126, tax 24");
}

/// A stay of [`held`] that is given `validation`, as it is with its gift and when it is over.
fn given(rules: Rules<'_>, validation: &str) -> [Reservation; 3] {
    let d = Dossier { reservation: held(rules), payments: Vec::new() };
    let validation = ValidationUse { id: RuleId::new(validation), used_before: 0 };
    let free = decide::validate(&d, rules, T0.epoch_s() - 3_540, MARK, &validation).unwrap().reservation;
    let d = Dossier { reservation: free.clone(), payments: Vec::new() };
    let inside = decide::check_in(&d, rules, T0.epoch_s(), MARK).unwrap().reservation;
    let d = Dossier { reservation: inside.clone(), payments: Vec::new() };
    [free, inside, decide::check_out(&d, rules, T0.epoch_s() + 7_200, MARK, None).unwrap().reservation]
}

#[test]
fn a_merchant_owes_what_a_driver_was_given_also_when_the_driver_owes_nothing() {
    let (lot, mut tariff) = (lot(), tariff());
    let validations = r#"[{"id": "code", "merchant": "cinema", "benefit": {"money": {"amount": 1100}}},
        {"id": "sorry", "benefit": {"free": {}}}]"#;
    tariff.validations = serde_json::from_str(validations).unwrap();
    let rules = Rules::ordinary(&lot, &tariff);
    let [free, inside, out] = given(rules, "code");
    assert_eq!((free.status, of_stay(Some(&held(rules)), &free, rules).unwrap()), (Status::Confirmed, None));
    let entry = of_stay(Some(&inside), &out, rules).unwrap().unwrap();
    assert_eq!(told(&entry), "stay: merchant:cinema 600, revenue -504, tax -96");
    assert_eq!(of_stay(Some(&out), &out, rules).unwrap(), None);
    // What the operator gives is nobody's debt, so there is nothing to book.
    let [_, inside, out] = given(rules, "sorry");
    assert_eq!((out.price_minor, of_stay(Some(&inside), &out, rules).unwrap()), (0, None));
}

#[test]
fn a_count_books_what_is_missing_and_what_went_to_the_bank() {
    let lot = lot();
    let count = |counted_minor, left_minor| Count {
        lot: lot.id.clone(),
        till: TillId::new("kiosk").unwrap(),
        number: 7,
        currency: lot.currency,
        expected_minor: 10_000,
        counted_minor,
        left_minor,
        by: UserId::new("olga").unwrap(),
        at_s: T0.epoch_s(),
        mark: MARK,
    };
    let booked = |counted, left| {
        of_count(&count(counted, left), Place { lot: &lot.id, zone: lot.zone }).unwrap().as_ref().map(told)
    };
    assert_eq!(booked(10_000, 10_000), None);
    assert_eq!(booked(9_950, 9_950).unwrap(), "till_count: cash:kiosk -50, over_short 50");
    assert_eq!(booked(10_020, 2_000).unwrap(), "till_count: bank 8020, cash:kiosk -8000, over_short -20");
    assert_eq!(booked(10_000, 15_000).unwrap(), "till_count: bank -5000, cash:kiosk 5000");
}
