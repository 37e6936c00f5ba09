//! The end of a till's day: what was counted against what the payments say should be there (M9).

use crate::ids::{LotId, TillId, UserId};
use crate::money::Currency;
use crate::purse::Purse;
use crate::reservation::Mark;

/// One count of one till, kept for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The lot.
    pub lot: LotId,
    /// The till.
    pub till: TillId,
    /// The till's version after it: orders the counts of a till.
    pub number: u32,
    /// Of all amounts.
    pub currency: Currency,
    /// What should have been there, in minor units.
    pub expected_minor: i64,
    /// What was there.
    pub counted_minor: i64,
    /// What was left there, or put there, for the next day; the rest went to the bank, or came from it.
    pub left_minor: i64,
    /// Who counted.
    pub by: UserId,
    /// Epoch second.
    pub at_s: i64,
    /// The command that asked for it.
    pub mark: Mark,
}

impl Count {
    /// What nobody can explain: above zero too much was there, below zero it is missing.
    #[must_use]
    pub const fn difference_minor(&self) -> i64 {
        // Both are at least 0, so the difference fits; so does the next one.
        self.counted_minor - self.expected_minor
    }

    /// What went to the bank; below zero it came from there.
    #[must_use]
    pub const fn banked_minor(&self) -> i64 {
        self.counted_minor - self.left_minor
    }
}

/// What somebody has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The lot.
    pub lot: LotId,
    /// The till.
    pub till: TillId,
    /// What was there, in minor units, at least 0.
    pub counted_minor: i64,
    /// What is left there; all of it, unless something else is said.
    pub left_minor: Option<i64>,
    /// Who.
    pub by: UserId,
}

impl Counted {
    /// The count, and the till after it: from now on it is expected to hold what was left in it.
    #[must_use]
    pub fn settle(&self, till: &Purse, now_s: i64, mark: Mark) -> (Count, Purse) {
        let left_minor = self.left_minor.unwrap_or(self.counted_minor);
        let after = Purse { minor: left_minor, version: till.version + 1, ..*till };
        let count = Count {
            lot: self.lot.clone(),
            till: self.till.clone(),
            number: after.version,
            currency: till.currency,
            expected_minor: till.minor,
            counted_minor: self.counted_minor,
            left_minor,
            by: self.by.clone(),
            at_s: now_s,
            mark,
        };
        (count, after)
    }
}
