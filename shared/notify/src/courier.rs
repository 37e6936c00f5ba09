//! Takes an occasion to the driver: decides whether and how, takes the one right to send, sends.
//!
//! | what happens | what follows |
//! |---|---|
//! | the same event again, at the same time or later | the right to send it is given once: nothing is sent |
//! | the process dies after it took the right | nothing is sent: at most once, not at least once |
//! | the provider certainly did not send it | the right is given back, and a later try has it |
//! | whether it was sent is unknown | it counts as sent |
//! | quiet hours | it waits in the due index, and is decided anew when they are over |

use std::sync::Arc;

use chrono::{DateTime, Utc};
use parkade_domain::contact::{EmailAddress, PhoneNumber};
use parkade_domain::ids::ReservationId;
use parkade_domain::lot::LotKind;
use parkade_domain::notice::{Notice, Occasion, notice};
use parkade_domain::preferences::{Channel, Preferences};
use parkade_domain::reservation::Reservation;
use parkade_domain::time::Minute;
use parkade_identity::{CipherError, Contact, Identity};
use parkade_store::{Access, Claim, CommandError, LotFacts, Store, StoreError, WaitingNotice};
use thiserror::Error;
use tracing::{info, warn};

use crate::catalogue::Place;
use crate::port::{Message, Notifier, SendError};
use crate::render;

/// Pause before a waiting message that was not sent is tried again.
const TRY_AGAIN_S: i64 = 5 * 60;
/// After that long nobody wants to know any more, whatever the provider's trouble was.
const WAITS_S_MAX: i64 = 2 * 86_400;

/// What it takes to tell drivers.
#[derive(Debug, Clone)]
pub struct Courier<N> {
    /// The tables.
    pub store: Store,
    /// Opens contacts.
    pub identity: Identity,
    /// Where messages go.
    pub notifier: N,
    /// Where the API answers, for links.
    pub api_url: String,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Names it: whatever has the same name is told once.
    pub event_id: String,
    /// What it is about.
    pub reservation: ReservationId,
    /// What happened.
    pub occasion: Occasion,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The message was sent, or may have been.
    Sent,
    /// It waits for the end of quiet hours.
    Waits,
    /// There was nothing to send: nobody wants it, it does not hold any more, it cannot be delivered, or it was sent before.
    Nothing,
}

/// Why it was not told. It may be tried again.
#[derive(Debug, Error)]
pub enum TellError {
    /// The reservation cannot be read, or there is none.
    #[error("the reservation cannot be read")]
    Reservation(#[source] CommandError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The reservation's lot is not there.
    #[error("the reservation's lot is not there")]
    NoLot,
    /// A contact cannot be opened.
    #[error("the contact cannot be opened")]
    Sealed(#[source] CipherError),
    /// A contact is none: it was not checked when it was stored.
    #[error("the stored contact is none")]
    Contact,
    /// The message was certainly not sent.
    #[error("the message was not sent")]
    NotSent(#[source] SendError),
}

impl From<StoreError> for TellError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How an occasion is to be told.
enum Plan {
    Nothing,
    WaitUntil(Minute),
    Send(Message),
}

impl<N: Notifier + Sync> Courier<N> {
    /// Tells an occasion, once for all who ask with the same event id.
    ///
    /// # Errors
    /// [`TellError`]; the message was not sent, and asking again is safe.
    pub async fn tell(&self, telling: &Telling, now: DateTime<Utc>) -> Result<Told, TellError> {
        let now_s = now.timestamp();
        let told = match self.plan(telling, now).await? {
            Plan::Nothing => Told::Nothing,
            Plan::WaitUntil(minute) => {
                let waiting = WaitingNotice {
                    event_id: telling.event_id.clone(),
                    reservation: telling.reservation,
                    occasion: telling.occasion.clone(),
                    since_s: now_s,
                    due_at_s: minute.epoch_s(),
                };
                if self.store.let_notice_wait(&waiting).await? { Told::Waits } else { Told::Nothing }
            }
            Plan::Send(message) => self.send(&telling.event_id, &message, None, now_s).await?,
        };
        let event = &telling.event_id;
        info!(event.id = event, reservation.id = %telling.reservation, "telling of {event}: {told:?}");
        Ok(told)
    }

    /// Tells what has waited, if it still holds.
    ///
    /// # Errors
    /// [`TellError`]; the message was not sent, and it waits on.
    pub async fn tell_waiting(&self, event_id: &str, now: DateTime<Utc>) -> Result<Told, TellError> {
        let Some(waiting) = self.store.waiting_notice(event_id).await? else { return Ok(Told::Nothing) };
        let now_s = now.timestamp();
        let WaitingNotice { reservation, occasion, .. } = waiting.clone();
        let telling = Telling { event_id: event_id.to_owned(), reservation, occasion };
        let too_old = now_s - waiting.since_s > WAITS_S_MAX;
        let told = match self.plan(&telling, now).await? {
            Plan::Send(message) if !too_old => self.send(event_id, &message, Some(&waiting), now_s).await?,
            Plan::WaitUntil(minute) if !too_old => {
                let on = WaitingNotice { due_at_s: minute.epoch_s(), ..waiting };
                self.store.let_notice_wait_on(&on, None).await?;
                Told::Waits
            }
            _ => {
                // Taken and not sent: it is not looked at again.
                self.store.claim_notice(event_id, &Claim::new(now_s), true).await?;
                Told::Nothing
            }
        };
        info!(event.id = event_id, reservation.id = %reservation, "telling of {event_id}, which waited: {told:?}");
        Ok(told)
    }

    async fn plan(&self, telling: &Telling, now: DateTime<Utc>) -> Result<Plan, TellError> {
        let dossier = self.store.dossier(telling.reservation, &Access::System).await.map_err(TellError::Reservation)?;
        let r = &dossier.reservation;
        let facts = self.store.lot(&r.lot).await?.ok_or(TellError::NoLot)?;
        let minute = Minute::floor(now);
        let Some(notice) = notice(&telling.occasion, &dossier, &facts.lot, minute) else { return Ok(Plan::Nothing) };
        let preferences = self.store.preferences(&r.user).await?;
        let Some(channel) = preferences.channel(notice.topic()) else { return Ok(Plan::Nothing) };
        if let Some(until) = preferences.waits_until(channel, notice.is_urgent(), minute) {
            return Ok(Plan::WaitUntil(until));
        }
        self.message(&notice, channel, &preferences, r, &facts).map(Plan::Send)
    }

    fn message(
        &self,
        notice: &Notice,
        channel: Channel,
        preferences: &Preferences,
        r: &Reservation,
        facts: &Arc<LotFacts>,
    ) -> Result<Message, TellError> {
        let code = grouped(&r.id.code());
        let spot = facts.directory.get(r.spot).filter(|_| facts.lot.kind == LotKind::Assigned);
        let place = Place {
            lot: &facts.lot.name,
            address: &facts.lot.address,
            spot: spot.map(|spot| spot.number.as_str()),
            zone: facts.lot.zone,
            code: &code,
            api_url: &self.api_url,
        };
        let open = |contact, sealed: &Option<Vec<u8>>| {
            let sealed = sealed.as_deref().ok_or(TellError::Contact)?;
            let opened = self.identity.keys().open_contact(&preferences.user, contact, sealed);
            opened.map_err(TellError::Sealed)
        };
        match channel {
            Channel::Email => {
                let to = open(Contact::Email, &preferences.email)?;
                let to: EmailAddress = to.parse().map_err(|_| TellError::Contact)?;
                Ok(Message::Email { to, mail: render::mail(preferences.locale, notice, &place) })
            }
            Channel::Text => {
                let to = open(Contact::Phone, &preferences.phone)?;
                let to: PhoneNumber = to.parse().map_err(|_| TellError::Contact)?;
                Ok(Message::Text { to, text: render::text(preferences.locale, notice, &place) })
            }
        }
    }

    /// Takes the right to send and sends. `waiting` is what waited, if it did.
    async fn send(
        &self,
        event_id: &str,
        message: &Message,
        waiting: Option<&WaitingNotice>,
        now_s: i64,
    ) -> Result<Told, TellError> {
        let claim = Claim::new(now_s);
        match self.store.claim_notice(event_id, &claim, waiting.is_some()).await {
            Ok(true) => {}
            Ok(false) => return Ok(Told::Nothing),
            Err(error) => {
                // Whether the right was taken is unknown; that nothing was sent is certain.
                self.give_back(event_id, &claim, waiting, now_s).await;
                return Err(error.into());
            }
        }
        match self.notifier.send(event_id, message).await {
            Ok(()) => Ok(Told::Sent),
            Err(error @ SendError::NotSent { .. }) => {
                self.give_back(event_id, &claim, waiting, now_s).await;
                Err(TellError::NotSent(error))
            }
            Err(error @ SendError::Undeliverable { .. }) => {
                info!(event.id = event_id, "nobody was told of {event_id}: {error}");
                Ok(Told::Nothing)
            }
            Err(error @ SendError::Unknown { .. }) => {
                warn!(event.id = event_id, "telling of {event_id} is not tried again: {error}");
                Ok(Told::Sent)
            }
        }
    }

    /// If this fails the message is never sent, which is the lesser evil.
    async fn give_back(&self, event_id: &str, claim: &Claim, waiting: Option<&WaitingNotice>, now_s: i64) {
        let given_back = match waiting {
            None => self.store.return_notice(event_id, claim).await,
            Some(waiting) => {
                let on = WaitingNotice { due_at_s: now_s + TRY_AGAIN_S, ..waiting.clone() };
                self.store.let_notice_wait_on(&on, Some(claim)).await.map(drop)
            }
        };
        if let Err(error) = given_back {
            warn!(event.id = event_id, "{event_id} may never be told of: {error}");
        }
    }
}

/// The code as people read it out loud: in groups of four, the rest with the last.
fn grouped(code: &str) -> String {
    let (first, rest) = code.split_at_checked(4).unwrap_or((code, ""));
    let (second, third) = rest.split_at_checked(4).unwrap_or((rest, ""));
    [first, second, third].into_iter().filter(|group| !group.is_empty()).collect::<Vec<_>>().join("-")
}
