//! The tariff language beyond rates: graces, fees, taxes, validations, dynamic steps and escalation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::language::is_default;
use super::scalar::{Amount, RuleId};

/// The graces of a stay (T1): three here; a table's tolerance is about periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Graces {
    /// Who leaves within this pays nothing; not for bookings.
    #[serde(skip_serializing_if = "is_default")]
    pub consideration_minutes: u32,
    /// A short stay is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turnaround: Option<Turnaround>,
    /// A drive-up stay is priced as if it had ended so much earlier, but one minute at least: every boundary is softened.
    #[serde(skip_serializing_if = "is_default")]
    pub continuous_minutes: u32,
    /// Time to leave after paying; then a top-up counts from the paid-until time.
    #[serde(skip_serializing_if = "is_default")]
    pub exit_minutes: u32,
}

/// A short stay is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Turnaround {
    /// Longest free stay.
    pub minutes: u32,
    /// Whether a longer stay is charged from its first minute, and not from the end of the grace.
    pub forfeit: bool,
}

/// What a driver without a ticket owes (P14, G13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LostTicket {
    /// The fee.
    pub fee: Amount,
    /// Whether the stay is charged too, where the entry is known; otherwise the fee is all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plus_stay: bool,
}

/// A fee of its own line (P11). Give `amount` or `rate_millionths`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Name.
    pub id: RuleId,
    /// A fixed amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// A share of the parking charge in millionths: 5 % is 50000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_millionths: Option<u32>,
    /// Whether a cancellation gives it back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refundable: bool,
    /// Whether a free stay pays it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_free: bool,
}

/// Whether published prices contain the taxes (P13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prices {
    /// They do: taxes are shown and add nothing.
    Inclusive,
    /// They do not: taxes are lines of their own.
    Exclusive,
}

/// Whether each tax is rounded, or their sum (P10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaxRounding {
    /// Each component.
    PerComponent,
    /// The sum of the rates, once.
    Combined,
}

/// Where a half goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// Away from zero.
    #[default]
    Up,
    /// To the even neighbour.
    Even,
}

/// One tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxComponent {
    /// Name.
    pub id: RuleId,
    /// Rate in millionths: 18.375 % is 183750.
    pub rate_millionths: u32,
    /// Whether the taxes before it are taxed too; order counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compound: bool,
}

/// The taxes of a tariff, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Taxes {
    /// Whether prices contain them.
    pub prices: Prices,
    /// What is rounded.
    pub rounding: TaxRounding,
    /// Where a half goes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub half: Half,
    /// The taxes.
    pub components: Vec<TaxComponent>,
}

/// Which end of the stay a time validation gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The first minutes.
    #[default]
    Front,
    /// The last minutes.
    Back,
}

/// What a validation gives (P15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Benefit {
    /// A share of the parking charge, in basis points.
    Percent {
        /// 1 to 10,000.
        basis_points: u32,
    },
    /// Money, like a voucher: after caps, fees and taxes (P16).
    Money {
        /// At most this.
        amount: Amount,
    },
    /// Time: before caps (P16).
    Time {
        /// How much.
        minutes: u32,
        /// Which end.
        #[serde(default)]
        end: End,
    },
    /// The parking charge is this, if that is less.
    Override {
        /// The charge.
        amount: Amount,
    },
    /// The parking charge is nothing.
    Free {},
}

/// A validation that a merchant or the operator gives to drivers (P15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Name.
    pub id: RuleId,
    /// Who pays what the driver saves; nobody if it is the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<RuleId>,
    /// What it gives.
    pub benefit: Benefit,
    /// How often a vehicle may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// How often a vehicle may use a validation. Who prices counts the uses; the engine refuses one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Uses per period.
    pub uses: u32,
    /// Length of the period.
    pub period_days: u32,
}

/// What several validations of one stay give together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Stacking {
    /// Only the one that saves most.
    #[default]
    Best,
    /// All, in the order they were given, money last.
    All,
}

/// A step of a dynamic price: holds from `from` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Per cent occupied, or minutes before the start.
    pub from: u32,
    /// What the parking charge changes by, in basis points.
    pub basis_points: i32,
}

/// A dynamic price as a bounded table (P17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dynamic {
    /// Least change, in basis points; not above 0.
    pub floor_basis_points: i32,
    /// Greatest change, in basis points; not below 0.
    pub ceiling_basis_points: i32,
    /// Most that two neighbouring steps differ by.
    pub largest_step_basis_points: i32,
    /// By per cent occupied, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub occupancy: Vec<Step>,
    /// By minutes before the start, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lead_time: Vec<Step>,
}

/// What an unpaid amount grows by with its age. The last step reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Days unpaid after which it holds.
    pub after_days: u32,
    /// Added share of the unpaid amount, in basis points.
    #[serde(default, skip_serializing_if = "is_default")]
    pub add_basis_points: u32,
    /// Added amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Amount>,
}
