//! What the simulator signs, verifies, seals and opens with, against known answers
//! (`tests/vectors`): neither our client nor the simulator judges the other.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use rsa::pkcs8::DecodePublicKey as _;
use serde_json::Value;

use super::signature::VerifyingKey;
use super::{SigningKey, open_sensitive, read_certificate, seal};
use crate::vectors::{Case, at, every};

fn public(pem: &str) -> VerifyingKey {
    VerifyingKey::new(rsa::PublicKey::from_public_key_pem(pem).unwrap())
}

fn header<'a>(headers: &'a Value, name: &str) -> &'a str {
    at(headers, name)
}

/// The three lines of an answer or a notice.
fn message(headers: &Value, body: &str) -> String {
    let timestamp = header(headers, "Wechatpay-Timestamp");
    let nonce = header(headers, "Wechatpay-Nonce");
    format!("{timestamp}\n{nonce}\n{body}\n")
}

#[test]
fn messages_are_signed_and_verified_byte_for_byte() {
    for case in every(&["request_sign", "raw_sign", "pay_sign"]) {
        let key = SigningKey::from_pem(&case.file("private_key_file")).unwrap();
        let message = case.at("message").as_bytes();
        assert_eq!(key.sign(message), case.at("signature"), "{}", case.name);
        let quick = key.clone().quick().unwrap();
        assert_eq!(quick.sign(message), case.at("signature"), "{}", case.name);
        let verifying = key.verifying();
        assert!(verifying.verifies(message, case.at("signature")));
        assert!(!verifying.verifies(&[message, b"\n"].concat(), case.at("signature")));
    }
}

#[test]
fn what_the_documentation_prints_verifies() {
    let documented = ["documented_request", "documented_pay_sign"];
    for case in every(&documented) {
        let key = public(&case.file("public_key_file"));
        let message = case.at("message").as_bytes();
        assert!(key.verifies(message, case.at("signature")), "{}", case.name);
    }
    for case in every(&["response_verify"]) {
        let key = public(&case.file("public_key_file"));
        let signature = case.at("wechatpay_signature");
        assert!(
            key.verifies(case.at("message").as_bytes(), signature),
            "{}",
            case.name
        );
    }
}

#[test]
fn answers_and_notices_are_signed_byte_for_byte() {
    let signed = |case: &Case, key: &str, headers: &Value, body: &str| {
        let key = SigningKey::from_pem(key).unwrap();
        let signature = key.sign(message(headers, body).as_bytes());
        assert_eq!(
            signature,
            header(headers, "Wechatpay-Signature"),
            "{}",
            case.name
        );
    };
    for case in every(&["signed_answers", "response_verify_derived"]) {
        let key = case.file("private_key_file");
        for answer in case.cases() {
            signed(&case, &key, &answer["headers"], at(answer, "body"));
        }
    }
    for case in every(&["notification"]) {
        if case.value["signing_key_file"].is_string() {
            let key = case.file("signing_key_file");
            signed(&case, &key, &case.value["headers"], case.at("body"));
        }
    }
}

#[test]
fn a_forgery_does_not_verify() {
    for case in every(&["response_verify_negative"]) {
        let key = public(&case.file("public_key_file"));
        for forged in case.cases() {
            let message = at(forged, "message").as_bytes();
            let verifies = key.verifies(message, at(forged, "signature"));
            assert!(!verifies, "{} {}", case.name, at(forged, "name"));
        }
    }
}

#[test]
fn texts_are_sealed_byte_for_byte() {
    for case in every(&["aes_gcm"]) {
        for sealed in case.cases() {
            let name = format!("{} {}", case.name, at(sealed, "name"));
            let (key, nonce) = (at(sealed, "key"), at(sealed, "nonce"));
            let plain = at(sealed, "plaintext").as_bytes();
            let made = seal(key, nonce, at(sealed, "associated_data"), plain);
            if key.len() == 32 {
                assert_eq!(made.unwrap(), at(sealed, "ciphertext"), "{name}");
            } else {
                assert!(made.is_err(), "{name}");
            }
        }
    }
    for kind in ["notification", "certificates_response"] {
        for case in every(&[kind]) {
            if case.at("api_v3_key").len() != 32 {
                continue;
            }
            let body: Value = serde_json::from_str(case.at("body")).unwrap();
            let resource = match kind {
                "notification" => &body["resource"],
                _ => &body["data"][0]["encrypt_certificate"],
            };
            let made = seal(
                case.at("api_v3_key"),
                at(resource, "nonce"),
                at(resource, "associated_data"),
                case.at("plaintext").as_bytes(),
            );
            assert_eq!(made.unwrap(), at(resource, "ciphertext"), "{}", case.name);
        }
    }
}

#[test]
fn sensitive_fields_open() {
    for case in every(&["rsa_oaep_sha1"]) {
        for field in case.cases() {
            let key = case.file_of(field, "private_key_file");
            let ciphertext = at(field, "ciphertext");
            let opened = open_sensitive(&key, ciphertext);
            let plain = Some(at(field, "plaintext"));
            assert_eq!(
                opened.as_deref(),
                plain,
                "{} {}",
                case.name,
                at(field, "name")
            );
        }
    }
}

#[test]
fn certificates_name_their_serial_number_their_time_and_their_key() {
    for case in every(&["raw_sign"]) {
        if case.value["certificate_file"].is_string() {
            let facts = read_certificate(&case.file("certificate_file")).unwrap();
            assert_eq!(facts.serial, case.at("certificate_serial_upper_hex"));
            let message = case.at("message").as_bytes();
            assert!(
                facts.key.verifies(message, case.at("signature")),
                "{}",
                case.name
            );
        }
    }
    for case in every(&["certificates_response"]) {
        let facts = read_certificate(case.at("plaintext")).unwrap();
        assert!(facts.not_before_ms < facts.not_after_ms, "{}", case.name);
        let serial = case.value["embedded_serial_upper_hex"].as_str();
        let serial = serial.unwrap_or_else(|| case.at("listed_serial_no"));
        // Mocks have fewer digits, which are written with zeroes in front here.
        assert_eq!(facts.serial, format!("{serial:0>40}"), "{}", case.name);
    }
}
