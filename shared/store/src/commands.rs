//! The commands on a reservation, named as the trade names them. Each is one conditional transaction.

use parkade_domain::adjustment::ViolationKind;
use parkade_domain::decide::{self, Change, Dossier, NewReservation, Refusal};
use parkade_domain::ids::SpotIndex;
use parkade_domain::lot::LotKind;
use parkade_domain::money::Money;
use parkade_domain::reservation::{Reason, Status};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Features, fits};

use crate::execute::{Begun, Cause, CommandError, Commit, Done, Order, PLANS_MAX, contended, merged};
use crate::pricing::Pricing;
use crate::reserve::Reserve;
use crate::{Access, Store};

/// What a driver wants changed; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modification {
    /// New start.
    pub start: Option<Minute>,
    /// New end.
    pub end: Option<Minute>,
    /// Number of another spot.
    pub spot: Option<String>,
}

/// A vehicle at the entry without a reservation.
#[derive(Debug, Clone)]
pub struct WalkIn {
    /// Who, what and where; `windows` is ignored: the session starts now and its claim follows it.
    pub new: NewReservation,
    /// The present, epoch seconds.
    pub now_s: i64,
}

impl Store {
    /// Cancels a reservation before its start and refunds what the policy gives back.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn cancel(&self, order: &Order, reason: Reason) -> Result<Done, CommandError> {
        self.execute(order, |d, c| Ok(decide::cancel(d, c.rules(), order.now_s, order.mark, reason)?)).await
    }

    /// Ends a hold whose time is over. A hold that was paid or cancelled meanwhile is left alone with [`Refusal::State`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn expire(&self, order: &Order) -> Result<Done, CommandError> {
        self.execute(order, |d, _| Ok(decide::expire(d, order.now_s, order.mark)?)).await
    }

    /// Keeps a hold while its payment is under way and the provider does not answer.
    ///
    /// # Errors
    /// [`CommandError`]; what [`decide::keep_hold`] refuses.
    pub async fn keep_hold(&self, order: &Order) -> Result<Done, CommandError> {
        self.execute(order, |d, c| Ok(decide::keep_hold(d, c.rules(), order.now_s, order.mark)?)).await
    }

    /// Gives up on a driver who did not come (I13).
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn no_show(&self, order: &Order, gate_was_offline: bool) -> Result<Done, CommandError> {
        let decision =
            |d: &Dossier, c: &Pricing| Ok(decide::no_show(d, c.rules(), order.now_s, order.mark, gate_was_offline)?);
        self.execute(order, decision).await
    }

    /// Extends, shortens, moves in time or to another spot: the claim is swapped in one transaction (I10). Moving in time may need
    /// another spot: without a wish for one, the booked spot is kept if it is free and otherwise [`CommandError::SpotTaken`] says so.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn modify(&self, order: &Order, wish: &Modification) -> Result<Done, CommandError> {
        let decision = |d: &Dossier, c: &Pricing| {
            let r = &d.reservation;
            let place = match &wish.spot {
                None => (r.spot, r.circumstances.features),
                Some(number) => {
                    let spot = c.facts.directory.by_number(number).filter(|_| c.facts.lot.kind == LotKind::Assigned);
                    let spot = spot.ok_or(CommandError::UnknownSpot)?;
                    if !fits(spot.kind(), &r.vehicle) {
                        return Err(CommandError::FitsNowhere);
                    }
                    (spot.index, spot.features)
                }
            };
            let (start, end) = (wish.start.unwrap_or(r.window.start()), wish.end.unwrap_or(r.window.end()));
            let window = Window::new(start, end).map_err(|_| CommandError::Refused(Refusal::Ended))?;
            Ok(decide::modify(d, c.rules(), order.now_s, order.mark, window, place)?)
        };
        self.execute(order, decision).await
    }

    /// Lets a vehicle in. Before its start the spot must be free from now on.
    ///
    /// # Errors
    /// [`CommandError::SpotTaken`] if the vehicle comes early and the spot is not free yet (T3).
    pub async fn check_in(&self, order: &Order) -> Result<Done, CommandError> {
        self.execute(order, |d, c| Ok(decide::check_in(d, c.rules(), order.now_s, order.mark)?)).await
    }

    /// Lets a vehicle out; frees what is left of its time and settles the price (G1, T4, T5). If something is owed and its user wants
    /// that, the intent to bill a saved card is part of the same transaction.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn check_out(&self, order: &Order) -> Result<Done, CommandError> {
        for _ in 0..PLANS_MAX {
            let (before, context) = match self.begin(order).await? {
                Begun::Replay(done) => return Ok(done),
                Begun::New(before, context) => (before, context),
            };
            let leave = |payer| decide::check_out(&before, context.rules(), order.now_s, order.mark, payer);
            let mut change = leave(None)?;
            if change.reservation.due_minor() > 0 {
                let payer = self.automatic_means(&before.reservation.user).await?;
                change = leave(payer.as_ref())?;
            }
            if let Some(done) = self.finish(order, &context, before, change, Vec::new()).await? {
                return Ok(done);
            }
        }
        Err(contended())
    }

    /// Records a violation at the tariff's price.
    ///
    /// # Errors
    /// [`CommandError`]; what [`decide::record_violation`] refuses.
    pub async fn record_violation(&self, order: &Order, kind: ViolationKind) -> Result<Done, CommandError> {
        let decision =
            |d: &Dossier, c: &Pricing| Ok(decide::record_violation(d, c.rules(), order.now_s, order.mark, kind)?);
        self.execute(order, decision).await
    }

    /// Annuls violation `number` and refunds what was paid for it.
    ///
    /// # Errors
    /// [`CommandError`]; what [`decide::void_violation`] refuses.
    pub async fn void_violation(&self, order: &Order, number: usize) -> Result<Done, CommandError> {
        self.execute(order, |d, _| Ok(decide::void_violation(d, order.now_s, order.mark, number)?)).await
    }

    /// Takes something off what an ended stay owes, and refunds what was paid of it.
    ///
    /// # Errors
    /// [`CommandError`]; what [`decide::give_goodwill`] refuses.
    pub async fn give_goodwill(&self, order: &Order, amount: Money) -> Result<Done, CommandError> {
        let decision =
            |d: &Dossier, c: &Pricing| Ok(decide::give_goodwill(d, c.rules(), order.now_s, order.mark, amount)?);
        self.execute(order, decision).await
    }

    /// Admits a vehicle without a reservation: claims a fitting spot from now for the policy's first stretch, or for what is left until
    /// the next reservation; [`Self::overstay`] lets the claim follow the stay.
    ///
    /// # Errors
    /// [`CommandError::NoSpot`] if no fitting spot is free even for the shortest stretch.
    pub async fn walk_in(&self, walk_in: &WalkIn) -> Result<Done, CommandError> {
        let facts = self.lot(&walk_in.new.lot).await?.ok_or(CommandError::UnknownLot)?;
        let now = Minute(walk_in.now_s.div_euclid(60));
        let moment = Window::new(now, now.plus(1)).map_err(|_| CommandError::NoSpot)?;
        let pricing = self.pricing_now(&facts, moment, Features::default(), walk_in.now_s).await?;
        let policy = &facts.lot.policy;
        let (first, least) = (i64::from(policy.walk_in_initial_minutes), i64::from(policy.overstay_step_minutes));
        let mut refused = CommandError::NoSpot;
        for minutes in [first, (first / 2).max(least), least] {
            let window = Window::new(now, now.plus(minutes.max(1))).map_err(|_| CommandError::NoSpot)?;
            let new = NewReservation { windows: vec![window], ..walk_in.new.clone() };
            let request = Reserve { new, spot: None, promise: None, now_s: walk_in.now_s };
            let make = |spot| decide::walk_in(pricing.rules(), &request.new, spot, walk_in.now_s);
            match self.place(&facts, &request, make).await {
                Err(CommandError::NoSpot) => refused = CommandError::NoSpot,
                other => return other,
            }
        }
        self.known(&walk_in.new).await?.ok_or(refused)
    }

    /// Lets the claim of a vehicle that is still inside grow. If the next reservation's claim is in the way, that one is given another
    /// fitting spot in the same transaction; if there is none, it is marked so that its driver is told.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn overstay(&self, order: &Order) -> Result<Done, CommandError> {
        for _ in 0..crate::sweeps::SWEEP_TRIES_MAX {
            let decision = |d: &Dossier, c: &Pricing| Ok(decide::overstay(d, c.rules(), order.now_s, order.mark)?);
            match self.execute(order, decision).await {
                Err(CommandError::SpotTaken) => {}
                other => return other,
            }
            if let Some(done) = self.push_next_away(order).await? {
                return Ok(done);
            }
        }
        Err(contended())
    }

    /// Moves the reservation that an overstay runs into; `None` if something moved meanwhile and the overstay has to be tried again.
    async fn push_next_away(&self, order: &Order) -> Result<Option<Done>, CommandError> {
        let before = self.dossier(order.id, &order.access).await?;
        let context = self.pricing_of(&before.reservation).await?;
        let change = decide::overstay(&before, context.rules(), order.now_s, order.mark)?;
        let blocker = match self.commit(&context.facts, &[(&before, &change)], Vec::new(), order.now_s).await? {
            Commit::Written => return Ok(Some(Done { dossier: merged(before, change), replayed: false })),
            Commit::Moved => return Ok(None),
            Commit::Taken(by) => by,
        };
        let next = match self.dossier(blocker, &Access::System).await {
            // An out-of-service interval: the vehicle is where it is, and the claim cannot follow it.
            Err(CommandError::NotFound) => return Err(CommandError::SpotTaken),
            other => other?,
        };
        match next.reservation.status {
            Status::Held | Status::Confirmed => {}
            Status::CheckedIn | Status::Completed => return Err(CommandError::SpotTaken),
            Status::Cancelled | Status::Expired | Status::NoShow => return Ok(None),
        }
        let cause = Order::system(blocker, Cause::Relocation, change_time(&change), order.now_s);
        let Some(spot) = self.other_spot(&next, &context, order.now_s).await? else {
            if !next.reservation.spot_blocked {
                let blocked =
                    |d: &Dossier, c: &Pricing| Ok(decide::relocate(d, c.rules(), order.now_s, cause.mark, None)?);
                self.execute(&cause, blocked).await?;
            }
            return Err(CommandError::SpotTaken);
        };
        let pricing = self.pricing_of(&next.reservation).await?;
        let moved =
            decide::relocate(&next, pricing.rules(), order.now_s, cause.mark, Some((spot, pricing.features(spot))))?;
        let both = [(&next, &moved), (&before, &change)];
        match self.commit(&context.facts, &both, Vec::new(), order.now_s).await? {
            Commit::Written => Ok(Some(Done { dossier: merged(before, change), replayed: false })),
            Commit::Moved => Ok(None),
            // Another one is in the way behind it: each round moves one, and the next round meets the other.
            Commit::Taken(..) => {
                self.commit(&context.facts, &[(&next, &moved)], Vec::new(), order.now_s).await?;
                Ok(None)
            }
        }
    }

    /// A fitting spot, other than its own, that is free for all claims of a reservation.
    pub(crate) async fn other_spot(
        &self,
        d: &Dossier,
        context: &Pricing,
        now_s: i64,
    ) -> Result<Option<SpotIndex>, CommandError> {
        let r = &d.reservation;
        let free = self.free_for(&context.facts, r.vehicle, &r.claims, now_s).await?;
        let others: Vec<_> = free.into_iter().filter(|f| f.spot != r.spot).collect();
        Ok(parkade_domain::calendar::choose(&others, parkade_domain::calendar::Allocation::BestFit, r.id.bits()))
    }
}

/// The end of the claim that an overstay asks for: names the relocation it causes.
fn change_time(change: &Change) -> i64 {
    change.reservation.claims.first().map_or(0, |claim| claim.end().0)
}
