//! Asking for an order (docs/simulator.md, `query-bodies` and `transaction-ids`), with the bodies
//! that were captured, quirks included.

use serde_json::{Value, json};

use super::answer::{Draft, Refusal, Signing};
use super::body::same_merchant;
use super::context::Context;
use super::orders::not_exist;
use crate::beijing;
use crate::ledger::{Order, OrderKey, OrderState};

/// Answers by the merchant's number, in any state.
pub(crate) fn by_number(
    context: &mut Context<'_>,
    partner: bool,
    out_trade_no: &str,
) -> Result<Draft, Refusal> {
    let sub_mchid = merchants(context, partner)?;
    let key = OrderKey {
        mchid: context.caller.mchid().to_owned(),
        out_trade_no: out_trade_no.to_owned(),
    };
    let order = context
        .state
        .orders
        .get(&key)
        .filter(|order| !order.burnt)
        .ok_or_else(not_exist)?;
    belongs(order, sub_mchid.as_deref())?;
    Ok(Draft::ok(&body(order, context.state.refunded(&key))))
}

/// Answers by WeChat Pay's number, which only paid orders have.
pub(crate) fn by_transaction(
    context: &mut Context<'_>,
    partner: bool,
    transaction_id: &str,
) -> Result<Draft, Refusal> {
    let sub_mchid = merchants(context, partner)?;
    let digits = transaction_id.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || transaction_id.len() != 28 {
        return Err(Refusal::new(400, "PARAM_ERROR", "微信订单号非法").because(
            "a transaction_id has 28 digits; query a merchant's own number under out-trade-no",
        ));
    }
    let key = context
        .state
        .payments
        .get(transaction_id)
        .ok_or_else(not_exist)?;
    if key.mchid != context.caller.mchid() {
        return Err(mismatch());
    }
    let order = context.state.orders.get(key).ok_or_else(not_exist)?;
    belongs(order, sub_mchid.as_deref())?;
    Ok(Draft::ok(&body(order, context.state.refunded(key))))
}

fn merchants(context: &Context<'_>, partner: bool) -> Result<Option<String>, Refusal> {
    let signing = if context.state.behaviours.sign_schema_errors {
        Signing::Signed
    } else {
        Signing::Unsigned
    };
    let required = |name: &str, label: &str| {
        context
            .request
            .parameter(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| {
                let message = format!(
                    "输入源“/query/{name}”映射到字段“{label}”必填性规则校验失败，此字段为必填项"
                );
                Refusal::new(400, "PARAM_ERROR", message)
                    .detail(json!({"location": "query", "value": ""}))
                    .signing(signing)
                    .because(format!(
                        "add ?{name}=… to the path, and sign the path with it"
                    ))
            })
    };
    if partner {
        let sp_mchid = required("sp_mchid", "服务商户号")?;
        let sub_mchid = required("sub_mchid", "子商户号/二级商户号")?;
        same_merchant(context, Some(&sp_mchid))?;
        Ok(Some(sub_mchid))
    } else {
        let mchid = required("mchid", "商户号")?;
        same_merchant(context, Some(&mchid))?;
        Ok(None)
    }
}

fn belongs(order: &Order, sub_mchid: Option<&str>) -> Result<(), Refusal> {
    if order
        .partner
        .as_ref()
        .map(|partner| partner.sub_mchid.as_str())
        == sub_mchid
    {
        Ok(())
    } else {
        Err(mismatch())
    }
}

fn mismatch() -> Refusal {
    Refusal::new(400, "INVALID_REQUEST", "商户号和订单信息不匹配")
        .number(268_447_843)
        .because("the order belongs to another merchant or sub-merchant")
}

/// The body of a query; [`crate::canonical`] sorts it.
fn body(order: &Order, refunded: bool) -> Value {
    let state = order.trade_state(refunded);
    let description = match state {
        "SUCCESS" => "支付成功",
        "REFUND" => "订单发生过退款，退款详情请查询退款单",
        "CLOSED" => "订单已关闭",
        _ => "订单未支付",
    };
    let mut body = json!({
        "out_trade_no": order.key.out_trade_no,
        "trade_state": state,
        "trade_state_desc": description,
    });
    match &order.partner {
        None => {
            body["appid"] = json!(order.appid);
            body["mchid"] = json!(order.key.mchid);
        }
        Some(partner) => {
            body["sp_appid"] = json!(partner.sp_appid);
            body["sp_mchid"] = json!(order.key.mchid);
            body["sub_mchid"] = json!(partner.sub_mchid);
            if let Some(sub_appid) = &partner.sub_appid {
                body["sub_appid"] = json!(sub_appid);
            }
        }
    }
    match &order.state {
        OrderState::NotPaid => {
            body["amount"] = json!({"payer_currency": "CNY", "total": order.total_fen});
            body["promotion_detail"] = json!([]);
            body["scene_info"] =
                json!({"device_id": order.device_id.as_deref().unwrap_or_default()});
        }
        OrderState::Closed { .. } => {}
        OrderState::Paid(payment) => {
            body["amount"] = json!({
                "currency": "CNY",
                "payer_currency": "CNY",
                "payer_total": payment.payer_total_fen,
                "total": order.total_fen,
            });
            body["attach"] = json!(order.attach.as_deref().unwrap_or_default());
            body["bank_type"] = json!(payment.bank_type);
            body["payer"] = match &order.partner {
                None => json!({"openid": payment.openid}),
                Some(_) => match &payment.sub_openid {
                    Some(sub) => json!({"sp_openid": payment.openid, "sub_openid": sub}),
                    None => json!({"sp_openid": payment.openid}),
                },
            };
            let coupon_fen = order.total_fen - payment.payer_total_fen;
            body["promotion_detail"] = if coupon_fen == 0 {
                json!([])
            } else {
                json!([{
                    "amount": coupon_fen,
                    "coupon_id": "109519",
                    "currency": "CNY",
                    "merchant_contribute": 0,
                    "name": "模拟代金券",
                    "other_contribute": 0,
                    "scope": "GLOBAL",
                    "stock_id": "931386",
                    "type": "CASH",
                    "wechatpay_contribute": coupon_fen,
                }])
            };
            body["success_time"] = json!(beijing::rfc3339(payment.at_ms));
            body["trade_type"] = json!(order.trade_type.wire());
            body["transaction_id"] = json!(payment.transaction_id);
        }
    }
    body
}
