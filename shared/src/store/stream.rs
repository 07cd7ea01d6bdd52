//! What a record of the table's stream tells: the item as it became, and its version before; for a replay
//! ([`OrderRecords`]) the same items read from the table.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use super::StoreError;
use super::item::{Attributes, ItemReader, ORDER_SORT_KEY, REFUND_PREFIX, order_key};
use super::order::stored_order;
use super::refund::stored_refund;
use super::{StoredOrder, StoredRefund, Table, unavailable};
use crate::domain::{Event, EventLog, OrderId};

/// A record that can have events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredRecord {
    /// An order.
    Order(Box<StoredOrder>),
    /// A refund.
    Refund(Box<StoredRefund>),
}

impl StoredRecord {
    /// The item's events and its version.
    fn log(&self) -> (&EventLog, u64) {
        match self {
            Self::Order(stored) => (&stored.order.events, stored.order.version),
            Self::Refund(stored) => (&stored.refund.events, stored.refund.version),
        }
    }

    /// The events of the changes since this version: none without a change, however often or in which
    /// order records come.
    pub fn events_since(&self, version: u64) -> Vec<Event> {
        let (log, reached) = self.log();
        log.since(version)
            .filter(|event| event.version <= reached)
            .copied()
            .collect()
    }
}

/// A change of an item, as the stream tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The item afterwards.
    pub item: StoredRecord,
    /// Its version before; 0 where there was none.
    pub version_before: u64,
}

impl Change {
    /// Reads a record of the stream as Lambda hands it over; `None` where it is of an item that has no
    /// events, or of one that is gone.
    ///
    /// # Errors
    /// The item cannot be read; no repeat mends that.
    pub fn read(record: &Value) -> Result<Option<Self>, StoreError> {
        let change = &record["dynamodb"];
        let Some(image) = change["NewImage"].as_object() else {
            return Ok(None);
        };
        let attributes = image
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), attribute(value)?)))
            .collect();
        let Some(item) = stored_record(&attributes)? else {
            return Ok(None);
        };
        let version_before = match change["OldImage"].as_object() {
            None => 0,
            Some(image) => image
                .get("version")
                .and_then(|version| version["N"].as_str()?.parse().ok())
                .ok_or_else(|| {
                    ItemReader::new(&attributes).unreadable("it had no version before")
                })?,
        };
        Ok(Some(Self {
            item,
            version_before,
        }))
    }
}

/// Reads an order with its refunds as their events are told: for a replay.
#[derive(Clone, Debug)]
pub struct OrderRecords(Table);

impl OrderRecords {
    /// The orders and refunds of this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The order and its refunds, read consistently; of one that cannot be read, why.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn of_order(
        &self,
        order_id: &OrderId,
    ) -> Result<Vec<Result<StoredRecord, StoreError>>, StoreError> {
        let mut found = Vec::new();
        let mut pages = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", order_key(order_id))
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| unavailable("Query an order's events", &error))?;
            found.extend(
                page.items()
                    .iter()
                    .filter_map(|item| stored_record(item).transpose()),
            );
        }
        Ok(found)
    }
}

/// Reads an item that can have events; `None` where it is of another kind.
fn stored_record(attributes: &Attributes) -> Result<Option<StoredRecord>, StoreError> {
    let reader = ItemReader::new(attributes);
    let (partition, sort) = (reader.text("pk")?, reader.text("sk")?);
    if !partition.starts_with("ORDER#") {
        return Ok(None);
    }
    if sort == ORDER_SORT_KEY {
        return Ok(Some(StoredRecord::Order(Box::new(stored_order(&reader)?))));
    }
    if sort.starts_with(REFUND_PREFIX) {
        return Ok(Some(StoredRecord::Refund(Box::new(stored_refund(
            &reader,
        )?))));
    }
    Ok(None)
}

/// An attribute as DynamoDB writes it in JSON; of the types that no item here has, none.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => Some(AttributeValue::S(text.clone())),
        ("N", Value::String(number)) => Some(AttributeValue::N(number.clone())),
        ("BOOL", Value::Bool(flag)) => Some(AttributeValue::Bool(*flag)),
        _ => None,
    }
}
