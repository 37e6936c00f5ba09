//! The idempotency rules, which are Stripe's: the first executed request fixes the answer of its key, errors and 500s included; other
//! parameters or another endpoint are an error; a request that fails validation, or meets the first one still running, leaves no record.

use crate::journal::Saved;
use crate::params::Command;
use crate::reply::{ApiError, Reply};

/// Stripe's limit on an idempotency key.
pub(crate) const KEY_CHARS_MAX: usize = 255;

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

/// What is known of a key.
#[derive(Debug)]
pub(crate) enum KeyState {
    InFlight(Use),
    Done(Saved),
}

/// What a request with a known key is answered.
pub(crate) fn answer_known_key(of: &Use, state: &KeyState) -> Reply {
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
