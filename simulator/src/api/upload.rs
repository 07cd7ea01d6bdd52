//! Image upload, as far as signing goes: only the `meta` part is signed (fidelity points 6 and 8). The
//! file is checked against the digest in `meta` and forgotten.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Request;
use super::answer::{Answer, Refusal};
use crate::random;

/// The bytes of the `meta` part, which stand for the body in the signed text.
pub(crate) fn signed_part(request: &Request) -> Option<Vec<u8>> {
    part(request, "meta")
}

/// Answers an upload whose signature held.
pub(crate) fn upload(request: &Request) -> Answer {
    let meta: Value = signed_part(request)
        .and_then(|meta| serde_json::from_slice(&meta).ok())
        .unwrap_or_default();
    let file = part(request, "file").unwrap_or_default();
    let digest: String = Sha256::digest(&file)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let stated = meta
        .get("sha256")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !stated.eq_ignore_ascii_case(&digest) {
        return Refusal::new(400, "PARAM_ERROR", "参数错误")
            .because("sha256 in meta is not that of the file part")
            .into();
    }
    Answer::ok(&json!({"media_id": random::alphanumeric(64)}))
}

fn part(request: &Request, name: &str) -> Option<Vec<u8>> {
    let kind = request.header("content-type")?;
    let boundary = kind
        .split("boundary=")
        .nth(1)?
        .split(';')
        .next()?
        .trim()
        .trim_matches('"');
    let marker = format!("--{boundary}").into_bytes();
    let body = &request.body[..];
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&body[at..], &marker) {
        starts.push(at + found);
        at += found + marker.len();
    }
    let wanted = format!("name=\"{name}\"");
    for pair in starts.windows(2) {
        let piece = &body[pair[0] + marker.len()..pair[1]];
        let head_end = find(piece, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&piece[..head_end]);
        if head.contains(&wanted) {
            let content = &piece[head_end + 4..];
            return Some(content.strip_suffix(b"\r\n").unwrap_or(content).to_vec());
        }
    }
    None
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
