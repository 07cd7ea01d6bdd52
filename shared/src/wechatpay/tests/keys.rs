//! Keys that are accepted and keys that are not; sealed resources and sensitive fields.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use sha1::Sha1;
use sha2::Sha256;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{MERCHANT_SERIAL, PLATFORM_SERIAL, at, merchant, text, vector};
use crate::wechatpay::seal::{KeySlot, OpenError, SealedResource, open};
use crate::wechatpay::{Apiv3Keys, KeyError, KeyId, MerchantKey, PlatformKeys};

const WEAK_PRIVATE: &str = include_str!("weak_private.pem");
const WEAK_PUBLIC: &str = include_str!("weak_public.pem");
const EC_PUBLIC: &str = include_str!("ec_public.pem");

/// A certificate's serial number in upper-case hexadecimal, and its public key as PEM.
pub(super) fn certificate(pem: &str) -> (String, String) {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
    let serial = certificate
        .raw_serial()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect::<String>();
    let encoded = STANDARD.encode(certificate.public_key().raw);
    let serial = serial
        .strip_prefix("00")
        .map_or(serial.clone(), str::to_owned);
    (
        serial,
        format!("-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n"),
    )
}

#[test]
fn both_private_key_formats_give_the_same_key() {
    let pem = text("keys/doc_merchant_1900007291_private_pkcs8.pem");
    let other = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let pkcs1 = other.to_pkcs1_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    assert!(pkcs1.contains("BEGIN RSA PRIVATE KEY"));
    let key = MerchantKey::parse(&MERCHANT_SERIAL.to_ascii_lowercase(), &pkcs1).unwrap();
    assert_eq!(key.sign(b"message"), merchant().sign(b"message"));
    assert_eq!(key.serial_no(), MERCHANT_SERIAL);
}

#[test]
fn a_private_key_that_cannot_serve_is_refused_without_showing_it() {
    let pem = text("keys/doc_merchant_1900007291_private_pkcs8.pem");
    let certificate = text("keys/java_merchant_certificate.pem");
    for broken in ["", "secret", &certificate, WEAK_PUBLIC, &pem[..900]] {
        assert_eq!(
            MerchantKey::parse(MERCHANT_SERIAL, broken).unwrap_err(),
            KeyError::NotPrivatePem
        );
    }
    assert!(matches!(
        MerchantKey::parse(MERCHANT_SERIAL, WEAK_PRIVATE),
        Err(KeyError::Unsound(_))
    ));
    let middle = pem.len() / 2;
    let letter = if pem[middle..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    let damaged = format!("{}{letter}{}", &pem[..middle], &pem[middle + 1..]);
    assert!(matches!(
        MerchantKey::parse(MERCHANT_SERIAL, &damaged),
        Err(KeyError::Unsound(_))
    ));
    let (short, long) = ("A".repeat(39), "A".repeat(41));
    let spaced = format!("{} 8B", &MERCHANT_SERIAL[..37]);
    for serial in ["", "xyz", "01", &spaced, &short, &long] {
        assert_eq!(
            MerchantKey::parse(serial, &pem).unwrap_err(),
            KeyError::Serial,
            "{serial:?}"
        );
    }
}

fn key_id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

#[test]
fn a_platform_key_that_cannot_serve_is_refused_by_name() {
    let pem = text("keys/java_wechat_pay_public_key.pem");
    assert_eq!(PlatformKeys::parse(&[]).unwrap_err(), KeyError::None);
    for broken in ["", "secret", WEAK_PUBLIC, EC_PUBLIC, WEAK_PRIVATE] {
        let refused = PlatformKeys::parse(&[("PUB_KEY_ID_01", broken)]).unwrap_err();
        assert_eq!(refused, KeyError::NotPublicPem(key_id("PUB_KEY_ID_01")));
    }
    let short = &PLATFORM_SERIAL[..39];
    let long = format!("{PLATFORM_SERIAL}0");
    for id in [
        "",
        "PUB_KEY_ID_",
        "pub_key_id_01",
        "key",
        "PUB_KEY_ID_0/1",
        // What is left of an id that lost its beginning.
        "0119000001092026112800001000000000",
        "AB",
        short,
        &long,
    ] {
        assert!(
            matches!(
                PlatformKeys::parse(&[(id, &pem)]),
                Err(KeyError::PublicKeyId)
            ),
            "{id}"
        );
    }
    let lower = PLATFORM_SERIAL.to_ascii_lowercase();
    let twice = PlatformKeys::parse(&[(PLATFORM_SERIAL, &pem), (&lower, &pem)]).unwrap_err();
    assert_eq!(twice, KeyError::PublicKeyTwice(key_id(&lower)));
    let two = PlatformKeys::parse(&[("PUB_KEY_ID_01", &pem), (PLATFORM_SERIAL, &pem)]).unwrap();
    assert_eq!(two.newest_id(), "PUB_KEY_ID_01");
}

#[test]
fn no_key_is_ever_printed() {
    let secret = "AES256Key-32Characters1234567890";
    let shown = format!(
        "{:?} {:?} {:?}",
        merchant(),
        super::platform_keys(),
        Apiv3Keys::parse(&[secret]).unwrap(),
    );
    assert!(!shown.contains("Key-32"), "{shown}");
    assert!(shown.len() < 200, "{shown}");
    assert_eq!(
        Apiv3Keys::parse(&["short"]).unwrap_err(),
        KeyError::Apiv3Length(5)
    );
    assert_eq!(Apiv3Keys::parse(&[]).unwrap_err(), KeyError::None);
}

fn resource(case: &serde_json::Value) -> SealedResource {
    SealedResource {
        algorithm: "AEAD_AES_256_GCM".to_owned(),
        ciphertext: at(case, "ciphertext").to_owned(),
        nonce: at(case, "nonce").to_owned(),
        associated_data: Some(at(case, "associated_data").to_owned()),
    }
}

#[test]
fn published_sealed_texts_open() {
    for case in vector("aead/aes_gcm_vectors.json")["cases"]
        .as_array()
        .unwrap()
    {
        match Apiv3Keys::parse(&[at(case, "key")]) {
            Ok(keys) => {
                let (text, slot) = open(&keys, &resource(case)).unwrap();
                assert_eq!(text, at(case, "plaintext").as_bytes());
                assert_eq!(slot, KeySlot::Current);
            }
            // One SDK tests itself with a 16-byte key, which no merchant has.
            Err(error) => assert_eq!(error, KeyError::Apiv3Length(16)),
        }
    }
}

#[test]
fn published_certificates_open_and_name_their_key() {
    for (name, whole) in [("java_sdk", true), ("gunsluo", false)] {
        let case = vector(&format!("certificates/{name}_certificates_response.json"));
        let keys = Apiv3Keys::parse(&[at(&case, "api_v3_key")]).unwrap();
        let body: serde_json::Value = serde_json::from_str(at(&case, "body")).unwrap();
        let listed = &body["data"][0];
        let sealed: SealedResource =
            serde_json::from_value(listed["encrypt_certificate"].clone()).unwrap();
        let (pem, _) = open(&keys, &sealed).unwrap();
        let pem = String::from_utf8(pem).unwrap();
        assert_eq!(pem, at(&case, "plaintext"), "{name}");
        let (serial, public_key) = certificate(&pem);
        // The second file's certificate is a mock with another serial number than listed.
        assert_eq!(serial == at(listed, "serial_no"), whole, "{name}");
        let listed = PlatformKeys::parse(&[(at(listed, "serial_no"), &public_key)]);
        assert!(listed.is_ok(), "{name}");
    }
    let (serial, public_key) = certificate(&text("certificates/tenpay_platform_certificate.pem"));
    assert_eq!(serial.len(), 40);
    assert!(PlatformKeys::parse(&[(&serial, &public_key)]).is_ok());
}

/// Seals as WeChat Pay does.
pub(super) fn seal(key: &str, nonce: &str, associated_data: &str, plain: &[u8]) -> String {
    let cipher = aes_gcm::Aes256Gcm::new_from_slice(key.as_bytes()).unwrap();
    let nonce: [u8; 12] = nonce.as_bytes().try_into().unwrap();
    let payload = Payload {
        msg: plain,
        aad: associated_data.as_bytes(),
    };
    STANDARD.encode(cipher.encrypt(&nonce.into(), payload).unwrap())
}

#[test]
fn a_damaged_seal_does_not_open_and_nothing_panics() {
    let key = "AES256Key-32Characters1234567890";
    let keys = Apiv3Keys::parse(&[key]).unwrap();
    let nonce = "fG1l57vn9BCX";
    let sealed = seal(key, nonce, "transaction", b"{\"out_trade_no\":\"1\"}");
    let outcome =
        |algorithm: &str, ciphertext: &str, nonce: &str, associated_data: Option<&str>| {
            let resource = SealedResource {
                algorithm: algorithm.to_owned(),
                ciphertext: ciphertext.to_owned(),
                nonce: nonce.to_owned(),
                associated_data: associated_data.map(str::to_owned),
            };
            open(&keys, &resource).map(|_| ())
        };
    let gcm = "AEAD_AES_256_GCM";
    let aad = Some("transaction");
    assert_eq!(outcome(gcm, &sealed, nonce, aad), Ok(()));
    for algorithm in [
        "",
        "none",
        "AEAD_AES_128_GCM",
        "AEAD_SM4_GCM",
        "aead_aes_256_gcm",
    ] {
        assert_eq!(
            outcome(algorithm, &sealed, nonce, aad),
            Err(OpenError::Algorithm),
            "{algorithm}"
        );
    }
    // Twelve characters are not twelve bytes.
    for nonce in [
        "",
        "fG1l57vn9BC",
        "fG1l57vn9BCX1",
        "fG1l57vn9BCX1234",
        "随机数随机数随机数随机数",
    ] {
        assert_eq!(
            outcome(gcm, &sealed, nonce, aad),
            Err(OpenError::Shape),
            "{nonce}"
        );
    }
    let bytes = STANDARD.decode(&sealed).unwrap();
    for index in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[index] ^= 0x80;
        assert_eq!(
            outcome(gcm, &STANDARD.encode(&flipped), nonce, aad),
            Err(OpenError::NoKey)
        );
    }
    for length in 0..bytes.len() {
        assert!(
            outcome(gcm, &STANDARD.encode(&bytes[..length]), nonce, aad).is_err(),
            "{length} bytes"
        );
    }
    let altered = [
        sealed.replace('+', "-").replace('/', "_") + "=",
        format!("{sealed}\n"),
        format!(" {sealed}"),
        "WECHATPAY".to_owned(),
    ];
    for ciphertext in altered {
        assert!(
            outcome(gcm, &ciphertext, nonce, aad).is_err(),
            "{ciphertext}"
        );
    }
    for associated_data in [
        None,
        Some(""),
        Some("refund"),
        Some("transaction "),
        Some("seventeen letters"),
    ] {
        assert!(
            outcome(gcm, &sealed, nonce, associated_data).is_err(),
            "{associated_data:?}"
        );
    }
    let bare = seal(key, nonce, "", b"{}");
    assert_eq!(outcome(gcm, &bare, nonce, None), Ok(()));
    assert_eq!(outcome(gcm, &bare, nonce, Some("")), Ok(()));
    let zero = seal(&"\0".repeat(32), nonce, "transaction", b"{}");
    assert_eq!(outcome(gcm, &zero, nonce, aad), Err(OpenError::NoKey));
}

#[test]
fn a_key_on_its_way_out_still_opens_and_is_told() {
    let (current, previous) = ("a".repeat(32), "b".repeat(32));
    let keys = Apiv3Keys::parse(&[&current, &previous]).unwrap();
    for (key, slot) in [(&current, KeySlot::Current), (&previous, KeySlot::Other)] {
        let resource = SealedResource {
            algorithm: "AEAD_AES_256_GCM".to_owned(),
            ciphertext: seal(key, "fG1l57vn9BCX", "", b"{}"),
            nonce: "fG1l57vn9BCX".to_owned(),
            associated_data: None,
        };
        assert_eq!(open(&keys, &resource), Ok((b"{}".to_vec(), slot)));
    }
}

#[test]
fn sensitive_fields_are_encrypted_as_the_sdks_do() {
    // The published ciphertexts prove the padding: SHA-1 opens them, SHA-256 does not.
    for case in vector("oaep/rsa_oaep_sha1_vectors.json")["cases"]
        .as_array()
        .unwrap()
    {
        let key = rsa::PrivateKey::from_pkcs8_pem(&text(at(case, "private_key_file"))).unwrap();
        let ciphertext = STANDARD.decode(at(case, "ciphertext")).unwrap();
        let plain = key.oaep_decrypt::<Sha1>(&ciphertext).unwrap();
        assert_eq!(plain, at(case, "plaintext").as_bytes());
        assert!(key.oaep_decrypt::<Sha256>(&ciphertext).is_err());
    }
    let key =
        rsa::PrivateKey::from_pkcs8_pem(&text("keys/java_wechat_pay_private_key.pem")).unwrap();
    let keys = super::platform_keys();
    let longest = "x".repeat(214);
    for plain in ["", "6222021234567890", "张三", &longest] {
        let (ciphertext, id) = keys.encrypt(plain).unwrap();
        assert_eq!(id.as_str(), PLATFORM_SERIAL);
        let ciphertext = STANDARD.decode(ciphertext).unwrap();
        assert_eq!(
            key.oaep_decrypt::<Sha1>(&ciphertext).unwrap(),
            plain.as_bytes()
        );
    }
    assert_eq!(keys.encrypt(&"x".repeat(215)), Err(KeyError::TooLong));
}
