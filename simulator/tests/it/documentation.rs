//! docs/simulator.md names everything there is, every row of its fidelity table has a test, and what
//! it shows of other people's SDKs is what the conformance suites run.

use std::path::Path;

use crate::support::Bench;

fn manual() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/simulator.md");
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn the_manual_names_every_fault_and_every_knob_with_its_meaning() {
    let bench = Bench::new().await;
    let manual = manual();
    let faults = bench.seen("/_sim/faults").await;
    for fault in faults["items"].as_array().unwrap() {
        let (name, what) = (
            fault["name"].as_str().unwrap(),
            fault["what"].as_str().unwrap(),
        );
        let row = manual
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        assert!(row.is_some_and(|row| row.contains(what)), "{name}: {what}");
    }
    let knobs = bench.seen("/_sim/knobs").await;
    for name in knobs.as_object().unwrap().keys() {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
    }
}

/// The names of the rows of the table under "Fidelity", with their rows.
fn behaviours(manual: &str) -> Vec<(&str, &str)> {
    let (_, section) = manual.split_once("\n## Fidelity").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| {
        let (_, named) = line.strip_prefix("| <a id=\"")?.split_once("</a>`")?;
        Some((named.split_once('`')?.0, line))
    });
    rows.collect()
}

#[test]
fn every_row_of_the_fidelity_table_has_a_test_that_it_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut tests = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Parts of the merchant that the tests share.
            continue;
        }
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some(name) = line.strip_prefix("async fn ") {
                tests.push(format!("{module}::{name}"));
            }
        }
    }
    let manual = manual();
    let behaviours = behaviours(&manual);
    assert!(behaviours.len() >= 35, "the table was not found");
    for (name, row) in behaviours {
        assert!(row.contains(&format!("<a id=\"{name}\">")), "{row}");
        let (_, test) = row
            .split_once("::")
            .unwrap_or_else(|| panic!("{name} names no test"));
        let (prefix, _) = test.split_once('…').unwrap();
        assert_eq!(prefix, format!("{}_", name.replace('-', "_")), "{row}");
        let module = row.split_once("::").unwrap().0.rsplit('`').next().unwrap();
        let wanted = format!("{module}::{prefix}");
        assert!(
            tests.iter().any(|test| test.starts_with(&wanted)),
            "{name}: no test begins with {wanted}"
        );
    }
}

#[test]
fn every_row_that_a_comment_names_is_in_the_manual() {
    let manual = manual();
    let names: Vec<&str> = behaviours(&manual).iter().map(|(name, _)| *name).collect();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut named = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Comments are wrapped: a name may stand on the next line.
            let lines = text
                .lines()
                .map(|line| line.trim_start_matches([' ', '/', '!']));
            let text = lines.collect::<Vec<_>>().join(" ");
            for after in text.split("docs/simulator.md, `").skip(1) {
                let name = after.split('`').next().unwrap();
                assert!(names.contains(&name), "{}: {name}", path.display());
                named += 1;
            }
        }
    }
    assert!(named > 30, "{named} references were found");
}

#[test]
fn the_lines_that_point_an_sdk_are_lines_that_run() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let manual = manual();
    let (_, section) = manual.split_once("## Point your SDK at it").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut checked = 0;
    let mut said = section;
    while let Some((before, rest)) = said.split_once("\n```") {
        let (block, after) = rest.split_once("\n```").unwrap();
        said = after;
        // The file that the text right above names; PHP and Rust have none.
        let (_, above) = before.trim_end().rsplit_once("\n\n").unwrap();
        let Some((_, link)) = above.split_once("](") else {
            continue;
        };
        let (file, _) = link.split_once(')').unwrap();
        let source = std::fs::read_to_string(docs.join(file)).unwrap();
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        for line in block.lines().skip(1).map(str::trim) {
            assert!(lines.contains(&line), "{file} has no line {line}");
        }
        checked += 1;
    }
    assert_eq!(checked, 4, "Python, Node, Go and Java");
}
