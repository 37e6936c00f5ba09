//! Refusals as RFC 9457 problems.

use std::error::Error;
use std::fmt;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use parkade_domain::ids::{LotId, ReservationId};
use parkade_domain::reservation::StateConflict;
use parkade_identity::{AuthError, Denied};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::fields::FieldError;
use crate::registry::{Code, Entry};
use crate::request::RequestId;

/// Where problem types are explained.
pub const TYPE_BASE: &str = "https://parkade.dev/problems/";
/// Seconds after which a client repeats a request that found the store unavailable.
pub const RETRY_UNAVAILABLE_S: u32 = 2;
/// Seconds after which a client repeats a request whose first try is still being carried out.
pub const RETRY_IN_PROGRESS_S: u32 = 1;

/// A refusal on its way to the client. `detail` and members are safe to show; the cause is for the log only.
pub struct Problem(Box<Inner>);

struct Inner {
    code: Code,
    detail: Option<String>,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    retry_after_s: Option<u32>,
    cause: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    instance: String,
    code: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    members: &'a Map<String, Value>,
}

impl Problem {
    /// A problem of this code, with nothing more to say.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let retry_after_s = match code {
            Code::StoreUnavailable => Some(RETRY_UNAVAILABLE_S),
            Code::IdempotencyInProgress | Code::PaymentInProgress => Some(RETRY_IN_PROGRESS_S),
            _ => None,
        };
        Self(Box::new(Inner {
            code,
            detail: None,
            errors: Vec::new(),
            members: Map::new(),
            retry_after_s,
            cause: None,
        }))
    }

    /// [`Code::InvalidFields`] with these errors.
    #[must_use]
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Code::InvalidFields);
        problem.0.errors = errors;
        problem
    }

    /// A problem that one field of the body causes, such as [`Code::WindowInPast`] at `/start_time`.
    #[must_use]
    pub fn at(code: Code, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = FieldError { pointer: pointer.into(), code: code.entry().code, detail: detail.clone() };
        let mut problem = Self::new(code).detail(detail);
        problem.0.errors.push(error);
        problem
    }

    /// [`Code::Internal`]: nothing of `cause` is shown, all of it is logged.
    #[must_use]
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        Self::new(Code::Internal).cause(cause)
    }

    /// [`Code::LotNotFound`], naming the lot.
    #[must_use]
    pub fn lot_not_found(lot: &LotId) -> Self {
        Self::new(Code::LotNotFound).detail(format!("There is no lot {lot}."))
    }

    /// [`Code::SpotNotFound`], naming the spot.
    #[must_use]
    pub fn spot_not_found(lot: &LotId, number: &str) -> Self {
        Self::new(Code::SpotNotFound).detail(format!("Lot {lot} has no spot {number}."))
    }

    /// [`Code::ReservationNotFound`], naming the reservation; also for somebody else's.
    #[must_use]
    pub fn reservation_not_found(id: ReservationId) -> Self {
        Self::new(Code::ReservationNotFound).detail(format!("There is no reservation {id}."))
    }

    /// What to tell the client about this occurrence. Never anything internal or personal.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// A further member of the object, such as `opens_at`.
    #[must_use]
    pub fn member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Seconds for the `Retry-After` header.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The cause, for the log.
    #[must_use]
    pub fn cause(mut self, cause: &(dyn Error + 'static)) -> Self {
        self.0.cause = Some(chain(cause));
        self
    }

    /// The code clients match on.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.code.entry().status
    }

    /// The field errors.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The answer. This is where a problem is logged, once: defects as errors, everything that went by itself as warnings,
    /// refusals of bad requests not at all.
    #[must_use]
    pub fn into_response(self, request_id: &RequestId) -> Response<Vec<u8>> {
        let Inner { code, detail, errors, members, retry_after_s, cause } = *self.0;
        let Entry { code: name, status, title, .. } = code.entry();
        match status {
            StatusCode::INTERNAL_SERVER_ERROR => {
                let cause = cause.as_deref().unwrap_or("no cause given");
                tracing::error!(request.id = %request_id, problem.code = name, "answered {name}: {cause}");
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                let cause = cause.as_deref().unwrap_or("no cause given");
                tracing::warn!(request.id = %request_id, problem.code = name, "answered {name}: {cause}");
            }
            _ => {}
        }
        let bare = code == Code::Internal;
        let empty = Map::new();
        let body = Body {
            r#type: format!("{TYPE_BASE}{name}"),
            title,
            status: status.as_u16(),
            detail: detail.as_deref().filter(|_| !bare),
            instance: format!("urn:request:{request_id}"),
            code: name,
            errors: if bare { &[] } else { &errors },
            members: if bare { &empty } else { &members },
        };
        // Strings, numbers and string-keyed maps always serialise.
        let mut response = Response::new(serde_json::to_vec(&body).unwrap_or_default());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { code, detail, errors, cause, .. } = &*self.0;
        write!(f, "Problem({}, {detail:?}, {errors:?}, cause {cause:?})", code.entry().code)
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<AuthError> for Problem {
    fn from(_: AuthError) -> Self {
        Self::new(Code::Unauthenticated)
    }
}

impl From<Denied> for Problem {
    /// What is hidden from the caller is hidden as a reservation: lots and spots are public.
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Forbidden => Self::new(Code::Forbidden),
            Denied::NotFound => Self::new(Code::ReservationNotFound),
        }
    }
}

impl From<StateConflict> for Problem {
    fn from(conflict: StateConflict) -> Self {
        let allowed: Vec<Value> = conflict.command.allowed_in().map(|status| status.as_str().into()).collect();
        Self::new(Code::StateConflict)
            .detail(conflict.to_string())
            .member("state", conflict.status.as_str())
            .member("allowed", allowed)
    }
}

/// An error with all its causes, as `outer: cause: cause of the cause`.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use parkade_domain::reservation::{Command, Status};

    use super::*;
    use crate::fields::FieldErrors;
    use crate::registry::FieldCode;

    fn body(problem: Problem) -> (Response<Vec<u8>>, Value) {
        let response = problem.into_response(&RequestId("r-1".to_owned()));
        let body = serde_json::from_slice(response.body()).unwrap();
        (response, body)
    }

    #[test]
    fn every_code_answers_with_its_entry() {
        for code in Code::ALL {
            let entry = code.entry();
            let (response, body) = body(Problem::new(*code));
            assert_eq!(response.status(), entry.status);
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(
                body,
                serde_json::json!({
                    "type": format!("https://parkade.dev/problems/{}", entry.code),
                    "title": entry.title,
                    "status": entry.status.as_u16(),
                    "instance": "urn:request:r-1",
                    "code": entry.code,
                })
            );
        }
    }

    #[test]
    fn a_state_conflict_names_the_state_and_the_allowed_ones() {
        let conflict = Status::Completed.after(Command::Cancel).unwrap_err();
        let (response, body) = body(conflict.into());
        assert_eq!(response.status(), 409);
        assert_eq!(body["state"], "completed");
        assert_eq!(body["allowed"], serde_json::json!(["held", "confirmed"]));
    }

    #[test]
    fn field_errors_are_listed_with_pointers() {
        let mut errors = FieldErrors::new();
        errors.push("/a", FieldCode::Required, "a is needed");
        errors.push("/b/0", FieldCode::TooLong, "at most 3");
        let (response, body) = body(errors.into_result().unwrap_err());
        assert_eq!(response.status(), 422);
        assert_eq!(
            body["errors"],
            serde_json::json!([
                {"pointer": "/a", "code": "required", "detail": "a is needed"},
                {"pointer": "/b/0", "code": "too_long", "detail": "at most 3"},
            ])
        );
    }

    #[test]
    fn a_500_shows_nothing_of_its_cause() {
        let cause = std::io::Error::other("the secret table name");
        let (_, body) = body(Problem::internal(&cause).detail("secret").member("secret", 1));
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[test]
    fn answers_that_ask_to_come_back_say_when() {
        let header = |problem: Problem| body(problem).0.headers().get(RETRY_AFTER).cloned();
        assert_eq!(header(Problem::new(Code::StoreUnavailable)).unwrap(), "2");
        assert_eq!(header(Problem::new(Code::IdempotencyInProgress)).unwrap(), "1");
        assert_eq!(header(Problem::new(Code::StoreUnavailable).retry_after_s(30)).unwrap(), "30");
        assert_eq!(header(Problem::new(Code::NoSpotAvailable)), None);
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }
}
