//! Answers: a status, a body and how they become HTTP.

use data_encoding::HEXLOWER;
use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::HeaderValue;
use lambda_http::http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, RETRY_AFTER};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

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
    /// `ETag`: names the body, for whoever keeps it.
    pub entity_tag: Option<String>,
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
            entity_tag: None,
            language: None,
        }
    }

    /// The same answer, which any cache may keep for so long: it is nobody's own.
    #[must_use]
    pub const fn cacheable(mut self, seconds: u32) -> Self {
        self.fresh_seconds = Some(seconds);
        self
    }

    /// The same answer with the tag of its body; where the caller has that body already, as the tags in its
    /// `If-None-Match` say, 304 without it.
    #[must_use]
    pub fn unless_known(mut self, if_none_match: Option<&str>) -> Self {
        let Some(body) = &self.body else {
            return self;
        };
        let digest = Sha256::digest(body.to_string());
        let tag = HEXLOWER.encode(digest.get(..16).unwrap_or_default());
        let tag = format!("\"{tag}\"");
        // A cache may call a tag weak that it was given as a strong one.
        let is_known = |known: &str| known == "*" || known.trim_start_matches("W/") == tag;
        let mut known = if_none_match.unwrap_or_default().split(',').map(str::trim);
        if known.any(is_known) {
            self.status = 304;
            self.body = None;
        }
        self.entity_tag = Some(tag);
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
            entity_tag: None,
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
        let tag = self
            .entity_tag
            .and_then(|tag| HeaderValue::try_from(tag).ok());
        if let Some(tag) = tag {
            headers.insert(ETAG, tag);
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_has_the_body_gets_none_and_who_has_another_does() {
        let answer = || Answer::json(200, json!({"items": [1]})).cacheable(60);
        let first = answer().unless_known(None);
        assert_eq!((first.status, first.body.is_some()), (200, true));
        let tag = first.entity_tag.unwrap_or_default();
        let other = Answer::json(200, json!({"items": [2]})).unless_known(Some(&tag));
        assert_eq!((other.status, other.body.is_some()), (200, true));
        assert_ne!(other.entity_tag.as_deref(), Some(tag.as_str()));
        for (known, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.trim_matches('"').to_owned(), 200),
            (String::new(), 200),
        ] {
            let answer = answer().unless_known(Some(&known));
            assert_eq!(answer.status, status, "{known}");
            assert_eq!(answer.body.is_none(), status == 304, "{known}");
            assert_eq!(answer.entity_tag.as_ref(), Some(&tag), "{known}");
        }
    }
}
