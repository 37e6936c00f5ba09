//! Every step of a reservation, a payment and a spot has exactly the events that are documented for it.
#![cfg(test)]

use chrono::{DateTime, Utc};
use parkade_domain::adjustment::{Adjustment, AdjustmentKind, ViolationKind};
use parkade_domain::decide::{self, Change, Dossier, NewReservation, Rules};
use parkade_domain::document::{Entry, Kind};
use parkade_domain::geometry::Shape;
use parkade_domain::ids::{Claimant, PaymentId, ReceiptId, ReservationId, SpotIndex};
use parkade_domain::lot::Lot;
use parkade_domain::money::{Currency, Money};
use parkade_domain::payment::{Means, Payment, PaymentStatus};
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{Command, Mark, Reason, Reservation, Status, TRANSITIONS};
use parkade_domain::tariff::{RuleId, Tariff, ValidationUse};
use parkade_domain::time::Window;
use parkade_domain::vehicle::Features;
use parkade_events::{Event, EventName, events};
use parkade_store::{Block, Image};
use parkade_tests::given::{T0, T0_S, booking, lot, tariff, window};

/// The driver of every reservation here; also the payment method below must never be told.
const USER: u64 = 4711;
const METHOD: &str = "pm_card_visa";

struct Given {
    lot: Lot,
    tariff: Tariff,
}

impl Given {
    fn new() -> Self {
        Self { lot: lot(Shape::Hourly, LotPolicy::default()), tariff: tariff() }
    }

    fn rules(&self) -> Rules<'_> {
        Rules::ordinary(&self.lot, &self.tariff)
    }

    fn held(&self, windows: Vec<Window>) -> Dossier {
        let reservation = decide::hold(self.rules(), &booking(1, USER, windows), SpotIndex(3), T0_S).unwrap();
        Dossier { reservation, payments: Vec::new() }
    }

    /// A reservation in `status`, of one stay or of a series, reached by the commands that lead there.
    fn standing(&self, status: Status, series: bool) -> Dossier {
        let windows = if series { vec![window(60, 120), window(1_500, 1_560)] } else { vec![window(60, 120)] };
        let held = self.held(windows);
        let confirmed = || after(&held, charged(&held));
        let inside =
            || after(&confirmed(), decide::check_in(&confirmed(), self.rules(), T0_S + 3_600, mark(2)).unwrap());
        match status {
            Status::Held => held,
            Status::Confirmed => confirmed(),
            Status::CheckedIn => inside(),
            Status::Completed => {
                let change = decide::check_out(&inside(), self.rules(), T0_S + 7_200, mark(3), None).unwrap();
                after(&inside(), change)
            }
            Status::Cancelled => {
                let change = decide::cancel(&held, self.rules(), T0_S, mark(3), Reason::DriverCancelled).unwrap();
                after(&held, change)
            }
            Status::Expired => after(&held, decide::expire(&held, T0_S + 600, mark(3)).unwrap()),
            Status::NoShow => {
                let change = decide::no_show(&confirmed(), self.rules(), T0_S + 5_400, mark(3), false).unwrap();
                after(&confirmed(), change)
            }
        }
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

/// What is owed, paid: the intent and its success.
fn charged(d: &Dossier) -> Change {
    let requested = Payment { amount_minor: 400, ..requested(d) };
    succeeded(d, requested)
}

fn requested(d: &Dossier) -> Payment {
    let owing =
        Reservation { status: Status::Held, price_minor: d.reservation.paid_minor + 400, ..d.reservation.clone() };
    let owing = Dossier { reservation: owing, payments: d.payments.clone() };
    decide::pay(&owing, T0_S, mark(90), Means::card(METHOD), None).unwrap()
}

fn succeeded(d: &Dossier, requested: Payment) -> Change {
    let known = Dossier { payments: d.payments.iter().cloned().chain([requested.clone()]).collect(), ..d.clone() };
    let paid =
        Payment { status: PaymentStatus::Succeeded, provider_reference: Some("pi_1".into()), version: 2, ..requested };
    decide::charged(&known, &paid, T0_S + 60, mark(91), d.reservation.spot).unwrap()
}

fn violation() -> Adjustment {
    let kind = AdjustmentKind::Violation(ViolationKind::WrongSpot);
    Adjustment { kind, amount_minor: 4_000, at_s: T0_S, voided_at_s: None }
}

fn image(reservation: &Reservation) -> Image {
    Image::Reservation(Box::new(reservation.clone()))
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(T0_S + seconds, 0).unwrap()
}

fn names(old: &Image, new: &Image) -> Vec<&'static str> {
    let events = events(old, new, at(0));
    events.iter().map(|event| event.name.as_str()).collect()
}

/// The change that `command` makes to `d`, once for each of its outcomes, with the names of its events.
fn outcomes(given: &Given, d: &Dossier, command: Command) -> Vec<(Change, &'static [&'static str])> {
    let (rules, status) = (given.rules(), d.reservation.status);
    match command {
        // Only the payment is written.
        Command::Pay => vec![(Change { reservation: d.reservation.clone(), payments: vec![requested(d)] }, &[])],
        Command::Confirm => {
            let confirms = matches!(status, Status::Held | Status::Expired);
            let mut outcomes = vec![(charged(d), if confirms { &["reservation.confirmed.v1"] as &[_] } else { &[] })];
            if confirms {
                let paid = Payment { status: PaymentStatus::Succeeded, version: 2, ..requested(d) };
                let known = Dossier { payments: vec![requested(d)], ..d.clone() };
                let late = decide::paid_too_late(&known, &paid, T0_S + 700, mark(91)).unwrap();
                let told: &[_] = if status == Status::Held { &["reservation.expired.v1"] } else { &[] };
                outcomes.push((late, told));
            }
            outcomes
        }
        Command::Cancel => {
            let change = decide::cancel(d, rules, T0_S, mark(9), Reason::DriverCancelled).unwrap();
            vec![(change, &["reservation.cancelled.v1"])]
        }
        Command::Expire => vec![(decide::expire(d, T0_S + 600, mark(9)).unwrap(), &["reservation.expired.v1"])],
        Command::NoShow | Command::MissOccurrence => {
            vec![(decide::no_show(d, rules, T0_S + 5_400, mark(9), false).unwrap(), &["reservation.no-show.v1"])]
        }
        Command::Modify => {
            let change = decide::modify(
                d,
                rules,
                T0_S + 60,
                mark(9),
                window(60, 180),
                (d.reservation.spot, Features::default()),
            )
            .unwrap();
            vec![(change, &["reservation.modified.v1"])]
        }
        Command::CheckIn => {
            vec![(decide::check_in(d, rules, T0_S + 3_600, mark(9)).unwrap(), &["parking.entry.v1"])]
        }
        Command::CheckOut => {
            let change = decide::check_out(d, rules, T0_S + 7_000, mark(9), None).unwrap();
            vec![(change, &["parking.exit.v1", "reservation.completed.v1"])]
        }
        Command::CheckOutOfOccurrence => {
            vec![(decide::check_out(d, rules, T0_S + 7_000, mark(9), None).unwrap(), &["parking.exit.v1"])]
        }
        Command::Overstay => {
            let longest = LotPolicy { max_session_minutes: 60, ..LotPolicy::default() };
            let bounded = Given { lot: lot(Shape::Hourly, longest), tariff: tariff() };
            let stays = decide::overstay(d, rules, T0_S + 7_200, mark(9)).unwrap();
            let closed = decide::overstay(d, bounded.rules(), T0_S + 7_200, mark(9)).unwrap();
            vec![(stays, &["reservation.modified.v1"]), (closed, &["reservation.completed.v1"])]
        }
        Command::Relocate => {
            let moved = decide::relocate(d, rules, T0_S, mark(9), Some((SpotIndex(4), Features::default()))).unwrap();
            let blocked = decide::relocate(d, rules, T0_S, mark(9), None).unwrap();
            vec![(moved, &["reservation.modified.v1"]), (blocked, &["reservation.spot-blocked.v1"])]
        }
        Command::Validate => {
            let given = |id| {
                let given = ValidationUse { id: RuleId::new(id), used_before: 0 };
                decide::validate(d, rules, T0_S, mark(9), &given).unwrap()
            };
            // What is given is told by the refund it causes; a hold that costs nothing any more is confirmed.
            let told: &[_] = if status == Status::Held { &["reservation.confirmed.v1"] } else { &[] };
            vec![(given("half"), &[]), (given("code"), told)]
        }
        Command::RecordViolation => {
            let kind = ViolationKind::WrongSpot;
            vec![(decide::record_violation(d, rules, T0_S + 9_000, mark(9), kind).unwrap(), &["violation.detected.v1"])]
        }
        Command::VoidViolation => {
            vec![(decide::void_violation(d, T0_S + 9_000, mark(9), 1).unwrap(), &["violation.voided.v1"])]
        }
        // What is waived is told to nobody, what goes back by its refund.
        Command::GiveGoodwill => {
            let some = Money::new(100, d.reservation.currency);
            vec![(decide::give_goodwill(d, rules, T0_S + 9_000, mark(9), some).unwrap(), &[])]
        }
    }
}

#[test]
fn every_transition_of_the_state_machine_has_exactly_its_documented_events() {
    let given = Given::new();
    for (status, command, _) in TRANSITIONS {
        let series = matches!(command, Command::MissOccurrence | Command::CheckOutOfOccurrence);
        let mut before = given.standing(status, series);
        assert_eq!(before.reservation.status, status);
        if matches!(command, Command::VoidViolation | Command::GiveGoodwill) {
            before.reservation.adjustments.push(violation());
        }
        for (change, expected) in outcomes(&given, &before, command) {
            let (old, new) = (image(&before.reservation), image(&change.reservation));
            assert_eq!(names(&old, &new), expected, "{status:?} {command:?}");
            assert!(names(&new, &new).is_empty(), "an unchanged image after {status:?} {command:?}");
            assert!(names(&new, &Image::Absent).is_empty(), "housekeeping after {status:?} {command:?}");
        }
    }
}

#[test]
fn a_new_record_is_a_hold_or_an_entry() {
    let given = Given::new();
    assert_eq!(
        names(&Image::Absent, &image(&given.standing(Status::Held, false).reservation)),
        ["reservation.held.v1"]
    );
    let drive_up =
        NewReservation { id: ReservationId::new(Claimant::WalkIn, 5), ..booking(5, USER, vec![window(0, 120)]) };
    let walk_in = decide::walk_in(given.rules(), &drive_up, SpotIndex(0), T0_S).unwrap();
    assert_eq!(names(&Image::Absent, &image(&walk_in)), ["parking.entry.v1"]);
}

/// A charge and a refund, each in every status.
fn payments() -> (Payment, Payment) {
    let given = Given::new();
    let held = given.standing(Status::Held, false);
    let confirmed = after(&held, charged(&held));
    let cancelled = decide::cancel(&confirmed, given.rules(), T0_S, mark(9), Reason::SpotOutOfService).unwrap();
    (requested(&held), cancelled.payments[0].clone())
}

#[test]
fn every_step_of_a_charge_and_of_a_refund_has_exactly_its_event() {
    use PaymentStatus as S;
    let (charge, refund) = payments();
    let cases = [
        (&charge, ["payment.requested.v1", "payment.processed.v1", "payment.failed.v1", "payment.failed.v1"]),
        (&refund, ["refund.requested.v1", "refund.processed.v1", "refund.failed.v1", "refund.failed.v1"]),
    ];
    for (requested, expected) in cases {
        let image = |payment: &Payment| Image::Payment(Box::new(payment.clone()));
        let new = image(requested);
        assert_eq!(names(&Image::Absent, &new), [expected[0]]);
        assert!(names(&new, &new).is_empty());
        for (status, expected) in [S::Succeeded, S::Declined, S::Void].into_iter().zip(&expected[1..]) {
            let settled = image(&Payment { status, version: 2, ..requested.clone() });
            assert_eq!(names(&new, &settled), [*expected], "{status:?}");
        }
    }
}

fn document() -> Image {
    let number = "lot-1-2025-000042".parse().unwrap();
    let (id, kind) = (ReceiptId::of(payments().1.id), Kind::CreditNote);
    let currency = Currency::from_code("EUR").unwrap();
    Image::Document(Box::new(Entry {
        position: 2,
        id,
        kind,
        number,
        total_minor: -400,
        currency,
        issued_at_s: T0_S + 9,
    }))
}

#[test]
fn a_document_is_told_once_when_it_is_issued() {
    assert_eq!(names(&Image::Absent, &document()), ["receipt.issued.v1"]);
    assert_eq!(names(&document(), &document()), Vec::<&str>::new());
    assert_eq!(events(&Image::Absent, &document(), at(60))[0].occurred_at, at(9), "when it was issued");
}

fn block() -> Block {
    let id = ReservationId::new(Claimant::OutOfService, 77);
    Block { lot: lot(Shape::Hourly, LotPolicy::default()).id, spot: SpotIndex(3), id, window: window(60, 120) }
}

#[test]
fn an_out_of_service_interval_is_told_when_it_is_made_and_when_it_is_withdrawn_and_a_lot_never() {
    let block = Image::Block(block());
    assert_eq!(names(&Image::Absent, &block), ["spot.status-changed.v1"]);
    assert_eq!(names(&block, &Image::Absent), ["spot.status-changed.v1"]);
    assert!(names(&block, &block).is_empty());
    assert!(names(&Image::Absent, &Image::Other).is_empty() && names(&Image::Other, &Image::Other).is_empty());
}

#[test]
fn ids_are_the_same_for_every_delivery_and_different_for_every_change() {
    let given = Given::new();
    let stages =
        [Status::Held, Status::Confirmed, Status::CheckedIn, Status::Completed].map(|s| given.standing(s, false));
    let mut steps = vec![(Image::Absent, image(&stages[0].reservation))];
    steps.extend(stages.windows(2).map(|pair| (image(&pair[0].reservation), image(&pair[1].reservation))));
    let (charge, refund) = payments();
    for requested in [charge, refund] {
        let requested =
            Payment { id: PaymentId { reservation: stages[0].reservation.id, ..requested.id }, ..requested };
        let settled = Payment { status: PaymentStatus::Succeeded, version: 2, ..requested.clone() };
        let (requested, settled) = (Image::Payment(Box::new(requested)), Image::Payment(Box::new(settled)));
        steps.extend([(Image::Absent, requested.clone()), (requested, settled)]);
    }
    steps.extend([(Image::Absent, Image::Block(block())), (Image::Block(block()), Image::Absent)]);
    let ids = || steps.iter().flat_map(|(old, new)| events(old, new, at(5))).map(|event| event.id).collect::<Vec<_>>();
    let mut once = ids();
    assert_eq!(once, ids());
    assert_eq!(once.len(), 11);
    assert_eq!(once[1], format!("{}#v2#reservation.confirmed.v1", stages[0].reservation.id.code()));
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 11, "{once:?}");
}

/// One event of each shape, as the bus gets them.
fn samples() -> Vec<Event> {
    let given = Given::new();
    let held = given.standing(Status::Held, false);
    let confirmed = given.standing(Status::Confirmed, false);
    let inside = given.standing(Status::CheckedIn, false);
    let left = given.standing(Status::Completed, false);
    let cancelled = given.standing(Status::Cancelled, false);
    let fined =
        decide::record_violation(&left, given.rules(), T0_S + 9_000, mark(9), ViolationKind::WrongSpot).unwrap();
    let (charge, refund) = payments();
    let code = Some("insufficient_funds".to_owned());
    let declined = Payment { status: PaymentStatus::Declined, decline_code: code, version: 2, ..charge.clone() };
    let payment = |p: &Payment| Image::Payment(Box::new(p.clone()));
    [
        (Image::Absent, image(&held.reservation)),
        (image(&held.reservation), image(&confirmed.reservation)),
        (image(&confirmed.reservation), image(&inside.reservation)),
        (image(&inside.reservation), image(&left.reservation)),
        (image(&held.reservation), image(&cancelled.reservation)),
        (Image::Absent, payment(&charge)),
        (payment(&charge), payment(&declined)),
        (Image::Absent, payment(&refund)),
        (Image::Absent, document()),
        (image(&left.reservation), image(&fined.reservation)),
        (Image::Absent, Image::Block(block())),
        (Image::Block(block()), Image::Absent),
    ]
    .iter()
    .flat_map(|(old, new)| events(old, new, at(1)))
    .collect()
}

#[test]
fn the_json_of_events_is_as_promised_to_consumers() {
    let json: Vec<_> = samples().iter().map(|event| (event.name.as_str(), event.to_json())).collect();
    insta::assert_json_snapshot!(json);
}

#[test]
fn no_event_tells_a_plate_a_person_or_a_token() {
    let given = Given::new();
    let plate = given.standing(Status::Held, false).reservation.plate.unwrap();
    let hex: String = plate.index.iter().map(|byte| format!("{byte:02x}")).collect();
    for event in samples() {
        let json = event.to_json().to_string();
        for secret in [format!("driver-{USER}").as_str(), METHOD, &hex, "pi_1"] {
            assert!(!json.contains(secret), "{secret} in {json}");
        }
    }
}

#[test]
fn an_event_says_when_the_record_says_it_happened() {
    let told = |name| samples().into_iter().find(|event| event.name == name).unwrap().occurred_at;
    assert_eq!(told(EventName::ReservationHeld), T0.instant());
    assert_eq!(told(EventName::ParkingEntry), at(3_600));
    assert_eq!(told(EventName::ParkingExit), at(7_200));
    assert_eq!(told(EventName::PaymentRequested), T0.instant());
    assert_eq!(told(EventName::ReservationConfirmed), at(1));
}
