//! Cash: what is taken and given at a till, and what should lie in it (M9).
//!
//! A till's item says how much that is. It changes in the transaction that stores the payment, under the condition of the version that was
//! read, and so does a count, which sets it anew: each payment and each count changes it once.

use parkade_domain::decide::{self, Cash, Dossier, Refusal};
use parkade_domain::ids::{LotId, PaymentId, TillId};
use parkade_domain::money::Currency;
use parkade_domain::payment::PaymentKind;
use parkade_domain::reservation::Mark;
use parkade_domain::till::{Count, Counted};

use crate::attributes::{Item, keyed, text};
use crate::error::classify;
use crate::execute::{Begun, CommandError, Done, Order, PLANS_MAX, contended};
use crate::items::count as count_item;
use crate::search::Listing;
use crate::transact::{self, Outcome};
use crate::wallet::{Beside, put_purse};
use crate::{Store, StoreError, keys};

/// Counts of a till among which a repeated one is looked for. A client that retries does so within a few counts, not after eight others.
const REMEMBERED_COUNTS: i32 = 8;

impl Store {
    /// Takes cash for what is due: the charge, what it causes and the till are one transaction.
    ///
    /// # Errors
    /// [`CommandError`]; what [`decide::take_cash`] refuses.
    pub async fn take_cash(&self, order: &Order, cash: &Cash) -> Result<Done, CommandError> {
        for _ in 0..PLANS_MAX {
            let (before, context) = match self.begin(order).await? {
                Begun::Replay(done) => return Ok(done),
                Begun::New(before, context) => (before, context),
            };
            if taken_before(&before, order.mark)? {
                return Ok(Done { dossier: before, replayed: true });
            }
            let change = decide::take_cash(&before, cash, order.now_s, order.mark)?;
            let charges = change.payments.iter().filter(|payment| matches!(payment.kind, PaymentKind::Charge(_)));
            let (lot, currency) = (&before.reservation.lot, before.reservation.currency);
            let moved_minor = charges.map(|charge| charge.amount_minor).sum();
            let till = self.till_change(lot, &cash.till, currency, moved_minor).await?;
            let till = till.ok_or_else(|| overflowing(&cash.till))?;
            if let Some(done) = self.finish(order, &context, before, change, vec![till]).await? {
                return Ok(done);
            }
        }
        Err(contended())
    }

    /// Pays out change that is owed. A till never gives more than it should hold.
    ///
    /// # Errors
    /// [`CommandError`]; [`Refusal::NotInTill`] if the till does not hold enough, [`Refusal::NothingToPay`] if it was paid out before.
    pub async fn pay_out(&self, order: &Order, id: PaymentId, till: &TillId) -> Result<Done, CommandError> {
        for _ in 0..PLANS_MAX {
            let (before, context) = match self.begin(order).await? {
                Begun::Replay(done) => return Ok(done),
                Begun::New(before, context) => (before, context),
            };
            if !before.payments.iter().any(|payment| payment.id == id) {
                return Err(CommandError::NotFound);
            }
            let (change, minor) = decide::pay_out(&before, id, till, order.now_s, order.mark)?;
            let (lot, currency) = (&before.reservation.lot, before.reservation.currency);
            let beside = self.till_change(lot, till, currency, -minor).await?.ok_or(Refusal::NotInTill)?;
            if let Some(done) = self.finish(order, &context, before, change, vec![beside]).await? {
                return Ok(done);
            }
        }
        Err(contended())
    }

    /// Counts a till: keeps the count for good, and from then on expects what is left in the till. Tells whether it was counted before.
    ///
    /// # Errors
    /// [`CommandError::KeyReused`], or the store's.
    pub async fn count_till(
        &self,
        counted: &Counted,
        currency: Currency,
        mark: Mark,
        now_s: i64,
    ) -> Result<(Count, bool), CommandError> {
        let (lot, till) = (&counted.lot, &counted.till);
        for _ in 0..PLANS_MAX {
            // The till first: a count that is made after this look changes the version, and the write fails.
            let before = self.purse(till_key(lot, till), currency).await?;
            let known = self.counts(lot, till, None, REMEMBERED_COUNTS).await?.items;
            match known.into_iter().find(|count| count.mark.key == mark.key) {
                Some(count) if count.mark == mark => return Ok((count, true)),
                Some(_) => return Err(CommandError::KeyReused),
                None => {}
            }
            let (count, after) = counted.settle(&before, now_s, mark);
            let (item, version) = put_purse(till_key(lot, till), &before, &after);
            let writes = vec![self.put(count_item::write(&count), None)?, self.put(item, version)?];
            if matches!(transact::write(&self.client, writes).await?, Outcome::Committed) {
                return Ok((count, false));
            }
        }
        Err(contended())
    }

    /// The counts of a till, the newest first. `before` is the number of the last one of an earlier page.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn counts(
        &self,
        lot: &LotId,
        till: &TillId,
        before: Option<u32>,
        limit: i32,
    ) -> Result<Listing<Count>, StoreError> {
        let start = before.map(|number| keyed(keys::lot_partition(lot), keys::count_sort(till, number)));
        let query = self
            .client
            .query()
            .table_name(&self.tables.records)
            .key_condition_expression("pk = :pk AND begins_with(sk, :count)")
            .expression_attribute_values(":pk", text(keys::lot_partition(lot)))
            .expression_attribute_values(":count", text(keys::counts_prefix(till)))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(limit)
            .set_exclusive_start_key(start);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let items = answer.items().iter().map(count_item::read).collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| answer.last_evaluated_key.is_some()).map(|last| last.number.to_string());
        Ok(Listing { items, next })
    }

    /// What moved cash changes in a till; `None` if there is too little in it.
    async fn till_change(
        &self,
        lot: &LotId,
        till: &TillId,
        currency: Currency,
        moved_minor: i64,
    ) -> Result<Option<Beside>, StoreError> {
        let before = self.purse(till_key(lot, till), currency).await?;
        Ok(before.after(moved_minor).map(|after| put_purse(till_key(lot, till), &before, &after)))
    }
}

fn till_key(lot: &LotId, till: &TillId) -> Item {
    keyed(keys::lot_partition(lot), keys::till_sort(till))
}

/// Whether this very command has taken cash, however many others the record has forgotten it behind.
fn taken_before(d: &Dossier, mark: Mark) -> Result<bool, CommandError> {
    match d.payments.iter().find(|payment| payment.mark.key == mark.key) {
        None => Ok(false),
        Some(known) if known.mark == mark => Ok(true),
        Some(_) => Err(CommandError::KeyReused),
    }
}

/// No till holds so much.
fn overflowing(till: &TillId) -> StoreError {
    StoreError::Refused { operation: "till", cause: format!("the cash in {till} does not fit 64 bits") }
}
