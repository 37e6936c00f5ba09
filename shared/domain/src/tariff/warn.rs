//! What may surprise in a tariff that is right: longer stays that cost less (P5).

use std::collections::BTreeSet;

use super::engine::{Rates, Walk};
use super::language::Table;
use super::price::sum;
use super::{LotCalendar, Tariff};
use crate::money::Money;
use crate::time::{DAY_MINUTES, Minute, Window, elapsed_text};
use crate::zone::LotZone;

/// Longest stay that is looked at.
const DAYS_MAX: i64 = 60;
/// Monday 2026-01-05, 08:00 UTC: when looked-at stays begin.
const BEGINNING: Minute = Minute(29_459_520 + 480);

/// Something that an operator should look at before publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// JSON pointer of the table.
    pub pointer: String,
    /// Stable code: `non_monotone`.
    pub code: &'static str,
    /// For people: `13 days cost EUR 177.00, 14 days EUR 166.37`.
    pub detail: String,
}

pub(super) fn non_monotone(tariff: &Tariff) -> Vec<Warning> {
    let of_table = |(position, table): (usize, &Table)| drops(tariff, position, table);
    tariff.tables.iter().enumerate().flat_map(of_table).collect()
}

fn drops(tariff: &Tariff, position: usize, table: &Table) -> Vec<Warning> {
    let Ok(utc) = LotZone::parse("UTC") else { return Vec::new() };
    let mut lengths: BTreeSet<i64> = (1..=DAYS_MAX).map(|days| days * DAY_MINUTES).collect();
    for band in table.base.iter().chain(&table.later_base) {
        let end = band.up_to_minutes.map_or(1, i64::from);
        // Whole days are looked at anyway, and say it more clearly than a day and a minute.
        let after = if end % DAY_MINUTES == 0 { end } else { end + 1 };
        lengths.extend([end, after]);
    }
    let mut warnings = Vec::new();
    let mut before: Option<(i64, i64)> = None;
    for minutes in lengths {
        let Ok(stay) = Window::new(BEGINNING, BEGINNING.plus(minutes)) else { continue };
        let lines = Walk::new(Rates::from(table), utc, LotCalendar::ordinary(), stay).lines();
        let Ok(total) = lines.and_then(|lines| sum(&lines)) else { continue };
        if let Some((shorter, dearer)) = before.filter(|(_, dearer)| *dearer > total) {
            let money = |minor| Money::new(minor, tariff.currency);
            let (shorter, longer) = (elapsed_text(shorter), elapsed_text(minutes));
            let detail = format!("{shorter} cost {}, {longer} {}", money(dearer), money(total));
            warnings.push(Warning { pointer: format!("/tables/{position}"), code: "non_monotone", detail });
        }
        before = Some((minutes, total));
    }
    warnings
}
