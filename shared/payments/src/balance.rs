//! The provider's own account of money that came and went: what our records are reconciled with.

use parkade_domain::money::Currency;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{PaymentError, Uncertainty};
use crate::id::ProviderId;
use crate::units::from_stripe;
use crate::wire::id_of;

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
            // A dispute names no payment; the PaymentIntent it is about does.
            .append_pair("expand[]", "data.source.payment_intent")
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
    /// The charge at the provider that the source is or belongs to.
    pub charge: Option<ProviderId>,
    /// The dispute, if the source is one: money goes when it opens, and comes back when it is won.
    pub dispute: Option<ProviderId>,
    /// The PaymentIntent the source belongs to.
    pub payment_intent: Option<ProviderId>,
    /// The payment we named when the source was made; of a dispute, the payment it is about.
    pub payment: Option<String>,
}

/// Why money came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceKind {
    /// A driver paid.
    #[serde(alias = "payment")]
    Charge,
    /// A driver got something back; above zero, it came back to us because the driver's bank did not take it.
    #[serde(alias = "payment_refund", alias = "refund_failure")]
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
        let source = id_of(&self.source);
        let if_it_is = |kind: &str| source.clone().filter(|_| text("/object") == Some(kind));
        let at = |pointer: &str| self.source.pointer(pointer).and_then(id_of);
        let payment = text("/metadata/payment").or_else(|| text("/payment_intent/metadata/payment"));
        Ok(BalanceTransaction {
            id: self.id,
            kind: self.r#type,
            amount_minor,
            fee_minor,
            net_minor,
            currency,
            created_s: self.created,
            charge: if_it_is("charge").or_else(|| at("/charge")),
            dispute: if_it_is("dispute"),
            payment_intent: at("/payment_intent"),
            payment: payment.map(str::to_owned),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &Value) -> BalanceTransaction {
        let wire = serde_json::json!({
            "id": "txn_1", "type": "adjustment", "amount": -1250, "fee": 1500, "net": -2750, "currency": "eur", "created": 1,
            "source": source,
        });
        serde_json::from_value::<BalanceTransactionWire>(wire).unwrap().read().unwrap()
    }

    #[test]
    fn a_dispute_leads_to_its_charge_and_to_our_payment() {
        let payment_intent = serde_json::json!({ "id": "pi_1", "metadata": { "payment": "pay_1" } });
        let dispute = |payment_intent: &Value| {
            read(&serde_json::json!({
                "object": "dispute", "id": "dp_1", "charge": "ch_1", "payment_intent": payment_intent, "metadata": {},
            }))
        };
        let whole = dispute(&payment_intent);
        let id = |id: &Option<ProviderId>| id.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!([id(&whole.source), id(&whole.dispute), id(&whole.charge)], ["dp_1", "dp_1", "ch_1"]);
        assert_eq!((id(&whole.payment_intent), whole.payment.as_deref()), ("pi_1".to_owned(), Some("pay_1")));
        let lean = dispute(&Value::from("pi_1"));
        assert_eq!((lean.payment_intent, lean.payment), (whole.payment_intent, None));
    }

    #[test]
    fn a_source_that_did_not_come_with_the_transaction_is_still_named() {
        let bare = read(&Value::from("po_1"));
        assert_eq!(bare.source.as_ref().map(ProviderId::as_str), Some("po_1"));
        assert_eq!((bare.charge, bare.dispute, bare.payment_intent), (None, None, None));
        assert_eq!(read(&Value::Null).source, None);
    }
}
