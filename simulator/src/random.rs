//! Randomness of two kinds: unpredictable text for keys, nonces and numbers, and the dice, whose
//! throws depend only on the seed and on what is decided, so that a run can be repeated.

use std::collections::HashMap;

use rand::distr::{Alphanumeric, SampleString as _};
use rand::seq::IndexedRandom as _;
use sha2::{Digest as _, Sha256};

/// Unpredictable bytes.
pub(crate) fn bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    rand::random()
}

/// Unpredictable letters of both cases and digits, as WeChat Pay writes nonces and keys.
pub(crate) fn alphanumeric(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

/// Unpredictable decimal digits.
pub(crate) fn digits(length: usize) -> String {
    pick(b"0123456789", length)
}

/// Unpredictable lower-case hex digits.
pub(crate) fn lower_hex(length: usize) -> String {
    pick(b"0123456789abcdef", length)
}

fn pick(alphabet: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    let letters = (0..length).filter_map(|_| alphabet.choose(&mut rng));
    letters.copied().map(char::from).collect()
}

/// A certificate serial of 20 bytes whose first bit is clear, as X.509 wants it.
pub(crate) fn serial() -> [u8; 20] {
    let mut serial = bytes::<20>();
    serial[0] &= 0x7f;
    serial
}

/// A UUID with version digit 5, the form of notice ids in every capture (docs/simulator.md,
/// `notice-bytes`).
pub(crate) fn notice_id() -> String {
    let hex = lower_hex(32);
    format!(
        "{}-{}-5{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

/// Throws that depend on the seed, on what is decided about whom, and on how often it was decided
/// before; what happens to other orders meanwhile does not change them.
#[derive(Debug)]
pub(crate) struct Dice {
    seed: u64,
    /// How often each question was asked about each subject, by [`known_as`]: subjects are other
    /// people's words, and every one asked about stays.
    thrown: HashMap<[u8; 16], u64>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            thrown: HashMap::new(),
        }
    }

    /// The next throw for a question about a subject, in `0.0..1.0`.
    pub(crate) fn throw(&mut self, question: &str, subject: &str) -> f64 {
        let count = self.thrown.entry(known_as(question, subject)).or_default();
        *count += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(count.to_be_bytes());
        hash.update(question.as_bytes());
        hash.update([0]);
        hash.update(subject.as_bytes());
        let digest = hash.finalize();
        let mut top = [0_u8; 4];
        top.copy_from_slice(&digest[..4]);
        f64::from(u32::from_be_bytes(top)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// What the dice remember a question about a subject by.
fn known_as(question: &str, subject: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(question.as_bytes());
    hash.update([0]);
    hash.update(subject.as_bytes());
    let mut top = [0; 16];
    top.copy_from_slice(&hash.finalize()[..16]);
    top
}

/// A `session_key`: 16 bytes in base64.
pub(crate) fn session_key() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a seed brought once it brings for ever: people keep seeds of runs that failed.
    #[test]
    fn throws_stay_what_they_were() {
        let mut dice = Dice::new(7);
        let throws = [
            ("server_error", "0 order A", 716_995_830_u32),
            ("server_error", "0 order B", 1_645_339_785),
            ("slow", "0 order A", 2_727_996_722),
            ("server_error", "0 order A", 3_720_880_331),
        ];
        for (question, subject, of_two_to_the_32) in throws {
            let thrown = dice.throw(question, subject) * (f64::from(u32::MAX) + 1.0);
            let off = (thrown - f64::from(of_two_to_the_32)).abs();
            assert!(off < 0.5, "{question} of {subject}: {thrown}");
        }
    }
}
