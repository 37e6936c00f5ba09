//! Refunds: never more than was taken and not yet given back, in the same step that adds them (M5).

use crate::cards::Later;
use crate::form::Form;
use crate::journal::Change;
use crate::ledger::{Done, Ledger};
use crate::objects::{Intent, Refund, RefundStatus};
use crate::params::CreateRefund;
use crate::reply::{ApiError, Reply, missing, page};
use crate::wire;

/// When the bank says how a refund ends that does not end at once: long enough to be seen, short enough to wait for.
const SETTLES_AFTER_S: u64 = 60;

impl Ledger {
    /// `POST /v1/refunds`
    pub(crate) fn create_refund(&self, command: CreateRefund, now: u64) -> Result<Done, ApiError> {
        let id = &command.payment_intent;
        let intent = self.intents().get(id).ok_or_else(|| missing(400, "payment_intent", id, "payment_intent"))?;
        if intent.captured() == 0 {
            let message = format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
            return Err(ApiError::invalid(message));
        }
        let charge = intent.charge_id().unwrap_or_default();
        if intent.dispute.as_ref().is_some_and(|dispute| dispute.holds_the_money()) {
            let message = format!("Charge {charge} has been charged back; cannot issue a refund.");
            return Err(ApiError::invalid(message).code("charge_disputed"));
        }
        let left = intent.captured() - intent.refunded();
        if left == 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(ApiError::invalid(message).code("charge_already_refunded"));
        }
        let amount = command.amount.unwrap_or(left);
        if amount > left {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return Err(ApiError::invalid(message).param("amount"));
        }
        let later = wire::card_of(intent).map_or(Later::Nothing, |card| card.later);
        let settles = matches!(later, Later::RefundPending | Later::RefundFails).then_some(now + SETTLES_AFTER_S);
        let status = if later == Later::RefundPending { RefundStatus::Pending } else { RefundStatus::Succeeded };
        let refund = Refund {
            id: format!("re_twin{:08}", self.refunds() + 1),
            created: now,
            payment_intent: id.clone(),
            amount,
            reason: command.reason,
            metadata: command.metadata,
            status,
            settles,
        };
        let reply = Reply::new(200, &wire::refund(&refund, intent));
        Ok(Done { changes: vec![Change::Refund(refund)], reply })
    }

    /// The bank's word on a refund: a pending one succeeds, one that had succeeded fails.
    pub(crate) fn settle_refund(&self, id: &str) -> Result<Done, ApiError> {
        let (refund, intent) = self.refund(id)?;
        let mut refund = refund.clone();
        if refund.settles.take().is_some() {
            refund.status = match refund.status {
                RefundStatus::Pending => RefundStatus::Succeeded,
                RefundStatus::Succeeded | RefundStatus::Failed => RefundStatus::Failed,
            };
        }
        let reply = Reply::new(200, &wire::refund(&refund, intent));
        Ok(Done { changes: vec![Change::Refund(refund)], reply })
    }

    /// `GET /v1/refunds?payment_intent=…`, newest first.
    pub(crate) fn list_refunds(&self, mut form: Form) -> Result<Reply, ApiError> {
        let id = form.need("payment_intent")?;
        let limit = form.limit()?;
        form.finish()?;
        let intent = self.intent(&id)?;
        let newest = intent.refunds.iter().rev();
        Ok(Reply::new(200, &page("/v1/refunds", limit, newest.map(|refund| wire::refund(refund, intent)))))
    }

    /// `GET /v1/refunds/{id}`
    pub(crate) fn get_refund(&self, id: &str) -> Result<Reply, ApiError> {
        let (refund, intent) = self.refund(id)?;
        Ok(Reply::new(200, &wire::refund(refund, intent)))
    }

    pub(crate) fn refund(&self, id: &str) -> Result<(&Refund, &Intent), ApiError> {
        let intent = self.parent(id);
        let found = intent.and_then(|intent| {
            let refund = intent.refunds.iter().find(|refund| refund.id == id)?;
            Some((refund, intent))
        });
        found.ok_or_else(|| missing(404, "refund", id, "refund"))
    }
}
