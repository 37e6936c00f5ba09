//! One charge or refund of a reservation: the intent is stored before the provider is asked, and moves forward only.

use crate::ids::{PaymentId, TillId};
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
    /// Money returned.
    Refund {
        /// Number of the charge it returns.
        of: u8,
        /// Why.
        reason: RefundReason,
    },
}

/// Why money goes back; an enum, so that refunds can be reported by reason (M6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefundReason {
    /// The driver cancelled.
    Cancellation,
    /// The operator cancelled.
    OperatorCancellation,
    /// The booking was changed to one that costs less.
    Change,
    /// The vehicle left before the end of its time (T4).
    EarlyExit,
    /// Nobody came: what the policy does not keep (I13).
    NoShow,
    /// The money came when no spot was left (M3).
    PaidTooLate,
    /// More was paid than was owed in the end, because the price fell or the reservation ended while the charge was under way.
    Overpaid,
    /// The spot went out of service and there is no other (I7).
    OutOfService,
    /// Another spot was given, without features that were paid for.
    Relocation,
    /// The operator's goodwill.
    Goodwill,
}

impl RefundReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Cancellation,
        Self::OperatorCancellation,
        Self::Change,
        Self::EarlyExit,
        Self::NoShow,
        Self::PaidTooLate,
        Self::Overpaid,
        Self::OutOfService,
        Self::Relocation,
        Self::Goodwill,
    ];

    /// The name used in the API, in events and in the stored item.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancellation => "cancellation",
            Self::OperatorCancellation => "operator_cancellation",
            Self::Change => "change",
            Self::EarlyExit => "early_exit",
            Self::NoShow => "no_show",
            Self::PaidTooLate => "paid_too_late",
            Self::Overpaid => "overpaid",
            Self::OutOfService => "out_of_service",
            Self::Relocation => "relocation",
            Self::Goodwill => "goodwill",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// How money comes, or goes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Means {
    /// Through the payment provider. On a refund both are absent: it goes where it came from.
    Provider {
        /// The provider's token of the card or wallet; never a card number (M11).
        method: Option<String>,
        /// The provider's customer that the method is saved with; then it is charged without the driver present.
        customer: Option<String>,
    },
    /// Over the counter or into a kiosk (M9).
    Cash {
        /// The till.
        till: TillId,
        /// What was put in, in minor units; at least the amount, and the rest is change.
        tendered_minor: i64,
    },
    /// The user's credit.
    Wallet,
}

impl Means {
    /// The name used in the API, in events and in the stored item.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Provider { .. } => "provider",
            Self::Cash { .. } => "cash",
            Self::Wallet => "wallet",
        }
    }

    /// A card or wallet of the provider's, with the driver present.
    #[must_use]
    pub fn card(method: impl Into<String>) -> Self {
        Self::Provider { method: Some(method.into()), customer: None }
    }

    /// A refund to where the money came from.
    #[must_use]
    pub const fn returned_by_provider() -> Self {
        Self::Provider { method: None, customer: None }
    }
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    /// The intent is stored; the provider may or may not have been asked.
    Requested,
    /// The provider did it, and the reservation knows.
    Succeeded,
    /// The provider said no. Of a refund that had succeeded: the bank sent it back.
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
    /// How the money comes or goes.
    pub means: Means,
    /// The provider's id of the charge or refund, once known.
    pub provider_reference: Option<String>,
    /// The provider's reason for saying no.
    pub decline_code: Option<String>,
    /// With this the driver can answer what the card's issuer asks (3-D Secure), until it is settled.
    pub client_secret: Option<String>,
    /// The command that asked for it.
    pub mark: Mark,
    /// Epoch second of the request.
    pub requested_at_s: i64,
    /// Epoch second at which the outcome was recorded: in which month and day its ledger entry falls.
    pub settled_at_s: Option<i64>,
    /// Optimistic version, from 1.
    pub version: u32,
}

impl Payment {
    /// Of a refund: the number of the charge it returns.
    #[must_use]
    pub const fn returns(&self) -> Option<u8> {
        match self.kind {
            PaymentKind::Refund { of, .. } => Some(of),
            PaymentKind::Charge(_) => None,
        }
    }

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
        let returns = |p: &&Payment| p.returns() == Some(number) && p.status != PaymentStatus::Declined;
        payments.iter().filter(returns).map(|p| p.amount_minor).sum()
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
