//! The consumer of the pages ships each paid order once, however often it hears of it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::schemas::docs;
use crate::tools::are_here;

/// The program that a page shows.
fn program(page: &str) -> String {
    let text = std::fs::read_to_string(docs().join(page)).unwrap();
    let (_, rest) = text.split_once("```python consumer\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

fn python(folder: &Path, program: &str, lines: &str) -> String {
    let mut python = Command::new("python3")
        .args(["-c", program])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Lets the consumers of both pages hear these events, twice and backwards.
pub(super) fn ships_once(events: &[Value]) {
    if !are_here(&["python3"], "the pages' consumers heard no events") {
        return;
    }
    let mut lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
    lines.extend(lines.clone());
    lines.reverse();
    let mut wanted: Vec<String> = events
        .iter()
        .filter(|event| event["detail-type"] == "order.paid")
        .flat_map(|event| {
            let order = &event["detail"]["order"];
            let items = order["items"].as_array().unwrap();
            let parcel = |item: &Value| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                format!(
                    "{} {} {}",
                    text(&order["out_trade_no"]),
                    text(&item["sku"]),
                    item["quantity"]
                )
            };
            items.iter().map(parcel).collect::<Vec<_>>()
        })
        .collect();
    wanted.sort();
    assert!(!wanted.is_empty());
    for page in ["events.md", "events.zh-CN.md"] {
        let folder = tempfile::tempdir().unwrap();
        let program = program(page);
        assert!(program.lines().count() < 25, "{page}");
        python(folder.path(), &program, &lines.concat());
        // It is started again, and hears everything once more.
        python(folder.path(), &program, &lines.concat());
        let parcels = "import sqlite3\nfor row in sqlite3.connect('shop.sqlite').execute(\
                       'SELECT * FROM parcels ORDER BY 1, 2'): print(*row)";
        let shipped = python(folder.path(), parcels, "");
        assert_eq!(shipped.lines().collect::<Vec<_>>(), wanted, "{page}");
    }
}
