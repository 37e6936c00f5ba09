use std::num::NonZeroU64;

use parkade_domain::money::{
    BASIS_POINTS, Currency, Money, MoneyError, div_down, div_half_even, div_half_up, div_up, share_basis_points,
};
use proptest::prelude::*;

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

#[test]
fn exponents_are_those_of_iso_4217() {
    for (code, exponent) in [("JPY", 0), ("KRW", 0), ("ISK", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("BHD", 3)] {
        assert_eq!(currency(code).exponent(), exponent, "{code}");
        assert_eq!(currency(code).code(), code);
    }
}

#[test]
fn codes_without_minor_units_or_unknown_are_refused() {
    for code in ["XAU", "XXX", "XTS", "eur", "EU", "EURO", "", "QQQ"] {
        assert_eq!(Currency::from_code(code), Err(MoneyError::Currency), "{code}");
    }
}

#[test]
fn a_currency_is_its_code_in_json() {
    assert_eq!(serde_json::to_string(&currency("EUR")).unwrap(), "\"EUR\"");
    assert_eq!(serde_json::from_str::<Currency>("\"KWD\"").unwrap(), currency("KWD"));
    assert!(serde_json::from_str::<Currency>("\"XAU\"").is_err());
    assert!(serde_json::from_str::<Currency>("978").is_err());
}

#[test]
fn amounts_print_with_the_currencys_own_digits() {
    for (minor, code, text) in [
        (1_250, "EUR", "EUR 12.50"),
        (5, "EUR", "EUR 0.05"),
        (-5, "EUR", "EUR -0.05"),
        (1_250, "JPY", "JPY 1250"),
        (-7, "JPY", "JPY -7"),
        (1_250, "KWD", "KWD 1.250"),
        (0, "KWD", "KWD 0.000"),
        (i64::MIN, "EUR", "EUR -92233720368547758.08"),
    ] {
        assert_eq!(Money::new(minor, currency(code)).format(), text);
    }
}

#[test]
fn amounts_of_two_currencies_never_mix_and_never_wrap() {
    let (euro, yen) = (Money::new(1, currency("EUR")), Money::new(1, currency("JPY")));
    let mismatch = MoneyError::Mismatch { left: currency("EUR"), right: currency("JPY") };
    assert_eq!(euro.checked_add(yen), Err(mismatch.clone()));
    assert_eq!(euro.checked_sub(yen), Err(mismatch));
    let most = Money::new(i64::MAX, currency("EUR"));
    assert_eq!(most.checked_add(euro), Err(MoneyError::Overflow));
    assert_eq!(Money::new(i64::MIN, currency("EUR")).checked_sub(euro), Err(MoneyError::Overflow));
    assert_eq!(euro.checked_sub(euro), Ok(Money::zero(currency("EUR"))));
}

#[test]
fn ties_round_as_the_names_say() {
    let two = NonZeroU64::new(2).unwrap();
    // (numerator, down, up, half up, half even), all divided by 2.
    for (numerator, down, up, half_up, half_even) in [
        (1, 0, 1, 1, 0),
        (3, 1, 2, 2, 2),
        (5, 2, 3, 3, 2),
        (4, 2, 2, 2, 2),
        (0, 0, 0, 0, 0),
        (-1, -1, 0, -1, 0),
        (-3, -2, -1, -2, -2),
        (-5, -3, -2, -3, -2),
    ] {
        assert_eq!(div_down(numerator, two), down, "down {numerator}");
        assert_eq!(div_up(numerator, two), up, "up {numerator}");
        assert_eq!(div_half_up(numerator, two), half_up, "half up {numerator}");
        assert_eq!(div_half_even(numerator, two), half_even, "half even {numerator}");
    }
}

#[test]
fn a_share_is_rounded_half_up_and_never_more_than_the_whole() {
    assert_eq!(share_basis_points(1_000, 5_000), 500);
    assert_eq!(share_basis_points(1, 5_000), 1);
    assert_eq!(share_basis_points(1, 4_999), 0);
    assert_eq!(share_basis_points(1_234, 0), 0);
    assert_eq!(share_basis_points(i64::MAX, BASIS_POINTS), i64::MAX);
    assert_eq!(share_basis_points(i64::MIN, BASIS_POINTS), i64::MIN);
    assert_eq!(share_basis_points(1_000, u32::MAX), 1_000);
}

proptest! {
    #[test]
    fn every_rounding_is_within_one_of_the_exact_quotient(
        numerator in -1_000_000_000_000_000_000_000_i128..1_000_000_000_000_000_000_000,
        divisor in 1_u64..,
    ) {
        let divisor = NonZeroU64::new(divisor).unwrap();
        let whole = i128::from(divisor.get());
        let (down, up) = (div_down(numerator, divisor), div_up(numerator, divisor));
        prop_assert!(down * whole <= numerator && numerator < (down + 1) * whole);
        prop_assert!((up - 1) * whole < numerator && numerator <= up * whole);
        for nearest in [div_half_up(numerator, divisor), div_half_even(numerator, divisor)] {
            prop_assert!(down <= nearest && nearest <= up);
            prop_assert!((nearest * whole - numerator).abs() * 2 <= whole);
        }
        prop_assert_eq!(div_half_up(-numerator, divisor), -div_half_up(numerator, divisor));
    }

    #[test]
    fn a_share_lies_between_nothing_and_the_whole_and_grows_with_its_rate(minor in 0_i64.., bp in 0_u32..10_000) {
        let share = share_basis_points(minor, bp);
        prop_assert!((0..=minor).contains(&share));
        prop_assert!(share <= share_basis_points(minor, bp + 1));
    }
}
