//! How money goes back, by the means it came with and what the policy says.

use parkade_domain::decide::{self, Dossier};
use parkade_domain::ids::{Claimant, ReservationId, TillId};
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, RefundReason, Word};
use parkade_domain::policy::{RefundTo, Terms};
use parkade_domain::reservation::Reason;

use super::decisions::{World, apply, charge, mark, minute, window};

fn generous() -> World {
    let mut world = World::new();
    world.lot.policy.refund_to = RefundTo::Wallet;
    world
}

fn kiosk() -> Means {
    Means::Cash { till: TillId::new("kiosk-1").unwrap(), tendered_minor: 1_000 }
}

/// As [`World::confirmed`], paid by these means.
fn paid_with(world: &World, means: Means) -> Dossier {
    let d = world.confirmed();
    let payments = d.payments.into_iter().map(|payment| Payment { means: means.clone(), ..payment }).collect();
    Dossier { payments, ..d }
}

fn cancelled(world: &World, d: &Dossier) -> Dossier {
    let at_s = minute(7, 0).epoch_s();
    apply(d, decide::cancel(d, world.rules(), at_s, mark(1), Reason::DriverCancelled).unwrap())
}

fn refund(d: &Dossier) -> (RefundReason, Means, i64) {
    let refunds = d.payments.iter().filter_map(|payment| match payment.kind {
        PaymentKind::Refund { reason, .. } => Some((reason, payment.means.clone(), payment.amount_minor)),
        PaymentKind::Charge(_) => None,
    });
    refunds.last().unwrap()
}

#[test]
fn a_refund_goes_where_it_came_from_unless_the_policy_prefers_credit() {
    let card = || Means::card("pm_1");
    let (plain, generous) = (World::new(), generous());
    let table = [
        (&plain, card(), Means::returned_by_provider()),
        (&generous, card(), Means::Wallet),
        (&plain, Means::Wallet, Means::Wallet),
        (&generous, Means::Wallet, Means::Wallet),
        // Nobody stands at the till when a driver cancels.
        (&plain, kiosk(), Means::Wallet),
        (&generous, kiosk(), Means::Wallet),
    ];
    for (world, came, goes) in table {
        let d = cancelled(world, &paid_with(world, came.clone()));
        assert_eq!(refund(&d), (RefundReason::Cancellation, goes, 400), "{came:?}");
    }
}

#[test]
fn the_terms_of_a_tariff_say_where_their_refunds_go() {
    let mut world = generous();
    world.tariff.terms = Some(Terms { refund_to: Some(RefundTo::Origin), ..Terms::default() });
    let d = cancelled(&world, &world.confirmed());
    assert_eq!(refund(&d).1, Means::returned_by_provider());
}

#[test]
fn what_came_too_late_or_too_much_goes_back_where_it_came_from() {
    let world = generous();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let intent = decide::pay(&held, minute(6, 1).epoch_s(), mark(2), Means::card("pm_1")).unwrap();
    let with_intent = Dossier { payments: vec![intent.clone()], ..held };
    let late = charge(&with_intent, &intent, minute(16, 0));
    assert_eq!(refund(&late), (RefundReason::PaidTooLate, Means::returned_by_provider(), 800));
    let ended = cancelled(&world, &with_intent);
    let too_much = charge(&ended, &intent, minute(7, 1));
    assert_eq!(refund(&too_much), (RefundReason::Overpaid, Means::returned_by_provider(), 800));
}

#[test]
fn a_vehicle_without_a_driver_has_no_wallet() {
    let world = generous();
    for (came, goes) in [
        (Means::card("pm_1"), Means::returned_by_provider()),
        (kiosk(), Means::Cash { till: TillId::new("kiosk-1").unwrap(), tendered_minor: 400 }),
    ] {
        let mut d = paid_with(&world, came.clone());
        d.reservation.id = ReservationId::new(Claimant::WalkIn, 42);
        assert_eq!(refund(&cancelled(&world, &d)).1, goes, "{came:?}");
    }
}

#[test]
fn what_the_provider_moves_only_the_provider_settles() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let asked = |means| decide::pay(&held, minute(6, 1).epoch_s(), mark(2), means).unwrap();
    assert_eq!(asked(Means::card("pm_1")).after(&Word::CarriedOut, 1), None);
    let taken = asked(Means::Wallet).after(&Word::CarriedOut, 1).unwrap();
    assert_eq!((taken.status, taken.settled_at_s, taken.version), (PaymentStatus::Succeeded, Some(1), 2));
    assert_eq!((taken.provider_reference.as_ref(), taken.after(&Word::CarriedOut, 2)), (None, None));
    // A hold that was given up is not taken up again by credit, which nobody has taken yet.
    let void = asked(Means::Wallet).after(&Word::Void, 1).unwrap();
    assert_eq!(void.after(&Word::CarriedOut, 2), None);
}
