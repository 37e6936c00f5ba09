//! Parkade in one process, for a laptop: the functions of `template.yaml` behind one loopback port, on an embedded engine
//! with one file.
//!
//! Promises: wiring comes from the template alone; queues, streams and schedules deliver at least once, retry and
//! dead-letter as the template says; whatever was acknowledged survives SIGKILL. Refuses to know: what the functions do.

pub mod app;
pub mod bus;
pub mod client;
pub mod clock;
pub mod consumer;
pub mod dead_letters;
pub mod demo;
pub mod function;
pub mod http;
pub mod ledger_command;
pub mod log;
pub mod queue;
pub mod registry;
pub mod schedule;
pub mod server;
pub mod sqs;
pub mod stream;
pub mod table;
pub mod tariff_command;
pub mod template;
