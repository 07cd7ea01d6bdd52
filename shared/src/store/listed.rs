//! The index `listed`: what the merchant lists, by day. It only suggests; what a row points at is read
//! again.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use super::index::place_of;
use super::item::{self, Attributes, ItemReader};
use super::{StoreError, Table, unavailable};
use crate::domain::paging::{Direction, Page, Row, ShardRead, page};
use crate::domain::{BeijingDay, Order, OrderId, Refund, RefundId, RefundState, Timestamp};
use crate::rfc3339::beijing_day;

/// The shard of the refunds that wait for the merchant, of whatever day.
const REQUESTED: &str = "REFUND#REQUESTED";

/// The shard of the refunds that were sent long after they were asked for, of whatever day. They are few,
/// and whoever looks for what was sent on a day need not read all that was ever asked for.
const LATE: &str = "REFUND#LATE";

/// The shard of the articles, which the operator puts there.
const ARTICLES: &str = "SKU#ALL";

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

/// The attribute that puts a refund on the index: one shard for those that wait for the merchant, then
/// the day on which it was asked for, or one shard for those that were sent late. WeChat Pay takes 150 refunds a second of a merchant, which one
/// partition takes, too.
pub(super) fn refund_shard(refund: &Refund) -> (&'static str, Option<AttributeValue>) {
    let shard = match refund.state {
        RefundState::Requested => REQUESTED.to_owned(),
        RefundState::Reserved
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Success { .. }
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => {
            if refund.is_late() {
                LATE.to_owned()
            } else {
                refunds_of_day(refund.created_at)
            }
        }
    };
    ("list_shard", Some(item::text(shard)))
}

fn refunds_of_day(at: Timestamp) -> String {
    format!("REFUND#{}", beijing_day(at))
}

/// What a row of the refunds' lists points at.
pub type RefundKey = (OrderId, RefundId);

/// Lists orders and refunds for the merchant, and articles for anybody.
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
        let name = beijing_day(day.starts_at());
        let list = List {
            from: day.starts_at(),
            until: day.ends_at().minus_seconds(1),
            direction: Direction::NewestFirst,
            after,
            size,
        };
        let shards = (0..ORDER_SHARDS).map(|place| format!("ORDER#{name}#{place}"));
        let reads = shards.map(|shard| self.shard(shard, &list, order_of));
        Ok(list.page(&try_join_all(reads).await?))
    }

    /// The `size` refunds behind `after` that wait for the merchant, oldest first. The index may lag the
    /// table by moments, so one that is named may be decided by now.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn refunds_waiting(
        &self,
        after: Option<&Row<RefundKey>>,
        size: usize,
    ) -> Result<Page<RefundKey>, StoreError> {
        let list = List {
            from: Timestamp::from_unix_seconds(0),
            until: LAST,
            direction: Direction::OldestFirst,
            after,
            size,
        };
        let read = self.shard(REQUESTED.to_owned(), &list, refund_of).await?;
        Ok(list.page(&[read]))
    }

    /// The `size` refunds behind `after` that were asked for on the day, oldest first, whatever became of
    /// them. The index may lag the table by moments.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn refunds_of(
        &self,
        day: BeijingDay,
        after: Option<&Row<RefundKey>>,
        size: usize,
    ) -> Result<Page<RefundKey>, StoreError> {
        let list = List {
            from: day.starts_at(),
            until: day.ends_at().minus_seconds(1),
            direction: Direction::OldestFirst,
            after,
            size,
        };
        // Each shard before those to which its refunds move: one that moves between two reads is then seen
        // in both, and the other way round it would be seen in neither.
        let waiting = self.shard(REQUESTED.to_owned(), &list, refund_of).await?;
        let decided = refunds_of_day(day.starts_at());
        let decided = self.shard(decided, &list, refund_of).await?;
        let late = self.shard(LATE.to_owned(), &list, refund_of).await?;
        Ok(list.page(&[waiting, decided, late]))
    }

    /// The `size` refunds behind `after` that were sent more than
    /// [`LATE_SECONDS`](crate::domain::refund::LATE_SECONDS) after they were asked for, of those that were
    /// asked for from `since` on and before `before`, oldest first. The index may lag the table by moments.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn late_refunds(
        &self,
        since: BeijingDay,
        before: BeijingDay,
        after: Option<&Row<RefundKey>>,
        size: usize,
    ) -> Result<Page<RefundKey>, StoreError> {
        let list = List {
            from: since.starts_at(),
            until: before.starts_at().minus_seconds(1),
            direction: Direction::OldestFirst,
            after,
            size,
        };
        let read = self.shard(LATE.to_owned(), &list, refund_of).await?;
        Ok(list.page(&[read]))
    }

    /// When the refund was asked for that waits for the merchant longest.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn waiting_since(&self) -> Result<Option<Timestamp>, StoreError> {
        let page = self.refunds_waiting(None, 1).await?;
        Ok(page.rows.first().map(|row| row.at))
    }

    /// The SKUs of all listed articles, on sale or not, in the order of the list.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn articles(&self) -> Result<Vec<String>, StoreError> {
        let list = List {
            from: Timestamp::from_unix_seconds(0),
            until: LAST,
            direction: Direction::OldestFirst,
            after: None,
            size: usize::MAX,
        };
        let read = self.shard(ARTICLES.to_owned(), &list, article_of).await?;
        let page = list.page(&[read]);
        Ok(page.rows.into_iter().map(|row| row.key).collect())
    }

    /// Reads a shard until it has more complete rows behind `after` than a page, or ends.
    async fn shard<K: Ord + Clone>(
        &self,
        shard: String,
        list: &List<'_, K>,
        key_of: impl Fn(&ItemReader<'_>) -> Option<K>,
    ) -> Result<ShardRead<K>, StoreError> {
        let (from, until) = list.span();
        let mut read = ShardRead {
            rows: Vec::new(),
            // The table refuses a span that ends before it begins.
            more: from <= until,
        };
        let mut start = None;
        let mut limit = i32::try_from(list.size).map_or(ROWS_MAX, |size| size.saturating_add(2));
        while read.more && read.complete(list.after, list.direction).count() <= list.size {
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
                .expression_attribute_values(":from", item::timestamp(from))
                .expression_attribute_values(":until", item::timestamp(until))
                .scan_index_forward(list.direction == Direction::OldestFirst)
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

/// The last second that four digits of a year can write.
const LAST: Timestamp = Timestamp::from_unix_seconds(253_402_300_799);

/// Which rows of its shards a list wants.
struct List<'a, K> {
    /// The first second of the list.
    from: Timestamp,
    /// Its last one.
    until: Timestamp,
    direction: Direction,
    after: Option<&'a Row<K>>,
    size: usize,
}

impl<K: Ord + Clone> List<'_, K> {
    /// The seconds that rows behind `after` can have, first and last; none where the first is later.
    fn span(&self) -> (Timestamp, Timestamp) {
        let Some(after) = self.after else {
            return (self.from, self.until);
        };
        match self.direction {
            Direction::NewestFirst => (self.from, self.until.min(after.at)),
            Direction::OldestFirst => (self.from.max(after.at), self.until),
        }
    }

    fn page(&self, reads: &[ShardRead<K>]) -> Page<K> {
        page(reads, self.after, self.direction, self.size)
    }
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

fn refund_of(reader: &ItemReader<'_>) -> Option<RefundKey> {
    let order_id = OrderId::parse(reader.text("pk").ok()?.strip_prefix("ORDER#")?).ok()?;
    let number = reader.text("sk").ok()?.strip_prefix(item::REFUND_PREFIX)?;
    Some((order_id, RefundId::parse(number).ok()?))
}

fn article_of(reader: &ItemReader<'_>) -> Option<String> {
    Some(reader.text("pk").ok()?.strip_prefix("SKU#")?.to_owned())
}
