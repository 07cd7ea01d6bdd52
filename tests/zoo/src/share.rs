//! The share of the patches that a single change waits for: those whose code or tests it touches, and a part
//! of the others. Which ones depends on the commit alone, so that a run can be repeated, and comes round to
//! all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::compile::UNITS;
use crate::patch::{Patch, RULES, Red};

/// One part in so many of the patches whose code has not changed.
const PARTS: u64 = 5;

/// What decides the share.
pub(crate) struct Commit {
    /// The first 64 bits of its hash.
    number: u64,
    /// The files that are not as they were at the other one, from the root.
    changed: BTreeSet<PathBuf>,
}

impl Commit {
    /// The commit that is checked out in this folder, with what has changed since another.
    ///
    /// # Errors
    /// git does not know one of them.
    pub(crate) fn read(folder: &Path, since: &str) -> Result<Self, Error> {
        let hash = git(folder, &["rev-parse", "HEAD"])?;
        let number = u64::from_str_radix(hash.get(..16).unwrap_or_default(), 16)?;
        let changed = git(folder, &["diff", "--name-only", since])?;
        Ok(Self {
            number,
            changed: changed.lines().map(PathBuf::from).collect(),
        })
    }

    fn is_in(&self, patch: &Patch, place: u64) -> bool {
        let own = PathBuf::from(format!("tests/zoo/{}.patch", patch.name));
        let tests = patch.reds.iter().flat_map(files);
        let mut files = patch.files.iter().cloned().chain([own]).chain(tests);
        files.any(|file| self.changed.contains(&file)) || place % PARTS == self.number % PARTS
    }
}

/// The files that a test may stand in: those of its modules.
fn files(red: &Red) -> Vec<PathBuf> {
    let mut path = match red.suite.as_str() {
        RULES => {
            return ["shape", "least_privilege"]
                .map(|name| format!("tests/template/{name}.py").into())
                .into();
        }
        UNITS => PathBuf::from("shared/src"),
        suite => Path::new("tests").join(suite),
    };
    let mut files = Vec::new();
    let modules = red
        .test
        .rsplit_once("::")
        .map_or("", |(modules, _)| modules);
    for module in modules.split("::").filter(|module| !module.is_empty()) {
        path.push(module);
        files.push(path.with_extension("rs"));
    }
    files
}

/// Keeps those of all patches, sorted by name, that are in the share of a commit.
pub(crate) fn keep(patches: &mut Vec<Patch>, commit: &Commit) {
    let mut places = 0..;
    patches.retain(|patch| commit.is_in(patch, places.next().unwrap_or_default()));
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("git {}: {why}", arguments.join(" ")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patches() -> Vec<Patch> {
        let patch = |place: u64| Patch {
            name: format!("p{place}"),
            reds: vec![Red {
                suite: "it".to_owned(),
                test: format!("a::b{place}::c"),
            }],
            path: PathBuf::new(),
            files: vec![PathBuf::from(format!("shared/src/{place}.rs"))],
        };
        (0..10).map(patch).collect()
    }

    fn kept(number: u64, changed: &[&str]) -> Vec<String> {
        let mut patches = patches();
        let changed = changed.iter().map(PathBuf::from).collect();
        keep(&mut patches, &Commit { number, changed });
        patches.into_iter().map(|patch| patch.name).collect()
    }

    #[test]
    fn a_share_holds_what_changed_and_another_fifth_with_each_commit() {
        assert_eq!(kept(7, &[]), ["p2", "p7"]);
        assert_eq!(
            kept(7, &["shared/src/4.rs", "tests/zoo/p9.patch"]),
            ["p2", "p4", "p7", "p9"]
        );
        assert_eq!(
            kept(7, &["tests/it/a/b1.rs", "tests/it/c.rs"]),
            ["p1", "p2", "p7"]
        );
        let all: BTreeSet<String> = (0..5).flat_map(|number| kept(number, &[])).collect();
        assert_eq!(all.len(), 10);
    }
}
