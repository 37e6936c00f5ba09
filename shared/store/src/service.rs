//! Takes spots out of service and back: an interval is a claim like any other, and the reservations it hits are found other spots (I7).

use aws_sdk_dynamodb::types::TransactWriteItem;
use parkade_domain::calendar::{CalendarView, ClaimEdit, PlanError};
use parkade_domain::claims::entries;
use parkade_domain::decide;
use parkade_domain::ids::{Claimant, LotId, ReservationId, SpotIndex};
use parkade_domain::reservation::{Reason, Status};
use parkade_domain::time::Window;

use crate::attributes::{Item, SCHEMA, bytes, keyed, number, text};
use crate::execute::{Access, Cause, CommandError, Commit, Order, contended};
use crate::lots::LotFacts;
use crate::transact::{self, Outcome};
use crate::{Store, StoreError, calendar, keys};

/// Rounds of moving reservations away while new ones come.
const ROUNDS_MAX: u32 = 8;

/// A request to take a spot out of service.
#[derive(Debug, Clone)]
pub struct OutOfService {
    /// The lot.
    pub lot: LotId,
    /// The spot's number.
    pub spot: String,
    /// When.
    pub window: Window,
    /// Why, for people; at most a line.
    pub reason: String,
    /// 62 bits that name the request: its retry is recognised.
    pub key: u64,
    /// The present, epoch seconds.
    pub now_s: i64,
}

/// What happened to one reservation that was in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocated {
    /// It has another spot.
    Moved {
        /// The new spot.
        to: SpotIndex,
    },
    /// There was no other spot: it was cancelled and refunded in full.
    Refunded,
    /// Its vehicle is inside or has just left: the interval cannot begin before its claim ends.
    Inside,
}

/// One reservation that was in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Displaced {
    /// The reservation.
    pub id: ReservationId,
    /// What happened to it.
    pub result: Relocated,
}

impl Store {
    /// Takes a spot out of service for a window. Every reservation it hits is moved or refunded, one by one; the list says which.
    ///
    /// # Errors
    /// [`CommandError::SpotTaken`] if a vehicle is inside during the window; what was moved until then stays moved.
    pub async fn take_out_of_service(&self, request: &OutOfService) -> Result<Vec<Displaced>, CommandError> {
        let facts = self.lot(&request.lot).await?.ok_or(CommandError::UnknownLot)?;
        let spot = facts.directory.by_number(&request.spot).ok_or(CommandError::UnknownSpot)?.index;
        let id = ReservationId::new(Claimant::OutOfService, request.key);
        let mut displaced = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let edit = ClaimEdit { spot, id, old: Vec::new(), new: vec![request.window], lease_s: 0 };
            let view = self.spot_view(&facts, &edit).await?;
            for blocker in blockers(&facts, &view, &edit, request.now_s)? {
                let result = self.displace(blocker, request).await?;
                // The interval cannot begin, so nobody behind the vehicle has to go.
                if result == Some(Relocated::Inside) {
                    return Err(CommandError::SpotTaken);
                }
                displaced.extend(result.map(|result| Displaced { id: blocker, result }));
            }
            let view = self.spot_view(&facts, &edit).await?;
            let record = block_item(&request.lot, spot, id, request);
            match self.write_block(&facts, &view, &edit, Some(record), request.now_s).await? {
                Commit::Written => return Ok(displaced),
                // A retry meets its own interval, as a claim or as a record.
                _ if self.block_exists(&request.lot, spot, id).await? => return Ok(displaced),
                Commit::Moved | Commit::Taken(..) => {}
            }
        }
        Err(contended())
    }

    /// Puts a spot back into service from now on: every out-of-service interval that has not ended is released. Tells how many.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn put_in_service(&self, lot: &LotId, number: &str, now_s: i64) -> Result<usize, CommandError> {
        let facts = self.lot(lot).await?.ok_or(CommandError::UnknownLot)?;
        let spot = facts.directory.by_number(number).ok_or(CommandError::UnknownSpot)?.index;
        let blocks = self.blocks(lot, spot).await?;
        let mut released = 0;
        for (id, window) in blocks.into_iter().filter(|(_, window)| window.end().epoch_s() > now_s) {
            let edit = ClaimEdit { spot, id, old: vec![window], new: Vec::new(), lease_s: 0 };
            self.release_block(&facts, &edit, now_s).await?;
            released += 1;
        }
        Ok(released)
    }

    async fn release_block(&self, facts: &LotFacts, edit: &ClaimEdit, now_s: i64) -> Result<(), CommandError> {
        for _ in 0..ROUNDS_MAX {
            let view = self.spot_view(facts, edit).await?;
            if matches!(self.write_block(facts, &view, edit, None, now_s).await?, Commit::Written) {
                return Ok(());
            }
        }
        Err(contended())
    }

    /// `None` if the reservation has ended meanwhile and is not in the way any more.
    async fn displace(&self, id: ReservationId, request: &OutOfService) -> Result<Option<Relocated>, CommandError> {
        let order = Order::system(id, Cause::Relocation, i64::try_from(request.key >> 8).unwrap_or(0), request.now_s);
        for _ in 0..ROUNDS_MAX {
            let before = self.dossier(id, &Access::System).await?;
            match before.reservation.status {
                Status::Held | Status::Confirmed => {}
                // What has just left keeps its last minute and the buffer.
                Status::CheckedIn | Status::Completed => return Ok(Some(Relocated::Inside)),
                Status::Cancelled | Status::Expired | Status::NoShow => return Ok(None),
            }
            let context = self.pricing_of(&before.reservation).await?;
            let Some(to) = self.other_spot(&before, &context, request.now_s).await? else {
                self.cancel(&order, Reason::SpotOutOfService).await?;
                return Ok(Some(Relocated::Refunded));
            };
            let place = Some((to, context.features(to)));
            let change = decide::relocate(&before, context.rules(), request.now_s, order.mark, place)?;
            if let Commit::Written =
                self.commit(&context.facts, &[(&before, &change)], Vec::new(), request.now_s).await?
            {
                return Ok(Some(Relocated::Moved { to }));
            }
        }
        Err(contended())
    }

    async fn spot_view(&self, facts: &LotFacts, edit: &ClaimEdit) -> Result<CalendarView, StoreError> {
        let tiles = CalendarView::tiles_of(facts.lot.geometry, std::slice::from_ref(edit));
        calendar::read_tiles(&self.client, &self.tables.calendar, &facts.lot.id, facts.lot.geometry, &tiles).await
    }

    /// The claim and its record in one transaction: with `record` to begin, without to end.
    async fn write_block(
        &self,
        facts: &LotFacts,
        view: &CalendarView,
        edit: &ClaimEdit,
        record: Option<Item>,
        now_s: i64,
    ) -> Result<Commit, StoreError> {
        let geometry = facts.lot.geometry;
        let plan = match view.plan(std::slice::from_ref(edit), now_s) {
            Ok(plan) => plan,
            Err(PlanError::Taken { taken, .. }) => return Ok(Commit::Taken(taken.by)),
            Err(error @ PlanError::Corrupt { .. }) => {
                return Err(StoreError::Corrupt { key: facts.lot.id.to_string(), why: error.to_string() });
            }
        };
        let mut writes: Vec<TransactWriteItem> = Vec::new();
        for tile in &plan {
            writes.push(calendar::update(&self.tables.calendar, &facts.lot.id, geometry, tile)?);
        }
        match record {
            Some(item) => writes.push(self.put(item, None)?),
            None => writes.push(self.delete_block(&facts.lot.id, edit.spot, edit.id)?),
        }
        match transact::write(&self.client, writes).await? {
            Outcome::Committed => Ok(Commit::Written),
            Outcome::Cancelled(_) => Ok(Commit::Moved),
        }
    }

    fn delete_block(&self, lot: &LotId, spot: SpotIndex, id: ReservationId) -> Result<TransactWriteItem, StoreError> {
        // Unconditional: deleting twice is deleting once.
        let delete = aws_sdk_dynamodb::types::Delete::builder()
            .table_name(&self.tables.records)
            .set_key(Some(keyed(keys::lot_partition(lot), keys::block_sort(spot, id))))
            .build();
        let delete = delete.map_err(|e| StoreError::Refused { operation: "Delete", cause: e.to_string() })?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    async fn block_exists(&self, lot: &LotId, spot: SpotIndex, id: ReservationId) -> Result<bool, StoreError> {
        Ok(self.blocks(lot, spot).await?.iter().any(|(known, _)| *known == id))
    }

    async fn blocks(&self, lot: &LotId, spot: SpotIndex) -> Result<Vec<(ReservationId, Window)>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk AND begins_with(sk, :spot)")
            .expression_attribute_values(":pk", text(keys::lot_partition(lot)))
            .expression_attribute_values(":spot", text(keys::block_prefix(spot)))
            .consistent_read(true);
        let answer = query.send().await.map_err(|error| crate::error::classify("Query", &error))?;
        answer.items().iter().map(read_block).collect()
    }
}

/// The reservations whose live claims lie in the edit's new windows.
fn blockers(
    facts: &LotFacts,
    view: &CalendarView,
    edit: &ClaimEdit,
    now_s: i64,
) -> Result<Vec<ReservationId>, StoreError> {
    let corrupt = |_| StoreError::Corrupt { key: facts.lot.id.to_string(), why: "claims".to_owned() };
    let mut found = Vec::new();
    for segment in edit.new.iter().flat_map(|window| facts.lot.geometry.segments(*window)) {
        for claim in entries(view.stored(edit.spot, segment.page).unwrap_or_default()).map_err(corrupt)? {
            let claim = claim.map_err(corrupt)?;
            let mine = claim.id == edit.id || claim.id.claimant() == Claimant::OutOfService;
            if claim.is_live(now_s) && claim.overlaps(segment.start, segment.end) && !mine {
                found.push(claim.id);
            }
        }
    }
    found.dedup();
    Ok(found)
}

fn block_item(lot: &LotId, spot: SpotIndex, id: ReservationId, request: &OutOfService) -> Item {
    let mut item = keyed(keys::lot_partition(lot), keys::block_sort(spot, id));
    item.insert(SCHEMA.to_owned(), number(1));
    item.insert("from".to_owned(), number(request.window.start().0));
    item.insert("until".to_owned(), number(request.window.end().0));
    item.insert("why".to_owned(), text(request.reason.as_str()));
    item.insert("id".to_owned(), bytes(id.bits().to_be_bytes()));
    item
}

pub(crate) fn read_block(item: &Item) -> Result<(ReservationId, Window), StoreError> {
    let reader = crate::attributes::Reader(item);
    reader.schema(1)?;
    let minute = |name| reader.number(name).map(parkade_domain::time::Minute);
    let window = Window::new(minute("from")?, minute("until")?).map_err(|e| reader.corrupt(e.to_string()))?;
    let id = ReservationId::from_bits(u64::from_be_bytes(reader.array("id")?));
    Ok((id.ok_or_else(|| reader.corrupt("id"))?, window))
}
