//! Two at once on one user's credit, and on the cash of one till.

use parkade_domain::decide::{Cash, Dossier, Refusal};
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{PaymentId, ReservationId, TillId, UserId};
use parkade_domain::payment::{Means, PaymentStatus};
use parkade_domain::policy::{LotPolicy, RefundTo};
use parkade_domain::reservation::{Mark, Reason, Status};
use parkade_domain::till::Counted;
use parkade_store::{Access, CommandError, Done, Intent, Reserve, Store, WalkIn};
use parkade_testkit::Faults;
use parkade_tests::World;
use parkade_tests::given::{booking, drive_up, id, window};
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

fn till(n: u8) -> TillId {
    TillId::new(format!("kiosk-{n}")).unwrap()
}

fn cash(tendered_minor: i64, change_minor: Option<i64>) -> Cash {
    Cash { till: till(1), tendered_minor, change_minor }
}

/// A walk-in that has left after an hour and owes 400.
async fn owing(world: &World, store: &Store, key: u64) -> ReservationId {
    let request = WalkIn { new: drive_up(key, key), now_s: world.clock.now_s() };
    let inside = store.walk_in(&request).await.unwrap().dossier.reservation.id;
    let now_s = world.clock.advance(60 * 60);
    store.check_out(&order(inside, 1, 1, now_s)).await.unwrap();
    inside
}

/// The one of two that was done, and why the other was not.
#[track_caller]
fn one_of(a: Result<Done, CommandError>, b: Result<Done, CommandError>, seed: u64) -> (Done, Refusal) {
    match (a, b) {
        (Ok(done), Err(CommandError::Refused(refusal))) | (Err(CommandError::Refused(refusal)), Ok(done)) => {
            (done, refusal)
        }
        other => panic!("seed {seed}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_debt_is_taken_once_whichever_till_is_faster() {
    for seed in 0..SEEDS {
        let world = world().await;
        let store = world.store();
        let stay = owing(&world, &store, 1).await;
        let (now_s, [one, two]) = (world.clock.now_s(), processes(&world, seed));
        let (first, second) = (order(stay, 5, 1, now_s), order(stay, 6, 1, now_s));
        let other = Cash { till: till(2), ..cash(500, None) };
        let money = cash(500, None);
        let (a, b) = tokio::join!(one.take_cash(&first, &money), two.take_cash(&second, &other));
        let (done, refusal) = one_of(a, b, seed);
        assert_eq!((done.dossier.reservation.due_minor(), refusal), (0, Refusal::NothingToPay), "seed {seed}");
        // The same key at once, and after the record has forgotten it.
        let again = owing(&world, &store, 2).await;
        let same = order(again, 5, 1, world.clock.now_s());
        let (a, b) = tokio::join!(one.take_cash(&same, &money), two.take_cash(&same, &money));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(a.replayed != b.replayed && a.dossier.payments == b.dossier.payments, "seed {seed}");
        assert_eq!(world.wrong().await, Vec::<String>::new(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn change_is_paid_out_once_and_never_more_than_the_till_holds() {
    for seed in 0..SEEDS {
        let world = world().await;
        let store = world.store();
        let mut owed = Vec::new();
        for key in 1..=2 {
            let stay = owing(&world, &store, key).await;
            let taken = store.take_cash(&order(stay, 5, 1, world.clock.now_s()), &cash(500, Some(0))).await.unwrap();
            owed.push(taken.dossier.payments.last().unwrap().id);
        }
        let (now_s, [one, two]) = (world.clock.now_s(), processes(&world, seed));
        let command = |payment: PaymentId, key| order(payment.reservation, key, 1, now_s);
        // An operator has emptied the till but for one's change: two customers come at once.
        let counted = Counted {
            lot: world.lot.id.clone(),
            till: till(1),
            counted_minor: 1_000,
            left_minor: Some(100),
            by: UserId::new("olga").unwrap(),
        };
        store.count_till(&counted, world.lot.currency, Mark { key: 1, fingerprint: 1 }, now_s).await.unwrap();
        let (first, second) = (command(owed[0], 7), command(owed[1], 7));
        let at = till(1);
        let (a, b) = tokio::join!(one.pay_out(&first, owed[0], &at), two.pay_out(&second, owed[1], &at));
        assert_eq!(one_of(a, b, seed).1, Refusal::NotInTill, "seed {seed}");
        // There is money again, and one customer is at two tills.
        let left = store.dossier(owed[0].reservation, &Access::System).await.unwrap();
        let open = if left.payments.iter().any(|payment| payment.is_change_owed()) { owed[0] } else { owed[1] };
        let full = |n| Counted { till: till(n), counted_minor: 0, left_minor: Some(500), ..counted.clone() };
        for n in 1..=2 {
            store.count_till(&full(n), world.lot.currency, Mark { key: 2, fingerprint: 1 }, now_s).await.unwrap();
        }
        let (first, second, other) = (command(open, 8), command(open, 9), till(2));
        let (a, b) = tokio::join!(one.pay_out(&first, open, &at), two.pay_out(&second, open, &other));
        assert_eq!(one_of(a, b, seed).1, Refusal::NothingToPay, "seed {seed}");
        assert_eq!(world.wrong().await, Vec::<String>::new(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_count_and_a_payment_at_once_lose_nothing_and_a_repeated_count_counts_once() {
    for seed in 0..SEEDS {
        let world = world().await;
        let store = world.store();
        let stay = owing(&world, &store, 1).await;
        let (now_s, [one, two]) = (world.clock.now_s(), processes(&world, seed));
        let counted = Counted {
            lot: world.lot.id.clone(),
            till: till(1),
            counted_minor: 0,
            left_minor: None,
            by: UserId::new("olga").unwrap(),
        };
        let (command, money, mark) = (order(stay, 5, 1, now_s), cash(400, None), Mark { key: 3, fingerprint: 1 });
        let count = |store: Store| {
            let (counted, currency) = (counted.clone(), world.lot.currency);
            async move { store.count_till(&counted, currency, mark, now_s).await.unwrap() }
        };
        let (a, b, paid) = tokio::join!(count(one.clone()), count(two), one.take_cash(&command, &money));
        paid.unwrap();
        assert_eq!(a.0, b.0, "seed {seed}");
        assert!(a.1 != b.1, "seed {seed}: one of them made it, the other found it");
        assert_eq!(store.counts(&world.lot.id, &till(1), None, 10).await.unwrap().items.len(), 1, "seed {seed}");
        assert_eq!(world.wrong().await, Vec::<String>::new(), "seed {seed}");
    }
}
