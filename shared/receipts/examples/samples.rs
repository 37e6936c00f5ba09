//! Writes the samples as pages and as PDF into a folder: `cargo run -p parkade-receipts --example samples -- <folder>`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that cannot write its files fails")]

use std::fs;
use std::path::PathBuf;

use parkade_domain::tariff::{Locale, money_text};
use parkade_receipts::{html, pdf, sheet};
use serde_json::json;

#[path = "../tests/samples/mod.rs"]
mod samples;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    fs::create_dir_all(&folder).unwrap();
    let mut expected = Vec::new();
    for (name, document) in samples::samples() {
        for locale in [Locale::En, Locale::De] {
            let (sheet, file) = (sheet(&document, locale), format!("{name}.{}", locale.tag()));
            fs::write(folder.join(format!("{file}.html")), html(&sheet).unwrap()).unwrap();
            fs::write(folder.join(format!("{file}.pdf")), pdf(&sheet).unwrap()).unwrap();
            expected.push(json!({
                "name": file,
                "lang": locale.tag(),
                "number": document.number.to_string(),
                "total": money_text(document.total(), locale),
                "policy": parkade_receipts::CONTENT_SECURITY_POLICY,
            }));
        }
    }
    fs::write(folder.join("expected.json"), serde_json::to_vec_pretty(&expected).unwrap()).unwrap();
}
