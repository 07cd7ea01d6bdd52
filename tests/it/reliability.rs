//! The page of promises: each names tests and planted mistakes that are there.

use crate::documents::{page, root};
use crate::quality::{cells, is_there, named};

const PAGES: [&str; 2] = ["docs/reliability.md", "docs/reliability.zh-CN.md"];

#[test]
fn every_promise_names_a_test_that_is_there() {
    let [english, chinese] = PAGES.map(|path| {
        let text = page(path);
        let tests: Vec<Vec<String>> = cells(&text, ["Test", "测试"])
            .into_iter()
            .map(named)
            .collect();
        assert!(tests.len() >= 26, "{path} has {} promises", tests.len());
        for names in &tests {
            assert!(!names.is_empty(), "{path}: a promise without a test");
            for name in names {
                assert!(is_there(name), "{path}: there is no test {name}");
            }
        }
        tests
    });
    assert_eq!(english, chinese, "the two pages name other tests");
}

#[test]
fn every_planted_mistake_that_a_promise_names_is_in_the_zoo() {
    let [english, chinese] = PAGES.map(|path| {
        let text = page(path);
        let planted: Vec<String> = cells(&text, ["Planted mistake", "埋下的错误"])
            .into_iter()
            .flat_map(named)
            .collect();
        assert!(planted.len() > 30, "{path} names {}", planted.len());
        for name in &planted {
            let patch = root().join(format!("tests/zoo/{name}.patch"));
            assert!(patch.is_file(), "{path}: there is no patch {name}");
        }
        planted
    });
    assert_eq!(english, chinese, "the two pages name other patches");
}
