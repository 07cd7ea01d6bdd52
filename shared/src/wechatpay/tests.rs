//! The wire is held against known answers (`tests/vectors`, whose README says where each comes from)
//! and against a hand-made server that answers as WeChat Pay never should.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod answers;
mod attempts;
mod bills;
mod bodies;
mod downloads;
mod endpoints;
mod keys;
mod laws;
mod notices;
mod server;
mod signatures;
mod till;
#[path = "../../../tests/vectors/mod.rs"]
mod vectors;

use self::vectors::{at, text, vector};
use super::{MerchantKey, PlatformKeys, SignatureHeaders};
use crate::domain::Timestamp;

/// The serial number of `platform_certificate.pem`.
const PLATFORM_SERIAL: &str = "5B1D9F0E2C3A48576675849302A1BFCEDD0E1F20";

/// The serial number of `merchant_certificate.pem`.
const MERCHANT_SERIAL: &str = "3A5C0E7192B48D6F01E3C5A79B8D7F6152433475";

/// The APIv3 key under which our own vectors are sealed.
const APIV3_KEY: &str = "vectors-of-our-own-apiv3-key-032";

fn seconds(text: &str) -> Timestamp {
    Timestamp::from_unix_seconds(text.parse().unwrap())
}

fn merchant() -> MerchantKey {
    MerchantKey::parse(MERCHANT_SERIAL, &text("keys/merchant_private.pem")).unwrap()
}

/// What WeChat Pay signs with in these tests; the private half of [`platform_keys`].
fn platform_signer() -> MerchantKey {
    MerchantKey::parse(PLATFORM_SERIAL, &text("keys/platform_private.pem")).unwrap()
}

fn platform_keys() -> PlatformKeys {
    PlatformKeys::parse(&[(PLATFORM_SERIAL, &text("keys/platform_public.pem"))]).unwrap()
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
