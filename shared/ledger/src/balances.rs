//! What the entries of a chain sum to, account by account.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use parkade_domain::money::Currency;

use crate::account::Account;
use crate::entry::Entry;

/// A balance beyond 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a balance is out of range")]
pub struct Overflow;

/// Not the text of balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of balances")]
pub struct NotBalances;

/// Sums of postings by currency and account. An account that stands at zero is kept: it was posted to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balances(BTreeMap<(Currency, Account), i64>);

impl Balances {
    /// Adds an entry's postings.
    ///
    /// # Errors
    /// [`Overflow`]; nothing was added.
    pub fn add(&mut self, entry: &Entry) -> Result<(), Overflow> {
        let currency = entry.about.currency;
        let sum = |account: &Account, amount: i64| self.of(currency, account).checked_add(amount).ok_or(Overflow);
        let sums = entry.postings().iter().map(|posting| sum(&posting.account, posting.amount_minor));
        let sums: Vec<i64> = sums.collect::<Result<_, _>>()?;
        for (posting, sum) in entry.postings().iter().zip(sums) {
            self.0.insert((currency, posting.account.clone()), sum);
        }
        Ok(())
    }

    /// The balance of one account in minor units.
    #[must_use]
    pub fn of(&self, currency: Currency, account: &Account) -> i64 {
        self.0.get(&(currency, account.clone())).copied().unwrap_or(0)
    }

    /// Every account that was posted to, with its balance in minor units.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, &Account, i64)> {
        self.0.iter().map(|((currency, account), minor)| (*currency, account, *minor))
    }

    /// What all accounts of each currency sum to: 0, or the books are wrong.
    #[must_use]
    pub fn sums_to_zero(&self) -> bool {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for (currency, _, minor) in self.iter() {
            *sums.entry(currency).or_default() += i128::from(minor);
        }
        sums.values().all(|sum| *sum == 0)
    }
}

/// `EUR clearing 400, EUR receivable -400`
impl fmt::Display for Balances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (currency, account, minor)) in self.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{currency} {account} {minor}")?;
        }
        Ok(())
    }
}

impl FromStr for Balances {
    type Err = NotBalances;

    fn from_str(text: &str) -> Result<Self, NotBalances> {
        let one = |part: &str| {
            let (currency, rest) = part.split_once(' ')?;
            let (account, minor) = rest.split_once(' ')?;
            Some(((Currency::from_code(currency).ok()?, account.parse().ok()?), minor.parse().ok()?))
        };
        let parts = text.split(", ").filter(|part| !part.is_empty());
        parts.map(one).collect::<Option<_>>().map(Self).ok_or(NotBalances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::charge;

    #[test]
    fn balances_are_the_sums_of_what_was_posted_and_read_back() {
        let mut balances = Balances::default();
        assert_eq!(balances.to_string().parse(), Ok(balances.clone()));
        balances.add(&charge("a", 400)).unwrap();
        balances.add(&charge("b", -150)).unwrap();
        assert_eq!(balances.to_string(), "EUR clearing 250, EUR receivable -250");
        assert_eq!(balances.to_string().parse(), Ok(balances.clone()));
        assert!(balances.sums_to_zero());
        let before = balances.clone();
        balances.add(&charge("c", i64::MAX)).unwrap_err();
        assert_eq!(balances, before);
        for text in ["EUR", "EUR clearing", "EUR clearing x", "XXX clearing 1", "EUR nothing 1"] {
            assert_eq!(text.parse::<Balances>(), Err(NotBalances), "{text}");
        }
    }
}
