//! The function on the real engine: who does not come loses the time and the fee, once; of a series only the missed occurrence.
#![cfg(test)]

use chrono::{DateTime, Utc};
use no_show_sweep::handle;
use parkade_domain::decide::Dossier;
use parkade_domain::geometry::Shape;
use parkade_domain::payment::{Means, Word};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::Status;
use parkade_domain::time::Window;
use parkade_events::SweepReport;
use parkade_identity::{DevTokens, Identity, Keys};
use parkade_runtime::Deps;
use parkade_store::{Access, Reserve};
use parkade_tests::World;
use parkade_tests::given::{T0_S, booking, id, window};
use parkade_tests::world::order;

/// Start and grace of [`World`]'s bookings have passed.
const GIVEN_UP_S: i64 = T0_S + (60 + 30) * 60;

async fn paid(windows: Vec<Window>) -> World {
    let world = World::new(Shape::Hourly, 4, LotPolicy::default()).await;
    let store = world.store();
    store.reserve(&Reserve { new: booking(1, 1, windows), spot: None, promise: None, now_s: T0_S }).await.unwrap();
    let payment = store.pay(&order(id(1), 10, 1, T0_S + 10), &Means::card("pm_card_visa")).await.unwrap().payment;
    let taken = Word::Succeeded { reference: "pi_1".to_owned() };
    store.settle(payment.id, &taken, T0_S + 20).await.unwrap();
    world
}

fn deps(world: &World) -> Deps {
    Deps { store: world.store(), identity: Identity::new(Keys::from_master(&[1; 32]), DevTokens::Off) }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

async fn dossier(world: &World) -> Dossier {
    world.store().dossier(id(1), &Access::System).await.unwrap()
}

const ONE: SweepReport = SweepReport { due: 1, done: 1, left_alone: 0, failed: 0, items_read: 1 };

#[tokio::test]
async fn who_does_not_come_within_the_grace_keeps_half_and_loses_the_spot_once() {
    let world = paid(vec![window(60, 120)]).await;
    assert_eq!(handle(&deps(&world), at(GIVEN_UP_S - 1)).await.unwrap(), SweepReport::default());
    assert_eq!(handle(&deps(&world), at(GIVEN_UP_S)).await.unwrap(), ONE);
    let d = dossier(&world).await;
    assert_eq!(
        (d.reservation.status, d.reservation.price_minor, d.reservation.refunded_minor),
        (Status::NoShow, 200, 200)
    );
    assert_eq!(d.payments.len(), 2, "one charge, one refund");
    assert_eq!(handle(&deps(&world), at(GIVEN_UP_S + 60)).await.unwrap(), SweepReport::default());
    assert_eq!(dossier(&world).await, d);
}

#[tokio::test]
async fn who_has_come_is_left_alone() {
    let world = paid(vec![window(60, 120)]).await;
    world.store().check_in(&order(id(1), 11, 1, T0_S + 3_600)).await.unwrap();
    assert_eq!(handle(&deps(&world), at(GIVEN_UP_S)).await.unwrap(), SweepReport::default());
    assert_eq!(dossier(&world).await.reservation.status, Status::CheckedIn);
}

#[tokio::test]
async fn of_a_series_each_missed_occurrence_is_given_up_by_itself() {
    let world = paid(vec![window(60, 120), window(60 + 1_440, 120 + 1_440)]).await;
    assert_eq!(handle(&deps(&world), at(GIVEN_UP_S)).await.unwrap(), ONE);
    let d = dossier(&world).await;
    assert_eq!((d.reservation.status, d.reservation.claims.len()), (Status::Confirmed, 1));
    assert_eq!(handle(&deps(&world), at(GIVEN_UP_S + 60)).await.unwrap(), SweepReport::default());
    assert_eq!(handle(&deps(&world), at(GIVEN_UP_S + 86_400)).await.unwrap(), ONE);
    assert_eq!(dossier(&world).await.reservation.status, Status::NoShow);
}

#[tokio::test]
async fn two_runs_at_once_refund_once() {
    let world = paid(vec![window(60, 120)]).await;
    let (one, other) = (deps(&world), deps(&world));
    let (one, other) = tokio::join!(handle(&one, at(GIVEN_UP_S)), handle(&other, at(GIVEN_UP_S)));
    assert_eq!(one.unwrap().done + other.unwrap().done, 1);
    assert_eq!(dossier(&world).await.payments.len(), 2);
}
