//! A local stand-in for the payment provider: the part of Stripe's PaymentIntents and Refunds that Parkade uses, with
//! state, idempotency keys, Stripe-shaped errors, and faults on request.
//!
//! It promises what Stripe documents: a key's first executed answer is the answer, money is refunded at most once, a
//! decline is a 402. It refuses what it does not model instead of ignoring it. It never sees a card number: only the test
//! payment methods Stripe publishes (`pm_card_visa`, `pm_card_visa_chargeDeclined`, …) exist here.
//!
//! | route | what |
//! |---|---|
//! | `POST /v1/payment_intents`, `GET /v1/payment_intents/{id}` | create and confirm, retrieve |
//! | `POST /v1/payment_intents/{id}/capture`, `…/cancel` | take what was authorised, release it |
//! | `GET /v1/payment_intents/search` | by one metadata entry |
//! | `POST`, `GET /v1/refunds`, `GET /v1/refunds/{id}` | refund, list of a PaymentIntent, retrieve |
//! | `GET /v1/balance_transactions` | money that came and went, with fees |
//! | `POST /_twin/authenticate/{id}/success`, `…/failure` | what the payer does with 3-D Secure |
//! | `POST /_twin/clock/{seconds}` | lets time pass: reserved money is released after seven days |
//! | `GET`, `POST`, `DELETE /_twin/faults` | faults that the next calls meet ([`Fault`]) |
//! | `GET /_twin/books` | every charge and refund with totals ([`Books`]) |
//!
//! With [`Twin::send_events_to`] it also sends Stripe's signed webhooks for PaymentIntents and refunds.
//!
//! Mount it with `Router::nest` under a path, or serve it on a loopback port; a provider's base URL may have a path.

mod balance;
mod books;
mod cards;
mod faults;
mod intents;
mod journal;
mod keys;
mod ledger;
mod outbox;
mod params;
mod reply;
mod routes;
mod wire;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

pub use books::{BookedCharge, BookedRefund, Books, Totals};
pub use faults::{Fault, FaultKind, Target};
pub use journal::OpenError;
pub use outbox::InvalidEndpoint;

use faults::FaultQueue;
use ledger::Ledger;
use outbox::Outbox;

/// A fault that makes no sense, for example `slow` without `ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidFault(&'static str);

/// The twin. Clones share one state.
#[derive(Debug, Clone)]
pub struct Twin(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ledger: Mutex<Ledger>,
    faults: Mutex<FaultQueue>,
    outbox: Outbox,
    requests: AtomicU64,
}

impl Twin {
    /// Opens a twin that remembers in the journal at `path` (created if absent, with its folder), or only in memory.
    ///
    /// # Errors
    /// [`OpenError`] if the journal cannot be read or written, is in use by another process, or is not a journal.
    pub fn open(path: Option<PathBuf>) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(Shared {
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

    /// Every charge and refund so far, with totals.
    #[must_use]
    pub fn books(&self) -> Books {
        self.ledger().books()
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
