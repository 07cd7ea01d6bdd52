//! Items: attribute maps, read and written by hand.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::StoreError;
use crate::domain::extras::{Detail, Extras, LimitPay, Store};
use crate::domain::order::ClosedBy;
use crate::domain::terms::{Item as OrderLine, Party, SubMerchant};
use crate::domain::{
    Appid, Event, EventKind, EventLog, Fen, InvalidId, Mchid, Openid, Order, OrderId, OrderState,
    Payment, RecordMac, Refund, RefundId, RefundState, Terms, Timestamp, TradeType, TransactionId,
    WechatpayRefundId,
};
use crate::wechatpay::{DetailBody, StoreBody};

pub(super) type Attributes = HashMap<String, AttributeValue>;

pub(super) const ORDER_SORT_KEY: &str = "ORDER";
pub(super) const REFUND_PREFIX: &str = "REFUND#";

pub(super) fn order_key(order_id: &OrderId) -> AttributeValue {
    text(format!("ORDER#{order_id}"))
}

pub(super) fn refund_sort_key(refund_id: &RefundId) -> AttributeValue {
    text(format!("{REFUND_PREFIX}{refund_id}"))
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn integer(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn timestamp(value: Timestamp) -> AttributeValue {
    integer(value.unix_seconds())
}

/// One item being read.
pub(super) struct ItemReader<'a> {
    attributes: &'a Attributes,
}

impl<'a> ItemReader<'a> {
    pub(super) const fn new(attributes: &'a Attributes) -> Self {
        Self { attributes }
    }

    pub(super) fn unreadable(&self, cause: impl Into<String>) -> StoreError {
        let key = match self.attributes.get("pk") {
            Some(AttributeValue::S(key)) => key.clone(),
            _ => "without a key".to_owned(),
        };
        StoreError::Unreadable {
            key,
            cause: cause.into(),
        }
    }

    pub(super) fn text_or_none(&self, name: &str) -> Result<Option<&'a str>, StoreError> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(AttributeValue::S(value)) => Ok(Some(value)),
            Some(_) => Err(self.unreadable(format!("{name} is not a text"))),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, StoreError> {
        self.text_or_none(name)?
            .ok_or_else(|| self.unreadable(format!("{name} is missing")))
    }

    pub(super) fn integer_or_none(&self, name: &str) -> Result<Option<i64>, StoreError> {
        match self.attributes.get(name) {
            None => Ok(None),
            Some(AttributeValue::N(value)) => value
                .parse()
                .map(Some)
                .map_err(|_| self.unreadable(format!("{name} is not a whole number"))),
            Some(_) => Err(self.unreadable(format!("{name} is not a number"))),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Result<i64, StoreError> {
        self.integer_or_none(name)?
            .ok_or_else(|| self.unreadable(format!("{name} is missing")))
    }

    pub(super) fn count(&self, name: &str) -> Result<u32, StoreError> {
        u32::try_from(self.integer_or_none(name)?.unwrap_or(0))
            .map_err(|_| self.unreadable(format!("{name} is out of range")))
    }

    pub(super) fn fen(&self, name: &str) -> Result<Fen, StoreError> {
        Fen::new(self.integer(name)?).map_err(|error| self.unreadable(error.to_string()))
    }

    pub(super) fn timestamp(&self, name: &str) -> Result<Timestamp, StoreError> {
        self.integer(name).map(Timestamp::from_unix_seconds)
    }

    pub(super) fn timestamp_or_none(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self
            .integer_or_none(name)?
            .map(Timestamp::from_unix_seconds))
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.attributes.get(name), Some(AttributeValue::Bool(true)))
    }

    fn version(&self) -> Result<u64, StoreError> {
        u64::try_from(self.integer("version")?).map_err(|_| self.unreadable("version is negative"))
    }

    pub(super) fn order_id(&self, name: &str) -> Result<OrderId, StoreError> {
        OrderId::parse(self.text(name)?).map_err(|error| self.unreadable(error.to_string()))
    }

    fn party(&self, name: &str) -> Result<Party, StoreError> {
        Party::parse(self.text(name)?).ok_or_else(|| self.unreadable(format!("{name} is unknown")))
    }

    fn transaction_id(&self) -> Result<TransactionId, StoreError> {
        self.id(TransactionId::parse(self.text("transaction_id")?))
    }

    /// An id that is not of its shape makes the item unreadable.
    fn id<T>(&self, parsed: Result<T, InvalidId>) -> Result<T, StoreError> {
        parsed.map_err(|error| self.unreadable(error.to_string()))
    }

    pub(super) fn order(&self) -> Result<Order, StoreError> {
        Ok(Order {
            terms: self.terms()?,
            state: self.order_state()?,
            version: self.version()?,
            missing_since: self.timestamp_or_none("missing_since")?,
            events: self.events("order.")?,
        })
    }

    fn terms(&self) -> Result<Terms, StoreError> {
        let owned = |name| {
            self.text_or_none(name)
                .map(|value| value.map(str::to_owned))
        };
        Ok(Terms {
            order_id: self.order_id("out_trade_no")?,
            trade_type: TradeType::parse(self.text("trade_type")?)
                .ok_or_else(|| self.unreadable("trade_type is unknown"))?,
            wire_version: self.count("wire_version")?,
            appid: self.id(Appid::parse(self.text("appid")?))?,
            mchid: self.id(Mchid::parse(self.text("mchid")?))?,
            sub_merchant: self.sub_merchant()?,
            description: self.text("description")?.to_owned(),
            total: self.fen("total")?,
            time_expire: self.timestamp("time_expire")?,
            attach: owned("attach")?,
            notify_url: self.text("notify_url")?.to_owned(),
            openid: owned("openid")?
                .map(|openid| self.id(Openid::parse(openid)))
                .transpose()?,
            payer_client_ip: owned("payer_client_ip")?,
            extras: self.extras()?,
            items: self.lines()?,
            placed_by: self.party("placed_by")?,
            created_at: self.timestamp("created_at")?,
        })
    }

    fn sub_merchant(&self) -> Result<Option<SubMerchant>, StoreError> {
        let Some(mchid) = self.sub_mchid()? else {
            return Ok(None);
        };
        let appid = self.text_or_none("sub_appid")?;
        let appid = appid
            .map(|appid| self.id(Appid::parse(appid)))
            .transpose()?;
        Ok(Some(SubMerchant { mchid, appid }))
    }

    fn sub_mchid(&self) -> Result<Option<Mchid>, StoreError> {
        let mchid = self.text_or_none("sub_mchid")?;
        mchid.map(|mchid| self.id(Mchid::parse(mchid))).transpose()
    }

    fn extras(&self) -> Result<Extras, StoreError> {
        let limit = |name: &str| {
            LimitPay::parse(name).ok_or_else(|| self.unreadable("limit_pay is unknown"))
        };
        let limits = self.text_or_none("limit_pay")?;
        let detail: Option<DetailBody> = self.json_or_none("detail")?;
        let store: Option<StoreBody> = self.json_or_none("store_info")?;
        Ok(Extras {
            goods_tag: self.text_or_none("goods_tag")?.map(str::to_owned),
            support_fapiao: self.flag("support_fapiao"),
            limit_pay: limits
                .map(|limits| limits.split(' ').map(limit).collect::<Result<Vec<_>, _>>())
                .transpose()?
                .unwrap_or_default(),
            detail: detail.map(Detail::from),
            store: store.map(Store::from),
            profit_sharing: self.flag("profit_sharing"),
        })
    }

    fn json_or_none<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text_or_none(name)? else {
            return Ok(None);
        };
        let read = serde_json::from_str(text);
        read.map(Some)
            .map_err(|_| self.unreadable(format!("{name} is malformed")))
    }

    fn lines(&self) -> Result<Vec<OrderLine>, StoreError> {
        let Some(lines) = self.text_or_none("items")? else {
            return Ok(Vec::new());
        };
        let malformed = || self.unreadable("items is malformed");
        let lines: Vec<(String, u32, i64, String)> =
            serde_json::from_str(lines).map_err(|_| malformed())?;
        let line = |(sku, quantity, unit_price, description)| {
            Ok(OrderLine {
                sku,
                description,
                quantity,
                unit_price: Fen::new(unit_price).map_err(|_| malformed())?,
            })
        };
        lines.into_iter().map(line).collect()
    }

    fn order_state(&self) -> Result<OrderState, StoreError> {
        match self.text("trade_state")? {
            "NOTPAY" => Ok(OrderState::NotPay),
            "CLOSING" => Ok(OrderState::Closing {
                since: self.timestamp("closing_at")?,
            }),
            "CLOSED" => Ok(OrderState::Closed {
                at: self.timestamp("closed_at")?,
                by: match self.integer_or_none("absence_confirmations")? {
                    None => ClosedBy::Wechatpay,
                    Some(_) => ClosedBy::Absence {
                        confirmations: self.count("absence_confirmations")?,
                    },
                },
            }),
            "SUCCESS" => Ok(OrderState::Success(Payment {
                transaction_id: self.transaction_id()?,
                success_time: self.timestamp("success_time")?,
                payer_total: self.integer_or_none("payer_total")?,
                refundable: self.integer("refundable")?,
                refund_count: self.count("refund_count")?,
                next_refund_at: self.timestamp_or_none("next_refund_at")?,
                closed_at: self.timestamp_or_none("closed_at")?,
                refunded_elsewhere: self.flag("refunded_elsewhere"),
            })),
            _ => Err(self.unreadable("trade_state is unknown")),
        }
    }

    pub(super) fn refund(&self) -> Result<Refund, StoreError> {
        let state = match self.text("status")? {
            "REQUESTED" => RefundState::Requested,
            "RESERVED" => RefundState::Reserved,
            "PROCESSING" => RefundState::Processing,
            "ABNORMAL" => RefundState::Abnormal,
            "CLOSED" => RefundState::Closed,
            "SUCCESS" => RefundState::Success {
                at: self.timestamp("success_time")?,
            },
            "REJECTED" => RefundState::Rejected,
            "WITHDRAWING" => RefundState::Withdrawing {
                since: self.timestamp("withdrawing_at")?,
                missing_since: self.timestamp_or_none("missing_since")?,
            },
            "WITHDRAWN" => RefundState::Withdrawn {
                at: self.timestamp("withdrawn_at")?,
                confirmations: self.count("absence_confirmations")?,
            },
            _ => return Err(self.unreadable("status is unknown")),
        };
        Ok(Refund {
            refund_id: RefundId::parse(self.text("out_refund_no")?)
                .map_err(|error| self.unreadable(error.to_string()))?,
            order_id: self.order_id("out_trade_no")?,
            transaction_id: self.transaction_id()?,
            sub_mchid: self.sub_mchid()?,
            amount: self.fen("refund")?,
            total: self.fen("total")?,
            reason: self.text_or_none("reason")?.map(str::to_owned),
            notify_url: self.text("notify_url")?.to_owned(),
            asked_by: self.party("asked_by")?,
            created_at: self.timestamp("created_at")?,
            reserved_at: self.timestamp_or_none("reserved_at")?,
            sent_at: self.timestamp_or_none("sent_at")?,
            state,
            version: self.version()?,
            wechatpay_refund_id: self
                .text_or_none("refund_id")?
                .map(|id| self.id(WechatpayRefundId::parse(id)))
                .transpose()?,
            refusals: self.count("refusals")?,
            refused_since: self.timestamp_or_none("refused_since")?,
            needs_human: self.text_or_none("needs_human")?.map(str::to_owned),
            mac: self.mac(),
            events: self.events("refund.")?,
        })
    }

    /// The events of an item whose kind begins with this, as [`events`] writes them.
    fn events(&self, of: &str) -> Result<EventLog, StoreError> {
        let Some(log) = self.text_or_none("events")? else {
            return Ok(EventLog::new());
        };
        let created_at = self.timestamp("created_at")?;
        let event = |entry: &str| {
            let (moment, name) = entry.split_once(':')?;
            let (version, after) = moment.split_at(moment.find(['+', '-'])?);
            Some(Event {
                version: version.parse().ok()?,
                at: created_at.plus_seconds(after.parse().ok()?),
                kind: EventKind::parse(&format!("{of}{name}"))?,
            })
        };
        let malformed = || self.unreadable("events is malformed");
        log.split(' ')
            .map(|entry| event(entry).ok_or_else(malformed))
            .collect()
    }

    /// One that cannot be read is none: the refund is then not sent, and holds up nobody.
    fn mac(&self) -> Option<RecordMac> {
        let text = self.text_or_none("mac").ok()??;
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).ok()?;
        RecordMac::from_slice(&bytes)
    }
}

/// The MAC as it is stored.
pub(super) fn mac(refund: &Refund) -> Option<AttributeValue> {
    let mac = refund.mac.as_ref()?;
    Some(text(data_encoding::BASE64.encode(mac.as_bytes())))
}

fn put(attributes: &mut Attributes, name: &str, value: Option<AttributeValue>) {
    if let Some(value) = value {
        attributes.insert(name.to_owned(), value);
    }
}

/// The whole item of a new order; `attempt` tells our own first write from somebody else's.
pub(super) fn new_order(order: &Order, attempt: &str) -> Attributes {
    let terms = &order.terms;
    let mut item = Attributes::new();
    let mut set = |name: &str, value| put(&mut item, name, value);
    set("pk", Some(order_key(&terms.order_id)));
    set("sk", Some(text(ORDER_SORT_KEY)));
    set("attempt", Some(text(attempt)));
    set("out_trade_no", Some(text(terms.order_id.as_str())));
    set("trade_type", Some(text(terms.trade_type.as_str())));
    set("wire_version", Some(integer(terms.wire_version)));
    set("appid", Some(text(terms.appid.as_str())));
    set("mchid", Some(text(terms.mchid.as_str())));
    set(
        "sub_mchid",
        terms.sub_mchid().map(|mchid| text(mchid.as_str())),
    );
    set(
        "sub_appid",
        terms.sub_appid().map(|appid| text(appid.as_str())),
    );
    set("description", Some(text(&terms.description)));
    set("total", Some(integer(terms.total)));
    set("time_expire", Some(timestamp(terms.time_expire)));
    set("attach", terms.attach.as_deref().map(text));
    set("notify_url", Some(text(&terms.notify_url)));
    set(
        "openid",
        terms.openid.as_ref().map(|openid| text(openid.as_str())),
    );
    set(
        "payer_client_ip",
        terms.payer_client_ip.as_deref().map(text),
    );
    for (name, value) in extras(&terms.extras) {
        set(name, value);
    }
    set("items", lines(&terms.items));
    set("placed_by", Some(text(terms.placed_by.as_str())));
    set("created_at", Some(timestamp(terms.created_at)));
    for (name, value) in order_progress(order) {
        set(name, value);
    }
    item
}

/// What an order carries besides; an order without any of it has none of these.
fn extras(extras: &Extras) -> [(&'static str, Option<AttributeValue>); 6] {
    let flag = |set: bool| set.then_some(AttributeValue::Bool(true));
    let limits: Vec<&str> = extras
        .limit_pay
        .iter()
        .map(|limit| limit.as_str())
        .collect();
    let detail = extras.detail.clone().map(DetailBody::from);
    let store = extras.store.clone().map(StoreBody::from);
    [
        ("goods_tag", extras.goods_tag.as_deref().map(text)),
        ("support_fapiao", flag(extras.support_fapiao)),
        (
            "limit_pay",
            (!limits.is_empty()).then(|| text(limits.join(" "))),
        ),
        ("detail", detail.as_ref().and_then(json_text)),
        ("store_info", store.as_ref().and_then(json_text)),
        ("profit_sharing", flag(extras.profit_sharing)),
    ]
}

/// A body of texts and integers as JSON, which serialises without fail.
fn json_text<T: Serialize>(body: &T) -> Option<AttributeValue> {
    serde_json::to_string(body).ok().map(text)
}

/// The events of a record: of each its version, the seconds since the record was made, and its name without
/// what it is of. An order that is one write unit has little room.
fn events(log: &EventLog, created_at: Timestamp) -> Option<AttributeValue> {
    let entry = |event: &Event| {
        let (_, name) = event.kind.as_str().split_once('.').unwrap_or_default();
        let after = event.at.seconds_since(created_at);
        format!("{}{after:+}:{name}", event.version)
    };
    let entries: Vec<String> = log.iter().map(entry).collect();
    (!entries.is_empty()).then(|| text(entries.join(" ")))
}

/// The lines of an order, as JSON lists: a description may have any character, and the names of members
/// would make up a third of the text.
fn lines(items: &[OrderLine]) -> Option<AttributeValue> {
    if items.is_empty() {
        return None;
    }
    let line = |line: &OrderLine| {
        let OrderLine {
            sku,
            description,
            quantity,
            unit_price,
        } = line;
        json!([sku, quantity, unit_price.get(), description])
    };
    let lines: Value = items.iter().map(line).collect();
    Some(text(lines.to_string()))
}

/// Every attribute that a change of an order may touch; `None` removes it. `next_refund_at` is not
/// among them: it belongs to those who claim it, and a claim leaves the version that a change is
/// conditional on.
pub(super) fn order_progress(order: &Order) -> Vec<(&'static str, Option<AttributeValue>)> {
    let (mut closing_at, mut closed_at, mut confirmations, mut payment) = (None, None, None, None);
    match &order.state {
        OrderState::NotPay => {}
        OrderState::Closing { since } => closing_at = Some(*since),
        OrderState::Closed { at, by } => {
            closed_at = Some(*at);
            confirmations = match by {
                ClosedBy::Wechatpay => None,
                ClosedBy::Absence { confirmations } => Some(*confirmations),
            };
        }
        OrderState::Success(paid) => {
            closed_at = paid.closed_at;
            payment = Some(paid);
        }
    }
    vec![
        ("trade_state", Some(text(order.state.as_str()))),
        ("version", Some(integer(order.version))),
        ("missing_since", order.missing_since.map(timestamp)),
        ("closing_at", closing_at.map(timestamp)),
        ("closed_at", closed_at.map(timestamp)),
        ("absence_confirmations", confirmations.map(integer)),
        (
            "transaction_id",
            payment.map(|paid| text(paid.transaction_id.as_str())),
        ),
        (
            "success_time",
            payment.map(|paid| timestamp(paid.success_time)),
        ),
        (
            "payer_total",
            payment.and_then(|paid| paid.payer_total).map(integer),
        ),
        ("refundable", payment.map(|paid| integer(paid.refundable))),
        (
            "refunded_elsewhere",
            payment
                .filter(|paid| paid.refunded_elsewhere)
                .map(|_| AttributeValue::Bool(true)),
        ),
        (
            "refund_count",
            payment.map(|paid| integer(paid.refund_count)),
        ),
        ("events", events(&order.events, order.terms.created_at)),
    ]
}

/// The whole item of a new refund.
pub(super) fn new_refund(refund: &Refund) -> Attributes {
    let mut item = Attributes::new();
    let mut set = |name: &str, value| put(&mut item, name, value);
    set("pk", Some(order_key(&refund.order_id)));
    set("sk", Some(refund_sort_key(&refund.refund_id)));
    set("out_refund_no", Some(text(refund.refund_id.as_str())));
    set("out_trade_no", Some(text(refund.order_id.as_str())));
    set("transaction_id", Some(text(refund.transaction_id.as_str())));
    set(
        "sub_mchid",
        refund.sub_mchid.as_ref().map(|mchid| text(mchid.as_str())),
    );
    set("refund", Some(integer(refund.amount)));
    set("total", Some(integer(refund.total)));
    set("reason", refund.reason.as_deref().map(text));
    set("notify_url", Some(text(&refund.notify_url)));
    set("asked_by", Some(text(refund.asked_by.as_str())));
    set("created_at", Some(timestamp(refund.created_at)));
    set("mac", mac(refund));
    set("sent_at", refund.sent_at.map(timestamp));
    for (name, value) in refund_progress(refund) {
        set(name, value);
    }
    item
}

/// Every attribute that a change of a refund may touch, its due time apart; `None` removes it. `sent_at`
/// is not among them: it belongs to those who claim to send, and a claim leaves the version that a
/// change is conditional on.
pub(super) fn refund_progress(refund: &Refund) -> Vec<(&'static str, Option<AttributeValue>)> {
    let (mut success_time, mut withdrawing_at, mut missing_since) = (None, None, None);
    let (mut withdrawn_at, mut confirmations) = (None, None);
    match refund.state {
        RefundState::Success { at } => success_time = Some(at),
        RefundState::Withdrawing {
            since,
            missing_since: missing,
        } => (withdrawing_at, missing_since) = (Some(since), missing),
        RefundState::Withdrawn {
            at,
            confirmations: looks,
        } => (withdrawn_at, confirmations) = (Some(at), Some(looks)),
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Rejected => {}
    }
    vec![
        ("status", Some(text(refund.state.as_str()))),
        ("version", Some(integer(refund.version))),
        (
            "refund_id",
            refund
                .wechatpay_refund_id
                .as_ref()
                .map(|id| text(id.as_str())),
        ),
        ("reserved_at", refund.reserved_at.map(timestamp)),
        ("success_time", success_time.map(timestamp)),
        ("withdrawing_at", withdrawing_at.map(timestamp)),
        ("missing_since", missing_since.map(timestamp)),
        ("withdrawn_at", withdrawn_at.map(timestamp)),
        ("absence_confirmations", confirmations.map(integer)),
        (
            "refusals",
            (refund.refusals > 0).then(|| integer(refund.refusals)),
        ),
        ("refused_since", refund.refused_since.map(timestamp)),
        ("needs_human", refund.needs_human.as_deref().map(text)),
        ("events", events(&refund.events, refund.created_at)),
    ]
}
