//! Bill files in the exact form of real ones (docs/simulator.md, `bill-files`): byte order mark,
//! CRLF, a backtick before every field of a data row, yuan with two decimals, a summary at the end.

use crate::beijing::{self, DAY_MS};
use crate::ledger::{Order, Payment, Refund};
use crate::state::State;

const ALL: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const SUCCESS: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注";
const REFUND: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const TRADE_SUMMARY: &str =
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const FUND_FLOW: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号";
const FUND_FLOW_SUMMARY: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额";

/// Which rows a trade bill has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TradeKind {
    All,
    Success,
    Refund,
}

/// What a fault spoils in a trade bill.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BillDistortions {
    pub(crate) formula: bool,
    pub(crate) totals: bool,
    pub(crate) lacking: bool,
}

/// Writes the trade bill of a day; `None` when nothing happened.
pub(crate) fn trade(
    state: &State,
    mchid: &str,
    sub_mchid: Option<&str>,
    day_ms: i64,
    kind: TradeKind,
    distortions: BillDistortions,
) -> Option<String> {
    let within = |at_ms: i64| (day_ms..day_ms + DAY_MS).contains(&at_ms);
    let ours = |order: &Order| {
        order.key.mchid == mchid
            && sub_mchid.is_none_or(|sub_mchid| {
                order
                    .partner
                    .as_ref()
                    .is_some_and(|partner| partner.sub_mchid == sub_mchid)
            })
    };
    let mut paid: Vec<(&Order, &Payment)> = state
        .orders
        .values()
        .filter(|order| ours(order))
        .filter_map(|order| Some((order, order.payment()?)))
        .filter(|(_, payment)| within(payment.at_ms))
        .collect();
    paid.sort_by_key(|(order, _)| order.entered);
    let mut refunded: Vec<(&Order, &Payment, &Refund)> = state
        .refunds
        .values()
        .filter(|refund| within(refund.created_ms))
        .filter_map(|refund| {
            let order = state
                .orders
                .get(&refund.order)
                .filter(|order| ours(order))?;
            Some((order, order.payment()?, refund))
        })
        .collect();
    refunded.sort_by_key(|(_, _, refund)| refund.entered);
    if kind == TradeKind::Success {
        refunded.clear();
    }
    if kind == TradeKind::Refund {
        paid.clear();
    }
    if paid.is_empty() && refunded.is_empty() {
        return None;
    }
    if distortions.lacking {
        paid.pop();
    }
    let header = match kind {
        TradeKind::All => ALL,
        TradeKind::Success => SUCCESS,
        TradeKind::Refund => REFUND,
    };
    let mut file = format!("\u{feff}{header}\r\n");
    for (order, payment) in &paid {
        push(&mut file, &payment_row(order, payment, kind, distortions));
    }
    for (order, payment, refund) in &refunded {
        push(
            &mut file,
            &refund_row(order, payment, refund, kind, distortions),
        );
    }
    // An order may be as large as an amount can be, so sums need more room than one.
    let total_fen: i128 = paid
        .iter()
        .map(|(order, _)| i128::from(order.total_fen))
        .sum();
    let back_fen: i128 = refunded
        .iter()
        .map(|(_, _, refund)| i128::from(refund.refund_fen))
        .sum();
    let stated_fen = if distortions.totals {
        total_fen + 1
    } else {
        total_fen
    };
    file.push_str(TRADE_SUMMARY);
    file.push_str("\r\n");
    push(
        &mut file,
        &[
            (paid.len() + refunded.len()).to_string(),
            yuan(stated_fen),
            yuan(back_fen),
            yuan(0_i128),
            "0.00000".to_owned(),
            yuan(stated_fen),
            yuan(back_fen),
        ],
    );
    Some(file)
}

fn common(order: &Order, payment: &Payment, at_ms: i64, state: &str) -> Vec<String> {
    let (appid, sub_mchid) = match &order.partner {
        None => (order.appid.clone(), "0".to_owned()),
        Some(partner) => (partner.sp_appid.clone(), partner.sub_mchid.clone()),
    };
    vec![
        beijing::bill_time(at_ms),
        appid,
        order.key.mchid.clone(),
        sub_mchid,
        clean(order.device_id.as_deref().unwrap_or_default()),
        payment.transaction_id.clone(),
        order.key.out_trade_no.clone(),
        payment.openid.clone(),
        order.trade_type.wire().to_owned(),
        state.to_owned(),
        payment.bank_type.clone(),
        "CNY".to_owned(),
    ]
}

fn payment_row(
    order: &Order,
    payment: &Payment,
    kind: TradeKind,
    distortions: BillDistortions,
) -> Vec<String> {
    let mut row = common(order, payment, payment.at_ms, "SUCCESS");
    let coupon_fen = order.total_fen - payment.payer_total_fen;
    row.extend([yuan(order.total_fen), yuan(coupon_fen)]);
    if kind == TradeKind::All {
        row.extend(["0", "0", "0.00", "0.00", "", ""].map(str::to_owned));
    }
    row.extend([
        goods(order, distortions),
        clean(order.attach.as_deref().unwrap_or_default()),
        "0.00000".to_owned(),
        "1.00%".to_owned(),
        yuan(order.total_fen),
    ]);
    if kind == TradeKind::All {
        row.push(yuan(0_i64));
    }
    row.push(String::new());
    row
}

fn refund_row(
    order: &Order,
    payment: &Payment,
    refund: &Refund,
    kind: TradeKind,
    distortions: BillDistortions,
) -> Vec<String> {
    let mut row = common(order, payment, refund.created_ms, "REFUND");
    row.extend([yuan(0_i64), yuan(0_i64)]);
    if kind == TradeKind::Refund {
        row.push(beijing::bill_time(refund.created_ms));
        // The row stays as it was when the refund was accepted, which had not succeeded yet.
        row.push(String::new());
    }
    row.extend([
        refund.refund_id.clone(),
        refund.key.out_refund_no.clone(),
        yuan(refund.refund_fen),
        yuan(0_i64),
        "ORIGINAL".to_owned(),
        // Written once, when the refund was accepted, and never updated.
        "PROCESSING".to_owned(),
        goods(order, distortions),
        clean(order.attach.as_deref().unwrap_or_default()),
        "0.00000".to_owned(),
        "1.00%".to_owned(),
        yuan(0_i64),
        yuan(refund.refund_fen),
        String::new(),
    ]);
    row
}

/// What was sold, in a merchant's words or a spreadsheet's.
fn goods(order: &Order, distortions: BillDistortions) -> String {
    if distortions.formula {
        "=cmd|' /C calc'!A0".to_owned()
    } else {
        clean(&order.description)
    }
}

/// Why money moved.
enum Cause<'a> {
    Payment(&'a Order, &'a Payment),
    Refund(&'a Refund),
    /// What a closed refund held comes back.
    RefundClosed(&'a Refund),
}

/// Money that moved, in or out.
struct Movement<'a> {
    at_ms: i64,
    entered: u64,
    cause: Cause<'a>,
}

impl Movement<'_> {
    /// How the balance changes.
    fn fen(&self) -> i128 {
        match self.cause {
            Cause::Payment(_, payment) => i128::from(payment.payer_total_fen),
            Cause::Refund(refund) => -i128::from(refund.refund_fen),
            Cause::RefundClosed(refund) => i128::from(refund.refund_fen),
        }
    }

    fn row(&self, mchid: &str, balance_fen: i128) -> [String; 11] {
        let amount = yuan(self.fen().abs());
        let direction = if self.fen() < 0 { "支出" } else { "收入" };
        let system = "system".to_owned();
        let (numbers, business, by, note, voucher) = match self.cause {
            Cause::Payment(order, payment) => (
                [&payment.transaction_id, &payment.transaction_id],
                "交易",
                system,
                format!("结算总金额{amount}元;含手续费0.00元"),
                &order.key.out_trade_no,
            ),
            Cause::Refund(refund) => (
                [&refund.refund_id, &refund.transaction_id],
                "退款",
                format!("{mchid}API"),
                format!("退款总金额{amount}元;含手续费0.00元"),
                &refund.key.out_refund_no,
            ),
            Cause::RefundClosed(refund) => (
                [&refund.refund_id, &refund.transaction_id],
                "退款",
                system,
                format!("退款关闭退回{amount}元"),
                &refund.key.out_refund_no,
            ),
        };
        let [business_number, flow_number] = numbers.map(Clone::clone);
        [
            beijing::bill_time(self.at_ms),
            business_number,
            flow_number,
            business.to_owned(),
            business.to_owned(),
            direction.to_owned(),
            amount,
            yuan(balance_fen),
            by,
            note,
            voucher.clone(),
        ]
    }
}

/// Every movement of a merchant's money, in the order of time.
fn movements<'a>(state: &'a State, mchid: &str) -> Vec<Movement<'a>> {
    let orders = state.orders.values();
    let payments = orders
        .filter(|order| order.key.mchid == mchid)
        .filter_map(|order| {
            let payment = order.payment()?;
            Some(Movement {
                at_ms: payment.at_ms,
                entered: order.entered,
                cause: Cause::Payment(order, payment),
            })
        });
    let mut movements: Vec<Movement<'a>> = payments.collect();
    let refunds = state.refunds.values();
    for refund in refunds.filter(|refund| refund.key.mchid == mchid) {
        // What is in the bill of a day stays there; a refund that closes later returns the money
        // on the day it closes.
        if refund.holds() || refund.closed_ms.is_some() {
            movements.push(Movement {
                at_ms: refund.created_ms,
                entered: refund.entered,
                cause: Cause::Refund(refund),
            });
        }
        if let Some(closed_ms) = refund.closed_ms {
            movements.push(Movement {
                at_ms: closed_ms,
                entered: refund.entered,
                cause: Cause::RefundClosed(refund),
            });
        }
    }
    movements.sort_by_key(|movement| (movement.at_ms, movement.entered));
    movements
}

/// Writes the fund-flow bill of a day; `None` when no money moved.
pub(crate) fn fund_flow(state: &State, mchid: &str, day_ms: i64) -> Option<String> {
    let mut balance_fen = 0_i128;
    let (mut count_in, mut sum_in, mut count_out, mut sum_out) = (0, 0_i128, 0, 0_i128);
    let mut rows = String::new();
    for movement in movements(state, mchid) {
        let fen = movement.fen();
        balance_fen += fen;
        if !(day_ms..day_ms + DAY_MS).contains(&movement.at_ms) {
            continue;
        }
        if fen < 0 {
            count_out += 1;
            sum_out -= fen;
        } else {
            count_in += 1;
            sum_in += fen;
        }
        push(&mut rows, &movement.row(mchid, balance_fen));
    }
    if count_in + count_out == 0 {
        return None;
    }
    let mut file = format!("\u{feff}{FUND_FLOW}\r\n{rows}{FUND_FLOW_SUMMARY}\r\n");
    push(
        &mut file,
        &[
            (count_in + count_out).to_string(),
            count_in.to_string(),
            yuan(sum_in),
            count_out.to_string(),
            yuan(sum_out),
        ],
    );
    Some(file)
}

fn push(file: &mut String, fields: &[String]) {
    let row: Vec<String> = fields.iter().map(|field| format!("`{field}")).collect();
    file.push_str(&row.join(","));
    file.push_str("\r\n");
}

/// Fen as yuan with two decimals.
fn yuan(fen: impl Into<i128>) -> String {
    let fen = fen.into();
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.abs() / 100, fen.abs() % 100)
}

/// Merchant text, without what would break a row.
fn clean(text: &str) -> String {
    text.replace(',', "\\ ")
        .replace("\r\n", "\\n")
        .replace('\n', "\\n")
}
