//! What the clock has to do: reads only what is due, whatever the table's size.

use std::ops::Range;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use parkade_domain::ids::ReservationId;
use parkade_domain::reservation::DueKind;

use crate::attributes::{Item, Reader, keyed, number, text};
use crate::error::classify;
use crate::keys::{self, DUE_SHARDS, Due};
use crate::{Store, StoreError};

/// Rounds of an overstay that keeps meeting other writers.
pub(crate) const SWEEP_TRIES_MAX: u32 = 6;
/// How far back a sweep looks that has never run: nothing was due before the first deployment.
const FIRST_LOOK_BACK_H: i64 = 12;
/// Hours kept open behind the present: a writer whose clock is slow may still add to the hour before.
const OPEN_HOURS: i64 = 1;
/// Hours read per tick, so that a tick after an outage stays short; the next tick goes on.
const HOURS_PER_TICK_MAX: i64 = 24;
/// Due items taken from one shard per tick: 16 shards make 1,600 a minute per kind, and the rest waits for the next tick.
const DUE_PER_SHARD_MAX: i32 = 100;

/// What one tick found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// The reservations that are due, in no particular order.
    pub due: Vec<ReservationId>,
    /// Index items read to find them. Equal to the number due: nothing is read in vain.
    pub items_read: usize,
}

impl Store {
    /// What is due at `now_s`. An hour whose items are all done is never read again: the watermark moves past it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(&self, kind: DueKind, now_s: i64) -> Result<Sweep, StoreError> {
        let found = self.due_items(kind.into(), now_s).await?;
        Ok(Sweep { due: found.iter().map(read_due).collect::<Result<_, _>>()?, items_read: found.len() })
    }

    /// The index items of what is due.
    pub(crate) async fn due_items(&self, due: Due, now_s: i64) -> Result<Vec<Item>, StoreError> {
        let this_hour = now_s.div_euclid(3_600);
        let watermark = self.watermark(due).await?;
        let open = this_hour - OPEN_HOURS;
        let first = watermark.unwrap_or(this_hour - FIRST_LOOK_BACK_H).min(open);
        let (backlog, at_front) = stretch(first..open, now_s);
        let mut all = Vec::new();
        let mut done_until = first;
        // The open hours come every time: an old hour that cannot be finished must not keep new ones waiting.
        for hour in backlog.chain(open..=this_hour) {
            let found = self.due_in_hour(due, hour, now_s).await?;
            if found.is_empty() && at_front && hour == done_until && hour < open {
                done_until = hour + 1;
            }
            all.extend(found);
        }
        if watermark.is_none_or(|old| done_until > old) {
            self.advance_watermark(due, done_until).await?;
        }
        Ok(all)
    }

    async fn due_in_hour(&self, due: Due, hour: i64, now_s: i64) -> Result<Vec<Item>, StoreError> {
        let shards = (0..DUE_SHARDS).map(|shard| self.due_in_shard(keys::due_partition(due, hour, shard), now_s));
        Ok(try_join_all(shards).await?.into_iter().flatten().collect())
    }

    async fn due_in_shard(&self, partition: String, now_s: i64) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .index_name(keys::DUE)
            .key_condition_expression("du = :du AND ds <= :now")
            .expression_attribute_values(":du", text(partition))
            .expression_attribute_values(":now", number(now_s))
            .limit(DUE_PER_SHARD_MAX);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        Ok(answer.items.unwrap_or_default())
    }

    async fn watermark(&self, due: Due) -> Result<Option<i64>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.tables.derived)
            .set_key(Some(keyed(keys::watermark_partition(due), keys::RESERVATION_SORT)));
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map_or(Ok(None), |item| Reader(item).number_maybe("h"))
    }

    /// Moves forward only, so that a slow tick never undoes a later one.
    async fn advance_watermark(&self, due: Due, hour: i64) -> Result<(), StoreError> {
        let mut item: Item = keyed(keys::watermark_partition(due), keys::RESERVATION_SORT);
        item.insert("h".to_owned(), number(hour));
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.derived)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(h) OR h < :h")
            .expression_attribute_values(":h", AttributeValue::N(hour.to_string()));
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(classify("PutItem", &error)),
        }
    }
}

/// The part of the backlog that this minute reads: all of it, or after a long outage, or behind an item that cannot be done, one stretch
/// after the other, so that every hour comes again. Tells whether it is the first stretch.
fn stretch(backlog: Range<i64>, now_s: i64) -> (Range<i64>, bool) {
    let stretches = (backlog.end - backlog.start + HOURS_PER_TICK_MAX - 1).div_euclid(HOURS_PER_TICK_MAX).max(1);
    let turn = now_s.div_euclid(60).rem_euclid(stretches);
    let from = backlog.start + turn * HOURS_PER_TICK_MAX;
    (from..backlog.end.min(from + HOURS_PER_TICK_MAX), turn == 0)
}

pub(crate) fn read_due(item: &Item) -> Result<ReservationId, StoreError> {
    Reader(item).parsed(keys::PK, |pk| ReservationId::from_code(pk.strip_prefix("R#")?).ok())
}
