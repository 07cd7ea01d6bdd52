//! Reading a random key that an operator drew: 32 bytes in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How long a random key is, in bytes.
pub const KEY_BYTES: usize = 32;

/// A text that is no random key; says nothing of it but its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// Not base64, with its padding.
    #[error("is not base64")]
    NotBase64,
    /// Too few bytes, or too many.
    #[error("has {0} bytes; it must have {KEY_BYTES}")]
    Length(usize),
    /// Nobody drew this: what is left where a key was to be filled in.
    #[error("is one byte {KEY_BYTES} times")]
    OneByte,
}

/// Reads a key.
///
/// # Errors
/// It cannot have been drawn as it should.
pub fn read_key(text: &str) -> Result<[u8; KEY_BYTES], NoKey> {
    let bytes = STANDARD.decode(text).map_err(|_| NoKey::NotBase64)?;
    let length = bytes.len();
    let key = <[u8; KEY_BYTES]>::try_from(bytes).map_err(|_| NoKey::Length(length))?;
    if is_one_byte(&key) {
        return Err(NoKey::OneByte);
    }
    Ok(key)
}

/// Whether the bytes are all the same, which no secret is.
pub fn is_one_byte(bytes: &[u8]) -> bool {
    bytes.windows(2).all(|pair| pair.first() == pair.last())
}
