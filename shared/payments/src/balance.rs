//! The provider's own account of money that came and went: what our records are reconciled with.

use parkade_domain::money::Currency;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{PaymentError, Uncertainty};
use crate::id::ProviderId;
use crate::units::from_stripe;

/// Stripe's largest page.
const PAGE: &str = "100";

/// Which transactions to list: those made in `[from_s, before_s)`, epoch seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceQuery {
    /// The first second.
    pub from_s: i64,
    /// The first second after.
    pub before_s: i64,
    /// Goes on after this transaction, the last one of the page before.
    pub after: Option<ProviderId>,
}

impl BalanceQuery {
    pub(crate) fn form(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("created[gte]", &self.from_s.to_string())
            .append_pair("created[lt]", &self.before_s.to_string())
            .append_pair("expand[]", "data.source")
            .append_pair("limit", PAGE);
        if let Some(after) = &self.after {
            query.append_pair("starting_after", after.as_str());
        }
        query.finish()
    }
}

/// Up to a hundred transactions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancePage {
    /// The transactions.
    pub transactions: Vec<BalanceTransaction>,
    /// Whether there are older ones: ask again with [`BalanceQuery::after`] the last of these.
    pub has_more: bool,
}

/// Money that came to the account at the provider or went from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceTransaction {
    /// The provider's id.
    pub id: ProviderId,
    /// Why.
    pub kind: BalanceKind,
    /// Minor units before the fee; below zero if it went.
    pub amount_minor: i64,
    /// Minor units the provider keeps.
    pub fee_minor: i64,
    /// `amount_minor - fee_minor`
    pub net_minor: i64,
    /// Of all three.
    pub currency: Currency,
    /// Epoch seconds.
    pub created_s: i64,
    /// The charge, refund, … at the provider.
    pub source: Option<ProviderId>,
    /// The PaymentIntent the source belongs to.
    pub payment_intent: Option<ProviderId>,
    /// The payment we named when the source was made.
    pub payment: Option<String>,
}

/// Why money came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceKind {
    /// A driver paid.
    #[serde(alias = "payment")]
    Charge,
    /// A driver got something back.
    #[serde(alias = "payment_refund")]
    Refund,
    /// Mostly a dispute, opened or won.
    Adjustment,
    /// A fee that belongs to no payment.
    StripeFee,
    /// To the bank.
    Payout,
    /// One of the many others, or one that is new: for a person.
    #[serde(other)]
    Other,
}

/// As the provider writes it.
#[derive(Deserialize)]
pub(crate) struct BalanceTransactionWire {
    id: ProviderId,
    r#type: BalanceKind,
    amount: i64,
    #[serde(default)]
    fee: i64,
    net: i64,
    currency: String,
    created: i64,
    #[serde(default)]
    source: Value,
}

impl BalanceTransactionWire {
    /// An amount that does not add up is not understood: the books must not rest on it.
    pub(crate) fn read(self) -> Result<BalanceTransaction, PaymentError> {
        let currency = Currency::from_code(&self.currency.to_ascii_uppercase()).map_err(|_| Uncertainty::Unreadable)?;
        let minor = |amount| from_stripe(amount, currency).ok_or(Uncertainty::Unreadable);
        let (amount_minor, fee_minor, net_minor) = (minor(self.amount)?, minor(self.fee)?, minor(self.net)?);
        if amount_minor.checked_sub(fee_minor) != Some(net_minor) {
            return Err(Uncertainty::Unreadable.into());
        }
        let text = |pointer: &str| self.source.pointer(pointer).and_then(Value::as_str);
        let id = |text: Option<&str>| text.and_then(|text| ProviderId::new(text).ok());
        Ok(BalanceTransaction {
            id: self.id,
            kind: self.r#type,
            amount_minor,
            fee_minor,
            net_minor,
            currency,
            created_s: self.created,
            source: id(self.source.as_str().or(text("/id"))),
            payment_intent: id(text("/payment_intent")),
            payment: text("/metadata/payment").map(str::to_owned),
        })
    }
}
