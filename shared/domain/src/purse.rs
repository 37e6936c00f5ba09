//! Money that lies somewhere of ours: a user's credit, or the cash that a till should hold. It never falls below nothing.

use crate::money::Currency;

/// A user's credit in one currency, or a till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purse {
    /// Of all that is in it.
    pub currency: Currency,
    /// What is in it, in minor units, at least 0.
    pub minor: i64,
    /// Optimistic version; 0 before anything was put in.
    pub version: u32,
}

impl Purse {
    /// One that nothing was put in yet.
    #[must_use]
    pub const fn new(currency: Currency) -> Self {
        Self { currency, minor: 0, version: 0 }
    }

    /// The purse after `moved_minor` was put in or, below zero, taken out; `None` if that is more than is in it, or than it can hold.
    #[must_use]
    pub fn after(&self, moved_minor: i64) -> Option<Self> {
        let minor = self.minor.checked_add(moved_minor).filter(|minor| *minor >= 0)?;
        Some(Self { minor, version: self.version + 1, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_that_is_not_there() {
        let empty = Purse::new(Currency::from_code("EUR").unwrap());
        assert_eq!(empty.after(-1), None);
        let five = empty.after(500).unwrap();
        assert_eq!((five.minor, five.version), (500, 1));
        assert_eq!(five.after(-501), None);
        assert_eq!(five.after(-500).unwrap().minor, 0);
        assert_eq!(five.after(i64::MAX), None);
        assert_eq!(empty.after(i64::MIN), None);
    }
}
