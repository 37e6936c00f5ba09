//! The chart of accounts. A debit is positive.

use std::fmt;
use std::str::FromStr;

use parkade_domain::ids::TillId;
use parkade_domain::tariff::RuleId;

/// One account of a book.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// Money at the bank.
    Bank,
    /// What the payment provider has collected for us and not paid out.
    Clearing,
    /// Cash in a till.
    Cash(TillId),
    /// What drivers owe; below zero where they have paid for what is still to come.
    Receivable,
    /// What merchants owe for validations (P16).
    Merchant(RuleId),
    /// Money that the provider holds back because a driver disputes the charge.
    Disputed,
    /// What we have earned, without tax; below zero, as all that is owed to others or earned.
    Revenue,
    /// Tax collected for the state.
    Tax,
    /// Credit of drivers.
    Wallet,
    /// What the payment provider keeps for its work.
    Fees,
    /// What is gone for good: charges whose dispute was lost.
    Loss,
    /// Cash counted that nobody can explain, or that is missing (M9).
    OverShort,
}

/// Not the name of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an account")]
pub struct UnknownAccount;

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bank => f.write_str("bank"),
            Self::Clearing => f.write_str("clearing"),
            Self::Cash(till) => write!(f, "cash:{till}"),
            Self::Receivable => f.write_str("receivable"),
            Self::Merchant(merchant) => write!(f, "merchant:{merchant}"),
            Self::Disputed => f.write_str("disputed"),
            Self::Revenue => f.write_str("revenue"),
            Self::Tax => f.write_str("tax"),
            Self::Wallet => f.write_str("wallet"),
            Self::Fees => f.write_str("fees"),
            Self::Loss => f.write_str("loss"),
            Self::OverShort => f.write_str("over_short"),
        }
    }
}

impl FromStr for Account {
    type Err = UnknownAccount;

    fn from_str(text: &str) -> Result<Self, UnknownAccount> {
        Ok(match text.split_once(':') {
            Some(("cash", till)) => Self::Cash(TillId::new(till).map_err(|_| UnknownAccount)?),
            Some(("merchant", merchant)) => {
                Self::Merchant(Some(RuleId::new(merchant)).filter(RuleId::is_valid).ok_or(UnknownAccount)?)
            }
            Some(_) => return Err(UnknownAccount),
            None => match text {
                "bank" => Self::Bank,
                "clearing" => Self::Clearing,
                "receivable" => Self::Receivable,
                "disputed" => Self::Disputed,
                "revenue" => Self::Revenue,
                "tax" => Self::Tax,
                "wallet" => Self::Wallet,
                "fees" => Self::Fees,
                "loss" => Self::Loss,
                "over_short" => Self::OverShort,
                _ => return Err(UnknownAccount),
            },
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn all() -> Vec<Account> {
        use Account as A;
        let (till, merchant) = (TillId::new("kiosk-1").unwrap(), RuleId::new("cinema_2"));
        let plain = [A::Bank, A::Clearing, A::Receivable, A::Disputed, A::Revenue, A::Tax, A::Wallet, A::Fees];
        plain.into_iter().chain([A::Loss, A::OverShort, A::Cash(till), A::Merchant(merchant)]).collect()
    }

    #[test]
    fn every_name_reads_back_and_nothing_else_is_an_account() {
        for account in all() {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
        for text in ["", "Bank", "cash", "cash:", "cash:a b", "merchant:", "merchant:A", "till:1", "bank:1"] {
            assert_eq!(text.parse::<Account>(), Err(UnknownAccount), "{text}");
        }
    }
}
