//! Every order of deliveries, not a sample: each message comes late, twice, in any order, interleaved step by step with another handler,
//! with the driver's retries, the sweep, a cancellation, somebody else who wants the spot, and one fault.
//!
//! The steps run against the real store on the real engine. Runs that meet in the same state share what follows, so each different step
//! is executed once and every interleaving is still counted.
#![cfg(test)]

mod explore;

use explore::{Budget, Explorer, Scenario, Start};

async fn explore(scenario: Scenario, at_least: u128) {
    let name = scenario.name;
    let mut explorer = Explorer::new(scenario).await;
    let found = explorer.all().await;
    println!(
        "{name}: {} interleavings of {} steps, {} states, {} different steps executed, {} states brought to rest",
        found.interleavings, found.longest, found.states, found.executed, found.rested
    );
    assert!(found.interleavings >= at_least, "{name}: only {} interleavings", found.interleavings);
}

const BOOKING: Budget =
    Budget { pays: 2, deliveries: 2, ticks: 1, sweeps: 2, cancels: 1, others: 1, extends: 0, shortens: 0, faults: 1 };

/// One spot: who pays too late for a spot that is gone gets everything back.
#[tokio::test(start_paused = true)]
async fn a_payment_that_races_everything_for_the_only_spot_is_never_free_nor_lost() {
    explore(Scenario { name: "one spot", spots: 1, start: Start::Held, budget: BOOKING }, 100_000).await;
}

/// Two spots: the late payer may get the other one.
#[tokio::test(start_paused = true)]
async fn a_late_payment_finds_the_other_spot_or_is_returned() {
    let budget = Budget { cancels: 0, others: 2, ..BOOKING };
    explore(Scenario { name: "two spots", spots: 2, start: Start::Held, budget }, 10_000).await;
}

/// Refunds of one booking for two reasons, each delivered twice.
#[tokio::test(start_paused = true)]
async fn refunds_for_two_reasons_never_exceed_what_was_captured() {
    let budget = Budget { pays: 0, cancels: 2, shortens: 2, ticks: 0, sweeps: 0, others: 0, ..BOOKING };
    explore(Scenario { name: "two refunds", spots: 1, start: Start::Confirmed, budget }, 10_000).await;
}

/// A balance that is being paid while the booking is cancelled comes back whole, from both charges.
#[tokio::test(start_paused = true)]
async fn a_balance_paid_during_a_cancellation_comes_back() {
    let budget = Budget { pays: 1, cancels: 1, extends: 1, ticks: 0, sweeps: 0, others: 0, ..BOOKING };
    explore(Scenario { name: "extension", spots: 1, start: Start::Confirmed, budget }, 10_000).await;
}
