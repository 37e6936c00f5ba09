//! From a committed change, (image before, image after), to its events. Pure: the same images give the same events.

use chrono::{DateTime, Utc};
use parkade_domain::adjustment::AdjustmentKind;
use parkade_domain::document::Entry;
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Payment, PaymentKind, PaymentStatus, RefundReason};
use parkade_domain::reservation::{Reason, Reservation, Status};
use parkade_domain::time::Minute;
use parkade_store::{Block, Image};

use crate::event::{
    Detail, Event, PaymentDetail, PreviousDetail, ReceiptDetail, ReservationDetail, SpotDetail, ViolationDetail,
    rfc3339,
};
use crate::name::EventName;

/// The events of one change, in the order in which they happened; none if nothing changed that anyone is told.
///
/// `changed_at` is the stream's time of the change; where the record itself says when something happened, that is taken.
#[must_use]
pub fn events(old: &Image, new: &Image, changed_at: DateTime<Utc>) -> Vec<Event> {
    match (old, new) {
        (Image::Reservation(old), Image::Reservation(new)) => reservation(Some(old), new, changed_at),
        (Image::Absent, Image::Reservation(new)) => reservation(None, new, changed_at),
        (Image::Payment(old), Image::Payment(new)) => payment(Some(old), new, changed_at),
        (Image::Absent, Image::Payment(new)) => payment(None, new, changed_at),
        (Image::Absent, Image::Document(entry)) => vec![document(entry, changed_at)],
        (Image::Absent, Image::Block(block)) => vec![spot(block, false, changed_at)],
        (Image::Block(block), Image::Absent) => vec![spot(block, true, changed_at)],
        // Records are never deleted by a command; what housekeeping removes has been told of long ago.
        _ => Vec::new(),
    }
}

fn reservation(old: Option<&Reservation>, new: &Reservation, changed_at: DateTime<Utc>) -> Vec<Event> {
    let event = |name: EventName| Event {
        id: format!("{}#v{}#{}", new.id.code(), new.version, name.as_str()),
        name,
        occurred_at: happened_at(name, new).unwrap_or(changed_at),
        lot: Some(new.lot.clone()),
        reservation: Some(new.id),
        payment: None,
        detail: Detail::Reservation(ReservationDetail {
            previous: old.filter(|_| name == EventName::ReservationModified).map(previous),
            ..reservation_detail(new)
        }),
    };
    let mut events: Vec<Event> = names(old, new).iter().copied().map(event).collect();
    events.extend(violation(old, new, changed_at));
    events
}

/// The violation that a step records or annuls; a step does at most one.
fn violation(old: Option<&Reservation>, new: &Reservation, changed_at: DateTime<Utc>) -> Option<Event> {
    let before = old.map_or(&[][..], |old| &old.adjustments);
    let position = new.adjustments.iter().enumerate().position(|(at, known)| before.get(at) != Some(known))?;
    let changed = new.adjustments.get(position)?;
    let AdjustmentKind::Violation(kind) = changed.kind else { return None };
    let name = if changed.is_violation() { EventName::ViolationDetected } else { EventName::ViolationVoided };
    Some(Event {
        id: format!("{}#v{}#{}", new.id.code(), new.version, name.as_str()),
        name,
        occurred_at: instant(changed.voided_at_s.unwrap_or(changed.at_s)).unwrap_or(changed_at),
        lot: Some(new.lot.clone()),
        reservation: Some(new.id),
        payment: None,
        detail: Detail::Violation(ViolationDetail {
            violation_number: position + 1,
            kind: kind.as_str(),
            amount_minor: changed.amount_minor,
            currency: new.currency.code(),
        }),
    })
}

/// What the step from `old` to `new` is called.
fn names(old: Option<&Reservation>, new: &Reservation) -> &'static [EventName] {
    use EventName as N;
    let before = old.map(|old| old.status);
    match (before, new.status) {
        (Some(before), after) if before == after => old.map_or(&[], |old| unmoved(old, new)),
        (_, Status::Held) => &[N::ReservationHeld],
        // One occurrence of a series is over and others are to come.
        (Some(Status::CheckedIn), Status::Confirmed) => &[N::ParkingExit],
        (_, Status::Confirmed) => &[N::ReservationConfirmed],
        (_, Status::CheckedIn) => &[N::ParkingEntry],
        // Closed at the longest session: nobody saw the vehicle leave (G3).
        (_, Status::Completed) if new.reason == Some(Reason::NoExitEvidence) => &[N::ReservationCompleted],
        (_, Status::Completed) => &[N::ParkingExit, N::ReservationCompleted],
        (_, Status::Cancelled) => &[N::ReservationCancelled],
        (_, Status::Expired) => &[N::ReservationExpired],
        (_, Status::NoShow) => &[N::ReservationNoShow],
    }
}

/// What a step within one state is called. A step that only moves money is told by its payment.
fn unmoved(old: &Reservation, new: &Reservation) -> &'static [EventName] {
    let missed = new.status == Status::Confirmed
        && old.window == new.window
        && old.claims.len() > 1
        && old.claims.get(1..) == Some(new.claims.as_slice());
    if missed {
        return &[EventName::ReservationNoShow];
    }
    if !old.spot_blocked && new.spot_blocked {
        return &[EventName::ReservationSpotBlocked];
    }
    let moved = (old.spot, old.window, &old.claims) != (new.spot, new.window, &new.claims);
    if new.status.claims() && moved { &[EventName::ReservationModified] } else { &[] }
}

fn happened_at(name: EventName, r: &Reservation) -> Option<DateTime<Utc>> {
    let at_s = match name {
        EventName::ReservationHeld => Some(r.created_at_s),
        EventName::ParkingEntry => r.entered_at_s,
        EventName::ParkingExit | EventName::ReservationCompleted => r.left_at_s,
        _ => None,
    };
    instant(at_s?)
}

fn reservation_detail(r: &Reservation) -> ReservationDetail {
    let claims = if r.status.claims() { r.claims.as_slice() } else { &[] };
    let held_until = r.hold_expires_at_s.filter(|_| r.status == Status::Held);
    ReservationDetail {
        status: r.status.as_str(),
        version: r.version,
        spot_index: r.spot.0,
        start_time: time(r.window.start()),
        end_time: time(r.window.end()),
        claimed_until: claims.last().map(|claim| time(claim.end())),
        hold_expires_at: held_until.and_then(instant).map(rfc3339),
        vehicle_class: r.vehicle.class.as_str(),
        currency: r.currency.code(),
        price_minor: r.owed_minor(),
        paid_minor: r.paid_minor,
        refunded_minor: r.refunded_minor,
        reason: r.reason.map(Reason::as_str),
        previous: None,
    }
}

fn previous(r: &Reservation) -> PreviousDetail {
    let (start_time, end_time) = (time(r.window.start()), time(r.window.end()));
    PreviousDetail { spot_index: r.spot.0, start_time, end_time }
}

fn payment(old: Option<&Payment>, new: &Payment, changed_at: DateTime<Utc>) -> Vec<Event> {
    if old.is_some_and(|old| old.status == new.status) {
        return Vec::new();
    }
    let refund = matches!(new.kind, PaymentKind::Refund { .. });
    let name = match (new.status, refund) {
        (PaymentStatus::Requested, false) => EventName::PaymentRequested,
        (PaymentStatus::Succeeded, false) => EventName::PaymentProcessed,
        (PaymentStatus::Declined | PaymentStatus::Void, false) => EventName::PaymentFailed,
        (PaymentStatus::Requested, true) => EventName::RefundRequested,
        (PaymentStatus::Succeeded, true) => EventName::RefundProcessed,
        (PaymentStatus::Declined | PaymentStatus::Void, true) => EventName::RefundFailed,
    };
    let requested_at = instant(new.requested_at_s).filter(|_| new.status == PaymentStatus::Requested);
    let code = new.id.reservation.code();
    vec![Event {
        // The number is part of it: a reservation's payments share its partition.
        id: format!("{code}#P{:02}#v{}#{}", new.id.number, new.version, name.as_str()),
        name,
        occurred_at: requested_at.unwrap_or(changed_at),
        lot: None,
        reservation: Some(new.id.reservation),
        payment: Some(new.id),
        detail: Detail::Payment(payment_detail(new)),
    }]
}

fn payment_detail(p: &Payment) -> PaymentDetail {
    let (of, reason) = match p.kind {
        PaymentKind::Refund { of, reason } => (Some(PaymentId { number: of, ..p.id }.to_string()), Some(reason)),
        PaymentKind::Charge(_) => (None, None),
    };
    PaymentDetail {
        kind: p.kind.as_str(),
        status: p.status.as_str(),
        amount_minor: p.amount_minor,
        currency: p.currency.code(),
        means: p.means.as_str(),
        of_payment_id: of,
        reason: reason.map(RefundReason::as_str),
        decline_code: p.decline_code.clone(),
    }
}

fn document(entry: &Entry, changed_at: DateTime<Utc>) -> Event {
    let name = EventName::ReceiptIssued;
    let reservation = entry.id.payment.reservation;
    Event {
        id: format!("{}#C{:03}#{}", reservation.code(), entry.position, name.as_str()),
        name,
        occurred_at: instant(entry.issued_at_s).unwrap_or(changed_at),
        lot: Some(entry.number.series.lot.clone()),
        reservation: Some(reservation),
        payment: Some(entry.id.payment),
        detail: Detail::Receipt(ReceiptDetail {
            receipt_id: entry.id.to_string(),
            kind: entry.kind.as_str(),
            number: entry.number.to_string(),
            amount_minor: entry.total_minor,
            currency: entry.currency.code(),
        }),
    }
}

fn spot(block: &Block, in_service: bool, changed_at: DateTime<Utc>) -> Event {
    let name = EventName::SpotStatusChanged;
    let direction = if in_service { "in" } else { "out" };
    Event {
        // An interval has no version, and its id may come back with a late retry of the request: the second tells the two apart.
        id: format!("{}#{}#{direction}{}#{}", block.lot, block.id.code(), changed_at.timestamp(), name.as_str()),
        name,
        occurred_at: changed_at,
        lot: Some(block.lot.clone()),
        reservation: None,
        payment: None,
        detail: Detail::Spot(SpotDetail {
            spot_index: block.spot.0,
            in_service,
            start_time: time(block.window.start()),
            end_time: time(block.window.end()),
        }),
    }
}

fn time(minute: Minute) -> String {
    rfc3339(minute.instant())
}

fn instant(epoch_s: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(epoch_s, 0)
}
