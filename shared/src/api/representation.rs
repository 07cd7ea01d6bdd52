//! What an order and its refunds look like in an answer.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Caller;
use crate::domain::extras::Extras;
use crate::domain::order::CURRENCY;
use crate::domain::terms::Item;
use crate::domain::{Order, Payment, Refund, RefundState, Terms};
use crate::rfc3339;
use crate::store::{Article, StoredRefund};
use crate::wechatpay::{DetailBody, StoreBody};

/// An order as create-order and close-order answer it.
pub fn order(order: &Order) -> Map<String, Value> {
    object(&order_body(order, None, None))
}

/// An order as the merchant is told of it, without its refunds.
pub fn told_order(record: &Order) -> Value {
    let body = order_body(record, None, None);
    Value::Object(object(&body.seen_by(&Caller::Merchant, &record.terms)))
}

/// An order as query answers it: as this caller sees it, with its refunds and whether WeChat Pay's
/// word is fresh.
pub fn queried_order(
    caller: &Caller,
    record: &Order,
    refunds: &[StoredRefund],
    fresh: bool,
) -> Value {
    let payment = record.payment_on_record();
    let returned = Returned {
        refunded: refunds
            .iter()
            .map(|stored| arrived_fen(&stored.refund))
            .sum(),
        refundable: payment.map_or(0, Payment::still_refundable),
    };
    let refunds = Some(refunds.iter().map(refund).collect());
    let mut body = order_body(record, Some(returned), refunds);
    body.fresh = Some(fresh);
    Value::Object(object(&body.seen_by(caller, &record.terms)))
}

/// An order as the merchant's lists tell it: as a single one, without what would cost a query of its own
/// for each (its refunds, and what of it was refunded) and without WeChat Pay's word.
pub fn listed_order(record: &Order) -> Value {
    let mut body = order_body(record, None, None);
    let payment = record.payment_on_record();
    body.amount.refundable = Some(payment.map_or(0, Payment::still_refundable));
    Value::Object(object(&body.seen_by(&Caller::Merchant, &record.terms)))
}

fn order_body(
    order: &Order,
    returned: Option<Returned>,
    refunds: Option<Vec<Value>>,
) -> OrderBody<'_> {
    let terms = &order.terms;
    let payment = order.payment_on_record();
    OrderBody {
        out_trade_no: terms.order_id.as_str(),
        trade_type: terms.trade_type.as_str(),
        trade_state: order.state.as_str(),
        amount: OrderAmount {
            total: terms.total.get(),
            currency: CURRENCY,
            refunded: returned.as_ref().map(|returned| returned.refunded),
            refundable: returned.as_ref().map(|returned| returned.refundable),
        },
        time_expire: rfc3339::format(terms.time_expire),
        transaction_id: payment.map(|payment| payment.transaction_id.as_str()),
        success_time: payment.map(|payment| rfc3339::format(payment.success_time)),
        fresh: None,
        refunds,
        placed_by: None,
        description: None,
        attach: None,
        payer: None,
        items: None,
        extras: None,
    }
}

fn item(item: &Item) -> ItemBody<'_> {
    ItemBody {
        sku: &item.sku,
        description: &item.description,
        quantity: item.quantity,
        unit_price: item.unit_price.get(),
    }
}

/// What of a refund is back with the payer, in fen.
fn arrived_fen(refund: &Refund) -> i64 {
    match refund.state {
        RefundState::Success { .. } => refund.amount.get(),
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => 0,
    }
}

/// An article that is on sale.
pub fn article(sku: &str, article: &Article) -> Value {
    let body = ArticleBody {
        sku,
        description: &article.description,
        amount: OrderAmount {
            total: article.price.get(),
            currency: CURRENCY,
            refunded: None,
            refundable: None,
        },
    };
    Value::Object(object(&body))
}

/// A refund as every function answers it.
pub fn refund(stored: &StoredRefund) -> Value {
    Value::Object(object(&refund_body(stored)))
}

/// A refund as the merchant's lists tell it: also who asked for it, and when.
pub fn listed_refund(stored: &StoredRefund) -> Value {
    let mut body = refund_body(stored);
    body.asked_by = Some(stored.refund.asked_by.as_str());
    body.created_at = Some(rfc3339::format(stored.refund.created_at));
    Value::Object(object(&body))
}

fn refund_body(stored: &StoredRefund) -> RefundBody<'_> {
    let refund = &stored.refund;
    let success_time = match refund.state {
        RefundState::Success { at } => Some(rfc3339::format(at)),
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => None,
    };
    let next_attempt_at = match refund.state {
        RefundState::Reserved => stored.due.map(|due| rfc3339::format(due.at)),
        RefundState::Requested
        | RefundState::Processing
        | RefundState::Abnormal
        | RefundState::Closed
        | RefundState::Success { .. }
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => None,
    };
    RefundBody {
        out_refund_no: refund.refund_id.as_str(),
        out_trade_no: refund.order_id.as_str(),
        status: refund.state.as_str(),
        amount: RefundAmount {
            refund: refund.amount.get(),
            total: refund.total.get(),
            currency: CURRENCY,
        },
        reason: refund.reason.as_deref(),
        success_time,
        next_attempt_at,
        needs_human: refund.needs_human.is_some().then_some(true),
        asked_by: None,
        created_at: None,
    }
}

/// A body as JSON; ours are objects of texts, integers and lists, which serialise without fail.
fn object<T: Serialize>(body: &T) -> Map<String, Value> {
    match serde_json::to_value(body) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// What of an order went back, or may still go back, in fen.
struct Returned {
    refunded: i64,
    refundable: i64,
}

#[derive(Serialize)]
struct OrderBody<'a> {
    out_trade_no: &'a str,
    trade_type: &'static str,
    trade_state: &'static str,
    amount: OrderAmount,
    time_expire: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fresh: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunds: Option<Vec<Value>>,
    // What only the merchant is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<PayerBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<ItemBody<'a>>>,
    #[serde(flatten)]
    extras: Option<ExtrasBody<'a>>,
}

/// What a merchant's order carries besides, as it was asked for.
#[derive(Serialize)]
struct ExtrasBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    goods_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    support_fapiao: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limit_pay: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<DetailBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<SceneBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settle_info: Option<SettleBody>,
}

#[derive(Serialize)]
struct SceneBody {
    store_info: StoreBody,
}

#[derive(Serialize)]
struct SettleBody {
    profit_sharing: bool,
}

fn extras_body(extras: &Extras) -> ExtrasBody<'_> {
    let store = extras.store.clone().map(StoreBody::from);
    ExtrasBody {
        goods_tag: extras.goods_tag.as_deref(),
        support_fapiao: extras.support_fapiao.then_some(true),
        limit_pay: extras
            .limit_pay
            .iter()
            .map(|limit| limit.as_str())
            .collect(),
        detail: extras.detail.clone().map(DetailBody::from),
        scene_info: store.map(|store_info| SceneBody { store_info }),
        settle_info: extras.profit_sharing.then_some(SettleBody {
            profit_sharing: true,
        }),
    }
}

impl<'a> OrderBody<'a> {
    /// The merchant is also told whose the order is and what was ordered, so that a parcel can be packed; a
    /// payer is not told any openid.
    fn seen_by(self, caller: &Caller, terms: &'a Terms) -> Self {
        match caller {
            Caller::Payer { .. } => self,
            Caller::Merchant => Self {
                placed_by: Some(terms.placed_by.as_str()),
                description: Some(&terms.description),
                attach: terms.attach.as_deref(),
                payer: terms.openid.as_ref().map(|openid| PayerBody {
                    openid: openid.as_str(),
                }),
                items: Some(terms.items.iter().map(item).collect()),
                extras: Some(extras_body(&terms.extras)),
                ..self
            },
        }
    }
}

#[derive(Serialize)]
struct PayerBody<'a> {
    openid: &'a str,
}

#[derive(Serialize)]
struct ItemBody<'a> {
    sku: &'a str,
    description: &'a str,
    quantity: u32,
    unit_price: i64,
}

#[derive(Serialize)]
struct ArticleBody<'a> {
    sku: &'a str,
    description: &'a str,
    amount: OrderAmount,
}

#[derive(Serialize)]
struct OrderAmount {
    total: i64,
    currency: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refundable: Option<i64>,
}

#[derive(Serialize)]
struct RefundBody<'a> {
    out_refund_no: &'a str,
    out_trade_no: &'a str,
    status: &'static str,
    amount: RefundAmount,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs_human: Option<bool>,
    // What only lists tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

#[derive(Serialize)]
struct RefundAmount {
    refund: i64,
    total: i64,
    currency: &'static str,
}
