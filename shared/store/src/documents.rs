//! Receipts and credit notes: each is written once, under the next number of its lot and year, or not at all (M8).
//!
//! A document is one transaction of three writes, and each carries its own guard. Its number is put if nobody has it. What the
//! reservation knows of it is put if its place is free: so a payment never has two, and none is made without knowing those before. The
//! payment is still as it was read: so no credit note is left behind by a refund that the bank sends back at that moment. There is no
//! counter: the last number is that of the newest document, and the next one is tried only when the one before is known to be taken,
//! so there is neither a gap nor a repeat, whoever dies when.

use aws_sdk_dynamodb::types::{CancellationReason, ConditionCheck, Put, TransactWriteItem};
use parkade_domain::decide::Dossier;
use parkade_domain::document::{self, Document, Due, Entry, Evidence, Number, Series};
use parkade_domain::ids::{ReceiptId, ReservationId};
use parkade_domain::lot::LotKind;
use parkade_domain::{explain, tariff};

use crate::attributes::{Item, Reader, keyed, number, text};
use crate::error::{StoreError, classify};
use crate::execute::{CommandError, contended, dossier_of};
use crate::items::document as document_item;
use crate::items::reservation::VERSION;
use crate::pricing::Pricing;
use crate::transact::{self, Outcome};
use crate::{Access, Store, keys};

/// Rounds in which somebody else documents the same reservation or moves its payment. A reservation has a few payments in its life.
const ROUNDS_MAX: u32 = 12;
/// How many numbers that others took meanwhile are passed. Every one of them means that somebody else's document was written, and far
/// fewer consumers than this run at once.
const TAKEN_MAX: u32 = 200;
/// Of a transaction's writes, the one that takes the number.
const NUMBER: usize = 0;

impl Store {
    /// Issues every document that a reservation lacks; none if it lacks none, so asking again does no harm.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn issue_documents(&self, id: ReservationId, now_s: i64) -> Result<Vec<Document>, CommandError> {
        let (mut issued, mut lost) = (Vec::new(), 0);
        while lost < ROUNDS_MAX {
            let (dossier, entries) = self.filed(id, &Access::System).await?;
            let Some(due) = document::due(&dossier.payments, &entries) else { return Ok(issued) };
            let context = self.pricing_of(&dossier.reservation).await?;
            match self.issue(&dossier, &entries, &context, &due, now_s).await? {
                Some(document) => issued.push(document),
                None => lost += 1,
            }
        }
        Err(contended())
    }

    /// A document, for who may read its reservation.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] if it is not issued (yet), or not the caller's.
    pub async fn receipt(&self, id: ReceiptId, access: &Access) -> Result<Document, CommandError> {
        let (_, entries) = self.filed(id.payment.reservation, access).await?;
        let entry = entries.into_iter().find(|entry| entry.id == id).ok_or(CommandError::NotFound)?;
        Ok(self.document(&entry.number).await?)
    }

    /// A reservation with its payments and what is documented of them, strongly consistent.
    async fn filed(&self, id: ReservationId, access: &Access) -> Result<(Dossier, Vec<Entry>), CommandError> {
        let answer = self.stored(id).send().await.map_err(|error| classify("Query", &error))?;
        let items = answer.items();
        let of_documents =
            |item: &&Item| Reader(item).text_maybe(keys::SK).is_some_and(|sk| sk.starts_with(keys::ENTRY_PREFIX));
        let entries = items.iter().filter(of_documents).map(document_item::read_entry).collect::<Result<_, _>>()?;
        Ok((dossier_of(items, access)?, entries))
    }

    /// `None` if the payment or the reservation's documents are not as they were read.
    async fn issue(
        &self,
        dossier: &Dossier,
        entries: &[Entry],
        context: &Pricing,
        due: &Due<'_>,
        now_s: i64,
    ) -> Result<Option<Document>, CommandError> {
        let (r, lot) = (&dossier.reservation, &context.facts.lot);
        let last = match entries.last() {
            Some(entry) => Some(self.document(&entry.number).await?),
            None => None,
        };
        let position = entries.last().map_or(0, |entry| entry.position) + 1;
        let spot = context.facts.directory.get(r.spot).filter(|_| lot.kind == LotKind::Assigned);
        let evidence = Evidence {
            lot,
            reservation: r,
            spot: spot.map(|spot| spot.number.as_str()),
            price: explain::owed(r, context.rules()),
            issued: entries,
            taxed: last.as_ref().map_or(&[], |last| last.price.taxes()),
        };
        let series = Series::at(lot, now_s);
        let newest = self.newest_serial(&series).await?;
        for serial in (newest + 1..).take(TAKEN_MAX as usize) {
            let number = Number { series: series.clone(), serial };
            let document = evidence.issue(due, number, now_s).map_err(|error| damaged(r.id, error))?;
            let writes = vec![
                put_once(&self.tables.ledger, document_item::write(&document)?)?,
                put_once(&self.tables.records, document_item::write_entry(&document.entry(position)))?,
                self.payment_is_still(due)?,
            ];
            match transact::write(&self.client, writes).await? {
                Outcome::Committed => return Ok(Some(document)),
                Outcome::Cancelled(reasons) if only_the_number_is_taken(&reasons) => {}
                Outcome::Cancelled(_) => return Ok(None),
            }
        }
        Err(contended())
    }

    async fn document(&self, number: &Number) -> Result<Document, StoreError> {
        let key = keyed(keys::series_partition(&number.series), keys::serial_sort(number.serial));
        let get = self.client.get_item().table_name(&self.tables.ledger).set_key(Some(key.clone()));
        let answer = get.consistent_read(true).send().await.map_err(|error| classify("GetItem", &error))?;
        // Both are written together and neither is ever deleted.
        let missing = || Reader(&key).corrupt("the reservation names a document that is not there");
        document_item::read(answer.item().ok_or_else(missing)?)
    }

    /// The last number of a series that is taken; 0 if none is.
    async fn newest_serial(&self, series: &Series) -> Result<u32, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.tables.ledger)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::series_partition(series)))
            .scan_index_forward(false)
            .limit(1)
            .consistent_read(true);
        let answer = query.send().await.map_err(|error| classify("Query", &error))?;
        let serial = |item: &Item| Reader(item).parsed(keys::SK, |sk| sk.parse().ok());
        answer.items().first().map_or(Ok(0), serial)
    }

    fn payment_is_still(&self, due: &Due<'_>) -> Result<TransactWriteItem, StoreError> {
        let (partition, sort) = keys::payment_key(due.payment.id);
        let check = ConditionCheck::builder()
            .table_name(&self.tables.records)
            .set_key(Some(keyed(partition, sort)))
            .condition_expression("#v = :v")
            .expression_attribute_names("#v", VERSION)
            .expression_attribute_values(":v", number(due.payment.version));
        let check =
            check.build().map_err(|error| StoreError::Refused { operation: "Check", cause: error.to_string() })?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

fn put_once(table: &str, item: Item) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression("attribute_not_exists(pk)");
    let put = put.build().map_err(|error| StoreError::Refused { operation: "Put", cause: error.to_string() })?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn only_the_number_is_taken(reasons: &[CancellationReason]) -> bool {
    let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    reasons.iter().enumerate().all(|(position, reason)| failed(reason) == (position == NUMBER))
}

/// Price and payment are of one reservation, so this is a bug.
fn damaged(id: ReservationId, error: tariff::TariffError) -> CommandError {
    CommandError::Store(StoreError::Corrupt { key: id.to_string(), why: error.to_string() })
}
