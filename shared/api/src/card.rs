//! Card numbers never reach this system (M11). A body that contains one is refused before it is parsed, stored or logged.

use std::collections::VecDeque;

use parkade_domain::contact::PHONE_DIGITS_MAX;

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;

/// Fewest digits of a card number (ISO/IEC 7812).
const DIGITS_MIN: usize = 13;
/// Most digits of a card number.
const DIGITS_MAX: usize = 19;
/// Our own ids may consist of digits by chance: 13 characters after these.
const ID_PREFIXES: [&str; 2] = ["res_", "pay_"];

/// Refuses a body in which 13 to 19 digits, possibly grouped by blanks, hyphens or dots, pass the Luhn check.
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

fn contains_card_number(body: &str) -> bool {
    let bytes = body.as_bytes();
    let mut run = Run::default();
    let mut previous = b'"';
    let mut own_id = false;
    let mut phone = false;
    for (at, byte) in bytes.iter().copied().enumerate() {
        let ends_group = !bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if byte.is_ascii_digit() {
            let begins_group = !previous.is_ascii_digit();
            if begins_group && run.digits.is_empty() {
                own_id =
                    ID_PREFIXES.iter().any(|prefix| bytes.get(..at).is_some_and(|b| b.ends_with(prefix.as_bytes())));
                phone = previous == b'+';
            }
            run.push(byte - b'0', begins_group);
            // A phone number as we take it, in one group: one in ten would pass the check.
            let is_phone =
                phone && run.digits.len() <= PHONE_DIGITS_MAX && !bytes.get(at + 1).is_some_and(is_separator);
            if ends_group && (own_id || is_phone) {
                run.digits.clear();
                (own_id, phone) = (false, false);
            } else if ends_group && run.ends_a_card_number() {
                return true;
            }
        } else if !(is_separator(&byte) && previous.is_ascii_digit()) {
            run.digits.clear();
        }
        previous = byte;
    }
    false
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.')
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
            "4242424242424242",
            "{\"plate\":\"4242 4242 4242 4242\"}",
            "{\"note\":\"card 4242-4242-4242-4242, thanks\"}",
            "{\"n\":4242424242424242}",
            "{\"n\":\"12 4242 4242 4242 4242\"}",
            "{\"n\":\"4242 4242 4242 4242 12\"}",
            "378282246310005",
            "3782.822463.10005",
            "6304000000000000",
            "x4222222222222",
            "card_4242424242424242",
            "res_4222222222222 4242424242424242",
            "{\"phone\":\"+4242424242424242\"}",
            "{\"phone\":\"+4242 4242 4242 4242\"}",
            "{\"phone\":\"+4222222222222 4242424242424242\"}",
        ];
        for body in found {
            assert!(contains_card_number(body), "{body}");
        }
    }

    #[test]
    fn ordinary_bodies_pass() {
        let passed = [
            "",
            "4242424242424241",
            "424242424242",
            "42424242424242424242424242424242",
            "00000000000000000000",
            "{\"start_time\":\"2026-11-21T10:00:00Z\",\"end_time\":\"2026-11-21T12:00:00+01:00\"}",
            "{\"latitude_microdegrees\":52520008,\"longitude_microdegrees\":13404954}",
            "{\"ids\":[4242,4242,4242,4242]}",
            "{\"reservation_id\":\"res_4222222222222\"}",
            "{\"payment_id\":\"pay_4222222222222_1\"}",
            "{\"payment_method\":\"pm_card_visa\"}",
            "{\"phone\":\"+4222222222222\"}",
            "{\"phone\":\"+378282246310005\"}",
        ];
        for body in passed {
            assert!(!contains_card_number(body), "{body}");
        }
    }
}
