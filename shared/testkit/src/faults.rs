//! Faults under the SDK, each at an exact call or at a rate from a seed.
//!
//! A call is one HTTP request of the SDK, so its own retries count. Numbers start at 1 and are per [`Faults`]: give each
//! simulated process its own.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls remembered: more than any command makes, and a server that runs for weeks does not grow.
pub const LOG_MAX: usize = 10_000;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection fails before the engine sees the request. The SDK retries.
    LostRequest,
    /// The engine executes, then the connection fails. The SDK retries.
    LostReply,
    /// The engine executes, and the reply comes too late. The SDK retries.
    TimedOut,
    /// `ThrottlingException`. The SDK retries.
    Throttled,
    /// `ProvisionedThroughputExceededException`. The SDK retries.
    ThroughputExceeded,
    /// A transaction is cancelled because one item is part of another one; a single write gets
    /// `TransactionConflictException`. Other calls pass. The SDK does *not* retry the cancellation.
    TransactionConflict,
    /// A transaction is cancelled because one item's partition is throttled. Other calls pass. The SDK does *not* retry.
    TransactionThrottled,
    /// `InternalServerError`, status 500. The SDK retries.
    ServerError,
}

/// How often each fault strikes, in thousandths of the calls. They add up: a call has one fault at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// See [`Fault::LostRequest`].
    pub lost_request: u16,
    /// See [`Fault::LostReply`].
    pub lost_reply: u16,
    /// See [`Fault::TimedOut`].
    pub timed_out: u16,
    /// See [`Fault::Throttled`].
    pub throttled: u16,
    /// See [`Fault::ThroughputExceeded`].
    pub throughput_exceeded: u16,
    /// See [`Fault::TransactionConflict`]; of the transactions.
    pub transaction_conflict: u16,
    /// See [`Fault::TransactionThrottled`]; of the transactions.
    pub transaction_throttled: u16,
    /// See [`Fault::ServerError`].
    pub server_error: u16,
}

/// One HTTP request of the SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Counted from 1.
    pub number: u64,
    /// DynamoDB operation, such as `TransactWriteItems`.
    pub operation: String,
    /// Actions of a transaction, else 0.
    pub actions: usize,
}

impl Call {
    /// Whether the call can change an item.
    pub fn writes(&self) -> bool {
        self.is_single_write() || matches!(self.operation.as_str(), "TransactWriteItems" | "BatchWriteItem")
    }

    fn is_single_write(&self) -> bool {
        matches!(self.operation.as_str(), "PutItem" | "UpdateItem" | "DeleteItem")
    }

    fn suffers(&self, fault: Fault) -> bool {
        match fault {
            Fault::TransactionConflict => self.actions > 0 || self.is_single_write(),
            Fault::TransactionThrottled => self.actions > 0,
            _ => true,
        }
    }
}

type Rule = Arc<dyn Fn(&Call) -> Option<Fault> + Send + Sync>;
type Hook = Arc<dyn Fn(&Call) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The plan of one client. Clones share it, so a test keeps one and gives the other to the client.
#[derive(Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    calls: u64,
    log: VecDeque<Call>,
    at: BTreeMap<u64, Fault>,
    random: Option<(Sequence, Rates)>,
    rule: Option<Rule>,
    hook: Option<Hook>,
    interleave: Option<Sequence>,
    stop: Option<Stop>,
}

#[derive(Clone, Copy)]
struct Stop {
    at_call: u64,
    executes_it: bool,
}

/// What the connector does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Pass,
    Fail(Fault),
    /// The process is dead; `executed` when its last request had already left.
    Stopped {
        executed: bool,
    },
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Faults({} calls)", self.calls())
    }
}

impl Faults {
    /// Nothing goes wrong; calls are counted.
    pub fn none() -> Self {
        Self::default()
    }

    /// One fault, at one call.
    pub fn at(call: u64, fault: Fault) -> Self {
        let faults = Self::default();
        faults.add(call, fault);
        faults
    }

    /// Faults at `rates`, the same ones for the same seed and the same calls.
    pub fn random(seed: u64, rates: Rates) -> Self {
        let faults = Self::default();
        faults.set_rates(seed, rates);
        faults
    }

    /// The process dies just before call `call`: it and all later ones fail and are not executed.
    pub fn stop_before(call: u64) -> Self {
        let faults = Self::default();
        faults.lock().stop = Some(Stop { at_call: call, executes_it: false });
        faults
    }

    /// The process dies just after call `call`: it is executed, its reply never arrives, all later calls fail.
    pub fn stop_after(call: u64) -> Self {
        let faults = Self::default();
        faults.lock().stop = Some(Stop { at_call: call, executes_it: true });
        faults
    }

    /// Adds a fault at a call.
    pub fn add(&self, call: u64, fault: Fault) {
        self.lock().at.insert(call, fault);
    }

    /// Sets the rates from now on.
    pub fn set_rates(&self, seed: u64, rates: Rates) {
        self.lock().random = Some((Sequence(seed), rates));
    }

    /// Asks `rule` for a fault at each call that has none yet.
    pub fn add_rule(&self, rule: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) {
        self.lock().rule = Some(Arc::new(rule));
    }

    /// Awaits `hook` before each call: a scheduling point that a test controls.
    pub fn add_hook<F>(&self, hook: impl Fn(&Call) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.lock().hook = Some(Arc::new(move |call| Box::pin(hook(call))));
    }

    /// Yields to other tasks 0 to 3 times before and after each call. On a current-thread runtime the seed decides the
    /// order of the tasks.
    pub fn interleave(&self, seed: u64) {
        self.lock().interleave = Some(Sequence(seed));
    }

    /// Every call from now on fails, as if the process had died.
    pub fn stop(&self) {
        self.lock().stop = Some(Stop { at_call: 0, executes_it: false });
    }

    /// Nothing goes wrong any more. The count, the hook and the interleaving stay.
    pub fn lift(&self) {
        let mut plan = self.lock();
        plan.at.clear();
        plan.random = None;
        plan.rule = None;
        plan.stop = None;
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// The calls made, in order; of more than [`LOG_MAX`] the last ones.
    pub fn log(&self) -> Vec<Call> {
        self.lock().log.iter().cloned().collect()
    }

    /// Notes a call and gives it its number.
    pub(crate) fn begin(&self, operation: &str, actions: usize) -> Call {
        let mut plan = self.lock();
        plan.calls += 1;
        let call = Call { number: plan.calls, operation: operation.to_owned(), actions };
        if plan.log.len() == LOG_MAX {
            plan.log.pop_front();
        }
        plan.log.push_back(call.clone());
        call
    }

    /// Lets other tasks run, as planned.
    pub(crate) async fn pause(&self, call: Option<&Call>) {
        let (hook, yields) = {
            let mut plan = self.lock();
            (plan.hook.clone(), plan.interleave.as_mut().map_or(0, |sequence| sequence.below(4)))
        };
        if let (Some(hook), Some(call)) = (hook, call) {
            hook(call).await;
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
    }

    /// What happens to `call`.
    pub(crate) fn decide(&self, call: &Call) -> Step {
        let (rule, planned) = {
            let mut plan = self.lock();
            if let Some(stop) = plan.stop
                && call.number >= stop.at_call
            {
                return Step::Stopped { executed: stop.executes_it && call.number == stop.at_call };
            }
            let random = plan.random.as_mut().and_then(|(sequence, rates)| rates.draw(sequence, call));
            (plan.rule.clone(), plan.at.get(&call.number).copied().or(random))
        };
        let fault = planned.or_else(|| rule.and_then(|rule| rule(call)));
        fault.filter(|fault| call.suffers(*fault)).map_or(Step::Pass, Step::Fail)
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rates {
    /// One draw per call, whatever the rates, so that raising one rate does not move the others' faults.
    fn draw(&self, sequence: &mut Sequence, call: &Call) -> Option<Fault> {
        let mut point = sequence.below(1000);
        let shares = [
            (self.lost_request, Fault::LostRequest),
            (self.lost_reply, Fault::LostReply),
            (self.timed_out, Fault::TimedOut),
            (self.throttled, Fault::Throttled),
            (self.throughput_exceeded, Fault::ThroughputExceeded),
            (self.server_error, Fault::ServerError),
            (self.transaction_conflict, Fault::TransactionConflict),
            (self.transaction_throttled, Fault::TransactionThrottled),
        ];
        for (share, fault) in shares {
            let share = u64::from(share);
            if point < share {
                return call.suffers(fault).then_some(fault);
            }
            point -= share;
        }
        None
    }
}

/// SplitMix64: small, seeded, good enough to place faults.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
