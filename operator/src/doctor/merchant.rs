//! The merchant's own: number, private key, certificate, serial number, and whether they belong
//! together.

use shared::domain::Timestamp;

use super::check::{Finding, Name};
use super::facts::{Certificate, Facts, NoKey, SERIAL_DIGITS, bits};
use super::pem::{Blemish, Block};
use super::subject::Subject;
use super::text::{Said, Text};
use super::texts;

/// From how many days before its end a certificate's term is worth a word.
const NEAR_ITS_END_DAYS: i64 = 60;

/// What WeChat Pay's platform certificates call themselves.
const PLATFORM_NAME: &str = "Tenpay.com sign";

/// Whether a text can be a merchant number, which may then be shown.
pub(super) fn is_mchid(text: &str) -> bool {
    (8..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text is a serial number, which may then be shown.
pub(super) fn is_serial(text: &str) -> bool {
    text.len() == SERIAL_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The merchant number: its shape, and that the certificate is of this merchant.
pub(super) fn mchid(subject: &Subject, facts: &Facts) -> Finding {
    let name = Name::Mchid;
    let Some(mchid) = &subject.mchid else {
        return Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_MCHID);
    };
    if mchid.starts_with("wx") {
        return Finding::fail(name, texts::MCHID_IS_APPID, texts::FIX_MCHID);
    }
    if !is_mchid(mchid) {
        return Finding::fail(name, texts::MCHID_SHAPE, texts::FIX_MCHID);
    }
    let certificate = facts.certificate.as_ref().ok();
    let certified = certificate.map(|certificate| certificate.common_name.as_str());
    match certified.filter(|name| is_mchid(name)) {
        Some(other) if other != mchid => Finding::fail(
            name,
            texts::MCHID_OTHER
                .with("mchid", mchid)
                .and("certified", other),
            texts::FIX_MCHID_OTHER,
        ),
        Some(_) => Finding::ok(name, texts::MCHID_CERTIFIED.with("mchid", mchid)),
        None => Finding::ok(name, texts::MCHID_SHAPED.with("mchid", mchid)),
    }
}

/// The private key: that it is one.
pub(super) fn private_key(facts: &Facts) -> Finding {
    let name = Name::PrivateKey;
    match &facts.own_key {
        Ok(key) => Finding::ok(name, texts::RSA_KEY.with("bits", bits(key))),
        Err(NoKey::Absent) => Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_PRIVATE_KEY),
        Err(NoKey::Other(Block::Certificate)) => {
            Finding::fail(name, texts::KEY_IS_CERTIFICATE, texts::FIX_PRIVATE_KEY)
        }
        Err(NoKey::Other(Block::PublicKey | Block::RsaPublicKey)) => {
            Finding::fail(name, texts::KEY_IS_PUBLIC, texts::FIX_PRIVATE_KEY)
        }
        Err(NoKey::Other(Block::Request)) => {
            Finding::fail(name, texts::KEY_IS_REQUEST, texts::FIX_PRIVATE_KEY)
        }
        Err(NoKey::Other(Block::EncryptedKey)) => {
            Finding::fail(name, texts::KEY_IS_ENCRYPTED, texts::FIX_ENCRYPTED)
        }
        Err(NoKey::Other(Block::OtherKey | Block::Other)) => {
            Finding::fail(name, texts::KEY_IS_NOT_RSA, texts::FIX_PRIVATE_KEY)
        }
        Err(NoKey::Other(Block::None | Block::PrivateKey)) => {
            Finding::fail(name, texts::KEY_IS_NOT_PEM, texts::FIX_PRIVATE_KEY)
        }
        Err(NoKey::Unsound) => Finding::fail(name, texts::KEY_UNSOUND, texts::FIX_PRIVATE_KEY),
    }
}

/// The certificate: that it is the merchant's, and valid now.
pub(super) fn certificate(facts: &Facts, now: Timestamp) -> Finding {
    let name = Name::Certificate;
    let certificate = match &facts.certificate {
        Ok(certificate) => certificate,
        Err(NoKey::Absent) => {
            return Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_CERTIFICATE);
        }
        Err(NoKey::Other(Block::PrivateKey | Block::EncryptedKey | Block::OtherKey)) => {
            return Finding::fail(name, texts::CERTIFICATE_IS_KEY, texts::FIX_CERTIFICATE);
        }
        Err(NoKey::Other(Block::Request)) => {
            return Finding::fail(name, texts::CERTIFICATE_IS_REQUEST, texts::FIX_CERTIFICATE);
        }
        Err(NoKey::Other(Block::PublicKey | Block::RsaPublicKey)) => {
            return Finding::fail(name, texts::CERTIFICATE_IS_PUBLIC, texts::FIX_CERTIFICATE);
        }
        Err(NoKey::Other(Block::Other | Block::None | Block::Certificate) | NoKey::Unsound) => {
            return Finding::fail(name, texts::CERTIFICATE_UNREADABLE, texts::FIX_CERTIFICATE);
        }
    };
    if certificate.common_name == PLATFORM_NAME {
        return Finding::fail(
            name,
            texts::CERTIFICATE_IS_PLATFORMS,
            texts::FIX_CERTIFICATE,
        );
    }
    term(certificate, now)
}

fn term(certificate: &Certificate, now: Timestamp) -> Finding {
    let name = Name::Certificate;
    let days = certificate.not_after.seconds_since(now).div_euclid(86_400);
    if now < certificate.not_before {
        return Finding::fail(name, texts::CERTIFICATE_NOT_YET, texts::FIX_CLOCK);
    }
    if now > certificate.not_after {
        let expired = texts::CERTIFICATE_EXPIRED.with("days", -days);
        return Finding::fail(name, expired, texts::FIX_CERTIFICATE_EXPIRED);
    }
    let valid = texts::CERTIFICATE_VALID.with("days", days);
    let finding = Finding::ok(name, valid.and("serial", &certificate.serial_no));
    if days < NEAR_ITS_END_DAYS {
        finding.noting(texts::CERTIFICATE_ENDS_SOON)
    } else {
        finding
    }
}

/// The private key and the certificate: that they are a pair.
pub(super) fn key_pair(facts: &Facts) -> Finding {
    let name = Name::KeyPair;
    match (&facts.own_key, &facts.certificate) {
        (Ok(key), Ok(certificate)) if *key == certificate.key => {
            Finding::ok(name, texts::PAIR_FITS)
        }
        (Ok(_), Ok(_)) => Finding::fail(name, texts::PAIR_DIFFERS, texts::FIX_PAIR),
        (Err(_), _) => Finding::skipped(name, texts::NO_USABLE_KEY, texts::SEE_PRIVATE_KEY),
        (_, Err(_)) => {
            Finding::skipped(name, texts::NO_USABLE_CERTIFICATE, texts::GIVE_CERTIFICATE)
        }
    }
}

/// The serial number that is written down: its shape, and that it is the certificate's.
pub(super) fn serial_no(subject: &Subject, facts: &Facts) -> Finding {
    let name = Name::SerialNo;
    let certificate = facts.certificate.as_ref().ok();
    let Some(serial_no) = &subject.serial_no else {
        return match certificate {
            Some(certificate) => Finding::ok(
                name,
                texts::SERIAL_FROM_CERTIFICATE.with("serial", &certificate.serial_no),
            ),
            None => Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_CERTIFICATE),
        };
    };
    let fix: Said = match certificate {
        Some(certificate) => texts::FIX_SERIAL.with("serial", &certificate.serial_no),
        None => texts::FIX_SERIAL_UNKNOWN.said(),
    };
    if serial_no.starts_with("PUB_KEY_ID_") {
        return Finding::fail(name, texts::SERIAL_IS_PUBLIC_KEY_ID, fix);
    }
    if !is_serial(serial_no) {
        let length = serial_no.chars().count();
        return Finding::fail(name, texts::SERIAL_SHAPE.with("length", length), fix);
    }
    match certificate {
        Some(certificate) if certificate.serial_no.eq_ignore_ascii_case(serial_no) => {
            Finding::ok(name, texts::SERIAL_FITS.with("serial", serial_no))
        }
        Some(certificate) => Finding::fail(
            name,
            texts::SERIAL_OTHER
                .with("serial", serial_no)
                .and("certified", &certificate.serial_no),
            fix,
        ),
        None => Finding::skipped(
            name,
            texts::SERIAL_SHAPED.with("serial", serial_no),
            texts::SEE_SIGNATURE,
        ),
    }
}

/// What is around the PEM blocks and in the short texts: byte order marks, line ends, and the like.
pub(super) fn files(subject: &Subject) -> Finding {
    let name = Name::Files;
    let pem = [
        ("apiclient_key.pem", &subject.private_key),
        ("apiclient_cert.pem", &subject.certificate),
        ("pub_key.pem", &subject.public_key),
    ];
    let mut evidence = Vec::new();
    let mut looked_at = 0;
    for (file, text) in pem {
        let Some(text) = text else { continue };
        looked_at += 1;
        for blemish in Blemish::of_pem(text) {
            evidence.push(told(blemish).with("file", file));
        }
    }
    let fix = if evidence.is_empty() || !has_carriage_returns_only(subject) {
        texts::FIX_FILES
    } else {
        texts::FIX_CARRIAGE_RETURNS
    };
    if looked_at == 0 {
        return Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_FILES);
    }
    Finding::failures(name, evidence, fix)
        .unwrap_or_else(|| Finding::ok(name, texts::FILES_CLEAN.with("count", looked_at)))
}

fn has_carriage_returns_only(subject: &Subject) -> bool {
    let texts = [
        &subject.private_key,
        &subject.certificate,
        &subject.public_key,
    ];
    let blemishes = texts.into_iter().flatten();
    let mut blemishes = blemishes.flat_map(|text| Blemish::of_pem(text));
    blemishes.all(|blemish| blemish == Blemish::CarriageReturns)
}

const fn told(blemish: Blemish) -> Text {
    match blemish {
        Blemish::ByteOrderMark => texts::FILE_HAS_BOM,
        Blemish::NotUtf8 => texts::FILE_IS_NOT_UTF8,
        Blemish::CarriageReturns => texts::FILE_HAS_CRLF,
        Blemish::EscapedLineFeeds => texts::FILE_HAS_ESCAPES,
        Blemish::OneLine => texts::FILE_IS_ONE_LINE,
    }
}
