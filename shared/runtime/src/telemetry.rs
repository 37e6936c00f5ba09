//! Logs: one JSON object per line on standard output, which Lambda collects. Ids, codes and durations; never bodies.
//!
//! Written here rather than with a subscriber library because it is a page of code and a library is a tenth of the binary.

use std::cell::RefCell;
use std::fmt;
use std::io::Write as _;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::environment::Environment;

/// Libraries that would print requests, credentials' ids or bodies when asked for details: warnings only.
const QUIET: [&str; 7] = ["aws_", "hyper", "rustls", "lambda_", "tower", "h2", "mio"];

thread_local! {
    /// The request being handled. A function handles one at a time on one thread.
    static REQUEST_ID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sends events and panics to standard output from now on, from the level that `AWS_LAMBDA_LOG_LEVEL` names (by default
/// `INFO`). A second call changes nothing.
pub fn init(environment: &Environment) {
    let level = level(environment.optional("AWS_LAMBDA_LOG_LEVEL"));
    if tracing::subscriber::set_global_default(JsonLines { level, write: write_stdout }).is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(panic.location = place, "panicked at {place}: {}", panic.payload_as_str().unwrap_or("?"));
        }));
    }
}

/// Names the request to which the following lines belong.
pub fn set_request_id(id: &str) {
    REQUEST_ID.with_borrow_mut(|current| {
        current.clear();
        current.push_str(id);
    });
}

fn level(name: Option<&str>) -> LevelFilter {
    match name.map(str::to_ascii_uppercase).as_deref() {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

/// A line that cannot be written is lost: there is nowhere to say so.
fn write_stdout(line: &[u8]) {
    if std::io::stdout().lock().write_all(line).is_err() {}
}

/// Events only: spans cost on every request and nothing reads them.
struct JsonLines {
    level: LevelFilter,
    write: fn(&[u8]),
}

impl Subscriber for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let quiet = QUIET.iter().any(|prefix| metadata.target().starts_with(prefix));
        metadata.is_event() && *metadata.level() <= self.level && (!quiet || *metadata.level() <= Level::WARN)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(Map::new());
        fields.set("timestamp", Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
        fields.set("level", event.metadata().level().as_str());
        REQUEST_ID.with_borrow(|id| {
            if !id.is_empty() {
                fields.set("requestId", id.as_str());
            }
        });
        event.record(&mut fields);
        let mut line = serde_json::to_vec(&fields.0).unwrap_or_default();
        line.push(b'\n');
        (self.write)(&line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    fn keep(line: &[u8]) {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(line));
    }

    fn logged(level: LevelFilter, act: impl FnOnce()) -> Vec<Value> {
        LINES.take();
        tracing::subscriber::with_default(JsonLines { level, write: keep }, act);
        let lines = String::from_utf8(LINES.take()).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_json_object_with_the_request_and_typed_fields() {
        set_request_id("r-1");
        let lines = logged(LevelFilter::INFO, || {
            tracing::info!(reservation.id = %"res_1", attempts = 2, replayed = true, "confirmed \"res_1\"\nafter {}", 2);
        });
        set_request_id("");
        let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
        assert_eq!(line["message"], "confirmed \"res_1\"\nafter 2");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["requestId"], "r-1");
        assert_eq!(line["reservation.id"], "res_1");
        assert_eq!(line["attempts"], 2);
        assert_eq!(line["replayed"], true);
        assert!(chrono::DateTime::parse_from_rfc3339(line["timestamp"].as_str().unwrap()).is_ok());
    }

    #[test]
    fn lambdas_level_decides_what_is_written() {
        let count = |name: Option<&str>| {
            logged(level(name), || {
                tracing::error!("e");
                tracing::warn!("w");
                tracing::info!("i");
                tracing::debug!("d");
            })
            .len()
        };
        assert_eq!(count(None), 3);
        assert_eq!(count(Some("DEBUG")), 4);
        assert_eq!(count(Some("warn")), 2);
        assert_eq!(count(Some("FATAL")), 1);
        assert_eq!(count(Some("nonsense")), 3);
    }

    #[test]
    fn libraries_never_print_details() {
        let lines = logged(LevelFilter::TRACE, || {
            tracing::trace!(target: "aws_smithy_runtime::client", "the body");
            tracing::debug!(target: "hyper_util::client", "the header");
            tracing::info!(target: "lambda_runtime", "the event");
            tracing::warn!(target: "aws_smithy_runtime::client", "a warning");
            tracing::trace!(target: "reserve", "ours");
            let _span = tracing::info_span!("a span").entered();
        });
        let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["a warning", "ours"]);
    }
}
