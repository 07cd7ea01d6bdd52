//! Signatures made and signatures checked, against known answers.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use serde_json::Value;
use sha2::Sha256;

use super::vectors::{Case, every};
use super::{
    MERCHANT_SERIAL, PLATFORM_SERIAL, at, find, headers, merchant, platform_keys, seconds,
    signed_headers, text,
};
use crate::domain::{Appid, Mchid, Timestamp};
use crate::wechatpay::sign::{
    PayParameters, app_parameters, authorization, client_message, jsapi_parameters, request_message,
};
use crate::wechatpay::{MerchantKey, PlatformKeys, SignatureHeaders, VerifyError, verify};

const NOW: i64 = 1_722_850_421;

#[test]
fn requests_are_signed_byte_for_byte() {
    for case in every(&["request_sign"]) {
        let key = MerchantKey::parse(case.at("serial_no"), &case.file("private_key_file")).unwrap();
        let (method, target) = (case.at("method"), case.at("request_target"));
        let (moment, nonce) = (seconds(case.at("timestamp")), case.at("nonce_str"));
        let mchid = Mchid::parse(case.at("mchid")).unwrap();
        let body = case.at("body").as_bytes();
        let message = request_message(method, target, moment, nonce, body);
        assert_eq!(message, case.at("message").as_bytes(), "{}", case.name);
        assert_eq!(key.sign(&message), case.at("signature"), "{}", case.name);
        let header = authorization(&key, &mchid, method, target, moment, nonce, body);
        assert_eq!(header, case.at("authorization"), "{}", case.name);
    }
}

#[test]
fn messages_are_signed_byte_for_byte() {
    for case in every(&["raw_sign"]) {
        let key = MerchantKey::parse(MERCHANT_SERIAL, &case.file("private_key_file")).unwrap();
        let signature = key.sign(case.at("message").as_bytes());
        assert_eq!(signature, case.at("signature"), "{}", case.name);
    }
}

#[test]
fn pay_parameters_are_signed_byte_for_byte() {
    let mchid = Mchid::parse("1900007291").unwrap();
    for case in every(&["pay_sign"]) {
        let key = MerchantKey::parse(MERCHANT_SERIAL, &case.file("private_key_file")).unwrap();
        let (app_id, prepay_id) = (appid(&case), case.at("prepay_id"));
        let (moment, nonce) = (seconds(case.at("time_stamp")), case.at("nonce_str"));
        if case.at("line4") == prepay_id {
            let signed = app_parameters(&key, &app_id, &mchid, prepay_id, moment, nonce);
            assert_eq!(signed.sign, case.at("signature"), "{}", case.name);
            assert_eq!(signed.package_value, "Sign=WXPay");
            assert_eq!(signed.partner_id, mchid.as_str());
            assert_eq!(signed.prepay_id, prepay_id);
        } else {
            let signed = jsapi_parameters(&key, &app_id, prepay_id, moment, nonce);
            assert_eq!(signed.pay_sign, case.at("signature"), "{}", case.name);
            assert_eq!(signed.package, case.at("line4"));
            assert_eq!(signed.sign_type, case.at("sign_type"));
            assert_eq!(signed.time_stamp, case.at("time_stamp"));
            assert_eq!(signed.nonce_str, nonce);
        }
    }
}

// Whose private key is not here; what it signed shows that the message is the right one.
#[test]
fn the_documentations_signatures_are_over_the_messages_that_are_signed_here() {
    let verified = |case: &Case, message: &[u8]| {
        assert_eq!(message, case.at("message").as_bytes(), "{}", case.name);
        let key = rsa::PublicKey::from_public_key_pem(&case.file("public_key_file")).unwrap();
        let signature = STANDARD.decode(case.at("signature")).unwrap();
        let outcome = key.pkcs1v15_verify::<Sha256>(message, &signature);
        assert!(outcome.is_ok(), "{}: {outcome:?}", case.name);
    };
    for case in every(&["documented_request"]) {
        let (method, target) = (case.at("method"), case.at("request_target"));
        let (moment, nonce) = (seconds(case.at("timestamp")), case.at("nonce_str"));
        let body = case.at("body").as_bytes();
        verified(&case, &request_message(method, target, moment, nonce, body));
    }
    for case in every(&["documented_pay_sign"]) {
        let (moment, nonce) = (seconds(case.at("time_stamp")), case.at("nonce_str"));
        let (app_id, last) = (appid(&case), case.at("line4"));
        verified(&case, &client_message(&app_id, moment, nonce, last));
    }
}

#[test]
fn another_library_makes_and_accepts_the_same_signatures() {
    let other = rsa::PrivateKey::from_pkcs8_pem(&text("keys/merchant_private.pem")).unwrap();
    let key = merchant();
    for length in [0, 1, 55, 56, 63, 64, 65, 1000, 65_536] {
        let message: Vec<u8> = (0..length)
            .map(|index| u8::try_from(index % 251).unwrap())
            .collect();
        let theirs = other.pkcs1v15_sign::<Sha256>(&message).unwrap();
        assert_eq!(key.sign(&message), base64(&theirs), "{length} bytes");
    }
}

/// Verifies the three lines of an answer under the key of a file.
fn checked(case: &Case, message: &str, signature: &str) -> Result<Vec<u8>, VerifyError> {
    let (timestamp, rest) = message.split_once('\n').unwrap();
    let (nonce, body) = rest.split_once('\n').unwrap();
    // The last line feed is the layout's; a message without it becomes a shorter body.
    let body = body.strip_suffix('\n').unwrap_or(&body[..body.len() - 1]);
    let keys = PlatformKeys::parse(&[(KEY_ID, &case.file("public_key_file"))]).unwrap();
    let headers = headers(&[
        ("wechatpay-timestamp", timestamp),
        ("wechatpay-nonce", nonce),
        ("wechatpay-serial", KEY_ID),
        ("wechatpay-signature", signature),
    ]);
    verify(&keys, &headers, body.as_bytes(), seconds(timestamp)).map(|verified| {
        let body = verified.read(|body| Ok::<_, ()>(body.to_vec()));
        body.unwrap().into_inner()
    })
}

#[test]
fn a_genuine_answer_verifies() {
    for case in every(&["response_verify"]) {
        let body = checked(&case, case.at("message"), case.at("wechatpay_signature"));
        assert_eq!(body.unwrap(), case.at("body").as_bytes(), "{}", case.name);
    }
}

#[test]
fn a_forged_answer_does_not_verify() {
    for case in every(&["response_verify_negative"]) {
        for forged in case.cases() {
            let outcome = checked(&case, at(forged, "message"), at(forged, "signature"));
            let bad = Err(VerifyError::BadSignature);
            assert_eq!(outcome, bad, "{} {}", case.name, at(forged, "name"));
        }
    }
}

#[test]
fn answers_verify_in_both_key_modes_with_and_without_a_body() {
    for case in every(&["signed_answers", "response_verify_derived"]) {
        let pem = case.file("public_key_file");
        for answer in case.cases() {
            let name = format!("{} {}", case.name, at(answer, "name"));
            let member = |header: &str| member(&answer["headers"], header);
            let serial = member("wechatpay-serial").unwrap();
            let keys = PlatformKeys::parse(&[(serial, &pem)]).unwrap();
            let headers = SignatureHeaders::parse(member).unwrap();
            let now = seconds(member("wechatpay-timestamp").unwrap());
            let verified = verify(&keys, &headers, at(answer, "body").as_bytes(), now);
            assert!(verified.is_ok(), "{name}");
            assert!(verify(&keys, &headers, b"{}", now).is_err(), "{name}");
        }
    }
}

#[test]
fn notices_verify_with_the_public_key_or_the_certificates() {
    for case in every(&["notification"]) {
        let named = member(&case.value["headers"], "wechatpay-serial").unwrap();
        let pem = if case.value["public_key_file"].is_string() {
            case.file("public_key_file")
        } else {
            let (serial, pem) = super::keys::certificate(&case.file("certificate_file"));
            assert_eq!(serial, named, "{}", case.name);
            pem
        };
        // One SDK's certificate has a serial number of 16 digits, as no platform certificate has. It is
        // not signed, so another may stand in its place.
        let serial = if named.len() == 16 {
            assert!(PlatformKeys::parse(&[(named, &pem)]).is_err());
            PLATFORM_SERIAL
        } else {
            named
        };
        let keys = PlatformKeys::parse(&[(serial, &pem)]).unwrap();
        let headers = &case.value["headers"];
        let now = seconds(member(headers, "wechatpay-timestamp").unwrap());
        let headers = SignatureHeaders::parse(|header| match header {
            "wechatpay-serial" => Some(serial),
            _ => member(headers, header),
        });
        let headers = headers.unwrap();
        let verified = verify(&keys, &headers, case.at("body").as_bytes(), now);
        assert!(verified.is_ok(), "{}", case.name);
    }
}

#[test]
fn every_flipped_byte_of_the_body_breaks_the_signature() {
    let body = br#"{"id":"00000001","resource":{"nonce":"k3J9xQ0vLm2A"}}"#;
    let pairs = signed_headers(body, at_now());
    let headers = SignatureHeaders::parse(|name| named(&pairs, name)).unwrap();
    let keys = platform_keys();
    assert!(verify(&keys, &headers, body, at_now()).is_ok());
    for index in 0..body.len() {
        let mut forged = body.to_vec();
        forged[index] ^= 1;
        let outcome = verify(&keys, &headers, &forged, at_now()).map(|_| ());
        assert_eq!(outcome, Err(VerifyError::BadSignature), "byte {index}");
    }
    for forged in [
        &body[..body.len() - 1],
        &[body.as_slice(), b"\n"].concat(),
        b"",
    ] {
        assert!(verify(&keys, &headers, forged, at_now()).is_err());
    }
}

#[test]
fn the_window_ends_just_before_five_minutes_either_way() {
    let keys = platform_keys();
    // WeChat Pay's documents say five minutes, not this code.
    for (distance, fresh) in [
        (0, true),
        (299, true),
        (300, false),
        (301, false),
        (-299, true),
        (-300, false),
    ] {
        let pairs = signed_headers(b"{}", at_now());
        let headers = SignatureHeaders::parse(|name| named(&pairs, name)).unwrap();
        let outcome = verify(&keys, &headers, b"{}", at_now().plus_seconds(distance)).map(|_| ());
        let stale = Err(VerifyError::StaleTimestamp {
            seconds: distance.abs(),
        });
        assert_eq!(outcome, if fresh { Ok(()) } else { stale }, "{distance} s");
    }
}

#[test]
fn only_the_key_that_the_serial_names_is_tried() {
    let pairs = signed_headers(b"{}", at_now());
    let ours = text("keys/platform_public.pem");
    let other = text("keys/former_platform_public.pem");
    let told = |keys: &PlatformKeys, serial: &str, kind: &str| {
        let headers = SignatureHeaders::parse(|name| match name {
            "wechatpay-serial" => Some(serial),
            "wechatpay-signature-type" => Some(kind),
            _ => named(&pairs, name),
        });
        verify(keys, &headers.unwrap(), b"{}", at_now()).map(|_| ())
    };
    let rsa = "WECHATPAY2-SHA256-RSA2048";
    let id = "PUB_KEY_ID_01";
    let both = PlatformKeys::parse(&[(id, &other), (PLATFORM_SERIAL, &ours)]).unwrap();
    assert_eq!(told(&both, PLATFORM_SERIAL, rsa), Ok(()));
    // Hexadecimal is the same number in either case.
    assert_eq!(
        told(&both, &PLATFORM_SERIAL.to_ascii_lowercase(), rsa),
        Ok(())
    );
    assert_eq!(told(&both, id, rsa), Err(VerifyError::BadSignature));
    // The merchant's own serial number is nobody's here, whatever signed.
    assert_eq!(
        told(&both, MERCHANT_SERIAL, rsa),
        Err(VerifyError::UnknownSerial)
    );
    // No header selects another algorithm.
    for kind in [
        "WECHATPAY2-SM2-WITH-SM3",
        "none",
        "HMAC-SHA256",
        "wechatpay2-sha256-rsa2048",
    ] {
        assert_eq!(
            told(&both, PLATFORM_SERIAL, kind),
            Err(VerifyError::BadSignature),
            "{kind}"
        );
    }
}

#[test]
fn no_other_way_of_writing_a_signature_is_accepted() {
    let keys = platform_keys();
    let pairs = signed_headers(b"{}", at_now());
    let good = named(&pairs, "wechatpay-signature").unwrap();
    let message = format!("{NOW}\nd824f2e086d3c1df967785d13fcd22ef\n{{}}\n");
    let other = rsa::PrivateKey::from_pkcs8_pem(&text("keys/platform_private.pem")).unwrap();
    let bad = [
        good.trim_end_matches('=').to_owned(),
        format!("{good}="),
        format!("{good}===="),
        good.replace('+', "-").replace('/', "_"),
        format!("WECHATPAY/SIGNTEST/{}", &good[19..]),
        base64(&[0; 256]),
        base64(&[0xff; 256]),
        base64(&[1; 255]),
        base64(&[1; 257]),
        base64(&[1; 512]),
        base64(
            &other
                .pkcs1v15_sign::<sha2::Sha512>(message.as_bytes())
                .unwrap(),
        ),
        base64(
            &other
                .pkcs1v15_sign::<sha1::Sha1>(message.as_bytes())
                .unwrap(),
        ),
        // Signed without the last line feed, and with carriage returns.
        base64(
            &other
                .pkcs1v15_sign::<Sha256>(message.trim_end().as_bytes())
                .unwrap(),
        ),
        base64(
            &other
                .pkcs1v15_sign::<Sha256>(message.replace('\n', "\r\n").as_bytes())
                .unwrap(),
        ),
    ];
    for signature in bad {
        let headers = SignatureHeaders::parse(|name| match name {
            "wechatpay-signature" => Some(signature.as_str()),
            _ => named(&pairs, name),
        });
        let outcome = verify(&keys, &headers.unwrap(), b"{}", at_now()).map(|_| ());
        assert_eq!(outcome, Err(VerifyError::BadSignature), "{signature}");
    }
    // The oracle itself signs what is accepted, so the list above fails for the right reasons.
    assert_eq!(
        base64(&other.pkcs1v15_sign::<Sha256>(message.as_bytes()).unwrap()),
        good
    );
}

#[test]
fn a_signature_may_be_as_long_as_6144_bits_take_and_no_longer() {
    let pairs = signed_headers(b"{}", at_now());
    for (length, is_taken) in [(0, false), (1, true), (1024, true), (1025, false)] {
        let signature = "A".repeat(length);
        let headers = SignatureHeaders::parse(|name| match name {
            "wechatpay-signature" => Some(signature.as_str()),
            _ => named(&pairs, name),
        });
        assert_eq!(headers.is_ok(), is_taken, "{length}");
    }
}

#[test]
fn what_was_given_is_handed_on_as_it_is() {
    let code_url = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz".to_owned();
    let given = PayParameters::Native {
        code_url: code_url.clone(),
    };
    assert_eq!(given.given(), code_url);
}

#[test]
fn headers_that_are_not_of_their_shape_are_named() {
    let good = [
        ("wechatpay-timestamp", "1722850421"),
        ("wechatpay-nonce", "d824f2e086d3c1df967785d13fcd22ef"),
        ("wechatpay-serial", PLATFORM_SERIAL),
        ("wechatpay-signature", "QUJD"),
    ];
    assert!(SignatureHeaders::parse(|name| find(&good, name)).is_ok());
    let long = "a".repeat(129);
    let hex = "A".repeat(65);
    let id = format!("PUB_KEY_ID_{hex}");
    let cases: [(&str, &[&str]); 4] = [
        (
            "wechatpay-timestamp",
            &[
                "",
                " ",
                "0",
                "-1",
                "9223372036854775807",
                "18446744073709551616",
                "1722850421000",
                "+172285042",
                "+1722850421",
                " 1722850421",
                "1722850421 ",
                "1722850421.0",
                "1.7e9",
                "0x66b0a2f5",
                "01722850421",
                "0172285042",
                "１７２２８５０４２１",
                "1722850421,1722850421",
            ],
        ),
        (
            "wechatpay-nonce",
            &[
                "",
                " ",
                &long,
                "nönce",
                "a\nb",
                "a\r\nb",
                "a\0b",
                "a b",
                "one,two",
                "abc\n{\"id\":1}",
            ],
        ),
        (
            "wechatpay-serial",
            &[
                "",
                " ",
                "../..",
                "4400G",
                "PUB_KEY_ID_",
                "pub_key_id_01",
                "PUB_KEY_ID_0-1",
                &hex,
                &id,
                "44,44",
            ],
        ),
        (
            "wechatpay-signature",
            &["", " ", "QUJD,QUJD", "QU JD", "QUJD\n", "ＱＵＪＤ"],
        ),
    ];
    for (name, values) in cases {
        for value in values {
            let outcome = SignatureHeaders::parse(|asked| {
                if asked == name {
                    Some(*value)
                } else {
                    find(&good, asked)
                }
            });
            assert_eq!(
                outcome.err().map(|error| error.name),
                Some(name),
                "{value:?}"
            );
        }
        let missing = SignatureHeaders::parse(|asked| {
            if asked == name {
                None
            } else {
                find(&good, asked)
            }
        });
        assert_eq!(missing.err().map(|error| error.name), Some(name));
    }
    // One character is a nonce, and 128 are.
    for nonce in ["a", &long[1..]] {
        let asked = Cell::new(0);
        let outcome = SignatureHeaders::parse(|name| {
            asked.set(asked.get() + 1);
            if name == "wechatpay-nonce" {
                Some(nonce)
            } else {
                find(&good, name)
            }
        });
        assert!(outcome.is_ok() && asked.get() == 5, "{nonce}");
    }
}

const KEY_ID: &str = "PUB_KEY_ID_0119000072912026010100000000000001";

fn appid(case: &Case) -> Appid {
    Appid::parse(case.at("app_id")).unwrap()
}

fn at_now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn named<'a>(pairs: &'a [(&str, String)], name: &str) -> Option<&'a str> {
    pairs
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn member<'a>(headers: &'a Value, name: &str) -> Option<&'a str> {
    let headers = headers.as_object().unwrap();
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .and_then(|(_, value)| value.as_str())
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
