//! From images of the records' stream to entries of the books: what the mapping needs besides the images is read here.

use std::collections::BTreeMap;

use parkade_domain::ids::{LotId, ReservationId};
use parkade_domain::payment::Payment;
use parkade_domain::reservation::Reservation;
use parkade_domain::till::Count;
use parkade_ledger::{Entry, EntryError, Place, changes_books, money_moved, of_count, of_payment, of_stay};

use crate::attributes::{Reader, keyed};
use crate::error::classify;
use crate::{CommandError, Image, Store, StoreError, keys};

/// Makes entries of changes. It remembers which lot a reservation belongs to: a payment's item does not say, and the reservation often
/// changes in the same transaction.
#[derive(Debug)]
pub struct Journal<'a> {
    store: &'a Store,
    lots: BTreeMap<ReservationId, LotId>,
}

impl<'a> Journal<'a> {
    /// A journal that has seen nothing.
    #[must_use]
    pub const fn new(store: &'a Store) -> Self {
        Self { store, lots: BTreeMap::new() }
    }

    /// Takes note of an image.
    pub fn see(&mut self, image: &Image) {
        if let Image::Reservation(stay) = image {
            self.lots.insert(stay.id, stay.lot.clone());
        }
    }

    /// The entry of one change; none if the books do not know of it. Reads only if there is one, and what it has not seen.
    ///
    /// # Errors
    /// [`CommandError::Store`]; `Corrupt` also if the record of a payment's reservation, its lot or its tariff is missing.
    pub async fn entry(&mut self, old: &Image, new: &Image) -> Result<Option<Entry>, CommandError> {
        match (old, new) {
            (Image::Reservation(old), Image::Reservation(new)) => self.of_stay(Some(old), new).await,
            (Image::Absent, Image::Reservation(new)) => self.of_stay(None, new).await,
            (Image::Payment(old), Image::Payment(new)) => self.of_payment(Some(old), new).await,
            (Image::Absent, Image::Payment(new)) => self.of_payment(None, new).await,
            (Image::Absent, Image::Count(count)) => self.of_count(count).await,
            // Records are never deleted by a command.
            _ => Ok(None),
        }
    }

    async fn of_stay(&self, old: Option<&Reservation>, new: &Reservation) -> Result<Option<Entry>, CommandError> {
        if !changes_books(old, new) {
            return Ok(None);
        }
        let pricing = self.store.pricing_of(new).await?;
        of_stay(old, new, pricing.rules()).map_err(|error| out_of_range(new.id, &error))
    }

    async fn of_count(&self, count: &Count) -> Result<Option<Entry>, CommandError> {
        let facts = self.store.lot(&count.lot).await?.ok_or(CommandError::UnknownLot)?;
        let place = Place { lot: &count.lot, zone: facts.lot.zone };
        let corrupt = |error: EntryError| StoreError::Corrupt {
            key: keys::count_sort(&count.till, count.number),
            why: error.to_string(),
        };
        Ok(of_count(count, place).map_err(corrupt)?)
    }

    async fn of_payment(&mut self, old: Option<&Payment>, new: &Payment) -> Result<Option<Entry>, CommandError> {
        if old.map_or(0, money_moved) == money_moved(new) {
            return Ok(None);
        }
        let id = new.id.reservation;
        let lot = match self.lots.get(&id) {
            Some(lot) => lot.clone(),
            None => self.store.lot_of(id).await?,
        };
        self.lots.insert(id, lot.clone());
        let facts = self.store.lot(&lot).await?.ok_or(CommandError::UnknownLot)?;
        let place = Place { lot: &lot, zone: facts.lot.zone };
        of_payment(old, new, place).map_err(|error| out_of_range(id, &error))
    }
}

fn out_of_range(id: ReservationId, error: &EntryError) -> CommandError {
    StoreError::Corrupt { key: keys::reservation_partition(id), why: error.to_string() }.into()
}

impl Store {
    /// The lot of a reservation.
    async fn lot_of(&self, id: ReservationId) -> Result<LotId, StoreError> {
        let key = keyed(keys::reservation_partition(id), keys::RESERVATION_SORT);
        let get = self.client.get_item().table_name(&self.tables.records).set_key(Some(key)).consistent_read(true);
        let answer = get.projection_expression("lot").send().await.map_err(|error| classify("GetItem", &error))?;
        let missing = || StoreError::Corrupt {
            key: keys::reservation_partition(id),
            why: "there is a payment and no reservation".to_owned(),
        };
        Reader(&answer.item.ok_or_else(missing)?).parsed("lot", |text| LotId::new(text).ok())
    }
}
