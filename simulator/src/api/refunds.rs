//! Refunds: application, query, and the application for an abnormal one (docs/simulator.md,
//! `refunds` to `accepted-silently`).

use serde_json::{Value, json};

use super::answer::{Draft, Refusal};
use super::body::parse;
use super::context::Context;
use super::schema::{
    self, Field, Kind, integer, matching, object, of, optional, optional_as_it_is, text,
};
use super::sensitive::sensitive_key;
use crate::beijing::{self, DAY_MS, SECOND_MS};
use crate::canonical;
use crate::keys;
use crate::ledger::{Order, OrderKey, OrderState, Payment, Refund, RefundKey, RefundStatus};
use crate::merchant_platform::set_balance;
use crate::random;

/// Refunds of one order (docs/simulator.md, `refunds`).
const REFUNDS_MAX: usize = 50;
/// How long after the payment a refund may be asked for.
const REFUNDABLE_MS: i64 = 365 * DAY_MS;
const NOT_THERE: &str = "原订单不存在";
/// The banks whose debit cards take an abnormal refund.
const CARD_TYPES: &[&str] = &[
    "CMB_DEBIT",
    "COMM_DEBIT",
    "ABC_DEBIT",
    "CCB_DEBIT",
    "ICBC_DEBIT",
    "BOC_DEBIT",
    "PAB_DEBIT",
    "SPDB_DEBIT",
    "CITIC_DEBIT",
    "CEB_DEBIT",
    "CMBC_DEBIT",
    "CIB_DEBIT",
    "GDB_DEBIT",
    "PSBC_DEBIT",
    "NBCB_DEBIT",
];

const FROM: &[Field] = &[
    text("account", "出资账户类型", 32),
    integer("amount", "出资金额", 1),
];
const AMOUNT: &[Field] = &[
    integer("refund", "退款金额", 1),
    optional(of("from", "退款出资账户及金额", Kind::Objects(FROM))),
    integer("total", "原订单金额", 1),
    text("currency", "退款币种", 16),
];
const GOODS: &[Field] = &[
    text("merchant_goods_id", "商户侧商品编码", 32),
    optional(text("wechatpay_goods_id", "微信支付商品编码", 32)),
    optional(text("goods_name", "商品名称", 256)),
    integer("unit_price", "商品单价", 0),
    integer("refund_amount", "商品退款金额", 0),
    integer("refund_quantity", "商品退货数量", 1),
];
/// The members of a refund's body.
pub(super) const REFUND: &[Field] = &[
    optional(text("sub_mchid", "子商户号", 32)),
    optional(text("transaction_id", "微信支付订单号", 32)),
    optional(text("out_trade_no", "商户订单号", 32)),
    matching(
        "out_refund_no",
        "商户退款单号",
        (1, 64),
        schema::REFUND_NUMBER,
    ),
    optional(text("reason", "退款原因", 80)),
    // An empty one breaks the rule of its length, as captured.
    optional_as_it_is(matching(
        "notify_url",
        "退款结果回调url",
        (8, 256),
        schema::NOTIFY_URL,
    )),
    optional(text("funds_account", "退款资金来源", 32)),
    object("amount", "金额信息", AMOUNT),
    optional(of("goods_detail", "退款商品", Kind::Objects(GOODS))),
];
/// The members of the application for an abnormal refund.
pub(super) const ABNORMAL: &[Field] = &[
    optional(text("sub_mchid", "子商户号", 32)),
    text("out_refund_no", "商户退款单号", 64),
    of(
        "type",
        "异常退款处理方式",
        Kind::OneOf(&["USER_BANK_CARD", "MERCHANT_BANK_CARD"]),
    ),
    optional(of("bank_type", "开户银行", Kind::OneOf(CARD_TYPES))),
    optional(text("bank_account", "收款银行卡号", 1024)),
    optional(text("real_name", "收款用户姓名", 1024)),
];

/// Accepts a refund, or repeats one.
pub(crate) fn create(context: &mut Context<'_>) -> Result<Draft, Refusal> {
    let body = parse(context, REFUND)?;
    let string = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let refund_fen = body["amount"]["refund"].as_i64().unwrap_or(0);
    let total_fen = body["amount"]["total"].as_i64().unwrap_or(0);
    if body["amount"]["currency"] != "CNY" {
        return Err(parameter("currency must be CNY"));
    }
    let key = RefundKey {
        mchid: context.caller.mchid().to_owned(),
        out_refund_no: string("out_refund_no").unwrap_or_default(),
    };
    let order = find_order(context, &body)?;
    if let Some(existing) = context.state.refunds.get(&key) {
        let same = existing.order == order.key
            && existing.refund_fen == refund_fen
            && existing.total_fen == total_fen;
        if !same {
            let message = "订单金额或退款金额与之前请求不一致，请核实后再试";
            return Err(invalid(message)
                .because("this out_refund_no was used with another order or amount"));
        }
        return Ok(Draft::ok(&existing.body()));
    }
    let OrderState::Paid(payment) = &order.state else {
        return Err(missing(NOT_THERE).because("the order is not paid"));
    };
    if context.fault("refund_not_found", "refund") {
        return Err(missing(NOT_THERE).because("fault refund_not_found"));
    }
    if context.fault("refund_not_enough", "refund") {
        return Err(not_enough().because("fault refund_not_enough"));
    }
    check_amounts(context, &order, payment, refund_fen, total_fen)?;
    let from = body["amount"]
        .get("from")
        .cloned()
        .unwrap_or_else(|| json!([]));
    check_from(&from, refund_fen)?;
    if let Some(balance_fen) = context.caller.merchant.record.balance_fen {
        if balance_fen < refund_fen {
            return Err(not_enough());
        }
        set_balance(context.state, &key.mchid, balance_fen - refund_fen);
    }
    let outcome = if context.fault("refund_abnormal", "refund") {
        RefundStatus::Abnormal
    } else if context.fault("refund_closed", "refund") {
        RefundStatus::Closed
    } else {
        RefundStatus::Success
    };
    let notify_url = string("notify_url");
    let refund = Refund {
        entered: context.state.enter(),
        order: order.key.clone(),
        sub_mchid: order
            .partner
            .as_ref()
            .map(|partner| partner.sub_mchid.clone()),
        refund_id: refund_id(context.now_ms),
        transaction_id: payment.transaction_id.clone(),
        refund_fen,
        total_fen,
        payer_refund_fen: share(refund_fen, payment.payer_total_fen, total_fen),
        payer_total_fen: payment.payer_total_fen,
        from,
        first_request: canonical::sorted(&body),
        notify_url,
        funds_account: string("funds_account").unwrap_or_else(|| "AVAILABLE".to_owned()),
        created_ms: context.now_ms,
        status: RefundStatus::Processing,
        success_ms: None,
        closed_ms: None,
        channel: "ORIGINAL".to_owned(),
        user_received_account: "支付用户零钱".to_owned(),
        due_ms: due(context),
        to_card: false,
        outcome,
        key,
    };
    let answer = Draft::ok(&refund.body());
    context.state.put_refund(refund);
    context.handle.wake();
    Ok(answer)
}

/// Answers a refund as it stands.
pub(crate) fn query(context: &mut Context<'_>, out_refund_no: &str) -> Result<Draft, Refusal> {
    let key = RefundKey {
        mchid: context.caller.mchid().to_owned(),
        out_refund_no: out_refund_no.to_owned(),
    };
    let refund = context
        .state
        .refunds
        .get(&key)
        .filter(|refund| refund.sub_mchid == context.request.parameter("sub_mchid"))
        .ok_or_else(|| missing("退款单不存在"))?;
    let answer = Draft::ok(&refund.body());
    if context.fault("refund_not_found", "query_refund") {
        return Err(missing("退款单不存在").because("fault refund_not_found"));
    }
    Ok(answer)
}

/// Takes the application to end an abnormal refund on a bank card.
pub(crate) fn abnormal(context: &mut Context<'_>, refund_id: &str) -> Result<Draft, Refusal> {
    let body = parse(context, ABNORMAL)?;
    let string = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let mchid = context.caller.mchid().to_owned();
    let found = context
        .state
        .refunds_by_id
        .get(refund_id)
        .and_then(|key| context.state.refunds.get(key))
        .filter(|refund| {
            refund.key.mchid == mchid
                && Some(&refund.key.out_refund_no) == string("out_refund_no").as_ref()
        })
        .cloned();
    let mut refund = found.ok_or_else(|| missing("退款单不存在"))?;
    if refund.status != RefundStatus::Abnormal {
        return Err(
            invalid("退款单状态不是退款异常，不能发起异常退款").because(format!(
                "the refund is {}; only an ABNORMAL one takes this application",
                refund.status.wire()
            )),
        );
    }
    if body["type"] == "USER_BANK_CARD" {
        let private_pem = sensitive_key(context)?;
        if body.get("bank_type").is_none() {
            return Err(parameter(
                "bank_type is one of 15 debit types, such as ICBC_DEBIT",
            ));
        }
        for name in ["bank_account", "real_name"] {
            let sealed = string(name).unwrap_or_default();
            if keys::open_sensitive(&private_pem, &sealed).is_none() {
                return Err(parameter(&format!(
                    "{name} does not open: encrypt it with RSAES-OAEP (SHA-1, MGF1 with SHA-1) \
                     under the key that Wechatpay-Serial names, then base64"
                )));
            }
        }
        refund.user_received_account = "银行卡".to_owned();
    } else {
        refund.user_received_account = "商户基本账户/商户结算银行账户".to_owned();
    }
    refund.status = RefundStatus::Processing;
    refund.to_card = true;
    refund.outcome = RefundStatus::Success;
    refund.due_ms = due(context);
    let answer = Draft::ok(&refund.body());
    context.state.put_refund(refund);
    context.handle.wake();
    Ok(answer)
}

/// The bank takes its time; `None` when it waits for a control call.
fn due(context: &Context<'_>) -> Option<i64> {
    let delay_s = context.state.behaviours.refund_delay_s?;
    Some(context.now_ms + context.handle.scaled(i64::from(delay_s) * SECOND_MS))
}

fn find_order(context: &Context<'_>, body: &Value) -> Result<Order, Refusal> {
    let mchid = context.caller.mchid();
    let number = body
        .get("out_trade_no")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    let transaction = body
        .get("transaction_id")
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    let key = match (number, transaction) {
        (None, None) => return Err(parameter("send transaction_id or out_trade_no")),
        (Some(out_trade_no), _) => OrderKey {
            mchid: mchid.to_owned(),
            out_trade_no: out_trade_no.to_owned(),
        },
        (None, Some(transaction_id)) => context
            .state
            .payments
            .get(transaction_id)
            .filter(|key| key.mchid == mchid)
            .cloned()
            .ok_or_else(|| missing(NOT_THERE))?,
    };
    let order = context
        .state
        .orders
        .get(&key)
        .cloned()
        .ok_or_else(|| missing(NOT_THERE))?;
    let sub_mchid = body.get("sub_mchid").and_then(Value::as_str);
    if order
        .partner
        .as_ref()
        .map(|partner| partner.sub_mchid.as_str())
        != sub_mchid
    {
        return Err(missing(NOT_THERE).because("sub_mchid is not that of the order"));
    }
    let stated = transaction.is_some();
    let fits = order
        .payment()
        .map(|payment| payment.transaction_id.as_str())
        == transaction;
    if stated && !fits && order.payment().is_some() {
        return Err(mismatch().because("transaction_id and out_trade_no name different orders"));
    }
    Ok(order)
}

fn check_amounts(
    context: &Context<'_>,
    order: &Order,
    payment: &Payment,
    refund_fen: i64,
    total_fen: i64,
) -> Result<(), Refusal> {
    let behaviours = &context.state.behaviours;
    if total_fen != order.total_fen {
        return Err(mismatch().because(format!(
            "amount.total is {total_fen}, the order's is {}",
            order.total_fen
        )));
    }
    if context.now_ms - payment.at_ms > REFUNDABLE_MS {
        return Err(coded(
            &behaviours.refund_overdue_code,
            "订单已经超过退款期限",
        ));
    }
    let holding: Vec<&Refund> = context
        .state
        .refunds_of(&order.key)
        .filter(|refund| refund.holds())
        .collect();
    let given_fen: i64 = holding.iter().map(|refund| refund.refund_fen).sum();
    if given_fen == order.total_fen {
        return Err(invalid("订单已全额退款"));
    }
    if refund_fen > order.total_fen - given_fen {
        return Err(mismatch().because(format!(
            "{} fen of {} can still be refunded",
            order.total_fen - given_fen,
            order.total_fen
        )));
    }
    if context.state.refunds_of(&order.key).count() >= REFUNDS_MAX {
        return Err(coded(
            &behaviours.refund_too_many_code,
            "部分退款次数超过限制",
        ));
    }
    let last_ms = context
        .state
        .refunds_of(&order.key)
        .map(|refund| refund.created_ms)
        .max();
    let interval_ms = context
        .handle
        .scaled(i64::from(behaviours.refund_interval_s) * SECOND_MS);
    if last_ms.is_some_and(|last_ms| context.now_ms - last_ms < interval_ms) {
        return Err(coded(
            &behaviours.refund_too_soon_code,
            "同一笔订单的两次退款间隔过短，请稍后再试",
        )
        .because("one minute must pass between two refunds of an order"));
    }
    Ok(())
}

fn check_from(from: &Value, refund_fen: i64) -> Result<(), Refusal> {
    let items = from.as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return Ok(());
    }
    // Each of them may be as large as an amount can be, so the sum needs more room than one.
    let sum: i128 = items
        .iter()
        .filter_map(|item| item["amount"].as_i64())
        .map(i128::from)
        .sum();
    let mut accounts: Vec<&str> = items
        .iter()
        .filter_map(|item| item["account"].as_str())
        .collect();
    let known = accounts
        .iter()
        .all(|account| matches!(*account, "AVAILABLE" | "UNAVAILABLE"));
    accounts.sort_unstable();
    accounts.dedup();
    if known && accounts.len() == items.len() && sum == i128::from(refund_fen) {
        Ok(())
    } else {
        Err(parameter(
            "amount.from names AVAILABLE and UNAVAILABLE once each and sums to refund",
        ))
    }
}

/// `refund × payer_total / total`, rounded (docs/simulator.md, `refunds`).
fn share(refund_fen: i64, payer_total_fen: i64, total_fen: i64) -> i64 {
    let product = i128::from(refund_fen) * i128::from(payer_total_fen);
    let total = i128::from(total_fen.max(1));
    i64::try_from((product + total / 2) / total).unwrap_or(refund_fen)
}

/// 29 digits from `503`, with the day inside.
fn refund_id(now_ms: i64) -> String {
    format!(
        "503{}{}{}",
        random::digits(8),
        beijing::compact_day(now_ms),
        random::digits(10)
    )
}

fn parameter(why: &str) -> Refusal {
    Refusal::new(400, "PARAM_ERROR", "参数错误").because(why)
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(400, "INVALID_REQUEST", message)
}

fn mismatch() -> Refusal {
    invalid("您的请求参数与订单信息不一致")
}

fn missing(message: &str) -> Refusal {
    Refusal::new(404, "RESOURCE_NOT_EXISTS", message).number(268_512_771)
}

fn not_enough() -> Refusal {
    Refusal::new(403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起").number(268_892_709)
}

/// A refusal whose code is a knob, with the status that code has elsewhere.
fn coded(code: &str, message: &str) -> Refusal {
    let status = match code {
        "FREQUENCY_LIMITED" => 429,
        "RULE_LIMIT" | "TRADE_ERROR" | "TRADE_OVERDUE" => 403,
        _ => 400,
    };
    Refusal::new(status, code, message)
}
