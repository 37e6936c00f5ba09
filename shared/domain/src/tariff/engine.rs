//! The walk through a stay: periods, windows, events, products. Its cost grows with the changes of rate that the stay crosses.

use super::TariffError;
use super::charge::{Charge, Count};
use super::days::{LocalDay, LotCalendar, LotDays};
use super::language::{Band, Cap, EventRate, EventScope, Late, Period, Product, Selection, Table, WindowRate};
use super::price::{Line, Rule, Unit, sum};
use super::scalar::{Amount, Day, RuleId};
use crate::time::{Minute, Window};
use crate::zone::LotZone;

/// The rates of one audience, borrowed from a table or made from the simple form.
#[derive(Clone, Copy)]
pub(crate) struct Rates<'a> {
    pub(crate) id: Option<&'a RuleId>,
    pub(crate) base: &'a [Band],
    pub(crate) later_base: &'a [Band],
    pub(crate) caps: &'a [Cap],
    pub(crate) tolerance_minutes: i64,
    pub(crate) windows: &'a [WindowRate],
    pub(crate) events: &'a [EventRate],
    pub(crate) products: &'a [Product],
    pub(crate) selection: Selection,
}

impl<'a> From<&'a Table> for Rates<'a> {
    fn from(table: &'a Table) -> Self {
        Self {
            id: Some(&table.id),
            base: &table.base,
            later_base: if table.later_base.is_empty() { &table.base } else { &table.later_base },
            caps: &table.caps,
            tolerance_minutes: i64::from(table.tolerance_minutes),
            windows: &table.windows,
            events: &table.events,
            products: &table.products,
            selection: table.selection,
        }
    }
}

impl Rates<'_> {
    /// Whether a holiday is a day of its own here.
    pub(crate) fn heeds_holidays(&self) -> bool {
        let lists = |window: &super::language::DayWindow| !window.days.is_every() && window.days.contains(Day::Holiday);
        let of_product = |product: &Product| [product.within, product.enter, product.leave].iter().flatten().any(lists);
        self.windows.iter().any(|rate| lists(&rate.at)) || self.products.iter().any(of_product)
    }
}

/// Who prices a piece of the stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Base,
    Window(usize),
    Event(usize),
}

/// A piece of the stay with one holder; two occurrences of a window are two pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    holder: Holder,
    /// Start of the window's or event's occurrence, which tells neighbours apart.
    since: Minute,
    until: Minute,
}

/// Prices one stay.
pub(crate) struct Walk<'a> {
    rates: Rates<'a>,
    days: LotDays<'a>,
    stay: Window,
    /// Where the periods count from.
    origin: Minute,
    events: Vec<(Window, usize)>,
    day: LocalDay,
    /// Occurrences of windows that touch `day`.
    occurrences: Vec<(Window, usize)>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(rates: Rates<'a>, zone: LotZone, calendar: &'a LotCalendar, stay: Window) -> Self {
        let days = LotDays { zone, calendar, heeds_holidays: rates.heeds_holidays() };
        let events = active_events(&rates, calendar, stay);
        let day = days.containing(stay.start());
        let mut walk = Self { rates, days, stay, origin: stay.start(), events, day, occurrences: Vec::new() };
        walk.look_at(day);
        walk
    }

    /// The lines of the stay by the table's selection.
    pub(crate) fn lines(&mut self) -> Result<Vec<Line>, TariffError> {
        let mut best: Option<(i64, Vec<Line>)> = None;
        let products = if self.events.is_empty() { self.rates.products } else { &[] };
        for product in products {
            let Some(lines) = self.product(product)? else { continue };
            if self.rates.selection == Selection::AsPublished {
                return Ok(lines);
            }
            let total = sum(&lines)?;
            if best.as_ref().is_none_or(|(least, _)| total < *least) {
                best = Some((total, lines));
            }
        }
        let scheduled = self.schedule(self.stay);
        match (best, scheduled) {
            (Some((least, lines)), Ok(scheduled)) => Ok(if sum(&scheduled)? < least { scheduled } else { lines }),
            (Some((_, lines)), Err(TariffError::Unavailable)) => Ok(lines),
            (_, scheduled) => scheduled,
        }
    }

    /// The lines of a product, if it fits.
    fn product(&mut self, product: &'a Product) -> Result<Option<Vec<Line>>, TariffError> {
        let (entry, exit) = (self.stay.start(), self.stay.end());
        let mut paid_until = product.max_minutes.map_or(exit, |minutes| entry.plus(i64::from(minutes)));
        if let Some(within) = product.within {
            let Some(occurrence) = self.days.holding(within, entry) else { return Ok(None) };
            paid_until = paid_until.min(occurrence.end());
        }
        if product.enter.is_some_and(|enter| self.days.holding(enter, entry).is_none()) {
            return Ok(None);
        }
        let leaves_in = |leave| self.days.holding(leave, exit).or_else(|| self.days.holding(leave, exit.plus(-1)));
        if product.leave.is_some_and(|leave| leaves_in(leave).is_none()) {
            return Ok(None);
        }
        if let Some(rule) = product.leave_by {
            paid_until = paid_until.min(self.days.leave_by(rule, entry));
        }
        let too_short = product.min_minutes.is_some_and(|least| self.stay.minutes() < i64::from(least));
        let late = exit > paid_until;
        if too_short || (late && product.late == Late::FallBack) || paid_until <= entry {
            return Ok(None);
        }
        let minutes = paid_until.min(exit).0 - entry.0;
        let charge = self.charge(&product.charge, (Rule::Product, Rule::Product), Some(&product.id));
        let mut lines = Vec::new();
        match charge.lines(Count { from: 0, to: minutes, at: entry }, &mut lines) {
            Err(TariffError::Unavailable) => return Ok(None),
            other => other?,
        }
        if let Ok(rest) = Window::new(paid_until, exit) {
            lines.extend(self.schedule(rest)?);
        }
        Ok(Some(lines))
    }

    /// The lines by events, windows, base and caps.
    fn schedule(&mut self, window: Window) -> Result<Vec<Line>, TariffError> {
        let mut lines = Vec::new();
        self.origin = window.start();
        self.period(self.rates.caps, window, &mut lines)?;
        Ok(lines)
    }

    /// Fills a window with lines, capped by the last of `caps`, within whose periods the others cap (P3, P4).
    fn period(&mut self, caps: &'a [Cap], window: Window, out: &mut Vec<Line>) -> Result<(), TariffError> {
        let Some((cap, shorter)) = caps.split_last() else { return self.pieces(window, out) };
        let mut rest = Some(window);
        while let Some(open) = rest {
            let start = open.start();
            let end = self.days.period_end(cap.period, start, self.stay.end()).min(open.end());
            let period = Window::new(start, end).map_err(|_| TariffError::Overflow)?;
            rest = Window::new(end, open.end()).ok();
            let last = end == self.stay.end() && start > self.origin;
            if last && period.minutes() <= self.rates.tolerance_minutes {
                break;
            }
            let mark = out.len();
            self.period(shorter, period, out)?;
            let sum = sum(out.get(mark..).unwrap_or_default())?;
            if let Some(cap_minor) = cap.amount.map(Amount::minor).filter(|most| sum > *most) {
                out.truncate(mark);
                push_cap(out, self.rates.id, *cap, cap_minor, period)?;
            }
        }
        Ok(())
    }

    /// Fills a window with the lines of its pieces.
    fn pieces(&mut self, window: Window, out: &mut Vec<Line>) -> Result<(), TariffError> {
        let (mut at, mut count) = (window.start(), 0_i64);
        while at < window.end() {
            let piece = self.piece(at, window.end());
            let minutes = piece.until.0 - at.0;
            let whole = Count { from: 0, to: minutes, at };
            let mut consumes = false;
            match piece.holder {
                Holder::Base => {
                    let bands = if window.start() > self.origin { self.rates.later_base } else { self.rates.base };
                    if bands.is_empty() {
                        return Err(TariffError::Unavailable);
                    }
                    let charge = self.charge(bands, (Rule::UnitRate, Rule::Tier), self.rates.id);
                    charge.lines(Count { from: count, to: count + minutes, at }, out)?;
                    consumes = true;
                }
                Holder::Window(index) => {
                    let rate = self.rates.windows.get(index).ok_or(TariffError::Overflow)?;
                    self.window(rate, whole, out)?;
                    consumes = rate.consumes;
                }
                Holder::Event(index) => {
                    let rate = self.rates.events.get(index).ok_or(TariffError::Overflow)?;
                    self.charge(&rate.charge, (Rule::EventRate, Rule::EventRate), Some(&rate.id)).lines(whole, out)?;
                }
            }
            count += if consumes { minutes } else { 0 };
            at = piece.until;
        }
        Ok(())
    }

    fn window(&self, rate: &'a WindowRate, whole: Count, out: &mut Vec<Line>) -> Result<(), TariffError> {
        let interval = Window::new(whole.at, whole.at.plus(whole.to)).map_err(|_| TariffError::Overflow)?;
        if rate.free {
            out.push(Line::new(Rule::FreeTime, interval, 1, Unit::Item, 0)?.of(Some(&rate.id)));
            return Ok(());
        }
        let mark = out.len();
        self.charge(&rate.charge, (Rule::WindowRate, Rule::WindowRate), Some(&rate.id)).lines(whole, out)?;
        let sum = sum(out.get(mark..).unwrap_or_default())?;
        if let Some(cap_minor) = rate.cap.map(Amount::minor).filter(|most| sum > *most) {
            out.truncate(mark);
            out.push(Line::new(Rule::WindowCap, interval, 1, Unit::Period, cap_minor)?.of(Some(&rate.id)));
        }
        Ok(())
    }

    fn charge(&self, bands: &'a [Band], rules: (Rule, Rule), id: Option<&'a RuleId>) -> Charge<'a> {
        let best_price = self.rates.selection == Selection::BestPrice;
        Charge { bands, best_price, unit_rule: rules.0, tier_rule: rules.1, id }
    }

    /// The longest piece from `at` on, until `end` at most.
    fn piece(&mut self, at: Minute, end: Minute) -> Piece {
        let mut piece = self.step(at);
        while piece.until < end {
            let next = self.step(piece.until);
            if (next.holder, next.since) != (piece.holder, piece.since) {
                break;
            }
            piece.until = next.until;
        }
        Piece { until: piece.until.min(end), ..piece }
    }

    /// Who holds `at`, and until when nothing changes: event before window before base (P8).
    fn step(&mut self, at: Minute) -> Piece {
        while at >= self.day.next {
            let day = self.days.after(self.day);
            self.look_at(day);
        }
        if at < self.day.start {
            let day = self.days.containing(at);
            self.look_at(day);
        }
        let mut until = self.day.next;
        let mut holder: Option<(u8, Holder, Minute)> = None;
        for (window, index) in &self.events {
            until = next_change(*window, at, until);
            let priority = self.rates.events.get(*index).map_or(0, |rate| rate.priority);
            if window.contains(at) && holder.is_none_or(|(best, ..)| priority > best) {
                holder = Some((priority, Holder::Event(*index), window.start()));
            }
        }
        let by_event = holder.is_some();
        for (window, index) in &self.occurrences {
            until = next_change(*window, at, until);
            let priority = self.rates.windows.get(*index).map_or(0, |rate| rate.priority);
            if !by_event && window.contains(at) && holder.is_none_or(|(best, ..)| priority > best) {
                holder = Some((priority, Holder::Window(*index), window.start()));
            }
        }
        match holder {
            Some((_, holder, since)) => Piece { holder, since, until },
            None => Piece { holder: Holder::Base, since: self.origin, until },
        }
    }

    /// Makes `day` the one whose occurrences are at hand.
    fn look_at(&mut self, day: LocalDay) {
        self.day = day;
        self.occurrences.clear();
        if self.rates.windows.is_empty() {
            return;
        }
        let yesterday = self.days.before(day);
        for (index, rate) in self.rates.windows.iter().enumerate() {
            let overnight = rate.at.to <= rate.at.from;
            if overnight && let Some(window) = self.days.occurrence(rate.at, yesterday) {
                self.occurrences.push((window, index));
            }
            if let Some(window) = self.days.occurrence(rate.at, day) {
                self.occurrences.push((window, index));
            }
        }
    }
}

/// The earliest of `until` and the window's start and end that is after `at`.
fn next_change(window: Window, at: Minute, until: Minute) -> Minute {
    let after = |minute: Minute| if minute > at { minute } else { until };
    until.min(after(window.start())).min(after(window.end()))
}

/// The events of the lot's calendar that price a part of the stay, with their buffers.
fn active_events(rates: &Rates<'_>, calendar: &LotCalendar, stay: Window) -> Vec<(Window, usize)> {
    let mut active = Vec::new();
    for (index, rate) in rates.events.iter().enumerate() {
        for occasion in calendar.events.get(&rate.event).into_iter().flatten() {
            let start = occasion.start.plus(-i64::from(rate.buffer_before_minutes));
            let end = occasion.end.plus(i64::from(rate.buffer_after_minutes));
            let Ok(window) = Window::new(start, end) else { continue };
            let priced = match rate.scope {
                EventScope::Time => window.overlaps(stay),
                EventScope::Entry => window.contains(stay.start()),
            };
            if priced {
                active.push((window, index));
            }
        }
    }
    active
}

/// Adds a capped period; neighbours with the same cap share a line.
fn push_cap(
    out: &mut Vec<Line>,
    id: Option<&RuleId>,
    cap: Cap,
    cap_minor: i64,
    period: Window,
) -> Result<(), TariffError> {
    let rule = match cap.period {
        Period::Rolling24h | Period::CalendarDay | Period::ResetAt(_) => Rule::DailyCap,
        Period::Days(_) | Period::Stay => Rule::PeriodCap,
    };
    let neighbour = |line: &mut Line| {
        line.rule() == rule && line.unit_rate_minor() == cap_minor && line.interval().end() == period.start()
    };
    let (from, periods) = match out.pop_if(neighbour) {
        Some(before) => (before.interval().start(), before.quantity() + 1),
        None => (period.start(), 1),
    };
    let capped = Window::new(from, period.end()).map_err(|_| TariffError::Overflow)?;
    out.push(Line::new(rule, capped, periods, Unit::Period, cap_minor)?.of(id));
    Ok(())
}
