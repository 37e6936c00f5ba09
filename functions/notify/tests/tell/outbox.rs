//! A notifier that keeps what it sends and fails when told to, and drivers who want to hear.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use parkade_domain::ids::UserId;
use parkade_domain::preferences::{Channel, Channels, Locale, Preferences, QuietHours};
use parkade_domain::zone::LotZone;
use parkade_identity::{Contact, DevTokens, Identity, Keys};
use parkade_notify::{Courier, Message, Notifier, SendError};
use parkade_store::Store;

/// What was sent, and what the next sends answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox {
    sent: Arc<Mutex<Vec<(String, Message)>>>,
    answers: Arc<Mutex<VecDeque<SendError>>>,
}

impl Outbox {
    /// The next send fails like this.
    pub(crate) fn fail(&self, error: SendError) {
        self.answers.lock().unwrap().push_back(error);
    }

    /// The events whose messages were sent since the last look, in order.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.sent.lock().unwrap()).into_iter().map(|(id, _)| id).collect()
    }

    /// As [`Self::take`], with the messages.
    pub(crate) fn messages(&self) -> Vec<Message> {
        std::mem::take(&mut *self.sent.lock().unwrap()).into_iter().map(|(_, message)| message).collect()
    }
}

impl Notifier for Outbox {
    async fn send(&self, id: &str, message: &Message) -> Result<(), SendError> {
        // Others run while this one waits for its answer.
        tokio::task::yield_now().await;
        let answer = self.answers.lock().unwrap().pop_front();
        if matches!(answer, None | Some(SendError::Unknown { .. })) {
            self.sent.lock().unwrap().push((id.to_owned(), message.clone()));
        }
        answer.map_or(Ok(()), Err)
    }
}

pub(crate) fn identity() -> Identity {
    Identity::new(Keys::from_master(&[1; 32]), DevTokens::Off)
}

pub(crate) fn courier(store: Store, outbox: &Outbox) -> Courier<Outbox> {
    let api_url = "https://api.example.com".to_owned();
    Courier { store, identity: identity(), notifier: outbox.clone(), api_url }
}

/// Driver `n` of the suites, who wants to be told everything by `channel`.
pub(crate) fn listening(n: u64, channel: Channel) -> Preferences {
    let user = UserId::new(format!("driver-{n}")).unwrap();
    let identity = identity();
    let seal = |contact, text| identity.keys().seal_contact(&user, contact, text).ok();
    let all = Some(channel);
    Preferences {
        email: seal(Contact::Email, "driver@example.com"),
        phone: seal(Contact::Phone, "+4930901820"),
        locale: Locale::German,
        channels: Channels { bookings: all, reminders: all, receipts: all, offers: None },
        ..Preferences::none(user)
    }
}

/// From ten in the evening until seven in the morning in Berlin.
pub(crate) fn night() -> Option<QuietHours> {
    QuietHours::new(22 * 60, 7 * 60, LotZone::parse("Europe/Berlin").unwrap()).ok()
}

pub(crate) async fn wants(store: &Store, preferences: Preferences) -> Preferences {
    store.put_preferences(preferences).await.unwrap()
}
