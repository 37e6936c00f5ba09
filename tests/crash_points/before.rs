//! What happened before a command: the states that it is asked in.

use parkade_domain::adjustment::ViolationKind;
use parkade_domain::decide::Cash;
use parkade_domain::ids::PaymentId;
use parkade_domain::payment::{Means, Word};
use parkade_domain::reservation::{DueKind, Reason};
use parkade_store::{Access, OutOfService, Reserve, Store};
use parkade_tests::given::{booking, id, window};
use parkade_tests::world::{order, sweep_one};
use parkade_tests::{Snapshot, World};

use crate::commands::{BEGINS, ENDS, HOLD_S, MINE, OTHER, drive_up, driver, payment, save_card, till};

/// What happened before the command.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before {
    Nothing,
    Held,
    /// A charge is requested and the provider has carried it out.
    Charged,
    /// As [`Before::Charged`], and the provider said no.
    Declined,
    /// As [`Before::Charged`], but the hold ran out meanwhile.
    ChargedLate,
    /// As [`Before::ChargedLate`], and somebody else took the spot.
    ChargedLateAndTaken,
    /// As [`Before::ChargedLateAndTaken`] in a lot without another spot.
    ChargedLateAndFull,
    /// The hold was swept before its charge was asked for.
    Swept,
    Confirmed,
    /// Confirmed, and somebody else's confirmed stay follows on the same spot.
    ConfirmedAndFollowed,
    Inside,
    InsideAndFollowed,
    /// As [`Before::Inside`], and the driver's card is billed at the exit.
    InsideWithCard,
    /// A card is saved.
    Card,
    /// A vehicle without a reservation.
    DriveUp,
    /// A charge is requested and nobody has heard of it since.
    Charging,
    /// The provider carried out a charge that the records call void.
    ChargedAfterVoid,
    /// Cancelled: a refund is requested and the provider has carried it out.
    Refunded,
    /// As [`Before::Refunded`], and the record knows.
    Returned,
    /// As [`Before::Returned`], and the driver's bank has sent it back.
    SentBack,
    OutOfService,
    /// A charge to credit is requested, of which there is enough.
    ChargedToCredit,
    /// As [`Before::ChargedToCredit`], and there is too little.
    ChargedToTooLittleCredit,
    /// As [`Before::ChargedToCredit`], but the hold ran out meanwhile and somebody else took the only spot.
    ChargedToCreditTooLate,
    /// Cancelled: a refund to the wallet is requested.
    RefundedAsCredit,
    /// A drive-up that has left and owes money.
    Owing,
    /// As [`Before::Owing`], paid in cash: the till owes change.
    ChangeOwed,
    /// Left on time with a violation, which was paid.
    FinedAndPaid,
}

impl Before {
    pub(crate) const fn drives_up(self) -> bool {
        matches!(self, Self::DriveUp | Self::Owing | Self::ChangeOwed)
    }

    pub(crate) async fn happens(self, world: &World, store: &Store) {
        let now_s = world.clock.now_s();
        match self {
            Self::Nothing => {}
            Self::Held => hold(store, MINE, (BEGINS, ENDS), now_s).await,
            Self::Charged => charged(world, store, false).await,
            Self::Declined => charged(world, store, true).await,
            Self::ChargedLate => {
                charged(world, store, false).await;
                world.clock.advance(HOLD_S);
            }
            Self::ChargedLateAndTaken | Self::ChargedLateAndFull => {
                charged(world, store, false).await;
                world.clock.advance(HOLD_S);
                confirmed(world, store, OTHER, (BEGINS, ENDS)).await;
            }
            Self::Swept => {
                hold(store, MINE, (BEGINS, ENDS), now_s).await;
                store.pay(&order(id(MINE), 11, 1, now_s), &Means::card("pm_card")).await.unwrap();
                let later_s = world.clock.advance(HOLD_S);
                sweep_one(store, DueKind::HoldExpiry, id(MINE), later_s).await.unwrap();
            }
            Self::Confirmed => confirmed(world, store, MINE, (BEGINS, ENDS)).await,
            Self::ConfirmedAndFollowed => followed(world, store).await,
            Self::Inside => {
                confirmed(world, store, MINE, (BEGINS, ENDS)).await;
                enter(world, store).await;
            }
            Self::InsideWithCard => {
                confirmed(world, store, MINE, (BEGINS, ENDS)).await;
                save_card(store).await.unwrap();
                store.bill_automatically(&driver(), Some("pm_1"), &[]).await.unwrap();
                enter(world, store).await;
            }
            Self::Card => drop(save_card(store).await.unwrap()),
            Self::InsideAndFollowed => {
                followed(world, store).await;
                enter(world, store).await;
            }
            Self::DriveUp => drop(store.walk_in(&drive_up()).await.unwrap()),
            Self::Refunded => {
                confirmed(world, store, MINE, (1_500, 1_620)).await;
                store.cancel(&order(id(MINE), 12, 1, now_s), Reason::DriverCancelled).await.unwrap();
                let (refund, _) = store.payment(payment(2), &Access::System).await.unwrap();
                world.provider().ask(&refund, false);
            }
            Self::Returned => {
                confirmed(world, store, MINE, (1_500, 1_620)).await;
                store.cancel(&order(id(MINE), 12, 1, now_s), Reason::DriverCancelled).await.unwrap();
                world.deliver(store, payment(2), false).await.unwrap();
            }
            Self::SentBack => {
                confirmed(world, store, MINE, (1_500, 1_620)).await;
                store.cancel(&order(id(MINE), 12, 1, now_s), Reason::DriverCancelled).await.unwrap();
                world.deliver(store, payment(2), false).await.unwrap();
                world.provider().send_back(payment(2));
            }
            Self::Charging => {
                hold(store, MINE, (BEGINS, ENDS), now_s).await;
                store.pay(&order(id(MINE), 11, 1, now_s), &Means::card("pm_card")).await.unwrap();
            }
            Self::ChargedAfterVoid => {
                charged(world, store, false).await;
                let later_s = world.clock.advance(HOLD_S);
                sweep_one(store, DueKind::HoldExpiry, id(MINE), later_s).await.unwrap();
                store.settle(payment(1), &Word::Void, later_s).await.unwrap();
            }
            Self::OutOfService => {
                let request = OutOfService {
                    lot: world.lot.id.clone(),
                    spot: "0001".to_owned(),
                    window: window(BEGINS, ENDS),
                    reason: "cleaning".to_owned(),
                    key: 0x0012_3456,
                    now_s,
                };
                store.take_out_of_service(&request).await.unwrap();
            }
            Self::FinedAndPaid => Box::pin(fined_and_paid(world, store)).await,
            Self::Owing => owing(world, store).await,
            Self::ChangeOwed => {
                owing(world, store).await;
                let cash = Cash { till: till(), tendered_minor: 500, change_minor: Some(50) };
                store.take_cash(&order(drive_up().new.id, 15, 1, world.clock.now_s()), &cash).await.unwrap();
            }
            Self::ChargedToCredit => Box::pin(charged_to_credit(world, store, 120)).await,
            Self::ChargedToTooLittleCredit => Box::pin(charged_to_credit(world, store, 60)).await,
            Self::ChargedToCreditTooLate => {
                Box::pin(charged_to_credit(world, store, 120)).await;
                world.clock.advance(HOLD_S);
                confirmed(world, store, OTHER, (BEGINS, ENDS)).await;
            }
            Self::RefundedAsCredit => {
                confirmed(world, store, MINE, (1_500, 1_620)).await;
                store.cancel(&order(id(MINE), 12, 1, now_s), Reason::DriverCancelled).await.unwrap();
            }
        }
        assert_eq!(
            Snapshot::take(&world.engine).reservations().len(),
            world.dossiers(&Snapshot::take(&world.engine)).await.len()
        );
    }
}

/// Everybody wants the first spot.
async fn hold(store: &Store, key: u64, (from, until): (i64, i64), now_s: i64) {
    let request = Reserve {
        new: booking(key, key, vec![window(from, until)]),
        spot: Some("0001".to_owned()),
        promise: None,
        now_s,
    };
    assert!(!store.reserve(&request).await.unwrap().replayed);
}

async fn charged(world: &World, store: &Store, declines: bool) {
    let now_s = world.clock.now_s();
    hold(store, MINE, (BEGINS, ENDS), now_s).await;
    let payment = store.pay(&order(id(MINE), 11, 1, now_s), &Means::card("pm_card")).await.unwrap().payment;
    world.provider().ask(&payment, declines);
}

async fn confirmed(world: &World, store: &Store, key: u64, stay: (i64, i64)) {
    let now_s = world.clock.now_s();
    hold(store, key, stay, now_s).await;
    let payment = store.pay(&order(id(key), 11, 1, now_s), &Means::card("pm_card")).await.unwrap().payment;
    world.deliver(store, payment.id, false).await.unwrap();
}

/// Four euros for the stay and forty for the violation.
async fn fined_and_paid(world: &World, store: &Store) {
    confirmed(world, store, MINE, (BEGINS, ENDS)).await;
    enter(world, store).await;
    let now_s = world.clock.advance((ENDS - BEGINS) * 60 - 60);
    store.check_out(&order(id(MINE), 14, 1, now_s)).await.unwrap();
    store.record_violation(&order(id(MINE), 15, 1, now_s), ViolationKind::WrongSpot).await.unwrap();
    let charge = store.pay(&order(id(MINE), 16, 1, now_s), &Means::card("pm_card")).await.unwrap().payment;
    assert_eq!(charge.amount_minor, 4_000);
    world.deliver(store, charge.id, false).await.unwrap();
}

/// Fifty minutes, which cost 400.
async fn owing(world: &World, store: &Store) {
    store.walk_in(&drive_up()).await.unwrap();
    let now_s = world.clock.advance(50 * 60);
    let left = store.check_out(&order(drive_up().new.id, 14, 1, now_s)).await.unwrap();
    assert_eq!(left.dossier.reservation.due_minor(), 400);
}

/// Somebody whose earlier booking of so many minutes was cancelled pays with what it left in the wallet.
async fn charged_to_credit(world: &World, store: &Store, minutes: i64) {
    const EARLIER: u64 = 5;
    let now_s = world.clock.now_s();
    let new = booking(EARLIER, MINE, vec![window(1_500, 1_500 + minutes)]);
    store.reserve(&Reserve { new, spot: None, promise: None, now_s }).await.unwrap();
    let payment = store.pay(&order(id(EARLIER), 11, 1, now_s), &Means::card("pm_card")).await.unwrap().payment;
    world.deliver(store, payment.id, false).await.unwrap();
    store.cancel(&order(id(EARLIER), 12, 1, now_s), Reason::DriverCancelled).await.unwrap();
    world.deliver(store, PaymentId { reservation: id(EARLIER), number: 2 }, false).await.unwrap();
    hold(store, MINE, (BEGINS, ENDS), now_s).await;
    store.pay(&order(id(MINE), 11, 1, now_s), &Means::Wallet).await.unwrap();
}

async fn followed(world: &World, store: &Store) {
    confirmed(world, store, MINE, (BEGINS, ENDS)).await;
    confirmed(world, store, OTHER, (ENDS + 15, ENDS + 75)).await;
}

async fn enter(world: &World, store: &Store) {
    let now_s = world.clock.advance(BEGINS * 60);
    store.check_in(&order(id(MINE), 13, 1, now_s)).await.unwrap();
}
