//! Evidence: what was signed by WeChat Pay and refused or set aside here, kept for a person.

use super::item::{text, timestamp};
use super::write::retry_conflicts;
use super::{StoreError, Table, unavailable};
use crate::domain::Timestamp;

/// How long evidence is kept, in seconds: 45 days, well beyond the 24 hours of WeChat's retries.
const KEPT_SECONDS: i64 = 45 * 24 * 60 * 60;

/// What is kept of one notice; the sealed body stays sealed.
#[derive(Clone, Debug)]
pub struct EvidenceOf<'a> {
    /// The notice's id; anything not of the key alphabet is replaced by its digest by the caller.
    pub notice_id: &'a str,
    /// The calendar day, `yyyymmdd`, Beijing.
    pub day: &'a str,
    /// The event's type as sent, at most 64 characters.
    pub event_type: &'a str,
    /// What was decided and why, for a person.
    pub outcome: &'a str,
    /// The order's number, where it could be read.
    pub out_trade_no: Option<&'a str>,
    /// The envelope as received, still sealed.
    pub envelope: &'a str,
}

/// Writes evidence. Held by notify-callback alone.
#[derive(Clone, Debug)]
pub struct Evidence(Table);

impl Evidence {
    /// Evidence goes into this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Keeps the evidence; a repeat of the same notice changes nothing.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn keep(&self, evidence: &EvidenceOf<'_>, now: Timestamp) -> Result<(), StoreError> {
        const ACTION: &str = "PutItem evidence";
        let put = self
            .0
            .client
            .put_item()
            .table_name(&self.0.name)
            .item("pk", text(format!("NOTICE#{}", evidence.day)))
            .item("sk", text(format!("NOTICE#{}", evidence.notice_id)))
            .item("event_type", text(evidence.event_type))
            .item("outcome", text(evidence.outcome))
            .item("out_trade_no", text(evidence.out_trade_no.unwrap_or("-")))
            .item("envelope", text(evidence.envelope))
            .item("received_at", timestamp(now))
            .item("expires_at", timestamp(now.plus_seconds(KEPT_SECONDS)))
            .condition_expression("attribute_not_exists(pk)");
        match retry_conflicts(|| put.clone().send()).await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(aws_sdk_dynamodb::operation::put_item::PutItemError::is_conditional_check_failed_exception) => Ok(()),
            Err(error) => Err(unavailable(ACTION, &error)),
        }
    }
}
