//! Building the copy: the third-party crates are those that the checkout's own build made.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Error;
use crate::schemata::Arm;

/// The binaries of the tests, by suite.
pub(crate) type Binaries = BTreeMap<String, PathBuf>;

/// The suite of the unit tests of the crate `shared`.
pub(crate) const UNITS: &str = "shared";

/// The target that holds them in a copy (`copy::manifests`).
pub(crate) const UNITS_TARGET: &str = "units";

/// The suite without tests: the program that runs the whole system under seeds.
pub(crate) const SEEDS: &str = "seeds";

/// That program.
const SEEDS_BINARY: &str = "proof";

/// What came of a build.
pub(crate) enum Built {
    Tests(Binaries),
    /// It does not compile: the places of the errors, and what cargo says.
    Broken {
        places: Vec<(PathBuf, usize)>,
        said: String,
    },
}

/// Where things are built.
pub(crate) struct Cargo<'p> {
    /// The checkout.
    pub(crate) root: &'p Path,
    /// The copy.
    pub(crate) tree: &'p Path,
    /// Where its programs go.
    pub(crate) target: &'p Path,
    /// What cargo tells.
    pub(crate) log: &'p Path,
}

impl Cargo<'_> {
    /// Builds the tests of these suites. The features are those of the whole workspace, as in `cargo test
    /// --workspace`: those of single packages would compile all third-party crates once more.
    pub(crate) fn tests(&self, suites: &BTreeSet<&str>) -> Result<Built, Error> {
        let mut binaries = Binaries::new();
        let tests = suites.iter().filter(|suite| **suite != SEEDS);
        let tests =
            tests.flat_map(|suite| ["--test", if *suite == UNITS { UNITS_TARGET } else { suite }]);
        let tests: Vec<&str> = tests.collect();
        let mut builds = Vec::new();
        if !tests.is_empty() {
            builds.push([&["test", "--workspace", "--no-run"], tests.as_slice()].concat());
        }
        if suites.contains(SEEDS) {
            builds.push(vec!["build", "--workspace", "--bin", SEEDS_BINARY]);
        }
        for arguments in builds {
            match self.run(&arguments)? {
                Built::Tests(built) => binaries.extend(built),
                broken @ Built::Broken { .. } => return Ok(broken),
            }
        }
        Ok(Built::Tests(binaries))
    }

    fn run(&self, arguments: &[&str]) -> Result<Built, Error> {
        let mut cargo = Command::new("cargo");
        cargo
            .args(arguments)
            .args(["--offline", "--message-format=json"])
            .current_dir(self.tree)
            .env("CARGO_TERM_COLOR", "never")
            // Third-party crates are built once, for the checkout and the copy; the programs are not mixed.
            .env("CARGO_BUILD_BUILD_DIR", self.root.join("target"))
            .env("CARGO_TARGET_DIR", self.target)
            // What it takes to build a little anew later is lost on a machine that builds once.
            .env(
                "CARGO_INCREMENTAL",
                if env::var_os("CI").is_some() {
                    "0"
                } else {
                    "1"
                },
            )
            .stdin(Stdio::null())
            .stderr(File::create(self.log)?);
        let output = cargo.output()?;
        let messages = String::from_utf8_lossy(&output.stdout);
        let messages = messages
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let messages: Vec<Value> = messages.collect();
        if output.status.success() {
            return Ok(Built::Tests(messages.iter().filter_map(binary).collect()));
        }
        let errors = messages.iter().map(|message| &message["message"]);
        let errors = errors.filter(|message| message["level"] == "error");
        let mut said: String = errors
            .filter_map(|error| error["rendered"].as_str())
            .collect();
        if said.is_empty() {
            said = fs::read_to_string(self.log)?;
        }
        let places = messages.iter().flat_map(|message| self.places(message));
        Ok(Built::Broken {
            places: places.collect(),
            said,
        })
    }

    /// The places of an error, from the copy's root.
    fn places(&self, message: &Value) -> Vec<(PathBuf, usize)> {
        let message = &message["message"];
        if message["level"] != "error" {
            return Vec::new();
        }
        let spans = message["spans"].as_array().into_iter().flatten();
        let primary = spans.filter(|span| span["is_primary"] == true);
        let places = primary.filter_map(|span| {
            let file = Path::new(span["file_name"].as_str()?);
            let line = usize::try_from(span["line_start"].as_u64()?).ok()?;
            let file = file.strip_prefix(self.tree).unwrap_or(file);
            Some((straight(file), line))
        });
        places.collect()
    }
}

/// The same path without a way up: a crate names files of another folder by `../`.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            straight.pop();
        } else {
            straight.push(part);
        }
    }
    straight
}

/// The suite and the binary of a test.
fn binary(message: &Value) -> Option<(String, PathBuf)> {
    let path = message["executable"].as_str()?;
    let target = message["target"]["name"].as_str()?;
    let suite = match (message["profile"]["test"] == true, target) {
        (true, UNITS_TARGET) => UNITS,
        (true, suite) => suite,
        (false, SEEDS_BINARY) => SEEDS,
        (false, _) => return None,
    };
    Some((suite.to_owned(), PathBuf::from(path)))
}

/// The mistakes at these places.
pub(crate) fn blamed(arms: &[Arm], places: &[(PathBuf, usize)]) -> Vec<String> {
    let at = |arm: &&Arm| {
        let (first, last) = arm.lines;
        places
            .iter()
            .any(|(file, line)| *file == arm.file && (first..=last).contains(line))
    };
    let mut blamed: Vec<String> = arms
        .iter()
        .filter(at)
        .map(|arm| arm.mutant.clone())
        .collect();
    blamed.sort();
    blamed.dedup();
    blamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_found_by_the_place_of_its_error_from_another_crate() {
        let arm = Arm {
            file: PathBuf::from("tests/it/floods.rs"),
            lines: (3, 5),
            mutant: "m1".to_owned(),
        };
        let said = straight(Path::new("local/../tests/it/floods.rs"));
        assert_eq!(blamed(&[arm], &[(said, 4)]), ["m1"]);
    }
}
