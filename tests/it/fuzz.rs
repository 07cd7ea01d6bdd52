//! The fuzz targets' corpora, replayed: what a fuzzer once found or started from holds in each run of the tests.
//!
//! `fuzz/run` looks for more; a finding's input goes into the corpus of its target.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::documents::root;

/// How long one input may take on a machine that does other things, too: a thousand times what each does.
const INPUT_MAX: Duration = Duration::from_secs(5);

/// The fewest inputs of a target.
const INPUTS_MIN: usize = 8;

/// How large an input that is kept may be.
const INPUT_BYTES_MAX: usize = 16 * 1024;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = root().join("fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (format!("{target}/{name}"), fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_input_of_every_corpus_holds() {
    let mut wrong = Vec::new();
    for (target, run) in targets::TARGETS {
        let inputs = corpus(target);
        if inputs.len() < INPUTS_MIN {
            wrong.push(format!("{target} has {} inputs", inputs.len()));
        }
        for (name, bytes) in inputs {
            if bytes.len() > INPUT_BYTES_MAX {
                wrong.push(format!("{name} has {} bytes", bytes.len()));
            }
            let began = Instant::now();
            if catch_unwind(|| run(&bytes)).is_err() {
                wrong.push(format!("{name} found something"));
            }
            if began.elapsed() > INPUT_MAX {
                wrong.push(format!("{name} took {:?}", began.elapsed()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A target that is named in one place and not in another is run by nobody.
#[test]
fn each_target_has_its_program_and_its_corpus() {
    let names: BTreeSet<String> = targets::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let in_folder = |folder: &str, ending: &str| -> BTreeSet<String> {
        let files = fs::read_dir(root().join(folder)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names
            .filter_map(|name| name.strip_suffix(ending).map(str::to_owned))
            .collect()
    };
    assert_eq!(in_folder("fuzz/corpus", ""), names);
    assert_eq!(in_folder("fuzz/fuzz_targets", ".rs"), names);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in &names {
        assert!(
            manifest.contains(&format!("\n[[bin]]\nname = \"{name}\"\n")),
            "{name}"
        );
        let program = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        let program = fs::read_to_string(program).unwrap();
        assert!(
            program.contains(&format!("fuzz::run(\"{name}\", bytes)")),
            "{name}"
        );
    }
}
