//! Keys: the merchant's own, WeChat Pay's by their serials, and those that open what is sealed.
//!
//! Signatures are AWS-LC's, which also checks that a private key's parts fit together; the `rsa` crate encrypts
//! sensitive fields (ARCHITECTURE.md, "Two libraries"). No key can be printed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::DecodePublicKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use sha1::Sha1;
use zeroize::Zeroizing;

/// The smallest modulus WeChat Pay's keys and the merchant's may have, in bits.
const MODULUS_BITS: usize = 2048;

/// How long a certificate's serial number is, in hexadecimal digits. A `public_key_id` that lost its
/// `PUB_KEY_ID_` is shorter, and would otherwise pass for one that no message ever names.
const SERIAL_DIGITS: usize = 40;

/// The least length of a public key of [`MODULUS_BITS`] in DER, in bytes: 256 of the modulus and 36
/// around it with the smallest exponent. What is longer and still has a smaller modulus verifies
/// nothing: AWS-LC holds the bound at each signature.
const PUBLIC_DER_MIN: usize = 292;

/// A key that cannot be used; says what is wrong and nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM of a private key.
    #[error("the private key is not PEM (PKCS#8 or PKCS#1)")]
    NotPrivatePem,
    /// Not an RSA key of 2048 bits whose parts fit together.
    #[error("the private key is not a sound RSA key of at least {MODULUS_BITS} bits: {0}")]
    Unsound(String),
    /// The certificate's serial number is none: not of its length, or not hexadecimal.
    #[error("the serial number is not {SERIAL_DIGITS} hexadecimal digits")]
    Serial,
    /// The id of a public key is not of its shape.
    #[error(
        "the public key's id is neither PUB_KEY_ID_… nor a serial number of {SERIAL_DIGITS} hexadecimal digits"
    )]
    PublicKeyId,
    /// Two public keys under one id: which of them a message means could not be told.
    #[error("the public key's id {0} is given twice")]
    PublicKeyTwice(KeyId),
    /// One public key under two ids: one of them was meant to be another.
    #[error("the public key {0} is given under another id, too")]
    PublicKeyAgain(KeyId),
    /// Not PEM of an RSA public key.
    #[error("the public key {0} is not PEM of an RSA key of at least {MODULUS_BITS} bits")]
    NotPublicPem(KeyId),
    /// A text is too long to be encrypted.
    #[error("the text is too long for the key that encrypts it")]
    TooLong,
    /// No key at all.
    #[error("there is no key")]
    None,
    /// An APIv3 key is not 32 bytes.
    #[error("an APIv3 key has {0} bytes; it must have 32")]
    Apiv3Length(usize),
    /// Two equal APIv3 keys: one of them was meant to be another.
    #[error("an APIv3 key is given twice")]
    Apiv3Twice,
}

/// What names one of WeChat Pay's public keys, in headers and in our configuration: `PUB_KEY_ID_` and
/// what follows, or a platform certificate's serial number in hexadecimal, whose case is all one.
#[derive(Clone, Debug)]
pub struct KeyId(String);

impl KeyId {
    /// Parses the id.
    ///
    /// # Errors
    /// It has neither shape. The text is not shown: whoever mixed up the fields has put a key here.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let named = text.strip_prefix("PUB_KEY_ID_").is_some_and(|rest| {
            (1..=64).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if named || is_hex_serial(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError::PublicKeyId)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for KeyId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for KeyId {}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The key the merchant signs with, and its certificate's serial number.
pub struct MerchantKey {
    serial_no: String,
    pair: RsaKeyPair,
    random: SystemRandom,
}

impl fmt::Debug for MerchantKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MerchantKey")
            .finish_non_exhaustive()
    }
}

impl MerchantKey {
    /// Reads `apiclient_key.pem` (PKCS#8, as WeChat Pay hands it out, or PKCS#1) and the serial
    /// number of the certificate that belongs to it.
    ///
    /// # Errors
    /// Says what is wrong with the key or the serial number.
    pub fn parse(serial_no: &str, private_key_pem: &str) -> Result<Self, KeyError> {
        if !is_hex_serial(serial_no) {
            return Err(KeyError::Serial);
        }
        let der = PrivateKeyDer::from_pem_slice(private_key_pem.as_bytes())
            .map_err(|_| KeyError::NotPrivatePem)?;
        // AWS-LC checks while it reads: n is p times q, d and e undo each other, and so do the exponents and the
        // coefficient that go with the primes.
        let pair = match &der {
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(_) | _ => return Err(KeyError::NotPrivatePem),
        };
        let pair = pair.map_err(|error| KeyError::Unsound(error.to_string()))?;
        if pair.public_modulus_len() * 8 < MODULUS_BITS {
            return Err(KeyError::Unsound(format!(
                "{} bits",
                pair.public_modulus_len() * 8
            )));
        }
        Ok(Self {
            serial_no: serial_no.to_ascii_uppercase(),
            pair,
            random: SystemRandom::new(),
        })
    }

    /// The certificate's serial number, upper case.
    pub fn serial_no(&self) -> &str {
        &self.serial_no
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 over the message, in base64: 344 characters for 2048 bits.
    #[expect(
        clippy::expect_used,
        reason = "the buffer has the modulus's length, the one thing that can fail"
    )]
    pub fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &signature::RSA_PKCS1_SHA256,
                &self.random,
                message,
                &mut signature,
            )
            .expect("a sound key signs any message");
        STANDARD.encode(signature)
    }
}

/// WeChat Pay's public keys, by the serial number or id that its messages name.
#[derive(Clone)]
pub struct PlatformKeys {
    keys: Vec<Arc<PlatformKey>>,
}

/// One of them.
pub(super) struct PlatformKey {
    pub(super) id: KeyId,
    verifying: ParsedPublicKey,
    /// The same key as it was read: whoever encrypts with it parses it for that.
    der: SubjectPublicKeyInfoDer<'static>,
}

impl fmt::Debug for PlatformKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

impl PlatformKeys {
    /// Reads (id, PEM) pairs, the one to be used for new things first.
    ///
    /// # Errors
    /// Names the first key that is not usable.
    pub fn parse(entries: &[(&str, &str)]) -> Result<Self, KeyError> {
        if entries.is_empty() {
            return Err(KeyError::None);
        }
        let mut keys: Vec<Arc<PlatformKey>> = Vec::with_capacity(entries.len());
        for (id, pem) in entries {
            let key = platform_key(id, pem)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeyError::PublicKeyTwice(key.id));
            }
            if keys.iter().any(|known| known.der == key.der) {
                return Err(KeyError::PublicKeyAgain(key.id));
            }
            keys.push(Arc::new(key));
        }
        Ok(Self { keys })
    }

    /// These keys and others, in this order; of two with one id the first.
    pub(super) fn with(mut self, others: impl IntoIterator<Item = Arc<PlatformKey>>) -> Self {
        for key in others {
            if !self.keys.iter().any(|known| known.id == key.id) {
                self.keys.push(key);
            }
        }
        self
    }

    /// No key: nothing that is signed can be believed.
    pub const fn none() -> Self {
        Self { keys: Vec::new() }
    }

    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.keys.is_empty()
    }

    /// The id of the key that new requests name, so that WeChat Pay answers with it.
    pub fn newest_id(&self) -> &str {
        self.keys.first().map_or("", |key| key.id.as_str())
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.id.to_string()).collect()
    }

    pub(super) fn verifying(&self, id: &KeyId) -> Option<&ParsedPublicKey> {
        let key = self.keys.iter().find(|key| key.id == *id)?;
        Some(&key.verifying)
    }

    /// Encrypts a sensitive field (OAEP with SHA-1, base64) and says which key's id has to go into
    /// the request's `Wechatpay-Serial`.
    ///
    /// # Errors
    /// The text is longer than 214 bytes (for 2048 bits), or there is no key.
    pub fn encrypt(&self, plain: &str) -> Result<(String, &KeyId), KeyError> {
        let key = self.keys.first().ok_or(KeyError::None)?;
        let encrypting = rsa::PublicKey::from_public_key_der(&key.der)
            .map_err(|_| KeyError::NotPublicPem(key.id.clone()))?;
        let sealed = encrypting
            .oaep_encrypt::<Sha1>(plain.as_bytes())
            .map_err(|_| KeyError::TooLong)?;
        Ok((STANDARD.encode(sealed), &key.id))
    }
}

fn platform_key(id: &str, pem: &str) -> Result<PlatformKey, KeyError> {
    let id = KeyId::parse(id)?;
    let unreadable = || KeyError::NotPublicPem(id.clone());
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable())?;
    PlatformKey::of(id, der)
}

impl PlatformKey {
    /// The key in this DER, under this id.
    ///
    /// # Errors
    /// It is not RSA of at least 2048 bits.
    pub(super) fn of(id: KeyId, der: SubjectPublicKeyInfoDer<'static>) -> Result<Self, KeyError> {
        if der.len() < PUBLIC_DER_MIN {
            return Err(KeyError::NotPublicPem(id));
        }
        match ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, der.as_ref()) {
            Ok(verifying) => Ok(Self { id, verifying, der }),
            Err(_) => Err(KeyError::NotPublicPem(id)),
        }
    }
}

fn is_hex_serial(serial: &str) -> bool {
    serial.len() == SERIAL_DIGITS && serial.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The APIv3 keys that open what WeChat Pay seals, the current one first; overwritten when dropped.
pub struct Apiv3Keys {
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl fmt::Debug for Apiv3Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Apiv3Keys").finish_non_exhaustive()
    }
}

impl Apiv3Keys {
    /// Takes keys as the merchant platform shows them: 32 characters, used as they are.
    ///
    /// # Errors
    /// Says which length a key has instead, that two are equal, or that there is none.
    pub fn parse(keys: &[&str]) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::None);
        }
        let keys = keys
            .iter()
            .map(|key| {
                <[u8; 32]>::try_from(key.as_bytes())
                    .map(Zeroizing::new)
                    .map_err(|_| KeyError::Apiv3Length(key.len()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let twice = |(index, key)| keys.iter().take(index).any(|earlier| earlier == key);
        if keys.iter().enumerate().any(twice) {
            return Err(KeyError::Apiv3Twice);
        }
        Ok(Self { keys })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.keys.iter().map(|key| &**key)
    }
}
