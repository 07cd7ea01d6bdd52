//! What is inside a signature: from the text in the header to the digest that was signed, with the
//! mistakes on that way named. No message is built here; `guess.rs` does that.

use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::api::route::decode;

/// The bytes of a signature by RSA-2048.
const SIGNATURE_BYTES: usize = 256;
/// The bytes that must fill up the front of a signature (RFC 8017 §9.2).
const FILLER_BYTES_MIN: usize = 8;

/// Standard base64, with or without the `=` at its end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD_ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The DER in front of a digest inside a signature (RFC 8017 §9.2), the digest's length, and its
/// name in Java's words, which most error messages use.
const DIGEST_INFOS: [(&[u8], usize, &str); 6] = [
    (
        &[
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 0x20,
        ],
        32,
        SHA256,
    ),
    (
        &[
            0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04,
            0x14,
        ],
        20,
        "SHA1withRSA",
    ),
    (
        &[
            0x30, 0x20, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05,
            0x05, 0x00, 0x04, 0x10,
        ],
        16,
        "MD5withRSA",
    ),
    (
        &[
            0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x04, 0x05, 0x00, 0x04, 0x1c,
        ],
        28,
        "SHA224withRSA",
    ),
    (
        &[
            0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x02, 0x05, 0x00, 0x04, 0x30,
        ],
        48,
        "SHA384withRSA",
    ),
    (
        &[
            0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x03, 0x05, 0x00, 0x04, 0x40,
        ],
        64,
        "SHA512withRSA",
    ),
];
const SHA256: &str = "SHA256withRSA";

/// What a public key shows inside a signature of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Opened {
    /// What should be there.
    Sha256(Vec<u8>),
    /// Something else, with the fix.
    Wrong(String),
}

/// Reads the signature of a header: its bytes, and the mistake of its writing where there is one.
pub(super) fn bytes(text: &str) -> Result<(Option<&'static str>, Vec<u8>), String> {
    // Hex digits are base64 digits too, so they are looked for first.
    if let Some(bytes) = unhex(text) {
        return Ok((
            Some("the signature is hex: encode its bytes as base64"),
            bytes,
        ));
    }
    if let Ok(bytes) = STANDARD.decode(text) {
        return match bytes.len() {
            SIGNATURE_BYTES => Ok((None, bytes)),
            _ => within(&bytes),
        };
    }
    let spaceless: String = text.split_whitespace().collect();
    let ways = [
        (
            "the signature is URL-encoded: send it as base64 makes it",
            decode(text),
        ),
        (
            "the signature was wrapped into lines: write all of its base64 on one",
            spaceless.replace("\\n", "").replace("\\r", ""),
        ),
        (
            "a + of the signature became a blank, as decoding a form does: send it as base64 makes it",
            text.replace(' ', "+"),
        ),
        (
            "the signature lost the = at its end: 256 bytes are 344 characters of base64, the last two \
             of them =",
            text.to_owned(),
        ),
        (
            "the signature is URL-safe base64: use the standard alphabet (+ and /) with = at the end",
            text.replace('-', "+").replace('_', "/"),
        ),
    ];
    let read = ways
        .into_iter()
        .enumerate()
        .find_map(|(way, (fault, candidate))| {
            // Only the last two ways may leave out the padding: they are about it.
            let bytes = if way < 3 {
                STANDARD.decode(&candidate)
            } else {
                LENIENT.decode(&candidate)
            };
            bytes
                .ok()
                .filter(|bytes| bytes.len() == SIGNATURE_BYTES)
                .map(|bytes| (Some(fault), bytes))
        });
    read.ok_or_else(|| {
        format!(
            "the signature is not valid base64: 256 bytes are 344 characters of A to Z, a to z, 0 to 9, \
             + and /, the last two of them =; {} came",
            text.chars().count()
        )
    })
}

/// Bytes of another length than a signature's, which may be another writing of one.
fn within(bytes: &[u8]) -> Result<(Option<&'static str>, Vec<u8>), String> {
    let inner = std::str::from_utf8(bytes).ok().map(str::trim);
    if let Some(bytes) = inner.and_then(unhex) {
        let fault = "the signature is hex inside base64: encode its bytes, not its hex digits";
        return Ok((Some(fault), bytes));
    }
    let twice = inner.and_then(|inner| LENIENT.decode(inner).ok());
    if let Some(bytes) = twice.filter(|bytes| bytes.len() == SIGNATURE_BYTES) {
        return Ok((
            Some("the signature is base64 twice over: encode it once"),
            bytes,
        ));
    }
    Err(format!(
        "the signature has {} bytes where RSA-2048 makes 256: another algorithm or key size was used, \
         or a part is missing",
        bytes.len()
    ))
}

/// Reads what a public key shows; `None` when the signature is of another key.
pub(super) fn read(inside: &[u8]) -> Option<Opened> {
    let inside = inside.strip_prefix(&[0, 1])?;
    let filler = inside.iter().take_while(|byte| **byte == 0xff).count();
    let info = inside[filler..].strip_prefix(&[0])?;
    if filler < FILLER_BYTES_MIN {
        return None;
    }
    for (prefix, length, name) in DIGEST_INFOS {
        let digest = info
            .strip_prefix(prefix)
            .filter(|digest| digest.len() == length);
        match digest {
            Some(digest) if name == SHA256 => return Some(Opened::Sha256(digest.to_vec())),
            Some(_) => {
                return Some(Opened::Wrong(format!(
                    "it was signed with {name}: use SHA256withRSA"
                )));
            }
            None => {}
        }
    }
    let hex = info.iter().all(u8::is_ascii_hexdigit);
    Some(Opened::Wrong(match info.len() {
        32 => "the bare SHA-256 digest was encrypted, without the DigestInfo that says so: use \
               SHA256withRSA (RSASSA-PKCS1-v1_5), which adds it"
            .to_owned(),
        64 if hex => {
            "the hex digits of the digest were encrypted: use SHA256withRSA, which takes the \
                      text itself"
                .to_owned()
        }
        length => format!(
            "{length} bytes were encrypted that are no SHA-256 digest, with NONEwithRSA perhaps: use \
             SHA256withRSA, which takes the text itself"
        ),
    }))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    (bytes.len() == SIGNATURE_BYTES).then_some(bytes)
}
