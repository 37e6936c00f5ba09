//! The books a test reads: every charge and refund, and totals that are sums of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::objects::{DisputeStatus, Intent, Outcome, RefundStatus};

/// Everything the twin has charged, declined, refunded and lost to a dispute, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Books {
    /// Charges, declined ones included.
    pub charges: Vec<BookedCharge>,
    /// Refunds, failed ones included.
    pub refunds: Vec<BookedRefund>,
    /// Disputes, whatever became of them.
    #[serde(default)]
    pub disputes: Vec<BookedDispute>,
    /// Totals per currency (lower case).
    pub totals: BTreeMap<String, Totals>,
}

/// One attempt to charge a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedCharge {
    /// `ch_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: String,
    /// In Stripe's unit of the currency.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// `None` if the money was taken.
    pub decline_code: Option<String>,
    /// Sum of its refunds that did not fail.
    pub refunded: i64,
    /// As sent with the PaymentIntent.
    pub metadata: BTreeMap<String, String>,
}

/// One refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedRefund {
    /// `re_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: String,
    /// In Stripe's unit of the currency.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// As sent with the refund.
    pub metadata: BTreeMap<String, String>,
    /// The payer's bank did not take it, so the money came back.
    #[serde(default)]
    pub failed: bool,
}

/// One dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedDispute {
    /// `dp_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: String,
    /// In Stripe's unit of the currency.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// Whether the bank still decides.
    pub open: bool,
    /// Whether the bank has the money now; its fee of 15.00 is in no total.
    pub taken: bool,
}

/// Sums of one currency, in Stripe's unit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Number of charges that took money.
    pub charges: u64,
    /// Number of declined charges.
    pub declines: u64,
    /// Number of refunds that did not fail.
    pub refunds: u64,
    /// Money taken.
    pub charged: i64,
    /// Money given back.
    pub refunded: i64,
    /// `charged - refunded`; disputes are not in it.
    pub net: i64,
}

impl Books {
    /// Books what happened to an intent.
    pub(crate) fn add(&mut self, intent: &Intent) {
        for failed in &intent.failed {
            self.add_charge(intent, &failed.charge, intent.amount, Some(&failed.decline_code));
        }
        match &intent.outcome {
            Outcome::Declined { charge, decline_code, .. } => {
                self.add_charge(intent, charge, intent.amount, Some(decline_code));
            }
            Outcome::Succeeded { charge, .. } => self.add_charge(intent, charge, intent.captured(), None),
            // Reserved is not taken.
            _ => {}
        }
        for refund in &intent.refunds {
            let failed = refund.status == RefundStatus::Failed;
            if !failed {
                let totals = self.totals.entry(intent.currency.clone()).or_default();
                totals.refunds += 1;
                totals.refunded += refund.amount;
                totals.net -= refund.amount;
            }
            self.refunds.push(BookedRefund {
                id: refund.id.clone(),
                payment_intent: intent.id.clone(),
                amount: refund.amount,
                currency: intent.currency.clone(),
                metadata: refund.metadata.clone(),
                failed,
            });
        }
        self.disputes.extend(intent.dispute.as_ref().map(|dispute| BookedDispute {
            id: dispute.id.clone(),
            payment_intent: intent.id.clone(),
            amount: dispute.amount,
            currency: dispute.currency.clone(),
            open: dispute.is_open(),
            taken: dispute.status != DisputeStatus::Won && !dispute.is_inquiry(),
        }));
    }

    fn add_charge(&mut self, intent: &Intent, charge: &str, amount: i64, decline_code: Option<&String>) {
        let totals = self.totals.entry(intent.currency.clone()).or_default();
        if decline_code.is_some() {
            totals.declines += 1;
        } else {
            totals.charges += 1;
            totals.charged += amount;
            totals.net += amount;
        }
        self.charges.push(BookedCharge {
            id: charge.to_owned(),
            payment_intent: intent.id.clone(),
            amount,
            currency: intent.currency.clone(),
            decline_code: decline_code.cloned(),
            refunded: if decline_code.is_some() { 0 } else { intent.refunded() },
            metadata: intent.metadata.clone(),
        });
    }
}
