//! Conditional writes: sent again while a transaction holds the item, and read as [`Commit`].

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

use super::{Commit, StoreError, unavailable};
use crate::random::jitter;

/// How often a write is tried that met a transaction, or a batch read that DynamoDB answered in part. The
/// SDK tries neither again by itself.
pub(super) const TRIES_MAX: u32 = 4;

/// How long the first pause between two tries is at most, in milliseconds; each is twice the one
/// before. All of them together stay below half a second.
const PAUSE_MS: u64 = 50;

/// Sends a conditional update.
pub(super) async fn commit(
    action: &'static str,
    update: UpdateItemFluentBuilder,
) -> Result<Commit, StoreError> {
    match retry_conflicts(|| update.clone().send()).await {
        Ok(_) => Ok(Commit::Done),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
        {
            Ok(Commit::Conflict)
        }
        Err(error) => Err(unavailable(action, &error)),
    }
}

/// Sends a single write; one that was refused because it met a transaction on its item was not made,
/// and is tried again.
pub(super) async fn retry_conflicts<T, E: ProvideErrorMetadata, R, F>(
    send: impl Fn() -> F,
) -> Result<T, SdkError<E, R>>
where
    F: Future<Output = Result<T, SdkError<E, R>>>,
{
    for attempt in 1..TRIES_MAX {
        match send().await {
            Err(error) if error.code() == Some("TransactionConflictException") => {
                pause(attempt).await;
            }
            sent => return sent,
        }
    }
    send().await
}

/// Waits between two tries.
pub(super) async fn pause(attempt: u32) {
    tokio::time::sleep(jitter(PAUSE_MS << (attempt - 1))).await;
}
