//! The account's balance: one transaction for each time money came or went, with what the provider keeps for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::form::Form;
use crate::journal::Change;
use crate::ledger::{Done, Ledger};
use crate::objects::{Dispute, DisputeStatus, Intent, Payout, Refund, RefundStatus};
use crate::reply::{ApiError, Reply, missing, page};
use crate::wire;

/// Stripe's usual price of a European card, 1.5 % and 25 minor units. It keeps the fee of what is refunded.
const FEE_BASIS_POINTS: i64 = 150;
const FEE_FIXED: i64 = 25;
/// What a dispute costs, 15.00. It comes back with the money if the dispute is won.
const DISPUTE_FEE: i64 = 1_500;
/// Money can be paid out after two days.
const AVAILABLE_AFTER_S: u64 = 2 * 24 * 3_600;

/// Money that came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    id: String,
    created: u64,
    /// `charge`, `refund`, `refund_failure`, `adjustment` or `payout`
    kind: String,
    /// Below zero if it went.
    amount: i64,
    fee: i64,
    currency: String,
    source: String,
}

/// The id of what a charge, refund, dispute or payout did to the balance at first.
pub(crate) fn transaction_of(source: &str) -> String {
    format!("txn_{source}")
}

/// The id of what took it back.
pub(crate) fn reversal_of(source: &str) -> String {
    format!("txn_{source}_reversal")
}

/// Half a unit is rounded up.
fn fee(amount: i64) -> i64 {
    (amount * FEE_BASIS_POINTS + 5_000) / 10_000 + FEE_FIXED
}

impl Transaction {
    fn of_charge(intent: &Intent, created: u64) -> Option<Self> {
        let (source, amount) = (intent.charge_id()?.to_owned(), intent.captured());
        let (id, kind) = (transaction_of(&source), "charge".to_owned());
        Some(Self { id, created, kind, amount, fee: fee(amount), currency: intent.currency.clone(), source })
    }

    fn of_refund(refund: &Refund, currency: &str, created: u64) -> Self {
        let failed = refund.status == RefundStatus::Failed;
        let (id, kind, amount) = if failed {
            (reversal_of(&refund.id), "refund_failure", refund.amount)
        } else {
            (transaction_of(&refund.id), "refund", -refund.amount)
        };
        let (kind, currency) = (kind.to_owned(), currency.to_owned());
        Self { id, created, kind, amount, fee: 0, currency, source: refund.id.clone() }
    }

    fn of_payout(payout: &Payout) -> Self {
        let Payout { id: source, created, amount, currency } = payout.clone();
        let (id, kind) = (transaction_of(&source), "payout".to_owned());
        Self { id, created, kind, amount: -amount, fee: 0, currency, source }
    }

    /// What a dispute has done so far: the bank took the money, and gave it back.
    pub(crate) fn of_dispute(dispute: &Dispute) -> Vec<Self> {
        let adjustment = |id: String, created: u64, sign: i64| Self {
            id,
            created,
            kind: "adjustment".to_owned(),
            amount: sign * dispute.amount,
            fee: -sign * DISPUTE_FEE,
            currency: dispute.currency.clone(),
            source: dispute.id.clone(),
        };
        if dispute.is_inquiry() {
            return Vec::new();
        }
        let mut done = vec![adjustment(transaction_of(&dispute.id), dispute.created, -1)];
        if dispute.status == DisputeStatus::Won {
            done.push(adjustment(reversal_of(&dispute.id), dispute.closed.unwrap_or(dispute.created), 1));
        }
        done
    }

    fn net(&self) -> i64 {
        self.amount - self.fee
    }

    /// As Stripe shows it, with its source's id or the source itself.
    pub(crate) fn wire(&self, source: Option<Value>) -> Value {
        let category = match self.kind.as_str() {
            "adjustment" if self.amount > 0 => "dispute_reversal",
            "adjustment" => "dispute",
            kind => kind,
        };
        let fee_details = match self.fee {
            0 => json!([]),
            fee => json!([{
                "amount": fee,
                "application": null,
                "currency": self.currency,
                "description": if self.kind == "adjustment" { "Dispute fee" } else { "Stripe processing fees" },
                "type": "stripe_fee",
            }]),
        };
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.created + AVAILABLE_AFTER_S,
            "balance_type": "payments",
            "created": self.created,
            "currency": self.currency,
            "description": null,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": fee_details,
            "net": self.net(),
            "reporting_category": category,
            "source": source.unwrap_or_else(|| json!(self.source)),
            "status": "pending",
            "type": self.kind,
        })
    }
}

impl Ledger {
    /// The transaction that a change makes which is not applied yet, if money moves by it.
    pub(crate) fn transaction_by(&self, change: &Change, now: u64) -> Option<Transaction> {
        match change {
            Change::Intent(intent) if intent.captured() > 0 => Transaction::of_charge(intent, now),
            Change::Refund(refund) => {
                let known = self.refund(&refund.id).ok().map(|(known, _)| known.status);
                let moves = known.is_none() || (refund.status == RefundStatus::Failed && known != Some(refund.status));
                let intent = self.intents().get(&refund.payment_intent).filter(|_| moves)?;
                Some(Transaction::of_refund(refund, &intent.currency, now))
            }
            Change::Dispute(dispute) => {
                let known = self.dispute(&dispute.id).map_or(0, |(known, _)| Transaction::of_dispute(known).len());
                Transaction::of_dispute(dispute).into_iter().nth(known)
            }
            Change::Payout(payout) => Some(Transaction::of_payout(payout)),
            _ => None,
        }
    }

    /// Sends to the bank what there is, in each currency.
    pub(crate) fn pay_out(&self, now: u64) -> Done {
        let mut balances: BTreeMap<&str, i64> = BTreeMap::new();
        for transaction in self.transactions() {
            *balances.entry(&transaction.currency).or_default() += transaction.net();
        }
        let positive = balances.into_iter().filter(|(_, balance)| *balance > 0);
        let payouts: Vec<_> = positive
            .zip(self.payouts() + 1..)
            .map(|((currency, amount), number)| Payout {
                id: format!("po_twin{number:08}"),
                created: now,
                amount,
                currency: currency.to_owned(),
            })
            .collect();
        let reply = Reply::new(200, &payouts.iter().map(wire::payout).collect());
        Done { changes: payouts.into_iter().map(Change::Payout).collect(), reply }
    }

    /// `GET /v1/balance_transactions`, newest first.
    pub(crate) fn list_transactions(&self, mut form: Form) -> Result<Reply, ApiError> {
        let limit = form.limit()?;
        let after = form.take("starting_after")?;
        let from = form.epoch_s("created[gte]")?.unwrap_or(0);
        let before = form.epoch_s("created[lt]")?.unwrap_or(u64::MAX);
        let expand = form.expand(&["data.source", "data.source.payment_intent"])?;
        form.finish()?;
        let all = self.transactions();
        let end = match &after {
            None => all.len(),
            Some(id) => all
                .iter()
                .position(|transaction| transaction.id == *id)
                .ok_or_else(|| missing(400, "balance_transaction", id, "starting_after"))?,
        };
        let older = all.iter().take(end).rev();
        let asked = older.filter(|transaction| (from..before).contains(&transaction.created));
        let whole_intent = expand.iter().any(|property| property == "data.source.payment_intent");
        let source =
            |transaction: &Transaction| (!expand.is_empty()).then(|| self.source(transaction, whole_intent)).flatten();
        let shown = asked.map(|transaction| transaction.wire(source(transaction)));
        Ok(Reply::new(200, &page("/v1/balance_transactions", limit, shown)))
    }

    /// What a transaction is about.
    fn source(&self, transaction: &Transaction, whole_intent: bool) -> Option<Value> {
        let id = transaction.source.as_str();
        let (mut source, intent) = match transaction.kind.as_str() {
            "charge" => {
                let intent = self.intents().get(&wire::intent_of_charge(id))?;
                (wire::charge(intent), intent)
            }
            "refund" | "refund_failure" => {
                let (refund, intent) = self.refund(id).ok()?;
                (wire::refund(refund, intent), intent)
            }
            "adjustment" => {
                let (dispute, intent) = self.dispute(id).ok()?;
                (wire::dispute(dispute, None), intent)
            }
            _ => {
                let (created, amount, currency) =
                    (transaction.created, -transaction.amount, transaction.currency.clone());
                return Some(wire::payout(&Payout { id: id.to_owned(), created, amount, currency }));
            }
        };
        if whole_intent && let Some(fields) = source.as_object_mut() {
            fields.insert("payment_intent".into(), wire::intent(intent, false));
        }
        Some(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_one_and_a_half_percent_and_a_quarter_rounded_half_up() {
        for (amount, expected) in [(100, 27), (1_000, 40), (1_250, 44), (33, 25), (34, 26), (99_999_999, 1_500_025)] {
            assert_eq!(fee(amount), expected, "{amount}");
        }
    }
}
