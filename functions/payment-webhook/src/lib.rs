//! `POST /v1/webhooks/stripe`: the payment provider tells what happened there.
//!
//! Whoever sends it proves it by the signature over the body and its time. What it says is a hint (M2): the records decide whether it is
//! news. An answer other than 2xx makes the provider tell again, for up to three days.

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::{Answer, Code, Problem, chain, respond_to};
use parkade_billing::{Cashier, Failure, Hint};
use parkade_payments::WebhookSecrets;
use parkade_runtime::problems::command_problem;
use serde::Serialize;

/// What the function needs.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Records what is news.
    pub cashier: Cashier,
    /// What the provider signs with.
    pub secrets: WebhookSecrets,
}

/// The answer to a hint that was taken.
#[derive(Serialize)]
struct Received {
    /// Whether it changed anything.
    news: bool,
}

/// Answers one delivery.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = receive(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn receive(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let mut signatures = request.headers().get_all("stripe-signature").iter();
    let signature = signatures.next().filter(|_| signatures.next().is_none()).and_then(|value| value.to_str().ok());
    let event = deps.secrets.verify(request.body(), signature.unwrap_or_default(), now.timestamp());
    // Why is for our eyes: a forger learns nothing from it.
    let event = event.map_err(|refusal| Problem::new(Code::WebhookRefused).cause(&refusal))?;
    let hint = deps.cashier.take_hint(&event, now.timestamp()).await.map_err(problem)?;
    if hint == Hint::NotOurs {
        // Another deployment on the same account, or money that somebody moved by hand: the reconciliation lists it.
        tracing::warn!(event.id = %event.id, event.kind, "event {} is about nothing that is known here", event.id);
    }
    Answer::ok(&Received { news: hint == Hint::News })
}

fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Store(error) => command_problem(error),
        other => {
            tracing::info!("the event is not taken yet: {}", chain(&other));
            Problem::new(Code::StoreUnavailable).cause(&other)
        }
    }
}
