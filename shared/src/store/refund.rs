//! Refunds in the table. The bound that no refund may cross stands in the write itself.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update as TableUpdate,
};

use super::index::due_attributes;
use super::item::{self, ItemReader, Update, integer, text, timestamp};
use super::write::{TRIES_MAX, commit, pause};
use super::{Commit, StoreError, Table, unavailable};
use crate::domain::refund::{REFUND_WINDOW_SECONDS, REFUNDS_MAX, REQUESTS_MAX, next_refund_at};
use crate::domain::{Due, Fen, OrderId, Payment, Refund, RefundId, RefundState, Timestamp};

/// A refund with what the record keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRefund {
    /// The refund.
    pub refund: Refund,
    /// How often the sweep looked at it since its last change.
    pub attempts: u32,
}

/// What became of asking for or reserving a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// It stands as asked.
    Done,
    /// The order has a refund of that number already.
    Exists(Box<Refund>),
    /// Another order has a refund of that number.
    NumberTaken,
    /// The order is not paid.
    NotPaid,
    /// It is more than what is left to give back, in fen.
    Exceeds {
        /// What is left.
        refundable: i64,
    },
    /// The order has had as many refunds as WeChat Pay takes, or was asked for as many as are taken
    /// here.
    TooMany,
    /// The payment is older than WeChat Pay takes refunds for.
    TooOld,
    /// Another refund of the order was sent less than the interval ago; reserve it to wait.
    SlotTaken {
        /// When the next may be sent.
        next_refund_at: Timestamp,
    },
}

/// What became of approving a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approved {
    /// It is reserved, or could not be for this reason.
    Reserve(Reserve),
    /// It was decided already.
    Decided,
}

/// How a reservation stands to the minute between two refunds of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SendSlot {
    /// Claims the next moment, so it is sent at once.
    Claim { interval_seconds: i64 },
    /// Waits for the sweep.
    Later,
}

/// Reads and writes refunds, and the order's `refundable` with them.
#[derive(Clone, Debug)]
pub struct Refunds(Table);

impl Refunds {
    /// The refunds of this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// The refund, read consistently.
    ///
    /// # Errors
    /// The table is unavailable or the item unreadable.
    pub async fn load(
        &self,
        order_id: &OrderId,
        refund_id: &RefundId,
    ) -> Result<Option<StoredRefund>, StoreError> {
        let answer = self
            .0
            .client
            .get_item()
            .table_name(&self.0.name)
            .key("pk", item::order_key(order_id))
            .key("sk", item::refund_sort_key(refund_id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable("GetItem refund", &error))?;
        answer
            .item()
            .map(|attributes| {
                let reader = ItemReader::new(attributes);
                Ok(StoredRefund {
                    refund: reader.refund()?,
                    attempts: reader.count("due_attempts")?,
                })
            })
            .transpose()
    }

    /// The order that has the refund of this number, as its guard says, read consistently.
    ///
    /// # Errors
    /// The table is unavailable or the item unreadable.
    pub async fn order_of(&self, refund_id: &RefundId) -> Result<Option<OrderId>, StoreError> {
        let answer = self
            .0
            .client
            .get_item()
            .table_name(&self.0.name)
            .key("pk", text(format!("REFUNDNO#{refund_id}")))
            .key("sk", text("REFUNDNO"))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable("GetItem refund number", &error))?;
        answer
            .item()
            .map(|attributes| ItemReader::new(attributes).order_id("out_trade_no"))
            .transpose()
    }

    /// All refunds of an order, read consistently, by number. [`REFUNDS_MAX`] and [`REQUESTS_MAX`]
    /// keep them within one page.
    ///
    /// # Errors
    /// The table is unavailable or an item unreadable.
    pub async fn of_order(&self, order_id: &OrderId) -> Result<Vec<Refund>, StoreError> {
        let mut found = Vec::new();
        let mut pages = self
            .0
            .client
            .query()
            .table_name(&self.0.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", item::order_key(order_id))
            .expression_attribute_values(":prefix", text(item::REFUND_PREFIX))
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| unavailable("Query refunds", &error))?;
            for attributes in page.items() {
                found.push(ItemReader::new(attributes).refund()?);
            }
        }
        Ok(found)
    }

    /// Writes a refund that waits for the merchant, if the order could give it back at that moment. It
    /// holds nothing, its number neither: numbers are the merchant's, and a payer must not be able to
    /// take one, nor learn which are taken. The order counts it, so that payers ask at most
    /// [`REQUESTS_MAX`] times. The order's version stays.
    ///
    /// # Errors
    /// The table is unavailable; a repeat finds out whether it stands.
    pub async fn request(&self, refund: &Refund) -> Result<Reserve, StoreError> {
        const ACTION: &str = "ask for a refund";
        let now = refund.created_at;
        let count = Update::default()
            .clause("#request_count = if_not_exists(#request_count, :zero) + :one")
            .names(["request_count"])
            .value("zero", integer(0))
            .value("one", integer(1))
            .value("asked_most", integer(REQUESTS_MAX));
        let (count, mut condition) = bounds(count, refund.amount, now);
        condition.push_str(
            " AND (attribute_not_exists(#request_count) OR #request_count < :asked_most)",
        );
        let writes = [
            self.order_update(&refund.order_id, count, &condition)?,
            self.put_refund(refund, None)?,
        ];
        self.write_new(ACTION, refund, now, &writes, |_| Some(Reserve::TooMany))
            .await
    }

    /// Takes the amount from the order's `refundable`, claims the moment to send it and writes the
    /// refund with its number's guard, all or nothing.
    ///
    /// # Errors
    /// The table is unavailable; a repeat with the same number finds out whether it stands.
    pub async fn reserve(
        &self,
        refund: &Refund,
        now: Timestamp,
        interval_seconds: i64,
        due: Due,
    ) -> Result<Reserve, StoreError> {
        self.reserve_new(refund, now, SendSlot::Claim { interval_seconds }, due)
            .await
    }

    /// As [`Self::reserve`], but leaves the sending to the sweep at `due`.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_for_later(
        &self,
        refund: &Refund,
        now: Timestamp,
        due: Due,
    ) -> Result<Reserve, StoreError> {
        self.reserve_new(refund, now, SendSlot::Later, due).await
    }

    /// Reserves a refund that was asked for, and its number with it; the claim of the moment is given
    /// in `interval_seconds`, none leaves the sending to the sweep at `due`.
    ///
    /// # Errors
    /// The table is unavailable; a repeat finds out.
    pub async fn approve(
        &self,
        refund: &Refund,
        now: Timestamp,
        interval_seconds: Option<i64>,
        due: Due,
    ) -> Result<Approved, StoreError> {
        const ACTION: &str = "approve a refund";
        let slot = interval_seconds.map_or(SendSlot::Later, |interval_seconds| SendSlot::Claim {
            interval_seconds,
        });
        let mut reserved = refund.clone();
        reserved.state = RefundState::Reserved;
        reserved.version += 1;
        let update = Update::default()
            .assign(item::refund_progress(&reserved))
            .assign(due_attributes(refund.refund_id.as_str(), Some(due)))
            .value("requested", text(RefundState::Requested.as_str()));
        let writes = [
            self.take(refund, now, slot)?,
            self.refund_update(refund, update, "#status = :requested")?,
            self.put_guard(refund)?,
        ];
        match self.transact(ACTION, &writes).await? {
            Transacted::Done => Ok(Approved::Reserve(Reserve::Done)),
            Transacted::Cancelled(reasons) => {
                if failed(&reasons, 1).is_some() {
                    return Ok(Approved::Decided);
                }
                if let Some(taken) = guard_conflict(&reasons, refund)? {
                    return Ok(Approved::Reserve(taken));
                }
                order_refusal(&reasons, refund.amount, now, slot_taken)?
                    .map(Approved::Reserve)
                    .ok_or_else(|| unexplained(ACTION))
            }
        }
    }

    /// Writes that the merchant said no, if nothing was decided yet.
    ///
    /// # Errors
    /// The table is unavailable; a repeat finds out.
    pub async fn reject(&self, refund: &Refund) -> Result<Commit, StoreError> {
        let mut rejected = refund.clone();
        rejected.state = RefundState::Rejected;
        rejected.version += 1;
        let update = Update::default()
            .assign(item::refund_progress(&rejected))
            .value("requested", text(RefundState::Requested.as_str()));
        self.update("reject a refund", refund, update, "#status = :requested")
            .await
    }

    /// Writes what became of `before`, if nobody changed it since it was read; `release` goes back
    /// to the order in the same transaction.
    ///
    /// # Errors
    /// The table is unavailable; the change may have been made, and deciding again finds out.
    pub async fn commit(
        &self,
        before: &Refund,
        after: &Refund,
        release: Option<Fen>,
        due: Option<Due>,
    ) -> Result<Commit, StoreError> {
        const ACTION: &str = "release a refund";
        let update = Update::default()
            .assign(item::refund_progress(after))
            .assign(due_attributes(after.refund_id.as_str(), due))
            .value("before", integer(before.version));
        let condition = "#version = :before";
        let Some(amount) = release else {
            return self
                .update("UpdateItem refund", after, update, condition)
                .await;
        };
        let give_back = Update::default()
            .names(["refundable", "version", "trade_state"])
            .clause("#refundable = #refundable + :amount")
            .clause("#version = #version + :one")
            .value("amount", integer(amount))
            .value("one", integer(1))
            .value("success", text("SUCCESS"))
            .value("most", integer(after.total.get() - amount.get()));
        let writes = [
            self.refund_update(after, update, condition)?,
            self.order_update(
                &after.order_id,
                give_back,
                "#trade_state = :success AND #refundable <= :most",
            )?,
        ];
        match self.transact(ACTION, &writes).await? {
            Transacted::Done => Ok(Commit::Done),
            Transacted::Cancelled(reasons) if failed(&reasons, 0).is_some() => Ok(Commit::Conflict),
            // Its books were changed past this code; no repeat mends them.
            Transacted::Cancelled(_) => Err(StoreError::Unreadable {
                key: format!("ORDER#{}", after.order_id),
                cause: format!("with {amount} fen given back it would hold more than was paid"),
            }),
        }
    }

    /// Moves the refund's due time and nothing else; the version stays.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn postpone(&self, refund: &Refund, due: Option<Due>) -> Result<Commit, StoreError> {
        let update = Update::default()
            .assign(due_attributes(refund.refund_id.as_str(), due))
            .names(["version"])
            .value("before", integer(refund.version));
        self.update("postpone a refund", refund, update, "#version = :before")
            .await
    }

    /// Claims the right to ask WeChat Pay about the refund: at most one caller in `floor_seconds`
    /// gets `Done`. The version stays.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn claim_asking(
        &self,
        refund: &Refund,
        now: Timestamp,
        floor_seconds: i64,
    ) -> Result<Commit, StoreError> {
        let update = Update::default()
            .assign([("asked_at", Some(timestamp(now)))])
            .names(["pk"])
            .value("floor", timestamp(now.minus_seconds(floor_seconds)));
        let condition = "attribute_exists(#pk) AND (attribute_not_exists(#asked_at) \
                         OR #asked_at <= :floor OR #asked_at > :asked_at)";
        self.update("claim asking for a refund", refund, update, condition)
            .await
    }

    async fn reserve_new(
        &self,
        refund: &Refund,
        now: Timestamp,
        slot: SendSlot,
        due: Due,
    ) -> Result<Reserve, StoreError> {
        let writes = [
            self.take(refund, now, slot)?,
            self.put_refund(refund, Some(due))?,
            self.put_guard(refund)?,
        ];
        self.write_new("reserve a refund", refund, now, &writes, slot_taken)
            .await
    }

    /// Writes a new refund with its order and its guard, if it gets one, in this order; `last_bound` tells what the
    /// order refused where it was none of the bounds that all new refunds have.
    async fn write_new(
        &self,
        action: &'static str,
        refund: &Refund,
        now: Timestamp,
        writes: &[TransactWriteItem],
        last_bound: impl FnOnce(&Payment) -> Option<Reserve>,
    ) -> Result<Reserve, StoreError> {
        match self.transact(action, writes).await? {
            Transacted::Done => Ok(Reserve::Done),
            Transacted::Cancelled(reasons) => {
                // A repeat is told of itself, whatever else would stand against it.
                if let Some(conflict) = number_conflict(&reasons, refund)? {
                    return Ok(conflict);
                }
                order_refusal(&reasons, refund.amount, now, last_bound)?
                    .ok_or_else(|| unexplained(action))
            }
        }
    }

    /// The write that takes the amount from the order, with the bounds no refund may cross.
    fn take(
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
        if let SendSlot::Claim { interval_seconds } = slot {
            update = update
                .assign([(
                    "next_refund_at",
                    Some(timestamp(next_refund_at(now, interval_seconds))),
                )])
                .value("now", timestamp(now));
            condition.push_str(
                " AND (attribute_not_exists(#next_refund_at) OR #next_refund_at <= :now)",
            );
        }
        self.order_update(&refund.order_id, update, &condition)
    }

    fn put_refund(
        &self,
        refund: &Refund,
        due: Option<Due>,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut attributes = item::new_refund(refund);
        for (name, value) in due_attributes(refund.refund_id.as_str(), due) {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value);
            }
        }
        self.put_if_absent(attributes)
    }

    fn put_guard(&self, refund: &Refund) -> Result<TransactWriteItem, StoreError> {
        self.put_if_absent(item::Attributes::from([
            (
                "pk".to_owned(),
                text(format!("REFUNDNO#{}", refund.refund_id)),
            ),
            ("sk".to_owned(), text("REFUNDNO")),
            ("out_trade_no".to_owned(), text(refund.order_id.as_str())),
        ]))
    }

    fn put_if_absent(&self, attributes: item::Attributes) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.0.name)
            .set_item(Some(attributes))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| unexplained("build a put"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn order_update(
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

    fn refund_update(
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

    fn table_update(
        &self,
        partition: aws_sdk_dynamodb::types::AttributeValue,
        sort: aws_sdk_dynamodb::types::AttributeValue,
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

    async fn update(
        &self,
        action: &'static str,
        refund: &Refund,
        update: Update,
        condition: &str,
    ) -> Result<Commit, StoreError> {
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .key("pk", item::order_key(&refund.order_id))
            .key("sk", item::refund_sort_key(&refund.refund_id))
            .update_expression(update.expression())
            .condition_expression(condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values));
        commit(action, update).await
    }

    /// Sends a transaction; one that met another, or too little room, was not made and is tried again
    /// as a new one, [`TRIES_MAX`] times in all.
    async fn transact(
        &self,
        action: &'static str,
        writes: &[TransactWriteItem],
    ) -> Result<Transacted, StoreError> {
        for attempt in 1.. {
            let sent = self
                .0
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.to_vec()))
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
            match Cancelled::by(reasons) {
                Cancelled::Conditions => return Ok(Transacted::Cancelled(reasons.to_vec())),
                Cancelled::Passing if attempt < TRIES_MAX => pause(attempt).await,
                Cancelled::Passing | Cancelled::Otherwise => {
                    let codes: Vec<&str> = reasons.iter().filter_map(|it| it.code()).collect();
                    return Err(StoreError::Unavailable {
                        action,
                        cause: format!("TransactionCanceledException: {}", codes.join(", ")),
                    });
                }
            }
        }
        Err(unexplained(action))
    }
}

/// Adds the bounds that every new refund of the order must keep, and gives them as a condition.
fn bounds(update: Update, amount: Fen, now: Timestamp) -> (Update, String) {
    let update = update
        .names(["trade_state", "refundable", "refund_count", "success_time"])
        .value("success", text("SUCCESS"))
        .value("amount", integer(amount))
        .value("most", integer(REFUNDS_MAX))
        .value(
            "oldest",
            timestamp(now.minus_seconds(REFUND_WINDOW_SECONDS)),
        );
    let condition = "#trade_state = :success AND #refundable >= :amount \
                     AND #refund_count < :most AND #success_time > :oldest";
    (update, condition.to_owned())
}

enum Transacted {
    Done,
    Cancelled(Vec<CancellationReason>),
}

/// What a transaction was cancelled for.
enum Cancelled {
    /// Conditions that did not hold, and nothing else: this decides.
    Conditions,
    /// Something that passes. Conditions that failed beside it decide nothing: while another
    /// transaction is half-way, one item can show its outcome and the next still be held.
    Passing,
    /// Something that no repeat mends.
    Otherwise,
}

impl Cancelled {
    fn by(reasons: &[CancellationReason]) -> Self {
        let mut cancelled = Self::Conditions;
        for reason in reasons {
            match reason.code().unwrap_or("None") {
                "None" | "ConditionalCheckFailed" => {}
                "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded" => {
                    cancelled = Self::Passing;
                }
                _ => return Self::Otherwise,
            }
        }
        cancelled
    }
}

fn unexplained(action: &'static str) -> StoreError {
    StoreError::Unavailable {
        action,
        cause: "refused for no known reason".to_owned(),
    }
}

fn failed(reasons: &[CancellationReason], index: usize) -> Option<&CancellationReason> {
    reasons
        .get(index)
        .filter(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

/// Reads a cancelled write of a new refund, at the second place, and its number's guard, at the third.
fn number_conflict(
    reasons: &[CancellationReason],
    refund: &Refund,
) -> Result<Option<Reserve>, StoreError> {
    if let Some(reason) = failed(reasons, 1) {
        let attributes = reason
            .item()
            .ok_or_else(|| unexplained("read a cancelled refund"))?;
        let found = ItemReader::new(attributes).refund()?;
        return Ok(Some(Reserve::Exists(Box::new(found))));
    }
    guard_conflict(reasons, refund)
}

/// Reads whether another order's refund has the number whose guard stands at the third place.
fn guard_conflict(
    reasons: &[CancellationReason],
    refund: &Refund,
) -> Result<Option<Reserve>, StoreError> {
    let Some(reason) = failed(reasons, 2) else {
        return Ok(None);
    };
    let attributes = reason
        .item()
        .ok_or_else(|| unexplained("read a refund number's guard"))?;
    let guard = ItemReader::new(attributes);
    if guard.order_id("out_trade_no")? == refund.order_id {
        // A restored table may hold a part of the last transactions.
        return Err(guard.unreadable("it guards a refund of the order that is not there"));
    }
    Ok(Some(Reserve::NumberTaken))
}

/// Reads why the order, at the first place, did not let the write pass.
fn order_refusal(
    reasons: &[CancellationReason],
    amount: Fen,
    now: Timestamp,
    last_bound: impl FnOnce(&Payment) -> Option<Reserve>,
) -> Result<Option<Reserve>, StoreError> {
    let Some(reason) = failed(reasons, 0) else {
        return Ok(None);
    };
    let Some(attributes) = reason.item() else {
        return Ok(Some(Reserve::NotPaid));
    };
    let order = ItemReader::new(attributes).order()?;
    let Some(payment) = order.payment_on_record() else {
        return Ok(Some(Reserve::NotPaid));
    };
    if payment.refundable < amount.get() {
        return Ok(Some(Reserve::Exceeds {
            refundable: payment.refundable,
        }));
    }
    if payment.refund_count >= REFUNDS_MAX {
        return Ok(Some(Reserve::TooMany));
    }
    if payment.success_time <= now.minus_seconds(REFUND_WINDOW_SECONDS) {
        return Ok(Some(Reserve::TooOld));
    }
    Ok(last_bound(payment))
}

/// The bound that only a refund to be sent at once has.
fn slot_taken(payment: &Payment) -> Option<Reserve> {
    payment
        .next_refund_at
        .map(|next_refund_at| Reserve::SlotTaken { next_refund_at })
}
