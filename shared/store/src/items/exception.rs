//! `X` / `<month>.<subject>`: something of the provider's account or ours that nobody could explain.

use aws_sdk_dynamodb::types::AttributeValue;
use parkade_ledger::{Closed, Exception, ExceptionKind, Resolution};

use crate::attributes::{Item, Reader, SCHEMA, keyed, number, text};
use crate::error::StoreError;
use crate::items::reservation::VERSION;
use crate::keys;

const SCHEMA_VERSION: i64 = 1;

pub(crate) fn write(exception: &Exception) -> Result<Item, StoreError> {
    let mut item = keyed(keys::EXCEPTIONS, exception.id.as_str());
    let mut put = |name: &str, value: AttributeValue| drop(item.insert(name.to_owned(), value));
    put(SCHEMA, number(SCHEMA_VERSION));
    put(VERSION, number(exception.version));
    put("k", text(exception.kind.as_str()));
    put("at", number(exception.opened_at_s));
    let refused = |error: serde_json::Error| StoreError::Refused { operation: "exception", cause: error.to_string() };
    put("f", text(serde_json::to_string(&exception.facts).map_err(refused)?));
    match &exception.closed {
        None => put("op", AttributeValue::Bool(true)),
        Some(closed) => {
            put("cl", number(closed.at_s));
            put("by", text(closed.by.as_str()));
            put("re", text(closed.resolution.as_str()));
            if let Some(note) = &closed.note {
                put("no", text(note.as_str()));
            }
        }
    }
    Ok(item)
}

pub(crate) fn read(item: &Item) -> Result<Exception, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let closed = match reader.number_maybe("cl")? {
        None => None,
        Some(at_s) => Some(Closed {
            at_s,
            by: reader.text("by")?.to_owned(),
            resolution: reader.parsed("re", Resolution::parse)?,
            note: reader.text_maybe("no").map(str::to_owned),
        }),
    };
    Ok(Exception {
        id: reader.parsed(keys::SK, |sk| sk.parse().ok())?,
        kind: reader.parsed("k", ExceptionKind::parse)?,
        facts: reader.parsed("f", |facts| serde_json::from_str(facts).ok())?,
        opened_at_s: reader.number("at")?,
        closed,
        version: reader.number(VERSION)?,
    })
}
