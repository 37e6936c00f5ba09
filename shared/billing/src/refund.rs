//! A refund: always part of a charge that the records know, never more than what is left of it (M5).

use parkade_domain::decide::Dossier;
use parkade_domain::payment::{Payment, PaymentStatus, Word};
use parkade_payments::{
    PaymentError, ProviderId, Purpose, Refund, RefundRequest, RefundStatus, Uncertainty, provider_key,
};
use parkade_store::Intent;
use tracing::error;

use crate::{ASKED_WITHIN_S, Cashier, Failure};

/// A refund that fails for good is looked at by a person, so there is no second attempt.
const ATTEMPT: u32 = 1;
pub(crate) const NOT_RETURNED: &str = "refund_failed";

impl Cashier {
    pub(crate) async fn refund(&self, intent: Intent, of: u8, now_s: i64) -> Result<Payment, Failure> {
        let refund = &intent.payment;
        let charge = charged(&intent.dossier, of)?;
        let word = if now_s - refund.requested_at_s > ASKED_WITHIN_S {
            self.look_up_refund(refund, &charge, true).await?
        } else {
            self.ask_refund(refund, charge, now_s).await?
        };
        if let Word::Declined { code } = &word {
            error!(payment.id = %refund.id, "the provider will not return {}: {code}", refund.id);
        }
        self.record(intent, &word, now_s).await
    }

    async fn ask_refund(&self, refund: &Payment, charge: ProviderId, now_s: i64) -> Result<Word, Failure> {
        let request = RefundRequest {
            payment_intent: charge,
            amount_minor: refund.amount_minor,
            currency: refund.currency,
            idempotency_key: provider_key(&self.stage, Purpose::Refund, refund.id, ATTEMPT),
            reservation: refund.id.reservation.to_string(),
            payment: refund.id.to_string(),
        };
        match self.breaker.around(now_s, self.stripe.refund(&request)).await? {
            Ok(answer) => Ok(word_of(&answer)),
            Err(PaymentError::Declined { code, .. }) => Ok(Word::Declined { code }),
            Err(PaymentError::Unknown(Uncertainty::ServerError { replayed: true, .. })) => {
                self.look_up_refund(refund, &request.payment_intent, false).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Finds the refund by our payment's id, for a key that is `forgotten` or tells nothing. The list of a charge's refunds does not lag.
    async fn look_up_refund(&self, refund: &Payment, charge: &ProviderId, forgotten: bool) -> Result<Word, Failure> {
        let found = self.stripe.find_refunds(charge, &refund.id.to_string()).await?;
        match found.as_slice() {
            [one] => Ok(word_of(one)),
            // A new key could only be a second refund, so a person decides.
            [] if forgotten => Ok(Word::Declined { code: NOT_RETURNED.to_owned() }),
            [] => Err(Failure::NotFinal),
            several => Err(Failure::Several { count: several.len() }),
        }
    }
}

/// What a refund's state at the provider means for our payment.
pub(crate) fn word_of(refund: &Refund) -> Word {
    match refund.status {
        // A pending refund is with the driver's bank: the provider has taken it. If it comes back, the provider says so later.
        RefundStatus::Succeeded | RefundStatus::Pending => Word::Succeeded { reference: refund.id.to_string() },
        RefundStatus::Failed | RefundStatus::Canceled => Word::Declined { code: NOT_RETURNED.to_owned() },
    }
}

/// The provider's id of the charge that a refund gives back from.
fn charged(dossier: &Dossier, of: u8) -> Result<ProviderId, Failure> {
    let charge = dossier.payments.iter().find(|payment| payment.id.number == of);
    let charge = charge.filter(|charge| charge.status == PaymentStatus::Succeeded);
    let reference = charge.and_then(|charge| charge.provider_reference.as_deref());
    let reference = reference.ok_or(Failure::Inconsistent("a refund of a charge that did not succeed"))?;
    ProviderId::new(reference).map_err(|_| Failure::Inconsistent("the charge's provider id is no id"))
}
