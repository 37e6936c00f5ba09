//! What each command does to a reservation: pure decisions on what was read.
//!
//! A decision names the whole next state; the store writes it in one transaction whose conditions are exactly what was read. Money is
//! never moved here: a decision changes what is owed and, where that leaves a refund, records the refund's intent with it.

mod adjust;
mod cash;
mod gate;
mod money;
mod plans;
mod validate;

use std::collections::BTreeSet;

use thiserror::Error;

pub use adjust::{give_goodwill, record_violation, void_violation};
pub use cash::{CASH_MINOR_MAX, Cash, pay_out, take_cash};
pub use gate::{check_in, check_out, drive_up, left, overstay, sold_drive_up};
pub use money::{HOLD_KEPT_BEFORE_S, charged, keep_hold, paid_too_late, pay, refund_declined};
pub use plans::{cancel, expire, given_up, missed, modify, no_show, relocate};
pub use validate::{Uses, validate};

use crate::adjustment::{ADJUSTMENTS_MAX, ViolationKind};
use crate::ids::{LotId, PAYMENTS_PER_RESERVATION_MAX, PaymentId, ReservationId, SpotIndex, UserId};
use crate::lot::Lot;
use crate::money::Currency;
use crate::payment::Payment;
use crate::policy::{LotPolicy, WindowRefusal};
use crate::reservation::{Circumstances, Command, Reservation, SealedPlate, StateConflict, Status, VALIDATIONS_MAX};
use crate::settlement::{self, RefundError};
use crate::tariff::{Feature, LotCalendar, Price, PriceRequest, Tariff, TariffError, ValidationUse};
use crate::time::{Minute, Window};
use crate::vehicle::{Vehicle, VehicleClass};

/// Most calendar pages of one reservation: moving it changes each on two spots, together with two records and some payments, in one
/// transaction of at most 100 items.
pub const PAGES_MAX: usize = 47;
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

    /// The price of `window` as the pinned tariff has it, made of `features` of a spot ([`Feature::of_spot`]) and what is `given`.
    fn request(
        &self,
        class: VehicleClass,
        window: Window,
        features: &'a BTreeSet<Feature>,
        given: &'a [ValidationUse],
    ) -> PriceRequest<'a> {
        PriceRequest {
            features,
            validations: given,
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
    /// Less cash than is taken: nothing, or only a part of what a booking costs.
    #[error("{due_minor} minor units are due")]
    TooLittle {
        /// What is due.
        due_minor: i64,
    },
    /// The till does not hold what is to be paid out of it.
    #[error("the till does not hold so much")]
    NotInTill,
    /// The stay has this validation already.
    #[error("the validation was given before")]
    AlreadyValidated,
    /// The stay has as many validations as one can have.
    #[error("a stay has at most {VALIDATIONS_MAX} validations")]
    TooManyValidations,
    /// A validation is limited per vehicle, and which vehicle it is nobody knows.
    #[error("the validation is limited per vehicle, and the plate is unknown")]
    PlateNeeded,
    /// The pinned tariff has no price for the violation.
    #[error("the tariff has no price for the violation {}", .0.as_str())]
    NoViolationFee(ViolationKind),
    /// The visit has this violation already.
    #[error("the violation {} was recorded before", .0.as_str())]
    AlreadyRecorded(ViolationKind),
    /// No violation of this number counts.
    #[error("there is no such violation")]
    NoSuchViolation,
    /// Goodwill was given after the violation, perhaps for it.
    #[error("goodwill was given since")]
    GoodwillGiven,
    /// More is to be taken off than is owed.
    #[error("{owed_minor} minor units of {} are owed", currency.code())]
    MoreThanOwed {
        /// What is owed.
        owed_minor: i64,
        /// In which currency.
        currency: Currency,
    },
    /// The stay has as many violations and goodwill as one can have.
    #[error("a stay has at most {ADJUSTMENTS_MAX} adjustments")]
    TooManyAdjustments,
    /// A charge is under way.
    #[error("payment {0} is in progress")]
    PaymentInProgress(PaymentId),
    /// Another amount is due than the payer has seen.
    #[error("{due_minor} minor units of {} are due", currency.code())]
    AmountChanged {
        /// What is due.
        due_minor: i64,
        /// In which currency.
        currency: Currency,
    },
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
    price_with(rules, vehicle, windows, &[])
}

/// As [`price`], with what is given towards it.
fn price_with(
    rules: Rules<'_>,
    vehicle: Vehicle,
    windows: &[Window],
    given: &[ValidationUse],
) -> Result<Price, Refusal> {
    let features = Feature::of_spot(rules.circumstances.features);
    let one = |window: &Window| rules.tariff.price(&rules.request(vehicle.class, *window, &features, given));
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
    let features = Feature::of_spot(rules.circumstances.features);
    let priced = rules.tariff.price(&rules.request(new.vehicle.class, session.window, &features, &[]));
    if let Err(error @ TariffError::NoRate { .. }) = priced {
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
        validations: Vec::new(),
        currency: rules.tariff.currency,
        fees_minor: 0,
        price_minor: 0,
        kept_minor: 0,
        adjustments: Vec::new(),
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

/// The price the driver agreed to: the pinned tariff's price of the booked window, or of the occurrences of a series that are still to
/// come, with the fees for changes.
///
/// # Errors
/// [`Refusal::Tariff`]; [`Refusal::Ended`] for a series of which nothing is to come.
pub fn agreed(r: &Reservation, rules: Rules<'_>) -> Result<Price, Refusal> {
    if !r.series {
        let price = price_with(rules, r.vehicle, &[r.window], &r.validations)?;
        return settlement::with_fees(rules.tariff, price, r.fees_minor, r.window).map_err(Refusal::Tariff);
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
