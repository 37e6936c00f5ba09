//! From money that came to the account at the provider, or went from it, to its entry.
//!
//! | what happened | debit | credit |
//! |---|---|---|
//! | a charge's or refund's fee | fees | clearing |
//! | a payout | bank | clearing |
//! | a fee of its own | fees | clearing |
//! | a dispute takes a charge back | disputed, fees | clearing |
//! | a dispute is won | clearing | disputed, fees |
//! | a dispute is lost | loss | disputed |
//!
//! The amounts of charges and refunds themselves are not here: they were booked when the payment settled.

use parkade_domain::ids::PaymentId;
use parkade_domain::money::Currency;

use crate::account::Account;
use crate::chain::Book;
use crate::entry::{About, Cause, Entry, EntryError, Posting};
use crate::month::Month;

/// Money that moved at the provider.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    /// The provider's id of the balance transaction.
    pub id: &'a str,
    /// Of both amounts.
    pub currency: Currency,
    /// Epoch second.
    pub at_s: i64,
    /// Minor units before the fee; below zero if it went.
    pub amount_minor: i64,
    /// Minor units that the provider keeps; below zero if it gives a fee back.
    pub fee_minor: i64,
}

/// In whose books, and for which payment.
#[derive(Debug, Clone)]
pub struct Concerning {
    /// The book.
    pub book: Book,
    /// The month in that book.
    pub month: Month,
    /// The payment, if it concerns one.
    pub payment: Option<PaymentId>,
}

/// The entry of a fee that comes with a charge or refund; none if it cost nothing.
///
/// # Errors
/// [`EntryError::Overflow`].
pub fn of_fee(movement: Movement<'_>, concerning: Concerning) -> Result<Option<Entry>, EntryError> {
    if movement.fee_minor == 0 {
        return Ok(None);
    }
    let postings =
        [(Account::Fees, i128::from(movement.fee_minor)), (Account::Clearing, -i128::from(movement.fee_minor))];
    entry(movement, Cause::ProviderFee, concerning, &postings).map(Some)
}

/// The entry of a movement against another account: the bank, what is disputed, or fees.
///
/// # Errors
/// [`EntryError`]; `Empty` if nothing moved.
pub fn of_movement(
    movement: Movement<'_>,
    cause: Cause,
    against: &Account,
    concerning: Concerning,
) -> Result<Entry, EntryError> {
    let (amount, fee) = (i128::from(movement.amount_minor), i128::from(movement.fee_minor));
    let mut postings = vec![(Account::Clearing, amount - fee)];
    if *against == Account::Fees {
        postings.push((Account::Fees, fee - amount));
    } else {
        postings.extend([(against.clone(), -amount), (Account::Fees, fee)]);
    }
    entry(movement, cause, concerning, &postings)
}

/// The entry of a dispute that was lost: what it took is gone. Its time is the dispute's opening, so that it is the same whenever it is made.
///
/// # Errors
/// [`EntryError`].
pub fn of_lost_dispute(dispute: &str, opened: Movement<'_>, concerning: Concerning) -> Result<Entry, EntryError> {
    let taken = -i128::from(opened.amount_minor);
    let postings = [(Account::Loss, taken), (Account::Disputed, -taken)];
    entry(Movement { id: dispute, ..opened }, Cause::DisputeLost, concerning, &postings)
}

fn entry(
    movement: Movement<'_>,
    cause: Cause,
    concerning: Concerning,
    postings: &[(Account, i128)],
) -> Result<Entry, EntryError> {
    let Concerning { book, month, payment } = concerning;
    // What concerns a payment stands among the entries of its reservation.
    let of = payment.map(|id| format!("{}#P{:02}#", id.reservation.code(), id.number)).unwrap_or_default();
    let about = About {
        id: format!("{of}{}#{}", movement.id, cause.as_str()),
        book,
        month,
        currency: movement.currency,
        at_s: movement.at_s,
        cause,
        reservation: payment.map(|payment| payment.reservation),
        payment,
        provider_reference: Some(movement.id.to_owned()),
    };
    let posting = |(account, minor): &(Account, i128)| {
        let amount_minor = i64::try_from(*minor).map_err(|_| EntryError::Overflow)?;
        Ok(Posting { account: account.clone(), amount_minor })
    };
    let moved = postings.iter().filter(|(_, minor)| *minor != 0);
    Entry::new(about, moved.map(posting).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movement(amount_minor: i64, fee_minor: i64) -> Movement<'static> {
        let currency = Currency::from_code("EUR").unwrap();
        Movement { id: "txn_1", currency, at_s: 1_795_255_210, amount_minor, fee_minor }
    }

    fn provider() -> Concerning {
        Concerning { book: Book::Provider, month: Month::utc(1_795_255_210), payment: None }
    }

    fn told(entry: &Entry) -> String {
        let posting = |posting: &Posting| format!("{} {}", posting.account, posting.amount_minor);
        entry.postings().iter().map(posting).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_the_provider_keeps_takes_and_pays_out_leaves_the_clearing_account_as_its_balance() {
        let against = |amount, fee, cause, account: Account| {
            told(&of_movement(movement(amount, fee), cause, &account, provider()).unwrap())
        };
        assert_eq!(told(&of_fee(movement(1_250, 44), provider()).unwrap().unwrap()), "clearing -44, fees 44");
        assert_eq!(of_fee(movement(-1_250, 0), provider()).unwrap(), None);
        assert_eq!(against(-5_000, 0, Cause::Payout, Account::Bank), "bank 5000, clearing -5000");
        assert_eq!(against(-5_000, 10, Cause::Payout, Account::Bank), "bank 5000, clearing -5010, fees 10");
        assert_eq!(against(-200, 0, Cause::ProviderCharge, Account::Fees), "clearing -200, fees 200");
        let opened = against(-1_250, 1_500, Cause::DisputeOpened, Account::Disputed);
        assert_eq!(opened, "clearing -2750, disputed 1250, fees 1500");
        let won = against(1_250, -1_500, Cause::DisputeWon, Account::Disputed);
        assert_eq!(won, "clearing 2750, disputed -1250, fees -1500");
        let lost = of_lost_dispute("dp_1", movement(-1_250, 1_500), provider()).unwrap();
        assert_eq!(
            (told(&lost), lost.about.id.as_str()),
            ("disputed -1250, loss 1250".to_owned(), "dp_1#dispute_lost")
        );
    }

    #[test]
    fn one_transaction_makes_the_same_entry_whenever_it_is_read() {
        let entry = || of_movement(movement(-5_000, 0), Cause::Payout, &Account::Bank, provider()).unwrap();
        assert_eq!(entry(), entry());
        assert_eq!(entry().about.id, "txn_1#payout");
        let payment = Some("pay_09VXRDCKM22JF_1".parse().unwrap());
        let fee = of_fee(movement(1_250, 44), Concerning { payment, ..provider() }).unwrap().unwrap();
        assert_eq!(fee.about.id, "09VXRDCKM22JF#P01#txn_1#provider_fee", "among its reservation's entries");
        assert_eq!(of_movement(movement(0, 0), Cause::Payout, &Account::Bank, provider()), Err(EntryError::Empty));
    }
}
