//! Running tests under a mistake, two at a time, and reading what they say.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::compile::Binaries;
use crate::patch::Red;
use crate::schemata::SWITCH;

/// Longer than any test takes, also beside others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// For each further test of the same process.
const PATIENCE_MORE: Duration = Duration::from_secs(20);
/// How often a running test is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Each mistake has locals of its own in a function's frame.
const STACK: &str = "67108864";

/// How a test ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Green,
    /// The named test itself failed.
    Red,
    /// It was not run, or did not end.
    NotRun,
}

/// A test under a mistake.
pub(crate) struct Job {
    /// The mistake; empty for none.
    pub(crate) mutant: String,
    pub(crate) tests: Vec<Red>,
    /// The copy of the tree that it reads the template and the pages from.
    pub(crate) tree: PathBuf,
}

/// What runs the tests.
pub(crate) struct Runner<'b> {
    pub(crate) binaries: &'b Binaries,
    /// Where each job's output is kept.
    pub(crate) logs: &'b Path,
    /// The copy of the checkout that tests read from, where nothing else is said.
    pub(crate) tree: &'b Path,
}

impl Runner<'_> {
    /// Runs all jobs and tells each as it ends.
    pub(crate) fn run(
        &self,
        jobs: Vec<Job>,
        told: impl Fn(&Job, End, Duration, &Path) + Sync,
    ) -> Result<(), Error> {
        fs::create_dir_all(self.logs)?;
        side_by_side(jobs, |place, job| {
            let log = self.logs.join(format!("{}-{place}.txt", job.mutant));
            let began = Instant::now();
            let end = self.one(&job, &log)?;
            told(&job, end, began.elapsed(), &log);
            Ok(())
        })
    }

    /// Whether the tests of a suite whose names have one of these parts notice a mistake: one of them is red,
    /// or they do not come to their end.
    pub(crate) fn is_noticed(
        &self,
        mutant: &str,
        suite: &str,
        parts: &[&str],
        log: &Path,
        patience: Duration,
    ) -> Result<bool, Error> {
        let mut command = self.tests(suite, self.tree)?;
        command.args(parts);
        let is_red = |said: &str| said.lines().any(|line| line.ends_with(" ... FAILED"));
        let status = finished(&mut command, mutant, log, patience, is_red)?;
        Ok(status.is_none_or(|status| !status.success()))
    }

    fn tests(&self, suite: &str, tree: &Path) -> Result<Command, Error> {
        let binary = self.binaries.get(suite);
        let mut command = Command::new(binary.ok_or(format!("there is no suite {suite}"))?);
        let package = if suite == "shared" { "shared" } else { "local" };
        command
            .args(["--test-threads", "2"])
            .current_dir(tree.join(package));
        Ok(command)
    }

    fn one(&self, job: &Job, log: &Path) -> Result<End, Error> {
        let suite = job.tests.first().map_or("", |red| red.suite.as_str());
        let names: Vec<&str> = job.tests.iter().map(|red| red.test.as_str()).collect();
        let mut command = if suite == "template" {
            rules(&job.tree, &names)
        } else {
            let mut command = self.tests(suite, &job.tree)?;
            command.arg("--exact").args(&names);
            command
        };
        let more = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let patience = PATIENCE + PATIENCE_MORE * more;
        let status = finished(&mut command, &job.mutant, log, patience, |_| false)?;
        let Some(status) = status else {
            return Ok(End::NotRun);
        };
        let said = fs::read_to_string(log)?;
        Ok(if suite == "template" {
            rule_end(&said, names.len(), status)
        } else {
            test_end(&said, names.len(), status)
        })
    }
}

/// Does things as many at a time as there are processors.
///
/// # Errors
/// The last of them that failed.
pub(crate) fn side_by_side<T: Send>(
    things: Vec<T>,
    act: impl Fn(usize, T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let things = Mutex::new(things.into_iter().enumerate());
    let next = || things.lock().ok().and_then(|mut things| things.next());
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((place, thing)) = next() {
                    if let Err(error) = act(place, thing)
                        && let Ok(mut failed) = failed.lock()
                    {
                        *failed = Some(error);
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(error)) => Err(error),
        Err(_) => Err("a thread panicked".into()),
    }
}

/// The status of tests under a mistake, unless they take too long, or what they say is enough.
fn finished(
    command: &mut Command,
    mutant: &str,
    log: &Path,
    patience: Duration,
    is_enough: impl Fn(&str) -> bool,
) -> Result<Option<ExitStatus>, Error> {
    let output = File::create(log)?;
    command
        .env(SWITCH, mutant)
        .env("RUST_MIN_STACK", STACK)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output);
    let began = Instant::now();
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let is_over = began.elapsed() > patience;
        if is_over || is_enough(&fs::read_to_string(log)?) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Rules about the template; the environment with Python is at hand (`tests/zoo/run` sees to it).
fn rules(tree: &Path, names: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .args([
            "-m",
            "pytest",
            "--quiet",
            "-p",
            "no:cacheprovider",
            "tests/template",
            "-k",
        ])
        .arg(names.join(" or "))
        .current_dir(tree)
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_DEFAULT_REGION", "eu-west-1");
    command
}

fn test_end(said: &str, count: usize, status: ExitStatus) -> End {
    let has = |line: String| said.lines().any(|said| said.starts_with(&line));
    if status.success()
        && has(format!(
            "test result: ok. {count} passed; 0 failed; 0 ignored"
        ))
    {
        return End::Green;
    }
    let failed = match count {
        1 => "test result: FAILED. 0 passed; 1 failed; 0 ignored",
        _ => "test result: FAILED. ",
    };
    if count > 0 && has(failed.to_owned()) {
        End::Red
    } else {
        End::NotRun
    }
}

fn rule_end(said: &str, count: usize, status: ExitStatus) -> End {
    let last = said.lines().last().unwrap_or_default();
    if status.success() && last.starts_with(&format!("{count} passed")) {
        End::Green
    } else if last.starts_with(&format!("{count} failed")) {
        End::Red
    } else {
        End::NotRun
    }
}

/// Why a test is red: the words of its first panic.
pub(crate) fn why(log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap_or_default();
    let mut lines = said
        .lines()
        .skip_while(|line| !line.contains("panicked at"));
    let place = lines
        .next()
        .and_then(|line| line.split("panicked at ").nth(1));
    let words = lines.next().unwrap_or_default();
    match place {
        Some(place) => format!("{place} {words}"),
        None => said.lines().rev().nth(1).unwrap_or_default().to_owned(),
    }
}

/// The tests of one suite in one job, for all suites.
pub(crate) fn together(tests: impl Iterator<Item = Red>) -> BTreeMap<String, Vec<Red>> {
    let mut suites: BTreeMap<String, Vec<Red>> = BTreeMap::new();
    for test in tests {
        suites.entry(test.suite.clone()).or_default().push(test);
    }
    for tests in suites.values_mut() {
        tests.sort();
        tests.dedup();
    }
    suites
}
