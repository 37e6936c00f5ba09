//! The idempotency rules, which are Stripe's: the first executed request fixes the answer of its key, errors and 500s included; other
//! parameters or another endpoint are an error; a request that fails validation, or meets the first one still running, leaves no record;
//! after a day a key is forgotten, and then it names a new request.

use std::collections::{BTreeMap, VecDeque};

use crate::journal::Saved;
use crate::params::Command;
use crate::reply::{ApiError, Reply};

/// Stripe's limit on an idempotency key.
const KEY_CHARS_MAX: usize = 255;
/// Stripe removes keys "after they're at least 24 hours old".
pub(crate) const REMEMBERED_S: u64 = 24 * 3_600;

/// What a key is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) key: String,
    pub(crate) endpoint: String,
    pub(crate) parameters: String,
}

/// What to do with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Run(Command),
    Answer(Reply),
}

#[derive(Debug)]
enum KeyState {
    InFlight(Use),
    Done(Saved),
}

/// All keys in use.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    states: BTreeMap<String, KeyState>,
    /// Answered keys, oldest first.
    ages: VecDeque<(u64, String)>,
}

impl Keys {
    /// The answer of a request whose key is known, or makes no sense.
    pub(crate) fn answer(&self, of: &Use) -> Option<Reply> {
        if of.key.is_empty() || of.key.chars().count() > KEY_CHARS_MAX {
            return Some(ApiError::invalid("Idempotency keys are 1 to 255 characters long.").into_reply());
        }
        self.states.get(&of.key).map(|state| answer_known_key(of, state))
    }

    pub(crate) fn begin(&mut self, of: &Use) {
        self.states.insert(of.key.clone(), KeyState::InFlight(of.clone()));
    }

    pub(crate) fn give_up(&mut self, of: &Use) {
        self.states.remove(&of.key);
    }

    pub(crate) fn done(&mut self, saved: Saved) {
        self.ages.push_back((saved.at, saved.key.clone()));
        self.states.insert(saved.key.clone(), KeyState::Done(saved));
    }

    /// Forgets what is too old.
    pub(crate) fn prune(&mut self, now: u64) {
        while let Some((_, key)) = self.ages.pop_front_if(|(at, _)| at.saturating_add(REMEMBERED_S) <= now) {
            self.states.remove(&key);
        }
    }
}

fn answer_known_key(of: &Use, state: &KeyState) -> Reply {
    let (endpoint, parameters) = match state {
        KeyState::InFlight(first) => (first.endpoint.as_str(), &first.parameters),
        KeyState::Done(saved) => (saved.endpoint.as_str(), &saved.parameters),
    };
    let reused = |what: &str| {
        let advice = format!("Try using a key other than '{}' if you meant to execute a different request.", of.key);
        ApiError::new(400, "idempotency_error", format!("{what} {advice}")).into_reply()
    };
    if endpoint != of.endpoint {
        return reused("Keys for idempotent requests can only be used for the same endpoint they were first used for.");
    }
    if *parameters != of.parameters {
        return reused(
            "Keys for idempotent requests can only be used with the same parameters they were first used with.",
        );
    }
    match state {
        KeyState::InFlight(_) => {
            let message = "There is currently another in-progress request using this Idempotent Key.";
            ApiError::new(409, "idempotency_error", message).code("idempotency_key_in_use").into_reply()
        }
        KeyState::Done(saved) => Reply { status: saved.status, body: saved.body.clone(), replayed: true },
    }
}
