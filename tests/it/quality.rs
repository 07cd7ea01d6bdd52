//! WeChat Pay's quality list: every row of the page names tests that are there.

use std::collections::BTreeSet;
use std::fs;

use crate::documents::{page, root};

/// The cells under a heading that reads as one of these, down all tables of a page.
pub fn cells<'a>(page: &'a str, headings: [&str; 2]) -> Vec<&'a str> {
    let mut column = None;
    let mut found = Vec::new();
    for line in page.lines() {
        let Some(row) = line
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'))
        else {
            column = None;
            continue;
        };
        let row: Vec<&str> = row.split('|').map(str::trim).collect();
        match column {
            None => column = row.iter().position(|cell| headings.contains(cell)),
            Some(column) if !row[column].starts_with("---") => found.push(row[column]),
            Some(_) => {}
        }
    }
    found
}

/// The tests that a cell names: `module::name` in the integration tests, and sentences of the mini-program's.
pub fn named(cell: &str) -> Vec<String> {
    let mut names = Vec::new();
    for quote in ['`', '"'] {
        let inside = cell.split(quote).skip(1).step_by(2);
        names.extend(inside.map(str::to_owned));
    }
    names
}

/// Whether there is a test of this name; one of the shared crate's begins with `shared::`.
pub fn is_there(name: &str) -> bool {
    let Some((module, function)) = name.rsplit_once("::") else {
        let tests = page("tests/miniprogram/payments.test.js");
        return tests.contains(&format!("\ntest(\"{name}\", "));
    };
    let (folder, module) = match module.strip_prefix("shared::") {
        Some(module) => ("shared/src", module),
        None => ("tests/it", module),
    };
    let file = root().join(format!("{folder}/{}.rs", module.replace("::", "/")));
    let text = fs::read_to_string(file).unwrap_or_default();
    let Some((before, _)) = text.split_once(&format!("fn {function}(")) else {
        return false;
    };
    let before = before.strip_suffix("async ").unwrap_or(before);
    // Inside a macro a test stands further in.
    let attribute = before.trim_end().lines().next_back();
    let attribute = attribute.unwrap_or_default().trim_start();
    attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test")
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    assert!(is_there("quality::a_test_that_is_not_there_is_noticed"));
    assert!(is_there(
        "store::faults::a_table_that_hangs_is_given_up_in_time_for_a_notice"
    ));
    assert!(is_there("two taps are one purchase"));
    assert!(is_there(
        "shared::wechatpay::tests::signatures::a_forged_answer_does_not_verify"
    ));
    for missing in [
        "quality::is_there",
        "quality::a_test",
        "store::a_table_that_hangs_is_given_up_in_time_for_a_notice",
        "nowhere::a_test",
        "two taps",
    ] {
        assert!(!is_there(missing), "{missing}");
    }
}

#[test]
fn every_point_of_the_quality_list_names_a_test_that_is_there() {
    let mut pages = Vec::new();
    for path in ["docs/quality.md", "docs/quality.zh-CN.md"] {
        let text = page(path);
        let cells = cells(&text, ["Test", "测试"]);
        assert!(
            cells.len() > 30,
            "{path} answers only {} points",
            cells.len()
        );
        let mut all = Vec::new();
        for cell in cells {
            let names = named(cell);
            assert!(!names.is_empty(), "{path}: no test is named in {cell:?}");
            all.push(names.into_iter().collect::<BTreeSet<_>>());
        }
        let missing: Vec<&String> = all
            .iter()
            .flatten()
            .filter(|name| !is_there(name))
            .collect();
        assert!(
            missing.is_empty(),
            "{path} names tests that are not there: {missing:#?}"
        );
        pages.push(all);
    }
    assert_eq!(pages[0], pages[1], "the two pages answer with other tests");
}
