//! Lots and their spots. They are read through a small memory cache and are never part of a reservation's transaction:
//! a shared item there would make every client of a lot wait for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use parkade_domain::ids::{CalendarVersion, LotId, TariffVersion};
use parkade_domain::lot::{Directory, DirectoryError, Lot, NewSpot, UPCOMING_MAX};
use parkade_domain::tariff::{LotCalendar, Tariff};
use parkade_domain::time::Minute;
use thiserror::Error;

use crate::attributes::{Item, keyed, number, text};
use crate::error::{StoreError, classify};
use crate::items::lot as items;
use crate::keys::{self, CELL_MICRODEGREES};
use crate::transact::{self, Outcome};
use crate::{Store, calendar};

/// How long an instance trusts what it read of a lot. A change of policy or spots is felt everywhere after this; prices stay right
/// meanwhile because tariff versions never change, and spots because an index is never reused.
pub const LOT_CACHE_S: u64 = 10;

/// A lot with its spots.
#[derive(Debug, Clone)]
pub struct LotFacts {
    /// The lot.
    pub lot: Lot,
    /// Its spots.
    pub directory: Directory,
}

/// Why a lot could not be stored.
#[derive(Debug, Error)]
pub enum LotError {
    /// There is no such lot.
    #[error("there is no such lot")]
    UnknownLot,
    /// The lot is not at the version the client named, or somebody else changed it at the same time.
    #[error("the lot has changed; it is at version {current}")]
    VersionMismatch {
        /// The stored version; 0 = not stored.
        current: u32,
    },
    /// Zone, currency and geometry are what stored claims and prices mean: they cannot change.
    #[error("{field} of a lot cannot change")]
    Immutable {
        /// The field of the request.
        field: &'static str,
    },
    /// A new lot needs a tariff.
    #[error("a new lot needs a tariff")]
    TariffRequired,
    /// The lot has no tariff of this version.
    #[error("the lot has no tariff of this version")]
    UnknownTariff,
    /// More publications wait than a lot can have.
    #[error("at most {UPCOMING_MAX} tariffs can wait to come into force")]
    TooManyUpcoming,
    /// A tariff that is in force cannot be withdrawn; another one can be published.
    #[error("the tariff is in force")]
    InForce,
    /// The spots are refused.
    #[error("the spots are refused")]
    Directory(#[source] DirectoryError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

/// The documents of a lot that are kept in versions; `None` leaves the one in force as it is.
#[derive(Debug, Clone, Default)]
pub struct LotDocuments {
    /// What a stay costs.
    pub tariff: Option<Tariff>,
    /// Holidays and events.
    pub calendar: Option<LotCalendar>,
}

/// What one instance remembers of lots.
#[derive(Debug, Default)]
pub(crate) struct LotCache {
    facts: Mutex<HashMap<LotId, (Instant, Arc<LotFacts>)>>,
    pub(crate) tariffs: Mutex<HashMap<(LotId, TariffVersion), Arc<Tariff>>>,
    pub(crate) calendars: Mutex<HashMap<(LotId, CalendarVersion), Arc<LotCalendar>>>,
    /// The calendar of lots that have none.
    pub(crate) ordinary: Arc<LotCalendar>,
}

impl Store {
    /// A lot with its spots; `None` if there is no such lot. At most [`LOT_CACHE_S`] old.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lot(&self, id: &LotId) -> Result<Option<Arc<LotFacts>>, StoreError> {
        let fresh = |(at, facts): &(Instant, Arc<LotFacts>)| {
            (at.elapsed() < Duration::from_secs(LOT_CACHE_S)).then(|| Arc::clone(facts))
        };
        let known = self.lots.facts.lock().unwrap_or_else(PoisonError::into_inner).get(id).and_then(fresh);
        if known.is_some() {
            return Ok(known);
        }
        let Some(facts) = self.read_lot(id).await?.map(Arc::new) else { return Ok(None) };
        self.lots
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), (Instant::now(), Arc::clone(&facts)));
        Ok(Some(facts))
    }

    pub(crate) async fn read_lot(&self, id: &LotId) -> Result<Option<LotFacts>, StoreError> {
        let key = |sort| keyed(keys::lot_partition(id), sort);
        let wanted = vec![key(keys::LOT_META), key(keys::LOT_DIRECTORY)];
        let found = calendar::batch_get(&self.client, &self.tables.records, wanted, true).await?;
        let item = |sort: &str| found.iter().find(|item| item.get(keys::SK) == Some(&text(sort)));
        let Some(meta) = item(keys::LOT_META) else { return Ok(None) };
        let directory = item(keys::LOT_DIRECTORY).map(items::read_directory).transpose()?.unwrap_or_default();
        Ok(Some(LotFacts { lot: items::read_meta(meta)?, directory }))
    }

    /// Creates or replaces a lot. A document that differs from the one in force becomes its next version, in force at once; every
    /// version number is set here. `expected` is the version the client has seen, if it says so.
    ///
    /// # Errors
    /// [`LotError`]; [`LotError::TariffRequired`] for a new lot without one.
    pub async fn put_lot(
        &self,
        lot: Lot,
        documents: LotDocuments,
        expected: Option<u32>,
        now_s: i64,
    ) -> Result<Lot, LotError> {
        let stored = self.read_lot(&lot.id).await.map_err(LotError::Store)?;
        let current = stored.as_ref().map_or(0, |facts| facts.lot.version);
        if expected.is_some_and(|expected| expected != current) {
            return Err(LotError::VersionMismatch { current });
        }
        if stored.is_none() && documents.tariff.is_none() {
            return Err(LotError::TariffRequired);
        }
        let mut next = Lot { version: current + 1, ..lot };
        let mut writes = Vec::new();
        if let Some(facts) = &stored {
            let before = facts.lot.clone().settled_at(Minute(now_s.div_euclid(60)));
            immutable(&before, &next)?;
            if geo_key(&before) != geo_key(&next) {
                writes.push(self.forget_position(&before)?);
            }
            (next.geometry, next.tariff, next.upcoming) = (before.geometry, before.tariff, before.upcoming);
            (next.newest_tariff, next.calendar) = (before.newest_tariff, before.calendar);
        }
        writes.extend(self.write_documents(&mut next, documents, now_s).await?);
        writes.push(
            self.put(items::write_meta(&next).map_err(LotError::Store)?, version(current)).map_err(LotError::Store)?,
        );
        writes.push(self.write_position(&next)?);
        writes.extend(self.note_offsets(&next).map_err(LotError::Store)?);
        match transact::write(&self.client, writes).await.map_err(LotError::Store)? {
            Outcome::Committed => {
                self.forget(&next.id);
                Ok(next)
            }
            Outcome::Cancelled(_) => self.lot_moved(&next).await,
        }
    }

    /// The versions that new documents become, and the lot that refers to them.
    async fn write_documents(
        &self,
        next: &mut Lot,
        documents: LotDocuments,
        now_s: i64,
    ) -> Result<Vec<TransactWriteItem>, LotError> {
        let mut writes = Vec::new();
        if let Some(tariff) = documents.tariff {
            let known = match next.tariff {
                TariffVersion(0) => None,
                current => Some(self.tariff(&next.id, current).await.map_err(LotError::Store)?),
            };
            if known.is_none_or(|known| *known != tariff.clone().at_version(next.tariff)) {
                next.newest_tariff = TariffVersion(next.newest_tariff.0 + 1);
                next.tariff = next.newest_tariff;
                let from = Some(Minute(now_s.div_euclid(60)));
                let item = items::write_tariff(&next.id, &tariff.at_version(next.tariff), now_s, from);
                writes.push(self.put(item.map_err(LotError::Store)?, None).map_err(LotError::Store)?);
            }
        }
        if let Some(calendar) = documents.calendar {
            let known = self.lot_calendar(&next.id, next.calendar).await.map_err(LotError::Store)?;
            if *known != calendar {
                next.calendar = CalendarVersion(next.calendar.0 + 1);
                let item = items::write_calendar(&next.id, next.calendar, &calendar);
                writes.push(self.put(item.map_err(LotError::Store)?, None).map_err(LotError::Store)?);
            }
        }
        Ok(writes)
    }

    /// The lot changed between our read and our write; our own lost first try counts as success.
    async fn lot_moved(&self, wanted: &Lot) -> Result<Lot, LotError> {
        let stored = self.read_lot(&wanted.id).await.map_err(LotError::Store)?;
        match stored {
            Some(facts) if facts.lot == *wanted => {
                self.forget(&wanted.id);
                Ok(facts.lot)
            }
            other => Err(LotError::VersionMismatch { current: other.map_or(0, |facts| facts.lot.version) }),
        }
    }

    /// Registers spots or changes the facts of known ones, all or none, in one write.
    ///
    /// # Errors
    /// [`LotError`].
    pub async fn put_spots(&self, lot: &LotId, spots: Vec<NewSpot>) -> Result<Directory, LotError> {
        let facts = self.read_lot(lot).await.map_err(LotError::Store)?.ok_or(LotError::UnknownLot)?;
        let next = facts.directory.with(spots).map_err(LotError::Directory)?;
        let item = items::write_directory(lot, &next);
        let put = self.client.put_item().table_name(&self.tables.records).set_item(Some(item));
        let put = match version(facts.directory.version) {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(v) => put.condition_expression("v = :v").expression_attribute_values(":v", number(v)),
        };
        if !transact::put(put).await.map_err(LotError::Store)? {
            let stored = self.read_lot(lot).await.map_err(LotError::Store)?.ok_or(LotError::UnknownLot)?;
            if stored.directory != next {
                return Err(LotError::VersionMismatch { current: stored.directory.version });
            }
        }
        self.forget(lot);
        Ok(next)
    }

    /// Lots whose position lies in the cells that cover a box, in millionths of a degree. The caller measures distances.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lots_in_box(&self, latitude: [i64; 2], longitude: [i64; 2]) -> Result<Vec<LotPosition>, StoreError> {
        let cells = |[from, until]: [i64; 2]| from.div_euclid(CELL_MICRODEGREES)..=until.div_euclid(CELL_MICRODEGREES);
        let mut partitions = Vec::new();
        for row in cells(latitude) {
            partitions.extend(cells(longitude).map(|column| keys::geo_partition(row, column)));
        }
        let reads = partitions.into_iter().map(|partition| self.query_partition(partition));
        let found = futures::future::try_join_all(reads).await?;
        found.iter().flatten().map(read_position).collect()
    }

    async fn query_partition(&self, partition: String) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(partition));
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        Ok(answer.items.unwrap_or_default())
    }

    /// The positions index follows the lot in the same transaction, so it can never name a lot that is not there.
    fn write_position(&self, lot: &Lot) -> Result<TransactWriteItem, LotError> {
        let (partition, sort) = geo_key(lot);
        let mut item = keyed(partition, sort);
        item.insert("lat".to_owned(), number(lot.latitude_microdegrees));
        item.insert("lon".to_owned(), number(lot.longitude_microdegrees));
        item.insert("name".to_owned(), text(lot.name.as_str()));
        item.insert("off".to_owned(), number(lot.geometry.offset_minutes));
        // Unconditional: the lot's own version, in the same transaction, orders the writes.
        let put = Put::builder().table_name(&self.tables.records).set_item(Some(item)).build();
        put.map(|put| TransactWriteItem::builder().put(put).build()).map_err(|error| refused(&error))
    }

    fn forget_position(&self, lot: &Lot) -> Result<TransactWriteItem, LotError> {
        let (partition, sort) = geo_key(lot);
        let delete = aws_sdk_dynamodb::types::Delete::builder()
            .table_name(&self.tables.records)
            .set_key(Some(keyed(partition, sort)))
            .build();
        delete.map(|delete| TransactWriteItem::builder().delete(delete).build()).map_err(|error| refused(&error))
    }

    pub(crate) fn forget(&self, lot: &LotId) {
        self.lots.facts.lock().unwrap_or_else(PoisonError::into_inner).remove(lot);
    }
}

/// A lot as the position index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotPosition {
    /// The lot.
    pub lot: LotId,
    /// Its name.
    pub name: String,
    /// Millionths of a degree.
    pub latitude_microdegrees: i32,
    /// Millionths of a degree.
    pub longitude_microdegrees: i32,
    /// Minutes after midnight UTC at which its days begin, as stored with the lot: a newer zone database must not move them.
    pub day_offset_minutes: i64,
}

fn read_position(item: &Item) -> Result<LotPosition, StoreError> {
    let reader = crate::attributes::Reader(item);
    Ok(LotPosition {
        lot: reader.parsed(keys::SK, |sk| LotId::new(sk).ok())?,
        name: reader.text("name")?.to_owned(),
        latitude_microdegrees: reader.number("lat")?,
        longitude_microdegrees: reader.number("lon")?,
        day_offset_minutes: reader.number("off")?,
    })
}

fn geo_key(lot: &Lot) -> (String, String) {
    let cell = |degrees: i32| i64::from(degrees).div_euclid(CELL_MICRODEGREES);
    (keys::geo_partition(cell(lot.latitude_microdegrees), cell(lot.longitude_microdegrees)), lot.id.to_string())
}

fn version(current: u32) -> Option<u32> {
    (current > 0).then_some(current)
}

pub(crate) fn refused(error: &impl std::fmt::Display) -> LotError {
    LotError::Store(StoreError::Refused { operation: "build", cause: error.to_string() })
}

fn immutable(before: &Lot, after: &Lot) -> Result<(), LotError> {
    let changed = [
        ("time_zone", before.zone != after.zone),
        ("currency", before.currency != after.currency),
        ("geometry", before.geometry.shape != after.geometry.shape),
        ("kind", before.kind != after.kind),
    ];
    match changed.into_iter().find(|(_, changed)| *changed) {
        Some((field, _)) => Err(LotError::Immutable { field }),
        None => Ok(()),
    }
}
