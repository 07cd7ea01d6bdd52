//! What keys and certificates say of themselves, read once for all checks.

use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use rsa::traits::PublicKeyParts as _;
use shared::domain::Timestamp;
use shared::wechatpay::MerchantKey;

use super::pem::{Block, mended};
use super::subject::Subject;

/// A serial number for looking at a key whose own is not known.
const NO_SERIAL: &str = "0000000000000000000000000000000000000000";

/// How many hexadecimal digits a certificate's serial number has.
pub(super) const SERIAL_DIGITS: usize = 40;

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// It was not given.
    Absent,
    /// It is another kind of thing.
    Other(Block),
    /// It is of the right kind and cannot be read, or is too short.
    Unsound,
}

/// What a certificate says.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// Its serial number: 40 upper-case hexadecimal digits, leading zeros kept.
    pub(super) serial_no: String,
    /// Whom it names: a merchant's number, or `Tenpay.com sign` for a platform certificate.
    pub(super) common_name: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) key: rsa::PublicKey,
}

/// What is known of the keys.
pub(super) struct Facts {
    /// The public half of the merchant's key.
    pub(super) own_key: Result<rsa::PublicKey, NoKey>,
    pub(super) certificate: Result<Certificate, NoKey>,
    /// WeChat Pay's key.
    pub(super) public_key: Result<rsa::PublicKey, NoKey>,
}

impl Facts {
    pub(super) fn of(subject: &Subject) -> Self {
        Self {
            own_key: own_key(subject.private_key.as_deref()),
            certificate: certificate(subject.certificate.as_deref()),
            public_key: public_key(subject.public_key.as_deref()),
        }
    }

    /// The serial number to sign with: the one that is written down, else the certificate's.
    pub(super) fn serial_no<'s>(&'s self, subject: &'s Subject) -> Option<&'s str> {
        let certified = self.certificate.as_ref().ok();
        let certified = certified.map(|certificate| certificate.serial_no.as_str());
        subject.serial_no.as_deref().or(certified)
    }
}

/// How many bits a key has.
pub(super) fn bits(key: &rsa::PublicKey) -> usize {
    key.size() * 8
}

fn own_key(text: Option<&str>) -> Result<rsa::PublicKey, NoKey> {
    let text = mended(text.ok_or(NoKey::Absent)?);
    match Block::of(&text) {
        Block::PrivateKey => {}
        other @ (Block::EncryptedKey
        | Block::OtherKey
        | Block::Certificate
        | Block::Request
        | Block::PublicKey
        | Block::RsaPublicKey
        | Block::Other
        | Block::None) => return Err(NoKey::Other(other)),
    }
    // The judgement is the functions' own; the second reading gives the public half.
    MerchantKey::parse(NO_SERIAL, &text).map_err(|_| NoKey::Unsound)?;
    let text = text.trim();
    let read = rsa::PrivateKey::from_pkcs8_pem(text).ok();
    let read = read.or_else(|| rsa::PrivateKey::from_pkcs1_pem(text).ok());
    read.map(|key| key.to_public_key()).ok_or(NoKey::Unsound)
}

fn certificate(text: Option<&str>) -> Result<Certificate, NoKey> {
    let text = mended(text.ok_or(NoKey::Absent)?);
    match Block::of(&text) {
        Block::Certificate => {}
        other @ (Block::PrivateKey
        | Block::EncryptedKey
        | Block::OtherKey
        | Block::Request
        | Block::PublicKey
        | Block::RsaPublicKey
        | Block::Other
        | Block::None) => return Err(NoKey::Other(other)),
    }
    read_certificate(&text).ok_or(NoKey::Unsound)
}

fn read_certificate(text: &str) -> Option<Certificate> {
    let (_, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).ok()?;
    let read = block.parse_x509().ok()?;
    let key = rsa::PublicKey::from_public_key_der(read.public_key().raw).ok()?;
    let common_name = read.subject().iter_common_name().next();
    let common_name = common_name.and_then(|name| name.as_str().ok());
    // DER puts a zero byte before a number whose first bit is set; it is no part of the serial.
    let serial = read.raw_serial().iter().skip_while(|byte| **byte == 0);
    let serial: String = serial.map(|byte| format!("{byte:02X}")).collect();
    let validity = read.validity();
    Some(Certificate {
        serial_no: format!("{serial:0>SERIAL_DIGITS$}"),
        common_name: common_name.unwrap_or_default().to_owned(),
        not_before: Timestamp::from_unix_seconds(validity.not_before.timestamp()),
        not_after: Timestamp::from_unix_seconds(validity.not_after.timestamp()),
        key,
    })
}

fn public_key(text: Option<&str>) -> Result<rsa::PublicKey, NoKey> {
    let text = mended(text.ok_or(NoKey::Absent)?);
    match Block::of(&text) {
        Block::PublicKey => {}
        other @ (Block::PrivateKey
        | Block::EncryptedKey
        | Block::OtherKey
        | Block::Certificate
        | Block::Request
        | Block::RsaPublicKey
        | Block::Other
        | Block::None) => return Err(NoKey::Other(other)),
    }
    let read = rsa::PublicKey::from_public_key_pem(text.trim()).ok();
    let read = read.filter(|key| bits(key) >= 2048);
    read.ok_or(NoKey::Unsound)
}
