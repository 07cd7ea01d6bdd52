//! How a list of events is cut into calls, and what a log line names of them.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{DETAILS_MAX, ENTRIES_MAX, Entry, SOURCE, calls, note};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::telemetry::{Log, LogLine};

/// What EventBridge takes in one call, in bytes, and what it counts of an entry beside its detail: its time
/// (14), its source and its detail type.
const EVENTBRIDGE_MAX: usize = 256 * 1024;
const BESIDE_MAX: usize = 14 + 64 + 64;

fn entry(detail: String) -> Entry {
    Entry {
        source: SOURCE,
        detail_type: "order.paid".to_owned(),
        at: Timestamp::from_unix_seconds(1_790_000_000),
        detail,
    }
}

/// How many bytes of details each call has, of a list of details of these sizes.
fn cut(sizes: &[usize]) -> Vec<Vec<usize>> {
    let list: Vec<Entry> = sizes.iter().map(|size| entry("x".repeat(*size))).collect();
    let calls = calls(list, |entry| entry);
    let sizes = |call: Vec<Entry>| call.iter().map(|entry| entry.detail.len()).collect();
    calls.into_iter().map(sizes).collect()
}

#[test]
fn a_list_is_cut_in_its_order_into_calls_that_the_bus_takes() {
    assert_eq!(cut(&[]), Vec::<Vec<usize>>::new());
    let many: Vec<usize> = (1..=2 * ENTRIES_MAX + 1).collect();
    let called = cut(&many);
    let counts: Vec<usize> = called.iter().map(Vec::len).collect();
    assert_eq!(counts, [ENTRIES_MAX, ENTRIES_MAX, 1]);
    assert_eq!(called.concat(), many);
    // As much as one call takes, and a byte more.
    let third = DETAILS_MAX / 3;
    assert_eq!(DETAILS_MAX % 3, 0);
    assert_eq!(cut(&[third, third, third]).len(), 1);
    assert_eq!(
        cut(&[third, third, third + 1]),
        [vec![third, third], vec![third + 1]]
    );
    // What a call has used up is not counted against the next.
    assert_eq!(cut(&[DETAILS_MAX, third, third, third]).len(), 2);
    const { assert!(DETAILS_MAX + ENTRIES_MAX * BESIDE_MAX <= EVENTBRIDGE_MAX) };
}

/// What a line says of these events.
fn told(entries: &[Entry]) -> Value {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let log = Log::to(Arc::new(move |line: &str| {
        sink.lock().unwrap().push(line.to_owned());
    }));
    let clock = Clock::system();
    let mut line = LogLine::start("publish-events", &clock);
    note(&mut line, entries);
    line.write(&log, &clock, "published");
    let line: Value = serde_json::from_str(&lines.lock().unwrap()[0]).unwrap();
    line["told"].clone()
}

#[test]
fn a_line_names_a_hundred_events_and_nothing_of_what_they_tell() {
    let event = |number: usize| {
        let detail = json!({"id": format!("{number}:order:2"), "occurred_at": "2026-09-21T22:13:20+08:00", "openid": "o"});
        entry(detail.to_string())
    };
    let name = |number: usize| json!({"detail_type": "order.paid", "id": format!("{number}:order:2"), "occurred_at": "2026-09-21T22:13:20+08:00"});
    assert_eq!(
        told(&[event(1), entry("{}".to_owned()), event(2)]),
        json!([name(1), name(2)])
    );
    let many: Vec<Entry> = (0..101).map(event).collect();
    let named: Vec<Value> = (0..100).map(name).collect();
    assert_eq!(told(&many), Value::from(named));
}
