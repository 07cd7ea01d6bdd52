//! The wire is held against what others published: signatures, sealed resources and bodies of the
//! official documentation and SDKs (`tests/vectors/wechatpay`, whose README names each source), and
//! against a hand-made server that answers as WeChat Pay never should.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod bodies;
mod calls;
mod endpoints;
mod keys;
mod notices;
mod server;
mod signatures;

use serde_json::Value;

use super::{MerchantKey, PlatformKeys, SignatureHeaders};
use crate::domain::Timestamp;

/// The serial number of `java_wechat_pay_certificate.pem`, whose private key is published too.
const PLATFORM_SERIAL: &str = "440024045C4A427599D09BB4E3DE0279F2E813FD";

/// The serial number of the documentation's example merchant.
const MERCHANT_SERIAL: &str = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB";

fn text(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/wechatpay");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

fn vector(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap()
}

/// A member that must be a text.
fn at<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} is a text"))
}

fn seconds(text: &str) -> Timestamp {
    Timestamp::from_unix_seconds(text.parse().unwrap())
}

fn merchant() -> MerchantKey {
    let pem = text("keys/doc_merchant_1900007291_private_pkcs8.pem");
    MerchantKey::parse(MERCHANT_SERIAL, &pem).unwrap()
}

/// What WeChat Pay signs with in these tests; the private half of [`platform_keys`].
fn platform_signer() -> MerchantKey {
    MerchantKey::parse(
        PLATFORM_SERIAL,
        &text("keys/java_wechat_pay_private_key.pem"),
    )
    .unwrap()
}

fn platform_keys() -> PlatformKeys {
    PlatformKeys::parse(&[(
        PLATFORM_SERIAL,
        &text("keys/java_wechat_pay_public_key.pem"),
    )])
    .unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> SignatureHeaders {
    SignatureHeaders::parse(|name| find(pairs, name)).unwrap()
}

fn find<'a>(pairs: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value)
}

/// The headers of a body that the platform signs at a moment.
fn signed_headers(body: &[u8], at: Timestamp) -> Vec<(&'static str, String)> {
    let nonce = "d824f2e086d3c1df967785d13fcd22ef";
    let mut message = format!("{at}\n{nonce}\n").into_bytes();
    message.extend_from_slice(body);
    message.push(b'\n');
    vec![
        ("Wechatpay-Timestamp", at.to_string()),
        ("Wechatpay-Nonce", nonce.to_owned()),
        ("Wechatpay-Serial", PLATFORM_SERIAL.to_owned()),
        ("Wechatpay-Signature", platform_signer().sign(&message)),
        (
            "Wechatpay-Signature-Type",
            "WECHATPAY2-SHA256-RSA2048".to_owned(),
        ),
    ]
}
