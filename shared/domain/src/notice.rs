//! Whether something is worth telling its driver, and what of it: a pure decision on the record as it is now.
//!
//! An event only says where to look. By the time it is read the booking may have been cancelled, moved again or paid after all; who is
//! told then is told what holds, or nothing.

use crate::adjustment::{AdjustmentKind, ViolationKind};
use crate::decide::Dossier;
use crate::ids::{Claimant, SpotIndex};
use crate::lot::{Lot, LotKind};
use crate::money::Money;
use crate::payment::{Payment, PaymentKind, PaymentStatus, Purpose};
use crate::preferences::Topic;
use crate::reservation::{Reservation, Status};
use crate::time::{Minute, Window};

/// How long before its start a driver is reminded of a booking: time to get there.
pub const REMINDER_LEAD_MINUTES: i64 = 60;
/// How long before its end a driver inside is told: time to come back, or to extend.
pub const EXPIRY_LEAD_MINUTES: i64 = 15;

/// Where and when a booking is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The booked time.
    pub window: Window,
    /// The spot.
    pub spot: SpotIndex,
}

/// Something that happened to a reservation, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// It became firm.
    Confirmed,
    /// Its time or spot changed.
    Moved {
        /// Before.
        from: Placement,
        /// After.
        to: Placement,
    },
    /// Nobody came.
    NotCome,
    /// The charge of this number was declined.
    PaymentFailed(u8),
    /// The refund of this number was carried out.
    Refunded(u8),
    /// A receipt was issued; its id.
    ReceiptIssued(String),
    /// The violation of this number was recorded.
    Fined(u8),
    /// The violation of this number was annulled.
    Annulled(u8),
    /// The awaited occurrence begins then.
    StartsSoon(Minute),
    /// The booked time of the vehicle inside ends then.
    EndsSoon(Minute),
}

/// What a declined payment leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpaid {
    /// The spot is held until then.
    Held(Minute),
    /// The spot is free for others.
    Lost,
    /// The stay itself is paid; something on top of it is still owed.
    Balance,
}

/// What a driver is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The booking is firm.
    Confirmed {
        /// When.
        window: Window,
        /// Whether the window spans several dates.
        series: bool,
        /// What was paid for it.
        paid: Money,
    },
    /// A payment was declined.
    PaymentFailed {
        /// What was to be charged.
        amount: Money,
        /// What that means.
        then: Unpaid,
    },
    /// The booking begins soon.
    Reminder {
        /// The start.
        start: Minute,
    },
    /// The booked time ends soon.
    Expiring {
        /// The end.
        end: Minute,
    },
    /// The booking ends later than before.
    Extended {
        /// When it is now.
        window: Window,
        /// What is still owed; nothing if that is zero.
        due: Option<Money>,
    },
    /// The booking is at another time or on another spot.
    Changed {
        /// When it is now.
        window: Window,
        /// What is still owed; nothing if that is zero.
        due: Option<Money>,
    },
    /// Nobody came.
    NoShow {
        /// When somebody was expected; unknown for one date of a series.
        window: Option<Window>,
        /// What of the price stays with the lot.
        kept: Money,
        /// What comes back.
        refunded: Money,
    },
    /// A receipt can be fetched.
    Receipt {
        /// Its id.
        id: String,
    },
    /// A violation was recorded, or annulled.
    Violation {
        /// The booked time of its stay.
        window: Window,
        /// Which.
        kind: ViolationKind,
        /// What it costs.
        amount: Money,
        /// Whether it was annulled: nothing is owed for it.
        voided: bool,
    },
    /// Money has come back.
    Refund {
        /// How much.
        amount: Money,
    },
}

impl Notice {
    /// What it is about.
    #[must_use]
    pub const fn topic(&self) -> Topic {
        match self {
            Self::Confirmed { .. }
            | Self::PaymentFailed { .. }
            | Self::Extended { .. }
            | Self::Changed { .. }
            | Self::NoShow { .. }
            | Self::Violation { .. } => Topic::Bookings,
            Self::Reminder { .. } | Self::Expiring { .. } => Topic::Reminders,
            Self::Receipt { .. } | Self::Refund { .. } => Topic::Receipts,
        }
    }

    /// Whether the driver has to act, or waits for it: then an e-mail does not wait for the morning.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        matches!(
            self,
            Self::Confirmed { .. } | Self::PaymentFailed { .. } | Self::Reminder { .. } | Self::Expiring { .. }
        )
    }
}

/// What the driver is told of an occasion at `now`; `None` if it does not hold any more, or was never worth a message.
#[must_use]
pub fn notice(occasion: &Occasion, d: &Dossier, lot: &Lot, now: Minute) -> Option<Notice> {
    let r = &d.reservation;
    // A walk-in belongs to the gate that admitted it.
    if r.id.claimant() != Claimant::Reservation {
        return None;
    }
    let money = |minor| Money::new(minor, r.currency);
    match occasion {
        Occasion::Confirmed => {
            let paid = money(r.paid_minor - r.refunded_minor);
            is_firm(r).then_some(Notice::Confirmed { window: r.window, series: r.series, paid })
        }
        Occasion::Moved { from, to } => moved(r, lot, *from, *to),
        Occasion::NotCome => {
            let missed_one = r.series && r.status == Status::Confirmed;
            let (kept, refunded) = (money(r.paid_minor - r.refunded_minor), money(r.refunded_minor));
            let window = (!r.series).then_some(r.window);
            (missed_one || r.status == Status::NoShow).then_some(Notice::NoShow { window, kept, refunded })
        }
        Occasion::PaymentFailed(number) => payment_failed(d, *number, now),
        Occasion::Refunded(number) => {
            let refund = payment(d, *number)?;
            let given = matches!(refund.kind, PaymentKind::Refund { .. }) && refund.status == PaymentStatus::Succeeded;
            given.then_some(Notice::Refund { amount: Money::new(refund.amount_minor, refund.currency) })
        }
        Occasion::Fined(number) => violation(r, *number, false),
        Occasion::Annulled(number) => violation(r, *number, true),
        Occasion::ReceiptIssued(id) => Some(Notice::Receipt { id: id.clone() }),
        Occasion::StartsSoon(start) => {
            let awaited = r.claims.first().map(|claim| claim.start());
            let holds = r.status == Status::Confirmed && awaited == Some(*start) && now < *start;
            holds.then_some(Notice::Reminder { start: *start })
        }
        Occasion::EndsSoon(end) => {
            let holds = r.status == Status::CheckedIn && booked_end(r, lot) == Some(*end) && now < *end;
            holds.then_some(Notice::Expiring { end: *end })
        }
    }
}

/// What is about to happen to a reservation that was found by its next due instant: its start if a vehicle is awaited, the booked end if
/// one is inside.
#[must_use]
pub fn upcoming(r: &Reservation, lot: &Lot) -> Option<Occasion> {
    match r.status {
        Status::Confirmed => r.claims.first().map(|claim| Occasion::StartsSoon(claim.start())),
        Status::CheckedIn => booked_end(r, lot).map(Occasion::EndsSoon),
        _ => None,
    }
}

/// The end of the booked time of the vehicle inside, without the buffer behind it. Of a series the claim is all there is, and it may have
/// grown with an overstay: every date ends at the same time by the lot's clocks, so any other time is none that was booked.
fn booked_end(r: &Reservation, lot: &Lot) -> Option<Minute> {
    if !r.series {
        return Some(r.window.end());
    }
    let end = r.claims.first()?.end().plus(-i64::from(lot.policy.turnover_buffer_minutes));
    (lot.zone.local(end).time() == lot.zone.local(r.window.end()).time()).then_some(end)
}

fn is_firm(r: &Reservation) -> bool {
    matches!(r.status, Status::Confirmed | Status::CheckedIn)
}

fn moved(r: &Reservation, lot: &Lot, from: Placement, to: Placement) -> Option<Notice> {
    let now_at = Placement { window: r.window, spot: r.spot };
    // Moved again since: that move tells.
    if !is_firm(r) || now_at != to {
        return None;
    }
    let same_spot = from.spot == to.spot || lot.kind == LotKind::Pooled;
    let (was, is) = (from.window, to.window);
    if same_spot && was == is {
        return None;
    }
    let due = (r.due_minor() > 0).then_some(Money::new(r.due_minor(), r.currency));
    let extended = same_spot && was.start() == is.start() && was.end() < is.end();
    Some(if extended { Notice::Extended { window: is, due } } else { Notice::Changed { window: is, due } })
}

/// One that was annulled before anybody told of it is told of once, by its annulment.
fn violation(r: &Reservation, number: u8, voided: bool) -> Option<Notice> {
    let known = r.adjustments.get(usize::from(number).checked_sub(1)?)?;
    let AdjustmentKind::Violation(kind) = known.kind else { return None };
    let amount = Money::new(known.amount_minor, r.currency);
    (voided == known.voided_at_s.is_some()).then_some(Notice::Violation { window: r.window, kind, amount, voided })
}

fn payment(d: &Dossier, number: u8) -> Option<&Payment> {
    d.payments.iter().find(|payment| payment.id.number == number)
}

fn payment_failed(d: &Dossier, number: u8, now: Minute) -> Option<Notice> {
    let r = &d.reservation;
    let failed = payment(d, number).filter(|payment| payment.status == PaymentStatus::Declined)?;
    let PaymentKind::Charge(purpose) = failed.kind else { return None };
    // The driver is trying again: that try tells.
    let tried_again = d.payments.iter().any(|p| p.id.number > number && matches!(p.kind, PaymentKind::Charge(_)));
    if tried_again || r.status == Status::Cancelled || r.due_minor() <= 0 {
        return None;
    }
    let held_until = r.hold_expires_at_s.map(|at_s| Minute(at_s.div_euclid(60)));
    let then = match (purpose, r.status, held_until) {
        (Purpose::Balance | Purpose::Exit, ..) => Unpaid::Balance,
        (Purpose::Booking, Status::Held, Some(until)) if now < until => Unpaid::Held(until),
        (Purpose::Booking, ..) => Unpaid::Lost,
    };
    Some(Notice::PaymentFailed { amount: Money::new(failed.amount_minor, failed.currency), then })
}
