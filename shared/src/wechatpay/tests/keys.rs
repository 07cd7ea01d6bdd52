//! Keys that are accepted and keys that are not; sealed resources and sensitive fields.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::der::asn1::Uint;
use rsa::pkcs1::der::{Decode, Encode};
use rsa::pkcs1::{EncodeRsaPrivateKey, RsaPrivateKeyOwned};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use serde_json::json;
use sha1::Sha1;
use sha2::Sha256;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::vectors::every;
use super::{APIV3_KEY, MERCHANT_SERIAL, PLATFORM_SERIAL, at, merchant, text};
use crate::domain::Timestamp;
use crate::wechatpay::seal::{KeySlot, OpenError, SealedResource, open};
use crate::wechatpay::{
    Apiv3Keys, CertificatesError, KeyError, KeyId, MerchantKey, PlatformCertificates, PlatformKeys,
};

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
    let pem = text("keys/merchant_private.pem");
    let other = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let pkcs1 = other.to_pkcs1_pem(rsa::pkcs8::LineEnding::LF).unwrap();
    assert!(pkcs1.contains("BEGIN RSA PRIVATE KEY"));
    let key = MerchantKey::parse(&MERCHANT_SERIAL.to_ascii_lowercase(), &pkcs1).unwrap();
    assert_eq!(key.sign(b"message"), merchant().sign(b"message"));
    assert_eq!(key.serial_no(), MERCHANT_SERIAL);
}

#[test]
fn a_private_key_that_cannot_serve_is_refused_without_showing_it() {
    let pem = text("keys/merchant_private.pem");
    let certificate = text("keys/merchant_certificate.pem");
    let public = text("keys/merchant_public.pem");
    for broken in ["", "secret", &certificate, &public, &pem[..900]] {
        assert_eq!(
            MerchantKey::parse(MERCHANT_SERIAL, broken).unwrap_err(),
            KeyError::NotPrivatePem
        );
    }
    assert!(matches!(
        MerchantKey::parse(MERCHANT_SERIAL, &text("keys/weak_private.pem")),
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

/// The key of these parts, read as a merchant's.
fn read(parts: &RsaPrivateKeyOwned) -> Result<MerchantKey, KeyError> {
    let encoded = STANDARD.encode(parts.to_der().unwrap());
    let begin_end = |word| format!("-----{word} RSA PRIVATE KEY-----\n");
    let pem = format!("{}{encoded}\n{}", begin_end("BEGIN"), begin_end("END"));
    MerchantKey::parse(MERCHANT_SERIAL, &pem)
}

#[test]
fn a_private_key_with_a_part_that_does_not_fit_is_refused() {
    type Part = fn(&mut RsaPrivateKeyOwned) -> &mut Uint;
    let each: [(&str, Part); 8] = [
        ("n", |key| &mut key.modulus),
        ("e", |key| &mut key.public_exponent),
        ("d", |key| &mut key.private_exponent),
        ("p", |key| &mut key.prime1),
        ("q", |key| &mut key.prime2),
        ("d mod p - 1", |key| &mut key.exponent1),
        ("d mod q - 1", |key| &mut key.exponent2),
        ("q's inverse", |key| &mut key.coefficient),
    ];
    let pem = text("keys/merchant_private.pem");
    let sound = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
    let sound = sound.to_pkcs1_der().unwrap();
    let sound = || RsaPrivateKeyOwned::from_der(sound.as_bytes()).unwrap();
    let message = b"message";
    assert_eq!(
        read(&sound()).unwrap().sign(message),
        merchant().sign(message)
    );
    for (name, part) in each {
        let good = part(&mut sound()).as_bytes().to_vec();
        let flipped = |at: usize, bit: u8| {
            let mut bytes = good.clone();
            bytes[at] ^= bit;
            bytes
        };
        // Its evenness and its length stay: what is refused is that it does not fit the others.
        let (last, middle) = (flipped(good.len() - 1, 2), flipped(good.len() / 2, 1));
        for wrong in [last, middle, vec![0], vec![1]] {
            let mut broken = sound();
            *part(&mut broken) = Uint::new(&wrong).unwrap();
            assert!(
                matches!(read(&broken), Err(KeyError::Unsound(_))),
                "{name} {wrong:?}"
            );
        }
    }
    // The primes are another way round, and the coefficient is not.
    let mut exchanged = sound();
    std::mem::swap(&mut exchanged.prime1, &mut exchanged.prime2);
    std::mem::swap(&mut exchanged.exponent1, &mut exchanged.exponent2);
    assert!(matches!(read(&exchanged), Err(KeyError::Unsound(_))));
    // Nothing but n and d, with which nothing could be checked.
    let mut stripped = sound();
    for (name, part) in each {
        if !["n", "d"].contains(&name) {
            *part(&mut stripped) = Uint::new(&[0]).unwrap();
        }
    }
    assert!(matches!(read(&stripped), Err(KeyError::Unsound(_))));
}

fn key_id(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

#[test]
fn a_platform_key_that_cannot_serve_is_refused_by_name() {
    let pem = text("keys/platform_public.pem");
    assert_eq!(PlatformKeys::parse(&[]).unwrap_err(), KeyError::None);
    let (weak, ec) = (text("keys/weak_public.pem"), text("keys/ec_public.pem"));
    let private = text("keys/platform_private.pem");
    for broken in ["", "secret", &weak, &ec, &private] {
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
    let again =
        PlatformKeys::parse(&[("PUB_KEY_ID_01", &pem), (PLATFORM_SERIAL, &pem)]).unwrap_err();
    assert_eq!(again, KeyError::PublicKeyAgain(key_id(PLATFORM_SERIAL)));
    let other = text("keys/merchant_public.pem");
    let two = PlatformKeys::parse(&[("PUB_KEY_ID_01", &other), (PLATFORM_SERIAL, &pem)]).unwrap();
    assert_eq!(two.newest_id(), "PUB_KEY_ID_01");
}

#[test]
fn no_key_is_ever_printed() {
    let shown = format!(
        "{:?} {:?} {:?}",
        merchant(),
        super::platform_keys(),
        Apiv3Keys::parse(&[APIV3_KEY]).unwrap(),
    );
    assert!(!shown.contains("of-our-own"), "{shown}");
    assert!(shown.len() < 200, "{shown}");
    assert_eq!(
        Apiv3Keys::parse(&["short"]).unwrap_err(),
        KeyError::Apiv3Length(5)
    );
    assert_eq!(Apiv3Keys::parse(&[]).unwrap_err(), KeyError::None);
}

fn resource(case: &serde_json::Value) -> SealedResource {
    SealedResource {
        algorithm: case["algorithm"]
            .as_str()
            .unwrap_or("AEAD_AES_256_GCM")
            .to_owned(),
        ciphertext: at(case, "ciphertext").to_owned(),
        nonce: at(case, "nonce").to_owned(),
        associated_data: Some(at(case, "associated_data").to_owned()),
    }
}

#[test]
fn sealed_texts_open() {
    for case in every(&["aes_gcm"]) {
        for sealed in case.cases() {
            let name = format!("{} {}", case.name, at(sealed, "name"));
            match Apiv3Keys::parse(&[at(sealed, "key")]) {
                Ok(keys) => {
                    let (text, slot) = open(&keys, &resource(sealed)).unwrap();
                    assert_eq!(text, at(sealed, "plaintext").as_bytes(), "{name}");
                    assert_eq!(slot, KeySlot::Current);
                }
                // One SDK tests itself with a 16-byte key, which no merchant has.
                Err(error) => assert_eq!(error, KeyError::Apiv3Length(16), "{name}"),
            }
        }
    }
}

#[test]
fn what_is_sealed_in_any_other_way_does_not_open() {
    for case in every(&["aes_gcm_refused"]) {
        for sealed in case.cases() {
            let key = at(sealed, "key");
            let outcome = Apiv3Keys::parse(&[key])
                .map(|keys| open(&keys, &resource(sealed)).map(|_| "opened"));
            let expected = match at(sealed, "why") {
                "key length" => Err(KeyError::Apiv3Length(key.len())),
                "nonce length" | "associated data length" | "text length" | "base64" => {
                    Ok(Err(OpenError::Shape))
                }
                "algorithm" => Ok(Err(OpenError::Algorithm)),
                "tag" => Ok(Err(OpenError::NoKey)),
                other => panic!("{other}"),
            };
            assert_eq!(outcome, expected, "{} {}", case.name, at(sealed, "name"));
        }
    }
}

#[test]
fn certificates_open_and_name_their_key() {
    for case in every(&["certificates_response"]) {
        let Ok(keys) = Apiv3Keys::parse(&[case.at("api_v3_key")]) else {
            assert_eq!(case.at("api_v3_key").len(), 16, "{}", case.name);
            continue;
        };
        let body: serde_json::Value = serde_json::from_str(case.at("body")).unwrap();
        let listed = &body["data"][0];
        let sealed: SealedResource =
            serde_json::from_value(listed["encrypt_certificate"].clone()).unwrap();
        let (pem, _) = open(&keys, &sealed).unwrap();
        let pem = String::from_utf8(pem).unwrap();
        assert_eq!(pem, case.at("plaintext"), "{}", case.name);
        let (serial, public_key) = certificate(&pem);
        // One published certificate is a mock with another serial number than listed, of fewer
        // digits than WeChat Pay's have.
        let inside = case.value["embedded_serial_upper_hex"].as_str();
        let inside = inside.unwrap_or_else(|| at(listed, "serial_no"));
        assert_eq!(serial, inside, "{}", case.name);
        let parsed = PlatformKeys::parse(&[(at(listed, "serial_no"), &public_key)]);
        assert!(parsed.is_ok(), "{}", case.name);
    }
}

#[test]
fn platform_certificates_are_keys_for_as_long_as_they_are_valid() {
    let answers = every(&["certificates_response"]);
    let ours = |name: &str| {
        answers
            .iter()
            .find(|case| case.name.contains(name))
            .unwrap()
    };
    let (current, former) = (ours("current_certificates"), ours("former_certificates"));
    let keys = Apiv3Keys::parse(&[APIV3_KEY]).unwrap();
    let opened = PlatformCertificates::open(current.at("body").as_bytes(), &keys).unwrap();
    assert_eq!(opened.slot(), KeySlot::Current);
    let (from, to) = term(current.at("plaintext"));
    let moment = Timestamp::from_unix_seconds;
    let listed = current.at("listed_serial_no");
    for (now, valid) in [(from - 1, false), (from, true), (to, true), (to + 1, false)] {
        let ring = opened.added_to(PlatformKeys::none(), moment(now));
        assert_eq!(ring.is_none(), !valid, "{now}");
        assert_eq!(opened.valid_until(moment(now)), valid.then_some(moment(to)));
        let id = KeyId::parse(&listed.to_ascii_lowercase()).unwrap();
        assert_eq!(ring.verifying(&id).is_some(), valid);
    }
    // A public key stands before them, and the newest of them before the others.
    let both = format!(
        "{{\"data\":[{},{}]}}",
        data(former.at("body")),
        data(current.at("body"))
    );
    let opened = PlatformCertificates::open(both.as_bytes(), &keys).unwrap();
    let now = moment(from.max(term(former.at("plaintext")).0));
    let serials: Vec<String> = opened.added_to(PlatformKeys::none(), now).ids();
    assert_eq!(serials, [listed, former.at("listed_serial_no")]);
    let public = PlatformKeys::parse(&[("PUB_KEY_ID_01", &text("keys/platform_public.pem"))]);
    let ring = opened.added_to(public.unwrap(), now);
    assert_eq!(ring.newest_id(), "PUB_KEY_ID_01");
    assert_eq!(ring.ids().len(), 3);
    // The key that opens them may be another than the current one.
    let keys = Apiv3Keys::parse(&["another-apiv3-key-of-32-bytes-00", APIV3_KEY]).unwrap();
    let opened = PlatformCertificates::open(both.as_bytes(), &keys).unwrap();
    assert_eq!(opened.slot(), KeySlot::Other);
}

/// When a certificate is valid: from and to, in seconds.
fn term(pem: &str) -> (i64, i64) {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let validity = certificate.validity();
    (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    )
}

/// What an answer lists, without the brackets.
fn data(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["data"][0].to_string()
}

#[test]
fn certificates_of_which_one_cannot_be_used_are_not_used() {
    let answers = every(&["certificates_response"]);
    let body = answers
        .iter()
        .find(|case| case.name.contains("current_certificates"))
        .unwrap();
    let body: serde_json::Value = serde_json::from_str(body.at("body")).unwrap();
    let keys = Apiv3Keys::parse(&[APIV3_KEY]).unwrap();
    let refused = |change: fn(&mut serde_json::Value)| {
        let mut body = body.clone();
        let good = body["data"][0].clone();
        body["data"].as_array_mut().unwrap().push(good);
        assert!(PlatformCertificates::open(body.to_string().as_bytes(), &keys).is_ok());
        change(&mut body["data"][1]);
        PlatformCertificates::open(body.to_string().as_bytes(), &keys).unwrap_err()
    };
    assert_eq!(
        refused(|one| one["serial_no"] = json!("0".repeat(40))),
        CertificatesError::Serial
    );
    assert_eq!(
        refused(|one| one["encrypt_certificate"]["nonce"] = json!("000000000000")),
        CertificatesError::Sealed(OpenError::NoKey)
    );
    assert_eq!(
        refused(|one| one["encrypt_certificate"]["algorithm"] = json!("AES")),
        CertificatesError::Sealed(OpenError::Algorithm)
    );
    assert_eq!(refused(|one| *one = json!({})), CertificatesError::Shape);
    for (answer, error) in [
        ("{\"data\":[]}", CertificatesError::Empty),
        ("{}", CertificatesError::Shape),
        ("", CertificatesError::Shape),
    ] {
        let opened = PlatformCertificates::open(answer.as_bytes(), &keys);
        assert_eq!(opened.unwrap_err(), error);
    }
}

#[test]
fn a_signature_verifies_with_the_key_of_its_certificate() {
    for case in every(&["raw_sign"]) {
        if case.value["certificate_file"].is_string() {
            let (serial, public_key) = certificate(&case.file("certificate_file"));
            assert_eq!(serial, case.at("certificate_serial_upper_hex"));
            let (_, pem) = x509_parser::pem::parse_x509_pem(public_key.as_bytes()).unwrap();
            let key = rsa::PublicKey::from_public_key_der(&pem.contents).unwrap();
            let signature = STANDARD.decode(case.at("signature")).unwrap();
            let outcome = key.pkcs1v15_verify::<Sha256>(case.at("message").as_bytes(), &signature);
            assert!(outcome.is_ok(), "{}", case.name);
        }
    }
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
    let key = APIV3_KEY;
    let keys = Apiv3Keys::parse(&[key]).unwrap();
    let nonce = "k3J9xQ0vLm2A";
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
        "k3J9xQ0vLm2",
        "k3J9xQ0vLm2A1",
        "k3J9xQ0vLm2A1234",
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
            ciphertext: seal(key, "k3J9xQ0vLm2A", "", b"{}"),
            nonce: "k3J9xQ0vLm2A".to_owned(),
            associated_data: None,
        };
        assert_eq!(open(&keys, &resource), Ok((b"{}".to_vec(), slot)));
    }
}

#[test]
fn sensitive_fields_are_encrypted_as_the_sdks_do() {
    // The known ciphertexts prove the padding: SHA-1 opens them, SHA-256 does not.
    for case in every(&["rsa_oaep_sha1"]) {
        for field in case.cases() {
            let name = format!("{} {}", case.name, at(field, "name"));
            let pem = case.file_of(field, "private_key_file");
            let key = rsa::PrivateKey::from_pkcs8_pem(&pem).unwrap();
            let ciphertext = STANDARD.decode(at(field, "ciphertext")).unwrap();
            let plain = key.oaep_decrypt::<Sha1>(&ciphertext).unwrap();
            assert_eq!(plain, at(field, "plaintext").as_bytes(), "{name}");
            assert!(key.oaep_decrypt::<Sha256>(&ciphertext).is_err(), "{name}");
        }
    }
    let key = rsa::PrivateKey::from_pkcs8_pem(&text("keys/platform_private.pem")).unwrap();
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
