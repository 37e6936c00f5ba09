//! `POST /v1/gate/check-out`: lets a vehicle out, frees the rest of its time, and settles what the stay costs. The barrier opens also
//! when something is still to be paid; the debt is recorded (G1).

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::gate::{CheckOutRequest, Exit};
use parkade_api::wire::vehicle::PlateInput;
use parkade_api::wire::{AmountView, ExitView};
use parkade_api::{Answer, Code, Problem, idempotency_key, read_json, respond_to};
use parkade_domain::decide::Dossier;
use parkade_domain::ids::ReservationId;
use parkade_domain::payment::{PaymentKind, Purpose};
use parkade_domain::reservation::{Mark, Status};
use parkade_runtime::Deps;
use parkade_runtime::lanes::Lane;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::{owed, priced_view, pricing};
use parkade_store::Pricing;

/// Names the command in its fingerprint.
const OPERATION: &str = "check-out";

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = check_out(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn check_out(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let key = idempotency_key(request.headers())?;
    let input = read_json::<CheckOutRequest>(request)?.check()?;
    let lane = Lane::of(deps, &principal, &input.lot, now, key)?;
    let id = match input.exit {
        Exit::Reservation(id) => id,
        Exit::Plate(plate) => inside(&lane, &plate).await?,
    };
    let order = lane.order(id, OPERATION);
    let done = deps.store.check_out(&order).await.map_err(command_problem)?;
    let stay = &done.dossier.reservation;
    if !done.replayed {
        tracing::info!(reservation.id = %id, lot.id = %stay.lot, "let {id} out");
    }
    let pricing = pricing(&deps.store, stay).await?;
    Ok(Answer::ok(&view(&pricing, &done.dossier, order.mark))?.version(stay.version).replayed(done.replayed))
}

async fn inside(lane: &Lane<'_>, plate: &PlateInput) -> Result<ReservationId, Problem> {
    let stays = lane.stays_of(plate).await?;
    let inside = stays.iter().filter(|stay| stay.status == Status::CheckedIn);
    let known = lane.answered(&stays, OPERATION).or(lane.only_one(plate, inside)?);
    known.ok_or_else(|| Problem::new(Code::ReservationNotFound))
}

fn view(pricing: &Pricing, dossier: &Dossier, mark: Mark) -> ExitView {
    let stay = &dossier.reservation;
    let of_this_exit = || dossier.payments.iter().filter(|payment| payment.mark == mark);
    let refunds = of_this_exit().filter(|payment| matches!(payment.kind, PaymentKind::Refund { .. }));
    let billed = of_this_exit().find(|payment| payment.kind == PaymentKind::Charge(Purpose::Exit));
    ExitView {
        reservation: priced_view(pricing, stay),
        price: owed(pricing, stay),
        refund: AmountView::new(refunds.map(|payment| payment.amount_minor).sum(), stay.currency),
        balance_due: AmountView::new(stay.due_minor().max(0), stay.currency),
        payment_id: billed.map(|payment| payment.id.to_string()),
    }
}
