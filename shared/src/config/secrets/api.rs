//! The `api` secret: what callers are known by, and what ids are derived with.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::content::{Content, shape};
use crate::random;

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

fn random_key(name: &str, text: &str) -> Result<Vec<u8>, String> {
    let key = random::read_key(text).map_err(|why| format!("{name} {why}"))?;
    Ok(key.to_vec())
}

/// What a command hashes where the key that it was to hash is missing: `echo` leaves a line feed, an
/// empty member between quotes a blank, and `jq -r` writes `null`.
const MISSING_KEYS: [&str; 8] = ["", "\n", "\r\n", " ", " \n", " \r\n", "null", "null\n"];

/// Reads the SHA-256 of a merchant's key, which must not be what is left where the key was missing
/// when it was hashed, or where the hash itself was.
fn key_hash(text: &str) -> Result<[u8; 32], &'static str> {
    let hash = data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or("a merchant key hash is not SHA-256 in hex")?;
    if random::is_one_byte(&hash) {
        return Err("a merchant key hash is one byte 32 times");
    }
    let of_nothing = |missing: &&str| hash == <[u8; 32]>::from(Sha256::digest(missing));
    if MISSING_KEYS.iter().any(of_nothing) {
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
