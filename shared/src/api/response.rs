//! Answers: a status, a body and how they become HTTP.

use std::future::{Future, ready};
use std::pin::Pin;

use lambda_http::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use lambda_http::{Body, IntoResponse, Response};
use serde_json::Value;

/// An HTTP answer that Lambda gets as it is, since our bodies are text already.
///
/// lambda_http would make every body text by the charset of its type, and for that bring the tables
/// of all text encodings into each binary.
#[derive(Debug)]
pub struct TextResponse(pub Response<Body>);

impl IntoResponse for TextResponse {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        Box::pin(ready(self.0))
    }
}

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
}

impl Answer {
    /// A JSON answer.
    pub const fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Some(body),
            content_type: "application/json",
            retry_after: None,
        }
    }

    /// 204.
    pub const fn nothing() -> Self {
        Self {
            status: 204,
            body: None,
            content_type: "application/json",
            retry_after: None,
        }
    }

    /// The answer as HTTP.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::builder()
            .status(self.status)
            .header(CACHE_CONTROL, "no-store");
        if let Some(seconds) = self.retry_after {
            response = response.header(RETRY_AFTER, seconds);
        }
        let built = match self.body {
            Some(body) => response
                .header(CONTENT_TYPE, self.content_type)
                .body(Body::Text(body.to_string())),
            None => response.body(Body::Empty),
        };
        built.unwrap_or_else(|_| {
            // Every part above is a valid one; this is what is left if that ever changes.
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = lambda_http::http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}
