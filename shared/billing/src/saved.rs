//! Cards that the provider keeps for a driver: begun here, entered at the provider, kept here by name only (M11).

use parkade_domain::ids::UserId;
use parkade_payments::{
    CustomerRequest, Event, PaymentError, ProviderId, Purpose, Setup, SetupRequest, SetupStatus, Subject, subject_key,
};
use parkade_store::{Card, PayerError};
use thiserror::Error;

use crate::{Cashier, Failure, Hint, is_spent};

/// A driver has one customer at the provider, so there is one try.
const ATTEMPT: u32 = 1;
/// Keys with which a card is removed, one after the other while each answers the same 5xx: removing it twice changes nothing.
const DETACH_ATTEMPTS: u32 = 3;

/// Why a card is not saved or removed.
#[derive(Debug, Error)]
pub enum CardError {
    /// A rule of the payer's, or the store.
    #[error("the card is not kept")]
    Payer(#[source] PayerError),
    /// The provider's answer is unknown, or it refused.
    #[error("the provider did not do it")]
    Provider(#[source] PaymentError),
    /// The setup is another user's, or there is none.
    #[error("there is no such setup")]
    UnknownSetup,
    /// The driver has not entered a card yet, or the issuer did not consent.
    #[error("the setup is not finished")]
    Unfinished,
}

impl From<PayerError> for CardError {
    fn from(error: PayerError) -> Self {
        Self::Payer(error)
    }
}

impl From<PaymentError> for CardError {
    fn from(error: PaymentError) -> Self {
        Self::Provider(error)
    }
}

impl Cashier {
    /// Begins to save a card: the driver's app enters it with the setup's client secret. `request` names the driver's request, so that a
    /// repetition finds the same setup.
    ///
    /// # Errors
    /// [`CardError`]; asking again with the same `request` is safe.
    pub async fn begin_card(&self, user: &UserId, request: &str) -> Result<Setup, CardError> {
        let known = self.store.payer(user).await.map_err(PayerError::from)?;
        let customer = match known {
            Some(payer) => payer.customer,
            None => {
                let key = subject_key(&self.stage, Purpose::Customer, user.as_str(), ATTEMPT);
                let new = CustomerRequest { user: user.to_string(), idempotency_key: key };
                let customer = self.stripe.create_customer(&new).await?;
                self.store.remember_customer(user, customer.as_str()).await.map_err(PayerError::from)?.customer
            }
        };
        let customer = ProviderId::new(customer).map_err(|_| CardError::UnknownSetup)?;
        let key = subject_key(&self.stage, Purpose::Setup, request, ATTEMPT);
        let setup = SetupRequest { customer, user: user.to_string(), idempotency_key: key };
        Ok(self.stripe.create_setup_intent(&setup).await?)
    }

    /// Keeps the card of a setup that the driver has finished. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`CardError`].
    pub async fn finish_card(&self, user: &UserId, setup: &ProviderId) -> Result<Card, CardError> {
        let setup = match self.stripe.retrieve_setup_intent(setup).await {
            Err(PaymentError::Refused { .. }) => return Err(CardError::UnknownSetup),
            other => other?,
        };
        self.keep(user, &setup).await
    }

    /// Removes a card here and at the provider. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`CardError`].
    pub async fn remove_card(&self, user: &UserId, method: &ProviderId) -> Result<(), CardError> {
        let owned = self.store.cards(user).await.map_err(PayerError::from)?;
        if !owned.iter().any(|card| card.method == method.as_str()) {
            return Ok(());
        }
        // First there: as long as the card is listed here, asking again removes it, and what is told of its setup finds it gone.
        self.detach(method).await?;
        Ok(self.store.forget_card(user, method.as_str()).await.map_err(PayerError::from)?)
    }

    async fn detach(&self, method: &ProviderId) -> Result<(), PaymentError> {
        let mut attempt = ATTEMPT;
        loop {
            let key = subject_key(&self.stage, Purpose::Detach, method.as_str(), attempt);
            match self.stripe.detach_payment_method(method, &key).await {
                Ok(_) | Err(PaymentError::Refused { .. }) => return Ok(()),
                Err(error) if is_spent(&error) && attempt < DETACH_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The provider tells that a driver has finished a setup.
    pub(crate) async fn take_setup(&self, event: &Event) -> Result<Hint, Failure> {
        let Ok(Subject::SetupIntent(setup)) = event.object.subject() else { return Ok(Hint::Known) };
        let Some(user) = setup.user.as_deref().and_then(|user| UserId::new(user).ok()) else {
            return Ok(Hint::NotOurs);
        };
        match self.keep(&user, &setup).await {
            Ok(_) => Ok(Hint::News),
            Err(
                CardError::Unfinished
                | CardError::UnknownSetup
                | CardError::Payer(PayerError::TooManyCards)
                | CardError::Provider(PaymentError::Refused { .. }),
            ) => Ok(Hint::Known),
            Err(CardError::Payer(PayerError::Store(error))) => Err(error.into()),
            Err(CardError::Payer(_)) => Ok(Hint::NotOurs),
            Err(CardError::Provider(error)) => Err(error.into()),
        }
    }

    async fn keep(&self, user: &UserId, setup: &Setup) -> Result<Card, CardError> {
        let payer = self.store.payer(user).await.map_err(PayerError::from)?;
        let customer = setup.customer.as_ref().map(ProviderId::as_str);
        if setup.user.as_deref() != Some(user.as_str()) || customer != payer.as_ref().map(|p| p.customer.as_str()) {
            return Err(CardError::UnknownSetup);
        }
        let (SetupStatus::Succeeded, Some(method)) = (setup.status, &setup.payment_method) else {
            return Err(CardError::Unfinished);
        };
        let saved = self.stripe.retrieve_payment_method(method).await?;
        // Removed before this word of it came.
        if saved.customer != setup.customer {
            return Err(CardError::Unfinished);
        }
        let card = Card {
            method: method.to_string(),
            brand: saved.brand,
            last4: saved.last4,
            exp_month: saved.exp_month,
            exp_year: saved.exp_year,
        };
        self.store.keep_card(user, &card).await?;
        // Removed since it was looked at: whoever did that had nothing to forget yet.
        if self.stripe.retrieve_payment_method(method).await?.customer != setup.customer {
            self.store.forget_card(user, &card.method).await.map_err(PayerError::from)?;
            return Err(CardError::Unfinished);
        }
        Ok(card)
    }
}
