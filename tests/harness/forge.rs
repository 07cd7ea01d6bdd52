//! Notices as WeChat Pay would send them, made by the test, so that a test can also make them as it
//! never would.

use serde_json::{Value, json};

use super::{BOB, TestStack};

/// The nonce of every signature made here.
pub const NONCE: &str = "0123456789abcdefABCDEF0123456789";

/// The nonce of everything sealed here.
pub const SEALING_NONCE: &[u8; 12] = b"fG1l57vn9BCX";

/// A notice's envelope around these bytes, sealed with this key.
pub fn notice_body(apiv3_key: &[u8], event_type: &str, content: &[u8]) -> Vec<u8> {
    envelope(apiv3_key, event_type, content)
        .to_string()
        .into_bytes()
}

/// The same, to be changed before it is written.
pub fn envelope(apiv3_key: &[u8], event_type: &str, content: &[u8]) -> Value {
    let associated = if event_type.starts_with("REFUND") {
        "refund"
    } else {
        "transaction"
    };
    json!({
        "id": "b62e271c-3389-58a0-8146-4a704966e8f1",
        "create_time": "2026-01-28T17:07:11+08:00",
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": "-",
        "resource": {
            "original_type": associated,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": seal(apiv3_key, SEALING_NONCE, associated.as_bytes(), content),
            "associated_data": associated,
            "nonce": std::str::from_utf8(SEALING_NONCE).unwrap(),
        },
    })
}

/// AES-256-GCM by the other library, in base64.
pub fn seal(key: &[u8], nonce: &[u8; 12], associated: &[u8], content: &[u8]) -> String {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use base64::Engine;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut sealed = content.to_vec();
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(*nonce),
        Aad::from(associated),
        &mut sealed,
    )
    .unwrap();
    base64::engine::general_purpose::STANDARD.encode(sealed)
}

/// What WeChat Pay puts into a payment's notice.
pub fn payment_content(stack: &TestStack, number: &str, total: i64) -> Value {
    let merchant = stack.stack.simulator.merchant();
    let paid_at = shared::rfc3339::format(stack.stack.clock().business());
    json!({
        "appid": merchant.appid, "mchid": merchant.mchid, "out_trade_no": number,
        "transaction_id": "4200000925202101284997714292", "trade_type": "NATIVE",
        "trade_state": "SUCCESS", "trade_state_desc": "支付成功", "bank_type": "OTHERS", "attach": "",
        "success_time": paid_at, "payer": {"openid": BOB},
        "amount": {"total": total, "payer_total": total, "currency": "CNY", "payer_currency": "CNY"},
    })
}

/// What WeChat Pay puts into a refund's notice; `order` is the merchant's view of the order.
pub fn refund_content(
    stack: &TestStack,
    order: &Value,
    refund_number: &str,
    amount: i64,
    status: &str,
) -> Value {
    let total = &order["amount"]["total"];
    json!({
        "mchid": stack.stack.simulator.merchant().mchid,
        "out_trade_no": order["out_trade_no"], "transaction_id": order["transaction_id"],
        "out_refund_no": refund_number, "refund_id": "50300806962021012804996071642",
        "refund_status": status, "success_time": "2026-01-28T17:09:11+08:00",
        "user_received_account": "支付用户零钱",
        "amount": {"total": total, "refund": amount, "payer_total": total, "payer_refund": amount},
    })
}
