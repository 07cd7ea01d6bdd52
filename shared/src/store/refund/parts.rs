//! The writes that a transaction about a refund is made of, each with its condition.

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update as TableUpdate,
};

use super::{Refunds, SendSlot};
use crate::domain::books::{REFUND_WINDOW_SECONDS, REFUNDS_MAX};
use crate::domain::refund::next_refund_at;
use crate::domain::{Due, Fen, OrderId, Refund, RefundId, Timestamp};
use crate::store::StoreError;
use crate::store::index::{Lane, due_attributes};
use crate::store::item::{self, integer, text, timestamp};
use crate::store::listed::refund_shard;
use crate::store::transaction::unexplained;
use crate::store::update::Update;

impl Refunds {
    /// The write that takes the amount from the order, with the bounds no refund may cross.
    pub(super) fn take(
        &self,
        refund: &Refund,
        now: Timestamp,
        slot: SendSlot,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::default()
            .names(["version"])
            .clause("#refundable = #refundable - :amount")
            .clause("#refund_count = #refund_count + :one")
            .clause("#version = #version + :one")
            .value("one", integer(1));
        let (mut update, mut condition) = bounds(update, refund.amount, now);
        if let SendSlot::Now { interval_seconds } = slot {
            update = update
                .assign([next_slot(now, interval_seconds)])
                .value("now", timestamp(now));
            condition = format!("{condition} AND {SLOT_FREE}");
        }
        self.order_update(&refund.order_id, update, &condition)
    }

    /// The write that gives the amount back to the order.
    pub(super) fn give_back(
        &self,
        refund: &Refund,
        amount: Fen,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::default()
            .names(["refundable", "version", "trade_state"])
            .clause("#refundable = #refundable + :amount")
            .clause("#version = #version + :one")
            .value("amount", integer(amount))
            .value("one", integer(1))
            .value("success", text("SUCCESS"))
            .value("most", integer(refund.total.get() - amount.get()));
        let condition = "#trade_state = :success AND #refundable <= :most";
        self.order_update(&refund.order_id, update, condition)
    }

    /// The write that takes an amount from the order that it had given back. It may leave less than
    /// nothing: what WeChat Pay took is gone, whatever was promised of it meanwhile.
    pub(super) fn take_again(
        &self,
        refund: &Refund,
        amount: Fen,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::default()
            .names(["refundable", "version", "trade_state"])
            .clause("#refundable = #refundable - :amount")
            .clause("#version = #version + :one")
            .value("amount", integer(amount))
            .value("one", integer(1))
            .value("success", text("SUCCESS"));
        self.order_update(&refund.order_id, update, "#trade_state = :success")
    }

    /// The write that burns the refund's number for ever.
    pub(super) fn burn(
        &self,
        refund: &Refund,
        at: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let (partition, sort) = guard_key(&refund.refund_id);
        let update = Update::default()
            .assign([
                ("out_trade_no", Some(text(refund.order_id.as_str()))),
                ("withdrawn_at", Some(timestamp(at))),
            ])
            .names(["pk"]);
        let condition = "attribute_not_exists(#pk) OR #out_trade_no = :out_trade_no";
        self.table_update(partition, sort, update, condition)
    }

    /// The demand that the refund's number is its order's and is not burnt.
    pub(super) fn demand_guard(&self, refund: &Refund) -> Result<TransactWriteItem, StoreError> {
        let (partition, sort) = guard_key(&refund.refund_id);
        let check = ConditionCheck::builder()
            .table_name(&self.0.name)
            .key("pk", partition)
            .key("sk", sort)
            .condition_expression(
                "out_trade_no = :out_trade_no AND attribute_not_exists(withdrawn_at)",
            )
            .expression_attribute_values(":out_trade_no", text(refund.order_id.as_str()))
            .build()
            .map_err(|_| unexplained("build a check"))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    pub(super) fn put_refund(
        &self,
        refund: &Refund,
        due: Option<Due>,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut attributes = item::new_refund(refund);
        let due = due_attributes(Lane::First, refund.refund_id.as_str(), due);
        for (name, value) in due.into_iter().chain([refund_shard(refund)]) {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value);
            }
        }
        self.put_if_absent(attributes)
    }

    pub(super) fn put_guard(&self, refund: &Refund) -> Result<TransactWriteItem, StoreError> {
        let (partition, sort) = guard_key(&refund.refund_id);
        self.put_if_absent(item::Attributes::from([
            ("pk".to_owned(), partition),
            ("sk".to_owned(), sort),
            ("out_trade_no".to_owned(), text(refund.order_id.as_str())),
        ]))
    }

    pub(super) fn put_if_absent(
        &self,
        attributes: item::Attributes,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.0.name)
            .set_item(Some(attributes))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| unexplained("build a put"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(super) fn order_update(
        &self,
        order_id: &OrderId,
        update: Update,
        condition: &str,
    ) -> Result<TransactWriteItem, StoreError> {
        self.table_update(
            item::order_key(order_id),
            text(item::ORDER_SORT_KEY),
            update,
            condition,
        )
    }

    pub(super) fn refund_update(
        &self,
        refund: &Refund,
        update: Update,
        condition: &str,
    ) -> Result<TransactWriteItem, StoreError> {
        let sort_key = item::refund_sort_key(&refund.refund_id);
        self.table_update(
            item::order_key(&refund.order_id),
            sort_key,
            update,
            condition,
        )
    }

    pub(super) fn table_update(
        &self,
        partition: AttributeValue,
        sort: AttributeValue,
        update: Update,
        condition: &str,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = TableUpdate::builder()
            .table_name(&self.0.name)
            .key("pk", partition)
            .key("sk", sort)
            .update_expression(update.expression())
            .condition_expression(condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| unexplained("build an update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// That no other refund of the order was sent less than the interval ago.
pub(super) const SLOT_FREE: &str =
    "(attribute_not_exists(#next_refund_at) OR #next_refund_at <= :now)";

/// The order's slot, taken until the interval is over.
pub(super) fn next_slot(
    now: Timestamp,
    interval_seconds: i64,
) -> (&'static str, Option<AttributeValue>) {
    let next = next_refund_at(now, interval_seconds);
    ("next_refund_at", Some(timestamp(next)))
}

pub(super) fn guard_key(refund_id: &RefundId) -> (AttributeValue, AttributeValue) {
    (text(format!("REFUNDNO#{refund_id}")), text("REFUNDNO"))
}

/// Adds the bounds that every new refund of the order must keep, and gives them as a condition.
pub(super) fn bounds(update: Update, amount: Fen, now: Timestamp) -> (Update, String) {
    let update = update
        .names([
            "trade_state",
            "refundable",
            "refund_count",
            "success_time",
            "refunded_elsewhere",
        ])
        .value("success", text("SUCCESS"))
        .value("amount", integer(amount))
        .value("most", integer(REFUNDS_MAX))
        .value(
            "oldest",
            timestamp(now.minus_seconds(REFUND_WINDOW_SECONDS)),
        );
    let condition = "#trade_state = :success AND #refundable >= :amount \
                     AND #refund_count < :most AND #success_time > :oldest \
                     AND attribute_not_exists(#refunded_elsewhere)";
    (update, condition.to_owned())
}
