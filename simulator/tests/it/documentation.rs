//! docs/simulator.md names everything there is, every point of the fidelity list has a test, and what
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

#[test]
fn every_point_of_the_fidelity_list_has_a_test_that_the_manual_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut tests = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some(name) = line.strip_prefix("async fn point_") {
                tests.push_str(&format!("{module}::point_{}\n", &name[..3]));
            }
        }
    }
    let manual = manual();
    for point in 1..=35 {
        let number = format!("::point_{point:02}_");
        let test = tests.lines().find(|test| test.contains(&number));
        let test = test.unwrap_or_else(|| panic!("point {point} has no test"));
        let row = manual
            .lines()
            .find(|line| line.starts_with(&format!("| {point} |")));
        assert!(
            row.is_some_and(|row| row.contains(test)),
            "point {point}: {test}"
        );
    }
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
