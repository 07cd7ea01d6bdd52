//! The Authorization header and the text that its signature is over.

use std::collections::HashMap;

use super::request::Request;

/// The scheme of the Authorization header.
pub(super) const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// A request may be at most this old or early, in seconds of real time (docs/simulator.md,
/// `authorization`).
pub(super) const WINDOW_S: i64 = 300;

/// The five values of an Authorization header.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    pub(crate) mchid: String,
    pub(crate) nonce: String,
    pub(crate) signature: String,
    pub(crate) timestamp: String,
    pub(crate) serial_no: String,
}

/// Reads the header; pairs may come in any order.
pub(super) fn parse(header: &str) -> Result<Authorization, &'static str> {
    let Some((SCHEME, pairs)) = header.split_once(' ') else {
        return Err("the Authorization scheme is not WECHATPAY2-SHA256-RSA2048");
    };
    let mut values: HashMap<&str, &str> = HashMap::new();
    for pair in pairs.split(',') {
        let Some((name, value)) = pair.split_once('=') else {
            return Err("a part of Authorization is no name=\"value\" pair");
        };
        let quoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        let Some(value) = quoted else {
            return Err("a value of Authorization is not in double quotes");
        };
        values.insert(name.trim(), value);
    }
    let mut take = |name: &str, why: &'static str| {
        values
            .remove(name)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .ok_or(why)
    };
    let authorization = Authorization {
        mchid: take("mchid", "Authorization lacks mchid")?,
        nonce: take("nonce_str", "Authorization lacks nonce_str")?,
        signature: take("signature", "Authorization lacks signature")?,
        timestamp: take("timestamp", "Authorization lacks timestamp")?,
        serial_no: take("serial_no", "Authorization lacks serial_no")?,
    };
    // Digits alone: a number may also carry a sign, which no timestamp does.
    let digits = authorization
        .timestamp
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    if !digits || authorization.timestamp.parse::<i64>().is_err() {
        return Err("timestamp is no number of seconds");
    }
    Ok(authorization)
}

/// The serial a request names, whether or not it is right; for the request log.
pub(crate) fn claimed_serial(request: &Request) -> Option<String> {
    parse(request.header("authorization")?)
        .ok()
        .map(|authorization| authorization.serial_no)
}

/// The merchant a request names, whether or not it is right.
pub(crate) fn claimed_mchid(request: &Request) -> Option<String> {
    parse(request.header("authorization")?)
        .ok()
        .map(|authorization| authorization.mchid)
}

/// The five lines that are signed (docs/simulator.md, `signed-text` and `uploads`).
pub(super) fn message(request: &Request, authorization: &Authorization, body: &[u8]) -> Vec<u8> {
    let mut message = head_of(request, authorization).into_bytes();
    message.extend_from_slice(body);
    message.push(b'\n');
    message
}

/// The first four of the lines that are signed, of a request that says what it signed.
pub(super) fn head(request: &Request) -> Option<String> {
    let authorization = parse(request.header("authorization")?).ok()?;
    Some(head_of(request, &authorization))
}

fn head_of(request: &Request, authorization: &Authorization) -> String {
    format!(
        "{}\n{}\n{}\n{}\n",
        request.method, request.target, authorization.timestamp, authorization.nonce
    )
}

/// The seconds that a timestamp states; what states none, or a time before 1970, counts as 0.
pub(crate) fn seconds(timestamp: &str) -> i64 {
    timestamp.parse().unwrap_or(0).max(0)
}
