//! A charge, and what happens to it if its reservation ended.
//!
//! A charge of an ended reservation is void, but only if the provider was never asked for it: an earlier delivery may have charged the
//! card and died before it could record that. The records do not tell whether somebody has asked, the provider does: each key belongs to
//! one request, so another request with the same key, one that no card pays, tells whether the key was used.

use parkade_domain::decide::Dossier;
use parkade_domain::payment::{Means, Payment, PaymentStatus};
use parkade_payments::{
    Charge, ChargeRequest, ChargeStatus, PaymentError, Purpose, RefundRequest, RefundStatus, Uncertainty, provider_key,
};
use parkade_store::{ChargeOutcome, Store};
use tracing::{info, warn};

use crate::{Deps, Failure, check_age};

/// The first and only try of a charge: a driver who wants to try again makes a new payment.
const ATTEMPT: u32 = 1;
/// A means of payment that does not exist, so that nothing can be charged with it.
const NO_METHOD: &str = "pm_parkade_was_this_key_used";
/// What the driver is told when the provider only names a status.
const NOT_TAKEN: &str = "card_declined";
/// What the driver is told when the provider does not take the request as such.
const NOT_ACCEPTED: &str = "payment_method_not_accepted";
const AUTHENTICATION_REQUIRED: &str = "authentication_required";
/// The issuers' reasons that a driver can do something about. All others (lost, stolen, suspected fraud, …) are not for the driver's eyes.
const TOLD: [&str; 8] = [
    AUTHENTICATION_REQUIRED,
    "card_not_supported",
    "card_velocity_exceeded",
    "currency_not_supported",
    "expired_card",
    "incorrect_cvc",
    "insufficient_funds",
    "processing_error",
];

pub(crate) async fn carry_out(deps: &Deps, now_s: i64, payment: &Payment, dossier: &Dossier) -> Result<(), Failure> {
    check_age(payment, now_s)?;
    let wanted = payment.status == PaymentStatus::Requested && Store::is_wanted(dossier, payment);
    if !wanted && !was_asked(deps, payment).await? {
        if payment.status == PaymentStatus::Requested {
            deps.store.settle(payment.id, &ChargeOutcome::Void, now_s).await?;
            info!(payment.id = %payment.id, "the reservation had ended: nothing was charged for {}", payment.id);
        }
        return Ok(());
    }
    let charge = match ask(deps, payment).await? {
        Answer::Taken(charge) => charge,
        Answer::Refused(code) => {
            deps.store.settle(payment.id, &ChargeOutcome::Declined { code }, now_s).await?;
            return Ok(());
        }
    };
    let outcome = ChargeOutcome::Succeeded { provider_reference: charge.payment_intent.to_string() };
    let done = deps.store.settle(payment.id, &outcome, now_s).await?;
    let recorded = done.dossier.payments.iter().find(|known| known.id == payment.id);
    if recorded.is_some_and(|known| known.status == PaymentStatus::Succeeded) {
        return Ok(());
    }
    // Another delivery called it void before the provider knew of this one's request.
    give_back(deps, payment, &charge).await
}

/// The provider's final word.
enum Answer {
    Taken(Charge),
    Refused(String),
}

async fn ask(deps: &Deps, payment: &Payment) -> Result<Answer, Failure> {
    let Means::Provider { method: Some(method), .. } = &payment.means else {
        return Err(Failure::Inconsistent("a charge without a means of payment"));
    };
    let charge = match deps.stripe.create_payment_intent(&request(deps, payment, method)).await {
        // An answer that was not final is repeated for ever: the charge itself knows better.
        Ok(Charge { status: ChargeStatus::Processing | ChargeStatus::RequiresCapture, payment_intent, .. }) => {
            deps.stripe.retrieve_payment_intent(&payment_intent).await?
        }
        Ok(charge) => charge,
        Err(PaymentError::Declined { code, decline_code }) => {
            return Ok(Answer::Refused(decline_code.filter(|reason| TOLD.contains(&reason.as_str())).unwrap_or(code)));
        }
        // Judged by its content and not taken: an unknown means of payment, an amount below the provider's least. Asking again, or
        // leaving the payment open, would only keep the driver from paying in another way.
        Err(PaymentError::Refused { code, .. }) => {
            warn!(payment.id = %payment.id, "the provider refused {}: {code:?}", payment.id);
            return Ok(Answer::Refused(NOT_ACCEPTED.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    match charge.status {
        ChargeStatus::Succeeded if charge.received_minor == payment.amount_minor => Ok(Answer::Taken(charge)),
        ChargeStatus::Succeeded => {
            Err(Failure::OtherAmount { asked_minor: payment.amount_minor, received_minor: charge.received_minor })
        }
        // Nobody gets the secret with which a driver could authenticate, so it stays without money.
        ChargeStatus::RequiresAction => Ok(Answer::Refused(AUTHENTICATION_REQUIRED.to_owned())),
        ChargeStatus::RequiresPaymentMethod | ChargeStatus::Canceled => Ok(Answer::Refused(NOT_TAKEN.to_owned())),
        ChargeStatus::Processing | ChargeStatus::RequiresCapture => Err(Failure::NotFinal),
    }
}

/// Whether the provider knows a request with the payment's key. Takes no money whatever the answer.
async fn was_asked(deps: &Deps, payment: &Payment) -> Result<bool, Failure> {
    match deps.stripe.create_payment_intent(&request(deps, payment, NO_METHOD)).await {
        Err(PaymentError::Unknown(Uncertainty::KeyReused)) => Ok(true),
        // The request was judged by its content: there was no earlier one.
        Err(PaymentError::Refused { .. } | PaymentError::Declined { .. }) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Failure::Inconsistent("the provider knows a means of payment that does not exist")),
    }
}

/// Everything in it comes from the stored payment, which does not change: a repeated request is the same to the letter.
fn request(deps: &Deps, payment: &Payment, method: &str) -> ChargeRequest {
    ChargeRequest {
        amount_minor: payment.amount_minor,
        currency: payment.currency,
        payment_method: method.to_owned(),
        customer: None,
        idempotency_key: provider_key(&deps.stage, Purpose::Charge, payment.id, ATTEMPT),
        reservation: payment.id.reservation.to_string(),
        payment: payment.id.to_string(),
        statement_suffix: None,
    }
}

/// Returns a charge that the records call void. Its key carries the charge's own number, which no refund has.
async fn give_back(deps: &Deps, payment: &Payment, charge: &Charge) -> Result<(), Failure> {
    let request = RefundRequest {
        payment_intent: charge.payment_intent.clone(),
        amount_minor: payment.amount_minor,
        currency: payment.currency,
        idempotency_key: provider_key(&deps.stage, Purpose::Refund, payment.id, ATTEMPT),
        reservation: payment.id.reservation.to_string(),
        payment: payment.id.to_string(),
    };
    match deps.stripe.refund(&request).await?.status {
        RefundStatus::Succeeded | RefundStatus::Pending => {
            warn!(payment.id = %payment.id, "gave back {}, which was charged while it became void", payment.id);
            Ok(())
        }
        RefundStatus::Failed | RefundStatus::Canceled => {
            Err(Failure::Inconsistent("a charge that is void cannot be given back"))
        }
    }
}
