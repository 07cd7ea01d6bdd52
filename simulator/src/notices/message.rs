//! The bytes of a notice: envelope and resource in the key order of real ones (docs/simulator.md,
//! `notice-bytes` and `notice-schedule`), sealed and signed, or spoilt on purpose by a
//! [`Distortion`].

use serde_json::json;

use super::dispatch::Dispatch;
use super::resource::ordered;
use crate::beijing;
use crate::exchange::{self, Exchange};
use crate::forgeries;
use crate::keys::{self, SigningKey};
use crate::ledger::{Distortion, Notice};
use crate::random;

/// A notice as it goes out.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) serial: String,
    /// The resource before it was sealed.
    opened: String,
}

impl Message {
    /// What is kept of it for a person; the answer is not known yet.
    pub(super) fn exchange(&self, url: &str) -> Exchange {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (*name, value.as_str()));
        Exchange {
            method: "POST".to_owned(),
            target: url.to_owned(),
            request: exchange::Message::from_wechat_pay(headers, self.body.as_bytes()),
            answer: None,
            opened: Some(self.opened.clone()),
        }
    }
}

/// Seals and signs an attempt afresh.
pub(crate) fn build(dispatch: &Dispatch, serial: &str, key: &SigningKey, wall_ms: i64) -> Message {
    let opened = opened(&dispatch.notice);
    let body = envelope(dispatch, &opened);
    let nonce = random::alphanumeric(32);
    let mut timestamp = wall_ms.div_euclid(1_000);
    if dispatch.distortion == Distortion::Stale {
        timestamp -= forgeries::STALE_S;
    }
    let signed = |body: &str| key.sign(format!("{timestamp}\n{nonce}\n{body}\n").as_bytes());
    let (serial, signature) = match dispatch.distortion {
        Distortion::Genuine | Distortion::Lost | Distortion::Stale | Distortion::Unopenable => {
            (serial.to_owned(), signed(&body))
        }
        Distortion::BadSignature => (serial.to_owned(), signed("{}")),
        Distortion::UnknownSerial => (forgeries::unknown_serial(), signed(&body)),
        Distortion::Probe => (serial.to_owned(), forgeries::probe()),
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
        opened,
    }
}

/// The resource that is sealed.
fn opened(notice: &Notice) -> String {
    let mut payload = notice.payload.clone();
    if notice.extra_fields {
        payload.pop();
        payload.push_str(",\"new_member\":{\"since\":\"today\"}}");
    }
    payload
}

fn envelope(dispatch: &Dispatch, opened: &str) -> String {
    let notice = &dispatch.notice;
    let nonce = random::alphanumeric(12);
    let apiv3_key = if dispatch.distortion == Distortion::Unopenable {
        dispatch.apiv3_key.chars().rev().collect()
    } else {
        dispatch.apiv3_key.clone()
    };
    let ciphertext = keys::seal(&apiv3_key, &nonce, &notice.original_type, opened.as_bytes())
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
