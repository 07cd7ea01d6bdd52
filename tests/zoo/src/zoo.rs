//! The copies of the checkout with mistakes in them, and what the tests say to each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::Error;
use crate::compile::{self, Binaries, Built, Cargo};
use crate::copy;
use crate::patch::Patch;
use crate::schemata::{self, Mutant, Tree, Woven};
use crate::source::Source;
use crate::survey::{self, Reasons};
use crate::watch::{self, End, Job, PATIENCE, Runner};

/// Code that depends on nothing of ours, or on which no test does.
const APART: [&str; 3] = ["benches", "simulator", "tests/zoo"];

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

    /// Sees the tests of all patches; what is not red is told.
    pub(crate) fn visit(&self, patches: &[Patch]) -> Result<Vec<String>, Error> {
        let suites: BTreeSet<&str> = patches
            .iter()
            .flat_map(|patch| patch.reds.iter().map(|red| red.suite.as_str()))
            .collect();
        let (built, alone) = self.build(&self.mutants(patches)?, &suites)?;
        println!("built");
        let red = self.not_green(&built, patches)?;
        if !red.is_empty() {
            return Ok(red);
        }
        println!("green without a mistake");
        let (together, apart): (Vec<&Patch>, Vec<&Patch>) = patches
            .iter()
            .partition(|patch| !alone.contains_key(&patch.name));
        let mut missed = self.see(&built, &together)?;
        for patch in apart {
            println!("{} is built alone: {}", patch.name, alone[&patch.name]);
            let built = self.build_alone(patch, &suites)?;
            missed.extend(self.see(&built, &[patch])?);
        }
        Ok(missed)
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
        });
        let mutants: Vec<Mutant> = mutants.collect();
        let stages: BTreeSet<_> = surveys.iter().flat_map(|survey| survey.stages).collect();
        let suites = stages.iter().map(|(suite, _)| *suite).collect();
        let (built, alone) = self.build(&mutants, &suites)?;
        surveys.retain(|survey| !alone.contains_key(&survey.mutant.name));
        println!("{} of them compile", surveys.len());
        let runner = self.runner(&built);
        let survived = Mutex::new(BTreeSet::new());
        let looked_at = surveys.iter().map(|survey| survey.name.clone()).collect();
        let count = surveys.len();
        let mut patience = BTreeMap::new();
        for (suite, parts) in stages {
            let log = self.logs.join(format!("{suite}.txt"));
            let began = Instant::now();
            if runner.is_noticed("", suite, parts, &log, ALL_TESTS_MAX)? {
                return Err(format!("not green without a mistake: {}", log.display()).into());
            }
            // A mistake that makes them five times slower has been noticed, too.
            patience.insert((suite, parts), PATIENCE + began.elapsed() * 5);
        }
        println!("green without a mistake");
        watch::side_by_side(surveys, |place, survey| {
            let name = &survey.mutant.name;
            for (stage, (suite, parts)) in survey.stages.iter().enumerate() {
                let log = self.logs.join(format!("{name}-{stage}.txt"));
                let patience = patience.get(&(suite, parts)).copied();
                let patience = patience.unwrap_or(ALL_TESTS_MAX);
                if runner.is_noticed(name, suite, parts, &log, patience)? {
                    fs::remove_file(log)?;
                    return Ok(());
                }
            }
            println!("[{place}/{count}] {name} survives: {}", survey.name);
            if let Ok(mut survived) = survived.lock() {
                survived.insert(survey.name);
            }
            Ok(())
        })?;
        let survived = survived.into_inner().unwrap_or_default();
        println!("{} noticed, {} not", count - survived.len(), survived.len());
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
                    let why = "it does not compile beside the others";
                    alone.extend(blamed.into_iter().map(|name| (name, why.to_owned())));
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
        // The integration tests are of the package `local`; the others have the names of theirs.
        let packages: BTreeSet<&str> = suites
            .iter()
            .filter(|suite| **suite != "template")
            .map(|suite| {
                if *suite == "shared" {
                    "shared"
                } else {
                    "local"
                }
            })
            .collect();
        if packages.is_empty() {
            return Ok(Built::Tests(Binaries::new()));
        }
        cargo.tests(&packages)
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

    /// The suites of which a named test is not green without a mistake.
    fn not_green(&self, built: &Binaries, patches: &[Patch]) -> Result<Vec<String>, Error> {
        let reds = patches.iter().flat_map(|patch| patch.reds.clone());
        let jobs = watch::together(reds).into_values().map(|tests| Job {
            mutant: String::new(),
            tests,
            tree: self.unbroken.clone(),
        });
        let red = Mutex::new(Vec::new());
        self.runner(built).run(jobs.collect(), |job, end, _, log| {
            if end != End::Green
                && let Ok(mut red) = red.lock()
            {
                let suite = job.tests.first().map_or("", |test| &test.suite);
                red.push(format!(
                    "{suite} is not green without a mistake: {}",
                    log.display()
                ));
            }
        })?;
        Ok(red.into_inner().unwrap_or_default())
    }

    /// Runs each named test under its mistake; what is not red.
    fn see(&self, built: &Binaries, patches: &[&Patch]) -> Result<Vec<String>, Error> {
        let mut jobs = Vec::new();
        for patch in patches {
            let tree = if patch.is_rust() {
                self.unbroken.clone()
            } else {
                let tree = self.work.join("plain").join(&patch.name);
                copy::sync(&self.root, &tree, &self.names, &BTreeMap::new())?;
                patch.apply_in(&tree)?;
                tree
            };
            jobs.extend(patch.reds.iter().map(|red| Job {
                mutant: patch.name.clone(),
                tests: vec![red.clone()],
                tree: tree.clone(),
            }));
        }
        let missed = Mutex::new(Vec::new());
        let done = Mutex::new(0);
        let count = jobs.len();
        self.runner(built).run(jobs, |job, end, took, log| {
            let test = job.tests.first().map_or("", |test| &test.test);
            let line = match end {
                End::Red => format!("{test} is red: {}", watch::why(log)),
                End::Green => format!("{test} DID NOT NOTICE"),
                End::NotRun => format!("{test} WAS NOT RUN: {}", log.display()),
            };
            let line = format!("{}: {line}", job.mutant);
            let place = done.lock().map_or(0, |mut done| {
                *done += 1;
                *done
            });
            println!("[{place}/{count}, {:.1} s] {line}", took.as_secs_f64());
            if end != End::Red
                && let Ok(mut missed) = missed.lock()
            {
                missed.push(line);
            }
        })?;
        Ok(missed.into_inner().unwrap_or_default())
    }
}
