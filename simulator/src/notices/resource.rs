//! What a notice says: the resource in the key order of real ones (docs/simulator.md,
//! `notice-bytes`), before it is sealed.

use serde_json::{Value, json};

use crate::beijing;
use crate::ledger::{Notice, Order, Refund, RefundStatus};
use crate::random;

/// The resource of a payment notice; only a paid order has one.
pub(crate) fn payment(order: &Order) -> Option<String> {
    let payment = order.payment()?;
    let mut members = Vec::new();
    match &order.partner {
        None => {
            members.push(("appid", json!(order.appid)));
            members.push(("mchid", json!(order.key.mchid)));
        }
        Some(partner) => {
            members.push(("sp_appid", json!(partner.sp_appid)));
            members.push(("sp_mchid", json!(order.key.mchid)));
            if let Some(sub_appid) = &partner.sub_appid {
                members.push(("sub_appid", json!(sub_appid)));
            }
            members.push(("sub_mchid", json!(partner.sub_mchid)));
        }
    }
    members.extend([
        ("out_trade_no", json!(order.key.out_trade_no)),
        ("transaction_id", json!(payment.transaction_id)),
        ("trade_type", json!(order.trade_type.wire())),
        ("trade_state", json!("SUCCESS")),
        ("trade_state_desc", json!("支付成功")),
        ("bank_type", json!(payment.bank_type)),
        ("attach", json!(order.attach.as_deref().unwrap_or_default())),
        ("success_time", json!(beijing::rfc3339(payment.at_ms))),
    ]);
    let payer = match &order.partner {
        None => ordered(&[("openid", json!(payment.openid))]),
        Some(_) => match &payment.sub_openid {
            Some(sub_openid) => ordered(&[
                ("sp_openid", json!(payment.openid)),
                ("sub_openid", json!(sub_openid)),
            ]),
            None => ordered(&[("sp_openid", json!(payment.openid))]),
        },
    };
    let amount = ordered(&[
        ("total", json!(order.total_fen)),
        ("payer_total", json!(payment.payer_total_fen)),
        ("currency", json!("CNY")),
        ("payer_currency", json!("CNY")),
    ]);
    let mut text = ordered(&members);
    text.pop();
    Some(format!("{text},\"payer\":{payer},\"amount\":{amount}}}"))
}

/// The resource of a refund notice.
pub(crate) fn refund(refund: &Refund) -> String {
    let mut members = match &refund.sub_mchid {
        None => vec![("mchid", json!(refund.key.mchid))],
        Some(sub_mchid) => {
            vec![
                ("sp_mchid", json!(refund.key.mchid)),
                ("sub_mchid", json!(sub_mchid)),
            ]
        }
    };
    members.extend([
        ("out_trade_no", json!(refund.order.out_trade_no)),
        ("transaction_id", json!(refund.transaction_id)),
        ("out_refund_no", json!(refund.key.out_refund_no)),
        ("refund_id", json!(refund.refund_id)),
        ("refund_status", json!(refund.status.wire())),
    ]);
    if let (RefundStatus::Success, Some(at_ms)) = (refund.status, refund.success_ms) {
        members.push(("success_time", json!(beijing::rfc3339(at_ms))));
    }
    let amount = ordered(&[
        ("total", json!(refund.total_fen)),
        ("refund", json!(refund.refund_fen)),
        ("payer_total", json!(refund.payer_total_fen)),
        ("payer_refund", json!(refund.payer_refund_fen)),
    ]);
    let mut text = ordered(&members);
    text.pop();
    let account = json!(refund.user_received_account);
    format!("{text},\"amount\":{amount},\"user_received_account\":{account}}}")
}

/// The resource of an event of another product.
pub(crate) fn coupon(like: &Notice) -> String {
    ordered(&[
        ("stock_creator_mchid", json!(like.mchid)),
        ("stock_id", json!(random::digits(8))),
        ("coupon_id", json!(random::digits(12))),
        ("status", json!("USED")),
    ])
}

/// Writes an object whose members keep the given order, whatever map `serde_json` was built with.
pub(super) fn ordered(members: &[(&str, Value)]) -> String {
    let parts: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", parts.join(","))
}
