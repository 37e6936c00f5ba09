//! Open exceptions: some explain themselves later.

use parkade_events::chain;
use parkade_ledger::{Closed, Exception, ExceptionKind, Resolution, of_lost_dispute};
use parkade_payments::{DisputeStatus, PaymentError, ProviderId};
use parkade_store::{Access, Confirmation};
use tracing::{info, warn};

use crate::transaction::{Outcome, concerning, confirmation_of, judge, movement, transaction_of};
use crate::{Failure, Run};

/// Exceptions examined in one run: a minute's work. More are a catastrophe that a person looks at anyway.
const EXAMINED_MAX: usize = 5_000;
/// Who closes what explains itself.
const BY: &str = "reconcile";

impl Run<'_> {
    /// Examines what is open and closes what has an explanation by now.
    pub(crate) async fn examine_open(&mut self) -> Result<(), Failure> {
        let open = self.deps.store.exceptions(true, None, EXAMINED_MAX).await?.items;
        for exception in open {
            let explained = match self.explains_itself(&exception).await {
                // One that cannot be examined now must not keep the others from it.
                Err(failure) if failure.is_of_one() || matches!(failure, Failure::Provider(_)) => {
                    let why = chain(&failure);
                    warn!(exception.id = %exception.id, "exception {} cannot be examined: {why}", exception.id);
                    false
                }
                other => other?,
            };
            if !explained {
                self.report.open += 1;
                continue;
            }
            let closed = Closed { at_s: self.now_s, by: BY.to_owned(), resolution: Resolution::Explained, note: None };
            self.deps.store.close_exception(&exception.id, &closed).await?;
            self.report.closed += 1;
            info!(exception.id = %exception.id, "exception {} has explained itself", exception.id);
        }
        Ok(())
    }

    async fn explains_itself(&mut self, exception: &Exception) -> Result<bool, Failure> {
        match exception.kind {
            ExceptionKind::NoTransaction => {
                let Some(payment) = exception.payment() else { return Ok(false) };
                let one = Confirmation { payment, came_back: false };
                Ok(self.deps.store.confirmed(&[one]).await?.contains_key(&one))
            }
            ExceptionKind::RefundReturned => {
                let Some(payment) = exception.payment() else { return Ok(false) };
                let (_, dossier) = self.deps.store.payment(payment, &Access::System).await?;
                // What a violation adds is no way in which the money was given back.
                Ok(dossier.reservation.due_minor() >= dossier.reservation.penalties_minor())
            }
            ExceptionKind::DisputeOpen => self.dispute_is_over(exception).await,
            ExceptionKind::AuthorisationEnds => self.authorisation_is_over(exception).await,
            _ => {
                let transaction = transaction_of(&exception.facts)?;
                let of: Vec<Confirmation> = confirmation_of(&transaction).into_iter().collect();
                let known = self.deps.store.confirmed(&of).await?.into_values().next();
                match judge(self.deps, self.now_s, &transaction, known.as_ref()).await? {
                    Outcome::Unexplained(..) | Outcome::Later => Ok(false),
                    explained @ Outcome::Explained(_) => self.act(&transaction, explained).await,
                }
            }
        }
    }

    /// Whether the bank has decided; a lost dispute is booked.
    async fn dispute_is_over(&mut self, exception: &Exception) -> Result<bool, Failure> {
        let transaction = transaction_of(&exception.facts)?;
        let Some(id) = &transaction.dispute else { return Ok(false) };
        let dispute = match self.deps.stripe.retrieve_dispute(id).await {
            Err(PaymentError::Refused { .. }) => return Ok(false),
            other => other?,
        };
        match dispute.status {
            // The money comes back as a transaction of its own.
            DisputeStatus::Won | DisputeStatus::WarningClosed => Ok(true),
            DisputeStatus::Lost => {
                let concerning = concerning(&self.deps.store, transaction.created_s, exception.payment()).await?;
                let Some(concerning) = concerning else { return Ok(false) };
                let lost = of_lost_dispute(id.as_str(), movement(&transaction), concerning)?;
                self.book(&[lost]).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The charge that an exception's record names.
    pub(crate) fn charge_of(exception: &Exception) -> Option<ProviderId> {
        exception.facts.our_reference.as_deref().and_then(|text| ProviderId::new(text).ok())
    }
}
