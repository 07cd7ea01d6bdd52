//! WeChat Pay's public key and its id.

use super::check::{Finding, Name};
use super::facts::{Facts, NoKey, bits};
use super::merchant::{is_mchid, is_serial};
use super::pem::Block;
use super::subject::Subject;
use super::texts;

/// What the id of a public key begins with.
const PREFIX: &str = "PUB_KEY_ID_";

/// Whether a text is an id, which may then be shown.
pub(super) fn is_id(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|digits| {
        (20..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// The public key: that it is one, and WeChat Pay's rather than the merchant's own.
pub(super) fn public_key(subject: &Subject, facts: &Facts) -> Finding {
    let name = Name::PublicKey;
    match &facts.public_key {
        Ok(key) if facts.own_key.as_ref() == Ok(key) => {
            Finding::fail(name, texts::PUBLIC_KEY_IS_OWN, texts::FIX_PUBLIC_KEY)
        }
        Ok(key) => Finding::ok(name, texts::RSA_KEY.with("bits", bits(key))),
        Err(NoKey::Absent) if subject.platform_certificates => {
            Finding::skipped(name, texts::CERTIFICATES_INSTEAD, texts::SEE_ANSWER)
        }
        Err(NoKey::Absent) => Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_PUBLIC_KEY),
        Err(NoKey::Other(Block::Certificate)) => Finding::fail(
            name,
            texts::PUBLIC_KEY_IS_CERTIFICATE,
            texts::FIX_PUBLIC_KEY,
        ),
        Err(NoKey::Other(Block::PrivateKey | Block::EncryptedKey | Block::OtherKey)) => {
            Finding::fail(name, texts::PUBLIC_KEY_IS_PRIVATE, texts::FIX_PUBLIC_KEY)
        }
        Err(NoKey::Other(Block::RsaPublicKey)) => {
            Finding::fail(name, texts::PUBLIC_KEY_IS_PKCS1, texts::FIX_PKCS1)
        }
        Err(
            NoKey::Other(Block::Request | Block::Other | Block::None | Block::PublicKey)
            | NoKey::Unsound,
        ) => Finding::fail(name, texts::PUBLIC_KEY_UNREADABLE, texts::FIX_PUBLIC_KEY),
    }
}

/// The public key's id: its shape, and whose merchant number stands in it. `proven` says that an answer
/// of WeChat Pay's named this id and its signature held, which outdoes what the id looks like.
pub(super) fn public_key_id(subject: &Subject, facts: &Facts, proven: bool) -> Finding {
    let name = Name::PublicKeyId;
    let Some(id) = &subject.public_key_id else {
        return if subject.platform_certificates {
            Finding::skipped(name, texts::CERTIFICATES_INSTEAD, texts::SEE_ANSWER)
        } else {
            Finding::skipped(name, texts::NOT_GIVEN, texts::GIVE_PUBLIC_KEY_ID)
        };
    };
    if is_serial(id) {
        let certificate = facts.certificate.as_ref().ok();
        let certified = certificate.map(|certificate| certificate.serial_no.as_str());
        let own = certified.or(subject.serial_no.as_deref());
        return if own.is_some_and(|own| own.eq_ignore_ascii_case(id)) {
            Finding::fail(name, texts::ID_IS_OWN_SERIAL, texts::FIX_ID)
        } else {
            Finding::ok(name, texts::ID_IS_PLATFORM_SERIAL.with("id", id))
        };
    }
    if !is_id(id) {
        return Finding::fail(name, texts::ID_SHAPE, texts::FIX_ID);
    }
    if proven {
        return Finding::ok(name, texts::ID_PROVEN.with("id", id));
    }
    let mchid = subject.mchid.as_deref().filter(|mchid| is_mchid(mchid));
    match (merchant_in(id), mchid) {
        (Some(named), Some(mchid)) if named != mchid => Finding::fail(
            name,
            texts::ID_OTHER_MERCHANT
                .with("id", id)
                .and("named", named)
                .and("mchid", mchid),
            texts::FIX_ID,
        ),
        _ => Finding::ok(name, texts::ID_SHAPED.with("id", id)),
    }
}

/// The merchant number in an id of the form that WeChat Pay gives today: `01`, ten digits of the number,
/// the day, fourteen digits. Nothing documents this form, and older ids have another, so an id that does
/// not have it says nothing.
fn merchant_in(id: &str) -> Option<&str> {
    let digits = id.strip_prefix(PREFIX)?;
    let numbered = digits.len() == 34 && digits.starts_with("01");
    let (mchid, day) = (digits.get(2..12)?, digits.get(12..20)?);
    let month = day.get(4..6)?.parse().unwrap_or(0);
    let of_month = day.get(6..8)?.parse().unwrap_or(0);
    let dated = day.starts_with("20") && (1..=12).contains(&month) && (1..=31).contains(&of_month);
    let mchid = mchid.trim_start_matches('0');
    (numbered && dated && is_mchid(mchid)).then_some(mchid)
}
