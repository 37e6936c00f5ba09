//! The names of all events: past tense, with a version. A name never changes its meaning; a new meaning is a new version.

/// What every event of ours says it comes from.
pub const SOURCE: &str = "parkade";

/// The bus's detail types, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventName {
    /// A spot is claimed and not yet paid.
    ReservationHeld,
    /// A reservation is paid, or firm for another reason.
    ReservationConfirmed,
    /// A reservation was cancelled.
    ReservationCancelled,
    /// A hold ran out.
    ReservationExpired,
    /// Nobody came; of a series with occurrences still to come the status stays `confirmed`.
    ReservationNoShow,
    /// The stay is over.
    ReservationCompleted,
    /// Time, spot or claim changed: by the driver, by a relocation or because the vehicle stays.
    ReservationModified,
    /// The spot cannot be had at the booked time and there is no other.
    ReservationSpotBlocked,
    /// A vehicle came in.
    ParkingEntry,
    /// A vehicle went out.
    ParkingExit,
    /// A spot goes out of service for an interval, or such an interval was withdrawn.
    SpotStatusChanged,
    /// Money is to be charged.
    PaymentRequested,
    /// A charge succeeded.
    PaymentProcessed,
    /// A charge was declined, or not carried out because the reservation had ended.
    PaymentFailed,
    /// Money is to be given back.
    RefundRequested,
    /// A refund succeeded.
    RefundProcessed,
    /// The provider refused a refund, or the bank sent it back.
    RefundFailed,
    /// A receipt or credit note has its number.
    ReceiptIssued,
    /// A violation was recorded.
    ViolationDetected,
    /// A violation was annulled.
    ViolationVoided,
}

impl EventName {
    /// Every name.
    pub const ALL: [Self; 20] = [
        Self::ReservationHeld,
        Self::ReservationConfirmed,
        Self::ReservationCancelled,
        Self::ReservationExpired,
        Self::ReservationNoShow,
        Self::ReservationCompleted,
        Self::ReservationModified,
        Self::ReservationSpotBlocked,
        Self::ParkingEntry,
        Self::ParkingExit,
        Self::SpotStatusChanged,
        Self::PaymentRequested,
        Self::PaymentProcessed,
        Self::PaymentFailed,
        Self::RefundRequested,
        Self::RefundProcessed,
        Self::RefundFailed,
        Self::ReceiptIssued,
        Self::ViolationDetected,
        Self::ViolationVoided,
    ];

    /// The detail type on the bus.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReservationHeld => "reservation.held.v1",
            Self::ReservationConfirmed => "reservation.confirmed.v1",
            Self::ReservationCancelled => "reservation.cancelled.v1",
            Self::ReservationExpired => "reservation.expired.v1",
            Self::ReservationNoShow => "reservation.no-show.v1",
            Self::ReservationCompleted => "reservation.completed.v1",
            Self::ReservationModified => "reservation.modified.v1",
            Self::ReservationSpotBlocked => "reservation.spot-blocked.v1",
            Self::ParkingEntry => "parking.entry.v1",
            Self::ParkingExit => "parking.exit.v1",
            Self::SpotStatusChanged => "spot.status-changed.v1",
            Self::PaymentRequested => "payment.requested.v1",
            Self::PaymentProcessed => "payment.processed.v1",
            Self::PaymentFailed => "payment.failed.v1",
            Self::RefundRequested => "refund.requested.v1",
            Self::RefundProcessed => "refund.processed.v1",
            Self::RefundFailed => "refund.failed.v1",
            Self::ReceiptIssued => "receipt.issued.v1",
            Self::ViolationDetected => "violation.detected.v1",
            Self::ViolationVoided => "violation.voided.v1",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_no_two_are_the_same() {
        for name in EventName::ALL {
            assert_eq!(EventName::parse(name.as_str()), Some(name));
        }
        assert_eq!(EventName::parse("reservation.held"), None);
        assert_eq!(EventName::parse("reservation.held.v2"), None);
    }
}
