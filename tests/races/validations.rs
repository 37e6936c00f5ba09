//! Two merchants at once on one vehicle, and on one stay.

use parkade_domain::decide::Refusal;
use parkade_domain::geometry::Shape;
use parkade_domain::policy::LotPolicy;
use parkade_domain::tariff::{RuleId, TariffError};
use parkade_store::{CommandError, Reserve, Store};
use parkade_testkit::Faults;
use parkade_tests::World;
use parkade_tests::given::{booking, id, window};
use parkade_tests::world::order;

/// Orders of calls that are tried.
const SEEDS: u64 = 16;

async fn world() -> (World, Store) {
    let world = World::new(Shape::Hourly, 8, LotPolicy::default()).await;
    let store = world.store();
    for key in 1..=4 {
        let from = i64::try_from(key).unwrap() * 120;
        let new = booking(key, 1, vec![window(from, from + 60)]);
        store.reserve(&Reserve { new, spot: None, promise: None, now_s: world.clock.now_s() }).await.unwrap();
    }
    (world, store)
}

fn processes(world: &World, seed: u64) -> [Store; 2] {
    [1, 2].map(|n| {
        let faults = Faults::none();
        faults.interleave(seed * 2 + n);
        world.process(&faults)
    })
}

#[tokio::test(start_paused = true)]
async fn a_vehicle_never_uses_more_than_the_limit_whoever_gives_at_once() {
    for seed in 0..SEEDS {
        let (world, store) = world().await;
        let (now_s, [one, two]) = (world.clock.now_s(), processes(&world, seed));
        let half = RuleId::new("half");
        // One of two uses is left.
        store.validate(&order(id(3), 5, 1, now_s), &half, None).await.unwrap();
        let (first, second) = (order(id(1), 5, 1, now_s), order(id(2), 5, 1, now_s));
        let (a, b) = tokio::join!(one.validate(&first, &half, None), two.validate(&second, &half, None));
        assert!(a.is_ok() != b.is_ok(), "seed {seed}: {a:?} {b:?}");
        let refused = a.err().or(b.err()).unwrap();
        let used_up = Refusal::Tariff(TariffError::ValidationUsedUp { position: 0 });
        assert!(matches!(&refused, CommandError::Refused(refusal) if *refusal == used_up), "seed {seed}: {refused:?}");
        assert_eq!(world.wrong().await, Vec::<String>::new(), "seed {seed}");
        // A day later the vehicle may again.
        let later_s = world.clock.advance(86_400);
        let refused = store.validate(&order(id(4), 5, 1, later_s), &half, None).await.unwrap_err();
        assert!(matches!(refused, CommandError::Refused(Refusal::HoldExpired)), "only the hold is over: {refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stay_is_given_the_same_once_and_a_repeated_gift_is_one() {
    for seed in 0..SEEDS {
        let (world, _) = world().await;
        let (now_s, [one, two]) = (world.clock.now_s(), processes(&world, seed));
        let half = RuleId::new("half");
        let (first, second) = (order(id(1), 5, 1, now_s), order(id(1), 6, 1, now_s));
        let (a, b) = tokio::join!(one.validate(&first, &half, None), two.validate(&second, &half, None));
        assert!(a.is_ok() != b.is_ok(), "seed {seed}: {a:?} {b:?}");
        let refused = a.err().or(b.err()).unwrap();
        assert!(matches!(refused, CommandError::Refused(Refusal::AlreadyValidated)), "seed {seed}: {refused:?}");
        let same = order(id(2), 5, 1, now_s);
        let (a, b) = tokio::join!(one.validate(&same, &half, None), two.validate(&same, &half, None));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(a.replayed != b.replayed && a.dossier == b.dossier, "seed {seed}");
        assert_eq!(world.wrong().await, Vec::<String>::new(), "seed {seed}");
    }
}
