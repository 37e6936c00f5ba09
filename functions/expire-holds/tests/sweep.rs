//! The function on the real engine: every hold that is due ends once, whoever else runs, and one that fails stops no other.
#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use expire_holds::handle;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::ReservationId;
use parkade_domain::payment::{Means, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::Status;
use parkade_events::SweepReport;
use parkade_identity::{DevTokens, Identity, Keys};
use parkade_runtime::Deps;
use parkade_store::{Access, Reserve, Store};
use parkade_testkit::{Fault, Faults};
use parkade_tests::World;
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::world::order;

/// When the holds of these tests have run out.
const LAPSED_S: i64 = T0_S + 600;

fn deps(store: Store) -> Deps {
    Deps { store, identity: Identity::new(Keys::from_master(&[1; 32]), DevTokens::Off) }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

/// A lot with `count` holds, by drivers 1 to `count`.
async fn held(count: u64) -> World {
    let world = World::new(Shape::Hourly, 30, LotPolicy::default()).await;
    for n in 1..=count {
        let request = Reserve { new: booking(n, n, vec![window(60, 120)]), spot: None, promise: None, now_s: T0_S };
        world.store().reserve(&request).await.unwrap();
    }
    world
}

async fn status(world: &World, of: ReservationId) -> Status {
    world.store().dossier(of, &Access::System).await.unwrap().reservation.status
}

async fn count(world: &World, wanted: Status, of: u64) -> usize {
    let mut found = 0;
    for n in 1..=of {
        found += usize::from(status(world, id(n)).await == wanted);
    }
    found
}

#[tokio::test]
async fn holds_end_at_their_second_and_only_once() {
    let world = held(20).await;
    let deps = deps(world.store());
    assert_eq!(handle(&deps, at(LAPSED_S - 1)).await.unwrap(), SweepReport::default());
    let all = SweepReport { due: 20, done: 20, items_read: 20, ..SweepReport::default() };
    assert_eq!(handle(&deps, at(LAPSED_S)).await.unwrap(), all);
    assert_eq!(count(&world, Status::Expired, 20).await, 20);
    assert_eq!(handle(&deps, at(LAPSED_S + 60)).await.unwrap(), SweepReport::default());
    assert!(world.wrong().await.is_empty());
}

#[tokio::test]
async fn what_was_paid_or_cancelled_meanwhile_is_not_touched() {
    let world = held(3).await;
    let store = world.store();
    let payment = store.pay(&order(id(1), 10, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
    let taken = Word::Succeeded { reference: "pi_1".to_owned() };
    // The payment lands after the sweep has read what is due, 16 shards of the two open hours, and before it acts.
    let (racing, settled, queries) = (world.store(), payment.id, AtomicU32::new(0));
    let faults = Faults::none();
    faults.add_hook(move |call| {
        let (racing, taken) = (racing.clone(), taken.clone());
        let strikes = call.operation == "Query" && queries.fetch_add(1, Ordering::SeqCst) >= 2 * 16;
        async move {
            if strikes {
                racing.settle(settled, &taken, LAPSED_S).await.unwrap();
            }
        }
    });
    let report = handle(&deps(world.process(&faults)), at(LAPSED_S)).await.unwrap();
    assert_eq!((report.due, report.done, report.left_alone), (3, 2, 1));
    assert_eq!(status(&world, id(1)).await, Status::Confirmed);
    assert!(world.wrong().await.is_empty());
}

#[tokio::test]
async fn two_sweeps_at_once_end_each_hold_once() {
    let world = held(12).await;
    let (one, other) = (deps(world.store()), deps(world.store()));
    let (one, other) = tokio::join!(handle(&one, at(LAPSED_S)), handle(&other, at(LAPSED_S)));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.done + other.done, 12, "{one:?} {other:?}");
    assert_eq!((one.failed, other.failed), (0, 0));
    assert_eq!(count(&world, Status::Expired, 12).await, 12);
}

#[tokio::test]
async fn one_that_fails_stops_no_other_is_reported_and_is_done_by_the_next_run() {
    let world = held(10).await;
    let faults = Faults::none();
    // Eight are under way at a time and the SDK offers each transaction three times: the first 20 offers make a few fail for good.
    let offers = AtomicU32::new(0);
    faults.add_rule(move |call| {
        let strikes = call.operation == "TransactWriteItems" && offers.fetch_add(1, Ordering::SeqCst) < 20;
        strikes.then_some(Fault::ServerError)
    });
    let failure = handle(&deps(world.process(&faults)), at(LAPSED_S)).await.unwrap_err();
    assert_eq!(failure.code, "sweep_incomplete");
    let left = 10 - count(&world, Status::Expired, 10).await;
    assert!((1..=6).contains(&left), "{left}");
    assert_eq!(failure.message, format!("{left} of 10 due reservations failed"));
    let report = handle(&deps(world.store()), at(LAPSED_S + 60)).await.unwrap();
    assert_eq!((report.due, report.done), (left, left));
    assert!(world.wrong().await.is_empty());
}

#[tokio::test]
async fn a_sweep_that_cannot_read_what_is_due_says_so() {
    let world = held(1).await;
    let faults = Faults::none();
    faults.stop();
    let failure = handle(&deps(world.process(&faults)), at(LAPSED_S)).await.unwrap_err();
    assert_eq!(failure.code, "sweep_store_failed");
}
