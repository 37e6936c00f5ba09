//! Queues as SQS has them: a received message is invisible for a while, comes back unless deleted, and after enough
//! receives goes to the dead-letter queue. Messages are on disk when `send` returns.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::table::{Change, LocalError, LocalTable};

/// What the template says about a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// How long a message that was just sent stays invisible.
    pub delay: Duration,
    /// How long a received message stays invisible.
    pub visibility: Duration,
    /// Where a message goes that was received `receives_max` times without being deleted.
    pub dead_letters: Option<DeadLetters>,
}

/// A queue's redrive policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// The dead-letter queue.
    pub queue: String,
    /// Receives after which a message moves there.
    pub receives_max: u64,
}

/// A message handed to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Constant over redeliveries.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u64,
    /// Names this delivery; deleting needs it.
    pub receipt: String,
}

/// How many messages wait, and how many are invisible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received.
    pub visible: usize,
    /// Received and not deleted, not yet back.
    pub in_flight: usize,
}

/// All queues of the template. Clones share them.
#[derive(Debug, Clone)]
pub struct Queues {
    table: LocalTable,
    specs: Arc<BTreeMap<String, QueueSpec>>,
    /// One receive at a time: a message must not be handed out twice while it is invisible.
    receiving: Arc<Mutex<()>>,
    /// Orders messages of one millisecond.
    sent: Arc<AtomicU64>,
}

/// The messages of one page of a listing; more than any demo queues.
const LISTED_MAX: usize = 1000;

impl Queues {
    /// The queues in `table`. Messages that a stopped process had received are visible again.
    ///
    /// # Errors
    /// When the table cannot be read or written.
    pub fn open(table: LocalTable, specs: BTreeMap<String, QueueSpec>) -> Result<Self, LocalError> {
        let queues = Self { table, specs: Arc::new(specs), receiving: Arc::default(), sent: Arc::default() };
        for queue in queues.specs.keys() {
            let pk = partition(queue);
            for (sk, stored) in queues.table.list(&pk, LAST, LISTED_MAX)? {
                let visible = sort_key(DateTime::UNIX_EPOCH, id_of(&sk));
                if visible == sk {
                    continue;
                }
                let message = Change::Put(pk.clone(), visible, stored);
                queues.table.write(&[Change::Delete(pk.clone(), sk), message])?;
            }
        }
        Ok(queues)
    }

    /// Stores a message.
    ///
    /// # Errors
    /// When it could not be stored.
    pub fn send(&self, queue: &str, body: &str, now: DateTime<Utc>) -> Result<(), LocalError> {
        let order = self.sent.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:013}-{order:08}-{}", now.timestamp_millis(), Uuid::new_v4());
        let stored = json!({"body": body, "receives": 0});
        let delay = self.specs.get(queue).map_or(Duration::ZERO, |spec| spec.delay);
        self.table.write(&[Change::Put(partition(queue), sort_key(now + delay, &id), stored)])
    }

    /// Up to `max` visible messages, oldest first, invisible from now on. Messages received too often move to the
    /// dead-letter queue instead.
    ///
    /// # Errors
    /// When the table cannot be read or written; messages handed out before come back later.
    pub fn receive(&self, queue: &str, max: usize, now: DateTime<Utc>) -> Result<Vec<Message>, LocalError> {
        let visibility = self.specs.get(queue).map_or(Duration::ZERO, |spec| spec.visibility);
        self.receive_for(queue, max, visibility, now)
    }

    /// The same, invisible for as long as the receiver says instead of the queue.
    ///
    /// # Errors
    /// As [`Queues::receive`].
    pub fn receive_for(
        &self,
        queue: &str,
        max: usize,
        visibility: Duration,
        now: DateTime<Utc>,
    ) -> Result<Vec<Message>, LocalError> {
        let _one_at_a_time = self.receiving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(spec) = self.specs.get(queue) else { return Ok(Vec::new()) };
        let pk = partition(queue);
        let mut messages = Vec::new();
        for (sk, stored) in self.table.list(&pk, &sort_key(now, LAST), max)? {
            let (id, body) = (id_of(&sk).to_owned(), body_of(&stored).to_owned());
            let receives = receives_of(&stored) + 1;
            if let Some(dead) = spec.dead_letters.as_ref().filter(|dead| receives > dead.receives_max) {
                let moved = Change::Put(partition(&dead.queue), sort_key(now, &id), stored);
                self.table.write(&[Change::Delete(pk.clone(), sk), moved])?;
                continue;
            }
            let receipt = sort_key(now + visibility, &id);
            let received = Change::Put(pk.clone(), receipt.clone(), json!({"body": body, "receives": receives}));
            self.table.write(&[Change::Delete(pk.clone(), sk), received])?;
            messages.push(Message { id, body, receives, receipt });
        }
        Ok(messages)
    }

    /// Deletes a message that was dealt with.
    ///
    /// # Errors
    /// When it could not be deleted; then it comes back.
    pub fn delete(&self, queue: &str, receipt: &str) -> Result<(), LocalError> {
        self.table.write(&[Change::Delete(partition(queue), receipt.to_owned())])
    }

    /// How full a queue is.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn depth(&self, queue: &str, now: DateTime<Utc>) -> Result<Depth, LocalError> {
        let pk = partition(queue);
        let all = self.table.list(&pk, LAST, LISTED_MAX)?.len();
        let visible = self.table.list(&pk, &sort_key(now, LAST), LISTED_MAX)?.len();
        Ok(Depth { visible, in_flight: all - visible })
    }

    /// The bodies in a queue, visible or not.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn bodies(&self, queue: &str) -> Result<Vec<String>, LocalError> {
        let stored = self.table.list(&partition(queue), LAST, LISTED_MAX)?;
        Ok(stored.iter().map(|(_, stored)| body_of(stored).to_owned()).collect())
    }

    /// The queues whose messages end in a dead-letter queue.
    pub fn sources_of<'a>(&'a self, dead: &str) -> impl Iterator<Item = &'a str> {
        let leads = move |spec: &QueueSpec| spec.dead_letters.as_ref().is_some_and(|letters| letters.queue == dead);
        self.specs.iter().filter(move |(_, spec)| leads(spec)).map(|(name, _)| name.as_str())
    }

    /// Names of the queues.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.keys().map(String::as_str)
    }
}

/// Sorts after every message.
const LAST: &str = "~";

fn partition(queue: &str) -> String {
    format!("Q#{queue}")
}

/// The instant a message becomes visible, then its id: the visible ones are a prefix of the partition.
fn sort_key(visible_at: DateTime<Utc>, id: &str) -> String {
    format!("{:013}#{id}", visible_at.timestamp_millis())
}

fn id_of(sort_key: &str) -> &str {
    sort_key.split_once('#').map_or(sort_key, |(_, id)| id)
}

fn body_of(stored: &Value) -> &str {
    stored.get("body").and_then(Value::as_str).unwrap_or_default()
}

fn receives_of(stored: &Value) -> u64 {
    stored.get("receives").and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parkade_testkit::Engine;

    fn queues(engine: &Engine) -> Queues {
        let dead_letters = Some(DeadLetters { queue: "Dead".into(), receives_max: 2 });
        let work = QueueSpec { delay: Duration::ZERO, visibility: Duration::from_secs(60), dead_letters };
        let dead = QueueSpec { delay: Duration::from_secs(4), visibility: Duration::from_secs(30), dead_letters: None };
        let table = LocalTable::open(engine.clone()).unwrap();
        Queues::open(table, [("Work".to_owned(), work), ("Dead".to_owned(), dead)].into()).unwrap()
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_message_is_invisible_after_a_receive_and_comes_back_unless_deleted() {
        let queues = queues(&Engine::memory().unwrap());
        queues.send("Work", "one", at(0)).unwrap();
        let first = queues.receive("Work", 5, at(0)).unwrap();
        assert_eq!((first[0].body.as_str(), first[0].receives), ("one", 1));
        assert_eq!(queues.receive("Work", 5, at(59)).unwrap(), []);
        let again = queues.receive("Work", 5, at(60)).unwrap();
        assert_eq!((again[0].id.as_str(), again[0].receives), (first[0].id.as_str(), 2));
        queues.delete("Work", &first[0].receipt).unwrap();
        assert_eq!(queues.depth("Work", at(60)).unwrap(), Depth { visible: 0, in_flight: 1 }, "an old receipt is void");
        queues.delete("Work", &again[0].receipt).unwrap();
        assert_eq!(queues.depth("Work", at(600)).unwrap(), Depth { visible: 0, in_flight: 0 });
    }

    #[test]
    fn a_receiver_can_say_for_how_long_a_message_is_invisible() {
        let queues = queues(&Engine::memory().unwrap());
        queues.send("Work", "one", at(0)).unwrap();
        assert_eq!(queues.receive_for("Work", 5, Duration::from_secs(5), at(0)).unwrap().len(), 1);
        assert_eq!(queues.receive("Work", 5, at(4)).unwrap(), []);
        assert_eq!(queues.receive("Work", 5, at(5)).unwrap().len(), 1);
    }

    #[test]
    fn a_message_received_too_often_moves_to_the_dead_letters_with_its_body() {
        let queues = queues(&Engine::memory().unwrap());
        queues.send("Work", "poison", at(0)).unwrap();
        assert_eq!(queues.receive("Work", 5, at(0)).unwrap().len(), 1);
        assert_eq!(queues.receive("Work", 5, at(60)).unwrap().len(), 1);
        assert_eq!(queues.receive("Work", 5, at(120)).unwrap(), []);
        assert_eq!(queues.bodies("Work").unwrap(), Vec::<String>::new());
        assert_eq!(queues.bodies("Dead").unwrap(), ["poison"]);
    }

    #[test]
    fn a_message_of_a_queue_with_a_delay_is_received_after_it() {
        let queues = queues(&Engine::memory().unwrap());
        queues.send("Dead", "later", at(0)).unwrap();
        assert_eq!(queues.receive("Dead", 5, at(3)).unwrap(), []);
        assert_eq!(queues.receive("Dead", 5, at(4)).unwrap()[0].body, "later");
    }

    #[test]
    fn what_a_stopped_process_had_received_is_visible_at_the_next_start() {
        let engine = Engine::memory().unwrap();
        queues(&engine).send("Work", "one", at(0)).unwrap();
        assert_eq!(queues(&engine).receive("Work", 5, at(0)).unwrap().len(), 1);
        let restarted = queues(&engine);
        let message = restarted.receive("Work", 5, at(1)).unwrap().remove(0);
        assert_eq!((message.body.as_str(), message.receives), ("one", 2));
    }

    #[test]
    fn messages_are_received_in_the_order_they_were_sent() {
        let queues = queues(&Engine::memory().unwrap());
        for second in 0..5 {
            queues.send("Work", &second.to_string(), at(second)).unwrap();
        }
        let bodies: Vec<_> = queues.receive("Work", 3, at(9)).unwrap().into_iter().map(|m| m.body).collect();
        assert_eq!(bodies, ["0", "1", "2"]);
    }
}
