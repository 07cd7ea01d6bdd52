//! The event of a request, payload 2.0, member by member as AWS documents and sends it
//! ("Create AWS Lambda proxy integrations for HTTP APIs" in API Gateway's developer guide).
//!
//! What AWS leaves out is left out here: `cookies`, `queryStringParameters`, `pathParameters` and
//! `body` where there is nothing to say, `authorizer` and `authentication` always.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use shared::random;
use time::macros::format_description;

use crate::template::ACCOUNT;

/// The API's id, which is also the first label of its domain name on AWS.
const API_ID: &str = "local";

/// Content types whose bodies are handed over as text.
const TEXT_TYPES: [&str; 3] = [
    "application/json",
    "application/xml",
    "application/javascript",
];

/// A request and the route that it takes.
pub(super) struct Called<'a> {
    pub(super) route_key: &'a str,
    /// Decoded.
    pub(super) path: &'a str,
    pub(super) parameters: Map<String, Value>,
    pub(super) parts: &'a Parts,
    pub(super) source: SocketAddr,
    pub(super) body: &'a [u8],
    pub(super) domain_name: &'a str,
    /// In Unix milliseconds.
    pub(super) now_ms: i64,
}

/// The path as AWS takes it: decoded once, and cut where a `?` appears by that.
pub(super) fn decoded_path(uri: &Uri) -> String {
    let decoded = percent_decode_str(uri.path()).decode_utf8_lossy();
    let path = decoded.split('?').next().unwrap_or_default();
    path.to_owned()
}

/// The event.
pub(super) fn of(called: &Called<'_>) -> Value {
    let (parts, query) = (called.parts, called.parts.uri.query().unwrap_or_default());
    let user_agent = parts.headers.get(header::USER_AGENT);
    let user_agent = user_agent.and_then(|value| value.to_str().ok());
    let mut event = json!({
        "version": "2.0",
        "routeKey": called.route_key,
        "rawPath": called.path,
        "rawQueryString": query,
        "headers": headers(called),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": API_ID,
            "domainName": called.domain_name,
            "domainPrefix": API_ID,
            "http": {
                "method": parts.method.as_str(),
                "path": called.path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": called.source.ip().to_string(),
                "userAgent": user_agent.unwrap_or_default(),
            },
            "requestId": random::token(),
            "routeKey": called.route_key,
            "stage": "$default",
            "time": clf_time(called.now_ms),
            "timeEpoch": called.now_ms,
        },
        "isBase64Encoded": false,
    });
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    let parameters = query_parameters(query);
    if !parameters.is_empty() {
        event["queryStringParameters"] = json!(parameters);
    }
    if !called.parameters.is_empty() {
        event["pathParameters"] = Value::Object(called.parameters.clone());
    }
    if !called.body.is_empty() {
        let (body, encoded) = event_body(&parts.headers, called.body);
        event["body"] = Value::from(body);
        event["isBase64Encoded"] = Value::from(encoded);
    }
    event
}

/// Adds a value to those of its name, with a comma.
fn join(joined: &mut BTreeMap<String, String>, name: &str, value: &str) {
    joined
        .entry(name.to_owned())
        .and_modify(|known| {
            known.push(',');
            known.push_str(value);
        })
        .or_insert_with(|| value.to_owned());
}

/// Names in lower case, the values of one name joined, without the cookies and with what API Gateway
/// adds. What a caller says about proxies before it stays in front.
fn headers(called: &Called<'_>) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::new();
    for (name, value) in &called.parts.headers {
        if name != header::COOKIE {
            let value = String::from_utf8_lossy(value.as_bytes());
            join(&mut joined, name.as_str(), &value);
        }
    }
    let source = called.source.ip().to_string();
    let forwarded = match joined.get("x-forwarded-for") {
        Some(before) => format!("{before}, {source}"),
        None => source,
    };
    joined.insert("x-forwarded-for".to_owned(), forwarded);
    let port = called.domain_name.rsplit(':').next().unwrap_or_default();
    for (name, value) in [
        ("x-forwarded-proto", "http".to_owned()),
        ("x-forwarded-port", port.to_owned()),
        ("x-amzn-trace-id", trace_id(called.now_ms)),
    ] {
        joined.entry(name.to_owned()).or_insert(value);
    }
    joined
}

/// A trace id of X-Ray's: the time in seconds and 96 random bits, in hexadecimal digits.
fn trace_id(now_ms: i64) -> String {
    let random: [u8; 12] = shared::random::bytes();
    format!("Root=1-{:08x}-{}", now_ms / 1000, HEXLOWER.encode(&random))
}

/// Every cookie by itself, also where one header holds several.
fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter();
    values
        .flat_map(|value| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let cookies = value.split(';').map(|cookie| cookie.trim().to_owned());
            cookies.collect::<Vec<String>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        join(&mut joined, &name, &value);
    }
    joined
}

/// A time as the Common Log Format writes it: `25/Nov/2026:09:14:12 +0000`.
fn clf_time(unix_ms: i64) -> String {
    time::UtcDateTime::from_unix_timestamp(unix_ms / 1000)
        .ok()
        .and_then(|time| {
            time.format(format_description!(
                "[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000"
            ))
            .ok()
        })
        .unwrap_or_default()
}

/// Text types as text, everything else in base64.
fn event_body(headers: &HeaderMap, body: &[u8]) -> (String, bool) {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(Ok("text/plain"), |value| value.to_str());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let textual =
        kind.starts_with("text/") || TEXT_TYPES.iter().any(|known| kind.starts_with(known));
    match std::str::from_utf8(body) {
        Ok(text) if textual => (text.to_owned(), false),
        Ok(_) | Err(_) => (STANDARD.encode(body), true),
    }
}

#[cfg(test)]
mod tests;
