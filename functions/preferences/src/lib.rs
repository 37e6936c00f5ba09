//! `GET` and `PUT /v1/users/{id}/preferences`: where a user is reached, what about, in which language, and when not.
//!
//! A `PUT` replaces everything, so it needs no idempotency key. Who changes them in two places at once names the version seen (`If-Match`).

use chrono::{DateTime, Utc};
use http::{Method, Request, Response};
use parkade_api::wire::{PreferencesInput, PreferencesRequest, PreferencesView};
use parkade_api::{Answer, Code, Problem, if_match_version, path_user, read_json, respond_to};
use parkade_domain::ids::UserId;
use parkade_domain::preferences::Preferences;
use parkade_identity::{CipherError, Contact, Keys, permit_own};
use parkade_runtime::Deps;
use parkade_runtime::problems::store_problem;
use parkade_store::PreferencesError;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = preferences(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn preferences(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_own(&principal, &path_user(request, "id")?)?;
    match *request.method() {
        Method::PUT => put(deps, now, permit.owner(), request).await,
        _ => get(deps, permit.owner()).await,
    }
}

async fn get(deps: &Deps, user: &UserId) -> Result<Answer, Problem> {
    let stored = deps.store.preferences(user).await.map_err(|error| store_problem(&error))?;
    Ok(Answer::ok(&view(deps.identity.keys(), &stored)?)?.version(stored.version))
}

async fn put(deps: &Deps, now: DateTime<Utc>, user: &UserId, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let expected = if_match_version(request.headers())?;
    let input = read_json::<PreferencesRequest>(request)?.check()?;
    let before = deps.store.preferences(user).await.map_err(|error| store_problem(&error))?;
    if expected.is_some_and(|expected| expected != before.version) {
        return Err(changed(before.version));
    }
    let wanted = replaced(deps.identity.keys(), &before, input, now).map_err(|error| Problem::internal(&error))?;
    let stored = deps.store.put_preferences(wanted).await.map_err(|error| match error {
        PreferencesError::VersionMismatch { current } => changed(current),
        PreferencesError::Store(error) => store_problem(&error),
    })?;
    let (user, version) = (&stored.user, stored.version);
    tracing::info!(user.id = %user, preferences.version = version, "stored the preferences of {user} at version {version}");
    let view = view(deps.identity.keys(), &stored)?;
    let location = format!("/v1/users/{user}/preferences");
    let answer = if version == 1 { Answer::created(&location, &view)? } else { Answer::ok(&view)? };
    Ok(answer.version(version))
}

/// What is asked for, sealed. Consent keeps the time at which it was given, and ends when it is taken back.
fn replaced(
    keys: &Keys,
    before: &Preferences,
    input: PreferencesInput,
    now: DateTime<Utc>,
) -> Result<Preferences, CipherError> {
    let user = &before.user;
    let seal = |contact, text: Option<&str>| text.map(|text| keys.seal_contact(user, contact, text)).transpose();
    let consented_at_s = before.offers_consented_at_s.unwrap_or(now.timestamp());
    Ok(Preferences {
        user: user.clone(),
        email: seal(Contact::Email, input.email.as_ref().map(|email| email.as_str()))?,
        phone: seal(Contact::Phone, input.phone.as_ref().map(|phone| phone.as_str()))?,
        locale: input.locale,
        channels: input.channels,
        offers_consented_at_s: input.offers_consent.then_some(consented_at_s),
        quiet: input.quiet,
        version: before.version,
    })
}

fn view(keys: &Keys, stored: &Preferences) -> Result<PreferencesView, Problem> {
    let open = |contact, sealed: &Option<Vec<u8>>| {
        let opened = sealed.as_deref().map(|sealed| keys.open_contact(&stored.user, contact, sealed)).transpose();
        opened.map_err(|error| Problem::internal(&error))
    };
    let (email, phone) = (open(Contact::Email, &stored.email)?, open(Contact::Phone, &stored.phone)?);
    Ok(PreferencesView::from_domain(stored, email, phone))
}

fn changed(current: u32) -> Problem {
    Problem::new(Code::VersionMismatch).member("version", current)
}
