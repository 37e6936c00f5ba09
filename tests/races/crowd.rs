//! What a crowd of drivers, gates, operators, queues and sweeps does, and what was promised to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parkade_domain::decide::{Cash, Dossier, NewReservation, Refusal};
use parkade_domain::ids::{ReservationId, TillId};
use parkade_domain::payment::Means;
use parkade_domain::reservation::{DueKind, Reason, Status};
use parkade_domain::tariff::RuleId;
use parkade_domain::time::{Minute, Window};
use parkade_store::{
    Access, CommandError, Done, Intent, Modification, Order, OutOfService, Reserve, Store, StoreError, WalkIn,
};
use parkade_tests::world::{order, sweep};
use parkade_tests::{Random, Snapshot, World, given, invariants};
use tokio::runtime::{Handle, RuntimeFlavor};

/// How often what happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, n)| *self.0.entry(what).or_default() += n);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, n)| write!(f, "{what} {n}, "))
    }
}

/// A hold that was acknowledged.
#[derive(Debug, Clone)]
struct Promise {
    request: Reserve,
    done: Done,
}

#[derive(Debug, Default)]
struct Board {
    promises: Vec<Promise>,
    heard: BTreeMap<ReservationId, Status>,
    own: BTreeMap<u64, ReservationId>,
    tally: Tally,
    wrong: Vec<String>,
    keys: u64,
}

/// The crowd's shared world and memory.
#[derive(Debug)]
pub(crate) struct Crowd {
    world: World,
    spots: u16,
    board: Mutex<Board>,
}

impl Crowd {
    pub(crate) fn new(world: World, spots: u16) -> Self {
        Self { world, spots, board: Mutex::default() }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.board().tally.clone()
    }

    pub(crate) fn seen_wrong(&self) -> Vec<String> {
        self.board().wrong.clone()
    }

    fn note(&self, what: &'static str) {
        *self.board().tally.0.entry(what).or_default() += 1;
    }

    /// The life of one process: `steps` things, one after the other.
    pub(crate) async fn live(self: Arc<Self>, store: Store, process: u64, mut random: Random, steps: usize) {
        for step in 0..steps {
            self.world.clock.advance(i64::try_from(random.below(4)).unwrap());
            match self.own(process).filter(|_| random.chance(80)) {
                Some(id) => self.go_on(&store, id, &mut random).await,
                None => self.step(&store, process, &mut random).await,
            }
            if step % 6 == 5 {
                self.look();
            }
        }
    }

    /// A look at everything stored: at any moment live claims do not overlap and calendar and records agree. Where threads write while
    /// the tables are read one after the other, only the pages are looked at.
    fn look(&self) {
        let snapshot = Snapshot::take(&self.world.engine);
        let (geometry, now_s) = (self.world.lot.geometry, self.world.clock.now_s());
        let standing = invariants::standing(&snapshot, geometry);
        let mut wrong = invariants::overlaps(&standing, now_s);
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            wrong.extend(invariants::disagreements(&snapshot, &standing, geometry, now_s));
        }
        self.board().wrong.extend(wrong);
    }

    async fn step(&self, store: &Store, process: u64, random: &mut Random) {
        match random.below(100) {
            0..35 => self.reserve(store, process, random).await,
            35..43 => self.again(store, random).await,
            43..48 => self.like_before(store, random).await,
            48..60 => self.pay(store, self.any(random), random).await,
            60..67 => self.cancel(store, random).await,
            67..77 => self.modify(store, random).await,
            77..79 => self.validate(store, random).await,
            79..83 => self.enter(store, self.any(random)).await,
            83..86 => self.leave(store, self.any(random)).await,
            86..90 => self.drive_up(store, process, random).await,
            90..93 => self.out_of_service(store, random).await,
            93..96 => self.settle(store, random).await,
            _ => self.tick(store, random).await,
        }
    }

    /// What the driver does next with the reservation made last.
    async fn go_on(&self, store: &Store, id: ReservationId, random: &mut Random) {
        let Ok(dossier) = store.dossier(id, &Access::System).await else { return };
        match dossier.reservation.status {
            Status::Held => self.pay(store, Some(id), random).await,
            Status::Confirmed => self.enter(store, Some(id)).await,
            Status::CheckedIn => self.leave(store, Some(id)).await,
            _ => self.forget(id),
        }
    }

    fn own(&self, process: u64) -> Option<ReservationId> {
        self.board().own.get(&process).copied()
    }

    fn forget(&self, id: ReservationId) {
        self.board().own.retain(|_, own| *own != id);
    }

    fn key(&self) -> u64 {
        let mut board = self.board();
        board.keys += 1;
        board.keys
    }

    /// A reservation of anybody's, mostly one that had not ended when it was last heard of.
    fn any(&self, random: &mut Random) -> Option<ReservationId> {
        let board = self.board();
        let goes_on = |status: &Status| matches!(status, Status::Held | Status::Confirmed | Status::CheckedIn);
        let all = random.chance(10);
        let ids: Vec<_> = board.heard.iter().filter(|(_, status)| all || goes_on(status)).map(|(id, _)| *id).collect();
        random.pick(&ids).copied()
    }

    fn wish(&self, random: &mut Random) -> Window {
        let now = Minute(self.world.clock.now_s().div_euclid(60));
        let grid = (now.0 + 14).div_euclid(15) * 15;
        let start = grid + 15 * i64::try_from(random.below(3)).unwrap();
        Window::new(Minute(start), Minute(start + 15 * (1 + i64::try_from(random.below(6)).unwrap()))).unwrap()
    }

    fn number(&self, random: &mut Random) -> String {
        format!("{:04}", 1 + random.below(usize::from(self.spots)))
    }

    async fn reserve(&self, store: &Store, user: u64, random: &mut Random) {
        let mut windows = vec![self.wish(random)];
        if random.chance(10) {
            let next = |w: &Window| Window::new(w.start().plus(1_440), w.end().plus(1_440)).unwrap();
            windows.push(next(&windows[0]));
        }
        let new = given::booking(self.key(), user, windows);
        let spot = random.chance(40).then(|| self.number(random));
        let request = Reserve { new, spot, promise: None, now_s: self.world.clock.now_s() };
        if random.chance(20) {
            // The client's retry overtakes its first try.
            let (one, two) = tokio::join!(store.reserve(&request), store.reserve(&request));
            self.acknowledge(&request, one);
            self.acknowledge(&request, two);
        } else {
            let answer = store.reserve(&request).await;
            self.acknowledge(&request, answer);
        }
        self.board().own.insert(user, request.new.id);
    }

    /// The same idempotency key as a new call, minutes later.
    async fn again(&self, store: &Store, random: &mut Random) {
        let promise = random.pick(&self.board().promises).cloned();
        let Some(promise) = promise else { return };
        let request = Reserve { now_s: self.world.clock.now_s(), ..promise.request };
        let answer = store.reserve(&request).await;
        if let Err(error) = &answer
            && !matches!(error, CommandError::Store(_))
        {
            self.board().wrong.push(format!("a replay of {} was answered {error:?}", request.new.id));
        }
        self.acknowledge(&request, answer);
    }

    /// Another key for the same driver, spot and window as a hold made before.
    async fn like_before(&self, store: &Store, random: &mut Random) {
        let promise = random.pick(&self.board().promises).cloned();
        let Some(promise) = promise else { return };
        let new = NewReservation { id: given::id(self.key()), ..promise.request.new };
        let request = Reserve { new, spot: promise.request.spot, promise: None, now_s: self.world.clock.now_s() };
        let answer = store.reserve(&request).await;
        self.acknowledge(&request, answer);
    }

    fn acknowledge(&self, request: &Reserve, answer: Result<Done, CommandError>) {
        if let Some(done) = self.answered("held", answer) {
            let mut board = self.board();
            board.promises.push(Promise { request: request.clone(), done });
        }
    }

    /// Sorts an answer: what a crowd may get, and what nobody may.
    fn answered<T: Answer>(&self, what: &'static str, answer: Result<T, CommandError>) -> Option<T> {
        match answer {
            Ok(done) => {
                self.note("answered");
                self.note(if done.replayed() { "replayed" } else { what });
                if let Some(found) = done.found() {
                    let r = &found.reservation;
                    self.board().heard.insert(r.id, r.status);
                }
                return Some(done);
            }
            Err(CommandError::Store(StoreError::Unavailable { .. })) => self.note("unavailable"),
            Err(CommandError::Refused(Refusal::Refund(error))) => {
                self.board().wrong.push(format!("{what}: the payments do not add up: {error:?}"));
            }
            Err(CommandError::Refused(_)) => {
                self.note("answered");
                self.note("refused");
            }
            Err(CommandError::SpotTaken | CommandError::NoSpot) => {
                self.note("answered");
                self.note("taken");
            }
            Err(error) => self.board().wrong.push(format!("{what}: {error:?}")),
        }
        None
    }

    fn command(&self, id: ReservationId) -> Order {
        order(id, 1 << 60 | self.key(), 1, self.world.clock.now_s())
    }

    /// Pays, and often the charge is carried out at once; sometimes the queue delivers it twice, sometimes only much later.
    async fn pay(&self, store: &Store, id: Option<ReservationId>, random: &mut Random) {
        let Some(id) = id else { return };
        let means = match random.below(6) {
            0 | 1 => return self.pay_cash(store, id, random).await,
            2 => Means::Wallet,
            _ => Means::card("pm_card"),
        };
        let answer = store.pay(&self.command(id), &means).await;
        let Some(payment) = self.answered("paid", answer).map(|intent| intent.payment.id) else { return };
        let declines = random.chance(10);
        match random.below(10) {
            0..6 => self.deliver(store, payment, declines).await,
            6..8 => {
                tokio::join!(self.deliver(store, payment, declines), self.deliver(store, payment, declines));
            }
            _ => {}
        }
    }

    /// Pays into one of two tills, which often have no coins for the change; or comes for change that is owed, to either of them.
    async fn pay_cash(&self, store: &Store, id: ReservationId, random: &mut Random) {
        let till = TillId::new(format!("kiosk-{}", random.below(2))).unwrap();
        let Ok(dossier) = store.dossier(id, &Access::System).await else { return };
        if let Some(owed) = dossier.payments.iter().find(|payment| payment.is_change_owed()) {
            let answer = store.pay_out(&self.command(id), owed.id, &till).await;
            self.answered("paid out", answer);
            return;
        }
        let notes = (dossier.reservation.due_minor().max(1) + 499).div_euclid(500) * 500;
        let change_minor = random.chance(50).then_some(0);
        let answer = store.take_cash(&self.command(id), &Cash { till, tendered_minor: notes, change_minor }).await;
        self.answered("paid in cash", answer);
    }

    async fn deliver(&self, store: &Store, payment: parkade_domain::ids::PaymentId, declines: bool) {
        let late = store.dossier(payment.reservation, &Access::System).await;
        let late = late.is_ok_and(|d| {
            let lapsed = d.reservation.hold_expires_at_s.is_some_and(|at_s| at_s <= self.world.clock.now_s());
            d.reservation.status != Status::Held || lapsed
        });
        let answer = self.world.deliver(store, payment, declines).await.map(|()| Delivered);
        self.answered(if late { "charged late" } else { "charged" }, answer);
    }

    /// The queue delivers what is open, or what was delivered before.
    async fn settle(&self, store: &Store, random: &mut Random) {
        let Some(id) = self.any(random) else { return };
        let Ok(dossier) = store.dossier(id, &Access::System).await else { return };
        for payment in &dossier.payments {
            self.deliver(store, payment.id, false).await;
        }
    }

    async fn cancel(&self, store: &Store, random: &mut Random) {
        let Some(id) = self.any(random) else { return };
        let command = self.command(id);
        let answer = store.cancel(&command, Reason::DriverCancelled).await;
        if self.answered("cancelled", answer).is_some() && random.chance(50) {
            let again = store.cancel(&command, Reason::DriverCancelled).await;
            self.answered("cancelled", again);
        }
    }

    async fn modify(&self, store: &Store, random: &mut Random) {
        let Some(id) = self.any(random) else { return };
        let Ok(dossier) = store.dossier(id, &Access::System).await else { return };
        let window = dossier.reservation.window;
        let nothing = Modification { start: None, end: None, spot: None };
        let wish = match random.below(4) {
            0 => Modification { end: Some(window.end().plus(30)), ..nothing },
            1 => Modification { end: Some(window.end().plus(-15)), ..nothing },
            2 => {
                let new = self.wish(random);
                Modification { start: Some(new.start()), end: Some(new.end()), ..nothing }
            }
            _ => Modification { spot: Some(self.number(random)), ..nothing },
        };
        let answer = store.modify(&self.command(id), &wish).await;
        self.answered("modified", answer);
    }

    /// A merchant gives something, often twice to the same vehicle.
    async fn validate(&self, store: &Store, random: &mut Random) {
        let Some(id) = self.any(random) else { return };
        let given = RuleId::new(if random.chance(80) { "half" } else { "code" });
        let answer = store.validate(&self.command(id), &given, None).await;
        self.answered("validated", answer);
    }

    async fn enter(&self, store: &Store, id: Option<ReservationId>) {
        let Some(id) = id else { return };
        let answer = store.check_in(&self.command(id)).await;
        self.answered("entered", answer);
    }

    async fn leave(&self, store: &Store, id: Option<ReservationId>) {
        let Some(id) = id else { return };
        let answer = store.check_out(&self.command(id)).await;
        self.answered("left", answer);
    }

    async fn drive_up(&self, store: &Store, user: u64, random: &mut Random) {
        let request = WalkIn { new: given::drive_up(self.key(), user), now_s: self.world.clock.now_s() };
        let answer = store.walk_in(&request).await;
        if self.answered("drove up", answer).is_some() && random.chance(30) {
            let again = store.walk_in(&request).await;
            self.answered("drove up", again);
        }
    }

    async fn out_of_service(&self, store: &Store, random: &mut Random) {
        let (lot, spot) = (self.world.lot.id.clone(), self.number(random));
        if random.chance(50) {
            let released = store.put_in_service(&lot, &spot, self.world.clock.now_s()).await;
            self.answered("back in service", released.map(|_| Delivered));
            return;
        }
        let request = OutOfService {
            lot,
            spot,
            window: self.wish(random),
            reason: "cleaning".to_owned(),
            key: given::id(self.key()).bits(),
            now_s: self.world.clock.now_s(),
        };
        let answer = store.take_out_of_service(&request).await;
        self.answered("out of service", answer.map(|_| Delivered));
    }

    /// A minute of the schedules, and of the street: time passes for everybody.
    async fn tick(&self, store: &Store, random: &mut Random) {
        let now_s = self.world.clock.advance(30);
        let kinds = [DueKind::HoldExpiry, DueKind::NoShow, DueKind::Overstay];
        let Some(kind) = random.pick(&kinds) else { return };
        for done in sweep(store, *kind, now_s).await {
            let what = match done.dossier.reservation.status {
                Status::Expired => "expired",
                Status::NoShow => "no-show",
                _ => "followed",
            };
            self.answered(what, Ok(done));
        }
    }

    /// What was acknowledged and is not so: a hold without its record, or one key with two answers.
    pub(crate) async fn broken_promises(&self, store: &Store) -> Vec<String> {
        let promises = self.board().promises.clone();
        let mut wrong = Vec::new();
        for Promise { request, done } in promises {
            let told = &done.dossier.reservation;
            match store.dossier(request.new.id, &Access::System).await {
                Err(error) => wrong.push(format!("{} was acknowledged: {error:?}", request.new.id)),
                Ok(found) => {
                    let r = &found.reservation;
                    let same = (r.id, &r.user, r.fingerprint, r.created_at_s)
                        == (told.id, &told.user, request.new.fingerprint, told.created_at_s);
                    if !same || r.version < told.version {
                        wrong.push(format!("acknowledged {told:?}, stored {r:?}"));
                    }
                }
            }
        }
        wrong
    }
}

/// An answer that says nothing more.
struct Delivered;

/// What an answer tells.
trait Answer {
    /// The reservation as answered.
    fn found(&self) -> Option<&Dossier>;

    /// Whether it was found and not made.
    fn replayed(&self) -> bool {
        false
    }
}

impl Answer for Delivered {
    fn found(&self) -> Option<&Dossier> {
        None
    }
}

impl Answer for Done {
    fn found(&self) -> Option<&Dossier> {
        Some(&self.dossier)
    }

    fn replayed(&self) -> bool {
        self.replayed
    }
}

impl Answer for Intent {
    fn found(&self) -> Option<&Dossier> {
        Some(&self.dossier)
    }

    fn replayed(&self) -> bool {
        self.replayed
    }
}
