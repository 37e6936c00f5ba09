//! A lot's versioned documents: tariffs, drafts included, and calendars of holidays and events. A version never changes (P7); which
//! tariff is in force from when is part of the lot, so a publication is one conditional write of it.

use std::sync::{Arc, PoisonError};

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use parkade_domain::ids::{CalendarVersion, LotId, TariffVersion};
use parkade_domain::lot::{Lot, UPCOMING_MAX};
use parkade_domain::tariff::{LotCalendar, Tariff};
use parkade_domain::time::Minute;

use crate::attributes::{keyed, number, text};
use crate::error::classify;
use crate::items::lot as items;
use crate::lots::{LotError, refused};
use crate::search::Listing;
use crate::transact::{self, Outcome};
use crate::{Store, StoreError, calendar, keys};

/// Rounds of planning when another operator changes the lot between read and write.
const TRIES_MAX: u32 = 6;

/// A tariff version as a list shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TariffSummary {
    /// The version.
    pub version: TariffVersion,
    /// Epoch second of the upload.
    pub created_at_s: i64,
    /// When it first came or comes into force; `None` for a draft, or if another one took its place before.
    pub published_from: Option<Minute>,
}

impl Store {
    /// One version of a lot's tariff, remembered for good: versions never change (P7).
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the version a reservation names is not there.
    pub async fn tariff(&self, lot: &LotId, version: TariffVersion) -> Result<Arc<Tariff>, StoreError> {
        self.tariff_maybe(lot, version).await?.ok_or_else(|| StoreError::Corrupt {
            key: format!("{} {}", keys::lot_partition(lot), keys::tariff_sort(version)),
            why: "the tariff version is missing".to_owned(),
        })
    }

    /// One version of a lot's tariff, if there is one of that number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tariff_maybe(&self, lot: &LotId, version: TariffVersion) -> Result<Option<Arc<Tariff>>, StoreError> {
        let key = (lot.clone(), version);
        let known = self.lots.tariffs.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let wanted = vec![keyed(keys::lot_partition(lot), keys::tariff_sort(version))];
        let found = calendar::batch_get(&self.client, &self.tables.records, wanted, true).await?;
        let Some(item) = found.first() else { return Ok(None) };
        let tariff = Arc::new(items::read_tariff(item)?);
        self.lots.tariffs.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&tariff));
        Ok(Some(tariff))
    }

    /// One version of a lot's calendar, remembered for good; version 0 is a calendar of ordinary days and is not stored.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the version a reservation names is not there.
    pub async fn lot_calendar(&self, lot: &LotId, version: CalendarVersion) -> Result<Arc<LotCalendar>, StoreError> {
        if version == CalendarVersion::default() {
            return Ok(Arc::clone(&self.lots.ordinary));
        }
        let key = (lot.clone(), version);
        let known = self.lots.calendars.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let sort = keys::lot_calendar_sort(version);
        let wanted = vec![keyed(keys::lot_partition(lot), sort.as_str())];
        let found = calendar::batch_get(&self.client, &self.tables.records, wanted, true).await?;
        let missing = || StoreError::Corrupt {
            key: format!("{} {sort}", keys::lot_partition(lot)),
            why: "the calendar version is missing".to_owned(),
        };
        let read = Arc::new(items::read_calendar(found.first().ok_or_else(missing)?)?);
        self.lots.calendars.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&read));
        Ok(read)
    }

    /// Stores a draft as the lot's next version. The same document as the newest version is that version again, so a retry stores
    /// nothing new. Returns the version and whether it is new.
    ///
    /// # Errors
    /// [`LotError`].
    pub async fn draft_tariff(
        &self,
        lot: &LotId,
        tariff: &Tariff,
        now_s: i64,
    ) -> Result<(TariffVersion, bool), LotError> {
        for _ in 0..TRIES_MAX {
            let stored = self.current(lot).await?;
            let newest = stored.newest_tariff;
            if *self.tariff(lot, newest).await.map_err(LotError::Store)? == tariff.clone().at_version(newest) {
                return Ok((newest, false));
            }
            let version = TariffVersion(newest.0 + 1);
            let item = items::write_tariff(lot, &tariff.clone().at_version(version), now_s, None);
            let draft = self.put(item.map_err(LotError::Store)?, None).map_err(LotError::Store)?;
            if self.replace(&stored, Lot { newest_tariff: version, ..stored.clone() }, vec![draft]).await?.is_some() {
                return Ok((version, true));
            }
        }
        Err(contended())
    }

    /// Lets new bookings get a version from an instant on; the present or earlier means now. Publishing it again for the same instant
    /// changes nothing. `expected` is the lot's version that the client has seen, if it says so.
    ///
    /// # Errors
    /// [`LotError::UnknownTariff`], [`LotError::TooManyUpcoming`], [`LotError::VersionMismatch`], or the store's.
    pub async fn publish_tariff(
        &self,
        lot: &LotId,
        version: TariffVersion,
        from: Minute,
        expected: Option<u32>,
        now_s: i64,
    ) -> Result<Lot, LotError> {
        let change = |lot: Lot, now| Ok(lot.publishing(version, from, now));
        self.change_publications(lot, version, change, expected, now_s).await
    }

    /// Takes back the publications of a version that have not come into force; none is no error, so a retry changes nothing.
    ///
    /// # Errors
    /// [`LotError::UnknownTariff`], [`LotError::InForce`] if the version is in force and waits for nothing, [`LotError::VersionMismatch`],
    /// or the store's.
    pub async fn withdraw_tariff(
        &self,
        lot: &LotId,
        version: TariffVersion,
        expected: Option<u32>,
        now_s: i64,
    ) -> Result<Lot, LotError> {
        let change = |lot: Lot, now| {
            let mut next = lot.settled_at(now);
            if next.tariff == version && next.upcoming.iter().all(|waiting| waiting.version != version) {
                return Err(LotError::InForce);
            }
            next.upcoming.retain(|waiting| waiting.version != version);
            Ok(next)
        };
        self.change_publications(lot, version, change, expected, now_s).await
    }

    /// Writes what `change` makes of the lot's publications, and what it means for the versions' own notes.
    async fn change_publications(
        &self,
        lot: &LotId,
        version: TariffVersion,
        change: impl Fn(Lot, Minute) -> Result<Lot, LotError>,
        expected: Option<u32>,
        now_s: i64,
    ) -> Result<Lot, LotError> {
        let now = Minute(now_s.div_euclid(60));
        for _ in 0..TRIES_MAX {
            let stored = self.current(lot).await?;
            if version == TariffVersion(0) || version > stored.newest_tariff {
                return Err(LotError::UnknownTariff);
            }
            let before = stored.clone().settled_at(now);
            let next = change(stored.clone(), now)?;
            if next == before {
                return Ok(next);
            }
            if expected.is_some_and(|expected| expected != stored.version) {
                return Err(LotError::VersionMismatch { current: stored.version });
            }
            if next.upcoming.len() > UPCOMING_MAX {
                return Err(LotError::TooManyUpcoming);
            }
            let notes = self.notes(&before, &next, now).await?;
            if let Some(stored) = self.replace(&stored, next, notes).await? {
                return Ok(stored);
            }
        }
        Err(contended())
    }

    /// When versions whose publications changed first came or come into force. For lists and receipts; what is in force is the lot's word,
    /// in the same transaction.
    async fn notes(&self, before: &Lot, next: &Lot, now: Minute) -> Result<Vec<TransactWriteItem>, LotError> {
        let waiting = |lot: &Lot| lot.upcoming.iter().map(|waiting| waiting.version).collect::<Vec<_>>();
        let mut versions = [waiting(before), waiting(next), vec![before.tariff, next.tariff]].concat();
        versions.sort_unstable();
        versions.dedup();
        let mut notes = Vec::new();
        for version in versions {
            let noted = self.summary(&next.id, version).await.map_err(LotError::Store)?;
            let first_waiting =
                next.upcoming.iter().find(|waiting| waiting.version == version).map(|waiting| waiting.from);
            let from = match noted.and_then(|noted| noted.published_from) {
                Some(past) if past <= now => Some(past),
                _ if next.tariff == version => Some(now),
                _ => first_waiting,
            };
            if from != noted.and_then(|noted| noted.published_from) {
                notes.push(self.note_publication(&next.id, version, from)?);
            }
        }
        Ok(notes)
    }

    /// A version as a list shows it, if there is one of that number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn summary(&self, lot: &LotId, version: TariffVersion) -> Result<Option<TariffSummary>, StoreError> {
        let page = self.tariffs(lot, Some(TariffVersion(version.0.saturating_add(1))), 1).await?;
        Ok(page.items.first().copied().filter(|summary| summary.version == version))
    }

    /// A lot's tariff versions, newest first. `before` is the number that the last page ended with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tariffs(
        &self,
        lot: &LotId,
        before: Option<TariffVersion>,
        limit: i32,
    ) -> Result<Listing<TariffSummary>, StoreError> {
        let newest = TariffVersion(before.map_or(u32::MAX, |version| version.0.saturating_sub(1)));
        if newest == TariffVersion(0) {
            return Ok(Listing { items: Vec::new(), next: None });
        }
        let until = keys::tariff_sort(newest);
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :until")
            .projection_expression("pk, sk, ca, pf")
            .expression_attribute_values(":pk", text(keys::lot_partition(lot)))
            .expression_attribute_values(":first", text(keys::tariff_sort(TariffVersion(1))))
            .expression_attribute_values(":until", text(until))
            .consistent_read(true)
            .scan_index_forward(false)
            .limit(limit);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let items: Vec<TariffSummary> = answer.items().iter().map(items::read_summary).collect::<Result<_, _>>()?;
        let more = answer.last_evaluated_key.is_some();
        let next = items.last().filter(|last| more && last.version.0 > 1).map(|last| last.version.0.to_string());
        Ok(Listing { items, next })
    }

    async fn current(&self, lot: &LotId) -> Result<Lot, LotError> {
        Ok(self.read_lot(lot).await.map_err(LotError::Store)?.ok_or(LotError::UnknownLot)?.lot)
    }

    /// Writes the lot's next version with what goes along; `None` if somebody else changed the lot meanwhile.
    async fn replace(
        &self,
        stored: &Lot,
        next: Lot,
        mut writes: Vec<TransactWriteItem>,
    ) -> Result<Option<Lot>, LotError> {
        let next = Lot { version: stored.version + 1, ..next };
        let meta = items::write_meta(&next).and_then(|item| self.put(item, Some(stored.version)));
        writes.push(meta.map_err(LotError::Store)?);
        let outcome = transact::write(&self.client, writes).await;
        // Also if it failed: it may have been done all the same, or somebody else has changed the lot.
        self.forget(&next.id);
        match outcome.map_err(LotError::Store)? {
            Outcome::Committed => Ok(Some(next)),
            Outcome::Cancelled(_) => Ok(None),
        }
    }

    /// Notes on a version from when it was published. For lists only: what is in force is the lot's word, in the same transaction.
    fn note_publication(
        &self,
        lot: &LotId,
        version: TariffVersion,
        from: Option<Minute>,
    ) -> Result<TransactWriteItem, LotError> {
        let update = Update::builder()
            .table_name(&self.tables.records)
            .set_key(Some(keyed(keys::lot_partition(lot), keys::tariff_sort(version))))
            .condition_expression("attribute_exists(pk)");
        let update = match from {
            Some(from) => {
                update.update_expression("SET pf = :from").expression_attribute_values(":from", number(from.0))
            }
            None => update.update_expression("REMOVE pf"),
        };
        let update = update.build().map_err(|error| refused(&error))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn contended() -> LotError {
    let cause = "the lot changed faster than the command could be planned".to_owned();
    LotError::Store(StoreError::Unavailable { operation: "tariffs", cause })
}
