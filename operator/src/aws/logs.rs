//! The functions' log lines.

use std::collections::BTreeSet;
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

/// How often it is looked for new lines.
pub const LOOK_EVERY: Duration = Duration::from_millis(1_500);

/// How far back a look for new lines goes, in milliseconds: lines reach CloudWatch a little late.
const LATE_MS: i64 = 20_000;

/// Lines as they come, each once.
#[derive(Debug)]
pub struct Coming {
    newest_ms: i64,
    seen: BTreeSet<(i64, String)>,
}

impl Coming {
    /// Those from a moment on, in Unix milliseconds.
    pub const fn from(from_ms: i64) -> Self {
        Self {
            newest_ms: from_ms.saturating_add(LATE_MS),
            seen: BTreeSet::new(),
        }
    }

    /// From when on the next look is, in Unix milliseconds.
    pub const fn from_ms(&self) -> i64 {
        self.newest_ms.saturating_sub(LATE_MS)
    }

    /// Those of what a look found, oldest first, that no earlier look had.
    pub fn new_of(&mut self, mut lines: Vec<Line>) -> Vec<Line> {
        lines.retain(|line| self.seen.insert((line.at_ms, line.id.clone())));
        if let Some(last) = lines.last() {
            self.newest_ms = self.newest_ms.max(last.at_ms);
            // What is older than the next look needs no remembering.
            self.seen = self.seen.split_off(&(self.from_ms(), String::new()));
        }
        lines
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

#[cfg(test)]
mod tests {
    use super::{Coming, LATE_MS, Line};

    fn lines(of: &[(i64, &str)]) -> Vec<Line> {
        let line = |(at_ms, id): &(i64, &str)| Line {
            id: (*id).to_owned(),
            at_ms: *at_ms,
            text: String::new(),
        };
        of.iter().map(line).collect()
    }

    fn ids(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.id.as_str()).collect()
    }

    #[test]
    fn a_line_comes_once_also_one_that_is_late_and_one_of_the_same_moment() {
        let mut coming = Coming::from(1_000);
        assert_eq!(coming.from_ms(), 1_000);
        assert_eq!(ids(&coming.new_of(lines(&[(1_500, "a")]))), ["a"]);
        assert_eq!(coming.from_ms(), 1_000);
        let later = 1_000 + 3 * LATE_MS;
        let second = lines(&[(1_500, "a"), (1_500, "b"), (later, "c")]);
        assert_eq!(ids(&coming.new_of(second)), ["b", "c"]);
        assert_eq!(coming.from_ms(), later - LATE_MS);
        let third = lines(&[(later - LATE_MS, "late"), (later, "c")]);
        assert_eq!(ids(&coming.new_of(third)), ["late"]);
        assert_eq!(coming.seen.len(), 2, "what is long gone is forgotten");
        assert_eq!(ids(&coming.new_of(Vec::new())), [""; 0]);
    }
}
