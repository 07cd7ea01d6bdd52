//! The indexes `due` and `payer`: what the sweep looks at, and a payer's orders. They only suggest; every decision is
//! taken on the item itself.

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use super::item::{self, Attributes, ItemReader};
use super::update::Update;
use super::write::commit;
use super::{Commit, StoreError, Table, unavailable};
use crate::domain::{Due, Openid, Order, OrderId, OrderState, RefundId, Timestamp};

/// How many shards each lane of the due index has.
///
/// One index partition takes about 1 000 writes a second; ten leave room for the 500 orders a second
/// that WeChat Pay takes of one merchant. An item keeps its shard until it is written again, and the
/// shards of both lanes are numbered through: with another number, items of one lane are found in the
/// other until then, and nobody looks at those in shards that went.
const LANE_SHARDS: u32 = 10;

/// How many shards the due index has in all.
pub const SHARDS: u32 = 2 * LANE_SHARDS;

/// A lane of the due index: what stands in one is not held up by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// What somebody waits for: refunds, and orders that are being closed.
    First,
    /// Orders that may be paid, of which one caller can make many.
    Later,
}

impl Lane {
    /// The lane of an order.
    pub(super) const fn of_order(order: &Order) -> Self {
        match order.state {
            OrderState::Closing { .. } => Self::First,
            OrderState::NotPay | OrderState::Closed { .. } | OrderState::Success(_) => Self::Later,
        }
    }

    /// Its shards.
    pub const fn shards(self) -> std::ops::Range<u32> {
        match self {
            Self::Later => 0..LANE_SHARDS,
            Self::First => LANE_SHARDS..SHARDS,
        }
    }
}

/// How many pages of a shard are read for one answer at most.
const PAGES_MAX: u32 = 40;

fn shard(lane: Lane, key: &str) -> String {
    let place = place_of(key, LANE_SHARDS);
    (lane.shards().start + place).to_string()
}

/// A number's place among so many shards, at most 256.
pub(super) fn place_of(key: &str, shards: u32) -> u32 {
    let digest = Sha256::digest(key.as_bytes());
    u32::from(digest[0]) % shards
}

/// The attributes that put an item on the due index, or take it off.
pub(super) fn due_attributes(
    line: Lane,
    key: &str,
    due: Option<Due>,
) -> [(&'static str, Option<AttributeValue>); 3] {
    [
        ("due_shard", due.map(|_| item::text(shard(line, key)))),
        ("due_at", due.map(|due| item::timestamp(due.at))),
        (
            "due_attempts",
            due.and_then(|due| (due.attempts > 0).then(|| item::integer(due.attempts))),
        ),
    ]
}

/// What the due index points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueItem {
    /// An order.
    Order(OrderId),
    /// A refund of an order.
    Refund(OrderId, RefundId),
}

impl DueItem {
    fn parse(partition: &str, sort: &str) -> Option<Self> {
        let order_id = OrderId::parse(partition.strip_prefix("ORDER#")?).ok()?;
        if sort == item::ORDER_SORT_KEY {
            return Some(Self::Order(order_id));
        }
        let refund_id = RefundId::parse(sort.strip_prefix(item::REFUND_PREFIX)?).ok()?;
        Some(Self::Refund(order_id, refund_id))
    }

    fn key(&self) -> (AttributeValue, AttributeValue) {
        match self {
            Self::Order(order_id) => (item::order_key(order_id), item::text(item::ORDER_SORT_KEY)),
            Self::Refund(order_id, refund_id) => {
                (item::order_key(order_id), item::refund_sort_key(refund_id))
            }
        }
    }
}

/// A page of what is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// What is due since when, the longest due first.
    pub items: Vec<(DueItem, Timestamp)>,
    /// How many entries were passed over because this version does not know what they point at.
    pub unreadable: u32,
}

/// Finds what is due and claims it. Held by sweep alone.
#[derive(Clone, Debug)]
pub struct DueIndex(pub(super) Table);

impl DueIndex {
    /// The index of this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// What is due in one shard, the longest due first, at most `limit`. Entries that point at
    /// nothing this version knows hold up nobody: they are passed over and counted.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn due(&self, shard: u32, now: Timestamp, limit: i32) -> Result<DuePage, StoreError> {
        let most = usize::try_from(limit).unwrap_or_default();
        let mut found = DuePage::default();
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let page = self
                .0
                .client
                .query()
                .table_name(&self.0.name)
                .index_name("due")
                .key_condition_expression("due_shard = :shard AND due_at <= :now")
                .expression_attribute_values(":shard", item::text(shard.to_string()))
                .expression_attribute_values(":now", item::timestamp(now))
                .limit(limit)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| unavailable("Query due", &error))?;
            for attributes in page.items() {
                if found.items.len() == most {
                    return Ok(found);
                }
                match due_entry(&ItemReader::new(attributes)) {
                    Some(entry) => found.items.push(entry),
                    None => found.unreadable += 1,
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() || found.items.len() == most {
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// Claims an item by moving its due time from `seen` to `until`; a second claim from the same
    /// `seen` is a conflict. The version stays.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn claim(
        &self,
        due: &DueItem,
        seen: Timestamp,
        until: Timestamp,
    ) -> Result<Commit, StoreError> {
        let (partition, sort) = due.key();
        let update = Update::default()
            .assign([("due_at", Some(item::timestamp(until)))])
            .clause("due_attempts = if_not_exists(due_attempts, :zero) + :one")
            .value("zero", item::integer(0))
            .value("one", item::integer(1))
            .value("seen", item::timestamp(seen));
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .key("pk", partition)
            .key("sk", sort)
            .update_expression(update.expression())
            .condition_expression("#due_at = :seen")
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values));
        commit("claim a due item", update).await
    }
}

/// What an entry of the due index points at, since when; `None` where it is not one of ours.
fn due_entry(reader: &ItemReader<'_>) -> Option<(DueItem, Timestamp)> {
    let (partition, sort) = (reader.text("pk").ok()?, reader.text("sk").ok()?);
    Some((
        DueItem::parse(partition, sort)?,
        reader.timestamp("due_at").ok()?,
    ))
}

/// One page of a payer's orders.
#[derive(Clone, Debug)]
pub struct PayerPage {
    /// The orders, newest first.
    pub order_ids: Vec<OrderId>,
    /// Where the next page starts: the last order's number and its moment.
    pub next: Option<(OrderId, Timestamp)>,
}

/// Lists a payer's own orders.
#[derive(Clone, Debug)]
pub struct PayerIndex(pub(super) Table);

impl PayerIndex {
    /// The index of this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The payer's orders that were placed after `since`, newest first, at most `limit`. The index may
    /// lag the table by moments.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn placed_since(
        &self,
        openid: &Openid,
        since: Timestamp,
        limit: i32,
    ) -> Result<Vec<OrderId>, StoreError> {
        let answer = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .index_name("payer")
            .key_condition_expression("openid = :openid AND created_at > :since")
            .expression_attribute_values(":openid", item::text(openid.as_str()))
            .expression_attribute_values(":since", item::timestamp(since))
            .scan_index_forward(false)
            .limit(limit)
            .send()
            .await
            .map_err(|error| unavailable("Query payer", &error))?;
        order_ids(answer.items())
    }

    /// A page of the payer's orders, newest first, starting after `after`. The index may lag the
    /// table by moments.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn page(
        &self,
        openid: &Openid,
        after: Option<(OrderId, Timestamp)>,
        limit: i32,
    ) -> Result<PayerPage, StoreError> {
        let start = after.map(|(order_id, created_at)| {
            Attributes::from([
                ("pk".to_owned(), item::order_key(&order_id)),
                ("sk".to_owned(), item::text(item::ORDER_SORT_KEY)),
                ("openid".to_owned(), item::text(openid.as_str())),
                ("created_at".to_owned(), item::timestamp(created_at)),
            ])
        });
        let answer = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .index_name("payer")
            .key_condition_expression("openid = :openid")
            .expression_attribute_values(":openid", item::text(openid.as_str()))
            .scan_index_forward(false)
            .limit(limit)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| unavailable("Query payer", &error))?;
        let mut page = PayerPage {
            order_ids: order_ids(answer.items())?,
            next: None,
        };
        if let Some(last) = answer.last_evaluated_key() {
            let reader = ItemReader::new(last);
            if let Some(Ok(order_id)) = reader
                .text("pk")?
                .strip_prefix("ORDER#")
                .map(OrderId::parse)
            {
                page.next = Some((order_id, reader.timestamp("created_at")?));
            }
        }
        Ok(page)
    }
}

/// The orders that entries of the payer index point at.
fn order_ids(entries: &[Attributes]) -> Result<Vec<OrderId>, StoreError> {
    let mut order_ids = Vec::new();
    for attributes in entries {
        let key = ItemReader::new(attributes).text("pk")?;
        if let Some(Ok(order_id)) = key.strip_prefix("ORDER#").map(OrderId::parse) {
            order_ids.push(order_id);
        }
    }
    Ok(order_ids)
}
