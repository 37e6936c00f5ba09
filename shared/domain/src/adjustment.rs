//! What an operator adds to a stay or takes off it, beside its price: violations, and goodwill. Each is pinned on the record with its amount
//! and stays there; one that was wrong is voided, never removed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most of them per stay, annulled ones included: more than a stay has, and the record stays below one write unit.
pub const ADJUSTMENTS_MAX: usize = 5;

/// What a driver did that the rules of the place forbid. What each costs is the tariff's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// Stayed beyond what was booked, also where the time itself is paid by the tariff's rule for it.
    Overstay,
    /// Stood on a spot of another type: a charger without an EV, two spots at once.
    WrongSpot,
    /// Stood where a permit is needed and had none.
    NoRight,
    /// Left without paying.
    Unpaid,
}

impl ViolationKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Overstay, Self::WrongSpot, Self::NoRight, Self::Unpaid];

    /// The name used in tariffs, in the API and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overstay => "overstay",
            Self::WrongSpot => "wrong_spot",
            Self::NoRight => "no_right",
            Self::Unpaid => "unpaid",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Added or taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdjustmentKind {
    /// Added: a violation.
    Violation(ViolationKind),
    /// Taken off: the operator's goodwill.
    Goodwill,
}

/// One of them; its number is its place on the record, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Adjustment {
    /// What.
    pub kind: AdjustmentKind,
    /// Minor units, above 0; taxes included.
    pub amount_minor: i64,
    /// Epoch second at which it was recorded.
    pub at_s: i64,
    /// Epoch second at which it was found to be wrong; from then on it counts no more.
    pub voided_at_s: Option<i64>,
}

impl Adjustment {
    /// What it adds to what is owed, in minor units; below 0 if it takes off, 0 once it is voided.
    #[must_use]
    pub const fn signed_minor(&self) -> i64 {
        match (self.voided_at_s, self.kind) {
            (Some(_), _) => 0,
            (None, AdjustmentKind::Violation(_)) => self.amount_minor,
            (None, AdjustmentKind::Goodwill) => -self.amount_minor,
        }
    }

    /// Whether it is a violation that counts.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        self.voided_at_s.is_none() && matches!(self.kind, AdjustmentKind::Violation(_))
    }
}
