//! Transactions whose parts have names, so that what cancelled one is asked for by name.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};

use super::item::Attributes;
use super::write::{TRIES_MAX, pause};
use super::{StoreError, Table, unavailable};

/// What a part of a transaction writes or demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Order,
    Refund,
    /// The guard of a refund's number.
    Guard,
}

/// What became of a transaction.
pub(super) enum Transacted {
    Done,
    Cancelled(Cancelled),
}

/// A transaction that was cancelled by conditions that did not hold, and by nothing else.
pub(super) struct Cancelled {
    action: &'static str,
    reasons: Vec<(Part, CancellationReason)>,
}

impl Cancelled {
    /// Whether the condition of this part did not hold.
    pub(super) fn by(&self, part: Part) -> bool {
        self.reason(part).is_some()
    }

    /// The item that the condition of this part did not hold for; `None` where there is none, or the
    /// condition held.
    pub(super) fn item(&self, part: Part) -> Option<&Attributes> {
        self.reason(part)?.item()
    }

    /// The error for a cancellation that the conditions do not explain.
    pub(super) fn unexplained(&self) -> StoreError {
        unexplained(self.action)
    }

    fn reason(&self, part: Part) -> Option<&CancellationReason> {
        let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
        let mut reasons = self.reasons.iter();
        reasons
            .find(|(its, reason)| *its == part && failed(reason))
            .map(|(_, reason)| reason)
    }
}

/// What a transaction was cancelled for.
enum Cause {
    /// Conditions that did not hold, and nothing else: this decides.
    Conditions,
    /// Something that passes. Conditions that failed beside it decide nothing: while another
    /// transaction is half-way, one item can show its outcome and the next still be held.
    Passing,
    /// Something that no repeat mends.
    Otherwise,
}

impl Cause {
    fn of(reasons: &[CancellationReason]) -> Self {
        let mut cause = Self::Conditions;
        for reason in reasons {
            match reason.code().unwrap_or("None") {
                "None" | "ConditionalCheckFailed" => {}
                "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" => {
                    cause = Self::Passing;
                }
                _ => return Self::Otherwise,
            }
        }
        cause
    }
}

impl Table {
    /// Sends a transaction, all or nothing; one that met another, or too little room, was not made and
    /// is tried again as a new one, [`TRIES_MAX`] times in all.
    pub(super) async fn transact(
        &self,
        action: &'static str,
        parts: impl IntoIterator<Item = (Part, TransactWriteItem)>,
    ) -> Result<Transacted, StoreError> {
        let (labels, writes): (Vec<Part>, Vec<TransactWriteItem>) = parts.into_iter().unzip();
        let mut attempt = 1;
        loop {
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .send()
                .await;
            let error = match sent {
                Ok(_) => return Ok(Transacted::Done),
                Err(error) => error,
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(unavailable(action, &error));
            };
            let reasons = cancelled.cancellation_reasons();
            match Cause::of(reasons) {
                Cause::Conditions => {
                    let reasons = labels.into_iter().zip(reasons.iter().cloned()).collect();
                    return Ok(Transacted::Cancelled(Cancelled { action, reasons }));
                }
                Cause::Passing if attempt < TRIES_MAX => pause(attempt).await,
                Cause::Passing | Cause::Otherwise => {
                    let codes: Vec<&str> = reasons.iter().filter_map(|it| it.code()).collect();
                    return Err(StoreError::Unavailable {
                        action,
                        cause: format!("TransactionCanceledException: {}", codes.join(", ")),
                    });
                }
            }
            attempt += 1;
        }
    }
}

/// The error for what the table refused without saying why.
pub(super) fn unexplained(action: &'static str) -> StoreError {
    StoreError::Unavailable {
        action,
        cause: "refused for no known reason".to_owned(),
    }
}
