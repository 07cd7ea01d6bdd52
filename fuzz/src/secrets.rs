//! Seals, certificates and keys: opened with the right key they say what was sealed, and nothing else opens.

use serde_json::{Value, json};
use shared::wechatpay::{KeySlot, MerchantKey, PlatformCertificates, PlatformKeys};

use super::keys::{APIV3_KEYS, SERIAL, UNUSED_SEALING_KEY, sealed};

const CERTIFICATE: &str =
    include_str!("../../tests/vectors/wechatpay/keys/platform_certificate.pem");

fn listed(resource: &Value) -> Vec<u8> {
    let listed = json!({"data": [{"serial_no": SERIAL, "encrypt_certificate": resource}]});
    listed.to_string().into_bytes()
}

/// A list of certificates that somebody made without the key; and a genuine one, changed as the bytes
/// say: three bytes each for a field, a place in it and what is changed there.
pub fn aead_fields(bytes: &[u8]) {
    let forged = PlatformCertificates::open(bytes, &UNUSED_SEALING_KEY);
    assert!(forged.is_err(), "a forged seal opens");
    let genuine = sealed("certificate", CERTIFICATE.as_bytes());
    let mut changed = genuine.clone();
    for change in bytes.chunks_exact(3) {
        let names = ["ciphertext", "nonce", "associated_data", "algorithm"];
        let name = names[usize::from(change[0]) % names.len()];
        let mut text: Vec<char> = changed[name].as_str().unwrap().chars().collect();
        let place = usize::from(change[1]) * text.len() / 256;
        match change[2] {
            0 if !text.is_empty() => {
                text.remove(place);
            }
            byte if byte < 128 => text.insert(place, char::from(byte)),
            byte => {
                if let Some(letter) = text.get_mut(place) {
                    *letter = char::from(byte - 128);
                }
            }
        }
        changed[name] = text.into_iter().collect::<String>().into();
    }
    match PlatformCertificates::open(&listed(&changed), &APIV3_KEYS) {
        Ok(opened) => {
            assert_eq!(changed, genuine, "a seal opens that was changed");
            assert_eq!(opened.slot(), KeySlot::Current);
        }
        Err(error) => assert_ne!(changed, genuine, "the genuine one does not open: {error}"),
    }
}

/// A text that is to be a key or a certificate.
pub fn pem(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(key) = MerchantKey::parse(SERIAL, &text) {
        // A key that is taken signs, and does so as RSA of its size.
        assert!(key.sign(b"message").len() >= 344);
    }
    if let Ok(keys) = PlatformKeys::parse(&[(SERIAL, text.as_str())]) {
        assert!(!keys.is_none());
        // An exponent that only one of the two libraries takes is refused, and no more.
        let _ = keys.encrypt("6222000000000000000");
    }
    // What stands in a certificate that WeChat Pay sealed.
    let resource = sealed("certificate", bytes);
    if PlatformCertificates::open(&listed(&resource), &APIV3_KEYS).is_ok() {
        assert!(text.contains("-----BEGIN CERTIFICATE-----"));
    }
}
