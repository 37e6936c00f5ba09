//! The event bus: rules of the template that lead to queues. An accepted event is on disk in every queue it matches.

use chrono::{DateTime, SecondsFormat, Utc};
use parkade_events::{Bus, Event, NotTaken, SOURCE, chain};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::Clock;
use crate::queue::Queues;
use crate::table::LocalError;

/// A rule and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Logical name.
    pub name: String,
    /// What it lets through.
    pub pattern: Pattern,
    /// Queues that get the event.
    pub queues: Vec<String>,
}

/// Which events a rule lets through; an absent list lets all through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    sources: Option<Vec<String>>,
    detail_types: Option<Vec<String>>,
}

impl Pattern {
    /// Reads an event pattern made of lists of exact values for `source` and `detail-type`.
    ///
    /// # Errors
    /// What it holds beyond that.
    pub fn parse(pattern: &Value) -> Result<Self, String> {
        let fields = pattern.as_object().ok_or("not an object")?;
        if let Some(other) = fields.keys().find(|key| !matches!(key.as_str(), "source" | "detail-type")) {
            return Err(format!("{other:?} is not understood here; source and detail-type are"));
        }
        let exact = |name: &str| {
            let Some(list) = fields.get(name) else { return Ok(None) };
            let values = list.as_array().into_iter().flatten().map(|value| value.as_str().map(str::to_owned));
            values.collect::<Option<Vec<_>>>().map(Some).ok_or(format!("{name} holds more than exact values"))
        };
        Ok(Self { sources: exact("source")?, detail_types: exact("detail-type")? })
    }

    /// Whether an event passes.
    pub fn matches(&self, source: &str, detail_type: &str) -> bool {
        let passes = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref().is_none_or(|values| values.iter().any(|allowed| allowed == value))
        };
        passes(&self.sources, source) && passes(&self.detail_types, detail_type)
    }
}

/// The bus. Clones share the queues.
#[derive(Debug, Clone)]
pub struct LocalBus {
    rules: Vec<Rule>,
    queues: Queues,
    clock: Clock,
}

impl LocalBus {
    /// A bus with the template's rules.
    pub fn new(rules: Vec<Rule>, queues: Queues, clock: Clock) -> Self {
        Self { rules, queues, clock }
    }

    /// Takes one event: once this returns, each queue whose rule matches holds it.
    ///
    /// # Errors
    /// When a queue could not store it; asking again is safe, consumers know an event by its `event_id`.
    pub fn accept(&self, source: &str, detail_type: &str, detail: &Value) -> Result<(), LocalError> {
        let now = self.clock.now();
        let body = envelope(source, detail_type, detail, now).to_string();
        let matching = self.rules.iter().filter(|rule| rule.pattern.matches(source, detail_type));
        matching.flat_map(|rule| &rule.queues).try_for_each(|queue| self.queues.send(queue, &body, now))
    }
}

impl Bus for LocalBus {
    async fn put(&self, events: &[Event]) -> Vec<Result<(), NotTaken>> {
        let accepted = events.iter().map(|event| self.accept(SOURCE, event.name.as_str(), &event.to_json()));
        accepted.map(|accepted| accepted.map_err(|error| NotTaken { cause: chain(&error) })).collect()
    }
}

fn envelope(source: &str, detail_type: &str, detail: &Value, now: DateTime<Utc>) -> Value {
    json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": detail_type,
        "source": source,
        "account": "000000000000",
        "time": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": "local",
        "resources": [],
        "detail": detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueSpec;
    use crate::table::LocalTable;
    use parkade_testkit::Engine;
    use std::time::Duration;

    #[test]
    fn an_event_reaches_exactly_the_queues_whose_rule_matches() {
        let spec = QueueSpec { delay: Duration::ZERO, visibility: Duration::from_secs(30), dead_letters: None };
        let specs = ["Money", "All", "Other"].map(|name| (name.to_owned(), spec.clone()));
        let queues = Queues::open(LocalTable::open(Engine::memory().unwrap()).unwrap(), specs.into()).unwrap();
        let rule = |name: &str, pattern: Value| Rule {
            name: name.to_owned(),
            pattern: Pattern::parse(&pattern).unwrap(),
            queues: vec![name.to_owned()],
        };
        let rules = vec![
            rule(
                "Money",
                json!({"source": ["parkade"], "detail-type": ["payment.requested.v1", "refund.requested.v1"]}),
            ),
            rule("All", json!({"source": ["parkade"]})),
            rule("Other", json!({"source": ["somebody"]})),
        ];
        let bus = LocalBus::new(rules, queues.clone(), Clock::new(DateTime::UNIX_EPOCH, 0));
        bus.accept("parkade", "refund.requested.v1", &json!({"event_id": "e1"})).unwrap();
        bus.accept("parkade", "parking.entry.v1", &json!({"event_id": "e2"})).unwrap();
        let ids = |queue: &str| {
            let bodies = queues.bodies(queue).unwrap();
            let parsed = bodies.iter().map(|body| serde_json::from_str::<Value>(body).unwrap());
            parsed.map(|event| event["detail"]["event_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ids("Money"), ["e1"]);
        assert_eq!(ids("All").len(), 2);
        assert_eq!(ids("Other"), Vec::<String>::new());
    }
}
