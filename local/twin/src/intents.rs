//! PaymentIntents: created, confirmed, captured, cancelled, authenticated, looked up.

use serde_json::json;

use crate::cards::{Card, Decline, Later, Verdict};
use crate::form::Form;
use crate::journal::Change;
use crate::ledger::{Done, Ledger};
use crate::objects::{Dispute, DisputeStatus, FailedCharge, Intent, Method, Outcome};
use crate::params::{ConfirmIntent, CreateIntent, missing_method};
use crate::reply::{ApiError, Reply, missing, page};
use crate::wire;

/// How long a card's issuer keeps money reserved: Stripe's seven days for a payer who is present.
const RESERVED_S: u64 = 7 * 24 * 3_600;

/// What a charge is asked with.
struct Attempt {
    card: &'static Card,
    method: Method,
    off_session: bool,
}

impl Ledger {
    /// `POST /v1/payment_intents`
    pub(crate) fn create_intent(&self, command: CreateIntent, now: u64) -> Result<Done, ApiError> {
        let number = self.intents().len() + 1;
        let mut intent = Intent {
            id: format!("pi_twin{number:08}"),
            created: now,
            amount: command.amount,
            currency: command.currency,
            payment_method: None,
            card: None,
            customer: command.customer,
            capture_method: command.capture_method,
            description: command.description,
            statement_descriptor_suffix: command.statement_descriptor_suffix,
            metadata: command.metadata,
            outcome: Outcome::Unpaid,
            failed: Vec::new(),
            refunds: Vec::new(),
            dispute: None,
        };
        let Some(name) = command.method else { return Ok(shown(vec![], intent, command.expand)) };
        let (card, method) = self.usable_method(&name, intent.customer.as_deref(), now)?;
        if command.confirm {
            return Ok(charge(intent, Attempt { card, method, off_session: command.off_session }, now, command.expand));
        }
        intent.payment_method = Some(method.id.clone());
        intent.card = Some(card.name.to_owned());
        Ok(shown(vec![Change::Method(method)], intent, command.expand))
    }

    /// `POST /v1/payment_intents/{id}/confirm`
    pub(crate) fn confirm_intent(&self, command: &ConfirmIntent, now: u64) -> Result<Done, ApiError> {
        let mut intent = self.intent(&command.id)?.clone();
        if let Outcome::Authorised { .. } | Outcome::Succeeded { .. } | Outcome::Canceled { .. } = intent.outcome {
            let allowed = "requires_payment_method, requires_confirmation, requires_action";
            return Err(unexpected_state(&intent, "confirmed", allowed));
        }
        let own = intent.payment_method.as_ref().filter(|_| wire::shows_method(&intent));
        let name = command.method.as_ref().or(own).cloned().ok_or_else(missing_method)?;
        let (card, method) = self.usable_method(&name, intent.customer.as_deref(), now)?;
        if let Outcome::Declined { charge, decline_code, .. } = intent.outcome {
            intent.failed.push(FailedCharge { charge, decline_code });
            intent.outcome = Outcome::Unpaid;
        }
        Ok(charge(intent, Attempt { card, method, off_session: command.off_session }, now, command.expand))
    }

    /// Takes all or part of an authorised amount, once; the rest is released.
    pub(crate) fn capture_intent(
        &self,
        id: &str,
        amount: Option<i64>,
        expand: bool,
        now: u64,
    ) -> Result<Done, ApiError> {
        let intent = self.intent(id)?;
        let Outcome::Authorised { charge, .. } = &intent.outcome else {
            return Err(unexpected_state(intent, "captured", "requires_capture"));
        };
        let amount = amount.unwrap_or(intent.amount);
        if amount > intent.amount {
            let message = "The requested capture amount is greater than the amount you can capture for this charge.";
            return Err(ApiError::invalid(message).code("amount_too_large").param("amount_to_capture"));
        }
        let mut intent = intent.clone();
        intent.outcome = Outcome::Succeeded { charge: charge.clone(), captured: Some(amount) };
        Ok(taken(vec![], intent, now, expand))
    }

    /// Ends an intent that has taken no money; what was authorised is released.
    pub(crate) fn cancel_intent(&self, id: &str, reason: Option<String>, expand: bool) -> Result<Done, ApiError> {
        let intent = self.intent(id)?;
        if let Outcome::Succeeded { .. } | Outcome::Canceled { .. } = intent.outcome {
            let allowed = "requires_payment_method, requires_capture, requires_confirmation, requires_action";
            return Err(unexpected_state(intent, "canceled", allowed));
        }
        let mut intent = intent.clone();
        intent.outcome = Outcome::Canceled { reason };
        Ok(shown(vec![], intent, expand))
    }

    /// What the payer does with the issuer's question (3-D Secure).
    pub(crate) fn authenticate_intent(&self, id: &str, success: bool, now: u64) -> Result<Done, ApiError> {
        let mut intent = self.intent(id)?.clone();
        if intent.outcome != Outcome::RequiresAction {
            return Err(unexpected_state(&intent, "authenticated", "requires_action"));
        }
        if !success {
            intent.outcome = Outcome::AuthenticationFailed;
            return Ok(shown(vec![], intent, false));
        }
        match wire::card_of(&intent).map(Card::after_authentication) {
            Some(Verdict::Declined(decline)) => {
                intent.outcome = declined(&intent, &decline);
                // The payer is told by the page, not by this answer.
                Ok(shown(vec![], intent, false))
            }
            _ => {
                let method = intent.payment_method.as_ref().and_then(|id| self.methods().get(id)).cloned();
                let changes = method.map(|method| Change::Method(spent(method))).into_iter().collect();
                Ok(approved(changes, intent, now, false))
            }
        }
    }

    /// `GET /v1/payment_intents/{id}`
    pub(crate) fn get_intent(&self, id: &str, mut form: Form) -> Result<Reply, ApiError> {
        let expand = !form.expand(&[crate::params::LATEST_CHARGE])?.is_empty();
        form.finish()?;
        Ok(Reply::new(200, &wire::intent(self.intent(id)?, expand)))
    }

    /// `GET /v1/payment_intents`, newest first.
    pub(crate) fn list_intents(&self, mut form: Form) -> Result<Reply, ApiError> {
        let limit = form.limit()?;
        let after = form.take("starting_after")?;
        let from = form.epoch_s("created[gte]")?.unwrap_or(0);
        let before = form.epoch_s("created[lt]")?.unwrap_or(u64::MAX);
        form.finish()?;
        if let Some(id) = &after {
            self.intent(id)?;
        }
        // Ids are given out in order.
        let older = |intent: &&Intent| after.as_ref().is_none_or(|after| intent.id < *after);
        let asked = self.intents().values().rev().filter(older);
        let asked = asked.filter(|intent| (from..before).contains(&intent.created));
        let shown = asked.map(|intent| wire::intent(intent, false));
        Ok(Reply::new(200, &page("/v1/payment_intents", limit, shown)))
    }

    /// `GET /v1/payment_intents/search`, newest first, for `query=metadata['name']:'value'` and nothing else.
    pub(crate) fn search_intents(&self, mut form: Form) -> Result<Reply, ApiError> {
        let query = form.need("query")?;
        let limit = form.limit()?;
        form.finish()?;
        let term = query.strip_prefix("metadata['").and_then(|rest| rest.strip_suffix('\''));
        let Some((name, value)) = term.and_then(|term| term.split_once("']:'")) else {
            return Err(ApiError::invalid("The twin searches for metadata['name']:'value' only.").param("query"));
        };
        let found =
            self.intents().values().rev().filter(|intent| intent.metadata.get(name).is_some_and(|own| own == value));
        let mut page = page("/v1/payment_intents/search", limit, found.map(|intent| wire::intent(intent, false)));
        if let Some(fields) = page.as_object_mut() {
            fields.insert("object".into(), "search_result".into());
            fields.insert("next_page".into(), json!(null));
        }
        Ok(Reply::new(200, &page))
    }

    pub(crate) fn intent(&self, id: &str) -> Result<&Intent, ApiError> {
        self.intents().get(id).ok_or_else(|| missing(404, "payment_intent", id, "intent"))
    }
}

/// Asks the issuer.
fn charge(mut intent: Intent, attempt: Attempt, now: u64, expand: bool) -> Done {
    let Attempt { card, mut method, off_session } = attempt;
    intent.payment_method = Some(method.id.clone());
    intent.card = Some(card.name.to_owned());
    let verdict = card.charge(off_session, method.set_up);
    if verdict == Verdict::Approved {
        method = spent(method);
    }
    let changes = vec![Change::Method(method)];
    match verdict {
        Verdict::Approved => approved(changes, intent, now, expand),
        Verdict::Asked => {
            intent.outcome = Outcome::RequiresAction;
            shown(changes, intent, expand)
        }
        Verdict::Declined(decline) => {
            intent.outcome = declined(&intent, &decline);
            let reply = refusal(&intent);
            Done { changes: [changes, vec![Change::Intent(Box::new(intent))]].concat(), reply }
        }
    }
}

/// What belongs to nobody pays once.
fn spent(method: Method) -> Method {
    Method { spent: method.customer.is_none(), ..method }
}

fn approved(changes: Vec<Change>, mut intent: Intent, now: u64, expand: bool) -> Done {
    let charge = intent.next_charge();
    if intent.capture_method == "manual" {
        intent.outcome = Outcome::Authorised { charge, capture_before: now + RESERVED_S };
        return shown(changes, intent, expand);
    }
    intent.outcome = Outcome::Succeeded { charge, captured: None };
    taken(changes, intent, now, expand)
}

/// Money was taken; some cards dispute it at once.
fn taken(changes: Vec<Change>, intent: Intent, now: u64, expand: bool) -> Done {
    let dispute = dispute(&intent, now).map(Change::Dispute);
    let mut done = shown(changes, intent, expand);
    done.changes.extend(dispute);
    done
}

fn dispute(intent: &Intent, now: u64) -> Option<Dispute> {
    let (reason, status) = match wire::card_of(intent)?.later {
        Later::Dispute(reason) => (reason, DisputeStatus::NeedsResponse),
        Later::Inquiry(reason) => (reason, DisputeStatus::WarningNeedsResponse),
        Later::Nothing | Later::RefundPending | Later::RefundFails => return None,
    };
    let charge = intent.charge_id()?.to_owned();
    Some(Dispute {
        id: charge.replacen("ch_", "dp_", 1),
        created: now,
        closed: None,
        charge,
        payment_intent: intent.id.clone(),
        amount: intent.captured(),
        currency: intent.currency.clone(),
        reason: reason.to_owned(),
        status,
    })
}

fn shown(mut changes: Vec<Change>, intent: Intent, expand: bool) -> Done {
    let reply = Reply::new(200, &wire::intent(&intent, expand));
    changes.push(Change::Intent(Box::new(intent)));
    Done { changes, reply }
}

fn declined(intent: &Intent, decline: &Decline) -> Outcome {
    let charge = intent.next_charge();
    let error = wire::card_error(decline, Some(&charge), intent.payment_method.as_deref(), intent.card.as_deref());
    Outcome::Declined { charge, decline_code: decline.decline_code.to_owned(), error }
}

/// A decline is an error with the intent inside.
fn refusal(intent: &Intent) -> Reply {
    let Outcome::Declined { error, .. } = &intent.outcome else { return Reply::new(200, &wire::intent(intent, false)) };
    let mut error = error.clone();
    if let Some(fields) = error.as_object_mut() {
        fields.insert("payment_intent".into(), wire::intent(intent, false));
    }
    Reply::new(402, &json!({ "error": error }))
}

fn unexpected_state(intent: &Intent, what: &str, allowed: &str) -> ApiError {
    let status = wire::status(intent);
    let message = format!(
        "This PaymentIntent could not be {what} because it has a status of {status}. Only a PaymentIntent with one of the \
         following statuses may be {what}: {allowed}."
    );
    let error = ApiError::invalid(message).code("payment_intent_unexpected_state");
    error.field("payment_intent", wire::intent(intent, false))
}
