//! A patch of the zoo: what it promises to break, how, and the tests that have to notice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The suite of the rules about the template.
pub(crate) const RULES: &str = "template";

/// A test that has to be red.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Red {
    /// `it`, `operator`, the crate of a unit test, or `template`.
    pub(crate) suite: String,
    /// Its whole name.
    pub(crate) test: String,
}

/// A mistake, kept as a patch.
pub(crate) struct Patch {
    pub(crate) name: String,
    pub(crate) reds: Vec<Red>,
    pub(crate) path: PathBuf,
    /// The files that it changes, from the root.
    pub(crate) files: Vec<PathBuf>,
}

impl Patch {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let red = |line: &str| {
            let (suite, test) = line.strip_prefix("Red:")?.trim().split_once(' ')?;
            Some(Red {
                suite: suite.to_owned(),
                test: test.trim().to_owned(),
            })
        };
        let files = text.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        let patch = Self {
            name: name.into_owned(),
            reds: text.lines().filter_map(red).collect(),
            path: path.to_owned(),
            files: files.map(PathBuf::from).collect(),
        };
        if patch.reds.is_empty() || patch.files.is_empty() {
            return Err(format!("{}: it names no test or breaks nothing", patch.name).into());
        }
        Ok(patch)
    }

    /// Whether it changes code alone.
    pub(crate) fn is_rust(&self) -> bool {
        let is_rust = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "rs");
        self.files.iter().all(is_rust)
    }

    /// The changed files, made in a folder for it.
    ///
    /// # Errors
    /// It does not apply any more.
    pub(crate) fn apply(
        &self,
        root: &Path,
        scratch: &Path,
    ) -> Result<BTreeMap<PathBuf, String>, Error> {
        let folder = scratch.join(&self.name);
        for file in &self.files {
            let copy = folder.join(file);
            fs::create_dir_all(copy.parent().unwrap_or(&folder))?;
            fs::copy(root.join(file), copy)?;
        }
        self.apply_in(&folder)?;
        let changed = self.files.iter().map(|file| {
            let text = fs::read_to_string(folder.join(file))?;
            Ok((file.clone(), text))
        });
        changed.collect()
    }

    /// Applies it to a copy of the tree.
    pub(crate) fn apply_in(&self, folder: &Path) -> Result<(), Error> {
        let mut git = Command::new("git");
        git.args(["apply", "-C1"])
            .arg(&self.path)
            .current_dir(folder);
        // The copy is in no repository, so that git changes the files that it is asked to.
        git.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder));
        let output = git.output()?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: does not apply any more\n{why}", self.name).into())
    }
}
