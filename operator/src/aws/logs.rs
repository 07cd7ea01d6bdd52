//! The functions' log lines.

use std::time::Duration;

use serde_json::{Value, json};

use super::Aws;
use super::call::Called;
use crate::exit::Failure;

/// How long one page may take.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How many pages are read at most; CloudWatch gives empty ones where it looked and found nothing.
const PAGES_MAX: u32 = 2_000;

/// Which lines.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The log group.
    pub group: &'a str,
    /// From when on, in Unix milliseconds.
    pub from_ms: i64,
    /// Until when, in Unix milliseconds.
    pub until_ms: Option<i64>,
    /// Only lines with this word in them.
    pub term: Option<&'a str>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// CloudWatch's name for it.
    pub id: String,
    /// When it was written, in Unix milliseconds.
    pub at_ms: i64,
    /// Its text, which is JSON where a function wrote it.
    pub text: String,
}

impl Line {
    /// What it says; nothing where it is no JSON.
    pub fn fields(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

impl Aws {
    /// The lines, oldest first.
    ///
    /// # Errors
    /// They may not be read, or there is no usable answer.
    pub async fn lines(&self, wanted: &Wanted<'_>) -> Result<Vec<Line>, Failure> {
        let mut request = json!({"logGroupName": wanted.group, "startTime": wanted.from_ms});
        if let Some(until_ms) = wanted.until_ms {
            request["endTime"] = json!(until_ms);
        }
        if let Some(term) = wanted.term {
            request["filterPattern"] = json!(format!("\"{term}\""));
        }
        let mut lines = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.page(&request).await?;
            let events = page["events"].as_array().into_iter().flatten();
            lines.extend(events.map(|event| {
                Line {
                    id: event["eventId"].as_str().unwrap_or_default().to_owned(),
                    at_ms: event["timestamp"].as_i64().unwrap_or_default(),
                    text: event["message"]
                        .as_str()
                        .unwrap_or_default()
                        .trim_end()
                        .to_owned(),
                }
            }));
            if page["nextToken"].is_null() {
                lines.sort_by_key(|line| line.at_ms);
                return Ok(lines);
            }
            request["nextToken"] = page["nextToken"].clone();
        }
        Err(Failure::Failed(
            "there are more log lines than can be read at once: name a shorter time".to_owned(),
        ))
    }

    async fn page(&self, request: &Value) -> Result<Value, Failure> {
        let answered = self
            .post(&Called {
                service: "logs",
                action: "logs:FilterLogEvents",
                path: "/",
                headers: &[
                    ("content-type", "application/x-amz-json-1.1"),
                    ("x-amz-target", "Logs_20140328.FilterLogEvents"),
                ],
                body: &request.to_string(),
                time_max: TIME_MAX,
            })
            .await?;
        let body: Value = serde_json::from_str(&answered.body).unwrap_or(Value::Null);
        if answered.status.is_success() {
            return Ok(body);
        }
        let said = body["message"].as_str().or(body["Message"].as_str());
        let said = format!("the logs: {} {}", answered.status, said.unwrap_or_default());
        if answered.status.is_server_error() || said.contains("hrottl") {
            return Err(Failure::NoAnswer(said));
        }
        Err(Failure::NoAccess(said))
    }
}
