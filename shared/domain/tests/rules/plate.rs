use parkade_domain::plate::{Plate, PlateError};
use proptest::prelude::*;

#[test]
fn separators_and_case_do_not_make_another_plate() {
    for typed in ["B NO 1234", "bn-o 1234", "BNO1234", " b·no–1234 ", "B.N.O/1234", "BNO\u{a0}1234"] {
        assert_eq!(Plate::parse(Some("de"), typed).unwrap().canonical(), "BNO1234", "{typed}");
    }
}

#[test]
fn letters_beyond_ascii_are_letters() {
    assert_eq!(Plate::parse(None, "лв 12-34").unwrap().canonical(), "ЛВ1234");
    assert_eq!(Plate::parse(None, "sö-k 1").unwrap().canonical(), "SÖK1");
}

#[test]
fn the_region_is_part_of_a_plate() {
    let german = Plate::parse(Some("de"), "AB 123").unwrap();
    assert_eq!(german.region(), Some("DE"));
    assert_ne!(german, Plate::parse(Some("FR"), "AB 123").unwrap());
    assert_ne!(german, Plate::parse(None, "AB 123").unwrap());
    assert_eq!(Plate::parse(Some("us-ca"), "7ABC123").unwrap().region(), Some("US-CA"));
}

#[test]
fn what_is_no_plate_is_refused_with_its_reason() {
    for (typed, error) in [
        ("", PlateError::Length),
        ("A", PlateError::Length),
        ("- -", PlateError::Length),
        ("ABCDEFGHIJKLM", PlateError::Length),
        ("AB#1", PlateError::Character),
        ("AB\u{0}1", PlateError::Character),
        ("AB🚗1", PlateError::Character),
        ("AB<1>", PlateError::Character),
        // Letters without an upper case of their own: the first becomes two characters, one of them a mark.
        ("ABǰ1", PlateError::Character),
        ("AB𐞇1", PlateError::Character),
    ] {
        assert_eq!(Plate::parse(None, typed), Err(error), "{typed:?}");
    }
    assert_eq!(Plate::parse(None, &"- ".repeat(100)), Err(PlateError::Length));
    for region in ["", "D", "DEU", "D1", "US-", "US-CALIF", "-CA", "ÜS"] {
        assert_eq!(Plate::parse(Some(region), "AB1"), Err(PlateError::Region), "{region}");
    }
}

#[test]
fn a_plate_does_not_print() {
    let shown = format!("{:?}", Plate::parse(Some("DE"), "BNO1234").unwrap());
    assert!(!shown.contains("BNO1234") && !shown.contains("DE"), "{shown}");
}

proptest! {
    #[test]
    fn canonical_form_is_reached_in_one_step(typed in "[A-Za-z0-9ÄÖÜäöüß .-]{0,20}") {
        if let Ok(plate) = Plate::parse(None, &typed) {
            let again = Plate::parse(None, plate.canonical()).unwrap();
            prop_assert_eq!(again.canonical(), plate.canonical());
        }
    }

    #[test]
    fn whatever_is_accepted_is_short_upper_case_and_alphanumeric(typed in any::<String>(), region in any::<Option<String>>()) {
        if let Ok(plate) = Plate::parse(region.as_deref(), &typed) {
            prop_assert!((2..=12).contains(&plate.canonical().chars().count()));
            prop_assert!(plate.canonical().chars().all(char::is_alphanumeric));
            prop_assert!(!plate.canonical().chars().any(char::is_lowercase));
        }
    }
}
