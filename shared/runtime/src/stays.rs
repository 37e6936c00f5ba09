//! What the functions about stays share: the command's name, the lot, and the stay as its client sees it.

use std::sync::Arc;

use http::HeaderMap;
use parkade_api::request::IDEMPOTENCY_KEY;
use parkade_api::wire::{PriceView, ReservationView, SpotState, SpotView, minute_text};
use parkade_api::{Problem, idempotency_key};
use parkade_domain::explain;
use parkade_domain::ids::{LotId, SpotIndex, UserId};
use parkade_domain::lot::LotKind;
use parkade_domain::reservation::{Mark, Reservation};
use parkade_identity::{Keys, fingerprint};
use parkade_store::{LotFacts, Pricing, SpotNow, Store};

use crate::problems::{command_problem, store_problem};

/// The name of a command: `key` says whose retry it is, `parts` are what was asked. A plate is passed as its blind index only.
#[must_use]
pub fn mark(keys: &Keys, subject: &UserId, key: &str, parts: &[&[u8]]) -> Mark {
    let [a, b, c, d, e, f, g, h, ..] = fingerprint(parts);
    Mark { key: keys.reservation_hash(subject, key), fingerprint: u64::from_be_bytes([a, b, c, d, e, f, g, h]) }
}

/// The client's key, or for `PUT`, `PATCH` and `DELETE` without one the key that `implied` parts make. Its blanks keep it apart
/// from every key of a client.
///
/// # Errors
/// `invalid_idempotency_key`.
pub fn key_or(headers: &HeaderMap, implied: &[&str]) -> Result<String, Problem> {
    if headers.contains_key(IDEMPOTENCY_KEY) {
        return idempotency_key(headers).map(str::to_owned);
    }
    Ok(format!(" {}", implied.join(" ")))
}

/// A lot with its spots.
///
/// # Errors
/// `lot_not_found`, or the store's problem.
pub async fn lot(store: &Store, id: &LotId) -> Result<Arc<LotFacts>, Problem> {
    let facts = store.lot(id).await.map_err(|error| store_problem(&error))?;
    facts.ok_or_else(|| Problem::lot_not_found(id))
}

/// What a stay was priced by.
///
/// # Errors
/// As [`lot`].
pub async fn pricing(store: &Store, stay: &Reservation) -> Result<Pricing, Problem> {
    store.pricing_of(stay).await.map_err(command_problem)
}

/// What a stay owes, explained.
#[must_use]
pub fn owed(pricing: &Pricing, stay: &Reservation) -> PriceView {
    PriceView::from_domain(&explain::owed(stay, pricing.rules()))
}

/// The stay as its client sees it.
#[must_use]
pub fn priced_view(pricing: &Pricing, stay: &Reservation) -> ReservationView {
    ReservationView::from_domain(stay, spot_number(&pricing.facts, stay.spot)).with_price(&owed(pricing, stay))
}

/// The number of a spot; `None` where a right names no spot.
#[must_use]
pub fn spot_number(facts: &LotFacts, spot: SpotIndex) -> Option<&str> {
    let assigned = facts.lot.kind == LotKind::Assigned;
    facts.directory.get(spot).filter(|_| assigned).map(|spot| spot.number.as_str())
}

/// The stay as its client sees it.
///
/// # Errors
/// As [`lot`].
pub async fn stay_view(store: &Store, stay: &Reservation) -> Result<ReservationView, Problem> {
    Ok(priced_view(&pricing(store, stay).await?, stay))
}

/// A spot as it is now. Who claims it is nobody's business.
#[must_use]
pub fn spot_view(facts: &LotFacts, now: &SpotNow) -> Option<SpotView> {
    let state = match now.state {
        parkade_store::SpotState::Available => SpotState::Available,
        parkade_store::SpotState::Held => SpotState::Held,
        parkade_store::SpotState::Reserved => SpotState::Reserved,
        parkade_store::SpotState::Occupied => SpotState::Occupied,
        parkade_store::SpotState::OutOfService => SpotState::OutOfService,
    };
    let until = now.until.filter(|_| state != SpotState::Available).map(minute_text);
    facts.directory.get(now.spot).map(|spot| SpotView::from_domain(spot).with_state(state, until))
}

/// The spot with a number as it is now.
///
/// # Errors
/// `spot_not_found`, or the store's problem.
pub async fn spot_now(store: &Store, facts: &LotFacts, number: &str, now_s: i64) -> Result<SpotView, Problem> {
    let not_found = || Problem::spot_not_found(&facts.lot.id, number);
    let spot = facts.directory.by_number(number).ok_or_else(not_found)?.index;
    let now = store.spots_now(facts, &[spot], now_s).await.map_err(|error| store_problem(&error))?;
    now.first().and_then(|now| spot_view(facts, now)).ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_implied_key_is_never_a_clients() {
        let mut headers = HeaderMap::new();
        let implied = key_or(&headers, &["cancel", "res_1"]).unwrap();
        assert_eq!(implied, key_or(&headers, &["cancel", "res_1"]).unwrap());
        let header = HeaderValue::from_str(&implied).unwrap();
        headers.insert(IDEMPOTENCY_KEY, header);
        assert!(key_or(&headers, &[]).is_err(), "a client cannot send it");
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static("k"));
        assert_eq!(key_or(&headers, &["cancel", "res_1"]).unwrap(), "k");
    }

    #[test]
    fn a_mark_names_who_asks_with_which_key_and_tells_what_was_asked() {
        let keys = Keys::from_master(&[7; 32]);
        let (alice, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
        let first = mark(&keys, &alice, "k", &[b"cancel", b"res_1"]);
        assert_eq!(first, mark(&keys, &alice, "k", &[b"cancel", b"res_1"]));
        let other = mark(&keys, &alice, "k", &[b"cancel", b"res_2"]);
        assert_eq!(other.key, first.key);
        assert_ne!(other.fingerprint, first.fingerprint);
        assert_ne!(mark(&keys, &bob, "k", &[b"cancel", b"res_1"]).key, first.key);
    }
}
