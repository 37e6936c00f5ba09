//! How money goes back, by the means it came with and what the policy says.

use parkade_domain::decide::{self, Cash, Dossier, Refusal};
use parkade_domain::ids::{Claimant, ReservationId, TillId, UserId};
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus, RefundReason, Word};
use parkade_domain::policy::{RefundTo, Terms};
use parkade_domain::purse::Purse;
use parkade_domain::reservation::{Reason, Status};
use parkade_domain::till::Counted;

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
    let mut refunds = d.payments.iter().filter_map(|payment| match payment.kind {
        PaymentKind::Refund { reason, .. } => Some((reason, payment.means.clone(), payment.amount_minor)),
        PaymentKind::Charge(_) => None,
    });
    refunds.next_back().unwrap()
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
    let intent = decide::pay(&held, minute(6, 1).epoch_s(), mark(2), Means::card("pm_1"), None).unwrap();
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
    let asked = |means| decide::pay(&held, minute(6, 1).epoch_s(), mark(2), means, None).unwrap();
    assert_eq!(asked(Means::card("pm_1")).after(&Word::CarriedOut, 1), None);
    let taken = asked(Means::Wallet).after(&Word::CarriedOut, 1).unwrap();
    assert_eq!((taken.status, taken.settled_at_s, taken.version), (PaymentStatus::Succeeded, Some(1), 2));
    assert_eq!((taken.provider_reference.as_ref(), taken.after(&Word::CarriedOut, 2)), (None, None));
    // A hold that was given up is not taken up again by credit, which nobody has taken yet.
    let void = asked(Means::Wallet).after(&Word::Void, 1).unwrap();
    assert_eq!(void.after(&Word::CarriedOut, 2), None);
}

fn cash(tendered_minor: i64, change_minor: Option<i64>) -> Cash {
    Cash { till: TillId::new("kiosk-1").unwrap(), tendered_minor, change_minor }
}

/// A walk-in that has left and owes eight euros.
fn owing(world: &World) -> Dossier {
    let mut d = world.confirmed();
    d.reservation.id = ReservationId::new(Claimant::WalkIn, 42);
    (d.reservation.status, d.reservation.paid_minor) = (Status::Completed, 0);
    Dossier { payments: Vec::new(), ..d }
}

fn taken(d: &Dossier, cash: &Cash) -> Result<Dossier, Refusal> {
    decide::take_cash(d, cash, minute(6, 2).epoch_s(), mark(3)).map(|change| apply(d, change))
}

#[test]
fn change_is_what_is_above_the_price_and_what_is_kept_beyond_it_is_owed() {
    let world = World::new();
    let d = owing(&world);
    // Tendered, change given; what is charged, what is still due, what is owed as change.
    let table = [
        (800, None, 800, 0, None),
        (1_000, None, 800, 0, None),
        (1_000, Some(200), 800, 0, None),
        (1_000, Some(150), 850, 0, Some(50)),
        (1_000, Some(0), 1_000, 0, Some(200)),
        (300, None, 300, 500, None),
        // It gave back too much: what it kept is what was paid.
        (1_000, Some(300), 700, 100, None),
    ];
    for (tendered, change, charged_minor, due, owed) in table {
        let paid = taken(&d, &cash(tendered, change)).unwrap();
        let charge = &paid.payments[0];
        assert_eq!(
            (charge.status, charge.amount_minor),
            (PaymentStatus::Succeeded, charged_minor),
            "{tendered} {change:?}"
        );
        assert_eq!(charge.means, Means::Cash { till: cash(1, None).till, tendered_minor: tendered });
        assert_eq!(paid.reservation.due_minor(), due, "{tendered} {change:?}");
        let refunds: Vec<_> = paid.payments[1..].iter().collect();
        assert_eq!(refunds.first().map(|refund| refund.amount_minor), owed, "{tendered} {change:?}");
        assert!(refunds.iter().all(|refund| refund.is_change_owed()), "{tendered} {change:?}");
    }
    for nothing in [cash(1_000, Some(1_000)), cash(1, Some(1))] {
        assert_eq!(taken(&d, &nothing), Err(Refusal::TooLittle { due_minor: 800 }));
    }
}

#[test]
fn a_booking_is_paid_in_full_and_what_is_too_much_becomes_its_drivers_credit() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    for part in [cash(799, None), cash(1_000, Some(201))] {
        assert_eq!(taken(&held, &part), Err(Refusal::TooLittle { due_minor: 800 }));
    }
    let paid = taken(&held, &cash(1_000, Some(0))).unwrap();
    assert_eq!((paid.reservation.status, paid.reservation.due_minor()), (Status::Confirmed, 0));
    assert_eq!(refund(&paid), (RefundReason::Overpaid, Means::Wallet, 200));
    assert_eq!(taken(&paid, &cash(1, None)), Err(Refusal::NothingToPay));
    let late = decide::take_cash(&held, &cash(800, None), minute(7, 0).epoch_s(), mark(3));
    assert_eq!(late, Err(Refusal::HoldExpired));
}

#[test]
fn cash_waits_while_a_card_is_asked() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let intent = decide::pay(&held, minute(6, 1).epoch_s(), mark(2), Means::card("pm_1"), None).unwrap();
    let asked = Dossier { payments: vec![intent.clone()], ..held };
    assert_eq!(taken(&asked, &cash(800, None)), Err(Refusal::PaymentInProgress(intent.id)));
}

#[test]
fn change_that_is_owed_is_paid_out_once_at_any_till() {
    let world = World::new();
    let d = taken(&owing(&world), &cash(1_000, Some(150))).unwrap();
    let (charge, owed, other) = (d.payments[0].id, d.payments[1].id, TillId::new("kiosk-2").unwrap());
    let pay_out = |d: &Dossier, id| decide::pay_out(d, id, &other, minute(6, 3).epoch_s(), mark(4));
    assert_eq!(pay_out(&d, charge), Err(Refusal::NothingToPay));
    let (change, minor) = pay_out(&d, owed).unwrap();
    let after = apply(&d, change);
    assert_eq!((minor, after.reservation.refunded_minor), (50, 50));
    assert_eq!(after.payments[1].status, PaymentStatus::Succeeded);
    assert_eq!(after.payments[1].means, Means::Cash { till: other.clone(), tendered_minor: 50 });
    assert_eq!(pay_out(&after, owed), Err(Refusal::NothingToPay));
    // Credit is not cash.
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let credit = taken(&held, &cash(1_000, Some(0))).unwrap();
    assert_eq!(pay_out(&credit, credit.payments[1].id), Err(Refusal::NothingToPay));
}

#[test]
fn a_count_says_what_is_missing_and_what_the_till_holds_from_then_on() {
    let till = Purse { currency: World::new().tariff.currency, minor: 10_000, version: 7 };
    let counted = |counted_minor, left_minor| Counted {
        lot: World::new().lot.id,
        till: TillId::new("kiosk-1").unwrap(),
        counted_minor,
        left_minor,
        by: UserId::new("olga").unwrap(),
    };
    for (there, left, difference, banked, then) in [
        (10_000, None, 0, 0, 10_000),
        (9_950, None, -50, 0, 9_950),
        (10_020, Some(2_000), 20, 8_020, 2_000),
        (0, Some(5_000), -10_000, -5_000, 5_000),
    ] {
        let (count, after) = counted(there, left).settle(&till, 60, mark(1));
        assert_eq!(
            (count.expected_minor, count.difference_minor(), count.banked_minor()),
            (10_000, difference, banked)
        );
        assert_eq!((after.minor, after.version, count.number), (then, 8, 8));
    }
}
