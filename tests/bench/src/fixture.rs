//! What the measurements start from: a lot on an engine of its own, and reservations in it.

use std::collections::BTreeMap;

use parkade_domain::decide::NewReservation;
use parkade_domain::geometry::{Geometry, Shape};
use parkade_domain::ids::{CalendarVersion, Claimant, LotId, ReservationId, TariffVersion, UserId};
use parkade_domain::lot::{Lot, LotKind, NewSpot};
use parkade_domain::money::Currency;
use parkade_domain::policy::LotPolicy;
use parkade_domain::reservation::{Mark, SealedPlate};
use parkade_domain::tariff::Tariff;
use parkade_domain::time::{DAY_MINUTES, Minute, Window};
use parkade_domain::vehicle::{Features, SpotSize, Vehicle, VehicleClass};
use parkade_domain::zone::LotZone;
use parkade_store::{Access, LotDocuments, Order, Reserve, Store, TableNames};
use parkade_testkit::{CALENDAR, DERIVED, Engine, Faults, LEDGER, Meter, RECORDS};

use crate::Failure;

/// The present of the measurements: Monday 2 March 2026, 08:00 UTC. Only what runs in another process sees the real clock.
pub(crate) const NOW_S: i64 = 1_772_438_400;
/// Who drives.
pub(crate) const DRIVER: &str = "driver-1";

/// Numbers that look random and are the same in every run (SplitMix64).
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `from..=to`.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to - from).unwrap_or(0) + 1;
        from + i64::try_from(self.next() % span).unwrap_or(0)
    }
}

/// A lot on an engine, and a counted client on it.
pub(crate) struct Fixture {
    pub(crate) engine: Engine,
    pub(crate) meter: Meter,
    pub(crate) faults: Faults,
    pub(crate) store: Store,
    pub(crate) lot: LotId,
    pub(crate) geometry: Geometry,
}

impl Fixture {
    /// A lot of equal spots. Calls made for it are not counted.
    pub(crate) async fn new(spots: u16, shape: Shape) -> Result<Self, Failure> {
        Self::on(Engine::memory()?, spots, shape).await
    }

    pub(crate) async fn on(engine: Engine, spots: u16, shape: Shape) -> Result<Self, Failure> {
        let (meter, faults) = (Meter::default(), Faults::none());
        let store = Store::new(engine.metered_client(faults.clone(), meter.clone()), tables());
        let zone = LotZone::parse("Europe/Amsterdam")?;
        let geometry = Geometry { shape, offset_minutes: zone.quiet_hours_offset_minutes() };
        let lot = LotId::new(format!("lot-{spots}"))?;
        let documents = LotDocuments { tariff: Some(tariff()?), calendar: None };
        store.put_lot(described(lot.clone(), zone, geometry)?, documents, None, NOW_S).await?;
        let spot = |n: u16| NewSpot {
            number: format!("{:04}", n + 1),
            zone: "P".to_owned(),
            size: SpotSize::Standard,
            features: Features::default(),
        };
        store.put_spots(&lot, (0..spots).map(spot).collect()).await?;
        // What an instance knows after its first request.
        store.lot(&lot).await?;
        store.tariff(&lot, TariffVersion(1)).await?;
        meter.reset();
        Ok(Self { engine, meter, faults, store, lot, geometry })
    }

    /// Another instance of a function: its own client, its own memory.
    pub(crate) fn instance(&self) -> Store {
        Store::new(self.engine.metered_client(self.faults.clone(), self.meter.clone()), tables())
    }

    /// Midnight local time (about) at the start of the calendar page that is `days` after today's.
    pub(crate) fn day(&self, days: i64) -> Minute {
        let today = (NOW_S / 60 - self.geometry.offset_minutes).div_euclid(DAY_MINUTES);
        Minute((today + days) * DAY_MINUTES + self.geometry.offset_minutes)
    }

    /// `[from, until)` in hours after [`Self::day`].
    pub(crate) fn window(&self, days: i64, from_h: i64, until_h: i64) -> Result<Window, Failure> {
        let day = self.day(days);
        Ok(Window::new(day.plus(from_h * 60), day.plus(until_h * 60))?)
    }

    /// A request for the best spot; `n` makes it a new one.
    pub(crate) fn request(&self, n: u64, windows: Vec<Window>) -> Result<Reserve, Failure> {
        let mut fingerprint = [0; 16];
        fingerprint.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
        let id = ReservationId::new(Claimant::Reservation, Sequence(n).next());
        let plate = SealedPlate { sealed: vec![0; 40], index: fingerprint };
        let new = NewReservation {
            id,
            lot: self.lot.clone(),
            user: UserId::new(DRIVER)?,
            vehicle: vehicle(),
            plate: Some(plate),
            windows,
            fingerprint,
        };
        Ok(Reserve { new, spot: None, promise: None, now_s: NOW_S })
    }

    /// Books windows on every spot of one day, the same for each run: what `windows_of` gives for the spot.
    pub(crate) async fn fill(
        &self,
        mut windows_of: impl FnMut(&mut Sequence) -> Vec<(i64, i64)>,
        days: i64,
    ) -> Result<(), Failure> {
        let facts = self.store.lot(&self.lot).await?.ok_or("the lot is gone")?;
        let (day, mut sequence) = (self.day(days), Sequence(7));
        let mut n = 1_000_000;
        for spot in &facts.directory.spots {
            for (from, until) in windows_of(&mut sequence) {
                n += 1;
                let mut request = self.request(n, vec![Window::new(day.plus(from), day.plus(until))?])?;
                request.spot = Some(spot.number.clone());
                self.store.reserve(&request).await?;
            }
        }
        self.meter.reset();
        Ok(())
    }
}

/// Stays of 2 to 6 hours with pauses between them, in minutes of the day: about 65 % of the time is sold.
pub(crate) fn busy_day(sequence: &mut Sequence) -> Vec<(i64, i64)> {
    let (mut windows, mut at) = (Vec::new(), sequence.between(0, 8) * 15);
    loop {
        let end = at + sequence.between(8, 24) * 15;
        if end > DAY_MINUTES {
            return windows;
        }
        windows.push((at, end));
        at = end + sequence.between(0, 17) * 15;
    }
}

/// `n` stays of equal length, spread over the day.
pub(crate) fn even_day(n: i64, minutes: i64) -> Vec<(i64, i64)> {
    (0..n).map(|k| k * (DAY_MINUTES / n.max(1))).map(|from| (from, from + minutes)).collect()
}

pub(crate) fn vehicle() -> Vehicle {
    Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false }
}

/// A driver's command on a reservation; `n` makes it a new one.
pub(crate) fn order(id: ReservationId, n: u64, now_s: i64) -> Order {
    Order { id, access: Access::All, mark: Mark { key: n, fingerprint: n }, expected_version: None, now_s }
}

pub(crate) fn tables() -> TableNames {
    TableNames {
        calendar: CALENDAR.name.to_owned(),
        records: RECORDS.name.to_owned(),
        ledger: LEDGER.name.to_owned(),
        derived: DERIVED.name.to_owned(),
    }
}

fn described(id: LotId, zone: LotZone, geometry: Geometry) -> Result<Lot, Failure> {
    Ok(Lot {
        id,
        name: "Measured".to_owned(),
        address: "Kade 1".to_owned(),
        latitude_microdegrees: 52_379_000,
        longitude_microdegrees: 4_900_000,
        zone,
        currency: Currency::from_code("EUR")?,
        kind: LotKind::Assigned,
        geometry,
        policy: LotPolicy { hold_ttl_s: 3_600, ..LotPolicy::default() },
        tariff: TariffVersion(0),
        upcoming: Vec::new(),
        newest_tariff: TariffVersion(0),
        calendar: CalendarVersion::default(),
        version: 0,
    })
}

fn tariff() -> Result<Tariff, Failure> {
    Ok(Tariff {
        version: TariffVersion(1),
        unit_minutes: 30,
        rates: BTreeMap::from([(VehicleClass::Standard, 200)]),
        daily_cap: Some(BTreeMap::from([(VehicleClass::Standard, 3_000)])),
        ..Tariff::new(Currency::from_code("EUR")?)
    })
}
