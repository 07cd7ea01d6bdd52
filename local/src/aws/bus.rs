//! EventBridge on this machine: what is put on the bus becomes a line of `events.jsonl`, in the envelope
//! in which rules' targets get it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use shared::domain::Timestamp;
use shared::random;
use shared::rfc3339;
use tokio::sync::watch;

use crate::lock::locked;
use crate::recorder::Recorder;
use crate::template::{ACCOUNT, REGION};

/// How many events one call takes.
const ENTRIES_MAX: usize = 10;

/// How large a call may be.
const CALL_MAX: usize = 256 * 1024;

/// The bus, with all that was put on it.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: Mutex<File>,
    lines: watch::Sender<u64>,
    recorder: Arc<Recorder>,
}

impl Events {
    /// The bus whose events stand in this file; what stands there stays. New ones are told to the recorder.
    pub(super) fn open(path: PathBuf, recorder: Arc<Recorder>) -> Result<Self, String> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file =
            file.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        Ok(Self {
            path,
            file: Mutex::new(file),
            lines: watch::Sender::new(0),
            recorder,
        })
    }

    /// The file, an event a line.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes whenever events were put.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.lines.subscribe()
    }

    /// The events that were put so far, oldest first.
    pub fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    pub(super) fn call(
        &self,
        operation: &str,
        request: &Value,
    ) -> Result<Value, (&'static str, String)> {
        if operation != "PutEvents" {
            return Err((
                "UnknownOperationException",
                "only PutEvents is here".to_owned(),
            ));
        }
        self.put(request, false)
    }

    /// Puts events; where `leave_some`, every second one is left behind.
    pub(super) fn put(
        &self,
        request: &Value,
        leave_some: bool,
    ) -> Result<Value, (&'static str, String)> {
        let entries = request["Entries"].as_array().map_or(&[][..], Vec::as_slice);
        if entries.is_empty() || entries.len() > ENTRIES_MAX {
            let why = format!(
                "{} entries, and a call takes 1 to {ENTRIES_MAX}",
                entries.len()
            );
            return Err(("ValidationException", why));
        }
        if request.to_string().len() > CALL_MAX {
            let why = "the entries are larger than 256 KB together".to_owned();
            return Err(("ValidationException", why));
        }
        let mut answered = Vec::new();
        let (mut lines, mut failed, mut put) = (String::new(), 0, Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            if leave_some && place % 2 == 1 {
                failed += 1;
                answered
                    .push(json!({"ErrorCode": "InternalFailure", "ErrorMessage": "on purpose"}));
                continue;
            }
            match enveloped(entry) {
                Ok(event) => {
                    answered.push(json!({"EventId": event["id"]}));
                    lines.push_str(&format!("{event}\n"));
                    put.push(event);
                }
                Err(why) => {
                    failed += 1;
                    answered.push(json!({"ErrorCode": "MalformedDetail", "ErrorMessage": why}));
                }
            }
        }
        // One write for all: a process that dies leaves whole lines.
        let written = locked(&self.file).write_all(lines.as_bytes());
        written.map_err(|error| ("InternalException", error.to_string()))?;
        put.into_iter().for_each(|event| self.recorder.event(event));
        self.lines.send_modify(|lines| *lines += 1);
        Ok(json!({"FailedEntryCount": failed, "Entries": answered}))
    }
}

/// An event in the envelope in which rules' targets get it. EventBridge gives it an id of its own, each
/// time that it is put; the event's lasting id stands in its detail.
fn enveloped(entry: &Value) -> Result<Value, String> {
    let detail = entry["Detail"].as_str().unwrap_or_default();
    let detail: Value = serde_json::from_str(detail).map_err(|error| error.to_string())?;
    if !detail.is_object() {
        return Err("the detail is no object".to_owned());
    }
    let at = entry["Time"].as_f64().unwrap_or_default() as i64;
    Ok(json!({
        "version": "0",
        "id": random::token(),
        "detail-type": entry["DetailType"],
        "source": entry["Source"],
        "account": ACCOUNT,
        "time": rfc3339::format_utc(Timestamp::from_unix_seconds(at)),
        "region": REGION,
        "resources": [],
        "detail": detail,
    }))
}
