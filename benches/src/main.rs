//! `cargo run -p bench`: measures every release binary and holds them to their goals.
//!
//! For each Lambda binary, and for two yardsticks built on the spot (`floor`, create-order written by
//! hand; `hello`, `lambda_http` alone), it prints the size of its zip, the time from exec to the first
//! poll of the Runtime API and to the first answer, TLS and all, the processor time and the
//! instructions of both, and the peak of memory. Then it counts what one paid order costs, and sees how much
//! memory the reconciliation of a day of a million payments takes. It exits
//! with 1 where a gate of `goals.rs` is missed; docs/performance.md explains the numbers.
//!
//! The command itself is an ordinary debug build, as the tests' are: it measures other processes, by
//! the kernel's clock of them and by callgrind, and its servers' cryptography is compiled optimised
//! anyway (the profiles in Cargo.toml). As a release build it would pull the local stack through fat
//! LTO for minutes and measure the same. What is measured is always a release build: the bootstraps of
//! the last `sam build`, or of `--artefacts`, or made here by `cargo build --release`.

mod artefacts;
mod authority;
mod callgrind;
mod child;
mod distance;
mod goals;
mod load;
mod million;
mod numbers;
mod peers;
mod report;
mod waits;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::rfc3339;

use crate::artefacts::AtRest;
use crate::authority::Authority;
use crate::callgrind::Callgrind;
use crate::child::{Job, Run, Spawner};
use crate::million::Million;
use crate::numbers::{
    CREATE_ORDER, FLOOR, Instructions, Measured, Numbers, PaidOrder, RECONCILE, Recorded,
    SIGNATURES, Warm, median,
};
use crate::world::{Calls, World, item_bytes};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many orders more the second count has, so that one order's share is free of the start.
const MORE_ORDERS: usize = 20;

/// How many orders are timed in a process that runs, and how many before them are not.
const TIMED_ORDERS: usize = 150;
const WARM_UP_ORDERS: usize = 50;

/// How often signatures alone are timed, and how many orders' worth.
const SIGNATURE_RUNS: usize = 5;
const SIGNED_ORDERS: u32 = 300;

/// How often a count is tried when the binary, slow as it is under callgrind, runs into timeouts of its
/// own, as it does on a machine that is busy with other things.
const COUNT_ATTEMPTS: usize = 8;

#[derive(Parser)]
#[command(
    about = "Measures the Lambda binaries and holds them to their goals.",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// A folder with the functions' binaries: FUNCTION/bootstrap, by logical id or crate name
    /// [default: .aws-sam/build, or else a fresh `cargo build --release`].
    #[arg(long, value_name = "DIR")]
    artefacts: Option<PathBuf>,
    /// How many times each binary is started for the clocks.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// A folder for callgrind's files, NAME.EVENTS.callgrind, to be read with callgrind_annotate.
    #[arg(long, value_name = "DIR")]
    counts: Option<PathBuf>,
    /// Only sees how much memory the reconciliation of a day of a million payments takes.
    #[arg(long, conflicts_with_all = ["rounds", "counts", "record"])]
    million: bool,
    /// Makes these numbers the recorded ones: benches/recorded.json, docs/performance.md, its picture.
    #[arg(long)]
    record: bool,
    /// Measures beside the peers of this list instead; benches/peers/run makes it.
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Runs the binaries under load, as far as two processors allow (docs/load.md).
    Load(load::LoadArguments),
}

/// A binary to measure.
struct Subject {
    name: String,
    program: PathBuf,
    environment: BTreeMap<String, String>,
}

/// One run of a binary, and what its servers saw of it.
#[derive(Clone)]
struct Ran {
    run: Run,
    calls: Calls,
    connections: u64,
}

/// Where and with what everything is measured.
struct Bench {
    subjects: Vec<Subject>,
    machine: String,
    spawner: Spawner,
    world: World,
    // A sweep looks at everything that is due, so it has a table of its own.
    sweeps_world: World,
    callgrind: Option<Callgrind>,
    signing_key: PathBuf,
    authority: Authority,
    /// The simulator's keys.
    keys: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&arguments)));
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("the workspace is gone")?;
    if let Some(Command::Load(arguments)) = &arguments.command {
        return load::run(root, arguments).await;
    }
    if let Some(list) = &arguments.peers {
        return peers::run(root, list, arguments).await;
    }
    let record_file = root.join("benches/recorded.json");
    let recorded = Recorded::read(&record_file)?;
    let folder = tempfile::tempdir()?;
    let (bench, artefacts) = Bench::start(root, folder.path(), arguments).await?;
    if arguments.million {
        let goal = goals::million(bench.million().await?);
        bench.stop().await;
        println!("{}: {}, wanted {}", goal.what, goal.measured, goal.limit);
        return Ok(exit(goal.fails(true)));
    }
    let numbers = bench
        .measure(usize::from(arguments.rounds), artefacts)
        .await?;
    bench.stop().await;

    let strict = std::env::var_os("CI").is_some();
    let goals = goals::judge(&numbers, recorded.as_ref());
    report::print(&numbers, &goals, recorded.as_ref());
    if numbers.setting.is_none() {
        eprintln!(
            "\nWARNING: instructions were not counted, because there is no valgrind: the gates that \
             need them were skipped. In CI that is a failure."
        );
    }
    if arguments.record {
        let now = Recorded::from_numbers(&numbers)
            .ok_or("nothing is recorded: instructions were not counted")?;
        let goals = goals::judge(&numbers, Some(&now));
        now.write(&record_file)?;
        report::document(root, &numbers, &goals)?;
        println!("\nRecorded.");
        return Ok(exit(goals.iter().any(|goal| goal.fails(strict))));
    }
    Ok(exit(goals.iter().any(|goal| goal.fails(strict))))
}

fn exit(failed: bool) -> ExitCode {
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

impl Bench {
    async fn start(root: &Path, folder: &Path, arguments: &Arguments) -> Result<(Self, String)> {
        let authority = Authority::new(folder)?;
        let keys = folder.join("keys");
        // Keys take a moment to make: once, for both stacks.
        let simulator = simulator_keys(&keys).await?;
        let world = World::start(&folder.join("stack"), &keys, &authority).await?;
        let sweeps_world = World::start(&folder.join("sweeps-stack"), &keys, &authority).await?;
        let declared = world.functions();
        let (functions, artefacts) =
            artefacts::functions(root, arguments.artefacts.as_deref(), &declared)?;
        let yardsticks = if arguments.million {
            Vec::new()
        } else {
            artefacts::yardsticks(root)?.into()
        };
        let counts = arguments.counts.clone();
        let counts = counts.unwrap_or_else(|| folder.join("counts"));
        // Copies, so that a build that goes on meanwhile changes nothing.
        let copied = |name: &str, program: &Path| -> Result<PathBuf> {
            let copy = folder.join(name);
            std::fs::copy(program, &copy)
                .map_err(|error| format!("{} cannot be copied: {error}", program.display()))?;
            Ok(copy)
        };
        let mut subjects = Vec::new();
        for (name, program) in functions {
            let program = copied(&name, &program)?;
            let world = if name == "sweep" {
                &sweeps_world
            } else {
                &world
            };
            let environment = world.environment(&name)?;
            subjects.push(Subject {
                name,
                program,
                environment,
            });
        }
        for (name, program) in yardsticks {
            let program = copied(name, &program)?;
            let environment = world.environment(CREATE_ORDER)?;
            let name = name.to_owned();
            subjects.push(Subject {
                name,
                program,
                environment,
            });
        }
        let bench = Self {
            subjects,
            machine: machine(),
            // Only now: what builds may use every processor.
            spawner: Spawner::new(),
            world,
            sweeps_world,
            callgrind: if arguments.million {
                None
            } else {
                Callgrind::ready(root, counts)?
            },
            signing_key: simulator,
            authority,
            keys,
        };
        Ok((bench, artefacts))
    }

    async fn measure(&self, rounds: usize, artefacts: String) -> Result<Numbers> {
        let progress = |what: &str| eprintln!("{what} …");
        progress("counting what a paid order costs");
        let paid_orders = vec![
            self.paid_order("merchant", 1).await?,
            // The articles, the payer's open orders, and the order when it is settled.
            self.paid_order("payer", 3).await?,
        ];
        progress("starting each binary, in turn");
        let mut runs: Vec<Vec<Ran>> = vec![Vec::new(); self.subjects.len()];
        for _ in 0..rounds {
            for (subject, runs) in self.subjects.iter().zip(&mut runs) {
                runs.push(self.once(subject, 1, None).await?);
            }
        }
        if self.callgrind.is_some() {
            progress("counting instructions");
        }
        let mut measured = Vec::new();
        for (subject, runs) in self.subjects.iter().zip(&runs) {
            let instructions = match &self.callgrind {
                Some(callgrind) => Some(Instructions {
                    first_poll: self.counted(callgrind, subject, 0).await?,
                    first_answer: self.counted(callgrind, subject, 1).await?,
                }),
                None => None,
            };
            measured.push(summary(subject, runs, instructions)?);
        }
        progress("measuring one more order");
        let warm = self.warm(&measured).await?;
        progress("reconciling a day of a million payments");
        let million = self.million().await?;
        progress("waiting as a payer does");
        let waits = self.waits().await?;
        Ok(Numbers {
            date: rfc3339::format_utc(Clock::system().wall())
                .chars()
                .take(10)
                .collect(),
            machine: self.machine.clone(),
            artefacts,
            rounds,
            pinned: self.spawner.processor.is_some(),
            setting: self
                .callgrind
                .as_ref()
                .map(|callgrind| callgrind.setting.clone()),
            measured,
            warm,
            paid_orders,
            million,
            waits,
        })
    }

    async fn million(&self) -> Result<Million> {
        let reconcile = self.subject(RECONCILE)?;
        let merchant = self.world.stack().simulator.merchant();
        let shop = million::Shop {
            mchid: &merchant.mchid,
            appid: &merchant.appid,
            keys: &self.keys,
            key_id: &merchant.public_key_id,
        };
        million::measure(
            &shop,
            &self.authority,
            &self.spawner,
            &reconcile.program,
            reconcile.environment.clone(),
            self.world.event(RECONCILE).await?,
        )
        .await
    }

    async fn stop(self) {
        self.world.stop().await;
        self.sweeps_world.stop().await;
    }

    fn subject(&self, name: &str) -> Result<&Subject> {
        let found = self.subjects.iter().find(|subject| subject.name == name);
        found.ok_or_else(|| format!("the template declares no {name}").into())
    }

    fn world_of(&self, subject: &Subject) -> &World {
        if subject.name == "sweep" {
            &self.sweeps_world
        } else {
            &self.world
        }
    }

    /// Runs a binary for so many events; what it asked of AWS, and how many TLS connections it made.
    async fn once(
        &self,
        subject: &Subject,
        events: usize,
        callgrind: Option<(&Callgrind, &Path)>,
    ) -> Result<Ran> {
        let world = self.world_of(subject);
        let mut prepared = Vec::new();
        for _ in 0..events {
            prepared.push(world.event(&subject.name).await?);
        }
        self.given(subject, prepared, callgrind).await
    }

    async fn given(
        &self,
        subject: &Subject,
        events: Vec<Value>,
        callgrind: Option<(&Callgrind, &Path)>,
    ) -> Result<Ran> {
        let world = self.world_of(subject);
        world.taken_calls(&subject.name);
        let connections = world.connections();
        let job = Job {
            program: &subject.program,
            environment: &subject.environment,
            events,
            frozen_between: Duration::ZERO,
            callgrind,
        };
        let run = job.run(&self.spawner).await?;
        for answer in &run.answers {
            check(&subject.name, answer)?;
        }
        let calls = world.taken_calls(&subject.name);
        Ok(Ran {
            run,
            calls,
            connections: world.connections() - connections,
        })
    }

    /// Instructions of a binary from exec to its last answer, or to its first poll where it has no
    /// events. A run that asked AWS for other things than it does by itself, or connected more often,
    /// was disturbed, and is counted again.
    async fn counted(
        &self,
        callgrind: &Callgrind,
        subject: &Subject,
        events: usize,
    ) -> Result<u64> {
        let counts = callgrind.counts(&format!("{}.{events}", subject.name));
        let mut told = String::new();
        for _ in 0..COUNT_ATTEMPTS {
            let plain = self.once(subject, events, None).await?;
            told = match self.once(subject, events, Some((callgrind, &counts))).await {
                Ok(counted)
                    if (&counted.calls, counted.connections)
                        == (&plain.calls, plain.connections) =>
                {
                    return callgrind::instructions(&counts);
                }
                Ok(counted) => format!(
                    "{} does not do under callgrind what it does by itself: {:?} over {} \
                     connections instead of {:?} over {}",
                    subject.name,
                    counted.calls,
                    counted.connections,
                    plain.calls,
                    plain.connections
                ),
                Err(error) => error.to_string(),
            };
        }
        Err(told.into())
    }

    /// A paid order from its creation to its notice, by the two functions that see it.
    async fn paid_order(&self, placed_by: &'static str, reads_max: usize) -> Result<PaidOrder> {
        let create_order = self.subject(CREATE_ORDER)?;
        let notify_callback = self.subject("notify-callback")?;
        let event = match placed_by {
            "payer" => self.world.payers_order_event().await?,
            _ => self.world.event(CREATE_ORDER).await?,
        };
        let created = self.given(create_order, vec![event], None).await?;
        let body = created
            .run
            .answers
            .first()
            .map_or(&Value::Null, |answer| &answer["body"]);
        let placed: Value = serde_json::from_str(body.as_str().unwrap_or_default())?;
        let number = placed["out_trade_no"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let requests_to_wechatpay = self.world.requests_about(&number).await?;
        let notice = self.world.pay_with(&placed).await?;
        let settled = self.given(notify_callback, vec![notice], None).await?;
        let item = self.world.item(&number)?;
        if item["trade_state"]["S"] != "SUCCESS" {
            return Err(format!("the order {number} is not paid: {item}").into());
        }
        Ok(PaidOrder {
            placed_by,
            reads_max,
            create: created.calls,
            notify: settled.calls,
            requests_to_wechatpay,
            item_bytes: item_bytes(&item),
        })
    }

    async fn warm(&self, measured: &[Measured]) -> Result<Warm> {
        let mut warm = Warm::default();
        for name in [CREATE_ORDER, FLOOR] {
            let subject = self.subject(name)?;
            let orders = WARM_UP_ORDERS + TIMED_ORDERS;
            let ran = self.once(subject, orders, None).await?;
            let after = |orders: usize| ran.run.processor_answers.get(orders - 1).copied();
            if let (Some(began), Some(ended)) = (after(WARM_UP_ORDERS), after(orders)) {
                let orders = u32::try_from(TIMED_ORDERS).unwrap_or(u32::MAX);
                warm.processor
                    .insert(name.to_owned(), ended.saturating_sub(began) / orders);
            }
            let cold = measured.iter().find(|measured| measured.name == name);
            let cold = cold.and_then(|measured| measured.instructions);
            if let (Some(callgrind), Some(cold)) = (&self.callgrind, cold) {
                let more = self.counted(callgrind, subject, 1 + MORE_ORDERS).await?;
                let one = more.saturating_sub(cold.first_answer) / MORE_ORDERS as u64;
                warm.instructions.insert(name.to_owned(), one);
            }
        }
        if let Some(callgrind) = &self.callgrind {
            let one = self.signatures_counted(callgrind)?;
            warm.instructions.insert(SIGNATURES.to_owned(), one);
        }
        let timed = self.signatures_timed(self.subject(FLOOR)?).await?;
        warm.processor.insert(SIGNATURES.to_owned(), timed);
        Ok(warm)
    }

    /// Instructions of one order's signatures.
    fn signatures_counted(&self, callgrind: &Callgrind) -> Result<u64> {
        let floor = self.subject(FLOOR)?;
        let key = self.signing_key.display().to_string();
        let of = |orders: usize| {
            let arguments = ["crypto", &key, &orders.to_string()];
            callgrind.count(&floor.program, &arguments, "signatures")
        };
        Ok(of(1 + MORE_ORDERS)?.saturating_sub(of(1)?) / MORE_ORDERS as u64)
    }

    /// Time of one order's signatures; a process that does nothing else is on the processor all the
    /// time, so the fastest run is the one that nobody disturbed.
    async fn signatures_timed(&self, floor: &Subject) -> Result<Duration> {
        let of = async |orders: u32| -> Result<Duration> {
            let mut fastest = Duration::MAX;
            for _ in 0..SIGNATURE_RUNS {
                let mut command = std::process::Command::new(&floor.program);
                command
                    .arg("crypto")
                    .arg(&self.signing_key)
                    .arg(orders.to_string());
                let began = Instant::now();
                let status = self.spawner.finished(command).await?;
                if !status.success() {
                    return Err("the floor cannot sign".into());
                }
                fastest = fastest.min(began.elapsed());
            }
            Ok(fastest)
        };
        Ok(of(1 + SIGNED_ORDERS).await?.saturating_sub(of(1).await?) / SIGNED_ORDERS)
    }
}

/// Makes the simulator's keys; gives the file of the merchant's.
async fn simulator_keys(folder: &Path) -> Result<PathBuf> {
    let simulator = simulator::Simulator::start(simulator::Config::new(folder)).await?;
    simulator.stop().await;
    Ok(folder.join("apiclient_key.pem"))
}

/// Whether a binary answered what the whole of its work is answered with.
fn check(name: &str, answer: &Value) -> Result<()> {
    let status = |wanted: u16| answer["statusCode"] == wanted;
    let right = match name {
        "create-order" | "floor" => status(201) && answer["body"].to_string().contains("paySign"),
        "notify-callback" => status(204),
        "refund" => status(202) && answer["body"].to_string().contains("PROCESSING"),
        "query" => {
            let body = answer["body"].to_string();
            status(200) && body.contains("SUCCESS") && body.contains(r#"fresh\":true"#)
        }
        "close-order" => status(200) && answer["body"].to_string().contains("CLOSED"),
        "reconcile" => answer["status"] == "done",
        "sweep" => answer["looked_at"] == 1 && answer["failed"] == 0,
        "publish-events" => answer["batchItemFailures"] == json!([]),
        _ => status(200),
    };
    if right {
        Ok(())
    } else {
        Err(format!("{name} answered {answer}").into())
    }
}

fn summary(
    subject: &Subject,
    runs: &[Ran],
    instructions: Option<Instructions>,
) -> Result<Measured> {
    let of = |value: fn(&Run) -> Duration| median(runs.iter().map(|ran| value(&ran.run)));
    Ok(Measured {
        name: subject.name.clone(),
        at_rest: AtRest::of(&subject.program)?,
        first_poll: of(|run| run.first_poll),
        first_answer: of(|run| run.first_answer),
        processor_first_poll: of(|run| run.processor_first_poll),
        processor_first_answer: of(|run| {
            run.processor_answers.first().copied().unwrap_or_default()
        }),
        peak_kib: median(runs.iter().map(|ran| ran.run.peak_kib)),
        connections: median(runs.iter().map(|ran| ran.connections)),
        instructions,
    })
}

/// The processor's name, how many there are, and how busy they are before anything is measured.
fn machine() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("a processor without a name", |(_, name)| name.trim());
    // All of them, also where this process keeps to one.
    let processors = information
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let architecture = std::env::consts::ARCH;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    format!("{name} ({architecture}), {processors} processors, load average {load}")
}
