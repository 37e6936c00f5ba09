//! Vehicles and plates.

use std::fmt;

use parkade_domain::plate::Plate;
use parkade_domain::vehicle::{Vehicle, VehicleClass};
use serde::{Deserialize, Serialize};

use crate::fields::FieldErrors;
use crate::registry::FieldCode;

/// What is to be parked, as a request says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VehicleFields {
    /// `motorcycle`, `compact`, `standard` (or `regular`), `large` (or `suv`).
    pub class: String,
    /// Electric.
    #[serde(default)]
    pub ev: bool,
    /// The driver holds an accessible permit.
    #[serde(default)]
    pub accessible_permit: bool,
}

impl VehicleFields {
    /// The vehicle, or an error at `pointer`.
    pub(crate) fn check(&self, pointer: &str, errors: &mut FieldErrors) -> Option<Vehicle> {
        let class = vehicle_class(&format!("{pointer}/class"), &self.class, errors)?;
        Some(Vehicle { class, ev: self.ev, accessible_permit: self.accessible_permit })
    }
}

/// Reads a vehicle class, or adds an error at `pointer`.
pub fn vehicle_class(pointer: &str, text: &str, errors: &mut FieldErrors) -> Option<VehicleClass> {
    let class = VehicleClass::parse(text);
    if class.is_none() {
        errors.push(pointer, FieldCode::Invalid, "one of motorcycle, compact, standard, large");
    }
    class
}

/// What is parked, as an answer says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VehicleView {
    /// Size class.
    pub class: String,
    /// Electric.
    pub ev: bool,
    /// The driver holds an accessible permit.
    pub accessible_permit: bool,
}

impl From<Vehicle> for VehicleView {
    fn from(vehicle: Vehicle) -> Self {
        let Vehicle { class, ev, accessible_permit } = vehicle;
        Self { class: class.as_str().to_owned(), ev, accessible_permit }
    }
}

/// A plate, as a request says it. Personal data: never printed.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateFields {
    /// ISO 3166 code of the issuing region, such as `DE` or `US-CA`.
    pub region: Option<String>,
    /// The plate as typed or read.
    pub text: String,
}

/// A plate that was understood: as it is compared, and as it was typed.
#[derive(Clone, PartialEq, Eq)]
pub struct PlateInput {
    /// Canonical form, for the index.
    pub plate: Plate,
    /// What was typed, for people.
    pub typed: String,
}

impl PlateFields {
    /// The plate, or an error at `pointer` that does not repeat it.
    pub(crate) fn check(self, pointer: &str, errors: &mut FieldErrors) -> Option<PlateInput> {
        let plate = errors.take(pointer, Plate::parse(self.region.as_deref(), &self.text))?;
        Some(PlateInput { plate, typed: self.text })
    }
}

impl fmt::Debug for PlateFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlateFields(redacted)")
    }
}

impl fmt::Debug for PlateInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlateInput(redacted)")
    }
}
