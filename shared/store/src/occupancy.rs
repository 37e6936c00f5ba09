//! How full a lot is on a day, recomputed from its calendar, never counted up or down: so it heals itself.

use parkade_domain::claims::entries;
use parkade_domain::geometry::Page;
use parkade_domain::ids::LotId;
use parkade_domain::time::{DAY_MINUTES, Minute};
use parkade_domain::vehicle::VehicleClass;

use crate::attributes::{Item, Reader, SCHEMA, bytes, keyed, number};
use crate::error::classify;
use crate::keys::{self, TTL};
use crate::{Store, StoreError, calendar};

/// Hours of a day.
const HOURS: usize = 24;
/// Seconds after the day's end at which the item may be deleted.
const KEPT_S: i64 = 7 * 86_400;
const SCHEMA_VERSION: i64 = 1;

/// One lot and one page of its calendar: what a calendar change dirties.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LotPage {
    /// The lot.
    pub lot: LotId,
    /// The page.
    pub page: u32,
}

/// The free spots of one lot during one day, by hour and class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotDay {
    /// The lot.
    pub lot: LotId,
    /// Days since 1970, counted from the lot's page boundary.
    pub day: u32,
    /// Spots that the lot had when they were counted.
    pub spots: u16,
    /// When hour 0 begins.
    pub starts: Minute,
    /// Per hour and size class (motorcycle, compact, standard, large): spots of that size that are free for the whole hour.
    pub free: [[u16; 4]; HOURS],
}

/// Reads which lot and page a calendar item's key names; `None` for any other item.
#[must_use]
pub fn lot_page(partition: &str, sort: &str) -> Option<LotPage> {
    let (lot, _group) = partition.rsplit_once('#')?;
    let (page, _tile) = sort.split_once('#')?;
    Some(LotPage { lot: LotId::new(lot).ok()?, page: page.parse().ok()? })
}

impl LotDay {
    /// Spots free for every hour that `[from, until)` touches, counting larger spots for a smaller class (I2).
    #[must_use]
    pub fn free_for(&self, class: VehicleClass, from: Minute, until: Minute) -> u16 {
        self.least(usize::from(class.rank()), from, until)
    }

    /// Spots of any size free for every hour that `[from, until)` touches.
    #[must_use]
    pub fn free_on(&self, from: Minute, until: Minute) -> u16 {
        self.least(0, from, until)
    }

    fn least(&self, smallest: usize, from: Minute, until: Minute) -> u16 {
        let hour = |minute: Minute| (minute.0 - self.starts.0).clamp(0, DAY_MINUTES - 1) / 60;
        let (first, last) = (hour(from), hour(until.plus(-1)));
        let fitting = |hour: &[u16; 4]| -> u16 { hour.iter().skip(smallest).sum() };
        let skip = usize::try_from(first).unwrap_or(0);
        let take = usize::try_from(last - first + 1).unwrap_or(0);
        self.free.iter().skip(skip).take(take).map(fitting).min().unwrap_or(0)
    }
}

impl Store {
    /// Recomputes the days of one calendar page from the calendar and stores them. Running it twice, or late, or out of order gives the
    /// same items, because it reads the truth each time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recompute_occupancy(&self, page: &LotPage, now_s: i64) -> Result<Vec<LotDay>, StoreError> {
        let Some(facts) = self.lot(&page.lot).await? else { return Ok(Vec::new()) };
        let geometry = facts.lot.geometry;
        let groups = facts.directory.groups();
        let key = Page(page.page);
        let (table, lot) = (&self.tables.calendar, &facts.lot.id);
        let view = calendar::read_pages(&self.client, table, lot, geometry, groups, &[key]).await?;
        let days = usize::try_from(geometry.page_minutes() / DAY_MINUTES).unwrap_or(1);
        let mut free = vec![[[0_u16; 4]; HOURS]; days];
        for spot in &facts.directory.spots {
            let stored = view.stored(spot.index, key).unwrap_or_default();
            let taken = taken_hours(stored, days, now_s).ok_or_else(|| StoreError::Corrupt {
                key: lot.to_string(),
                why: format!("claims of spot {}", spot.number),
            })?;
            let hours = free.iter_mut().flatten();
            for (hour, taken) in hours.zip(taken) {
                if let (false, Some(count)) = (taken, hour.get_mut(usize::from(spot.size.rank()))) {
                    *count += 1;
                }
            }
        }
        let spots = u16::try_from(facts.directory.spots.len()).unwrap_or(u16::MAX);
        let origin = geometry.page_start(key);
        let mut stored = Vec::with_capacity(days);
        for (n, free) in (0..).zip(free) {
            let starts = origin.plus(n * DAY_MINUTES);
            let day = u32::try_from((starts.0 - geometry.offset_minutes).div_euclid(DAY_MINUTES)).unwrap_or(0);
            let lot_day = LotDay { lot: facts.lot.id.clone(), day, spots, starts, free };
            self.put_day(&lot_day).await?;
            stored.push(lot_day);
        }
        Ok(stored)
    }

    async fn put_day(&self, day: &LotDay) -> Result<(), StoreError> {
        let mut item: Item = keyed(keys::occupancy_partition(&day.lot), format!("{:05}", day.day));
        item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
        item.insert("at".to_owned(), number(day.starts.0));
        item.insert("n".to_owned(), number(day.spots));
        let packed: Vec<u8> = day.free.iter().flatten().flat_map(|count| count.to_be_bytes()).collect();
        item.insert("f".to_owned(), bytes(packed));
        item.insert(TTL.to_owned(), number(day.starts.epoch_s() + DAY_MINUTES * 60 + KEPT_S));
        // Unconditional: the value is recomputed from the truth, and the stream calls again after every later change.
        let put = self.client.put_item().table_name(&self.tables.derived).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| classify("PutItem", &error))
    }

    /// The stored occupancy of lots on the day that contains `minute`; lots without one are left out (nothing is booked there yet).
    /// Half a read unit per lot and day.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn occupancy(&self, lots: &[(LotId, u32)]) -> Result<Vec<LotDay>, StoreError> {
        if lots.is_empty() {
            return Ok(Vec::new());
        }
        let keys = lots.iter().map(|(lot, day)| keyed(keys::occupancy_partition(lot), format!("{day:05}"))).collect();
        let found = calendar::batch_get(&self.client, &self.tables.derived, keys, false).await?;
        found.iter().map(read_day).collect()
    }
}

/// Which hours of a page have a live claim; `None` if the value cannot be read.
fn taken_hours(stored: &[u8], days: usize, now_s: i64) -> Option<Vec<bool>> {
    let mut taken = vec![false; days * HOURS];
    for claim in entries(stored).ok()? {
        let claim = claim.ok()?;
        if claim.is_live(now_s) {
            let (first, last) = (usize::from(claim.start / 60), usize::from((claim.end - 1) / 60));
            taken.iter_mut().skip(first).take(last - first + 1).for_each(|hour| *hour = true);
        }
    }
    Some(taken)
}

fn read_day(item: &Item) -> Result<LotDay, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let (counts, _) = reader.bytes("f")?.as_chunks::<2>();
    let mut free = [[0_u16; 4]; HOURS];
    for (slot, count) in free.iter_mut().flatten().zip(counts) {
        *slot = u16::from_be_bytes(*count);
    }
    Ok(LotDay {
        lot: reader.parsed(keys::PK, |pk| LotId::new(pk.strip_prefix("OCC#")?).ok())?,
        day: reader.parsed(keys::SK, |sk| sk.parse().ok())?,
        spots: reader.number_maybe("n")?.unwrap_or(0),
        starts: Minute(reader.number("at")?),
        free,
    })
}
