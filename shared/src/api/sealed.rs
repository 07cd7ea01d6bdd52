//! Encrypts what the table keeps for repeated requests: AES-256-GCM under a key that is derived from the
//! stack's `number_key`; the order's id is authenticated with it.
//!
//! Whoever reads the table, a backup or a stream learns nothing that an order can be paid with.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::secrets::ApiKeys;
use crate::domain::OrderId;
use crate::random;

/// What the sealing key is derived for: the numbers' own hashes begin with a length instead.
const PURPOSE: &[u8] = b"sealed in the table";

/// How long a nonce is, in bytes; it stands before what is sealed.
const NONCE: usize = 12;

/// Seals a text of this order's; the same text is sealed differently each time. `None` where the text
/// is longer than AES-GCM takes, which no text of ours is.
pub fn seal(keys: &ApiKeys, order_id: &OrderId, text: &str) -> Option<String> {
    let nonce = random::bytes::<NONCE>();
    let payload = Payload {
        msg: text.as_bytes(),
        aad: order_id.as_str().as_bytes(),
    };
    let sealed = cipher(keys)?.encrypt(&Nonce::from(nonce), payload).ok()?;
    Some(STANDARD.encode([&nonce[..], &sealed].concat()))
}

/// Opens what [`seal`] made of a text of this order's; `None` for anything else.
pub fn open(keys: &ApiKeys, order_id: &OrderId, sealed: &str) -> Option<String> {
    let bytes = STANDARD.decode(sealed).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
    let payload = Payload {
        msg: sealed,
        aad: order_id.as_str().as_bytes(),
    };
    let text = cipher(keys)?.decrypt(&Nonce::from(*nonce), payload).ok()?;
    String::from_utf8(text).ok()
}

fn cipher(keys: &ApiKeys) -> Option<Aes256Gcm> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &keys.number_key);
    Aes256Gcm::new_from_slice(hmac::sign(&key, PURPOSE).as_ref()).ok()
}

#[cfg(test)]
mod tests;
