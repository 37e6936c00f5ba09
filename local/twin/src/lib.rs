//! A local stand-in for the payment provider: the part of Stripe that Parkade uses, with state, idempotency keys, Stripe-shaped errors, and
//! faults on request.
//!
//! It promises what Stripe documents: a key's first executed answer is the answer for a day, money is refunded at most once, a
//! decline is a 402. It refuses what it does not model instead of ignoring it. It never sees a card number: only the test
//! payment methods Stripe publishes (`pm_card_visa`, `pm_card_visa_chargeDeclined`, …) exist here.
//!
//! | route | what |
//! |---|---|
//! | `POST /v1/payment_intents`, `GET /v1/payment_intents/{id}` | create, retrieve |
//! | `POST /v1/payment_intents/{id}/confirm`, `…/capture`, `…/cancel` | ask the issuer, take what was authorised, release it |
//! | `GET /v1/payment_intents`, `GET /v1/payment_intents/search` | by when they were made; by one metadata entry |
//! | `POST`, `GET /v1/refunds`, `GET /v1/refunds/{id}` | refund, list of a PaymentIntent, retrieve |
//! | `POST /v1/customers`, `GET /v1/customers/{id}` | who owns payment methods |
//! | `GET /v1/payment_methods`, `GET /v1/customers/{id}/payment_methods` | list of a customer |
//! | `GET /v1/payment_methods/{id}`, `POST …/attach`, `…/detach` | retrieve, give to a customer, take away |
//! | `POST /v1/setup_intents`, `GET /v1/setup_intents/{id}`, `POST …/confirm` | the issuer's consent to later charges |
//! | `GET /v1/disputes`, `GET`, `POST /v1/disputes/{id}` | list, retrieve, send evidence |
//! | `GET /v1/balance_transactions` | money that came and went, with fees |
//! | `POST /_twin/authenticate/{id}/success`, `…/failure` | what the payer does with 3-D Secure |
//! | `POST /_twin/disputes/{id}/won`, `…/lost` | what the payer's bank decides |
//! | `POST /_twin/payout` | sends the balance to the bank |
//! | `POST /_twin/clock/{seconds}` | lets time pass: reserved money is released after seven days, slow refunds end after a minute |
//! | `GET`, `POST`, `DELETE /_twin/faults` | faults that the next calls meet ([`Fault`]) |
//! | `POST /_twin/chaos` | faults by chance, from a seed ([`Twin::chaos`]) |
//! | `POST /_twin/webhook` | `{"url": …, "secret": …}`: where events go from now on |
//! | `POST /_twin/resend/{payment}` | sends the newest event about a payment of ours again |
//! | `GET /_twin/books` | every charge, refund and dispute with totals ([`Books`]) |
//!
//! With [`Twin::send_events_to`] it also sends Stripe's signed webhooks: of PaymentIntents, SetupIntents, refunds and disputes, and
//! `charge.refunded`.
//!
//! Mount it with `Router::nest` under a path, or serve it on a loopback port; a provider's base URL may have a path.

mod balance;
mod books;
mod cards;
mod disputes;
mod faults;
mod form;
mod intents;
mod journal;
mod keys;
mod knobs;
mod ledger;
mod objects;
mod outbox;
mod params;
mod refunds;
mod reply;
mod routes;
mod saved;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

pub use books::{BookedCharge, BookedDispute, BookedRefund, Books, Totals};
pub use faults::{Fault, FaultKind, Target};
pub use journal::OpenError;
pub use outbox::InvalidEndpoint;

use faults::{Chaos, FaultQueue};
use ledger::Ledger;
use outbox::Outbox;

/// A fault that makes no sense, for example `slow` without `ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidFault(&'static str);

/// The twin. Clones share one state.
#[derive(Debug, Clone)]
pub struct Twin(Arc<Shared>);

struct Shared {
    /// Epoch seconds.
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    ledger: Mutex<Ledger>,
    faults: Mutex<FaultQueue>,
    outbox: Outbox,
    requests: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("ledger", &self.ledger).field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Twin {
    /// Opens a twin that remembers in the journal at `path` (created if absent, with its folder), or only in memory.
    ///
    /// # Errors
    /// [`OpenError`] if the journal cannot be read or written, is in use by another process, or is not a journal.
    pub fn open(path: Option<PathBuf>) -> Result<Self, OpenError> {
        Self::open_at(path, || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs()))
    }

    /// As [`Twin::open`], with the time of another clock (epoch seconds): of a server whose time can be moved.
    ///
    /// # Errors
    /// As [`Twin::open`].
    pub fn open_at(path: Option<PathBuf>, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(Shared {
            clock: Box::new(clock),
            ledger: Mutex::new(Ledger::open(path.as_deref())?),
            faults: Mutex::default(),
            outbox: Outbox::default(),
            requests: AtomicU64::new(1),
        })))
    }

    /// Stripe's routes and the test's, at the paths of the table above.
    pub fn router(&self) -> axum::Router {
        routes::router(self.clone())
    }

    /// Adds a fault to the end of the queue.
    ///
    /// # Errors
    /// [`InvalidFault`] if its count or delay is out of range.
    pub fn inject(&self, fault: Fault) -> Result<(), InvalidFault> {
        match fault.refusal() {
            Some(refusal) => Err(InvalidFault(refusal)),
            None => {
                self.faults().push(fault);
                Ok(())
            }
        }
    }

    /// From now on, of the calls that move money `percent` of a hundred meet a fault of any kind. The same seed brings the same faults to
    /// the same sequence of calls; 0 percent ends it. What [`Twin::inject`] asked for comes first.
    ///
    /// # Errors
    /// [`InvalidFault`] if it is more than 100.
    pub fn chaos(&self, percent: u8, seed: u64) -> Result<(), InvalidFault> {
        if percent > 100 {
            return Err(InvalidFault("percent is 0 to 100"));
        }
        self.faults().set_chaos(Chaos { percent, seed });
        Ok(())
    }

    /// From now on tells `url` what happens, signed with `secret`, and what an earlier life could not tell it. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`InvalidEndpoint`]
    pub fn send_events_to(&self, url: &str, secret: &str) -> Result<(), InvalidEndpoint> {
        let left = self.ledger().undelivered();
        self.outbox().open(self, url, secret, left)?;
        self.ledger().watch();
        Ok(())
    }

    /// How many events nobody has taken yet.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.ledger().undelivered().len()
    }

    /// Every charge and refund so far, with totals.
    #[must_use]
    pub fn books(&self) -> Books {
        self.ledger().books()
    }

    /// Epoch seconds by the clock it was opened with.
    fn present_s(&self) -> u64 {
        (self.0.clock)()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, FaultQueue> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    fn requests(&self) -> &AtomicU64 {
        &self.0.requests
    }
}
