//! Reading and writing single attributes. An absent optional attribute is not written at all: NULL would break sparse index keys.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::keys::{PK, SK};

/// A DynamoDB item.
pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl Into<i64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(crate) fn bytes(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// A document as its JSON text.
pub(crate) fn json(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    let refused = |error: serde_json::Error| StoreError::Refused { operation: "encode", cause: error.to_string() };
    serde_json::to_string(value).map(text).map_err(refused)
}

/// Reads a document.
pub(crate) fn from_json<T: DeserializeOwned>(reader: &Reader<'_>, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(reader.text(name)?).map_err(|error| reader.corrupt(format!("{name}: {error}")))
}

/// An item with its key.
pub(crate) fn keyed(partition: impl Into<String>, sort: impl Into<String>) -> Item {
    Item::from([(PK.to_owned(), text(partition)), (SK.to_owned(), text(sort))])
}

/// Reads attributes of one item; every failure names the item.
pub(crate) struct Reader<'a>(pub(crate) &'a Item);

impl<'a> Reader<'a> {
    pub(crate) fn corrupt(&self, why: impl Into<String>) -> StoreError {
        let key = |name| self.0.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
        StoreError::Corrupt { key: format!("{} {}", key(PK), key(SK)), why: why.into() }
    }

    fn missing(&self, name: &str) -> StoreError {
        self.corrupt(format!("attribute {name} is missing or of another type"))
    }

    pub(crate) fn text_maybe(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        self.text_maybe(name).ok_or_else(|| self.missing(name))
    }

    /// Reads text and turns it into a value with `parse`.
    pub(crate) fn parsed<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text(name)?;
        parse(text).ok_or_else(|| self.corrupt(format!("attribute {name} has an unknown value")))
    }

    pub(crate) fn number_maybe<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, StoreError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_n().ok().and_then(|n| n.parse().ok()).map(Some).ok_or_else(|| self.missing(name)),
        }
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, StoreError> {
        self.number_maybe(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn bytes_maybe(&self, name: &str) -> Option<&'a [u8]> {
        self.0.get(name)?.as_b().ok().map(AsRef::as_ref)
    }

    pub(crate) fn bytes(&self, name: &str) -> Result<&'a [u8], StoreError> {
        self.bytes_maybe(name).ok_or_else(|| self.missing(name))
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], StoreError> {
        self.bytes(name)?.try_into().map_err(|_| self.missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(|value| value.as_bool().ok()).copied().unwrap_or(false)
    }

    /// Refuses an item of a schema this version does not know.
    pub(crate) fn schema(&self, known: i64) -> Result<(), StoreError> {
        let found: i64 = self.number(SCHEMA)?;
        if found == known { Ok(()) } else { Err(self.corrupt(format!("schema {found} is not {known}"))) }
    }
}

/// The schema version of an item.
pub(crate) const SCHEMA: &str = "_s";
