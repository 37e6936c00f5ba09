//! Faults a test asks for: the next calls that change something meet them, in the order they were asked for. Chaos is a fault that a
//! seeded generator asks for, again and again.

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
    /// It is not done, and its key answers 500 for ever all the same: nothing can come of this key any more.
    #[serde(rename = "skip_then_500")]
    SkipThen500,
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
    /// `POST /v1/payment_intents/{id}/confirm`
    Confirm,
    /// `POST /v1/customers`
    Customer,
    /// `POST /v1/setup_intents`
    Setup,
    /// `POST /v1/setup_intents/{id}/confirm`
    ConfirmSetup,
    /// `POST /v1/payment_methods/{id}/attach`
    Attach,
    /// `POST /v1/payment_methods/{id}/detach`
    Detach,
    /// `POST /v1/disputes/{id}`
    Evidence,
}

impl Target {
    const fn moves_money(self) -> bool {
        matches!(self, Self::Charge | Self::Confirm | Self::Capture | Self::Cancel | Self::Refund)
    }
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

/// The body of `POST /_twin/chaos`: of the calls that move money, so many of a hundred meet some fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chaos {
    pub(crate) percent: u8,
    pub(crate) seed: u64,
}

/// What chaos is made of: every fault there is.
const CHAOS: [FaultKind; 10] = [
    FaultKind::DropBefore,
    FaultKind::ExecuteThenDropReply,
    FaultKind::ExecuteThen500,
    FaultKind::SkipThen500,
    FaultKind::Slow,
    FaultKind::TooManyRequests,
    FaultKind::WebhookBeforeReply,
    FaultKind::WebhookDuplicate,
    FaultKind::WebhookReordered,
    FaultKind::WebhookNever,
];
/// Longer than an impatient caller waits, shorter than a test does.
const CHAOS_SLOW_MS_MAX: u64 = 300;

/// Faults still to come.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue {
    asked: VecDeque<Fault>,
    percent: u8,
    dice: Dice,
}

impl FaultQueue {
    pub(crate) fn push(&mut self, fault: Fault) {
        self.asked.push_back(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.asked.clear();
    }

    pub(crate) fn pending(&self) -> Vec<Fault> {
        self.asked.iter().copied().collect()
    }

    /// From now on; 0 percent ends it.
    pub(crate) fn set_chaos(&mut self, chaos: Chaos) {
        self.percent = chaos.percent;
        self.dice = Dice(chaos.seed);
    }

    /// What a call of this kind meets: what was asked for, or else what chance brings.
    pub(crate) fn next(&mut self, target: Target) -> Fault {
        match self.next_asked(target) {
            Some(fault) => fault,
            None if self.percent > 0 && target.moves_money() => self.random(),
            None => Fault::new(FaultKind::Approve),
        }
    }

    fn next_asked(&mut self, target: Target) -> Option<Fault> {
        let index = self.asked.iter().position(|fault| fault.on.is_none_or(|on| on == target))?;
        let fault = self.asked.get_mut(index)?;
        let met = *fault;
        fault.count -= 1;
        if fault.count == 0 {
            self.asked.remove(index);
        }
        Some(met)
    }

    fn random(&mut self) -> Fault {
        // All three are rolled for each call, so that how often decides nothing about which.
        let [hit, which, ms] = [(); 3].map(|()| self.dice.roll());
        if hit % 100 >= u64::from(self.percent) {
            return Fault::new(FaultKind::Approve);
        }
        let index = usize::try_from(which % CHAOS.len() as u64).unwrap_or_default();
        match CHAOS.get(index).copied().unwrap_or(FaultKind::Approve) {
            FaultKind::Slow => Fault { ms: 1 + ms % CHAOS_SLOW_MS_MAX, ..Fault::new(FaultKind::Slow) },
            kind => Fault::new(kind),
        }
    }
}

/// SplitMix64: a test that names a seed wants the same faults tomorrow, whatever a library does meanwhile.
#[derive(Debug, Default)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
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
    fn chaos_is_the_same_for_a_seed_brings_every_fault_and_ends() {
        let met = |percent, seed| {
            let mut queue = FaultQueue::default();
            queue.set_chaos(Chaos { percent, seed });
            (0..2_000).map(|_| queue.next(Target::Charge)).collect::<Vec<_>>()
        };
        assert_eq!(met(20, 7), met(20, 7));
        assert_ne!(met(20, 7), met(20, 8));
        let faults: Vec<_> = met(20, 7).into_iter().filter(|met| met.fault != FaultKind::Approve).collect();
        assert!((300..500).contains(&faults.len()), "{} of 2000", faults.len());
        assert!(CHAOS.iter().all(|kind| faults.iter().any(|met| met.fault == *kind)));
        assert!(faults.iter().all(|met| met.refusal().is_none()));
        assert!(met(0, 7).iter().all(|met| met.fault == FaultKind::Approve));
        let mut queue = FaultQueue::default();
        queue.set_chaos(Chaos { percent: 100, seed: 7 });
        assert_eq!(queue.next(Target::Customer).fault, FaultKind::Approve, "no money moves");
        queue.push(Fault::new(FaultKind::DropBefore));
        assert_eq!(queue.next(Target::Charge), Fault::new(FaultKind::DropBefore), "what is asked for comes first");
    }

    #[test]
    fn a_fault_is_read_as_documented_and_nonsense_is_refused() {
        let read = |text| serde_json::from_str::<Fault>(text);
        assert_eq!(read(r#"{"fault":"429"}"#).unwrap(), Fault::new(FaultKind::TooManyRequests));
        assert_eq!(read(r#"{"fault":"execute_then_500","count":2}"#).unwrap().fault, FaultKind::ExecuteThen500);
        assert_eq!(read(r#"{"fault":"skip_then_500"}"#).unwrap().fault, FaultKind::SkipThen500);
        assert!(read(r#"{"fault":"slow","ms":5,"often":1}"#).is_err());
        assert!(read(r#"{"fault":"slow"}"#).unwrap().refusal().is_some());
        assert!(read(r#"{"fault":"approve","count":0}"#).unwrap().refusal().is_some());
    }
}
