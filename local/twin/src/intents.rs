//! What happens to an intent after it was made: captured, cancelled, authenticated, looked up.

use serde_json::json;

use crate::journal::Change;
use crate::ledger::{Intent, Ledger, Outcome};
use crate::params::{CaptureIntent, Command, Form};
use crate::reply::{ApiError, Reply, missing};
use crate::wire;

/// How long a card's issuer keeps money reserved: Stripe's seven days for a payer who is present.
const RESERVED_S: u64 = 7 * 24 * 3_600;
/// Ten years: enough for every test, and no sum with it overflows.
const CLOCK_AHEAD_MAX_S: u64 = 10 * 365 * 24 * 3_600;
/// Stripe's largest page.
const PAGE_MAX: usize = 100;

impl Ledger {
    /// Takes all or part of an authorised amount, once; the rest is released.
    pub(crate) fn capture_intent(&self, command: &CaptureIntent) -> (Option<Change>, Reply) {
        let intent = match self.intent(&command.payment_intent) {
            Ok(intent) => intent,
            Err(error) => return (None, error.into_reply()),
        };
        let Outcome::Authorised { charge, .. } = &intent.outcome else {
            return (None, unexpected_state(intent, "captured", "requires_capture").into_reply());
        };
        let amount = command.amount_to_capture.unwrap_or(intent.amount);
        if amount > intent.amount {
            let message = "The requested capture amount is greater than the amount you can capture for this charge.";
            let error = ApiError::invalid(message).code("amount_too_large").param("amount_to_capture");
            return (None, error.into_reply());
        }
        changed(intent, Outcome::Succeeded { charge: charge.clone(), captured: Some(amount) })
    }

    /// Ends an intent that has taken no money; what was authorised is released.
    pub(crate) fn cancel_intent(&self, id: &str, reason: Option<String>) -> (Option<Change>, Reply) {
        let intent = match self.intent(id) {
            Ok(intent) => intent,
            Err(error) => return (None, error.into_reply()),
        };
        match intent.outcome {
            Outcome::Succeeded { .. } | Outcome::Canceled { .. } => {
                let allowed = "requires_payment_method, requires_capture, requires_confirmation, requires_action";
                (None, unexpected_state(intent, "canceled", allowed).into_reply())
            }
            _ => changed(intent, Outcome::Canceled { reason }),
        }
    }

    /// What the payer does with the issuer's question (3-D Secure).
    pub(crate) fn authenticate(&self, id: &str, success: bool, now: u64) -> (Option<Change>, Reply) {
        let intent = match self.intent(id) {
            Ok(intent) => intent,
            Err(error) => return (None, error.into_reply()),
        };
        if intent.outcome != Outcome::RequiresAction {
            return (None, unexpected_state(intent, "authenticated", "requires_action").into_reply());
        }
        let charge = charge_of(&intent.id);
        let outcome = match (success, intent.capture_method.as_str()) {
            (true, "manual") => authorised(charge, now),
            (true, _) => Outcome::Succeeded { charge, captured: None },
            (false, _) => Outcome::AuthenticationFailed,
        };
        changed(intent, outcome)
    }

    /// Releases what was reserved for too long.
    pub(crate) fn expire(&mut self, now: u64) {
        let too_old = |intent: &&Intent| matches!(intent.outcome, Outcome::Authorised { capture_before, .. } if capture_before <= now);
        let due: Vec<String> = self.reserved().filter(too_old).map(|intent| intent.id.clone()).collect();
        for id in due {
            self.execute(None, Command::CancelIntent { id, reason: Some("automatic".to_owned()) }, now, false);
        }
    }

    /// Lets time pass; it never goes back.
    pub(crate) fn advance_clock(&self, seconds: u64) -> (Option<Change>, Reply) {
        let ahead_s = self.clock_ahead_s().saturating_add(seconds).min(CLOCK_AHEAD_MAX_S);
        (Some(Change::Clock(ahead_s)), Reply::new(200, &json!({ "ahead_s": ahead_s })))
    }

    /// `GET /v1/payment_intents/search`, newest first, for `query=metadata['name']:'value'` and nothing else.
    pub(crate) fn search_intents(&self, mut form: Form) -> Result<Reply, ApiError> {
        let query = form.need("query")?;
        let limit = form.limit(PAGE_MAX)?;
        form.finish()?;
        let term = query.strip_prefix("metadata['").and_then(|rest| rest.strip_suffix('\''));
        let Some((name, value)) = term.and_then(|term| term.split_once("']:'")) else {
            return Err(ApiError::invalid("The twin searches for metadata['name']:'value' only.").param("query"));
        };
        let found = self.intents().rev().filter(|intent| intent.metadata.get(name).is_some_and(|own| own == value));
        let mut data: Vec<_> = found.take(limit + 1).map(wire::intent).collect();
        let has_more = data.len() > limit;
        data.truncate(limit);
        let url = "/v1/payment_intents/search";
        let page =
            json!({ "object": "search_result", "url": url, "data": data, "has_more": has_more, "next_page": null });
        Ok(Reply::new(200, &page))
    }

    /// `GET /v1/refunds?payment_intent=…`, newest first.
    pub(crate) fn list_refunds(&self, mut form: Form) -> Result<Reply, ApiError> {
        let id = form.need("payment_intent")?;
        let limit = form.limit(PAGE_MAX)?;
        form.finish()?;
        let intent = self.intent(&id)?;
        let mut data: Vec<_> = intent.refunds().iter().rev().map(|refund| wire::refund(refund, intent)).collect();
        let has_more = data.len() > limit;
        data.truncate(limit);
        let page = json!({ "object": "list", "url": "/v1/refunds", "data": data, "has_more": has_more });
        Ok(Reply::new(200, &page))
    }

    fn intent(&self, id: &str) -> Result<&Intent, ApiError> {
        self.find_intent(id).ok_or_else(|| missing(404, "payment_intent", id, "intent"))
    }
}

/// The id of an intent's one charge.
pub(crate) fn charge_of(intent: &str) -> String {
    intent.replacen("pi_", "ch_", 1)
}

/// Reserved from now on.
pub(crate) fn authorised(charge: String, now: u64) -> Outcome {
    Outcome::Authorised { charge, capture_before: now + RESERVED_S }
}

fn changed(intent: &Intent, outcome: Outcome) -> (Option<Change>, Reply) {
    let mut intent = intent.clone();
    intent.outcome = outcome;
    let reply = Reply::new(200, &wire::intent(&intent));
    (Some(Change::Intent(intent)), reply)
}

fn unexpected_state(intent: &Intent, what: &str, allowed: &str) -> ApiError {
    let status = wire::status(intent);
    let message = format!(
        "This PaymentIntent could not be {what} because it has a status of {status}. Only a PaymentIntent with one of the \
         following statuses may be {what}: {allowed}."
    );
    let error = ApiError::invalid(message).code("payment_intent_unexpected_state");
    error.field("payment_intent", wire::intent(intent))
}
