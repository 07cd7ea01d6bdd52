//! Running tests under a mistake, two at a time, and reading what they say.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::compile::{Binaries, SEEDS, UNITS};
use crate::patch::{RULES, Red};
use crate::schemata::SWITCH;

/// How long a test may take that nothing is known of, also beside others.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// A test may take so long under a mistake, and so many times what it takes without one. The harness gives up
/// waiting after 20 seconds, which is red and not too long.
const LONGER: Duration = Duration::from_secs(30);
const TIMES_AS_LONG: u32 = 5;
/// How often a running test is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Each mistake has locals of its own in a function's frame.
const STACK: &str = "67108864";

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Green,
    /// The named test failed, where it or what it calls of the tests says so.
    Red,
    /// The named test failed, though none of its own words did: what it tests panicked, or another thread.
    Elsewhere,
    /// It was not at its end in several times its usual time.
    TooLong,
    /// There is no such test, or it was ended from outside.
    NotRun,
}

/// A test under a mistake.
pub(crate) struct Job {
    /// The mistake; empty for none.
    pub(crate) mutant: String,
    pub(crate) test: Red,
    /// The copy of the tree that it reads the template and the pages from.
    pub(crate) tree: PathBuf,
    /// How long it may take.
    pub(crate) limit: Duration,
}

/// How long a test may take under a mistake that takes this without one.
pub(crate) fn limit(unbroken: Duration) -> Duration {
    LONGER + unbroken * TIMES_AS_LONG
}

/// Tests of a suite under a mistake.
#[derive(Clone, Copy)]
struct Chosen<'c> {
    mutant: &'c str,
    suite: &'c str,
    arguments: &'c [&'c str],
    log: &'c Path,
    limit: Duration,
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
    /// Runs all jobs, each test in a process of its own, and tells each as it ends.
    pub(crate) fn run(
        &self,
        jobs: Vec<Job>,
        told: impl Fn(&Job, End, Duration, &Path) + Sync,
    ) -> Result<(), Error> {
        side_by_side(jobs, |place, job| {
            let log = self.logs.join(format!("{}-{place}.txt", job.mutant));
            let began = Instant::now();
            let end = self.one(&job, &log)?;
            told(&job, end, began.elapsed(), &log);
            Ok(())
        })
    }

    /// How the tests of a suite that are chosen by these arguments end under a mistake: red with the first of
    /// them. A test that waits for others, which a machine may be too busy for, is red only where it is so
    /// again, alone or among all; and so is what ended without saying what failed.
    pub(crate) fn chosen(
        &self,
        mutant: &str,
        suite: &str,
        chosen: &[&str],
        log: &Path,
        limit: Duration,
    ) -> Result<End, Error> {
        let chosen = Chosen {
            mutant,
            suite,
            log,
            limit,
            arguments: chosen,
        };
        let (first, failed) = self.once(&chosen)?;
        match first {
            End::Green | End::TooLong => return Ok(first),
            // Seeds have a clock of their own, and unit tests wait for nothing.
            End::Red if [SEEDS, UNITS].contains(&suite) => return Ok(first),
            End::Red | End::Elsewhere | End::NotRun => {}
        }
        if let Some(test) = failed {
            let arguments = ["--exact", test.as_str()];
            let alone = Chosen {
                arguments: &arguments,
                ..chosen
            };
            if self.once(&alone)?.0 == End::Red {
                return Ok(End::Red);
            }
        }
        Ok(self.once(&chosen)?.0)
    }

    /// How they end, and the first test that failed.
    fn once(&self, chosen: &Chosen<'_>) -> Result<(End, Option<String>), Error> {
        let mut command = self.tests(chosen.suite, self.tree)?;
        command.args(chosen.arguments);
        let is_red = |said: &str| first_failed(said).is_some() || is_broken(said);
        let Chosen {
            mutant, log, limit, ..
        } = *chosen;
        let status = finished(&mut command, mutant, log, limit, is_red)?;
        let said = fs::read_to_string(log)?;
        let end = chosen_end(status, is_red(&said));
        Ok((end, first_failed(&said).map(str::to_owned)))
    }

    fn tests(&self, suite: &str, tree: &Path) -> Result<Command, Error> {
        let binary = self.binaries.get(suite);
        let mut command = Command::new(binary.ok_or(format!("there is no suite {suite}"))?);
        let (package, threads) = match suite {
            SEEDS => ("proof", ["--threads", "1"]),
            UNITS => ("shared", ["--test-threads", "2"]),
            _ => ("local", ["--test-threads", "2"]),
        };
        command.args(threads).current_dir(tree.join(package));
        Ok(command)
    }

    fn one(&self, job: &Job, log: &Path) -> Result<End, Error> {
        let Red { suite, test } = &job.test;
        let is_rule = suite == RULES;
        let mut command = if is_rule {
            rule(&job.tree, test)
        } else {
            let mut command = self.tests(suite, &job.tree)?;
            command.args(["--exact", test]);
            command
        };
        let status = finished(&mut command, &job.mutant, log, job.limit, |_| false)?;
        let Some(status) = status else {
            return Ok(End::TooLong);
        };
        let said = fs::read_to_string(log)?;
        Ok(if is_rule {
            rule_end(&said, status)
        } else {
            test_end(&said, test, status)
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
    // What it starts ends with it.
    command.process_group(0);
    let began = Instant::now();
    let mut child = command.spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let is_over = began.elapsed() > patience;
        if is_over || is_enough(&fs::read_to_string(log)?) {
            end(&mut child)?;
            return Ok(None);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Ends a process and those that it started.
fn end(child: &mut Child) -> Result<(), Error> {
    let group = format!("-{}", child.id());
    Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status()?;
    child.wait()?;
    Ok(())
}

/// A rule about the template; the environment with Python is at hand (`tests/zoo/run` sees to it).
fn rule(tree: &Path, name: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"])
        .args(["tests/template", "-k", name])
        .current_dir(tree)
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_DEFAULT_REGION", "eu-west-1");
    command
}

fn test_end(said: &str, test: &str, status: ExitStatus) -> End {
    let has = |line: &str| said.lines().any(|said| said.starts_with(line));
    if status.success() && has("test result: ok. 1 passed; 0 failed; 0 ignored") {
        return End::Green;
    }
    if !has("test result: FAILED. 0 passed; 1 failed; 0 ignored") {
        return End::NotRun;
    }
    // The first panic is the reason; what falls after it falls because of it.
    let thread = format!("thread '{test}' ");
    let is_own = said
        .lines()
        .find(|line| line.contains(" panicked at "))
        .is_some_and(|line| line.trim_start().starts_with(&thread) && is_of_tests(line));
    if is_own { End::Red } else { End::Elsewhere }
}

/// The first test that says that it failed.
fn first_failed(said: &str) -> Option<&str> {
    let mut names = said.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?;
        Some(name.trim_end_matches(" - should panic"))
    });
    names.next()
}

/// Whether the seeds say that a promise is broken.
fn is_broken(said: &str) -> bool {
    said.lines()
        .any(|line| line.contains(" broke a promise: ") || line.starts_with("a regression: "))
}

/// How chosen tests ended, by what they said too; no status is that of those that were ended.
fn chosen_end(status: Option<ExitStatus>, is_red: bool) -> End {
    match status {
        _ if is_red => End::Red,
        Some(status) if status.success() => End::Green,
        // It came to its end, and nothing says what failed.
        Some(_) => End::Elsewhere,
        None => End::TooLong,
    }
}

/// Whether a panic is told from a file of tests.
fn is_of_tests(line: &str) -> bool {
    let place = line.split(" panicked at ").nth(1).unwrap_or_default();
    let file = place.split(':').next().unwrap_or_default();
    file.split('/')
        .any(|part| part == "tests" || part == "tests.rs")
}

fn rule_end(said: &str, status: ExitStatus) -> End {
    let last = said.lines().last().unwrap_or_default();
    if status.success() && last.starts_with("1 passed") {
        End::Green
    } else if last.starts_with("1 failed") {
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
        .skip_while(|line| !line.contains(" panicked at "));
    let place = lines
        .next()
        .and_then(|line| line.split(" panicked at ").nth(1));
    let words = lines.next().unwrap_or_default();
    match place {
        Some(place) => format!("{place} {words}"),
        None => said.lines().rev().nth(1).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use std::env;

    use super::*;

    fn status(succeeds: bool) -> ExitStatus {
        let mut command = Command::new(if succeeds { "true" } else { "false" });
        command.status().unwrap()
    }

    #[test]
    fn a_test_is_red_only_where_its_own_words_are() {
        let red = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out";
        let ends = |said: &str| test_end(&format!("{said}\n{red}\n"), "a::b", status(false));
        assert_eq!(
            ends("thread 'a::b' (7) panicked at local/../tests/it/a.rs:3:4:\nno"),
            End::Red
        );
        assert_eq!(
            ends("thread 'a::b' (7) panicked at shared/src/x/tests.rs:3:4:\nno"),
            End::Red
        );
        assert_eq!(
            ends("thread 'a::b' (7) panicked at shared/src/x.rs:3:4:\nno"),
            End::Elsewhere
        );
        assert_eq!(
            ends("thread 'a::bc' (7) panicked at tests/it/a.rs:3:4:\nno"),
            End::Elsewhere
        );
        assert_eq!(ends("error: it returned one"), End::Elsewhere);
        let green = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out";
        assert_eq!(test_end(green, "a::b", status(true)), End::Green);
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 10 filtered out";
        assert_eq!(test_end(none, "a::b", status(true)), End::NotRun);
        assert_eq!(test_end("", "a::b", status(false)), End::NotRun);
    }

    #[test]
    fn chosen_tests_are_red_only_where_one_of_them_says_so() {
        let said = "running 2 tests\ntest a::b ... ok\ntest a::c - should panic ... FAILED\n";
        assert_eq!(first_failed(said), Some("a::c"));
        assert_eq!(
            first_failed("test a::b ... ok\nfatal runtime error: stack overflow"),
            None
        );
        assert!(is_broken("seed 7 broke a promise: one is lost\n"));
        assert!(is_broken("a regression: a payer (one is lost)\n"));
        assert!(!is_broken("4 plans that failed once hold.\n"));
        assert_eq!(chosen_end(Some(status(true)), false), End::Green);
        assert_eq!(chosen_end(Some(status(false)), true), End::Red);
        assert_eq!(chosen_end(Some(status(false)), false), End::Elsewhere);
        assert_eq!(chosen_end(None, true), End::Red);
        assert_eq!(chosen_end(None, false), End::TooLong);
    }

    #[test]
    fn what_takes_too_long_is_ended_with_what_it_started() {
        let log = env::temp_dir().join(format!("zoo-long-{}.txt", std::process::id()));
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & echo $!; wait"]);
        let limit = Duration::from_millis(500);
        assert!(
            finished(&mut command, "", &log, limit, |_| false)
                .unwrap()
                .is_none()
        );
        let started = fs::read_to_string(&log).unwrap();
        // It is gone, or dead and not yet collected by the one that inherited it.
        let is_over = || {
            let state = fs::read_to_string(format!("/proc/{}/stat", started.trim()));
            state.is_err() || state.is_ok_and(|state| state.contains(") Z "))
        };
        let began = Instant::now();
        while !is_over() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{started} goes on"
            );
            thread::sleep(LOOK_EVERY);
        }
        fs::remove_file(log).unwrap();
    }
}
