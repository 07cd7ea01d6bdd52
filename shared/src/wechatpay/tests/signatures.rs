//! Signatures made and signatures checked, against published ones.

use std::cell::Cell;

use rsa::pkcs8::DecodePrivateKey;
use serde_json::Value;
use sha2::Sha256;

use super::{
    MERCHANT_SERIAL, PLATFORM_SERIAL, at, find, headers, merchant, platform_keys, seconds,
    signed_headers, text, vector,
};
use crate::domain::{Appid, Mchid, Timestamp};
use crate::wechatpay::sign::{app_parameters, authorization, jsapi_parameters, request_message};
use crate::wechatpay::verify::WINDOW_SECONDS;
use crate::wechatpay::{MerchantKey, PlatformKeys, SignatureHeaders, VerifyError, verify};

const REQUESTS: [&str; 6] = [
    "get_query_percent_encoded",
    "get_refund_path",
    "post_image_upload_meta",
    "post_jsapi_body",
    "post_jsapi_body_mchid_1230000109",
    "post_native_32char_nonce",
];

const NOW: i64 = 1_722_850_421;

#[test]
fn published_requests_are_signed_byte_for_byte() {
    for name in REQUESTS {
        let case = vector(&format!("request_sign/{name}.json"));
        let key = MerchantKey::parse(at(&case, "serial_no"), &text(at(&case, "private_key_file")))
            .unwrap();
        let (method, target) = (at(&case, "method"), at(&case, "request_target"));
        let (moment, nonce) = (seconds(at(&case, "timestamp")), at(&case, "nonce_str"));
        let body = at(&case, "body").as_bytes();
        let message = request_message(method, target, moment, nonce, body);
        assert_eq!(message, at(&case, "message").as_bytes(), "{name}");
        assert_eq!(key.sign(&message), at(&case, "signature"), "{name}");
        let header = authorization(
            &key,
            &Mchid::parse(at(&case, "mchid")).unwrap(),
            method,
            target,
            moment,
            nonce,
            body,
        );
        assert_eq!(header, at(&case, "authorization"), "{name}");
    }
}

#[test]
fn published_messages_are_signed_byte_for_byte() {
    for name in ["raw_message_message", "raw_message_source"] {
        let case = vector(&format!("request_sign/{name}.json"));
        let key =
            MerchantKey::parse(MERCHANT_SERIAL, &text(at(&case, "private_key_file"))).unwrap();
        assert_eq!(
            key.sign(at(&case, "message").as_bytes()),
            at(&case, "signature"),
            "{name}"
        );
    }
}

#[test]
fn published_pay_parameters_are_signed_byte_for_byte() {
    let case = vector("paysign/jsapi_miniprogram.json");
    let (prepay_id, nonce) = (at(&case, "prepay_id"), at(&case, "nonce_str"));
    let moment = seconds(at(&case, "time_stamp"));
    let signed = jsapi_parameters(&merchant(), &appid(&case), prepay_id, moment, nonce);
    assert_eq!(signed.pay_sign, at(&case, "signature"));
    assert_eq!(signed.package, at(&case, "line4"));
    assert_eq!(signed.sign_type, at(&case, "sign_type"));
    assert_eq!(signed.time_stamp, at(&case, "time_stamp"));
    assert_eq!(signed.nonce_str, nonce);

    let case = vector("paysign/app.json");
    let signed = app_parameters(
        &merchant(),
        &appid(&case),
        &Mchid::parse("1900007291").unwrap(),
        prepay_id,
        moment,
        nonce,
    );
    assert_eq!(signed.sign, at(&case, "signature"));
    assert_eq!(signed.package_value, "Sign=WXPay");
    assert_eq!(
        (signed.partner_id.as_str(), signed.prepay_id.as_str()),
        ("1900007291", prepay_id)
    );
}

#[test]
fn another_library_makes_and_accepts_the_same_signatures() {
    let pem = text("keys/doc_merchant_1900007291_private_pkcs8.pem");
    let other = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let key = merchant();
    for length in [0, 1, 55, 56, 63, 64, 65, 1000, 65_536] {
        let message: Vec<u8> = (0..length)
            .map(|index| u8::try_from(index % 251).unwrap())
            .collect();
        let theirs = other.pkcs1v15_sign::<Sha256>(&message).unwrap();
        assert_eq!(key.sign(&message), base64(&theirs), "{length} bytes");
    }
}

#[test]
fn a_genuine_answer_verifies_and_its_published_forgeries_do_not() {
    let keys = doc_keys();
    let case = vector("response_verify/native_code_url.json");
    let checked = |message: &str, signature: &str| {
        let (timestamp, rest) = message.split_once('\n').unwrap();
        let (nonce, body) = rest.split_once('\n').unwrap();
        // The last line feed is the layout's; a message without it becomes a shorter body.
        let body = body.strip_suffix('\n').unwrap_or(&body[..body.len() - 1]);
        let headers = headers(&[
            ("wechatpay-timestamp", timestamp),
            ("wechatpay-nonce", nonce),
            ("wechatpay-serial", DOC_ID),
            ("wechatpay-signature", signature),
        ]);
        verify(&keys, &headers, body.as_bytes(), at_now()).map(|verified| {
            verified
                .read(|body| Ok::<_, ()>(body.to_vec()))
                .unwrap()
                .into_inner()
        })
    };
    let body = checked(at(&case, "message"), at(&case, "wechatpay_signature")).unwrap();
    assert_eq!(body, at(&case, "body").as_bytes());
    let forged = vector("response_verify/native_code_url_negative.json");
    for case in forged["cases"].as_array().unwrap() {
        let outcome = checked(at(case, "message"), at(case, "signature"));
        assert_eq!(
            outcome,
            Err(VerifyError::BadSignature),
            "{}",
            at(case, "name")
        );
    }
}

#[test]
fn derived_answers_verify_in_both_key_modes_with_and_without_a_body() {
    let case = vector("derived/response_signatures.json");
    let pem = text(at(&case, "public_key_file"));
    let id = "PUB_KEY_ID_0119000072912025010100000000000001";
    let keys = PlatformKeys::parse(&[(id, &pem), (PLATFORM_SERIAL, &pem)]).unwrap();
    for case in case["cases"].as_array().unwrap() {
        let headers = SignatureHeaders::parse(|name| member(&case["headers"], name)).unwrap();
        let body = at(case, "body").as_bytes();
        assert!(
            verify(&keys, &headers, body, at_now()).is_ok(),
            "{}",
            at(case, "name")
        );
        assert!(
            verify(&keys, &headers, b"{}", at_now()).is_err(),
            "{}",
            at(case, "name")
        );
    }
}

#[test]
fn published_notices_verify() {
    for name in ["transaction_success", "refund_success"] {
        let case = vector(&format!("notify/{name}.json"));
        let pem = text(at(&case, "public_key_file"));
        let serial = at(&case["headers"], "Wechatpay-Serial");
        let keys = PlatformKeys::parse(&[(serial, &pem)]).unwrap();
        let headers = SignatureHeaders::parse(|header| member(&case["headers"], header)).unwrap();
        let now = seconds(at(&case["headers"], "Wechatpay-Timestamp"));
        assert!(
            verify(&keys, &headers, at(&case, "body").as_bytes(), now).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn the_sdks_notice_verifies_with_its_certificates_key() {
    let case = vector("notify/go_sdk_payscore_open_service.json");
    let (serial, pem) = super::keys::certificate(&text(at(&case, "certificate_file")));
    assert_eq!(serial, at(&case["headers"], "Wechatpay-Serial"));
    // Their certificate has a serial number of 16 digits, as no platform certificate has. It is not
    // signed, so another may stand in its place.
    assert!(PlatformKeys::parse(&[(&serial, &pem)]).is_err());
    let keys = PlatformKeys::parse(&[(PLATFORM_SERIAL, &pem)]).unwrap();
    let headers = SignatureHeaders::parse(|header| match header {
        "wechatpay-serial" => Some(PLATFORM_SERIAL),
        _ => member(&case["headers"], header),
    });
    let now = seconds(at(&case["headers"], "Wechatpay-Timestamp"));
    let body = at(&case, "body").as_bytes();
    assert!(verify(&keys, &headers.unwrap(), body, now).is_ok());
}

#[test]
fn every_flipped_byte_of_the_body_breaks_the_signature() {
    let body = br#"{"id":"b62e271c","resource":{"nonce":"fG1l57vn9BCX"}}"#;
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
    for (distance, fresh) in [
        (0, true),
        (WINDOW_SECONDS - 1, true),
        (WINDOW_SECONDS, false),
        (WINDOW_SECONDS + 1, false),
        (1 - WINDOW_SECONDS, true),
        (-WINDOW_SECONDS, false),
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
    let java = text("keys/java_wechat_pay_public_key.pem");
    let other = text("keys/doc_wechatpay_platform_public_spki.pem");
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
    let both = PlatformKeys::parse(&[(id, &other), (PLATFORM_SERIAL, &java)]).unwrap();
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
    let other =
        rsa::PrivateKey::from_pkcs8_pem(&text("keys/java_wechat_pay_private_key.pem")).unwrap();
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

const DOC_ID: &str = "PUB_KEY_ID_0000000000000024101100397200000006";

fn appid(case: &Value) -> Appid {
    Appid::parse(at(case, "app_id")).unwrap()
}

fn doc_keys() -> PlatformKeys {
    let pem = text("keys/doc_wechatpay_platform_public_spki.pem");
    PlatformKeys::parse(&[(DOC_ID, &pem)]).unwrap()
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
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
