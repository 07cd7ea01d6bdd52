//! Reads the known answers that stand beside this file, and the published ones where they are at hand
//! (`README.md` says what each file is).

#![allow(
    dead_code,
    reason = "not each crate that reads vectors asks in each way"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

/// Names the folder of published vectors, absolute or relative to the repository's root.
const VARIABLE: &str = "WECHATPAY_VECTORS";

/// The folder of published vectors, or why there is none.
static PUBLISHED: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let folder = named
        .map(|value| root().join(value))
        .ok_or_else(|| format!("{VARIABLE} is not set"))?;
    if folder.is_dir() {
        Ok(folder)
    } else {
        let folder = folder.display();
        Err(format!("{VARIABLE} names {folder}, which is no folder"))
    }
});

/// Says once that the published vectors are not at hand.
static SKIPPED: LazyLock<()> = LazyLock::new(|| {
    if let Err(why) = &*PUBLISHED {
        // Past the test harness, which shows nothing of a test that passes.
        let line = format!("SKIPPED: the published vectors, since {why}; ours alone are checked");
        let mut stderr = std::io::stderr();
        writeln!(stderr, "{line}").unwrap();
    }
});

/// The folder of published vectors. Where there has to be one and is none, the test fails.
pub(crate) fn published() -> Option<&'static Path> {
    let must = std::env::var_os("CI").is_some_and(|value| value == "true");
    match &*PUBLISHED {
        Ok(folder) => Some(folder),
        Err(why) if must => panic!("the published vectors cannot be checked, since {why}"),
        Err(_) => {
            LazyLock::force(&SKIPPED);
            None
        }
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn own() -> PathBuf {
    root().join("tests/vectors/wechatpay")
}

/// A published file, where it is at hand.
pub(crate) fn published_text(path: &str) -> Option<String> {
    published().map(|folder| read(&folder.join(path)))
}

/// A file of our own.
pub(crate) fn text(path: &str) -> String {
    read(&own().join(path))
}

/// A JSON file of our own.
#[allow(
    dead_code,
    reason = "not each crate that reads vectors asks for one by name"
)]
pub(crate) fn vector(path: &str) -> Value {
    parse(&text(path))
}

/// One JSON file, and the folder that its `_file` members are relative to.
pub(crate) struct Case {
    folder: PathBuf,
    /// What a failing test says.
    pub(crate) name: String,
    /// The file's content.
    pub(crate) value: Value,
}

impl Case {
    /// A member that must be a text.
    pub(crate) fn at(&self, member: &str) -> &str {
        at(&self.value, member)
    }

    /// The text of the file that a member names.
    pub(crate) fn file(&self, member: &str) -> String {
        self.file_of(&self.value, member)
    }

    /// The text of the file that a member of one of the file's cases names.
    pub(crate) fn file_of(&self, case: &Value, member: &str) -> String {
        read(&self.folder.join(at(case, member)))
    }

    /// The members of `cases`.
    pub(crate) fn cases(&self) -> &[Value] {
        let cases = self.value["cases"].as_array();
        cases.filter(|cases| !cases.is_empty()).unwrap()
    }
}

/// A member that must be a text.
pub(crate) fn at<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} is a text"))
}

/// Every file of these kinds: our own, of which there is one at least, and published ones where
/// they are at hand.
pub(crate) fn every(kinds: &[&str]) -> Vec<Case> {
    let ours = cases(&own(), kinds);
    assert!(!ours.is_empty(), "no vector of our own is {kinds:?}");
    let published = published()
        .into_iter()
        .flat_map(|folder| cases(folder, kinds));
    ours.into_iter().chain(published).collect()
}

fn cases(folder: &Path, kinds: &[&str]) -> Vec<Case> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let value = parse(&read(&path));
                let kind = value["kind"].as_str();
                if kind.is_some_and(|kind| kinds.contains(&kind)) {
                    let name = path.display().to_string();
                    let folder = folder.to_owned();
                    found.push(Case {
                        folder,
                        name,
                        value,
                    });
                }
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
