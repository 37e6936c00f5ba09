//! One charge or refund of a reservation: the intent is stored before the provider is asked, and moves forward only.

use std::fmt;

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
    /// What is owed at the exit, billed to a saved card while nobody is asked.
    Exit,
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
    /// A violation was annulled that had been paid.
    ViolationVoided,
}

impl RefundReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
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
        Self::ViolationVoided,
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
            Self::ViolationVoided => "violation_voided",
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
        /// What was put in, in minor units; at least the amount, and the rest is change. Of a refund: the amount.
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
    /// The name in the API and in the stored item: `booking`, `balance`, `exit` or `refund`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge(Purpose::Booking) => "booking",
            Self::Charge(Purpose::Balance) => "balance",
            Self::Charge(Purpose::Exit) => "exit",
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

/// With it a driver's app answers what the card's issuer asks. It does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// Takes it as the provider wrote it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the app of the driver who pays.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

/// What the provider, or the till, says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// It was carried out.
    Succeeded {
        /// The provider's id of it.
        reference: String,
    },
    /// It was carried out without the provider: by credit, or over the counter.
    CarriedOut,
    /// It was refused; of a refund that had succeeded: it came back.
    Declined {
        /// The provider's reason.
        code: String,
    },
    /// Nothing was taken and nothing will be: the reservation ended before the provider was asked, or the charge was called off.
    Void,
    /// The card's issuer asks the driver something (3-D Secure); no money has moved.
    ActionRequired {
        /// The provider's id of the charge.
        reference: String,
        /// What the driver's app needs to answer.
        client_secret: ClientSecret,
    },
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
    pub client_secret: Option<ClientSecret>,
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

    /// The payment after the provider's word, or `None` if that word is no news.
    ///
    /// The provider is right about money: a charge that was called declined or void and was taken after all has succeeded, and a refund
    /// that the bank sent back is declined. Nothing else changes once it is settled, so words may come in any order and any number.
    #[must_use]
    pub fn after(&self, word: &Word, now_s: i64) -> Option<Self> {
        use PaymentStatus as S;
        let charge = matches!(self.kind, PaymentKind::Charge(_));
        let status = match (self.status, word) {
            (S::Requested, Word::CarriedOut) if !self.by_provider() => S::Succeeded,
            (S::Requested, Word::Succeeded { .. }) => S::Succeeded,
            (S::Declined | S::Void, Word::Succeeded { .. }) if charge => S::Succeeded,
            (S::Requested, Word::Declined { .. }) => S::Declined,
            (S::Succeeded, Word::Declined { .. }) if !charge => S::Declined,
            (S::Requested, Word::Void) if charge => S::Void,
            (S::Requested, Word::ActionRequired { client_secret, .. })
                if self.client_secret.as_ref() != Some(client_secret) =>
            {
                S::Requested
            }
            _ => return None,
        };
        let mut next = Self { status, version: self.version + 1, client_secret: None, ..self.clone() };
        match word {
            Word::Succeeded { reference } => next.provider_reference = Some(reference.clone()),
            Word::Declined { code } => next.decline_code = Some(code.clone()),
            Word::CarriedOut | Word::Void => {}
            Word::ActionRequired { reference, client_secret } => {
                next.provider_reference = Some(reference.clone());
                next.client_secret = Some(client_secret.clone());
                return Some(next);
            }
        }
        if status == S::Succeeded {
            next.decline_code = None;
        }
        next.settled_at_s = Some(now_s);
        Some(next)
    }

    /// Whether the payment provider moves the money.
    #[must_use]
    pub const fn by_provider(&self) -> bool {
        matches!(self.means, Means::Provider { .. })
    }

    /// Whether it waits for somebody to come to a till for it.
    #[must_use]
    pub fn is_change_owed(&self) -> bool {
        let cash = matches!(self.means, Means::Cash { .. });
        cash && matches!(self.kind, PaymentKind::Refund { .. }) && self.status == PaymentStatus::Requested
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
