//! Image upload, as far as signing goes: only the `meta` part is signed (docs/simulator.md,
//! `signed-text` and `uploads`). The file is checked against the digest in `meta` and forgotten.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::{Draft, Refusal};
use super::multipart::{part, signed_part};
use super::request::Request;
use crate::random;

/// Answers an upload whose signature held.
pub(crate) fn upload(request: &Request) -> Draft {
    let meta: Value = signed_part(request)
        .and_then(|meta| serde_json::from_slice(&meta).ok())
        .unwrap_or_default();
    let file = part(request, "file").unwrap_or_default();
    let digest = HEXLOWER.encode(&Sha256::digest(&file));
    let stated = meta
        .get("sha256")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !stated.eq_ignore_ascii_case(&digest) {
        return Refusal::new(400, "PARAM_ERROR", "参数错误")
            .because("sha256 in meta is not that of the file part")
            .into();
    }
    Draft::ok(&json!({"media_id": random::alphanumeric(64)}))
}
