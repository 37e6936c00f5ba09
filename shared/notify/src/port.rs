//! Where messages go. Two implementations: SES and SNS on AWS, files on a laptop.

use std::future::Future;

use parkade_domain::contact::{EmailAddress, PhoneNumber};
use thiserror::Error;

use crate::render::Mail;

/// One message to one person. Personal data: it does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// An e-mail.
    Email {
        /// To whom.
        to: EmailAddress,
        /// What it says.
        mail: Mail,
    },
    /// A text to a phone.
    Text {
        /// To whom.
        to: PhoneNumber,
        /// What it says.
        text: String,
    },
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Email { .. } => "Email(redacted)",
            Self::Text { .. } => "Text(redacted)",
        })
    }
}

/// Why a message may not have been sent, by what follows from it. The cause is a code, never a provider's sentence: those repeat addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// It was certainly not sent, and may be later: throttled, no connection, a sender that is not set up yet.
    #[error("the message was not sent: {cause}")]
    NotSent {
        /// A code for people.
        cause: String,
    },
    /// It was not sent and never will be: the recipient does not exist or wants nothing, or this way is switched off.
    #[error("the message cannot be delivered: {cause}")]
    Undeliverable {
        /// A code for people.
        cause: String,
    },
    /// Whether it was sent is unknown. Asking again may send it twice.
    #[error("whether the message was sent is unknown: {cause}")]
    Unknown {
        /// A code for people.
        cause: String,
    },
}

/// Sends messages.
pub trait Notifier {
    /// Sends one message, once. `id` names it: the event that causes it.
    fn send(&self, id: &str, message: &Message) -> impl Future<Output = Result<(), SendError>> + Send;
}
