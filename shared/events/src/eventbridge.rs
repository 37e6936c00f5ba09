//! The bus on AWS. A call of `PutEvents` that succeeds may still hold entries that failed: they are looked at one by one.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};

use crate::bus::{Bus, NotTaken};
use crate::event::Event;
use crate::name::SOURCE;

/// EventBridge's limit on the entries of one call. Its other limit, 256 KB, is out of reach: an event is below 1 KB.
pub const EVENTS_PER_CALL_MAX: usize = 10;
/// How often an entry is offered. The SDK repeats failed calls; only entries that failed inside a successful call are repeated here.
const TRIES_MAX: u32 = 3;
/// Wait before failed entries are offered again; doubled each time. They fail because the bus is throttled.
const WAIT: Duration = Duration::from_millis(50);

/// An event bus of EventBridge.
#[derive(Debug, Clone)]
pub struct EventBridge {
    client: Client,
    bus: String,
}

impl EventBridge {
    /// The bus of this name. The client's retries and time-outs are the caller's.
    #[must_use]
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self { client, bus: bus.into() }
    }

    fn entry(&self, event: &Event) -> PutEventsRequestEntry {
        let time = aws_sdk_eventbridge::primitives::DateTime::from_secs(event.occurred_at.timestamp());
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(SOURCE)
            .detail_type(event.name.as_str())
            .detail(event.to_json().to_string())
            .time(time)
            .build()
    }

    /// At most [`EVENTS_PER_CALL_MAX`] events.
    async fn put_some(&self, events: &[Event]) -> Vec<Result<(), NotTaken>> {
        let mut outcomes = vec![Err(not_offered()); events.len()];
        for tried in 0..TRIES_MAX {
            if tried > 0 {
                tokio::time::sleep(WAIT * 2_u32.pow(tried - 1)).await;
            }
            let open: Vec<usize> = (0..).zip(&outcomes).filter(|(_, o)| o.is_err()).map(|(index, _)| index).collect();
            let entries = open.iter().filter_map(|index| events.get(*index)).map(|event| self.entry(event)).collect();
            let results = match self.client.put_events().set_entries(Some(entries)).send().await {
                Ok(answer) => answer.entries.unwrap_or_default(),
                // The SDK has repeated it already.
                Err(error) => {
                    let cause = DisplayErrorContext(&error).to_string();
                    open.iter().for_each(|index| set(&mut outcomes, *index, Err(NotTaken { cause: cause.clone() })));
                    return outcomes;
                }
            };
            for (position, index) in open.iter().enumerate() {
                set(&mut outcomes, *index, taken(results.get(position)));
            }
            if outcomes.iter().all(Result::is_ok) {
                break;
            }
        }
        outcomes
    }
}

impl Bus for EventBridge {
    async fn put(&self, events: &[Event]) -> Vec<Result<(), NotTaken>> {
        let mut outcomes = Vec::with_capacity(events.len());
        for some in events.chunks(EVENTS_PER_CALL_MAX) {
            outcomes.extend(self.put_some(some).await);
            // The stream delivers everything after the first failure again, so while the bus is in trouble it is left in peace.
            if outcomes.iter().any(Result::is_err) {
                break;
            }
        }
        outcomes.resize(events.len(), Err(not_offered()));
        outcomes
    }
}

fn not_offered() -> NotTaken {
    NotTaken { cause: "it was not offered, because an earlier one was not taken".to_owned() }
}

/// An entry is taken if it has an event id; an answer without the entry says nothing about it.
fn taken(result: Option<&PutEventsResultEntry>) -> Result<(), NotTaken> {
    let failed = |cause: String| Err(NotTaken { cause });
    let Some(result) = result else { return failed("the answer does not mention it".to_owned()) };
    match (result.event_id(), result.error_code()) {
        (Some(_), None) => Ok(()),
        (_, code) => failed(format!("{}: {}", code.unwrap_or("no code"), result.error_message().unwrap_or_default())),
    }
}

fn set(outcomes: &mut [Result<(), NotTaken>], index: usize, outcome: Result<(), NotTaken>) {
    if let Some(slot) = outcomes.get_mut(index) {
        *slot = outcome;
    }
}
