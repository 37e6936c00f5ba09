//! From the gateway's events to requests and back.

use std::convert::Infallible;
use std::future::Future;

use chrono::{DateTime, Utc};
use http::{Request, Response};
use lambda_http::{Body, RequestExt as _, service_fn};
use parkade_api::{PathParameters, RequestId};

use crate::{Fatal, telemetry};

/// Serves HTTP API events with `handler` until the process ends. Each request gets the present time, read once, and carries
/// [`PathParameters`] and [`RequestId`] as extensions.
///
/// A panic of the handler is left to the runtime, which reports it to Lambda and goes on.
///
/// # Errors
/// [`Fatal`] if the runtime's own protocol fails.
pub async fn run_http<'a, D, F, Fut>(deps: &'a D, handler: F) -> Result<(), Fatal>
where
    F: Fn(&'a D, DateTime<Utc>, Request<Vec<u8>>) -> Fut,
    Fut: Future<Output = Response<Vec<u8>>> + Send + 'a,
{
    let serve = |event: lambda_http::Request| {
        let request = from_event(event);
        telemetry::set_request_id(&RequestId::of(&request).0);
        let answer = handler(deps, Utc::now(), request);
        async move { Ok::<_, Infallible>(to_event(answer.await)) }
    };
    lambda_http::run(service_fn(serve)).await.map_err(|error| Fatal::of(error.as_ref()))
}

fn from_event(event: lambda_http::Request) -> Request<Vec<u8>> {
    let path = event.path_parameters_ref().into_iter().flat_map(|parameters| parameters.iter());
    let path = PathParameters(path.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    let id = event.lambda_context_ref().map(|context| RequestId(context.request_id.clone()));
    let (parts, body) = event.into_parts();
    let mut request = Request::new(bytes(body));
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.headers_mut() = parts.headers;
    request.extensions_mut().insert(path);
    if let Some(id) = id {
        request.extensions_mut().insert(id);
    }
    request
}

fn bytes(body: Body) -> Vec<u8> {
    match body {
        Body::Text(text) => text.into_bytes(),
        Body::Binary(bytes) => bytes,
        _ => Vec::new(),
    }
}

/// Our bodies are JSON; anything else goes out as base64.
fn to_event(response: Response<Vec<u8>>) -> Response<Body> {
    response.map(|bytes| match String::from_utf8(bytes) {
        Ok(text) if text.is_empty() => Body::Empty,
        Ok(text) => Body::Text(text),
        Err(error) => Body::Binary(error.into_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use lambda_http::request::LambdaRequest;

    use super::*;

    fn request(event: &str) -> Request<Vec<u8>> {
        let event: LambdaRequest = serde_json::from_str(event).unwrap();
        let mut context = lambda_http::Context::default();
        context.request_id = "r-1".to_owned();
        from_event(lambda_http::Request::from(event).with_lambda_context(context))
    }

    fn event(body: &str, base64: bool) -> String {
        serde_json::json!({
            "version": "2.0",
            "routeKey": "PUT /v1/lots/{lot}/spots/{spot}/status",
            "rawPath": "/v1/lots/lot-1/spots/A%2F1/status",
            "rawQueryString": "a=1&b=%20&a=2",
            "headers": {"authorization": "Bearer dev.admin.root", "idempotency-key": "k", "host": "example.org"},
            "pathParameters": {"lot": "lot-1", "spot": "A/1"},
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "example.org", "requestId": "gw", "stage": "$default",
                "http": {"method": "PUT", "path": "/v1/lots/lot-1/spots/A%2F1/status", "protocol": "HTTP/1.1"},
                "time": "21/Nov/2026:00:00:00 +0000", "timeEpoch": 1,
            },
            "body": body,
            "isBase64Encoded": base64,
        })
        .to_string()
    }

    #[test]
    fn an_event_becomes_a_request() {
        let request = request(&event("{\"ü\":1}", false));
        assert_eq!(request.method(), "PUT");
        assert_eq!(request.uri().query(), Some("a=1&b=%20&a=2"));
        assert_eq!(parkade_api::path_text(&request, "lot"), "lot-1");
        assert_eq!(parkade_api::path_text(&request, "spot"), "A/1");
        assert_eq!(RequestId::of(&request).0, "r-1");
        assert_eq!(parkade_api::idempotency_key(request.headers()).unwrap(), "k");
        assert_eq!(request.body(), "{\"ü\":1}".as_bytes());
    }

    #[test]
    fn a_body_in_base64_arrives_as_its_bytes() {
        assert_eq!(request(&event("/wBh", true)).body(), &[0xff, 0, b'a']);
    }

    #[test]
    fn an_event_without_body_arrives_empty() {
        let event = event("x", false).replace("\"body\":\"x\",", "");
        assert!(request(&event).body().is_empty());
    }

    #[test]
    fn an_answer_goes_out_as_text_if_it_is_text() {
        assert_eq!(to_event(Response::new(b"{}".to_vec())).body(), &Body::Text("{}".to_owned()));
        assert_eq!(to_event(Response::new(Vec::new())).body(), &Body::Empty);
        assert_eq!(to_event(Response::new(vec![0xff])).body(), &Body::Binary(vec![0xff]));
    }
}
