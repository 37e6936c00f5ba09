//! Many processes at once on few spots. Whatever the order of their calls, space and money stay right.
//!
//! A failing seed is printed; `PARKADE_SEED=<seed>` runs only that one.
#![cfg(test)]

mod crowd;
mod purses;
mod validations;

use std::sync::Arc;
use std::time::Duration;

use crowd::{Crowd, Tally};
use parkade_domain::geometry::Shape;
use parkade_domain::ids::TariffVersion;
use parkade_domain::payment::Means;
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::Status;
use parkade_domain::tariff::Tariff;
use parkade_domain::vehicle::VehicleClass;
use parkade_store::{Access, CommandError, Reserve, Store};
use parkade_testkit::{Faults, Rates};
use parkade_tests::random::seeds;
use parkade_tests::world::order;
use parkade_tests::{Random, World, given, invariants};

/// Processes of a race; each has its own client, as each Lambda instance has.
const PROCESSES: u64 = 64;

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
struct Run {
    shape: Shape,
    spots: u16,
    processes: u64,
    /// Things that each process does.
    steps: usize,
    /// What each call to the store takes, in milliseconds of the suite's time; nobody waits for it.
    call_ms: u64,
    rates: Rates,
}

const NO_FAULTS: Rates = Rates {
    lost_request: 0,
    lost_reply: 0,
    timed_out: 0,
    throttled: 0,
    throughput_exceeded: 0,
    transaction_conflict: 0,
    transaction_throttled: 0,
    server_error: 0,
};

const RACE: Run = Run { shape: Shape::Hourly, spots: 6, processes: PROCESSES, steps: 12, call_ms: 0, rates: NO_FAULTS };

/// Holds of five minutes, and a buffer, so that claims are longer than bookings.
fn policy() -> LotPolicy {
    LotPolicy {
        hold_ttl_s: 300,
        turnover_buffer_minutes: 5,
        early_arrival_minutes: 30,
        walk_in_initial_minutes: 60,
        ..LotPolicy::default()
    }
}

/// Every process does its steps, then everything comes to rest, and nothing may be wrong.
async fn run(seed: u64, run: Run) -> Tally {
    println!("seed {seed}: {run:?}");
    let world = World::new(run.shape, run.spots, policy()).await;
    let crowd = Arc::new(Crowd::new(world.clone(), run.spots));
    let mut tasks = Vec::new();
    for process in 0..run.processes {
        let faults = Faults::random(seed ^ process, run.rates);
        faults.interleave(seed.wrapping_add(process));
        if run.call_ms > 0 {
            faults.add_hook(move |_| tokio::time::sleep(Duration::from_millis(run.call_ms)));
        }
        let store = world.process(&faults);
        tasks.push(tokio::spawn(Arc::clone(&crowd).live(store, process, Random::new(seed).fork(process), run.steps)));
    }
    for task in tasks {
        task.await.unwrap();
    }
    finish(seed, &world, &crowd).await
}

async fn finish(seed: u64, world: &World, crowd: &Crowd) -> Tally {
    let mut wrong = crowd.seen_wrong();
    wrong.extend(world.wrong().await);
    world.clock.advance(3_600);
    world.come_to_rest().await;
    wrong.extend(world.wrong_at_rest().await);
    wrong.extend(invariants::history(&world.stream()));
    wrong.extend(crowd.broken_promises(&world.store()).await);
    assert!(wrong.is_empty(), "seed {seed}: {} findings, the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    let tally = crowd.tally();
    println!("{tally}");
    tally
}

/// The mix must really contain what it is about, or a green run means nothing.
fn assert_lively(tally: &Tally) {
    for what in [
        "held",
        "replayed",
        "paid",
        "cancelled",
        "modified",
        "entered",
        "left",
        "expired",
        "taken",
        "charged late",
        "paid in cash",
    ] {
        assert!(tally.count(what) > 0, "nothing was ever {what}: {tally}");
    }
}

#[tokio::test(start_paused = true)]
async fn sixty_four_processes_on_six_spots_never_double_book_nor_lose_a_cent() {
    let mut all = Tally::default();
    for seed in seeds(&[1, 2]) {
        all.add(&run(seed, Run { steps: 14, ..RACE }).await);
    }
    if std::env::var_os("PARKADE_SEED").is_none() {
        assert_lively(&all);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_month_and_two_spots_are_as_safe() {
    for seed in seeds(&[4]) {
        run(seed, Run { shape: Shape::LongStay, spots: 2, ..RACE }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lost_replies_and_collisions_change_nothing_about_it() {
    let rates = Rates {
        lost_request: 10,
        lost_reply: 40,
        timed_out: 20,
        throttled: 30,
        server_error: 10,
        transaction_conflict: 50,
        ..NO_FAULTS
    };
    for seed in seeds(&[6]) {
        run(seed, Run { spots: 4, steps: 10, rates, ..RACE }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_are_as_safe_as_turns() {
    for seed in seeds(&[]) {
        run(seed, Run { spots: 5, steps: 10, ..RACE }).await;
    }
}

/// Runs a minute of trade while the store refuses, and tells how many commands in a hundred were served nevertheless.
async fn goodput_percent(seed: u64, rates: Rates) -> u64 {
    let started = tokio::time::Instant::now();
    let tally = run(seed, Run { spots: 8, processes: 16, steps: 28, call_ms: 800, rates, ..RACE }).await;
    let (served, failed) = (tally.count("answered"), tally.count("unavailable"));
    let (percent, took) = (served * 100 / (served + failed).max(1), started.elapsed());
    println!("goodput {percent} % over {} s", took.as_secs());
    assert!(took >= Duration::from_secs(60), "it lasted only {took:?}");
    percent
}

#[tokio::test(start_paused = true)]
async fn thirty_percent_of_transactions_colliding_leaves_six_in_ten_commands_served() {
    let percent = goodput_percent(9, Rates { transaction_conflict: 300, ..NO_FAULTS }).await;
    assert!(percent >= 60, "{percent} %");
}

#[tokio::test(start_paused = true)]
async fn thirty_percent_of_calls_throttled_leaves_six_in_ten_commands_served() {
    let percent = goodput_percent(9, Rates { throttled: 150, throughput_exceeded: 150, ..NO_FAULTS }).await;
    assert!(percent >= 60, "{percent} %");
}

#[tokio::test(start_paused = true)]
async fn collisions_and_throttling_together_leave_six_in_ten_commands_served() {
    let rates = Rates { throttled: 300, transaction_conflict: 200, transaction_throttled: 100, ..NO_FAULTS };
    for seed in seeds(&[]) {
        let percent = goodput_percent(seed, rates).await;
        assert!(percent >= 60, "{percent} %");
    }
}

/// Both halves of the same request, sent at once, are one reservation on one spot.
#[tokio::test(start_paused = true)]
async fn one_key_sent_twice_at_once_owns_one_spot() {
    for seed in 0..100 {
        let world = World::new(Shape::Hourly, 6, policy()).await;
        let request = |spot: Option<&str>| Reserve {
            new: given::booking(seed, 1, vec![given::window(0, 60)]),
            spot: spot.map(str::to_owned),
            promise: None,
            now_s: world.clock.now_s(),
        };
        // The server chooses for one of them: the spot is not part of the fingerprint.
        let (one, two) = (request(None), request(Some("0003")));
        let stores = [1, 2].map(|n| {
            let faults = Faults::none();
            faults.interleave(seed * 2 + n);
            world.process(&faults)
        });
        let (a, b) = tokio::join!(stores[0].reserve(&one), stores[1].reserve(&two));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.dossier.reservation, b.dossier.reservation, "seed {seed}");
        assert!(a.replayed != b.replayed, "seed {seed}: one of them made it, the other found it");
        assert_eq!(world.wrong().await, Vec::<String>::new(), "seed {seed}");
    }
}

/// A double submit asks for one charge; the same key with another card is refused, whichever of the two comes first.
#[tokio::test(start_paused = true)]
async fn one_key_sent_twice_at_once_is_one_charge_and_never_another_one() {
    for seed in 0..40 {
        let world = World::new(Shape::Hourly, 2, policy()).await;
        let now_s = world.clock.now_s();
        let new = given::booking(seed, 1, vec![given::window(0, 60)]);
        let id = new.id;
        world.store().reserve(&Reserve { new, spot: None, promise: None, now_s }).await.unwrap();
        let stores = [1, 2, 3].map(|n| {
            let faults = Faults::none();
            faults.interleave(seed * 3 + n);
            world.process(&faults)
        });
        let (asked, other) = (order(id, 7, 7, now_s), order(id, 7, 8, now_s));
        let means = Means::card("pm_card");
        let (one, two, three) =
            tokio::join!(stores[0].pay(&asked, &means), stores[1].pay(&asked, &means), stores[2].pay(&other, &means));
        let equals = if three.is_ok() { 1 } else { 2 };
        let (made, refused): (Vec<_>, Vec<_>) = [one, two, three].into_iter().partition(Result::is_ok);
        let made: Vec<_> = made.into_iter().flatten().collect();
        assert_eq!(made.len(), equals, "seed {seed}: {refused:?}");
        assert!(made.iter().all(|intent| intent.payment == made[0].payment), "seed {seed}: {made:?}");
        assert_eq!(made.iter().filter(|intent| !intent.replayed).count(), 1, "seed {seed}: {made:?}");
        assert!(
            refused.iter().all(|answer| matches!(answer, Err(CommandError::KeyReused))),
            "seed {seed}: {refused:?}"
        );
        let stored = world.store().dossier(id, &Access::System).await.unwrap().payments;
        assert_eq!(stored, [made[0].payment.clone()], "seed {seed}");
    }
}

/// The defect of the prototype: the caller's own hold was somebody else's to a replay, which answered "taken".
#[tokio::test]
async fn a_replay_is_not_taken_by_its_own_hold() {
    let world = World::new(Shape::Hourly, 1, policy()).await;
    for (key, spot) in [(1, None), (2, Some("0001".to_owned()))] {
        let windows = vec![given::window(i64::try_from(key).unwrap() * 120, i64::try_from(key).unwrap() * 120 + 60)];
        let request = Reserve { new: given::booking(key, 1, windows), spot, promise: None, now_s: world.clock.now_s() };
        let first = world.store().reserve(&request).await.unwrap();
        let again = world.store().reserve(&request).await.unwrap();
        assert!(!first.replayed && again.replayed);
        assert_eq!(first.dossier, again.dossier);
    }
}

/// The defect of the prototype: a request that equals one that succeeded minutes before was acknowledged and not written. Here the first
/// one's effect is undone as a restore from a backup does it, so that nothing but the store can remember it.
#[tokio::test]
async fn a_request_identical_to_one_made_minutes_before_is_written_again() {
    let world = World::new(Shape::Hourly, 2, policy()).await;
    let store = world.store();
    let before = parkade_tests::Snapshot::take(&world.engine);
    let request = Reserve {
        new: given::booking(1, 1, vec![given::window(0, 60)]),
        spot: None,
        promise: None,
        now_s: world.clock.now_s(),
    };
    let first = store.reserve(&request).await.unwrap();
    before.restore(&world.engine);
    let again = store.reserve(&request).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(stored(&store, &request).await, Some(Status::Held), "acknowledged is stored");
    assert_eq!(world.wrong().await, Vec::<String>::new());
}

async fn stored(store: &Store, request: &Reserve) -> Option<Status> {
    store.dossier(request.new.id, &Access::System).await.ok().map(|d| d.reservation.status)
}

/// Safety does not wait for the sweep: expired time is for whoever asks, and the late-comer learns it.
#[tokio::test]
async fn an_expired_hold_is_free_before_any_sweep_and_its_payment_is_refused() {
    let world = World::new(Shape::Hourly, 1, policy()).await;
    let store = world.store();
    let hold = |key, user| Reserve {
        new: given::booking(key, user, vec![given::window(60, 120)]),
        spot: None,
        promise: None,
        now_s: world.clock.now_s(),
    };
    store.reserve(&hold(1, 1)).await.unwrap();
    assert!(matches!(store.reserve(&hold(2, 2)).await, Err(parkade_store::CommandError::NoSpot)));
    world.clock.advance(300);
    let second = store.reserve(&hold(3, 3)).await.unwrap();
    assert_eq!(second.dossier.reservation.status, Status::Held);
    let late =
        store.pay(&parkade_tests::world::order(given::id(1), 9, 9, world.clock.now_s()), &Means::card("pm_card")).await;
    let refused =
        matches!(late, Err(parkade_store::CommandError::Refused(parkade_domain::decide::Refusal::HoldExpired)));
    assert!(refused);
    world.come_to_rest().await;
    assert_eq!(world.wrong_at_rest().await, Vec::<String>::new());
}

/// A car that has just left keeps its last minute and the buffer: that is "taken", not a command that its reservation refuses.
#[tokio::test]
async fn a_spot_is_not_closed_in_the_minute_its_car_leaves() {
    let world = World::new(Shape::Hourly, 2, policy()).await;
    let store = world.store();
    let request = parkade_store::WalkIn { new: given::drive_up(1, 1), now_s: world.clock.now_s() };
    let inside = store.walk_in(&request).await.unwrap().dossier.reservation;
    let now_s = world.clock.advance(600);
    store.check_out(&parkade_tests::world::order(inside.id, 1, 1, now_s)).await.unwrap();
    let close = |from| parkade_store::OutOfService {
        lot: world.lot.id.clone(),
        spot: format!("{:04}", inside.spot.0 + 1),
        window: given::window(from, 60),
        reason: "cleaning".to_owned(),
        key: 5,
        now_s,
    };
    assert!(matches!(store.take_out_of_service(&close(10)).await, Err(parkade_store::CommandError::SpotTaken)));
    assert_eq!(store.take_out_of_service(&close(15)).await.unwrap(), Vec::new());
    assert_eq!(world.wrong().await, Vec::<String>::new());
}

/// A sweep that comes late finds a car that stayed into the time of two others: both get other spots, and the claim follows the car.
#[tokio::test]
async fn a_late_overstay_sweep_moves_everybody_who_is_in_the_way() {
    let world = World::new(Shape::Hourly, 4, policy()).await;
    let store = world.store();
    let command = |id, now_s| parkade_tests::world::order(id, 1, 1, now_s);
    for (key, from, until) in [(1, 0, 60), (2, 75, 90), (3, 105, 120)] {
        let new = given::booking(key, key, vec![given::window(from, until)]);
        let now_s = world.clock.now_s();
        store.reserve(&Reserve { new, spot: Some("0001".to_owned()), promise: None, now_s }).await.unwrap();
        let payment = store.pay(&command(given::id(key), now_s), &Means::card("pm_card")).await.unwrap().payment;
        world.deliver(&store, payment.id, false).await.unwrap();
    }
    store.check_in(&command(given::id(1), world.clock.now_s())).await.unwrap();
    let now_s = world.clock.advance(100 * 60);
    let kind = parkade_domain::reservation::DueKind::Overstay;
    let done = parkade_tests::world::sweep_one(&store, kind, given::id(1), now_s).await.unwrap();
    assert_eq!(done.dossier.reservation.claims, vec![given::window(0, 115)]);
    for key in [2, 3] {
        let next = store.dossier(given::id(key), &Access::System).await.unwrap().reservation;
        assert!(next.status == Status::Confirmed && next.spot != done.dossier.reservation.spot, "{next:?}");
    }
    assert_eq!(world.wrong().await, Vec::<String>::new());
}

/// Two operators upload at once, and then publish what they uploaded: each document has a version of its own, and the lot follows one
/// of them after the other.
#[tokio::test(start_paused = true)]
async fn two_operators_never_share_a_version_nor_lose_a_publication() {
    for seed in 0..50 {
        let world = World::new(Shape::Hourly, 1, policy()).await;
        let (lot, now_s) = (&world.lot.id, world.clock.now_s());
        let stores = [1, 2].map(|n| {
            let faults = Faults::none();
            faults.interleave(seed * 2 + n);
            world.process(&faults)
        });
        let tariff = |minor: i64| Tariff { rates: [(VehicleClass::Standard, minor)].into(), ..given::tariff() };
        let (one, two) = (tariff(61), tariff(62));
        let (a, b) = tokio::join!(stores[0].draft_tariff(lot, &one, now_s), stores[1].draft_tariff(lot, &two, now_s));
        let ((a, _), (b, _)) = (a.unwrap(), b.unwrap());
        assert_ne!(a, b, "seed {seed}");
        assert_eq!(world.store().tariff(lot, a).await.unwrap().rates, one.rates, "seed {seed}");
        assert_eq!(world.store().tariff(lot, b).await.unwrap().rates, two.rates, "seed {seed}");

        let (soon, later) = (given::T0.plus(60), given::T0.plus(120));
        let (first, second) = tokio::join!(
            stores[0].publish_tariff(lot, a, soon, None, now_s),
            stores[1].publish_tariff(lot, b, later, None, now_s)
        );
        first.and(second).unwrap();
        let stored = world.store().lot(lot).await.unwrap().unwrap();
        let in_force = [given::T0, soon, later].map(|at| stored.lot.tariff_at(at));
        assert_eq!(in_force, [TariffVersion(1), a, b], "seed {seed}");
        assert_eq!(stored.lot.newest_tariff, TariffVersion(3), "seed {seed}");
    }
}
