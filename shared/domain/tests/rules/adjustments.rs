//! Violations and goodwill: what they add to a stay and take off it, and what goes back.

use parkade_domain::adjustment::{ADJUSTMENTS_MAX, ViolationKind as V};
use parkade_domain::decide::{self, Dossier, Refusal};
use parkade_domain::explain;
use parkade_domain::money::{Currency, Money};
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, Purpose, RefundReason};
use parkade_domain::reservation::{Reason, Reservation, Status};
use parkade_domain::tariff::{Amount, Rule, RuleId, Tariff, ValidationUse};
use parkade_domain::vehicle::VehicleClass;
use proptest::prelude::*;
use serde_json::json;

use super::decisions::{World, apply, mark, minute, pay, window};

/// The world of the decisions, where some violations have a price and 19 % of everything is tax.
fn world() -> World {
    let mut world = World::new();
    world.tariff.violations =
        [(V::WrongSpot, 4_000), (V::Overstay, 1_500)].map(|(kind, minor)| (kind, Amount::from_minor(minor))).into();
    let taxes = json!({"prices": "inclusive", "rounding": "combined", "components": [{"id": "vat", "rate_millionths": 190_000}]});
    world.tariff.taxes = serde_json::from_value(taxes).unwrap();
    world
}

fn euros(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("EUR").unwrap())
}

/// Inside since the start of a paid booking of €8.
fn inside(world: &World) -> Dossier {
    let d = world.confirmed();
    let change = decide::check_in(&d, world.rules(), minute(12, 0).epoch_s(), mark(60)).unwrap();
    apply(&d, change)
}

/// Left on time.
fn completed(world: &World) -> Dossier {
    leave(world, &inside(world), None)
}

fn leave(world: &World, d: &Dossier, payer: Option<&Means>) -> Dossier {
    apply(d, decide::check_out(d, world.rules(), minute(16, 0).epoch_s(), mark(61), payer).unwrap())
}

fn record(world: &World, d: &Dossier, kind: V) -> Result<Dossier, Refusal> {
    decide::record_violation(d, world.rules(), minute(16, 30).epoch_s(), mark(70), kind).map(|change| apply(d, change))
}

fn void(d: &Dossier, number: usize) -> Result<Dossier, Refusal> {
    decide::void_violation(d, minute(17, 0).epoch_s(), mark(71), number).map(|change| apply(d, change))
}

fn goodwill(world: &World, d: &Dossier, amount: Money) -> Result<Dossier, Refusal> {
    decide::give_goodwill(d, world.rules(), minute(18, 0).epoch_s(), mark(72), amount).map(|change| apply(d, change))
}

/// The refunds by reason.
fn refunds(d: &Dossier) -> Vec<(RefundReason, i64)> {
    let refund = |payment: &Payment| match payment.kind {
        PaymentKind::Refund { reason, .. } => Some((reason, payment.amount_minor)),
        PaymentKind::Charge(_) => None,
    };
    d.payments.iter().filter_map(refund).collect()
}

/// The lines of what is owed, and the tax in it; they add up to what the record says.
fn told(world: &World, r: &Reservation) -> (Vec<(Rule, i64)>, i64) {
    let price = explain::owed(r, world.rules());
    assert_eq!(price.total_minor(), r.owed_minor());
    let lines = price.lines().iter().map(|line| (line.rule(), line.amount_minor())).collect();
    (lines, price.taxes().iter().map(|tax| tax.amount_minor).sum())
}

#[test]
fn a_violation_is_owed_at_the_tariffs_price_and_explained() {
    let world = world();
    let fined = record(&world, &completed(&world), V::WrongSpot).unwrap();
    assert_eq!((fined.reservation.owed_minor(), fined.reservation.due_minor()), (4_800, 4_000));
    let lines = vec![(Rule::UnitRate, 800), (Rule::ViolationWrongSpot, 4_000)];
    assert_eq!(told(&world, &fined.reservation), (lines, 128 + 639));
    let paid = pay(fined, minute(19, 0));
    assert_eq!((paid.reservation.due_minor(), paid.reservation.paid_minor), (0, 4_800));
    assert_eq!(paid.payments.last().map(|charge| charge.kind), Some(PaymentKind::Charge(Purpose::Balance)));
}

#[test]
fn what_has_no_price_is_refused_and_one_visit_has_each_kind_once() {
    let world = world();
    let d = inside(&world);
    assert_eq!(record(&world, &d, V::Unpaid), Err(Refusal::NoViolationFee(V::Unpaid)));
    let fined = record(&world, &d, V::WrongSpot).unwrap();
    assert_eq!(record(&world, &fined, V::WrongSpot), Err(Refusal::AlreadyRecorded(V::WrongSpot)));
    let both = record(&world, &fined, V::Overstay).unwrap();
    assert_eq!(both.reservation.penalties_minor(), 5_500);
    // What was annulled may be recorded after all, until the record is full.
    let mut d = void(&both, 1).unwrap();
    for number in 3..=ADJUSTMENTS_MAX {
        d = void(&record(&world, &d, V::WrongSpot).unwrap(), number).unwrap();
    }
    assert_eq!(record(&world, &d, V::WrongSpot), Err(Refusal::TooManyAdjustments));
    assert!(matches!(record(&world, &world.confirmed(), V::WrongSpot), Err(Refusal::State(_))));
}

#[test]
fn the_next_visit_of_a_series_can_have_the_same_violation() {
    let world = world();
    let day = |n: i64| window(minute(12 + 24 * n, 0), minute(14 + 24 * n, 0));
    let series = pay(world.hold(vec![day(0), day(1)], minute(6, 0)), minute(6, 1));
    let visit =
        |d: &Dossier, n: i64| apply(d, decide::check_in(d, world.rules(), day(n).start().epoch_s(), mark(60)).unwrap());
    let fine = |d: &Dossier, n: i64| {
        let at_s = day(n).start().plus(60).epoch_s();
        decide::record_violation(d, world.rules(), at_s, mark(70), V::WrongSpot).map(|change| apply(d, change))
    };
    let first = fine(&visit(&series, 0), 0).unwrap();
    assert!(fine(&first, 0).is_err());
    let out = decide::check_out(&first, world.rules(), day(0).end().epoch_s(), mark(61), None).unwrap();
    let second = fine(&visit(&apply(&first, out), 1), 1).unwrap();
    assert_eq!(second.reservation.penalties_minor(), 8_000);
}

#[test]
fn nobody_is_billed_for_a_violation_unasked() {
    let world = world();
    let card = Means::Provider { method: Some("pm".into()), customer: Some("cus".into()) };
    let fined = record(&world, &inside(&world), V::WrongSpot).unwrap();
    let out = leave(&world, &fined, Some(&card));
    assert_eq!((out.payments.len(), out.reservation.due_minor()), (1, 4_000), "only the booking was charged");
    let late = decide::check_out(&fined, world.rules(), minute(17, 0).epoch_s(), mark(61), Some(&card)).unwrap();
    let late = apply(&fined, late);
    assert_eq!(
        late.payments.last().map(|charge| charge.amount_minor),
        Some(1_250),
        "the overstay by the tariff's rule"
    );
    assert_eq!(late.reservation.due_minor(), 5_250);
}

#[test]
fn what_was_paid_for_an_annulled_violation_goes_back_once() {
    let world = world();
    let fined = record(&world, &completed(&world), V::WrongSpot).unwrap();
    let unpaid = void(&fined, 1).unwrap();
    assert_eq!((unpaid.reservation.due_minor(), refunds(&unpaid)), (0, Vec::new()));
    let back = void(&pay(fined, minute(16, 40)), 1).unwrap();
    assert_eq!(refunds(&back), [(RefundReason::ViolationVoided, 4_000)]);
    assert_eq!((back.reservation.due_minor(), back.reservation.owed_minor()), (0, 800));
    assert_eq!(told(&world, &back.reservation), (vec![(Rule::UnitRate, 800)], 128));
    assert_eq!(void(&back, 1), Err(Refusal::NoSuchViolation));
    for number in [0, 2, usize::MAX] {
        assert_eq!(void(&back, number), Err(Refusal::NoSuchViolation), "{number}");
    }
}

#[test]
fn goodwill_gives_back_what_was_paid_and_waives_what_was_not() {
    let world = world();
    let out = completed(&world);
    assert!(matches!(goodwill(&world, &inside(&world), euros(100)), Err(Refusal::State(_))));
    let too_much = Refusal::MoreThanOwed { owed_minor: 800, currency: euros(0).currency };
    assert_eq!(goodwill(&world, &out, euros(801)), Err(too_much.clone()));
    assert_eq!(goodwill(&world, &out, Money::new(100, Currency::from_code("USD").unwrap())), Err(too_much));
    let given = goodwill(&world, &out, euros(300)).unwrap();
    assert_eq!(refunds(&given), [(RefundReason::Goodwill, 300)]);
    // A part of the price back is the same part of its tax.
    assert_eq!(told(&world, &given.reservation), (vec![(Rule::UnitRate, 800), (Rule::Goodwill, -300)], 80));
    let all = goodwill(&world, &given, euros(500)).unwrap();
    assert_eq!(
        (all.reservation.owed_minor(), all.reservation.refunded_minor, told(&world, &all.reservation).1),
        (0, 800, 0)
    );
    assert!(matches!(goodwill(&world, &all, euros(1)), Err(Refusal::MoreThanOwed { owed_minor: 0, .. })));
    // A violation that nobody has paid yet.
    let fined = record(&world, &out, V::Overstay).unwrap();
    let waived = goodwill(&world, &fined, euros(1_500)).unwrap();
    assert_eq!((refunds(&waived), waived.reservation.due_minor()), (Vec::new(), 0));
    // It may have been for the violation.
    assert_eq!(void(&waived, 1), Err(Refusal::GoodwillGiven));
    let later = void(&record(&world, &waived, V::WrongSpot).unwrap(), 3).unwrap();
    assert_eq!((refunds(&later), later.reservation.due_minor()), (Vec::new(), 0));
}

#[test]
fn only_what_is_given_now_goes_back_not_what_a_bank_returned_before() {
    let world = world();
    let d = inside(&world);
    let early = decide::check_out(&d, world.rules(), minute(14, 0).epoch_s(), mark(61), None).unwrap();
    let early = apply(&d, early);
    assert_eq!(refunds(&early), [(RefundReason::EarlyExit, 400)]);
    let refund = early.payments.last().unwrap();
    let returned = Payment { status: PaymentStatus::Declined, version: 3, ..refund.clone() };
    let returned = apply(&early, decide::refund_declined(&early, &returned, mark(63)));
    assert_eq!(returned.reservation.due_minor(), -400, "a person settles that");
    let given = goodwill(&world, &returned, euros(100)).unwrap();
    assert_eq!(given.payments.last().map(|refund| refund.amount_minor), Some(100));
    let fined = record(&world, &returned, V::Overstay).unwrap();
    assert_eq!(fined.reservation.due_minor(), 1_100);
    assert_eq!(void(&fined, 1).unwrap().payments.len(), returned.payments.len());
}

#[test]
fn nothing_that_goes_back_for_the_stay_pays_for_a_violation() {
    let world = world();
    let fined = record(&world, &inside(&world), V::WrongSpot).unwrap();
    let leave_at = |d: &Dossier, at| apply(d, decide::check_out(d, world.rules(), at, mark(61), None).unwrap());
    let early = leave_at(&fined, minute(14, 0).epoch_s());
    assert_eq!((refunds(&early), early.reservation.due_minor()), (vec![(RefundReason::EarlyExit, 400)], 4_000));
    let paid = pay(fined, minute(13, 0));
    let early = leave_at(&paid, minute(14, 0).epoch_s());
    assert_eq!((refunds(&early), early.reservation.due_minor()), (vec![(RefundReason::EarlyExit, 400)], 0));
    // What was paid for it is no reason not to bill what the stay costs.
    let card = Means::Provider { method: Some("pm".into()), customer: Some("cus".into()) };
    let late = decide::check_out(&paid, world.rules(), minute(17, 0).epoch_s(), mark(61), Some(&card)).unwrap();
    assert_eq!(late.payments.last().map(|charge| charge.amount_minor), Some(1_250));
}

#[test]
fn the_taxes_of_what_is_left_are_in_proportion_whatever_was_given_and_however_they_are_shown() {
    let mut world = world();
    let validations = json!([
        {"id": "half", "merchant": "cafe", "benefit": {"percent": {"basis_points": 5_000}}},
        {"id": "voucher", "merchant": "cinema", "benefit": {"money": {"amount": 400}}},
    ]);
    world.tariff.validations = serde_json::from_value(validations).unwrap();
    let given = |world: &World, id: &str| {
        let d = world.confirmed();
        let validation = ValidationUse { id: RuleId::new(id), used_before: 0 };
        let d = apply(&d, decide::validate(&d, world.rules(), minute(6, 5).epoch_s(), mark(50), &validation).unwrap());
        let enter = decide::check_in(&d, world.rules(), minute(12, 0).epoch_s(), mark(60)).unwrap();
        leave(world, &apply(&d, enter), None)
    };
    let tax_after =
        |world: &World, d: &Dossier, minor: i64| told(world, &goodwill(world, d, euros(minor)).unwrap().reservation).1;
    // Half of the price before its tax: 4.00 with 0.64. A voucher pays 4.00 of 8.00 after it: 1.28.
    let (half, voucher) = (given(&world, "half"), given(&world, "voucher"));
    assert_eq!([0, 100, 300].map(|minor| if minor == 0 { 64 } else { tax_after(&world, &half, minor) }), [64, 48, 16]);
    assert_eq!(tax_after(&world, &half, 400), 0);
    assert_eq!(told(&world, &voucher.reservation).1, 128);
    assert_eq!(tax_after(&world, &voucher, 400), 64, "what the cinema pays is still taxed");
    // On top of the price, as a line of its own.
    let taxes = json!({"prices": "exclusive", "rounding": "combined", "components": [{"id": "vat", "rate_millionths": 250_000}]});
    world.tariff.taxes = serde_json::from_value(taxes).unwrap();
    let out = completed(&world);
    assert_eq!((out.reservation.owed_minor(), told(&world, &out.reservation).1), (1_000, 200));
    assert_eq!([250, 500, 1_000].map(|minor| tax_after(&world, &out, minor)), [150, 100, 0]);
    let all = explain::owed(&goodwill(&world, &out, euros(1_000)).unwrap().reservation, world.rules());
    assert_eq!((all.total_minor(), all.subtotal_minor()), (0, 0));
}

#[test]
fn a_series_that_took_place_has_its_taxes_and_so_has_its_violation() {
    let world = world();
    let day = |n: i64| window(minute(12 + 24 * n, 0), minute(14 + 24 * n, 0));
    let mut d = pay(world.hold(vec![day(0), day(1)], minute(6, 0)), minute(6, 1));
    assert_eq!(told(&world, &d.reservation).1, 128);
    for n in 0..2 {
        d = apply(&d, decide::check_in(&d, world.rules(), day(n).start().epoch_s(), mark(60)).unwrap());
        d = apply(&d, decide::check_out(&d, world.rules(), day(n).end().epoch_s(), mark(61), None).unwrap());
        assert_eq!(told(&world, &d.reservation).1, 128, "{n}");
    }
    let at_s = day(1).end().plus(30).epoch_s();
    let fined = decide::record_violation(&d, world.rules(), at_s, mark(70), V::WrongSpot).unwrap().reservation;
    assert_eq!(told(&world, &fined).1, 128 + 639);
}

#[test]
fn a_free_booking_whose_driver_paid_a_fine_has_no_fee_for_a_change() {
    let mut world = world();
    world.tariff.rates = [(VehicleClass::Standard, 0)].into();
    let terms = json!({"modification": {"fee_minor": 300, "free_until_hours_before": 48}});
    world.tariff.terms = serde_json::from_value(terms).unwrap();
    let d = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let d = apply(&d, decide::check_in(&d, world.rules(), minute(12, 0).epoch_s(), mark(60)).unwrap());
    let fine = decide::record_violation(&d, world.rules(), minute(12, 30).epoch_s(), mark(70), V::WrongSpot).unwrap();
    let paid = pay(apply(&d, fine), minute(12, 40));
    let longer = window(minute(12, 0), minute(17, 0));
    let place = (paid.reservation.spot, paid.reservation.circumstances.features);
    let extended = decide::modify(&paid, world.rules(), minute(13, 0).epoch_s(), mark(71), longer, place).unwrap();
    assert_eq!((extended.reservation.fees_minor, extended.reservation.due_minor()), (0, 0));
}

#[test]
fn what_a_cancellation_keeps_has_no_tax_and_neither_has_what_is_given_back_of_it() {
    let world = world();
    let d = world.confirmed();
    let change = decide::cancel(&d, world.rules(), minute(11, 0).epoch_s(), mark(62), Reason::DriverCancelled).unwrap();
    let cancelled = apply(&d, change);
    let kept = cancelled.reservation.owed_minor();
    assert!(kept > 100 && told(&world, &cancelled.reservation).1 == 0);
    let given = goodwill(&world, &cancelled, euros(100)).unwrap();
    assert_eq!((given.reservation.status, given.reservation.owed_minor()), (Status::Cancelled, kept - 100));
    assert_eq!(told(&world, &given.reservation).1, 0);
}

#[test]
fn a_tariff_says_what_is_wrong_with_its_prices_for_violations() {
    let tariff = |violations: &str| {
        format!(
            r#"{{"currency": "EUR", "unit_minutes": 60, "rates": {{"standard": 200}}, "violations": {violations}}}"#
        )
    };
    let errors = |violations: &str| {
        let tariff: Tariff = serde_json::from_str(&tariff(violations)).unwrap();
        tariff.validate().into_iter().map(|error| (error.pointer, error.code)).collect::<Vec<_>>()
    };
    assert_eq!(errors(r#"{"wrong_spot": "40.00", "unpaid": 3000}"#), []);
    assert_eq!(errors(r#"{"no_right": 0}"#), [("/violations/no_right".into(), "out_of_range")]);
    assert_eq!(errors(r#"{"overstay": "40"}"#), [("/violations/overstay".into(), "currency_digits")]);
    let unknown = serde_json::from_str::<Tariff>(&tariff(r#"{"parked": 1}"#));
    assert!(unknown.is_err_and(|error| error.to_string().contains("wrong_spot")));
}

proptest! {
    /// Whatever is recorded, annulled, given and paid in whatever order: what is owed is explained, what went back is never more than what
    /// came (M5), and the money is where it is owed.
    #[test]
    fn money_and_what_is_owed_agree_after_any_adjustments(steps in prop::collection::vec((0..5_u8, 1..5_000_i64), 0..24)) {
        let world = world();
        let mut d = completed(&world);
        for (step, minor) in steps {
            let next = match step {
                0 => record(&world, &d, V::WrongSpot),
                1 => record(&world, &d, V::Overstay),
                2 => void(&d, usize::try_from(minor % 9).unwrap()),
                3 => goodwill(&world, &d, euros(minor)),
                _ if d.reservation.due_minor() > 0 => Ok(pay(d.clone(), minute(20, 0))),
                _ => continue,
            };
            d = next.unwrap_or(d);
            told(&world, &d.reservation);
            let r = &d.reservation;
            prop_assert!(r.refunded_minor <= r.paid_minor && r.due_minor() >= 0);
            let taken: i64 = d.payments.iter().map(|p| if p.returns().is_some() { -p.amount_minor } else { p.amount_minor }).sum();
            prop_assert_eq!(taken, r.owed_minor() - r.due_minor());
        }
    }
}
