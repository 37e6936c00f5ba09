//! Clock changes against an independent time library, which has its own parser and its own copy of the database.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use parkade_domain::tariff::{PriceRequest, Tariff};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::VehicleClass;
use parkade_domain::zone::LotZone;

/// Zones whose rules for 2026 and 2027 were changed after the release of the database that this system carries: British
/// Columbia, Alberta, Manitoba and Morocco stop changing, Moldova changes at another hour. Local times there are wrong until
/// chrono-tz has a release with database 2026e. The test below fails when the list can be shortened.
const OUTDATED: [&str; 13] = [
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Edmonton",
    "America/Inuvik",
    "America/Rainy_River",
    "America/Vancouver",
    "America/Winnipeg",
    "America/Yellowknife",
    "Canada/Central",
    "Canada/Mountain",
    "Canada/Pacific",
    "Europe/Chisinau",
    "Europe/Tiraspol",
];

fn minute(timestamp: Timestamp) -> Minute {
    Minute(timestamp.as_second().div_euclid(60))
}

/// Every zone that both libraries know, with its transitions in 2026 and 2027.
fn transitions() -> Vec<(LotZone, TimeZone, Vec<Timestamp>)> {
    let (from, until): (Timestamp, Timestamp) =
        ("2026-01-01T00:00:00Z".parse().unwrap(), "2028-01-01T00:00:00Z".parse().unwrap());
    let mut zones = Vec::new();
    for name in jiff::tz::db().available() {
        let (Ok(zone), Ok(other)) = (LotZone::parse(name.as_str()), TimeZone::get(name.as_str())) else { continue };
        let changes: Vec<_> = other.following(from).map(|t| t.timestamp()).take_while(|t| *t < until).collect();
        if !changes.is_empty() {
            zones.push((zone, other, changes));
        }
    }
    zones
}

#[test]
fn every_clock_change_of_2026_and_2027_is_where_the_other_library_has_it() {
    let zones = transitions();
    assert!(zones.len() > 100, "{} zones change their clocks", zones.len());
    let mut differing = BTreeSet::new();
    for (zone, other, changes) in &zones {
        for change in changes {
            for around in -180..180 {
                let instant = minute(*change).plus(around);
                let local = Timestamp::from_second(instant.epoch_s()).unwrap().to_zoned(other.clone()).datetime();
                let mine = zone.local(instant).format("%Y-%m-%dT%H:%M").to_string();
                if local.strftime("%Y-%m-%dT%H:%M").to_string() != mine {
                    differing.insert(zone.name());
                    break;
                }
            }
        }
    }
    assert_eq!(differing, BTreeSet::from(OUTDATED));
}

/// Prices 0.01 per minute within 01:00 to 04:00 and nothing else, so that totals are the minutes of the window.
const WINDOW_MINUTES: &str = r#"{"currency": "EUR", "tables": [{"id": "t", "base": [{"total": 0}], "windows": [
    {"id": "w", "at": {"from": "01:00", "to": "04:00"}, "charge": [{"every_minutes": 1, "add": 1}]}]}]}"#;

#[test]
fn window_boundaries_and_elapsed_minutes_agree_on_every_day_of_a_clock_change() {
    let tariff: Tariff = serde_json::from_str(WINDOW_MINUTES).unwrap();
    assert_eq!(tariff.validate(), []);
    for (zone, other, changes) in transitions().into_iter().filter(|(zone, ..)| !OUTDATED.contains(&zone.name())) {
        for change in changes {
            let date = change.to_zoned(other.clone()).date();
            let at = |hour| first_instant(&other, date.at(hour, 0, 0, 0));
            let (from, until) = (minute(at(1)), minute(at(4)));
            let stay = Window::new(from.plus(-45), until.plus(45)).unwrap();
            let request = PriceRequest::booking(&zone, VehicleClass::Standard, stay);
            let total = tariff.price(&request).unwrap().total_minor();
            // A window that the clocks cut short or prolong has as many minutes as elapse; one of a day before may reach in.
            assert_eq!(total, until.0 - from.0, "{} {date}", zone.name());
        }
    }
}

/// The first of a repeated time, and the end of the gap for a skipped one.
fn first_instant(zone: &TimeZone, local: civil::DateTime) -> Timestamp {
    use jiff::tz::AmbiguousOffset;
    match zone.to_ambiguous_zoned(local).offset() {
        AmbiguousOffset::Gap { before, .. } => {
            let skipped = before.to_timestamp(local).unwrap();
            let just_after = skipped.checked_add(jiff::SignedDuration::from_secs(1)).unwrap();
            zone.preceding(just_after).next().unwrap().timestamp()
        }
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).unwrap(),
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).unwrap(),
    }
}
