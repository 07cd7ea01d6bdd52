//! Opening what WeChat Pay sealed: AES-256-GCM under the APIv3 key.
//!
//! Opening proves secrecy, never origin: only what was [`Verified`](super::Verified) gets here.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::keys::Apiv3Keys;

/// The one algorithm that is accepted; the field never chooses another.
const ALGORITHM: &str = "AEAD_AES_256_GCM";

/// How long associated data may be, in bytes; WeChat Pay's are below 16.
const ASSOCIATED_DATA_MAX: usize = 16;

/// A sealed resource, as notices and certificates carry it.
#[derive(Deserialize)]
pub(super) struct SealedResource {
    pub(super) algorithm: String,
    pub(super) ciphertext: String,
    pub(super) nonce: String,
    pub(super) associated_data: Option<String>,
}

/// Which of the keys held opened a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySlot {
    /// The first, in force.
    Current,
    /// Another that is still, or already, accepted.
    Other,
}

impl KeySlot {
    /// The slot's name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Other => "other",
        }
    }
}

/// A resource that does not open; the reasons are told apart only for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another algorithm.
    #[error("sealed with another algorithm")]
    Algorithm,
    /// Nonce, associated data or ciphertext are not of their shapes.
    #[error("not of a sealed resource's shape")]
    Shape,
    /// No key held opens it.
    #[error("no APIv3 key held opens it")]
    NoKey,
}

/// Opens the resource with whichever key fits; the tag decides.
///
/// # Errors
/// Nothing of the text is given out unless its tag holds.
pub(super) fn open(
    keys: &Apiv3Keys,
    resource: &SealedResource,
) -> Result<(Vec<u8>, KeySlot), OpenError> {
    if resource.algorithm != ALGORITHM {
        return Err(OpenError::Algorithm);
    }
    let nonce: [u8; 12] = resource
        .nonce
        .as_bytes()
        .try_into()
        .map_err(|_| OpenError::Shape)?;
    let associated_data = resource.associated_data.as_deref().unwrap_or("").as_bytes();
    let sealed = STANDARD
        .decode(&resource.ciphertext)
        .map_err(|_| OpenError::Shape)?;
    if associated_data.len() > ASSOCIATED_DATA_MAX || sealed.len() < 16 {
        return Err(OpenError::Shape);
    }
    for (index, key) in keys.keys().enumerate() {
        let payload = Payload {
            msg: &sealed,
            aad: associated_data,
        };
        if let Ok(text) = Aes256Gcm::new(key.into()).decrypt(&Nonce::from(nonce), payload) {
            return Ok((
                text,
                if index == 0 {
                    KeySlot::Current
                } else {
                    KeySlot::Other
                },
            ));
        }
    }
    Err(OpenError::NoKey)
}
