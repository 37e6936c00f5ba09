//! Identifiers. Each is its own type, so that a lot is never passed where a user is meant.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Crockford's alphabet: no I, L, O, U, so a driver can read an id out loud.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 64 bits need 13 characters of 5 bits.
const CROCKFORD_CHARS: usize = 13;
/// Longest lot, user or device name: keeps every key far below DynamoDB's 1,024-byte sort key limit.
pub const NAME_CHARS_MAX: usize = 64;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// Not `res_` and 13 characters of Crockford base32.
    #[error("a reservation id is res_ followed by 13 characters of Crockford base32")]
    Reservation,
    /// Not `pay_`, a reservation's 13 characters, `_` and a number from 1 to 99.
    #[error("a payment id is pay_ followed by 13 characters of Crockford base32, _ and a number from 1 to 99")]
    Payment,
    /// Not `rcp_`, what follows `pay_` in a payment's id, and perhaps `r`.
    #[error(
        "a receipt's id is rcp_ followed by 13 characters of Crockford base32, _, a number from 1 to 99 and perhaps r"
    )]
    Receipt,
    /// Empty, too long, or with a character outside `a-z A-Z 0-9 - _ .`.
    #[error("a name has 1 to 64 characters out of letters, digits, '-', '_' and '.'")]
    Name,
}

/// What holds a claim on a spot; the two top bits of the 64-bit id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Claimant {
    /// A reservation made ahead of time.
    Reservation,
    /// A drive-up session without a reservation.
    WalkIn,
    /// An out-of-service interval (I7).
    OutOfService,
}

/// A reservation's identity: 64 bits, also written into the calendar entry that claims its spot.
///
/// Shown as `res_` and 13 characters of Crockford base32. The two top bits tell the [`Claimant`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReservationId(u64);

impl ReservationId {
    const KIND_SHIFT: u32 = 62;
    const HASH_MASK: u64 = (1 << Self::KIND_SHIFT) - 1;

    /// Makes an id from a claimant and 62 bits of a keyed hash (the two top bits of `hash` are ignored).
    #[must_use]
    pub const fn new(claimant: Claimant, hash: u64) -> Self {
        let kind = match claimant {
            Claimant::Reservation => 0,
            Claimant::WalkIn => 1,
            Claimant::OutOfService => 2,
        };
        Self((kind << Self::KIND_SHIFT) | (hash & Self::HASH_MASK))
    }

    /// Reads the 64 bits found in a calendar entry; `None` if the kind bits are unknown.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits >> Self::KIND_SHIFT == 3 { None } else { Some(Self(bits)) }
    }

    /// The 64 bits as stored in a calendar entry.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What holds the claim.
    #[must_use]
    pub const fn claimant(self) -> Claimant {
        match self.0 >> Self::KIND_SHIFT {
            0 => Claimant::Reservation,
            1 => Claimant::WalkIn,
            _ => Claimant::OutOfService,
        }
    }

    /// The 13 characters without the prefix: the partition key of the record and the code a driver types at a gate.
    #[must_use]
    pub fn code(self) -> String {
        let mut code = String::with_capacity(CROCKFORD_CHARS);
        for position in (0..CROCKFORD_CHARS).rev() {
            let digit = (self.0 >> (position * 5)) & 31;
            let byte = CROCKFORD.get(usize::try_from(digit).unwrap_or(0)).copied().unwrap_or(b'0');
            code.push(char::from(byte));
        }
        code
    }

    /// Reads a code as a person types it: lower case, with hyphens or blanks, `O` for `0`, `I` and `L` for `1`.
    ///
    /// # Errors
    /// [`IdError::Reservation`] if it is not 13 characters of Crockford base32 within 64 bits.
    pub fn from_code(code: &str) -> Result<Self, IdError> {
        let mut bits: u128 = 0;
        let mut digits = 0_usize;
        for typed in code.chars().filter(|c| *c != '-' && *c != ' ') {
            let read = match typed.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = CROCKFORD.iter().position(|c| char::from(*c) == read).ok_or(IdError::Reservation)?;
            digits += 1;
            if digits > CROCKFORD_CHARS {
                return Err(IdError::Reservation);
            }
            bits = (bits << 5) | u128::try_from(value).map_err(|_| IdError::Reservation)?;
        }
        let bits = u64::try_from(bits).map_err(|_| IdError::Reservation)?;
        if digits != CROCKFORD_CHARS {
            return Err(IdError::Reservation);
        }
        Self::from_bits(bits).ok_or(IdError::Reservation)
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "res_{}", self.code())
    }
}

impl fmt::Debug for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ReservationId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let code = text.strip_prefix("res_").ok_or(IdError::Reservation)?;
        let id = Self::from_code(code)?;
        // One spelling per id: an id is compared and used in links as text.
        if id.code() == code { Ok(id) } else { Err(IdError::Reservation) }
    }
}

/// Highest payment number of one reservation: two digits in its key.
pub const PAYMENTS_PER_RESERVATION_MAX: u8 = 99;

/// One charge or refund of a reservation, numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentId {
    /// The reservation it belongs to.
    pub reservation: ReservationId,
    /// 1 to [`PAYMENTS_PER_RESERVATION_MAX`].
    pub number: u8,
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pay_{}_{}", self.reservation.code(), self.number)
    }
}

impl FromStr for PaymentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (code, number) = text.strip_prefix("pay_").and_then(|rest| rest.split_once('_')).ok_or(IdError::Payment)?;
        let reservation = ReservationId::from_code(code).map_err(|_| IdError::Payment)?;
        let number: u8 = number.parse().map_err(|_| IdError::Payment)?;
        let id = Self { reservation, number };
        if number == 0 || number > PAYMENTS_PER_RESERVATION_MAX || id.to_string() != text {
            return Err(IdError::Payment);
        }
        Ok(id)
    }
}

/// One document about money that moved: there is one per payment, and a second one if the bank sends a refund back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiptId {
    /// The payment that it is about.
    pub payment: PaymentId,
    /// Whether it takes back the credit note of a refund.
    pub reversal: bool,
}

impl ReceiptId {
    /// The first document about a payment: a charge's receipt, a refund's credit note.
    #[must_use]
    pub const fn of(payment: PaymentId) -> Self {
        Self { payment, reversal: false }
    }
}

impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PaymentId { reservation, number } = self.payment;
        write!(f, "rcp_{}_{number}{}", reservation.code(), if self.reversal { "r" } else { "" })
    }
}

impl FromStr for ReceiptId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let rest = text.strip_prefix("rcp_").ok_or(IdError::Receipt)?;
        let (payment, reversal) = rest.strip_suffix('r').map_or((rest, false), |payment| (payment, true));
        let payment = format!("pay_{payment}").parse().map_err(|_| IdError::Receipt)?;
        Ok(Self { payment, reversal })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// Takes a name of 1 to [`NAME_CHARS_MAX`] characters out of letters, digits, `-`, `_` and `.`.
            ///
            /// # Errors
            /// [`IdError::Name`] for anything else; `#`, which separates key parts, is never allowed.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if text.is_empty() || text.len() > NAME_CHARS_MAX || !text.chars().all(allowed) {
                    return Err(IdError::Name);
                }
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// One car park.
    LotId
);
name!(
    /// A kiosk or counter that takes cash, unique within its lot.
    TillId
);
name!(
    /// The subject of a principal: a driver, an operator or a device.
    UserId
);

/// A spot's position in its lot's directory, from 0; spots are sorted by zone and size, so a class touches few tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpotIndex(pub u16);

/// An immutable version of a lot's tariff, from 1 (P7, P19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TariffVersion(pub u32);

/// An immutable version of a lot's calendar of holidays and events, from 1; 0 is a calendar of ordinary days (P8, P9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CalendarVersion(pub u32);
