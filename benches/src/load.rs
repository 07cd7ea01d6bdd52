//! `cargo run -p bench -- load`: the release binaries under load, as far as two processors allow.
//!
//! Requests arrive by a schedule that was fixed beforehand and wait for nobody (an open loop), and each
//! latency counts from the moment at which the request was meant to start. The generator, with the
//! table, the secrets and WeChat Pay that it stands in for, has one processor, the functions another;
//! where the generator needed more than 80 % of its own, the run is discarded and repeated with half
//! the load. A function is so many processes of its release binary under a Runtime API, one request at
//! a time in each, as on Lambda. DynamoDB and WeChat Pay take their time by sleeping.
//!
//! What has to hold (answers, effects, counts) decides the exit code. Speeds are told, and a reader
//! judges them; docs/load.md shows those that were recorded.

pub(crate) mod latency;
pub(crate) mod outcome;
mod pace;
mod page;
pub(crate) mod passage;
mod picture;
mod pool;
mod processor;
mod scenarios;
mod scene;
mod seen;
mod tally;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use shared::clock::Clock;
use shared::rfc3339;

use crate::authority::Authority;
use crate::child::Spawner;
use crate::{Result, artefacts, exit, machine, simulator_keys};
use outcome::{GENERATOR_MAX, Outcome};
use scenarios::Scenario;
use scene::Stage;

/// How often a scenario is repeated with half the load at most.
const HALVINGS_MAX: u32 = 4;

/// The numbers that the page shows.
const RECORD: &str = "benches/load.json";

/// What was recorded, by scenario.
pub(crate) type Record = BTreeMap<String, Outcome>;

/// The arguments of `bench load`.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArguments {
    /// Which scenarios to run [default: all].
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// A folder with the functions' binaries, as for `bench` itself.
    #[arg(long, value_name = "DIR")]
    artefacts: Option<PathBuf>,
    /// How long the steady load lasts; from 10 on its memory has to be flat.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=600))]
    minutes: u16,
    /// What part of each scenario's rates to begin with.
    #[arg(long, default_value_t = 1.0, value_parser = part)]
    scale: f64,
    /// Records what was run: benches/load.json, docs/load.md and its pictures.
    #[arg(long)]
    record: bool,
}

fn part(text: &str) -> std::result::Result<f64, String> {
    let part = text.parse::<f64>().ok();
    let part = part.filter(|part| *part > 0.0 && *part <= 1.0);
    part.ok_or_else(|| "a part is above 0 and at most 1".to_owned())
}

/// Runs the scenarios; fails where something does not hold.
pub(crate) async fn run(root: &Path, arguments: &LoadArguments) -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let (stage, artefacts) = stage(root, folder.path(), arguments).await?;
    let chosen = if arguments.scenarios.is_empty() {
        Scenario::value_variants()
    } else {
        &arguments.scenarios
    };
    let steady = Duration::from_secs(u64::from(arguments.minutes) * 60);
    let mut ran = Record::new();
    for scenario in chosen {
        eprintln!("{} …", scenario.name());
        let mut outcome = at_some_scale(*scenario, &stage, arguments.scale, steady).await?;
        outcome.date = today();
        outcome.machine = machine();
        outcome.artefacts.clone_from(&artefacts);
        page::print(*scenario, &outcome);
        ran.insert(scenario.name().to_owned(), outcome);
    }
    let failed = ran.values().any(Outcome::fails);
    if arguments.record && failed {
        eprintln!("nothing is recorded: something does not hold");
    } else if arguments.record {
        let file = root.join(RECORD);
        let mut record = read(&file)?;
        record.extend(ran);
        std::fs::write(&file, serde_json::to_string_pretty(&record)? + "\n")?;
        page::write(root, &record)?;
        println!("Recorded.");
    }
    Ok(exit(failed))
}

/// Runs a scenario, and again with half the load while the generator is what is measured.
async fn at_some_scale(
    scenario: Scenario,
    stage: &Stage,
    mut scale: f64,
    steady: Duration,
) -> Result<Outcome> {
    for _ in 0..HALVINGS_MAX {
        let outcome = scenario.run(stage, scale, steady).await?;
        if !outcome.is_discarded() || outcome.fails() {
            return Ok(outcome);
        }
        eprintln!(
            "discarded: the generator used {:.0} % of its processor, more than {GENERATOR_MAX} %; again with half the load",
            outcome.generator_percent
        );
        scale /= 2.0;
    }
    scenario.run(stage, scale, steady).await
}

async fn stage(root: &Path, folder: &Path, arguments: &LoadArguments) -> Result<(Stage, String)> {
    let authority = Authority::new(folder)?;
    let keys = folder.join("keys");
    simulator_keys(&keys).await?;
    let declared = {
        let world = crate::world::World::start(&folder.join("stack"), &keys, &authority).await?;
        let declared = world.functions();
        world.stop().await;
        declared
    };
    let (functions, artefacts) =
        artefacts::functions(root, arguments.artefacts.as_deref(), &declared)?;
    let yardsticks = artefacts::invocations(root)?;
    let yardsticks = yardsticks.map(|(name, program)| (name.to_owned(), program));
    // Copies, so that a build that goes on meanwhile changes nothing.
    let copied = |name: &str, program: &Path| -> Result<PathBuf> {
        let copy = folder.join(format!("{name}.bootstrap"));
        std::fs::copy(program, &copy)
            .map_err(|error| format!("{} cannot be copied: {error}", program.display()))?;
        Ok(copy)
    };
    let mut programs = BTreeMap::new();
    for (name, program) in functions.into_iter().chain(yardsticks) {
        let copy = copied(&name, &program)?;
        programs.insert(name, copy);
    }
    let stage = Stage {
        folder: folder.join("scenes"),
        keys,
        authority,
        // Only now: what builds may use every processor.
        spawner: Spawner::new(),
        programs,
    };
    if stage.spawner.processor.is_none() {
        eprintln!(
            "WARNING: there is no second processor, or no taskset: the generator and the functions share one"
        );
    }
    Ok((stage, artefacts))
}

fn read(file: &Path) -> Result<Record> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::new()),
        Err(error) => Err(error.into()),
    }
}

fn today() -> String {
    rfc3339::format_utc(Clock::system().wall())
        .chars()
        .take(10)
        .collect()
}

/// What is behind a lock; whoever panicked while it was held left whole values behind.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
