//! Reserved money that ages (M4): an issuer releases it by itself after about seven days, whoever still needs it.
//!
//! Our own charges are captured at once. What is reserved was made by somebody who names a payment of ours; the record of that payment says
//! whether a driver still needs it.

use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Means, Payment, PaymentStatus};
use parkade_ledger::{Exception, ExceptionKind, Facts, Month};
use parkade_payments::{
    Capture, Charge, ChargeRequest, ChargeStatus, ChargeTerms, ChargesQuery, PaymentError, Presence, ProviderId,
    Purpose, subject_key,
};
use parkade_store::{Access, CommandError, Store};
use tracing::info;

use crate::{Failure, Run};

/// The age at which reserved money is looked at: two days before most issuers release it.
const AGED_S: i64 = 5 * 86_400;
/// One renewal, and one release, of each.
const ATTEMPT: u32 = 1;

impl Run<'_> {
    /// Looks at the charges that reach the age in a stretch of time: each once, and again in the overlap.
    pub(crate) async fn tend_authorisations(&mut self, [from_s, before_s]: [i64; 2]) -> Result<(), Failure> {
        let mut query = ChargesQuery { from_s: from_s - AGED_S, before_s: before_s - AGED_S, after: None };
        loop {
            let page = self.deps.stripe.list_payment_intents(&query).await?;
            let last = page.charges.last().map(|charge| charge.payment_intent.clone());
            for charge in page.charges.iter().filter(|charge| charge.status == ChargeStatus::RequiresCapture) {
                self.tend(charge).await?;
            }
            if !page.has_more || last.is_none() {
                return Ok(());
            }
            query.after = last;
        }
    }

    async fn tend(&mut self, charge: &Charge) -> Result<(), Failure> {
        // What names no payment of ours is not ours to release.
        let Some(id) = charge.payment.as_deref().and_then(|text| text.parse::<PaymentId>().ok()) else { return Ok(()) };
        let payment = match self.deps.store.payment(id, &Access::System).await {
            Ok((payment, dossier)) => {
                let needed = payment.status == PaymentStatus::Requested && Store::is_wanted(&dossier, &payment);
                needed.then_some(payment)
            }
            Err(CommandError::NotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let Some(payment) = payment else { return self.release(charge, id).await };
        match self.renew(charge, &payment).await {
            Ok(true) => {
                self.report.renewed += 1;
                info!(payment.id = %id, "reserved the money of {id} anew");
                self.cancel(charge).await.map(drop)
            }
            Ok(false) | Err(Failure::Provider(PaymentError::Declined { .. } | PaymentError::Refused { .. })) => {
                let facts = Facts {
                    payment: Some(id.to_string()),
                    ours_minor: Some(payment.amount_minor),
                    our_currency: Some(payment.currency.code().to_owned()),
                    our_status: Some(payment.status.as_str().to_owned()),
                    our_reference: Some(charge.payment_intent.to_string()),
                    tried: Some("to reserve it anew with the saved card".to_owned()),
                    ..Facts::default()
                };
                let subject = charge.payment_intent.as_str().to_owned();
                self.open(Month::utc(self.now_s), &subject, ExceptionKind::AuthorisationEnds, facts).await
            }
            Err(error) => Err(error),
        }
    }

    /// Reserves the same again with the driver's saved card; `false` if there is none, or its issuer asks the driver.
    async fn renew(&self, charge: &Charge, payment: &Payment) -> Result<bool, Failure> {
        let Means::Provider { method: Some(method), customer: Some(customer) } = &payment.means else {
            return Ok(false);
        };
        let Ok(customer) = ProviderId::new(customer.as_str()) else { return Ok(false) };
        let request = ChargeRequest {
            amount_minor: charge.amount_minor,
            currency: charge.currency,
            payment_method: method.clone(),
            customer: Some(customer),
            idempotency_key: subject_key(&self.deps.stage, Purpose::Charge, charge.payment_intent.as_str(), ATTEMPT),
            reservation: payment.id.reservation.to_string(),
            payment: payment.id.to_string(),
            statement_suffix: None,
        };
        let terms = ChargeTerms { capture: Capture::Manual, presence: Presence::OffSession };
        let renewed = self.deps.stripe.create_payment_intent_on(&request, terms).await?;
        Ok(renewed.status == ChargeStatus::RequiresCapture)
    }

    async fn release(&mut self, charge: &Charge, id: PaymentId) -> Result<(), Failure> {
        if self.cancel(charge).await? {
            self.report.released += 1;
            info!(payment.id = %id, "released the money that was reserved for {id}");
        }
        Ok(())
    }

    /// `false` if it was captured or released meanwhile.
    async fn cancel(&self, charge: &Charge) -> Result<bool, Failure> {
        let id = &charge.payment_intent;
        let key = subject_key(&self.deps.stage, Purpose::Cancel, id.as_str(), ATTEMPT);
        match self.deps.stripe.cancel_payment_intent(id, &key).await {
            Ok(_) => Ok(true),
            Err(PaymentError::Refused { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether reserved money is captured or released by now.
    pub(crate) async fn authorisation_is_over(&self, exception: &Exception) -> Result<bool, Failure> {
        let Some(id) = Self::charge_of(exception) else { return Ok(false) };
        let charge = self.deps.stripe.retrieve_payment_intent(&id).await?;
        Ok(charge.status != ChargeStatus::RequiresCapture)
    }
}
