//! `POST /v1/quotes`: what a stay costs, or what a change of plans would leave owed and give back. Nothing is changed: the decision is
//! the command's own, made on what is stored now.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::reserve::ModifyInput;
use parkade_api::wire::{PriceView, QuoteInput, QuoteRequest, QuoteView, SettlementView};
use parkade_api::wire::{refused_window, time_at, window_at};
use parkade_api::{Answer, Code, Problem, read_json, respond_to};
use parkade_domain::decide::{self, Dossier, Rules};
use parkade_domain::explain;
use parkade_domain::ids::{LotId, ReservationId};
use parkade_domain::reservation::{Mark, Reason};
use parkade_domain::settlement::{Settlement, SettlementReason};
use parkade_domain::tariff::Price;
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::{Vehicle, VehicleClass};
use parkade_runtime::Deps;
use parkade_runtime::access::read_access;
use parkade_runtime::problems::{command_problem, refusal_problem, store_problem};
use parkade_runtime::stays::{Terms, lot};
use parkade_store::Access;

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
        QuoteInput::Stay { lot, class, start, end } => stay(deps, now, (lot, class), [&start, &end]).await?,
        QuoteInput::Cancel(id) => Quoted::read(deps, now, id, &access).await?.cancel()?,
        QuoteInput::CheckOut(id) => Quoted::read(deps, now, id, &access).await?.check_out()?,
        QuoteInput::Modify(id, wish) => Quoted::read(deps, now, id, &access).await?.modify(&wish)?,
    };
    Answer::ok(&view)
}

async fn stay(
    deps: &Deps,
    now: DateTime<Utc>,
    (id, class): (LotId, VehicleClass),
    [start, end]: [&str; 2],
) -> Result<QuoteView, Problem> {
    let facts = lot(&deps.store, &id).await?;
    let window = window_at(facts.lot.zone, start, end)?;
    facts.lot.policy.check_window(Minute::floor(now), window).map_err(refused_window)?;
    let tariff = deps.store.tariff(&id, facts.lot.tariff).await.map_err(|error| store_problem(&error))?;
    let vehicle = Vehicle { class, ev: false, accessible_permit: false };
    let price = decide::price(Rules { lot: &facts.lot, tariff: &tariff }, vehicle, &[window]);
    Ok(QuoteView::Price {
        price: PriceView::from_domain(&price.map_err(refusal_problem)?),
        overstay: serde_json::to_value(tariff.overstay).map_err(|error| Problem::internal(&error))?,
    })
}

/// A reservation whose change is quoted.
struct Quoted {
    dossier: Dossier,
    terms: Terms,
    now: DateTime<Utc>,
}

impl Quoted {
    async fn read(deps: &Deps, now: DateTime<Utc>, id: ReservationId, access: &Access) -> Result<Self, Problem> {
        let dossier = deps.store.dossier(id, access).await.map_err(command_problem)?;
        let terms = Terms::of(&deps.store, &dossier.reservation).await?;
        Ok(Self { dossier, terms, now })
    }

    fn cancel(&self) -> Result<QuoteView, Problem> {
        let (d, rules, now_s) = (&self.dossier, self.terms.rules(), self.now.timestamp());
        let change = decide::cancel(d, rules, now_s, NO_MARK, Reason::DriverCancelled).map_err(refusal_problem)?;
        let owed = explain::cancelled(&d.reservation, &change.reservation, rules, Minute::floor(self.now));
        Ok(self.settled(SettlementReason::Cancellation, owed))
    }

    fn check_out(&self) -> Result<QuoteView, Problem> {
        let (d, rules) = (&self.dossier, self.terms.rules());
        let change = decide::check_out(d, rules, self.now.timestamp(), NO_MARK).map_err(refusal_problem)?;
        let (r, after) = (&d.reservation, &change.reservation);
        let reason = match after.price_minor {
            same if same == r.price_minor => SettlementReason::AsBooked,
            _ if Minute::ceil(self.now) < r.window.end() => SettlementReason::EarlyExit,
            _ => SettlementReason::Overstay,
        };
        Ok(self.settled(reason, explain::owed(after, rules)))
    }

    fn modify(&self, wish: &ModifyInput) -> Result<QuoteView, Problem> {
        let (d, rules) = (&self.dossier, self.terms.rules());
        let r = &d.reservation;
        let time = |pointer: &str, text: &Option<String>, stays: Minute| match text {
            Some(text) => time_at(rules.lot.zone, pointer, text),
            None => Ok(stays),
        };
        let start = time("/start_time", &wish.start, r.window.start())?;
        let end = time("/end_time", &wish.end, r.window.end())?;
        let window = Window::new(start, end);
        let window = window.map_err(|error| Problem::at(Code::WindowReversed, "/end_time", error.to_string()))?;
        let change = decide::modify(d, rules, self.now.timestamp(), NO_MARK, window, r.spot);
        let change = change.map_err(refusal_problem)?;
        Ok(self.settled(SettlementReason::Modification, explain::owed(&change.reservation, rules)))
    }

    fn settled(&self, reason: SettlementReason, owed: Price) -> QuoteView {
        let r = &self.dossier.reservation;
        let settlement = Settlement { reason, before: explain::owed(r, self.terms.rules()), owed };
        QuoteView::Settlement(SettlementView::from_domain(&settlement, r.paid_minor - r.refunded_minor))
    }
}
