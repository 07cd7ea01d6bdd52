//! What WeChat Pay says of an order or a refund, in our words.
//!
//! A report is only a claim; that it was signed is proved by the type that carries it
//! (`wechatpay::Signed`), and whether it fits our record is decided by [`super::order`] and
//! [`super::refund`].

use super::{
    Appid, Fen, Mchid, Openid, OrderId, RefundId, Timestamp, TransactionId, WechatpayRefundId,
};

/// The outcome of an order as WeChat Pay reports it (`trade_state`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TradeState {
    /// `NOTPAY`, and `USERPAYING` of code payment: not paid so far.
    Unpaid,
    /// `CLOSED`: can no longer be paid.
    Closed,
    /// `SUCCESS`, or `REFUND` (paid, and some of it refunded since).
    Paid(PaidReport),
    /// Anything else (`REVOKED`, `PAYERROR`, a value of tomorrow): no edge leads from it.
    Unknown(String),
}

/// What only a paid order's report can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidReport {
    /// WeChat Pay's number of the payment.
    pub transaction_id: TransactionId,
    /// When it was paid; absent where WeChat Pay left it out.
    pub success_time: Option<Timestamp>,
    /// What the payer paid after coupons, in fen; may be less than the total, also zero.
    pub payer_total: Option<i64>,
    /// The payer's openid under the report's app, if told. A jsapi order fixes it; any other may be paid
    /// by somebody else.
    pub openid: Option<Openid>,
    /// The merchant's note, echoed; absent where WeChat Pay left it out or empty.
    pub attach: Option<String>,
    /// True for `REFUND`: the refunds have to be asked for.
    pub refunded: bool,
}

/// What WeChat Pay says of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderReport {
    /// The number the report is about.
    pub order_id: OrderId,
    /// The merchant it belongs to, or the partner; absent where the report left it out.
    pub mchid: Option<Mchid>,
    /// The app it was ordered under, or the partner's; absent where the report left it out.
    pub appid: Option<Appid>,
    /// The sub-merchant it belongs to; only in a report to a partner.
    pub sub_mchid: Option<Mchid>,
    /// The sub-merchant's app; only in a report to a partner, about an order that named one.
    pub sub_appid: Option<Appid>,
    /// The order's total; absent where the report left it out (a closed order's).
    pub total: Option<Fen>,
    /// The currency of the total, `CNY`; absent where the report left it out.
    pub currency: Option<String>,
    /// Where the order stands.
    pub state: TradeState,
}

/// The outcome of a refund as WeChat Pay reports it (`status`, or `refund_status` in notices).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// `PROCESSING`: accepted, not finished.
    Processing,
    /// `SUCCESS`: the money is back.
    Success {
        /// When it arrived; absent where WeChat Pay left it out.
        at: Option<Timestamp>,
    },
    /// `CLOSED`: the refund failed and nothing was refunded.
    Closed,
    /// `ABNORMAL`: the money could not reach the payer.
    Abnormal,
    /// Anything else: no edge leads from it.
    Unknown(String),
}

/// What WeChat Pay says of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundReport {
    /// The refund's number.
    pub refund_id: RefundId,
    /// The order it refunds.
    pub order_id: OrderId,
    /// The merchant it belongs to, or the partner; absent where the report left it out, as answers to our
    /// own calls do.
    pub mchid: Option<Mchid>,
    /// The sub-merchant it belongs to; only in a report to a partner.
    pub sub_mchid: Option<Mchid>,
    /// The payment it refunds.
    pub transaction_id: TransactionId,
    /// WeChat Pay's own number of the refund (`refund_id` on the wire).
    pub wechatpay_refund_id: WechatpayRefundId,
    /// The amount refunded.
    pub amount: Fen,
    /// The order's total, as the report repeats it.
    pub total: Fen,
    /// Where the refund stands.
    pub status: RefundStatus,
}
