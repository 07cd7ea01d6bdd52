//! What passed through the stack, for the console to show: requests to the API with their answers, writes to
//! the table, events put on the bus. In memory, the newest of each, with credentials and cards masked.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::Value;
use shared::clock::Clock;

use crate::lock::locked;

/// How many things of a kind are kept until they are taken.
const KEPT_MAX: usize = 500;
/// How much of a body is kept, in bytes.
const BODY_MAX: usize = 16 * 1024;
/// What stands in place of a secret.
const MASK: &str = "…";
/// Headers whose value is a credential.
const SECRET_HEADERS: [&str; 3] = ["authorization", "x-api-key", "cookie"];
/// Members of bodies that are credentials, or whose card it is.
const SECRET_MEMBERS: [&str; 4] = ["token", "code", "bank_account", "real_name"];

/// Headers and body of a request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The headers, in their order.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Message {
    /// A message as it may be kept: what is secret is masked, a long body is cut.
    pub fn of(headers: impl IntoIterator<Item = (String, String)>, body: &[u8]) -> Self {
        let headers = headers.into_iter().map(|(name, value)| {
            let secret = SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str());
            let value = if secret { masked(&value) } else { value };
            (name, value)
        });
        Self {
            headers: headers.collect(),
            body: kept_body(body),
        }
    }
}

/// A request to the API and its answer.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it came, in Unix milliseconds of real time.
    pub at_ms: i64,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// The method.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// The function that answered, by its logical id.
    pub function: String,
    /// What was sent.
    pub request: Message,
    /// The answer's status.
    pub status: u16,
    /// What was answered.
    pub answer: Message,
}

/// A write to the table that was done.
#[derive(Clone, Debug)]
pub struct Write {
    /// When it was answered, in Unix milliseconds of real time.
    pub at_ms: i64,
    /// The function that wrote, by its logical id.
    pub caller: String,
    /// The keys of the items, partition and sort key.
    pub keys: Vec<(String, String)>,
}

/// An event that was put on the bus.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it was put, in Unix milliseconds of real time.
    pub at_ms: i64,
    /// The event as rules' targets get it.
    pub envelope: Value,
}

/// What was kept and not taken yet. One reader takes it.
#[derive(Debug)]
pub struct Recorder {
    clock: Clock,
    calls: Mutex<VecDeque<Call>>,
    writes: Mutex<VecDeque<Write>>,
    events: Mutex<VecDeque<Event>>,
}

impl Recorder {
    /// A recorder that reads this clock.
    pub const fn new(clock: Clock) -> Self {
        Self {
            clock,
            calls: Mutex::new(VecDeque::new()),
            writes: Mutex::new(VecDeque::new()),
            events: Mutex::new(VecDeque::new()),
        }
    }

    /// Real time in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.clock.wall_millis()
    }

    /// How far the business clock is ahead of real time, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        let ahead_s = self.clock.business().seconds_since(self.clock.wall());
        ahead_s * 1_000
    }

    /// Keeps a request to the API.
    pub fn call(&self, call: Call) {
        keep(&self.calls, call);
    }

    /// Keeps a write that this function did with this request of DynamoDB's.
    pub fn write(&self, caller: &str, request: &Value) {
        let mut keys = Vec::new();
        collect_keys(request, &mut keys);
        let at_ms = self.now_ms();
        let caller = caller.to_owned();
        keep(
            &self.writes,
            Write {
                at_ms,
                caller,
                keys,
            },
        );
    }

    /// Keeps an event.
    pub fn event(&self, envelope: Value) {
        let at_ms = self.now_ms();
        keep(&self.events, Event { at_ms, envelope });
    }

    /// The requests since the last taking, oldest first.
    pub fn take_calls(&self) -> Vec<Call> {
        locked(&self.calls).drain(..).collect()
    }

    /// The writes since the last taking, oldest first.
    pub fn take_writes(&self) -> Vec<Write> {
        locked(&self.writes).drain(..).collect()
    }

    /// The events since the last taking, oldest first.
    pub fn take_events(&self) -> Vec<Event> {
        locked(&self.events).drain(..).collect()
    }
}

fn keep<T>(kept: &Mutex<VecDeque<T>>, thing: T) {
    let mut kept = locked(kept);
    if kept.len() == KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back(thing);
}

/// The keys of every item that a request names, wherever they stand in it.
fn collect_keys(request: &Value, keys: &mut Vec<(String, String)>) {
    match request {
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(|value| value["S"].as_str());
            match (text("pk"), text("sk")) {
                (Some(pk), Some(sk)) => keys.push((pk.to_owned(), sk.to_owned())),
                _ => members.values().for_each(|value| collect_keys(value, keys)),
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A credential without what makes it one: its scheme stays.
fn masked(credential: &str) -> String {
    match credential.split_once(' ') {
        Some((scheme, _)) => format!("{scheme} {MASK}"),
        None => MASK.to_owned(),
    }
}

/// A body with its secret members masked. One without them keeps its bytes, since signatures are over them.
fn kept_body(body: &[u8]) -> String {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = if mask(&mut value) {
        value.to_string()
    } else {
        String::from_utf8_lossy(body).into_owned()
    };
    if text.len() <= BODY_MAX {
        return text;
    }
    let cut = text.floor_char_boundary(BODY_MAX);
    format!("{}{MASK}", &text[..cut])
}

/// Masks the secret members; whether there were any.
fn mask(value: &mut Value) -> bool {
    let mut any = false;
    match value {
        Value::Object(members) => {
            let secrets = SECRET_MEMBERS;
            // `code` is a credential where it is the login's only member; a problem's `code` is not.
            let login = members.len() == 1;
            for (name, value) in members {
                let secret = secrets.contains(&name.as_str()) && (name != "code" || login);
                if secret && value.is_string() {
                    *value = Value::from(MASK);
                    any = true;
                } else {
                    any |= mask(value);
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                any |= mask(value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    any
}

#[cfg(test)]
mod tests;
