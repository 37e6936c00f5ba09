//! `POST /v1/payments`: asks for what is due of a reservation to be charged, to a card or to the user's credit.
//!
//! The intent is stored, then the provider is asked; credit is taken at once. If it answers within [`ANSWERED_WITHIN`], so does this; otherwise the answer is 202,
//! the queue finds out what became of it, and the outcome is read at the payment's address. Asking again with the same key is safe.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{PayRequest, PayWith, PaymentView};
use parkade_api::{Answer, Code, Problem, chain, idempotency_key, read_json, respond_to};
use parkade_billing::Cashier;
use parkade_domain::decide::Refusal;
use parkade_domain::payment::{Means, Payment, PaymentStatus};
use parkade_identity::permit_driver;
use parkade_runtime::Deps as Common;
use parkade_runtime::access::change_access;
use parkade_runtime::problems::command_problem;
use parkade_runtime::stays::mark;
use parkade_store::{CommandError, Intent, Order, Store, Tender, With};

/// How long a driver waits for the provider, all of its calls together, before being told to look later: what people put up with at a barrier or a form.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// What the function needs.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Tables and principals.
    pub common: Common,
    /// Moves the money.
    pub cashier: Cashier,
}

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = pay(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn pay(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let identity = &deps.common.identity;
    let principal = identity.principal(request.headers())?;
    let access = change_access(&principal)?;
    let key = idempotency_key(request.headers())?;
    let input = read_json::<PayRequest>(request)?.check()?;
    let id = input.reservation;
    let (operation, method) = match &input.with {
        PayWith::Method(method) => ("pay", method.as_str()),
        PayWith::Credit => ("pay by credit", ""),
    };
    let seen = input.seen.map(|(minor, currency)| format!("{minor} {}", currency.code())).unwrap_or_default();
    let asked: [&[u8]; 4] = [operation.as_bytes(), &id.bits().to_be_bytes(), method.as_bytes(), seen.as_bytes()];
    let order = Order {
        id,
        access,
        mark: mark(identity.keys(), &principal.subject, key, &asked),
        expected_version: None,
        now_s: now.timestamp(),
    };
    let cashier = deps.cashier.within(ANSWERED_WITHIN);
    let with = match &input.with {
        PayWith::Method(method) => With::Card { user: &principal.subject, method },
        PayWith::Credit => {
            // An operator may settle what is due, but not with what is the driver's.
            permit_driver(&principal)?;
            With::Means(&Means::Wallet)
        }
    };
    let tender = Tender { with, seen: input.seen };
    let intent = intend(&deps.common.store, &cashier, &order, tender).await?;
    let replayed = intent.replayed;
    if !replayed {
        tracing::info!(payment.id = %intent.payment.id, reservation.id = %id, "requested payment {}", intent.payment.id);
    }
    let payment = carried_out(&cashier, intent, order.now_s).await;
    answer(&payment, replayed)
}

/// Stores the intent. A charge that only waits for the driver to answer the card's issuer gives way to another card.
async fn intend(store: &Store, cashier: &Cashier, order: &Order, tender: Tender<'_>) -> Result<Intent, Problem> {
    let under_way = match store.pay(order, tender).await {
        Err(CommandError::Refused(Refusal::PaymentInProgress(id))) => id,
        other => return other.map_err(command_problem),
    };
    if let Err(failure) = cashier.call_off(under_way, order.now_s).await {
        tracing::info!(payment.id = %under_way, "{under_way} was not called off: {}", chain(&failure));
    }
    store.pay(order, tender).await.map_err(command_problem)
}

/// The payment after the provider was asked, or as it is if that took too long or failed: then its message is carried out later.
async fn carried_out(cashier: &Cashier, intent: Intent, now_s: i64) -> Payment {
    let payment = intent.payment.clone();
    if payment.status != PaymentStatus::Requested {
        return payment;
    }
    match cashier.carry_out_known(intent, now_s).await {
        Ok(settled) => settled,
        Err(failure) => {
            tracing::info!(payment.id = %payment.id, "{} is not decided yet: {}", payment.id, chain(&failure));
            payment
        }
    }
}

/// The key belongs to one charge; if that one was refused for good, so is every repetition.
fn answer(payment: &Payment, replayed: bool) -> Result<Answer, Problem> {
    let view = PaymentView::for_payer(payment);
    let answer = match payment.status {
        PaymentStatus::Declined => return Err(declined(payment)),
        PaymentStatus::Requested => Answer::accepted(&view.links.this, &view)?,
        PaymentStatus::Succeeded | PaymentStatus::Void => Answer::created(&view.links.this, &view)?,
    };
    Ok(answer.version(payment.version).replayed(replayed))
}

fn declined(payment: &Payment) -> Problem {
    let problem = Problem::new(Code::PaymentDeclined).member("payment_id", payment.id.to_string());
    match &payment.decline_code {
        Some(code) => problem.member("decline_code", code.as_str()),
        None => problem,
    }
}
