//! Whether windows cover the week without gap or overlap, looked at minute by minute.
//!
//! A window may spill over midnight, and what spilled depends on the day before, which may have been a holiday.

use super::check::Findings;
use super::language::{DayWindow, Table};
use super::scalar::Day;

const DAY: usize = 1_440;
/// A week, and a holiday.
const MINUTES: usize = 8 * DAY;

/// The minutes that a window holds on the days it begins on, and on the day after each.
struct Held {
    own: Vec<bool>,
    /// Indexed by the day that the window began on.
    spilled: Vec<bool>,
}

impl Held {
    fn new(window: DayWindow) -> Self {
        let mut held = Self { own: vec![false; MINUTES], spilled: vec![false; MINUTES] };
        let (from, to) = (usize::from(window.from.minutes()), usize::from(window.to.minutes()));
        let overnight = to <= from;
        for (position, _) in Day::ALL.into_iter().enumerate().filter(|(_, day)| window.days.contains(*day)) {
            let start = position * DAY;
            fill(&mut held.own, start + from, start + if overnight { DAY } else { to });
            fill(&mut held.spilled, start, start + if overnight { to } else { 0 });
        }
        held
    }

    /// Whether it holds a minute of `day` (0 to 7) if `before` was the day before.
    fn holds(&self, day: usize, before: usize, minute: usize) -> bool {
        self.own.get(day * DAY + minute) == Some(&true) || self.spilled.get(before * DAY + minute) == Some(&true)
    }

    /// The minutes of a week without holidays, and of a holiday after another.
    fn usual(&self) -> impl Iterator<Item = bool> {
        (0..MINUTES).map(|minute| self.holds(minute / DAY, day_before(minute / DAY), minute % DAY))
    }
}

fn fill(minutes: &mut [bool], start: usize, end: usize) {
    minutes.iter_mut().take(end).skip(start).for_each(|minute| *minute = true);
}

const HOLIDAY: usize = 7;

const fn day_before(day: usize) -> usize {
    if day == HOLIDAY { HOLIDAY } else { (day + 6) % 7 }
}

/// `tue 19:00`.
fn at(day: usize, minute: usize) -> String {
    const NAMES: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];
    let name = NAMES.get(day).copied().unwrap_or_default();
    format!("{name} {:02}:{:02}", minute / 60, minute % 60)
}

pub(super) fn check(found: &mut Findings, pointer: &str, table: &Table) {
    let held: Vec<_> = table.windows.iter().map(|rate| Held::new(rate.at)).collect();
    let usual: Vec<Vec<bool>> = held.iter().map(|held| held.usual().collect()).collect();
    for (position, (rate, mine)) in table.windows.iter().zip(&usual).enumerate() {
        let place = format!("{pointer}/windows/{position}");
        if rate.at.days.is_empty() {
            found.add(format!("{place}/at/days"), "empty", "list at least one day, or leave days out");
            continue;
        }
        let mut shadowed = vec![false; MINUTES];
        for (other_position, (other, theirs)) in table.windows.iter().zip(&usual).enumerate() {
            let both = mine.iter().zip(theirs).position(|(mine, theirs)| *mine && *theirs);
            if let Some(minute) = both.filter(|_| other_position < position && other.priority == rate.priority) {
                let detail = format!(
                    "overlaps with window {} on {}: change the times, or give one of them a higher priority",
                    other.id,
                    at(minute / DAY, minute % DAY)
                );
                found.add(format!("{place}/at"), "overlap", &detail);
            }
            if other.priority > rate.priority {
                shadowed.iter_mut().zip(theirs).for_each(|(shadowed, theirs)| *shadowed |= *theirs);
            }
        }
        if mine.iter().zip(&shadowed).all(|(mine, shadowed)| !mine || *shadowed) {
            found.add(&place, "unreachable", "windows of higher priority hold all its time: lower theirs or drop it");
        }
    }
    if !held.is_empty() {
        check_gaps(found, pointer, table, &held);
    }
}

fn check_gaps(found: &mut Findings, pointer: &str, table: &Table, held: &[Held]) {
    let heeds_holidays = super::engine::Rates::from(table).heeds_holidays();
    let days = if heeds_holidays { 0..8 } else { 0..7 };
    let uncovered = days.clone().find_map(|day| {
        let possible =
            |before: &usize| *before == day_before(day) || (heeds_holidays && (*before == HOLIDAY || day == HOLIDAY));
        days.clone().filter(possible).find_map(|before| {
            let priced = |minute: usize| held.iter().any(|held| held.holds(day, before, minute));
            (0..DAY).find(|minute| !priced(*minute)).map(|minute| (day, before, minute))
        })
    });
    match uncovered {
        Some((day, before, minute)) if table.base.is_empty() => {
            let after_holiday = before == HOLIDAY && before != day_before(day);
            let when = if after_holiday { " after a holiday" } else { "" };
            let detail = format!("{}{when} has no price: add a base charge, or a window for it", at(day, minute));
            found.add(format!("{pointer}/windows"), "gap", &detail);
        }
        None if !table.base.is_empty() => {
            let detail = "windows hold all the week: drop the base charge, or leave it some time";
            found.add(format!("{pointer}/base"), "unreachable", detail);
        }
        _ => {}
    }
}
