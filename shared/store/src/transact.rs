//! One transaction, sent until its outcome is known.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};

use crate::error::{StoreError, classify};

/// DynamoDB's limit on the items of one transaction.
pub(crate) const TRANSACTION_ITEMS_MAX: usize = 100;
/// How often a transaction that collided with another in flight is sent again. The SDK does not retry a `TransactionConflict`;
/// at 8 ms per collision and 30 % collisions, ten tries fail six times in a million.
const CONFLICT_TRIES_MAX: u32 = 10;
/// First wait after a collision; doubles up to [`CONFLICT_WAIT_MAX_MS`].
const CONFLICT_WAIT_MS: u64 = 2;
/// A collision ends within tens of milliseconds, so longer waits only add latency.
const CONFLICT_WAIT_MAX_MS: u64 = 64;

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All of it was written.
    Committed,
    /// Nothing was written: a condition did not hold. One reason per item, in order, with the item's current value.
    Cancelled(Vec<CancellationReason>),
}

/// The token by which the SDK's own resends of one attempt are recognised. It is random: one derived from the content would make the
/// store answer an identical later request with an earlier success, without writing anything.
fn request_token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Sends a transaction. Throttling and time-outs are the SDK's to retry; collisions are retried here.
pub(crate) async fn write(client: &Client, items: Vec<TransactWriteItem>) -> Result<Outcome, StoreError> {
    const OPERATION: &str = "TransactWriteItems";
    if items.len() > TRANSACTION_ITEMS_MAX {
        let cause = format!("{} items are more than the {TRANSACTION_ITEMS_MAX} of one transaction", items.len());
        return Err(StoreError::Refused { operation: OPERATION, cause });
    }
    for tried in 0..CONFLICT_TRIES_MAX {
        let request = client.transact_write_items().set_transact_items(Some(items.clone()));
        match request.client_request_token(request_token()).send().await {
            Ok(_) => return Ok(Outcome::Committed),
            Err(error) => match cancellation(&error) {
                None => return Err(classify(OPERATION, &error)),
                Some(reasons) if collided(reasons) => wait(tried).await,
                // Not a condition: an item that is too large, for one. It would never be written.
                Some(reasons) if let Some(code) = invalid(reasons) => {
                    return Err(StoreError::Refused { operation: OPERATION, cause: code.to_owned() });
                }
                Some(reasons) => return Ok(Outcome::Cancelled(reasons.to_vec())),
            },
        }
    }
    Err(busy(OPERATION))
}

/// Sends a conditional put that is not part of a transaction but may meet one in flight; `false` if its condition did not hold.
pub(crate) async fn put(put: PutItemFluentBuilder) -> Result<bool, StoreError> {
    for tried in 0..CONFLICT_TRIES_MAX {
        match put.clone().send().await {
            Ok(_) => return Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => return Ok(false),
                Some(PutItemError::TransactionConflictException(_)) => wait(tried).await,
                _ => return Err(classify("PutItem", &error)),
            },
        }
    }
    Err(busy("PutItem"))
}

fn busy(operation: &'static str) -> StoreError {
    StoreError::Unavailable { operation, cause: "other transactions kept the items busy".to_owned() }
}

fn cancellation<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<&[CancellationReason]> {
    match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => Some(cancelled.cancellation_reasons()),
        _ => None,
    }
}

/// Whether the transaction only met others in flight (or a throttle): a failed condition is final, a collision is not.
fn collided(reasons: &[CancellationReason]) -> bool {
    let mut codes = reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None").peekable();
    let transient =
        |code: &str| matches!(code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded");
    codes.peek().is_some() && codes.all(transient)
}

/// The reason for which a transaction is refused whatever the items hold.
fn invalid(reasons: &[CancellationReason]) -> Option<&str> {
    let codes = reasons.iter().filter_map(CancellationReason::code);
    codes
        .into_iter()
        .find(|code| matches!(*code, "ValidationError" | "ItemCollectionSizeLimitExceeded" | "AccessDenied"))
}

async fn wait(tried: u32) {
    let ceiling = CONFLICT_WAIT_MS.saturating_mul(1 << tried.min(6)).min(CONFLICT_WAIT_MAX_MS);
    let jitter = uuid::Uuid::new_v4().as_u128() % u128::from(ceiling) + 1;
    tokio::time::sleep(Duration::from_millis(u64::try_from(jitter).unwrap_or(ceiling))).await;
}
