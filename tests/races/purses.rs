//! Two at once on one user's credit, and on the cash of one till.

use parkade_domain::decide::Dossier;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::payment::{Means, PaymentStatus};
use parkade_domain::policy::{LotPolicy, RefundTo};
use parkade_domain::reservation::{Reason, Status};
use parkade_store::{Access, Intent, Reserve, Store};
use parkade_testkit::Faults;
use parkade_tests::World;
use parkade_tests::given::{booking, id, window};
use parkade_tests::world::order;

/// Orders of calls that are tried.
const SEEDS: u64 = 16;

async fn world() -> World {
    World::new(Shape::Hourly, 8, LotPolicy { refund_to: RefundTo::Wallet, ..LotPolicy::default() }).await
}

/// Processes whose calls take turns in an order that the seed decides.
fn processes(world: &World, seed: u64) -> [Store; 2] {
    [1, 2].map(|n| {
        let faults = Faults::none();
        faults.interleave(seed * 2 + n);
        world.process(&faults)
    })
}

/// A hold of driver 1 for an hour, which costs 400.
async fn held(world: &World, store: &Store, key: u64) {
    let from = i64::try_from(key).unwrap() * 120;
    let new = booking(key, 1, vec![window(from, from + 60)]);
    store.reserve(&Reserve { new, spot: None, promise: None, now_s: world.clock.now_s() }).await.unwrap();
}

/// Leaves driver 1 with 400 of credit: a booking that was paid and cancelled.
async fn credited(world: &World, store: &Store) {
    let (key, now_s) = (20, world.clock.now_s());
    held(world, store, key).await;
    let payment = store.pay(&order(id(key), 1, 1, now_s), &Means::card("pm_card")).await.unwrap().payment;
    world.deliver(store, payment.id, false).await.unwrap();
    store.cancel(&order(id(key), 2, 1, now_s), Reason::DriverCancelled).await.unwrap();
    world.deliver(store, PaymentId { reservation: id(key), number: 2 }, false).await.unwrap();
}

async fn credit(world: &World, store: &Store) -> i64 {
    let dossier = store.dossier(id(20), &Access::System).await.unwrap();
    assert_eq!(world.wrong().await, Vec::<String>::new());
    store.wallet(&dossier.reservation.user).await.unwrap().iter().map(|purse| purse.minor).sum()
}

async fn take(store: &Store, reservation: ReservationId, now_s: i64) -> PaymentStatus {
    let intent = store.pay(&order(reservation, 9, 1, now_s), &Means::Wallet).await.unwrap();
    let payment = intent.payment.id;
    let done = store.settle_by_credit(intent, now_s).await.unwrap();
    done.dossier.payments.iter().find(|p| p.id == payment).unwrap().status
}

#[tokio::test(start_paused = true)]
async fn two_payments_at_once_never_take_more_credit_than_there_is() {
    for seed in 0..SEEDS {
        let world = world().await;
        let store = world.store();
        credited(&world, &store).await;
        held(&world, &store, 1).await;
        held(&world, &store, 2).await;
        let (now_s, [one, two]) = (world.clock.now_s(), processes(&world, seed));
        let (a, b) = tokio::join!(take(&one, id(1), now_s), take(&two, id(2), now_s));
        let mut outcomes = [a, b];
        outcomes.sort_by_key(|status| *status == PaymentStatus::Declined);
        assert_eq!(outcomes, [PaymentStatus::Succeeded, PaymentStatus::Declined], "seed {seed}");
        assert_eq!(credit(&world, &store).await, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_message_delivered_twice_at_once_moves_credit_once() {
    for seed in 0..SEEDS {
        let world = world().await;
        let store = world.store();
        credited(&world, &store).await;
        held(&world, &store, 1).await;
        let (now_s, [one, two]) = (world.clock.now_s(), processes(&world, seed));
        let intent = store.pay(&order(id(1), 9, 1, now_s), &Means::Wallet).await.unwrap();
        let (payment, dossier) = (intent.payment, intent.dossier);
        let known = || Intent::known(payment.clone(), dossier.clone());
        let (a, b) = tokio::join!(one.settle_by_credit(known(), now_s), two.settle_by_credit(known(), now_s));
        let confirmed = |d: &Dossier| d.reservation.status == Status::Confirmed;
        assert!(confirmed(&a.unwrap().dossier) && confirmed(&b.unwrap().dossier), "seed {seed}");
        assert_eq!(credit(&world, &store).await, 0, "seed {seed}");
        // And back: the refund's message comes twice as well.
        let cancelled = store.cancel(&order(id(1), 3, 1, now_s), Reason::DriverCancelled).await.unwrap().dossier;
        let refund = cancelled.payments.last().cloned().unwrap();
        let known = || Intent::known(refund.clone(), cancelled.clone());
        let (a, b) = tokio::join!(one.settle_by_credit(known(), now_s), two.settle_by_credit(known(), now_s));
        a.and(b).unwrap();
        assert_eq!(credit(&world, &store).await, refund.amount_minor, "seed {seed}");
    }
}
