//! Holds a spot: read the lot's calendar once, choose, and claim it together with the record in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parkade_domain::calendar::{Allocation, CalendarView, ClaimEdit, PlanError, TileEdit, choose};
use parkade_domain::decide::{self, Dossier, NewReservation, Refusal};
use parkade_domain::ids::SpotIndex;
use parkade_domain::lot::LotKind;
use parkade_domain::reservation::Reservation;
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Features, fits};

use crate::execute::{Access, CommandError, Done, contended};
use crate::items::reservation as reservation_item;
use crate::lots::LotFacts;
use crate::pricing::{Pricing, Promise};
use crate::transact::{self, Outcome};
use crate::{Store, StoreError, calendar};

/// How often another spot is tried after losing one. In the crowd of 64 clients on 200 spots nobody needed more than 9.
const SPOTS_TRIED_MAX: u64 = 24;
/// After this many losses the calendar is read again. With 2, 64 clients need 1.1 transactions for each of 2,000 spots; without, the last
/// ones lose all their tries on spots that were free when they looked.
const LOSSES_PER_READ: u64 = 2;
/// Above this share of lost attempts an instance chooses among random candidates instead of the best fit (of 1,024: 5 %).
const CROWD_THRESHOLD: u32 = 51;
/// Weight of the newest attempt in the moving average: 1/16.
const CROWD_SHIFT: u32 = 4;
/// Certainty in the average's scale.
const CROWD_ONE: u32 = 1_024;

/// A request for a spot.
#[derive(Debug, Clone)]
pub struct Reserve {
    /// Who, what and when.
    pub new: NewReservation,
    /// The number of the spot, if the driver names one; otherwise the best.
    pub spot: Option<String>,
    /// The price that the driver was promised, if the driver comes with a quote.
    pub promise: Option<Promise>,
    /// The present, epoch seconds.
    pub now_s: i64,
}

/// A moving average of how often this instance loses the race for a spot.
#[derive(Debug, Default)]
pub(crate) struct Crowd(AtomicU32);

impl Crowd {
    fn allocation(&self) -> Allocation {
        // Relaxed: a hint that may be off by an attempt; correctness never depends on it.
        if self.0.load(Ordering::Relaxed) > CROWD_THRESHOLD { Allocation::Spread } else { Allocation::BestFit }
    }

    fn note(&self, lost: bool) {
        let old = self.0.load(Ordering::Relaxed);
        let sample = if lost { CROWD_ONE } else { 0 };
        let next = old - (old >> CROWD_SHIFT) + (sample >> CROWD_SHIFT);
        self.0.store(next.min(CROWD_ONE), Ordering::Relaxed);
    }
}

/// One try's result.
enum Attempt {
    Held,
    Known(Box<Done>),
    Lost,
}

impl Store {
    /// Holds a spot for a new reservation. The same id again answers the first result, or [`CommandError::KeyReused`] if it was asked
    /// with another request.
    ///
    /// # Errors
    /// [`CommandError`]; `NoSpot` only after a strongly consistent look.
    pub async fn reserve(&self, request: &Reserve) -> Result<Done, CommandError> {
        let facts = self.lot(&request.new.lot).await?.ok_or(CommandError::UnknownLot)?;
        let pricing = self.pricing_for(&facts, request).await?;
        let held = |spot| {
            let expired = request.promise.is_some_and(|promise| promise.expires_at_s <= request.now_s);
            if expired {
                Err(Refusal::QuoteExpired)
            } else {
                decide::hold(pricing.rules(), &request.new, spot, request.now_s)
            }
        };
        match Box::pin(self.place(&facts, request, held)).await {
            // A retry that comes when its window has begun must still get its first answer.
            Err(error @ (CommandError::Refused(_) | CommandError::NoSpot | CommandError::SpotTaken)) => {
                self.known(&request.new).await?.ok_or(error)
            }
            other => other,
        }
    }

    async fn pricing_for(&self, facts: &Arc<LotFacts>, request: &Reserve) -> Result<Pricing, StoreError> {
        if let Some(promise) = &request.promise {
            return self.pricing_promised(facts, promise).await;
        }
        let named = request.spot.as_ref().and_then(|number| facts.directory.by_number(number));
        let features = named.map_or_else(Features::default, |spot| spot.features);
        let first = request.new.windows.first().copied();
        let now = Minute(request.now_s.div_euclid(60));
        let first = first
            .or_else(|| Window::new(now, now.plus(1)).ok())
            .ok_or_else(|| StoreError::Refused { operation: "reserve", cause: "there is no window".to_owned() })?;
        self.pricing_now(facts, first, features, request.now_s).await
    }

    /// Finds a spot and claims it with the record that `make` builds for it.
    pub(crate) async fn place(
        &self,
        facts: &LotFacts,
        request: &Reserve,
        make: impl Fn(SpotIndex) -> Result<Reservation, Refusal>,
    ) -> Result<Done, CommandError> {
        let ranked = ranked(facts, request)?;
        let walk_in = request.new.id.claimant() == parkade_domain::ids::Claimant::WalkIn;
        let now = Minute(request.now_s.div_euclid(60));
        for window in request.new.windows.iter().filter(|_| !walk_in) {
            facts
                .lot
                .policy
                .check_window(now, *window)
                .map_err(|refusal| CommandError::Refused(Refusal::Window(refusal)))?;
        }
        // Refuses what the tariff cannot price before anything is read.
        make(SpotIndex(0))?;
        let claims = decide::claims_for(&facts.lot, &request.new.windows);
        let mut view = self.view(facts, request, &claims).await?;
        let mut certain = false;
        for tried in 0..SPOTS_TRIED_MAX {
            let free = view.free(ranked.iter().copied(), &claims, request.now_s).map_err(|e| corrupt(facts, &e))?;
            let seed = request.new.id.bits().wrapping_add(tried.wrapping_mul(0x9E37_79B9));
            let Some(spot) = choose(&free, self.crowd.allocation(), seed) else {
                if certain {
                    return Err(if request.spot.is_some() { CommandError::SpotTaken } else { CommandError::NoSpot });
                }
                // What was read may be stale: "full" is only said after a strongly consistent look.
                view = self.certain_view(facts, &ranked, &claims).await?;
                certain = true;
                continue;
            };
            match self.attempt(facts, &mut view, &make(spot)?, request.now_s).await? {
                Attempt::Held => {
                    self.crowd.note(false);
                    let dossier = Dossier { reservation: make(spot)?, payments: Vec::new() };
                    return Ok(Done { dossier, replayed: false });
                }
                Attempt::Known(done) => return Ok(*done),
                Attempt::Lost => {
                    self.crowd.note(true);
                    // A loss teaches about one tile only. In a crowd the others are gone as well by now.
                    if tried % LOSSES_PER_READ == LOSSES_PER_READ - 1 {
                        view = self.view(facts, request, &claims).await?;
                    }
                }
            }
        }
        Err(contended())
    }

    async fn view(&self, facts: &LotFacts, request: &Reserve, claims: &[Window]) -> Result<CalendarView, StoreError> {
        let geometry = facts.lot.geometry;
        let lot = &facts.lot.id;
        if let Some(spot) = request.spot.as_ref().and_then(|number| facts.directory.by_number(number)) {
            let wish =
                ClaimEdit { spot: spot.index, id: request.new.id, old: Vec::new(), new: claims.to_vec(), lease_s: 0 };
            let tiles = CalendarView::tiles_of(geometry, &[wish]);
            return calendar::read_tiles(&self.client, &self.tables.calendar, lot, geometry, &tiles).await;
        }
        let mut pages: Vec<_> = claims.iter().flat_map(|window| geometry.pages(*window)).collect();
        pages.dedup();
        let groups = facts.directory.groups();
        calendar::read_pages(&self.client, &self.tables.calendar, lot, geometry, groups, &pages).await
    }

    async fn certain_view(
        &self,
        facts: &LotFacts,
        ranked: &[(SpotIndex, u16)],
        claims: &[Window],
    ) -> Result<CalendarView, StoreError> {
        let geometry = facts.lot.geometry;
        let wish = |(spot, _): &(SpotIndex, u16)| ClaimEdit {
            spot: *spot,
            id: parkade_domain::ids::ReservationId::new(parkade_domain::ids::Claimant::Reservation, 0),
            old: Vec::new(),
            new: claims.to_vec(),
            lease_s: 0,
        };
        let tiles = CalendarView::tiles_of(geometry, &ranked.iter().map(wish).collect::<Vec<_>>());
        calendar::read_tiles(&self.client, &self.tables.calendar, &facts.lot.id, geometry, &tiles).await
    }

    /// One transaction. Losing a tile teaches the view what is there now, so the next try needs no read.
    async fn attempt(
        &self,
        facts: &LotFacts,
        view: &mut CalendarView,
        record: &Reservation,
        now_s: i64,
    ) -> Result<Attempt, CommandError> {
        let geometry = facts.lot.geometry;
        let edit = ClaimEdit {
            spot: record.spot,
            id: record.id,
            old: Vec::new(),
            new: record.claims.clone(),
            lease_s: record.lease_s(),
        };
        let plan: Vec<TileEdit> = view.plan(&[edit], now_s).map_err(|error| corrupt(facts, &error))?;
        let mut writes = Vec::with_capacity(plan.len() + 1);
        for tile in &plan {
            writes.push(calendar::update(&self.tables.calendar, &facts.lot.id, geometry, tile)?);
        }
        let grace = i64::from(facts.lot.policy.no_show_grace_minutes);
        writes.push(self.put(reservation_item::write(record, grace, now_s), None)?);
        let reasons = match transact::write(&self.client, writes).await? {
            Outcome::Committed => return Ok(Attempt::Held),
            Outcome::Cancelled(reasons) => reasons,
        };
        let (tiles, records) = reasons.split_at(plan.len().min(reasons.len()));
        if let Some(item) = records.iter().find_map(|reason| reason.item.as_ref()) {
            let known = first_answer(reservation_item::read(item)?, record.fingerprint)?;
            return Ok(Attempt::Known(Box::new(known)));
        }
        for (edit, reason) in plan.iter().zip(tiles) {
            match (&reason.item, reason.code.as_deref()) {
                (Some(item), _) => {
                    let (key, values) = calendar::read_item(item)?;
                    view.insert(key, values);
                }
                (None, Some("ConditionalCheckFailed")) => view.remove(edit.key),
                _ => {}
            }
        }
        Ok(Attempt::Lost)
    }

    /// The record of an id that was used before.
    pub(crate) async fn known(&self, new: &NewReservation) -> Result<Option<Done>, CommandError> {
        match self.dossier(new.id, &Access::System).await {
            Ok(dossier) => {
                let payments = dossier.payments;
                let mut done = first_answer(dossier.reservation, new.fingerprint)?;
                done.dossier.payments = payments;
                Ok(Some(done))
            }
            Err(CommandError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The spots that come into question, with their ranks.
fn ranked(facts: &LotFacts, request: &Reserve) -> Result<Vec<(SpotIndex, u16)>, CommandError> {
    let vehicle = request.new.vehicle;
    let Some(number) = &request.spot else {
        let ranked: Vec<_> = facts.directory.fitting(vehicle).collect();
        return if ranked.is_empty() { Err(CommandError::FitsNowhere) } else { Ok(ranked) };
    };
    if facts.lot.kind == LotKind::Pooled {
        return Err(CommandError::UnknownSpot);
    }
    let spot = facts.directory.by_number(number).ok_or(CommandError::UnknownSpot)?;
    if fits(spot.kind(), &vehicle) { Ok(vec![(spot.index, 0)]) } else { Err(CommandError::FitsNowhere) }
}

/// The record is its own idempotency record: the same request gets its first result, another one is refused.
fn first_answer(reservation: Reservation, fingerprint: [u8; 16]) -> Result<Done, CommandError> {
    if reservation.fingerprint != fingerprint {
        return Err(CommandError::KeyReused);
    }
    Ok(Done { dossier: Dossier { reservation, payments: Vec::new() }, replayed: true })
}

fn corrupt(facts: &LotFacts, error: &PlanError) -> StoreError {
    StoreError::Corrupt { key: facts.lot.id.to_string(), why: error.to_string() }
}
