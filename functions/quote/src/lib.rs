//! `POST /v1/quotes`: what a stay costs, or what a change of plans would leave owed and give back. Nothing is changed: the decision is
//! the command's own, made on what is stored now.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::quote::StepView;
use parkade_api::wire::reserve::ModifyInput;
use parkade_api::wire::{AmountView, PriceView, QuoteInput, QuoteRequest, QuoteView, SettlementView};
use parkade_api::wire::{minute_text, refused_window, second_text, time_at, window_at};
use parkade_api::{Answer, Code, Problem, read_json, respond_to};
use parkade_domain::decide::{self, Dossier, Rules};
use parkade_domain::explain;
use parkade_domain::ids::{LotId, ReservationId};
use parkade_domain::lot::LotKind;
use parkade_domain::reservation::{Mark, Reason};
use parkade_domain::settlement::{Settlement, SettlementReason};
use parkade_domain::tariff::Price;
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Features, Spot, Vehicle, VehicleClass, fits};
use parkade_runtime::Deps;
use parkade_runtime::access::read_access;
use parkade_runtime::problems::{command_problem, refusal_problem, store_problem};
use parkade_runtime::quotes::{QUOTE_TTL_S, Quote};
use parkade_runtime::stays::{lot, pricing};
use parkade_store::{Access, LotFacts, Pricing, Promise};

/// Nothing is written, so nothing has to be recognised later.
const NO_MARK: Mark = Mark { key: 0, fingerprint: 0 };

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = quote(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn quote(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let access = read_access(&principal);
    let view = match read_json::<QuoteRequest>(request)?.check()? {
        QuoteInput::Stay { lot, class, spot, times } => stay(deps, now, Asked { lot, class, spot, times }).await?,
        QuoteInput::Cancel(id) => Quoted::read(deps, now, id, &access).await?.cancel()?,
        QuoteInput::CheckOut(id) => Quoted::read(deps, now, id, &access).await?.check_out()?,
        QuoteInput::Modify(id, wish) => Quoted::read(deps, now, id, &access).await?.modify(&wish)?,
    };
    Answer::ok(&view)
}

/// What a stay is quoted for.
struct Asked {
    lot: LotId,
    class: VehicleClass,
    spot: Option<String>,
    times: Option<[String; 2]>,
}

async fn stay(deps: &Deps, now: DateTime<Utc>, asked: Asked) -> Result<QuoteView, Problem> {
    let facts = lot(&deps.store, &asked.lot).await?;
    // Who needs a permit for a spot has it: a price tells nothing about that.
    let vehicle = Vehicle { class: asked.class, ev: false, accessible_permit: true };
    let spot = asked.spot.as_ref().map(|number| named(&facts, vehicle, number)).transpose()?;
    let features = spot.map_or_else(Features::default, |spot| spot.features);
    if facts.directory.fitting(vehicle).next().is_none() {
        return Err(Problem::new(Code::VehicleFitsNowhere));
    }
    let Some([start, end]) = &asked.times else {
        let entry = Minute::floor(now);
        let moment = Window::new(entry, entry.plus(1)).map_err(|error| Problem::internal(&error))?;
        let pricing = deps.store.pricing_now(&facts, moment, features, now.timestamp()).await;
        return drive_up(&pricing.map_err(|error| store_problem(&error))?, vehicle, entry);
    };
    let window = window_at(facts.lot.zone, start, end)?;
    facts.lot.policy.check_window(Minute::floor(now), window).map_err(refused_window)?;
    let pricing = deps.store.pricing_now(&facts, window, features, now.timestamp()).await;
    let pricing = pricing.map_err(|error| store_problem(&error))?;
    let price = decide::price(pricing.rules(), vehicle, &[window]).map_err(refusal_problem)?;
    let expires_at_s = now.timestamp() + QUOTE_TTL_S;
    let promise = Promise { tariff: pricing.tariff.version, circumstances: pricing.circumstances, expires_at_s };
    let quote = Quote { lot: asked.lot, class: asked.class, window, spot: asked.spot, promise };
    Ok(QuoteView::Price {
        price: PriceView::from_domain(&price),
        overstay: serde_json::to_value(pricing.tariff.overstay).map_err(|error| Problem::internal(&error))?,
        quote: quote.seal(deps.identity.keys())?,
        expires_at: second_text(expires_at_s),
    })
}

/// The spot that is asked for, if a booking could name it.
fn named<'a>(facts: &'a LotFacts, vehicle: Vehicle, number: &str) -> Result<&'a Spot, Problem> {
    let spot = facts.directory.by_number(number).filter(|_| facts.lot.kind == LotKind::Assigned);
    let spot = spot.ok_or_else(|| Problem::spot_not_found(&facts.lot.id, number))?;
    if fits(spot.kind(), &vehicle) { Ok(spot) } else { Err(Problem::new(Code::VehicleFitsNowhere)) }
}

/// What driving in now costs, by when one leaves.
fn drive_up(pricing: &Pricing, vehicle: Vehicle, entry: Minute) -> Result<QuoteView, Problem> {
    let steps = explain::ahead(pricing.rules(), vehicle, entry).map_err(refusal_problem)?;
    let currency = pricing.tariff.currency;
    let step = |(end, minor): &(Minute, i64)| StepView {
        end_time: minute_text(*end),
        total: AmountView::new(*minor, currency),
    };
    Ok(QuoteView::DriveUp {
        start_time: minute_text(entry),
        tariff_version: pricing.tariff.version.0,
        steps: steps.iter().map(step).collect(),
    })
}

/// A reservation whose change is quoted.
struct Quoted {
    dossier: Dossier,
    pricing: Pricing,
    now: DateTime<Utc>,
}

impl Quoted {
    async fn read(deps: &Deps, now: DateTime<Utc>, id: ReservationId, access: &Access) -> Result<Self, Problem> {
        let dossier = deps.store.dossier(id, access).await.map_err(command_problem)?;
        let pricing = pricing(&deps.store, &dossier.reservation).await?;
        Ok(Self { dossier, pricing, now })
    }

    fn cancel(&self) -> Result<QuoteView, Problem> {
        let (d, rules, now_s) = (&self.dossier, self.pricing.rules(), self.now.timestamp());
        let change = decide::cancel(d, rules, now_s, NO_MARK, Reason::DriverCancelled).map_err(refusal_problem)?;
        let owed = explain::owed(&change.reservation, rules);
        Ok(self.settled(SettlementReason::Cancellation, owed))
    }

    fn check_out(&self) -> Result<QuoteView, Problem> {
        let (d, rules) = (&self.dossier, self.pricing.rules());
        let change = decide::check_out(d, rules, self.now.timestamp(), NO_MARK, None).map_err(refusal_problem)?;
        let (r, after) = (&d.reservation, &change.reservation);
        let reason = match after.price_minor {
            same if same == r.price_minor => SettlementReason::AsBooked,
            _ if Minute::ceil(self.now) < r.window.end() => SettlementReason::EarlyExit,
            _ => SettlementReason::Overstay,
        };
        Ok(self.settled(reason, explain::owed(after, rules)))
    }

    fn modify(&self, wish: &ModifyInput) -> Result<QuoteView, Problem> {
        let (d, rules) = (&self.dossier, self.pricing.rules());
        let r = &d.reservation;
        let time = |pointer: &str, text: &Option<String>, stays: Minute| match text {
            Some(text) => time_at(rules.lot.zone, pointer, text),
            None => Ok(stays),
        };
        let start = time("/start_time", &wish.start, r.window.start())?;
        let end = time("/end_time", &wish.end, r.window.end())?;
        let window = Window::new(start, end);
        let window = window.map_err(|error| Problem::at(Code::WindowReversed, "/end_time", error.to_string()))?;
        let place = match &wish.spot {
            None => (r.spot, r.circumstances.features),
            Some(number) => {
                let spot = named(&self.pricing.facts, r.vehicle, number)?;
                (spot.index, spot.features)
            }
        };
        let change = decide::modify(d, rules, self.now.timestamp(), NO_MARK, window, place);
        let rules = Rules {
            circumstances: change.as_ref().map_or(rules.circumstances, |c| c.reservation.circumstances),
            ..rules
        };
        let change = change.map_err(refusal_problem)?;
        Ok(self.settled(SettlementReason::Modification, explain::owed(&change.reservation, rules)))
    }

    fn settled(&self, reason: SettlementReason, owed: Price) -> QuoteView {
        let r = &self.dossier.reservation;
        let settlement = Settlement { reason, before: explain::owed(r, self.pricing.rules()), owed };
        QuoteView::Settlement(SettlementView::from_domain(&settlement, r.paid_minor - r.refunded_minor))
    }
}
