//! CloudWatch Logs on this machine: the functions' lines as they stand in the data folder, for whoever looks
//! for those of a time or with a word in them.

use std::path::PathBuf;

use serde_json::{Value, json};
use shared::rfc3339;

/// How many lines an answer has at most.
const PAGE: usize = 1_000;

/// The file of the functions' lines.
#[derive(Debug)]
pub(super) struct Logs {
    file: PathBuf,
}

impl Logs {
    pub(super) const fn of(file: PathBuf) -> Self {
        Self { file }
    }

    pub(super) fn call(
        &self,
        operation: &str,
        request: &Value,
    ) -> Result<Value, (&'static str, String)> {
        if operation != "FilterLogEvents" {
            let why = "only FilterLogEvents is here".to_owned();
            return Err(("UnknownOperationException", why));
        }
        let term = term(request["filterPattern"].as_str().unwrap_or_default())?;
        let from = request["startTime"].as_i64().unwrap_or(i64::MIN);
        let until = request["endTime"].as_i64().unwrap_or(i64::MAX);
        let begin: usize = match request["nextToken"].as_str() {
            None => 0,
            Some(token) => token.parse().map_err(|_| {
                let why = "The specified nextToken is invalid.";
                ("InvalidParameterException", why.to_owned())
            })?,
        };
        // A stack that has not said anything yet has no file.
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut found = Vec::new();
        for (place, line) in text.lines().enumerate().skip(begin) {
            if found.len() == PAGE {
                return Ok(json!({"events": found, "nextToken": place.to_string()}));
            }
            let at = moment_ms(line);
            if (from..=until).contains(&at) && line.contains(&term) {
                found.push(json!({
                    "eventId": place.to_string(), "timestamp": at, "ingestionTime": at,
                    "logStreamName": "local", "message": line,
                }));
            }
        }
        Ok(json!({"events": found}))
    }
}

/// The word that a pattern looks for: one term between quotes, or nothing. CloudWatch has more patterns, and
/// none of these is guessed at.
fn term(pattern: &str) -> Result<String, (&'static str, String)> {
    if pattern.is_empty() {
        return Ok(String::new());
    }
    let inside = pattern
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inside {
        Some(term) if !term.contains(['"', '\\']) => Ok(term.to_owned()),
        Some(_) | None => {
            let why = "only one term between quotes is known here".to_owned();
            Err(("InvalidParameterException", why))
        }
    }
}

/// When a line was written, in Unix milliseconds.
fn moment_ms(line: &str) -> i64 {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let text = line["timestamp"].as_str().unwrap_or_default();
    let seconds = rfc3339::parse(text).map_or(0, |at| at.unix_seconds());
    let fraction = text
        .split_once('.')
        .map(|(_, rest)| rest.trim_end_matches('Z'));
    let millis: i64 = fraction.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(millis)
}
