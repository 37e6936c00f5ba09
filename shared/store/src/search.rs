//! Queries: what is free, what is where, whose is what.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use parkade_domain::calendar::FreeSpot;
use parkade_domain::claims::entries;
use parkade_domain::decide::claims_for;
use parkade_domain::ids::{Claimant, LotId, ReservationId, SpotIndex, UserId};
use parkade_domain::reservation::{Reservation, Status};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::Vehicle;

use crate::attributes::{Item, keyed, text};
use crate::error::classify;
use crate::items::reservation as reservation_item;
use crate::lots::LotFacts;
use crate::{Store, StoreError, calendar, keys};

/// Reservations of one plate looked at per read: the current one and its neighbours.
const PLATE_CANDIDATES_MAX: i32 = 10;

/// The free spots of a lot for a vehicle and a window.
#[derive(Debug, Clone)]
pub struct Availability {
    /// The lot.
    pub facts: Arc<LotFacts>,
    /// Fitting and free, best first.
    pub free: Vec<FreeSpot>,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// A spot as it is at one instant: derived, never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotNow {
    /// The spot.
    pub spot: SpotIndex,
    /// Its state.
    pub state: SpotState,
    /// When the claim that makes it so ends.
    pub until: Option<Minute>,
    /// Who claims it.
    pub by: Option<ReservationId>,
}

/// A spot's state at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpotState {
    /// Nobody claims it.
    Available,
    /// Claimed and not paid yet.
    Held,
    /// Claimed for good, and the vehicle is not there.
    Reserved,
    /// The vehicle is there.
    Occupied,
    /// Out of service.
    OutOfService,
}

impl Store {
    /// The free spots of a lot, best fit first; `None` if there is no such lot. One round trip deep, eventually consistent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn search(
        &self,
        lot: &LotId,
        vehicle: Vehicle,
        window: Window,
        now_s: i64,
    ) -> Result<Option<Availability>, StoreError> {
        let Some(facts) = self.lot(lot).await? else { return Ok(None) };
        let claims = claims_for(&facts.lot, &[window]);
        let mut free = self.free_for(&facts, vehicle, &claims, now_s).await?;
        free.sort_by_key(|f| (f.rank, f.slack_minutes, f.spot));
        Ok(Some(Availability { facts, free }))
    }

    pub(crate) async fn free_for(
        &self,
        facts: &LotFacts,
        vehicle: Vehicle,
        claims: &[Window],
        now_s: i64,
    ) -> Result<Vec<FreeSpot>, StoreError> {
        let geometry = facts.lot.geometry;
        let mut pages: Vec<_> = claims.iter().flat_map(|window| geometry.pages(*window)).collect();
        pages.dedup();
        let groups = facts.directory.groups();
        let (table, lot) = (&self.tables.calendar, &facts.lot.id);
        let view = calendar::read_pages(&self.client, table, lot, geometry, groups, &pages).await?;
        let free = view.free(facts.directory.fitting(vehicle), claims, now_s);
        free.map_err(|error| StoreError::Corrupt { key: lot.to_string(), why: error.to_string() })
    }

    /// The state of spots at an instant. Whether a claimed spot is occupied is read from the claiming records.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn spots_now(
        &self,
        facts: &LotFacts,
        spots: &[SpotIndex],
        now_s: i64,
    ) -> Result<Vec<SpotNow>, StoreError> {
        let geometry = facts.lot.geometry;
        let now = Minute(now_s.div_euclid(60));
        let page = geometry.page(now);
        let tiles = spots
            .iter()
            .map(|spot| {
                let key = parkade_domain::calendar::TileKey { page, tile: geometry.tile(*spot) };
                (parkade_domain::geometry::Geometry::group(*spot), key)
            })
            .collect();
        let view = calendar::read_tiles(&self.client, &self.tables.calendar, &facts.lot.id, geometry, &tiles).await?;
        let origin = geometry.page_start(page);
        let at = u16::try_from(now.0 - origin.0).unwrap_or(u16::MAX);
        let mut found = Vec::with_capacity(spots.len());
        for spot in spots {
            let corrupt = |_| StoreError::Corrupt { key: facts.lot.id.to_string(), why: "claims".to_owned() };
            let mut state = SpotNow { spot: *spot, state: SpotState::Available, until: None, by: None };
            for claim in entries(view.stored(*spot, page).unwrap_or_default()).map_err(corrupt)? {
                let claim = claim.map_err(corrupt)?;
                if claim.is_live(now_s) && claim.overlaps(at, at.saturating_add(1)) {
                    state.by = Some(claim.id);
                    state.until = Some(origin.plus(i64::from(claim.end)));
                    state.state = match (claim.id.claimant(), claim.lease_s) {
                        (Claimant::OutOfService, _) => SpotState::OutOfService,
                        (_, 0) => SpotState::Reserved,
                        _ => SpotState::Held,
                    };
                }
            }
            found.push(state);
        }
        self.mark_occupied(&mut found).await?;
        Ok(found)
    }

    async fn mark_occupied(&self, spots: &mut [SpotNow]) -> Result<(), StoreError> {
        let claimed = spots.iter().filter(|s| s.state == SpotState::Reserved).filter_map(|s| s.by);
        let mut ids: Vec<ReservationId> = claimed.collect();
        ids.sort_unstable();
        ids.dedup();
        for record in self.reservations(&ids, false).await? {
            for spot in spots.iter_mut().filter(|s| s.by == Some(record.id)) {
                match record.status {
                    Status::CheckedIn => spot.state = SpotState::Occupied,
                    Status::Completed => spot.state = SpotState::Available,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Reservations by id, in no particular order; unknown ids are left out.
    pub(crate) async fn reservations(
        &self,
        ids: &[ReservationId],
        consistent: bool,
    ) -> Result<Vec<Reservation>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys = ids.iter().map(|id| keyed(keys::reservation_partition(*id), keys::RESERVATION_SORT)).collect();
        let items = calendar::batch_get(&self.client, &self.tables.records, keys, consistent).await?;
        items.iter().map(reservation_item::read).collect()
    }

    /// A user's reservations, latest start first. `after` is a [`Listing::next`] of an earlier page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reservations_of(
        &self,
        user: &UserId,
        after: Option<&str>,
        limit: i32,
    ) -> Result<Listing<Reservation>, StoreError> {
        let partition = keys::owner_partition(user);
        let start = after.map(|sort| {
            let code = sort.rsplit('#').next().unwrap_or_default();
            let mut key = keyed(format!("R#{code}"), keys::RESERVATION_SORT);
            key.insert("u".to_owned(), text(partition.as_str()));
            key.insert("us".to_owned(), text(sort));
            key
        });
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .index_name(keys::BY_OWNER)
            .key_condition_expression("u = :u")
            .expression_attribute_values(":u", text(partition))
            .scan_index_forward(false)
            .limit(limit)
            .set_exclusive_start_key(start);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let sort_of = |key: &Item| key.get("us").and_then(|us| us.as_s().ok()).cloned();
        let next = answer.last_evaluated_key.as_ref().and_then(sort_of);
        let ids: Vec<ReservationId> = answer.items().iter().filter_map(id_of).collect();
        let mut items = self.reservations(&ids, false).await?;
        items.sort_by_key(|r| ids.iter().position(|id| *id == r.id));
        Ok(Listing { items, next })
    }

    /// Stays of a lot that ended in `[from, until)`, earliest first. `after` is a [`Listing::next`] of an earlier page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended_stays(
        &self,
        lot: &LotId,
        [from, until]: [Minute; 2],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Listing<Reservation>, StoreError> {
        // A minute without a code sorts before every stay that ended in it; a stay's own sort key before the stay with "~" behind it.
        let mut first = format!("{:010}", from.0);
        if let Some(after) = after {
            first = first.max(format!("{after}~"));
        }
        let begins = first.get(..10).and_then(|minute| minute.parse().ok()).map_or(from, Minute);
        let (mut found, mut more) = (Vec::new(), false);
        for period in keys::exit_period(begins)..=keys::exit_period(until.plus(-1)) {
            let wanted = (limit + 1).saturating_sub(found.len());
            if wanted == 0 {
                break;
            }
            found.extend(self.ended_in(keys::exit_partition(lot, period), &first, until, wanted).await?);
        }
        if found.len() > limit {
            found.truncate(limit);
            more = true;
        }
        let next = found.last().filter(|_| more).map(|(sort, _)| sort.clone());
        let ids: Vec<ReservationId> = found.iter().map(|(_, id)| *id).collect();
        let mut items = self.reservations(&ids, false).await?;
        items.sort_by_key(|r| ids.iter().position(|id| *id == r.id));
        Ok(Listing { items, next })
    }

    /// The first sort keys and ids of one partition of ended stays.
    async fn ended_in(
        &self,
        partition: String,
        first: &str,
        until: Minute,
        wanted: usize,
    ) -> Result<Vec<(String, ReservationId)>, StoreError> {
        let until = format!("{:010}", until.0);
        if first > until.as_str() {
            return Ok(Vec::new());
        }
        let pages = self
            .client
            .query()
            .table_name(&self.tables.records)
            .index_name(keys::BY_EXIT)
            .key_condition_expression("e = :e AND es BETWEEN :first AND :until")
            .expression_attribute_values(":e", text(partition))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":until", text(until))
            .limit(i32::try_from(wanted).unwrap_or(i32::MAX));
        let (mut found, mut start) = (Vec::new(), None);
        while found.len() < wanted {
            let answer = pages.clone().set_exclusive_start_key(start).send().await;
            let answer = answer.map_err(|error| classify("Query", &error))?;
            let sort = |item: &Item| item.get("es").and_then(|sort| sort.as_s().ok()).cloned();
            found.extend(answer.items().iter().filter_map(|item| Some((sort(item)?, id_of(item)?))));
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// The latest stays of a plate in a lot that begin before `until`, latest start first, ended ones too: a retry finds what its
    /// first try ended. `index` is the plate's blind index.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn by_plate(&self, lot: &LotId, index: &[u8; 16], until: Minute) -> Result<Vec<Reservation>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .index_name(keys::BY_PLATE)
            .key_condition_expression("p = :p AND ps <= :until")
            .expression_attribute_values(":p", text(keys::plate_partition(lot, index)))
            .expression_attribute_values(":until", text(keys::plate_sort(until)))
            .scan_index_forward(false)
            .limit(PLATE_CANDIDATES_MAX);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let ids: Vec<ReservationId> = answer.items().iter().filter_map(id_of).collect();
        let mut found = self.reservations(&ids, true).await?;
        found.sort_by_key(|r| std::cmp::Reverse(r.window.start()));
        Ok(found)
    }
}

fn id_of(item: &Item) -> Option<ReservationId> {
    let code = item.get(keys::PK).and_then(|pk: &AttributeValue| pk.as_s().ok())?.strip_prefix("R#")?;
    ReservationId::from_code(code).ok()
}
