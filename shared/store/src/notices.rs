//! Which messages were sent: at most one per event, whoever asks and however often.
//!
//! The item of an event is written before its message is sent, so a process that dies in between leaves a message that is never sent
//! rather than one that is sent twice. While quiet hours last the same item says what waits.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use parkade_domain::ids::ReservationId;
use parkade_domain::notice::Occasion;

use crate::attributes::{Item, Reader, keyed, text};
use crate::error::{StoreError, classify};
use crate::items::notice as items;
use crate::{Store, keys, transact};

/// How long an event is remembered: longer than a queue and its dead letters keep a message, 14 days each.
const KEPT_S: i64 = 60 * 86_400;

/// Condition: nobody has sent it, and it does not wait either.
const UNKNOWN: &str = "attribute_not_exists(pk)";
/// Condition: it waits and nobody sends it.
const WAITS: &str = "attribute_exists(pk) AND attribute_not_exists(#by)";
/// Condition: it is ours.
const OURS: &str = "#by = :by";

/// A message that waits for the end of quiet hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingNotice {
    /// The event that causes it.
    pub event_id: String,
    /// What it is about.
    pub reservation: ReservationId,
    /// What happened.
    pub occasion: Occasion,
    /// Since when it waits, epoch seconds.
    pub since_s: i64,
    /// When it is looked at again, epoch seconds.
    pub due_at_s: i64,
}

/// One try to send: its name is like no other's, so that a try whose answer was lost recognises itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    name: String,
    expires_at_s: i64,
}

impl Claim {
    /// A new try at `now_s`.
    #[must_use]
    pub fn new(now_s: i64) -> Self {
        Self { name: uuid::Uuid::new_v4().to_string(), expires_at_s: now_s + KEPT_S }
    }
}

impl Store {
    /// Takes the right to send the message of an event; `true` for one caller at most, whatever is retried. With `waits`, of a message
    /// that waits, without, of one that nothing is known of.
    ///
    /// # Errors
    /// [`StoreError`]; [`Self::return_notice`] then makes sure that a later try can have it.
    pub async fn claim_notice(&self, event_id: &str, claim: &Claim, waits: bool) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.records)
            .set_item(Some(items::claimed(event_id, &claim.name, claim.expires_at_s)))
            .condition_expression(if waits { WAITS } else { UNKNOWN })
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = if waits { put.expression_attribute_names("#by", items::CLAIM) } else { put };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let known = failed.item.as_ref().and_then(|item| Reader(item).text_maybe(items::CLAIM));
                    Ok(known == Some(claim.name.as_str()))
                }
                _ => Err(classify("PutItem", &error)),
            },
        }
    }

    /// Gives the right back, because the message was certainly not sent. Nothing happens if the right is not this try's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn return_notice(&self, event_id: &str, claim: &Claim) -> Result<(), StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.tables.records)
            .set_key(Some(keyed(keys::notice_partition(event_id), keys::RESERVATION_SORT)))
            .condition_expression(OURS)
            .expression_attribute_names("#by", items::CLAIM)
            .expression_attribute_values(":by", text(claim.name.as_str()));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(classify("DeleteItem", &error)),
            },
        }
    }

    /// Lets a message wait of which nothing is known; `false` if it was sent or waits already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn let_notice_wait(&self, notice: &WaitingNotice) -> Result<bool, StoreError> {
        let put = self.client.put_item().table_name(&self.tables.records);
        let put = put.set_item(Some(items::waiting(notice, notice.since_s + KEPT_S))).condition_expression(UNKNOWN);
        transact::put(put).await
    }

    /// Lets a message wait on. With `claim` it was certainly not sent by that try, without nobody has tried.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn let_notice_wait_on(&self, notice: &WaitingNotice, claim: Option<&Claim>) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.records)
            .set_item(Some(items::waiting(notice, notice.since_s + KEPT_S)))
            .expression_attribute_names("#by", items::CLAIM);
        let put = match claim {
            None => put.condition_expression(WAITS),
            Some(claim) => put.condition_expression(OURS).expression_attribute_values(":by", text(claim.name.as_str())),
        };
        transact::put(put).await
    }

    /// The events whose messages have waited long enough, in no particular order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notices_due(&self, now_s: i64) -> Result<Vec<String>, StoreError> {
        let found = self.due_items(keys::Due::Notice, now_s).await?;
        let event_id = |item: &Item| Reader(item).parsed(keys::PK, |pk| pk.strip_prefix("N#").map(str::to_owned));
        found.iter().map(event_id).collect()
    }

    /// A message that waits; `None` if it does not any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waiting_notice(&self, event_id: &str) -> Result<Option<WaitingNotice>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.tables.records)
            .set_key(Some(keyed(keys::notice_partition(event_id), keys::RESERVATION_SORT)))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| classify("GetItem", &error))?;
        answer.item.as_ref().map_or(Ok(None), items::read_waiting)
    }
}
