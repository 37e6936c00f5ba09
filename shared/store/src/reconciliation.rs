//! What reconciliation remembers: which payments the provider's account has confirmed, how far it has come, and what nobody could explain.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use parkade_domain::ids::PaymentId;
use parkade_ledger::{Book, Closed, Entry, Exception, ExceptionId, Month, Sealed};

use crate::attributes::{Item, Reader, SCHEMA, keyed, number, text};
use crate::error::classify;
use crate::items::exception as items;
use crate::items::ledger as ledger_items;
use crate::items::reservation::VERSION;
use crate::search::Listing;
use crate::{Store, StoreError, calendar, keys, transact};

/// Clocks of two sealers may differ by this much; a batch is looked at twice rather than not at all.
const CLOCK_SKEW_S: i64 = 600;
/// Batches of one chain read by one run: those of the day that the provider may take to list a transaction, and of the day before, if a lot
/// seals one each second.
const BATCHES_MAX: usize = 2 * 86_400;

/// How far reconciliation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reconciled {
    /// The provider's transactions before this epoch second were read.
    pub transactions_s: i64,
    /// Entries sealed before this epoch second were looked for at the provider.
    pub sealed_s: i64,
}

/// A payment's money at the provider: when it moved, or when a refund came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confirmation {
    /// The payment.
    pub payment: PaymentId,
    /// Whether it is the return of a refund.
    pub came_back: bool,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is recorded, now or by an earlier try.
    Recorded(Box<Exception>),
    /// It was decided otherwise before.
    DecidedBefore(Box<Exception>),
    /// There is no such exception.
    Unknown,
}

impl Store {
    /// How far reconciliation has come; `None` before its first run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reconciled(&self) -> Result<Option<Reconciled>, StoreError> {
        let key = keyed(keys::RECONCILED, keys::RESERVATION_SORT);
        let found = calendar::batch_get(&self.client, &self.tables.derived, vec![key], true).await?;
        let read = |item: &Item| {
            let reader = Reader(item);
            Ok(Reconciled { transactions_s: reader.number("t")?, sealed_s: reader.number("s")? })
        };
        found.first().map(read).transpose()
    }

    /// Moves forward only, so that a slow run never undoes a later one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn advance_reconciled(&self, to: Reconciled) -> Result<(), StoreError> {
        let mut item = keyed(keys::RECONCILED, keys::RESERVATION_SORT);
        item.insert("t".to_owned(), number(to.transactions_s));
        item.insert("s".to_owned(), number(to.sealed_s));
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.derived)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(t) OR (t <= :t AND s <= :s)")
            .expression_attribute_values(":t", AttributeValue::N(to.transactions_s.to_string()))
            .expression_attribute_values(":s", AttributeValue::N(to.sealed_s.to_string()));
        transact::put(put).await.map(drop)
    }

    /// The provider's transaction that confirmed each, where one did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirmed(&self, of: &[Confirmation]) -> Result<BTreeMap<Confirmation, String>, StoreError> {
        let mut wanted: Vec<&Confirmation> = of.iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys = wanted.iter().map(|one| confirmation_key(one)).collect();
        let found = calendar::batch_get(&self.client, &self.tables.ledger, keys, true).await?;
        let by_key: BTreeMap<(String, String), String> = found
            .iter()
            .map(|item| {
                let reader = Reader(item);
                let key = (reader.text(keys::PK)?.to_owned(), reader.text(keys::SK)?.to_owned());
                Ok((key, reader.text("t")?.to_owned()))
            })
            .collect::<Result<_, StoreError>>()?;
        let found = |one: &&Confirmation| Some((**one, by_key.get(&keys::confirmation(one))?.clone()));
        Ok(wanted.iter().filter_map(found).collect())
    }

    /// Notes that a transaction confirmed a payment's money; the first one stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirm(&self, one: Confirmation, transaction: &str) -> Result<(), StoreError> {
        let mut item = confirmation_key(&one);
        item.insert(SCHEMA.to_owned(), number(1));
        item.insert("t".to_owned(), text(transaction));
        let put = self.client.put_item().table_name(&self.tables.ledger).set_item(Some(item));
        transact::put(put.condition_expression("attribute_not_exists(pk)")).await.map(drop)
    }

    /// Those of some entries that are not sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsealed(&self, entries: &[Entry]) -> Result<Vec<Entry>, StoreError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let key = |entry: &Entry| {
            let about = &entry.about;
            keyed(keys::chain_partition(&about.book, about.month), keys::sealed_sort(&about.id))
        };
        let found =
            calendar::batch_get(&self.client, &self.tables.ledger, entries.iter().map(key).collect(), true).await?;
        let sealed = found.iter().map(ledger_items::read_sealed).collect::<Result<Vec<Sealed>, _>>()?;
        let is_sealed = |entry: &&Entry| !sealed.iter().any(|sealed| sealed.entry.about.id == entry.about.id);
        Ok(entries.iter().filter(is_sealed).cloned().collect())
    }

    /// The payments of a chain that succeeded by the books and were sealed in `[from_s, until_s)`, with the ids of their entries.
    ///
    /// # Errors
    /// [`StoreError`]; also if there are more batches than a chain can have, because what is not looked at would count as found.
    pub async fn sealed_payments(
        &self,
        book: &Book,
        month: Month,
        [from_s, until_s]: [i64; 2],
    ) -> Result<Vec<(PaymentId, String)>, StoreError> {
        let pages = self.chain_query(book, month, keys::BATCH).scan_index_forward(false);
        let (mut found, mut start, mut read) = (Vec::new(), None, 0);
        loop {
            let answer = pages.clone().set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| classify("Query", &error))?;
            for item in answer.items() {
                let batch = ledger_items::read_batch(item)?;
                if batch.sealed_at_s < from_s - CLOCK_SKEW_S {
                    return Ok(found);
                }
                read += 1;
                if batch.sealed_at_s < until_s {
                    found.extend(batch.ids.into_iter().filter_map(|id| Some((paid(&id)?, id))));
                }
            }
            if read > BATCHES_MAX {
                let why = format!("more than {BATCHES_MAX} batches to look at");
                return Err(StoreError::Corrupt { key: format!("{book} {month}"), why });
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// Entries by their ids, as far as they are sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed_by_id(&self, book: &Book, month: Month, ids: &[String]) -> Result<Vec<Sealed>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let partition = keys::chain_partition(book, month);
        let keys = ids.iter().map(|id| keyed(partition.as_str(), keys::sealed_sort(id))).collect();
        let found = calendar::batch_get(&self.client, &self.tables.ledger, keys, true).await?;
        found.iter().map(ledger_items::read_sealed).collect()
    }

    /// Records an exception; `false` if it is known already, decided or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_exception(&self, exception: &Exception) -> Result<bool, StoreError> {
        let put = self.client.put_item().table_name(&self.tables.ledger).set_item(Some(items::write(exception)?));
        transact::put(put.condition_expression("attribute_not_exists(pk)")).await
    }

    /// Exceptions, the latest months first; only those that wait for a decision, or all. `after` is a [`Listing::next`] of an earlier page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn exceptions(
        &self,
        open_only: bool,
        after: Option<&ExceptionId>,
        limit: usize,
    ) -> Result<Listing<Exception>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.tables.ledger)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::EXCEPTIONS))
            .scan_index_forward(false)
            .consistent_read(true);
        if open_only {
            pages = pages.filter_expression("attribute_exists(op)");
        }
        let (mut found, mut start) = (Vec::new(), after.map(|id| keyed(keys::EXCEPTIONS, id.as_str())));
        while found.len() <= limit {
            let answer = pages.clone().set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| classify("Query", &error))?;
            found.extend(answer.items().iter().map(items::read).collect::<Result<Vec<_>, _>>()?);
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| last.id.to_string());
        Ok(Listing { items: found, next })
    }

    /// Records how an exception was decided. The same decision by the same person again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close_exception(&self, id: &ExceptionId, closed: &Closed) -> Result<Decision, StoreError> {
        loop {
            let key = keyed(keys::EXCEPTIONS, id.as_str());
            let found = calendar::batch_get(&self.client, &self.tables.ledger, vec![key], true).await?;
            let Some(exception) = found.first().map(items::read).transpose()? else { return Ok(Decision::Unknown) };
            if let Some(before) = &exception.closed {
                let same =
                    (&before.by, before.resolution, &before.note) == (&closed.by, closed.resolution, &closed.note);
                let exception = Box::new(exception);
                return Ok(if same { Decision::Recorded(exception) } else { Decision::DecidedBefore(exception) });
            }
            let next = Exception { closed: Some(closed.clone()), version: exception.version + 1, ..exception.clone() };
            let put = self
                .client
                .put_item()
                .table_name(&self.tables.ledger)
                .set_item(Some(items::write(&next)?))
                .condition_expression("#v = :v")
                .expression_attribute_names("#v", VERSION)
                .expression_attribute_values(":v", number(exception.version));
            // Only a decision changes it, so the next look finds one.
            if transact::put(put).await? {
                return Ok(Decision::Recorded(Box::new(next)));
            }
        }
    }
}

fn confirmation_key(one: &Confirmation) -> Item {
    let (partition, sort) = keys::confirmation(one);
    keyed(partition, sort)
}

/// The payment that an entry's id says has succeeded: `<code>#P<nn>#v<version>#succeeded`.
fn paid(id: &str) -> Option<PaymentId> {
    let mut parts = id.split('#');
    let (code, number, _, status) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let number = number.strip_prefix('P')?.trim_start_matches('0');
    if status == "succeeded" { format!("pay_{code}_{number}").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrys_id_tells_which_payment_has_succeeded() {
        let id = |text| paid(text).map(|id| id.to_string());
        assert_eq!(id("09VXRDCKM22JF#P01#v2#succeeded").as_deref(), Some("pay_09VXRDCKM22JF_1"));
        assert_eq!(id("09VXRDCKM22JF#P10#v3#succeeded").as_deref(), Some("pay_09VXRDCKM22JF_10"));
        for other in ["09VXRDCKM22JF#P01#v3#declined", "09VXRDCKM22JF#v7#recognised", "txn_1#payout", ""] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
