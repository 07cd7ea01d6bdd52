//! The index `listed`: what the merchant lists, by day. It only suggests; what a row points at is read
//! again.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use super::index::place_of;
use super::item::{self, Attributes, ItemReader};
use super::{StoreError, Table, unavailable};
use crate::domain::list::{Direction, Page, Row, ShardRead, page};
use crate::domain::{BeijingDay, Order, OrderId, Timestamp};
use crate::rfc3339::beijing_day;

/// In how many shards the orders of a day lie. One index partition takes 1 000 writes a second; an order
/// keeps its shard for ever, so these may become more and never fewer.
const ORDER_SHARDS: u32 = 10;

/// How many rows of a shard are read at a time once a page's worth was not enough: more than a partition
/// can take in one second, so that this ends whatever the seconds hold.
const ROWS_MAX: i32 = 1_000;

/// The attribute that puts an order on the index; `created_at`, which every order has, is its place.
pub(super) fn order_shard(order: &Order) -> (&'static str, AttributeValue) {
    let terms = &order.terms;
    let day = beijing_day(terms.created_at);
    let place = place_of(terms.order_id.as_str(), ORDER_SHARDS);
    ("list_shard", item::text(format!("ORDER#{day}#{place}")))
}

/// Lists orders for the merchant.
#[derive(Clone, Debug)]
pub struct ListIndex(Table);

impl ListIndex {
    /// The index of this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The `size` orders of the day behind `after`, newest first. The index may lag the table by moments.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn orders_of(
        &self,
        day: BeijingDay,
        after: Option<&Row<OrderId>>,
        size: usize,
    ) -> Result<Page<OrderId>, StoreError> {
        let direction = Direction::NewestFirst;
        let until = after.map_or(day.ends_at().minus_seconds(1), |after| after.at);
        let span = Span {
            from: day.starts_at(),
            until,
        };
        let day = beijing_day(day.starts_at());
        let shards = (0..ORDER_SHARDS).map(|place| format!("ORDER#{day}#{place}"));
        let reads = shards.map(|shard| self.shard(shard, span, after, direction, size, order_of));
        let reads = try_join_all(reads).await?;
        Ok(page(&reads, after, direction, size))
    }

    /// Reads a shard until it has more complete rows behind `after` than a page, or ends.
    async fn shard<K: Ord>(
        &self,
        shard: String,
        span: Span,
        after: Option<&Row<K>>,
        direction: Direction,
        size: usize,
        key_of: impl Fn(&ItemReader<'_>) -> Option<K>,
    ) -> Result<ShardRead<K>, StoreError> {
        let mut read = ShardRead {
            rows: Vec::new(),
            more: true,
        };
        let mut start = None;
        let mut limit = i32::try_from(size).map_or(ROWS_MAX, |size| size.saturating_add(2));
        while read.more && read.complete(after, direction).count() <= size {
            let answer = self
                .0
                .client
                .query()
                .table_name(&self.0.name)
                .index_name("listed")
                .key_condition_expression(
                    "list_shard = :shard AND created_at BETWEEN :from AND :until",
                )
                .expression_attribute_values(":shard", item::text(&shard))
                .expression_attribute_values(":from", item::timestamp(span.from))
                .expression_attribute_values(":until", item::timestamp(span.until))
                .scan_index_forward(direction == Direction::OldestFirst)
                .limit(limit)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| unavailable("Query listed", &error))?;
            read.rows.extend(
                answer
                    .items()
                    .iter()
                    .filter_map(|entry| row(entry, &key_of)),
            );
            start = answer.last_evaluated_key;
            read.more = start.is_some();
            limit = ROWS_MAX;
        }
        Ok(read)
    }
}

/// From when until when, both included; `from` is not after `until`.
#[derive(Clone, Copy)]
struct Span {
    from: Timestamp,
    until: Timestamp,
}

/// A row of the index; `None` where it points at nothing that this version knows.
fn row<K>(entry: &Attributes, key_of: impl Fn(&ItemReader<'_>) -> Option<K>) -> Option<Row<K>> {
    let reader = ItemReader::new(entry);
    Some(Row {
        at: reader.timestamp("created_at").ok()?,
        key: key_of(&reader)?,
    })
}

fn order_of(reader: &ItemReader<'_>) -> Option<OrderId> {
    if reader.text("sk").ok()? != item::ORDER_SORT_KEY {
        return None;
    }
    OrderId::parse(reader.text("pk").ok()?.strip_prefix("ORDER#")?).ok()
}
