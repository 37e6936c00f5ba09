//! Card numbers never reach this system (M11). A body that contains one is refused before it is read, stored or logged.

use std::collections::VecDeque;
use std::fmt;

use chrono::DateTime;
use parkade_domain::contact::PHONE_DIGITS_MAX;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;

/// Fewest digits of a card number (ISO/IEC 7812).
const DIGITS_MIN: usize = 13;
/// Most digits of a card number.
const DIGITS_MAX: usize = 19;
/// Our own ids may consist of digits by chance: [`ID_CHARACTERS`] after these.
const ID_PREFIXES: [&str; 3] = ["res_", "pay_", "rcp_"];
/// Characters of a reservation's code.
const ID_CHARACTERS: usize = 13;

/// Refuses a JSON body of which a text or number has 13 to 19 digits that pass the Luhn check, whatever stands between them but letters. What
/// is no JSON at all is refused by whoever reads it.
///
/// # Errors
/// `invalid_fields` with the code `card_number`; the number itself is not repeated.
pub fn refuse_card_numbers(body: &str) -> Result<(), Problem> {
    if !contains_card_number(body) {
        return Ok(());
    }
    let mut errors = FieldErrors::new();
    errors.push(
        "",
        FieldCode::CardNumber,
        "the body contains a card number; send the payment provider's token instead",
    );
    errors.into_result()
}

fn contains_card_number(body: &str) -> bool {
    serde_json::from_str::<Scanned>(body).is_ok_and(|scanned| scanned.0)
}

/// Whether a value, or one within it, is a card number. Read by the JSON parser, because `\u0034` is a digit too.
struct Scanned(bool);

impl<'de> Deserialize<'de> for Scanned {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Scan)
    }
}

struct Scan;

impl<'de> Visitor<'de> for Scan {
    type Value = Scanned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scanned, E> {
        Ok(Scanned(is_card_number(text)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scanned, E> {
        Ok(Scanned(is_card_number(&number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scanned, E> {
        Ok(Scanned(is_card_number(&number.to_string())))
    }

    /// No field is a fraction, so whoever reads one refuses it and says what it was. Its last digits are not kept, so any that is as long as
    /// a card's number is taken for one.
    fn visit_f64<E>(self, number: f64) -> Result<Scanned, E> {
        Ok(Scanned((1e12..1e19).contains(&number.abs())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scanned, E> {
        Ok(Scanned(false))
    }

    fn visit_unit<E>(self) -> Result<Scanned, E> {
        Ok(Scanned(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scanned, A::Error> {
        let mut found = false;
        while let Some(Scanned(one)) = items.next_element()? {
            found |= one;
        }
        Ok(Scanned(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Scanned, A::Error> {
        let mut found = false;
        while let Some((Scanned(key), Scanned(value))) = members.next_entry()? {
            found |= key | value;
        }
        Ok(Scanned(found))
    }
}

/// Digits of the run being read, with a mark on those that begin a group.
#[derive(Default)]
struct Run {
    digits: VecDeque<(u8, bool)>,
}

impl Run {
    fn push(&mut self, digit: u8, begins_group: bool) {
        if self.digits.len() == DIGITS_MAX {
            self.digits.pop_front();
        }
        self.digits.push_back((digit, begins_group));
    }

    /// Whether a number that begins with a group and ends here is a card's.
    fn ends_a_card_number(&self) -> bool {
        let length = self.digits.len();
        (0..length)
            .filter(|from| length - from >= DIGITS_MIN)
            .filter(|from| self.digits.get(*from).is_some_and(|(_, begins_group)| *begins_group))
            .any(|from| luhn(self.digits.iter().skip(from).map(|(digit, _)| *digit)))
    }
}

/// Looks for whole groups of digits that together make a card's number.
fn is_card_number(text: &str) -> bool {
    if text.len() < DIGITS_MIN || is_phone(text) || DateTime::parse_from_rfc3339(text).is_ok() {
        return false;
    }
    let bytes = text.as_bytes();
    let mut run = Run::default();
    let mut at = 0;
    let mut in_group = false;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii_digit() {
            run.push(byte - b'0', !in_group);
            in_group = true;
            if !bytes.get(at + 1).is_some_and(u8::is_ascii_digit) && run.ends_a_card_number() {
                return true;
            }
        } else {
            in_group = false;
            // Of any script: an address has as many digits in Greek as in English. `None` within a character.
            if text.get(at..).and_then(|rest| rest.chars().next()).is_some_and(char::is_alphabetic) {
                run.digits.clear();
                at += own_id(bytes.get(at..).unwrap_or_default());
            }
        }
        at += 1;
    }
    false
}

/// How many more characters belong to an id of ours that begins here.
fn own_id(bytes: &[u8]) -> usize {
    let Some(prefix) = ID_PREFIXES.iter().find(|prefix| bytes.starts_with(prefix.as_bytes())) else { return 0 };
    let code = bytes.iter().skip(prefix.len()).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    if code != ID_CHARACTERS {
        return 0;
    }
    // The number of a payment or document of the reservation, which has at most two digits.
    let rest = bytes.get(prefix.len() + code..).unwrap_or_default();
    let number = match rest {
        [b'_', number @ ..] => number.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    prefix.len() + code + if matches!(number, 1 | 2) { 1 + number } else { 0 } - 1
}

/// A phone number as we take it: one in ten would pass the check.
fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+');
    digits.is_some_and(|digits| digits.len() <= PHONE_DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The check of ISO/IEC 7812: every second digit from the right doubled, the digit sum a multiple of ten. All zeros pass it
/// and are no card.
fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let mut sum = 0_u32;
    let mut all_zero = true;
    for (position, digit) in digits.rev().enumerate() {
        all_zero &= digit == 0;
        let doubled = if position % 2 == 1 { digit * 2 } else { digit };
        sum += u32::from(if doubled > 9 { doubled - 9 } else { doubled });
    }
    !all_zero && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        // Test numbers published by the card schemes' processors.
        let found = [
            r#""4242424242424242""#,
            r#"{"plate":"4242 4242 4242 4242"}"#,
            r#"{"plate":"4242  4242\u00a04242 4242"}"#,
            r#"{"note":"card 4242-4242-4242-4242, thanks"}"#,
            r#"{"note":"4242_4242/4242:4242"}"#,
            r#"{"note":"\u0034\u0032424242424242\u00342"}"#,
            r#"{"n":4242424242424242}"#,
            r#"{"n":-4242424242424242}"#,
            r#"{"n":4242424242424242.0}"#,
            r#"{"n":42424242424242.42}"#,
            r#"{"n":4.242424242424242e15}"#,
            r#"{"n":[{"deep":[4242424242424242]}]}"#,
            r#"{"4242424242424242":true}"#,
            r#"{"n":"12 4242 4242 4242 4242"}"#,
            r#"{"n":"4242 4242 4242 4242 12"}"#,
            "378282246310005",
            r#""3782.822463.10005""#,
            "6304000000000000",
            r#""x4222222222222""#,
            r#""card_4242424242424242""#,
            r#""pay_4242424242424242""#,
            r#""res_4242 4242 4242 4242""#,
            r#""res_4222222222222 4242424242424242""#,
            r#"{"payment_method":"pm_4242424242424242"}"#,
            r#"{"phone":"+4242424242424242"}"#,
            r#"{"phone":"+4242 4242 4242 4242"}"#,
            r#"{"phone":"+4222222222222 4242424242424242"}"#,
        ];
        for body in found {
            assert!(contains_card_number(body), "{body}");
        }
    }

    #[test]
    fn ordinary_bodies_pass() {
        let passed = [
            "{}",
            r#""4242424242424241""#,
            r#""424242424242""#,
            r#""42424242424242424242424242424242""#,
            r#""00000000000000000000""#,
            r#"{"start_time":"2026-11-21T10:00:00Z","end_time":"2026-11-21T12:00:00+01:00"}"#,
            r#"{"start_time":"2026-11-21T10:00:00.000000+00:30"}"#,
            r#"{"latitude_microdegrees":52520008,"longitude_microdegrees":13404954}"#,
            r#"{"ids":[4242,4242,4242,4242],"more":["4242","4242","4242","4242"]}"#,
            r#"{"reservation_id":"res_4222222222222"}"#,
            r#"{"payment_id":"pay_4222222222222_1","receipt":"rcp_4222222222222_22"}"#,
            r#"{"payment_method":"pm_card_visa"}"#,
            r#"{"phone":"+4222222222222"}"#,
            r#"{"phone":"+378282246310005"}"#,
            r#"{"latitude":52.520008123456789,"longitude":-13.404954}"#,
            r#"{"address":"Street 42, 42424 Town 4242","n":null,"f":1.5}"#,
            r#"{"address":"Οδός 4242, 4242 Πόλη 4242, 4242","more":"4242路4242号4242室4242"}"#,
        ];
        for body in passed {
            assert!(!contains_card_number(body), "{body}");
        }
    }
}
