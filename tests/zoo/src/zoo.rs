//! The copies of the checkout with mistakes in them, and what the tests say to each.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Error;
use crate::compile::{self, Binaries, Built, Cargo};
use crate::copy;
use crate::patch::{Patch, RULES, Red};
use crate::schemata::{self, Mutant, Tree, Woven};
use crate::source::Source;
use crate::survey::{self, Reasons};
use crate::watch::{self, End, Job, PATIENCE, Runner};

/// Code that depends on nothing of ours, or on which no test does.
const APART: [&str; 3] = ["benches", "simulator", "tests/zoo"];

/// Why a mistake is not among the others that the compiler does not take there.
const BESIDE: &str = "it does not compile beside the others";

/// Longer than all tests take.
const ALL_TESTS_MAX: Duration = Duration::from_secs(1_800);

/// The checkout and the folder that the copies of it are in.
pub(crate) struct Zoo {
    root: PathBuf,
    work: PathBuf,
    /// What is made: the copies of one kind are not taken for another's.
    kind: &'static str,
    logs: PathBuf,
    /// The copy that tests read the template and the pages from.
    unbroken: PathBuf,
    /// The files of the checkout.
    names: Vec<PathBuf>,
}

impl Zoo {
    pub(crate) fn open(root: PathBuf, kind: &'static str) -> Result<Self, Error> {
        let work = root.join("target").join(kind);
        let logs = work.join("logs");
        // What an earlier run said is not taken for this one's.
        if logs.exists() {
            fs::remove_dir_all(&logs)?;
        }
        fs::create_dir_all(&logs)?;
        let zoo = Self {
            names: copy::files(&root)?,
            unbroken: work.join("plain/unbroken"),
            logs,
            work,
            kind,
            root,
        };
        copy::sync(&zoo.root, &zoo.unbroken, &zoo.names, &BTreeMap::new())?;
        Ok(zoo)
    }

    /// Sees the tests of all patches; what is not as it should be is told.
    ///
    /// # Errors
    /// It does not build.
    pub(crate) fn visit(&self, patches: &[Patch]) -> Result<Vec<String>, Error> {
        let suites: BTreeSet<&str> = patches
            .iter()
            .flat_map(|patch| patch.reds.iter().map(|red| red.suite.as_str()))
            .collect();
        let began = Instant::now();
        let (built, alone) = self.build(&self.mutants(patches)?, &suites)?;
        println!("built in {} s", began.elapsed().as_secs());
        let began = Instant::now();
        let unbroken = self.unbroken(&built, patches)?;
        println!("seen without a mistake in {} s", began.elapsed().as_secs());
        let (together, apart): (Vec<&Patch>, Vec<&Patch>) = patches
            .iter()
            .partition(|patch| !alone.contains_key(&patch.name));
        let began = Instant::now();
        let mut seen = self.see(&built, &together, &unbroken)?;
        for patch in apart {
            println!("{} is built alone: {}", patch.name, alone[&patch.name]);
            let built = self.build_alone(patch, &suites)?;
            seen.extend(self.see(&built, &[patch], &unbroken)?);
        }
        println!("seen with them in {} s", began.elapsed().as_secs());
        Ok(told(patches.len(), &seen))
    }

    /// Makes mistakes by rule under these paths; how many, and what is not as it should be.
    pub(crate) fn survey(
        &self,
        reasons: &Path,
        under: &[String],
    ) -> Result<(usize, Vec<String>), Error> {
        let reasons = Reasons::read(reasons)?;
        let tree = self.tree()?;
        let mut surveys = survey::surveys(&tree, under)?;
        println!("{} mistakes", surveys.len());
        let mutants = surveys.iter_mut().map(|survey| Mutant {
            name: survey.mutant.name.clone(),
            files: std::mem::take(&mut survey.mutant.files),
            only: survey.mutant.only.take(),
        });
        let mutants: Vec<Mutant> = mutants.collect();
        let stages: BTreeSet<_> = surveys.iter().flat_map(|survey| survey.stages).collect();
        let suites = stages.iter().map(|(suite, _)| *suite).collect();
        let (built, alone) = self.build(&mutants, &suites)?;
        for survey in &surveys {
            if let Some(why) = alone.get(&survey.mutant.name) {
                println!("left out, as {why}: {}", survey.name);
            }
        }
        let beside = alone.values().filter(|why| *why == BESIDE).count();
        surveys.retain(|survey| !alone.contains_key(&survey.mutant.name));
        println!(
            "{} of them compile; {beside} do not beside the others, and {} are left out for another reason",
            surveys.len(),
            alone.len() - beside
        );
        let runner = self.runner(&built);
        let survived = Mutex::new(BTreeSet::new());
        let (too_long, elsewhere) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let looked_at = surveys.iter().map(|survey| survey.name.clone()).collect();
        let count = surveys.len();
        let mut limits = BTreeMap::new();
        for (suite, parts) in stages {
            let log = self.logs.join(format!("{suite}.txt"));
            let began = Instant::now();
            if runner.chosen("", suite, parts, &log, ALL_TESTS_MAX)? != End::Green {
                return Err(format!("not green without a mistake: {}", log.display()).into());
            }
            limits.insert((suite, parts), watch::limit(began.elapsed()));
        }
        println!("green without a mistake");
        watch::side_by_side(surveys, |place, survey| {
            let name = &survey.mutant.name;
            for (stage, (suite, parts)) in survey.stages.iter().enumerate() {
                let log = self.logs.join(format!("{name}-{stage}.txt"));
                let limit = limits.get(&(suite, parts)).copied();
                let limit = limit.unwrap_or(ALL_TESTS_MAX);
                match runner.chosen(name, suite, parts, &log, limit)? {
                    End::Green => continue,
                    // A mistake that makes them so much slower has been noticed, too.
                    End::TooLong => {
                        println!("[{place}/{count}] {name} takes too long: {}", survey.name);
                        too_long.fetch_add(1, Ordering::Relaxed);
                    }
                    // Twice, and no test says that it is the reason: what they said is kept.
                    End::Elsewhere | End::NotRun => {
                        let log = log.display();
                        println!(
                            "[{place}/{count}] {name} is red elsewhere: {} ({log})",
                            survey.name
                        );
                        elsewhere.fetch_add(1, Ordering::Relaxed);
                        return Ok(());
                    }
                    End::Red => {}
                }
                fs::remove_file(log)?;
                return Ok(());
            }
            println!("[{place}/{count}] {name} survives: {}", survey.name);
            if let Ok(mut survived) = survived.lock() {
                survived.insert(survey.name);
            }
            Ok(())
        })?;
        let survived = survived.into_inner().unwrap_or_default();
        let elsewhere = elsewhere.into_inner();
        println!(
            "{} killed, {} of them as they took too long; {elsewhere} red elsewhere; {} survived",
            count - survived.len() - elsewhere,
            too_long.into_inner(),
            survived.len()
        );
        Ok((
            count,
            reasons.compare(&looked_at, &survived, under.is_empty()),
        ))
    }

    /// The code that has to do with ours, taken apart.
    fn tree(&self) -> Result<Tree, Error> {
        let is_code = |name: &&PathBuf| {
            let is_rust = name.extension().is_some_and(|extension| extension == "rs");
            is_rust && !APART.iter().any(|folder| name.starts_with(folder))
        };
        let mut tree = Tree::new();
        for name in self.names.iter().filter(is_code) {
            let source = Source::parse(fs::read_to_string(self.root.join(name))?)
                .map_err(|error| format!("{}: {error}", name.display()))?;
            tree.insert(name.clone(), source);
        }
        Ok(tree)
    }

    /// The patches of code, applied.
    fn mutants(&self, patches: &[Patch]) -> Result<Vec<Mutant>, Error> {
        let scratch = self.work.join("broken");
        let mut mutants = Vec::new();
        for patch in patches.iter().filter(|patch| patch.is_rust()) {
            mutants.push(Mutant {
                name: patch.name.clone(),
                files: patch.apply(&self.root, &scratch)?,
                only: None,
            });
        }
        Ok(mutants)
    }

    /// Builds the tests with all mistakes in them. Those that do not compile beside the others are told,
    /// with the reason.
    fn build(
        &self,
        mutants: &[Mutant],
        suites: &BTreeSet<&str>,
    ) -> Result<(Binaries, BTreeMap<String, String>), Error> {
        let tree = self.tree()?;
        let (mut placed, mut alone) = schemata::placed(&tree, mutants);
        loop {
            let woven = schemata::weave(&tree, &placed);
            match self.compile(&woven, suites)? {
                Built::Tests(binaries) => return Ok((binaries, alone)),
                Built::Broken { places, said } => {
                    let blamed = compile::blamed(&woven.arms, &places);
                    if blamed.is_empty() {
                        return Err(said.into());
                    }
                    fs::write(
                        self.logs.join(format!("compiler-{}.txt", alone.len())),
                        said,
                    )?;
                    println!("{} do not compile beside the others", blamed.len());
                    placed.retain(|placed| !blamed.contains(&placed.name));
                    alone.extend(blamed.into_iter().map(|name| (name, BESIDE.to_owned())));
                }
            }
        }
    }

    fn compile(&self, woven: &Woven, suites: &BTreeSet<&str>) -> Result<Built, Error> {
        let mut changed = copy::manifests(&self.root, self.kind)?;
        changed.extend(woven.files.clone());
        let tree = self.work.join("tree");
        copy::sync(&self.root, &tree, &self.names, &changed)?;
        let cargo = Cargo {
            root: &self.root,
            tree: &tree,
            target: &self.work.join("target"),
            log: &self.logs.join("cargo.txt"),
        };
        let suites: BTreeSet<&str> = suites
            .iter()
            .copied()
            .filter(|suite| *suite != RULES)
            .collect();
        if suites.is_empty() {
            return Ok(Built::Tests(Binaries::new()));
        }
        cargo.tests(&suites)
    }

    /// Builds the tests with one mistake.
    fn build_alone(&self, patch: &Patch, suites: &BTreeSet<&str>) -> Result<Binaries, Error> {
        let files = patch.apply(&self.root, &self.work.join("broken"))?;
        let woven = Woven {
            files,
            ..Woven::default()
        };
        match self.compile(&woven, suites)? {
            Built::Tests(binaries) => Ok(binaries),
            Built::Broken { said, .. } => Err(format!("{}: {said}", patch.name).into()),
        }
    }

    fn runner<'z>(&'z self, binaries: &'z Binaries) -> Runner<'z> {
        Runner {
            binaries,
            logs: &self.logs,
            tree: &self.unbroken,
        }
    }

    /// How each named test ends without a mistake, alone as under one, and how long it takes.
    fn unbroken(
        &self,
        built: &Binaries,
        patches: &[Patch],
    ) -> Result<BTreeMap<Red, (End, Duration)>, Error> {
        let tests: BTreeSet<&Red> = patches.iter().flat_map(|patch| &patch.reds).collect();
        let jobs = tests.into_iter().map(|test| Job {
            mutant: String::new(),
            test: test.clone(),
            tree: self.unbroken.clone(),
            limit: PATIENCE,
        });
        let ends = Mutex::new(BTreeMap::new());
        self.runner(built)
            .run(jobs.collect(), |job, end, took, log| {
                if end != End::Green {
                    let Red { suite, test } = &job.test;
                    let (why, log) = (watch::why(log), log.display());
                    println!(
                        "{suite} {test} IS NOT GREEN WITHOUT A MISTAKE: {end:?} {why} ({log})"
                    );
                }
                if let Ok(mut ends) = ends.lock() {
                    ends.insert(job.test.clone(), (end, took));
                }
            })?;
        Ok(ends.into_inner().unwrap_or_default())
    }

    /// Runs each named test under its mistake, the longest first; how each ended, and what it said.
    fn see(
        &self,
        built: &Binaries,
        patches: &[&Patch],
        unbroken: &BTreeMap<Red, (End, Duration)>,
    ) -> Result<Vec<Seen>, Error> {
        let mut jobs = Vec::new();
        let mut all = Vec::new();
        for patch in patches {
            let tree = if patch.is_rust() {
                self.unbroken.clone()
            } else {
                let tree = self.work.join("plain").join(&patch.name);
                copy::sync(&self.root, &tree, &self.names, &BTreeMap::new())?;
                patch.apply_in(&tree)?;
                tree
            };
            for test in &patch.reds {
                match unbroken.get(test) {
                    Some((End::Green, took)) => jobs.push(Job {
                        mutant: patch.name.clone(),
                        test: test.clone(),
                        tree: tree.clone(),
                        limit: watch::limit(*took),
                    }),
                    // Nothing that it says of a mistake would mean anything.
                    _ => all.push(Seen {
                        name: patch.name.clone(),
                        end: None,
                        line: format!("{}: {} is not green without it", patch.name, test.test),
                    }),
                }
            }
        }
        jobs.sort_by_key(|job| Reverse(job.limit));
        let all = Mutex::new(all);
        let done = AtomicUsize::new(0);
        let count = jobs.len();
        self.runner(built).run(jobs, |job, end, took, log| {
            let Red { suite, test } = &job.test;
            let (name, why) = (&job.mutant, watch::why(log));
            let line = match end {
                End::Red => format!("{name}: {suite} {test} is red: {why}"),
                End::Green => format!("{name}: {suite} {test} DID NOT NOTICE"),
                End::Elsewhere => format!("{name}: {suite} {test} IS RED ELSEWHERE: {why}"),
                End::TooLong => format!("{name}: {suite} {test} TOOK TOO LONG: {}", log.display()),
                End::NotRun => format!("{name}: {suite} {test} WAS NOT RUN: {}", log.display()),
            };
            let place = done.fetch_add(1, Ordering::Relaxed) + 1;
            println!("[{place}/{count}, {:.1} s] {line}", took.as_secs_f64());
            if let Ok(mut all) = all.lock() {
                let (name, end) = (name.clone(), Some(end));
                all.push(Seen { name, end, line });
            }
        })?;
        Ok(all.into_inner().unwrap_or_default())
    }
}

/// A named test under a mistake.
struct Seen {
    /// The mistake.
    name: String,
    /// `None` where the test is not green without one.
    end: Option<End>,
    line: String,
}

/// Says how many mistakes were noticed; the lines of the others.
fn told(count: usize, seen: &[Seen]) -> Vec<String> {
    let with = |end: Option<End>| {
        let ended = seen.iter().filter(|seen| seen.end == end);
        let names: BTreeSet<&str> = ended.map(|seen| seen.name.as_str()).collect();
        names.len()
    };
    let missed = || seen.iter().filter(|seen| seen.end != Some(End::Red));
    let wrong: BTreeSet<&str> = missed().map(|seen| seen.name.as_str()).collect();
    println!(
        "{} killed, {} survived, {} red elsewhere, {} took too long, {} not run, {} not to be seen",
        count - wrong.len(),
        with(Some(End::Green)),
        with(Some(End::Elsewhere)),
        with(Some(End::TooLong)),
        with(Some(End::NotRun)),
        with(None)
    );
    missed().map(|seen| seen.line.clone()).collect()
}
