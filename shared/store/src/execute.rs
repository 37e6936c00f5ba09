//! Carries out one command: read, decide in the domain, write under the condition of what was read; again if it moved meanwhile.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use parkade_domain::calendar::{CalendarView, ClaimEdit, PlanError, TileKey};
use parkade_domain::decide::{Change, Dossier, Refusal};
use parkade_domain::ids::{LotId, ReservationId, UserId};
use parkade_domain::reservation::{Mark, Seen};
use thiserror::Error;

use crate::attributes::{Item, number, text};
use crate::error::{StoreError, classify};
use crate::items::reservation::VERSION;
use crate::items::{payment as payment_item, reservation as reservation_item};
use crate::lots::LotFacts;
use crate::pricing::Pricing;
use crate::transact::{self, Outcome};
use crate::wallet::Beside;
use crate::{Store, calendar, keys};

/// How often a command is planned anew because something it read moved. A record is contended by a driver, a gate and a sweep, and a
/// tile by its 8 spots' users: more than a few rounds means the store is not healthy.
pub(crate) const PLANS_MAX: u32 = 12;

/// Who may act on a reservation. Anyone else is told that it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A sweep or a consumer.
    System,
    /// The driver whose it is.
    Owner(UserId),
    /// A gate or an operator of the lot.
    Lot(LotId),
    /// An administrator, an operator of all lots.
    All,
    /// Nobody's stays: a merchant only gives towards them.
    Nothing,
}

/// A command on an existing reservation.
#[derive(Debug, Clone)]
pub struct Order {
    /// The reservation.
    pub id: ReservationId,
    /// Who asks.
    pub access: Access,
    /// Names the command; a retry has the same.
    pub mark: Mark,
    /// The version the client has seen (`If-Match`), if it says so.
    pub expected_version: Option<u32>,
    /// The present, epoch seconds.
    pub now_s: i64,
}

impl Order {
    /// A command of the system itself. `cause` and `of` name it, so that its retry is recognised.
    #[must_use]
    pub const fn system(id: ReservationId, cause: Cause, of: i64, now_s: i64) -> Self {
        let mark = Mark { key: ((cause as u64) << 56) | (of.unsigned_abs() & 0x00FF_FFFF_FFFF_FFFF), fingerprint: 0 };
        Self { id, access: Access::System, mark, expected_version: None, now_s }
    }
}

/// Why the system acts on a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// A hold ran out; of: when.
    HoldExpiry = 1,
    /// Nobody came; of: the awaited start.
    NoShow = 2,
    /// The vehicle stays; of: the claim's end.
    Overstay = 3,
    /// A charge succeeded; of: its number.
    Charged = 4,
    /// The spot is needed by an overstaying vehicle or goes out of service; of: when it was asked.
    Relocation = 5,
    /// The provider will not return a refund; of: its number.
    RefundDeclined = 6,
    /// A hold is kept while its payment is under way; of: when.
    HoldKept = 7,
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The reservation and its payments now.
    pub dossier: Dossier,
    /// The command had been carried out before; nothing was written this time.
    pub replayed: bool,
}

/// Why a command was not carried out. Except for [`CommandError::Store`], nothing was written.
#[derive(Debug, Error)]
pub enum CommandError {
    /// There is no such reservation, or it is not the caller's.
    #[error("there is no such reservation")]
    NotFound,
    /// The key was used with another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The client has seen another version.
    #[error("the reservation is at version {current}")]
    VersionMismatch {
        /// The stored version.
        current: u32,
    },
    /// A rule forbids it.
    #[error("the command is refused")]
    Refused(#[source] Refusal),
    /// The lot is unknown.
    #[error("there is no such lot")]
    UnknownLot,
    /// The lot has no such spot.
    #[error("there is no such spot")]
    UnknownSpot,
    /// No spot of the lot takes such a vehicle, whatever the time; or the named one does not.
    #[error("the vehicle does not fit")]
    FitsNowhere,
    /// The spot is claimed by somebody else during that time.
    #[error("the spot is taken")]
    SpotTaken,
    /// No fitting spot is free during that time.
    #[error("no fitting spot is free")]
    NoSpot,
    /// The store failed; whether the command was carried out may be unknown, and asking again is safe.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A command that begins.
pub(crate) enum Begun {
    /// It was carried out before.
    Replay(Done),
    /// What it decides on.
    New(Dossier, Pricing),
}

/// What became of a planned change.
pub(crate) enum Commit {
    Written,
    /// Something that was read has moved: read and decide again.
    Moved,
    /// A live claim of somebody else is in the way.
    Taken(ReservationId),
}

impl Store {
    /// A reservation with its payments, strongly consistent.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] also if it is not the caller's.
    pub async fn dossier(&self, id: ReservationId, access: &Access) -> Result<Dossier, CommandError> {
        let answer = self.stored(id).send().await.map_err(|error| classify("Query", &error))?;
        dossier_of(answer.items(), access)
    }

    /// Everything that is stored of a reservation, strongly consistent.
    pub(crate) fn stored(&self, id: ReservationId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::reservation_partition(id)))
            .consistent_read(true)
    }

    /// Carries out a command. `decide` may be called several times, each time with what was just read.
    pub(crate) async fn execute(
        &self,
        order: &Order,
        decide: impl Fn(&Dossier, &Pricing) -> Result<Change, CommandError>,
    ) -> Result<Done, CommandError> {
        for _ in 0..PLANS_MAX {
            let (before, context) = match self.begin(order).await? {
                Begun::Replay(done) => return Ok(done),
                Begun::New(before, context) => (before, context),
            };
            let change = decide(&before, &context)?;
            if let Some(done) = self.finish(order, &context, before, change, Vec::new()).await? {
                return Ok(done);
            }
        }
        Err(contended())
    }

    /// Reads what a command decides on, or finds that it was carried out before.
    pub(crate) async fn begin(&self, order: &Order) -> Result<Begun, CommandError> {
        let before = self.dossier(order.id, &order.access).await?;
        match before.reservation.seen(order.mark) {
            Seen::Replay => return Ok(Begun::Replay(Done { dossier: before, replayed: true })),
            Seen::KeyReused => return Err(CommandError::KeyReused),
            Seen::New => {}
        }
        let current = before.reservation.version;
        if order.expected_version.is_some_and(|expected| expected != current) {
            return Err(CommandError::VersionMismatch { current });
        }
        let context = self.pricing_of(&before.reservation).await?;
        Ok(Begun::New(before, context))
    }

    /// Writes what a command decided, and what changes beside the reservation; `None` if what it read has moved, so that it begins anew.
    pub(crate) async fn finish(
        &self,
        order: &Order,
        context: &Pricing,
        before: Dossier,
        change: Change,
        beside: Vec<Beside>,
    ) -> Result<Option<Done>, CommandError> {
        match self.commit(&context.facts, &[(&before, &change)], beside, order.now_s).await? {
            Commit::Written => Ok(Some(Done { dossier: merged(before, change), replayed: false })),
            Commit::Moved => Ok(None),
            Commit::Taken(..) => Err(CommandError::SpotTaken),
        }
    }

    /// Writes changes of one lot's reservations in one transaction: calendar, records, payments and what changes beside them together or
    /// not at all.
    pub(crate) async fn commit(
        &self,
        facts: &LotFacts,
        changes: &[(&Dossier, &Change)],
        beside: Vec<Beside>,
        now_s: i64,
    ) -> Result<Commit, StoreError> {
        let edits: Vec<ClaimEdit> = changes.iter().flat_map(|(before, change)| edits_of(before, change)).collect();
        let view = self.tiles_of(facts, &edits).await?;
        self.commit_on(view, facts, changes, beside, now_s).await
    }

    /// The tiles that claims are edited on, as they are now.
    pub(crate) async fn tiles_of(&self, facts: &LotFacts, edits: &[ClaimEdit]) -> Result<CalendarView, StoreError> {
        let geometry = facts.lot.geometry;
        let tiles: BTreeSet<(u16, TileKey)> = CalendarView::tiles_of(geometry, edits);
        calendar::read_tiles(&self.client, &self.tables.calendar, &facts.lot.id, geometry, &tiles).await
    }

    /// As [`Self::commit`], on tiles that were read already. What has moved since is noticed by the write.
    pub(crate) async fn commit_on(
        &self,
        view: CalendarView,
        facts: &LotFacts,
        changes: &[(&Dossier, &Change)],
        beside: Vec<Beside>,
        now_s: i64,
    ) -> Result<Commit, StoreError> {
        let edits: Vec<ClaimEdit> = changes.iter().flat_map(|(before, change)| edits_of(before, change)).collect();
        let geometry = facts.lot.geometry;
        let plan = match view.plan(&edits, now_s) {
            Ok(plan) => plan,
            Err(PlanError::Taken { taken, .. }) => return Ok(Commit::Taken(taken.by)),
            Err(error @ PlanError::Corrupt { .. }) => {
                return Err(StoreError::Corrupt { key: facts.lot.id.to_string(), why: error.to_string() });
            }
        };
        let grace = i64::from(facts.lot.policy.no_show_grace_minutes);
        let mut puts = beside;
        for (before, change) in changes {
            let item = reservation_item::write(&change.reservation, grace, now_s);
            puts.push((item, Some(before.reservation.version)));
            puts.extend(
                change.payments.iter().map(|p| (payment_item::write(p), p.version.checked_sub(1).filter(|v| *v > 0))),
            );
        }
        if let ([(item, version)], true) = (puts.as_slice(), plan.is_empty()) {
            let written = self.put_alone(item.clone(), *version).await?;
            return Ok(if written { Commit::Written } else { Commit::Moved });
        }
        let mut writes = Vec::with_capacity(plan.len() + puts.len());
        for edit in &plan {
            writes.push(calendar::update(&self.tables.calendar, &facts.lot.id, geometry, edit)?);
        }
        for (item, version) in puts {
            writes.push(self.put(item, version)?);
        }
        match transact::write(&self.client, writes).await? {
            Outcome::Committed => Ok(Commit::Written),
            Outcome::Cancelled(_) => Ok(Commit::Moved),
        }
    }

    /// A conditional put as part of a transaction: the item must be at `version`, or not exist.
    pub(crate) fn put(&self, item: Item, version: Option<u32>) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.tables.records)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match version {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(version) => put
                .condition_expression("#v = :v")
                .expression_attribute_names("#v", VERSION)
                .expression_attribute_values(":v", number(version)),
        };
        let put = put.build().map_err(|error| StoreError::Refused { operation: "Put", cause: error.to_string() })?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A conditional put of its own, half the price of a transaction; `false` if the condition did not hold.
    pub(crate) async fn put_alone(&self, item: Item, version: Option<u32>) -> Result<bool, StoreError> {
        let put = self.client.put_item().table_name(&self.tables.records).set_item(Some(item));
        let put = match version {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(version) => put
                .condition_expression("#v = :v")
                .expression_attribute_names("#v", VERSION)
                .expression_attribute_values(":v", number(version)),
        };
        transact::put(put).await
    }
}

pub(crate) fn edits_of(before: &Dossier, change: &Change) -> Vec<ClaimEdit> {
    before.reservation.claim_edits(&change.reservation)
}

/// The reservation among what is stored of it, with its payments.
pub(crate) fn dossier_of(items: &[Item], access: &Access) -> Result<Dossier, CommandError> {
    let (mut reservation, mut payments) = (None, Vec::new());
    for item in items {
        match item.get(keys::SK).and_then(|sk| sk.as_s().ok()).map(String::as_str) {
            Some(keys::RESERVATION_SORT) => reservation = Some(reservation_item::read(item)?),
            Some(sort) if sort.starts_with("P#") => payments.push(payment_item::read(item)?),
            _ => {}
        }
    }
    let reservation = reservation.filter(|r| match access {
        Access::System | Access::All => true,
        Access::Nothing => false,
        Access::Owner(user) => r.user == *user,
        Access::Lot(lot) => r.lot == *lot,
    });
    Ok(Dossier { reservation: reservation.ok_or(CommandError::NotFound)?, payments })
}

pub(crate) fn merged(before: Dossier, change: Change) -> Dossier {
    let mut payments = before.payments;
    for payment in change.payments {
        match payments.iter_mut().find(|known| known.id == payment.id) {
            Some(known) => *known = payment,
            None => payments.push(payment),
        }
    }
    Dossier { reservation: change.reservation, payments }
}

pub(crate) fn contended() -> CommandError {
    let cause = "the records changed faster than the command could be planned".to_owned();
    CommandError::Store(StoreError::Unavailable { operation: "execute", cause })
}
