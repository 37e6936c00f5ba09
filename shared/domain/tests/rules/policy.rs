use parkade_domain::policy::{CancellationStep, EarlyExit, LotPolicy, WindowRefusal};
use parkade_domain::time::{Minute, Window};
use proptest::prelude::*;

const NOW: Minute = Minute(29_000_010);
const DAY: i64 = 1_440;

fn policy() -> LotPolicy {
    LotPolicy {
        min_length_minutes: 30,
        max_length_minutes: 600,
        min_notice_minutes: 60,
        horizon_days: 30,
        ..LotPolicy::default()
    }
}

fn ahead(minutes: i64, length: i64) -> Window {
    Window::new(NOW.plus(minutes), NOW.plus(minutes + length)).unwrap()
}

#[test]
fn every_reason_refuses_exactly_beyond_its_bound() {
    assert!(NOW.is_on_grid(15));
    let table = [
        (ahead(60, 30), None),
        (ahead(60, 600), None),
        (ahead(30 * DAY, 60), None),
        (ahead(-15, 60), Some(WindowRefusal::InPast)),
        (ahead(-1, 60), Some(WindowRefusal::InPast)),
        (ahead(61, 60), Some(WindowRefusal::OffGrid { grid_minutes: 15 })),
        (ahead(60, 61), Some(WindowRefusal::OffGrid { grid_minutes: 15 })),
        (ahead(60, 15), Some(WindowRefusal::TooShort { min_minutes: 30 })),
        (ahead(60, 615), Some(WindowRefusal::TooLong { max_minutes: 600 })),
        (ahead(0, 60), Some(WindowRefusal::TooSoon { notice_minutes: 60 })),
        (ahead(45, 60), Some(WindowRefusal::TooSoon { notice_minutes: 60 })),
        (ahead(30 * DAY + 15, 60), Some(WindowRefusal::BeyondHorizon { days: 30 })),
    ];
    for (window, refusal) in table {
        assert_eq!(policy().check_window(NOW, window).err(), refusal, "{window:?}");
    }
}

#[test]
fn without_notice_the_current_minute_may_be_booked() {
    assert_eq!(LotPolicy::default().check_window(NOW, ahead(0, 15)), Ok(()));
}

#[test]
fn each_refusal_has_its_own_code() {
    let all = [
        WindowRefusal::InPast,
        WindowRefusal::OffGrid { grid_minutes: 15 },
        WindowRefusal::TooShort { min_minutes: 1 },
        WindowRefusal::TooLong { max_minutes: 1 },
        WindowRefusal::TooSoon { notice_minutes: 1 },
        WindowRefusal::BeyondHorizon { days: 1 },
    ];
    let codes: std::collections::BTreeSet<_> = all.map(WindowRefusal::code).into();
    assert_eq!(codes.len(), all.len());
}

#[test]
fn the_empty_document_is_a_valid_policy() {
    let policy: LotPolicy = serde_json::from_str("{}").unwrap();
    assert_eq!(policy, LotPolicy::default());
    assert_eq!(policy.validate(), []);
    let again: LotPolicy = serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
    assert_eq!(again, policy);
}

#[test]
fn unknown_fields_and_wrong_types_are_refused() {
    for text in [
        r#"{"grid": 15}"#,
        r#"{"grid_minutes": -15}"#,
        r#"{"grid_minutes": 15.0}"#,
        r#"{"grid_minutes": 4294967296}"#,
        r#"{"early_exit": "sometimes"}"#,
        r#"{"early_exit": {"prorated_minus_fee": {"fee_minor_min": 1, "extra": 1}}}"#,
        r#"{"early_exit": {"prorated_minus_fee": {}}}"#,
        r#"{"cancellation": [{"hours_before_start": 1, "refund_basis_points": 1, "admin": true}]}"#,
    ] {
        assert!(serde_json::from_str::<LotPolicy>(text).is_err(), "{text}");
    }
    let fee: LotPolicy =
        serde_json::from_str(r#"{"early_exit": {"prorated_minus_fee": {"fee_minor_min": 1000}}}"#).unwrap();
    assert_eq!(fee.early_exit, EarlyExit::ProratedMinusFee { fee_minor_min: 1_000 });
}

#[test]
fn each_bad_field_is_named() {
    let good = LotPolicy::default;
    let step = |hours_before_start, refund_basis_points| CancellationStep { hours_before_start, refund_basis_points };
    let ladder = |steps: Vec<CancellationStep>| LotPolicy { cancellation: steps, ..good() };
    let table = [
        ("/grid_minutes", LotPolicy { grid_minutes: 0, ..good() }),
        ("/grid_minutes", LotPolicy { grid_minutes: 30, ..good() }),
        ("/min_length_minutes", LotPolicy { min_length_minutes: 0, ..good() }),
        ("/max_length_minutes", LotPolicy { max_length_minutes: 0, ..good() }),
        ("/max_length_minutes", LotPolicy { min_length_minutes: 60, max_length_minutes: 45, ..good() }),
        ("/min_notice_minutes", LotPolicy { min_notice_minutes: u32::MAX, ..good() }),
        ("/horizon_days", LotPolicy { horizon_days: 367, ..good() }),
        ("/horizon_days", LotPolicy { horizon_days: 0, ..good() }),
        ("/hold_ttl_s", LotPolicy { hold_ttl_s: 59, ..good() }),
        ("/hold_ttl_s", LotPolicy { hold_ttl_s: 3_601, ..good() }),
        ("/turnover_buffer_minutes", LotPolicy { turnover_buffer_minutes: 241, ..good() }),
        ("/early_arrival_minutes", LotPolicy { early_arrival_minutes: 241, ..good() }),
        ("/no_show_grace_minutes", LotPolicy { no_show_grace_minutes: 1_441, ..good() }),
        ("/no_show_fee_basis_points", LotPolicy { no_show_fee_basis_points: 10_001, ..good() }),
        ("/exit_grace_minutes", LotPolicy { exit_grace_minutes: 241, ..good() }),
        ("/overstay_step_minutes", LotPolicy { overstay_step_minutes: 14, ..good() }),
        ("/overstay_step_minutes", LotPolicy { overstay_step_minutes: 31, ..good() }),
        ("/walk_in_initial_minutes", LotPolicy { walk_in_initial_minutes: 0, ..good() }),
        ("/max_session_minutes", LotPolicy { max_session_minutes: 60, ..good() }),
        (
            "/early_exit/prorated_minus_fee/fee_minor_min",
            LotPolicy { early_exit: EarlyExit::ProratedMinusFee { fee_minor_min: -1 }, ..good() },
        ),
        ("/cancellation", ladder((0..9).map(|n| step(100 - n, 0)).collect())),
        ("/cancellation/0/hours_before_start", ladder(vec![step(9_000, 0)])),
        ("/cancellation/0/refund_basis_points", ladder(vec![step(1, 10_001)])),
        ("/cancellation/1/hours_before_start", ladder(vec![step(1, 5_000), step(1, 5_000)])),
        ("/cancellation/1/refund_basis_points", ladder(vec![step(2, 4_000), step(1, 5_000)])),
    ];
    for (pointer, policy) in table {
        let errors = policy.validate();
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, [pointer], "{errors:?}");
    }
}

#[test]
fn all_field_errors_come_at_once() {
    let bad = LotPolicy { grid_minutes: 7, hold_ttl_s: 0, horizon_days: 0, ..LotPolicy::default() };
    assert_eq!(bad.validate().len(), 3);
}

#[test]
fn a_no_show_forfeits_nothing_while_the_gate_was_offline() {
    assert_eq!(LotPolicy::default().no_show_share(false), 5_000);
    assert_eq!(LotPolicy::default().no_show_share(true), 0);
}

proptest! {
    #[test]
    fn an_accepted_window_keeps_every_bound(start in -2_000_i64..60_000, length in 1_i64..2_000) {
        let (policy, window) = (policy(), ahead(start, length));
        if policy.check_window(NOW, window).is_ok() {
            prop_assert!(window.start().is_on_grid(15) && window.end().is_on_grid(15));
            prop_assert!((30..=600).contains(&window.minutes()));
            prop_assert!((60..=30 * DAY).contains(&(window.start().0 - NOW.0)));
        }
    }
}
