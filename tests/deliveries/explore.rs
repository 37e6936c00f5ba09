//! Walks through every order of what can happen.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;

use parkade_domain::geometry::Shape;
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Means, PaymentKind, PaymentStatus, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{DueKind, Reason, Status};
use parkade_store::{Access, CommandError, Modification, Reserve, Store};
use parkade_tests::given::{self, booking, id, window};
use parkade_tests::provider::Provider;
use parkade_tests::world::{order, sweep_one};
use parkade_tests::{Snapshot, World};

const HOLD_S: i64 = 300;
/// The booking begins in 30 hours, so that a cancellation refunds everything.
const STAY: (i64, i64) = (1_800, 1_920);
const MINE: u64 = 1;

/// What is enumerated.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) spots: u16,
    pub(crate) start: Start,
    pub(crate) budget: Budget,
}

/// Where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Held,
    Confirmed,
}

/// How often each thing may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Budget {
    /// Requests to pay, all with the same key.
    pub(crate) pays: u8,
    /// Deliveries of each payment's message.
    pub(crate) deliveries: u8,
    /// The hold's time runs out.
    pub(crate) ticks: u8,
    /// The sweep comes to the hold.
    pub(crate) sweeps: u8,
    /// Cancellations, all with the same key.
    pub(crate) cancels: u8,
    /// Other drivers who want the time.
    pub(crate) others: u8,
    pub(crate) extends: u8,
    pub(crate) shortens: u8,
    /// Handlers that die between two steps, or cards that are declined.
    pub(crate) faults: u8,
}

/// One handler of a payment's message, between two of its steps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Handler {
    payment: u8,
    next: Next,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// Ask the provider; what was read said whether the charge is still wanted.
    Ask { wanted: bool },
    /// Record the provider's word.
    Record(Said),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Taken,
    Declined,
    Void,
}

/// Everything that decides what can follow. What is stored and the provider's books are numbers of known values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    stored: usize,
    books: usize,
    late: bool,
    left: Budget,
    delivered: BTreeMap<u8, u8>,
    handlers: Vec<Handler>,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Pay,
    Tick,
    Sweep,
    Cancel,
    Other(u8),
    Extend,
    Shorten,
    Receive(u8),
    Step(usize),
    Decline(usize),
    Die(usize),
}

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) interleavings: u128,
    pub(crate) longest: usize,
    pub(crate) states: usize,
    pub(crate) executed: usize,
    pub(crate) rested: usize,
}

/// A step that touches what is stored or the books, by all that it depends on.
type Executed = BTreeMap<(usize, usize, bool, Touch), (usize, usize, Vec<Handler>)>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Touch {
    Act(Act),
    Handler(Handler, bool),
}

pub(crate) struct Explorer {
    scenario: Scenario,
    world: World,
    store: Store,
    stored: Vec<Snapshot>,
    books: Vec<Provider>,
    /// What the engine holds now.
    here: usize,
    executed: Executed,
    /// Interleavings and longest run from a state on.
    known: BTreeMap<State, (u128, usize)>,
    rested: BTreeSet<(usize, usize)>,
    trail: Vec<Act>,
}

impl Explorer {
    pub(crate) async fn new(scenario: Scenario) -> Self {
        let policy = LotPolicy { hold_ttl_s: 300, ..LotPolicy::default() };
        let world = World::new(Shape::Hourly, scenario.spots, policy).await;
        let store = world.store();
        let now_s = world.clock.now_s();
        let hold = Reserve {
            new: booking(MINE, 1, vec![window(STAY.0, STAY.1)]),
            spot: Some("0001".to_owned()),
            promise: None,
            now_s,
        };
        store.reserve(&hold).await.unwrap();
        if matches!(scenario.start, Start::Confirmed) {
            let payment = store.pay(&order(id(MINE), 10, 1, now_s), &Means::card("pm_card")).await.unwrap().payment;
            world.deliver(&store, payment.id, false).await.unwrap();
        }
        let (stored, books) = (vec![Snapshot::take(&world.engine)], vec![world.provider().without_counts()]);
        Self {
            scenario,
            world,
            store,
            stored,
            books,
            here: 0,
            executed: BTreeMap::new(),
            known: BTreeMap::new(),
            rested: BTreeSet::new(),
            trail: Vec::new(),
        }
    }

    pub(crate) async fn all(&mut self) -> Found {
        let start = State {
            stored: 0,
            books: 0,
            late: false,
            left: self.scenario.budget,
            delivered: BTreeMap::new(),
            handlers: Vec::new(),
        };
        let (interleavings, longest) = self.from(start).await;
        Found {
            interleavings,
            longest,
            states: self.known.len(),
            executed: self.executed.len(),
            rested: self.rested.len(),
        }
    }

    /// Everything that can follow a state: how many runs, and the longest.
    fn from(&mut self, state: State) -> Pin<Box<dyn Future<Output = (u128, usize)> + '_>> {
        Box::pin(async move {
            if let Some(known) = self.known.get(&state) {
                return *known;
            }
            // On the heap: this goes as deep as a run is long.
            Box::pin(self.assert_sound(&state)).await;
            let (mut runs, mut longest) = (0, 0);
            for act in self.possible(&state) {
                self.trail.push(act.clone());
                let next = Box::pin(self.after(&state, &act)).await;
                let (further, length) = self.from(next).await;
                self.trail.pop();
                runs += further;
                longest = longest.max(length + 1);
            }
            let found = (runs.max(1), longest);
            self.known.insert(state, found);
            found
        })
    }

    fn possible(&self, state: &State) -> Vec<Act> {
        let left = &state.left;
        let mut acts = Vec::new();
        let mut may = |holds: bool, act: Act| {
            if holds {
                acts.push(act);
            }
        };
        may(left.pays > 0, Act::Pay);
        may(left.ticks > 0, Act::Tick);
        may(left.sweeps > 0 && state.late, Act::Sweep);
        may(left.cancels > 0, Act::Cancel);
        may(left.others > 0, Act::Other(left.others));
        may(left.extends > 0, Act::Extend);
        may(left.shortens > 0, Act::Shorten);
        for number in self.payments(state.stored) {
            let delivered = state.delivered.get(&number).copied().unwrap_or(0);
            may(delivered < left.deliveries && state.handlers.len() < 2, Act::Receive(number));
        }
        for (n, handler) in state.handlers.iter().enumerate() {
            may(true, Act::Step(n));
            may(left.faults > 0, Act::Die(n));
            may(left.faults > 0 && matches!(handler.next, Next::Ask { wanted: true }), Act::Decline(n));
        }
        acts
    }

    /// The numbers of the stored payments.
    fn payments(&self, stored: usize) -> Vec<u8> {
        let prefix = format!("R#{}", id(MINE).code());
        let numbers = self.stored[stored].table(parkade_testkit::RECORDS.name).filter(|(pk, ..)| *pk == prefix);
        numbers.filter_map(|(_, sk, _)| sk.strip_prefix("P#")?.parse().ok()).collect()
    }

    async fn after(&mut self, state: &State, act: &Act) -> State {
        let mut next = state.clone();
        match act {
            Act::Pay => next.left.pays -= 1,
            Act::Tick => {
                next.left.ticks -= 1;
                next.late = true;
                return next;
            }
            Act::Sweep => next.left.sweeps -= 1,
            Act::Cancel => next.left.cancels -= 1,
            Act::Other(_) => next.left.others -= 1,
            Act::Extend => next.left.extends -= 1,
            Act::Shorten => next.left.shortens -= 1,
            Act::Receive(number) => *next.delivered.entry(*number).or_default() += 1,
            Act::Die(n) => {
                next.left.faults -= 1;
                next.handlers.remove(*n);
                return next;
            }
            Act::Decline(_) => next.left.faults -= 1,
            Act::Step(_) => {}
        }
        let touch = match act {
            Act::Step(n) | Act::Decline(n) => Touch::Handler(next.handlers.remove(*n), matches!(act, Act::Decline(_))),
            other => Touch::Act(other.clone()),
        };
        let (stored, books, goes_on) = self.touch(state, touch).await;
        (next.stored, next.books) = (stored, books);
        next.handlers.extend(goes_on);
        next.handlers.sort();
        next
    }

    /// Executes a step, or remembers what it did.
    async fn touch(&mut self, state: &State, touch: Touch) -> (usize, usize, Vec<Handler>) {
        let key = (state.stored, state.books, state.late, touch);
        if let Some(known) = self.executed.get(&key) {
            return known.clone();
        }
        self.go_to(state);
        let goes_on = match &key.3 {
            Touch::Handler(handler, declines) => self.step(handler, *declines).await,
            Touch::Act(Act::Receive(number)) => self.receive(*number).await,
            Touch::Act(act) => {
                self.command(act).await;
                None
            }
        };
        let stored = intern(&mut self.stored, Snapshot::take(&self.world.engine));
        let books = intern(&mut self.books, self.world.provider().without_counts());
        self.here = stored;
        let led_to = (stored, books, goes_on.into_iter().collect::<Vec<_>>());
        self.executed.insert(key, led_to.clone());
        led_to
    }

    fn go_to(&mut self, state: &State) {
        self.stored[state.stored].restore_from(&self.world.engine, &self.stored[self.here]);
        self.here = state.stored;
        self.world.provider().clone_from(&self.books[state.books]);
        let now_s = given::T0_S + if state.late { HOLD_S } else { 0 };
        self.world.clock.advance(now_s - self.world.clock.now_s());
    }

    async fn command(&self, act: &Act) {
        let now_s = self.world.clock.now_s();
        let command = |key| order(id(MINE), key, 1, now_s);
        let end = |minutes: i64| Modification { start: None, end: Some(given::T0.plus(minutes)), spot: None };
        let answer = match act {
            Act::Pay => self.store.pay(&command(1), &Means::card("pm_card")).await.map(drop),
            Act::Sweep => sweep_one(&self.store, DueKind::HoldExpiry, id(MINE), now_s).await.map(drop),
            Act::Cancel => self.store.cancel(&command(2), Reason::DriverCancelled).await.map(drop),
            Act::Extend => self.store.modify(&command(3), &end(STAY.1 + 60)).await.map(drop),
            Act::Shorten => self.store.modify(&command(4), &end(STAY.1 - 60)).await.map(drop),
            Act::Other(n) => {
                let new = booking(MINE + u64::from(*n), 2, vec![window(STAY.0 + 30, STAY.1 + 30)]);
                self.store.reserve(&Reserve { new, spot: None, promise: None, now_s }).await.map(drop)
            }
            other => panic!("{other:?} is no command"),
        };
        match answer {
            Ok(()) | Err(CommandError::Refused(_) | CommandError::NoSpot | CommandError::SpotTaken) => {}
            Err(error) => panic!("{act:?} after {:?}: {error:?}", self.trail),
        }
    }

    /// A delivery begins: the handler reads where things stand.
    async fn receive(&self, number: u8) -> Option<Handler> {
        let (payment, dossier) = self.store.payment(numbered(number), &Access::System).await.unwrap();
        if matches!(payment.status, PaymentStatus::Succeeded | PaymentStatus::Declined) {
            return None;
        }
        let wanted = payment.status == PaymentStatus::Requested && Store::is_wanted(&dossier, &payment);
        Some(Handler { payment: number, next: Next::Ask { wanted } })
    }

    /// The handler's next step, by the rules of the queue's consumer.
    async fn step(&self, handler: &Handler, declines: bool) -> Option<Handler> {
        let go_on = |next| Some(Handler { payment: handler.payment, next });
        let payment_id = numbered(handler.payment);
        match &handler.next {
            Next::Ask { wanted } => {
                if !wanted && self.world.provider().entry(payment_id).is_none() {
                    return go_on(Next::Record(Said::Void));
                }
                let (payment, _) = self.store.payment(payment_id, &Access::System).await.unwrap();
                let declines = declines && matches!(payment.kind, PaymentKind::Charge(_));
                match self.world.provider().ask(&payment, declines) {
                    Word::Succeeded { .. } => go_on(Next::Record(Said::Taken)),
                    _ => go_on(Next::Record(Said::Declined)),
                }
            }
            Next::Record(said) => {
                let word = match said {
                    Said::Taken => Word::Succeeded { reference: format!("ch_{payment_id}") },
                    Said::Declined => Word::Declined { code: "card_declined".to_owned() },
                    Said::Void => Word::Void,
                };
                let done = self.store.settle(payment_id, &word, self.world.clock.now_s()).await;
                done.unwrap_or_else(|error| panic!("{handler:?} after {:?}: {error:?}", self.trail));
                None
            }
        }
    }

    /// Nothing is wrong now, nor if every process died here and the queue and the sweeps did the rest.
    async fn assert_sound(&mut self, state: &State) {
        if !self.rested.insert((state.stored, state.books)) {
            return;
        }
        self.go_to(state);
        let wrong = self.world.wrong().await;
        assert!(wrong.is_empty(), "after {:?}: {wrong:#?}", self.trail);
        self.world.clock.advance(HOLD_S);
        self.rest().await;
        let mut wrong = self.world.wrong_at_rest().await;
        wrong.extend(self.unfair().await);
        assert!(wrong.is_empty(), "at rest after {:?}: {wrong:#?}", self.trail);
        self.stored[self.here].restore(&self.world.engine);
    }

    /// The queue delivers what is open, the sweep expires what is over. Cheaper than a look at the index of all that is due.
    async fn rest(&self) {
        for _ in 0..6 {
            let before = Snapshot::take(&self.world.engine);
            for d in self.world.dossiers(&before).await {
                for payment in
                    d.payments.iter().filter(|p| matches!(p.status, PaymentStatus::Requested | PaymentStatus::Void))
                {
                    self.world.deliver(&self.store, payment.id, false).await.unwrap();
                }
                if d.reservation.status == Status::Held {
                    match sweep_one(&self.store, DueKind::HoldExpiry, d.reservation.id, self.world.clock.now_s()).await
                    {
                        // Refused: one of the deliveries just confirmed it.
                        Ok(_) | Err(CommandError::Refused(_)) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
            if Snapshot::take(&self.world.engine) == before {
                return;
            }
        }
        panic!("never comes to rest after {:?}", self.trail);
    }

    /// At rest a driver has a spot and paid its price once, or has no spot and paid nothing.
    async fn unfair(&self) -> Vec<String> {
        let d = self.store.dossier(id(MINE), &Access::System).await.unwrap();
        let r = &d.reservation;
        let kept = self.world.provider().kept_minor(r.id);
        let booked = d.payments.iter().filter(|p| p.kind.as_str() == "booking" && p.status == PaymentStatus::Succeeded);
        let mut wrong = Vec::new();
        let price = if r.status == Status::Confirmed { r.price_minor } else { 0 };
        // An extension that is not paid yet is a debt, and no reason to lose the spot.
        let owes = self.scenario.budget.extends > 0 && kept < price && kept > 0;
        if kept != price && !owes {
            wrong.push(format!("{:?} and the provider keeps {kept} of {price}: {d:?}", r.status));
        }
        if booked.count() > 1 {
            wrong.push(format!("booked twice: {d:?}"));
        }
        wrong
    }
}

fn numbered(number: u8) -> PaymentId {
    PaymentId { reservation: id(MINE), number }
}

/// The number of a value, the next one if it is new.
fn intern<T: PartialEq>(known: &mut Vec<T>, value: T) -> usize {
    known.iter().position(|old| *old == value).unwrap_or_else(|| {
        known.push(value);
        known.len() - 1
    })
}
