//! Faults a test asks for: the next calls that move money meet them, in the order they were asked for.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Longest delay a test may ask for.
const SLOW_MS_MAX: u64 = 60_000;
const COUNT_MAX: u32 = 1_000_000;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Nothing: lets calls through before the next fault in the queue.
    Approve,
    /// The connection closes and nothing was done.
    DropBefore,
    /// It is done and remembered, and the connection closes without an answer.
    ExecuteThenDropReply,
    /// It is done, and its key answers 500 for ever, as Stripe's does: only retrieving the object tells the truth.
    #[serde(rename = "execute_then_500")]
    ExecuteThen500,
    /// Waits `ms` with the key in flight, then does it and answers, whether or not the caller still listens.
    Slow,
    /// 429 and nothing was done.
    #[serde(rename = "429")]
    TooManyRequests,
    /// Its events are delivered first, then it is answered.
    WebhookBeforeReply,
    /// Each of its events is delivered twice.
    WebhookDuplicate,
    /// Its last event is delivered first.
    WebhookReordered,
    /// Its events are never delivered.
    WebhookNever,
}

/// Which calls a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `POST /v1/payment_intents`
    Charge,
    /// `POST /v1/refunds`
    Refund,
    /// `POST /v1/payment_intents/{id}/capture`
    Capture,
    /// `POST /v1/payment_intents/{id}/cancel`
    Cancel,
}

/// The body of `POST /_twin/faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub fault: FaultKind,
    /// How many calls it happens to; 1 if absent.
    #[serde(default = "once")]
    pub count: u32,
    /// Milliseconds [`FaultKind::Slow`] waits.
    #[serde(default)]
    pub ms: u64,
    /// Only calls of this kind; any if absent.
    #[serde(default)]
    pub on: Option<Target>,
}

const fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that any next call meets once.
    #[must_use]
    pub const fn new(fault: FaultKind) -> Self {
        Self { fault, count: 1, ms: 0, on: None }
    }

    /// Why the fault makes no sense, if it does not.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        if !(1..=COUNT_MAX).contains(&self.count) {
            return Some("count is 1 to 1000000");
        }
        match (self.fault, self.ms) {
            (FaultKind::Slow, 1..=SLOW_MS_MAX) => None,
            (FaultKind::Slow, _) => Some("slow needs ms, 1 to 60000"),
            (_, 0) => None,
            _ => Some("only slow takes ms"),
        }
    }
}

/// Faults still to come.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue(VecDeque<Fault>);

impl FaultQueue {
    pub(crate) fn push(&mut self, fault: Fault) {
        self.0.push_back(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.0.iter().copied().collect()
    }

    /// What a call of this kind meets.
    pub(crate) fn next(&mut self, target: Target) -> Fault {
        let Some(index) = self.0.iter().position(|fault| fault.on.is_none_or(|on| on == target)) else {
            return Fault::new(FaultKind::Approve);
        };
        let Some(fault) = self.0.get_mut(index) else { return Fault::new(FaultKind::Approve) };
        let met = *fault;
        fault.count -= 1;
        if fault.count == 0 {
            self.0.remove(index);
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_met_in_order_as_often_as_asked_and_only_by_their_target() {
        let mut queue = FaultQueue::default();
        queue.push(Fault { count: 2, on: Some(Target::Charge), ..Fault::new(FaultKind::DropBefore) });
        queue.push(Fault::new(FaultKind::TooManyRequests));
        let met = [Target::Refund, Target::Charge, Target::Charge, Target::Charge].map(|on| queue.next(on).fault);
        let dropped = FaultKind::DropBefore;
        assert_eq!(met, [FaultKind::TooManyRequests, dropped, dropped, FaultKind::Approve]);
        assert!(queue.pending().is_empty());
    }

    #[test]
    fn a_fault_is_read_as_documented_and_nonsense_is_refused() {
        let read = |text| serde_json::from_str::<Fault>(text);
        assert_eq!(read(r#"{"fault":"429"}"#).unwrap(), Fault::new(FaultKind::TooManyRequests));
        assert_eq!(read(r#"{"fault":"execute_then_500","count":2}"#).unwrap().fault, FaultKind::ExecuteThen500);
        assert!(read(r#"{"fault":"slow","ms":5,"often":1}"#).is_err());
        assert!(read(r#"{"fault":"slow"}"#).unwrap().refusal().is_some());
        assert!(read(r#"{"fault":"approve","count":0}"#).unwrap().refusal().is_some());
    }
}
