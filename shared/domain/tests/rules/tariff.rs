use std::collections::BTreeMap;

use parkade_domain::ids::TariffVersion;
use parkade_domain::tariff::{
    CapPeriod, Line, OverstayRule, PRICED_DAYS_MAX, Price, PriceRequest, RATE_MINOR_MAX, Rounding, Rule, Tariff,
    TariffError, Unit,
};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::VehicleClass;
use parkade_domain::zone::LotZone;
use proptest::prelude::*;

use super::given::{price, tariff, window, zone};

const CALENDAR: CapPeriod = CapPeriod::CalendarDay;
const ROLLING: CapPeriod = CapPeriod::Rolling24h;

#[test]
fn de_kwakel_started_quarters_with_a_cap_until_midnight() {
    let (tariff, amsterdam) = (tariff("EUR", 15, 50, Some((500, CALENDAR))), zone("Europe/Amsterdam"));
    for (start, end, total_minor) in [
        ("2026-05-04T10:00", "2026-05-04T10:01", 50),
        ("2026-05-04T10:00", "2026-05-04T10:15", 50),
        ("2026-05-04T10:00", "2026-05-04T10:16", 100),
        ("2026-05-04T10:00", "2026-05-04T12:30", 500),
        ("2026-05-04T23:00", "2026-05-05T01:00", 400),
        ("2026-05-04T18:00", "2026-05-05T09:00", 1_000),
    ] {
        let stay = window(amsterdam, start, end);
        assert_eq!(price(&tariff, amsterdam, stay).total_minor(), total_minor, "{start} to {end}");
    }
}

#[test]
fn units_start_anew_after_midnight_with_the_cap() {
    // $2 per 20 minutes, at most $20, repeats after midnight; entry 20:45.
    let (tariff, chicago) = (tariff("USD", 20, 200, Some((2_000, CALENDAR))), zone("America/Chicago"));
    for (end, total_minor) in [
        ("2026-05-04T23:45", 1_800),
        ("2026-05-04T23:46", 2_000),
        ("2026-05-05T00:00", 2_000),
        ("2026-05-05T00:01", 2_200),
    ] {
        let stay = window(chicago, "2026-05-04T20:45", end);
        assert_eq!(price(&tariff, chicago, stay).total_minor(), total_minor, "{end}");
    }
}

#[test]
fn a_cap_repeats_for_every_day_of_the_stay() {
    let tokyo = zone("Asia/Tokyo");
    for period in [ROLLING, CALENDAR] {
        let tariff = tariff("USD", 60, 1_000, Some((3_000, period)));
        let stay = window(tokyo, "2026-05-04T00:00", "2026-05-07T00:00");
        let explained = price(&tariff, tokyo, stay);
        assert_eq!(explained.total_minor(), 9_000);
        assert_eq!(explained.lines().len(), 1, "three capped days are one line");
        assert_eq!(explained.lines()[0].quantity(), 3);
    }
}

#[test]
fn the_rest_after_the_last_full_period_is_the_smaller_of_cap_and_units() {
    let (tariff, utc) = (tariff("EUR", 60, 100, Some((1_000, ROLLING))), zone("UTC"));
    for (hours, total_minor) in [(9, 900), (10, 1_000), (11, 1_000), (24, 1_000), (27, 1_300), (35, 2_000), (48, 2_000)]
    {
        let start = utc.parse_time("2026-05-04T08:00").unwrap();
        let stay = Window::new(start, start.plus(hours * 60)).unwrap();
        assert_eq!(price(&tariff, utc, stay).total_minor(), total_minor, "{hours} h");
    }
}

#[test]
fn a_period_is_capped_only_above_the_cap() {
    let utc = zone("UTC");
    let hour = window(utc, "2026-05-04T08:00", "2026-05-04T09:00");
    for (rate_minor, rule, total_minor) in
        [(999, Rule::UnitRate, 999), (1_000, Rule::UnitRate, 1_000), (1_001, Rule::DailyCap, 1_000)]
    {
        let explained = price(&tariff("EUR", 60, rate_minor, Some((1_000, ROLLING))), utc, hour);
        assert_eq!((explained.lines()[0].rule(), explained.total_minor()), (rule, total_minor));
    }
}

#[test]
fn a_calendar_day_of_23_or_25_hours_is_one_period() {
    // Uncapped hours count elapsed time; the cap covers the local day however long it is.
    let london = zone("Europe/London");
    for (start, end, hours) in [
        ("2026-03-29T00:00", "2026-03-30T00:00", 23),
        ("2026-10-25T00:00", "2026-10-26T00:00", 25),
        ("2026-10-26T00:00", "2026-10-27T00:00", 24),
    ] {
        let stay = window(london, start, end);
        let uncapped = tariff("GBP", 60, 100, Some((100_000, CALENDAR)));
        assert_eq!(price(&uncapped, london, stay).total_minor(), hours * 100);
        let capped = tariff("GBP", 60, 100, Some((500, CALENDAR)));
        assert_eq!(price(&capped, london, stay).total_minor(), 500);
    }
}

#[test]
fn lines_explain_the_price() {
    let (tariff, amsterdam) = (tariff("EUR", 15, 50, Some((500, CALENDAR))), zone("Europe/Amsterdam"));
    let explained = price(&tariff, amsterdam, window(amsterdam, "2026-05-04T23:00", "2026-05-05T09:00"));
    assert_eq!(
        serde_json::to_value(&explained).unwrap(),
        serde_json::json!({
            "currency": "EUR",
            "total_minor": 700,
            "tariff_version": 7,
            "lines": [
                {
                    "rule": "unit_rate", "label_key": "price.unit_rate",
                    "start": "2026-05-04T21:00:00Z", "end": "2026-05-04T22:00:00Z",
                    "quantity": 4, "unit": {"kind": "started_unit", "minutes": 15}, "unit_rate_minor": 50,
                    "rounding": "quantity_up", "amount_minor": 200,
                },
                {
                    "rule": "daily_cap", "label_key": "price.daily_cap",
                    "start": "2026-05-04T22:00:00Z", "end": "2026-05-05T07:00:00Z",
                    "quantity": 1, "unit": {"kind": "period"}, "unit_rate_minor": 500,
                    "rounding": "exact", "amount_minor": 500,
                },
            ],
        })
    );
}

#[test]
fn a_rule_is_serialised_as_its_name_says() {
    for rule in Rule::ALL.iter().copied() {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        assert_eq!(rule.label_key(), format!("price.{}", rule.as_str()));
    }
}

#[test]
fn a_class_without_a_rate_and_an_endless_stay_are_refused() {
    let (tariff, utc) = (tariff("EUR", 60, 100, None), zone("UTC"));
    let at = |days: i64, class| {
        let window = Window::new(Minute(0), Minute(days * 1_440)).unwrap();
        tariff.price(&PriceRequest::booking(&utc, class, window))
    };
    assert_eq!(at(1, VehicleClass::Large), Err(TariffError::NoRate { class: VehicleClass::Large }));
    assert!(at(PRICED_DAYS_MAX, VehicleClass::Standard).is_ok());
    assert_eq!(at(PRICED_DAYS_MAX + 1, VehicleClass::Standard), Err(TariffError::TooLong));
}

#[test]
fn the_longest_stay_has_about_as_many_lines_as_periods_whatever_the_unit() {
    let utc = zone("UTC");
    let stay = Window::new(Minute(7), Minute(7 + PRICED_DAYS_MAX * 1_440)).unwrap();
    for period in [ROLLING, CALENDAR] {
        let explained = price(&tariff("EUR", 1, RATE_MINOR_MAX, Some((RATE_MINOR_MAX * 1_440, period))), utc, stay);
        assert!(explained.lines().len() <= 401, "{}", explained.lines().len());
        assert_eq!(explained.total_minor(), PRICED_DAYS_MAX * 1_440 * RATE_MINOR_MAX);
    }
}

#[test]
fn a_tariff_survives_storage_except_for_its_version_which_is_in_the_key() {
    let stored = Tariff {
        overstay: OverstayRule::PerStartedUnit { unit_minutes: 60, rate_minor: 250, admin_fee_minor: 1_000 },
        ..tariff("GBP", 15, 50, Some((500, CALENDAR)))
    };
    let text = serde_json::to_string(&stored).unwrap();
    let read: Tariff = serde_json::from_str(&text).unwrap();
    assert_eq!(read.version, TariffVersion(0));
    assert_eq!(read.at_version(TariffVersion(7)), stored);
}

#[test]
fn a_tariff_is_read_strictly() {
    let minimal = r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"regular": 50, "suv": 80}}"#;
    let tariff: Tariff = serde_json::from_str(minimal).unwrap();
    assert_eq!(tariff.rates, BTreeMap::from([(VehicleClass::Standard, 50), (VehicleClass::Large, 80)]));
    assert_eq!(tariff.validate(), []);
    for text in [
        r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 50}, "version": 3}"#,
        r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 50, "regular": 60}}"#,
        r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 0.5}}"#,
        r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"bicycle": 50}}"#,
        r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 50}, "daily_cap": {"suv": 1, "large": 2}}"#,
        r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 50}, "cap_period": "weekly"}"#,
        r#"{"currency": "EUR", "unit_minutes": 15, "rates": {"standard": 50}, "overstay": {"per_started_unit": {"unit_minutes": 60, "rate_minor": 1, "x": 1}}}"#,
        r#"{"currency": "eur", "unit_minutes": 15, "rates": {"standard": 50}}"#,
    ] {
        assert!(serde_json::from_str::<Tariff>(text).is_err(), "{text}");
    }
    let without_unit: Tariff = serde_json::from_str(r#"{"currency": "EUR", "rates": {"standard": 50}}"#).unwrap();
    assert_eq!(without_unit.validate()[0].pointer, "/unit_minutes");
}

#[test]
fn each_bad_field_is_named() {
    let good = || tariff("EUR", 15, 50, Some((500, ROLLING)));
    let amounts = |class, amount| BTreeMap::from([(class, amount)]);
    let overstay = |unit_minutes, rate_minor, admin_fee_minor| Tariff {
        overstay: OverstayRule::PerStartedUnit { unit_minutes, rate_minor, admin_fee_minor },
        ..good()
    };
    let table = [
        ("/unit_minutes", Tariff { unit_minutes: 0, ..good() }),
        ("/unit_minutes", Tariff { unit_minutes: 1_441, ..good() }),
        ("/rates", Tariff { rates: BTreeMap::new(), daily_cap: None, ..good() }),
        ("/rates/standard", Tariff { rates: amounts(VehicleClass::Standard, -1), ..good() }),
        ("/rates/standard", Tariff { rates: amounts(VehicleClass::Standard, RATE_MINOR_MAX + 1), ..good() }),
        ("/daily_cap/standard", Tariff { daily_cap: Some(amounts(VehicleClass::Standard, -1)), ..good() }),
        ("/daily_cap/large", Tariff { daily_cap: Some(amounts(VehicleClass::Large, 1)), ..good() }),
        ("/overstay/per_started_unit/unit_minutes", overstay(0, 1, 1)),
        ("/overstay/per_started_unit/rate_minor", overstay(1, -1, 1)),
        ("/overstay/per_started_unit/admin_fee_minor", overstay(1, 1, -1)),
    ];
    assert_eq!(good().validate(), []);
    for (pointer, tariff) in table {
        let errors = tariff.validate();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, [pointer], "{errors:?}");
    }
}

/// The price by counting minute by minute, as a person would: slow, and of another shape than the engine.
fn counted(tariff: &Tariff, zone: LotZone, window: Window) -> i64 {
    let rate = tariff.rates[&VehicleClass::Standard];
    let cap = tariff.daily_cap.as_ref().map_or(i64::MAX, |caps| caps[&VehicleClass::Standard]);
    let (mut total, mut period_total, mut unit_left, mut period) = (0, 0, 0, None);
    for minute in window.start().0..window.end().0 {
        let now = match tariff.cap_period {
            _ if tariff.daily_cap.is_none() => 0,
            CapPeriod::Rolling24h => (minute - window.start().0) / 1_440,
            CapPeriod::CalendarDay => i64::from(chrono::Datelike::num_days_from_ce(&zone.local(Minute(minute)).date())),
        };
        if period != Some(now) {
            (total, period_total, unit_left, period) = (total + period_total.min(cap), 0, 0, Some(now));
        }
        if unit_left == 0 {
            (period_total, unit_left) = (period_total + rate, i64::from(tariff.unit_minutes));
        }
        unit_left -= 1;
    }
    total + period_total.min(cap)
}

fn any_tariff() -> impl Strategy<Value = Tariff> {
    let period = prop::sample::select(&[ROLLING, CALENDAR][..]);
    let cap = prop::option::of((0_i64..5_000, period));
    (prop::sample::select(&[1_u32, 7, 15, 20, 30, 60, 1_440][..]), 0_i64..1_000, cap)
        .prop_map(|(unit, rate, cap)| tariff("EUR", unit, rate, cap))
}

fn any_window() -> impl Strategy<Value = Window> {
    // 2025 to 2027.
    (28_927_000_i64..30_500_000, prop_oneof![1_i64..3_000, 1_i64..15_000])
        .prop_map(|(start, length)| Window::new(Minute(start), Minute(start + length)).unwrap())
}

fn any_zone() -> impl Strategy<Value = LotZone> {
    prop::sample::select(
        &["UTC", "Europe/London", "Australia/Lord_Howe", "America/Santiago", "America/Havana", "Asia/Kathmandu"][..],
    )
    .prop_map(zone)
}

/// The lines add up and each follows from its own numbers: reading a printed price checks both.
pub(crate) fn assert_adds_up(price: &Price) {
    assert!(price.total_minor() >= 0);
    assert_eq!(price.lines().iter().map(Line::amount_minor).sum::<i64>(), price.total_minor());
    let printed = serde_json::to_string(price).unwrap();
    assert_eq!(serde_json::from_str::<Price>(&printed).as_ref().ok(), Some(price));
    for line in price.lines() {
        assert_eq!(line.rounding() == Rounding::QuantityUp, matches!(line.unit(), Unit::StartedUnit { .. }));
    }
}

proptest! {
    #[test]
    fn the_price_is_what_counting_minutes_gives(tariff in any_tariff(), zone in any_zone(), window in any_window()) {
        prop_assert_eq!(price(&tariff, zone, window).total_minor(), counted(&tariff, zone, window));
    }

    #[test]
    fn lines_add_up_and_tile_the_stay(tariff in any_tariff(), zone in any_zone(), window in any_window()) {
        let explained = price(&tariff, zone, window);
        assert_adds_up(&explained);
        let lines = explained.lines();
        prop_assert_eq!(lines.first().unwrap().interval().start(), window.start());
        prop_assert_eq!(lines.last().unwrap().interval().end(), window.end());
        for pair in lines.windows(2) {
            prop_assert_eq!(pair[0].interval().end(), pair[1].interval().start());
        }
    }

    #[test]
    fn staying_longer_never_costs_less(tariff in any_tariff(), zone in any_zone(), window in any_window(), more in 0_i64..3_000) {
        let longer = Window::new(window.start(), window.end().plus(more)).unwrap();
        prop_assert!(price(&tariff, zone, window).total_minor() <= price(&tariff, zone, longer).total_minor());
    }

    #[test]
    fn same_input_same_bytes(tariff in any_tariff(), zone in any_zone(), window in any_window()) {
        let bytes = || serde_json::to_vec(&price(&tariff, zone, window)).unwrap();
        prop_assert_eq!(bytes(), bytes());
    }

    #[test]
    fn a_rolling_cap_does_not_know_the_zone(mut tariff in any_tariff(), window in any_window(), zone in any_zone()) {
        tariff.cap_period = ROLLING;
        prop_assert_eq!(price(&tariff, zone, window), price(&tariff, super::given::zone("UTC"), window));
    }

    #[test]
    fn the_total_keeps_the_caps(tariff in any_tariff(), zone in any_zone(), window in any_window()) {
        if let Some(cap) = tariff.daily_cap.as_ref().map(|caps| caps[&VehicleClass::Standard]) {
            // A stay of n days touches at most n + 2 local days.
            let periods = window.minutes() / 1_440 + 2;
            prop_assert!(price(&tariff, zone, window).total_minor() <= cap * periods);
        }
    }
}
