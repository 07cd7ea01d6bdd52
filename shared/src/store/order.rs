//! Orders in the table.

use std::fmt;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::index::{Lane, due_attributes};
use super::item::{self, Attributes, ItemReader, integer, text, timestamp};
use super::listed::order_shard;
use super::update::Update;
use super::write::{commit, retry_conflicts};
use super::{Commit, StoreError, Table, unavailable};
use crate::domain::{Due, Order, OrderId, Timestamp, TradeType};

/// What WeChat Pay last gave to pay an order with, kept for repeats: a Native order's `code_url`, an
/// H5 order's `h5_url`, else a `prepay_id`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptPrepay {
    /// The text as WeChat Pay gave it.
    pub text: String,
    /// When it was asked for.
    pub at: Timestamp,
}

impl fmt::Debug for KeptPrepay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever has a code or an address can pay with it.
        let mut shown = formatter.debug_struct("KeptPrepay");
        shown.field("at", &self.at).finish_non_exhaustive()
    }
}

/// The attributes of an order's [`KeptPrepay`]: its text, and when it was asked for.
const fn kept_names(trade_type: TradeType) -> [&'static str; 2] {
    match trade_type {
        TradeType::Native => ["code_url", "code_url_at"],
        TradeType::Jsapi | TradeType::H5 | TradeType::App => ["prepay", "prepay_at"],
    }
}

/// Who may ask WeChat Pay for what an order is paid with, and until when.
///
/// A new Native code kills the one on the screen, so only one caller at a time may ask; of other orders
/// a claim is what keeps repeats from each costing a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepayClaim {
    /// The claimant's own random token.
    pub token: String,
    /// After this the claim is void.
    pub until: Timestamp,
}

/// An order with what the record keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOrder {
    /// The order.
    pub order: Order,
    /// When the sweep looks at it, and after how many looks.
    pub due: Option<Due>,
    /// What a repeat may be answered with.
    pub code: Option<KeptPrepay>,
    /// Who is asking for what the order is paid with.
    pub prepay_claim: Option<PrepayClaim>,
}

/// What became of placing an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It stands in the table, by this attempt.
    New,
    /// There was one of that number before.
    Existing(Box<StoredOrder>),
}

/// Reads and writes orders.
#[derive(Clone, Debug)]
pub struct Orders(Table);

impl Orders {
    /// The orders of this table.
    pub const fn new(table: Table) -> Self {
        Self(table)
    }

    /// Puts the order if its number is free. `attempt` is a fresh random text: it tells a lost
    /// answer of our own write from another caller's. `claim` goes with a Native order.
    ///
    /// # Errors
    /// The table is unavailable; the order may stand nevertheless, and a repeat finds out.
    pub async fn place(
        &self,
        order: &Order,
        attempt: &str,
        claim: Option<&PrepayClaim>,
        due: Option<Due>,
    ) -> Result<Placed, StoreError> {
        const ACTION: &str = "PutItem order";
        let mut attributes = item::new_order(order, attempt);
        let (name, shard) = order_shard(order);
        attributes.insert(name.to_owned(), shard);
        let key = order.terms.order_id.as_str();
        for (name, value) in due_attributes(Lane::of_order(order), key, due) {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), value);
            }
        }
        if let Some(claim) = claim {
            attributes.insert("code_claim".to_owned(), text(&claim.token));
            attributes.insert("code_claim_until".to_owned(), timestamp(claim.until));
        }
        let put = self
            .0
            .client
            .put_item()
            .table_name(&self.0.name)
            .set_item(Some(attributes))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let sent = retry_conflicts(|| put.clone().send()).await;
        let error = match sent {
            Ok(_) => return Ok(Placed::New),
            Err(error) => error,
        };
        let Some(
            aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
                failed,
            ),
        ) = error.as_service_error()
        else {
            return Err(unavailable(ACTION, &error));
        };
        let Some(found) = failed.item() else {
            return match self.load(&order.terms.order_id).await? {
                Some(stored) => Ok(Placed::Existing(Box::new(stored))),
                None => Err(unavailable(ACTION, &error)),
            };
        };
        let reader = ItemReader::new(found);
        if reader.text_or_none("attempt")? == Some(attempt) {
            return Ok(Placed::New);
        }
        Ok(Placed::Existing(Box::new(stored_order(&reader)?)))
    }

    /// The order of this number, read consistently.
    ///
    /// # Errors
    /// The table is unavailable or the item unreadable.
    pub async fn load(&self, order_id: &OrderId) -> Result<Option<StoredOrder>, StoreError> {
        let answer = self
            .0
            .client
            .get_item()
            .table_name(&self.0.name)
            .key("pk", item::order_key(order_id))
            .key("sk", text(item::ORDER_SORT_KEY))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable("GetItem order", &error))?;
        answer
            .item()
            .map(|attributes| stored_order(&ItemReader::new(attributes)))
            .transpose()
    }

    /// The orders of these numbers (at most 100), in their order; missing ones are left out.
    ///
    /// # Errors
    /// The table is unavailable or an item unreadable.
    pub async fn load_many(&self, order_ids: &[OrderId]) -> Result<Vec<Order>, StoreError> {
        if order_ids.is_empty() {
            return Ok(Vec::new());
        }
        let key = |order_id| {
            Attributes::from([
                ("pk".to_owned(), item::order_key(order_id)),
                ("sk".to_owned(), text(item::ORDER_SORT_KEY)),
            ])
        };
        let keys = order_ids.iter().map(key).collect();
        let mut found = Vec::new();
        for attributes in self.0.batch("BatchGetItem orders", keys, true).await? {
            found.push(ItemReader::new(&attributes).order()?);
        }
        Ok(order_ids
            .iter()
            .filter_map(|order_id| found.iter().find(|order| order.terms.order_id == *order_id))
            .cloned()
            .collect())
    }

    /// Writes what became of `before`, if nobody changed it since it was read.
    ///
    /// # Errors
    /// The table is unavailable; the change may have been made, and deciding again finds out.
    pub async fn commit(
        &self,
        before: &Order,
        after: &Order,
        due: Option<Due>,
    ) -> Result<Commit, StoreError> {
        let key = after.terms.order_id.as_str();
        let update = Update::default()
            .assign(item::order_progress(after))
            .assign(due_attributes(Lane::of_order(after), key, due))
            .value("before", integer(before.version));
        self.update(
            "UpdateItem order",
            &after.terms.order_id,
            update,
            "#version = :before",
        )
        .await
    }

    /// Moves the order's due time and nothing else; the version stays.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn postpone(&self, order: &Order, due: Option<Due>) -> Result<Commit, StoreError> {
        let update = Update::default()
            .assign(due_attributes(
                Lane::of_order(order),
                order.terms.order_id.as_str(),
                due,
            ))
            .names(["version"])
            .value("before", integer(order.version));
        self.update(
            "postpone an order",
            &order.terms.order_id,
            update,
            "#version = :before",
        )
        .await
    }

    /// Claims the right to call a person for the order: once, so `Conflict` is every time after the first,
    /// at another second. The version stays.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn claim_call(
        &self,
        order_id: &OrderId,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let update = Update::default()
            .assign([("person_called_at", Some(timestamp(now)))])
            .names(["pk"]);
        // The SDK's own repeat, after an answer that was lost, still claims it.
        let condition = "attribute_exists(#pk) AND (attribute_not_exists(#person_called_at) \
                         OR #person_called_at = :person_called_at)";
        self.update("claim calling a person", order_id, update, condition)
            .await
    }

    /// Claims the right to ask WeChat Pay about the order: at most one caller in `floor_seconds`
    /// gets `Done`. The version stays.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn claim_asking(
        &self,
        order_id: &OrderId,
        now: Timestamp,
        floor_seconds: i64,
    ) -> Result<Commit, StoreError> {
        self.claim_asking_as("asked_at", order_id, now, floor_seconds)
            .await
    }

    /// The same for the merchant, who wants to refund: a right of its own, which no payer can use up.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn claim_asking_to_refund(
        &self,
        order_id: &OrderId,
        now: Timestamp,
        floor_seconds: i64,
    ) -> Result<Commit, StoreError> {
        self.claim_asking_as("refund_asked_at", order_id, now, floor_seconds)
            .await
    }

    async fn claim_asking_as(
        &self,
        name: &'static str,
        order_id: &OrderId,
        now: Timestamp,
        floor_seconds: i64,
    ) -> Result<Commit, StoreError> {
        let update = Update::default()
            .assign([(name, Some(timestamp(now)))])
            .names(["pk"])
            .value("floor", timestamp(now.minus_seconds(floor_seconds)));
        // A reading from the future is a clock that went back: it must not silence us for good.
        let condition = format!(
            "attribute_exists(#pk) AND (attribute_not_exists(#{name}) \
             OR #{name} <= :floor OR #{name} > :{name})"
        );
        self.update("claim asking", order_id, update, &condition)
            .await
    }

    /// Claims the right to ask for what the order is paid with, where there is nothing that was asked
    /// for after `stale_before` and nobody else is asking.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn claim_prepay(
        &self,
        order_id: &OrderId,
        trade_type: TradeType,
        claim: &PrepayClaim,
        stale_before: Timestamp,
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let [_, at] = kept_names(trade_type);
        let update = Update::default()
            .assign([
                ("code_claim", Some(text(&claim.token))),
                ("code_claim_until", Some(timestamp(claim.until))),
            ])
            .names(["trade_state", at])
            .value("notpay", text("NOTPAY"))
            .value("stale", timestamp(stale_before))
            .value("now", timestamp(now));
        let condition = format!(
            "#trade_state = :notpay \
             AND (attribute_not_exists(#{at}) OR #{at} <= :stale) \
             AND (attribute_not_exists(#code_claim) OR #code_claim = :code_claim \
                  OR #code_claim_until <= :now)"
        );
        self.update("claim a code", order_id, update, &condition)
            .await
    }

    /// Keeps what the claimant was given, and ends the claim.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn keep_prepay(
        &self,
        order_id: &OrderId,
        trade_type: TradeType,
        claim: &PrepayClaim,
        code: &KeptPrepay,
    ) -> Result<Commit, StoreError> {
        let [name, at] = kept_names(trade_type);
        let update = Update::default()
            .assign([
                (name, Some(text(&code.text))),
                (at, Some(timestamp(code.at))),
                ("code_claim", None),
                ("code_claim_until", None),
            ])
            .value("token", text(&claim.token));
        self.update("keep a code", order_id, update, "#code_claim = :token")
            .await
    }

    /// Ends a claim that led to no code.
    ///
    /// # Errors
    /// The table is unavailable; the claim then ends by itself.
    pub async fn release_prepay(
        &self,
        order_id: &OrderId,
        claim: &PrepayClaim,
    ) -> Result<Commit, StoreError> {
        let update = Update::default()
            .assign([("code_claim", None), ("code_claim_until", None)])
            .value("token", text(&claim.token));
        self.update(
            "release a code claim",
            order_id,
            update,
            "#code_claim = :token",
        )
        .await
    }

    async fn update(
        &self,
        action: &'static str,
        order_id: &OrderId,
        update: Update,
        condition: &str,
    ) -> Result<Commit, StoreError> {
        let update = self
            .0
            .client
            .update_item()
            .table_name(&self.0.name)
            .key("pk", item::order_key(order_id))
            .key("sk", text(item::ORDER_SORT_KEY))
            .update_expression(update.expression())
            .condition_expression(condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values));
        commit(action, update).await
    }
}

pub(super) fn stored_order(reader: &ItemReader<'_>) -> Result<StoredOrder, StoreError> {
    let due = reader.timestamp_or_none("due_at")?;
    let order = reader.order()?;
    let [name, at] = kept_names(order.terms.trade_type);
    let code = match (reader.text_or_none(name)?, reader.timestamp_or_none(at)?) {
        (Some(text), Some(at)) => Some(KeptPrepay {
            text: text.to_owned(),
            at,
        }),
        _ => None,
    };
    let prepay_claim = match (
        reader.text_or_none("code_claim")?,
        reader.timestamp_or_none("code_claim_until")?,
    ) {
        (Some(token), Some(until)) => Some(PrepayClaim {
            token: token.to_owned(),
            until,
        }),
        _ => None,
    };
    let attempts = reader.count("due_attempts")?;
    Ok(StoredOrder {
        order,
        due: due.map(|at| Due { at, attempts }),
        code,
        prepay_claim,
    })
}
