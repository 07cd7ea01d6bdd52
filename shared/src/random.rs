//! Randomness: bytes, tokens and nonces from the operating system, and keys that an operator drew; and
//! pauses that differ, which are no secret.

mod drawn_key;

use std::time::Duration;

pub use drawn_key::{KEY_BYTES, NoKey, is_one_byte, read_key};

/// How long a nonce is, in characters; all official SDKs send 32.
const NONCE_LENGTH: usize = 32;

/// Fresh random bytes from the operating system.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a system without randomness can sign nothing safely"
    )]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A fresh random text of 26 characters, 128 bits, for tokens that only have to differ.
pub fn token() -> String {
    data_encoding::BASE32_NOPAD.encode(&bytes::<16>())
}

/// Half to all of `most_ms` milliseconds, so that two that met do not meet again. It is no secret: it comes
/// from the thread's generator, as the pauses of the AWS SDK do, so that one seed decides all pauses of a
/// thread.
pub fn jitter(most_ms: u64) -> Duration {
    let half = most_ms / 2;
    Duration::from_millis(half + fastrand::u64(..=half))
}

/// A fresh nonce: 32 of A-Z, a-z and 0-9.
pub fn nonce() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut nonce = String::with_capacity(NONCE_LENGTH);
    while nonce.len() < NONCE_LENGTH {
        for byte in bytes::<48>() {
            // 248 is the largest multiple of 62: what lies above would favour the first letters.
            if byte < 248
                && nonce.len() < NONCE_LENGTH
                && let Some(letter) = ALPHABET.get(usize::from(byte % 62))
            {
                nonce.push(char::from(*letter));
            }
        }
    }
    nonce
}

#[cfg(test)]
mod tests;
