//! The stack's API, called as the merchant. Whatever is asked here may be asked again (docs/api.md, "Sending it
//! again"), so a request without a usable answer is sent again before the command gives up.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::exit::Failure;
use crate::output::text;

/// How often a request is sent before it has failed.
const ATTEMPTS_MAX: u32 = 3;

/// How long one attempt may take: longer than API Gateway's own bound.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(31);

/// The longest that `Retry-After` is waited for.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The API and the merchant's key.
pub struct Api {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Api")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// An answer that is no refusal.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Api {
    /// The API at this address.
    pub fn new(http: reqwest::Client, url: &str, key: &str) -> Self {
        Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        }
    }

    /// Gets a path with this query.
    ///
    /// # Errors
    /// The API refuses, or gives no usable answer.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.send(Method::GET, path, query, None).await
    }

    /// Posts to a path.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        self.send(Method::POST, path, &[], body).await
    }

    /// Gets all pages of a list, at most so many items; and whether there are more.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list(
        &self,
        path: &str,
        query: &[(&str, &str)],
        limit: usize,
    ) -> Result<(Vec<Value>, bool), Failure> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut asked = query.to_vec();
            if let Some(token) = &token {
                asked.push(("next_token", token));
            }
            let page = self.get(path, &asked).await?.body;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            token = page["next_token"].as_str().map(str::to_owned);
            if token.is_none() || items.len() >= limit {
                let more = token.is_some() || items.len() > limit;
                items.truncate(limit);
                return Ok((items, more));
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let mut attempt = 1;
        loop {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.url))
                .timeout(ATTEMPT_TIMEOUT)
                .bearer_auth(&self.key)
                .query(query);
            if let Some(body) = body {
                request = request.json(body);
            }
            let (failure, pause) = match request.send().await {
                Ok(answer) => {
                    let pause = retry_after(&answer);
                    match self.read(answer).await {
                        Err(failure @ Failure::NoAnswer(_)) => (failure, pause),
                        settled => return settled,
                    }
                }
                Err(_) => {
                    let silent = format!("{} does not answer", self.url);
                    (Failure::NoAnswer(silent), None)
                }
            };
            if attempt >= ATTEMPTS_MAX {
                return Err(failure);
            }
            let usual = Duration::from_secs(u64::from(attempt));
            tokio::time::sleep(pause.unwrap_or(usual).min(PAUSE_MAX)).await;
            attempt += 1;
        }
    }

    async fn read(&self, answer: reqwest::Response) -> Result<Answer, Failure> {
        let status = answer.status();
        let Ok(bytes) = answer.bytes().await else {
            return Err(Failure::NoAnswer(format!("{} broke off", self.url)));
        };
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(Answer {
                status: status.as_u16(),
                body,
            });
        }
        Err(refusal(status, &body))
    }
}

/// What a refusal means for whoever asked.
fn refusal(status: StatusCode, body: &Value) -> Failure {
    let said = match (body["code"].as_str(), body["detail"].as_str()) {
        (Some(code), Some(detail)) => format!("{detail} ({code}{})", wechatpay(body)),
        _ => format!(
            "the API answers {}: {}",
            status.as_u16(),
            text(&body["message"])
        ),
    };
    match status.as_u16() {
        401 | 403 => Failure::NoAccess(format!("the API does not know this key: {said}")),
        404 => Failure::NotFound(said),
        429 | 500..=599 => Failure::NoAnswer(said),
        _ => Failure::Refused(said),
    }
}

fn wechatpay(body: &Value) -> String {
    body["wechatpay_code"]
        .as_str()
        .map_or_else(String::new, |code| format!(", WeChat Pay: {code}"))
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(reqwest::header::RETRY_AFTER)?;
    let seconds = seconds.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
