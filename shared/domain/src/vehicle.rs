//! Vehicles, spots and who fits where (I2, I3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::SpotIndex;

/// Size class of a vehicle and of a spot: `motorcycle < compact < standard < large`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VehicleClass {
    /// Two-wheelers.
    Motorcycle,
    /// Small cars.
    Compact,
    /// Ordinary cars; `regular` is accepted as an alias.
    #[serde(alias = "regular")]
    Standard,
    /// SUVs and vans; `suv` is accepted as an alias.
    #[serde(alias = "suv")]
    Large,
}

impl VehicleClass {
    /// All classes, smallest first.
    pub const ALL: [Self; 4] = [Self::Motorcycle, Self::Compact, Self::Standard, Self::Large];

    /// The name used in the API, in tariffs and in stored items.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Motorcycle => "motorcycle",
            Self::Compact => "compact",
            Self::Standard => "standard",
            Self::Large => "large",
        }
    }

    /// Reads a name or one of the aliases `regular` and `suv`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "motorcycle" => Some(Self::Motorcycle),
            "compact" => Some(Self::Compact),
            "standard" | "regular" => Some(Self::Standard),
            "large" | "suv" => Some(Self::Large),
            _ => None,
        }
    }

    /// Position on the scale, from 0.
    #[must_use]
    pub const fn rank(self) -> u8 {
        self as u8
    }

    const fn from_rank(rank: u8) -> Self {
        match rank {
            0 => Self::Motorcycle,
            1 => Self::Compact,
            2 => Self::Standard,
            _ => Self::Large,
        }
    }
}

impl schemars::JsonSchema for VehicleClass {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VehicleClass".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "enum": ["motorcycle", "compact", "standard", "regular", "large", "suv"],
            "description": "regular means standard, suv means large.",
        })
    }
}

impl fmt::Display for VehicleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The same scale, used for a spot.
pub type SpotSize = VehicleClass;

/// What is to be parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vehicle {
    /// Size class.
    pub class: VehicleClass,
    /// Electric: may use charger spots, and is preferred there (I3).
    pub ev: bool,
    /// The driver holds an accessible permit: may use accessible spots (I3).
    pub accessible_permit: bool,
}

/// A spot's fixed equipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Features {
    /// Has a charger: EVs first (I3).
    pub ev_charger: bool,
    /// For holders of an accessible permit only, never as overflow (I3).
    pub accessible: bool,
    /// Sold as premium.
    pub premium: bool,
    /// Under a roof.
    pub covered: bool,
}

impl Features {
    /// What both have.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self {
            ev_charger: self.ev_charger && other.ev_charger,
            accessible: self.accessible && other.accessible,
            premium: self.premium && other.premium,
            covered: self.covered && other.covered,
        }
    }
}

/// One bay of a lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Its position in the directory.
    pub index: SpotIndex,
    /// The number painted on the ground, e.g. `B2-017`.
    pub number: String,
    /// Zone or floor.
    pub zone: String,
    /// Size.
    pub size: SpotSize,
    /// Equipment.
    pub features: Features,
}

impl Spot {
    /// What decides who fits.
    #[must_use]
    pub const fn kind(&self) -> SpotKind {
        SpotKind { size: self.size, features: self.features }
    }
}

/// What decides who fits a spot and who is preferred on it; one byte in a packed directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpotKind {
    /// Size.
    pub size: SpotSize,
    /// Equipment.
    pub features: Features,
}

impl SpotKind {
    const SIZE_BITS: u8 = 0b0000_0011;
    const EV_CHARGER: u8 = 0b0000_0100;
    const ACCESSIBLE: u8 = 0b0000_1000;
    const PREMIUM: u8 = 0b0001_0000;
    const COVERED: u8 = 0b0010_0000;
    const UNUSED: u8 = 0b1100_0000;

    /// Bits 0–1 the size, then charger, accessible, premium, covered; the two top bits are zero.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        let Features { ev_charger, accessible, premium, covered } = self.features;
        self.size.rank()
            | if ev_charger { Self::EV_CHARGER } else { 0 }
            | if accessible { Self::ACCESSIBLE } else { 0 }
            | if premium { Self::PREMIUM } else { 0 }
            | if covered { Self::COVERED } else { 0 }
    }

    /// Reads [`Self::to_byte`]; `None` if a top bit is set, which is a later version's item.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        if byte & Self::UNUSED != 0 {
            return None;
        }
        let features = Features {
            ev_charger: byte & Self::EV_CHARGER != 0,
            accessible: byte & Self::ACCESSIBLE != 0,
            premium: byte & Self::PREMIUM != 0,
            covered: byte & Self::COVERED != 0,
        };
        Some(Self { size: SpotSize::from_rank(byte & Self::SIZE_BITS), features })
    }
}

/// Whether `vehicle` may use such a spot: large enough (I2), and accessible spots only with a permit (I3).
///
/// A charger spot is open to every vehicle; that EVs come first there is the business of [`preference`].
#[must_use]
pub fn fits(spot: SpotKind, vehicle: &Vehicle) -> bool {
    spot.size >= vehicle.class && (!spot.features.accessible || vehicle.accessible_permit)
}

/// How well a spot that [`fits`] suits `vehicle`: 0 to [`PREFERENCE_MAX`], lower is better.
///
/// Need comes before thrift, most important first: a permit holder on an accessible spot; an EV on a charger and nobody
/// else there (so a charger is another car's last resort, I3); the smallest adequate size (I2); not a premium spot.
#[must_use]
pub fn preference(spot: SpotKind, vehicle: &Vehicle) -> u8 {
    let permit_unused = u8::from(vehicle.accessible_permit && !spot.features.accessible);
    let charger_misused = u8::from(vehicle.ev != spot.features.ev_charger);
    let too_large = spot.size.rank().abs_diff(vehicle.class.rank());
    permit_unused * 16 + charger_misused * 8 + too_large * 2 + u8::from(spot.features.premium)
}

/// The worst rank [`preference`] gives.
pub const PREFERENCE_MAX: u8 = 16 + 8 + 3 * 2 + 1;
