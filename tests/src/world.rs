//! A lot, its engine, its clock, and processes that come and go.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use parkade_domain::decide::Dossier;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::lot::Lot;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{DueKind, Mark};
use parkade_store::{Access, Cause, CommandError, Done, Intent, Order, Store, StoreError, TableNames};
use parkade_testkit::{CALENDAR, DERIVED, Engine, Faults, LEDGER, Meter, RECORDS};
use serde_json::{Value, json};

use crate::books::Watch;
use crate::provider::Provider;
use crate::{Snapshot, given, invariants, purses};

/// The time of the suite: it moves only when somebody moves it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Epoch seconds.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves on and returns the new time.
    pub fn advance(&self, seconds: i64) -> i64 {
        self.0.fetch_add(seconds, Ordering::SeqCst) + seconds
    }
}

/// Everything a suite needs. Clones share it.
#[derive(Debug, Clone)]
pub struct World {
    /// The database.
    pub engine: Engine,
    /// The lot.
    pub lot: Lot,
    /// The time.
    pub clock: Clock,
    provider: Arc<Mutex<Provider>>,
    books: Arc<tokio::sync::Mutex<Watch>>,
}

impl World {
    /// A lot with `spots` spots, at [`given::T0`].
    pub async fn new(shape: Shape, spots: u16, policy: LotPolicy) -> Self {
        let engine = Engine::memory().unwrap();
        let clock = Clock(Arc::new(AtomicI64::new(given::T0_S)));
        let lot = given::lot(shape, policy);
        let world = Self { engine, lot, clock, provider: Arc::default(), books: Arc::default() };
        let store = world.store();
        let lot = store.put_lot(world.lot.clone(), given::documents(), None, given::T0_S).await.unwrap();
        store.put_spots(&lot.id, given::spots(spots)).await.unwrap();
        world.sweeps_have_been_running();
        Self { lot, ..world }
    }

    /// A sweep that never ran looks back hours: hundreds of queries that find nothing. Here they ran until an hour ago.
    fn sweeps_have_been_running(&self) {
        for kind in ["HoldExpiry", "NoShow", "Overstay", "Notice"] {
            let hour = (given::T0_S.div_euclid(3_600) - 1).to_string();
            let item = json!({"pk": {"S": format!("SWEEP#{kind}")}, "sk": {"S": "A"}, "h": {"N": hour}});
            let put = json!({"TableName": DERIVED.name, "Item": item});
            self.engine.call("PutItem", &put.to_string()).unwrap();
        }
    }

    /// A new process without faults.
    #[must_use]
    pub fn store(&self) -> Store {
        self.process(&Faults::none())
    }

    /// A new process that suffers `faults`.
    #[must_use]
    pub fn process(&self, faults: &Faults) -> Store {
        Store::new(self.engine.client(faults.clone()), tables())
    }

    /// A new process whose calls are counted.
    #[must_use]
    pub fn metered(&self, faults: &Faults, meter: &Meter) -> Store {
        Store::new(self.engine.metered_client(faults.clone(), meter.clone()), tables())
    }

    /// The payment provider.
    pub fn provider(&self) -> MutexGuard<'_, Provider> {
        self.provider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every reservation and walk-in with its payments, as the product reads them.
    pub async fn dossiers(&self, snapshot: &Snapshot) -> Vec<Dossier> {
        let store = self.store();
        let mut found = Vec::new();
        for id in snapshot.reservations() {
            found.push(store.dossier(id, &Access::System).await.unwrap());
        }
        found
    }

    /// Everything that is wrong now.
    pub async fn wrong(&self) -> Vec<String> {
        let snapshot = Snapshot::take(&self.engine);
        let dossiers = self.dossiers(&snapshot).await;
        self.wrong_in(&snapshot, &dossiers)
    }

    fn wrong_in(&self, snapshot: &Snapshot, dossiers: &[Dossier]) -> Vec<String> {
        let (now_s, geometry) = (self.clock.now_s(), self.lot.geometry);
        let standing = invariants::standing(snapshot, geometry);
        let mut wrong = invariants::overlaps(&standing, now_s);
        wrong.extend(invariants::disagreements(snapshot, &standing, geometry, now_s));
        wrong.extend(dossiers.iter().flat_map(invariants::money));
        wrong.extend(invariants::documents(snapshot));
        wrong.extend(purses::wallets(snapshot, dossiers));
        wrong.extend(purses::tills(snapshot, dossiers));
        wrong.extend(purses::uses(snapshot, dossiers));
        wrong
    }

    /// Everything that is wrong once all messages are delivered and all sweeps have run.
    pub async fn wrong_at_rest(&self) -> Vec<String> {
        let snapshot = Snapshot::take(&self.engine);
        let now_s = self.clock.now_s();
        let standing = invariants::standing(&snapshot, self.lot.geometry);
        let dossiers = self.dossiers(&snapshot).await;
        let mut wrong = self.wrong_in(&snapshot, &dossiers);
        wrong.extend(invariants::leftovers(&standing, &dossiers, now_s));
        wrong.extend(self.wrong_books(&dossiers).await);
        for d in &dossiers {
            let r = &d.reservation;
            let kept = self.provider().kept_minor(r.id);
            if kept != purses::with_provider_minor(d) {
                wrong.push(format!("{}: the provider keeps {kept}; {d:?}", r.id));
            }
            // Change that is owed waits for somebody to come for it.
            let open = |p: &&Payment| p.status == PaymentStatus::Requested && !matches!(p.means, Means::Cash { .. });
            wrong.extend(d.payments.iter().filter(open).map(|p| format!("{} is open", p.id)));
        }
        wrong
    }

    /// As a task of its own: a suite that asks is deep in its recursion, and this would need the rest of its stack.
    async fn catch_up_with_the_books(&self) {
        let world = self.clone();
        let caught_up = tokio::spawn(async move { world.books.lock().await.catch_up(&world, &world.store()).await });
        caught_up.await.unwrap();
    }

    /// Reservations of which another amount is earned than they owe for what has ended; to be asked at any time.
    pub async fn wrongly_earned(&self) -> Vec<String> {
        self.catch_up_with_the_books().await;
        let books = self.books.lock().await;
        let dossiers = self.dossiers(&Snapshot::take(&self.engine)).await;
        dossiers.iter().filter_map(|d| books.wrongly_earned(d)).collect()
    }

    /// Where the books, the records and the provider differ once all messages are delivered.
    pub async fn wrong_books(&self, dossiers: &[Dossier]) -> Vec<String> {
        self.catch_up_with_the_books().await;
        let books = self.books.lock().await;
        let kept = |d: &Dossier| self.provider().kept_minor(d.reservation.id);
        dossiers.iter().flat_map(|d| books.wrong(d, kept(d))).collect()
    }

    /// The records' stream from its beginning.
    #[must_use]
    pub fn stream(&self) -> Vec<Value> {
        let mut after = None;
        std::iter::from_fn(|| self.stream_page(&mut after, 1_000)).flatten().collect()
    }

    /// At most `max` records of the stream behind `after`, which moves to the last one; `None` if there are no more.
    pub fn stream_page(&self, after: &mut Option<String>, max: usize) -> Option<Vec<Value>> {
        let page: Vec<Value> = self.engine.stream_records(RECORDS.name, after.as_deref(), max).unwrap();
        *after = Some(page.last()?["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned());
        Some(page)
    }

    /// Delivers what is open and runs the sweeps until nothing changes any more.
    pub async fn come_to_rest(&self) {
        let store = self.store();
        for _ in 0..20 {
            let before = Snapshot::take(&self.engine).truth();
            for d in self.dossiers(&before).await {
                // The message of a handler that died after the charge comes again, also if another one called it void meanwhile.
                let open = |p: &&Payment| matches!(p.status, PaymentStatus::Requested | PaymentStatus::Void);
                for payment in d.payments.iter().filter(open) {
                    self.deliver(&store, payment.id, false).await.unwrap();
                }
                // The provider tells again of a refund that the bank sent back.
                let sent_back =
                    |p: &&Payment| p.status == PaymentStatus::Succeeded && self.provider().is_sent_back(p.id);
                for payment in d.payments.iter().filter(sent_back) {
                    let word = Word::Declined { code: "refund_failed".to_owned() };
                    store.settle(payment.id, &word, self.clock.now_s()).await.unwrap();
                }
            }
            for kind in [DueKind::HoldExpiry, DueKind::NoShow, DueKind::Overstay] {
                sweep(&store, kind, self.clock.now_s()).await;
            }
            if Snapshot::take(&self.engine).truth() == before {
                return;
            }
        }
        panic!("the sweeps never come to rest");
    }

    /// One delivery of a payment's message, by the rules of the cashier: what nobody wants any more is void, but only if the provider was
    /// never asked for it; what was charged while it became void is recorded all the same, and so given back.
    ///
    /// # Errors
    /// What the store answers; the queue would deliver again.
    pub async fn deliver(&self, store: &Store, id: PaymentId, declines: bool) -> Result<(), CommandError> {
        let (payment, dossier) = store.payment(id, &Access::System).await?;
        if matches!(payment.status, PaymentStatus::Succeeded | PaymentStatus::Declined) {
            return Ok(());
        }
        let wanted = payment.status == PaymentStatus::Requested && Store::is_wanted(&dossier, &payment);
        let now_s = self.clock.now_s();
        match payment.means {
            Means::Cash { .. } => return Ok(()),
            Means::Wallet if wanted => {
                let intent = Intent::known(payment, dossier);
                return Box::pin(store.settle_by_credit(intent, now_s)).await.map(drop);
            }
            Means::Wallet => return Box::pin(store.settle(id, &Word::Void, now_s)).await.map(drop),
            Means::Provider { .. } => {}
        }
        if !wanted && self.provider().entry(id).is_none() {
            store.settle(id, &Word::Void, now_s).await?;
            return Ok(());
        }
        let declines = declines && matches!(payment.kind, PaymentKind::Charge(_));
        let word = self.provider().ask(&payment, declines);
        store.settle(id, &word, now_s).await?;
        Ok(())
    }
}

/// The tables of the embedded engine.
#[must_use]
pub fn tables() -> TableNames {
    TableNames {
        calendar: CALENDAR.name.to_owned(),
        records: RECORDS.name.to_owned(),
        ledger: LEDGER.name.to_owned(),
        derived: DERIVED.name.to_owned(),
    }
}

/// A driver's command: `key` is the idempotency key's hash, `asked` the request's.
#[must_use]
pub const fn order(id: ReservationId, key: u64, asked: u64, now_s: i64) -> Order {
    Order { id, access: Access::All, mark: Mark { key, fingerprint: asked }, expected_version: None, now_s }
}

/// One tick of a sweep. A refusal means that somebody else was faster.
pub async fn sweep(store: &Store, kind: DueKind, now_s: i64) -> Vec<Done> {
    let mut done = Vec::new();
    let Ok(sweep) = store.due(kind, now_s).await else { return done };
    for id in sweep.due {
        match sweep_one(store, kind, id, now_s).await {
            Ok(one) => done.push(one),
            Err(CommandError::Refused(_) | CommandError::SpotTaken) => {}
            Err(CommandError::Store(StoreError::Unavailable { .. })) => {}
            Err(error) => panic!("{kind:?} of {id}: {error:?}"),
        }
    }
    done
}

/// What a sweep does with one reservation that is due.
///
/// # Errors
/// What the store answers.
pub async fn sweep_one(store: &Store, kind: DueKind, id: ReservationId, now_s: i64) -> Result<Done, CommandError> {
    let r = store.dossier(id, &Access::System).await?.reservation;
    let claim = r.claims.first().copied().unwrap_or(r.window);
    match kind {
        DueKind::HoldExpiry => {
            let of = r.hold_expires_at_s.unwrap_or_default();
            store.expire(&Order::system(id, Cause::HoldExpiry, of, now_s)).await
        }
        DueKind::NoShow => store.no_show(&Order::system(id, Cause::NoShow, claim.start().0, now_s), false).await,
        DueKind::Overstay => store.overstay(&Order::system(id, Cause::Overstay, claim.end().0, now_s)).await,
    }
}
