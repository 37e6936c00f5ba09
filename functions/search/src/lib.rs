//! `GET /v1/spots/available`: the free spots of one lot for a vehicle and a window, best fit first, with what the window costs.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{AvailabilityView, PriceView, SpotView, minute_text, refused_window, window_at};
use parkade_api::{Answer, Code, FieldCode, Problem, Query, respond_to};
use parkade_domain::decide::price;
use parkade_domain::ids::LotId;
use parkade_domain::lot::LotKind;
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Features, Vehicle, VehicleClass};
use parkade_runtime::Deps;
use parkade_runtime::problems::{refusal_problem, store_problem};
use parkade_runtime::stays::lot;
use parkade_store::Availability;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = search(deps, now, &request).await;
    respond_to(&request, outcome)
}

struct Wish {
    lot: LotId,
    vehicle: Vehicle,
    start: String,
    end: String,
    limit: usize,
}

async fn search(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    deps.identity.principal(request.headers())?;
    let wish = read(request)?;
    let facts = lot(&deps.store, &wish.lot).await?;
    let window = window_at(facts.lot.zone, &wish.start, &wish.end)?;
    facts.lot.policy.check_window(Minute::floor(now), window).map_err(refused_window)?;
    if facts.directory.fitting(wish.vehicle).next().is_none() {
        return Err(Problem::new(Code::VehicleFitsNowhere));
    }
    let found = deps.store.search(&wish.lot, wish.vehicle, window, now.timestamp()).await;
    let found = found.map_err(|error| store_problem(&error))?.ok_or_else(|| Problem::lot_not_found(&wish.lot))?;
    let pricing = deps.store.pricing_now(&found.facts, window, Features::default(), now.timestamp()).await;
    let price = price(pricing.map_err(|error| store_problem(&error))?.rules(), wish.vehicle, &[window]);
    let price = PriceView::from_domain(&price.map_err(refusal_problem)?);
    Answer::ok(&view(&wish, window, &found, price))
}

fn read(request: &Request<Vec<u8>>) -> Result<Wish, Problem> {
    const KNOWN: [&str; 7] = ["lot_id", "vehicle_class", "start_time", "end_time", "ev", "accessible_permit", "limit"];
    let mut query = Query::new(request.uri(), &KNOWN);
    let lot = query.required("lot_id");
    let class = query.required::<String>("vehicle_class");
    let known = class.as_deref().and_then(VehicleClass::parse);
    if class.is_some() && known.is_none() {
        query.error("vehicle_class", FieldCode::Invalid, "one of motorcycle, compact, standard, large");
    }
    let (start, end) = (query.required("start_time"), query.required("end_time"));
    let (ev, accessible_permit) = (query.flag("ev"), query.flag("accessible_permit"));
    let limit = usize::try_from(query.page_limit()).unwrap_or(usize::MAX);
    let wish = match (lot, known, start, end) {
        (Some(lot), Some(class), Some(start), Some(end)) => {
            Some(Wish { lot, vehicle: Vehicle { class, ev, accessible_permit }, start, end, limit })
        }
        _ => None,
    };
    query.finish_with(wish)
}

fn view(wish: &Wish, window: Window, found: &Availability, price: PriceView) -> AvailabilityView {
    let Availability { facts, free } = found;
    let shown = if facts.lot.kind == LotKind::Assigned { wish.limit } else { 0 };
    let spots = free.iter().take(shown).filter_map(|free| facts.directory.get(free.spot));
    AvailabilityView {
        lot_id: wish.lot.to_string(),
        vehicle_class: wish.vehicle.class.as_str().to_owned(),
        start_time: minute_text(window.start()),
        end_time: minute_text(window.end()),
        free_spots: free.len(),
        price,
        items: spots.map(SpotView::from_domain).collect(),
    }
}
