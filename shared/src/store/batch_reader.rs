//! Orders and refunds read by the hundred, for whoever compares them and changes none.

use super::item::{self, Attributes, ItemReader, text};
use super::{StoreError, Table};
use crate::domain::{Order, OrderId, Refund, RefundId};

/// How many items are read with one call; DynamoDB takes no more.
pub const RECORDS_MAX: usize = 100;

/// Reads many orders and refunds, consistently.
#[derive(Clone, Debug)]
pub struct BatchReader(Table);

impl BatchReader {
    /// The records of this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The orders of these numbers (at most [`RECORDS_MAX`], no two equal) that there are, in no order.
    ///
    /// # Errors
    /// The table is unavailable or an item unreadable.
    pub async fn orders(&self, order_ids: &[OrderId]) -> Result<Vec<Order>, StoreError> {
        let keys = order_ids.iter().map(|order_id| {
            let pk = item::order_key(order_id);
            key(pk, text(item::ORDER_SORT_KEY))
        });
        let found = self.read("BatchGetItem orders", keys.collect()).await?;
        let orders = found.iter().map(|item| ItemReader::new(item).order());
        orders.collect()
    }

    /// The refunds of these numbers (at most [`RECORDS_MAX`], no two equal) that there are, in no order.
    ///
    /// # Errors
    /// As [`Self::orders`].
    pub async fn refunds(
        &self,
        refund_ids: &[(OrderId, RefundId)],
    ) -> Result<Vec<Refund>, StoreError> {
        let keys = refund_ids.iter().map(|(order_id, refund_id)| {
            let pk = item::order_key(order_id);
            key(pk, item::refund_sort_key(refund_id))
        });
        let found = self.read("BatchGetItem refunds", keys.collect()).await?;
        let refunds = found.iter().map(|item| ItemReader::new(item).refund());
        refunds.collect()
    }

    async fn read(
        &self,
        action: &'static str,
        keys: Vec<Attributes>,
    ) -> Result<Vec<Attributes>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.0.batch(action, keys, true).await
    }
}

fn key(
    pk: aws_sdk_dynamodb::types::AttributeValue,
    sk: aws_sdk_dynamodb::types::AttributeValue,
) -> Attributes {
    Attributes::from([("pk".to_owned(), pk), ("sk".to_owned(), sk)])
}
