//! What is worth telling a driver, on the record as it is when it is told.

use std::collections::BTreeMap;

use parkade_domain::adjustment::ViolationKind;
use parkade_domain::decide::{self, Change, Dossier, NewReservation, Rules};
use parkade_domain::ids::{Claimant, LotId, ReservationId, SpotIndex, TariffVersion, UserId};
use parkade_domain::lot::{Lot, LotKind};
use parkade_domain::money::{Currency, Money};
use parkade_domain::notice::{Notice, Occasion, Placement, Unpaid, notice, upcoming};
use parkade_domain::payment::{Means, Payment, PaymentStatus};
use parkade_domain::policy::LotPolicy;
use parkade_domain::preferences::Topic;
use parkade_domain::reservation::{Mark, Reason, Status};
use parkade_domain::tariff::{Amount, Tariff};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Features, Vehicle, VehicleClass};

use super::given;

/// 2026-06-01T00:00Z.
const DAY: Minute = Minute(29_671_200);

fn at(hour: i64, minutes: i64) -> Minute {
    DAY.plus(hour * 60 + minutes)
}

fn window(from: Minute, until: Minute) -> Window {
    Window::new(from, until).unwrap()
}

fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("EUR").unwrap())
}

/// €4 per started hour; claims have a buffer of ten minutes.
struct World {
    lot: Lot,
    tariff: Tariff,
}

impl World {
    fn new() -> Self {
        let policy = LotPolicy { turnover_buffer_minutes: 10, ..LotPolicy::default() };
        let tariff = Tariff {
            version: TariffVersion(1),
            unit_minutes: 60,
            rates: BTreeMap::from([(VehicleClass::Standard, 400)]),
            ..Tariff::new(Currency::from_code("EUR").unwrap())
        };
        Self { lot: Lot { policy, ..given::lot() }, tariff }
    }

    fn rules(&self) -> Rules<'_> {
        Rules::ordinary(&self.lot, &self.tariff)
    }

    fn held(&self, windows: Vec<Window>) -> Dossier {
        let new = NewReservation {
            id: ReservationId::new(Claimant::Reservation, 42),
            lot: LotId::new("lot").unwrap(),
            user: UserId::new("alice").unwrap(),
            vehicle: Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false },
            plate: None,
            windows,
            fingerprint: [0; 16],
        };
        let reservation = decide::hold(self.rules(), &new, SpotIndex(3), DAY.epoch_s()).unwrap();
        Dossier { reservation, payments: Vec::new() }
    }

    fn booked(&self, windows: Vec<Window>) -> Dossier {
        let held = self.held(windows);
        let asked = paying(&held, 1);
        let paid = Payment { status: PaymentStatus::Succeeded, version: 2, ..asked.payments[0].clone() };
        after(&asked, decide::charged(&asked, &paid, DAY.epoch_s(), mark(2), SpotIndex(3)).unwrap())
    }

    fn inside(&self, booked: &Dossier, now: Minute) -> Dossier {
        after(booked, decide::check_in(booked, self.rules(), now.epoch_s(), mark(3)).unwrap())
    }

    fn told(&self, occasion: &Occasion, d: &Dossier, now: Minute) -> Option<Notice> {
        notice(occasion, d, &self.lot, now)
    }
}

fn mark(key: u64) -> Mark {
    Mark { key, fingerprint: 0 }
}

fn after(before: &Dossier, change: Change) -> Dossier {
    let mut payments = before.payments.clone();
    payments.retain(|known| change.payments.iter().all(|changed| changed.id != known.id));
    payments.extend(change.payments);
    Dossier { reservation: change.reservation, payments }
}

fn paying(d: &Dossier, key: u64) -> Dossier {
    let payment = decide::pay(d, DAY.epoch_s(), mark(key), Means::card("pm_1"), None).unwrap();
    Dossier { payments: d.payments.iter().cloned().chain([payment]).collect(), ..d.clone() }
}

fn declined(mut d: Dossier) -> Dossier {
    d.payments.last_mut().unwrap().status = PaymentStatus::Declined;
    d
}

fn stay() -> Window {
    window(at(10, 0), at(12, 0))
}

#[test]
fn a_confirmation_says_what_was_paid_unless_the_booking_is_over() {
    let world = World::new();
    let booked = world.booked(vec![stay()]);
    let told = world.told(&Occasion::Confirmed, &booked, at(9, 0));
    assert_eq!(told, Some(Notice::Confirmed { window: stay(), series: false, paid: eur(800) }));
    let inside = world.inside(&booked, at(10, 0));
    assert!(world.told(&Occasion::Confirmed, &inside, at(10, 0)).is_some());
    let cancelled = decide::cancel(&booked, world.rules(), DAY.epoch_s(), mark(4), Reason::DriverCancelled).unwrap();
    assert_eq!(world.told(&Occasion::Confirmed, &after(&booked, cancelled), at(9, 0)), None);
    assert_eq!(world.told(&Occasion::Confirmed, &world.held(vec![stay()]), at(9, 0)), None);
}

#[test]
fn a_walk_in_belongs_to_the_gate_and_nobody_is_told() {
    let world = World::new();
    let mut booked = world.booked(vec![stay()]);
    booked.reservation.id = ReservationId::new(Claimant::WalkIn, 42);
    assert_eq!(world.told(&Occasion::Confirmed, &booked, at(9, 0)), None);
}

#[test]
fn a_declined_payment_says_how_long_the_spot_is_held() {
    let world = World::new();
    let failed = Occasion::PaymentFailed(1);
    let held = declined(paying(&world.held(vec![stay()]), 1));
    let told = |then| Some(Notice::PaymentFailed { amount: eur(800), then });
    let expires = Minute(held.reservation.hold_expires_at_s.unwrap() / 60);
    assert_eq!(world.told(&failed, &held, expires.plus(-1)), told(Unpaid::Held(expires)));
    assert_eq!(world.told(&failed, &held, expires), told(Unpaid::Lost));
    let again = paying(&held, 2);
    assert_eq!(world.told(&failed, &again, DAY), None, "the driver tries again");
    assert_eq!(world.told(&Occasion::PaymentFailed(2), &again, DAY), None, "not declined yet");
    let booked = world.booked(vec![stay()]);
    assert_eq!(world.told(&failed, &booked, DAY), None, "it succeeded after all");

    let longer = window(at(10, 0), at(13, 0));
    let place = (SpotIndex(3), Features::default());
    let extended = decide::modify(&booked, world.rules(), DAY.epoch_s(), mark(5), longer, place).unwrap();
    let owing = declined(paying(&after(&booked, extended), 6));
    let balance = Some(Notice::PaymentFailed { amount: eur(400), then: Unpaid::Balance });
    assert_eq!(world.told(&Occasion::PaymentFailed(2), &owing, DAY), balance);
}

#[test]
fn only_the_last_move_is_told_and_only_if_the_driver_can_see_it() {
    let world = World::new();
    let booked = world.booked(vec![stay()]);
    let place = |until, spot| Placement { window: window(at(10, 0), until), spot: SpotIndex(spot) };
    let told = |from, to, d: &Dossier| world.told(&Occasion::Moved { from, to }, d, at(9, 0));
    let (now, shorter, longer) = (place(at(12, 0), 3), place(at(11, 0), 3), place(at(13, 0), 3));
    assert_eq!(told(shorter, now, &booked), Some(Notice::Extended { window: stay(), due: None }));
    assert_eq!(told(longer, now, &booked), Some(Notice::Changed { window: stay(), due: None }));
    assert_eq!(told(place(at(12, 0), 1), now, &booked), Some(Notice::Changed { window: stay(), due: None }));
    assert_eq!(told(now, now, &booked), None, "a claim that grew with an overstay is no news");
    assert_eq!(told(now, longer, &booked), None, "moved again since");
    assert_eq!(told(shorter, now, &world.held(vec![stay()])), None, "not firm");
    let mut owing = booked.clone();
    owing.reservation.price_minor += 400;
    assert_eq!(told(shorter, now, &owing), Some(Notice::Extended { window: stay(), due: Some(eur(400)) }));
    let pooled = Lot { kind: LotKind::Pooled, ..world.lot.clone() };
    let moved = Occasion::Moved { from: place(at(12, 0), 1), to: now };
    assert_eq!(notice(&moved, &booked, &pooled, at(9, 0)), None, "spots have no names there");
}

#[test]
fn a_no_show_says_what_is_kept_and_a_series_names_no_time() {
    let world = World::new();
    let booked = world.booked(vec![stay()]);
    assert_eq!(world.told(&Occasion::NotCome, &booked, at(11, 0)), None);
    let missed = decide::no_show(&booked, world.rules(), at(10, 30).epoch_s(), mark(4), false).unwrap();
    let told = world.told(&Occasion::NotCome, &after(&booked, missed), at(11, 0));
    assert_eq!(told, Some(Notice::NoShow { window: Some(stay()), kept: eur(400), refunded: eur(400) }));
    let tomorrow = window(at(34, 0), at(36, 0));
    let series = world.booked(vec![stay(), tomorrow]);
    let missed = decide::no_show(&series, world.rules(), at(10, 30).epoch_s(), mark(4), false).unwrap();
    let told = world.told(&Occasion::NotCome, &after(&series, missed), at(11, 0)).unwrap();
    assert!(matches!(told, Notice::NoShow { window: None, .. }), "{told:?}");
}

#[test]
fn a_refund_is_told_once_it_was_carried_out() {
    let world = World::new();
    let booked = world.booked(vec![stay()]);
    let cancelled = decide::cancel(&booked, world.rules(), DAY.epoch_s(), mark(4), Reason::OperatorCancelled).unwrap();
    let mut cancelled = after(&booked, cancelled);
    assert_eq!(world.told(&Occasion::Refunded(2), &cancelled, DAY), None);
    cancelled.payments[1].status = PaymentStatus::Succeeded;
    let amount = eur(cancelled.payments[1].amount_minor);
    assert_eq!(world.told(&Occasion::Refunded(2), &cancelled, DAY), Some(Notice::Refund { amount }));
    assert_eq!(world.told(&Occasion::Refunded(1), &cancelled, DAY), None, "a charge");
    assert_eq!(world.told(&Occasion::Refunded(9), &cancelled, DAY), None);
}

#[test]
fn a_violation_is_told_as_it_stands_when_it_is_told() {
    let mut world = World::new();
    world.tariff.violations = BTreeMap::from([(ViolationKind::NoRight, Amount::from_minor(6_000))]);
    let inside = world.inside(&world.booked(vec![stay()]), at(10, 0));
    let told = |d: &Dossier, occasion| world.told(&occasion, d, at(11, 0));
    assert_eq!(told(&inside, Occasion::Fined(1)), None);
    let now_s = at(10, 30).epoch_s();
    let fined = decide::record_violation(&inside, world.rules(), now_s, mark(8), ViolationKind::NoRight).unwrap();
    let fined = after(&inside, fined);
    let notice =
        |voided| Notice::Violation { window: stay(), kind: ViolationKind::NoRight, amount: eur(6_000), voided };
    assert_eq!(told(&fined, Occasion::Fined(1)), Some(notice(false)));
    for other in [Occasion::Fined(0), Occasion::Fined(2), Occasion::Annulled(1)] {
        assert_eq!(told(&fined, other), None);
    }
    let voided = after(&fined, decide::void_violation(&fined, now_s + 60, mark(9), 1).unwrap());
    assert_eq!(told(&voided, Occasion::Annulled(1)), Some(notice(true)));
    assert_eq!(told(&voided, Occasion::Fined(1)), None, "it does not hold any more");
}

#[test]
fn a_reminder_is_of_the_awaited_start_and_only_before_it() {
    let world = World::new();
    let tomorrow = window(at(34, 0), at(36, 0));
    let series = world.booked(vec![stay(), tomorrow]);
    assert_eq!(upcoming(&series.reservation, &world.lot), Some(Occasion::StartsSoon(at(10, 0))));
    let soon = |start, d, now| world.told(&Occasion::StartsSoon(start), d, now);
    assert_eq!(soon(at(10, 0), &series, at(9, 59)), Some(Notice::Reminder { start: at(10, 0) }));
    assert_eq!(soon(at(10, 0), &series, at(10, 0)), None);
    assert_eq!(soon(at(34, 0), &series, at(9, 0)), None, "not awaited yet");
    assert_eq!(soon(at(10, 0), &world.inside(&series, at(9, 50)), at(9, 55)), None, "already there");
    assert_eq!(upcoming(&world.held(vec![stay()]).reservation, &world.lot), None);
}

#[test]
fn the_end_that_is_told_is_the_booked_one_whatever_the_claim_has_grown_to() {
    let world = World::new();
    let inside = world.inside(&world.booked(vec![stay()]), at(10, 0));
    assert_eq!(inside.reservation.claims[0].end(), at(12, 10), "with the buffer");
    assert_eq!(upcoming(&inside.reservation, &world.lot), Some(Occasion::EndsSoon(at(12, 0))));
    let soon = |end, d: &Dossier, now| world.told(&Occasion::EndsSoon(end), d, now);
    assert_eq!(soon(at(12, 0), &inside, at(11, 59)), Some(Notice::Expiring { end: at(12, 0) }));
    assert_eq!(soon(at(12, 0), &inside, at(12, 0)), None);
    assert_eq!(soon(at(12, 10), &inside, at(11, 59)), None);

    // Of a series only the claim says when a date ends, and an overstay moves it.
    let tomorrow = window(at(34, 0), at(36, 0));
    let series = world.inside(&world.booked(vec![stay(), tomorrow]), at(10, 0));
    assert_eq!(upcoming(&series.reservation, &world.lot), Some(Occasion::EndsSoon(at(12, 0))));
    let grown = decide::overstay(&series, world.rules(), at(12, 10).epoch_s(), mark(7)).unwrap();
    let grown = after(&series, grown);
    assert_eq!(grown.reservation.claims[0].end(), at(12, 25));
    assert_eq!(upcoming(&grown.reservation, &world.lot), None);
    assert_eq!(grown.reservation.status, Status::CheckedIn);
}

#[test]
fn every_notice_has_a_topic_and_only_what_cannot_wait_is_urgent() {
    let (paid, window) = (eur(1), stay());
    let notices = [
        (Notice::Confirmed { window, series: false, paid }, Topic::Bookings, true),
        (Notice::PaymentFailed { amount: paid, then: Unpaid::Lost }, Topic::Bookings, true),
        (Notice::Reminder { start: DAY }, Topic::Reminders, true),
        (Notice::Expiring { end: DAY }, Topic::Reminders, true),
        (Notice::Extended { window, due: None }, Topic::Bookings, false),
        (Notice::Changed { window, due: None }, Topic::Bookings, false),
        (Notice::NoShow { window: None, kept: paid, refunded: paid }, Topic::Bookings, false),
        (
            Notice::Violation { window, kind: ViolationKind::Unpaid, amount: paid, voided: false },
            Topic::Bookings,
            false,
        ),
        (Notice::Receipt { id: "r".to_owned() }, Topic::Receipts, false),
        (Notice::Refund { amount: paid }, Topic::Receipts, false),
    ];
    for (notice, topic, urgent) in notices {
        assert_eq!((notice.topic(), notice.is_urgent()), (topic, urgent), "{notice:?}");
    }
}
