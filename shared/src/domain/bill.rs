//! What WeChat Pay's bills of a day say, row by row.
//!
//! Numbers are texts here, not ids: other systems of the same merchant may use letters that ours refuse
//! (`|` and `*`). Sums need more room than an amount of one order, so amounts are plain fen.

use super::Timestamp;

/// A row of the trade bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillRow {
    /// When it happened (交易时间), in Beijing's seconds.
    pub at: Timestamp,
    /// The app (公众账号ID).
    pub appid: String,
    /// The merchant (商户号).
    pub mchid: String,
    /// The merchant's number of the order (商户订单号).
    pub order_no: String,
    /// WeChat Pay's number of the payment (微信订单号).
    pub transaction_id: String,
    /// What it adds to the merchant's account before fees, in fen (应结订单金额); zero for a refund.
    pub settled: i64,
    /// What of the total was paid by coupons, in fen (代金券金额).
    pub coupon: i64,
    /// WeChat Pay's fee, in thousandths of a fen (手续费); below zero where it is given back.
    pub fee: i64,
    /// What happened.
    pub entry: Entry,
}

/// What a row of the trade bill tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An order was paid.
    Payment {
        /// The order's total, in fen (订单金额).
        total: i64,
    },
    /// A refund was accepted; the row is never changed afterwards.
    Refund(BilledRefund),
    /// A code payment was taken back; no order of this bundle can be.
    Revoked,
}

/// What only a refund's row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BilledRefund {
    /// The merchant's number of the refund (商户退款单号).
    pub refund_no: String,
    /// WeChat Pay's number of it (微信退款单号).
    pub wechatpay_refund_id: String,
    /// What was asked to be given back, in fen (申请退款金额).
    pub amount: i64,
    /// What left the merchant's account for it, in fen (退款金额).
    pub paid_back: i64,
    /// What of it went back into coupons, in fen (充值券退款金额).
    pub coupon: i64,
}

impl BillRow {
    /// The refund, where the row is of one.
    pub const fn refund(&self) -> Option<&BilledRefund> {
        match &self.entry {
            Entry::Refund(refund) => Some(refund),
            Entry::Payment { .. } | Entry::Revoked => None,
        }
    }
}

/// What moved money in the fund-flow bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// A payment arrived (交易).
    Payment,
    /// A refund left (退款, 支出).
    Refund,
    /// Anything else: fees, withdrawals, deposits, a refund that came back.
    Other,
}

/// A row of the fund-flow bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// When it was booked (记账时间).
    pub at: Timestamp,
    /// Which payment or refund moved it (微信支付业务单号).
    pub business_no: String,
    /// The merchant's number of that (业务凭证号).
    pub voucher: String,
    /// Why.
    pub kind: FlowKind,
    /// How much, in fen (收支金额).
    pub amount: i64,
}

/// The sums of a trade bill, of its rows and of its summary alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradeTotals {
    /// How many rows.
    pub rows: u64,
    /// How many of them are payments.
    pub payments: u64,
    /// How many of them are refunds.
    pub refunds: u64,
    /// Σ [`BillRow::settled`], in fen.
    pub settled: i64,
    /// Σ [`BilledRefund::paid_back`], in fen.
    pub paid_back: i64,
    /// Σ [`BilledRefund::coupon`], in fen.
    pub coupon_back: i64,
    /// Σ [`BillRow::fee`], in thousandths of a fen, as the summary states it.
    pub fee: i64,
    /// Σ of the payments' totals, in fen.
    pub total: i64,
    /// Σ [`BilledRefund::amount`], in fen.
    pub refunded: i64,
}

/// The sums of a fund-flow bill, of its rows and of its summary alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowTotals {
    /// How many rows.
    pub rows: u64,
    /// How many of them are income.
    pub rows_in: u64,
    /// Their sum, in fen.
    pub sum_in: i64,
    /// How many of them are expenses.
    pub rows_out: u64,
    /// Their sum, in fen.
    pub sum_out: i64,
}
