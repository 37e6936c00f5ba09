//! JSON documents from files: what is wrong with one is named by its place.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use parkade_api::request::{BODY_BYTES_MAX, json_pointer};
use parkade_domain::tariff::Tariff;
use serde::de::{DeserializeOwned, IgnoredAny};

/// What is said to somebody whose command cannot be done: lines that say how to mend it.
#[derive(Debug)]
pub(super) struct Refusal(String);

impl Refusal {
    pub(super) fn of(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tariff that can be used.
pub(super) fn tariff(file: &Path) -> Result<Tariff, Refusal> {
    super::validated(read(file)?)
}

/// `<pointer>  <code>  <sentence>`; the whole document has the empty pointer, which nobody would see.
pub(super) fn finding(pointer: &str, code: &str, detail: &str) -> String {
    let pointer = if pointer.is_empty() { "(document)" } else { pointer };
    format!("{pointer}  {code}  {detail}")
}

/// Reads a JSON object of type `T`; `-` is standard input.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Refusal> {
    let text = text(file)?;
    let malformed = |detail: &str| Refusal::of(finding("", "malformed_json", detail));
    if let Err(syntax) = serde_json::from_str::<IgnoredAny>(&text) {
        return Err(malformed(&format!("not JSON: {syntax}: mend it there")));
    }
    // A derived struct also reads an array of its fields in order; nobody means that.
    if !text.trim_start().starts_with('{') {
        return Err(malformed("not a JSON object: put its fields in braces"));
    }
    let mut json = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = json_pointer(error.path());
        Refusal::of(finding(&pointer, "invalid", &format!("{}: see docs/tariffs.md", error.into_inner())))
    })
}

/// The document as text; no longer than the API takes.
fn text(file: &Path) -> Result<String, Refusal> {
    let unreadable = |error: std::io::Error| {
        Refusal::of(format!("{}: {error}: name a readable JSON file, or - for standard input", file.display()))
    };
    let source: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(unreadable)?)
    };
    let mut text = String::new();
    let limit = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX);
    source.take(limit.saturating_add(1)).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > BODY_BYTES_MAX {
        return Err(Refusal::of(format!("{}: more than {BODY_BYTES_MAX} bytes: shorten it", file.display())));
    }
    Ok(text)
}
