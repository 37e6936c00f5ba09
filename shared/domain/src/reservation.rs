//! The reservation record and its state machine (DOMAIN: held → confirmed → checked in → completed).

use thiserror::Error;

use crate::adjustment::Adjustment;
use crate::calendar::ClaimEdit;
use crate::ids::{CalendarVersion, Claimant, LotId, ReservationId, SpotIndex, TariffVersion, UserId};
use crate::money::Currency;
use crate::tariff::ValidationUse;
use crate::time::Window;
use crate::vehicle::{Features, Vehicle};

/// Remembered commands per reservation. A client that retries does so within a few commands, not after eight others.
pub const MARKS_MAX: usize = 8;

/// Validations per stay: with them the record stays below a kilobyte, and no receipt has more merchants.
pub const VALIDATIONS_MAX: usize = 4;

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The spot is claimed and not yet paid; the hold expires.
    Held,
    /// Paid; the spot is claimed for good.
    Confirmed,
    /// The vehicle is inside.
    CheckedIn,
    /// The vehicle has left.
    Completed,
    /// Cancelled before the vehicle came.
    Cancelled,
    /// The hold ran out.
    Expired,
    /// Nobody came.
    NoShow,
}

/// What can be asked of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    /// Start a payment.
    Pay,
    /// A payment succeeded.
    Confirm,
    /// The driver or an operator cancels.
    Cancel,
    /// The hold's time is over.
    Expire,
    /// Start and grace have passed and nobody came.
    NoShow,
    /// Start and grace of one occurrence of a series have passed and nobody came; others remain.
    MissOccurrence,
    /// Extend, shorten, move in time or to another spot.
    Modify,
    /// The vehicle enters.
    CheckIn,
    /// The vehicle leaves.
    CheckOut,
    /// The vehicle leaves and later occurrences of its series remain.
    CheckOutOfOccurrence,
    /// The vehicle stays beyond its claim; the claim follows it.
    Overstay,
    /// The operator or an overstaying neighbour needs the spot: another one is given.
    Relocate,
    /// A merchant or the operator gives something towards it.
    Validate,
    /// The operator records a violation.
    RecordViolation,
    /// The operator annuls one.
    VoidViolation,
    /// The operator takes something off what is owed.
    GiveGoodwill,
}

impl Status {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Held, Self::Confirmed, Self::CheckedIn, Self::Completed, Self::Cancelled, Self::Expired, Self::NoShow];

    /// The name used in the API, in events and in the stored item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::CheckedIn => "checked_in",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::NoShow => "no_show",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the record's claims stand in the calendar. Those of a completed stay remain there as its history, cut at the exit.
    #[must_use]
    pub const fn claims(self) -> bool {
        matches!(self, Self::Held | Self::Confirmed | Self::CheckedIn | Self::Completed)
    }

    /// The state after `command`.
    ///
    /// # Errors
    /// [`StateConflict`] for every pair that [`TRANSITIONS`] does not list.
    pub fn after(self, command: Command) -> Result<Self, StateConflict> {
        TRANSITIONS
            .iter()
            .find(|(from, with, _)| *from == self && *with == command)
            .map(|(_, _, to)| *to)
            .ok_or(StateConflict { status: self, command })
    }
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 16] = [
        Self::Pay,
        Self::Confirm,
        Self::Cancel,
        Self::Expire,
        Self::NoShow,
        Self::MissOccurrence,
        Self::Modify,
        Self::CheckIn,
        Self::CheckOut,
        Self::CheckOutOfOccurrence,
        Self::Overstay,
        Self::Relocate,
        Self::Validate,
        Self::RecordViolation,
        Self::VoidViolation,
        Self::GiveGoodwill,
    ];

    /// The states in which the command is possible, for the refusal's explanation.
    pub fn allowed_in(self) -> impl Iterator<Item = Status> {
        TRANSITIONS.iter().filter(move |(_, with, _)| *with == self).map(|(from, _, _)| *from)
    }
}

/// The state machine: every pair that is not here is refused. (`Expired`, `Confirm`) is the payment that lands late and finds the time
/// still free (M3). `Pay` after the stay settles what is still owed (G1: the exit opened and the debt was recorded).
pub const TRANSITIONS: [(Status, Command, Status); 37] = [
    (Status::Held, Command::Pay, Status::Held),
    (Status::Held, Command::Confirm, Status::Confirmed),
    (Status::Held, Command::Cancel, Status::Cancelled),
    (Status::Held, Command::Expire, Status::Expired),
    (Status::Held, Command::Modify, Status::Held),
    (Status::Held, Command::Relocate, Status::Held),
    (Status::Held, Command::Validate, Status::Held),
    (Status::Confirmed, Command::Pay, Status::Confirmed),
    (Status::Confirmed, Command::Confirm, Status::Confirmed),
    (Status::Confirmed, Command::Cancel, Status::Cancelled),
    (Status::Confirmed, Command::NoShow, Status::NoShow),
    (Status::Confirmed, Command::MissOccurrence, Status::Confirmed),
    (Status::Confirmed, Command::Modify, Status::Confirmed),
    (Status::Confirmed, Command::CheckIn, Status::CheckedIn),
    (Status::Confirmed, Command::Relocate, Status::Confirmed),
    (Status::Confirmed, Command::Validate, Status::Confirmed),
    (Status::CheckedIn, Command::Pay, Status::CheckedIn),
    (Status::CheckedIn, Command::Confirm, Status::CheckedIn),
    (Status::CheckedIn, Command::Modify, Status::CheckedIn),
    (Status::CheckedIn, Command::CheckOut, Status::Completed),
    (Status::CheckedIn, Command::CheckOutOfOccurrence, Status::Confirmed),
    (Status::CheckedIn, Command::Overstay, Status::CheckedIn),
    (Status::CheckedIn, Command::Validate, Status::CheckedIn),
    (Status::CheckedIn, Command::RecordViolation, Status::CheckedIn),
    (Status::Completed, Command::RecordViolation, Status::Completed),
    // A series goes on after a visit, and may be cancelled or missed then.
    (Status::CheckedIn, Command::VoidViolation, Status::CheckedIn),
    (Status::Completed, Command::VoidViolation, Status::Completed),
    (Status::Confirmed, Command::VoidViolation, Status::Confirmed),
    (Status::Cancelled, Command::VoidViolation, Status::Cancelled),
    (Status::NoShow, Command::VoidViolation, Status::NoShow),
    // Once nothing else changes the price any more.
    (Status::Completed, Command::GiveGoodwill, Status::Completed),
    (Status::Cancelled, Command::GiveGoodwill, Status::Cancelled),
    (Status::NoShow, Command::GiveGoodwill, Status::NoShow),
    (Status::Completed, Command::Pay, Status::Completed),
    (Status::Completed, Command::Confirm, Status::Completed),
    (Status::Expired, Command::Confirm, Status::Confirmed),
    (Status::NoShow, Command::Confirm, Status::NoShow),
];

/// The state forbids the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a reservation that is {} does not take this command", .status.as_str())]
pub struct StateConflict {
    /// Where it stands.
    pub status: Status,
    /// What was asked.
    pub command: Command,
}

/// One remembered command: its key, and the fingerprint of what was asked with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Keyed hash of (principal, idempotency key), or of the system's own cause such as a payment id.
    pub key: u64,
    /// Hash of the request.
    pub fingerprint: u64,
}

/// What the marks say about a command that comes (again).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Never: carry it out.
    New,
    /// Carried out already: answer from the record.
    Replay,
    /// The key was used with another request: 422.
    KeyReused,
}

/// A plate, sealed: ciphertext for people, keyed blind index for look-ups. The domain never sees the text of a stored plate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPlate {
    /// Authenticated ciphertext.
    pub sealed: Vec<u8>,
    /// Keyed hash of (lot, canonical plate).
    pub index: [u8; 16],
}

/// Why a reservation ended as it did; an enum, so that refunds can be reported by reason (M6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The driver cancelled.
    DriverCancelled,
    /// An operator cancelled.
    OperatorCancelled,
    /// The payment came when neither the spot nor another one was free (M3).
    PaidTooLate,
    /// The spot went out of service and no other fits (I7).
    SpotOutOfService,
    /// The longest session ended and no exit was seen (G3).
    NoExitEvidence,
}

impl Reason {
    const ALL: [Self; 5] = [
        Self::DriverCancelled,
        Self::OperatorCancelled,
        Self::PaidTooLate,
        Self::SpotOutOfService,
        Self::NoExitEvidence,
    ];

    /// The name used in the API and in the stored item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DriverCancelled => "driver_cancelled",
            Self::OperatorCancelled => "operator_cancelled",
            Self::PaidTooLate => "paid_too_late",
            Self::SpotOutOfService => "spot_out_of_service",
            Self::NoExitEvidence => "no_exit_evidence",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// What a price depends on besides the tariff, the vehicle's class and the times. Pinned at booking or entry, so that the same price
/// comes out at every later reckoning (P7, P17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circumstances {
    /// The lot's holidays and events as they were known.
    pub calendar: CalendarVersion,
    /// Features of the spot, if the driver named one; who takes the best free spot pays for none.
    pub features: Features,
    /// Per cent of the lot that was taken, if the tariff asks.
    pub occupancy_percent: Option<u8>,
    /// Minutes from the booking to its start, if the tariff asks.
    pub lead_minutes: Option<u32>,
}

/// A right to a spot and, once the vehicle is inside, the session: one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Identity; also tells a walk-in.
    pub id: ReservationId,
    /// The lot.
    pub lot: LotId,
    /// Whose it is; a walk-in belongs to the gate that admitted it.
    pub user: UserId,
    /// State.
    pub status: Status,
    /// Optimistic version, from 1; every change adds 1.
    pub version: u32,
    /// The spot.
    pub spot: SpotIndex,
    /// What was booked. Of a series: from the first start to the last end.
    pub window: Window,
    /// The calendar's claims: the booked windows with the turnover buffer, an early start or an overstay. Of a series: the
    /// occurrences that are still to come.
    pub claims: Vec<Window>,
    /// Whether it was booked as several occurrences.
    pub series: bool,
    /// The vehicle.
    pub vehicle: Vehicle,
    /// The plate, if given.
    pub plate: Option<SealedPlate>,
    /// Epoch second at which the hold ends; only while held, kept after expiry for the record.
    pub hold_expires_at_s: Option<i64>,
    /// The tariff pinned at booking or entry (P7, P19).
    pub tariff: TariffVersion,
    /// What else its price depends on, pinned with the tariff.
    pub circumstances: Circumstances,
    /// What merchants and the operator have given, of the pinned tariff's validations; at most [`VALIDATIONS_MAX`].
    pub validations: Vec<ValidationUse>,
    /// The lot's currency.
    pub currency: Currency,
    /// Fees for changes of the booking that are part of the price, in minor units.
    pub fees_minor: i64,
    /// What the stay costs now, in minor units; with the adjustments it is what is owed.
    pub price_minor: i64,
    /// What stays owed by whoever cancels, leaves or does not come, in minor units: what cancelling would have kept when the booking was
    /// last changed. So a change is no way around the cancellation ladder.
    pub kept_minor: i64,
    /// What an operator has added or taken off, in order; at most [`crate::adjustment::ADJUSTMENTS_MAX`].
    pub adjustments: Vec<Adjustment>,
    /// What was charged successfully, in minor units.
    pub paid_minor: i64,
    /// What was refunded or is being refunded, in minor units; never more than paid (M5).
    pub refunded_minor: i64,
    /// Epoch second of the first request.
    pub created_at_s: i64,
    /// Epoch second of entry.
    pub entered_at_s: Option<i64>,
    /// Epoch second of exit.
    pub left_at_s: Option<i64>,
    /// Epoch second at which it was cancelled or given up.
    pub ended_at_s: Option<i64>,
    /// Why it ended early.
    pub reason: Option<Reason>,
    /// The spot cannot be had at the booked time and no other fits: the driver has been told.
    pub spot_blocked: bool,
    /// Fingerprint of the creating request: the record is its own idempotency record.
    pub fingerprint: [u8; 16],
    /// The last commands, oldest first, at most [`MARKS_MAX`].
    pub marks: Vec<Mark>,
}

/// What a sweep has to do with a reservation, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DueKind {
    /// The hold expires.
    HoldExpiry,
    /// Start and grace pass without entry.
    NoShow,
    /// The claim of a vehicle inside ends.
    Overstay,
}

impl Reservation {
    /// What is owed for the stay with all that an operator has added or taken off; goodwill never makes it less than nothing.
    #[must_use]
    pub fn owed_minor(&self) -> i64 {
        let adjusted: i64 = self.adjustments.iter().map(Adjustment::signed_minor).sum();
        (self.price_minor + adjusted).max(0)
    }

    /// What of it is for violations.
    #[must_use]
    pub fn penalties_minor(&self) -> i64 {
        self.adjustments.iter().filter(|known| known.is_violation()).map(Adjustment::signed_minor).sum()
    }

    /// What of that is not paid yet: what is paid counts towards the stay first.
    #[must_use]
    pub fn unpaid_penalties_minor(&self) -> i64 {
        self.penalties_minor().min(self.due_minor().max(0))
    }

    /// What is still to be paid; negative if a refund is owed.
    #[must_use]
    pub fn due_minor(&self) -> i64 {
        self.owed_minor() - (self.paid_minor - self.refunded_minor)
    }

    /// Whether it belongs to a driver, who may have credit; a walk-in is a vehicle that a lane has let in.
    #[must_use]
    pub fn has_driver(&self) -> bool {
        self.id.claimant() == Claimant::Reservation
    }

    /// What the marks say about a command.
    #[must_use]
    pub fn seen(&self, mark: Mark) -> Seen {
        match self.marks.iter().find(|known| known.key == mark.key) {
            None => Seen::New,
            Some(known) if known.fingerprint == mark.fingerprint => Seen::Replay,
            Some(_) => Seen::KeyReused,
        }
    }

    /// The record after a command: next version, the command remembered.
    #[must_use]
    pub fn next(&self, status: Status, mark: Mark) -> Self {
        let mut next = self.clone();
        next.status = status;
        next.version += 1;
        next.marks.push(mark);
        if next.marks.len() > MARKS_MAX {
            next.marks.remove(0);
        }
        next
    }

    /// The calendar edits that turn this record's claims into those of `after`; none if the calendar stays as it is.
    #[must_use]
    pub fn claim_edits(&self, after: &Self) -> Vec<ClaimEdit> {
        let (was, is, lease_s) = (self.claimed(), after.claimed(), after.lease_s());
        if self.spot == after.spot && was == is && self.lease_s() == lease_s {
            return Vec::new();
        }
        let edit = |spot, old: &[Window], new: &[Window]| ClaimEdit {
            spot,
            id: self.id,
            old: old.to_vec(),
            new: new.to_vec(),
            lease_s,
        };
        // An expired hold may still stand in the calendar, so its windows are released like live ones.
        if self.spot == after.spot {
            return vec![edit(self.spot, &self.claims, is)];
        }
        vec![edit(self.spot, &self.claims, &[]), edit(after.spot, &[], is)]
    }

    /// The windows that stand in the calendar.
    fn claimed(&self) -> &[Window] {
        if self.status.claims() { &self.claims } else { &[] }
    }

    /// Epoch second until which the claims are holds; 0 = firm.
    #[must_use]
    pub fn lease_s(&self) -> u32 {
        match (self.status, self.hold_expires_at_s) {
            (Status::Held, Some(at_s)) => u32::try_from(at_s).unwrap_or(u32::MAX),
            _ => 0,
        }
    }

    /// When a sweep must look at the record next.
    #[must_use]
    pub fn due(&self, no_show_grace_minutes: i64) -> Option<(DueKind, i64)> {
        match self.status {
            Status::Held => self.hold_expires_at_s.map(|at_s| (DueKind::HoldExpiry, at_s)),
            Status::Confirmed => {
                self.claims.first().map(|c| (DueKind::NoShow, c.start().plus(no_show_grace_minutes).epoch_s()))
            }
            Status::CheckedIn => self.claims.first().map(|claim| (DueKind::Overstay, claim.end().epoch_s())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_command_is_decided_once() {
        let expected = |status: Status, command: Command| -> Option<Status> {
            use {Command as C, Status as S};
            match (status, command) {
                (S::Held | S::Confirmed | S::CheckedIn | S::Completed, C::Pay) => Some(status),
                (S::Held | S::Expired, C::Confirm) => Some(S::Confirmed),
                (S::Confirmed | S::CheckedIn | S::Completed | S::NoShow, C::Confirm) => Some(status),
                (S::Held | S::Confirmed, C::Cancel) => Some(S::Cancelled),
                (S::Held, C::Expire) => Some(S::Expired),
                (S::Confirmed, C::NoShow) => Some(S::NoShow),
                (S::Confirmed, C::MissOccurrence) => Some(S::Confirmed),
                (S::CheckedIn, C::CheckOutOfOccurrence) => Some(S::Confirmed),
                (S::Held | S::Confirmed | S::CheckedIn, C::Modify) => Some(status),
                (S::Held | S::Confirmed, C::Relocate) => Some(status),
                (S::Held | S::Confirmed | S::CheckedIn, C::Validate) => Some(status),
                (S::Confirmed, C::CheckIn) => Some(S::CheckedIn),
                (S::CheckedIn, C::CheckOut) => Some(S::Completed),
                (S::CheckedIn, C::Overstay) => Some(S::CheckedIn),
                (S::CheckedIn | S::Completed, C::RecordViolation) => Some(status),
                (S::Confirmed | S::CheckedIn | S::Completed | S::Cancelled | S::NoShow, C::VoidViolation) => {
                    Some(status)
                }
                (S::Completed | S::Cancelled | S::NoShow, C::GiveGoodwill) => Some(status),
                _ => None,
            }
        };
        let mut pairs = 0;
        for status in Status::ALL {
            for command in Command::ALL {
                assert_eq!(status.after(command).ok(), expected(status, command), "{status:?} {command:?}");
                pairs += usize::from(status.after(command).is_ok());
            }
        }
        assert_eq!(pairs, TRANSITIONS.len(), "a pair is listed twice");
    }

    #[test]
    fn a_refusal_names_the_states_that_would_do() {
        let conflict = Status::Completed.after(Command::Cancel).unwrap_err();
        assert_eq!(conflict, StateConflict { status: Status::Completed, command: Command::Cancel });
        assert_eq!(Command::Cancel.allowed_in().collect::<Vec<_>>(), vec![Status::Held, Status::Confirmed]);
    }

    #[test]
    fn every_name_reads_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        // A reason that is written and not read makes its record unreadable for good.
        assert_eq!(Reason::parse("no_exit_evidence"), Some(Reason::NoExitEvidence));
    }
}
