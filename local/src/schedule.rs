//! Schedules: each runs at whole minutes of the local clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::function::{Handler, invoke};
use crate::queue::Queues;
use crate::table::LocalError;

/// One scheduled function.
#[derive(Clone)]
pub struct Schedule {
    /// The function's name.
    pub name: String,
    /// Minutes from one run to the next.
    pub every_minutes: u32,
    /// The function.
    pub handler: Handler,
    /// Longest run.
    pub timeout: Duration,
    /// Queue for runs that failed.
    pub failures: Option<String>,
}

impl Schedule {
    /// Whether it runs at `minute` (since the epoch).
    pub fn is_due(&self, minute: i64) -> bool {
        minute.rem_euclid(i64::from(self.every_minutes.max(1))) == 0
    }

    /// Runs it once; a failure is dead-lettered, and the next run is its retry.
    ///
    /// # Errors
    /// When the dead letter cannot be stored.
    pub async fn run(&self, queues: &Queues, now: DateTime<Utc>) -> Result<(), LocalError> {
        let Handler::Schedule(run) = &self.handler else { return Ok(()) };
        let failure = match invoke(run(now, ()), self.timeout).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(error) => error.to_string(),
        };
        tracing::error!(function = self.name, "scheduled {} failed: {failure}", self.name);
        let Some(queue) = &self.failures else { return Ok(()) };
        let letter = json!({
            "requestContext": {"functionName": self.name, "condition": "RetriesExhausted"},
            "timestamp": now.to_rfc3339(),
            "responsePayload": {"errorMessage": failure},
        });
        queues.send(queue, &letter.to_string(), now)
    }
}
