//! How a person is reached. Personal data: neither type prints itself.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest e-mail address: a path of RFC 5321 without its angle brackets.
pub const EMAIL_CHARS_MAX: usize = 254;
/// Longest part before the `@` (RFC 5321).
const LOCAL_PART_CHARS_MAX: usize = 64;
/// Longest label of a domain (RFC 1035).
const LABEL_CHARS_MAX: usize = 63;
/// What the part before the `@` may have besides letters and digits: the rule of HTML's `<input type=email>`, so that a form and this
/// agree.
const LOCAL_PART_MARKS: &str = ".!#$%&'*+/=?^_`{|}~-";
/// Fewest digits of a phone number with its country's code.
const PHONE_DIGITS_MIN: usize = 7;
/// Most digits of a phone number (E.164).
pub const PHONE_DIGITS_MAX: usize = 15;

/// Why a text is no contact. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ContactError {
    /// Not `name@host.domain` in ASCII.
    #[error("an e-mail address is name@host.domain, in ASCII and at most {EMAIL_CHARS_MAX} characters")]
    Email,
    /// Not `+` and digits.
    #[error("a phone number is + and 7 to {PHONE_DIGITS_MAX} digits, the country's code first, without blanks")]
    Phone,
}

/// An e-mail address. It has no blanks and no line breaks, so it cannot add a header to a message.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        let (local, domain) = text.split_once('@').ok_or(ContactError::Email)?;
        let local_is_good = (1..=LOCAL_PART_CHARS_MAX).contains(&local.len())
            && local.chars().all(|c| c.is_ascii_alphanumeric() || LOCAL_PART_MARKS.contains(c));
        let good = text.len() <= EMAIL_CHARS_MAX && local_is_good && domain.contains('.') && is_domain(domain);
        if good { Ok(Self(text.to_owned())) } else { Err(ContactError::Email) }
    }
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=LABEL_CHARS_MAX).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(redacted)")
    }
}

/// A phone number in the form of E.164, such as `+4930901820`.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PhoneNumber {
    type Err = ContactError;

    fn from_str(text: &str) -> Result<Self, ContactError> {
        let digits = text.strip_prefix('+').ok_or(ContactError::Phone)?;
        let good = (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if good { Ok(Self(text.to_owned())) } else { Err(ContactError::Phone) }
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_a_form_takes_for_one_and_nothing_that_breaks_a_header() {
        for good in ["a@b.de", "first.last+tag@sub.example.com", "o'neil@x-y.org", "a@b.xn--p1ai"] {
            assert_eq!(good.parse::<EmailAddress>().unwrap().as_str(), good);
        }
        let long = format!("{}@b.de", "a".repeat(65));
        let longer = format!("a@{}.de", "b.".repeat(130));
        let bad = [
            "",
            "a",
            "@b.de",
            "a@",
            "a@b",
            "a@b..de",
            "a@.de",
            "a@-b.de",
            "a@b-.de",
            "a b@c.de",
            "a@b.de\r\nBcc: c@d.de",
            "a@b@c.de",
            "\"a\"@b.de",
            "A <a@b.de>",
            "ä@b.de",
            "a@b.de,c@d.de",
            &long,
            &longer,
        ];
        for text in bad {
            assert_eq!(text.parse::<EmailAddress>(), Err(ContactError::Email), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_e164() {
        for good in ["+4930901820", "+15005550006", "+999999999999999"] {
            assert_eq!(good.parse::<PhoneNumber>().unwrap().as_str(), good);
        }
        for bad in ["", "+", "030901820", "+49 30 901820", "+0301234567", "+123456", "+1234567890123456", "+49301234x"]
        {
            assert_eq!(bad.parse::<PhoneNumber>(), Err(ContactError::Phone), "{bad:?}");
        }
    }

    #[test]
    fn neither_prints_itself() {
        let printed = format!("{:?} {:?}", "a@b.de".parse::<EmailAddress>(), "+4930901820".parse::<PhoneNumber>());
        assert!(!printed.contains("a@b") && !printed.contains("4930"), "{printed}");
    }
}
