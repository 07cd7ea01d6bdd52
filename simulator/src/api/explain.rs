//! Why a signature was refused, for a person. The public key opens the client's signature, which
//! shows the digest that was signed; then the likely mistakes are tried until one gives that digest.
//! WeChat Pay tells only the message it built itself.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Serialize;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::Request;
use super::authenticate::Authorization;
use super::route::decode;
use crate::canonical;
use crate::merchants::Loaded;
use crate::world::World;

/// The DER in front of a SHA-256 digest inside a signature (RFC 8017 §9.2).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
/// The DER in front of a SHA-1 digest.
const SHA1_PREFIX: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

/// Mistakes that are looked for together; more would take too long and happen rarely.
const MISTAKES_MAX: usize = 2;

/// The part of a signed text that an explanation repeats.
const SHOWN_CHARACTERS: usize = 400;
/// The part of a signed text that is kept beside an explanation.
const KEPT_CHARACTERS: usize = 4_000;

/// What both sides signed, line feeds and all, where a signature did not fit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignedTexts {
    /// What the server built from the request.
    server: String,
    /// What the client seems to have signed, where that was found out.
    client: Option<String>,
}

impl SignedTexts {
    pub(crate) fn of(server: &[u8], client: Option<&[u8]>) -> Self {
        let kept = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            text.chars().take(KEPT_CHARACTERS).collect()
        };
        Self {
            server: kept(server),
            client: client.map(kept),
        }
    }
}

/// The seconds that a timestamp states; what states none, or a time before 1970, counts as 0.
pub(crate) fn seconds(timestamp: &str) -> i64 {
    timestamp.parse().unwrap_or(0).max(0)
}

/// Explains a timestamp outside the window.
pub(crate) fn clock(timestamp: &str, wall_s: i64) -> String {
    let stated = seconds(timestamp);
    if timestamp.len() >= 13 && (stated / 1_000 - wall_s).abs() < 86_400 {
        return "timestamp is in milliseconds: send seconds (divide by 1000)".to_owned();
    }
    let off_s = stated - wall_s;
    let direction = if off_s < 0 { "behind" } else { "ahead of" };
    format!(
        "timestamp is {} minutes {direction} the server's clock and at most 5 are allowed: set the \
         machine's clock (NTP), and take the time right before signing",
        (off_s.abs() + 30) / 60
    )
}

/// Explains an unknown serial.
pub(crate) fn serial(merchant: &Loaded, claimed: &str) -> String {
    let held: Vec<&str> = merchant
        .certificates
        .iter()
        .map(|(facts, _)| facts.serial.as_str())
        .collect();
    let platform = merchant
        .platform_certificates
        .iter()
        .any(|(facts, _)| facts.serial.eq_ignore_ascii_case(claimed))
        || claimed.starts_with("PUB_KEY_ID_");
    let trimmed = claimed.trim_start_matches('0');
    let dropped_zeros = held
        .iter()
        .any(|serial| serial.trim_start_matches('0').eq_ignore_ascii_case(trimmed));
    if platform {
        format!(
            "serial_no names WeChat Pay's own key; name the merchant's certificate: {}",
            held.join(" or ")
        )
    } else if dropped_zeros {
        format!(
            "serial_no lost its leading zeros: it is {}",
            held.join(" or ")
        )
    } else {
        format!(
            "the merchant has no certificate with this serial; serial_no is that of \
             apiclient_cert.pem, in hex: {}",
            held.join(" or ")
        )
    }
}

/// Explains a signature that does not fit; beside it, what the client seems to have signed.
pub(crate) fn signature(
    world: &Arc<World>,
    request: &Request,
    body: &[u8],
    authorization: &Authorization,
    merchant: &Loaded,
) -> (String, Option<Vec<u8>>) {
    let unread = |why: &str| (why.to_owned(), None);
    let text = &authorization.signature;
    let bytes = match STANDARD.decode(text) {
        Ok(bytes) => bytes,
        Err(_) if URL_SAFE.decode(text).is_ok() => {
            return unread("the signature is URL-safe base64: use the standard alphabet (+ and /)");
        }
        Err(_) if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            return unread("the signature is hex: encode it as base64");
        }
        Err(_) => return unread("the signature is not valid base64"),
    };
    if bytes.len() != 256 {
        return unread(&format!(
            "the signature has {} bytes where RSA-2048 makes 256: another algorithm or key size was \
             used",
            bytes.len()
        ));
    }
    let Some((owner, opened)) = opener(world, &bytes, authorization, merchant) else {
        return unread(
            "no key known here made this signature: the private key does not belong to the \
             certificate (use apiclient_key.pem of the same folder), or the padding is PSS and not \
             PKCS#1 v1.5",
        );
    };
    let digest = match opened {
        Opened::Sha256(digest) => digest,
        Opened::Sha1 => {
            return unread("it was signed with SHA1withRSA: use SHA256withRSA");
        }
    };
    let server = super::authenticate::message(request, authorization, body);
    let found = variants(request, body, authorization)
        .into_iter()
        .find(|(_, message)| Sha256::digest(message)[..] == digest[..]);
    let fault = found
        .as_ref()
        .map(|(name, client)| {
            if name.is_empty() {
                return String::new();
            }
            format!(
                "{name}\nthe server built: {}\nyou signed:       {}",
                shown(&server),
                shown(client)
            )
        })
        .or_else(|| hashed_first(request, body, authorization, &digest));
    let explanation = match (owner, fault) {
        (Owner::Claimed, Some(fault)) => fault,
        (Owner::Claimed, None) => format!(
            "the key is right but other text was signed: compare your five lines with \
             truncated_sign_message; yours must have {} bytes",
            server_message_length(request, body, authorization)
        ),
        (Owner::Another(serial), fault) => {
            let mut text = format!(
                "wrong key for the serial: the private key belongs to certificate {serial}, \
                 serial_no says {}",
                authorization.serial_no
            );
            if let Some(fault) = fault.filter(|fault| !fault.is_empty()) {
                text = format!("{text}; besides, {fault}");
            }
            text
        }
        (Owner::Platform, _) => "it was signed with platform_key.pem, WeChat Pay's own key: a \
                                 merchant signs with apiclient_key.pem"
            .to_owned(),
        (Owner::OtherMerchant(mchid), _) => {
            format!("it was signed with the key of merchant {mchid}")
        }
    };
    (explanation, found.map(|(_, client)| client))
}

/// A signed text on one line, cut where it gets long.
fn shown(message: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(message)
        .chars()
        .take(SHOWN_CHARACTERS)
        .collect();
    format!("{text:?}")
}

enum Owner {
    Claimed,
    Another(String),
    Platform,
    OtherMerchant(String),
}

enum Opened {
    Sha256(Vec<u8>),
    Sha1,
}

fn opener(
    world: &Arc<World>,
    signature: &[u8],
    authorization: &Authorization,
    merchant: &Loaded,
) -> Option<(Owner, Opened)> {
    for (facts, _) in &merchant.certificates {
        if let Some(opened) = facts
            .key
            .open(signature)
            .and_then(|inside| read_padding(&inside))
        {
            let claimed = facts.serial.eq_ignore_ascii_case(&authorization.serial_no);
            let owner = if claimed {
                Owner::Claimed
            } else {
                Owner::Another(facts.serial.clone())
            };
            return Some((owner, opened));
        }
    }
    let platform = merchant
        .public_keys
        .iter()
        .map(|(_, key)| key)
        .chain(merchant.platform_certificates.iter().map(|(_, key)| key));
    for key in platform {
        let opened = key
            .verifying()
            .open(signature)
            .and_then(|inside| read_padding(&inside));
        if let Some(opened) = opened {
            return Some((Owner::Platform, opened));
        }
    }
    let others: Vec<Arc<Loaded>> = world.lock().merchants.values().cloned().collect();
    for other in others {
        for (facts, _) in &other.certificates {
            let opened = facts
                .key
                .open(signature)
                .and_then(|inside| read_padding(&inside));
            if let Some(opened) = opened {
                return Some((Owner::OtherMerchant(other.record.mchid.clone()), opened));
            }
        }
    }
    None
}

/// Reads `00 01 FF … 00 DigestInfo`.
fn read_padding(inside: &[u8]) -> Option<Opened> {
    let inside = inside.strip_prefix(&[0, 1])?;
    let filler = inside.iter().take_while(|byte| **byte == 0xff).count();
    let info = inside[filler..].strip_prefix(&[0])?;
    if let Some(digest) = info.strip_prefix(&SHA256_PREFIX) {
        return Some(Opened::Sha256(digest.to_vec()));
    }
    info.strip_prefix(&SHA1_PREFIX)
        .filter(|digest| digest.len() == Sha1::output_size())
        .map(|_| Opened::Sha1)
}

fn server_message_length(request: &Request, body: &[u8], authorization: &Authorization) -> usize {
    request.method.len()
        + request.target.len()
        + authorization.timestamp.len()
        + authorization.nonce.len()
        + body.len()
        + 5
}

/// Every likely text a client may have signed, with the sentence that names the fix. The first is
/// the right one, whose sentence is empty; combinations of two mistakes name both.
fn variants(
    request: &Request,
    body: &[u8],
    authorization: &Authorization,
) -> Vec<(String, Vec<u8>)> {
    let methods = [
        (String::new(), request.method.clone()),
        (
            "the method was signed in lower case: use upper case".into(),
            request.method.to_lowercase(),
        ),
    ];
    let mut all = Vec::new();
    let bodies = bodies(request, body);
    for (method_fault, method) in &methods {
        for (target_fault, target) in &targets(request) {
            for (body_fault, body) in &bodies {
                for (time_fault, timestamp, nonce) in &times(authorization) {
                    let faults = [method_fault, target_fault, body_fault, time_fault];
                    let so_far = faults.iter().filter(|fault| !fault.is_empty()).count();
                    if so_far > MISTAKES_MAX {
                        continue;
                    }
                    for (line_fault, text) in lines(method, target, timestamp, nonce, body) {
                        let count = so_far + usize::from(!line_fault.is_empty());
                        if count <= MISTAKES_MAX {
                            let named: Vec<&str> = faults
                                .into_iter()
                                .map(String::as_str)
                                .chain([line_fault.as_str()])
                                .filter(|fault| !fault.is_empty())
                                .collect();
                            all.push((count, named.join("; and "), text));
                        }
                    }
                }
            }
        }
    }
    // The simplest explanation first.
    all.sort_by_key(|(count, _, _)| *count);
    all.into_iter()
        .map(|(_, fault, lines)| (fault, lines))
        .collect()
}

fn targets(request: &Request) -> Vec<(String, String)> {
    let target = &request.target;
    let host = request.header("host").unwrap_or_default();
    let mut targets = vec![(String::new(), target.clone())];
    if let Some(query) = request.query() {
        targets.push((
            format!("the path was signed without its query: sign {target}"),
            request.path().to_owned(),
        ));
        let mut pairs: Vec<&str> = query.split('&').collect();
        pairs.sort_unstable();
        targets.push((
            "the query was signed in another order: sign it as it is sent".to_owned(),
            format!("{}?{}", request.path(), pairs.join("&")),
        ));
    }
    for scheme in ["http://", "https://"] {
        targets.push((
            "the URL was signed with scheme and host: sign only the path and the query".to_owned(),
            format!("{scheme}{host}{target}"),
        ));
    }
    for host in ["api.mch.weixin.qq.com", "api2.mch.weixin.qq.com"] {
        targets.push((
            "the URL was signed with WeChat Pay's host: sign only the path and the query"
                .to_owned(),
            format!("https://{host}{target}"),
        ));
    }
    targets.push((
        "the path was signed percent-decoded: sign it as it is sent".to_owned(),
        decode(target),
    ));
    targets.push((
        "the path was signed percent-encoded (| as %7C): sign it as it is sent".to_owned(),
        target.replace('|', "%7C").replace('*', "%2A"),
    ));
    targets.push((
        "the path was signed without its leading slash".to_owned(),
        target.trim_start_matches('/').to_owned(),
    ));
    targets.push((
        "a slash is doubled in the path that was sent but not in the one that was signed"
            .to_owned(),
        target.replace("//", "/"),
    ));
    targets.push((
        "the path was signed with a slash at its end".to_owned(),
        format!("{target}/"),
    ));
    targets
}

fn bodies(request: &Request, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let again = "the body was serialised again after signing: sign the very bytes that are sent";
    let mut bodies = vec![(String::new(), body.to_vec())];
    if body.is_empty() {
        for text in ["{}", "null", "undefined", "\"\"", "None", "[]"] {
            bodies.push((
                format!(
                    "{text} was signed as the body of a request without one: sign an empty line"
                ),
                text.as_bytes().to_vec(),
            ));
        }
        if let Some(query) = request.query() {
            bodies.push((
                "the query was signed as the body".to_owned(),
                query.as_bytes().to_vec(),
            ));
        }
        return bodies;
    }
    bodies.push((
        "the body was left out of the signed text: its bytes are the fifth line".to_owned(),
        Vec::new(),
    ));
    let Ok(text) = std::str::from_utf8(body) else {
        return bodies;
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return bodies;
    };
    let forms = [
        reformat(text, ",", ":"),
        reformat(text, ", ", ": "),
        reformat(text, ",", ": "),
        canonical::sorted(&value),
        reformat(&canonical::sorted(&value), ", ", ": "),
        indented(text, "  "),
        indented(text, "    "),
        indented(text, "\t"),
        serde_json::to_string_pretty(&value).unwrap_or_default(),
        text.trim().to_owned(),
        format!("{text}\n"),
    ];
    for form in forms {
        for letters in [escape(&form), unescape(&form), form] {
            let bare = letters.replace("\\/", "/");
            let slashes = bare.replace('/', "\\/");
            for form in [letters, bare, slashes] {
                bodies.push((again.to_owned(), form.into_bytes()));
            }
        }
    }
    if let Value::Object(members) = &value {
        let pairs: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect();
        bodies.push((
            "the body was signed as name=value pairs, the v2 way: sign the JSON bytes".to_owned(),
            pairs.join("&").into_bytes(),
        ));
    }
    bodies.sort_by(|(_, one), (_, other)| one.cmp(other));
    bodies.dedup_by(|one, other| one.1 == other.1 && !one.0.is_empty());
    bodies.sort_by_key(|(fault, _)| !fault.is_empty());
    bodies
}

fn times(authorization: &Authorization) -> Vec<(String, String, String)> {
    let (timestamp, nonce) = (authorization.timestamp.clone(), authorization.nonce.clone());
    let shifted = |by: i64| (timestamp.parse::<i64>().unwrap_or(0) + by).to_string();
    let mut times = vec![
        (String::new(), timestamp.clone(), nonce.clone()),
        (
            "milliseconds were signed where the header says seconds: sign the header's value"
                .into(),
            format!("{timestamp}000"),
            nonce.clone(),
        ),
        (
            "timestamp and nonce were signed in the wrong order".to_owned(),
            nonce.clone(),
            timestamp.clone(),
        ),
        (
            "the nonce was signed in another case than it is sent".to_owned(),
            timestamp.clone(),
            nonce.to_uppercase(),
        ),
        (
            "the nonce was signed in another case than it is sent".to_owned(),
            timestamp.clone(),
            nonce.to_lowercase(),
        ),
    ];
    for by in [-2, -1, 1, 2] {
        times.push((
            "another timestamp was signed than is sent: take the time once".to_owned(),
            shifted(by),
            nonce.clone(),
        ));
    }
    times
}

fn lines(
    method: &str,
    target: &str,
    timestamp: &str,
    nonce: &str,
    body: &[u8],
) -> Vec<(String, Vec<u8>)> {
    let join = |ends: [&str; 5]| {
        let mut text = Vec::new();
        for (line, end) in [
            method.as_bytes(),
            target.as_bytes(),
            timestamp.as_bytes(),
            nonce.as_bytes(),
            body,
        ]
        .into_iter()
        .zip(ends)
        {
            text.extend_from_slice(line);
            text.extend_from_slice(end.as_bytes());
        }
        text
    };
    let response = {
        let mut text = format!("{timestamp}\n{nonce}\n").into_bytes();
        text.extend_from_slice(body);
        text.push(b'\n');
        text
    };
    vec![
        (String::new(), join(["\n"; 5])),
        (
            "the last line lacks its line feed: every one of the five lines ends with one"
                .to_owned(),
            join(["\n", "\n", "\n", "\n", ""]),
        ),
        (
            "the lines end with CR LF: use a lone LF".to_owned(),
            join(["\r\n"; 5]),
        ),
        (
            "the lines end with a backslash and an n, two characters: use a real line feed"
                .to_owned(),
            join(["\\n"; 5]),
        ),
        (
            "a line feed too many ends the text".to_owned(),
            join(["\n", "\n", "\n", "\n", "\n\n"]),
        ),
        (
            "the line of the empty body is missing: the text ends with two line feeds".to_owned(),
            join(["\n", "\n", "\n", "", ""]),
        ),
        (
            "the three lines of a response were signed: a request has five".to_owned(),
            response,
        ),
    ]
}

/// Clients that hash first and sign the digest as if it were the text.
fn hashed_first(
    request: &Request,
    body: &[u8],
    authorization: &Authorization,
    digest: &[u8],
) -> Option<String> {
    let message = super::authenticate::message(request, authorization, body);
    let once = Sha256::digest(&message);
    let hex: String = once.iter().map(|byte| format!("{byte:02x}")).collect();
    let twice = Sha256::digest(once)[..] == *digest;
    let hexed = Sha256::digest(hex.as_bytes())[..] == *digest
        || Sha256::digest(hex.to_uppercase().as_bytes())[..] == *digest;
    (twice || hexed).then(|| {
        "the text was hashed before it was given to SHA256withRSA, which hashes itself: sign the \
         text"
            .to_owned()
    })
}

/// Writes JSON text again with other separators, order and escapes kept.
fn reformat(text: &str, between_items: &str, after_key: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in text.chars() {
        if in_string {
            out.push(character);
            if escaped {
                escaped = false;
            } else if character == '\\' {
                escaped = true;
            } else if character == '"' {
                in_string = false;
            }
        } else {
            match character {
                '"' => {
                    in_string = true;
                    out.push('"');
                }
                ',' => out.push_str(between_items),
                ':' => out.push_str(after_key),
                ' ' | '\n' | '\r' | '\t' => {}
                other => out.push(other),
            }
        }
    }
    out
}

/// Writes JSON text again a member to a line, order and escapes kept.
fn indented(text: &str, indent: &str) -> String {
    let compact = reformat(text, ",", ":");
    let mut out = String::with_capacity(compact.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut characters = compact.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                out.push(character);
                if let Some(close) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    out.push('\n');
                    out.push_str(&indent.repeat(depth));
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                out.push('\n');
                out.push_str(&indent.repeat(depth));
                out.push(character);
            }
            ',' => {
                out.push_str(",\n");
                out.push_str(&indent.repeat(depth));
            }
            ':' => out.push_str(": "),
            other => {
                in_string = other == '"';
                out.push(other);
            }
        }
    }
    out
}

/// Writes everything beyond ASCII as `\uXXXX`, as Python and PHP do by default.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// Reads `\uXXXX` beyond ASCII back and keeps all else, for bodies that were sent escaped and signed
/// unescaped.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |text: &str| {
            let digits = text.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(digits, 16).ok()
        };
        // A character beyond the basic plane is two escapes.
        let units = [unit(rest), rest.get(6..).and_then(unit)];
        let read: Option<char> = char::decode_utf16(units.into_iter().map_while(|unit| unit))
            .next()
            .and_then(Result::ok)
            .filter(|character| !character.is_ascii());
        match read {
            Some(character) => {
                out.push(character);
                rest = &rest[6 * character.len_utf16()..];
            }
            None => {
                // An escape of another kind: the character after the backslash belongs to it.
                let taken = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..taken]);
                rest = &rest[taken..];
            }
        }
    }
    out.push_str(rest);
    out
}
