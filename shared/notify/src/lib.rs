//! Messages to drivers: what they say, in which language, by which way, and at most once.
//!
//! This crate promises: an event causes one message at most, however often it is delivered; a message says what holds when it is sent;
//! nothing rings in quiet hours; nobody is told who did not ask for it. It refuses to know: queues, schedules, and what happens to a
//! message that the provider took.

mod aws;
mod catalogue;
mod courier;
mod english;
mod files;
mod german;
mod port;
mod render;

pub use aws::AwsNotifier;
pub use catalogue::Place;
pub use courier::{Courier, TellError, Telling, Told};
pub use files::{Files, FilesError};
pub use port::{Message, Notifier, SendError};
pub use render::{Mail, mail, text};
