//! Answers.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use serde::Serialize;

use crate::problem::Problem;
use crate::request::RequestId;

/// Says that the answer is the first request's and nothing was done again.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Repeats the request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A successful answer in the making.
#[derive(Debug)]
pub struct Answer(Response<Vec<u8>>);

impl Answer {
    /// `status` with `body` as JSON.
    ///
    /// # Errors
    /// `internal` if the body cannot be serialised.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let bytes = serde_json::to_vec(body).map_err(|error| Problem::internal(&error))?;
        let mut response = Response::new(bytes);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self(response))
    }

    /// 200 with `body` as JSON.
    ///
    /// # Errors
    /// `internal` if the body cannot be serialised.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    /// 201 with `body` as JSON, at `location`.
    ///
    /// # Errors
    /// `internal` if the body cannot be serialised or the location is no header value.
    pub fn created(location: &str, body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::CREATED, body)?.located(location)
    }

    /// 202 with `body` as JSON; its outcome will be at `location`.
    ///
    /// # Errors
    /// `internal` if the body cannot be serialised or the location is no header value.
    pub fn accepted(location: &str, body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::ACCEPTED, body)?.located(location)
    }

    /// Adds the version as entity tag, `"v3"`.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        if let Ok(tag) = HeaderValue::try_from(format!("\"v{version}\"")) {
            self.0.headers_mut().insert(ETAG, tag);
        }
        self
    }

    /// Adds `Idempotent-Replayed: true` if the answer is an earlier request's.
    #[must_use]
    pub fn replayed(mut self, replayed: bool) -> Self {
        if replayed {
            self.0.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        self
    }

    fn located(mut self, location: &str) -> Result<Self, Problem> {
        let value = HeaderValue::from_str(location).map_err(|error| Problem::internal(&error))?;
        self.0.headers_mut().insert(LOCATION, value);
        Ok(self)
    }
}

/// The end of every handler: the answer or the problem, with the request's id.
#[must_use]
pub fn respond(request_id: &RequestId, outcome: Result<Answer, Problem>) -> Response<Vec<u8>> {
    let mut response = match outcome {
        Ok(Answer(response)) => response,
        Err(problem) => problem.into_response(request_id),
    };
    let headers = response.headers_mut();
    // Answers are about one caller at one moment.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&request_id.0) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}

/// [`respond`] for a handler that still has the request.
#[must_use]
pub fn respond_to<B>(request: &Request<B>, outcome: Result<Answer, Problem>) -> Response<Vec<u8>> {
    respond(&RequestId::of(request), outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Code;

    fn id() -> RequestId {
        RequestId("r-1".to_owned())
    }

    #[test]
    fn an_answer_carries_what_was_asked_for() {
        let answer = Answer::created("/v1/reservations/res_1", &[1, 2]).unwrap().version(3).replayed(true);
        let response = respond(&id(), Ok(answer));
        assert_eq!(response.status(), 201);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("location"), "/v1/reservations/res_1");
        assert_eq!(header("etag"), "\"v3\"");
        assert_eq!(header("idempotent-replayed"), "true");
        assert_eq!(header("x-request-id"), "r-1");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(response.body(), b"[1,2]");
    }

    #[test]
    fn a_first_answer_is_not_marked_as_replayed() {
        let response = respond(&id(), Ok(Answer::ok(&1).unwrap().replayed(false)));
        assert_eq!(response.headers().get(IDEMPOTENT_REPLAYED), None);
    }

    #[test]
    fn a_problem_is_answered_with_the_requests_id() {
        let mut request = Request::new(());
        request.extensions_mut().insert(id());
        let response = respond_to(&request, Err(Code::Forbidden.into()));
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()["x-request-id"], "r-1");
    }
}
