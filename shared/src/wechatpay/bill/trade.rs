//! The trade bill of a day, `bill_type=ALL`.

use std::io::BufRead;

use super::BillError;
use super::amount::{count, fee, fen};
use super::lines::{moment, number};
use super::rows::{Kind, Rows};
use crate::domain::bill::{BillRow, BilledRefund, Entry, TradeTotals};

/// The columns that are read.
const COLUMNS: [&str; 16] = [
    "交易时间",
    "公众账号ID",
    "商户号",
    "微信订单号",
    "商户订单号",
    "交易状态",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "手续费",
    "订单金额",
    "申请退款金额",
];

/// The columns of the summary.
const SUMMARY: [&str; 7] = [
    "总交易单数",
    "应结订单总金额",
    "退款总金额",
    "充值券退款总金额",
    "手续费总金额",
    "订单总金额",
    "申请退款总金额",
];

/// Reads a trade bill row by row.
#[derive(Debug)]
pub struct TradeBill<R>(Rows<R, Trade, { COLUMNS.len() }, { SUMMARY.len() }>);

impl<R: BufRead> TradeBill<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// It is not that of such a bill.
    pub fn open(input: R) -> Result<Self, BillError> {
        Rows::open(input).map(Self)
    }

    /// The next row; `None` once the summary was read, agreed with the rows and ended the file. Asked
    /// again, it says the same.
    ///
    /// # Errors
    /// The file is not as published, or its summary disagrees: no row of it may be believed.
    pub fn next_row(&mut self) -> Result<Option<BillRow>, BillError> {
        self.0.next()
    }

    /// The sums of the rows read so far; at the end, those of the summary.
    pub const fn totals(&self) -> &TradeTotals {
        self.0.totals()
    }

    /// Gives the input back, to check its hash.
    pub fn into_input(self) -> R {
        self.0.into_input()
    }
}

/// What only this bill has.
#[derive(Debug)]
struct Trade;

impl Kind<{ COLUMNS.len() }, { SUMMARY.len() }> for Trade {
    type Row = BillRow;
    type Totals = TradeTotals;

    const COLUMNS: [&'static str; COLUMNS.len()] = COLUMNS;
    const SUMMARY: [&'static str; SUMMARY.len()] = SUMMARY;
    const OTHER_HEADER: &'static str = "not the header of a trade bill";

    fn row(
        fields: &[&str; COLUMNS.len()],
        before: &TradeTotals,
    ) -> Result<(BillRow, Option<TradeTotals>), &'static str> {
        let amounts = Amounts::read(fields)?;
        let row = row(fields, &amounts)?;
        let sums = amounts.added_to(before, &row);
        Ok((row, sums))
    }

    fn stated(fields: &[&str; SUMMARY.len()]) -> Option<TradeTotals> {
        stated(fields)
    }

    fn agreed(seen: &TradeTotals, stated: &TradeTotals) -> Result<TradeTotals, BillError> {
        let fee = agreed(seen, stated)?;
        Ok(TradeTotals { fee, ..*seen })
    }
}

/// The amounts of a row, which the summary adds up whatever the row is of.
#[derive(Debug)]
struct Amounts {
    settled: i64,
    coupon: i64,
    paid_back: i64,
    coupon_back: i64,
    fee: i64,
    total: i64,
    refunded: i64,
}

impl Amounts {
    fn read(fields: &[&str; COLUMNS.len()]) -> Result<Self, &'static str> {
        let [
            ..,
            settled,
            coupon,
            _,
            _,
            paid_back,
            coupon_back,
            fee_text,
            total,
            refunded,
        ] = *fields;
        Ok(Self {
            settled: fen(settled).ok_or("应结订单金额")?,
            coupon: fen(coupon).ok_or("代金券金额")?,
            paid_back: fen(paid_back).ok_or("退款金额")?,
            coupon_back: fen(coupon_back).ok_or("充值券退款金额")?,
            fee: fee(fee_text).ok_or("手续费")?,
            total: fen(total).ok_or("订单金额")?,
            refunded: fen(refunded).ok_or("申请退款金额")?,
        })
    }

    fn added_to(&self, seen: &TradeTotals, row: &BillRow) -> Option<TradeTotals> {
        let (payment, refund) = match &row.entry {
            Entry::Payment { .. } => (1, 0),
            Entry::Refund(_) => (0, 1),
            Entry::Revoked => (0, 0),
        };
        Some(TradeTotals {
            rows: seen.rows + 1,
            payments: seen.payments + payment,
            refunds: seen.refunds + refund,
            settled: seen.settled.checked_add(self.settled)?,
            paid_back: seen.paid_back.checked_add(self.paid_back)?,
            coupon_back: seen.coupon_back.checked_add(self.coupon_back)?,
            fee: seen.fee.checked_add(self.fee)?,
            total: seen.total.checked_add(self.total)?,
            refunded: seen.refunded.checked_add(self.refunded)?,
        })
    }
}

fn row(fields: &[&str; COLUMNS.len()], amounts: &Amounts) -> Result<BillRow, &'static str> {
    let [
        at,
        appid,
        mchid,
        transaction_id,
        order_no,
        state,
        currency,
        _,
        _,
        refund_id,
        refund_no,
        ..,
    ] = *fields;
    if currency != "CNY" {
        return Err("货币种类");
    }
    let entry = match state {
        "SUCCESS" => {
            let back = [amounts.paid_back, amounts.coupon_back, amounts.refunded];
            if back != [0; 3] || refund_id != "0" || refund_no != "0" {
                return Err("a payment that gives back");
            }
            Entry::Payment {
                total: amounts.total,
            }
        }
        "REFUND" => {
            if amounts.total != 0 || amounts.settled != 0 {
                return Err("a refund that is paid");
            }
            Entry::Refund(BilledRefund {
                refund_no: number(refund_no).ok_or("商户退款单号")?,
                wechatpay_refund_id: number(refund_id).ok_or("微信退款单号")?,
                amount: amounts.refunded,
                paid_back: amounts.paid_back,
                coupon: amounts.coupon_back,
            })
        }
        "REVOKED" => Entry::Revoked,
        _ => return Err("交易状态"),
    };
    Ok(BillRow {
        at: moment(at).ok_or("交易时间")?,
        appid: number(appid).ok_or("公众账号ID")?,
        mchid: number(mchid).ok_or("商户号")?,
        order_no: number(order_no).ok_or("商户订单号")?,
        transaction_id: number(transaction_id).ok_or("微信订单号")?,
        settled: amounts.settled,
        coupon: amounts.coupon,
        fee: amounts.fee,
        entry,
    })
}

/// The summary's numbers, in the order of [`SUMMARY`]; the count, and sums as [`TradeTotals`] has them.
fn stated(fields: &[&str; SUMMARY.len()]) -> Option<TradeTotals> {
    let [rows, settled, paid_back, coupon_back, fees, total, refunded] = *fields;
    Some(TradeTotals {
        rows: count(rows)?,
        settled: fen(settled)?,
        paid_back: fen(paid_back)?,
        coupon_back: fen(coupon_back)?,
        fee: fee(fees)?,
        total: fen(total)?,
        refunded: fen(refunded)?,
        ..TradeTotals::default()
    })
}

/// The sum of the fees as the summary states it, where all of it agrees with what was seen. Each row's
/// fee is rounded to a thousandth of a fen and their sum perhaps before that, so fees may differ by as
/// much for each row, and nothing else by anything.
fn agreed(seen: &TradeTotals, stated: &TradeTotals) -> Result<i64, BillError> {
    let disagree = |what| Err(BillError::Totals { what });
    if seen.rows != stated.rows {
        return disagree(SUMMARY[0]);
    }
    for (what, seen, stated) in [
        (SUMMARY[1], seen.settled, stated.settled),
        (SUMMARY[2], seen.paid_back, stated.paid_back),
        (SUMMARY[3], seen.coupon_back, stated.coupon_back),
        (SUMMARY[5], seen.total, stated.total),
        (SUMMARY[6], seen.refunded, stated.refunded),
    ] {
        if seen != stated {
            return disagree(what);
        }
    }
    if seen.fee.abs_diff(stated.fee) > seen.rows {
        return disagree(SUMMARY[4]);
    }
    Ok(stated.fee)
}
