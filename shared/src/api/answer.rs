//! Answers: a status, a body and how they become HTTP.

use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::HeaderValue;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use serde_json::Value;

use super::language::Language;

/// What goes back to a caller.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, none with 204.
    pub body: Option<Value>,
    /// The body's type.
    pub content_type: &'static str,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
    /// How long any cache may keep it, in seconds; none may where this is `None`.
    pub fresh_seconds: Option<u32>,
    /// `Content-Language`, where the caller chose it.
    pub language: Option<Language>,
}

impl Answer {
    /// A JSON answer.
    pub const fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            content_type: "application/json",
            retry_after: None,
            fresh_seconds: None,
            language: None,
        }
    }

    /// The same answer, which any cache may keep for so long: it is nobody's own.
    #[must_use]
    pub const fn cacheable(mut self, seconds: u32) -> Self {
        self.fresh_seconds = Some(seconds);
        self
    }

    /// 204.
    pub const fn nothing() -> Self {
        Self {
            status: 204,
            body: None,
            content_type: "application/json",
            retry_after: None,
            fresh_seconds: None,
            language: None,
        }
    }

    /// The answer as API Gateway reads it.
    ///
    /// `lambda_http` would make every body text by the charset of its type, and for that bring the
    /// tables of all text encodings into each binary; our bodies are text already.
    pub fn into_response(self) -> ApiGatewayV2httpResponse {
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(self.status);
        let headers = &mut response.headers;
        let cached = self
            .fresh_seconds
            .and_then(|seconds| HeaderValue::try_from(format!("public, max-age={seconds}")).ok());
        let cached = cached.unwrap_or_else(|| HeaderValue::from_static("no-store"));
        headers.insert(CACHE_CONTROL, cached);
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(language) = self.language {
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        }
        if let Some(body) = self.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            response.body = Some(Body::Text(body.to_string()));
        }
        response
    }
}
