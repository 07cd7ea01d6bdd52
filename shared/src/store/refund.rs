//! Refunds in the table. The bound that no refund may cross stands in the write itself.

mod parts;

use aws_sdk_dynamodb::types::TransactWriteItem;

use self::parts::{SLOT_FREE, bounds, guard_key, next_slot};
use super::index::{Lane, due_attributes};
use super::item::{self, Attributes, ItemReader, integer, text, timestamp};
use super::listed::{RefundKey, refund_shard};
use super::transaction::{Cancelled, Part, Transacted, unexplained};
use super::update::Update;
use super::write::commit;
use super::{Commit, StoreError, Table, unavailable};
use crate::domain::books::{REQUESTS_MAX, not_refundable};
use crate::domain::refund::RefundableChange;
use crate::domain::{
    Due, Fen, NotRefundable, OrderId, Payment, Refund, RefundId, RefundState, Timestamp,
};

/// A refund with what the record keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRefund {
    /// The refund.
    pub refund: Refund,
    /// When the sweep sends it or asks about it next, and after how many looks.
    pub due: Option<Due>,
}

/// What became of asking for or reserving a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// It stands as asked.
    Done,
    /// The order has a refund of that number already.
    Exists(Box<StoredRefund>),
    /// Another order has a refund of that number.
    NumberTaken,
    /// The order cannot take it.
    Refused(NotRefundable),
    /// Another refund of the order was sent less than the interval ago; reserve it to be sent later.
    SlotTaken {
        /// When the next may be sent.
        next_refund_at: Timestamp,
    },
}

/// What became of approving a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// It is reserved.
    Reserved,
    /// Somebody decided about it before.
    AlreadyDecided,
    /// Another order has a refund of its number.
    NumberTaken,
    /// The order cannot take it.
    Refused(NotRefundable),
    /// As [`Reserve::SlotTaken`].
    SlotTaken {
        /// When the next may be sent.
        next_refund_at: Timestamp,
    },
}

/// What became of writing a change of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundCommit {
    /// The record is as decided.
    Done,
    /// Somebody else changed the refund first: load again and decide again.
    Conflict,
}

/// What the guard of a refund's number says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The order that has the refund of this number.
    pub order_id: OrderId,
    /// Whether that refund was withdrawn, so that nothing is sent under the number any more.
    pub is_burnt: bool,
}

/// Whether a refund may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendClaim {
    /// It may, once, by this caller.
    Claimed,
    /// Another refund of the order was sent less than the interval ago, or the order counts as refunded elsewhere:
    /// then nothing of it is sent any more.
    SlotTaken,
    /// Somebody else changed the refund first.
    Changed,
    /// Its number has no guard, or the guard says that the number is another order's or burnt: it was
    /// not reserved by this code, or is not to be sent any more.
    Unguarded,
}

/// Whether a refund is sent at once or by the sweep: WeChat Pay wants a minute between two refunds of
/// an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendSlot {
    /// Whoever reserves it sends it at once, and claims the order's slot for it.
    Now {
        /// The least time between two refunds of an order.
        interval_seconds: i64,
    },
    /// The sweep sends it when it is due.
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
            .map(|attributes| stored_refund(&ItemReader::new(attributes)))
            .transpose()
    }

    /// The guard of this number, read consistently.
    ///
    /// # Errors
    /// The table is unavailable or the item unreadable.
    pub async fn guard(&self, refund_id: &RefundId) -> Result<Option<Guard>, StoreError> {
        let (partition, sort) = guard_key(refund_id);
        let answer = self
            .0
            .client
            .get_item()
            .table_name(&self.0.name)
            .key("pk", partition)
            .key("sk", sort)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable("GetItem refund number", &error))?;
        let Some(attributes) = answer.item() else {
            return Ok(None);
        };
        Ok(Some(Guard {
            order_id: ItemReader::new(attributes).order_id("out_trade_no")?,
            is_burnt: attributes.contains_key("withdrawn_at"),
        }))
    }

    /// All refunds of an order, read consistently, by number. [`REFUNDS_MAX`] and [`REQUESTS_MAX`]
    /// keep them within one page.
    ///
    /// [`REFUNDS_MAX`]: crate::domain::books::REFUNDS_MAX
    ///
    /// # Errors
    /// The table is unavailable or an item unreadable.
    pub async fn of_order(&self, order_id: &OrderId) -> Result<Vec<StoredRefund>, StoreError> {
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
                found.push(stored_refund(&ItemReader::new(attributes))?);
            }
        }
        Ok(found)
    }

    /// The refunds of these keys (at most 100, no two equal), in their order, read consistently; missing
    /// ones are left out.
    ///
    /// # Errors
    /// The table is unavailable or an item unreadable.
    pub async fn load_many(&self, keys: &[RefundKey]) -> Result<Vec<StoredRefund>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let key = |(order_id, refund_id): &RefundKey| {
            Attributes::from([
                ("pk".to_owned(), item::order_key(order_id)),
                ("sk".to_owned(), item::refund_sort_key(refund_id)),
            ])
        };
        let asked = keys.iter().map(key).collect();
        let mut found = Vec::new();
        for attributes in self.0.batch("BatchGetItem refunds", asked, true).await? {
            found.push(stored_refund(&ItemReader::new(&attributes))?);
        }
        let of = |(order_id, refund_id): &RefundKey| {
            let mut found = found.iter();
            found.find(|it| it.refund.order_id == *order_id && it.refund.refund_id == *refund_id)
        };
        Ok(keys.iter().filter_map(of).cloned().collect())
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
        let parts = [
            (
                Part::Order,
                self.order_update(&refund.order_id, count, &condition)?,
            ),
            (Part::Refund, self.put_refund(refund, None)?),
        ];
        let too_many = |_: &Payment| Some(Reserve::Refused(NotRefundable::TooMany));
        self.write_new(ACTION, refund, now, parts, too_many).await
    }

    /// Takes the amount from the order's `refundable`, claims the slot to send it where it is sent now,
    /// and writes the refund with its number's guard, all or nothing.
    ///
    /// # Errors
    /// The table is unavailable; a repeat with the same number finds out whether it stands.
    pub async fn reserve(
        &self,
        refund: &Refund,
        now: Timestamp,
        slot: SendSlot,
        due: Due,
    ) -> Result<Reserve, StoreError> {
        let refund = &sent_by_its_slot(refund, now, slot);
        let parts = [
            (Part::Order, self.take(refund, now, slot)?),
            (Part::Refund, self.put_refund(refund, Some(due))?),
            (Part::Guard, self.put_guard(refund)?),
        ];
        let slot_taken = |payment: &Payment| {
            let next_refund_at = payment.next_refund_at?;
            Some(Reserve::SlotTaken { next_refund_at })
        };
        self.write_new("reserve a refund", refund, now, parts, slot_taken)
            .await
    }

    /// Writes that a refund that was asked for is `reserved`: takes the amount, the slot where it is
    /// sent now, and the number, as [`Self::reserve`] does.
    ///
    /// # Errors
    /// The table is unavailable; a repeat finds out.
    pub async fn approve(
        &self,
        requested: &Refund,
        reserved: &Refund,
        now: Timestamp,
        slot: SendSlot,
        due: Due,
    ) -> Result<Approval, StoreError> {
        let reserved = &sent_by_its_slot(reserved, now, slot);
        let update = Update::default()
            .assign(item::refund_progress(reserved))
            .assign([
                refund_shard(reserved),
                ("mac", item::mac(reserved)),
                ("sent_at", reserved.sent_at.map(timestamp)),
            ])
            .assign(due_attributes(
                Lane::First,
                reserved.refund_id.as_str(),
                Some(due),
            ))
            .value("before", integer(requested.version));
        let parts = [
            (Part::Order, self.take(reserved, now, slot)?),
            (
                Part::Refund,
                self.refund_update(reserved, update, "#version = :before")?,
            ),
            (Part::Guard, self.put_guard(reserved)?),
        ];
        let cancelled = match self.0.transact("approve a refund", parts).await? {
            Transacted::Done => return Ok(Approval::Reserved),
            Transacted::Cancelled(cancelled) => cancelled,
        };
        if cancelled.by(Part::Refund) {
            return Ok(Approval::AlreadyDecided);
        }
        if number_taken(&cancelled, reserved)? {
            return Ok(Approval::NumberTaken);
        }
        match order_refusal(&cancelled, reserved.amount, now)? {
            OrderRefusal::Refused(refused) => Ok(Approval::Refused(refused)),
            OrderRefusal::OtherBound(payment) => payment
                .next_refund_at
                .map(|next_refund_at| Approval::SlotTaken { next_refund_at })
                .ok_or_else(|| cancelled.unexplained()),
        }
    }

    /// Writes what became of `before`, if nobody changed it since it was read; what that does to the
    /// order's `refundable` is written in the same transaction. A refund that is withdrawn burns its number
    /// in its guard with the first of these changes, so that nothing is sent under it whatever its record
    /// says later.
    ///
    /// # Errors
    /// The table is unavailable; the change may have been made, and deciding again finds out.
    pub async fn commit(
        &self,
        before: &Refund,
        after: &Refund,
        money: RefundableChange,
        due: Option<Due>,
    ) -> Result<RefundCommit, StoreError> {
        let update = Update::default()
            .assign(item::refund_progress(after))
            .assign([refund_shard(after)])
            .assign(due_attributes(Lane::First, after.refund_id.as_str(), due))
            .value("before", integer(before.version));
        let condition = "#version = :before";
        let order = match money {
            RefundableChange::Stays => None,
            RefundableChange::Released(amount) => Some(self.give_back(after, amount)?),
            RefundableChange::TakenAgain(amount) => Some(self.take_again(after, amount)?),
        };
        let burnt_at = burnt_at(before, after, money);
        if order.is_none() && burnt_at.is_none() {
            let written = self.update("UpdateItem refund", after, update, condition);
            return Ok(match written.await? {
                Commit::Done => RefundCommit::Done,
                Commit::Conflict => RefundCommit::Conflict,
            });
        }
        let mut parts = vec![(Part::Refund, self.refund_update(after, update, condition)?)];
        parts.extend(order.map(|order| (Part::Order, order)));
        if let Some(at) = burnt_at {
            parts.push((Part::Guard, self.burn(after, at)?));
        }
        let cancelled = match self.0.transact("change a refund", parts).await? {
            Transacted::Done => return Ok(RefundCommit::Done),
            Transacted::Cancelled(cancelled) => cancelled,
        };
        if cancelled.by(Part::Refund) {
            return Ok(RefundCommit::Conflict);
        }
        // Its books, or its number's guard, were changed past this code; no repeat mends them.
        let cause = match money {
            _ if cancelled.by(Part::Guard) => {
                format!("the number {} is another order's", after.refund_id)
            }
            RefundableChange::Released(amount) => {
                format!("with {amount} fen given back it would hold more than was paid")
            }
            RefundableChange::TakenAgain(_) => "it has a refund and is not paid".to_owned(),
            RefundableChange::Stays => return Err(cancelled.unexplained()),
        };
        Err(StoreError::Unreadable {
            key: format!("ORDER#{}", after.order_id),
            cause,
        })
    }

    /// Claims the right to send a reserved refund to WeChat Pay: the order's slot, of which there is
    /// one in `interval_seconds` and none where the order counts as refunded elsewhere, for a refund that is still
    /// as it was read and whose number is its own. When it was claimed is kept, so that a withdrawal knows what
    /// may be on its way. The version stays.
    ///
    /// # Errors
    /// The table is unavailable; the slot may be gone, and the refund then waits for the next.
    pub async fn claim_send(
        &self,
        refund: &Refund,
        now: Timestamp,
        interval_seconds: i64,
    ) -> Result<SendClaim, StoreError> {
        let slot = Update::default()
            .assign([next_slot(now, interval_seconds)])
            .names(["trade_state", "refunded_elsewhere"])
            .value("success", text("SUCCESS"))
            .value("now", timestamp(now));
        let slot_free = format!(
            "#trade_state = :success AND {SLOT_FREE} AND attribute_not_exists(#refunded_elsewhere)"
        );
        let sent = Update::default()
            .assign([("sent_at", Some(timestamp(now)))])
            .names(["status", "version"])
            .value("reserved", text(RefundState::Reserved.as_str()))
            .value("before", integer(refund.version));
        let still_reserved = "#status = :reserved AND #version = :before";
        let parts = [
            (
                Part::Order,
                self.order_update(&refund.order_id, slot, &slot_free)?,
            ),
            (
                Part::Refund,
                self.refund_update(refund, sent, still_reserved)?,
            ),
            (Part::Guard, self.demand_guard(refund)?),
        ];
        let cancelled = match self.0.transact("claim to send a refund", parts).await? {
            Transacted::Done => return Ok(SendClaim::Claimed),
            Transacted::Cancelled(cancelled) => cancelled,
        };
        if cancelled.by(Part::Refund) {
            Ok(SendClaim::Changed)
        } else if cancelled.by(Part::Guard) {
            Ok(SendClaim::Unguarded)
        } else if cancelled.by(Part::Order) {
            Ok(SendClaim::SlotTaken)
        } else {
            Err(cancelled.unexplained())
        }
    }

    /// Moves the refund's due time and nothing else; the version stays.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn postpone(&self, refund: &Refund, due: Option<Due>) -> Result<Commit, StoreError> {
        let update = Update::default()
            .assign(due_attributes(Lane::First, refund.refund_id.as_str(), due))
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

    /// Writes a new refund with its order and its guard, if it gets one; `last_bound` says what the
    /// order refused where it was none of the bounds that all new refunds have.
    async fn write_new(
        &self,
        action: &'static str,
        refund: &Refund,
        now: Timestamp,
        parts: impl IntoIterator<Item = (Part, TransactWriteItem)>,
        last_bound: impl FnOnce(&Payment) -> Option<Reserve>,
    ) -> Result<Reserve, StoreError> {
        let cancelled = match self.0.transact(action, parts).await? {
            Transacted::Done => return Ok(Reserve::Done),
            Transacted::Cancelled(cancelled) => cancelled,
        };
        // A repeat is told of itself, whatever else would stand against it.
        if cancelled.by(Part::Refund) {
            let attributes = cancelled.item(Part::Refund);
            let attributes = attributes.ok_or_else(|| unexplained("read a cancelled refund"))?;
            let found = stored_refund(&ItemReader::new(attributes))?;
            return Ok(Reserve::Exists(Box::new(found)));
        }
        if number_taken(&cancelled, refund)? {
            return Ok(Reserve::NumberTaken);
        }
        match order_refusal(&cancelled, refund.amount, now)? {
            OrderRefusal::Refused(refused) => Ok(Reserve::Refused(refused)),
            OrderRefusal::OtherBound(payment) => {
                last_bound(&payment).ok_or_else(|| cancelled.unexplained())
            }
        }
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
}

/// A refund that is reserved to be sent now may be on its way from now on.
fn sent_by_its_slot(refund: &Refund, now: Timestamp, slot: SendSlot) -> Refund {
    let sent_at = match slot {
        SendSlot::Now { .. } => Some(now),
        SendSlot::Later => None,
    };
    Refund {
        sent_at,
        ..refund.clone()
    }
}

/// From when a change burns the refund's number, if it does: where the merchant takes the refund back, and
/// where that ends, for those that an earlier build began to withdraw.
const fn burnt_at(before: &Refund, after: &Refund, money: RefundableChange) -> Option<Timestamp> {
    match (after.state, money) {
        (RefundState::Withdrawing { since, .. }, _) if !before.state.was_withdrawn() => Some(since),
        (RefundState::Withdrawn { at, .. }, RefundableChange::Released(_)) => Some(at),
        (
            RefundState::Requested
            | RefundState::Reserved
            | RefundState::Processing
            | RefundState::Abnormal
            | RefundState::Closed
            | RefundState::Success { .. }
            | RefundState::Rejected
            | RefundState::Withdrawing { .. }
            | RefundState::Withdrawn { .. },
            _,
        ) => None,
    }
}

/// Whether the guard of the refund's number is another order's.
fn number_taken(cancelled: &Cancelled, refund: &Refund) -> Result<bool, StoreError> {
    if !cancelled.by(Part::Guard) {
        return Ok(false);
    }
    let attributes = cancelled.item(Part::Guard);
    let attributes = attributes.ok_or_else(|| unexplained("read a refund number's guard"))?;
    let guard = ItemReader::new(attributes);
    if guard.order_id("out_trade_no")? == refund.order_id {
        // A restored table may hold a part of the last transactions.
        return Err(guard.unreadable("it guards a refund of the order that is not there"));
    }
    Ok(true)
}

/// Why the order did not let a write of a refund pass.
enum OrderRefusal {
    /// It cannot take the refund.
    Refused(NotRefundable),
    /// It could; a bound that not all writes have was crossed.
    OtherBound(Payment),
}

fn order_refusal(
    cancelled: &Cancelled,
    amount: Fen,
    now: Timestamp,
) -> Result<OrderRefusal, StoreError> {
    if !cancelled.by(Part::Order) {
        return Err(cancelled.unexplained());
    }
    let not_paid = OrderRefusal::Refused(NotRefundable::NotPaid);
    let Some(attributes) = cancelled.item(Part::Order) else {
        return Ok(not_paid);
    };
    let order = ItemReader::new(attributes).order()?;
    let Some(payment) = order.payment_on_record() else {
        return Ok(not_paid);
    };
    Ok(match not_refundable(payment, amount, now) {
        Some(refused) => OrderRefusal::Refused(refused),
        None => OrderRefusal::OtherBound(payment.clone()),
    })
}

pub(super) fn stored_refund(reader: &ItemReader<'_>) -> Result<StoredRefund, StoreError> {
    let attempts = reader.count("due_attempts")?;
    let due_at = reader.timestamp_or_none("due_at")?;
    Ok(StoredRefund {
        refund: reader.refund()?,
        due: due_at.map(|at| Due { at, attempts }),
    })
}
