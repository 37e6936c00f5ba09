//! Whether windows cover the week without gap or overlap, looked at minute by minute.

use super::check::Findings;
use super::language::{DayWindow, Table};
use super::scalar::Day;

const DAY: usize = 1_440;
/// A week, and a holiday.
const MINUTES: usize = 8 * DAY;

/// Which minutes of the week, and of a holiday, a window holds.
fn minutes(window: DayWindow) -> Vec<bool> {
    let mut held = vec![false; MINUTES];
    let (from, to) = (usize::from(window.from.minutes()), usize::from(window.to.minutes()));
    for (position, day) in Day::ALL.into_iter().enumerate() {
        if !window.days.contains(day) {
            continue;
        }
        // After Sunday comes Monday; after a holiday, for this purpose, another.
        let next = if day == Day::Holiday { position } else { (position + 1) % 7 };
        let parts = if to > from {
            [(position * DAY + from, position * DAY + to), (0, 0)]
        } else {
            [(position * DAY + from, (position + 1) * DAY), (next * DAY, next * DAY + to)]
        };
        for (start, end) in parts {
            held.iter_mut().take(end).skip(start).for_each(|minute| *minute = true);
        }
    }
    held
}

/// `tue 19:00`.
fn at(minute: usize) -> String {
    const NAMES: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];
    let name = NAMES.get(minute / DAY).copied().unwrap_or_default();
    format!("{name} {:02}:{:02}", minute % DAY / 60, minute % 60)
}

pub(super) fn check(found: &mut Findings, pointer: &str, table: &Table) {
    let held: Vec<_> = table.windows.iter().map(|rate| minutes(rate.at)).collect();
    for (position, (rate, mine)) in table.windows.iter().zip(&held).enumerate() {
        let place = format!("{pointer}/windows/{position}");
        if rate.at.days.is_empty() {
            found.add(format!("{place}/at/days"), "empty", "list at least one day, or leave days out");
            continue;
        }
        let mut shadowed = vec![false; MINUTES];
        for (other_position, (other, theirs)) in table.windows.iter().zip(&held).enumerate() {
            let both = mine.iter().zip(theirs).position(|(mine, theirs)| *mine && *theirs);
            if let Some(minute) = both.filter(|_| other_position < position && other.priority == rate.priority) {
                let detail = format!(
                    "overlaps with window {} on {}: change the times, or give one of them a higher priority",
                    other.id,
                    at(minute)
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
    if held.is_empty() {
        return;
    }
    let listed = |day| table.windows.iter().any(|rate| !rate.at.days.is_every() && rate.at.days.contains(day));
    let possible = if listed(Day::Holiday) { MINUTES } else { 7 * DAY };
    let uncovered = (0..possible).find(|minute| held.iter().all(|held| held.get(*minute) != Some(&true)));
    match uncovered {
        Some(minute) if table.base.is_empty() => {
            let detail = format!("{} has no price: add a base charge, or a window for that time", at(minute));
            found.add(format!("{pointer}/windows"), "gap", &detail);
        }
        None if !table.base.is_empty() => {
            let detail = "windows hold all the week: drop the base charge, or leave it some time";
            found.add(format!("{pointer}/base"), "unreachable", detail);
        }
        _ => {}
    }
}
