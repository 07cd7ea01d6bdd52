//! A function's answer as HTTP, and the gateway's own.

use axum::body::Body;
use axum::http::header::SET_COOKIE;
use axum::http::{Response as HttpResponse, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What API Gateway answers by itself.
pub(super) fn message(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({"message": message}))).into_response()
}

/// What API Gateway answers where a function did not, in the form of a function's answer.
pub(super) fn failed(status: u16, message: &str) -> Value {
    let headers = json!({"content-type": "application/json"});
    let body = json!({"message": message}).to_string();
    json!({"statusCode": status, "headers": headers, "body": body})
}

/// The headers of a function's answer that have one value.
pub(super) fn headers_of(answer: &Value) -> Vec<(String, String)> {
    let headers = answer["headers"].as_object().into_iter().flatten();
    let texts = headers.filter_map(|(name, value)| Some((name, value.as_str()?)));
    texts
        .map(|(name, value)| (name.clone(), value.to_owned()))
        .collect()
}

/// The function's answer.
pub(super) fn http_answer(answer: &Value) -> Response {
    let status = answer["statusCode"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    let mut response = HttpResponse::builder().status(status.unwrap_or(500));
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            response = response.header(name, value);
        }
    }
    for (name, values) in answer["multiValueHeaders"]
        .as_object()
        .into_iter()
        .flatten()
    {
        for value in texts(values) {
            if answer["headers"].get(name).is_none() {
                response = response.header(name, value);
            }
        }
    }
    for cookie in texts(&answer["cookies"]) {
        response = response.header(SET_COOKIE, cookie);
    }
    let text = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        STANDARD.decode(text).unwrap_or_default()
    } else {
        text.as_bytes().to_vec()
    };
    response
        .body(Body::from(body))
        .unwrap_or_else(|_| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

fn texts(values: &Value) -> impl Iterator<Item = &str> {
    values
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
