//! One transaction of the books: postings that sum to zero, and what caused them.

use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::money::Currency;
use thiserror::Error;

use crate::account::Account;
use crate::chain::Book;
use crate::month::Month;

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $variant:ident => $name:literal,)+) => {
        /// Why an entry was made: a closed list, so that the books can be reported by it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Cause {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in the API, in the stored item and in the hash.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

causes! {
    /// A driver paid.
    Charge => "charge",
    /// A charge turned out not to have been taken.
    ChargeReversed => "charge_reversed",
    /// A driver got money back.
    Refund => "refund",
    /// The driver's bank sent a refund back.
    RefundSentBack => "refund_sent_back",
    /// A stay has ended: what it costs is earned.
    Stay => "stay",
    /// A booking was cancelled: what its terms keep is earned.
    Cancellation => "cancellation",
    /// Nobody came: what the terms keep is earned.
    NoShow => "no_show",
    /// A till was counted: what nobody can explain, and what went to the bank.
    TillCount => "till_count",
    /// An ended stay has a violation: what it costs is earned.
    Violation => "violation",
    /// A violation was annulled: what it cost is not earned.
    ViolationVoided => "violation_voided",
    /// The operator waived or gave back something of an ended stay.
    Goodwill => "goodwill",
    /// What an ended stay costs was changed.
    PriceCorrected => "price_corrected",
    /// What the provider kept of a charge.
    ProviderFee => "provider_fee",
    /// A fee of the provider's that belongs to no payment.
    ProviderCharge => "provider_charge",
    /// The provider paid out to the bank, or took back.
    Payout => "payout",
    /// The provider took a charge back because the driver disputes it, with its fee.
    DisputeOpened => "dispute_opened",
    /// The dispute was won: the provider returned the money.
    DisputeWon => "dispute_won",
    /// The dispute was lost: the money is gone.
    DisputeLost => "dispute_lost",
}

impl Cause {
    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == text)
    }
}

/// One line of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Where.
    pub account: Account,
    /// Minor units, never 0; a debit is positive, a credit negative.
    pub amount_minor: i64,
}

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Unique within its book and month, and the same whenever the entry is made again: by it a repetition is known.
    pub id: String,
    /// Whose books.
    pub book: Book,
    /// In which month of that book.
    pub month: Month,
    /// Of every posting.
    pub currency: Currency,
    /// Epoch second at which it happened.
    pub at_s: i64,
    /// Why.
    pub cause: Cause,
    /// The stay.
    pub reservation: Option<ReservationId>,
    /// The charge or refund.
    pub payment: Option<PaymentId>,
    /// The provider's id of the charge, refund or balance transaction.
    pub provider_reference: Option<String>,
}

/// Postings that are no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Debits and credits differ.
    #[error("the postings sum to {0} instead of 0")]
    Unbalanced(i128),
    /// No posting, or one that moves nothing.
    #[error("an entry has no posting, or one of zero")]
    Empty,
    /// Two postings on one account: they would be one.
    #[error("an account is posted to twice")]
    Repeated,
    /// An amount beyond 64 bits.
    #[error("an amount is out of range")]
    Overflow,
}

/// One transaction of the books. Its postings sum to zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub about: About,
    postings: Vec<Posting>,
}

impl Entry {
    /// Takes postings in any order.
    ///
    /// # Errors
    /// [`EntryError`] unless there is one posting per account, none of zero, and they sum to zero.
    pub fn new(about: About, mut postings: Vec<Posting>) -> Result<Self, EntryError> {
        if postings.is_empty() || postings.iter().any(|posting| posting.amount_minor == 0) {
            return Err(EntryError::Empty);
        }
        let sum: i128 = postings.iter().map(|posting| i128::from(posting.amount_minor)).sum();
        if sum != 0 {
            return Err(EntryError::Unbalanced(sum));
        }
        postings.sort_by(|a, b| a.account.cmp(&b.account));
        if !postings.is_sorted_by(|a, b| a.account < b.account) {
            return Err(EntryError::Repeated);
        }
        Ok(Self { about, postings })
    }

    /// The postings, sorted by account.
    #[must_use]
    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// What it posts to an account, in minor units.
    #[must_use]
    pub fn on(&self, account: &Account) -> i64 {
        self.postings.iter().find(|posting| posting.account == *account).map_or(0, |posting| posting.amount_minor)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use parkade_domain::ids::LotId;

    pub(crate) fn about(id: &str) -> About {
        let reservation: ReservationId = "res_09VXRDCKM22JF".parse().unwrap();
        About {
            id: id.to_owned(),
            book: Book::Lot(LotId::new("central").unwrap()),
            month: "2026-11".parse().unwrap(),
            currency: Currency::from_code("EUR").unwrap(),
            at_s: 1_795_255_210,
            cause: Cause::Charge,
            reservation: Some(reservation),
            payment: Some(PaymentId { reservation, number: 1 }),
            provider_reference: Some("pi_1".to_owned()),
        }
    }

    pub(crate) fn posting(account: Account, amount_minor: i64) -> Posting {
        Posting { account, amount_minor }
    }

    pub(crate) fn charge(id: &str, amount_minor: i64) -> Entry {
        let postings = vec![posting(Account::Receivable, -amount_minor), posting(Account::Clearing, amount_minor)];
        Entry::new(about(id), postings).unwrap()
    }

    #[test]
    fn what_does_not_sum_to_zero_is_no_entry() {
        let refused = |postings| Entry::new(about("x"), postings).unwrap_err();
        assert_eq!(refused(vec![]), EntryError::Empty);
        assert_eq!(refused(vec![posting(Account::Bank, 0)]), EntryError::Empty);
        assert_eq!(refused(vec![posting(Account::Bank, 5)]), EntryError::Unbalanced(5));
        let half = || posting(Account::Clearing, 200);
        assert_eq!(refused(vec![half(), half(), posting(Account::Receivable, -400)]), EntryError::Repeated);
        let huge = vec![posting(Account::Bank, i64::MAX), posting(Account::Clearing, i64::MAX)];
        assert_eq!(refused(huge), EntryError::Unbalanced(2 * i128::from(i64::MAX)));
    }

    #[test]
    fn the_order_of_postings_makes_no_difference() {
        let entry = charge("x", 400);
        let turned = Entry::new(about("x"), entry.postings().iter().rev().cloned().collect()).unwrap();
        assert_eq!(turned, entry);
        assert_eq!((entry.on(&Account::Clearing), entry.on(&Account::Bank)), (400, 0));
    }

    #[test]
    fn every_cause_reads_back() {
        assert!(Cause::ALL.iter().all(|cause| Cause::parse(cause.as_str()) == Some(*cause)));
        assert_eq!(Cause::parse("Charge"), None);
    }
}
