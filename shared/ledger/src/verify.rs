//! Whether a chain is what it was when it was sealed: no entry altered, removed, added, repeated or moved.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::balances::Balances;
use crate::chain::{Book, Hash, Head, Sealed, genesis, link};
use crate::month::Month;

/// What is wrong with an entry's place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Entries are missing before it, or it is out of order.
    #[error("it has number {found} where {expected} should follow")]
    Gap {
        /// The number that should follow.
        expected: u64,
        /// Its number.
        found: u64,
    },
    /// It belongs to another chain.
    #[error("it belongs to another book or month")]
    Foreign,
    /// An entry of this id was sealed before.
    #[error("an entry of this id was sealed before")]
    Repeated,
    /// It does not name the hash of the entry before it.
    #[error("it follows {found}, but the entry before it has {expected}")]
    Previous {
        /// Hash of the entry before.
        expected: Hash,
        /// What it names.
        found: Hash,
    },
    /// Its content is not what its hash says.
    #[error("its content has the hash {expected}, it says {found}")]
    Altered {
        /// Hash of its content.
        expected: Hash,
        /// What it says.
        found: Hash,
    },
    /// A balance is beyond 64 bits.
    #[error("a balance is out of range")]
    Overflow,
}

/// The first entry that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("entry {seq} ({id}) is broken: {fault}")]
pub struct Broken {
    /// Its number, as it says.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// What is wrong.
    pub fault: Fault,
}

/// Checks the entries of one chain, in order.
#[derive(Debug, Clone)]
pub struct Verifier {
    book: Book,
    month: Month,
    head: Head,
    ids: BTreeSet<String>,
    balances: Balances,
}

impl Verifier {
    /// A chain from its beginning.
    #[must_use]
    pub fn new(book: Book, month: Month) -> Self {
        let head = genesis(&book, month);
        Self { book, month, head, ids: BTreeSet::new(), balances: Balances::default() }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// [`Broken`]: from here on nothing can be said about the chain.
    pub fn check(&mut self, sealed: &Sealed) -> Result<(), Broken> {
        match self.fault(sealed) {
            None => {
                self.head = sealed.head();
                Ok(())
            }
            Some(fault) => Err(Broken { seq: sealed.seq, id: sealed.entry.about.id.clone(), fault }),
        }
    }

    /// The end of what was checked.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// What the entries sum to.
    #[must_use]
    pub const fn balances(&self) -> &Balances {
        &self.balances
    }

    fn fault(&mut self, sealed: &Sealed) -> Option<Fault> {
        let about = &sealed.entry.about;
        let expected = self.head.seq + 1;
        if sealed.seq != expected {
            return Some(Fault::Gap { expected, found: sealed.seq });
        }
        if (&about.book, about.month) != (&self.book, self.month) {
            return Some(Fault::Foreign);
        }
        if sealed.previous != self.head.hash {
            return Some(Fault::Previous { expected: self.head.hash, found: sealed.previous });
        }
        let hash = link(sealed.previous, sealed.seq, &sealed.entry);
        if sealed.hash != hash {
            return Some(Fault::Altered { expected: hash, found: sealed.hash });
        }
        if !self.ids.insert(about.id.clone()) {
            return Some(Fault::Repeated);
        }
        self.balances.add(&sealed.entry).err().map(|_| Fault::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::seal;
    use crate::entry::tests::{about, charge};

    fn chain(ids: &[&str]) -> Vec<Sealed> {
        let begin = genesis(&about("").book, about("").month);
        seal(begin, ids.iter().zip(1..).map(|(id, amount)| charge(id, amount)))
    }

    fn verified(chain: &[Sealed]) -> Result<Verifier, Fault> {
        let mut verifier = Verifier::new(about("").book, about("").month);
        chain.iter().try_for_each(|sealed| verifier.check(sealed)).map_err(|broken| broken.fault)?;
        Ok(verifier)
    }

    #[test]
    fn a_chain_as_it_was_sealed_verifies() {
        let sealed = chain(&["a", "b", "c"]);
        let verifier = verified(&sealed).unwrap();
        assert_eq!(verifier.head(), sealed[2].head());
        assert_eq!(verifier.balances().to_string(), "EUR clearing 6, EUR receivable -6");
        assert_eq!(verified(&[]).unwrap().head().seq, 0);
    }

    #[test]
    fn whatever_is_changed_is_found() {
        let sealed = chain(&["a", "b", "c", "d"]);
        let changed = |change: &dyn Fn(&mut Vec<Sealed>)| {
            let mut chain = sealed.clone();
            change(&mut chain);
            verified(&chain).unwrap_err()
        };
        assert!(matches!(changed(&|chain| drop(chain.remove(1))), Fault::Gap { expected: 2, found: 3 }));
        assert!(matches!(changed(&|chain| chain.swap(1, 2)), Fault::Gap { expected: 2, found: 3 }));
        assert!(matches!(changed(&|chain| chain[1].entry.about.at_s += 1), Fault::Altered { .. }));
        assert!(matches!(changed(&|chain| chain[1].entry = charge("b", 7)), Fault::Altered { .. }));
        assert!(matches!(changed(&|chain| chain[1].hash.0[0] ^= 1), Fault::Altered { .. }));
        assert!(matches!(changed(&|chain| chain[1].previous = chain[1].hash), Fault::Previous { .. }));
        assert_eq!(changed(&|chain| chain[1].entry.about.month = "2026-12".parse().unwrap()), Fault::Foreign);
        assert_eq!(changed(&|chain| chain[1].entry.about.book = Book::Provider), Fault::Foreign);
        // Whoever alters an entry and its hash has broken the next one's.
        let rehashed = changed(&|chain| {
            let (before, mut forged) = (chain[0].head(), chain[1].entry.clone());
            forged.about.at_s += 1;
            chain[1] = seal(before, [forged]).remove(0);
        });
        assert!(matches!(rehashed, Fault::Previous { .. }));
        assert_eq!(verified(&chain(&["a", "b", "a"])).unwrap_err(), Fault::Repeated);
    }
}
