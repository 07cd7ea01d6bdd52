//! The store's promises, kept by a real DynamoDB implementation over HTTP with the real SDK.
//!
//! By default the table is dynoxide, in memory, in this process. Where `DYNAMODB_ENDPOINT` names
//! another implementation, the same tests run against that (`.ci/second-opinion`). The table is made
//! from `template.yaml`, as the local stack makes it. `bench` is the table with a proxy before it that
//! sees every call and can lose or replace answers; `model` compares docs/data-model.md with what
//! is written.

mod bench;
mod catalogue;
mod evidence;
mod faults;
mod indexes;
mod listed;
mod lossy;
mod model;
mod orders;
mod refunds;
mod stream;
mod writes;

use shared::domain::extras::{Detail, Extras, Goods, LimitPay, Store};
use shared::domain::order::ClosedBy;
use shared::domain::refund::Decision;
use shared::domain::terms::{Item, Party, SubMerchant};
use shared::domain::{
    Appid, Due, EventKind, EventLog, Fen, Mchid, NotRefundable, Openid, Order, OrderId, OrderState,
    Payment, RecordMac, Refund, RefundId, RefundState, Terms, Timestamp, TradeType, TransactionId,
    WechatpayRefundId,
};
use shared::store::{Reserve, SendSlot};

use bench::Bench;

/// The moment at which most of the tests happen.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_790_000_000);

/// The time between two refunds of an order, as configured by default.
const INTERVAL: i64 = 60;

/// How many refunds one order can have.
const REFUNDS_MAX: u32 = 50;

fn order_id(number: &str) -> OrderId {
    OrderId::parse(number).unwrap()
}

fn refund_id(number: &str) -> RefundId {
    RefundId::parse(number).unwrap()
}

fn fen(amount: i64) -> Fen {
    Fen::new(amount).unwrap()
}

fn openid(text: &str) -> Openid {
    Openid::parse(text).unwrap()
}

/// A payer's order with everything in it that a payer's order usually has.
fn terms(number: &str) -> Terms {
    Terms {
        order_id: order_id(number),
        trade_type: TradeType::Jsapi,
        wire_version: 1,
        appid: Appid::parse("wxd678efh567hg6787").unwrap(),
        mchid: Mchid::parse("1230000109").unwrap(),
        sub_merchant: None,
        description: "美式咖啡（大杯） 等".to_owned(),
        total: fen(600),
        time_expire: NOW.plus_seconds(30 * 60),
        attach: Some("table 12".to_owned()),
        notify_url: "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/wechatpay/notify"
            .to_owned(),
        openid: Some(openid("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")),
        payer_client_ip: None,
        extras: Extras::default(),
        items: vec![
            article("coffee", "美式咖啡（大杯）", 2, 250),
            article("cake.lemon", "Lemon cake", 1, 100),
        ],
        placed_by: Party::Payer,
        created_at: NOW,
    }
}

fn article(sku: &str, description: &str, quantity: u32, unit_price: i64) -> Item {
    Item {
        sku: sku.to_owned(),
        description: description.to_owned(),
        quantity,
        unit_price: fen(unit_price),
    }
}

/// A new order.
fn order(number: &str) -> Order {
    Order::placed(terms(number))
}

/// What the order becomes when it is paid.
fn paid(order: &Order) -> Order {
    changed(order, OrderState::Success(payment(order)))
}

/// A payment of the whole order, a minute ago.
fn payment(order: &Order) -> Payment {
    Payment {
        transaction_id: TransactionId::parse("4200001234202609221234567890").unwrap(),
        success_time: NOW.minus_seconds(60),
        payer_total: Some(order.terms.total.get() - 10),
        refundable: order.terms.total.get(),
        refund_count: 0,
        next_refund_at: None,
        closed_at: None,
        refunded_elsewhere: false,
    }
}

/// The order's next version, in this state.
fn changed(order: &Order, state: OrderState) -> Order {
    let version = order.version + 1;
    let kind = match (&order.state, &state) {
        (OrderState::Success(_), OrderState::Success(_)) => None,
        (_, OrderState::Success(_)) => Some(EventKind::OrderPaid),
        (OrderState::NotPay | OrderState::Closing { .. }, OrderState::Closed { .. }) => {
            Some(EventKind::OrderClosed)
        }
        (_, _) => None,
    };
    Order {
        state,
        version,
        events: order.events.with(version, NOW.plus_seconds(42), kind),
        ..order.clone()
    }
}

fn closed(by: ClosedBy) -> OrderState {
    OrderState::Closed {
        at: NOW.plus_seconds(1_900),
        by,
    }
}

/// A refund of the order that is about to be reserved.
fn refund(number: &str, order: &Order, amount: i64) -> Refund {
    Refund {
        refund_id: refund_id(number),
        order_id: order.terms.order_id.clone(),
        transaction_id: payment(order).transaction_id,
        sub_mchid: order.terms.sub_mchid().cloned(),
        amount: fen(amount),
        total: order.terms.total,
        reason: Some("买错了".to_owned()),
        notify_url: order.terms.notify_url.clone(),
        asked_by: Party::Merchant,
        created_at: NOW,
        reserved_at: Some(NOW),
        sent_at: None,
        state: RefundState::Reserved,
        version: 1,
        wechatpay_refund_id: None,
        refusals: 0,
        refused_since: None,
        needs_human: None,
        mac: RecordMac::from_slice(&[7; 32]),
        events: EventLog::new(),
    }
}

/// A refund of the order that a payer asks for.
fn request(number: &str, order: &Order, amount: i64) -> Refund {
    Refund {
        state: RefundState::Requested,
        reserved_at: None,
        asked_by: Party::Payer,
        events: EventLog::new().with(1, NOW, Some(EventKind::RefundRequested)),
        ..refund(number, order, amount)
    }
}

/// What the refund becomes when WeChat Pay says so.
fn reported(refund: &Refund, state: RefundState) -> Refund {
    let version = refund.version + 1;
    let kind = match state {
        RefundState::Success { .. } => Some(EventKind::RefundSucceeded),
        RefundState::Closed => Some(EventKind::RefundClosed),
        RefundState::Abnormal => Some(EventKind::RefundAbnormal),
        RefundState::Requested
        | RefundState::Reserved
        | RefundState::Processing
        | RefundState::Rejected
        | RefundState::Withdrawing { .. }
        | RefundState::Withdrawn { .. } => None,
    };
    Refund {
        state,
        version,
        events: refund.events.with(version, NOW, kind),
        wechatpay_refund_id: WechatpayRefundId::parse("50000000382019052709732678859").ok(),
        ..refund.clone()
    }
}

fn soon() -> Due {
    Due {
        at: NOW.plus_seconds(60),
        attempts: 0,
    }
}

/// A merchant's order whose terms are as short as they can be.
fn merchants(number: &str, trade_type: TradeType) -> Order {
    Order::placed(Terms {
        trade_type,
        attach: None,
        openid: None,
        items: Vec::new(),
        placed_by: Party::Merchant,
        ..terms(number)
    })
}

/// Whose order it is in partner mode.
fn sub_merchant() -> SubMerchant {
    SubMerchant {
        mchid: Mchid::parse("1900000110").unwrap(),
        appid: Appid::parse("wxd678efh567hg6788").ok(),
    }
}

/// All that an order can carry besides.
fn every_extra() -> Extras {
    Extras {
        goods_tag: Some("WXG".to_owned()),
        support_fapiao: true,
        limit_pay: vec![LimitPay::NoCredit, LimitPay::NoBalance],
        detail: Some(Detail {
            cost_price: Some(700),
            invoice_id: Some("R-7".to_owned()),
            goods: vec![Goods {
                merchant_goods_id: "coffee".to_owned(),
                wechatpay_goods_id: Some("1001".to_owned()),
                goods_name: Some("Coffee \"咖啡\"".to_owned()),
                quantity: 2,
                unit_price: 300,
            }],
        }),
        store: Some(Store {
            id: "7".to_owned(),
            name: Some("North Gate".to_owned()),
            area_code: None,
            address: Some("1 Gate Street".to_owned()),
        }),
        profit_sharing: true,
    }
}

/// The slot that a refund claims which is sent at once.
const SLOT: SendSlot = SendSlot::Now {
    interval_seconds: INTERVAL,
};

/// The request as the merchant approves it.
fn as_approved(requested: &Refund) -> Refund {
    decided(&requested.approve(NOW), requested, RefundState::Reserved)
}

/// The request as the merchant rejects it.
fn as_rejected(requested: &Refund) -> Refund {
    decided(&requested.reject(NOW), requested, RefundState::Rejected)
}

/// What is decided, or would have been where it was decided before.
fn decided(decision: &Decision, requested: &Refund, state: RefundState) -> Refund {
    match decision {
        Decision::Changed(refund) => (**refund).clone(),
        Decision::Repeat | Decision::TooLate => Refund {
            state,
            reserved_at: Some(NOW),
            version: requested.version + 1,
            ..requested.clone()
        },
    }
}

fn exceeds(refundable: i64) -> Reserve {
    Reserve::Refused(NotRefundable::Exceeds { refundable })
}

/// The reservation of `refund`, to be sent later.
async fn reserve(bench: &Bench, refund: &Refund) -> Reserve {
    bench
        .refunds()
        .reserve(refund, NOW, SendSlot::Later, soon())
        .await
        .unwrap()
}

/// The refund as it is withdrawn, and as it stands once WeChat Pay has said twice not to know it.
fn withdrawn(reserved: &Refund) -> (Refund, Refund) {
    let Decision::Changed(withdrawing) = reserved.withdraw(NOW) else {
        panic!("{reserved:?}");
    };
    let state = RefundState::Withdrawn {
        at: NOW.plus_seconds(600),
        confirmations: 0,
    };
    let withdrawn = Refund {
        state,
        version: withdrawing.version + 1,
        ..(*withdrawing).clone()
    };
    (*withdrawing, withdrawn)
}
