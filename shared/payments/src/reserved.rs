//! Charges by when they were made: to find money that is reserved and about to be released (M4).

use http::Method;

use crate::client::StripeClient;
use crate::error::PaymentError;
use crate::id::ProviderId;
use crate::types::Charge;
use crate::wire::{self, form};

/// Which charges to list: those made in `[from_s, before_s)`, epoch seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargesQuery {
    /// The first second.
    pub from_s: i64,
    /// The first second after.
    pub before_s: i64,
    /// Goes on after this charge, the last one of the page before.
    pub after: Option<ProviderId>,
}

/// Up to a hundred charges, newest first, whatever became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargePage {
    /// The charges. Until when money is reserved is left out: retrieve the charge.
    pub charges: Vec<Charge>,
    /// Whether there are older ones: ask again with [`ChargesQuery::after`] the last of these.
    pub has_more: bool,
}

impl ChargesQuery {
    fn form(&self) -> String {
        let mut form = form();
        form.append_pair("created[gte]", &self.from_s.to_string())
            .append_pair("created[lt]", &self.before_s.to_string())
            .append_pair("limit", wire::PAGE);
        if let Some(after) = &self.after {
            form.append_pair("starting_after", after.as_str());
        }
        form.finish()
    }
}

impl StripeClient {
    /// One page of charges. Unlike a search it does not lag.
    ///
    /// # Errors
    /// [`PaymentError`]; nothing of the page is known then.
    pub async fn list_payment_intents(&self, query: &ChargesQuery) -> Result<ChargePage, PaymentError> {
        let path = format!("/v1/payment_intents?{}", query.form());
        let (charges, has_more) = wire::charge_page(&self.call(Method::GET, &path, None).await?)?;
        Ok(ChargePage { charges, has_more })
    }
}
