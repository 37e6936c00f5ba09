//! A refund: always part of a charge that the records know, never more than what is left of it (M5).

use parkade_domain::decide::Dossier;
use parkade_domain::payment::{Payment, PaymentStatus, Word};
use parkade_payments::{PaymentError, ProviderId, Purpose, Refund, RefundRequest, RefundStatus, provider_key};
use parkade_store::Intent;
use tracing::error;

use crate::{ASKED_WITHIN_S, Cashier, Failure, is_spent};

/// The first try under a payment's number.
const ATTEMPT: u32 = 1;
/// Tries with keys of their own, one after the other, each only after the one before was spent on nothing.
const ATTEMPTS: u32 = 3;
pub(crate) const NOT_RETURNED: &str = "refund_failed";

impl Cashier {
    pub(crate) async fn refund(&self, intent: Intent, of: u8, now_s: i64) -> Result<Payment, Failure> {
        let refund = &intent.payment;
        let charge = charged(&intent.dossier, of)?;
        let word = if now_s - refund.requested_at_s > ASKED_WITHIN_S {
            self.ask_refund_anew(refund, &charge, now_s).await?
        } else {
            self.ask_refund(refund, &charge, now_s).await?
        };
        if let Word::Declined { code } = &word {
            error!(payment.id = %refund.id, "the provider will not return {}: {code}", refund.id);
        }
        self.record(intent, &word, now_s).await
    }

    /// Asks under one key after the other, until one says what became of the refund.
    ///
    /// Whoever is at it at the same time takes the same steps: the second key is used by nobody before the first one's saved answer is a
    /// 5xx and the list, which does not lag, has no refund. So there is never more than one, and never more than the charge had (M5).
    async fn ask_refund(&self, refund: &Payment, charge: &ProviderId, now_s: i64) -> Result<Word, Failure> {
        for attempt in ATTEMPT..=ATTEMPTS {
            match self.ask_refund_once(refund, charge, attempt, now_s).await? {
                Ok(answer) => return Ok(word_of(&answer)),
                Err(PaymentError::Declined { code, .. }) => return Ok(Word::Declined { code }),
                Err(error) if is_spent(&error) => {
                    if let Some(word) = self.find_refund(refund, charge, now_s).await? {
                        return Ok(word);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::NotFinal)
    }

    /// Asks for a refund whose key the provider may have forgotten: first whether it was made, then with the first key. It names a new
    /// request now, or repeats what it came to. No other key: its saved answer may be forgotten while somebody acts on it.
    async fn ask_refund_anew(&self, refund: &Payment, charge: &ProviderId, now_s: i64) -> Result<Word, Failure> {
        if let Some(word) = self.find_refund(refund, charge, now_s).await? {
            return Ok(word);
        }
        match self.ask_refund_once(refund, charge, ATTEMPT, now_s).await? {
            Ok(answer) => Ok(word_of(&answer)),
            Err(PaymentError::Declined { code, .. }) => Ok(Word::Declined { code }),
            // For a day the provider has not taken the request as such, and it has not made the refund: a person decides.
            Err(PaymentError::Refused { .. }) => Ok(Word::Declined { code: NOT_RETURNED.to_owned() }),
            Err(error) if is_spent(&error) => Err(Failure::NotFinal),
            Err(error) => Err(error.into()),
        }
    }

    async fn ask_refund_once(
        &self,
        refund: &Payment,
        charge: &ProviderId,
        attempt: u32,
        now_s: i64,
    ) -> Result<Result<Refund, PaymentError>, Failure> {
        let request = RefundRequest {
            payment_intent: charge.clone(),
            amount_minor: refund.amount_minor,
            currency: refund.currency,
            idempotency_key: provider_key(&self.stage, Purpose::Refund, refund.id, attempt),
            reservation: refund.id.reservation.to_string(),
            payment: refund.id.to_string(),
        };
        self.call(now_s, self.stripe.refund(&request)).await
    }

    /// Finds the refund by our payment's id; `None` proves that there is none, because the list of a charge's refunds does not lag.
    async fn find_refund(&self, refund: &Payment, charge: &ProviderId, now_s: i64) -> Result<Option<Word>, Failure> {
        let name = refund.id.to_string();
        let found = self.call(now_s, self.stripe.find_refunds(charge, &name)).await??;
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(word_of(one))),
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
