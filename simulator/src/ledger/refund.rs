//! A refund as WeChat Pay has it: a plain record, with what can be read from it alone.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::order::OrderKey;
use crate::beijing;

/// Names a refund.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RefundKey {
    pub(crate) mchid: String,
    pub(crate) out_refund_no: String,
}

/// Where a refund stands (docs/simulator.md, `refunds`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RefundStatus {
    Processing,
    Success,
    Closed,
    Abnormal,
}

impl RefundStatus {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Closed => "CLOSED",
            Self::Abnormal => "ABNORMAL",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) entered: u64,
    pub(crate) key: RefundKey,
    pub(crate) order: OrderKey,
    pub(crate) sub_mchid: Option<String>,
    pub(crate) refund_id: String,
    pub(crate) transaction_id: String,
    pub(crate) refund_fen: i64,
    pub(crate) total_fen: i64,
    pub(crate) payer_refund_fen: i64,
    pub(crate) payer_total_fen: i64,
    pub(crate) from: Value,
    pub(crate) first_request: String,
    pub(crate) notify_url: Option<String>,
    pub(crate) funds_account: String,
    pub(crate) created_ms: i64,
    pub(crate) status: RefundStatus,
    pub(crate) success_ms: Option<i64>,
    /// When it was closed; what it held can be refunded again.
    #[serde(default)]
    pub(crate) closed_ms: Option<i64>,
    pub(crate) channel: String,
    pub(crate) user_received_account: String,
    /// When the bank finishes it by itself; `None` waits for a control call.
    pub(crate) due_ms: Option<i64>,
    /// Paid to a bank card on application, after it was abnormal.
    pub(crate) to_card: bool,
    /// What the bank then does.
    pub(crate) outcome: RefundStatus,
}

impl Refund {
    /// Whether it counts against what can still be refunded of the order.
    pub(crate) fn holds(&self) -> bool {
        match self.status {
            RefundStatus::Processing | RefundStatus::Success | RefundStatus::Abnormal => true,
            RefundStatus::Closed => false,
        }
    }

    /// Whether a bank, or somebody in its place, still has to end it.
    pub(crate) fn is_open(&self) -> bool {
        match self.status {
            RefundStatus::Processing | RefundStatus::Abnormal => true,
            RefundStatus::Success | RefundStatus::Closed => false,
        }
    }

    /// The body of the refund API; [`crate::canonical`] sorts it.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "amount": {
                "currency": "CNY",
                "discount_refund": self.refund_fen - self.payer_refund_fen,
                "from": self.from,
                "payer_refund": self.payer_refund_fen,
                "payer_total": self.payer_total_fen,
                "refund": self.refund_fen,
                "refund_fee": 0,
                "settlement_refund": self.refund_fen,
                "settlement_total": self.total_fen,
                "total": self.total_fen,
            },
            "channel": self.channel,
            "create_time": beijing::rfc3339(self.created_ms),
            "funds_account": self.funds_account,
            "out_refund_no": self.key.out_refund_no,
            "out_trade_no": self.order.out_trade_no,
            "promotion_detail": [],
            "refund_id": self.refund_id,
            "status": self.status.wire(),
            "transaction_id": self.transaction_id,
            "user_received_account": self.user_received_account,
        });
        if let (RefundStatus::Success, Some(at_ms)) = (self.status, self.success_ms) {
            body["success_time"] = json!(beijing::rfc3339(at_ms));
        }
        body
    }

    /// The row of `/_sim/ledger`.
    pub(crate) fn row(&self) -> Value {
        json!({
            "kind": "refund",
            "entered": self.entered,
            "mchid": self.key.mchid,
            "out_refund_no": self.key.out_refund_no,
            "out_trade_no": self.order.out_trade_no,
            "refund_id": self.refund_id,
            "transaction_id": self.transaction_id,
            "status": self.status.wire(),
            "amount": {"refund": self.refund_fen, "total": self.total_fen, "currency": "CNY"},
            "created_at": beijing::rfc3339(self.created_ms),
            "due_at": self.due_ms.map(beijing::rfc3339),
            "success_time": self.success_ms.map(beijing::rfc3339),
            "notify_url": self.notify_url,
        })
    }
}
