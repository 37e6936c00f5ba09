//! What is stored stays below the sizes that the prices of writes step at, and below DynamoDB's limits.

use parkade_domain::adjustment::{ADJUSTMENTS_MAX, ViolationKind};
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{LotId, UserId};
use parkade_domain::money::Money;
use parkade_domain::payment::Means;
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::VALIDATIONS_MAX;
use parkade_domain::tariff::{Benefit, End, Limit, RuleId, Validation};
use parkade_domain::time::Window;
use parkade_store::{CommandError, LotDocuments, Modification, OutOfService, Reserve};
use parkade_testkit::{CALENDAR, RECORDS};
use parkade_tests::given::{T0, T0_S, booking, id, window};
use parkade_tests::world::order;
use parkade_tests::{Snapshot, World, given};

/// A write costs one unit per started kilobyte.
const UNIT_BYTES: usize = 1_024;

#[tokio::test]
async fn a_reservation_that_has_seen_everything_is_one_unit() {
    let long = "x".repeat(64);
    let mut policy = LotPolicy { hold_ttl_s: 600, ..LotPolicy::default() };
    policy.turnover_buffer_minutes = 5;
    let world = World::new(Shape::Hourly, 16, policy).await;
    let store = world.store();
    // The longest names there are; the lot's own must exist, so it is a second one.
    let mut lot = given::lot(Shape::Hourly, LotPolicy::default());
    lot.id = LotId::new(long.clone()).unwrap();
    // As many validations as a stay can have, with the longest names, each used as often as it may be but once.
    let longest: Vec<RuleId> = (0..VALIDATIONS_MAX).map(|n| RuleId::new(&format!("{n}{}", "x".repeat(39)))).collect();
    let mut tariff = given::tariff();
    let limit = Some(Limit { uses: 10_000, period_days: 366 });
    let benefit = Benefit::Time { minutes: 1, end: End::Front };
    tariff.validations =
        longest.iter().map(|id| Validation { id: id.clone(), merchant: None, benefit, limit }).collect();
    let documents = LotDocuments { tariff: Some(tariff), calendar: None };
    store.put_lot(lot.clone(), documents, None, given::T0_S).await.unwrap();
    store.put_spots(&lot.id, given::spots(16)).await.unwrap();
    let mut new = booking(1, 1, vec![window(1_500, 1_620)]);
    (new.lot, new.user) = (lot.id, UserId::new(long).unwrap());
    store.reserve(&Reserve { new, spot: None, promise: None, now_s: T0_S }).await.unwrap();
    let payment = store.pay(&order(id(1), 1, 1, T0_S), &Means::card("pm_".repeat(20))).await.unwrap().payment;
    world.deliver(&store, payment.id, false).await.unwrap();
    for n in 0..10_u64 {
        let end = T0.plus(1_620 + 15 * i64::try_from(n % 3 + 1).unwrap());
        let wish = Modification { start: None, end: Some(end), spot: None };
        store.modify(&order(id(1), u64::MAX - n, u64::MAX - n, T0_S), &wish).await.unwrap();
    }
    for (n, given) in (0..).zip(&longest) {
        store.validate(&order(id(1), 200 + n, 1, T0_S), given, None).await.unwrap();
    }
    let stored = || Snapshot::take(&world.engine).sizes(RECORDS.name, |pk, _| pk.starts_with("R#"));
    let booked = stored();
    let schema = || {
        let snapshot = Snapshot::take(&world.engine);
        let mut records = snapshot.table(RECORDS.name).filter(|(pk, sk, _)| pk.starts_with("R#") && *sk == "A");
        records.next().map(|(.., item)| item["_s"]["N"].as_str().unwrap().to_owned()).unwrap()
    };
    assert_eq!(schema(), "1");
    let at_s = T0.plus(1_500).epoch_s();
    store.check_in(&order(id(1), 99, 1, at_s)).await.unwrap();
    for n in 1..ADJUSTMENTS_MAX {
        let mark = 300 + u64::try_from(n).unwrap();
        store.record_violation(&order(id(1), mark, mark, at_s), ViolationKind::WrongSpot).await.unwrap();
        store.void_violation(&order(id(1), 100 + mark, mark, at_s), n).await.unwrap();
    }
    let left = store.check_out(&order(id(1), 98, 1, T0.plus(1_740).epoch_s())).await.unwrap().dossier.reservation;
    let all = Money::new(left.owed_minor(), left.currency);
    store.give_goodwill(&order(id(1), 97, 1, T0.plus(1_800).epoch_s()), all).await.unwrap();
    assert_eq!(schema(), "2", "code that does not know adjustments must refuse it, and not write it back without them");
    let sizes = stored();
    println!("reservation and payment items: {booked:?} bytes booked, {sizes:?} bytes in the end");
    let sizes = [booked, sizes].concat();
    assert!(sizes.len() >= 5 && sizes.iter().all(|size| *size <= UNIT_BYTES), "{sizes:?}");
}

#[tokio::test]
async fn a_busy_tile_is_one_unit() {
    let world = World::new(Shape::Hourly, 8, LotPolicy::default()).await;
    let store = world.store();
    let page_start = world.lot.geometry.page_start(world.lot.geometry.page(T0)).plus(1_440);
    let mut key = 0;
    for spot in 1..=8 {
        for stay in 0..7 {
            key += 1;
            let from = page_start.plus(stay * 195);
            let new = booking(key, key, vec![Window::new(from, from.plus(180)).unwrap()]);
            let spot = Some(format!("{spot:04}"));
            store.reserve(&Reserve { new, spot, promise: None, now_s: T0_S }).await.unwrap();
        }
    }
    let sizes = Snapshot::take(&world.engine).sizes(CALENDAR.name, |_, _| true);
    println!("8 spots with 7 stays each: {sizes:?} bytes");
    assert!(sizes.len() == 1 && sizes.iter().all(|size| *size <= UNIT_BYTES), "{sizes:?}");
}

/// The engine refuses an expression of more than 300 operators or 4 KB and a transaction of more than 100 items, as AWS does: what follows
/// are the largest requests there are.
#[tokio::test]
async fn the_largest_requests_are_within_the_limits_of_dynamodb() {
    let long = LotPolicy { max_length_minutes: 92 * 1_440, ..LotPolicy::default() };
    let days = World::new(Shape::Hourly, 16, long.clone()).await;
    let store = days.store();
    let stay = |n: i64| vec![window(1_500, 1_500 + n * 1_440)];
    store
        .reserve(&Reserve { new: booking(1, 1, stay(44)), spot: Some("0001".to_owned()), promise: None, now_s: T0_S })
        .await
        .unwrap();
    let wish = Modification { start: None, end: None, spot: Some("0016".to_owned()) };
    store.modify(&order(id(1), 1, 1, T0_S), &wish).await.unwrap();
    let block = OutOfService {
        lot: days.lot.id.clone(),
        spot: "0001".to_owned(),
        window: window(0, 60 * 1_440),
        reason: "works".to_owned(),
        key: 1,
        now_s: T0_S,
    };
    store.take_out_of_service(&block).await.unwrap();

    let months = World::new(Shape::LongStay, 2, long).await;
    let store = months.store();
    let series: Vec<Window> = (0..62).map(|n| window(1_500 + n * 1_440, 1_560 + n * 1_440)).collect();
    store.reserve(&Reserve { new: booking(2, 2, series), spot: None, promise: None, now_s: T0_S }).await.unwrap();
}

/// More pages than one transaction can hold is refused, and nothing of it is written.
#[tokio::test]
async fn a_stay_of_too_many_pages_is_refused_whole() {
    let policy = LotPolicy { max_length_minutes: 92 * 1_440, ..LotPolicy::default() };
    let world = World::new(Shape::Hourly, 16, policy).await;
    let before = Snapshot::take(&world.engine);
    let stay = vec![window(1_500, 1_500 + 60 * 1_440)];
    let answer =
        world.store().reserve(&Reserve { new: booking(1, 1, stay), spot: None, promise: None, now_s: T0_S }).await;
    assert!(matches!(answer, Err(CommandError::Refused(_))), "{answer:?}");
    assert_eq!(Snapshot::take(&world.engine), before);
}
