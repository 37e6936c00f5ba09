use chrono::{NaiveDate, NaiveTime, Weekday, WeekdaySet};
use parkade_domain::recurrence::{OCCURRENCES_MAX, OccurrenceProblem, Recurrence, RecurrenceError};
use parkade_domain::time::Window;

use super::given::zone;

const WORKDAYS: WeekdaySet =
    WeekdaySet::from_array([Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri]);

fn recurrence(weekdays: WeekdaySet, times: (&str, &str), dates: (&str, &str)) -> Recurrence {
    let time = |text: &str| text.parse::<NaiveTime>().unwrap();
    let date = |text: &str| text.parse::<NaiveDate>().unwrap();
    Recurrence { weekdays, start: time(times.0), end: time(times.1), from: date(dates.0), until: date(dates.1) }
}

#[test]
fn weekdays_nine_to_five_for_a_month() {
    let month = recurrence(WORKDAYS, ("09:00:00", "17:00:00"), ("2026-03-01", "2026-04-01"));
    let london = zone("Europe/London");
    let occurrences = month.expand(london).unwrap();
    assert_eq!(occurrences.len(), 22);
    for occurrence in &occurrences {
        let window = occurrence.window.unwrap();
        assert_eq!(window.minutes(), 480);
        // Nine in the morning before and after the clocks change.
        assert_eq!(london.local(window.start()), occurrence.date.and_hms_opt(9, 0, 0).unwrap());
    }
    assert!(occurrences.is_sorted_by_key(|occurrence| occurrence.date));
    let end = occurrences.last().unwrap().date;
    assert_eq!(end.to_string(), "2026-03-31", "the range's end is exclusive");
}

#[test]
fn an_end_not_after_the_start_is_on_the_next_day() {
    let dates = ("2026-07-03", "2026-07-04");
    let friday = WeekdaySet::single(Weekday::Fri);
    for (times, minutes) in [(("22:00:00", "06:00:00"), 480), (("08:00:00", "08:00:00"), 1_440)] {
        let occurrences = recurrence(friday, times, dates).expand(zone("Europe/Berlin")).unwrap();
        assert_eq!(occurrences.iter().map(|o| o.window.map(Window::minutes)).collect::<Vec<_>>(), [Ok(minutes)]);
    }
}

#[test]
fn a_date_whose_time_the_clocks_skip_is_reported_and_the_others_stand() {
    let daily = recurrence(WeekdaySet::ALL, ("01:30:00", "05:00:00"), ("2026-03-28", "2026-03-31"));
    let occurrences = daily.expand(zone("Europe/London")).unwrap();
    let windows: Vec<_> = occurrences.iter().map(|o| o.window.map(Window::minutes)).collect();
    assert_eq!(windows, [Ok(210), Err(OccurrenceProblem::Gap), Ok(210)]);
    // A skipped end is reported as well, also when it lies on the next date.
    let overnight = recurrence(WeekdaySet::ALL, ("22:00:00", "01:30:00"), ("2026-03-28", "2026-03-29"));
    assert_eq!(overnight.expand(zone("Europe/London")).unwrap()[0].window, Err(OccurrenceProblem::Gap));
}

#[test]
fn a_night_over_a_clock_change_keeps_its_local_times() {
    let nights = recurrence(WeekdaySet::ALL, ("22:00:00", "06:00:00"), ("2026-10-24", "2026-10-26"));
    let occurrences = nights.expand(zone("Europe/London")).unwrap();
    let windows: Vec<_> = occurrences.iter().map(|o| o.window.map(Window::minutes)).collect();
    assert_eq!(windows, [Ok(540), Ok(480)]);
}

#[test]
fn sixty_two_occurrences_are_the_most() {
    let times = ("09:00:00", "17:00:00");
    let most = recurrence(WeekdaySet::ALL, times, ("2026-07-01", "2026-09-01")).expand(zone("UTC")).unwrap();
    assert_eq!(most.len(), OCCURRENCES_MAX);
    let more = recurrence(WeekdaySet::ALL, times, ("2026-07-01", "2026-09-02")).expand(zone("UTC"));
    assert_eq!(more, Err(RecurrenceError::TooMany));
    let endless = recurrence(WeekdaySet::single(Weekday::Mon), times, ("2026-01-01", "9999-12-31"));
    assert_eq!(endless.expand(zone("UTC")), Err(RecurrenceError::TooMany));
}

#[test]
fn nothing_to_expand_is_refused() {
    let times = ("09:00:00", "17:00:00");
    for (weekdays, dates) in [
        (WeekdaySet::EMPTY, ("2026-07-01", "2026-08-01")),
        (WeekdaySet::ALL, ("2026-07-01", "2026-07-01")),
        (WeekdaySet::ALL, ("2026-07-02", "2026-07-01")),
        // 2026-07-01 is a Wednesday.
        (WeekdaySet::single(Weekday::Mon), ("2026-07-01", "2026-07-03")),
    ] {
        assert_eq!(recurrence(weekdays, times, dates).expand(zone("UTC")), Err(RecurrenceError::Empty));
    }
    let seconds = recurrence(WeekdaySet::ALL, ("09:00:30", "17:00:00"), ("2026-07-01", "2026-07-02"));
    assert_eq!(seconds.expand(zone("UTC")), Err(RecurrenceError::NotWholeMinute));
}
