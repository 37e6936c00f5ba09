//! What has happened, told to whoever wants to know.
//!
//! This crate promises: an event exists if and only if a change was committed, because events are made from the stream of committed
//! changes and from nothing else; the same change gives the same event id however often the stream delivers it; no event carries a
//! plate, a name or a token. It refuses to know: who listens.

mod batch;
mod bus;
mod event;
mod eventbridge;
mod incoming;
mod mapping;
mod name;
mod sweep;

pub use batch::{chain, run_batch, stream_answer};
pub use bus::{Bus, NotTaken};
pub use event::{Detail, Event, PaymentDetail, PreviousDetail, ReceiptDetail, ReservationDetail, SpotDetail};
pub use eventbridge::{EVENTS_PER_CALL_MAX, EventBridge};
pub use incoming::{Incoming, Unreadable};
pub use mapping::events;
pub use name::{EventName, SOURCE};
pub use sweep::{PER_RUN_MAX, SweepError, SweepReport, Swept, sweep};
