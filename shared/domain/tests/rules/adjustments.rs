//! Violations and goodwill: what they add to a stay and take off it, and what goes back.

use parkade_domain::adjustment::{ADJUSTMENTS_MAX, ViolationKind as V};
use parkade_domain::decide::{self, Dossier, Refusal};
use parkade_domain::explain;
use parkade_domain::money::{Currency, Money};
use parkade_domain::payment::{Means, Payment, PaymentKind, Purpose, RefundReason};
use parkade_domain::reservation::{Reason, Reservation, Status};
use parkade_domain::tariff::{Amount, Rule, Tariff};
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
    // Annulled after it was waived: what is owed is never below nothing.
    let annulled = void(&goodwill(&world, &waived, euros(800)).unwrap(), 1).unwrap();
    assert_eq!((annulled.reservation.owed_minor(), annulled.reservation.refunded_minor), (0, 800));
    assert_eq!(told(&world, &annulled.reservation), (vec![(Rule::UnitRate, 800), (Rule::Goodwill, -800)], 0));
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
