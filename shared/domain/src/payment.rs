//! One charge or refund of a reservation: the intent is stored before the provider is asked, and moves forward only.

use crate::ids::PaymentId;
use crate::money::Currency;
use crate::reservation::Mark;
use crate::settlement::Charge;

/// What a charge is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The booking itself; success confirms the reservation.
    Booking,
    /// What is owed on top of it: an extension, an overstay, a walk-in's stay.
    Balance,
}

/// Charge or refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentKind {
    /// Money asked of the driver.
    Charge(Purpose),
    /// Money returned; `of` is the number of the charge it returns.
    Refund {
        /// Number of the charge.
        of: u8,
    },
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    /// The intent is stored; the provider may or may not have been asked.
    Requested,
    /// The provider did it, and the reservation knows.
    Succeeded,
    /// The provider said no, for good.
    Declined,
    /// Never asked of the provider: the reservation ended first.
    Void,
}

impl PaymentKind {
    /// The name in the provider's key, in the API and in the stored item: `booking`, `balance` or `refund`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge(Purpose::Booking) => "booking",
            Self::Charge(Purpose::Balance) => "balance",
            Self::Refund { .. } => "refund",
        }
    }
}

impl PaymentStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Requested, Self::Succeeded, Self::Declined, Self::Void];

    /// The name used in the API and in the stored item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Void => "void",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// The stored payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Identity; with the kind it is the provider's idempotency key (M1).
    pub id: PaymentId,
    /// Charge or refund.
    pub kind: PaymentKind,
    /// How far it got.
    pub status: PaymentStatus,
    /// Minor units, above 0.
    pub amount_minor: i64,
    /// Currency.
    pub currency: Currency,
    /// The provider's token of the payment method; never a card number (M11). None on a refund.
    pub method: Option<String>,
    /// The provider's id of the charge or refund, once known.
    pub provider_reference: Option<String>,
    /// The provider's reason for saying no.
    pub decline_code: Option<String>,
    /// The command that asked for it.
    pub mark: Mark,
    /// Epoch second of the request.
    pub requested_at_s: i64,
    /// Optimistic version, from 1.
    pub version: u32,
}

impl Payment {
    /// Whether a charge is under way: the provider may have been asked and has not answered.
    #[must_use]
    pub fn is_open_charge(&self) -> bool {
        matches!(self.kind, PaymentKind::Charge(_)) && self.status == PaymentStatus::Requested
    }
}

/// The successful charges among a reservation's payments, with what each has left to refund.
#[must_use]
pub fn refundable(payments: &[Payment]) -> Vec<Charge> {
    let captured = |p: &&Payment| matches!(p.kind, PaymentKind::Charge(_)) && p.status == PaymentStatus::Succeeded;
    let refunded = |number: u8| {
        let of = PaymentKind::Refund { of: number };
        payments.iter().filter(|p| p.kind == of && p.status != PaymentStatus::Declined).map(|p| p.amount_minor).sum()
    };
    payments
        .iter()
        .filter(captured)
        .map(|charge| Charge {
            number: charge.id.number,
            captured_minor: charge.amount_minor,
            refunded_minor: refunded(charge.id.number),
        })
        .collect()
}
