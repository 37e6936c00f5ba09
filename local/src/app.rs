//! The functions, wired: what Lambda's pollers and the scheduler do on AWS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parkade_events::chain;
use parkade_testkit::Engine;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify, watch};

use crate::bus::LocalBus;
use crate::clock::{Clock, minute_of};
use crate::consumer::QueueConsumer;
use crate::function::{Functions, Handler};
use crate::queue::Queues;
use crate::schedule::Schedule;
use crate::stream::{Polled, StreamConsumer, StreamError};
use crate::table::{Change, LocalError, LocalTable};
use crate::template::{Function, Source, Wiring};

/// Longest wait of an idle source; a change wakes it at once.
const IDLE_WAIT: Duration = Duration::from_millis(250);
/// Wait after a failed batch, doubled up to [`FAILED_WAIT_MAX`].
const FAILED_WAIT: Duration = Duration::from_millis(200);
/// Longest wait after failed batches.
const FAILED_WAIT_MAX: Duration = Duration::from_secs(5);
/// A settling that takes more polls feeds itself.
const SETTLE_POLLS_MAX: usize = 100_000;

/// What every function stands on: one file, one clock, queues and the bus.
#[derive(Debug, Clone)]
pub struct Platform {
    /// The embedded engine.
    pub engine: Engine,
    /// The time.
    pub clock: Clock,
    /// The template's queues.
    pub queues: Queues,
    /// The template's bus.
    pub bus: LocalBus,
    table: LocalTable,
}

impl Platform {
    /// Opens the platform in `engine`. The clock starts at `start`, or without one at the present; it never shows less
    /// than it did before a restart, unless `start` says so.
    ///
    /// # Errors
    /// When the engine's file cannot be used.
    pub fn open(engine: Engine, wiring: &Wiring, start: Option<DateTime<Utc>>, speed: u32) -> Result<Self, LocalError> {
        let table = LocalTable::open(engine.clone())?;
        let shown = table.get(CLOCK, CLOCK)?.and_then(|value| value.get("minute").and_then(Value::as_i64));
        let shown = shown.and_then(|minute| DateTime::from_timestamp(minute * 60, 0));
        let present = Utc::now();
        let clock = Clock::new(start.unwrap_or(shown.map_or(present, |shown| shown.max(present))), speed);
        table.write(&[shown_change(minute_of(clock.now()))])?;
        let queues = Queues::open(table.clone(), wiring.queues.clone())?;
        let bus = LocalBus::new(wiring.rules.clone(), queues.clone(), clock.clone());
        Ok(Self { engine, clock, queues, bus, table })
    }
}

const CLOCK: &str = "CLOCK";

/// Keeps the minute that the clock shows.
fn shown_change(minute: i64) -> Change {
    Change::Put(CLOCK.into(), CLOCK.into(), json!({"minute": minute}))
}

/// Why the template and the functions do not fit.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The template names a function this binary does not have.
    #[error("the template names {0}, which is not in local/src/registry.rs")]
    Unknown(String),
    /// A function's source is not of its kind.
    #[error("the template invokes {name} by {source_kind}, but it is a function for {kind}")]
    Kind {
        /// The function.
        name: String,
        /// What the template says.
        source_kind: &'static str,
        /// What it is.
        kind: &'static str,
    },
    /// The engine failed.
    #[error("the sources cannot be set up")]
    Local(#[source] LocalError),
}

/// A route of the API and the function behind it.
#[derive(Clone)]
pub struct Route {
    /// The function's name.
    pub name: &'static str,
    /// Upper case.
    pub method: String,
    /// With `{name}` parameters.
    pub path: String,
    /// The function.
    pub handler: Handler,
    /// Longest run.
    pub timeout: Duration,
}

/// The running functions.
pub struct App {
    /// What they stand on.
    pub platform: Platform,
    /// The API.
    pub routes: Vec<Route>,
    schedules: Vec<Schedule>,
    streams: Vec<Mutex<StreamConsumer>>,
    consumers: Vec<Mutex<QueueConsumer>>,
    /// The last minute whose schedules ran.
    ticked: Mutex<i64>,
    changed: Notify,
}

impl App {
    /// Connects each function to its sources.
    ///
    /// # Errors
    /// When the template and the registry disagree.
    pub fn assemble(platform: Platform, wiring: &Wiring, functions: &Functions) -> Result<Arc<Self>, AppError> {
        let mut app = Self {
            ticked: Mutex::new(minute_of(platform.clock.now())),
            platform,
            routes: Vec::new(),
            schedules: Vec::new(),
            streams: Vec::new(),
            consumers: Vec::new(),
            changed: Notify::new(),
        };
        for (name, function) in &wiring.functions {
            let (name, handler) = functions.get_key_value(name.as_str()).ok_or(AppError::Unknown(name.clone()))?;
            for source in &function.sources {
                app.connect(name, function, source, handler.clone())?;
            }
        }
        Ok(Arc::new(app))
    }

    fn connect(
        &mut self,
        name: &'static str,
        function: &Function,
        source: &Source,
        handler: Handler,
    ) -> Result<(), AppError> {
        let timeout = function.timeout;
        let (kind, source_kind) = (handler.kind(), source.kind());
        if kind != source_kind {
            return Err(AppError::Kind { name: name.to_owned(), source_kind, kind });
        }
        match source.clone() {
            Source::Http { method, path } => self.routes.push(Route { name, method, path, handler, timeout }),
            Source::Schedule { every_minutes } => {
                let failures = function.failures.clone();
                self.schedules.push(Schedule { name: name.to_owned(), every_minutes, handler, timeout, failures });
            }
            Source::Queue { queue, batch_size } => {
                let consumer = QueueConsumer { name: name.to_owned(), queue, batch_size, handler, timeout };
                self.consumers.push(Mutex::new(consumer));
            }
            Source::Stream(stream) => {
                let (engine, queues) = (self.platform.engine.clone(), self.platform.queues.clone());
                let consumer = StreamConsumer::new(name, stream, (handler, timeout), engine, queues);
                self.streams.push(Mutex::new(consumer.map_err(AppError::Local)?));
            }
        }
        Ok(())
    }

    /// Says that something may have been written: the sources look at once.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Delivers until no source has anything more. A failed batch is left to its retry.
    pub async fn settle(&self) {
        for _ in 0..SETTLE_POLLS_MAX {
            let mut advanced = false;
            for index in 0..self.streams.len() {
                advanced |= self.poll_stream(index).await == Polled::Advanced;
            }
            for index in 0..self.consumers.len() {
                advanced |= self.poll_queue(index).await == Polled::Advanced;
            }
            if !advanced {
                return;
            }
        }
    }

    /// Moves the clock by `minutes` in steps of `step_minutes`: what is on its way arrives before the time passes; after each step the
    /// schedules that fell due have run once and everything they caused is delivered.
    pub async fn advance(&self, minutes: u32, step_minutes: u32) {
        self.settle().await;
        let mut left = minutes;
        while left > 0 {
            let step = left.min(step_minutes.max(1));
            self.platform.clock.advance(Duration::from_secs(60 * u64::from(step)));
            self.tick().await;
            self.settle().await;
            left -= step;
        }
    }

    /// Runs the schedules of the minutes since the last tick. Minutes missed while the machine slept count once.
    pub async fn tick(&self) {
        let mut ticked = self.ticked.lock().await;
        let now = self.platform.clock.now();
        let minute = minute_of(now);
        if minute <= *ticked {
            return;
        }
        let missed = *ticked + 1..=minute;
        *ticked = minute;
        report("clock", self.platform.table.write(&[shown_change(minute)]));
        // Of a long gap only the last day is looked at: longer intervals than that do not exist here.
        let due = |schedule: &&Schedule| missed.clone().rev().take(24 * 60).any(|minute| schedule.is_due(minute));
        let mut runs = tokio::task::JoinSet::new();
        for schedule in self.schedules.iter().filter(due).cloned() {
            let (queues, now) = (self.platform.queues.clone(), self.platform.clock.now());
            runs.spawn(async move { report(&schedule.name, schedule.run(&queues, now).await) });
        }
        runs.join_all().await;
    }

    /// Runs the clock and the sources until `stop` turns true; what has begun is finished.
    pub async fn run(self: &Arc<Self>, stop: &watch::Receiver<bool>) {
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..self.streams.len() {
            let (app, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { app.keep_polling(stop, || app.poll_stream(index)).await });
        }
        for index in 0..self.consumers.len() {
            let (app, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { app.keep_polling(stop, || app.poll_queue(index)).await });
        }
        let (app, stop) = (self.clone(), stop.clone());
        tasks.spawn(async move {
            let tick = || async {
                app.tick().await;
                Polled::Idle
            };
            app.keep_polling(stop, tick).await;
        });
        while tasks.join_next().await.is_some() {}
    }

    async fn keep_polling<F: Future<Output = Polled>>(&self, mut stop: watch::Receiver<bool>, poll: impl Fn() -> F) {
        let mut failed_wait = FAILED_WAIT;
        while !*stop.borrow() {
            // Registered before the poll, so that a change during the poll is not missed.
            let changed = self.changed.notified();
            let wait = match poll().await {
                Polled::Advanced => {
                    self.wake();
                    continue;
                }
                Polled::Idle => {
                    failed_wait = FAILED_WAIT;
                    IDLE_WAIT
                }
                Polled::Failed => {
                    failed_wait = (failed_wait * 2).min(FAILED_WAIT_MAX);
                    tokio::select! {
                        () = tokio::time::sleep(failed_wait) => {}
                        _ = stop.changed() => {}
                    }
                    continue;
                }
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn poll_stream(&self, index: usize) -> Polled {
        let Some(consumer) = self.streams.get(index) else { return Polled::Idle };
        let mut consumer = consumer.lock().await;
        let polled: Result<Polled, StreamError> = consumer.poll(self.platform.clock.now()).await;
        polled_or_failed(consumer.name(), polled)
    }

    async fn poll_queue(&self, index: usize) -> Polled {
        let Some(consumer) = self.consumers.get(index) else { return Polled::Idle };
        let consumer = consumer.lock().await;
        polled_or_failed(&consumer.name, consumer.poll(&self.platform.queues, self.platform.clock.now()).await)
    }

    /// Depth and dead letters per queue, for people.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn queues_report(&self) -> Result<Value, LocalError> {
        let queues = &self.platform.queues;
        let now = self.platform.clock.now();
        let mut report = BTreeMap::new();
        for name in queues.names() {
            let depth = queues.depth(name, now)?;
            let bodies = queues.bodies(name)?;
            let messages: Vec<Value> =
                bodies.iter().map(|body| serde_json::from_str(body).unwrap_or(json!(body))).collect();
            report.insert(name, json!({"visible": depth.visible, "in_flight": depth.in_flight, "messages": messages}));
        }
        Ok(json!(report))
    }
}

fn polled_or_failed<E: std::error::Error + 'static>(name: &str, polled: Result<Polled, E>) -> Polled {
    match polled {
        Ok(polled) => polled,
        Err(error) => {
            tracing::error!(function = name, "the source of {name} failed: {}", chain(&error));
            Polled::Failed
        }
    }
}

fn report<E: std::error::Error + 'static>(name: &str, result: Result<(), E>) {
    if let Err(error) = result {
        tracing::error!(function = name, "{name} failed: {}", chain(&error));
    }
}
