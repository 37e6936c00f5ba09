use chrono::NaiveDate;
use parkade_domain::time::{DAY_MINUTES, Minute};
use parkade_domain::zone::{LotZone, ZoneError};
use proptest::prelude::*;

use super::given::{window, zone};

#[test]
fn zones_are_iana_names() {
    assert_eq!(zone("Europe/Berlin").name(), "Europe/Berlin");
    for name in ["", "Berlin", "europe/berlin", "+02:00", "Europe/Berlin "] {
        assert_eq!(LotZone::parse(name), Err(ZoneError::UnknownZone), "{name}");
    }
}

#[test]
fn elapsed_time_over_a_clock_change_is_what_the_clock_on_the_wall_does_not_say() {
    for (name, date, minutes) in [
        ("Europe/London", "2026-03-28", 180),
        ("Europe/London", "2026-03-29", 120),
        ("Europe/London", "2026-10-25", 240),
        ("Australia/Lord_Howe", "2026-04-05", 210),
        ("Australia/Lord_Howe", "2026-10-04", 150),
    ] {
        let stay = window(zone(name), &format!("{date}T00:30"), &format!("{date}T03:30"));
        assert_eq!(stay.minutes(), minutes, "{name} {date}");
    }
}

#[test]
fn a_local_time_that_the_clocks_skip_is_refused() {
    for (name, text) in [
        ("Europe/London", "2026-03-29T01:00"),
        ("Europe/London", "2026-03-29T01:59:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15"),
        ("America/New_York", "2026-03-08T02:30"),
    ] {
        let refused = zone(name).parse_time(text);
        assert!(matches!(refused, Err(ZoneError::Gap { .. })), "{name} {text} {refused:?}");
    }
    for (name, text) in [("Europe/London", "2026-03-29T00:59"), ("Europe/London", "2026-03-29T02:00")] {
        assert!(zone(name).parse_time(text).is_ok(), "{name} {text}");
    }
}

#[test]
fn of_a_repeated_hour_the_first_is_taken_unless_an_offset_is_given() {
    let london = zone("Europe/London");
    let first = london.parse_time("2026-10-25T01:30").unwrap();
    assert_eq!(first, london.parse_time("2026-10-25T01:30:00+01:00").unwrap());
    assert_eq!(first.plus(60), london.parse_time("2026-10-25T01:30:00Z").unwrap());
    // Both are half past one on the wall; printing tells them apart.
    assert_eq!(london.local(first), london.local(first.plus(60)));
    assert_eq!(london.local_with_offset(first).to_rfc3339(), "2026-10-25T01:30:00+01:00");
    assert_eq!(london.local_with_offset(first.plus(60)).to_rfc3339(), "2026-10-25T01:30:00+00:00");
}

#[test]
fn a_time_is_read_with_an_offset_or_as_local() {
    let berlin = zone("Europe/Berlin");
    let noon = berlin.parse_time("2026-07-01T10:00:00Z").unwrap();
    for text in ["2026-07-01T12:00", "2026-07-01T12:00:00", "2026-07-01T12:00:00+02:00", "2026-07-01T05:00:00-05:00"] {
        assert_eq!(berlin.parse_time(text), Ok(noon), "{text}");
    }
}

#[test]
fn other_texts_are_not_times() {
    let berlin = zone("Europe/Berlin");
    for text in [
        "",
        "now",
        "1700000000",
        "2026-07-01",
        "12:00",
        "2026-07-01 12:00",
        "2026-7-1T12:00",
        "2026-07-01T25:00",
        "2026-02-29T12:00",
        "2026-07-01T12:00+0200",
        "+026-07-01T12:00",
        "2026-07-01T12:00:0",
        "2026-07-01T12:00Z",
        "2026-07-01T12:00:00+99:00",
        "２０２６-07-01T12",
    ] {
        assert_eq!(berlin.parse_time(text), Err(ZoneError::Malformed), "{text}");
    }
    for text in ["2026-07-01T12:00:30", "2026-07-01T12:00:00.5Z", "2026-07-01T12:00:01Z", "2016-12-31T23:59:60Z"] {
        assert_eq!(berlin.parse_time(text), Err(ZoneError::NotWholeMinute), "{text}");
    }
}

#[test]
fn the_page_boundary_is_four_in_the_morning_of_standard_time() {
    for (name, minutes) in [
        ("UTC", 240),
        ("Europe/Berlin", 180),
        ("Europe/London", 240),
        // Ireland's database entry calls the summer standard; the smaller offset decides.
        ("Europe/Dublin", 240),
        ("America/New_York", 540),
        ("Australia/Lord_Howe", 240 - 630),
        ("Asia/Kathmandu", 240 - 345),
        ("Pacific/Kiritimati", -600),
        ("Etc/GMT+12", 960),
    ] {
        assert_eq!(zone(name).quiet_hours_offset_minutes(), minutes, "{name}");
    }
    let berlin = zone("Europe/Berlin");
    for (text, first_of_a_page) in [("2026-01-10T04:00", true), ("2026-07-10T05:00", true), ("2026-07-10T04:00", false)]
    {
        let minute = berlin.parse_time(text).unwrap().plus(-berlin.quiet_hours_offset_minutes());
        assert_eq!(minute.0.rem_euclid(DAY_MINUTES) == 0, first_of_a_page, "{text}");
    }
}

#[test]
fn a_day_starts_where_the_clocks_resume_if_they_skip_midnight() {
    let date = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
    for (name, day, start) in [
        ("Europe/Berlin", date(2026, 7, 1), "2026-06-30T22:00:00Z"),
        // Chile springs forward at midnight: 2026-09-06 begins at 01:00.
        ("America/Santiago", date(2026, 9, 6), "2026-09-06T04:00:00Z"),
        // Cuba falls back at 01:00 to 00:00: midnight happens twice.
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00Z"),
        // Samoa went from the 29th to the 31st.
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00Z"),
    ] {
        assert_eq!(zone(name).day_start(day).to_string(), start, "{name} {day}");
    }
    let samoa = zone("Pacific/Apia");
    let on_29th = samoa.parse_time("2011-12-29T12:00").unwrap();
    assert_eq!(samoa.next_day_start(on_29th).to_string(), "2011-12-30T10:00:00Z");
}

#[test]
fn a_day_that_the_clocks_reopen_is_not_started_twice() {
    // St. John's went from 00:01 back to 23:01: the 7th had a minute, then the 6th went on, then the 7th.
    let newfoundland = zone("America/St_Johns");
    let first_seconds = newfoundland.parse_time("2010-11-07T00:00:00-02:30").unwrap();
    assert_eq!(newfoundland.next_day_start(first_seconds.plus(-1)), first_seconds);
    let again_on_6th = newfoundland.parse_time("2010-11-06T23:30:00-03:30").unwrap();
    assert_eq!(newfoundland.next_day_start(again_on_6th).to_string(), "2010-11-08T03:30:00Z");
}

const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Santiago",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Antarctica/Troll",
];

proptest! {
    #[test]
    fn every_minute_has_one_local_time_that_resolves_to_it_or_to_the_first_of_two(
        name in prop::sample::select(&ZONES[..]),
        minute in 22_000_000_i64..45_000_000,
    ) {
        let zone = zone(name);
        let minute = Minute(minute);
        let back = Minute::floor(zone.resolve(zone.local(minute)).unwrap());
        prop_assert!(back <= minute && minute.0 - back.0 <= 180);
        prop_assert_eq!(zone.local(back), zone.local(minute));
        let printed = zone.local_with_offset(minute).to_rfc3339();
        prop_assert_eq!(zone.parse_time(&printed), Ok(minute));
    }

    #[test]
    fn days_follow_each_other_without_gap_or_overlap(
        name in prop::sample::select(&ZONES[..]),
        minute in 22_000_000_i64..45_000_000,
    ) {
        let zone = zone(name);
        let next = zone.next_day_start(Minute(minute));
        // Troll turns its clocks by two hours.
        prop_assert!(next > Minute(minute) && next.0 - minute <= 26 * 60);
        prop_assert!(zone.local(next).date() > zone.local(next.plus(-1)).date());
    }

    #[test]
    fn any_text_is_a_name_a_time_or_refused(text in any::<String>()) {
        prop_assert!(LotZone::parse(&text).map_or(true, |zone| zone.name() == text));
        prop_assert!(zone("Europe/Berlin").parse_time(&text).is_err() || text.len() >= 16);
    }

    #[test]
    fn near_misses_are_read_or_refused_but_never_panic(
        text in "[0-9+-]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?)?",
    ) {
        let havana = zone("America/Havana");
        if let Ok(minute) = havana.parse_time(&text) {
            prop_assert_eq!(havana.parse_time(&havana.local_with_offset(minute).to_rfc3339()), Ok(minute));
        }
    }
}
