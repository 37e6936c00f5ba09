//! The sealed books: entries are appended to the hash chain of their lot and month, in batches, by whoever consumes the records' stream.
//!
//! One transaction appends a batch. Its conditions are that no entry of it was sealed before, and that nobody else has taken the place in
//! the chain that it was planned for. So a batch may come twice, late, in pieces or to several writers at once: each entry is sealed once.
//! Nothing here is ever changed or deleted.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use futures::future::{join_all, try_join_all};
use parkade_domain::ids::ReservationId;
use parkade_ledger::{Book, Entry, Month, Sealed, genesis, seal};
use thiserror::Error;
use tracing::warn;

use crate::attributes::{Item, Reader, SCHEMA, keyed, number, text};
use crate::error::{StoreError, classify};
use crate::items::ledger::{self as items, Batch};
use crate::transact::{self, Outcome, TRANSACTION_ITEMS_MAX};
use crate::{Store, calendar, keys};

/// Entries sealed in one transaction: all it takes but the batch, and for a new chain its name in the list of books.
pub const ENTRIES_PER_SEAL_MAX: usize = TRANSACTION_ITEMS_MAX - 2;
/// Rounds of planning for one batch. Each lost round is another writer's success, and there is one writer per shard of the stream.
const TRIES_MAX: u32 = 32;
/// Batchs read at a time while a page is filled.
const BATCHES_PER_READ: i32 = 25;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was sealed now.
    Sealed,
    /// It had been sealed before.
    Known,
}

/// An entry was not sealed, or nobody knows. Sealing it again is safe.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the entry was not sealed: {cause}")]
pub struct NotSealed {
    /// For people.
    pub cause: String,
}

/// A place in a chain: the batch that it lies in, and the last entry that was read.
pub type Position = (u64, u64);

impl Store {
    /// Appends entries to their chains, and answers for each. Entries of one chain are sealed in the order given, unless they had been
    /// sealed before.
    pub async fn seal(&self, entries: &[Entry], now_s: i64) -> Vec<Result<Fate, NotSealed>> {
        let mut chains: BTreeMap<(&Book, Month), Vec<&Entry>> = BTreeMap::new();
        for entry in entries {
            chains.entry((&entry.about.book, entry.about.month)).or_default().push(entry);
        }
        let chains =
            chains.into_iter().map(async |(chain, entries)| (chain, self.seal_chain(chain, &entries, now_s).await));
        let sealed: BTreeMap<_, _> = join_all(chains).await.into_iter().collect();
        let fate = |entry: &Entry| match sealed.get(&(&entry.about.book, entry.about.month)) {
            Some(Ok(fates)) => {
                let fate = fates.get(entry.about.id.as_str()).copied();
                fate.ok_or_else(|| NotSealed { cause: "it was passed over".to_owned() })
            }
            Some(Err(error)) => Err(NotSealed { cause: error.to_string() }),
            None => Err(NotSealed { cause: "its chain was passed over".to_owned() }),
        };
        entries.iter().map(fate).collect()
    }

    async fn seal_chain<'e>(
        &self,
        (book, month): (&Book, Month),
        entries: &[&'e Entry],
        now_s: i64,
    ) -> Result<BTreeMap<&'e str, Fate>, StoreError> {
        let mut seen = BTreeSet::new();
        let once: Vec<&Entry> = entries.iter().copied().filter(|entry| seen.insert(&entry.about.id)).collect();
        let mut fates = BTreeMap::new();
        // The chain's last batch, as long as nobody else is known to have appended one.
        let mut last: Option<Option<Batch>> = None;
        for part in once.chunks(ENTRIES_PER_SEAL_MAX) {
            let mut left = part.to_vec();
            for _ in 0..TRIES_MAX {
                if left.is_empty() {
                    break;
                }
                let before = match last.take() {
                    Some(before) => before,
                    None => self.last_batch(book, month).await?,
                };
                let (sealed, batch) = plan(book, month, before.as_ref(), &left, now_s)?;
                match transact::write(&self.client, self.appends(book, month, &sealed, &batch)?).await? {
                    Outcome::Committed => {
                        fates.extend(left.drain(..).map(|entry| (entry.about.id.as_str(), Fate::Sealed)));
                        last = Some(Some(batch));
                    }
                    Outcome::Cancelled(reasons) => {
                        let known = known(&reasons, &left);
                        left.retain(|entry| !known.contains(entry.about.id.as_str()));
                        // With an entry that was known, the place in the chain may still be free.
                        last = reasons.get(sealed.len()).is_some_and(|reason| !failed(reason)).then_some(before);
                        fates.extend(known.into_iter().map(|id| (id, Fate::Known)));
                    }
                }
            }
            if !left.is_empty() {
                let cause = format!("other writers were faster {TRIES_MAX} times");
                return Err(StoreError::Unavailable { operation: "seal", cause });
            }
        }
        Ok(fates)
    }

    /// The transaction's writes: the entries, in order, then their batch.
    fn appends(
        &self,
        book: &Book,
        month: Month,
        sealed: &[Sealed],
        batch: &Batch,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let once = |item| self.ledger_put(item, Some("attribute_not_exists(pk)"));
        let mut writes: Vec<_> =
            sealed.iter().map(|sealed| once(items::write_sealed(sealed))).collect::<Result<_, _>>()?;
        writes.push(once(items::write_batch(book, month, batch))?);
        if batch.first == 1 {
            let mut name = keyed(keys::books_partition(month), book.to_string());
            name.insert(SCHEMA.to_owned(), number(1));
            // Unconditional: it says nothing but that the chain exists, and only the chain's first batch is written with it.
            writes.push(self.ledger_put(name, None)?);
        }
        Ok(writes)
    }

    fn ledger_put(&self, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.tables.ledger)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = put.build().map_err(|error| StoreError::Refused { operation: "Put", cause: error.to_string() })?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The last batch of a chain: how it stands, with its balances. `None` if nothing was sealed in it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_batch(&self, book: &Book, month: Month) -> Result<Option<Batch>, StoreError> {
        let query = self.chain_query(book, month, keys::BATCH).scan_index_forward(false).limit(1);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        answer.items().first().map(items::read_batch).transpose()
    }

    pub(crate) fn chain_query(
        &self,
        book: &Book,
        month: Month,
        prefix: &str,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.ledger)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", text(keys::chain_partition(book, month)))
            .expression_attribute_values(":sk", text(prefix))
            .consistent_read(true)
    }

    /// Entries of a chain in its order, after a position of an earlier page. An entry that is missing is left out: whoever verifies the
    /// chain sees the gap.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed(
        &self,
        book: &Book,
        month: Month,
        after: Option<Position>,
        limit: usize,
    ) -> Result<(Vec<Sealed>, Option<Position>), StoreError> {
        let (from, after) = after.unwrap_or((0, 0));
        // One more than asked for tells whether there is a next page.
        let mut wanted: Vec<(u64, u64, String)> = Vec::new();
        let mut start: Option<Item> = None;
        while wanted.len() <= limit {
            let query = self
                .client
                .query()
                .table_name(&self.tables.ledger)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
                .expression_attribute_values(":pk", text(keys::chain_partition(book, month)))
                .expression_attribute_values(":from", text(keys::batch_sort(from)))
                .expression_attribute_values(":until", text(format!("{}~", keys::BATCH)))
                .consistent_read(true)
                .limit(BATCHES_PER_READ)
                .set_exclusive_start_key(start);
            let answer = query.send().await.map_err(|error| classify("Query", &error))?;
            for batch in answer.items().iter().map(items::read_batch) {
                let Batch { first, ids, .. } = batch?;
                wanted.extend((first..).zip(ids).map(|(seq, id)| (first, seq, id)).filter(|(_, seq, _)| *seq > after));
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let more = wanted.len() > limit;
        wanted.truncate(limit);
        let next = wanted.last().filter(|_| more).map(|(batch, seq, _)| (*batch, *seq));
        let partition = keys::chain_partition(book, month);
        let keys = wanted.iter().map(|(.., id)| keyed(partition.as_str(), keys::sealed_sort(id))).collect::<Vec<_>>();
        if keys.is_empty() {
            return Ok((Vec::new(), None));
        }
        let found = calendar::batch_get(&self.client, &self.tables.ledger, keys, true).await?;
        let mut sealed = found.iter().map(items::read_sealed).collect::<Result<Vec<_>, _>>()?;
        sealed.sort_by_key(|sealed| sealed.seq);
        Ok((sealed, next))
    }

    /// The entries of one reservation in some months of a book, in the order in which they were sealed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed_of(
        &self,
        book: &Book,
        months: &[Month],
        reservation: ReservationId,
    ) -> Result<Vec<Sealed>, StoreError> {
        let prefix = keys::sealed_sort(&format!("{}#", reservation.code()));
        let months = months.iter().map(async |month| {
            let query = self.chain_query(book, *month, &prefix);
            // A reservation has a hundred payments at most, far less than one answer holds.
            let answer = query.send().await.map_err(|error| classify("Query", &error))?;
            answer.items().iter().map(items::read_sealed).collect::<Result<Vec<_>, _>>()
        });
        let mut sealed: Vec<Sealed> = try_join_all(months).await?.into_iter().flatten().collect();
        sealed.sort_by_key(|sealed| (sealed.entry.about.month, sealed.seq));
        Ok(sealed)
    }

    /// The books that have entries in a month.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn books_of(&self, month: Month) -> Result<Vec<Book>, StoreError> {
        let pages = self
            .client
            .query()
            .table_name(&self.tables.ledger)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::books_partition(month)));
        let (mut books, mut start) = (Vec::new(), None);
        loop {
            let answer = pages.clone().set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| classify("Query", &error))?;
            let book = |item: &Item| Reader(item).parsed(keys::SK, |sk| sk.parse().ok());
            books.extend(answer.items().iter().map(book).collect::<Result<Vec<_>, _>>()?);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(books);
            }
        }
    }
}

/// The entries at the end of the chain as it was read, with their batch.
fn plan(
    book: &Book,
    month: Month,
    before: Option<&Batch>,
    entries: &[&Entry],
    now_s: i64,
) -> Result<(Vec<Sealed>, Batch), StoreError> {
    let head = before.map_or_else(|| genesis(book, month), |batch| batch.head);
    let sealed = seal(head, entries.iter().map(|entry| (*entry).clone()));
    let mut balances = before.map(|batch| batch.balances.clone()).unwrap_or_default();
    for entry in entries {
        let refused =
            |error: parkade_ledger::Overflow| StoreError::Refused { operation: "seal", cause: error.to_string() };
        balances.add(entry).map_err(refused)?;
    }
    let batch = Batch {
        first: head.seq + 1,
        ids: entries.iter().map(|entry| entry.about.id.clone()).collect(),
        head: sealed.last().map_or(head, Sealed::head),
        balances,
        sealed_at_s: now_s,
    };
    Ok((sealed, batch))
}

/// The ids of the entries that had been sealed before.
fn known<'e>(reasons: &[CancellationReason], entries: &[&'e Entry]) -> BTreeSet<&'e str> {
    let mut known = BTreeSet::new();
    for (reason, entry) in reasons.iter().zip(entries).filter(|(reason, _)| failed(reason)) {
        let stored = reason.item().map(items::read_sealed);
        if !matches!(&stored, Some(Ok(stored)) if stored.entry == **entry) {
            // The first one stands: the books only grow. A lot's policy that changed between the two explains another share of tax.
            warn!(entry.id = entry.about.id, "entry {} was sealed before with other content", entry.about.id);
        }
        known.insert(entry.about.id.as_str());
    }
    known
}

fn failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}
