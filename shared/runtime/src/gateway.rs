//! The gateway's events, payload format 2.0: only what functions read. The general type with its fifty fields costs 25 thousand
//! instructions more per request.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use parkade_api::PathParameters;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeStruct as _, Serializer};
use serde::{Deserialize, Serialize};

/// A request as the gateway sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GatewayRequest {
    raw_query_string: String,
    #[serde(deserialize_with = "headers")]
    headers: HeaderMap,
    path_parameters: Option<BTreeMap<String, String>>,
    request_context: RequestContext,
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestContext {
    http: Http,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Http {
    method: String,
}

/// The event is no request of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event's {0} is not what the gateway sends")]
pub(crate) struct NotFromGateway(&'static str);

impl GatewayRequest {
    /// The request with [`PathParameters`] as extension. Its URI has the query and no path: the route has been taken already.
    pub(crate) fn into_request(self) -> Result<Request<Vec<u8>>, NotFromGateway> {
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded {
            STANDARD.decode(body).map_err(|_| NotFromGateway("body"))?
        } else {
            body.into_bytes()
        };
        let mut request = Request::new(body);
        let method = self.request_context.http.method;
        *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| NotFromGateway("method"))?;
        if !self.raw_query_string.is_empty() {
            let uri = Uri::try_from(format!("/?{}", self.raw_query_string));
            *request.uri_mut() = uri.or_else(|_| escaped(&self.raw_query_string))?;
        }
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(PathParameters(self.path_parameters.unwrap_or_default()));
        Ok(request)
    }
}

/// A client may send bytes that a URI does not allow, and still means something by them.
fn escaped(query: &str) -> Result<Uri, NotFromGateway> {
    let escape = |byte: u8| match byte {
        b'!'..=b'~' if !b"\"#<>\\^`{|}".contains(&byte) => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let query: String = query.bytes().map(escape).collect();
    Uri::try_from(format!("/?{query}")).map_err(|_| NotFromGateway("query"))
}

/// Names and values in one pass. The gateway has checked them; one that is no header is left out.
fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    struct Headers;
    impl<'de> Visitor<'de> for Headers {
        type Value = HeaderMap;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of headers")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderMap, A::Error> {
            let mut headers = HeaderMap::with_capacity(map.size_hint().unwrap_or(24));
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                if let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(name), HeaderValue::from_maybe_shared(bytes::Bytes::from(value)))
                {
                    headers.append(name, value);
                }
            }
            Ok(headers)
        }
    }
    deserializer.deserialize_map(Headers)
}

/// An answer as the gateway takes it. Our bodies are JSON; anything else goes out as base64.
#[derive(Debug)]
pub(crate) struct GatewayResponse(pub(crate) Response<Vec<u8>>);

impl Serialize for GatewayResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("GatewayResponse", 4)?;
        event.serialize_field("statusCode", &self.0.status().as_u16())?;
        event.serialize_field("headers", &Headers(self.0.headers()))?;
        let text = std::str::from_utf8(self.0.body());
        event.serialize_field("isBase64Encoded", &text.is_err())?;
        match text {
            Ok(text) => event.serialize_field("body", text)?,
            Err(_) => event.serialize_field("body", &STANDARD.encode(self.0.body()))?,
        }
        event.end()
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            let mut values = self.0.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            match (values.next(), values.next()) {
                (Some(one), None) => map.serialize_entry(name.as_str(), &one)?,
                (one, two) => {
                    // Format 2.0 has one value per name.
                    let all: Vec<_> = one.into_iter().chain(two).chain(values).collect();
                    map.serialize_entry(name.as_str(), &all.join(", "))?;
                }
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(body: &str, base64: bool) -> Value {
        json!({
            "version": "2.0",
            "routeKey": "PUT /v1/lots/{lot}/spots/{spot}/status",
            "rawPath": "/v1/lots/lot-1/spots/A%2F1/status",
            "rawQueryString": "a=1&b=%20&a=2",
            "cookies": ["c=1"],
            "headers": {"authorization": "Bearer dev.admin.root", "idempotency-key": "k", "host": "example.org"},
            "queryStringParameters": {"a": "1,2", "b": " "},
            "pathParameters": {"lot": "lot-1", "spot": "A/1"},
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "example.org", "requestId": "gw", "stage": "$default",
                "http": {"method": "PUT", "path": "/v1/lots/lot-1/spots/A%2F1/status", "protocol": "HTTP/1.1"},
                "time": "21/Nov/2026:00:00:00 +0000", "timeEpoch": 1,
            },
            "body": body,
            "isBase64Encoded": base64,
        })
    }

    fn request(event: Value) -> Result<Request<Vec<u8>>, NotFromGateway> {
        serde_json::from_str::<GatewayRequest>(&event.to_string()).unwrap().into_request()
    }

    #[test]
    fn an_event_becomes_a_request() {
        let request = request(event("{\"ü\":1}", false)).unwrap();
        assert_eq!(request.method(), "PUT");
        assert_eq!(request.uri().query(), Some("a=1&b=%20&a=2"));
        assert_eq!(parkade_api::path_text(&request, "lot"), "lot-1");
        assert_eq!(parkade_api::path_text(&request, "spot"), "A/1");
        assert_eq!(parkade_api::idempotency_key(request.headers()).unwrap(), "k");
        assert_eq!(request.body(), "{\"ü\":1}".as_bytes());
    }

    #[test]
    fn a_body_in_base64_arrives_as_its_bytes() {
        assert_eq!(request(event("/wBh", true)).unwrap().body(), &[0xff, 0, b'a']);
        assert_eq!(request(event("no base64", true)).unwrap_err(), NotFromGateway("body"));
    }

    #[test]
    fn an_event_without_body_query_or_parameters_arrives_empty() {
        let minimal =
            json!({"requestContext": {"http": {"method": "GET"}}, "headers": {}, "pathParameters": null, "body": null});
        let request = request(minimal).unwrap();
        assert!(request.body().is_empty() && request.uri().query().is_none() && request.headers().is_empty());
    }

    #[test]
    fn what_is_no_event_of_the_gateway_is_refused() {
        assert_eq!(request(json!({"Records": []})).unwrap_err(), NotFromGateway("method"));
    }

    #[test]
    fn a_query_that_is_no_uri_is_escaped() {
        let mut odd = event("", false);
        odd["rawQueryString"] = "a=%20\u{7f}<ü c".into();
        assert_eq!(request(odd).unwrap().uri().query(), Some("a=%20%7F%3C%C3%BC%20c"));
    }

    #[test]
    fn an_answer_goes_out_as_text_if_it_is_text() {
        let sent = |body: &[u8]| {
            let mut response =
                Response::builder().status(201).header("x-a", "1").header("x-a", "2").header("etag", "\"3\"");
            response = response.header("content-type", "application/json");
            serde_json::to_value(GatewayResponse(response.body(body.to_vec()).unwrap())).unwrap()
        };
        let headers = json!({"x-a": "1, 2", "etag": "\"3\"", "content-type": "application/json"});
        let expected = |body: &str, base64| json!({"statusCode": 201, "headers": headers, "isBase64Encoded": base64, "body": body});
        assert_eq!(sent(b"{}"), expected("{}", false));
        assert_eq!(sent(b""), expected("", false));
        assert_eq!(sent(&[0xff]), expected("/w==", true));
    }
}
