//! The tariff language: what an operator writes. Every type is data; what it means is in the engine.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Amount, Day, Days, RuleId, TimeOfDay};
use crate::vehicle::{Features, VehicleClass};

/// One step of a charge. The time counts from the start of what is charged; the bands follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Last minute that belongs to the band, inclusive (P1). Only the last band may leave it out: it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_minutes: Option<u32>,
    /// What everything up to here costs together: a tier. It replaces the bands before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Amount>,
    /// Length of a unit; needs `add`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_minutes: Option<u32>,
    /// What each unit costs on top of the bands before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Amount>,
    /// How a unit that was only begun counts (P2).
    #[serde(default, skip_serializing_if = "is_default")]
    pub round: UnitRounding,
}

/// How a unit that was only begun counts (P2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum UnitRounding {
    /// As a whole one.
    #[default]
    Up,
    /// Not at all.
    Down,
    /// As a whole one from its half.
    Nearest,
}

/// When a cap, and the count of units, starts anew (T8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Every 24 elapsed hours from the entry.
    #[serde(rename = "rolling_24h")]
    Rolling24h,
    /// At local midnight.
    CalendarDay,
    /// Every day at a local time.
    ResetAt(TimeOfDay),
    /// Every so many times 24 elapsed hours from the entry.
    Days(u32),
    /// Never: once for the whole stay.
    Stay,
}

/// The most a period costs. Caps of a table go from the shortest to the longest period; a longer one bounds the sum of the shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// When it starts anew.
    pub period: Period,
    /// The most one period costs; without it the period only starts the charge anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
}

/// A part of some days in lot time. If `to` is not after `from` it ends on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DayWindow {
    /// Days on which it begins.
    #[serde(default, skip_serializing_if = "Days::is_every")]
    pub days: Days,
    /// First minute.
    pub from: TimeOfDay,
    /// First minute after it.
    pub to: TimeOfDay,
}

/// A rate that holds in a part of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowRate {
    /// Name.
    pub id: RuleId,
    /// When it holds.
    pub at: DayWindow,
    /// What the time in it costs, counted from its start (or the stay's); empty if `free`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charge: Vec<Band>,
    /// The time costs nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub free: bool,
    /// Whether the count of the base charge goes on meanwhile, so that the window uses up its tiers (P9).
    #[serde(default, skip_serializing_if = "is_default")]
    pub consumes: bool,
    /// Most that one occurrence costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Amount>,
    /// Of two windows that hold at once, the one with the higher number counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: u8,
}

/// Which part of a stay an event prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum EventScope {
    /// The time within the event.
    #[default]
    Time,
    /// The time from an entry within the event until its end; who came before pays nothing extra.
    Entry,
}

/// A rate while an event of the lot's calendar takes place (P8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRate {
    /// Name.
    pub id: RuleId,
    /// Kind of event as the lot's calendar has it: `match-day`.
    pub event: RuleId,
    /// It holds so long before the event already.
    #[serde(default, skip_serializing_if = "is_default")]
    pub buffer_before_minutes: u32,
    /// And so long after it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub buffer_after_minutes: u32,
    /// What it costs.
    pub charge: Vec<Band>,
    /// Which part of the stay it prices.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: EventScope,
    /// Of two events at once, the one with the higher number counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: u8,
}

/// The latest exit of a product: the first `time` after the entry, on `day` if given, and `days_later` more days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveBy {
    /// Local time, inclusive.
    pub time: TimeOfDay,
    /// The day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Day>,
    /// More days after that.
    #[serde(default, skip_serializing_if = "is_default")]
    pub days_later: u8,
}

/// What happens to a stay that outlasts its product (P6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// The product does not apply: the whole stay is priced without it.
    #[default]
    FallBack,
    /// The product pays for its time, and the rest is priced as a stay of its own.
    Continue,
}

/// A price for stays of a certain shape: early bird, evening, weekend, overnight (P6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Name.
    pub id: RuleId,
    /// The stay lies within one occurrence of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<DayWindow>,
    /// The entry lies in this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enter: Option<DayWindow>,
    /// The exit lies in this, its last minute included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave: Option<DayWindow>,
    /// The latest exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave_by: Option<LeaveBy>,
    /// Shortest stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_minutes: Option<u32>,
    /// Longest stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<u32>,
    /// What it costs, counted from the entry.
    pub charge: Vec<Band>,
    /// What happens after its end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub late: Late,
}

/// Which of several prices counts (P5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The first product that fits, else windows and base; a tier is what it says.
    #[default]
    AsPublished,
    /// The cheapest for the driver, longer tiers included.
    BestPrice,
}

/// Who pays by a table; an empty list means everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Audience {
    /// Vehicle classes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub classes: BTreeSet<VehicleClass>,
    /// Features that the spot has, all of them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub features: BTreeSet<Feature>,
    /// Permits of which the driver holds one: `resident`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub permits: BTreeSet<RuleId>,
}

/// A feature of a spot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// The spot has a charger.
    EvCharger,
    /// The spot is an accessible one.
    Accessible,
    /// The spot is sold as premium.
    Premium,
    /// The spot is under a roof.
    Covered,
}

impl Feature {
    /// The features of a spot, as a request takes them.
    #[must_use]
    pub fn of_spot(features: Features) -> BTreeSet<Self> {
        let all = [
            (Self::EvCharger, features.ev_charger),
            (Self::Accessible, features.accessible),
            (Self::Premium, features.premium),
            (Self::Covered, features.covered),
        ];
        all.into_iter().filter_map(|(feature, present)| present.then_some(feature)).collect()
    }
}

/// The prices of one audience. The first table that fits counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Name.
    pub id: RuleId,
    /// Who pays by it.
    #[serde(default, rename = "for", skip_serializing_if = "is_default")]
    pub audience: Audience,
    /// What time costs that no window and no event prices; without it such time is not for sale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base: Vec<Band>,
    /// The base charge from the second period on, if it differs: no first-hour price on later days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later_base: Vec<Band>,
    /// The most that periods cost, the shortest first (P3). The shortest period starts every count anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// A last period that is begun by no more than this costs nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tolerance_minutes: u32,
    /// Rates by day and time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowRate>,
    /// Rates while events take place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRate>,
    /// Prices for stays of a certain shape. A stay that an event prices has no product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<Product>,
    /// Which of several prices counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub selection: Selection,
    /// A stay that costs anything costs at least this (P14).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_charge: Option<Amount>,
    /// A stay costs at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_charge: Option<Amount>,
    /// Longest stay (T6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_stay_minutes: Option<u32>,
}

/// Whether a field is what it would be if left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
