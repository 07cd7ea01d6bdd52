//! The console: the page at `/console`, and what only it asks for. A shop, a phone, and what really happens
//! between them; both sides' books.
//!
//! The page does what a merchant and a payer do, by the same API as they. It holds neither the merchant's
//! key nor an address of WeChat Pay's: what it asks for as the merchant, or of the simulator, goes
//! through here. The page and all that it asks for come from one address, and requests of other pages
//! are refused.

mod books;
mod files;
mod forward;
mod image;
mod notice;
mod story;

use std::sync::Arc;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::aws::Aws;
use crate::loopback;
use crate::recorder::Recorder;
use story::Story;

/// Only the page's own files run and style it, it talks to this address alone, no other page frames it,
/// and no text can become markup even by mistake.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// What a console is made of.
pub struct ConsoleParts {
    /// Names and addresses, shown as they are.
    pub places: Value,
    /// The API.
    pub api_url: String,
    /// The merchant's key for it. It is never shown.
    pub merchant_api_key: String,
    /// Where the simulator is controlled.
    pub control_url: String,
    /// What opens a notification's resource.
    pub apiv3_key: String,
    /// Asks both.
    pub http: reqwest::Client,
    /// The table.
    pub aws: Arc<Aws>,
    /// What passed through the stack.
    pub recorder: Arc<Recorder>,
}

/// The console.
pub struct Console {
    parts: ConsoleParts,
    story: Mutex<Story>,
}

/// A request, as far as the console looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its address.
    pub uri: &'a Uri,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
}

impl Console {
    /// A console of these parts.
    pub fn new(parts: ConsoleParts) -> Self {
        Self {
            parts,
            story: Mutex::default(),
        }
    }

    /// The answer to a request of this decoded path, if it is one of the console's.
    pub async fn answer(&self, path: &str, asked: Asked<'_>) -> Option<Response> {
        let inside = path.strip_prefix("/console")?;
        let reads = matches!(*asked.method, Method::GET | Method::HEAD);
        if reads && let Some(file) = files::of(inside) {
            return Some(shown((file.kind, file.text)));
        }
        let raw = asked.uri.path().strip_prefix("/console").unwrap_or(inside);
        let known = match inside {
            "/books" | "/story" => reads,
            _ => raw.starts_with("/merchant/") || raw.starts_with("/wechatpay/"),
        };
        if !known {
            return None;
        }
        if !loopback::is_own(asked.headers) {
            let why = json!({"message": "only the console's own page may ask for this"});
            return Some((StatusCode::FORBIDDEN, Json(why)).into_response());
        }
        let answer = match inside {
            "/books" => self.books().await.map(told),
            "/story" => self.told_after(asked.uri.query()).await.map(told),
            _ => forward::forward(&self.parts, raw, asked).await,
        };
        Some(answer.unwrap_or_else(|why| {
            (StatusCode::BAD_GATEWAY, Json(json!({"message": why}))).into_response()
        }))
    }

    /// Both sides' books, compared.
    async fn books(&self) -> Result<Value, String> {
        let ledger = self.control("/_sim/ledger").await?;
        let rows = ledger["items"].as_array();
        let items = books::items(&self.parts.aws.table)?;
        let mut compared = books::compare(&items, rows.map_or(&[][..], Vec::as_slice));
        compared["places"] = self.parts.places.clone();
        Ok(compared)
    }

    /// What happened after the entry of this number.
    async fn told_after(&self, query: Option<&str>) -> Result<Value, String> {
        let query = query.unwrap_or_default();
        let after = query.strip_prefix("after=").unwrap_or_default();
        let after = after.parse().unwrap_or_default();
        // One page at a time: what is taken from the recorder is taken once.
        let mut story = self.story.lock().await;
        story.catch_up(self).await?;
        Ok(story.after(after))
    }

    /// What the simulator's control port answers.
    async fn control(&self, path: &str) -> Result<Value, String> {
        let silent = |error: reqwest::Error| format!("the simulator does not answer: {error}");
        let url = format!("{}{path}", self.parts.control_url);
        let answer = self.parts.http.get(url).send().await.map_err(silent)?;
        answer.json().await.map_err(silent)
    }
}

fn told(value: Value) -> Response {
    shown(("application/json", value.to_string()))
}

fn shown((kind, text): (&'static str, impl IntoResponse)) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}
