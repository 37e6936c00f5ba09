//! What is about to happen: stays that begin or end in the next minutes, found in the due index without a write per booking.
//!
//! The index knows when a driver who does not come is given up on and when a claim ends. The start and the booked end lie a grace or a
//! buffer before that, which is the lot's policy at the time of writing. Every distance that any lot ever had is remembered, and for each the
//! index is read where the times in question would be.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use futures::future::try_join_all;
use parkade_domain::ids::ReservationId;
use parkade_domain::lot::Lot;
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::DueKind;
use parkade_domain::time::Minute;

use crate::attributes::{Item, Reader, keyed, number, text};
use crate::error::{StoreError, classify};
use crate::keys::{self, DUE_SHARDS};
use crate::sweeps::read_due;
use crate::{Store, transact};

impl Store {
    /// The reservations of a kind whose time may lie in `(after, until]`: the awaited start for [`DueKind::NoShow`], the booked end for
    /// [`DueKind::Overstay`]. Some have another time; the record decides.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn soon(&self, kind: DueKind, after: Minute, until: Minute) -> Result<Vec<ReservationId>, StoreError> {
        let mut found = Vec::new();
        for offset in self.offsets(kind).await? {
            let (from_s, to_s) = (after.plus(offset + 1).epoch_s(), until.plus(offset).epoch_s());
            for hour in from_s.div_euclid(3_600)..=to_s.div_euclid(3_600) {
                let shards = (0..DUE_SHARDS).map(|shard| keys::due_partition(kind, hour, shard));
                let reads = shards.map(|partition| self.due_between(partition, from_s, to_s));
                found.extend(try_join_all(reads).await?.into_iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    async fn due_between(&self, partition: String, from_s: i64, to_s: i64) -> Result<Vec<ReservationId>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .index_name(keys::DUE)
            .key_condition_expression("du = :du AND ds BETWEEN :from AND :to")
            .expression_attribute_values(":du", text(partition))
            .expression_attribute_values(":from", number(from_s))
            .expression_attribute_values(":to", number(to_s));
        // All pages: what is not read now is not looked at again.
        let mut items = query.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(item) = items.next().await {
            found.push(read_due(&item.map_err(|error| classify("Query", &error))?)?);
        }
        Ok(found)
    }

    /// The distances in minutes, without repetitions. A lot that was stored before they were noted has the policy's default.
    async fn offsets(&self, kind: DueKind) -> Result<Vec<i64>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.derived)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::offset_partition(kind)));
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let minutes = |item: &Item| Reader(item).parsed(keys::SK, |text| text.parse().ok());
        let mut offsets = answer.items().iter().map(minutes).collect::<Result<Vec<i64>, _>>()?;
        offsets.extend(offset(kind, &LotPolicy::default()).map(i64::from));
        offsets.sort_unstable();
        offsets.dedup();
        Ok(offsets)
    }

    /// The writes that note a lot's distances, for the transaction that stores its policy. Unconditional: they are always the same.
    pub(crate) fn note_offsets(&self, lot: &Lot) -> Result<Vec<TransactWriteItem>, StoreError> {
        let note = |kind| {
            let offset = offset(kind, &lot.policy)?;
            let item = keyed(keys::offset_partition(kind), keys::offset_sort(offset));
            Some(Put::builder().table_name(&self.tables.derived).set_item(Some(item)).build())
        };
        let notes = [DueKind::NoShow, DueKind::Overstay].into_iter().filter_map(note);
        notes
            .map(|put| match put {
                Ok(put) => Ok(TransactWriteItem::builder().put(put).build()),
                Err(error) => Err(StoreError::Refused { operation: "Put", cause: error.to_string() }),
            })
            .collect()
    }

    /// The minute up to which drivers were reminded, at the last run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reminded_until(&self) -> Result<Option<Minute>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.tables.derived)
            .set_key(Some(keyed(keys::REMINDED, keys::RESERVATION_SORT)));
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        let minute = answer.item.as_ref().map_or(Ok(None), |item| Reader(item).number_maybe("m"))?;
        Ok(minute.map(Minute))
    }

    /// Notes that drivers were reminded up to `minute`. Forward only, so that a slow run never undoes a later one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_reminded_until(&self, minute: Minute) -> Result<(), StoreError> {
        let mut item: Item = keyed(keys::REMINDED, keys::RESERVATION_SORT);
        item.insert("m".to_owned(), number(minute.0));
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.derived)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(m) OR m < :m")
            .expression_attribute_values(":m", number(minute.0));
        transact::put(put).await.map(drop)
    }
}

/// Minutes from a time that drivers know to the due instant of a kind.
fn offset(kind: DueKind, policy: &LotPolicy) -> Option<u32> {
    match kind {
        DueKind::HoldExpiry => None,
        DueKind::NoShow => Some(policy.no_show_grace_minutes),
        DueKind::Overstay => Some(policy.turnover_buffer_minutes),
    }
}
