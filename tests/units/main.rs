//! What every action costs: capacity units, calls, and how many of them wait for each other.
//!
//! The engine reports units by DynamoDB's rules. Lot and tariff are remembered by the process, as they are in a warm function.
#![cfg(test)]

mod actions;
mod rules;
mod sizes;

use std::time::Duration;

use parkade_domain::geometry::Shape;
use parkade_domain::policy::LotPolicy;
use parkade_store::Store;
use parkade_testkit::{Faults, Meter, Units, Usage};
use parkade_tests::World;

/// One measured action.
#[derive(Debug, Clone, Copy)]
struct Cost {
    usage: Usage,
    /// Calls that wait for each other, one after the other.
    deep: u64,
}

/// Most that an action may cost.
#[derive(Debug, Clone, Copy)]
struct Limit {
    wru: u64,
    rru: u64,
    deep: u64,
}

const fn at_most(wru: u64, rru: u64, deep: u64) -> Limit {
    Limit { wru, rru, deep }
}

/// A warm process whose calls each take one second of the suite's time: so the time an action takes is its depth.
struct Bench {
    world: World,
    store: Store,
    meter: Meter,
    whole: Usage,
    wrong: Vec<String>,
}

impl Bench {
    async fn new(shape: Shape, spots: u16) -> Self {
        let policy = LotPolicy { hold_ttl_s: 600, turnover_buffer_minutes: 5, ..LotPolicy::default() };
        Self::under(shape, spots, policy).await
    }

    async fn under(shape: Shape, spots: u16, policy: LotPolicy) -> Self {
        let world = World::new(shape, spots, policy).await;
        let (faults, meter) = (Faults::none(), Meter::default());
        faults.add_hook(|_| tokio::time::sleep(Duration::from_secs(1)));
        let store = world.metered(&faults, &meter);
        let facts = store.lot(&world.lot.id).await.unwrap().unwrap();
        store.tariff(&world.lot.id, facts.lot.tariff).await.unwrap();
        Self { world, store, meter, whole: Usage::default(), wrong: Vec::new() }
    }

    /// Measures one action, prints its line and notes what is above its limit.
    async fn measure<T>(
        &mut self,
        name: &str,
        limit: Limit,
        action: impl AsyncFnOnce(&World, &Store) -> T,
    ) -> (T, Cost) {
        self.meter.reset();
        let started = tokio::time::Instant::now();
        let result = action(&self.world, &self.store).await;
        let cost = Cost { usage: self.meter.reset(), deep: started.elapsed().as_secs() };
        self.whole += cost.usage;
        let Usage { calls, wru, rru, items_read } = cost.usage;
        println!(
            "{name:<44} {:>5} {:>5} {calls:>6} {:>5} {items_read:>6}   at most {} {} {}",
            wru.to_string(),
            rru.to_string(),
            cost.deep,
            limit.wru,
            limit.rru,
            limit.deep
        );
        if wru > Units::whole(limit.wru) || rru > Units::whole(limit.rru) || cost.deep > limit.deep {
            self.wrong.push(format!("{name}: {wru} WRU, {rru} RRU, {} deep", cost.deep));
        }
        (result, cost)
    }

    fn finish(&self) {
        assert_eq!(self.wrong, Vec::<String>::new(), "above the limits");
    }
}

fn print_head(what: &str) {
    println!("\n{what:<44} {:>5} {:>5} {:>6} {:>5} {:>6}", "WRU", "RRU", "calls", "deep", "items");
}
