//! What the suites start from: lots, vehicles, bookings.

use std::collections::BTreeMap;

use parkade_domain::adjustment::ViolationKind;
use parkade_domain::decide::NewReservation;
use parkade_domain::geometry::{Geometry, Shape};
use parkade_domain::ids::{CalendarVersion, Claimant, LotId, ReservationId, TariffVersion, UserId};
use parkade_domain::lot::{Lot, LotKind, NewSpot};
use parkade_domain::money::Currency;
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::SealedPlate;
use parkade_domain::tariff::{Amount, Benefit, Limit, RuleId, Tariff, Validation};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Features, Vehicle, VehicleClass};
use parkade_domain::zone::LotZone;
use parkade_store::LotDocuments;

/// When the suites begin: on the quarter hour, six and a half hours before a page of the lot's calendar ends.
pub const T0: Minute = Minute(29_000_010);
/// The same in seconds.
pub const T0_S: i64 = T0.0 * 60;
/// What a quarter of an hour costs, in cents.
pub const RATE_MINOR: i64 = 100;

/// The lot of a suite.
#[must_use]
pub fn lot(shape: Shape, policy: LotPolicy) -> Lot {
    Lot {
        id: LotId::new("lot-1").unwrap(),
        name: "Main street".to_owned(),
        address: "Main street 1".to_owned(),
        latitude_microdegrees: 52_520_000,
        longitude_microdegrees: 13_405_000,
        zone: LotZone::parse("Europe/Berlin").unwrap(),
        currency: Currency::from_code("EUR").unwrap(),
        kind: LotKind::Assigned,
        geometry: Geometry { shape, offset_minutes: 240 },
        policy,
        tariff: TariffVersion(0),
        upcoming: Vec::new(),
        newest_tariff: TariffVersion(0),
        calendar: CalendarVersion::default(),
        version: 0,
    }
}

/// A rate per started quarter of an hour, the same for every class, without a cap.
#[must_use]
pub fn tariff() -> Tariff {
    Tariff {
        version: TariffVersion(1),
        unit_minutes: 15,
        rates: VehicleClass::ALL.into_iter().map(|class| (class, RATE_MINOR)).collect::<BTreeMap<_, _>>(),
        validations: validations(),
        violations: BTreeMap::from([(ViolationKind::WrongSpot, Amount::from_minor(4_000))]),
        ..Tariff::new(Currency::from_code("EUR").unwrap())
    }
}

/// A cinema's voucher, and half the price from a café, for each vehicle twice a day.
fn validations() -> Vec<Validation> {
    let validation = |id: &str, merchant: &str, benefit, limit| Validation {
        id: RuleId::new(id),
        merchant: Some(RuleId::new(merchant)),
        benefit,
        limit,
    };
    vec![
        validation("code", "cinema", Benefit::Money { amount: Amount::from_minor(1_100) }, None),
        validation("half", "cafe", Benefit::Percent { basis_points: 5_000 }, Some(Limit { uses: 2, period_days: 1 })),
    ]
}

/// What a lot starts with: [`tariff`], and no holidays.
#[must_use]
pub fn documents() -> LotDocuments {
    LotDocuments { tariff: Some(tariff()), calendar: None }
}

/// Spots `1` to `count`, all alike.
#[must_use]
pub fn spots(count: u16) -> Vec<NewSpot> {
    let spot = |n| NewSpot {
        number: format!("{n:04}"),
        zone: "A".to_owned(),
        size: VehicleClass::Standard,
        features: Features::default(),
    };
    (1..=count).map(spot).collect()
}

/// An ordinary car.
pub const CAR: Vehicle = Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false };

/// `[from, until)` in minutes after [`T0`].
#[must_use]
pub fn window(from: i64, until: i64) -> Window {
    Window::new(T0.plus(from), T0.plus(until)).unwrap()
}

/// The id that a driver's idempotency key gives.
#[must_use]
pub const fn id(key: u64) -> ReservationId {
    ReservationId::new(Claimant::Reservation, scattered(key))
}

/// A booking by driver `user` under idempotency key `key`. The fingerprint depends on what is asked for, not on the key.
#[must_use]
pub fn booking(key: u64, user: u64, windows: Vec<Window>) -> NewReservation {
    let asked = windows
        .iter()
        .fold(user, |hash, w| scattered(hash ^ scattered(w.start().0.unsigned_abs()) ^ w.end().0.unsigned_abs()));
    NewReservation {
        id: id(key),
        lot: LotId::new("lot-1").unwrap(),
        user: UserId::new(format!("driver-{user}")).unwrap(),
        vehicle: CAR,
        plate: Some(SealedPlate { sealed: vec![7; 40], index: u128::from(user).to_be_bytes() }),
        windows,
        fingerprint: u128::from(asked).to_be_bytes(),
    }
}

/// As [`booking`], for a vehicle that drives up.
#[must_use]
pub fn drive_up(key: u64, user: u64) -> NewReservation {
    let new = booking(key, user, vec![window(0, 15)]);
    NewReservation { id: ReservationId::new(Claimant::WalkIn, scattered(key)), ..new }
}

/// Spreads small numbers over 64 bits, as a keyed hash does.
const fn scattered(n: u64) -> u64 {
    let mut mixed = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
