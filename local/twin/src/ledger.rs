//! The provider's books and its idempotency layer, behind one lock and one journal.
//!
//! A request is *admitted* (new, a replay, a conflict, or invalid), then *executed*. A refund is checked against the
//! refunds that exist, in the same step that adds it (M5).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::balance::Transaction;
use crate::books::{BookedCharge, BookedRefund, Books};
use crate::cards::{AUTHENTICATION_REQUIRED, Behaviour, Decline};
use crate::intents::{authorised, charge_of};
use crate::journal::{Change, Entry, Journal, OpenError, Saved};
use crate::keys::{Admission, KEY_CHARS_MAX, KeyState, Use, answer_known_key};
use crate::outbox::Event;
use crate::params::{Command, CreateIntent, CreateRefund};
use crate::reply::{ApiError, Reply, missing};
use crate::wire;

/// A PaymentIntent with its one charge and that charge's refunds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) payment_method: Option<String>,
    pub(crate) capture_method: String,
    pub(crate) description: Option<String>,
    pub(crate) statement_descriptor_suffix: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) outcome: Outcome,
    #[serde(skip)]
    refunds: Vec<Refund>,
}

/// What came of confirming an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Unpaid,
    RequiresAction,
    /// The payer did not pass the issuer's question.
    AuthenticationFailed,
    Declined {
        charge: String,
        decline_code: String,
        error: Value,
    },
    /// The money is reserved, to be captured or released.
    Authorised {
        charge: String,
        capture_before: u64,
    },
    Succeeded {
        charge: String,
        /// All of it if absent.
        #[serde(default)]
        captured: Option<i64>,
    },
    Canceled {
        reason: Option<String>,
    },
}

impl Intent {
    /// Money taken.
    pub(crate) fn captured(&self) -> i64 {
        match self.outcome {
            Outcome::Succeeded { captured, .. } => captured.unwrap_or(self.amount),
            _ => 0,
        }
    }

    pub(crate) fn refunds(&self) -> &[Refund] {
        &self.refunds
    }

    /// Money given back: always the sum of the refunds, never a counter.
    fn refunded(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    pub(crate) fn charge_id(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Declined { charge, .. }
            | Outcome::Authorised { charge, .. }
            | Outcome::Succeeded { charge, .. } => Some(charge),
            Outcome::Unpaid | Outcome::RequiresAction | Outcome::AuthenticationFailed | Outcome::Canceled { .. } => {
                None
            }
        }
    }
}

/// Money given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) payment_intent: String,
    pub(crate) amount: i64,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Everything the twin remembers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    intents: BTreeMap<String, Intent>,
    /// Refund id → intent id.
    refunds: BTreeMap<String, String>,
    keys: BTreeMap<String, KeyState>,
    /// Intents that reserve money.
    reserved: BTreeSet<String>,
    clock_ahead_s: u64,
    /// Oldest first.
    transactions: Vec<Transaction>,
    /// Events nobody has taken yet.
    undelivered: BTreeMap<String, Event>,
    /// Number of events so far.
    events: u64,
    /// Events of the last execution.
    fresh: Vec<Event>,
    watched: bool,
    journal: Option<Journal>,
}

impl Ledger {
    /// Replays the journal at `path`, or starts empty and forgetful.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, OpenError> {
        let mut ledger = Self::default();
        if let Some(path) = path {
            let (journal, entries) = Journal::open(path)?;
            for entry in entries {
                ledger.apply(entry);
            }
            ledger.journal = Some(journal);
        }
        Ok(ledger)
    }

    /// Decides whether a request runs. If it does and has a key, the key is in flight until [`Ledger::execute`].
    pub(crate) fn admit(&mut self, of: Option<&Use>, parsed: Result<Command, ApiError>) -> Admission {
        if let Some(of) = of {
            if of.key.is_empty() || of.key.chars().count() > KEY_CHARS_MAX {
                let message = "Idempotency keys are 1 to 255 characters long.";
                return Admission::Answer(ApiError::invalid(message).into_reply());
            }
            if let Some(state) = self.keys.get(&of.key) {
                return Admission::Answer(answer_known_key(of, state));
            }
        }
        let command = match parsed {
            Ok(command) => command,
            Err(error) => return Admission::Answer(error.into_reply()),
        };
        if let Some(of) = of {
            self.keys.insert(of.key.clone(), KeyState::InFlight(of.clone()));
        }
        Admission::Run(command)
    }

    /// Does what was admitted, journals it with its answer, and only then lets the answer out.
    ///
    /// `crash` does everything but answers (and remembers, for the key) a 500.
    pub(crate) fn execute(&mut self, of: Option<&Use>, command: Command, now: u64, crash: bool) -> Reply {
        let (change, mut reply) = match command {
            Command::CreateIntent(command) => self.create_intent(command, now),
            Command::CaptureIntent(command) => self.capture_intent(&command),
            Command::CancelIntent { id, reason } => self.cancel_intent(&id, reason),
            Command::AdvanceClock { seconds } => self.advance_clock(seconds),
            Command::Authenticate { id, success } => self.authenticate(&id, success, now),
            Command::CreateRefund(command) => self.create_refund(command, now),
        };
        if crash {
            reply = ApiError::new(500, "api_error", "An error occurred internally with the twin's API.").into_reply();
        }
        let saved = of.map(|of| Saved {
            key: of.key.clone(),
            endpoint: of.endpoint.clone(),
            parameters: of.parameters.clone(),
            status: reply.status,
            body: reply.body.clone(),
        });
        let events = self.events_of(change.as_ref(), now);
        let mut entry = Entry::new(change, saved);
        entry.events = events;
        entry.transaction = self.transaction_by(entry.change.as_ref(), now);
        if let Some(Err(error)) = self.journal.as_mut().map(|journal| journal.append(&entry)) {
            if let Some(of) = of {
                self.keys.remove(&of.key);
            }
            return ApiError::new(500, "api_error", format!("The twin cannot write its journal: {error}")).into_reply();
        }
        self.fresh.extend_from_slice(&entry.events);
        self.apply(entry);
        reply
    }

    pub(crate) fn clock_ahead_s(&self) -> u64 {
        self.clock_ahead_s
    }

    pub(crate) fn reserved(&self) -> impl Iterator<Item = &Intent> {
        self.reserved.iter().filter_map(|id| self.intents.get(id))
    }

    pub(crate) fn find_intent(&self, id: &str) -> Option<&Intent> {
        self.intents.get(id)
    }

    /// Oldest first.
    pub(crate) fn intents(&self) -> impl DoubleEndedIterator<Item = &Intent> {
        self.intents.values()
    }

    pub(crate) fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    pub(crate) fn get_intent(&self, id: &str) -> Reply {
        match self.intents.get(id) {
            Some(intent) => Reply::new(200, &wire::intent(intent)),
            None => missing(404, "payment_intent", id, "intent").into_reply(),
        }
    }

    pub(crate) fn get_refund(&self, id: &str) -> Reply {
        let intent = self.refunds.get(id).and_then(|intent| self.intents.get(intent));
        let refund = intent.and_then(|intent| intent.refunds.iter().find(|refund| refund.id == id));
        match (intent, refund) {
            (Some(intent), Some(refund)) => Reply::new(200, &wire::refund(refund, intent)),
            _ => missing(404, "refund", id, "refund").into_reply(),
        }
    }

    /// Every charge and refund with totals.
    pub(crate) fn books(&self) -> Books {
        let mut books = Books::default();
        for intent in self.intents.values() {
            let Some(charge) = intent.charge_id() else { continue };
            let amount = match intent.outcome {
                // Reserved is not taken.
                Outcome::Authorised { .. } => continue,
                Outcome::Succeeded { .. } => intent.captured(),
                _ => intent.amount,
            };
            books.add_charge(BookedCharge {
                id: charge.to_owned(),
                payment_intent: intent.id.clone(),
                amount,
                currency: intent.currency.clone(),
                decline_code: match &intent.outcome {
                    Outcome::Declined { decline_code, .. } => Some(decline_code.clone()),
                    _ => None,
                },
                refunded: intent.refunded(),
                metadata: intent.metadata.clone(),
            });
        }
        for (id, intent) in &self.refunds {
            let Some(intent) = self.intents.get(intent) else { continue };
            let Some(refund) = intent.refunds.iter().find(|refund| refund.id == *id) else { continue };
            books.add_refund(BookedRefund {
                id: id.clone(),
                payment_intent: intent.id.clone(),
                amount: refund.amount,
                currency: intent.currency.clone(),
                metadata: refund.metadata.clone(),
            });
        }
        books
    }

    fn create_intent(&self, command: CreateIntent, now: u64) -> (Option<Change>, Reply) {
        let number = self.intents.len() + 1;
        let id = format!("pi_twin{number:08}");
        let charge = charge_of(&id);
        let behaviour = match &command.method {
            Some((_, behaviour)) if command.confirm => Some(*behaviour),
            _ => None,
        };
        let name = command.method.map(|(name, _)| name);
        let outcome = match behaviour {
            None => Outcome::Unpaid,
            Some(Behaviour::Approve) if command.capture_method == "manual" => authorised(charge, now),
            Some(Behaviour::Approve) => Outcome::Succeeded { charge, captured: None },
            Some(Behaviour::Authenticate) if command.off_session => declined(&AUTHENTICATION_REQUIRED, charge, &name),
            Some(Behaviour::Authenticate) => Outcome::RequiresAction,
            Some(Behaviour::Decline(decline)) => declined(&decline, charge, &name),
        };
        let intent = Intent {
            id,
            created: now,
            amount: command.amount,
            currency: command.currency,
            payment_method: name,
            capture_method: command.capture_method,
            description: command.description,
            statement_descriptor_suffix: command.statement_descriptor_suffix,
            metadata: command.metadata,
            outcome,
            refunds: Vec::new(),
        };
        let shown = wire::intent(&intent);
        let reply = match &intent.outcome {
            Outcome::Declined { error, .. } => {
                let mut error = error.clone();
                if let Some(fields) = error.as_object_mut() {
                    fields.insert("payment_intent".into(), shown);
                }
                Reply::new(402, &serde_json::json!({ "error": error }))
            }
            _ => Reply::new(200, &shown),
        };
        (Some(Change::Intent(intent)), reply)
    }

    fn create_refund(&self, command: CreateRefund, now: u64) -> (Option<Change>, Reply) {
        let refused = |error: ApiError| (None, error.into_reply());
        let Some(intent) = self.intents.get(&command.payment_intent) else {
            return refused(missing(400, "payment_intent", &command.payment_intent, "payment_intent"));
        };
        if intent.captured() == 0 {
            let message = format!("This PaymentIntent ({}) does not have a successful charge to refund.", intent.id);
            return refused(ApiError::invalid(message));
        }
        let left = intent.captured() - intent.refunded();
        if left == 0 {
            let message = format!("Charge {} has already been refunded.", intent.charge_id().unwrap_or_default());
            return refused(ApiError::invalid(message).code("charge_already_refunded"));
        }
        let amount = command.amount.unwrap_or(left);
        if amount > left {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return refused(ApiError::invalid(message).param("amount"));
        }
        let refund = Refund {
            id: format!("re_twin{:08}", self.refunds.len() + 1),
            created: now,
            payment_intent: intent.id.clone(),
            amount,
            reason: command.reason,
            metadata: command.metadata,
        };
        let reply = Reply::new(200, &wire::refund(&refund, intent));
        (Some(Change::Refund(refund)), reply)
    }

    /// From now on changes make events.
    pub(crate) fn watch(&mut self) {
        self.watched = true;
    }

    pub(crate) fn undelivered(&self) -> Vec<Event> {
        self.undelivered.values().cloned().collect()
    }

    pub(crate) fn take_fresh(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.fresh)
    }

    /// Forgets an event. If that cannot be written, it is delivered again after a restart, which may happen anyway.
    pub(crate) fn delivered(&mut self, id: &str) {
        if self.undelivered.contains_key(id) {
            let entry = Entry::new(Some(Change::Delivered(id.to_owned())), None);
            drop(self.journal.as_mut().map(|journal| journal.append(&entry)));
            self.apply(entry);
        }
    }

    fn events_of(&self, change: Option<&Change>, now: u64) -> Vec<Event> {
        let told: Vec<(&str, Value)> = match change {
            Some(Change::Intent(intent)) if self.watched => {
                let new = !self.intents.contains_key(&intent.id);
                let kinds = new.then_some("payment_intent.created").into_iter().chain(wire::event_kind(intent));
                kinds.map(|kind| (kind, wire::intent(intent))).collect()
            }
            Some(Change::Refund(refund)) if self.watched => {
                let intent = self.intents.get(&refund.payment_intent);
                intent.map(|intent| ("refund.created", wire::refund(refund, intent))).into_iter().collect()
            }
            _ => Vec::new(),
        };
        let numbered = told.into_iter().zip(self.events + 1..);
        numbered
            .map(|((kind, object), number)| Event {
                id: format!("evt_twin{number:08}"),
                created: now,
                kind: kind.to_owned(),
                object,
            })
            .collect()
    }

    fn apply(&mut self, entry: Entry) {
        self.transactions.extend(entry.transaction);
        for event in entry.events {
            self.events += 1;
            self.undelivered.insert(event.id.clone(), event);
        }
        match entry.change {
            Some(Change::Intent(mut intent)) => {
                if matches!(intent.outcome, Outcome::Authorised { .. }) {
                    self.reserved.insert(intent.id.clone());
                } else {
                    self.reserved.remove(&intent.id);
                }
                // Its refunds are lines of their own.
                intent.refunds = self.intents.remove(&intent.id).map(|known| known.refunds).unwrap_or_default();
                self.intents.insert(intent.id.clone(), intent);
            }
            Some(Change::Refund(refund)) => {
                self.refunds.insert(refund.id.clone(), refund.payment_intent.clone());
                if let Some(intent) = self.intents.get_mut(&refund.payment_intent) {
                    intent.refunds.push(refund);
                }
            }
            Some(Change::Clock(ahead_s)) => self.clock_ahead_s = ahead_s,
            Some(Change::Delivered(id)) => {
                self.undelivered.remove(&id);
            }
            None => {}
        }
        if let Some(saved) = entry.saved {
            self.keys.insert(saved.key.clone(), KeyState::Done(saved));
        }
    }
}

fn declined(decline: &Decline, charge: String, payment_method: &Option<String>) -> Outcome {
    let error = wire::card_error(decline, &charge, payment_method.as_deref().unwrap_or_default());
    Outcome::Declined { charge, decline_code: decline.decline_code.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Form, create_intent, create_refund};

    const CHARGE: &str =
        "amount=1250&currency=eur&confirm=true&payment_method=pm_card_visa&payment_method_types[]=card";

    fn usage(key: &str, parameters: &str) -> Use {
        Use { key: key.into(), endpoint: "/v1/payment_intents".into(), parameters: parameters.into() }
    }

    fn charge(body: &str) -> Result<Command, ApiError> {
        create_intent(Form::parse(body.as_bytes()))
    }

    #[test]
    fn a_key_in_flight_answers_409_and_other_parameters_400() {
        let mut ledger = Ledger::default();
        let first = usage("k", "a");
        assert!(matches!(ledger.admit(Some(&first), charge(CHARGE)), Admission::Run(_)));
        let status = |admission| match admission {
            Admission::Answer(reply) => reply.status,
            Admission::Run(_) => 0,
        };
        assert_eq!(status(ledger.admit(Some(&first), charge(CHARGE))), 409);
        assert_eq!(status(ledger.admit(Some(&usage("k", "b")), charge(CHARGE))), 400);
        let elsewhere = Use { endpoint: "/v1/refunds".into(), ..first };
        assert_eq!(status(ledger.admit(Some(&elsewhere), charge(CHARGE))), 400);
        assert_eq!(ledger.books(), Books::default());
    }

    #[test]
    fn a_request_that_fails_validation_leaves_its_key_free() {
        let mut ledger = Ledger::default();
        let of = usage("k", "a");
        assert!(matches!(ledger.admit(Some(&of), charge("amount=1")), Admission::Answer(_)));
        assert!(matches!(ledger.admit(Some(&of), charge(CHARGE)), Admission::Run(_)));
    }

    #[test]
    fn an_executed_key_replays_its_answer_even_a_500_and_even_an_over_refund() {
        let mut ledger = Ledger::default();
        let of = usage("k", "a");
        let Admission::Run(command) = ledger.admit(Some(&of), charge(CHARGE)) else { panic!("runs") };
        assert_eq!(ledger.execute(Some(&of), command, 1, true).status, 500);
        let Admission::Answer(replay) = ledger.admit(Some(&of), charge(CHARGE)) else { panic!("replays") };
        assert_eq!((replay.status, replay.replayed), (500, true));
        assert_eq!(ledger.books().totals["eur"].charges, 1);

        let refund = || create_refund(Form::parse(b"payment_intent=pi_twin00000001&amount=1251"));
        let of = Use { endpoint: "/v1/refunds".into(), ..usage("r", "b") };
        let Admission::Run(command) = ledger.admit(Some(&of), refund()) else { panic!("runs") };
        let refused = ledger.execute(Some(&of), command, 2, false);
        let Admission::Answer(replay) = ledger.admit(Some(&of), refund()) else { panic!("replays") };
        assert_eq!(replay, Reply { replayed: true, ..refused });
    }
}
