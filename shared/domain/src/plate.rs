//! Number plates in canonical form (G6). A plate is personal data: this type cannot be printed or serialised by accident.

use std::fmt;

use thiserror::Error;

/// Fewest characters of a canonical plate.
pub const PLATE_CHARS_MIN: usize = 2;
/// Most characters of a canonical plate.
pub const PLATE_CHARS_MAX: usize = 12;
/// Longest text that is looked at; a plate with every character separated is shorter.
const TYPED_CHARS_MAX: usize = 32;
/// Longest region: a country and a subdivision, `US-CA` or `GB-ENG`.
const REGION_CHARS_MAX: usize = 6;

/// Why a text is not a plate. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlateError {
    /// Fewer than [`PLATE_CHARS_MIN`] or more than [`PLATE_CHARS_MAX`] letters and digits.
    #[error("a plate has {PLATE_CHARS_MIN} to {PLATE_CHARS_MAX} letters and digits")]
    Length,
    /// Something other than letters, digits and separators.
    #[error("a plate has letters, digits and separators only")]
    Character,
    /// Not a country code, or a country and a subdivision.
    #[error("a plate's region is an ISO 3166 code such as DE or US-CA")]
    Region,
}

/// A plate as it is compared: region, if known, and upper-case letters and digits without separators.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Plate {
    region: Option<String>,
    canonical: String,
}

impl Plate {
    /// Makes the canonical form of what was typed or read by a camera.
    ///
    /// # Errors
    /// [`PlateError`] if it is not [`PLATE_CHARS_MIN`] to [`PLATE_CHARS_MAX`] letters and digits, or the region no code.
    pub fn parse(region: Option<&str>, typed: &str) -> Result<Self, PlateError> {
        let region = region.map(canonical_region).transpose()?;
        Ok(Self { region, canonical: canonical_plate(typed)? })
    }

    /// The issuing region, upper case: `DE`, `US-CA`.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The canonical characters; two regions can share them (`B NO 1234` and `BN O 1234` are both `BNO1234`).
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

impl fmt::Debug for Plate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plate(redacted)")
    }
}

fn canonical_plate(typed: &str) -> Result<String, PlateError> {
    if typed.chars().nth(TYPED_CHARS_MAX).is_some() {
        return Err(PlateError::Length);
    }
    let mut canonical = String::with_capacity(PLATE_CHARS_MAX);
    for character in typed.chars().filter(|c| !is_separator(*c)) {
        canonical.extend(character.to_uppercase());
    }
    // Checked after the change of case, which turns some letters into a letter and a mark, and leaves some as they are.
    if !canonical.chars().all(|c| c.is_alphanumeric() && !c.is_lowercase()) {
        return Err(PlateError::Character);
    }
    let length = canonical.chars().count();
    if (PLATE_CHARS_MIN..=PLATE_CHARS_MAX).contains(&length) { Ok(canonical) } else { Err(PlateError::Length) }
}

/// What people and cameras put between a plate's groups.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '-' | '.' | '_' | '/' | '·' | '•' | '‐' | '‑' | '–' | '—' | ':' | '*')
}

fn canonical_region(region: &str) -> Result<String, PlateError> {
    let (country, subdivision) = match region.split_once('-') {
        Some((country, subdivision)) => (country, Some(subdivision)),
        None => (region, None),
    };
    let country_ok = country.len() == 2 && country.chars().all(|c| c.is_ascii_alphabetic());
    let subdivision_ok = subdivision.is_none_or(|s| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric()));
    if region.len() > REGION_CHARS_MAX || !country_ok || !subdivision_ok {
        return Err(PlateError::Region);
    }
    Ok(region.to_ascii_uppercase())
}
