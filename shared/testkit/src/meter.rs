//! What the calls cost, as the engine reports it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, AddAssign};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// Capacity units. DynamoDB counts in halves (an eventually consistent read), so this does too, exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units {
    halves: u64,
}

impl Units {
    /// `n` units.
    pub const fn whole(n: u64) -> Self {
        Self { halves: n * 2 }
    }

    /// `n` halves of a unit.
    pub const fn halves(n: u64) -> Self {
        Self { halves: n }
    }

    /// How many halves.
    pub const fn as_halves(self) -> u64 {
        self.halves
    }

    /// Reads a JSON number such as `7.0` or `0.5`; anything else is zero.
    fn parse(value: Option<&Value>) -> Self {
        let Some(Value::Number(number)) = value else { return Self::default() };
        let text = number.to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        Self { halves: whole.parse::<u64>().unwrap_or(0) * 2 + u64::from(fraction.starts_with('5')) }
    }
}

impl Add for Units {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { halves: self.halves + other.halves }
    }
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Units {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.halves / 2, if self.halves % 2 == 1 { ".5" } else { "" })
    }
}

/// What a group of calls used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls that reached the engine.
    pub calls: u64,
    /// Write units.
    pub wru: Units,
    /// Read units.
    pub rru: Units,
    /// Items read, before filters.
    pub items_read: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.wru += other.wru;
        self.rru += other.rru;
        self.items_read += other.items_read;
    }
}

/// Counts usage per operation. Clones share the count. A refused call counts as a call without units: the engine reports none,
/// though AWS bills a failed condition like the write.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    usage: Arc<Mutex<BTreeMap<String, Usage>>>,
}

impl Meter {
    /// Usage since the last reset, per DynamoDB operation.
    pub fn snapshot(&self) -> BTreeMap<String, Usage> {
        self.lock().clone()
    }

    /// Usage since the last reset, of all operations.
    pub fn total(&self) -> Usage {
        let mut total = Usage::default();
        self.lock().values().for_each(|usage| total += *usage);
        total
    }

    /// Starts from zero and returns the total until now.
    pub fn reset(&self) -> Usage {
        let total = self.total();
        self.lock().clear();
        total
    }

    pub(crate) fn record(&self, operation: &str, reply: Option<&Value>) {
        let mut usage = Usage { calls: 1, ..Usage::default() };
        if let Some(reply) = reply {
            usage.items_read = items_read(operation, reply);
            match reply.get("ConsumedCapacity") {
                Some(Value::Array(tables)) => tables.iter().for_each(|table| consume(&mut usage, operation, table)),
                Some(table) => consume(&mut usage, operation, table),
                None => {}
            }
        }
        *self.lock().entry(operation.to_owned()).or_default() += usage;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Operations whose reply carries capacity when asked.
pub(crate) fn reports_capacity(operation: &str) -> bool {
    is_read(operation)
        || matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem" | "TransactWriteItems")
}

fn is_read(operation: &str) -> bool {
    matches!(operation, "GetItem" | "Query" | "Scan" | "BatchGetItem" | "TransactGetItems")
}

fn consume(usage: &mut Usage, operation: &str, table: &Value) {
    // A replayed transaction is billed as reads: then only the split says so.
    let (read, write) = (table.get("ReadCapacityUnits"), table.get("WriteCapacityUnits"));
    if read.is_some() || write.is_some() {
        usage.rru += Units::parse(read);
        usage.wru += Units::parse(write);
    } else if is_read(operation) {
        usage.rru += Units::parse(table.get("CapacityUnits"));
    } else {
        usage.wru += Units::parse(table.get("CapacityUnits"));
    }
}

fn items_read(operation: &str, reply: &Value) -> u64 {
    let length = |list: &Value| list.as_array().map_or(0, |items| items.len() as u64);
    match operation {
        "GetItem" => u64::from(reply.get("Item").is_some()),
        "Query" | "Scan" => reply.get("ScannedCount").and_then(Value::as_u64).unwrap_or(0),
        "BatchGetItem" => reply
            .get("Responses")
            .and_then(Value::as_object)
            .map_or(0, |tables| tables.values().map(length).sum::<u64>()),
        "TransactGetItems" => reply.get("Responses").map_or(0, length),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_exactly_in_halves() {
        let parse = |text: &str| Units::parse(Some(&serde_json::from_str(text).unwrap()));
        assert_eq!(parse("7.0"), Units::whole(7));
        assert_eq!(parse("0.5"), Units::halves(1));
        assert_eq!(parse("19.5").to_string(), "19.5");
        assert_eq!(parse("3"), Units::whole(3));
        assert_eq!(Units::parse(None), Units::default());
    }
}
