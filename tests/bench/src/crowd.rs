//! Flash crowds: 64 instances want spots of one lot at once, each with its own client and memory, on the real engine.
//!
//! One thread runs them all and a seed decides whose turn it is at every call to the store, so attempts repeat within a few hundredths.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use parkade_domain::geometry::Shape;
use parkade_domain::ids::SpotIndex;
use parkade_domain::time::{DAY_MINUTES, Window};
use parkade_store::{CommandError, Reserve, StoreError};

use crate::Failure;
use crate::figure::{Figure, Milli, Section};
use crate::fixture::{Fixture, NOW_S, Sequence, vehicle};

/// Instances at work at the same time.
const CLIENTS: usize = 64;

/// What a crowd was told, in the order of the answers.
#[derive(Debug, Default)]
struct Crowd {
    waits: Vec<Duration>,
    sold: Vec<(SpotIndex, Window)>,
    full: u64,
    full_while_free: u64,
    gave_up: u64,
    attempts: u64,
}

/// Crowds that want the same two hours, and crowds that want 2 to 6 hours of one day.
pub(crate) async fn measure() -> Result<Section, Failure> {
    let columns = &[
        "attempts per success",
        "double claims",
        "“full” while a spot was free",
        "told to ask again (503)",
        "sold time",
        "p50 ms",
        "p99 ms",
    ];
    let mut section = Section::new("Flash crowd, 64 clients", columns);
    for (spots, limit) in [(2_000, 1_200), (200, 3_000)] {
        let lot = Fixture::new(spots, Shape::Hourly).await?;
        let window = lot.window(1, 6, 8)?;
        let wanted = usize::from(spots) + usize::from(spots) / 10;
        let crowd = run(&lot, std::iter::repeat_n(window, wanted).collect()).await?;
        let ideal = ideal_minutes(spots, &vec![window; wanted], lot.day(1).0);
        row(&mut section, &format!("same 2 h, {spots} spots, {wanted} requests"), crowd, limit, ideal)?;
    }
    for (spots, limit) in [(500, 3_000), (200, 3_000)] {
        let lot = Fixture::new(spots, Shape::Hourly).await?;
        let windows = mixed(&lot, usize::from(spots) * 7 / 2)?;
        let ideal = ideal_minutes(spots, &windows, lot.day(1).0);
        let wanted = windows.len();
        let crowd = run(&lot, windows).await?;
        eprintln!("crowd: {spots} spots, mixed windows");
        row(&mut section, &format!("mixed 2–6 h, {spots} spots, {wanted} requests"), crowd, limit, ideal)?;
    }
    Ok(section)
}

/// Stays of 2 to 6 hours between 7 and 19 o'clock, in the order in which they are asked for: more than all spots can take.
fn mixed(lot: &Fixture, count: usize) -> Result<Vec<Window>, Failure> {
    let (day, mut sequence) = (lot.day(1), Sequence(11));
    let mut windows = Vec::with_capacity(count);
    for _ in 0..count {
        let minutes = sequence.between(8, 24) * 15;
        let start = day.plus(180 + sequence.between(0, (720 - minutes) / 15) * 15);
        windows.push(Window::new(start, start.plus(minutes))?);
    }
    Ok(windows)
}

/// What a single counter per minute would sell, asked in the same order: no lot of named spots can sell more to that order.
fn ideal_minutes(spots: u16, windows: &[Window], day: i64) -> i64 {
    let mut taken = vec![0_u16; usize::try_from(DAY_MINUTES).unwrap_or(0)];
    let mut sold = 0;
    for window in windows {
        let from = usize::try_from(window.start().0 - day).unwrap_or(0);
        let minutes = usize::try_from(window.minutes()).unwrap_or(0);
        let during = || from..from + minutes;
        if taken.get(during()).is_some_and(|taken| taken.iter().all(|count| *count < spots)) {
            taken.iter_mut().skip(from).take(minutes).for_each(|count| *count += 1);
            sold += window.minutes();
        }
    }
    sold
}

fn row(section: &mut Section, name: &str, crowd: Crowd, limit: i64, ideal: i64) -> Result<(), Failure> {
    let mut waits = crowd.waits;
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    let ms = |wait: Duration| Milli(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
    let minutes: i64 = crowd.sold.iter().map(|(_, window)| window.minutes()).sum();
    section.row(
        name,
        [
            Figure::from(Milli::ratio(crowd.attempts, crowd.sold.len())).at_most(Milli(limit)),
            Figure::whole(doubles(&crowd.sold)).at_most(Milli(0)),
            Figure::whole(crowd.full_while_free).at_most(Milli(0)),
            Figure::whole(crowd.gave_up).at_most(Milli(0)),
            Figure::from(Milli::ratio(minutes, ideal)).at_least(Milli(970)),
            ms(at(50)).into(),
            ms(at(99)).into(),
        ],
    );
    if crowd.full == 0 {
        return Err("the crowd never filled the lot".into());
    }
    Ok(())
}

/// Acknowledged pairs that share a minute of a spot.
fn doubles(sold: &[(SpotIndex, Window)]) -> usize {
    let mut spots: BTreeMap<SpotIndex, Vec<Window>> = BTreeMap::new();
    sold.iter().for_each(|(spot, window)| spots.entry(*spot).or_default().push(*window));
    let overlaps = |windows: &Vec<Window>| {
        let pairs = windows.iter().enumerate().flat_map(|(n, a)| windows.iter().skip(n + 1).map(move |b| (a, b)));
        pairs.filter(|(a, b)| a.overlaps(**b)).count()
    };
    spots.values().map(overlaps).sum()
}

async fn run(lot: &Fixture, windows: Vec<Window>) -> Result<Crowd, Failure> {
    let mut queue = VecDeque::with_capacity(windows.len());
    for (n, window) in (1..).zip(windows) {
        queue.push_back((lot.request(n, vec![window])?, window));
    }
    let (queue, crowd) = (Arc::new(Mutex::new(queue)), Arc::new(Mutex::new(Crowd::default())));
    lot.faults.interleave(3);
    let clients = (0..CLIENTS).map(|_| client(lot, Arc::clone(&queue), Arc::clone(&crowd)));
    futures::future::try_join_all(clients).await?;
    let attempts = lot.meter.snapshot().get("TransactWriteItems").map_or(0, |usage| usage.calls);
    let mut crowd = std::mem::take(&mut *crowd.lock().unwrap_or_else(PoisonError::into_inner));
    crowd.attempts = attempts;
    Ok(crowd)
}

type Queue = Arc<Mutex<VecDeque<(Reserve, Window)>>>;

/// One instance: takes the next request when it has answered the one before.
async fn client(lot: &Fixture, queue: Queue, crowd: Arc<Mutex<Crowd>>) -> Result<(), Failure> {
    let store = lot.instance();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((request, window)) = next else { return Ok(()) };
        let began = Instant::now();
        let answer = store.reserve(&request).await;
        let wait = began.elapsed();
        let free = match &answer {
            Err(CommandError::NoSpot) => free_spots(lot, window).await?,
            _ => 0,
        };
        let mut crowd = crowd.lock().unwrap_or_else(PoisonError::into_inner);
        crowd.waits.push(wait);
        match answer {
            Ok(done) => crowd.sold.push((done.dossier.reservation.spot, window)),
            Err(CommandError::NoSpot) => {
                crowd.full += 1;
                crowd.full_while_free += u64::from(free > 0);
            }
            Err(CommandError::Store(StoreError::Unavailable { .. })) => crowd.gave_up += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Claims are only ever added here: a spot that is free after "full" was said was free before.
async fn free_spots(lot: &Fixture, window: Window) -> Result<usize, Failure> {
    let observer =
        parkade_store::Store::new(lot.engine.client(parkade_testkit::Faults::none()), crate::fixture::tables());
    let found = observer.search(&lot.lot, vehicle(), window, NOW_S).await?;
    Ok(found.map_or(0, |availability| availability.free.len()))
}
