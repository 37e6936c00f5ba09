//! What a count of minutes costs by a list of bands, and the lines that say so (P1, P2).

use super::TariffError;
use super::language::{Band, UnitRounding};
use super::price::{Line, Rule, Unit};
use super::scalar::RuleId;
use crate::time::{Minute, Window};

/// A list of bands with the names its lines bear.
#[derive(Clone, Copy)]
pub(crate) struct Charge<'a> {
    pub(crate) bands: &'a [Band],
    /// Whether a longer tier that is cheaper counts (P5).
    pub(crate) best_price: bool,
    pub(crate) unit_rule: Rule,
    pub(crate) tier_rule: Rule,
    pub(crate) id: Option<&'a RuleId>,
}

/// Minutes `from` to `to` of a count that began earlier, which happen from `at` on.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) at: Minute,
}

impl Charge<'_> {
    /// What the first `minutes` of a count cost in minor units; `None` beyond a last band that is closed.
    pub(crate) fn total_minor(&self, minutes: i64) -> Option<i64> {
        let (mut total, mut before) = (0_i64, 0_i64);
        for (position, band) in self.bands.iter().enumerate() {
            if minutes <= before {
                break;
            }
            if let Some(tier) = band.total {
                total = tier.minor();
            }
            total = total.checked_add(units(band, before, minutes).checked_mul(rate(band))?)?;
            before = end(band);
            if minutes <= before {
                let later = self.bands.get(position + 1..).unwrap_or_default();
                return Some(if self.best_price { later_tiers(later).fold(total, i64::min) } else { total });
            }
        }
        if minutes <= before { Some(total) } else { None }
    }

    /// The lines of a part of a count: what its end costs more than its beginning.
    pub(crate) fn lines(&self, count: Count, out: &mut Vec<Line>) -> Result<(), TariffError> {
        let due = self.total_minor(count.to).ok_or(TariffError::Unavailable)?;
        let paid = self.total_minor(count.from).ok_or(TariffError::Unavailable)?;
        let mark = out.len();
        let whole = Window::new(count.at, count.at.plus(count.to - count.from)).map_err(|_| TariffError::Overflow)?;
        let (mut before, mut sum) = (0_i64, 0_i64);
        for band in self.bands {
            if count.to <= before {
                break;
            }
            if let Some(tier) = band.total
                && count.from <= end(band)
            {
                out.truncate(mark);
                let entered_before = count.from > before;
                sum = if entered_before { 0 } else { tier.minor() - paid };
                if !entered_before {
                    self.push(out, self.tier_rule, whole, 1, Unit::Item, sum)?;
                }
            }
            let more = units(band, before, count.to) - units(band, before, count.from);
            if more > 0 {
                let start = count.at.plus((before - count.from).max(0));
                let stop = count.at.plus(end(band).min(count.to) - count.from);
                let interval = Window::new(start, stop).unwrap_or(whole);
                sum = sum.saturating_add(more.saturating_mul(rate(band)));
                self.push(out, self.unit_rule, interval, more, unit(band), rate(band))?;
            }
            before = end(band);
        }
        if sum != due - paid {
            // A longer tier is cheaper: one line says so.
            out.truncate(mark);
            self.push(out, self.tier_rule, whole, 1, Unit::Item, due - paid)?;
        }
        Ok(())
    }

    fn push(
        &self,
        out: &mut Vec<Line>,
        rule: Rule,
        interval: Window,
        quantity: i64,
        unit: Unit,
        rate_minor: i64,
    ) -> Result<(), TariffError> {
        out.push(Line::new(rule, interval, quantity, unit, rate_minor)?.of(self.id));
        Ok(())
    }
}

/// First count after the band.
fn end(band: &Band) -> i64 {
    band.up_to_minutes.map_or(i64::MAX, i64::from)
}

fn rate(band: &Band) -> i64 {
    band.add.map_or(0, super::scalar::Amount::minor)
}

fn unit(band: &Band) -> Unit {
    let minutes = band.every_minutes.unwrap_or(1);
    match band.round {
        UnitRounding::Up => Unit::StartedUnit { minutes },
        UnitRounding::Down => Unit::WholeUnit { minutes },
        UnitRounding::Nearest => Unit::NearestUnit { minutes },
    }
}

/// Units of a band that begins at `before` within a count of `minutes`.
fn units(band: &Band, before: i64, minutes: i64) -> i64 {
    let Some(every) = band.every_minutes.map(|every| i64::from(every.max(1))) else { return 0 };
    let inside = (minutes.min(end(band)) - before).max(0);
    match band.round {
        UnitRounding::Up => (inside + every - 1).div_euclid(every),
        UnitRounding::Down => inside.div_euclid(every),
        UnitRounding::Nearest => (2 * inside + every).div_euclid(2 * every),
    }
}

fn later_tiers(bands: &[Band]) -> impl Iterator<Item = i64> {
    bands.iter().filter_map(|band| band.total).map(super::scalar::Amount::minor)
}
