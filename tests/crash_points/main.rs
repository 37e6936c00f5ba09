//! A process may stop before or after any of its calls, and any call may fail in any way. Whatever was asked is then done once or not at
//! all; asking again gives the answer that the first try would have given, and leaves what the first try would have left.
#![cfg(test)]

mod before;
mod commands;

use std::collections::BTreeSet;

use commands::{Case, cases};
use parkade_store::{CommandError, StoreError};
use parkade_testkit::{Fault, Faults};
use parkade_tests::provider::Provider;
use parkade_tests::{Snapshot, World};

/// Everything that can go wrong with one call and leaves the process alive.
const FAULTS: [Fault; 8] = [
    Fault::LostRequest,
    Fault::LostReply,
    Fault::TimedOut,
    Fault::Throttled,
    Fault::ThroughputExceeded,
    Fault::TransactionConflict,
    Fault::TransactionThrottled,
    Fault::ServerError,
];

/// What a command leads to when nothing goes wrong, and the way back to before it.
struct Reference {
    world: World,
    before: (Snapshot, Provider, i64),
    answer: String,
    after: Snapshot,
    calls: u64,
    /// States that were brought to rest and found sound: many crashes lead to the same one.
    sound: BTreeSet<Snapshot>,
}

impl Reference {
    async fn of(case: &Case) -> Self {
        let world = case.given().await;
        let before = (Snapshot::take(&world.engine), world.provider().clone(), world.clock.now_s());
        let faults = Faults::none();
        let answer = case.run(&world, &world.process(&faults)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        let after = Snapshot::take(&world.engine);
        assert_ne!(before.0.truth(), after.truth(), "{} changes nothing", case.name);
        let mut reference = Self { world, before, answer, after, calls: faults.calls(), sound: BTreeSet::new() };
        reference.assert_sound(case).await;
        reference
    }

    fn go_back(&self) {
        let (snapshot, provider, now_s) = &self.before;
        snapshot.restore(&self.world.engine);
        self.world.provider().clone_from(provider);
        self.world.clock.advance(now_s - self.world.clock.now_s());
    }

    /// What is stored now is right, and still is when every message is delivered and every sweep has run. The state stays as it is.
    async fn assert_sound(&mut self, case: &Case) {
        let here = Snapshot::take(&self.world.engine);
        if !self.sound.insert(here.truth()) {
            return;
        }
        let (provider, now_s) = (self.world.provider().clone(), self.world.clock.now_s());
        assert_eq!(self.world.wrong().await, Vec::<String>::new(), "{}", case.name);
        self.world.clock.advance(3_600);
        self.world.come_to_rest().await;
        assert_eq!(self.world.wrong_at_rest().await, Vec::<String>::new(), "{}", case.name);
        here.restore(&self.world.engine);
        self.world.provider().clone_from(&provider);
        self.world.clock.advance(now_s - self.world.clock.now_s());
    }

    /// One try that suffers `faults`, then the retry by another process.
    async fn try_with(&mut self, case: &Case, faults: Faults, what: &str) {
        self.go_back();
        let first = case.run(&self.world, &self.world.process(&faults)).await;
        self.assert_sound(case).await;
        match first {
            Ok(answer) if case.leaves_the_same => assert_eq!(answer, self.answer, "{} {what}: first answer", case.name),
            Ok(_) => {}
            Err(CommandError::Store(StoreError::Unavailable { .. })) => {}
            Err(error) => panic!("{} {what}: {error:?}", case.name),
        }
        let again = case.run(&self.world, &self.world.store()).await;
        let again = again.unwrap_or_else(|error| panic!("{} {what}: the retry: {error:?}", case.name));
        if case.repeats_its_answer {
            assert_eq!(again, self.answer, "{} {what}: the answer to the retry", case.name);
        }
        let left = Snapshot::take(&self.world.engine).truth();
        if case.leaves_the_same {
            assert_eq!(left, self.after.truth(), "{} {what}: what the retry left", case.name);
        }
    }
}

async fn every_crash_of(group: &str) {
    let mut points = 0;
    for case in cases().into_iter().filter(|case| case.group == group) {
        let mut reference = Reference::of(&case).await;
        for call in 1..=reference.calls {
            reference.try_with(&case, Faults::stop_before(call), &format!("stopped before call {call}")).await;
            reference.try_with(&case, Faults::stop_after(call), &format!("stopped after call {call}")).await;
            for fault in FAULTS {
                reference.try_with(&case, Faults::at(call, fault), &format!("{fault:?} at call {call}")).await;
            }
        }
        points += reference.calls * 10;
        println!("{}: {} calls, {} states", case.name, reference.calls, reference.sound.len());
    }
    println!("{points} crash points of {group} commands");
    assert!(points > 0, "no command of group {group}");
}

#[tokio::test(start_paused = true)]
async fn reserving_survives_every_crash() {
    every_crash_of("reserve").await;
}

#[tokio::test(start_paused = true)]
async fn paying_survives_every_crash() {
    every_crash_of("pay").await;
}

#[tokio::test(start_paused = true)]
async fn documenting_survives_every_crash() {
    every_crash_of("document").await;
}

#[tokio::test(start_paused = true)]
async fn moving_credit_survives_every_crash() {
    every_crash_of("credit").await;
}

#[tokio::test(start_paused = true)]
async fn a_till_survives_every_crash() {
    every_crash_of("till").await;
}

#[tokio::test(start_paused = true)]
async fn validating_survives_every_crash() {
    every_crash_of("validation").await;
}

#[tokio::test(start_paused = true)]
async fn changing_survives_every_crash() {
    every_crash_of("change").await;
}

#[tokio::test(start_paused = true)]
async fn entering_and_leaving_survive_every_crash() {
    every_crash_of("gate").await;
}

#[tokio::test(start_paused = true)]
async fn sweeping_survives_every_crash() {
    every_crash_of("sweep").await;
}

#[tokio::test(start_paused = true)]
async fn running_the_lot_survives_every_crash() {
    every_crash_of("lot").await;
}
