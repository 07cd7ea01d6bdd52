//! The bug zoo: breaks the code on purpose, one promise at a time, and sees the named tests go red.
//!
//! A patch is kept as small as the mistake. Its head names the promise, what is broken, and the tests that
//! have to notice: `it` and `operator` tests of these integration binaries, `shared` unit tests of that
//! crate, `template` rules of `tests/template`.
//!
//! All patches of code are built at once: a copy of the tree holds every broken body beside the right one,
//! and an environment variable chooses (`schemata`). So each test runs the very program that all the others
//! run, which takes one build for all patches, of our own crates alone. First the named tests have to be
//! green with no mistake chosen; then each has to be red under its own. A patch that no longer applies or
//! builds, and a test that does not run, are errors: the zoo is kept in step with the code.
//!
//! `--mutants` makes mistakes by rule instead (`mutate`), in the code that decides. Those that no test
//! notices have a reason in `tests/zoo/survivors.txt`.

mod compile;
mod copy;
mod mutate;
mod patch;
mod schemata;
mod source;
mod survey;
mod watch;
mod zoo;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use patch::Patch;
use zoo::Zoo;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Breaks the code on purpose and sees the named tests go red.
#[derive(Parser)]
struct Arguments {
    /// The patches, by name, or with --mutants the paths of code; all, if none is named.
    names: Vec<String>,
    /// Makes mistakes by rule in the code that decides, in place of the patches.
    #[arg(long)]
    mutants: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every mistake was noticed, or need not be.
fn run(arguments: &Arguments) -> Result<bool, Error> {
    let began = Instant::now();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize()?;
    let folder = root.join("tests/zoo");
    let kind = if arguments.mutants { "mutants" } else { "zoo" };
    let zoo = Zoo::open(root, kind)?;
    let (count, wrong) = if arguments.mutants {
        zoo.survey(&folder.join("survivors.txt"), &arguments.names)?
    } else {
        let patches = patches(&folder, &arguments.names)?;
        (patches.len(), zoo.visit(&patches)?)
    };
    let seconds = began.elapsed().as_secs();
    if wrong.is_empty() {
        println!("{count} mistakes in {seconds} s; all is as it should be");
        return Ok(true);
    }
    println!(
        "{count} mistakes in {seconds} s; {} are not as they should be:",
        wrong.len()
    );
    for line in &wrong {
        println!("  {line}");
    }
    Ok(false)
}

/// The patches of the folder, or the named ones.
fn patches(folder: &Path, names: &[String]) -> Result<Vec<Patch>, Error> {
    let mut paths: Vec<PathBuf> = Vec::new();
    if names.is_empty() {
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "patch")
        });
        paths.sort();
    } else {
        paths.extend(
            names
                .iter()
                .map(|name| folder.join(name).with_extension("patch")),
        );
    }
    paths.iter().map(|path| Patch::read(path)).collect()
}
