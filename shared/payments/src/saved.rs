//! Cards that are kept for later: a customer per driver, the setup that asks the issuer's consent once, and what is saved.
//!
//! A card number never arrives here (M11): the driver's browser sends it to the provider with the setup's client secret.

use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::client::StripeClient;
use crate::error::{PaymentError, Uncertainty};
use crate::id::ProviderId;
use crate::types::ClientSecret;
use crate::wire::{self, Answer, Page, form, id_of};

/// A customer to create: the name under which the provider keeps a driver's cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRequest {
    /// Our id of the driver; nothing else about them goes to the provider.
    pub user: String,
    /// From [`crate::subject_key`], for [`crate::Purpose::Customer`].
    pub idempotency_key: String,
}

/// A card to be set up for charges while its driver is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupRequest {
    /// Who will own the card.
    pub customer: ProviderId,
    /// Our id of the driver.
    pub user: String,
    /// From [`crate::subject_key`], for [`crate::Purpose::Setup`].
    pub idempotency_key: String,
}

/// A setup to confirm. The driver's browser usually does it with the client secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmSetupRequest {
    /// A setup in [`SetupStatus::RequiresPaymentMethod`].
    pub setup_intent: ProviderId,
    /// The provider's token of the card, unless the setup has one.
    pub payment_method: Option<String>,
    /// From [`crate::subject_key`], for [`crate::Purpose::ConfirmSetup`].
    pub idempotency_key: String,
}

/// A setup's state at the provider (a SetupIntent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The provider's id.
    pub setup_intent: ProviderId,
    /// Whether the card may be charged.
    pub status: SetupStatus,
    /// With it the driver's browser enters the card and authenticates.
    pub client_secret: Option<ClientSecret>,
    /// Who owns the card then.
    pub customer: Option<ProviderId>,
    /// The card.
    pub payment_method: Option<ProviderId>,
    /// The driver we named when the setup was made.
    pub user: Option<String>,
}

/// What a setup came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupStatus {
    /// The card is saved and may be charged while its driver is away.
    Succeeded,
    /// The driver has to authenticate (3-D Secure).
    RequiresAction,
    /// Accepted but not final: retrieve it later.
    Processing,
    /// Not confirmed yet, or refused by the issuer.
    #[serde(alias = "requires_confirmation")]
    RequiresPaymentMethod,
    /// Given up.
    Canceled,
}

/// A card the provider keeps: enough for its driver to recognise it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedCard {
    /// For [`crate::ChargeRequest::payment_method`], together with its customer.
    pub payment_method: ProviderId,
    /// Who owns it; `None` if nobody does (any more), and then it cannot be charged again.
    pub customer: Option<ProviderId>,
    /// For example `visa`; new ones appear at any time.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// Month of expiry, 1 to 12.
    pub exp_month: u8,
    /// Year of expiry, four digits.
    pub exp_year: u16,
}

impl StripeClient {
    /// Creates a customer. A driver has one; the caller keeps its id.
    ///
    /// # Errors
    /// [`PaymentError`]; after `Unknown` only the same key may be used again, or the driver gets a second one.
    pub async fn create_customer(&self, request: &CustomerRequest) -> Result<ProviderId, PaymentError> {
        let form = form().append_pair("metadata[user]", &request.user).finish();
        let answer = self.call(Method::POST, "/v1/customers", Some((&request.idempotency_key, form))).await?;
        Ok(wire::object::<CustomerWire>(&answer)?.id)
    }

    /// Begins to save a card: charges no money, and is done once it is confirmed.
    ///
    /// # Errors
    /// [`PaymentError`]; after `Unknown` only the same key may be used again.
    pub async fn create_setup_intent(&self, request: &SetupRequest) -> Result<Setup, PaymentError> {
        let form = form()
            .append_pair("customer", request.customer.as_str())
            .append_pair("usage", "off_session")
            .append_pair("payment_method_types[]", "card")
            .append_pair("metadata[user]", &request.user)
            .finish();
        let answer = self.call(Method::POST, "/v1/setup_intents", Some((&request.idempotency_key, form))).await?;
        let setup = setup(&answer)?;
        if setup.customer.as_ref() == Some(&request.customer) { Ok(setup) } else { Err(Uncertainty::Unreadable.into()) }
    }

    /// Confirms a setup with a card.
    ///
    /// # Errors
    /// [`PaymentError`]; `Declined` if the issuer does not consent, `Refused` if it is confirmed already.
    pub async fn confirm_setup_intent(&self, request: &ConfirmSetupRequest) -> Result<Setup, PaymentError> {
        let mut form = form();
        if let Some(method) = &request.payment_method {
            form.append_pair("payment_method", method);
        }
        let path = format!("/v1/setup_intents/{}/confirm", request.setup_intent);
        let setup = setup(&self.call(Method::POST, &path, Some((&request.idempotency_key, form.finish()))).await?)?;
        if setup.setup_intent == request.setup_intent { Ok(setup) } else { Err(Uncertainty::Unreadable.into()) }
    }

    /// Reads a setup's present state.
    ///
    /// # Errors
    /// [`PaymentError::Refused`] with status 404 if there is no such setup; `Unknown` says nothing about it.
    pub async fn retrieve_setup_intent(&self, id: &ProviderId) -> Result<Setup, PaymentError> {
        setup(&self.call(Method::GET, &format!("/v1/setup_intents/{id}"), None).await?)
    }

    /// A customer's cards, newest first; of more than a hundred only those.
    ///
    /// # Errors
    /// [`PaymentError`]; `Refused` if there is no such customer.
    pub async fn list_payment_methods(&self, customer: &ProviderId) -> Result<Vec<SavedCard>, PaymentError> {
        let query = form()
            .append_pair("customer", customer.as_str())
            .append_pair("type", "card")
            .append_pair("limit", wire::PAGE)
            .finish();
        let answer = self.call(Method::GET, &format!("/v1/payment_methods?{query}"), None).await?;
        let page: Page<CardWire> = wire::object(&answer)?;
        Ok(page.data.into_iter().map(CardWire::read).collect())
    }

    /// Reads one card: to see whose it is before it is charged or removed.
    ///
    /// # Errors
    /// [`PaymentError::Refused`] with status 404 if there is no such means of payment; `Unknown` also if it is no card.
    pub async fn retrieve_payment_method(&self, id: &ProviderId) -> Result<SavedCard, PaymentError> {
        let answer = self.call(Method::GET, &format!("/v1/payment_methods/{id}"), None).await?;
        Ok(wire::object::<CardWire>(&answer)?.read())
    }

    /// Takes a card from its customer, for ever. The key is from [`crate::subject_key`], for [`crate::Purpose::Detach`].
    ///
    /// # Errors
    /// [`PaymentError`]; `Refused` if nobody owns it: it is gone already.
    pub async fn detach_payment_method(
        &self,
        id: &ProviderId,
        idempotency_key: &str,
    ) -> Result<SavedCard, PaymentError> {
        let path = format!("/v1/payment_methods/{id}/detach");
        let answer = self.call(Method::POST, &path, Some((idempotency_key, String::new()))).await?;
        Ok(wire::object::<CardWire>(&answer)?.read())
    }
}

#[derive(Deserialize)]
struct CustomerWire {
    id: ProviderId,
}

fn setup(answer: &Answer) -> Result<Setup, PaymentError> {
    Ok(wire::object::<SetupWire>(answer)?.read())
}

/// Reads a SetupIntent inside something else.
pub(crate) fn setup_in(fields: &Value) -> Result<Setup, PaymentError> {
    Ok(wire::inside::<SetupWire>(fields, "setup_intent")?.read())
}

#[derive(Deserialize)]
struct SetupWire {
    id: ProviderId,
    status: SetupStatus,
    #[serde(default)]
    client_secret: Value,
    #[serde(default)]
    customer: Value,
    #[serde(default)]
    payment_method: Value,
    #[serde(default)]
    metadata: Value,
}

impl SetupWire {
    fn read(self) -> Setup {
        Setup {
            setup_intent: self.id,
            status: self.status,
            client_secret: self.client_secret.as_str().map(ClientSecret::new),
            customer: id_of(&self.customer),
            payment_method: id_of(&self.payment_method),
            user: self.metadata.get("user").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

#[derive(Deserialize)]
struct CardWire {
    id: ProviderId,
    #[serde(default)]
    customer: Value,
    card: CardFields,
}

#[derive(Deserialize)]
struct CardFields {
    brand: String,
    last4: String,
    exp_month: u8,
    exp_year: u16,
}

impl CardWire {
    fn read(self) -> SavedCard {
        let CardFields { brand, last4, exp_month, exp_year } = self.card;
        let customer = id_of(&self.customer);
        SavedCard { payment_method: self.id, customer, brand, last4, exp_month, exp_year }
    }
}
