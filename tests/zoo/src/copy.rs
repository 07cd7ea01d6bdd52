//! Copies of the tree, made without touching what is the same already, so that cargo builds little anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::compile::UNITS_TARGET;

/// What git leaves out (`.gitignore`), where there is no git to ask.
const MADE: [&str; 5] = [".aws-sam", ".git", "found", "node_modules", "target"];

/// The files of the checkout that git knows or would add; in a tree that came without git, all but what
/// programs make.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let output = git.current_dir(root).output()?;
    if !output.status.success() {
        println!("git ls-files failed: every file counts");
        return walked(root);
    }
    let names = output.stdout.split(|byte| *byte == 0);
    let names = names.filter(|name| !name.is_empty());
    let names = names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()));
    Ok(names.filter(|name| root.join(name).is_file()).collect())
}

fn walked(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut names = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_made = MADE.iter().any(|made| entry.file_name() == *made);
            match entry.file_type()? {
                kind if kind.is_dir() && !is_made => folders.push(entry.path()),
                kind if kind.is_file() => names.push(entry.path().strip_prefix(root)?.to_owned()),
                _ => {}
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Makes a folder hold these files, the changed ones in place of the checkout's.
pub(crate) fn sync(
    root: &Path,
    folder: &Path,
    names: &[PathBuf],
    changed: &BTreeMap<PathBuf, String>,
) -> Result<(), Error> {
    for name in names {
        let wanted = match changed.get(name) {
            Some(text) => text.as_bytes().to_vec(),
            None => fs::read(root.join(name))?,
        };
        let copy = folder.join(name);
        if fs::read(&copy).is_ok_and(|held| held == wanted) {
            continue;
        }
        fs::create_dir_all(copy.parent().unwrap_or(folder))?;
        fs::write(&copy, wanted)?;
        let mode = fs::metadata(root.join(name))?.permissions();
        fs::set_permissions(&copy, mode)?;
    }
    // What is gone from the checkout would still be compiled where cargo finds it by itself.
    let wanted: BTreeSet<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !wanted.contains(&path) {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

/// The manifests of the copy. It has a version of its own, so that cargo does not take its crates for the
/// checkout's; no lint stands in the way of a mistake; our own crates have no debug information, which
/// nobody reads here. The unit tests of `shared` are a target of their own, as those of all crates would be
/// built with them otherwise, and no other crate has a target with the name of a suite.
pub(crate) fn manifests(root: &Path, kind: &str) -> Result<BTreeMap<PathBuf, String>, Error> {
    let whole = fs::read_to_string(root.join("Cargo.toml"))?;
    let mut text = String::new();
    let mut section = "";
    for line in whole.lines() {
        if line.starts_with('[') {
            section = line;
        }
        if section.starts_with("[workspace.lints") {
            continue;
        }
        match line.split_once(" = ") {
            Some(("version", held)) => {
                let version = held.trim_matches('"');
                text.push_str(&format!("version = \"{version}-{kind}\""));
            }
            Some(("debug", _)) if section == "[profile.dev]" => text.push_str("debug = false"),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text.push_str("\n[workspace.lints.rust]\nwarnings = \"allow\"\n[workspace.lints.clippy]\nall = \"allow\"\n");
    let shared = fs::read_to_string(root.join("shared/Cargo.toml"))?;
    let shared = format!("{shared}\n[[test]]\nname = \"{UNITS_TARGET}\"\npath = \"src/lib.rs\"\n");
    let simulator = fs::read_to_string(root.join("simulator/Cargo.toml"))?;
    let simulator = simulator.replace("\nname = \"it\"\n", "\nname = \"simulator-it\"\n");
    Ok([
        (PathBuf::from("Cargo.toml"), text),
        (PathBuf::from("shared/Cargo.toml"), shared),
        (PathBuf::from("simulator/Cargo.toml"), simulator),
    ]
    .into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn a_tree_without_git_lacks_no_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().unwrap();
        let (known, walked) = (files(&root).unwrap(), walked(&root).unwrap());
        let missing: Vec<_> = known.iter().filter(|name| !walked.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
