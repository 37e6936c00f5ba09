//! What the tests start from.

use std::collections::BTreeMap;

use parkade_domain::geometry::{Geometry, Shape};
use parkade_domain::ids::{CalendarVersion, LotId, TariffVersion};
use parkade_domain::lot::{Lot, LotKind};
use parkade_domain::money::Currency;
use parkade_domain::policy::LotPolicy;
use parkade_domain::tariff::{CapPeriod, OverstayRule, Price, PriceRequest, Tariff};
use parkade_domain::time::Window;
use parkade_domain::vehicle::VehicleClass;
use parkade_domain::zone::LotZone;

pub(crate) fn zone(name: &str) -> LotZone {
    LotZone::parse(name).unwrap()
}

pub(crate) fn window(zone: LotZone, start: &str, end: &str) -> Window {
    Window::new(zone.parse_time(start).unwrap(), zone.parse_time(end).unwrap()).unwrap()
}

/// A tariff for standard cars.
pub(crate) fn tariff(currency: &str, unit_minutes: u32, rate_minor: i64, cap: Option<(i64, CapPeriod)>) -> Tariff {
    Tariff {
        version: TariffVersion(7),
        unit_minutes,
        rates: BTreeMap::from([(VehicleClass::Standard, rate_minor)]),
        daily_cap: cap.map(|(cap_minor, _)| BTreeMap::from([(VehicleClass::Standard, cap_minor)])),
        cap_period: cap.map_or(CapPeriod::Rolling24h, |(_, period)| period),
        overstay: OverstayRule::TariffContinues,
        ..Tariff::new(Currency::from_code(currency).unwrap())
    }
}

pub(crate) fn price(tariff: &Tariff, zone: LotZone, window: Window) -> Price {
    tariff.price(&PriceRequest::booking(&zone, VehicleClass::Standard, window)).unwrap()
}

/// A lot in Berlin whose first tariff is in force.
pub(crate) fn lot() -> Lot {
    Lot {
        id: LotId::new("lot").unwrap(),
        name: "Lot".into(),
        address: String::new(),
        latitude_microdegrees: 0,
        longitude_microdegrees: 0,
        zone: LotZone::parse("Europe/Berlin").unwrap(),
        currency: Currency::from_code("EUR").unwrap(),
        kind: LotKind::Assigned,
        geometry: Geometry { shape: Shape::Hourly, offset_minutes: 180 },
        policy: LotPolicy::default(),
        tariff: TariffVersion(1),
        upcoming: Vec::new(),
        newest_tariff: TariffVersion(1),
        calendar: CalendarVersion::default(),
        version: 1,
    }
}
