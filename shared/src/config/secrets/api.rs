//! The `api` secret: what callers are known by, and what ids are derived with.

use serde::Deserialize;

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
        fn key(name: &str, text: &str) -> Result<Vec<u8>, String> {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .ok()
                .filter(|bytes| bytes.len() == 32)
                .ok_or_else(|| format!("{name} is not 32 bytes in base64"))
        }
        let text: Text = shape(text)?;
        let mut problems = Vec::new();
        let mut token_keys = Vec::new();
        for token_key in std::iter::once(&text.token_key).chain(&text.also_accepted_token_keys) {
            match key("token_key", token_key) {
                Ok(key) => token_keys.push(key),
                Err(problem) => problems.push(problem),
            }
        }
        let mut merchant_key_hashes = Vec::new();
        for hash in &text.merchant_key_hashes {
            let bytes = data_encoding::HEXLOWER_PERMISSIVE
                .decode(hash.as_bytes())
                .ok();
            match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
                Some(hash) => merchant_key_hashes.push(hash),
                None => problems.push("a merchant key hash is not SHA-256 in hex".to_owned()),
            }
        }
        let number_key = key("number_key", &text.number_key).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
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
