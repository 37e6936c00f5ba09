//! Prints the JSON Schema of a tariff: `cargo run -p parkade-domain --example tariff_schema > docs/tariff.schema.json`

#[expect(clippy::disallowed_macros, reason = "an example prints")]
fn main() -> serde_json::Result<()> {
    println!("{}", serde_json::to_string_pretty(&parkade_domain::tariff::json_schema())?);
    Ok(())
}
