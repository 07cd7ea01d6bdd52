//! The parts of an upload. Only `meta` is signed (docs/simulator.md, `signed-text` and `uploads`).

use super::request::Request;

/// The bytes of the `meta` part, which stand for the body in the signed text.
pub(crate) fn signed_part(request: &Request) -> Option<Vec<u8>> {
    part(request, "meta")
}

/// The bytes of a named part.
pub(super) fn part(request: &Request, name: &str) -> Option<Vec<u8>> {
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
