//! `GET /v1/lots?near=<latitude>,<longitude>&radius=<metres>`: lots around a point, nearest first, with how many spots are free. It
//! reads counted days, never calendars, so its cost does not grow with the lots' bookings.

mod near;

use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use http::{Request, Response};
use parkade_api::wire::{NearbyLotView, NearbyLotsView, PositionFields};
use parkade_api::{Answer, Code, FieldCode, Problem, Query, respond_to};
use parkade_domain::ids::LotId;
use parkade_domain::time::{DAY_MINUTES, Minute, Window};
use parkade_domain::vehicle::VehicleClass;
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_runtime::stays::lot;
use parkade_store::{LotDay, LotPosition};

use near::{Point, RADIUS_M_MAX};

/// Metres around the point unless the client says otherwise.
const RADIUS_M_DEFAULT: u32 = 2_000;
/// Longest window: each day is another item to read for each lot.
const WINDOW_DAYS_MAX: i64 = 7;
/// Length of the window without an `end_time`.
const WINDOW_MINUTES_DEFAULT: i64 = 60;
/// Lots shown unless the client asks for another number.
const LIMIT_DEFAULT: u32 = 20;
/// Most lots shown.
const LIMIT_MAX: u32 = 50;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = discover(deps, now, &request).await;
    respond_to(&request, outcome)
}

struct Wish {
    point: Point,
    radius_m: u32,
    class: VehicleClass,
    window: Window,
    limit: usize,
}

async fn discover(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    deps.identity.principal(request.headers())?;
    let wish = read(request, Minute::floor(now))?;
    let latitude = wish.point.latitudes(wish.radius_m);
    let boxes = wish.point.longitudes(wish.radius_m).into_iter();
    let found = try_join_all(boxes.map(|longitude| deps.store.lots_in_box(latitude, longitude))).await;
    let found = found.map_err(|error| store_problem(&error))?.into_iter().flatten();
    let measured = found.map(|lot| (wish.point.distance_m(&lot), lot));
    let mut lots: Vec<(u32, LotPosition)> = measured.filter(|(metres, _)| *metres <= wish.radius_m).collect();
    lots.sort_by(|(a, first), (b, second)| (a, &first.lot).cmp(&(b, &second.lot)));
    let total = lots.len();
    lots.truncate(wish.limit);
    let keys: Vec<(LotId, u32)> =
        lots.iter().flat_map(|(_, lot)| days(lot, wish.window).map(|day| (lot.lot.clone(), day))).collect();
    let counted = deps.store.occupancy(&keys).await.map_err(|error| store_problem(&error))?;
    let views = lots.iter().map(|(distance_m, lot)| view(deps, &wish, &counted, (*distance_m, lot)));
    Answer::ok(&NearbyLotsView { total, items: try_join_all(views).await? })
}

fn read(request: &Request<Vec<u8>>, now: Minute) -> Result<Wish, Problem> {
    const KNOWN: [&str; 6] = ["near", "radius", "vehicle_class", "start_time", "end_time", "limit"];
    let mut query = Query::new(request.uri(), &KNOWN);
    let point = query.required::<Point>("near");
    let radius_m = query.optional("radius").unwrap_or(RADIUS_M_DEFAULT);
    if !(1..=RADIUS_M_MAX).contains(&radius_m) {
        query.error("radius", FieldCode::OutOfRange, format!("from 1 to {RADIUS_M_MAX} metres"));
    }
    let class = query.text("vehicle_class").map_or(Some(VehicleClass::Standard), VehicleClass::parse);
    if class.is_none() {
        query.error("vehicle_class", FieldCode::Invalid, "one of motorcycle, compact, standard, large");
    }
    let limit = query.optional("limit").unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        query.error("limit", FieldCode::OutOfRange, format!("from 1 to {LIMIT_MAX}"));
    }
    let start = time(&mut query, "start_time").unwrap_or(now);
    let end = time(&mut query, "end_time").unwrap_or(start.plus(WINDOW_MINUTES_DEFAULT));
    if end > start.plus(WINDOW_DAYS_MAX * DAY_MINUTES) {
        query.error("end_time", FieldCode::OutOfRange, format!("at most {WINDOW_DAYS_MAX} days after the start"));
    }
    let (point, class) = query.finish_with(point.zip(class))?;
    let window = Window::new(start, end);
    let window = window.map_err(|error| Problem::at(Code::WindowReversed, "/query/end_time", error.to_string()))?;
    Ok(Wish { point, radius_m, class, window, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
}

/// Lots of several zones are compared, so a time needs an offset here.
fn time(query: &mut Query<'_>, name: &str) -> Option<Minute> {
    let text = query.text(name)?;
    match DateTime::parse_from_rfc3339(text) {
        Ok(instant) => Some(Minute::floor(instant.with_timezone(&Utc))),
        Err(_) => {
            query.error(name, FieldCode::TimeMalformed, "RFC 3339 with an offset");
            None
        }
    }
}

/// The days of a lot, counted from its own page boundary, that a window touches.
fn days(lot: &LotPosition, window: Window) -> impl Iterator<Item = u32> + use<> {
    let offset = lot.day_offset_minutes;
    let day = move |minute: Minute| u32::try_from((minute.0 - offset).div_euclid(DAY_MINUTES)).unwrap_or(0);
    day(window.start())..=day(window.end().plus(-1))
}

async fn view(
    deps: &Deps,
    wish: &Wish,
    counted: &[LotDay],
    (distance_m, position): (u32, &LotPosition),
) -> Result<NearbyLotView, Problem> {
    let mut free_spots = u16::MAX;
    for day in days(position, wish.window) {
        let counted = counted.iter().find(|counted| counted.lot == position.lot && counted.day == day);
        let free = match counted {
            Some(counted) => counted.free_for(wish.class, wish.window.start(), wish.window.end()),
            // Nothing was ever booked on that day.
            None => spots(deps, position, wish.class).await?,
        };
        free_spots = free_spots.min(free);
    }
    Ok(NearbyLotView {
        lot_id: position.lot.to_string(),
        name: position.name.clone(),
        position: PositionFields {
            latitude_microdegrees: position.latitude_microdegrees,
            longitude_microdegrees: position.longitude_microdegrees,
        },
        distance_m,
        free_spots,
    })
}

async fn spots(deps: &Deps, position: &LotPosition, class: VehicleClass) -> Result<u16, Problem> {
    let facts = lot(&deps.store, &position.lot).await?;
    let count = facts.directory.spots.iter().filter(|spot| spot.size >= class).count();
    Ok(u16::try_from(count).unwrap_or(u16::MAX))
}
