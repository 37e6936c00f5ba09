//! Log lines for people: time, level, text. The fields are what machines read; on AWS they are JSON.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use chrono::Utc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Prints events of `level` and above on standard error from now on, and panics as one line.
pub fn init(level: Level) {
    if tracing::subscriber::set_global_default(Lines { level }).is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!("panicked at {place}: {}", panic.payload_as_str().unwrap_or("?"));
        }));
    }
}

/// Prints a line on standard output. A closed terminal is no reason to stop.
pub fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").ok();
}

struct Lines {
    level: Level,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        const LIBRARIES: [&str; 5] = ["aws_", "hyper", "rustls", "tower", "axum"];
        let library = LIBRARIES.iter().any(|prefix| metadata.target().starts_with(prefix));
        metadata.is_event() && *metadata.level() <= if library { Level::WARN } else { self.level }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let time = Utc::now().format("%H:%M:%S");
        writeln!(std::io::stderr(), "{time} {:5} {}", event.metadata().level(), text.0).ok();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message alone.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").ok();
        }
    }
}
