//! What a request brings besides its meaning: path parameters, ids, headers and a body of limited size.

use std::collections::BTreeMap;
use std::fmt;

use http::header::IF_MATCH;
use http::{HeaderMap, Request};
use parkade_domain::ids::{LotId, PaymentId, ReceiptId, ReservationId, UserId};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::Segment;

use crate::card;
use crate::fields::FieldErrors;
use crate::problem::Problem;
use crate::registry::{Code, FieldCode};

/// Largest body: an import of 2,000 spots with room to spare.
pub const BODY_BYTES_MAX: usize = 1_048_576;
/// Longest idempotency key.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Name of the idempotency header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The names in the route's braces and what the path has there; a request extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathParameters(pub BTreeMap<String, String>);

/// Identifies one request in answers and logs; a request extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// The id of `request`, or `unknown` if the adapter set none.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Self {
        request.extensions().get().cloned().unwrap_or_else(|| Self("unknown".to_owned()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path parameter as text; empty if the route has no such name.
#[must_use]
pub fn path_text<'a, B>(request: &'a Request<B>, name: &str) -> &'a str {
    request.extensions().get::<PathParameters>().and_then(|path| path.0.get(name)).map_or("", String::as_str)
}

/// The lot in the path.
///
/// # Errors
/// `lot_not_found` if the text cannot name a lot.
pub fn path_lot<B>(request: &Request<B>, name: &str) -> Result<LotId, Problem> {
    LotId::new(path_text(request, name)).map_err(|_| Problem::new(Code::LotNotFound))
}

/// The reservation in the path.
///
/// # Errors
/// `reservation_not_found` if the text cannot name a reservation.
pub fn path_reservation<B>(request: &Request<B>, name: &str) -> Result<ReservationId, Problem> {
    path_text(request, name).parse().map_err(|_| Problem::new(Code::ReservationNotFound))
}

/// The payment in the path.
///
/// # Errors
/// `payment_not_found` if the text cannot name a payment.
pub fn path_payment<B>(request: &Request<B>, name: &str) -> Result<PaymentId, Problem> {
    path_text(request, name).parse().map_err(|_| Problem::new(Code::PaymentNotFound))
}

/// The receipt or credit note in the path.
///
/// # Errors
/// `receipt_not_found` if the text cannot name one.
pub fn path_receipt<B>(request: &Request<B>, name: &str) -> Result<ReceiptId, Problem> {
    path_text(request, name).parse().map_err(|_| Problem::new(Code::ReceiptNotFound))
}

/// The user in the path. A text that cannot name a user is answered like somebody else's.
///
/// # Errors
/// `reservation_not_found` if the text cannot name a user.
pub fn path_user<B>(request: &Request<B>, name: &str) -> Result<UserId, Problem> {
    UserId::new(path_text(request, name)).map_err(|_| Problem::new(Code::ReservationNotFound))
}

/// The `Idempotency-Key`, 1 to [`IDEMPOTENCY_KEY_CHARS_MAX`] visible ASCII characters.
///
/// # Errors
/// `missing_idempotency_key` or `invalid_idempotency_key`.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or_else(|| Problem::new(Code::MissingIdempotencyKey))?;
    let text = value.to_str().ok().filter(|text| {
        (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    });
    match (text, values.next()) {
        (Some(text), None) => Ok(text),
        _ => Err(Problem::new(Code::InvalidIdempotencyKey)),
    }
}

/// The version the client has seen (`If-Match: "v3"`); `None` without the header or for `*`.
///
/// # Errors
/// `version_mismatch` for anything that is not one of our entity tags: it cannot be the current one.
pub fn if_match_version(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix("\"v").and_then(|rest| rest.strip_suffix('"'));
    let version = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
    version.map(Some).ok_or_else(|| Problem::new(Code::VersionMismatch))
}

/// Reads the body as a JSON object of type `T`.
///
/// The order of the checks is the order of their cost: size, UTF-8, card numbers (M11), then JSON.
///
/// # Errors
/// `body_too_large`; `malformed_json` for invalid UTF-8, syntax, or anything but an object; `invalid_fields` with the
/// failing field's pointer for unknown or missing fields, wrong types and numbers out of range.
pub fn read_json<T: DeserializeOwned>(request: &Request<Vec<u8>>) -> Result<T, Problem> {
    let body = request.body();
    if body.len() > BODY_BYTES_MAX {
        return Err(Problem::new(Code::BodyTooLarge));
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("The body is not UTF-8 at byte {}.", error.valid_up_to())))?;
    card::refuse_card_numbers(text)?;
    // A derived struct also reads an array of its fields in order; nobody means that.
    if !text.trim_start().starts_with('{') {
        return Err(malformed("The body is not a JSON object.".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = json_pointer(error.path());
        (pointer, error.into_inner())
    });
    let read = read.and_then(|value: T| json.end().map(|()| value).map_err(|error| (String::new(), error)));
    read.map_err(|(pointer, error)| refused(text, pointer, &error))
}

/// Well-formed JSON of the wrong shape is a matter of fields; anything else is not JSON.
fn refused(text: &str, pointer: String, error: &serde_json::Error) -> Problem {
    if let Err(syntax) = serde_json::from_str::<IgnoredAny>(text) {
        return malformed(format!("The body is not JSON: {syntax}."));
    }
    let mut errors = FieldErrors::new();
    errors.push(pointer, FieldCode::Invalid, error.to_string());
    match errors.into_result() {
        Err(problem) => problem,
        Ok(()) => malformed("The body is not JSON.".to_owned()),
    }
}

fn malformed(detail: String) -> Problem {
    Problem::new(Code::MalformedJson).detail(detail)
}

/// The JSON pointer (RFC 6901) of where reading a document failed.
#[must_use]
pub fn json_pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            // The variant of an enum is not a level of the document.
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&part);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: String,
        #[serde(default)]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        count: u8,
    }

    fn read(body: impl Into<Vec<u8>>) -> Result<Outer, Problem> {
        read_json(&Request::new(body.into()))
    }

    #[test]
    fn an_object_of_the_right_shape_is_read() {
        let outer = read(r#" {"name":"n","items":[{"count":1}]} "#).unwrap();
        assert_eq!(outer, Outer { name: "n".to_owned(), items: vec![Item { count: 1 }] });
    }

    #[test]
    fn what_is_not_a_json_object_is_malformed() {
        let bodies: [&[u8]; 11] = [
            b"",
            b"   ",
            b"null",
            b"[\"n\"]",
            b"\"n\"",
            b"{",
            b"{\"name\":\"n\"",
            b"{\"name\":\"n\"} x",
            b"{\"name\":5, x}",
            b"{\"name\":\"\xff\"}",
            b"{name:\"n\"}",
        ];
        for body in bodies {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.code(), Code::MalformedJson, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn wrong_fields_are_refused_with_their_pointer() {
        let bodies = [
            (r#"{}"#, ""),
            (r#"{"name":5}"#, "/name"),
            (r#"{"name":null}"#, "/name"),
            (r#"{"name":"n","admin":true}"#, "/admin"),
            (r#"{"name":"n","name":"m"}"#, ""),
            (r#"{"name":"n","items":{}}"#, "/items"),
            (r#"{"name":"n","items":[{"count":1},{"count":256}]}"#, "/items/1/count"),
            (r#"{"name":"n","items":[{"count":-1}]}"#, "/items/0/count"),
            (r#"{"name":"n","items":[{"count":1.5}]}"#, "/items/0/count"),
            (r#"{"name":"n","items":[{"count":1e999}]}"#, "/items/0/count"),
            (r#"{"name":"n","items":[{"count":99999999999999999999}]}"#, "/items/0/count"),
            (r#"{"name":"n","items":[{"count":1,"x/y~":2}]}"#, "/items/0/x~1y~0"),
        ];
        for (body, pointer) in bodies {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.code(), Code::InvalidFields, "{body}");
            assert_eq!(problem.errors()[0].pointer, pointer, "{body}: {problem:?}");
        }
    }

    #[test]
    fn the_size_limit_comes_before_everything_else() {
        let padded = |bytes: usize| {
            let mut body = br#"{"name":"n"}"#.to_vec();
            body.resize(bytes, b' ');
            read(body)
        };
        assert!(padded(BODY_BYTES_MAX).is_ok());
        assert_eq!(padded(BODY_BYTES_MAX + 1).unwrap_err().code(), Code::BodyTooLarge);
        assert_eq!(read(vec![0xff; 2 * BODY_BYTES_MAX]).unwrap_err().code(), Code::BodyTooLarge);
    }

    #[test]
    fn a_deeply_nested_body_is_refused_without_overflowing() {
        let nested = format!(r#"{{"name":{}1{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        assert!(read(nested).is_err());
    }

    #[test]
    fn a_card_number_is_refused_before_it_is_read() {
        let problem = read(r#"{"name":"4111 1111 1111 1111"}"#).unwrap_err();
        assert_eq!(problem.errors()[0].code, "card_number");
        assert!(!format!("{problem:?}").contains("4111"), "the number is not repeated");
    }

    #[test]
    fn idempotency_keys_are_visible_ascii_given_once() {
        let with = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
            }
            idempotency_key(&headers).map(str::to_owned).map_err(|problem| problem.code())
        };
        let longest = "k".repeat(255);
        assert_eq!(with(&[b"k"]), Ok("k".to_owned()));
        assert_eq!(with(&[longest.as_bytes()]), Ok(longest.clone()));
        assert_eq!(with(&[]), Err(Code::MissingIdempotencyKey));
        for wrong in [&[b"".as_slice()][..], &[b"a b"], &["ä".as_bytes()], &[b"a", b"a"], &[b"\xff"]] {
            assert_eq!(with(wrong), Err(Code::InvalidIdempotencyKey), "{wrong:?}");
        }
        assert_eq!(with(&[format!("{longest}k").as_bytes()]), Err(Code::InvalidIdempotencyKey));
    }

    #[test]
    fn if_match_reads_our_tags_and_nothing_else() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, HeaderValue::from_static(value));
            if_match_version(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(if_match_version(&HeaderMap::new()).unwrap(), None);
        assert_eq!(with("*"), Ok(None));
        assert_eq!(with("\"v3\""), Ok(Some(3)));
        for foreign in ["v3", "\"3\"", "W/\"v3\"", "\"v\"", "\"v+3\"", "\"v4294967296\"", "\"v1\", \"v2\"", ""] {
            assert_eq!(with(foreign), Err(Code::VersionMismatch), "{foreign}");
        }
    }

    #[test]
    fn path_parameters_that_cannot_exist_are_not_found() {
        let mut request = Request::new(());
        let parameters = [("lot", "a#b"), ("id", "res_x"), ("ok", "lot-1")];
        let map = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        request.extensions_mut().insert(PathParameters(BTreeMap::from(map)));
        assert_eq!(path_lot(&request, "lot").unwrap_err().code(), Code::LotNotFound);
        assert_eq!(path_lot(&request, "absent").unwrap_err().code(), Code::LotNotFound);
        assert_eq!(path_reservation(&request, "id").unwrap_err().code(), Code::ReservationNotFound);
        assert_eq!(path_payment(&request, "id").unwrap_err().code(), Code::PaymentNotFound);
        assert_eq!(path_lot(&request, "ok").unwrap().as_str(), "lot-1");
    }
}
