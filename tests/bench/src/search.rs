//! What finding a free spot costs, by size of the lot and by how much is booked.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parkade_domain::calendar::{Allocation, CalendarView, TileKey, choose};
use parkade_domain::claims::{Claim, SpotPage};
use parkade_domain::geometry::{Geometry, SPOTS_PER_GROUP, Shape};
use parkade_domain::ids::{Claimant, ReservationId, SpotIndex};
use parkade_domain::time::{DAY_MINUTES, Window};
use parkade_testkit::CALENDAR;
use serde_json::{Value, json};

use crate::Failure;
use crate::figure::{Figure, Milli, Section};
use crate::fixture::{Fixture, NOW_S, Sequence, busy_day, even_day, vehicle};

/// Repetitions of a timing; the fastest counts, since everything else on the machine can only slow it down.
const REPETITIONS: u32 = 200;

type Day = fn(&mut Sequence) -> Vec<(i64, i64)>;

/// Nothing booked, 2 × 2 h, 6 × 2 h 30, and a mix of stays of 2 to 6 h.
const DAYS: [(&str, Day); 4] = [
    ("nothing booked", |_| Vec::new()),
    ("2 bookings per spot and day", |_| even_day(2, 120)),
    ("6 bookings per spot and day", |_| even_day(6, 150)),
    ("65 % of the day sold, stays of 2–6 h", busy_day),
];

/// Searches for 2 hours.
pub(crate) async fn measure() -> Result<Section, Failure> {
    let mut section =
        Section::new("Search for 2 h", &["RRU", "calls", "decision, µs CPU", "whole search, µs in process"]);
    for spots in [200, 2_000] {
        for (n, (name, day)) in (1..).zip(DAYS) {
            let lot = Fixture::new(spots, Shape::Hourly).await?;
            lot.fill(day, n).await?;
            let window = lot.window(n, 6, 8)?;
            let found = lot.store.search(&lot.lot, vehicle(), window, NOW_S).await?;
            let cost = lot.meter.reset();
            let half_units = i64::try_from(cost.rru.as_halves()).unwrap_or(i64::MAX);
            let mut rru = Figure::from(Milli(half_units * 500));
            if spots == 2_000 && n == 4 {
                rru = rru.at_most(Milli::whole(23));
            }
            let whole = whole_search(&lot, window).await?;
            let free = found.map_or(0, |found| found.free.len());
            let decision = decision(lot.geometry, spots, day, window, &lot)?;
            let decision = Figure::from(micros(decision)).at_most(Milli::whole(300));
            let row = format!("{spots} spots, {name} ({free} free)");
            section.row(row, [rru, Figure::whole(cost.calls), decision, micros(whole).into()]);
        }
    }
    Ok(section)
}

/// The same search in a lot of long stays, whose items are 2 spots × 32 days.
pub(crate) async fn long_stays() -> Result<Section, Failure> {
    let mut section = Section::new("Search for 2 h, long-stay lot of 200 spots", &["RRU", "calls"]);
    for (name, stays) in [("nothing booked", 0), ("65 % of the month sold, stays of 3–10 days", 5)] {
        let lot = Fixture::new(200, Shape::LongStay).await?;
        // From the page's start on: 5 stays of 6.5 days on average, with pauses of half their length.
        let page_start = lot.geometry.page_start(lot.geometry.page(lot.day(20)));
        let first_day = (page_start.0 - lot.day(0).0) / DAY_MINUTES;
        let month = |sequence: &mut Sequence| month_of_stays(sequence, stays);
        lot.fill(month, first_day.max(1)).await?;
        lot.store.search(&lot.lot, vehicle(), lot.window(21, 6, 8)?, NOW_S).await?;
        let cost = lot.meter.reset();
        let rru = Milli(i64::try_from(cost.rru.as_halves())? * 500);
        section.row(name, [rru.into(), Figure::whole(cost.calls)]);
    }
    Ok(section)
}

fn month_of_stays(sequence: &mut Sequence, stays: usize) -> Vec<(i64, i64)> {
    let mut at = sequence.between(0, 48) * 60;
    let mut stay = || {
        let (from, until) = (at, at + sequence.between(72, 240) * 60);
        at = until + sequence.between(0, 168) * 60;
        (from, until)
    };
    (0..stays).map(|_| stay()).filter(|(_, until)| *until <= 32 * DAY_MINUTES).collect()
}

/// What the same search would read if more or fewer spots shared a partition, from the sizes of the stored items.
pub(crate) async fn groups() -> Result<Section, Failure> {
    let mut section = Section::new("Size of a group: search for 2 h, 2 000 spots, 65 % sold", &["calls", "RRU"]);
    let lot = Fixture::new(2_000, Shape::Hourly).await?;
    lot.fill(busy_day, 1).await?;
    let mut tiles: Vec<u64> = Vec::new();
    for group in 0..2_000_u16.div_ceil(SPOTS_PER_GROUP) {
        let body = json!({
            "TableName": CALENDAR.name,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": format!("{}#{group}", lot.lot)}},
        });
        let reply = lot.engine.call("Query", &body.to_string()).map_err(|refusal| refusal.body)?;
        let reply: Value = serde_json::from_str(&reply)?;
        tiles.extend(reply.get("Items").and_then(Value::as_array).into_iter().flatten().map(item_bytes));
    }
    for spots in [32, 64, 128, 256, 2_000] {
        let partitions = tiles.chunks(spots / 8);
        // An eventually consistent Query costs half a unit per 4 KB begun.
        let halves = partitions.clone().map(|tiles| tiles.iter().sum::<u64>().div_ceil(4_096)).sum::<u64>();
        let rru = Milli(i64::try_from(halves)? * 500);
        let name =
            if spots == usize::from(SPOTS_PER_GROUP) { format!("**{spots} spots**") } else { format!("{spots} spots") };
        section.row(name, [Figure::whole(partitions.len()), rru.into()]);
    }
    Ok(section)
}

/// The size that DynamoDB bills: names and values, and nothing else in a read.
fn item_bytes(item: &Value) -> u64 {
    let value_bytes = |value: &Value| match value.as_object().and_then(|typed| typed.iter().next()) {
        Some((kind, Value::String(text))) => match kind.as_str() {
            "B" => STANDARD.decode(text).map_or(0, |bytes| bytes.len()),
            "N" => text.len().div_ceil(2) + 1,
            _ => text.len(),
        },
        _ => 1,
    };
    item.as_object().into_iter().flatten().map(|(name, value)| (name.len() + value_bytes(value)) as u64).sum()
}

fn micros(time: Duration) -> Milli {
    // To the tenth: more digits would be noise.
    Milli(i64::try_from(time.as_nanos() / 100).unwrap_or(i64::MAX) * 100)
}

/// Through the SDK and the engine in the same process: an upper bound of what the function computes.
async fn whole_search(lot: &Fixture, window: Window) -> Result<Duration, Failure> {
    let mut best = Duration::MAX;
    for _ in 0..REPETITIONS / 10 {
        let began = Instant::now();
        black_box(lot.store.search(&lot.lot, vehicle(), window, NOW_S).await?);
        best = best.min(began.elapsed());
    }
    Ok(best)
}

/// Which spots are free and which of them is best, from the stored bytes.
fn decision(geometry: Geometry, spots: u16, day: Day, window: Window, lot: &Fixture) -> Result<Duration, Failure> {
    let page = geometry.page(window.start());
    let (mut view, mut sequence) = (CalendarView::new(geometry), Sequence(7));
    let mut ranked = Vec::new();
    for tile in 0..spots.div_ceil(geometry.spots_per_tile()) {
        let tile = parkade_domain::geometry::Tile(tile);
        let mut values = std::array::from_fn(|_| None);
        for (slot, value) in (0..geometry.spots_per_tile()).zip(&mut values) {
            ranked.push((geometry.spot(tile, slot), 0));
            *value = stored(day(&mut sequence), geometry.spot(tile, slot))?;
        }
        view.insert(TileKey { page, tile }, values);
    }
    let claims = [window];
    let mut best = Duration::MAX;
    for seed in 0..u64::from(REPETITIONS) {
        let began = Instant::now();
        let free = view.free(ranked.iter().copied(), &claims, NOW_S)?;
        black_box(choose(&free, Allocation::BestFit, seed));
        best = best.min(began.elapsed());
    }
    let seen = view.free(ranked, &claims, NOW_S)?.len();
    black_box((seen, lot));
    Ok(best)
}

fn stored(windows: Vec<(i64, i64)>, spot: SpotIndex) -> Result<Option<Vec<u8>>, Failure> {
    let mut page = SpotPage::default();
    for (n, (from, until)) in (0..).zip(windows) {
        let id = ReservationId::new(Claimant::Reservation, u64::from(spot.0) * 64 + n);
        page.claim(Claim { start: u16::try_from(from)?, end: u16::try_from(until)?, lease_s: 0, id }, NOW_S)?;
    }
    Ok(page.encode())
}
