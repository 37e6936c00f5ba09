//! Disputes: opened by some test cards, decided by the test or by Stripe's test words as evidence.

use crate::form::Form;
use crate::journal::Change;
use crate::ledger::{Done, Ledger};
use crate::objects::{Dispute, DisputeStatus, Intent};
use crate::reply::{ApiError, Reply, missing, page};
use crate::wire;

impl Ledger {
    /// `POST /v1/disputes/{id}`
    pub(crate) fn send_evidence(&self, id: &str, text: &str, now: u64) -> Result<Done, ApiError> {
        match text {
            "winning_evidence" => self.close_dispute(id, true, now),
            "losing_evidence" => self.close_dispute(id, false, now),
            _ => {
                let dispute = self.open_dispute(id)?;
                let status =
                    if dispute.is_inquiry() { DisputeStatus::WarningUnderReview } else { DisputeStatus::UnderReview };
                Ok(shown(Dispute { status, ..dispute.clone() }))
            }
        }
    }

    /// The bank decides.
    pub(crate) fn close_dispute(&self, id: &str, won: bool, now: u64) -> Result<Done, ApiError> {
        let dispute = self.open_dispute(id)?;
        let status = match (dispute.is_inquiry(), won) {
            (true, _) => DisputeStatus::WarningClosed,
            (false, true) => DisputeStatus::Won,
            (false, false) => DisputeStatus::Lost,
        };
        Ok(shown(Dispute { status, closed: Some(now), ..dispute.clone() }))
    }

    /// `GET /v1/disputes/{id}`
    pub(crate) fn get_dispute(&self, id: &str, mut form: Form) -> Result<Reply, ApiError> {
        let expand = !form.expand(&["payment_intent"])?.is_empty();
        form.finish()?;
        let (dispute, intent) = self.dispute(id)?;
        Ok(Reply::new(200, &wire::dispute(dispute, expand.then_some(intent))))
    }

    /// `GET /v1/disputes`, newest first; of one PaymentIntent if it is named.
    pub(crate) fn list_disputes(&self, mut form: Form) -> Result<Reply, ApiError> {
        let of = form.take("payment_intent")?;
        let limit = form.limit()?;
        form.finish()?;
        let all = self.intents().values().rev().filter_map(|intent| intent.dispute.as_ref());
        let asked = all.filter(|dispute| of.as_ref().is_none_or(|of| dispute.payment_intent == *of));
        Ok(Reply::new(200, &page("/v1/disputes", limit, asked.map(|dispute| wire::dispute(dispute, None)))))
    }

    fn open_dispute(&self, id: &str) -> Result<&Dispute, ApiError> {
        let (dispute, _) = self.dispute(id)?;
        if dispute.is_open() { Ok(dispute) } else { Err(ApiError::invalid("This dispute is already closed.")) }
    }

    pub(crate) fn dispute(&self, id: &str) -> Result<(&Dispute, &Intent), ApiError> {
        let intent = self.parent(id);
        let found = intent.and_then(|intent| Some((intent.dispute.as_ref()?, intent)));
        found.ok_or_else(|| missing(404, "dispute", id, "dispute"))
    }
}

fn shown(dispute: Dispute) -> Done {
    let reply = Reply::new(200, &wire::dispute(&dispute, None));
    Done { changes: vec![Change::Dispute(dispute)], reply }
}
