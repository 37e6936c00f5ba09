use parkade_domain::ids::TariffVersion;
use parkade_domain::money::{Currency, Money};
use parkade_domain::policy::{CancellationStep, EarlyExit, LotPolicy};
use parkade_domain::settlement::{
    Charge, RefundError, Settlement, SettlementReason, Stay, allocate_refund, cancellation, drive_up, leave, no_show,
    top_up, with_fees, withdrawal,
};
use parkade_domain::tariff::{CapPeriod, OverstayRule, Price, PriceRequest, Rule, Tariff};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::VehicleClass;
use proptest::prelude::*;

use super::given::{price, tariff, zone};
use super::tariff::assert_adds_up;

const START: Minute = Minute(29_700_000);

fn booked(hours: i64) -> Window {
    Window::new(START, START.plus(hours * 60)).unwrap()
}

fn agreed(minor: i64) -> Price {
    let amount = Money::new(minor, Currency::from_code("GBP").unwrap());
    Price::agreed(amount, TariffVersion(7), booked(12))
}

fn policy(early_exit: EarlyExit) -> LotPolicy {
    LotPolicy { early_exit, ..LotPolicy::default() }
}

/// Leaves `minutes` after the start of a booking of `hours`.
fn left(policy: &LotPolicy, tariff: &Tariff, hours: i64, minutes: i64) -> Settlement {
    let utc = zone("UTC");
    let agreed = price(tariff, utc, booked(hours));
    let stay = Stay {
        tariff,
        booked: PriceRequest::booking(&utc, VehicleClass::Standard, booked(hours)),
        left_at: START.plus(minutes),
        price: &agreed,
    };
    let settlement = leave(policy, &stay).unwrap();
    assert_adds_up(&settlement.owed);
    settlement
}

#[test]
fn early_exit_of_24_pounds_for_12_hours_after_5_with_a_fee_of_10_refunds_4() {
    let settlement =
        left(&policy(EarlyExit::ProratedMinusFee { fee_minor_min: 1_000 }), &tariff("GBP", 60, 200, None), 12, 300);
    assert_eq!(settlement.before.total_minor(), 2_400);
    assert_eq!(settlement.difference_minor(), -400);
    let rules: Vec<_> = settlement.owed.lines().iter().map(|line| (line.rule(), line.amount_minor())).collect();
    assert_eq!(rules, [(Rule::EarlyExitProrated, 1_000), (Rule::EarlyExitFee, 1_000)]);
    assert_eq!(settlement.reason, SettlementReason::EarlyExit);
}

#[test]
fn every_early_exit_policy_gives_its_own_refund() {
    let two_an_hour = tariff("GBP", 60, 200, None);
    let fee = |fee_minor_min| EarlyExit::ProratedMinusFee { fee_minor_min };
    for (early_exit, minutes, refund_minor) in [
        (EarlyExit::None, 300, 0),
        (EarlyExit::Prorated, 300, 1_400),
        (EarlyExit::Prorated, 310, 1_367),
        (EarlyExit::Prorated, 719, 3),
        (fee(1_000), 719, 0),
        (fee(0), 300, 1_400),
        (fee(5_000), 300, 0),
        (EarlyExit::Reprice, 300, 1_400),
        (EarlyExit::Reprice, 301, 1_200),
        (EarlyExit::Reprice, 719, 0),
        // Came early and left before the start: nothing of the booked time was used.
        (EarlyExit::Reprice, -5, 2_400),
        (EarlyExit::Prorated, 0, 2_400),
        (fee(1_000), -5, 1_400),
    ] {
        let settlement = left(&policy(early_exit), &two_an_hour, 12, minutes);
        assert_eq!(settlement.difference_minor(), -refund_minor, "{early_exit:?} after {minutes}");
        let as_booked = settlement.reason == SettlementReason::AsBooked;
        assert_eq!(as_booked, refund_minor == 0, "{early_exit:?} after {minutes}");
    }
}

#[test]
fn an_agreed_price_below_the_tariff_is_never_raised_by_leaving_early() {
    let (utc, tariff) = (zone("UTC"), tariff("GBP", 60, 200, None));
    let promised = agreed(500);
    let stay = Stay {
        tariff: &tariff,
        booked: PriceRequest::booking(&utc, VehicleClass::Standard, booked(12)),
        left_at: START.plus(300),
        price: &promised,
    };
    let settlement = leave(&policy(EarlyExit::Reprice), &stay).unwrap();
    assert_eq!(settlement.owed, promised);
}

#[test]
fn overstay_of_65_minutes_at_2_50_per_started_hour_and_10_admin_costs_15() {
    let tariff = Tariff {
        overstay: OverstayRule::PerStartedUnit { unit_minutes: 60, rate_minor: 250, admin_fee_minor: 1_000 },
        ..tariff("GBP", 60, 200, None)
    };
    let settlement = left(&LotPolicy::default(), &tariff, 2, 120 + 65);
    assert_eq!(settlement.difference_minor(), 1_500);
    assert_eq!(settlement.reason, SettlementReason::Overstay);
    let added: Vec<_> = settlement.owed.lines().iter().skip(1).map(|line| (line.rule(), line.amount_minor())).collect();
    assert_eq!(added, [(Rule::OverstayRate, 500), (Rule::OverstayFee, 1_000)]);
}

#[test]
fn within_the_exit_grace_nothing_is_added_and_after_it_the_excess_counts_from_the_end() {
    let tariff = tariff("GBP", 60, 200, None);
    let policy = LotPolicy { exit_grace_minutes: 10, ..LotPolicy::default() };
    for (minutes_late, more_minor) in [(0, 0), (1, 0), (10, 0), (11, 200), (60, 200), (61, 400)] {
        let settlement = left(&policy, &tariff, 2, 120 + minutes_late);
        assert_eq!(settlement.difference_minor(), more_minor, "{minutes_late} late");
    }
}

#[test]
fn an_overstay_that_continues_the_tariff_goes_on_under_its_cap() {
    let tariff = tariff("GBP", 60, 200, Some((1_000, CapPeriod::Rolling24h)));
    // Four hours are 8.00, the cap is 10.00: the fifth hour costs 2.00, the sixth nothing, the 25th starts anew.
    for (hours_late, more_minor) in [(1, 200), (2, 200), (20, 200), (21, 400)] {
        let settlement = left(&LotPolicy::default(), &tariff, 4, 240 + hours_late * 60);
        assert_eq!(settlement.difference_minor(), more_minor, "{hours_late} h late");
    }
}

#[test]
fn a_no_show_keeps_the_fee_and_refunds_the_rest() {
    let policy = LotPolicy { no_show_fee_basis_points: 5_000, ..LotPolicy::default() };
    for (gate_was_offline, kept_minor) in [(false, 500), (true, 0)] {
        let settlement = no_show(&agreed(1_000), policy.no_show_share(gate_was_offline), booked(12)).unwrap();
        assert_eq!(settlement.owed.total_minor(), kept_minor);
        assert_eq!(settlement.difference_minor(), kept_minor - 1_000);
        assert_adds_up(&settlement.owed);
    }
}

#[test]
fn a_cancellation_refunds_by_the_ladder_with_inclusive_bounds() {
    let ladder = LotPolicy::default().cancellation;
    for (minutes_before, refund_minor) in
        [(48 * 60, 1_001), (24 * 60, 1_001), (24 * 60 - 1, 500), (60, 500), (59, 0), (0, 0), (-30, 0)]
    {
        let settlement = cancellation(&agreed(1_001), &ladder, START.plus(-minutes_before), booked(12)).unwrap();
        assert_eq!(settlement.difference_minor(), -refund_minor, "{minutes_before} min before");
        assert_adds_up(&settlement.owed);
    }
    let nothing = cancellation(&agreed(1_000), &[], START.plus(-10_000), booked(12)).unwrap();
    assert_eq!(nothing.difference_minor(), 0);
}

fn charge(number: u8, captured_minor: i64, refunded_minor: i64) -> Charge {
    Charge { number, captured_minor, refunded_minor }
}

#[test]
fn refunds_take_the_newest_charge_first_and_never_more_than_it_captured() {
    let charges = [charge(1, 1_000, 200), charge(3, 500, 0), charge(2, 300, 300)];
    for (amount_minor, parts) in [
        (0, vec![]),
        (400, vec![(3, 400)]),
        (500, vec![(3, 500)]),
        (501, vec![(3, 500), (1, 1)]),
        (1_300, vec![(3, 500), (1, 800)]),
    ] {
        assert_eq!(allocate_refund(&charges, amount_minor), Ok(parts), "{amount_minor}");
    }
    assert_eq!(allocate_refund(&charges, 1_301), Err(RefundError::ExceedsCaptured { available_minor: 1_300 }));
    assert_eq!(allocate_refund(&charges, -1), Err(RefundError::Negative));
    assert_eq!(allocate_refund(&[charge(1, 5, 6)], 0), Err(RefundError::Inconsistent { number: 1 }));
    assert_eq!(allocate_refund(&[charge(4, -5, -6)], 1), Err(RefundError::Inconsistent { number: 4 }));
    assert_eq!(allocate_refund(&[], 1), Err(RefundError::ExceedsCaptured { available_minor: 0 }));
}

fn any_early_exit() -> impl Strategy<Value = EarlyExit> {
    prop_oneof![
        Just(EarlyExit::None),
        Just(EarlyExit::Prorated),
        Just(EarlyExit::Reprice),
        (0_i64..5_000).prop_map(|fee_minor_min| EarlyExit::ProratedMinusFee { fee_minor_min }),
    ]
}

proptest! {
    #[test]
    fn leaving_early_never_costs_more_nor_refunds_more_than_was_owed(
        early_exit in any_early_exit(), rate in 0_i64..1_000, cap in prop::option::of(0_i64..5_000), hours in 1_i64..100,
        left_after in -60_i64..6_000,
    ) {
        let tariff = tariff("GBP", 60, rate, cap.map(|cap| (cap, CapPeriod::Rolling24h)));
        let settlement = left(&policy(early_exit), &tariff, hours, left_after.min(hours * 60));
        prop_assert!((0..=settlement.before.total_minor()).contains(&settlement.owed.total_minor()));
    }

    #[test]
    fn leaving_later_never_costs_less(early_exit in any_early_exit(), rate in 0_i64..1_000, at in 0_i64..3_000, more in 0_i64..300) {
        let (tariff, policy) = (tariff("GBP", 60, rate, Some((2_000, CapPeriod::Rolling24h))), policy(early_exit));
        let (sooner, later) = (left(&policy, &tariff, 24, at), left(&policy, &tariff, 24, at + more));
        prop_assert!(sooner.owed.total_minor() <= later.owed.total_minor());
    }

    #[test]
    fn what_is_kept_and_what_is_refunded_make_the_price(
        minor in 0_i64.., bp in 0_u32..=20_000, minutes_before in -100_i64..10_000,
        ladder in prop::collection::vec((0_u32..200, 0_u32..=10_000), 0..4),
    ) {
        let ladder: Vec<_> = ladder
            .into_iter()
            .map(|(hours_before_start, refund_basis_points)| CancellationStep { hours_before_start, refund_basis_points })
            .collect();
        for settlement in [
            no_show(&agreed(minor), bp, booked(12)).unwrap(),
            cancellation(&agreed(minor), &ladder, START.plus(-minutes_before), booked(12)).unwrap(),
        ] {
            assert_adds_up(&settlement.owed);
            prop_assert!((0..=minor).contains(&settlement.owed.total_minor()));
            prop_assert_eq!(settlement.owed.total_minor() - settlement.difference_minor(), minor);
        }
    }

    #[test]
    fn parts_of_a_refund_sum_to_it_and_stay_within_their_charges(
        amounts in prop::collection::vec((0_i64..1_000, 0_i64..1_000), 0..6), amount in 0_i64..4_000,
    ) {
        let charges: Vec<_> = (1..)
            .zip(amounts)
            .map(|(number, (captured, refunded))| charge(number, captured.max(refunded), captured.min(refunded)))
            .collect();
        let available: i64 = charges.iter().map(|c| c.captured_minor - c.refunded_minor).sum();
        match allocate_refund(&charges, amount) {
            Ok(parts) => {
                prop_assert_eq!(parts.iter().map(|(_, minor)| minor).sum::<i64>(), amount);
                prop_assert!(parts.is_sorted_by(|a, b| a.0 > b.0));
                for (number, minor) in parts {
                    let of = charges.iter().find(|c| c.number == number).unwrap();
                    prop_assert!(minor > 0 && minor <= of.captured_minor - of.refunded_minor);
                }
            }
            Err(error) => {
                prop_assert!(amount > available);
                prop_assert_eq!(error, RefundError::ExceedsCaptured { available_minor: available });
            }
        }
    }
}

/// 12.00 of parking and 1.50 of fees, of which 0.50 is given back.
fn fee_tariff(terms: &str) -> Tariff {
    let text = format!(
        r#"{{"currency": "GBP", "tables": [{{"id": "cars", "base": [{{"total": "12.00"}}]}}], "terms": {terms},
            "fees": [{{"id": "booking", "amount": "1.00"}}, {{"id": "card", "amount": "0.50", "refundable": true}}],
            "graces": {{"exit_minutes": 15}}}}"#
    );
    let tariff: Tariff = serde_json::from_str(&text).unwrap();
    assert_eq!(tariff.validate(), []);
    tariff
}

#[test]
fn a_cancellation_keeps_the_fees_that_are_not_given_back() {
    let tariff = fee_tariff(
        r#"{"cancellation": [{"hours_before_start": 24, "refund_basis_points": 8000}], "cool_off_minutes": 60}"#,
    );
    let price = price(&tariff, zone("Europe/London"), booked(12));
    assert_eq!(price.total_minor(), 1_350);
    let policy = LotPolicy::default().under(tariff.terms.as_ref());
    let cancelled = |hours_before: i64| {
        let now = booked(12).start().plus(-60 * hours_before);
        cancellation(&price, &policy.cancellation, now, booked(12)).unwrap().owed.total_minor()
    };
    // 1.00 is kept, and 20 % or all of the other 12.50.
    assert_eq!((cancelled(24), cancelled(23)), (100 + 250, 1_350));
    let terms = tariff.terms.as_ref().unwrap();
    let made = booked(12).start();
    assert_eq!([60, 61].map(|minutes| terms.cools_off(made, made.plus(minutes))), [true, false]);
    assert_eq!(withdrawal(&price, booked(12)).unwrap().owed.total_minor(), 0);
}

/// The taxes of a price: rate, base and amount.
fn taxes(price: &Price) -> Vec<(u32, i64, i64)> {
    price.taxes().iter().map(|tax| (tax.rate_millionths, tax.base_minor, tax.amount_minor)).collect()
}

#[test]
fn what_is_paid_for_parking_is_taxed_and_what_is_kept_without_parking_is_not() {
    let taxed = |prices: &str, components: &str| {
        let text = format!(
            r#"{{"currency": "GBP", "tables": [{{"id": "all", "base": [{{"every_minutes": 60, "add": "2.00"}}]}}],
            "overstay": {{"per_started_unit": {{"unit_minutes": 60, "rate_minor": 250, "admin_fee_minor": 1000}}}},
            "taxes": {{"prices": "{prices}", "rounding": "per_component", "components": [{components}]}}}}"#
        );
        serde_json::from_str::<Tariff>(&text).unwrap()
    };
    let vat = r#"{"id": "vat", "rate_millionths": 200000}"#;
    let inclusive = taxed("inclusive", vat);
    assert_eq!(taxes(&price(&inclusive, zone("UTC"), booked(12))), [(200_000, 2_400, 400)]);
    let early = left(&policy(EarlyExit::Prorated), &inclusive, 12, 300).owed;
    assert_eq!((early.total_minor(), taxes(&early)), (1_000, vec![(200_000, 1_000, 167)]));
    let late = left(&policy(EarlyExit::None), &inclusive, 12, 12 * 60 + 65).owed;
    assert_eq!((late.total_minor(), taxes(&late)), (3_900, vec![(200_000, 3_900, 650)]));

    // On top of the price, and the second on the first: what is left of it, and what comes later, contains both.
    let exclusive =
        taxed("exclusive", &format!(r#"{vat}, {{"id": "city", "rate_millionths": 100000, "compound": true}}"#));
    let whole = price(&exclusive, zone("UTC"), booked(12));
    assert_eq!((whole.total_minor(), taxes(&whole)), (3_168, vec![(200_000, 2_400, 480), (100_000, 2_880, 288)]));
    let early = left(&policy(EarlyExit::Prorated), &exclusive, 12, 360).owed;
    assert_eq!((early.total_minor(), taxes(&early)), (1_584, vec![(200_000, 1_584, 240), (100_000, 1_584, 144)]));
    let late = left(&policy(EarlyExit::None), &exclusive, 12, 12 * 60 + 65).owed;
    let contained = late.taxes().iter().filter(|tax| tax.included).map(|tax| tax.amount_minor).collect::<Vec<_>>();
    assert_eq!((late.total_minor(), contained), (3_168 + 1_500, vec![227, 136]));

    let kept = cancellation(&whole, &[], START, booked(12)).unwrap().owed;
    assert_eq!((kept.total_minor(), taxes(&kept)), (3_168, Vec::new()));
    assert_eq!(taxes(&no_show(&whole, 5_000, booked(12)).unwrap().owed), []);
}

#[test]
fn a_change_costs_its_fee_unless_it_is_early() {
    let tariff = fee_tariff(r#"{"modification": {"fee_minor": 300, "free_until_hours_before": 48}}"#);
    let terms = tariff.terms.as_ref().unwrap();
    let start = booked(12).start();
    assert_eq!(terms.modification_fee_minor(start.plus(-48 * 60), start), 0);
    let fee_minor = terms.modification_fee_minor(start.plus(-48 * 60 + 1), start);
    let price = price(&tariff, zone("Europe/London"), booked(12));
    let changed = with_fees(&tariff, price.clone(), fee_minor, booked(12)).unwrap();
    assert_eq!(changed.total_minor() - price.total_minor(), 300);
    let late = cancellation(&changed, &[], start.plus(-60), booked(12)).unwrap();
    assert_eq!(
        late.owed
            .lines()
            .iter()
            .find(|line| line.rule() == Rule::ModificationFee)
            .map(|line| (line.rule(), line.amount_minor())),
        Some((Rule::ModificationFee, 300))
    );
}

#[test]
fn who_leaves_within_the_exit_grace_after_paying_owes_nothing_more() {
    let tariff: Tariff = serde_json::from_str(
        r#"{"currency": "GBP", "unit_minutes": 60, "rates": {"standard": 200}, "graces": {"exit_minutes": 15}}"#,
    )
    .unwrap();
    let london = zone("Europe/London");
    let paid_at = booked(2).end();
    let paid = price(&tariff, london, booked(2));
    let owed = |minutes: i64| {
        let stayed = Window::new(booked(2).start(), paid_at.plus(minutes)).unwrap();
        let request = parkade_domain::tariff::PriceRequest::stay(&london, VehicleClass::Standard, stayed);
        top_up(&tariff, &paid, &request, paid_at).unwrap().owed.total_minor()
    };
    assert_eq!([0, 15, 16, 61].map(owed), [400, 400, 600, 800]);
}

#[test]
fn terms_are_checked_like_the_policy() {
    for (terms, pointer) in [
        (
            r#"{"cancellation": [{"hours_before_start": 1, "refund_basis_points": 10001}]}"#,
            "/terms/cancellation/0/refund_basis_points",
        ),
        (r#"{"no_show_fee_basis_points": 10001}"#, "/terms/no_show_fee_basis_points"),
        (r#"{"modification": {"fee_minor": -1}}"#, "/terms/modification/fee_minor"),
        (r#"{"cool_off_minutes": 99999}"#, "/terms/cool_off_minutes"),
    ] {
        let text =
            format!(r#"{{"currency": "GBP", "unit_minutes": 60, "rates": {{"standard": 1}}, "terms": {terms}}}"#);
        let errors = serde_json::from_str::<Tariff>(&text).unwrap().validate();
        assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
    }
}

proptest! {
    /// Who stays longer never owes less than who left in time, also where the tariff does not sell the longer stay.
    #[test]
    fn outlasting_what_is_sold_is_no_discount(sold_minutes in 1_i64..1_440, more in 1_i64..4_000, tier in 1_i64..2_000) {
        let document = serde_json::json!({"currency": "EUR", "tables": [{"id": "all",
            "base": [{"up_to_minutes": sold_minutes, "total": tier}], "max_stay_minutes": sold_minutes}]});
        let tariff: Tariff = serde_json::from_value(document).unwrap();
        let utc = zone("UTC");
        let stay = |minutes| PriceRequest::stay(&utc, VehicleClass::Standard, Window::new(START, START.plus(minutes)).unwrap());
        let in_time = drive_up(&tariff, &stay(sold_minutes)).unwrap();
        let longer = drive_up(&tariff, &stay(sold_minutes + more)).unwrap();
        assert_adds_up(&longer);
        prop_assert!(longer.total_minor() >= in_time.total_minor());
    }
}

#[test]
fn a_short_stop_that_is_outlasted_is_charged_by_its_whole_length_and_an_endless_one_in_so_many_parts() {
    let document = r#"{"currency": "EUR", "tables": [{"id": "stop",
        "base": [{"up_to_minutes": 10, "total": "2.00"}], "max_stay_minutes": 10}]}"#;
    let tariff: Tariff = serde_json::from_str(document).unwrap();
    assert_eq!(tariff.validate(), []);
    let utc = zone("UTC");
    let stay = |minutes| {
        let window = Window::new(START, START.plus(minutes)).unwrap();
        drive_up(&tariff, &PriceRequest::stay(&utc, VehicleClass::Standard, window)).unwrap()
    };
    for (minutes, total_minor) in [(10, 200), (11, 400), (20, 400), (300, 30 * 200)] {
        assert_eq!(stay(minutes).total_minor(), total_minor, "{minutes} min");
    }
    assert_eq!(stay(92 * 1_440).lines().len(), 400);
}
