//! What the page does as the merchant, and what it does at the simulated WeChat Pay: passed on as it is.
//! The merchant's key is added here, so that the page never holds it.

use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::{Asked, ConsoleParts};

/// Passes a request on whose path below `/console` begins with `/merchant` or `/wechatpay`.
///
/// # Errors
/// Says who does not answer.
pub(super) async fn forward(
    parts: &ConsoleParts,
    path: &str,
    asked: Asked<'_>,
) -> Result<Response, String> {
    let query = asked.uri.query();
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let (who, url, key) = match path.strip_prefix("/merchant") {
        Some(path) => {
            let url = format!("{}{path}{query}", parts.api_url);
            ("the API", url, Some(&parts.merchant_api_key))
        }
        None => {
            let path = path.strip_prefix("/wechatpay").unwrap_or(path);
            let url = format!("{}/_sim{path}{query}", parts.control_url);
            ("the simulator", url, None)
        }
    };
    let mut request = parts.http.request(asked.method.clone(), url);
    for name in [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE] {
        if let Some(value) = asked.headers.get(&name) {
            request = request.header(name, value);
        }
    }
    if let Some(key) = asked.headers.get("idempotency-key") {
        request = request.header("idempotency-key", key);
    }
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let silent = |error: reqwest::Error| format!("{who} does not answer: {error}");
    let answer = request.body(asked.body.to_vec()).send().await;
    let answer = answer.map_err(silent)?;
    let status = answer.status();
    let kind = answer.headers().get(CONTENT_TYPE).cloned();
    let body = answer.bytes().await.map_err(silent)?;
    let mut passed = (status, [(CACHE_CONTROL, "no-store")], body).into_response();
    passed.headers_mut().remove(CONTENT_TYPE);
    if let Some(kind) = kind {
        passed.headers_mut().insert(CONTENT_TYPE, kind);
    }
    Ok(passed)
}
