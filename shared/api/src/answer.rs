//! Answers.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
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

    /// 200 with a body of another kind than JSON.
    #[must_use]
    pub fn bytes(content_type: &'static str, body: Vec<u8>) -> Self {
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        // A client must not find another meaning in it.
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Self(response)
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

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    /// Lets the caller, and nobody between, keep the answer for ever: it is about something that never changes. `tag` names its bytes,
    /// which depend on the form, the language and who asks.
    #[must_use]
    pub fn never_changes(self, tag: &str) -> Self {
        self.header(ETAG, &format!("\"{tag}\""))
            .header(CACHE_CONTROL, "private, max-age=31536000, immutable")
            .header(VARY, "accept, accept-language, authorization")
    }

    /// 304 if `headers` say that the client has what [`Self::never_changes`] names as `tag`; then there is nothing to make.
    #[must_use]
    pub fn not_modified(headers: &HeaderMap, tag: &str) -> Option<Self> {
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let known = known.flat_map(|value| value.split(',')).map(|known| known.trim().trim_start_matches("W/"));
        let has = known.into_iter().any(|known| known == "*" || known.trim_matches('"') == tag);
        let mut response = Response::new(Vec::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        has.then(|| Self(response).never_changes(tag))
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
    fn what_never_changes_may_be_kept_by_who_got_it_and_is_not_sent_twice() {
        let response = respond(&id(), Ok(Answer::bytes("text/html", vec![1]).never_changes("a-1")));
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        assert_eq!((header("etag"), header("x-content-type-options")), ("\"a-1\"", "nosniff"));
        assert_eq!(header("cache-control"), "private, max-age=31536000, immutable");
        for (known, same) in
            [("\"a-1\"", true), ("W/\"a-1\"", true), ("\"b\", \"a-1\"", true), ("*", true), ("\"a\"", false)]
        {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(known).unwrap())]);
            let answer = Answer::not_modified(&headers, "a-1").map(|answer| respond(&id(), Ok(answer)));
            assert_eq!(answer.map(|answer| answer.status().as_u16()), same.then_some(304), "{known}");
        }
        assert!(Answer::not_modified(&HeaderMap::new(), "a-1").is_none());
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
