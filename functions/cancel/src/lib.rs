//! `PUT /v1/reservations/{id}/cancel` and `DELETE /v1/reservations/{id}`: gives up a reservation before its start and refunds what
//! the lot's policy gives back. Cancelling what is cancelled changes nothing and answers the same.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::{Answer, Problem, if_match_version, path_reservation, respond_to};
use parkade_domain::decide::Refusal;
use parkade_domain::reservation::{Reason, Status};
use parkade_runtime::Deps;
use parkade_runtime::access::change_access;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::{key_or, mark, stay_view};
use parkade_store::{Access, CommandError, Done, Order};

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = cancel(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn cancel(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let access = change_access(&principal)?;
    let id = path_reservation(request, "id")?;
    let name = id.to_string();
    let key = key_or(request.headers(), &["cancel", &name])?;
    let reason = match access {
        Access::Owner(_) => Reason::DriverCancelled,
        Access::Lot(_) | Access::All | Access::System | Access::Nothing => Reason::OperatorCancelled,
    };
    let order = Order {
        id,
        access,
        mark: mark(deps.identity.keys(), &principal.subject, &key, &[b"cancel", name.as_bytes()]),
        expected_version: if_match_version(request.headers())?,
        now_s: now.timestamp(),
    };
    let done = cancel_once(deps, &order, reason).await.map_err(command_problem)?;
    let stay = &done.dossier.reservation;
    if !done.replayed {
        tracing::info!(reservation.id = %id, "cancelled reservation {id}");
    }
    Ok(Answer::ok(&stay_view(&deps.store, stay).await?)?.version(stay.version).replayed(done.replayed))
}

/// Who finds it cancelled already, by whomever, has what was asked for.
async fn cancel_once(deps: &Deps, order: &Order, reason: Reason) -> Result<Done, CommandError> {
    match deps.store.cancel(order, reason).await {
        Err(CommandError::Refused(Refusal::State(conflict))) if conflict.status == Status::Cancelled => {
            let dossier = deps.store.dossier(order.id, &order.access).await?;
            Ok(Done { dossier, replayed: true })
        }
        other => other,
    }
}
