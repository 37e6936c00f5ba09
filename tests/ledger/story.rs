//! Trade at random: what drivers, gates, the clock and the provider do to a few reservations, in any order.

use parkade_domain::adjustment::ViolationKind;
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{ReservationId, TariffVersion};
use parkade_domain::money::Money;
use parkade_domain::payment::{Means, PaymentStatus, Word};
use parkade_domain::policy::{CancellationStep, EarlyExit, LotPolicy};
use parkade_domain::reservation::{DueKind, Reason};
use parkade_domain::tariff::{RuleId, Tariff};
use parkade_store::{Access, CommandError, LotDocuments, Modification, Order, Reserve, Store, StoreError, WalkIn};
use parkade_tests::given::{self, T0, booking, id, window};
use parkade_tests::world::{order, sweep_one};
use parkade_tests::{Random, Snapshot, World};

/// A lot whose prices contain tax, which fines, whose cancellations and early exits keep a share, whose merchants give, and whose last hours are in
/// another month than its first.
pub(crate) async fn world(spots: u16) -> World {
    let policy = LotPolicy {
        hold_ttl_s: 300,
        walk_in_initial_minutes: 60,
        early_exit: EarlyExit::Prorated,
        cancellation: vec![CancellationStep { hours_before_start: 1, refund_basis_points: 7_000 }],
        ..LotPolicy::default()
    };
    let world = World::new(Shape::Hourly, spots, policy).await;
    let taxed = r#"{"currency": "EUR", "tables": [{"id": "all", "base": [{"every_minutes": 15, "add": 107}]}], "taxes":
        {"prices": "inclusive", "rounding": "combined", "components": [{"id": "vat", "rate_millionths": 190000}]},
        "validations": [{"id": "share", "merchant": "cafe", "benefit": {"percent": {"basis_points": 3333}}},
            {"id": "voucher", "merchant": "cinema", "benefit": {"money": {"amount": 500}}}], "validation_stacking": "all", "violations": {"wrong_spot": "40.00", "unpaid": "7.77"}}"#;
    let tariff: Tariff = serde_json::from_str(taxed).unwrap();
    let documents = LotDocuments { tariff: Some(tariff.at_version(TariffVersion(2))), calendar: None };
    let mut lot = world.lot.clone();
    lot.version = 0;
    world.store().put_lot(lot, documents, None, given::T0_S).await.unwrap();
    world
}

/// Steps after which a new reservation comes into play and the oldest one is left to itself.
const STEPS_PER_KEY: usize = 20;
/// Reservations in play.
const IN_PLAY: usize = 3;

/// Does `steps` things at random.
pub(crate) async fn live(world: &World, store: &Store, random: &mut Random, steps: usize) {
    let first = random.below(1_000);
    for step in first..first + steps {
        let key = u64::try_from(1 + step / STEPS_PER_KEY + random.below(IN_PLAY)).unwrap();
        let mark = 1_000 + u64::try_from(step).unwrap();
        if let Err(CommandError::Store(error @ (StoreError::Corrupt { .. } | StoreError::Refused { .. }))) =
            one(world, store, random, key, mark).await
        {
            panic!("{error:?}");
        }
    }
}

async fn one(world: &World, store: &Store, random: &mut Random, key: u64, mark: u64) -> Result<(), CommandError> {
    let now_s = world.clock.now_s();
    let of = any_of(key);
    let command = order(of, mark, mark, now_s);
    // Operators look at what is over as well.
    let before = key.saturating_sub(u64::try_from(random.below(5)).unwrap()).max(1);
    let past = Order { id: any_of(before), ..command.clone() };
    match random.below(24) {
        0..=4 if of != id(key) => store.walk_in(&WalkIn { new: given::drive_up(key, key), now_s }).await.map(drop),
        0..=4 => {
            let from = (now_s - given::T0_S) / 60 / 15 * 15 + 15 * i64::try_from(1 + random.below(6)).unwrap();
            let until = from + 15 * i64::try_from(1 + random.below(8)).unwrap();
            let new = booking(key, key, vec![window(from, until)]);
            store.reserve(&Reserve { new, spot: None, promise: None, now_s }).await.map(drop)
        }
        5..=7 => store.pay(&command, &Means::card("pm_card")).await.map(drop),
        8..=11 => {
            let d = store.dossier(of, &Access::System).await?;
            let open: Vec<_> = d.payments.iter().filter(|p| p.status != PaymentStatus::Succeeded).collect();
            let Some(payment) = random.pick(&open) else { return Ok(()) };
            world.deliver(store, payment.id, random.chance(15)).await
        }
        12 => store.cancel(&command, Reason::DriverCancelled).await.map(drop),
        13 => {
            let d = store.dossier(of, &Access::System).await?;
            let by = 15 * (i64::try_from(random.below(7)).unwrap() - 3);
            let end = Some(d.reservation.window.end().plus(by).max(T0));
            store.modify(&command, &Modification { start: None, end, spot: None }).await.map(drop)
        }
        14 | 15 => store.check_in(&command).await.map(drop),
        16 => store.check_out(&command).await.map(drop),
        17 => {
            let given = RuleId::new(if random.chance(50) { "share" } else { "voucher" });
            store.validate(&command, &given, None).await.map(drop)
        }
        18 => {
            let kind = if random.chance(50) { ViolationKind::WrongSpot } else { ViolationKind::Unpaid };
            store.record_violation(&past, kind).await.map(drop)
        }
        19 => store.void_violation(&past, 1 + random.below(3)).await.map(drop),
        20 => {
            let some = i64::try_from(1 + random.below(900)).unwrap();
            store.give_goodwill(&past, Money::new(some, world.lot.currency)).await.map(drop)
        }
        21 => swept(store, of, world.clock.now_s()).await,
        _ => {
            world.clock.advance(60 * i64::try_from(random.below(25)).unwrap());
            Ok(())
        }
    }
}

/// Every fourth is a drive-up.
fn any_of(key: u64) -> ReservationId {
    if key.is_multiple_of(4) { given::drive_up(key, key).id } else { id(key) }
}

/// What the sweeps do with one reservation, without looking for all that are due.
async fn swept(store: &Store, of: ReservationId, now_s: i64) -> Result<(), CommandError> {
    for kind in [DueKind::HoldExpiry, DueKind::NoShow, DueKind::Overstay] {
        match sweep_one(store, kind, of, now_s).await {
            Ok(_) | Err(CommandError::Refused(_) | CommandError::SpotTaken) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Banks send some refunds back, weeks after they succeeded.
pub(crate) async fn send_back(world: &World, store: &Store, random: &mut Random) {
    for d in world.dossiers(&Snapshot::take(&world.engine)).await {
        for refund in d.payments.iter().filter(|p| p.returns().is_some() && p.status == PaymentStatus::Succeeded) {
            if random.chance(30) {
                world.provider().send_back(refund.id);
                let word = Word::Declined { code: "refund_failed".to_owned() };
                store.settle(refund.id, &word, world.clock.now_s()).await.unwrap();
            }
        }
    }
}

/// Delivers every message and sweeps every reservation until nothing changes any more.
pub(crate) async fn rest(world: &World, store: &Store) {
    for _ in 0..40 {
        let before = Snapshot::take(&world.engine).truth();
        for d in world.dossiers(&before).await {
            for payment in d.payments.iter().filter(|p| p.status == PaymentStatus::Requested) {
                world.deliver(store, payment.id, false).await.unwrap();
            }
            swept(store, d.reservation.id, world.clock.now_s()).await.unwrap();
        }
        if Snapshot::take(&world.engine).truth() == before {
            return;
        }
    }
    panic!("it never comes to rest");
}
