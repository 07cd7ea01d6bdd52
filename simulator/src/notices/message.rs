//! The bytes of a notice: envelope and resource in the key order of real ones (fidelity
//! points 27 and 28), sealed and signed, or spoilt on purpose by a [`Twist`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Dispatch, Notice};
use crate::beijing;
use crate::forged;
use crate::keys::{self, SigningKey};
use crate::ledger::{Order, Refund, RefundStatus};
use crate::random;

/// What is wrong with an attempt on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Twist {
    Genuine,
    Lost,
    Probe,
    BadSignature,
    UnknownSerial,
    Stale,
    Unopenable,
}

impl Twist {
    /// The faults that bring a twist, in the order they are tried.
    pub(crate) const FAULTS: [(&'static str, Self); 6] = [
        ("notice_lost", Self::Lost),
        ("notice_probe", Self::Probe),
        ("notice_bad_signature", Self::BadSignature),
        ("notice_unknown_serial", Self::UnknownSerial),
        ("notice_stale", Self::Stale),
        ("notice_unopenable", Self::Unopenable),
    ];

    /// Names the attempt for a person.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Genuine => "a genuine notice",
            Self::Lost => "a lost notice",
            Self::Probe => "a signature probe (WECHATPAY/SIGNTEST/)",
            Self::BadSignature => "a notice whose signature is over other bytes",
            Self::UnknownSerial => "a notice signed by a key nobody has",
            Self::Stale => "a notice dated ten minutes ago",
            Self::Unopenable => "a notice sealed with another APIv3 key",
        }
    }
}

/// A notice as it goes out.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) serial: String,
}

/// Seals and signs an attempt afresh.
pub(crate) fn build(dispatch: &Dispatch, serial: &str, key: &SigningKey, wall_ms: i64) -> Message {
    let body = envelope(dispatch);
    let nonce = random::alphanumeric(32);
    let mut timestamp = wall_ms.div_euclid(1_000);
    if dispatch.twist == Twist::Stale {
        timestamp -= forged::STALE_S;
    }
    let signed = |body: &str| key.sign(format!("{timestamp}\n{nonce}\n{body}\n").as_bytes());
    let (serial, signature) = match dispatch.twist {
        Twist::Genuine | Twist::Lost | Twist::Stale | Twist::Unopenable => {
            (serial.to_owned(), signed(&body))
        }
        Twist::BadSignature => (serial.to_owned(), signed("{}")),
        Twist::UnknownSerial => (forged::unknown_serial(), signed(&body)),
        Twist::Probe => (serial.to_owned(), forged::probe()),
    };
    let headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", "Mozilla/4.0".to_owned()),
        ("Accept", "*/*".to_owned()),
        ("Pragma", "no-cache".to_owned()),
        ("Connection", "Keep-Alive".to_owned()),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", serial.clone()),
        ("Wechatpay-Signature", signature),
        (
            "Wechatpay-Signature-Type",
            "WECHATPAY2-SHA256-RSA2048".to_owned(),
        ),
        ("Wechatpay-Timestamp", timestamp.to_string()),
    ];
    Message {
        headers,
        body,
        serial,
    }
}

fn envelope(dispatch: &Dispatch) -> String {
    let notice = &dispatch.notice;
    let nonce = random::alphanumeric(12);
    let apiv3_key = if dispatch.twist == Twist::Unopenable {
        dispatch.apiv3_key.chars().rev().collect()
    } else {
        dispatch.apiv3_key.clone()
    };
    let mut payload = notice.payload.clone();
    if notice.extra_fields {
        payload.pop();
        payload.push_str(",\"new_member\":{\"since\":\"today\"}}");
    }
    let ciphertext = keys::seal(
        &apiv3_key,
        &nonce,
        &notice.original_type,
        payload.as_bytes(),
    )
    .unwrap_or_default();
    let resource = ordered(&[
        ("original_type", json!(notice.original_type)),
        ("algorithm", json!("AEAD_AES_256_GCM")),
        ("ciphertext", json!(ciphertext)),
        ("associated_data", json!(notice.original_type)),
        ("nonce", json!(nonce)),
    ]);
    let mut text = ordered(&[
        ("id", json!(notice.id)),
        ("create_time", json!(beijing::rfc3339(notice.created_ms))),
        ("resource_type", json!("encrypt-resource")),
        ("event_type", json!(notice.event_type)),
        ("summary", json!(notice.summary)),
    ]);
    text.pop();
    text.push_str(",\"resource\":");
    text.push_str(&resource);
    if notice.extra_fields {
        text.push_str(",\"new_member\":[]");
    }
    text.push('}');
    text
}

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
fn ordered(members: &[(&str, Value)]) -> String {
    let parts: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", parts.join(","))
}
