//! A user's credit: what refunds put in and payments take out.
//!
//! It changes only in the transaction that settles the payment it belongs to, under the condition of the version that was read: so each
//! payment changes it once, and two at once never take what is there only once.

use parkade_domain::ids::UserId;
use parkade_domain::money::Currency;
use parkade_domain::payment::{Payment, PaymentKind};
use parkade_domain::purse::Purse;
use parkade_domain::reservation::Reservation;

use crate::attributes::{Item, keyed, text};
use crate::error::{StoreError, classify};
use crate::items::purse;
use crate::{Store, keys};

/// Currencies of one user's credit that are read: more than any user's lots have.
const CURRENCIES_MAX: i32 = 100;

/// An item that is written beside what a command changes, under the condition of the version before.
pub(crate) type Beside = (Item, Option<u32>);

impl Store {
    /// A user's credit, one purse for each currency that was ever put in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wallet(&self, user: &UserId) -> Result<Vec<Purse>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk AND begins_with(sk, :wallet)")
            .expression_attribute_values(":pk", text(keys::owner_partition(user)))
            .expression_attribute_values(":wallet", text(keys::WALLET_PREFIX))
            .consistent_read(true)
            .limit(CURRENCIES_MAX);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        answer.items().iter().map(purse::read).collect()
    }

    /// The purse under a key; one of `currency` that holds nothing if there is none.
    pub(crate) async fn purse(&self, key: Item, currency: Currency) -> Result<Purse, StoreError> {
        let get = self.client.get_item().table_name(&self.tables.records).set_key(Some(key)).consistent_read(true);
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map_or(Ok(Purse::new(currency)), purse::read)
    }

    /// What a payment by credit changes in its user's wallet; `None` if there is too little in it.
    pub(crate) async fn wallet_change(&self, r: &Reservation, settled: &Payment) -> Result<Option<Beside>, StoreError> {
        // A walk-in is a lane's, and a driver may be called like one.
        if !r.has_driver() {
            return Ok(None);
        }
        let key = || keyed(keys::owner_partition(&r.user), keys::wallet_sort(settled.currency));
        let moved_minor = match settled.kind {
            PaymentKind::Charge(_) => -settled.amount_minor,
            PaymentKind::Refund { .. } => settled.amount_minor,
        };
        let before = self.purse(key(), settled.currency).await?;
        Ok(before.after(moved_minor).map(|after| put_purse(key(), &before, &after)))
    }
}

/// The purse as it is written in the place of `before`.
pub(crate) fn put_purse(key: Item, before: &Purse, after: &Purse) -> Beside {
    (purse::write(key, after), Some(before.version).filter(|version| *version > 0))
}
