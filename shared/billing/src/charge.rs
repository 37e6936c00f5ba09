//! A charge, and what happens to it if its reservation ended.
//!
//! A charge of an ended reservation is void, but only if the provider was never asked for it: an earlier delivery may have charged the
//! card and died before it could record that. The records do not tell whether somebody has asked, the provider does: each key belongs to
//! one request, so another request with the same key, one that no card pays, tells whether the key was used.

use parkade_domain::payment::{
    ClientSecret, Means, Payment, PaymentKind, PaymentStatus, Purpose as PaymentPurpose, Word,
};
use parkade_payments::{
    Capture, Charge, ChargeRequest, ChargeStatus, ChargeTerms, PaymentError, Presence, ProviderId, Purpose,
    Uncertainty, provider_key,
};
use parkade_store::{Access, Intent, Store};
use tracing::{info, warn};

use crate::{ASKED_WITHIN_S, Cashier, Failure, is_spent, only};

/// The first and only try under a payment's number: a driver who wants to try again makes a new payment.
const ATTEMPT: u32 = 1;
/// Keys with which a charge is called off, one after the other while each answers the same 5xx: calling off twice changes nothing.
const CANCEL_ATTEMPTS: u32 = 3;
/// How long after its request a charge that the provider's search does not find was not made: the search lags by an hour at most. Well
/// inside the hours for which the queue asks, so that nobody has to redrive it.
pub const FOUND_WITHIN_S: i64 = 3_600;
/// A means of payment that does not exist, so that nothing can be charged with it.
const NO_METHOD: &str = "pm_parkade_was_this_key_used";
/// What the driver is told when the provider only names a status.
pub(crate) const NOT_TAKEN: &str = "card_declined";
/// What the driver is told when the provider does not take the request as such.
const NOT_ACCEPTED: &str = "payment_method_not_accepted";
/// What the driver is told whose question by the issuer nobody can see.
pub(crate) const AUTHENTICATION_REQUIRED: &str = "authentication_required";
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

impl Cashier {
    pub(crate) async fn charge(&self, intent: Intent, now_s: i64) -> Result<Payment, Failure> {
        let payment = &intent.payment;
        let wanted = payment.status == PaymentStatus::Requested && Store::is_wanted(&intent.dossier, payment);
        if payment.provider_reference.is_some() {
            return if wanted { self.follow(intent, now_s).await } else { self.end_open_charge(intent, now_s).await };
        }
        if now_s - payment.requested_at_s > ASKED_WITHIN_S {
            return self.look_up(intent, now_s).await;
        }
        if !wanted && !self.was_asked(payment, now_s).await? {
            if payment.status == PaymentStatus::Void {
                return Ok(intent.payment);
            }
            info!(payment.id = %payment.id, "the reservation had ended: nothing is charged for {}", payment.id);
            return self.record(intent, &Word::Void, now_s).await;
        }
        match self.ask(payment, now_s).await? {
            Some(word) => self.record_asked(intent, &word, now_s).await,
            // The key answers the same error for ever.
            None => self.look_up(intent, now_s).await,
        }
    }

    /// Records the answer to a request. If the driver is to answer the card's issuer first, and the reservation has ended meanwhile, nobody
    /// else would end the charge: whoever heard of the end has found nothing to call off.
    async fn record_asked(&self, intent: Intent, word: &Word, now_s: i64) -> Result<Payment, Failure> {
        let payment = self.record(intent, word, now_s).await?;
        if payment.status != PaymentStatus::Requested || payment.client_secret.is_none() {
            return Ok(payment);
        }
        let (payment, dossier) = self.store.payment(payment.id, &Access::System).await?;
        if payment.status != PaymentStatus::Requested || Store::is_wanted(&dossier, &payment) {
            return Ok(payment);
        }
        self.end_open_charge(Intent::known(payment, dossier), now_s).await
    }

    /// Asks for the charge by its key. `None` if the key has nothing to say any more.
    async fn ask(&self, payment: &Payment, now_s: i64) -> Result<Option<Word>, Failure> {
        let Means::Provider { method: Some(method), customer } = &payment.means else {
            return Err(Failure::Inconsistent("a charge without a means of payment"));
        };
        let request = self.request(payment, method, customer.as_deref())?;
        let absent = payment.kind == PaymentKind::Charge(PaymentPurpose::Exit);
        let presence = if absent { Presence::OffSession } else { Presence::OnSession };
        let terms = ChargeTerms { capture: Capture::Automatic, presence };
        let answer = self.call(now_s, self.stripe.create_payment_intent_on(&request, terms)).await?;
        let charge = match answer {
            Ok(charge) => charge,
            Err(PaymentError::Declined { code, decline_code }) => {
                let told = decline_code.filter(|reason| TOLD.contains(&reason.as_str()));
                return Ok(Some(Word::Declined { code: told.unwrap_or(code) }));
            }
            // Judged by its content and not taken: an unknown means of payment, an amount below the provider's least. Asking again, or
            // leaving the payment open, would only keep the driver from paying in another way.
            Err(PaymentError::Refused { code, .. }) => {
                warn!(payment.id = %payment.id, "the provider refused {}: {code:?}", payment.id);
                return Ok(Some(Word::Declined { code: NOT_ACCEPTED.to_owned() }));
            }
            Err(error) if is_spent(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // An answer that was not final is repeated for ever: the charge itself knows better.
        let charge = match charge.status {
            ChargeStatus::Processing | ChargeStatus::RequiresCapture | ChargeStatus::RequiresAction => {
                self.call(now_s, self.stripe.retrieve_payment_intent(&charge.payment_intent)).await??
            }
            _ => charge,
        };
        word_of(payment, &charge).map(Some)
    }

    /// What became of a charge that the provider has named.
    async fn follow(&self, intent: Intent, now_s: i64) -> Result<Payment, Failure> {
        let id = reference(&intent.payment)?;
        let charge = self.call(now_s, self.stripe.retrieve_payment_intent(&id)).await??;
        let word = word_of(&intent.payment, &charge)?;
        self.record(intent, &word, now_s).await
    }

    /// Ends a charge that nobody wants any more: calls it off, or records that it was faster.
    pub(crate) async fn end_open_charge(&self, intent: Intent, now_s: i64) -> Result<Payment, Failure> {
        let payment = &intent.payment;
        if payment.status == PaymentStatus::Void {
            return self.follow(intent, now_s).await;
        }
        let id = reference(payment)?;
        let charge = match self.cancel(payment, &id, now_s).await? {
            Ok(charge) => charge,
            // It has taken money, or is called off already.
            Err(PaymentError::Refused { .. }) => self.call(now_s, self.stripe.retrieve_payment_intent(&id)).await??,
            Err(error) => return Err(error.into()),
        };
        let word = word_of(payment, &charge)?;
        self.record(intent, &word, now_s).await
    }

    async fn cancel(
        &self,
        payment: &Payment,
        id: &ProviderId,
        now_s: i64,
    ) -> Result<Result<Charge, PaymentError>, Failure> {
        let mut attempt = ATTEMPT;
        loop {
            let key = provider_key(&self.stage, Purpose::Cancel, payment.id, attempt);
            match self.call(now_s, self.stripe.cancel_payment_intent(id, &key)).await? {
                Err(error) if is_spent(&error) && attempt < CANCEL_ATTEMPTS => attempt += 1,
                other => return Ok(other),
            }
        }
    }

    /// Finds the charge by our payment's id, for a key that is too old or spent: if there is none, there never will be. Should the search
    /// have been wrong, the provider tells of the charge by itself or the reconciliation finds it, and its word wins.
    async fn look_up(&self, intent: Intent, now_s: i64) -> Result<Payment, Failure> {
        let payment = &intent.payment;
        let name = payment.id.to_string();
        let found = only(self.call(now_s, self.stripe.find_payment_intents(&name)).await??)?;
        let word = match found {
            Some(charge) => word_of(payment, &charge)?,
            None if now_s - payment.requested_at_s > FOUND_WITHIN_S => Word::Void,
            None => return Err(Failure::NotFinal),
        };
        self.record(intent, &word, now_s).await
    }

    /// Whether the provider knows a request with the payment's key. Takes no money whatever the answer.
    async fn was_asked(&self, payment: &Payment, now_s: i64) -> Result<bool, Failure> {
        let request = self.request(payment, NO_METHOD, None)?;
        match self.call(now_s, self.stripe.create_payment_intent(&request)).await? {
            Err(PaymentError::Unknown(Uncertainty::KeyReused)) => Ok(true),
            // The request was judged by its content, or the key is bound to this very request: there was no earlier one.
            Err(PaymentError::Refused { .. } | PaymentError::Declined { .. }) => Ok(false),
            Err(error) if is_spent(&error) => Ok(false),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Failure::Inconsistent("the provider knows a means of payment that does not exist")),
        }
    }

    /// Everything in it comes from the stored payment, which does not change: a repeated request is the same to the letter.
    fn request(&self, payment: &Payment, method: &str, customer: Option<&str>) -> Result<ChargeRequest, Failure> {
        let customer = customer.map(ProviderId::new).transpose();
        Ok(ChargeRequest {
            amount_minor: payment.amount_minor,
            currency: payment.currency,
            payment_method: method.to_owned(),
            customer: customer.map_err(|_| Failure::Inconsistent("the customer's provider id is no id"))?,
            idempotency_key: provider_key(&self.stage, Purpose::Charge, payment.id, ATTEMPT),
            reservation: payment.id.reservation.to_string(),
            payment: payment.id.to_string(),
            statement_suffix: None,
        })
    }
}

/// What a charge's state at the provider means for our payment.
pub(crate) fn word_of(payment: &Payment, charge: &Charge) -> Result<Word, Failure> {
    let reference = charge.payment_intent.to_string();
    match charge.status {
        ChargeStatus::Succeeded if charge.received_minor == payment.amount_minor => Ok(Word::Succeeded { reference }),
        ChargeStatus::Succeeded => {
            Err(Failure::OtherAmount { asked_minor: payment.amount_minor, received_minor: charge.received_minor })
        }
        ChargeStatus::RequiresAction => match &charge.client_secret {
            Some(secret) => Ok(Word::ActionRequired { reference, client_secret: ClientSecret::new(secret.expose()) }),
            None => Ok(Word::Declined { code: AUTHENTICATION_REQUIRED.to_owned() }),
        },
        ChargeStatus::RequiresPaymentMethod => Ok(Word::Declined { code: NOT_TAKEN.to_owned() }),
        ChargeStatus::Canceled => Ok(Word::Void),
        ChargeStatus::Processing | ChargeStatus::RequiresCapture => Err(Failure::NotFinal),
    }
}

fn reference(payment: &Payment) -> Result<ProviderId, Failure> {
    let reference = payment.provider_reference.as_deref().ok_or(Failure::Inconsistent("a charge without its id"))?;
    ProviderId::new(reference).map_err(|_| Failure::Inconsistent("the charge's provider id is no id"))
}
