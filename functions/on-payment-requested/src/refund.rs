//! A refund: always part of a charge that the records know, never more than what is left of it (M5).

use parkade_domain::decide::Dossier;
use parkade_domain::payment::{Payment, PaymentStatus};
use parkade_payments::{PaymentError, ProviderId, Purpose, RefundRequest, RefundStatus, provider_key};
use parkade_store::ChargeOutcome;
use tracing::error;

use crate::{Deps, Failure, check_age};

/// A refund that fails for good is looked at by a person, so there is no second attempt.
const ATTEMPT: u32 = 1;
const NOT_RETURNED: &str = "refund_failed";

pub(crate) async fn carry_out(
    deps: &Deps,
    now_s: i64,
    refund: &Payment,
    of: u8,
    dossier: &Dossier,
) -> Result<(), Failure> {
    check_age(refund, now_s)?;
    let request = RefundRequest {
        payment_intent: charged(dossier, of)?,
        amount_minor: refund.amount_minor,
        currency: refund.currency,
        idempotency_key: provider_key(&deps.stage, Purpose::Refund, refund.id, ATTEMPT),
        reservation: refund.id.reservation.to_string(),
        payment: refund.id.to_string(),
    };
    let declined = |code: &str| ChargeOutcome::Declined { code: code.to_owned() };
    let outcome = match deps.stripe.refund(&request).await {
        Ok(answer) => match answer.status {
            // A pending refund is with the driver's bank: the provider has taken it, and asking again gives the same answer for ever.
            RefundStatus::Succeeded | RefundStatus::Pending => {
                ChargeOutcome::Succeeded { provider_reference: answer.id.to_string() }
            }
            RefundStatus::Failed | RefundStatus::Canceled => declined(NOT_RETURNED),
        },
        Err(PaymentError::Declined { code, .. }) => declined(&code),
        Err(error) => return Err(error.into()),
    };
    if let ChargeOutcome::Declined { code } = &outcome {
        error!(payment.id = %refund.id, "the provider will not return {}: {code}", refund.id);
    }
    deps.store.settle(refund.id, &outcome, now_s).await?;
    Ok(())
}

/// The provider's id of the charge that a refund gives back from.
fn charged(dossier: &Dossier, of: u8) -> Result<ProviderId, Failure> {
    let charge = dossier.payments.iter().find(|payment| payment.id.number == of);
    let charge = charge.filter(|charge| charge.status == PaymentStatus::Succeeded);
    let reference = charge.and_then(|charge| charge.provider_reference.as_deref());
    let reference = reference.ok_or(Failure::Inconsistent("a refund of a charge that did not succeed"))?;
    ProviderId::new(reference).map_err(|_| Failure::Inconsistent("the charge's provider id is no id"))
}
