//! The shared breaker around a call: what all processes know of the provider's health, remembered for a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use parkade_domain::breaker::{Breaker, Permit};
use parkade_payments::{PaymentError, Uncertainty};
use parkade_store::Store;
use tracing::warn;

use crate::Failure;

/// How long a process trusts what it read: an outage is felt by all within a second, and a busy process reads once a second.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(crate) struct SharedBreaker {
    store: Store,
    known: Arc<Mutex<Option<(Instant, Breaker)>>>,
}

impl SharedBreaker {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: Arc::default() }
    }

    /// Calls unless the breaker is open, and tells the others how it went. The breaker itself never stands in the way: without the store
    /// the call goes on.
    pub(crate) async fn around<T>(
        &self,
        now_s: i64,
        call: impl Future<Output = Result<T, PaymentError>>,
    ) -> Result<Result<T, PaymentError>, Failure> {
        let breaker = match self.permit(now_s).await {
            Some(breaker) => breaker,
            None => return Err(Failure::ProviderAway),
        };
        let answer = call.await;
        let next = match &answer {
            Err(PaymentError::Unknown(uncertainty)) if is_outage(uncertainty) => breaker.failed(now_s),
            Err(PaymentError::Unknown(_)) => None,
            _ => breaker.succeeded(),
        };
        if let Some(next) = next {
            self.tell(next).await;
        }
        Ok(answer)
    }

    /// What is known, if it lets a call through.
    async fn permit(&self, now_s: i64) -> Option<Breaker> {
        let breaker = self.fresh().await;
        match breaker.permit(now_s) {
            Permit::Go => Some(breaker),
            Permit::Wait => None,
            Permit::Probe(probing) => self.tell(probing.clone()).await.then_some(probing),
        }
    }

    async fn fresh(&self) -> Breaker {
        if let Some((at, breaker)) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < TRUSTED_FOR
        {
            return breaker.clone();
        }
        let breaker = self.store.breaker().await.unwrap_or_else(|error| {
            warn!("the provider's breaker cannot be read, so it counts as closed: {error}");
            Breaker::default()
        });
        self.remember(&breaker);
        breaker
    }

    /// Whether it was stored. Another process that was faster knows as much.
    async fn tell(&self, next: Breaker) -> bool {
        let stored = self.store.put_breaker(&next).await.unwrap_or_else(|error| {
            warn!("the provider's breaker cannot be written: {error}");
            false
        });
        if stored {
            if next.open_until_s > 0 {
                warn!(open_until_s = next.open_until_s, "the provider does not answer: payments wait");
            }
            self.remember(&next);
        } else {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        stored
    }

    fn remember(&self, breaker: &Breaker) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), breaker.clone()));
    }
}

/// Whether it says that the provider is in trouble, rather than one request of ours.
const fn is_outage(uncertainty: &Uncertainty) -> bool {
    matches!(
        uncertainty,
        Uncertainty::NotConnected
            | Uncertainty::ConnectionLost
            | Uncertainty::TimedOut
            | Uncertainty::Throttled
            | Uncertainty::ServerError { replayed: false, .. }
    )
}
