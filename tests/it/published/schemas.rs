//! What is sent is what `docs/events/` says, member by member.
//!
//! The schemas use a part of JSON Schema that is checked here; a keyword that is not known fails the test, so
//! that none is passed over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use shared::domain::EventKind;

/// The pages about events.
pub(super) fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// The schema of an event's detail.
fn schema(kind: &str) -> Value {
    let path = docs().join(format!("events/{kind}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// What of a value is not as its schema says.
fn faults(place: &str, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let text = value.as_str().unwrap_or_default();
    for (keyword, wanted) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" => true,
            "type" => match wanted.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "boolean" => value.is_boolean(),
                other => panic!("{place}: the type {other} is not known"),
            },
            "const" => value == wanted,
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_i64() >= wanted.as_i64(),
            "minLength" => text.chars().count() as u64 >= wanted.as_u64().unwrap(),
            "maxLength" => text.chars().count() as u64 <= wanted.as_u64().unwrap(),
            "pattern" => {
                let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                pattern.is_match(text)
            }
            "format" => wanted == "date-time" && shared::rfc3339::parse(text).is_some(),
            "required" => wanted
                .as_array()
                .unwrap()
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some()),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    faults.extend(self::faults(&format!("{place}[{index}]"), wanted, item));
                }
                true
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    let place = format!("{place}.{name}");
                    match wanted.get(name) {
                        Some(described) => faults.extend(self::faults(&place, described, member)),
                        None => faults.push(format!("{place} is sent and not described")),
                    }
                }
                true
            }
            other => panic!("{place}: the keyword {other} is not known"),
        };
        if !holds {
            faults.push(format!(
                "{place}: {keyword} {wanted} does not hold of {value}"
            ));
        }
    }
    faults
}

/// Checks every event against the schema of its kind.
pub fn check(events: &[Value]) {
    for event in events {
        let kind = event["detail-type"].as_str().unwrap();
        let (schema, detail) = (schema(kind), &event["detail"]);
        assert_eq!(faults(kind, &schema, detail), [""; 0], "{detail}");
        // A schema that asks for nothing would say nothing.
        for required in schema["required"].as_array().unwrap() {
            let mut without = detail.clone();
            without
                .as_object_mut()
                .unwrap()
                .remove(required.as_str().unwrap());
            assert_ne!(
                faults(kind, &schema, &without),
                [""; 0],
                "{kind} without {required}"
            );
        }
    }
}

/// What is told of days, beside what is told of records.
const OF_DAYS: [&str; 2] = ["reconcile.difference", "reconcile.done"];

#[test]
fn each_event_has_a_schema_and_a_row_in_both_pages() {
    let mut files: Vec<String> = std::fs::read_dir(docs().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let all = EventKind::ALL;
    let of_records = all.iter().map(EventKind::as_str);
    let kinds: BTreeSet<&str> = of_records.chain(OF_DAYS).collect();
    let named: Vec<String> = kinds.iter().map(|kind| format!("{kind}.json")).collect();
    assert_eq!(files, named);
    for page in ["events.md", "events.zh-CN.md"] {
        let text = std::fs::read_to_string(docs().join(page)).unwrap();
        for kind in &kinds {
            let row = format!("\n| `{kind}` | ");
            assert_eq!(text.matches(&row).count(), 1, "{page}: {row}");
        }
    }
}

/// The event that the page shows is one.
#[test]
fn the_example_of_the_page_is_an_event() {
    let text = std::fs::read_to_string(docs().join("events.md")).unwrap();
    let (_, rest) = text.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    check(&[serde_json::from_str(example).unwrap()]);
}
