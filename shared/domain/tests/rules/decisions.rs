//! What each command does to a reservation and to its money.

use std::collections::BTreeMap;

use parkade_domain::decide::{self, Change, Dossier, NewReservation, Refusal, Rules};
use parkade_domain::ids::{Claimant, ReservationId, SpotIndex, TariffVersion, UserId};
use parkade_domain::lot::Lot;
use parkade_domain::money::Currency;
use parkade_domain::payment::{Means, Payment, PaymentKind, PaymentStatus};
use parkade_domain::policy::EarlyExit;
use parkade_domain::reservation::{Mark, Reason, Status};
use parkade_domain::tariff::{OverstayRule, Tariff};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Features, Vehicle, VehicleClass};
use proptest::prelude::*;

use super::given::lot;

/// 2026-06-01T00:00Z.
const DAY: i64 = 29_671_200;

pub(super) fn minute(hour: i64, minutes: i64) -> Minute {
    Minute(DAY + hour * 60 + minutes)
}

pub(super) fn window(from: Minute, until: Minute) -> Window {
    Window::new(from, until).unwrap()
}

pub(super) struct World {
    pub(super) lot: Lot,
    pub(super) tariff: Tariff,
}

impl World {
    /// €2 per started hour; early exits are repriced; overstay €2.50 per started hour and €10.
    pub(super) fn new() -> Self {
        let currency = Currency::from_code("EUR").unwrap();
        let tariff = Tariff {
            version: TariffVersion(1),
            currency,
            unit_minutes: 60,
            rates: BTreeMap::from([(VehicleClass::Standard, 200)]),
            daily_cap: None,
            cap_period: Default::default(),
            overstay: OverstayRule::PerStartedUnit { unit_minutes: 60, rate_minor: 250, admin_fee_minor: 1_000 },
            ..Tariff::new(currency)
        };
        Self { lot: lot(), tariff }
    }

    pub(super) fn rules(&self) -> Rules<'_> {
        Rules::ordinary(&self.lot, &self.tariff)
    }

    pub(super) fn hold(&self, windows: Vec<Window>, now: Minute) -> Dossier {
        let new = NewReservation {
            id: ReservationId::new(Claimant::Reservation, 42),
            lot: self.lot.id.clone(),
            user: UserId::new("alice").unwrap(),
            vehicle: Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false },
            plate: None,
            windows,
            fingerprint: [0; 16],
        };
        let reservation = decide::hold(self.rules(), &new, SpotIndex(0), now.epoch_s()).unwrap();
        Dossier { reservation, payments: Vec::new() }
    }

    /// A paid reservation 12:00–16:00, €8, booked at 06:00.
    pub(super) fn confirmed(&self) -> Dossier {
        let held = self.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
        pay(held, minute(6, 1))
    }
}

pub(super) fn mark(key: u64) -> Mark {
    Mark { key, fingerprint: 1 }
}

pub(super) fn apply(d: &Dossier, change: Change) -> Dossier {
    let mut payments = d.payments.clone();
    for payment in change.payments {
        match payments.iter_mut().find(|p| p.id == payment.id) {
            Some(known) => *known = payment,
            None => payments.push(payment),
        }
    }
    Dossier { reservation: change.reservation, payments }
}

/// Stores the intent and lets the charge succeed.
pub(super) fn pay(d: Dossier, now: Minute) -> Dossier {
    let intent = decide::pay(&d, now.epoch_s(), mark(900), Means::card("pm_card_visa"), None).unwrap();
    let with_intent = Dossier { payments: [d.payments.clone(), vec![intent.clone()]].concat(), ..d };
    charge(&with_intent, &intent, now)
}

pub(super) fn charge(d: &Dossier, intent: &Payment, now: Minute) -> Dossier {
    let paid = Payment { status: PaymentStatus::Succeeded, version: intent.version + 1, ..intent.clone() };
    let spot = d.reservation.spot;
    let change = decide::charged(d, &paid, now.epoch_s(), mark(901), spot)
        .or_else(|_| decide::paid_too_late(d, &paid, now.epoch_s(), mark(901)));
    apply(d, change.unwrap())
}

fn refunds(d: &Dossier) -> Vec<i64> {
    d.payments.iter().filter(|p| matches!(p.kind, PaymentKind::Refund { .. })).map(|p| p.amount_minor).collect()
}

#[test]
fn a_paid_hold_is_confirmed_and_owes_nothing() {
    let d = World::new().confirmed();
    assert_eq!((d.reservation.status, d.reservation.due_minor()), (Status::Confirmed, 0));
    assert_eq!(d.reservation.paid_minor, 800);
    assert_eq!(d.reservation.lease_s(), 0);
}

#[test]
fn cancelling_five_hours_ahead_refunds_half() {
    let world = World::new();
    let d = world.confirmed();
    let at = minute(7, 0).epoch_s();
    let change = decide::cancel(&d, world.rules(), at, mark(1), Reason::DriverCancelled).unwrap();
    let after = apply(&d, change);
    assert_eq!(after.reservation.status, Status::Cancelled);
    assert_eq!((after.reservation.price_minor, refunds(&after)), (400, vec![400]));
    assert!(after.reservation.claims.is_empty());
}

#[test]
fn cancelling_at_the_start_is_too_late() {
    let world = World::new();
    let d = world.confirmed();
    let at = minute(12, 0).epoch_s();
    let refused = decide::cancel(&d, world.rules(), at, mark(1), Reason::DriverCancelled);
    assert_eq!(refused, Err(Refusal::AlreadyStarted));
}

#[test]
fn a_charge_that_lands_on_a_cancelled_hold_is_refunded_whole() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let intent = decide::pay(&held, minute(6, 1).epoch_s(), mark(1), Means::card("pm"), None).unwrap();
    let d = Dossier { payments: vec![intent.clone()], ..held };
    let cancelled = decide::cancel(&d, world.rules(), minute(6, 2).epoch_s(), mark(2), Reason::DriverCancelled);
    let after = charge(&apply(&d, cancelled.unwrap()), &intent, minute(6, 3));
    assert_eq!(after.reservation.status, Status::Cancelled);
    assert_eq!(refunds(&after), vec![800]);
    assert_eq!(after.reservation.due_minor(), 0);
}

#[test]
fn a_charge_that_lands_after_the_hold_still_confirms_while_the_window_lasts() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let intent = decide::pay(&held, minute(6, 1).epoch_s(), mark(1), Means::card("pm"), None).unwrap();
    let d = Dossier { payments: vec![intent.clone()], ..held };
    let expired = apply(&d, decide::expire(&d, minute(6, 10).epoch_s(), mark(2)).unwrap());
    let late = charge(&expired, &intent, minute(6, 11));
    assert_eq!(late.reservation.status, Status::Confirmed);
    assert_eq!(late.reservation.claims, vec![window(minute(12, 0), minute(16, 0))]);
    let too_late = charge(&expired, &intent, minute(16, 0));
    assert_eq!((too_late.reservation.status, refunds(&too_late)), (Status::Expired, vec![800]));
    assert_eq!(too_late.reservation.reason, Some(Reason::PaidTooLate));
}

#[test]
fn a_hold_cannot_be_paid_in_the_second_it_ends() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let end_s = held.reservation.hold_expires_at_s.unwrap();
    assert!(decide::pay(&held, end_s - 1, mark(1), Means::card("pm"), None).is_ok());
    assert_eq!(decide::pay(&held, end_s, mark(1), Means::card("pm"), None), Err(Refusal::HoldExpired));
    assert_eq!(decide::expire(&held, end_s - 1, mark(1)), Err(Refusal::NotDue(Minute(end_s.div_euclid(60)))));
    let gone = apply(&held, decide::expire(&held, end_s, mark(1)).unwrap());
    assert_eq!(decide::pay(&gone, end_s, mark(1), Means::card("pm"), None), Err(Refusal::HoldExpired));
}

#[test]
fn a_second_charge_waits_for_the_first() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let intent = decide::pay(&held, minute(6, 1).epoch_s(), mark(1), Means::card("pm"), None).unwrap();
    let d = Dossier { payments: vec![intent.clone()], ..held };
    let second = decide::pay(&d, minute(6, 1).epoch_s(), mark(2), Means::card("pm"), None);
    assert_eq!(second, Err(Refusal::PaymentInProgress(intent.id)));
}

#[test]
fn who_has_seen_another_price_is_not_charged() {
    let world = World::new();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let (now_s, currency) = (minute(6, 1).epoch_s(), held.reservation.currency);
    let pay = |seen| decide::pay(&held, now_s, mark(1), Means::card("pm"), Some(seen));
    assert_eq!(pay((800, currency)).unwrap().amount_minor, 800);
    let refused = Err(Refusal::AmountChanged { due_minor: 800, currency });
    assert_eq!(pay((799, currency)), refused);
    assert_eq!(pay((800, Currency::from_code("USD").unwrap())), refused);
}

/// However often a booking was changed and paid before: the last refunds, and a charge that comes after them, find their numbers.
#[test]
fn after_as_many_payments_as_a_driver_may_make_all_of_it_can_still_be_given_back() {
    let world = World::new();
    let mut d = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let now = minute(6, 1);
    // Each payment leaves a cent, as an extension would.
    let open = loop {
        let key = u64::try_from(d.payments.len()).unwrap();
        match decide::pay(&d, now.epoch_s(), mark(1_000 + key), Means::card("pm"), None) {
            Ok(intent) => {
                d.payments.push(intent.clone());
                let before = d.clone();
                d = charge(&d, &intent, now);
                d.reservation.price_minor += 1;
                if decide::pay(&d, now.epoch_s(), mark(999), Means::card("pm"), None).is_err() {
                    break before;
                }
            }
            Err(refusal) => panic!("{refusal:?}"),
        }
    };
    let charges = open.payments.len();
    assert!(charges > 40, "{charges}");
    let (spot, shorter) = ((d.reservation.spot, Features::default()), window(minute(12, 0), minute(13, 0)));
    let shorter = decide::modify(&d, world.rules(), now.epoch_s(), mark(1), shorter, spot);
    assert_eq!(shorter, Err(Refusal::TooManyPayments), "a change waits for nobody's exit");
    let cancelled =
        apply(&open, decide::cancel(&open, world.rules(), now.epoch_s(), mark(1), Reason::SpotOutOfService).unwrap());
    let late = cancelled.payments.iter().find(|p| p.is_open_charge()).unwrap().clone();
    let done = charge(&cancelled, &late, now);
    assert_eq!(done.reservation.paid_minor, done.reservation.refunded_minor);
    assert_eq!(done.payments.len(), 2 * charges);
}

#[test]
fn a_no_show_keeps_half_and_nothing_while_the_gate_was_offline() {
    let world = World::new();
    let d = world.confirmed();
    let due = minute(12, 30).epoch_s();
    assert_eq!(decide::no_show(&d, world.rules(), due - 1, mark(1), false), Err(Refusal::NotDue(minute(12, 30))));
    let kept = apply(&d, decide::no_show(&d, world.rules(), due, mark(1), false).unwrap());
    assert_eq!((kept.reservation.status, refunds(&kept)), (Status::NoShow, vec![400]));
    let offline = apply(&d, decide::no_show(&d, world.rules(), due, mark(1), true).unwrap());
    assert_eq!(refunds(&offline), vec![800]);
}

#[test]
fn the_gate_opens_a_quarter_of_an_hour_early_and_says_when() {
    let world = World::new();
    let d = world.confirmed();
    let early = decide::check_in(&d, world.rules(), minute(11, 44).epoch_s(), mark(1));
    assert_eq!(early, Err(Refusal::TooEarly { opens_at: minute(11, 45) }));
    let entered = decide::check_in(&d, world.rules(), minute(11, 45).epoch_s(), mark(1)).unwrap().reservation;
    assert_eq!(entered.claims, vec![window(minute(11, 45), minute(16, 0))]);
    assert_eq!(decide::check_in(&d, world.rules(), minute(16, 0).epoch_s(), mark(1)), Err(Refusal::Ended));
}

#[test]
fn leaving_early_frees_the_rest_and_refunds_it() {
    let world = World::new();
    let d = world.confirmed();
    let inside = apply(&d, decide::check_in(&d, world.rules(), minute(12, 0).epoch_s(), mark(1)).unwrap());
    let change = decide::check_out(&inside, world.rules(), minute(14, 0).epoch_s() - 20, mark(2), None).unwrap();
    let after = apply(&inside, change);
    assert_eq!(after.reservation.status, Status::Completed);
    assert_eq!(after.reservation.claims, vec![window(minute(12, 0), minute(14, 0))]);
    assert_eq!(refunds(&after), vec![400]);
}

#[test]
fn leaving_65_minutes_late_owes_the_overstay() {
    let world = World::new();
    let d = world.confirmed();
    let inside = apply(&d, decide::check_in(&d, world.rules(), minute(12, 0).epoch_s(), mark(1)).unwrap());
    let after =
        apply(&inside, decide::check_out(&inside, world.rules(), minute(17, 5).epoch_s(), mark(2), None).unwrap());
    assert_eq!(after.reservation.due_minor(), 1_500);
    let settled = pay(after, minute(17, 6));
    assert_eq!((settled.reservation.status, settled.reservation.due_minor()), (Status::Completed, 0));
}

#[test]
fn a_session_without_an_exit_is_closed_at_its_longest_and_charged_no_further() {
    let mut world = World::new();
    world.lot.policy.max_session_minutes = 300;
    let d = world.confirmed();
    let mut inside = apply(&d, decide::check_in(&d, world.rules(), minute(12, 0).epoch_s(), mark(1)).unwrap());
    let mut at = minute(16, 0);
    for step in 2..30 {
        match decide::overstay(&inside, world.rules(), at.epoch_s(), mark(step)) {
            Ok(change) => inside = apply(&inside, change),
            Err(Refusal::NotDue(due)) => at = due,
            Err(other) => panic!("{other}"),
        }
        if inside.reservation.status == Status::Completed {
            break;
        }
    }
    assert_eq!(inside.reservation.reason, Some(Reason::NoExitEvidence));
    assert_eq!(inside.reservation.claims, vec![window(minute(12, 0), minute(17, 0))]);
    assert_eq!(inside.reservation.due_minor(), 1_250, "one started hour and the fee");
}

#[test]
fn a_series_goes_on_after_each_exit_and_each_missed_day() {
    let world = World::new();
    let day = |n: i64| window(minute(24 * n + 9, 0), minute(24 * n + 17, 0));
    let held = world.hold(vec![day(0), day(1), day(2)], minute(6, 0));
    assert_eq!(held.reservation.price_minor, 3 * 1_600);
    let d = pay(held, minute(6, 1));
    let inside = apply(&d, decide::check_in(&d, world.rules(), minute(9, 0).epoch_s(), mark(1)).unwrap());
    let first =
        apply(&inside, decide::check_out(&inside, world.rules(), minute(12, 0).epoch_s(), mark(2), None).unwrap());
    assert_eq!((first.reservation.status, first.reservation.claims.len()), (Status::Confirmed, 2));
    let missed = decide::no_show(&first, world.rules(), minute(24 + 9, 30).epoch_s(), mark(3), false).unwrap();
    let second = apply(&first, missed);
    assert_eq!((second.reservation.status, second.reservation.claims.len()), (Status::Confirmed, 1));
    let at = minute(24 + 12, 0).epoch_s();
    let gone = apply(&second, decide::cancel(&second, world.rules(), at, mark(4), Reason::DriverCancelled).unwrap());
    assert_eq!(refunds(&gone), vec![800], "half of the day that is still to come, 21 hours ahead");
}

#[test]
fn neighbouring_occurrences_share_no_minute_with_a_turnover_buffer() {
    let mut world = World::new();
    world.lot.policy.turnover_buffer_minutes = 30;
    let days = [window(minute(0, 0), minute(24, 0)), window(minute(24, 0), minute(48, 0))];
    let claims = decide::claims_for(&world.lot, &days);
    assert_eq!(claims, vec![days[0], window(minute(24, 0), minute(48, 30))]);
    let held = world.hold(days.to_vec(), minute(0, 0));
    assert_eq!(held.reservation.claims, claims);
}

#[test]
fn moving_a_booking_is_no_way_around_the_cancellation_ladder() {
    let world = World::new();
    let d = world.confirmed();
    let at = minute(11, 30).epoch_s();
    let next_week = window(minute(7 * 24 + 12, 0), minute(7 * 24 + 13, 0));
    let moved = apply(
        &d,
        decide::modify(&d, world.rules(), at, mark(1), next_week, (SpotIndex(0), Features::default())).unwrap(),
    );
    assert_eq!(
        (moved.reservation.price_minor, refunds(&moved).len()),
        (800, 0),
        "a shorter stay refunds nothing so late"
    );
    let gone = decide::cancel(&moved, world.rules(), at, mark(2), Reason::DriverCancelled).unwrap();
    assert!(refunds(&apply(&moved, gone)).is_empty());
}

#[test]
fn shortening_a_stay_from_inside_refunds_what_leaving_then_would() {
    let mut world = World::new();
    world.lot.policy.early_exit = EarlyExit::None;
    let d = world.confirmed();
    let inside = apply(&d, decide::check_in(&d, world.rules(), minute(12, 0).epoch_s(), mark(1)).unwrap());
    let shorter = window(minute(12, 0), minute(13, 0));
    let at = minute(12, 30).epoch_s();
    let cut = apply(
        &inside,
        decide::modify(&inside, world.rules(), at, mark(2), shorter, (SpotIndex(0), Features::default())).unwrap(),
    );
    let left = decide::check_out(&cut, world.rules(), minute(13, 0).epoch_s(), mark(3), None).unwrap();
    assert!(refunds(&apply(&cut, left)).is_empty());
}

#[test]
fn who_was_told_that_there_is_no_spot_owes_nothing() {
    let world = World::new();
    let d = world.confirmed();
    let told = apply(&d, decide::relocate(&d, world.rules(), minute(7, 0).epoch_s(), mark(1), None).unwrap());
    let missed = decide::no_show(&told, world.rules(), minute(12, 30).epoch_s(), mark(2), false).unwrap();
    assert_eq!(refunds(&apply(&told, missed)), vec![800]);
    let at = minute(11, 59).epoch_s();
    let cancelled = decide::cancel(&told, world.rules(), at, mark(2), Reason::DriverCancelled).unwrap();
    assert_eq!(refunds(&apply(&told, cancelled)), vec![800]);
}

#[test]
fn a_series_that_one_transaction_could_not_move_is_refused() {
    let world = World::new();
    let day = |n: i64| window(minute(24 * n + 9, 0), minute(24 * n + 17, 0));
    let new = |days: i64| NewReservation {
        id: ReservationId::new(Claimant::Reservation, 42),
        lot: world.lot.id.clone(),
        user: UserId::new("alice").unwrap(),
        vehicle: Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false },
        plate: None,
        windows: (0..days).map(day).collect(),
        fingerprint: [0; 16],
    };
    let most = i64::try_from(decide::PAGES_MAX).unwrap();
    assert!(decide::hold(world.rules(), &new(most), SpotIndex(0), 0).is_ok());
    assert_eq!(decide::hold(world.rules(), &new(most + 1), SpotIndex(0), 0), Err(Refusal::TooManyDays));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Pay,
    Charge,
    Cancel,
    Expire,
    NoShow,
    Modify { from_hour: i64, hours: i64 },
    CheckIn,
    CheckOut,
    Overstay,
    Wait { minutes: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Pay),
        3 => Just(Step::Charge),
        1 => Just(Step::Cancel),
        1 => Just(Step::Expire),
        1 => Just(Step::NoShow),
        3 => (12_i64..20, 1_i64..8).prop_map(|(from_hour, hours)| Step::Modify { from_hour, hours }),
        2 => Just(Step::CheckIn),
        2 => Just(Step::CheckOut),
        2 => Just(Step::Overstay),
        4 => (1_i64..200).prop_map(|minutes| Step::Wait { minutes }),
    ];
    prop::collection::vec(step, 1..40)
}

fn play(world: &World, d: &Dossier, step: Step, now: Minute, key: u64) -> Option<Dossier> {
    let (now_s, mark) = (now.epoch_s(), mark(key));
    let change = match step {
        Step::Wait { .. } => return None,
        Step::Pay => {
            let intent = decide::pay(d, now_s, mark, Means::card("pm"), None).ok()?;
            return Some(Dossier { payments: [d.payments.clone(), vec![intent]].concat(), ..d.clone() });
        }
        Step::Charge => {
            let open = d.payments.iter().find(|p| p.is_open_charge())?;
            return Some(charge(d, open, now));
        }
        Step::Cancel => decide::cancel(d, world.rules(), now_s, mark, Reason::DriverCancelled),
        Step::Expire => decide::expire(d, now_s, mark),
        Step::NoShow => decide::no_show(d, world.rules(), now_s, mark, false),
        Step::Modify { from_hour, hours } => {
            let wish = window(minute(from_hour, 0), minute(from_hour + hours, 0));
            decide::modify(d, world.rules(), now_s, mark, wish, (d.reservation.spot, Features::default()))
        }
        Step::CheckIn => decide::check_in(d, world.rules(), now_s, mark),
        Step::CheckOut => decide::check_out(d, world.rules(), now_s, mark, None),
        Step::Overstay => decide::overstay(d, world.rules(), now_s, mark),
    };
    change.ok().map(|change| apply(d, change))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]
    #[test]
    fn whatever_happens_the_money_adds_up(steps in steps(), early in 0_u8..4) {
        let mut world = World::new();
        world.lot.policy.early_exit = match early {
            0 => EarlyExit::None,
            1 => EarlyExit::Prorated,
            2 => EarlyExit::ProratedMinusFee { fee_minor_min: 100 },
            _ => EarlyExit::Reprice,
        };
        let mut d = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
        let mut now = minute(6, 0);
        for (key, step) in (1..).zip(steps) {
            if let Step::Wait { minutes } = step {
                now = now.plus(minutes);
            }
            let Some(after) = play(&world, &d, step, now, key) else { continue };
            let (was, is) = (&d.reservation, &after.reservation);
            let charged: i64 = after.payments.iter()
                .filter(|p| matches!(p.kind, PaymentKind::Charge(_)) && p.status == PaymentStatus::Succeeded)
                .map(|p| p.amount_minor).sum();
            prop_assert_eq!(is.paid_minor, charged);
            prop_assert_eq!(is.refunded_minor, refunds(&after).iter().sum::<i64>());
            prop_assert!(is.refunded_minor <= is.paid_minor);
            prop_assert!(is.price_minor >= 0);
            prop_assert!(is.due_minor() >= 0, "a refund that is owed is always requested");
            prop_assert!(was == is || is.version > was.version);
            prop_assert!(is.claims.is_sorted_by(|a, b| a.end() <= b.start()));
            if matches!(is.status, Status::Confirmed | Status::CheckedIn) && was.status == Status::Held {
                prop_assert!(is.paid_minor >= is.price_minor, "nobody parks for free");
            }
            d = after;
        }
    }
}
