//! A driver's saved cards, and what an exit may bill by itself:
//!
//! | route | what |
//! |---|---|
//! | `POST /v1/users/{id}/payment-methods` | begins to save a card, and with `setup_intent_id` finishes it |
//! | `GET /v1/users/{id}/payment-methods` | the saved cards |
//! | `DELETE /v1/users/{id}/payment-methods/{method}` | removes one |
//! | `PUT /v1/users/{id}/automatic-payment` | which card is billed at the exit, and for which plates (G7) |
//!
//! The card is entered at the provider with the setup's client secret; its number never comes here (M11).

use chrono::{DateTime, Utc};
use http::{Method, Request, Response};
use parkade_api::wire::card::{AutomaticRequest, CardSetupView, CardView, CardsView, SaveCardRequest};
use parkade_api::{Answer, Code, Problem, chain, idempotency_key, path_text, path_user, read_json, respond_to};
use parkade_billing::{CardError, Cashier};
use parkade_domain::ids::UserId;
use parkade_identity::{Denied, permit_own};
use parkade_payments::{PaymentError, ProviderId};
use parkade_runtime::Deps as Common;
use parkade_runtime::lanes::enrolled_index;
use parkade_runtime::problems::store_problem;
use parkade_store::{Card, PayerError};

/// What the function needs.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Tables and principals.
    pub common: Common,
    /// Speaks to the provider.
    pub cashier: Cashier,
}

/// Answers one request.
pub async fn handle(deps: &Deps, _: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = answer(deps, &request).await;
    respond_to(&request, outcome)
}

async fn answer(deps: &Deps, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.common.identity.principal(request.headers())?;
    // What somebody else has saved does not exist for the caller.
    let permit = permit_own(&principal, &path_user(request, "id")?).map_err(|denied| match denied {
        Denied::NotFound => Problem::new(Code::PaymentMethodNotFound),
        Denied::Forbidden => denied.into(),
    })?;
    let user = permit.owner();
    match *request.method() {
        Method::POST => save(deps, request, user).await,
        Method::PUT => automatic(deps, request, user).await,
        Method::DELETE => {
            let method = ProviderId::new(path_text(request, "method"));
            let method = method.map_err(|_| Problem::new(Code::PaymentMethodNotFound))?;
            deps.cashier.remove_card(user, &method).await.map_err(problem)?;
            Answer::ok(&view(deps, user).await?)
        }
        _ => Answer::ok(&view(deps, user).await?),
    }
}

async fn save(deps: &Deps, request: &Request<Vec<u8>>, user: &UserId) -> Result<Answer, Problem> {
    let key = idempotency_key(request.headers())?;
    let location = format!("/v1/users/{user}/payment-methods");
    let Some(setup) = read_json::<SaveCardRequest>(request)?.check()? else {
        // As a reservation's id: whoever asks with another key begins another setup.
        let name = format!("{:016x}", deps.common.identity.keys().reservation_hash(user, key));
        let setup = deps.cashier.begin_card(user, &name).await.map_err(problem)?;
        let client_secret = setup.client_secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
        let view = CardSetupView { setup_intent_id: setup.setup_intent.to_string(), client_secret };
        return Answer::created(&location, &view);
    };
    let setup = ProviderId::new(setup).map_err(|_| Problem::new(Code::PaymentMethodNotFound))?;
    let card = deps.cashier.finish_card(user, &setup).await.map_err(problem)?;
    let payer = deps.common.store.payer(user).await.map_err(|error| store_problem(&error))?;
    Answer::created(&location, &card_view(card, payer.and_then(|payer| payer.automatic).as_deref()))
}

async fn automatic(deps: &Deps, request: &Request<Vec<u8>>, user: &UserId) -> Result<Answer, Problem> {
    let input = read_json::<AutomaticRequest>(request)?.check()?;
    let (store, keys) = (&deps.common.store, deps.common.identity.keys());
    let mut plates: Vec<[u8; 16]> =
        input.plates.iter().filter_map(|plate| enrolled_index(keys, &plate.plate)).collect();
    plates.sort_unstable();
    plates.dedup();
    store.bill_automatically(user, input.method.as_deref(), &plates).await.map_err(payer_problem)?;
    Answer::ok(&view(deps, user).await?)
}

async fn view(deps: &Deps, user: &UserId) -> Result<CardsView, Problem> {
    let store = &deps.common.store;
    let payer = store.payer(user).await.map_err(|error| store_problem(&error))?;
    let cards = store.cards(user).await.map_err(|error| store_problem(&error))?;
    let automatic = payer.as_ref().and_then(|payer| payer.automatic.as_deref());
    Ok(CardsView {
        payment_methods: cards.into_iter().map(|card| card_view(card, automatic)).collect(),
        automatic_plates: payer.as_ref().map_or(0, |payer| payer.plates.len()),
    })
}

fn card_view(card: Card, automatic: Option<&str>) -> CardView {
    let automatic = automatic == Some(card.method.as_str());
    let Card { method, brand, last4, exp_month, exp_year } = card;
    CardView { id: method, brand, last4, exp_month, exp_year, automatic }
}

fn problem(error: CardError) -> Problem {
    match error {
        CardError::Payer(error) => payer_problem(error),
        // Its customer was deleted at the provider, for one: asking again changes nothing.
        CardError::Provider(error @ (PaymentError::Refused { .. } | PaymentError::Declined { .. })) => {
            tracing::error!("the provider refuses to keep a card: {}", chain(&error));
            Problem::new(Code::CardRefused).cause(&error)
        }
        CardError::Provider(error) => Problem::new(Code::ProviderUnavailable).cause(&error),
        CardError::UnknownSetup => Problem::new(Code::PaymentMethodNotFound),
        CardError::Unfinished => Problem::new(Code::CardNotEntered),
    }
}

fn payer_problem(error: PayerError) -> Problem {
    match error {
        PayerError::UnknownCard | PayerError::NoCard => Problem::new(Code::PaymentMethodNotFound),
        PayerError::TooManyCards => Problem::new(Code::TooManyCards),
        PayerError::PlateTaken => Problem::new(Code::PlateEnrolled),
        PayerError::Store(error) => store_problem(&error),
    }
}
