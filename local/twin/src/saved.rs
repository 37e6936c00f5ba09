//! What is kept for later charges: customers, their payment methods, and the SetupIntents that ask an issuer's consent.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cards::{self, Card, Verdict};
use crate::form::Form;
use crate::journal::Change;
use crate::ledger::{Done, Ledger};
use crate::objects::{Customer, Method, Setup, SetupOutcome};
use crate::params::CreateSetup;
use crate::reply::{ApiError, Reply, missing, page};
use crate::wire;

impl Ledger {
    /// `POST /v1/customers`
    pub(crate) fn create_customer(
        &self,
        description: Option<String>,
        metadata: BTreeMap<String, String>,
        now: u64,
    ) -> Done {
        let id = format!("cus_twin{:08}", self.customers().len() + 1);
        let customer = Customer { id, created: now, description, metadata };
        let reply = Reply::new(200, &wire::customer(&customer));
        Done { changes: vec![Change::Customer(customer)], reply }
    }

    /// `GET /v1/customers/{id}`
    pub(crate) fn get_customer(&self, id: &str) -> Result<Reply, ApiError> {
        let found = self.customers().get(id).ok_or_else(|| missing(404, "customer", id, "id"))?;
        Ok(Reply::new(200, &wire::customer(found)))
    }

    /// What may be charged or set up: a test card, which becomes a payment method by it, or a payment method that still serves.
    pub(crate) fn usable_method(
        &self,
        name: &str,
        customer: Option<&str>,
        now: u64,
    ) -> Result<(&'static Card, Method), ApiError> {
        if let Some(card) = cards::find(name) {
            return Ok((card, self.new_method(card, now)));
        }
        let method = self.method(name, 400)?.clone();
        let card = cards::find(&method.card).ok_or_else(|| missing(400, "PaymentMethod", name, "payment_method"))?;
        let refused = |message: String| Err(ApiError::invalid(message).param("payment_method"));
        match (method.customer.as_deref(), customer) {
            (None, _) if method.spent => {
                let message = "This PaymentMethod was previously used without being attached to a Customer or was detached \
                               from a Customer, and may not be used again.";
                Err(ApiError::invalid(message).code("payment_method_unexpected_state"))
            }
            (Some(owner), None) => {
                refused(format!("The payment method {name} belongs to the customer {owner}: pass it as `customer`."))
            }
            (Some(owner), Some(customer)) if owner != customer => refused(format!(
                "The customer does not have a payment method with the ID {name}. The payment method must be attached to \
                 the customer."
            )),
            _ => Ok((card, method)),
        }
    }

    /// `POST /v1/payment_methods/{id}/attach`
    pub(crate) fn attach_method(&self, id: &str, customer: &str, now: u64) -> Result<Done, ApiError> {
        let (card, mut method) = self.usable_method(id, Some(customer), now)?;
        if method.customer.is_some() {
            return Err(ApiError::invalid("The payment method you provided has already been attached to a customer."));
        }
        if let Verdict::Declined(decline) = card.setup() {
            let error = wire::card_error(&decline, None, Some(&method.id), Some(card.name));
            return Ok(Done { changes: vec![], reply: Reply::new(402, &json!({ "error": error })) });
        }
        method.customer = Some(customer.to_owned());
        let reply = Reply::new(200, &wire::method(&method));
        Ok(Done { changes: vec![Change::Method(method)], reply })
    }

    /// `POST /v1/payment_methods/{id}/detach`: it serves no more.
    pub(crate) fn detach_method(&self, id: &str) -> Result<Done, ApiError> {
        let mut method = self.method(id, 404)?.clone();
        if method.customer.take().is_none() {
            let message = "The payment method you provided is not attached to a customer so detachment is impossible.";
            return Err(ApiError::invalid(message).param("payment_method"));
        }
        method.spent = true;
        let reply = Reply::new(200, &wire::method(&method));
        Ok(Done { changes: vec![Change::Method(method)], reply })
    }

    /// `GET /v1/payment_methods/{id}`
    pub(crate) fn get_method(&self, id: &str) -> Result<Reply, ApiError> {
        Ok(Reply::new(200, &wire::method(self.method(id, 404)?)))
    }

    /// `GET /v1/payment_methods?customer=…` and `GET /v1/customers/{id}/payment_methods`, newest first.
    pub(crate) fn list_methods(&self, customer: Option<String>, mut form: Form) -> Result<Reply, ApiError> {
        let customer = match customer {
            Some(customer) => customer,
            None => form.need("customer")?,
        };
        form.one_of("type", &["card"])?;
        let limit = form.limit()?;
        form.finish()?;
        if !self.customers().contains_key(&customer) {
            return Err(missing(400, "customer", &customer, "customer"));
        }
        let newest = self.methods().values().rev().filter(|method| method.customer.as_ref() == Some(&customer));
        Ok(Reply::new(200, &page("/v1/payment_methods", limit, newest.map(wire::method))))
    }

    /// `POST /v1/setup_intents`
    pub(crate) fn create_setup(&self, command: CreateSetup, now: u64) -> Result<Done, ApiError> {
        let mut setup = Setup {
            id: format!("seti_twin{:08}", self.setups().len() + 1),
            created: now,
            customer: command.customer,
            payment_method: None,
            usage: command.usage,
            metadata: command.metadata,
            outcome: SetupOutcome::Open,
        };
        let Some(name) = command.method else { return Ok(shown(vec![], setup)) };
        let (card, method) = self.usable_method(&name, setup.customer.as_deref(), now)?;
        if command.confirm {
            return Ok(consent(setup, card, method));
        }
        setup.payment_method = Some(method.id.clone());
        Ok(shown(vec![Change::Method(method)], setup))
    }

    /// `POST /v1/setup_intents/{id}/confirm`
    pub(crate) fn confirm_setup(&self, id: &str, method: Option<&str>, now: u64) -> Result<Done, ApiError> {
        let setup = self.setup(id)?;
        let failed = matches!(setup.outcome, SetupOutcome::Failed { .. });
        if setup.outcome == SetupOutcome::Succeeded {
            return Err(unexpected_state(setup, "it has already succeeded"));
        }
        let own = setup.payment_method.as_deref().filter(|_| !failed);
        let name = method.or(own).ok_or_else(|| unexpected_state(setup, "it's missing a payment method"))?;
        let (card, method) = self.usable_method(name, setup.customer.as_deref(), now)?;
        Ok(consent(setup.clone(), card, method))
    }

    /// What the payer does with the issuer's question (3-D Secure).
    pub(crate) fn authenticate_setup(&self, id: &str, success: bool) -> Result<Done, ApiError> {
        let setup = self.setup(id)?;
        let method = setup.payment_method.as_deref().and_then(|method| self.methods().get(method));
        let (SetupOutcome::RequiresAction, Some(method)) = (&setup.outcome, method) else {
            return Err(unexpected_state(setup, "nobody is asked"));
        };
        if success {
            return Ok(consented(setup.clone(), method.clone()));
        }
        let error = json!({
            "type": "invalid_request_error",
            "code": "setup_intent_authentication_failure",
            "message": "The provided PaymentMethod has failed authentication.",
        });
        Ok(shown(vec![], Setup { outcome: SetupOutcome::Failed { error }, ..setup.clone() }))
    }

    /// `GET /v1/setup_intents/{id}`
    pub(crate) fn get_setup(&self, id: &str) -> Result<Reply, ApiError> {
        Ok(Reply::new(200, &wire::setup(self.setup(id)?)))
    }

    fn new_method(&self, card: &Card, now: u64) -> Method {
        let id = format!("pm_twin{:08}", self.methods().len() + 1);
        Method { id, created: now, card: card.name.to_owned(), customer: None, set_up: false, spent: false }
    }

    fn method(&self, id: &str, status: u16) -> Result<&Method, ApiError> {
        self.methods().get(id).ok_or_else(|| missing(status, "PaymentMethod", id, "payment_method"))
    }

    fn setup(&self, id: &str) -> Result<&Setup, ApiError> {
        self.setups().get(id).ok_or_else(|| missing(404, "setupintent", id, "intent"))
    }
}

/// Asks the issuer.
fn consent(mut setup: Setup, card: &Card, method: Method) -> Done {
    setup.payment_method = Some(method.id.clone());
    match card.setup() {
        Verdict::Approved => consented(setup, method),
        Verdict::Asked => {
            setup.outcome = SetupOutcome::RequiresAction;
            shown(vec![Change::Method(method)], setup)
        }
        Verdict::Declined(decline) => {
            let error = wire::card_error(&decline, None, Some(&method.id), Some(card.name));
            setup.outcome = SetupOutcome::Failed { error: error.clone() };
            let mut refusal = error;
            if let Some(fields) = refusal.as_object_mut() {
                fields.insert("setup_intent".into(), wire::setup(&setup));
            }
            let reply = Reply::new(402, &json!({ "error": refusal }));
            Done { changes: vec![Change::Method(method), Change::Setup(setup)], reply }
        }
    }
}

fn consented(mut setup: Setup, mut method: Method) -> Done {
    method.set_up = true;
    method.customer.clone_from(&setup.customer);
    setup.outcome = SetupOutcome::Succeeded;
    shown(vec![Change::Method(method)], setup)
}

fn shown(mut changes: Vec<Change>, setup: Setup) -> Done {
    let reply = Reply::new(200, &wire::setup(&setup));
    changes.push(Change::Setup(setup));
    Done { changes, reply }
}

fn unexpected_state(setup: &Setup, why: &str) -> ApiError {
    let message = format!("You cannot confirm this SetupIntent because {why}.");
    let error = ApiError::invalid(message).code("setup_intent_unexpected_state");
    error.field("setup_intent", wire::setup(setup))
}
