//! The tariff language as a JSON Schema, for editors and operators; `docs/tariff.schema.json` is its printed form.

use schemars::{Schema, schema_for};

use super::Tariff;

/// The schema of a tariff document.
#[must_use]
pub fn json_schema() -> Schema {
    schema_for!(Tariff)
}
