//! The `api` secret: what callers are known by, and what ids are derived with.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::content::{Content, shape};

/// `api`: what callers are known by, and what numbers are derived with.
pub struct ApiKeys {
    pub(crate) token_keys: Vec<Vec<u8>>,
    pub(crate) merchant_key_hashes: Vec<[u8; 32]>,
    pub(crate) number_key: Vec<u8>,
}

impl Content for ApiKeys {
    const NAME: &'static str = "api";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Text {
            token_key: String,
            #[serde(default)]
            also_accepted_token_keys: Vec<String>,
            merchant_key_hashes: Vec<String>,
            number_key: String,
        }
        let text: Text = shape(text)?;
        let mut problems = Vec::new();
        let mut token_keys = Vec::new();
        for token_key in std::iter::once(&text.token_key).chain(&text.also_accepted_token_keys) {
            match random_key("token_key", token_key) {
                Ok(key) => add(&mut token_keys, key, "a token key", &mut problems),
                Err(problem) => problems.push(problem),
            }
        }
        let mut merchant_key_hashes = Vec::new();
        for hash in &text.merchant_key_hashes {
            match key_hash(hash) {
                Ok(hash) => add(
                    &mut merchant_key_hashes,
                    hash,
                    "a merchant key hash",
                    &mut problems,
                ),
                Err(problem) => problems.push(problem.to_owned()),
            }
        }
        let number_key = random_key("number_key", &text.number_key).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        if token_keys.contains(&number_key) {
            problems.push("number_key is a token key, too".to_owned());
        }
        if problems.is_empty() {
            Ok(Self {
                token_keys,
                merchant_key_hashes,
                number_key,
            })
        } else {
            Err(problems.join("; "))
        }
    }
}

/// Reads 32 random bytes in base64.
fn random_key(name: &str, text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| format!("{name} is not base64"))?;
    if bytes.len() != 32 {
        let length = bytes.len();
        return Err(format!("{name} has {length} bytes; it must have 32"));
    }
    if bytes.windows(2).all(|pair| pair.first() == pair.last()) {
        return Err(format!("{name} is one byte 32 times"));
    }
    Ok(bytes)
}

/// Reads the SHA-256 of a merchant's key, which must not be what is left where the key was missing
/// when it was hashed.
fn key_hash(text: &str) -> Result<[u8; 32], &'static str> {
    let hash = data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or("a merchant key hash is not SHA-256 in hex")?;
    let of_nothing = |missing: &str| hash == <[u8; 32]>::from(Sha256::digest(missing));
    // `echo` leaves a line feed.
    if ["", "\n", "\r\n"].iter().any(|missing| of_nothing(missing)) {
        return Err("a merchant key hash is that of an empty key");
    }
    Ok(hash)
}

/// Adds a key that is not there yet. One that is was meant to be another.
fn add<T: PartialEq>(keys: &mut Vec<T>, key: T, what: &str, problems: &mut Vec<String>) {
    if keys.contains(&key) {
        problems.push(format!("{what} is given twice"));
    } else {
        keys.push(key);
    }
}
