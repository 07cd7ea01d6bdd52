//! Verification of what WeChat Pay signed: its answers and its notices, by the same rule.
//!
//! The order is fixed and cheap first: the headers' shape, the time window, the serial, the
//! signature. No header ever chooses an algorithm, and a probe (`WECHATPAY/SIGNTEST/…`) is nothing
//! but a signature that does not hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::keys::{KeyId, PlatformKeys};
use crate::domain::Timestamp;

/// How far a signature's time may lie from now, in seconds; at this distance it is refused, as the
/// official Go and Java SDKs do (docs/wechatpay.md, "Freshness").
pub(super) const WINDOW_SECONDS: i64 = 300;

/// How long a nonce may be, in characters; WeChat Pay's have 32.
const NONCE_MAX: usize = 128;

/// How long a signature may be, in characters: 1024 covers RSA of 6144 bits.
const SIGNATURE_MAX: usize = 1024;

/// The one kind of signature that is accepted.
const SIGNATURE_TYPE: &str = "WECHATPAY2-SHA256-RSA2048";

/// A header that is missing or not of its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {name} is missing or malformed")]
pub struct HeaderError {
    /// The header.
    pub name: &'static str,
}

/// The headers that carry a signature, well-formed.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureHeaders {
    timestamp: Timestamp,
    timestamp_text: String,
    nonce: String,
    serial: KeyId,
    signature: String,
    other_type: bool,
}

impl SignatureHeaders {
    /// Reads the headers; `get` gives a header that was sent exactly once.
    ///
    /// A comma in any of them is a duplicate that a gateway joined. A newline in the nonce would make
    /// the three signed lines ambiguous.
    ///
    /// # Errors
    /// Names the first header that is missing or malformed.
    pub fn parse<'h>(get: impl Fn(&str) -> Option<&'h str>) -> Result<Self, HeaderError> {
        let read = |name: &'static str, shape: fn(&str) -> bool| {
            get(name)
                .filter(|value| shape(value))
                .map(str::to_owned)
                .ok_or(HeaderError { name })
        };
        let timestamp_text = read("wechatpay-timestamp", |value| {
            value.len() == 10
                && !value.starts_with('0')
                && value.bytes().all(|byte| byte.is_ascii_digit())
        })?;
        let nonce = read("wechatpay-nonce", |value| {
            (1..=NONCE_MAX).contains(&value.len())
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b',')
        })?;
        let name = "wechatpay-serial";
        let serial = get(name).and_then(|value| KeyId::parse(value).ok());
        let serial = serial.ok_or(HeaderError { name })?;
        let signature = read("wechatpay-signature", |value| {
            (1..=SIGNATURE_MAX).contains(&value.len())
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && byte != b',')
        })?;
        let unreadable = HeaderError {
            name: "wechatpay-timestamp",
        };
        let seconds = timestamp_text.parse().map_err(|_| unreadable)?;
        Ok(Self {
            timestamp: Timestamp::from_unix_seconds(seconds),
            timestamp_text,
            nonce,
            serial,
            signature,
            other_type: get("wechatpay-signature-type").is_some_and(|kind| kind != SIGNATURE_TYPE),
        })
    }
}

/// Why a signature is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Signed too long ago, or too far ahead.
    #[error("signed {seconds} seconds from now, {WINDOW_SECONDS} or more")]
    StaleTimestamp {
        /// The distance.
        seconds: i64,
    },
    /// No key of this serial number is held.
    #[error("signed with a key that is not held")]
    UnknownSerial,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    BadSignature,
}

/// A body whose signature held; only [`verify`] makes one, and only what is in one is believed.
#[derive(Clone, Copy)]
pub struct Verified<B> {
    body: B,
}

impl<B: AsRef<[u8]>> Verified<B> {
    /// Reads something out of the body: the only way to a [`Signed`].
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read<T, E>(&self, read: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<Signed<T>, E> {
        read(self.body.as_ref()).map(Signed)
    }
}

/// Something WeChat Pay said, with a signature that held.
///
/// Only [`Verified::read`] makes one; whoever holds one need not ask where it came from, and nothing
/// else moves an order or a refund:
///
/// ```compile_fail,E0423
/// let forged = shared::wechatpay::Signed("paid");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<T>(T);

impl<T> Signed<T> {
    /// What was said.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// What was said, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Checks the signature over the raw bytes, as they came.
///
/// # Errors
/// Says why it is not trusted; the texts are for the log, a peer is told nothing.
pub fn verify<B: AsRef<[u8]>>(
    keys: &PlatformKeys,
    headers: &SignatureHeaders,
    body: B,
    now: Timestamp,
) -> Result<Verified<B>, VerifyError> {
    let seconds = now.seconds_since(headers.timestamp).saturating_abs();
    if seconds >= WINDOW_SECONDS {
        return Err(VerifyError::StaleTimestamp { seconds });
    }
    let key = keys
        .verifying(&headers.serial)
        .ok_or(VerifyError::UnknownSerial)?;
    if headers.other_type {
        return Err(VerifyError::BadSignature);
    }
    let signature = STANDARD
        .decode(&headers.signature)
        .map_err(|_| VerifyError::BadSignature)?;
    let message = message(&headers.timestamp_text, &headers.nonce, body.as_ref());
    key.verify_sig(&message, &signature)
        .map_err(|_| VerifyError::BadSignature)?;
    Ok(Verified { body })
}

/// The three lines that WeChat Pay signs, each ended by a newline.
fn message(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(timestamp.len() + nonce.len() + body.len() + 3);
    for line in [timestamp.as_bytes(), nonce.as_bytes(), body] {
        message.extend_from_slice(line);
        message.push(b'\n');
    }
    message
}
