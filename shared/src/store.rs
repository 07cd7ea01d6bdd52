//! The one table: every write is conditional, and what became of it is a value.
//!
//! Each handle below is a capability: a function holds those it needs, and its role in
//! `template.yaml` allows exactly their actions. Items are mapped by hand (`item`), described in
//! `docs/data-model.md`. A lost answer of a write is safe to repeat: every condition reads the same
//! whoever wrote the item.

mod batch_reader;
mod catalogue;
mod certificates;
mod evidence;
mod index;
mod item;
mod listed;
mod order;
mod refund;
mod stream;
mod transaction;
mod update;
mod write;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::KeysAndAttributes;
use item::Attributes;
use write::{TRIES_MAX, pause};

pub use batch_reader::{BatchReader, RECORDS_MAX};
pub use catalogue::{Article, Catalogue};
pub use certificates::{CertificateKeeper, Certificates, SealedCertificates};
pub use evidence::{Evidence, EvidenceOf};
pub use index::{DueIndex, DueItem, DuePage, Lane, PayerIndex, PayerPage, SHARDS};
pub use listed::{ListIndex, RefundKey};
pub use order::{KeptPrepay, Orders, Placed, PrepayClaim, StoredOrder};
pub use refund::{
    Approval, Guard, RefundCommit, Refunds, Reserve, SendClaim, SendSlot, StoredRefund,
};
pub use stream::{Change, OrderRecords, StoredRecord};

/// The table and the client to reach it; handles are made from it.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table of this name.
    pub const fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The items of these keys (at most 100, no two equal) that there are, in no order; where the
    /// table answers a part only, it is asked for the rest.
    async fn batch(
        &self,
        action: &'static str,
        mut keys: Vec<Attributes>,
        consistent: bool,
    ) -> Result<Vec<Attributes>, StoreError> {
        let mut found = Vec::new();
        for attempt in 0..TRIES_MAX {
            if attempt > 0 {
                pause(attempt).await;
            }
            let asked = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(consistent)
                .build()
                .map_err(|_| StoreError::Unavailable {
                    action,
                    cause: "the request could not be built".to_owned(),
                })?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.name, asked)
                .send()
                .await
                .map_err(|error| unavailable(action, &error))?;
            let mut responses = answer.responses.unwrap_or_default();
            found.append(&mut responses.remove(&self.name).unwrap_or_default());
            let mut undone = answer.unprocessed_keys.unwrap_or_default();
            keys = match undone.remove(&self.name) {
                Some(rest) if !rest.keys.is_empty() => rest.keys,
                Some(_) | None => return Ok(found),
            };
        }
        Err(StoreError::Unavailable {
            action,
            cause: "a part only".to_owned(),
        })
    }
}

/// Whether a conditional write of a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The record is as asked.
    Done,
    /// Somebody else changed the record first: load again and decide again.
    Conflict,
}

/// What can go wrong with the table.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The table did not answer, or said it could not now; the write may have been made.
    #[error("the table did not complete {action}: {cause}")]
    Unavailable {
        /// The action.
        action: &'static str,
        /// The service's error code or the kind of transport failure.
        cause: String,
    },
    /// The table is well, but others changed the item each time this was tried.
    #[error("{action}: others changed the record each time")]
    Contended {
        /// The action.
        action: &'static str,
    },
    /// An item that this version cannot read, or that contradicts what was written with it.
    #[error("the item {key} cannot be used: {cause}")]
    Unreadable {
        /// The item's partition key.
        key: String,
        /// Which attribute, and what is wrong.
        cause: String,
    },
}

/// Keeps the service's code and leaves the request out of the text: it holds personal data.
fn unavailable<E: ProvideErrorMetadata, R>(
    action: &'static str,
    error: &SdkError<E, R>,
) -> StoreError {
    if error.code() == Some("TransactionConflictException") {
        return StoreError::Contended { action };
    }
    let cause = match error {
        SdkError::ConstructionFailure(_) => "the request could not be built".to_owned(),
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        SdkError::ResponseError(_) => "an unreadable answer".to_owned(),
        SdkError::ServiceError(service) => service.err().code().unwrap_or("no code").to_owned(),
        _ => "an error of an unknown kind".to_owned(),
    };
    StoreError::Unavailable { action, cause }
}
