//! The books a test reads: every charge and refund, and totals that are sums of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything the twin has charged, declined and refunded, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Books {
    /// Charges, declined ones included.
    pub charges: Vec<BookedCharge>,
    /// Refunds.
    pub refunds: Vec<BookedRefund>,
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
    /// Sum of its refunds.
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
}

/// Sums of one currency, in Stripe's unit of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Number of charges that took money.
    pub charges: u64,
    /// Number of declined charges.
    pub declines: u64,
    /// Number of refunds.
    pub refunds: u64,
    /// Money taken.
    pub charged: i64,
    /// Money given back.
    pub refunded: i64,
    /// `charged - refunded`
    pub net: i64,
}

impl Books {
    pub(crate) fn add_charge(&mut self, charge: BookedCharge) {
        let totals = self.totals.entry(charge.currency.clone()).or_default();
        if charge.decline_code.is_some() {
            totals.declines += 1;
        } else {
            totals.charges += 1;
            totals.charged += charge.amount;
            totals.net += charge.amount;
        }
        self.charges.push(charge);
    }

    pub(crate) fn add_refund(&mut self, refund: BookedRefund) {
        let totals = self.totals.entry(refund.currency.clone()).or_default();
        totals.refunds += 1;
        totals.refunded += refund.amount;
        totals.net -= refund.amount;
        self.refunds.push(refund);
    }
}
