//! The cashier: asks the payment provider for what the records say is to be charged or given back, and records its word with all it causes.
//!
//! Everybody who moves money through the provider does it here: the driver's own request, the queue that repeats what a request did not
//! see the end of, the provider's webhooks. Any two of them may be at the same payment, late, twice, or after one of them died anywhere:
//!
//! | what happens | why no money is lost or taken twice |
//! |---|---|
//! | the process dies after the provider's answer, before it is recorded | whoever comes next asks with the same key (M1): the provider repeats its answer |
//! | the outcome is unknown (time-out, lost reply, 5xx) | nothing is recorded; the message comes again, with the same key |
//! | the provider saved a 5xx for the key, or may have forgotten the key | the charge or refund is looked up by our payment's id instead |
//! | such a charge is found nowhere | once the search cannot lag any more it is void: nothing comes of its key, and the driver may pay anew |
//! | such a refund is found nowhere | the list does not lag, so none was made: it is asked for again, with the key's next attempt |
//! | two at once | one key, one charge; the second one's word finds the first one's |
//! | the reservation ends before the charge | nothing is charged, unless the provider knows a request with the key: then its outcome is recorded and refunded |
//! | the reservation ends during the charge | the success is recorded all the same, and its refund with it |
//! | a charge that was called void or declined was taken after all | the provider's word wins: it is recorded, and what is too much refunded |
//! | the provider does not answer anybody | the breaker opens: payments pend, and what holds space for them is kept a while |
//!
//! Refuses to know: HTTP, queues, whose money it is.

mod breaker;
mod charge;
mod credit;
mod hint;
mod refund;
mod saved;

use std::sync::Arc;
use std::time::Duration;

use parkade_domain::decide::{HOLD_KEPT_BEFORE_S, Refusal};
use parkade_domain::ids::{PaymentId, ReservationId};
use parkade_domain::payment::{Payment, PaymentKind, PaymentStatus, Word};
use parkade_domain::reservation::Status;
use parkade_payments::{Charge, PaymentError, StripeClient, Uncertainty};
use parkade_store::{Access, Cause, CommandError, Done, Intent, Order, Store, StoreError};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use breaker::SharedBreaker;

pub use charge::FOUND_WITHIN_S;
pub use hint::Hint;
pub use saved::CardError;

/// How long after its request a payment's key is still used. The provider remembers a key for 24 hours at least; an hour of that is left
/// for clocks that differ. After it the provider is asked by our payment's id instead (M1).
pub const ASKED_WITHIN_S: i64 = 23 * 3_600;

/// Moves money through the provider. Cloning is cheap; clones share what is known of the provider's health.
#[derive(Debug, Clone)]
pub struct Cashier {
    store: Store,
    stripe: StripeClient,
    /// Which deployment this is: part of every provider key, so that two never share one.
    stage: Arc<str>,
    breaker: SharedBreaker,
    /// When its calls of the provider end at the latest.
    until: Option<Instant>,
}

/// Why something was not done. Asking again is safe, and after some tries a person looks at it.
#[derive(Debug, Error)]
pub enum Failure {
    /// The records cannot be read or written, or there is no such payment.
    #[error("the records did not take it")]
    Store(#[source] CommandError),
    /// The provider's answer is unknown, or it refused the request.
    #[error("the provider did not carry it out")]
    Provider(#[source] PaymentError),
    /// The provider has not answered for a while, so it was not asked.
    #[error("the provider is not asked until it answers again")]
    ProviderAway,
    /// The provider has accepted it but does not say yet how it ends.
    #[error("the provider is still working on it")]
    NotFinal,
    /// The provider took another amount than it was asked for.
    #[error("the provider took {received_minor} instead of {asked_minor}")]
    OtherAmount {
        /// Minor units.
        asked_minor: i64,
        /// Minor units.
        received_minor: i64,
    },
    /// The provider says that it moved money for this payment more than once.
    #[error("the provider has {count} of it")]
    Several {
        /// How many.
        count: usize,
    },
    /// What the records say about the payment cannot be: a bug.
    #[error("the payment's record makes no sense: {0}")]
    Inconsistent(&'static str),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Store(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<PaymentError> for Failure {
    fn from(error: PaymentError) -> Self {
        Self::Provider(error)
    }
}

impl Failure {
    /// Whether the driver's hold should outlast it: nobody can pay now, or nobody knows whether they have.
    const fn keeps_the_hold(&self) -> bool {
        matches!(self, Self::ProviderAway | Self::NotFinal | Self::Provider(PaymentError::Unknown(_)))
    }
}

impl Cashier {
    /// A cashier of one stage.
    #[must_use]
    pub fn new(store: Store, stripe: StripeClient, stage: &str) -> Self {
        Self { breaker: SharedBreaker::new(store.clone()), store, stripe, stage: stage.into(), until: None }
    }

    /// The same cashier for somebody who waits only so long for the provider, all calls together. One that is cut off is a time-out like any
    /// other: its outcome is unknown, and it counts against the provider.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self { until: Some(Instant::now() + patience), ..self.clone() }
    }

    /// One call of the provider: not while it is away, and not longer than somebody waits for it.
    async fn call<T>(
        &self,
        now_s: i64,
        call: impl Future<Output = Result<T, PaymentError>>,
    ) -> Result<Result<T, PaymentError>, Failure> {
        let Some(until) = self.until else { return self.breaker.around(now_s, call).await };
        let too_late = || Err(Uncertainty::TimedOut.into());
        if until <= Instant::now() {
            return Ok(too_late());
        }
        let timed = async { timeout_at(until, call).await.unwrap_or_else(|_| too_late()) };
        self.breaker.around(now_s, timed).await
    }

    /// The records.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Does what is still to do about a payment: charges it, gives it back, or finds out what became of it. Returns it as it is then.
    ///
    /// # Errors
    /// [`Failure`]; a hold that waits for the money is kept meanwhile, as long as the lot's policy lets it.
    pub async fn carry_out(&self, id: PaymentId, now_s: i64) -> Result<Payment, Failure> {
        let (payment, dossier) = self.store.payment(id, &Access::System).await?;
        self.carry_out_known(Intent::known(payment, dossier), now_s).await
    }

    /// As [`Self::carry_out`] for a payment that was just stored: nothing is read before the provider is asked.
    ///
    /// # Errors
    /// As [`Self::carry_out`].
    pub async fn carry_out_known(&self, intent: Intent, now_s: i64) -> Result<Payment, Failure> {
        let (id, kind) = (intent.payment.id, intent.payment.kind);
        let ends_soon = holds_for_less_than(&intent, now_s + HOLD_KEPT_BEFORE_S);
        let outcome = match (kind, intent.payment.status) {
            (_, PaymentStatus::Succeeded | PaymentStatus::Declined) => return Ok(intent.payment),
            _ if !intent.payment.by_provider() => return self.without_provider(intent, now_s).await,
            (PaymentKind::Charge(_), _) => self.charge(intent, now_s).await,
            (PaymentKind::Refund { .. }, PaymentStatus::Void) => return Err(Failure::Inconsistent("a refund is void")),
            (PaymentKind::Refund { of, .. }, PaymentStatus::Requested) => self.refund(intent, of, now_s).await,
        };
        if let Err(failure) = &outcome
            && ends_soon
            && failure.keeps_the_hold()
            && matches!(kind, PaymentKind::Charge(_))
        {
            self.keep_hold(id.reservation, now_s).await?;
        }
        outcome
    }

    /// Before the hold of a driver who is paying runs out for a reason that is not the driver's.
    async fn keep_hold(&self, id: ReservationId, now_s: i64) -> Result<(), Failure> {
        let order = Order::system(id, Cause::HoldKept, now_s, now_s);
        match self.store.keep_hold(&order).await {
            // Not near its end, at the end of what the policy gives, or no hold any more.
            Ok(_) | Err(CommandError::Refused(Refusal::NotDue(_) | Refusal::HoldExpired | Refusal::State(_))) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls off a charge that waits for the driver's answer to the card's issuer, so that another one can take its place. Returns it as it
    /// is then: succeeded, if the driver has just answered.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn call_off(&self, id: PaymentId, now_s: i64) -> Result<Payment, Failure> {
        let (payment, dossier) = self.store.payment(id, &Access::System).await?;
        if payment.status != PaymentStatus::Requested || payment.client_secret.is_none() {
            return Ok(payment);
        }
        self.end_open_charge(Intent::known(payment, dossier), now_s).await
    }

    /// Records the provider's word and returns the payment as it is then.
    async fn record(&self, intent: Intent, word: &Word, now_s: i64) -> Result<Payment, Failure> {
        let id = intent.payment.id;
        let done = self.store.settle_known(intent, word, now_s).await?;
        recorded(done, id)
    }
}

/// Whether the key's saved answer is a 5xx: whatever it did is done, and nothing more comes of this key.
const fn is_spent(error: &PaymentError) -> bool {
    matches!(error, PaymentError::Unknown(Uncertainty::ServerError { replayed: true, .. }))
}

/// Whether a hold, as it was read, ends by `until_s`.
fn holds_for_less_than(intent: &Intent, until_s: i64) -> bool {
    let r = &intent.dossier.reservation;
    r.status == Status::Held && r.hold_expires_at_s.is_some_and(|at_s| at_s <= until_s)
}

fn recorded(done: Done, id: PaymentId) -> Result<Payment, Failure> {
    let payment = done.dossier.payments.into_iter().find(|payment| payment.id == id);
    payment.ok_or(Failure::Inconsistent("a payment vanished"))
}

/// The one charge of several with our payment's name; what took nothing does not count.
fn only(charges: Vec<Charge>) -> Result<Option<Charge>, Failure> {
    use parkade_payments::ChargeStatus as S;
    let moved: Vec<Charge> =
        charges.into_iter().filter(|charge| !matches!(charge.status, S::Canceled | S::RequiresPaymentMethod)).collect();
    match moved.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => Err(Failure::Several { count: several.len() }),
    }
}
