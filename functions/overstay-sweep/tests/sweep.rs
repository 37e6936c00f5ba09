//! The function on the real engine: the claim of a vehicle that stays follows it, and the next driver gets another spot while there is one.
#![cfg(test)]

use chrono::{DateTime, Utc};
use overstay_sweep::handle;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::ReservationId;
use parkade_domain::payment::{Means, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{Reason, Reservation, Status};
use parkade_events::SweepReport;
use parkade_identity::{DevTokens, Identity, Keys};
use parkade_runtime::Deps;
use parkade_store::{Access, Reserve, Store};
use parkade_tests::World;
use parkade_tests::given::{T0, T0_S, booking, id, window};
use parkade_tests::world::order;

/// The end of driver 1's booking.
const END_S: i64 = T0_S + 120 * 60;
const ONE: SweepReport = SweepReport { due: 1, done: 1, left_alone: 0, failed: 0, items_read: 1 };

fn deps(world: &World) -> Deps {
    Deps { store: world.store(), identity: Identity::new(Keys::from_master(&[1; 32]), DevTokens::Off) }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

async fn confirmed(store: &Store, n: u64, from: i64, until: i64) {
    let new = booking(n, n, vec![window(from, until)]);
    store.reserve(&Reserve { new, spot: Some("0001".to_owned()), promise: None, now_s: T0_S }).await.unwrap();
    let payment = store.pay(&order(id(n), 10, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
    let taken = Word::Succeeded { reference: "pi_1".to_owned() };
    store.settle(payment.id, &taken, T0_S + 20).await.unwrap();
}

/// Driver 1 is inside until minute 120 on spot 1.
async fn inside(spots: u16, policy: LotPolicy) -> World {
    let world = World::new(Shape::Hourly, spots, policy).await;
    confirmed(&world.store(), 1, 60, 120).await;
    world.store().check_in(&order(id(1), 11, 1, T0_S + 3_600)).await.unwrap();
    world
}

async fn reservation(world: &World, of: ReservationId) -> Reservation {
    world.store().dossier(of, &Access::System).await.unwrap().reservation
}

#[tokio::test]
async fn the_claim_follows_step_by_step_and_ends_with_the_exit() {
    let world = inside(1, LotPolicy::default()).await;
    assert_eq!(handle(&deps(&world), at(END_S - 1)).await.unwrap(), SweepReport::default());
    for step in 1..=3 {
        let due_s = END_S + (step - 1) * 900;
        assert_eq!(handle(&deps(&world), at(due_s)).await.unwrap(), ONE);
        assert_eq!(reservation(&world, id(1)).await.claims[0].end(), T0.plus(120 + 15 * step));
        assert_eq!(
            handle(&deps(&world), at(due_s + 60)).await.unwrap(),
            SweepReport::default(),
            "not before the new end"
        );
    }
    world.store().check_out(&order(id(1), 12, 1, END_S + 2_500)).await.unwrap();
    assert_eq!(handle(&deps(&world), at(END_S + 4_000)).await.unwrap(), SweepReport::default());
    assert!(world.wrong().await.is_empty());
}

#[tokio::test]
async fn the_next_driver_is_moved_if_there_is_another_spot() {
    let world = inside(2, LotPolicy::default()).await;
    confirmed(&world.store(), 2, 120, 180).await;
    assert_eq!(handle(&deps(&world), at(END_S)).await.unwrap(), ONE);
    let (stays, next) = (reservation(&world, id(1)).await, reservation(&world, id(2)).await);
    assert_eq!((stays.spot.0, next.spot.0, next.spot_blocked), (0, 1, false));
    assert!(world.wrong().await.is_empty());
}

#[tokio::test]
async fn the_next_driver_is_told_if_there_is_none_and_that_is_no_failure() {
    let world = inside(1, LotPolicy::default()).await;
    confirmed(&world.store(), 2, 120, 180).await;
    let left = SweepReport { due: 1, left_alone: 1, items_read: 1, ..SweepReport::default() };
    for minute in 0..3 {
        assert_eq!(handle(&deps(&world), at(END_S + minute * 60)).await.unwrap(), left);
    }
    let next = reservation(&world, id(2)).await;
    assert!(next.spot_blocked);
    assert_eq!((next.status, next.version), (Status::Confirmed, 3), "told once");
    assert!(world.wrong().await.is_empty());
}

#[tokio::test]
async fn a_stay_ends_at_the_longest_session_without_evidence_of_an_exit() {
    let world = inside(1, LotPolicy { max_session_minutes: 75, ..LotPolicy::default() }).await;
    assert_eq!(handle(&deps(&world), at(END_S)).await.unwrap(), ONE);
    assert_eq!(handle(&deps(&world), at(END_S + 900)).await.unwrap(), ONE);
    let r = reservation(&world, id(1)).await;
    assert_eq!((r.status, r.reason), (Status::Completed, Some(Reason::NoExitEvidence)));
    assert_eq!(handle(&deps(&world), at(END_S + 1_800)).await.unwrap(), SweepReport::default());
}

#[tokio::test]
async fn two_runs_at_once_extend_once() {
    let world = inside(1, LotPolicy::default()).await;
    let (one, other) = (deps(&world), deps(&world));
    let (one, other) = tokio::join!(handle(&one, at(END_S)), handle(&other, at(END_S)));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.done + other.done, one.failed + other.failed), (1, 0));
    assert_eq!(reservation(&world, id(1)).await.claims[0].end(), T0.plus(135));
}
