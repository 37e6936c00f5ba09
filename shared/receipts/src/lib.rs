//! Receipts and credit notes for people: as a page that prints well and that a screen reader reads well, and as PDF.
//!
//! One description of the document's content, [`Sheet`], is made of the document and a language; both forms show exactly it. This crate
//! promises: what is shown is what the document says, escaped, without scripts and without anything from elsewhere; the PDF is tagged
//! (PDF/UA-1), fit for archives (PDF/A-2a) and the same bytes for the same document. It refuses to know: where documents come from.

mod font;
mod html;
mod layout;
mod pdf;
mod sheet;
mod words;

pub use html::{CONTENT_SECURITY_POLICY, html};
pub use pdf::pdf;
pub use sheet::{Column, Sheet, Sum, Table, sheet};
use thiserror::Error;

/// A document cannot be shown: a bug.
#[derive(Debug, Error)]
pub enum RenderError {
    /// The template cannot be filled in.
    #[error("the page cannot be written")]
    Html(#[source] askama::Error),
    /// The fonts of this crate cannot be read.
    #[error("the fonts cannot be read")]
    Font,
    /// The PDF breaks a rule of the formats it claims.
    #[error("the PDF cannot be written: {0}")]
    Pdf(String),
}

/// Which release of the page and the PDF this is: part of what tells a client whether it has the same bytes already. Raised with every
/// visible change.
pub const EDITION: u32 = 1;
