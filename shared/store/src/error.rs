//! What went wrong with the store, by what the caller may do about it. SDK errors are classified here and nowhere else.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::SdkError as Raw;
use thiserror::Error;

/// A failure of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Throttled, timed out or unreachable. Whether a write happened is unknown; asking again is safe.
    #[error("the store did not answer ({operation}): {cause}")]
    Unavailable {
        /// The DynamoDB operation.
        operation: &'static str,
        /// For people.
        cause: String,
    },
    /// A stored item is not what this version writes. A person has to look.
    #[error("the item {key} cannot be read: {why}")]
    Corrupt {
        /// Partition and sort key.
        key: String,
        /// For people.
        why: String,
    },
    /// The store understood and refused: a bug or a missing permission.
    #[error("the store refused {operation}: {cause}")]
    Refused {
        /// The DynamoDB operation.
        operation: &'static str,
        /// For people.
        cause: String,
    },
}

/// Error codes after which the same request may be sent again.
const TRANSIENT: [&str; 8] = [
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "InternalServerError",
    "InternalServerErrorException",
    "ServiceUnavailable",
    "TransactionInProgressException",
    "ReplicatedWriteConflictException",
];

/// Classifies an error of the SDK. An unknown failure is never "not found" and never "did not happen".
pub(crate) fn classify<E>(operation: &'static str, error: &SdkError<E, impl std::fmt::Debug>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let cause = format!("{}", aws_smithy_types::error::display::DisplayErrorContext(SourceOf(error)));
    match error {
        Raw::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            if TRANSIENT.contains(&code) {
                StoreError::Unavailable { operation, cause }
            } else {
                StoreError::Refused { operation, cause }
            }
        }
        Raw::ConstructionFailure(_) => StoreError::Refused { operation, cause },
        _ => StoreError::Unavailable { operation, cause },
    }
}

/// `SdkError` prints only "service error": this shows it with its sources, whatever the type of its raw response.
struct SourceOf<'a, E, R>(&'a SdkError<E, R>);

impl<E: std::error::Error + 'static, R: std::fmt::Debug> std::fmt::Debug for SourceOf<'_, E, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SdkError")
    }
}

impl<E: std::error::Error + 'static, R: std::fmt::Debug> std::fmt::Display for SourceOf<'_, E, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<E: std::error::Error + 'static, R: std::fmt::Debug> std::error::Error for SourceOf<'_, E, R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
