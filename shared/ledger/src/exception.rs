//! What reconciliation cannot explain: both sides, as far as they are known, and how a person decides it.

use std::fmt;
use std::str::FromStr;

use parkade_domain::ids::PaymentId;
use serde::{Deserialize, Serialize};

use crate::month::Month;

/// Longest subject: a provider's id.
const SUBJECT_CHARS_MAX: usize = 255;

/// Which exception: `<month>.<subject>`, the subject being a balance transaction, a dispute, a charge, a refund or one of our payments. The same
/// thing has the same id whenever it is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExceptionId(String);

/// Not the id of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an exception's id is a month, a point and an id of the provider's or ours")]
pub struct NotAnException;

impl ExceptionId {
    /// The exception of `subject`, which belongs to `month`.
    ///
    /// # Errors
    /// [`NotAnException`] if the subject is no id.
    pub fn new(month: Month, subject: &str) -> Result<Self, NotAnException> {
        let allowed = subject.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !allowed || !(1..=SUBJECT_CHARS_MAX).contains(&subject.len()) {
            return Err(NotAnException);
        }
        Ok(Self(format!("{month}.{subject}")))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExceptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ExceptionId {
    type Err = NotAnException;

    fn from_str(text: &str) -> Result<Self, NotAnException> {
        let (month, subject) = text.split_once('.').ok_or(NotAnException)?;
        Self::new(month.parse().map_err(|_| NotAnException)?, subject)
    }
}

macro_rules! named {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $text:literal])+ $variant:ident => $text_name:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $text])+ $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in the API and in the stored item.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text_name,)+ }
            }

            /// Reads [`Self::as_str`].
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text)
            }
        }
    };
}

named! {
    /// What is unexplained about it.
    ExceptionKind {
        /// A charge or refund at the provider that names no payment of ours.
        NamesNoPayment => "names_no_payment",
        /// A charge or refund that names a payment which the records do not have.
        UnknownPayment => "unknown_payment",
        /// A charge for a refund, a refund for a charge, or another amount or currency than the record's.
        Differs => "differs",
        /// The provider took money twice for one payment.
        TakenTwice => "taken_twice",
        /// The provider moved money for a payment that the records call declined, and they do not take its word.
        NotRecorded => "not_recorded",
        /// What a transaction says cannot be recorded: the record does not take it, or cannot be read.
        NotTaken => "not_taken",
        /// A driver's bank has sent a refund back: the money is still the driver's.
        RefundReturned => "refund_returned",
        /// A kind of transaction that is not booked automatically.
        UnknownKind => "unknown_kind",
        /// A driver's bank has taken a charge back and waits for an answer.
        DisputeOpen => "dispute_open",
        /// The books say that money moved at the provider, and its account does not list it.
        NoTransaction => "no_transaction",
        /// Reserved money that a driver still needs could not be reserved anew before the issuer releases it.
        AuthorisationEnds => "authorisation_ends",
    }
}

impl ExceptionKind {
    /// How to decide it, for the person who does.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NamesNoPayment => {
                "Somebody charged or refunded by hand at the provider. Find out who and why; refund it there, or write it off."
            }
            Self::UnknownPayment => {
                "Another stage uses the same account at the provider, or the record was lost. Restore it from the backup, or refund at the provider."
            }
            Self::Differs => {
                "Compare both sides. The provider's account is right about money: refund the difference there, or ask the driver for it."
            }
            Self::TakenTwice => "Refund the second charge at the provider, and tell the driver.",
            Self::NotRecorded => {
                "The driver has the money although the record says that the refund was declined. Close it if that is right; else charge again."
            }
            Self::NotTaken => {
                "The records do not take what the provider says; why is in what was tried. Mend the record, and it closes itself; or refund at the provider."
            }
            Self::RefundReturned => {
                "The driver's bank would not take the refund. Agree on another way with the driver and give the money back there; it closes itself if the system gives it back."
            }
            Self::UnknownKind => {
                "Look it up at the provider. If it comes every month, it should be booked automatically."
            }
            Self::DisputeOpen => {
                "Send evidence at the provider before it is due: the price as explained, times of entry and exit, the receipt. It closes by itself when the bank has decided."
            }
            Self::NoTransaction => {
                "Look the payment up at the provider. If money moved, the transaction is late and this closes by itself; else the record is wrong."
            }
            Self::AuthorisationEnds => "Ask the driver for another card before the issuer releases the money.",
        }
    }
}

named! {
    /// How it was decided.
    Resolution {
        /// It has an explanation, which the note tells; found by the next run, or by a person.
        Explained => "explained",
        /// Money went back to the driver.
        Refunded => "refunded",
        /// Money was asked for again.
        Charged => "charged",
        /// Nothing will be done about it.
        WrittenOff => "written_off",
    }
}

/// Both sides, as far as they are known. Nothing in it names a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The provider's balance transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionFacts>,
    /// Our payment, as the transaction names it or as the books have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// The lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// What the record or the books say, in minor units; below zero if it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours_minor: Option<i64>,
    /// Of our amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub our_currency: Option<String>,
    /// The payment's status in our records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub our_status: Option<String>,
    /// The provider's id in our records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub our_reference: Option<String>,
    /// What was tried before a person was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<String>,
}

/// A balance transaction, so that it can be tried again without asking the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionFacts {
    /// The provider's id.
    pub id: String,
    /// `charge`, `refund`, `adjustment`, `stripe_fee`, `payout` or `other`.
    pub kind: String,
    /// Minor units before the fee; below zero if it went.
    pub amount_minor: i64,
    /// Minor units that the provider keeps.
    pub fee_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Epoch seconds.
    pub created_s: i64,
    /// The charge, refund, … at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The charge at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// The dispute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<String>,
    /// The PaymentIntent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
}

/// Something that nobody could explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Which.
    pub id: ExceptionId,
    /// What is unexplained.
    pub kind: ExceptionKind,
    /// Everything that is needed to decide.
    pub facts: Facts,
    /// Epoch second at which it was found.
    pub opened_at_s: i64,
    /// How it was decided, if it is.
    pub closed: Option<Closed>,
    /// Optimistic version, from 1.
    pub version: u32,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Epoch second.
    pub at_s: i64,
    /// Who decided; `reconcile` if it explained itself.
    pub by: String,
    /// How.
    pub resolution: Resolution,
    /// In the decider's words.
    pub note: Option<String>,
}

impl Exception {
    /// The payment it is about, if the text names one.
    #[must_use]
    pub fn payment(&self) -> Option<PaymentId> {
        self.facts.payment.as_deref()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exceptions_id_is_a_month_and_what_it_is_about() {
        let month: Month = "2026-11".parse().unwrap();
        let id = ExceptionId::new(month, "txn_1").unwrap();
        assert_eq!((id.as_str(), "2026-11.txn_1".parse()), ("2026-11.txn_1", Ok(id.clone())));
        for text in ["", "txn_1", "2026-11.", "2026-13.txn_1", "2026-11.a b", "2026-11.a.b", "2026-11.a#b"] {
            assert_eq!(text.parse::<ExceptionId>(), Err(NotAnException), "{text}");
        }
    }

    #[test]
    fn every_name_reads_back_and_every_kind_says_how_to_decide_it() {
        assert!(ExceptionKind::ALL.iter().all(|kind| ExceptionKind::parse(kind.as_str()) == Some(*kind)));
        assert!(ExceptionKind::ALL.iter().all(|kind| kind.advice().ends_with('.')));
        assert!(Resolution::ALL.iter().all(|one| Resolution::parse(one.as_str()) == Some(*one)));
    }
}
