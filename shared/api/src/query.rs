//! Query parameters, page sizes and cursors.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::FieldCode;

/// Elements of a page unless the client asks for another number.
pub const PAGE_LIMIT_DEFAULT: u32 = 50;
/// Most elements of a page: an answer stays far below the gateway's 6 MB.
pub const PAGE_LIMIT_MAX: u32 = 200;
/// Longest cursor that is looked at.
const CURSOR_CHARS_MAX: usize = 2_048;

/// The query parameters of one request, read one by one; what is wrong is collected.
#[derive(Debug)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    errors: FieldErrors,
}

impl<'a> Query<'a> {
    /// Reads the query of `uri`. Parameters other than `known`, and parameters given twice, are errors.
    #[must_use]
    pub fn new(uri: &'a Uri, known: &[&str]) -> Self {
        let pairs: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
        let mut errors = FieldErrors::new();
        for (position, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_ref()) {
                errors.push(query_pointer(name), FieldCode::Unknown, format!("known are {}", known.join(", ")));
            } else if pairs.iter().take(position).any(|(earlier, _)| earlier == name) {
                errors.push(query_pointer(name), FieldCode::Duplicate, "given twice");
            }
        }
        Self { pairs, errors }
    }

    /// A parameter as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// A parameter that may be absent.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?.to_owned();
        self.errors.parse(&query_pointer(name), &text)
    }

    /// A parameter that must be there.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        if self.text(name).is_none() {
            self.errors.push(query_pointer(name), FieldCode::Required, "needed here");
        }
        self.optional(name)
    }

    /// `true` or `false`, by default `false`.
    pub fn flag(&mut self, name: &str) -> bool {
        self.optional(name).unwrap_or_default()
    }

    /// `limit`: 1 to [`PAGE_LIMIT_MAX`], by default [`PAGE_LIMIT_DEFAULT`].
    pub fn page_limit(&mut self) -> u32 {
        let limit = self.optional("limit").unwrap_or(PAGE_LIMIT_DEFAULT);
        if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
            self.errors.push(query_pointer("limit"), FieldCode::OutOfRange, format!("from 1 to {PAGE_LIMIT_MAX}"));
        }
        limit
    }

    /// `next`: the cursor of the page before, made by [`cursor`].
    pub fn cursor<T: DeserializeOwned>(&mut self) -> Option<T> {
        let read = read_cursor(self.text("next")?);
        if read.is_none() {
            self.errors.push(query_pointer("next"), FieldCode::Invalid, "not a cursor of this list");
        }
        read
    }

    /// An error of a parameter that the caller found.
    pub fn error(&mut self, name: &str, code: FieldCode, detail: impl Into<String>) {
        self.errors.push(query_pointer(name), code, detail);
    }

    /// The end of reading.
    ///
    /// # Errors
    /// `invalid_fields` with everything that was wrong.
    pub fn finish(self) -> Result<(), Problem> {
        self.errors.into_result()
    }

    /// The end of reading, with what was read; it is there if nothing was wrong.
    ///
    /// # Errors
    /// `invalid_fields` with everything that was wrong.
    pub fn finish_with<T>(self, value: Option<T>) -> Result<T, Problem> {
        self.errors.finish(value)
    }
}

/// An opaque cursor (base64url of JSON). A client can read and change it: put only a position into it, never what decides
/// whose data is read.
///
/// # Errors
/// `internal` if `position` cannot be serialised.
pub fn cursor(position: &impl Serialize) -> Result<String, Problem> {
    let json = serde_json::to_vec(position).map_err(|error| Problem::internal(&error))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// Reads what [`cursor`] made; `None` for anything else.
pub fn read_cursor<T: DeserializeOwned>(text: &str) -> Option<T> {
    if text.len() > CURSOR_CHARS_MAX {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn query_pointer(name: &str) -> String {
    format!("/query/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["lot_id", "limit", "next", "ev", "radius"];

    fn pointers(problem: &Problem) -> Vec<(&str, &str)> {
        problem.errors().iter().map(|error| (error.pointer.as_str(), error.code)).collect()
    }

    #[test]
    fn parameters_are_decoded_and_parsed() {
        let uri: Uri = "/x?lot_id=a%2Db+c&limit=7&ev=true".parse().unwrap();
        let mut query = Query::new(&uri, &KNOWN);
        assert_eq!(query.required::<String>("lot_id").as_deref(), Some("a-b c"));
        assert_eq!(query.page_limit(), 7);
        assert!(query.flag("ev"));
        assert_eq!(query.optional::<u32>("radius"), None);
        query.finish().unwrap();
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let uri: Uri = "/x?limit=0&ev=maybe&radius=-1&colour=red&ev=true&next=%21".parse().unwrap();
        let mut query = Query::new(&uri, &KNOWN);
        let lot = query.required::<String>("lot_id");
        query.page_limit();
        query.flag("ev");
        query.optional::<u32>("radius");
        query.cursor::<u32>();
        let problem = query.finish_with(lot).unwrap_err();
        assert_eq!(
            pointers(&problem),
            [
                ("/query/colour", "unknown"),
                ("/query/ev", "duplicate"),
                ("/query/lot_id", "required"),
                ("/query/limit", "out_of_range"),
                ("/query/ev", "invalid"),
                ("/query/radius", "invalid"),
                ("/query/next", "invalid"),
            ]
        );
    }

    #[test]
    fn no_query_means_defaults() {
        let uri = Uri::from_static("/x");
        let mut query = Query::new(&uri, &KNOWN);
        assert_eq!(query.page_limit(), PAGE_LIMIT_DEFAULT);
        assert_eq!(query.cursor::<u32>(), None);
        query.finish().unwrap();
    }

    #[test]
    fn a_cursor_survives_a_url() {
        let position = ("R#?&=/+".to_owned(), 7_u32);
        let cursor = cursor(&position).unwrap();
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "{cursor}");
        let uri: Uri = format!("/x?next={cursor}").parse().unwrap();
        assert_eq!(Query::new(&uri, &KNOWN).cursor::<(String, u32)>(), Some(position));
        let long: Uri = format!("/x?next={}", "A".repeat(3_000)).parse().unwrap();
        assert_eq!(Query::new(&long, &KNOWN).cursor::<(String, u32)>(), None);
    }
}
