//! Everything the twin remembers, behind one lock and one journal.
//!
//! A request is *admitted* (new, a replay, a conflict, or invalid), then *executed*: what it changes, the money that moves by it, the events
//! that tell it and its key's answer are one line of the journal, written before the answer leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::balance::Transaction;
use crate::books::Books;
use crate::cards;
use crate::faults::FaultKind;
use crate::journal::{Change, Entry, Journal, OpenError, Saved};
use crate::keys::{Admission, Keys, Use};
use crate::objects::{Customer, Intent, Method, Outcome, RefundStatus, Setup, SetupOutcome};
use crate::outbox::Event;
use crate::params::Command;
use crate::reply::{ApiError, Reply, missing};
use crate::wire;

/// Ten years: enough for every test, and no sum with it overflows.
const CLOCK_AHEAD_MAX_S: u64 = 10 * 365 * 24 * 3_600;

/// What a command comes to, before it is written.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) changes: Vec<Change>,
    pub(crate) reply: Reply,
}

/// Everything the twin remembers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    intents: BTreeMap<String, Intent>,
    customers: BTreeMap<String, Customer>,
    methods: BTreeMap<String, Method>,
    setups: BTreeMap<String, Setup>,
    /// Refund or dispute → its intent.
    parents: BTreeMap<String, String>,
    refunds: usize,
    payouts: usize,
    keys: Keys,
    /// Intents that reserve money.
    reserved: BTreeSet<String>,
    /// Refunds of which the bank has not said how they end.
    unsettled: BTreeSet<String>,
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
        if let Some(known) = of.and_then(|of| self.keys.answer(of)) {
            return Admission::Answer(known);
        }
        let command = match parsed.and_then(|command| self.valid(command)) {
            Ok(command) => command,
            Err(error) => return Admission::Answer(error.into_reply()),
        };
        if let Some(of) = of {
            self.keys.begin(of);
        }
        Admission::Run(command)
    }

    /// Part of validation: what is named has to exist.
    fn valid(&self, command: Command) -> Result<Command, ApiError> {
        let method = command.method().filter(|name| cards::find(name).is_none() && !self.methods.contains_key(*name));
        if let Some(name) = method {
            return Err(missing(400, "PaymentMethod", name, "payment_method"));
        }
        if let Some(id) = command.customer().filter(|id| !self.customers.contains_key(*id)) {
            return Err(missing(400, "customer", id, "customer"));
        }
        Ok(command)
    }

    /// Does what was admitted, journals it with its answer, and only then lets the answer out.
    ///
    /// Two faults answer (and remember, for the key) a 500: after all of it, or after nothing.
    pub(crate) fn execute(&mut self, of: Option<&Use>, command: Command, now: u64, fault: FaultKind) -> Reply {
        let done = self.carry_out(command, now);
        let Done { mut changes, mut reply } =
            done.unwrap_or_else(|error| Done { changes: Vec::new(), reply: error.into_reply() });
        if fault == FaultKind::SkipThen500 {
            changes.clear();
        }
        if matches!(fault, FaultKind::ExecuteThen500 | FaultKind::SkipThen500) {
            reply = ApiError::new(500, "api_error", "An error occurred internally with the twin's API.").into_reply();
        }
        let saved = of.map(|of| Saved {
            key: of.key.clone(),
            endpoint: of.endpoint.clone(),
            parameters: of.parameters.clone(),
            status: reply.status,
            body: reply.body.clone(),
            at: now,
        });
        let mut entry = Entry::new(changes, saved);
        entry.transactions = entry.changes.iter().filter_map(|change| self.transaction_by(change, now)).collect();
        if self.watched {
            entry.events = self.events_of(&entry.changes, now);
        }
        if let Some(Err(error)) = self.journal.as_mut().map(|journal| journal.append(&entry)) {
            if let Some(of) = of {
                self.keys.give_up(of);
            }
            return ApiError::new(500, "api_error", format!("The twin cannot write its journal: {error}")).into_reply();
        }
        self.fresh.extend_from_slice(&entry.events);
        self.apply(entry);
        reply
    }

    fn carry_out(&self, command: Command, now: u64) -> Result<Done, ApiError> {
        match command {
            Command::CreateIntent(command) => self.create_intent(command, now),
            Command::ConfirmIntent(command) => self.confirm_intent(&command, now),
            Command::CaptureIntent { id, amount, expand } => self.capture_intent(&id, amount, expand, now),
            Command::CancelIntent { id, reason, expand } => self.cancel_intent(&id, reason, expand),
            Command::CreateRefund(command) => self.create_refund(command, now),
            Command::CreateCustomer { description, metadata } => Ok(self.create_customer(description, metadata, now)),
            Command::AttachMethod { id, customer } => self.attach_method(&id, &customer, now),
            Command::DetachMethod { id } => self.detach_method(&id),
            Command::CreateSetup(command) => self.create_setup(command, now),
            Command::ConfirmSetup { id, method } => self.confirm_setup(&id, method.as_deref(), now),
            Command::SendEvidence { id, text } => self.send_evidence(&id, &text, now),
            Command::Authenticate { id, success } if id.starts_with("seti_") => self.authenticate_setup(&id, success),
            Command::Authenticate { id, success } => self.authenticate_intent(&id, success, now),
            Command::CloseDispute { id, won } => self.close_dispute(&id, won, now),
            Command::PayOut => Ok(self.pay_out(now)),
            Command::AdvanceClock { seconds } => Ok(self.advance_clock(seconds)),
            Command::Release { id } => self.cancel_intent(&id, Some("automatic".to_owned()), false),
            Command::SettleRefund { id } => self.settle_refund(&id),
        }
    }

    /// Does what time does by itself: money reserved for too long is released, refunds end, keys are forgotten.
    pub(crate) fn pass_time(&mut self, now: u64) {
        let too_old = |id: &&String| {
            let outcome = self.intents.get(*id).map(|intent| &intent.outcome);
            matches!(outcome, Some(Outcome::Authorised { capture_before, .. }) if *capture_before <= now)
        };
        let releases = self.reserved.iter().filter(too_old).map(|id| Command::Release { id: id.clone() });
        let due = |id: &&String| self.refund(id).is_ok_and(|(refund, _)| refund.settles.is_none_or(|at| at <= now));
        let settlements = self.unsettled.iter().filter(due).map(|id| Command::SettleRefund { id: id.clone() });
        let commands: Vec<_> = releases.chain(settlements).collect();
        for command in commands {
            self.execute(None, command, now, FaultKind::Approve);
        }
        self.keys.prune(now);
    }

    /// Lets time pass; it never goes back.
    fn advance_clock(&self, seconds: u64) -> Done {
        let ahead_s = self.clock_ahead_s.saturating_add(seconds).min(CLOCK_AHEAD_MAX_S);
        Done { changes: vec![Change::Clock(ahead_s)], reply: Reply::new(200, &json!({ "ahead_s": ahead_s })) }
    }

    pub(crate) fn clock_ahead_s(&self) -> u64 {
        self.clock_ahead_s
    }

    /// By id, which is oldest first, as all that follow.
    pub(crate) fn intents(&self) -> &BTreeMap<String, Intent> {
        &self.intents
    }

    pub(crate) fn customers(&self) -> &BTreeMap<String, Customer> {
        &self.customers
    }

    pub(crate) fn methods(&self) -> &BTreeMap<String, Method> {
        &self.methods
    }

    pub(crate) fn setups(&self) -> &BTreeMap<String, Setup> {
        &self.setups
    }

    pub(crate) fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }

    /// How many there are.
    pub(crate) fn refunds(&self) -> usize {
        self.refunds
    }

    pub(crate) fn payouts(&self) -> usize {
        self.payouts
    }

    /// The intent a refund or dispute belongs to.
    pub(crate) fn parent(&self, id: &str) -> Option<&Intent> {
        self.intents.get(self.parents.get(id)?)
    }

    /// Every charge, refund and dispute with totals.
    pub(crate) fn books(&self) -> Books {
        let mut books = Books::default();
        self.intents.values().for_each(|intent| books.add(intent));
        books.refunds.sort_by(|one, other| one.id.cmp(&other.id));
        books
    }

    /// From now on changes make events.
    pub(crate) fn watch(&mut self) {
        self.watched = true;
    }

    /// Events that were never taken, oldest first.
    pub(crate) fn undelivered(&self) -> Vec<Event> {
        self.undelivered.values().cloned().collect()
    }

    pub(crate) fn take_fresh(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.fresh)
    }

    /// Forgets an event. If that cannot be written, it is delivered again after a restart, which may happen anyway.
    pub(crate) fn delivered(&mut self, id: &str) {
        if self.undelivered.contains_key(id) {
            let entry = Entry::new(vec![Change::Delivered(id.to_owned())], None);
            drop(self.journal.as_mut().map(|journal| journal.append(&entry)));
            self.apply(entry);
        }
    }

    fn events_of(&self, changes: &[Change], now: u64) -> Vec<Event> {
        let told = changes.iter().flat_map(|change| self.told_of(change));
        let numbered = told.zip(self.events + 1..);
        numbered
            .map(|((kind, object), number)| Event {
                id: format!("evt_twin{number:08}"),
                created: now,
                kind: kind.to_owned(),
                object,
            })
            .collect()
    }

    /// The events of a change that is not applied yet.
    fn told_of(&self, change: &Change) -> Vec<(&'static str, Value)> {
        match change {
            Change::Intent(intent) => {
                let new = !self.intents.contains_key(&intent.id);
                let kinds = new.then_some("payment_intent.created").into_iter().chain(wire::event_of_intent(intent));
                kinds.map(|kind| (kind, wire::intent(intent, false))).collect()
            }
            Change::Setup(setup) => {
                let new = !self.setups.contains_key(&setup.id);
                let now = match setup.outcome {
                    SetupOutcome::Open => None,
                    SetupOutcome::RequiresAction => Some("setup_intent.requires_action"),
                    SetupOutcome::Failed { .. } => Some("setup_intent.setup_failed"),
                    SetupOutcome::Succeeded => Some("setup_intent.succeeded"),
                };
                let kinds = new.then_some("setup_intent.created").into_iter().chain(now);
                kinds.map(|kind| (kind, wire::setup(setup))).collect()
            }
            Change::Refund(refund) => {
                let Some(mut intent) = self.intents.get(&refund.payment_intent).cloned() else { return Vec::new() };
                let known = intent.refunds.iter_mut().find(|known| known.id == refund.id);
                let kinds: &[_] = match (&known, refund.status) {
                    (None, _) => &["refund.created", "charge.refunded"],
                    (Some(_), RefundStatus::Failed) => &["refund.updated", "refund.failed"],
                    (Some(_), _) => &["refund.updated"],
                };
                match known {
                    Some(known) => known.clone_from(refund),
                    None => intent.refunds.push(refund.clone()),
                }
                let object = |kind: &str| match kind {
                    "charge.refunded" => wire::charge(&intent),
                    _ => wire::refund(refund, &intent),
                };
                kinds.iter().map(|kind| (*kind, object(kind))).collect()
            }
            Change::Dispute(dispute) => {
                let known = self.dispute(&dispute.id).ok().map(|(known, _)| known.status);
                let kinds = wire::events_of_dispute(known, dispute);
                kinds.iter().map(|kind| (*kind, wire::dispute(dispute, None))).collect()
            }
            Change::Customer(_) | Change::Method(_) | Change::Payout(_) | Change::Delivered(_) | Change::Clock(_) => {
                Vec::new()
            }
        }
    }

    fn apply(&mut self, entry: Entry) {
        self.transactions.extend(entry.transactions);
        for event in entry.events {
            self.events += 1;
            self.undelivered.insert(event.id.clone(), event);
        }
        for change in entry.changes {
            self.change(change);
        }
        if let Some(saved) = entry.saved {
            self.keys.done(saved);
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Intent(mut intent) => {
                if matches!(intent.outcome, Outcome::Authorised { .. }) {
                    self.reserved.insert(intent.id.clone());
                } else {
                    self.reserved.remove(&intent.id);
                }
                // Its refunds and its dispute are lines of their own.
                if let Some(known) = self.intents.remove(&intent.id) {
                    (intent.refunds, intent.dispute) = (known.refunds, known.dispute);
                }
                self.intents.insert(intent.id.clone(), *intent);
            }
            Change::Refund(refund) => {
                if refund.settles.is_some() {
                    self.unsettled.insert(refund.id.clone());
                } else {
                    self.unsettled.remove(&refund.id);
                }
                self.parents.insert(refund.id.clone(), refund.payment_intent.clone());
                let Some(intent) = self.intents.get_mut(&refund.payment_intent) else { return };
                match intent.refunds.iter_mut().find(|known| known.id == refund.id) {
                    Some(known) => *known = refund,
                    None => {
                        self.refunds += 1;
                        intent.refunds.push(refund);
                    }
                }
            }
            Change::Dispute(dispute) => {
                self.parents.insert(dispute.id.clone(), dispute.payment_intent.clone());
                if let Some(intent) = self.intents.get_mut(&dispute.payment_intent) {
                    intent.dispute = Some(dispute);
                }
            }
            Change::Customer(customer) => drop(self.customers.insert(customer.id.clone(), customer)),
            Change::Method(method) => drop(self.methods.insert(method.id.clone(), method)),
            Change::Setup(setup) => drop(self.setups.insert(setup.id.clone(), setup)),
            Change::Payout(_) => self.payouts += 1,
            Change::Clock(ahead_s) => self.clock_ahead_s = ahead_s,
            Change::Delivered(id) => drop(self.undelivered.remove(&id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;
    use crate::keys::REMEMBERED_S;
    use crate::params::{create_intent, create_refund};

    const CHARGE: &str =
        "amount=1250&currency=eur&confirm=true&payment_method=pm_card_visa&payment_method_types[]=card";

    fn usage(key: &str, parameters: &str) -> Use {
        Use { key: key.into(), endpoint: "/v1/payment_intents".into(), parameters: parameters.into() }
    }

    fn charge(body: &str) -> Result<Command, ApiError> {
        create_intent(Form::parse(body.as_bytes()))
    }

    fn run(ledger: &mut Ledger, of: &Use, body: &str, now: u64) -> Reply {
        match ledger.admit(Some(of), charge(body)) {
            Admission::Run(command) => ledger.execute(Some(of), command, now, FaultKind::Approve),
            Admission::Answer(reply) => reply,
        }
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
        for body in ["amount=1", &CHARGE.replace("pm_card_visa", "pm_absent"), &format!("{CHARGE}&customer=cus_absent")]
        {
            assert_eq!(run(&mut ledger, &of, body, 1).status, 400, "{body}");
        }
        assert_eq!(run(&mut ledger, &of, CHARGE, 1).status, 200);
    }

    #[test]
    fn an_executed_key_replays_its_answer_even_a_500_and_even_an_over_refund() {
        let mut ledger = Ledger::default();
        let of = usage("k", "a");
        let Admission::Run(command) = ledger.admit(Some(&of), charge(CHARGE)) else { panic!("runs") };
        assert_eq!(ledger.execute(Some(&of), command, 1, FaultKind::ExecuteThen500).status, 500);
        let Admission::Answer(replay) = ledger.admit(Some(&of), charge(CHARGE)) else { panic!("replays") };
        assert_eq!((replay.status, replay.replayed), (500, true));
        assert_eq!(ledger.books().totals["eur"].charges, 1);

        let refund = || create_refund(Form::parse(b"payment_intent=pi_twin00000001&amount=1251"));
        let of = Use { endpoint: "/v1/refunds".into(), ..usage("r", "b") };
        let Admission::Run(command) = ledger.admit(Some(&of), refund()) else { panic!("runs") };
        let refused = ledger.execute(Some(&of), command, 2, FaultKind::Approve);
        let Admission::Answer(replay) = ledger.admit(Some(&of), refund()) else { panic!("replays") };
        assert_eq!(replay, Reply { replayed: true, ..refused });
    }

    #[test]
    fn a_key_is_remembered_for_a_day_and_then_names_a_new_charge() {
        let mut ledger = Ledger::default();
        let (first, second) = (usage("k", "a"), usage("l", "a"));
        run(&mut ledger, &first, CHARGE, 1_000);
        run(&mut ledger, &second, CHARGE, 1_001);
        ledger.pass_time(1_000 + REMEMBERED_S - 1);
        assert!(run(&mut ledger, &first, CHARGE, 1_000 + REMEMBERED_S - 1).replayed);
        ledger.pass_time(1_000 + REMEMBERED_S);
        let now = 1_000 + REMEMBERED_S;
        assert_eq!([&first, &second].map(|of| run(&mut ledger, of, CHARGE, now).replayed), [false, true]);
        assert_eq!(ledger.books().totals["eur"].charges, 3);
    }
}
