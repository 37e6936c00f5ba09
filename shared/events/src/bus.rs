//! Where events go. Two implementations: EventBridge here, the rules of the template in one process on a laptop.

use std::future::Future;

use thiserror::Error;

use crate::event::Event;

/// The bus did not take an event. It was not delivered, or whether it was is unknown; sending it again is safe, because consumers know
/// an event by its id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the bus did not take the event: {cause}")]
pub struct NotTaken {
    /// For people.
    pub cause: String,
}

/// Takes events and delivers each to whoever asked for it, at least once.
pub trait Bus {
    /// Offers events in order and tells for each, in the same order, whether the bus has it for good.
    fn put(&self, events: &[Event]) -> impl Future<Output = Vec<Result<(), NotTaken>>> + Send;
}
