//! Mistakes made by rule in the code that decides, each against the tests of its place: what nobody notices
//! has to have a written reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::mutate;
use crate::schemata::{Mutant, Tree};

/// A suite, and what its tests are chosen by (all where there is nothing): parts of names, and `--skip`.
type Suite = (&'static str, &'static [&'static str]);

/// The code that is looked at, and the tests that have to notice, the quickest first.
const PLACES: [(&str, &[Suite]); 8] = [
    ("shared/src/domain", DOMAIN),
    ("shared/src/wechatpay/sign.rs", MESSAGES),
    ("shared/src/wechatpay/verify.rs", MESSAGES),
    ("shared/src/wechatpay/seal.rs", MESSAGES),
    ("shared/src/settlement", TABLE),
    ("shared/src/store", TABLE),
    ("shared/src/bus", EVENTS),
    ("functions/publish-events/src", EVENTS),
];

/// First without the tests that try thousands of cases.
const DOMAIN: &[Suite] = &[
    (
        "shared",
        &[
            "domain::",
            "--skip",
            "domain::tests::",
            "--skip",
            "the_sequence_of_reports_does_not_decide",
        ],
    ),
    ("shared", &[]),
];

const MESSAGES: &[Suite] = &[
    (
        "shared",
        &[
            "wechatpay::tests::signatures::",
            "wechatpay::tests::keys::",
            "wechatpay::tests::notices::",
        ],
    ),
    ("shared", &[]),
];

/// Seeds first: they go through most of it in seconds and stop at the first broken promise.
const TABLE: &[Suite] = &[
    ("seeds", &["--seeds", "40"]),
    ("it", &["store::"]),
    (
        "it",
        &[
            "notices::",
            "settle::",
            "refunds::",
            "withdrawals::",
            "races::",
            "policy::",
            "heard::",
            "lists::",
            "published::",
            "floods::",
            "forgery::",
            "certificates::",
            "partner::",
            "abnormal::",
            "access::",
            "runbooks::",
            "reconcile::",
            "lifetimes::",
        ],
    ),
];

/// Each seed ends with both sides' events compared.
const EVENTS: &[Suite] = &[
    ("shared", &["bus::"]),
    ("it", &["published::"]),
    ("seeds", &["--seeds", "40"]),
    (
        "it",
        &[
            "events::",
            "runbooks::",
            "schedules::",
            "restore::",
            "configuration::",
        ],
    ),
];

/// A mistake made by rule.
pub(crate) struct Survey {
    /// What the switch is set to.
    pub(crate) mutant: Mutant,
    /// File, function and what is put wrong.
    pub(crate) name: String,
    /// The tests, in this order until one is red.
    pub(crate) stages: &'static [(&'static str, &'static [&'static str])],
}

/// The mistakes of the files under these paths; of all places, where there are none.
pub(crate) fn surveys(tree: &Tree, under: &[String]) -> Result<Vec<Survey>, Error> {
    let mut surveys = Vec::new();
    for (file, source) in tree {
        let name = file.to_string_lossy();
        let place = PLACES.iter().find(|(place, _)| {
            name.strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
        });
        let Some((_, stages)) = place else { continue };
        let is_asked = under.is_empty() || under.iter().any(|under| name.starts_with(under));
        let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
        if !is_asked || is_test {
            continue;
        }
        for mistake in mutate::mistakes(&source.text)? {
            surveys.push(Survey {
                mutant: Mutant {
                    name: format!("m{}", surveys.len()),
                    files: [(file.clone(), mistake.text)].into(),
                    only: Some((mistake.at, mistake.new)),
                },
                name: format!("{name} {}", mistake.name),
                stages,
            });
        }
    }
    Ok(surveys)
}

/// Why a mistake need not be noticed, by its name.
pub(crate) struct Reasons {
    path: PathBuf,
    held: BTreeMap<String, String>,
}

impl Reasons {
    /// Reads the file: a paragraph for each reason, the mistakes that have it below, indented.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)?;
        let mut held = BTreeMap::new();
        let mut reason = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("  ") {
                Some(_) if reason.is_empty() => {
                    return Err(format!("{}: no reason above: {line}", path.display()).into());
                }
                Some(name) => {
                    held.insert(name.trim().to_owned(), reason.clone());
                }
                None => line.trim().clone_into(&mut reason),
            }
        }
        Ok(Self {
            path: path.to_owned(),
            held,
        })
    }

    /// What is wrong: survivors without a reason, and reasons of what was noticed or is not there.
    pub(crate) fn compare(
        &self,
        looked_at: &BTreeSet<String>,
        survived: &BTreeSet<String>,
        is_all: bool,
    ) -> Vec<String> {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let without = survived
            .iter()
            .filter(|name| !self.held.contains_key(*name));
        let mut wrong: Vec<String> = without
            .map(|name| format!("noticed by nobody, and {file} has no reason: {name}"))
            .collect();
        for name in self.held.keys().filter(|name| !survived.contains(*name)) {
            if looked_at.contains(name) {
                wrong.push(format!("{file} has a reason for what was noticed: {name}"));
            } else if is_all {
                wrong.push(format!("{file} has a reason for what is not there: {name}"));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn survivors_without_a_reason_and_reasons_without_a_survivor_are_told() {
        let folder = std::env::temp_dir().join(format!("zoo-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("survivors.txt");
        fs::write(&path, "# Head\n\nThe same.\n  a f: 1 becomes 2\n  b g: x\n").unwrap();
        let reasons = Reasons::read(&path).unwrap();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let all = set(&["a f: 1 becomes 2", "b g: x", "c"]);
        let same = set(&["a f: 1 becomes 2", "b g: x"]);
        assert!(reasons.compare(&all, &same, true).is_empty());
        let wrong = reasons.compare(&all, &set(&["a f: 1 becomes 2", "c"]), true);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert_eq!(reasons.compare(&set(&[]), &set(&[]), true).len(), 2);
        assert!(reasons.compare(&set(&[]), &set(&[]), false).is_empty());
        fs::write(&path, "  a f: 1 becomes 2\n").unwrap();
        assert!(Reasons::read(&path).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
