//! What the twin answers: a status and a JSON body, with Stripe's error envelope.

use serde_json::{Map, Value, json};

/// A finished answer. Only a saved one is replayed for its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Answered from the idempotency record, not by doing it again.
    pub(crate) replayed: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string(), replayed: false }
    }
}

/// One of Stripe's errors, before it becomes a [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: u16,
    fields: Map<String, Value>,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("type".into(), kind.into());
        fields.insert("message".into(), message.into().into());
        Self { status, fields }
    }

    /// 400 `invalid_request_error`: the most common kind.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(crate) fn code(self, code: &str) -> Self {
        self.field("code", code.into())
    }

    pub(crate) fn param(self, param: &str) -> Self {
        self.field("param", param.into())
    }

    pub(crate) fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.into(), value);
        self
    }

    pub(crate) fn into_reply(self) -> Reply {
        Reply::new(self.status, &json!({ "error": self.fields }))
    }
}

/// There is no such object.
pub(crate) fn missing(status: u16, object: &str, id: &str, param: &str) -> ApiError {
    let message = format!("No such {object}: '{id}'");
    ApiError::new(status, "invalid_request_error", message).code("resource_missing").param(param)
}

/// The first `limit` objects of a list, as Stripe shows one.
pub(crate) fn page(url: &str, limit: usize, objects: impl Iterator<Item = Value>) -> Value {
    let mut data: Vec<_> = objects.take(limit + 1).collect();
    let has_more = data.len() > limit;
    data.truncate(limit);
    json!({ "object": "list", "url": url, "data": data, "has_more": has_more })
}
