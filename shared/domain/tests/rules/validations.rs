//! What merchants and the operator give towards a stay, and what they owe for it in the end (P15, P16).

use parkade_domain::decide::{self, Dossier, Refusal, Uses};
use parkade_domain::explain;
use parkade_domain::ids::{Claimant, ReservationId};
use parkade_domain::payment::{Means, PaymentKind, RefundReason};
use parkade_domain::policy::EarlyExit;
use parkade_domain::reservation::{Reason, Reservation, Status, VALIDATIONS_MAX};
use parkade_domain::settlement;
use parkade_domain::tariff::{
    Limit, OverstayRule, PriceRequest, RuleId, Stacking, Tariff, TariffError, Validation, ValidationUse, reprice,
};
use parkade_domain::time::Window;
use parkade_domain::vehicle::{Features, VehicleClass};
use parkade_domain::zone::LotZone;
use serde_json::json;

use super::decisions::{World, apply, mark, minute, pay, window};

/// The world of the decisions with a cinema, a café, a hotel and the operator, who give.
fn world() -> World {
    let mut world = World::new();
    let validations = json!([
        {"id": "code", "merchant": "cinema", "benefit": {"money": {"amount": 1_100}}},
        {"id": "half", "merchant": "cafe", "benefit": {"percent": {"basis_points": 5_000}}},
        {"id": "guest", "merchant": "hotel", "benefit": {"free": {}}},
        {"id": "hour", "benefit": {"time": {"minutes": 60}}},
        {"id": "flat", "merchant": "cafe", "benefit": {"override": {"amount": 300}}},
        {"id": "twice", "merchant": "cafe", "benefit": {"money": {"amount": 100}}, "limit": {"uses": 2, "period_days": 1}},
    ]);
    world.tariff.validations = serde_json::from_value::<Vec<Validation>>(validations).unwrap();
    world
}

fn given(id: &str) -> ValidationUse {
    ValidationUse { id: RuleId::new(id), used_before: 0 }
}

fn validated(world: &World, d: &Dossier, id: &str) -> Result<Dossier, Refusal> {
    let now_s = minute(6, 5).epoch_s();
    decide::validate(d, world.rules(), now_s, mark(50), &given(id)).map(|change| apply(d, change))
}

/// What the driver owes, and what each merchant does.
fn owed(world: &World, r: &Reservation) -> (i64, Vec<(String, i64)>) {
    let price = explain::owed(r, world.rules());
    assert_eq!(price.total_minor(), r.price_minor);
    let merchant =
        |debit: &parkade_domain::tariff::Debit| debit.merchant.as_ref().map_or("", RuleId::as_str).to_owned();
    (price.total_minor(), price.debits().iter().map(|debit| (merchant(debit), debit.amount_minor)).collect())
}

fn debit(merchant: &str, minor: i64) -> Vec<(String, i64)> {
    vec![(merchant.to_owned(), minor)]
}

/// Enters at the start and leaves so many minutes after it.
fn parked(world: &World, d: &Dossier, minutes: i64) -> Dossier {
    let enter = decide::check_in(d, world.rules(), minute(12, 0).epoch_s(), mark(60)).unwrap();
    let inside = apply(d, enter);
    let left_s = minute(12, minutes).epoch_s();
    apply(&inside, decide::check_out(&inside, world.rules(), left_s, mark(61), None).unwrap())
}

#[test]
fn a_code_of_eleven_on_a_session_of_five_leaves_the_driver_nothing_and_debits_five() {
    let mut world = world();
    world.tariff.rates = [(VehicleClass::Standard, 250)].into();
    let mut session = world.hold(vec![window(minute(12, 0), minute(14, 0))], minute(6, 0));
    session.reservation.id = ReservationId::new(Claimant::WalkIn, 42);
    (session.reservation.status, session.reservation.price_minor) = (Status::CheckedIn, 0);
    let inside = validated(&world, &session, "code").unwrap();
    assert_eq!(owed(&world, &inside.reservation), (0, Vec::new()), "it is priced at its exit");
    let leave = decide::check_out(&inside, world.rules(), minute(14, 0).epoch_s(), mark(61), None).unwrap();
    let out = apply(&inside, leave);
    assert_eq!(owed(&world, &out.reservation), (0, debit("cinema", 500)));
    assert_eq!((out.reservation.status, out.payments.len()), (Status::Completed, 0));
    // The receipt names what was given, and prices to the same again.
    let receipt = explain::receipt(&out.reservation, world.rules()).unwrap();
    assert_eq!(receipt.facts.validations, [given("code")]);
    assert_eq!(reprice(&world.tariff, &receipt).unwrap(), receipt.price);
}

#[test]
fn every_kind_lowers_what_is_owed_and_gives_back_what_was_paid() {
    let world = world();
    let d = world.confirmed();
    for (id, price, merchant, minor) in [
        ("code", 0, "cinema", 800),
        ("half", 400, "cafe", 400),
        ("guest", 0, "hotel", 800),
        ("flat", 300, "cafe", 500),
        ("hour", 600, "", 200),
    ] {
        let after = validated(&world, &d, id).unwrap();
        assert_eq!(owed(&world, &after.reservation), (price, debit(merchant, minor)), "{id}");
        let refund = after.payments.last().unwrap();
        assert_eq!(
            (refund.kind, refund.amount_minor),
            (PaymentKind::Refund { of: 1, reason: RefundReason::Change }, minor)
        );
        assert_eq!(after.reservation.due_minor(), 0);
    }
}

#[test]
fn several_stack_as_the_tariff_says() {
    let mut world = world();
    let both = |world: &World| {
        let one = validated(world, &world.confirmed(), "half").unwrap();
        owed(world, &validated(world, &one, "hour").unwrap().reservation)
    };
    assert_eq!(both(&world), (400, debit("cafe", 400)), "the best");
    world.tariff.validation_stacking = Stacking::All;
    assert_eq!(both(&world), (200, vec![("cafe".to_owned(), 400), (String::new(), 200)]));
}

#[test]
fn a_merchant_pays_only_for_the_time_that_was_used() {
    for (policy, half, guest) in [
        (EarlyExit::Reprice, 200, 400),
        (EarlyExit::Prorated, 200, 400),
        (EarlyExit::ProratedMinusFee { fee_minor_min: 50 }, 200, 800),
        (EarlyExit::None, 400, 800),
    ] {
        let mut world = world();
        world.lot.policy.early_exit = policy;
        let out = parked(&world, &validated(&world, &world.confirmed(), "half").unwrap(), 120);
        assert_eq!(owed(&world, &out.reservation).1, debit("cafe", half), "{policy:?}");
        // Who pays nothing saves nothing by leaving; the hotel does, unless a fee would make the driver pay.
        let out = parked(&world, &validated(&world, &world.confirmed(), "guest").unwrap(), 120);
        assert_eq!(owed(&world, &out.reservation), (0, debit("hotel", guest)), "{policy:?}");
    }
}

#[test]
fn staying_longer_uses_more_of_what_was_given_only_where_the_tariff_goes_on() {
    // Booked for 8 euros, stayed for 12; the code is good for 11.
    let per_unit = OverstayRule::PerStartedUnit { unit_minutes: 60, rate_minor: 250, admin_fee_minor: 1_000 };
    for (overstay, driver, merchant) in
        [(OverstayRule::TariffContinues, 100, 1_100), (OverstayRule::DriveUp, 400, 800), (per_unit, 1_500, 800)]
    {
        let mut world = world();
        world.tariff.overstay = overstay;
        let out = parked(&world, &validated(&world, &world.confirmed(), "code").unwrap(), 360);
        assert_eq!(owed(&world, &out.reservation), (driver, debit("cinema", merchant)), "{overstay:?}");
    }
}

#[test]
fn nobody_pays_for_a_stay_that_did_not_happen() {
    let world = world();
    let d = validated(&world, &world.confirmed(), "half").unwrap();
    let cancel = decide::cancel(&d, world.rules(), minute(7, 0).epoch_s(), mark(51), Reason::DriverCancelled).unwrap();
    assert_eq!(owed(&world, &apply(&d, cancel).reservation), (200, Vec::new()));
    let missed = decide::no_show(&d, world.rules(), minute(13, 0).epoch_s(), mark(51), false).unwrap();
    assert_eq!(owed(&world, &apply(&d, missed).reservation), (200, Vec::new()));
}

#[test]
fn what_a_change_has_kept_is_neither_given_back_nor_paid_by_a_merchant() {
    let world = world();
    let mut d = world.confirmed();
    d.reservation.kept_minor = 300;
    let after = validated(&world, &d, "guest").unwrap();
    assert_eq!(owed(&world, &after.reservation), (300, debit("hotel", 500)));
}

#[test]
fn nobody_owes_more_for_being_given_something() {
    let world = world();
    let mut d = world.confirmed();
    d.reservation.price_minor = 300;
    assert_eq!(owed(&world, &validated(&world, &d, "half").unwrap().reservation), (300, Vec::new()));
}

#[test]
fn a_change_of_the_booking_keeps_what_was_given() {
    let world = world();
    let d = validated(&world, &world.confirmed(), "half").unwrap();
    let spot = (d.reservation.spot, Features::default());
    let longer = window(minute(12, 0), minute(18, 0));
    let change = decide::modify(&d, world.rules(), minute(6, 6).epoch_s(), mark(51), longer, spot).unwrap();
    assert_eq!(owed(&world, &change.reservation), (600, debit("cafe", 600)));
    assert_eq!(change.reservation.due_minor(), 200);
}

#[test]
fn a_hold_that_costs_nothing_any_more_is_confirmed() {
    let world = world();
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let after = validated(&world, &held, "guest").unwrap();
    assert_eq!((after.reservation.status, after.reservation.hold_expires_at_s), (Status::Confirmed, None));
    let cheaper = validated(&world, &held, "half").unwrap();
    assert_eq!((cheaper.reservation.status, cheaper.reservation.due_minor()), (Status::Held, 400));
    assert_eq!(owed(&world, &pay(cheaper, minute(6, 6)).reservation), (400, debit("cafe", 400)));
}

#[test]
fn what_may_not_be_given_is_refused() {
    let world = world();
    let d = world.confirmed();
    let once = validated(&world, &d, "half").unwrap();
    assert_eq!(validated(&world, &once, "half"), Err(Refusal::AlreadyValidated));
    let unknown = Refusal::Tariff(TariffError::UnknownValidation { position: 0 });
    assert_eq!(validated(&world, &d, "nothing"), Err(unknown));
    let used = ValidationUse { used_before: 2, ..given("twice") };
    let refused = decide::validate(&d, world.rules(), minute(6, 5).epoch_s(), mark(50), &used);
    assert_eq!(refused, Err(Refusal::Tariff(TariffError::ValidationUsedUp { position: 0 })));
    // Also a drive-up, which is priced at its exit.
    let mut drive_up = d.clone();
    drive_up.reservation.id = ReservationId::new(Claimant::WalkIn, 42);
    let refused = decide::validate(&drive_up, world.rules(), minute(6, 5).epoch_s(), mark(50), &used);
    assert_eq!(refused, Err(Refusal::Tariff(TariffError::ValidationUsedUp { position: 0 })));
    let mut full = d.clone();
    full.reservation.validations = ["code", "half", "hour", "flat"].map(given).to_vec();
    assert_eq!(full.reservation.validations.len(), VALIDATIONS_MAX);
    assert_eq!(validated(&world, &full, "guest"), Err(Refusal::TooManyValidations));
    let mut series = d.clone();
    series.reservation.series = true;
    assert_eq!(validated(&world, &series, "half"), Err(Refusal::Series));
    let out = parked(&world, &d, 240);
    assert!(matches!(validated(&world, &out, "half"), Err(Refusal::State(_))));
    let held = world.hold(vec![window(minute(12, 0), minute(16, 0))], minute(6, 0));
    let intent = decide::pay(&held, minute(6, 1).epoch_s(), mark(2), Means::card("pm_1"), None).unwrap();
    let asked = Dossier { payments: vec![intent.clone()], ..held.clone() };
    assert_eq!(validated(&world, &asked, "half"), Err(Refusal::PaymentInProgress(intent.id)));
    let late = decide::validate(&held, world.rules(), minute(7, 0).epoch_s(), mark(50), &given("half"));
    assert_eq!(late, Err(Refusal::HoldExpired));
}

#[test]
fn a_stay_that_is_sold_in_parts_uses_what_was_given_once() {
    let day = json!({"currency": "EUR", "tables": [{"id": "all", "windows": [
        {"id": "day", "at": {"from": "08:00", "to": "20:00"}, "charge": [{"every_minutes": 60, "add": 100}]}]}],
        "validations": [{"id": "code", "merchant": "cinema", "benefit": {"money": {"amount": 1_100}}}]});
    let tariff: Tariff = serde_json::from_value(day).unwrap();
    let (zone, given) = (LotZone::parse("UTC").unwrap(), [given("code")]);
    let overnight = Window::new(minute(18, 0), minute(34, 0)).unwrap();
    let request = PriceRequest { validations: &given, ..PriceRequest::stay(&zone, VehicleClass::Standard, overnight) };
    let price = settlement::drive_up(&tariff, &request).unwrap();
    assert_eq!((price.total_minor(), price.debited_minor()), (200, 200));
}

#[test]
fn uses_count_for_a_period_each() {
    let limit = Limit { uses: 2, period_days: 1 };
    let stay = |n| ReservationId::new(Claimant::Reservation, n);
    let uses = Uses::default().with(stay(1), limit, 0).with(stay(2), limit, 40_000);
    assert_eq!([0, 86_399, 86_400, 126_400].map(|now_s| uses.counting(limit, now_s)), [2, 2, 1, 0]);
    assert_eq!((uses.version, uses.end_s(limit)), (2, 126_400));
    let later = uses.with(stay(3), limit, 90_000);
    assert_eq!(later.uses, [(40_000, stay(2)), (90_000, stay(3))], "what no longer counts is forgotten");
}

#[test]
fn another_tariff_is_tried_with_what_it_knows_of_what_was_given() {
    let world = world();
    let out = parked(&world, &validated(&world, &world.confirmed(), "half").unwrap(), 240);
    assert_eq!(explain::would_owe(&out.reservation, world.rules()), Some(400));
    let other = World::new();
    assert_eq!(explain::would_owe(&out.reservation, other.rules()), Some(800));
}
