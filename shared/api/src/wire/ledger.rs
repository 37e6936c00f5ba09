//! The books as they are read: sealed entries with their hashes, and what a chain sums to.
//!
//! A view has everything that its hash covers, so whoever reads a chain can verify it without trusting the server.

use chrono::DateTime;
use parkade_domain::money::Currency;
use parkade_ledger::{About, Balances, Book, Cause, Entry, Head, Month, Posting, Sealed};
use serde::{Deserialize, Serialize};

use super::second_text;

/// A page of a book's month, or the entries of one reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerView {
    /// The lot, or `*provider` for the account at the payment provider.
    pub book: String,
    /// `YYYY-MM`, by the clocks of the lot; absent where the entries of a reservation are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// How the whole chain stands; absent where the entries of a reservation are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<LedgerSummaryView>,
    /// The entries, in the order in which they were sealed.
    pub items: Vec<LedgerEntryView>,
    /// What to send as `next` for the following page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How a chain stood when it was looked at, before the page was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSummaryView {
    /// Number of entries.
    pub entries: u64,
    /// Hash of the last one, or what the chain begins with.
    pub hash: String,
    /// When the last ones were sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_at: Option<String>,
    /// What the entries sum to.
    pub balances: Vec<BalanceView>,
}

/// The balance of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceView {
    /// The account.
    pub account: String,
    /// Minor units; a debit is positive.
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// One sealed entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntryView {
    /// Its number in the chain, from 1.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// When it happened.
    pub at: String,
    /// Why.
    pub cause: String,
    /// The stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<String>,
    /// The charge or refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// The provider's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_reference: Option<String>,
    /// ISO 4217 code of every posting.
    pub currency: String,
    /// What it posts; the amounts sum to zero.
    pub postings: Vec<PostingView>,
    /// Hash of the entry before it.
    pub previous_hash: String,
    /// Its own hash.
    pub hash: String,
}

/// One line of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingView {
    /// The account.
    pub account: String,
    /// Minor units; a debit is positive.
    pub amount_minor: i64,
}

/// An entry that is not what the API sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} cannot be read: {what}")]
pub struct NotAnEntry {
    /// Its number, as it says.
    pub seq: u64,
    /// What is wrong with it.
    pub what: &'static str,
}

impl LedgerSummaryView {
    /// The summary of a chain that ends at `head`.
    #[must_use]
    pub fn from_domain(head: Head, balances: &Balances, sealed_at_s: Option<i64>) -> Self {
        let balance = |(currency, account, amount_minor): (Currency, &parkade_ledger::Account, i64)| BalanceView {
            account: account.to_string(),
            amount_minor,
            currency: currency.code().to_owned(),
        };
        Self {
            entries: head.seq,
            hash: head.hash.to_string(),
            sealed_at: sealed_at_s.map(second_text),
            balances: balances.iter().map(balance).collect(),
        }
    }
}

impl LedgerEntryView {
    /// The view of a sealed entry.
    #[must_use]
    pub fn from_domain(sealed: &Sealed) -> Self {
        let about = &sealed.entry.about;
        let posting = |posting: &Posting| PostingView {
            account: posting.account.to_string(),
            amount_minor: posting.amount_minor,
        };
        Self {
            seq: sealed.seq,
            id: about.id.clone(),
            at: second_text(about.at_s),
            cause: about.cause.as_str().to_owned(),
            reservation_id: about.reservation.map(|id| id.to_string()),
            payment_id: about.payment.map(|id| id.to_string()),
            provider_reference: about.provider_reference.clone(),
            currency: about.currency.code().to_owned(),
            postings: sealed.entry.postings().iter().map(posting).collect(),
            previous_hash: sealed.previous.to_string(),
            hash: sealed.hash.to_string(),
        }
    }

    /// The entry that the view shows, as part of a chain.
    ///
    /// # Errors
    /// [`NotAnEntry`] also for postings that do not sum to zero.
    pub fn to_domain(&self, book: &Book, month: Month) -> Result<Sealed, NotAnEntry> {
        let seq = self.seq;
        let wrong = |what| move || NotAnEntry { seq, what };
        let posting = |posting: &PostingView| {
            let account = posting.account.parse().map_err(|_| NotAnEntry { seq, what: "an account" })?;
            Ok(Posting { account, amount_minor: posting.amount_minor })
        };
        let about = About {
            id: self.id.clone(),
            book: book.clone(),
            month,
            currency: Currency::from_code(&self.currency).map_err(|_| wrong("its currency")())?,
            at_s: DateTime::parse_from_rfc3339(&self.at).map_err(|_| wrong("its time")())?.timestamp(),
            cause: Cause::parse(&self.cause).ok_or_else(wrong("its cause"))?,
            reservation: parsed(self.reservation_id.as_deref()).ok_or_else(wrong("its reservation"))?,
            payment: parsed(self.payment_id.as_deref()).ok_or_else(wrong("its payment"))?,
            provider_reference: self.provider_reference.clone(),
        };
        let postings = self.postings.iter().map(posting).collect::<Result<_, _>>()?;
        Ok(Sealed {
            entry: Entry::new(about, postings).map_err(|_| wrong("its postings do not sum to zero")())?,
            seq,
            previous: self.previous_hash.parse().map_err(|_| wrong("the hash before it")())?,
            hash: self.hash.parse().map_err(|_| wrong("its hash")())?,
        })
    }
}

/// `None` for a text that cannot be read; no text is nothing.
fn parsed<T: std::str::FromStr>(text: Option<&str>) -> Option<Option<T>> {
    text.map(str::parse).transpose().ok()
}

#[cfg(test)]
mod tests {
    use parkade_domain::ids::{LotId, PaymentId, ReservationId};
    use parkade_ledger::{Account, genesis, seal};

    use super::*;

    #[test]
    fn what_is_sent_is_what_was_sealed_and_verifies_as_such() {
        let reservation: ReservationId = "res_09VXRDCKM22JF".parse().unwrap();
        let (book, month): (Book, Month) = (Book::Lot(LotId::new("central").unwrap()), "2026-11".parse().unwrap());
        let about = About {
            id: "x".to_owned(),
            book: book.clone(),
            month,
            currency: Currency::from_code("EUR").unwrap(),
            at_s: 1_795_255_210,
            cause: Cause::Charge,
            reservation: Some(reservation),
            payment: Some(PaymentId { reservation, number: 1 }),
            provider_reference: None,
        };
        let posting = |account, amount_minor| Posting { account, amount_minor };
        let postings = vec![posting(Account::Clearing, 400), posting(Account::Receivable, -400)];
        let sealed = seal(genesis(&book, month), [Entry::new(about, postings).unwrap()]).remove(0);
        let view = LedgerEntryView::from_domain(&sealed);
        let sent: LedgerEntryView = serde_json::from_str(&serde_json::to_string(&view).unwrap()).unwrap();
        assert_eq!(sent.to_domain(&book, month), Ok(sealed));
        let mut unbalanced = view.clone();
        unbalanced.postings[0].amount_minor += 1;
        assert_eq!(unbalanced.to_domain(&book, month).unwrap_err().what, "its postings do not sum to zero");
        let mut foreign = view;
        foreign.payment_id = Some("pay_1".to_owned());
        assert_eq!(foreign.to_domain(&book, month).unwrap_err().what, "its payment");
    }
}
