//! Payments.

use parkade_domain::ids::{PaymentId, ReceiptId, ReservationId};
use parkade_domain::payment::{Payment, PaymentKind, PaymentStatus};
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;
use crate::wire::{AmountView, second_text};

/// Longest payment method token.
const METHOD_CHARS_MAX: usize = 255;

/// Body of `POST /v1/payments`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayRequest {
    /// What is to be paid.
    pub reservation_id: String,
    /// The payment provider's token; never a card number (M11).
    pub payment_method: Option<String>,
    /// `true` instead of `payment_method` pays with the user's credit.
    #[serde(default)]
    pub wallet: bool,
}

/// A checked [`PayRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayInput {
    /// What is to be paid.
    pub reservation: ReservationId,
    /// What with.
    pub with: PayWith,
}

/// What a driver pays with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayWith {
    /// The payment provider's token of a card.
    Method(String),
    /// The user's credit.
    Credit,
}

impl PayRequest {
    /// The input, or everything wrong with the request.
    ///
    /// # Errors
    /// `invalid_fields`.
    pub fn check(self) -> Result<PayInput, Problem> {
        let mut errors = FieldErrors::new();
        let reservation = errors.parse("/reservation_id", &self.reservation_id);
        let with = match (self.payment_method, self.wallet) {
            (Some(method), false) => token(method, &mut errors).map(PayWith::Method),
            (None, true) => Some(PayWith::Credit),
            (None, false) => {
                errors.push("/payment_method", FieldCode::OneOf, "give payment_method, or wallet as true");
                None
            }
            (Some(_), true) => {
                errors.push("/wallet", FieldCode::OneOf, "give payment_method, or wallet as true, not both");
                None
            }
        };
        errors.finish(reservation.zip(with).map(|(reservation, with)| PayInput { reservation, with }))
    }
}

fn token(method: String, errors: &mut FieldErrors) -> Option<String> {
    let method = errors.text("/payment_method", method, METHOD_CHARS_MAX);
    if method.as_ref().is_some_and(|method| !method.bytes().all(|byte| byte.is_ascii_graphic())) {
        errors.push("/payment_method", FieldCode::Invalid, "a token of visible ASCII characters");
    }
    method
}

/// A user's credit, answer of `GET /v1/users/{id}/wallet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletView {
    /// One amount for each currency in which the user ever had credit.
    pub balances: Vec<AmountView>,
}

/// A charge or refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// `pay_…`.
    pub id: String,
    /// What it pays for.
    pub reservation_id: String,
    /// `booking`, `balance` or `refund`.
    pub kind: String,
    /// `requested`, `action_required`, `succeeded`, `declined` or `void`.
    pub status: String,
    /// How much.
    pub amount: AmountView,
    /// `provider`, `cash` or `wallet`.
    pub means: String,
    /// Of a refund: the charge it returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_of: Option<String>,
    /// Of a refund: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the provider said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    /// What the driver has to do before the charge can succeed; only shown to who pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// When it was asked for.
    pub requested_at: String,
    /// Version, also the entity tag.
    pub version: u32,
    /// Where to look next.
    pub links: PaymentLinks,
}

/// The card's issuer asks something (3-D Secure): the app answers it with the payment provider's own library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextAction {
    /// `confirm_with_provider`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For the provider's library, and nobody else's eyes.
    pub client_secret: String,
}

/// Where to look next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentLinks {
    /// This payment.
    #[serde(rename = "self")]
    pub this: String,
    /// What it pays for.
    pub reservation: String,
    /// Its receipt or credit note, which is issued within seconds; present once the money has moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

impl PaymentView {
    /// The view of a stored payment. The method's token and the provider's id stay inside.
    #[must_use]
    pub fn from_domain(payment: &Payment) -> Self {
        let (refund_of, reason) = match payment.kind {
            PaymentKind::Refund { of, reason } => {
                (Some(PaymentId { number: of, ..payment.id }.to_string()), Some(reason.as_str().to_owned()))
            }
            PaymentKind::Charge(_) => (None, None),
        };
        let status = if payment.client_secret.is_some() { "action_required" } else { payment.status.as_str() };
        let (id, reservation_id) = (payment.id.to_string(), payment.id.reservation.to_string());
        Self {
            links: PaymentLinks {
                this: format!("/v1/payments/{id}"),
                reservation: format!("/v1/reservations/{reservation_id}"),
                receipt: (payment.status == PaymentStatus::Succeeded)
                    .then(|| format!("/v1/receipts/{}", ReceiptId::of(payment.id))),
            },
            id,
            reservation_id,
            kind: payment.kind.as_str().to_owned(),
            status: status.to_owned(),
            amount: AmountView::new(payment.amount_minor, payment.currency),
            means: payment.means.as_str().to_owned(),
            refund_of,
            reason,
            decline_code: payment.decline_code.clone(),
            next_action: None,
            requested_at: second_text(payment.requested_at_s),
            version: payment.version,
        }
    }

    /// The view for who pays: with what is still to be done.
    #[must_use]
    pub fn for_payer(payment: &Payment) -> Self {
        let next_action = payment.client_secret.as_ref().map(|secret| NextAction {
            kind: "confirm_with_provider".to_owned(),
            client_secret: secret.expose().to_owned(),
        });
        Self { next_action, ..Self::from_domain(payment) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_names_a_reservation_and_a_token() {
        let check = |reservation: &str, method: Option<&str>, wallet| {
            let payment_method = method.map(str::to_owned);
            PayRequest { reservation_id: reservation.to_owned(), payment_method, wallet }.check()
        };
        let id = "res_0000000000001";
        assert_eq!(check(id, Some("pm_card_visa"), false).unwrap().reservation.bits(), 1);
        assert_eq!(check(id, None, true).unwrap().with, PayWith::Credit);
        let refused = |reservation: &str, method, wallet| {
            let problem = check(reservation, method, wallet).unwrap_err();
            problem.errors().iter().map(|error| (error.pointer.clone(), error.code)).collect::<Vec<_>>()
        };
        let both = refused("res_1", Some("pm card"), false);
        assert_eq!(
            both.iter().map(|error| error.0.as_str()).collect::<Vec<_>>(),
            ["/reservation_id", "/payment_method"]
        );
        assert_eq!(refused(id, None, false), [("/payment_method".to_owned(), "one_of")]);
        assert_eq!(refused(id, Some("pm_1"), true), [("/wallet".to_owned(), "one_of")]);
    }
}
