//! The other direction: money that our books say moved at the provider, and that its account does not list.

use std::collections::BTreeSet;

use parkade_ledger::{Account, Book, ExceptionKind, Facts, Month};
use parkade_store::{Confirmation, Reconciled};

use crate::{Failure, Run};

/// How long the provider's account may be behind: its lists lag by hours at most, and our books by minutes.
const LISTED_WITHIN_S: i64 = 86_400;

impl Run<'_> {
    /// Looks for the payments that were sealed since the last time and should be listed by now. Returns until when it has looked.
    pub(crate) async fn look_for_missing(&mut self, done: Reconciled) -> Result<i64, Failure> {
        // Only what was sealed so long before the newest transactions read that theirs must be among them.
        let until_s = done.transactions_s - LISTED_WITHIN_S;
        let from_s = done.sealed_s;
        if until_s <= from_s {
            return Ok(from_s);
        }
        // A lot's month begins up to a day earlier or later than UTC's, and a late entry may belong to the month before.
        let (first, last) = (Month::utc(from_s - 86_400).previous(), Month::utc(until_s + 86_400));
        let months = std::iter::successors(Some(last), |month| Some(month.previous()));
        for month in months.take_while(|month| *month >= first) {
            for book in self.deps.store.books_of(month).await? {
                if book != Book::Provider {
                    self.look_in(&book, month, [from_s, until_s]).await?;
                }
            }
        }
        Ok(until_s)
    }

    async fn look_in(&mut self, book: &Book, month: Month, sealed: [i64; 2]) -> Result<(), Failure> {
        let store = &self.deps.store;
        let paid = store.sealed_payments(book, month, sealed).await?;
        let of: Vec<Confirmation> =
            paid.iter().map(|(payment, _)| Confirmation { payment: *payment, came_back: false }).collect();
        let confirmed: BTreeSet<_> = store.confirmed(&of).await?.into_keys().map(|one| one.payment).collect();
        let missing = paid.into_iter().filter(|(payment, _)| !confirmed.contains(payment));
        let ids: Vec<String> = missing.map(|(_, id)| id).collect();
        for sealed in store.sealed_by_id(book, month, &ids).await? {
            let about = &sealed.entry.about;
            let at_provider_minor = sealed.entry.on(&Account::Clearing);
            // Cash and credit are not the provider's.
            let (Some(payment), true) = (about.payment, at_provider_minor != 0) else { continue };
            let facts = Facts {
                payment: Some(payment.to_string()),
                lot: Some(book.to_string()),
                ours_minor: Some(at_provider_minor),
                our_currency: Some(about.currency.code().to_owned()),
                our_status: Some("succeeded".to_owned()),
                our_reference: about.provider_reference.clone(),
                tried: Some(format!("entry {} of {book} {month} has no transaction a day later", about.id)),
                ..Facts::default()
            };
            self.open(month, &payment.to_string(), ExceptionKind::NoTransaction, facts).await?;
        }
        Ok(())
    }
}
