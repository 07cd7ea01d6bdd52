//! The keys of the targets: those that make genuine messages, and those that nobody can have made one with.

use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::wechatpay::{Apiv3Keys, MerchantKey, PlatformKeys, SignatureHeaders, Verified, verify};

/// The moment at which everything here happens.
pub const NOW: i64 = 1_767_225_600;

/// The serial number that everything here is signed under.
pub const SERIAL: &str = "5B1D9F0E2C3A48576675849302A1BFCEDD0E1F20";

/// The APIv3 key that genuine contents are sealed with.
pub const SEALING_KEY: &str = "vectors-of-our-own-apiv3-key-032";

/// One that nothing was ever sealed with.
pub static UNUSED_SEALING_KEY: LazyLock<Apiv3Keys> =
    LazyLock::new(|| Apiv3Keys::parse(&["a-key-that-never-sealed-any-text"]).unwrap());

pub static APIV3_KEYS: LazyLock<Apiv3Keys> =
    LazyLock::new(|| Apiv3Keys::parse(&[SEALING_KEY]).unwrap());

/// A public key under the serial number whose private half signs nothing here.
pub static UNUSED_PLATFORM: LazyLock<PlatformKeys> = LazyLock::new(|| {
    let pem = include_str!("../../tests/vectors/wechatpay/keys/former_platform_public.pem");
    PlatformKeys::parse(&[(SERIAL, pem)]).unwrap()
});

static PLATFORM: LazyLock<PlatformKeys> = LazyLock::new(|| {
    let pem = include_str!("../../tests/vectors/wechatpay/keys/platform_public.pem");
    PlatformKeys::parse(&[(SERIAL, pem)]).unwrap()
});

static SIGNER: LazyLock<MerchantKey> = LazyLock::new(|| {
    let pem = include_str!("../../tests/vectors/wechatpay/keys/platform_private.pem");
    MerchantKey::parse(SERIAL, pem).unwrap()
});

pub fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

/// The body as WeChat Pay signs it: what comes after a signature that holds.
pub fn genuine(body: &[u8]) -> Verified<&[u8]> {
    let mut message = format!("{NOW}\nn\n").into_bytes();
    message.extend_from_slice(body);
    message.push(b'\n');
    let signature = SIGNER.sign(&message);
    let timestamp = NOW.to_string();
    let headers = SignatureHeaders::parse(|name| match name {
        "wechatpay-timestamp" => Some(timestamp.as_str()),
        "wechatpay-nonce" => Some("n"),
        "wechatpay-serial" => Some(SERIAL),
        "wechatpay-signature" => Some(signature.as_str()),
        _ => None,
    });
    verify(&PLATFORM, &headers.unwrap(), body, now()).unwrap()
}

/// The bytes sealed, as a resource of an envelope or of a list of certificates.
pub fn sealed(associated: &str, content: &[u8]) -> Value {
    let nonce = "k3J9xQ0vLm2A";
    let key = UnboundKey::new(&AES_256_GCM, SEALING_KEY.as_bytes()).unwrap();
    let mut text = content.to_vec();
    let bytes: [u8; 12] = nonce.as_bytes().try_into().unwrap();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(bytes),
            Aad::from(associated.as_bytes()),
            &mut text,
        )
        .unwrap();
    json!({
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": STANDARD.encode(text),
        "associated_data": associated,
        "nonce": nonce,
    })
}

/// An envelope around these bytes.
pub fn envelope(event_type: &str, associated: &str, content: &[u8]) -> Vec<u8> {
    let envelope = json!({
        "id": "00000000-0000-5000-8000-000000000001",
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "resource": sealed(associated, content),
    });
    envelope.to_string().into_bytes()
}
