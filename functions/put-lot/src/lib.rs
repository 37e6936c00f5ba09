//! `PUT /v1/lots/{lot}`: creates a lot, or replaces its facts, policy and tariff. A tariff or a calendar that differs becomes a new
//! version, in force at once; what was booked keeps its own (P7).

use chrono::{DateTime, Utc};
use http::{Request, Response};
use parkade_api::wire::{LotView, PutLotInput, PutLotRequest};
use parkade_api::{Answer, Problem, if_match_version, path_lot, read_json, respond_to};
use parkade_domain::geometry::Geometry;
use parkade_domain::ids::{CalendarVersion, LotId, TariffVersion};
use parkade_domain::lot::Lot;
use parkade_identity::permit_operator;
use parkade_runtime::Deps;
use parkade_runtime::problems::lot_problem;
use parkade_store::LotDocuments;

/// Answers one request.
pub async fn handle(deps: &Deps, now: DateTime<Utc>, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let outcome = put_lot(deps, now, &request).await;
    respond_to(&request, outcome)
}

async fn put_lot(deps: &Deps, now: DateTime<Utc>, request: &Request<Vec<u8>>) -> Result<Answer, Problem> {
    let principal = deps.identity.principal(request.headers())?;
    let permit = permit_operator(&principal, &path_lot(request, "lot")?)?;
    let expected = if_match_version(request.headers())?;
    let (wanted, documents) = lot(permit.lot().clone(), read_json::<PutLotRequest>(request)?.check()?);
    let stored = deps.store.put_lot(wanted, documents, expected, now.timestamp()).await.map_err(lot_problem)?;
    let (id, version) = (&stored.id, stored.version);
    tracing::info!(lot.id = %id, lot.version = version, "stored lot {id} at version {version}");
    let view = LotView::from_domain(&stored);
    let answer = if version == 1 { Answer::created(&format!("/v1/lots/{id}"), &view)? } else { Answer::ok(&view)? };
    Ok(answer.version(version))
}

/// The lot that is asked for; versions are the store's.
fn lot(id: LotId, input: PutLotInput) -> (Lot, LotDocuments) {
    let PutLotInput { name, address, position, zone, currency, kind, shape, policy, tariff, calendar } = input;
    let lot = Lot {
        id,
        name,
        address,
        latitude_microdegrees: position.latitude_microdegrees,
        longitude_microdegrees: position.longitude_microdegrees,
        zone,
        currency,
        kind,
        geometry: Geometry { shape, offset_minutes: zone.quiet_hours_offset_minutes() },
        policy,
        tariff: TariffVersion(0),
        upcoming: Vec::new(),
        newest_tariff: TariffVersion(0),
        calendar: CalendarVersion::default(),
        version: 0,
    };
    (lot, LotDocuments { tariff, calendar })
}
