//! The account's balance: one transaction for each time money came or went, with what the provider keeps for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::journal::Change;
use crate::ledger::{Intent, Ledger};
use crate::params::Form;
use crate::reply::{ApiError, Reply, missing};

/// Stripe's usual price of a European card, 1.5 % and 25 minor units. It keeps the fee of what is refunded.
const FEE_BASIS_POINTS: i64 = 150;
const FEE_FIXED: i64 = 25;
/// Money can be paid out after two days.
const AVAILABLE_AFTER_S: u64 = 2 * 24 * 3_600;
/// Stripe's largest page.
const PAGE_MAX: usize = 100;

/// Money that came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    id: String,
    created: u64,
    /// `charge` or `refund`
    kind: String,
    /// Below zero if it went.
    amount: i64,
    fee: i64,
    currency: String,
    source: String,
    payment_intent: String,
    /// Of the source.
    metadata: BTreeMap<String, String>,
}

/// The id of the transaction of a charge or refund, which each have at most one.
pub(crate) fn transaction_of(source: &str) -> String {
    format!("txn_{source}")
}

/// Half a unit is rounded up.
fn fee(amount: i64) -> i64 {
    (amount * FEE_BASIS_POINTS + 5_000) / 10_000 + FEE_FIXED
}

impl Transaction {
    fn new(kind: &str, source: &str, amount: i64, created: u64, intent: &Intent) -> Self {
        Self {
            id: transaction_of(source),
            created,
            kind: kind.to_owned(),
            amount,
            fee: if amount > 0 { fee(amount) } else { 0 },
            currency: intent.currency.clone(),
            source: source.to_owned(),
            payment_intent: intent.id.clone(),
            metadata: intent.metadata.clone(),
        }
    }

    fn wire(&self, expand_source: bool) -> Value {
        let source = if expand_source {
            json!({
                "id": self.source,
                "object": self.kind,
                "metadata": self.metadata,
                "payment_intent": self.payment_intent,
            })
        } else {
            json!(self.source)
        };
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.created + AVAILABLE_AFTER_S,
            "created": self.created,
            "currency": self.currency,
            "description": null,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": [],
            "net": self.amount - self.fee,
            "reporting_category": self.kind,
            "source": source,
            "status": "pending",
            "type": self.kind,
        })
    }
}

impl Ledger {
    /// The transaction a change makes, if money moves by it.
    pub(crate) fn transaction_by(&self, change: Option<&Change>, now: u64) -> Option<Transaction> {
        match change? {
            Change::Intent(intent) if intent.captured() > 0 => {
                Some(Transaction::new("charge", intent.charge_id()?, intent.captured(), now, intent))
            }
            Change::Refund(refund) => {
                let intent = self.find_intent(&refund.payment_intent)?;
                let transaction = Transaction::new("refund", &refund.id, -refund.amount, now, intent);
                Some(Transaction { metadata: refund.metadata.clone(), ..transaction })
            }
            _ => None,
        }
    }

    /// `GET /v1/balance_transactions`, newest first.
    pub(crate) fn list_transactions(&self, mut form: Form) -> Result<Reply, ApiError> {
        let limit = form.limit(PAGE_MAX)?;
        let after = form.take("starting_after")?;
        let from = form.epoch_s("created[gte]")?.unwrap_or(0);
        let before = form.epoch_s("created[lt]")?.unwrap_or(u64::MAX);
        let expand_source = !form.expand(&["data.source", "data.source.payment_intent"])?.is_empty();
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
        let mut data: Vec<_> = asked.take(limit + 1).map(|transaction| transaction.wire(expand_source)).collect();
        let has_more = data.len() > limit;
        data.truncate(limit);
        let page = json!({ "object": "list", "url": "/v1/balance_transactions", "data": data, "has_more": has_more });
        Ok(Reply::new(200, &page))
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
