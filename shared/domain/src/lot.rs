//! A car park and its directory of spots.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::{Geometry, SPOTS_PER_LOT_MAX};
use crate::ids::{CalendarVersion, LotId, SpotIndex, TariffVersion};
use crate::money::Currency;
use crate::policy::LotPolicy;
use crate::time::Minute;
use crate::vehicle::{Features, Spot, SpotSize, Vehicle, fits, preference};
use crate::zone::LotZone;

/// Whether a right names a spot or counts against a class's capacity (I1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotKind {
    /// A right names a spot.
    Assigned,
    /// Spots are unnamed lanes: the driver takes any.
    Pooled,
}

/// One car park.
#[derive(Debug, Clone, PartialEq)]
pub struct Lot {
    /// Identity.
    pub id: LotId,
    /// Name on the sign.
    pub name: String,
    /// Postal address, one line.
    pub address: String,
    /// Millionths of a degree, -90,000,000 to 90,000,000.
    pub latitude_microdegrees: i32,
    /// Millionths of a degree, -180,000,000 to 180,000,000.
    pub longitude_microdegrees: i32,
    /// The lot's IANA zone (T9).
    pub zone: LotZone,
    /// The lot's currency.
    pub currency: Currency,
    /// Assigned or pooled.
    pub kind: LotKind,
    /// Shape of the calendar; immutable.
    pub geometry: Geometry,
    /// The lot's rules.
    pub policy: LotPolicy,
    /// The tariff that new bookings get; see [`Self::tariff_at`].
    pub tariff: TariffVersion,
    /// Tariffs that come into force later, by instant; at most [`UPCOMING_MAX`].
    pub upcoming: Vec<Publication>,
    /// The highest number that a tariff of the lot has, drafts included.
    pub newest_tariff: TariffVersion,
    /// The calendar that new bookings get.
    pub calendar: CalendarVersion,
    /// Optimistic version, from 1.
    pub version: u32,
}

/// Most tariffs that wait to come into force: one for each month of a year, and some for mistakes.
pub const UPCOMING_MAX: usize = 16;

/// A tariff version and the instant from which new bookings get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// From when.
    pub from: Minute,
    /// Which version.
    pub version: TariffVersion,
}

impl Lot {
    /// The tariff that a booking made at `now` gets (P7).
    #[must_use]
    pub fn tariff_at(&self, now: Minute) -> TariffVersion {
        let begun = self.upcoming.iter().take_while(|publication| publication.from <= now);
        begun.last().map_or(self.tariff, |publication| publication.version)
    }

    /// The same lot with publications that have come into force by `now` no longer upcoming.
    #[must_use]
    pub fn settled_at(mut self, now: Minute) -> Self {
        self.tariff = self.tariff_at(now);
        self.upcoming.retain(|publication| publication.from > now);
        self
    }

    /// The same lot with `version` in force from `from`, in place of what was to come into force at that instant.
    #[must_use]
    pub fn publishing(mut self, version: TariffVersion, from: Minute, now: Minute) -> Self {
        self = self.settled_at(now);
        if from <= now {
            self.tariff = version;
            return self;
        }
        self.upcoming.retain(|publication| publication.from != from);
        let position = self.upcoming.partition_point(|publication| publication.from < from);
        self.upcoming.insert(position, Publication { from, version });
        self
    }
}

/// A spot as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSpot {
    /// The number painted on the ground; unique in the lot.
    pub number: String,
    /// Zone or floor.
    pub zone: String,
    /// Size.
    pub size: SpotSize,
    /// Equipment.
    pub features: Features,
}

/// Why spots cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectoryError {
    /// Two spots of the request have the same number.
    #[error("spot {0} is listed twice")]
    Duplicate(String),
    /// The lot would have more spots than it can.
    #[error("a lot has at most {SPOTS_PER_LOT_MAX} spots")]
    TooMany,
}

/// A lot's spots, by index. An index is never given to another spot: the calendar refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// The spots; the position is the index.
    pub spots: Vec<Spot>,
    /// Optimistic version; 0 = never stored.
    pub version: u32,
}

impl Directory {
    /// The directory with spots added or their facts changed, matched by number. New spots are numbered sorted by zone and size,
    /// so that a search for one class touches neighbouring tiles.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing is changed then.
    pub fn with(&self, spots: Vec<NewSpot>) -> Result<Self, DirectoryError> {
        let mut numbers = BTreeSet::new();
        if let Some(twice) = spots.iter().find(|spot| !numbers.insert(spot.number.clone())) {
            return Err(DirectoryError::Duplicate(twice.number.clone()));
        }
        let mut next = Self { spots: self.spots.clone(), version: self.version + 1 };
        let mut added = Vec::new();
        for spot in spots {
            match next.spots.iter_mut().find(|known| known.number == spot.number) {
                Some(known) => (known.zone, known.size, known.features) = (spot.zone, spot.size, spot.features),
                None => added.push(spot),
            }
        }
        added.sort_by(|a, b| (&a.zone, a.size, &a.number).cmp(&(&b.zone, b.size, &b.number)));
        for spot in added {
            let index = u16::try_from(next.spots.len()).map_err(|_| DirectoryError::TooMany)?;
            if index >= SPOTS_PER_LOT_MAX {
                return Err(DirectoryError::TooMany);
            }
            let NewSpot { number, zone, size, features } = spot;
            next.spots.push(Spot { index: SpotIndex(index), number, zone, size, features });
        }
        Ok(next)
    }

    /// The spot with a number.
    #[must_use]
    pub fn by_number(&self, number: &str) -> Option<&Spot> {
        self.spots.iter().find(|spot| spot.number == number)
    }

    /// The spot at an index.
    #[must_use]
    pub fn get(&self, index: SpotIndex) -> Option<&Spot> {
        self.spots.get(usize::from(index.0))
    }

    /// The spots a vehicle fits, each with its rank (I2, I3).
    pub fn fitting(&self, vehicle: Vehicle) -> impl Iterator<Item = (SpotIndex, u16)> + '_ {
        self.spots
            .iter()
            .filter(move |spot| fits(spot.kind(), &vehicle))
            .map(move |spot| (spot.index, u16::from(preference(spot.kind(), &vehicle))))
    }

    /// The partitions of the calendar that the lot's spots use.
    pub fn groups(&self) -> impl Iterator<Item = u16> + use<> {
        let last = self.spots.last().map(|spot| Geometry::group(spot.index));
        (0..).take(last.map_or(0, |group| usize::from(group) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(number: &str, zone: &str, size: SpotSize) -> NewSpot {
        NewSpot { number: number.into(), zone: zone.into(), size, features: Features::default() }
    }

    #[test]
    fn indexes_follow_zone_and_size_and_never_move() {
        let first = Directory::default()
            .with(vec![
                spot("2", "B", SpotSize::Large),
                spot("9", "A", SpotSize::Large),
                spot("1", "B", SpotSize::Compact),
            ])
            .unwrap();
        let numbers = |d: &Directory| d.spots.iter().map(|s| s.number.clone()).collect::<Vec<_>>();
        assert_eq!(numbers(&first), ["9", "1", "2"]);
        let second = first.with(vec![spot("0", "A", SpotSize::Compact), spot("2", "B", SpotSize::Standard)]).unwrap();
        assert_eq!(numbers(&second), ["9", "1", "2", "0"]);
        assert_eq!(second.by_number("2").unwrap().size, SpotSize::Standard);
        assert_eq!(second.version, 2);
    }

    #[test]
    fn a_number_is_unique_and_a_lot_has_a_size() {
        let twice = Directory::default().with(vec![spot("1", "A", SpotSize::Large), spot("1", "B", SpotSize::Large)]);
        assert_eq!(twice, Err(DirectoryError::Duplicate("1".into())));
        let many = (0..=SPOTS_PER_LOT_MAX).map(|n| spot(&n.to_string(), "A", SpotSize::Large)).collect();
        assert_eq!(Directory::default().with(many), Err(DirectoryError::TooMany));
    }
}
