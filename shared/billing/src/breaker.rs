//! The shared breaker around a call: what all processes know of the provider's health, remembered for a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parkade_domain::breaker::{Breaker, FAILURES_MAX, Permit};
use parkade_payments::{PaymentError, Uncertainty};
use parkade_store::{Store, StoreError};
use tokio::time::Instant;
use tracing::warn;

use crate::Failure;

/// How long a process trusts what it read: an outage is felt by all within a second, and a busy process reads once a second.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How often a process tells how its call went while others are faster: who has lost as often as that has lost to failures that open it.
const TELLS_MAX: usize = FAILURES_MAX + 1;

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
        let began = Instant::now();
        let Some(breaker) = self.permit(now_s).await else { return Err(Failure::ProviderAway) };
        let answer = call.await;
        match health(&answer) {
            Health::Away => {
                // A call that hangs fails when it ends; its beginning may be outside of what counts by then.
                let failed_s = now_s.saturating_add_unsigned(began.elapsed().as_secs());
                self.tell(|breaker| breaker.failed(failed_s)).await;
            }
            Health::Answers if breaker.open_until_s > 0 => self.tell(Breaker::succeeded).await,
            Health::Answers | Health::Unclear => {}
        }
        Ok(answer)
    }

    /// What is known, if it lets a call through.
    async fn permit(&self, now_s: i64) -> Option<Breaker> {
        let breaker = self.fresh().await;
        match breaker.permit(now_s) {
            Permit::Go => Some(breaker),
            Permit::Wait => None,
            Permit::Probe(probing) => match self.store.put_breaker(&probing).await {
                Ok(true) => {
                    self.remember(&probing);
                    Some(probing)
                }
                // Another process probes.
                Ok(false) => {
                    self.forget();
                    None
                }
                Err(error) => {
                    warn!("the provider's breaker cannot be written, so everybody probes: {error}");
                    Some(breaker)
                }
            },
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

    /// Stores what follows for the others, from what they know now: a call takes seconds, and theirs end at the same time.
    async fn tell(&self, next: impl Fn(&Breaker) -> Option<Breaker>) {
        for _ in 0..TELLS_MAX {
            let told = async {
                let seen = self.store.breaker_now().await?;
                let Some(next) = next(&seen) else { return Ok(Some(seen)) };
                Ok::<_, StoreError>(self.store.put_breaker(&next).await?.then_some(next))
            };
            match told.await {
                Ok(Some(known)) => {
                    if known.open_until_s > 0 {
                        warn!(open_until_s = known.open_until_s, "the provider does not answer: payments wait");
                    }
                    return self.remember(&known);
                }
                Ok(None) => {}
                Err(error) => {
                    warn!("the provider's breaker cannot be kept: {error}");
                    break;
                }
            }
        }
        self.forget();
    }

    fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn remember(&self, breaker: &Breaker) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), breaker.clone()));
    }
}

/// What an outcome says of the provider, whatever it says of our request.
enum Health {
    /// It answered, even if it said that the key has been used, is in use, or is not ours.
    Answers,
    /// It did not answer, or is in trouble.
    Away,
    /// Somebody answered something that cannot be understood.
    Unclear,
}

const fn health<T>(outcome: &Result<T, PaymentError>) -> Health {
    use Uncertainty as U;
    let Err(PaymentError::Unknown(uncertainty)) = outcome else { return Health::Answers };
    match uncertainty {
        U::NotConnected | U::ConnectionLost | U::TimedOut | U::Throttled | U::ServerError { replayed: false, .. } => {
            Health::Away
        }
        U::InFlight | U::KeyReused | U::Unauthorized | U::ServerError { replayed: true, .. } => Health::Answers,
        U::Unreadable => Health::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use parkade_domain::breaker::OPEN_S;
    use parkade_store::TableNames;
    use parkade_testkit::{CALENDAR, DERIVED, Engine, Faults, LEDGER, RECORDS};
    use tokio::time::sleep;

    use super::*;

    const NOW_S: i64 = 1_000;

    /// Processes that share one table.
    fn processes(count: usize, engine: &Engine, faults: &Faults) -> Vec<SharedBreaker> {
        let tables = TableNames {
            calendar: CALENDAR.name.to_owned(),
            records: RECORDS.name.to_owned(),
            ledger: LEDGER.name.to_owned(),
            derived: DERIVED.name.to_owned(),
        };
        let store = Store::new(engine.client(faults.clone()), tables);
        (0..count).map(|_| SharedBreaker::new(store.clone())).collect()
    }

    async fn call(breaker: &SharedBreaker, now_s: i64, takes_s: u64, outcome: Result<(), Uncertainty>) -> bool {
        let call = async {
            sleep(Duration::from_secs(takes_s)).await;
            outcome.map_err(PaymentError::from)
        };
        breaker.around(now_s, call).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_hang_at_the_same_time_all_count_and_count_when_they_end() {
        let engine = Engine::memory().unwrap();
        let faults = Faults::none();
        faults.interleave(7);
        let workers = processes(FAILURES_MAX, &engine, &faults);
        let hang = |worker| call(worker, NOW_S, 8, Err(Uncertainty::TimedOut));
        assert!(join_all(workers.iter().map(hang)).await.into_iter().all(|called| called));
        let stored = workers[0].store.breaker_now().await.unwrap();
        assert_eq!((stored.failures_s, stored.open_until_s), (vec![NOW_S + 8; FAILURES_MAX], NOW_S + 8 + OPEN_S));
        let [late] = &processes(1, &engine, &Faults::none())[..] else { panic!("one") };
        assert!(!call(late, NOW_S + 9, 0, Ok(())).await, "nobody waits for it any more");
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_proves_that_the_provider_answers_ends_the_outage_and_what_proves_nothing_does_not() {
        let replayed = |replayed| Uncertainty::ServerError { status: 500, replayed };
        for (outcome, closes) in [
            (Ok(()), true),
            (Err(replayed(true)), true),
            (Err(Uncertainty::InFlight), true),
            (Err(Uncertainty::KeyReused), true),
            (Err(Uncertainty::Unauthorized), true),
            (Err(replayed(false)), false),
            (Err(Uncertainty::Throttled), false),
            (Err(Uncertainty::Unreadable), false),
        ] {
            let engine = Engine::memory().unwrap();
            let workers = processes(2, &engine, &Faults::none());
            for _ in 0..FAILURES_MAX {
                call(&workers[0], NOW_S, 0, Err(Uncertainty::NotConnected)).await;
            }
            let back_s = NOW_S + OPEN_S;
            assert!(!call(&workers[0], back_s - 1, 0, outcome).await);
            assert!(call(&workers[0], back_s, 0, outcome).await, "a probe");
            assert_eq!(call(&workers[1], back_s, 0, Ok(())).await, closes, "{outcome:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_cannot_be_written_keeps_nobody_from_probing() {
        let engine = Engine::memory().unwrap();
        let [worker] = &processes(1, &engine, &Faults::none())[..] else { panic!("one") };
        for _ in 0..FAILURES_MAX {
            call(worker, NOW_S, 0, Err(Uncertainty::NotConnected)).await;
        }
        // It reads what is stored, and can write nothing.
        let [readonly] = &processes(1, &engine, &Faults::stop_before(2))[..] else { panic!("one") };
        assert!(call(readonly, NOW_S + OPEN_S, 0, Ok(())).await);
    }
}
