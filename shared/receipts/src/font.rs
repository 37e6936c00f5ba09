//! The two faces of the PDF and how wide their characters are.
//!
//! A receipt's scripts (Latin, Greek, Cyrillic) need no shaping: one character is one glyph.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

use crate::RenderError;

const REGULAR: &[u8] = include_bytes!("../fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../fonts/NotoSans-Bold.ttf");
/// Drawn for a character that the font does not have; what is copied from the PDF is still that character.
const MISSING: char = '\u{FFFD}';

/// Both faces.
pub(crate) struct Fonts {
    pub(crate) regular: Face,
    pub(crate) bold: Face,
}

/// One face.
pub(crate) struct Face {
    pub(crate) font: Font,
    read: FontRef<'static>,
}

impl Fonts {
    pub(crate) fn new() -> Result<Self, RenderError> {
        Ok(Self { regular: Face::new(REGULAR)?, bold: Face::new(BOLD)? })
    }

    pub(crate) const fn face(&self, bold: bool) -> &Face {
        if bold { &self.bold } else { &self.regular }
    }
}

#[expect(clippy::float_arithmetic, reason = "widths on paper, never money")]
impl Face {
    fn new(bytes: &'static [u8]) -> Result<Self, RenderError> {
        let font = Font::new(bytes.into(), 0).ok_or(RenderError::Font)?;
        Ok(Self { font, read: FontRef::new(bytes).map_err(|_| RenderError::Font)? })
    }

    /// The glyphs of a text with their advances, in parts of the font size.
    pub(crate) fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let (characters, metrics) =
            (self.read.charmap(), self.read.glyph_metrics(Size::unscaled(), LocationRef::default()));
        let units = f32::from(self.read.metrics(Size::unscaled(), LocationRef::default()).units_per_em.max(1));
        let glyph = |(start, character): (usize, char)| {
            let id = characters.map(character).or_else(|| characters.map(MISSING)).unwrap_or_default();
            let advance = metrics.advance_width(id).unwrap_or_default() / units;
            let range = start..start + character.len_utf8();
            KrillaGlyph::new(GlyphId::new(id.to_u32()), advance, 0.0, 0.0, 0.0, range, None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// How wide a text is at a size.
    pub(crate) fn width(&self, text: &str, size: f32) -> f32 {
        self.glyphs(text).iter().map(|glyph| glyph.x_advance).sum::<f32>() * size
    }

    /// Breaks a text into lines of a width, between words where it can and within them where it must.
    pub(crate) fn wrapped(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer, size) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for character in word.chars() {
                line.push(character);
                if self.width(&line, size) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, character.to_string()));
                }
            }
        }
        lines.push(line);
        lines
    }
}

/// The text without characters that no font has and that an archive does not take: controls and those for private use.
pub(crate) fn printable(text: &str) -> String {
    let private = |c: char| matches!(u32::from(c), 0xE000..=0xF8FF | 0xF0000..=0x0010_FFFF | 0xFFF0..=0xFFFF);
    text.chars().map(|c| if private(c) || (c.is_control() && !c.is_whitespace()) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_sign_of_a_receipt_is_in_both_fonts() {
        let fonts = Fonts::new().unwrap();
        let needed = "ABCXYZabcxyz0123456789 .,:;/%()#–×-+€£$¥₩äöüÄÖÜßéèçñåøłřžșΑαЯя…„“’";
        for face in [&fonts.regular, &fonts.bold] {
            for character in needed.chars() {
                assert!(face.read.charmap().map(character).is_some(), "{character}");
            }
        }
    }

    #[test]
    fn a_line_is_never_wider_than_its_column_and_loses_nothing() {
        let fonts = Fonts::new().unwrap();
        let text = "Parken (a-very-long-rule-name-without-a-single-blank-in-all-of-its-sixty-chars), 2026-11-21";
        let lines = fonts.regular.wrapped(text, 9.0, 80.0);
        assert!(lines.len() > 3 && lines.iter().all(|line| fonts.regular.width(line, 9.0) <= 80.0), "{lines:?}");
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(letters(&lines.concat()), letters(text));
    }

    #[test]
    fn what_an_archive_does_not_take_is_replaced() {
        assert_eq!(printable("a\u{E000}\u{7}ü"), "a??ü");
    }
}
