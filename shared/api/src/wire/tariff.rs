//! Tariffs as an operator works on them: versions, publications, differences, and what they would have meant.

use parkade_domain::lot::{Lot, Publication};
use parkade_domain::money::Currency;
use parkade_domain::tariff::{Tariff, Warning};
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::registry::FieldCode;
use crate::wire::lot::PublicationView;

/// Largest tariff, as JSON without blanks: it is one item of the store, which takes 400 KB.
const DOCUMENT_BYTES_MAX: usize = 256 * 1_024;

/// Adds everything wrong with a tariff of a lot with `currency`, at `pointer`.
pub fn check_tariff(errors: &mut FieldErrors, pointer: &str, tariff: &Tariff, currency: Option<Currency>) {
    if serde_json::to_vec(tariff).map_or(usize::MAX, |document| document.len()) > DOCUMENT_BYTES_MAX {
        let detail = format!("at most {DOCUMENT_BYTES_MAX} bytes; use fewer tables, windows or bands");
        errors.push(pointer, FieldCode::TooLong, detail);
        return;
    }
    errors.document(pointer, tariff.validate());
    if currency.is_some_and(|currency| currency != tariff.currency) {
        errors.push(format!("{pointer}/currency"), FieldCode::NotAllowed, "the lot has another currency");
    }
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TariffStatus {
    /// Uploaded and never published, or withdrawn before it came into force.
    Draft,
    /// Comes into force at an instant.
    Scheduled,
    /// New bookings get it.
    InForce,
    /// It was in force; what was booked then keeps it.
    Retired,
}

/// One version of a lot's tariff, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffVersionView {
    /// The version.
    pub tariff_version: u32,
    /// Where it stands.
    pub status: TariffStatus,
    /// When it was uploaded.
    pub created_at: String,
    /// From when it was last published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_from: Option<String>,
}

/// One version of a lot's tariff, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffView {
    /// The version.
    pub tariff_version: u32,
    /// The document.
    pub tariff: Tariff,
}

/// Answer of an upload, and of a check without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedTariffView {
    /// The version it was stored as; left out if it was only checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff_version: Option<u32>,
    /// What may surprise drivers and should be looked at before publishing.
    pub warnings: Vec<WarningView>,
}

/// Something an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningView {
    /// JSON pointer into the tariff.
    pub pointer: String,
    /// Stable code.
    pub code: String,
    /// For people.
    pub detail: String,
}

impl WarningView {
    /// The view of a warning.
    #[must_use]
    pub fn from_domain(warning: &Warning) -> Self {
        let Warning { pointer, code, detail } = warning;
        Self { pointer: pointer.clone(), code: (*code).to_owned(), detail: detail.clone() }
    }
}

/// Body of `PUT /v1/lots/{lot}/tariffs/{version}/publication`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// From when new bookings get the version; left out: from now on.
    pub from: Option<String>,
}

/// What new bookings get, now and later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationsView {
    /// The version in force.
    pub tariff_version: u32,
    /// Those that come into force later.
    pub upcoming_tariffs: Vec<PublicationView>,
}

impl PublicationsView {
    /// The view of a lot whose past publications are settled.
    #[must_use]
    pub fn from_domain(lot: &Lot) -> Self {
        let view = |publication: &Publication| PublicationView::from_domain(publication);
        Self { tariff_version: lot.tariff.0, upcoming_tariffs: lot.upcoming.iter().map(view).collect() }
    }
}

/// What turns one version's document into another's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangesView {
    /// The version that is compared with.
    pub since: u32,
    /// The version that is looked at.
    pub tariff_version: u32,
    /// The operations of RFC 6902.
    pub changes: serde_json::Value,
}

/// Body of `POST /v1/lots/{lot}/tariffs/{version}/simulation`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulateRequest {
    /// Stays are counted that ended from here on.
    pub from: String,
    /// And before this.
    pub until: String,
    /// `next` of the page before.
    pub next: Option<String>,
}

/// Answer of a simulation: one page of stays. Add the pages up; the last one has no `next`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulationView {
    /// The version that was tried.
    pub tariff_version: u32,
    /// ISO 4217 code of every amount.
    pub currency: String,
    /// Stays that ended in the range, of this page.
    pub stays: u32,
    /// What those that both versions price owe, in minor units.
    pub owed_minor: i64,
    /// What they would owe under the version, in minor units.
    pub simulated_minor: i64,
    /// Stays that would owe less.
    pub cheaper: u32,
    /// Stays that would owe the same.
    pub same: u32,
    /// Stays that would owe more.
    pub dearer: u32,
    /// Stays that the version does not sell; their amounts are in neither sum.
    pub not_sold: u32,
    /// Recurring bookings, whose past occurrences are no longer on the record; they are in neither sum.
    pub series: u32,
    /// The stays that would change most, at most five.
    pub largest: Vec<SimulatedStayView>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A stay under two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedStayView {
    /// The stay.
    pub reservation_id: String,
    /// What it owes, in minor units.
    pub owed_minor: i64,
    /// What it would owe, in minor units.
    pub simulated_minor: i64,
}
