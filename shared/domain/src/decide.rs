//! What each command does to a reservation: pure decisions on what was read.
//!
//! A decision names the whole next state; the store writes it in one transaction whose conditions are exactly what was read. Money is
//! never moved here: a decision changes what is owed and, where that leaves a refund, records the refund's intent with it.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::ids::{LotId, PAYMENTS_PER_RESERVATION_MAX, PaymentId, ReservationId, SpotIndex, UserId};
use crate::lot::Lot;
use crate::payment::{Payment, PaymentKind, PaymentStatus, Purpose, refundable};
use crate::policy::{LotPolicy, WindowRefusal};
use crate::reservation::{Circumstances, Command, Mark, Reason, Reservation, SealedPlate, StateConflict, Status};
use crate::settlement::{self, RefundError, Settlement, Stay};
use crate::tariff::{Basis, Feature, LotCalendar, Price, PriceRequest, Tariff, TariffError};
use crate::time::{Minute, Window};
use crate::vehicle::{Features, Vehicle, VehicleClass};

/// Most calendar pages of one reservation: moving it changes each on two spots, together with two records and some payments, in one
/// transaction of at most 100 items.
pub const PAGES_MAX: usize = 47;
/// Highest number of a charge: the numbers above it are for refunds, so that an exit or a cancellation can always record one.
const CHARGES_MAX: u8 = 60;

/// A reservation with its payments, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dossier {
    /// The reservation.
    pub reservation: Reservation,
    /// Its charges and refunds by number.
    pub payments: Vec<Payment>,
}

/// What a decision reads of the lot.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The lot with its policy.
    pub lot: &'a Lot,
    /// The tariff version pinned on the reservation (P19).
    pub tariff: &'a Tariff,
    /// The holidays and events of the version that `circumstances` names.
    pub calendar: &'a LotCalendar,
    /// What else the price depends on, pinned with the tariff.
    pub circumstances: Circumstances,
}

impl<'a> Rules<'a> {
    /// Rules without holidays, events or anything else that a price could depend on.
    #[must_use]
    pub fn ordinary(lot: &'a Lot, tariff: &'a Tariff) -> Self {
        Self { lot, tariff, calendar: LotCalendar::ordinary(), circumstances: Circumstances::default() }
    }

    /// The price of `window` as the pinned tariff has it, made of `features` of a spot ([`Feature::of_spot`]).
    fn request(&self, class: VehicleClass, window: Window, features: &'a BTreeSet<Feature>) -> PriceRequest<'a> {
        PriceRequest {
            features,
            calendar: self.calendar,
            occupancy_percent: self.circumstances.occupancy_percent,
            lead_minutes: self.circumstances.lead_minutes,
            ..PriceRequest::booking(&self.lot.zone, class, window)
        }
    }
}

impl Rules<'_> {
    /// The lot's policy with what the pinned tariff's terms say instead.
    #[must_use]
    pub fn policy(&self) -> LotPolicy {
        self.lot.policy.under(self.tariff.terms.as_ref())
    }
}

/// The next state: the record, and the payments that are new or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record after the command.
    pub reservation: Reservation,
    /// Payments to write with it. Version 1 is new, any other replaces the version before.
    pub payments: Vec<Payment>,
}

/// Why a command is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The state forbids it.
    #[error("the state forbids it")]
    State(#[source] StateConflict),
    /// The promise of a price has expired (P17).
    #[error("the quote has expired")]
    QuoteExpired,
    /// A booking that was free would cost something: nobody has paid for it, and it has no hold that could run out.
    #[error("a free booking cannot be changed to one that costs")]
    WasFree,
    /// The hold ended before the payment (410).
    #[error("the hold has expired")]
    HoldExpired,
    /// The booked time has begun: cancelling or moving the start is over.
    #[error("the reservation has already started")]
    AlreadyStarted,
    /// The booked time is over.
    #[error("the reservation's time is over")]
    Ended,
    /// Nothing to do yet.
    #[error("it is not due before {0}")]
    NotDue(Minute),
    /// The driver came before the free window of early arrival (T3).
    #[error("the gate opens at {opens_at}")]
    TooEarly {
        /// When entry becomes possible.
        opens_at: Minute,
    },
    /// A policy of the lot forbids the window (T11).
    #[error("the window is refused")]
    Window(#[source] WindowRefusal),
    /// The booking touches more calendar pages than one transaction can move to another spot.
    #[error("the booking touches more than {PAGES_MAX} calendar pages")]
    TooManyDays,
    /// Occurrences of a series overlap or are out of order.
    #[error("the occurrences of a series overlap")]
    OccurrencesOverlap,
    /// A series cannot be changed, only cancelled.
    #[error("a series of reservations cannot be modified")]
    Series,
    /// The tariff does not price it.
    #[error("the tariff cannot price it")]
    Tariff(#[source] TariffError),
    /// Nothing is owed.
    #[error("nothing is owed")]
    NothingToPay,
    /// A charge is under way.
    #[error("payment {0} is in progress")]
    PaymentInProgress(PaymentId),
    /// All payment numbers are used.
    #[error("a reservation has at most {PAYMENTS_PER_RESERVATION_MAX} payments")]
    TooManyPayments,
    /// The stored payments do not add up: a bug, and nothing is refunded (M5).
    #[error("the payments of the reservation do not add up")]
    Refund(#[source] RefundError),
}

/// What a new reservation is made of.
#[derive(Debug, Clone)]
pub struct NewReservation {
    /// Its id.
    pub id: ReservationId,
    /// The lot.
    pub lot: LotId,
    /// Whose it is.
    pub user: UserId,
    /// The vehicle.
    pub vehicle: Vehicle,
    /// The plate, sealed.
    pub plate: Option<SealedPlate>,
    /// One window, or the occurrences of a series in order; never empty.
    pub windows: Vec<Window>,
    /// Fingerprint of the request.
    pub fingerprint: [u8; 16],
}

fn after(status: Status, command: Command) -> Result<Status, Refusal> {
    status.after(command).map_err(Refusal::State)
}

/// The calendar's claims for booked windows in order: each with the lot's turnover buffer (T10), which ends at the latest where the
/// next occurrence of the same series begins.
#[must_use]
pub fn claims_for(lot: &Lot, windows: &[Window]) -> Vec<Window> {
    let buffer = i64::from(lot.policy.turnover_buffer_minutes);
    let nexts = windows.iter().skip(1).map(|next| Some(next.start())).chain(std::iter::once(None));
    let claim = |(window, next): (&Window, Option<Minute>)| {
        let end = window.end().plus(buffer);
        Window::new(window.start(), next.map_or(end, |next| end.min(next))).ok()
    };
    windows.iter().zip(nexts).filter_map(claim).collect()
}

/// The agreed price of booked windows; a series costs the sum of its occurrences.
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn price(rules: Rules<'_>, vehicle: Vehicle, windows: &[Window]) -> Result<Price, Refusal> {
    let features = Feature::of_spot(rules.circumstances.features);
    let one = |window: &Window| rules.tariff.price(&rules.request(vehicle.class, *window, &features));
    let mut prices = windows.iter().map(one);
    let first = prices.next().unwrap_or(Err(TariffError::Overflow)).map_err(Refusal::Tariff)?;
    prices.try_fold(first, |sum, next| sum.plus(next?)).map_err(Refusal::Tariff)
}

/// A hold on `spot`. What costs nothing is confirmed at once: there is nothing to wait for.
///
/// # Errors
/// [`Refusal::Tariff`] or [`Refusal::Ended`] if there is no window.
pub fn hold(rules: Rules<'_>, new: &NewReservation, spot: SpotIndex, now_s: i64) -> Result<Reservation, Refusal> {
    let price_minor = price(rules, new.vehicle, &new.windows)?.total_minor();
    let mut record = record(rules, new, spot, now_s)?;
    record.price_minor = price_minor;
    if price_minor > 0 {
        record.status = Status::Held;
        record.hold_expires_at_s = Some(now_s + i64::from(rules.lot.policy.hold_ttl_s));
    }
    Ok(record)
}

/// A walk-in's session: inside from the first second, priced at its exit. Only a class that has no rate at all is turned away.
///
/// # Errors
/// [`Refusal::Tariff`] or [`Refusal::Ended`] if there is no window.
pub fn walk_in(rules: Rules<'_>, new: &NewReservation, spot: SpotIndex, now_s: i64) -> Result<Reservation, Refusal> {
    let mut session = record(rules, new, spot, now_s)?;
    if let Err(error @ TariffError::NoRate { .. }) = sold_drive_up(rules, new.vehicle, session.window) {
        return Err(Refusal::Tariff(error));
    }
    (session.status, session.entered_at_s) = (Status::CheckedIn, Some(now_s));
    Ok(session)
}

/// A record that owes nothing yet and needs no payment.
fn record(rules: Rules<'_>, new: &NewReservation, spot: SpotIndex, now_s: i64) -> Result<Reservation, Refusal> {
    if !new.windows.is_sorted_by(|a, b| a.end() <= b.start()) {
        return Err(Refusal::OccurrencesOverlap);
    }
    let (Some(first), Some(last)) = (new.windows.first(), new.windows.last()) else { return Err(Refusal::Ended) };
    let mut pages: Vec<_> = new.windows.iter().flat_map(|window| rules.lot.geometry.pages(*window)).collect();
    pages.dedup();
    if pages.len() > PAGES_MAX {
        return Err(Refusal::TooManyDays);
    }
    Ok(Reservation {
        id: new.id,
        lot: new.lot.clone(),
        user: new.user.clone(),
        status: Status::Confirmed,
        version: 1,
        spot,
        window: Window::new(first.start(), last.end()).map_err(|_| Refusal::Ended)?,
        claims: claims_for(rules.lot, &new.windows),
        series: new.windows.len() > 1,
        vehicle: new.vehicle,
        plate: new.plate.clone(),
        hold_expires_at_s: None,
        tariff: rules.tariff.version,
        circumstances: rules.circumstances,
        currency: rules.tariff.currency,
        fees_minor: 0,
        price_minor: 0,
        kept_minor: 0,
        paid_minor: 0,
        refunded_minor: 0,
        created_at_s: now_s,
        entered_at_s: None,
        left_at_s: None,
        ended_at_s: None,
        reason: None,
        spot_blocked: false,
        fingerprint: new.fingerprint,
        marks: Vec::new(),
    })
}

/// Cancels: the ladder decides what stays owed, the rest is refunded.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::AlreadyStarted`].
pub fn cancel(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark, reason: Reason) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let status = after(r.status, Command::Cancel)?;
    let now = minute(now_s);
    let mut next = r.next(status, mark);
    (next.reason, next.ended_at_s) = (Some(reason), Some(now_s));
    next.price_minor = match (r.status, reason) {
        (Status::Held, _) | (_, Reason::SpotOutOfService) => 0,
        // Who was told that there is no spot owes nothing.
        _ if r.spot_blocked => 0,
        _ => {
            // Of a series only what is still to come is cancelled.
            let ahead = Window::new(r.claims.first().map_or(r.window.start(), |c| c.start()), r.window.end());
            let ahead = ahead.ok().filter(|ahead| now < ahead.start()).ok_or(Refusal::AlreadyStarted)?;
            let difference_minor = given_up(r, rules, now, ahead)?.difference_minor();
            (r.price_minor + difference_minor).max(r.kept_minor.min(r.price_minor))
        }
    };
    next.claims.clear();
    with_refunds(d, next, mark, now_s)
}

/// Ends a hold whose time is over (I4).
///
/// # Errors
/// [`Refusal::State`], [`Refusal::NotDue`].
pub fn expire(d: &Dossier, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let status = after(d.reservation.status, Command::Expire)?;
    let expires_at_s = d.reservation.hold_expires_at_s.unwrap_or(i64::MAX);
    if now_s < expires_at_s {
        return Err(Refusal::NotDue(minute(expires_at_s)));
    }
    // The claims leave the calendar but stay on the record: a payment that lands late may still get them (M3).
    Ok(Change { reservation: d.reservation.next(status, mark), payments: Vec::new() })
}

/// Gives up on a driver who did not come: the remaining time is released, the policy's share stays owed (I13, M10). `gate_was_offline`
/// is the lot's evidence that nobody could have come in.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::NotDue`].
pub fn no_show(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    gate_was_offline: bool,
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    after(r.status, Command::NoShow)?;
    let awaited = r.claims.first().map_or(r.window.start(), |claim| claim.start());
    let due = awaited.plus(i64::from(rules.lot.policy.no_show_grace_minutes));
    if now_s < due.epoch_s() {
        return Err(Refusal::NotDue(due));
    }
    if r.claims.len() > 1 {
        // The prepaid series goes on; only the missed occurrence's time is given back.
        let mut next = r.next(after(r.status, Command::MissOccurrence)?, mark);
        next.claims.remove(0);
        return Ok(Change { reservation: next, payments: Vec::new() });
    }
    let mut next = r.next(after(r.status, Command::NoShow)?, mark);
    next.claims.clear();
    next.ended_at_s = Some(now_s);
    if !r.series {
        // Nobody is a no-show who was told that there is no spot, or who may have stood before a dead gate.
        next.price_minor = if gate_was_offline || r.spot_blocked {
            0
        } else {
            let owed_minor = missed(r, rules)?.total_minor();
            owed_minor.max(r.kept_minor.min(r.price_minor))
        };
    }
    with_refunds(d, next, mark, now_s)
}

/// Extends, shortens, moves in time or to another spot; the state stays, the claim is swapped whole (I10). A paid booking pays the
/// fee of the tariff's terms for it. `features` are those that are paid for: of the spot, if the driver named it.
///
/// # Errors
/// [`Refusal`] of the state, the window or the tariff.
pub fn modify(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    window: Window,
    (spot, features): (SpotIndex, Features),
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let status = after(r.status, Command::Modify)?;
    let now = minute(now_s);
    if r.series {
        return Err(Refusal::Series);
    }
    if r.status == Status::Held && r.hold_expires_at_s.is_some_and(|at_s| at_s <= now_s) {
        return Err(Refusal::HoldExpired);
    }
    if r.window.end() <= now || window.end() <= now {
        return Err(Refusal::Ended);
    }
    // A hold's price must not change under a charge that will confirm it.
    if let Some(open) = d.payments.iter().find(|p| p.is_open_charge() && r.status == Status::Held) {
        return Err(Refusal::PaymentInProgress(open.id));
    }
    let started = r.status == Status::CheckedIn || r.window.start() <= now;
    if started && (window.start() != r.window.start() || (r.status == Status::CheckedIn && spot != r.spot)) {
        return Err(Refusal::AlreadyStarted);
    }
    // The notice is about when a stay begins: one that keeps its start has given it.
    let kept_start = window.start() == r.window.start();
    let notice = i64::from(rules.lot.policy.min_notice_minutes);
    let checked_at = if kept_start { window.start().plus(-notice) } else { now };
    rules.lot.policy.check_window(checked_at, window).map_err(Refusal::Window)?;
    let mut next = r.next(status, mark);
    (next.window, next.spot) = (window, spot);
    let entered_early = r.claims.first().map(|claim| claim.start()).filter(|start| *start < window.start());
    next.claims = match (r.status, entered_early) {
        (Status::CheckedIn, Some(start)) => {
            claims_for(rules.lot, &[Window::new(start, window.end()).map_err(|_| Refusal::Ended)?])
        }
        _ => claims_for(rules.lot, &[window]),
    };
    next.circumstances.features = features;
    let binding = r.status != Status::Held && !r.spot_blocked;
    let is_change = (window, spot) != (r.window, r.spot);
    let terms = rules.tariff.terms.as_ref().filter(|_| binding && is_change && r.paid_minor > r.refunded_minor);
    let fee_minor = terms.map_or(0, |terms| terms.modification_fee_minor(now, r.window.start()));
    next.fees_minor += fee_minor;
    let agreed_minor = agreed(&next, Rules { circumstances: next.circumstances, ..rules })?.total_minor();
    let extends = window.start() == r.window.start() && window.end() >= r.window.end();
    // Who books more gives nothing up.
    if binding && !(extends && agreed_minor - fee_minor >= r.price_minor) {
        next.kept_minor = kept_by_change(r, rules, now, window)? + fee_minor;
    }
    next.price_minor = agreed_minor.max(next.kept_minor);
    if r.status == Status::Confirmed && r.price_minor == 0 && r.paid_minor == r.refunded_minor && next.price_minor > 0 {
        return Err(Refusal::WasFree);
    }
    if r.status == Status::Held && next.price_minor == 0 {
        (next.status, next.hold_expires_at_s) = (after(r.status, Command::Confirm)?, None);
    }
    next.spot_blocked = next.spot_blocked && spot == r.spot;
    with_refunds(d, next, mark, now_s)
}

/// What stays owed after a change to `window`: what giving up the booking instead would keep now, or for a vehicle inside what leaving
/// at the new end would.
fn kept_by_change(r: &Reservation, rules: Rules<'_>, now: Minute, window: Window) -> Result<i64, Refusal> {
    let owed = if r.status == Status::CheckedIn {
        let (price, features) = (agreed(r, rules)?, Feature::of_spot(r.circumstances.features));
        let booked = rules.request(r.vehicle.class, r.window, &features);
        let stay = Stay { tariff: rules.tariff, booked, left_at: window.end(), price: &price };
        settlement::early_exit(&rules.policy(), &stay).map_err(Refusal::Tariff)?
    } else {
        given_up(r, rules, now, r.window)?
    };
    Ok(owed.owed.total_minor().max(r.kept_minor))
}

/// What giving up the rest of a booking at `now` leaves owed: nothing while the driver may still think better of it, else what the
/// ladder keeps. `ahead` is what is still to come of it.
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn given_up(r: &Reservation, rules: Rules<'_>, now: Minute, ahead: Window) -> Result<Settlement, Refusal> {
    let agreed = agreed(r, rules)?;
    let cools_off = rules.tariff.terms.as_ref().is_some_and(|terms| terms.cools_off(minute(r.created_at_s), now));
    let settled = if cools_off {
        settlement::withdrawal(&agreed, ahead)
    } else {
        settlement::cancellation(&agreed, &rules.policy().cancellation, now, ahead)
    };
    settled.map_err(Refusal::Tariff)
}

/// What somebody owes who never came, although the gate would have opened (I13).
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn missed(r: &Reservation, rules: Rules<'_>) -> Result<Price, Refusal> {
    let share = rules.policy().no_show_share(false);
    Ok(settlement::no_show(&agreed(r, rules)?, share, r.window).map_err(Refusal::Tariff)?.owed)
}

/// Lets the vehicle in. Before the start the claim grows to now, which the store refuses if the spot is still taken (T3).
///
/// # Errors
/// [`Refusal::State`], [`Refusal::TooEarly`], [`Refusal::Ended`].
pub fn check_in(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::CheckIn)?, mark);
    let now = minute(now_s);
    let Some(claim) = next.claims.first_mut() else { return Err(Refusal::Ended) };
    let opens_at = claim.start().plus(-i64::from(rules.policy().early_arrival_minutes));
    if now < opens_at {
        return Err(Refusal::TooEarly { opens_at });
    }
    if now >= claim.end() {
        return Err(Refusal::Ended);
    }
    if now < claim.start() {
        *claim = Window::new(now, claim.end()).map_err(|_| Refusal::Ended)?;
    }
    (next.entered_at_s, next.left_at_s, next.spot_blocked) = (Some(now_s), None, false);
    Ok(Change { reservation: next, payments: Vec::new() })
}

/// Lets the vehicle out: the claim is cut, the policy settles an early or a late exit, a debt is recorded (G1, T4, T5).
///
/// # Errors
/// [`Refusal::State`], [`Refusal::Tariff`].
pub fn check_out(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    after(r.status, Command::CheckOut)?;
    let left_at = Minute((now_s + 59).div_euclid(60));
    let series_goes_on = r.claims.len() > 1;
    let command = if series_goes_on { Command::CheckOutOfOccurrence } else { Command::CheckOut };
    let mut next = r.next(after(r.status, command)?, mark);
    next.left_at_s = Some(now_s);
    if series_goes_on {
        next.claims.remove(0);
        next.entered_at_s = None;
        return Ok(Change { reservation: next, payments: Vec::new() });
    }
    let buffer = i64::from(rules.lot.policy.turnover_buffer_minutes);
    if let Some(claim) = next.claims.first_mut() {
        let cut = claim.end().min(left_at.plus(buffer)).max(claim.start().plus(1));
        *claim = Window::new(claim.start(), cut).map_err(|_| Refusal::Ended)?;
    }
    if r.id.claimant() == crate::ids::Claimant::WalkIn {
        let stayed =
            Window::new(r.window.start(), left_at.max(r.window.start().plus(1))).map_err(|_| Refusal::Ended)?;
        next.window = stayed;
        next.price_minor = drive_up(rules, r.vehicle, stayed)?.total_minor();
    } else if !r.series {
        match left(r, rules, left_at) {
            Ok(owed) => next.price_minor = owed.total_minor().max(r.kept_minor),
            // The exit opens whatever the tariff says (G1): what was agreed stays owed.
            Err(Refusal::Tariff(_)) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    with_refunds(d, next, mark, now_s)
}

/// Lets the claim of a vehicle that is still inside grow by the lot's step; the store refuses if somebody else's claim is in the way.
/// At the lot's longest session the stay is closed without evidence of an exit, which bounds its charge (G3).
///
/// # Errors
/// [`Refusal::State`], [`Refusal::NotDue`], [`Refusal::Tariff`].
pub fn overstay(d: &Dossier, rules: Rules<'_>, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::Overstay)?, mark);
    let Some(claim) = next.claims.first_mut() else { return Err(Refusal::Ended) };
    if now_s < claim.end().epoch_s() {
        return Err(Refusal::NotDue(claim.end()));
    }
    let entered_at = minute(r.entered_at_s.unwrap_or(r.created_at_s));
    let longest = entered_at.plus(i64::from(rules.lot.policy.max_session_minutes));
    let step = i64::from(rules.lot.policy.overstay_step_minutes);
    let end = claim.end().max(minute(now_s)).plus(step);
    if claim.end() >= longest {
        let mut closed = check_out(d, rules, claim.end().epoch_s(), mark)?;
        closed.reservation.reason = Some(Reason::NoExitEvidence);
        return Ok(closed);
    }
    *claim = Window::new(claim.start(), end.min(longest)).map_err(|_| Refusal::Ended)?;
    Ok(Change { reservation: next, payments: Vec::new() })
}

/// Gives the reservation another spot, with its features, or with `None` records that there is none and the driver has to be told. Who
/// paid for features that the other spot lacks gets back what they cost.
///
/// # Errors
/// [`Refusal::State`], [`Refusal::Refund`].
pub fn relocate(
    d: &Dossier,
    rules: Rules<'_>,
    now_s: i64,
    mark: Mark,
    spot: Option<(SpotIndex, Features)>,
) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(after(r.status, Command::Relocate)?, mark);
    let Some((spot, features)) = spot else {
        next.spot_blocked = true;
        return Ok(Change { reservation: next, payments: Vec::new() });
    };
    (next.spot, next.spot_blocked) = (spot, false);
    next.circumstances.features = r.circumstances.features.common(features);
    if next.circumstances != r.circumstances {
        let without = agreed(&next, Rules { circumstances: next.circumstances, ..rules });
        let less_minor = without.map_or(r.price_minor, |price| price.total_minor().min(r.price_minor));
        (next.price_minor, next.kept_minor) = (less_minor, r.kept_minor.min(less_minor));
    }
    with_refunds(d, next, mark, now_s)
}

/// The intent to charge what is due.
///
/// # Errors
/// [`Refusal`] of the state, an expired hold (410), nothing due, or a charge under way.
pub fn pay(d: &Dossier, now_s: i64, mark: Mark, method: String) -> Result<Payment, Refusal> {
    let r = &d.reservation;
    let lapsed = r.status == Status::Held && r.hold_expires_at_s.is_some_and(|at_s| at_s <= now_s);
    if lapsed || r.status == Status::Expired {
        return Err(Refusal::HoldExpired);
    }
    after(r.status, Command::Pay)?;
    if let Some(open) = d.payments.iter().find(|p| p.is_open_charge()) {
        return Err(Refusal::PaymentInProgress(open.id));
    }
    if r.due_minor() <= 0 {
        return Err(Refusal::NothingToPay);
    }
    let purpose = if r.status == Status::Held { Purpose::Booking } else { Purpose::Balance };
    let number = next_number(&d.payments)?;
    if number > CHARGES_MAX {
        return Err(Refusal::TooManyPayments);
    }
    Ok(Payment {
        id: PaymentId { reservation: r.id, number },
        kind: PaymentKind::Charge(purpose),
        status: PaymentStatus::Requested,
        amount_minor: r.due_minor(),
        currency: r.currency,
        method: Some(method),
        provider_reference: None,
        decline_code: None,
        mark,
        requested_at_s: now_s,
        version: 1,
    })
}

/// A charge succeeded at the provider. Confirms a hold, also one that expired meanwhile if its time is still free on `spot` (M3);
/// on a reservation that has ended otherwise, what is too much is refunded at once.
///
/// # Errors
/// [`Refusal::Ended`] if a lapsed reservation's time is over: use [`paid_too_late`].
pub fn charged(d: &Dossier, paid: &Payment, now_s: i64, mark: Mark, spot: SpotIndex) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(r.status.after(Command::Confirm).unwrap_or(r.status), mark);
    next.paid_minor += paid.amount_minor;
    if matches!(r.status, Status::Held | Status::Expired) {
        if minute(now_s) >= r.window.end() {
            return Err(Refusal::Ended);
        }
        next.spot = spot;
        next.hold_expires_at_s = None;
    }
    with_charge(d, paid, next, mark, now_s)
}

/// A charge succeeded and neither the spot nor another fitting one is free any more: everything is refunded (M3).
///
/// # Errors
/// [`Refusal::Refund`] if the payments do not add up.
pub fn paid_too_late(d: &Dossier, paid: &Payment, now_s: i64, mark: Mark) -> Result<Change, Refusal> {
    let r = &d.reservation;
    let mut next = r.next(Status::Expired, mark);
    next.claims.clear();
    next.paid_minor += paid.amount_minor;
    (next.price_minor, next.reason) = (0, Some(Reason::PaidTooLate));
    with_charge(d, paid, next, mark, now_s)
}

/// The provider will not return a refund: it is owed again, so the record shows it and the next command that settles asks anew.
#[must_use]
pub fn refund_declined(d: &Dossier, declined: &Payment, mark: Mark) -> Change {
    let mut next = d.reservation.next(d.reservation.status, mark);
    next.refunded_minor -= declined.amount_minor;
    Change { reservation: next, payments: vec![declined.clone()] }
}

/// The change that records a successful charge, with the refund of what it is too much.
fn with_charge(d: &Dossier, paid: &Payment, next: Reservation, mark: Mark, now_s: i64) -> Result<Change, Refusal> {
    let known = Dossier { reservation: d.reservation.clone(), payments: replaced(&d.payments, paid) };
    let mut change = with_refunds(&known, next, mark, now_s)?;
    change.payments.insert(0, paid.clone());
    Ok(change)
}

/// The price of a stay that nobody booked: graces for those who drive up are not for bookings (T1).
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn drive_up(rules: Rules<'_>, vehicle: Vehicle, stayed: Window) -> Result<Price, Refusal> {
    match sold_drive_up(rules, vehicle, stayed) {
        // The exit opens also where the tariff has no price for what was driven (G1); the record shows that nothing was owed.
        Err(TariffError::Unavailable | TariffError::TooLong) => {
            Price::new(rules.tariff.currency, rules.tariff.version, Vec::new()).map_err(Refusal::Tariff)
        }
        other => other.map_err(Refusal::Tariff),
    }
}

/// As [`drive_up`], where the tariff sells such a stay.
///
/// # Errors
/// [`TariffError`].
pub fn sold_drive_up(rules: Rules<'_>, vehicle: Vehicle, stayed: Window) -> Result<Price, TariffError> {
    let features = Feature::of_spot(rules.circumstances.features);
    let request = PriceRequest { basis: Basis::Stay, ..rules.request(vehicle.class, stayed, &features) };
    settlement::drive_up(rules.tariff, &request)
}

/// What is owed for a booked stay that ended at `left_at`, early, in time or late (T4, T5).
///
/// # Errors
/// [`Refusal::Tariff`].
pub fn left(r: &Reservation, rules: Rules<'_>, left_at: Minute) -> Result<Price, Refusal> {
    let features = Feature::of_spot(rules.circumstances.features);
    let booked = rules.request(r.vehicle.class, r.window, &features);
    let stay = Stay { tariff: rules.tariff, booked, left_at, price: &agreed(r, rules)? };
    Ok(settlement::leave(&rules.policy(), &stay).map_err(Refusal::Tariff)?.owed)
}

/// The price the driver agreed to: the pinned tariff's price of the booked window, or of the occurrences of a series that are still to
/// come, with the fees for changes.
///
/// # Errors
/// [`Refusal::Tariff`]; [`Refusal::Ended`] for a series of which nothing is to come.
pub fn agreed(r: &Reservation, rules: Rules<'_>) -> Result<Price, Refusal> {
    if !r.series {
        let price = price(rules, r.vehicle, &[r.window])?;
        return settlement::with_fees(price, r.fees_minor, r.window).map_err(Refusal::Tariff);
    }
    if r.claims.is_empty() {
        return Err(Refusal::Ended);
    }
    let buffer = i64::from(rules.lot.policy.turnover_buffer_minutes);
    let booked = |claim: &Window| Window::new(claim.start(), claim.end().plus(-buffer)).ok();
    price(rules, r.vehicle, &r.claims.iter().filter_map(booked).collect::<Vec<_>>())
}

fn minute(epoch_s: i64) -> Minute {
    Minute(epoch_s.div_euclid(60))
}

fn next_number(payments: &[Payment]) -> Result<u8, Refusal> {
    let last = payments.iter().map(|p| p.id.number).max().unwrap_or(0);
    if last >= PAYMENTS_PER_RESERVATION_MAX { Err(Refusal::TooManyPayments) } else { Ok(last + 1) }
}

fn replaced(payments: &[Payment], with: &Payment) -> Vec<Payment> {
    payments.iter().map(|p| if p.id == with.id { with.clone() } else { p.clone() }).collect()
}

/// Adds the refunds that a smaller price leaves: their intents are written in the same transaction as their cause, and the record's
/// version guards that two of them never refund the same cent (M5).
fn with_refunds(d: &Dossier, mut next: Reservation, mark: Mark, now_s: i64) -> Result<Change, Refusal> {
    let too_much = -next.due_minor();
    if too_much <= 0 {
        return Ok(Change { reservation: next, payments: Vec::new() });
    }
    let parts = settlement::allocate_refund(&refundable(&d.payments), too_much).map_err(Refusal::Refund)?;
    let mut payments: Vec<Payment> = Vec::new();
    for (of, amount_minor) in parts {
        let known: Vec<Payment> = d.payments.iter().chain(&payments).cloned().collect();
        payments.push(Payment {
            id: PaymentId { reservation: next.id, number: next_number(&known)? },
            kind: PaymentKind::Refund { of },
            status: PaymentStatus::Requested,
            amount_minor,
            currency: next.currency,
            method: None,
            provider_reference: None,
            decline_code: None,
            mark,
            requested_at_s: now_s,
            version: 1,
        });
    }
    next.refunded_minor += too_much;
    Ok(Change { reservation: next, payments })
}
