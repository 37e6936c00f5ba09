//! Explained prices (P18).

use parkade_domain::settlement::{Settlement, SettlementReason};
use parkade_domain::tariff::{Line, Price, Tax};
use serde::{Deserialize, Serialize};

use crate::wire::{AmountView, minute_text};

/// What something costs, and why. The lines add up to the total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceView {
    /// The sum.
    pub total: AmountView,
    /// The sum without the taxes that were added.
    pub subtotal: AmountView,
    /// The tariff it was computed with (P7).
    pub tariff_version: u32,
    /// What makes it up.
    pub lines: Vec<LineView>,
    /// The taxes, within the lines or added as lines of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<Tax>,
}

/// One line of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    /// The rule that made it.
    pub rule: String,
    /// The name of the tariff's rule, where rules have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Key of its text in the client's language.
    pub label_key: String,
    /// Start of the time it is for.
    pub start_time: String,
    /// First instant after it.
    pub end_time: String,
    /// How many units.
    pub quantity: i64,
    /// `started_unit`, `whole_unit`, `nearest_unit`, `period`, `basis_point`, `millionth`, `millionth_half_even`, `minute` or
    /// `item`.
    pub unit: String,
    /// Of a started unit: its length. Of a minute: how many the rate pays for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_minutes: Option<u64>,
    /// Minor units of money per unit, or per whole where the unit is a share.
    pub unit_rate_minor: i64,
    /// `exact`, `quantity_up`, `quantity_down`, `quantity_nearest`, `amount_half_up` or `amount_half_even`.
    pub rounding: String,
    /// Minor units of money.
    pub amount_minor: i64,
}

impl PriceView {
    /// The view of a price.
    #[must_use]
    pub fn from_domain(price: &Price) -> Self {
        Self {
            total: AmountView::new(price.total_minor(), price.currency()),
            subtotal: AmountView::new(price.subtotal_minor(), price.currency()),
            tariff_version: price.tariff_version().0,
            lines: price.lines().iter().map(LineView::from_domain).collect(),
            taxes: price.taxes().to_vec(),
        }
    }
}

impl LineView {
    fn from_domain(line: &Line) -> Self {
        Self {
            rule: line.rule().as_str().to_owned(),
            id: line.id().map(|id| id.as_str().to_owned()),
            label_key: line.rule().label_key().to_owned(),
            start_time: minute_text(line.interval().start()),
            end_time: minute_text(line.interval().end()),
            quantity: line.quantity(),
            unit: line.unit().as_str().to_owned(),
            unit_minutes: line.unit().minutes(),
            unit_rate_minor: line.unit_rate_minor(),
            rounding: line.rounding().as_str().to_owned(),
            amount_minor: line.amount_minor(),
        }
    }
}

/// What is owed after a change of plans, and what comes back: the difference of two explained prices (T4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementView {
    /// `as_booked`, `cancellation`, `no_show`, `early_exit`, `overstay` or `modification`.
    pub reason: String,
    /// What was owed until now.
    pub before: PriceView,
    /// What is owed from now on.
    pub owed: PriceView,
    /// What comes back; 0 if nothing.
    pub refund: AmountView,
    /// What is still to be paid; 0 if nothing.
    pub balance_due: AmountView,
}

impl SettlementView {
    /// The view of a settlement for a reservation that has paid `net_paid_minor`: paid less refunded.
    #[must_use]
    pub fn from_domain(settlement: &Settlement, net_paid_minor: i64) -> Self {
        let reason = match settlement.reason {
            SettlementReason::AsBooked => "as_booked",
            SettlementReason::Cancellation => "cancellation",
            SettlementReason::NoShow => "no_show",
            SettlementReason::EarlyExit => "early_exit",
            SettlementReason::Overstay => "overstay",
            SettlementReason::Modification => "modification",
        };
        let due_minor = settlement.owed.total_minor() - net_paid_minor;
        let currency = settlement.owed.currency();
        Self {
            reason: reason.to_owned(),
            before: PriceView::from_domain(&settlement.before),
            owed: PriceView::from_domain(&settlement.owed),
            refund: AmountView::new((-due_minor).max(0), currency),
            balance_due: AmountView::new(due_minor.max(0), currency),
        }
    }
}
