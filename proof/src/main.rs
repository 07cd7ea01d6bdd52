//! `proof --seeds N [--from S]`: runs worlds by their seeds and says which promise one of them broke.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use proof::coverage::{Coverage, ENOUGH};
use proof::op::Plan;
use proof::regression::{line, regressions};
use proof::run::run;
use proof::shrink::shrink;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of so many seeds one is run twice, and must do the same both times.
const TWICE_EVERY: u64 = 50;

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Runs the whole system under seeds.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 5_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// After so many seconds no seed is begun any more, once so many ran that reach everything (2000).
    #[arg(long)]
    seconds: Option<u64>,
    /// How many threads, each with worlds of its own.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Goes on after a violation, and names each with its seed.
    #[arg(long)]
    keep_going: bool,
    /// Shows all that happens, for one seed.
    #[arg(long)]
    show: bool,
    /// Runs the line of the regression file that standard input brings, and shows it.
    #[arg(long)]
    replay: bool,
}

/// What all threads have in common.
struct Common {
    next: AtomicU64,
    done: AtomicU64,
    twice: AtomicU64,
    stop: AtomicBool,
    coverage: Mutex<Coverage>,
    failed: Mutex<Vec<(u64, String)>>,
}

fn say(text: &str) {
    println!("{text}");
    // Whoever reads along sees it at once.
    let _ = std::io::stdout().flush();
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match work(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: &Arguments) -> Result<(), String> {
    if arguments.replay {
        return replay();
    }
    if arguments.keep_going {
        // What a mistake breaks is counted by seeds alone.
        return seeds(arguments);
    }
    let kept = regressions()?;
    for regression in &kept {
        if let Some(broken) = run(&regression.plan, false).broken {
            return Err(format!("a regression: {} ({broken})", regression.why));
        }
    }
    say(&format!("{} plans that failed once hold.", kept.len()));
    if arguments.show {
        return show(&Plan::of(arguments.from));
    }
    seeds(arguments)
}

fn replay() -> Result<(), String> {
    let text = std::io::read_to_string(std::io::stdin()).map_err(|error| error.to_string())?;
    let kept: proof::regression::Regression =
        serde_json::from_str(text.trim()).map_err(|error| error.to_string())?;
    show(&kept.plan)
}

fn show(plan: &Plan) -> Result<(), String> {
    let outcome = run(plan, true);
    for line in &outcome.lines {
        say(line);
    }
    say(&format!("hash {:016x}", outcome.hash));
    outcome.broken.map_or(Ok(()), Err)
}

fn seeds(arguments: &Arguments) -> Result<(), String> {
    let common = Common {
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        twice: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        coverage: Mutex::default(),
        failed: Mutex::default(),
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.threads.max(1))
            .map(|_| scope.spawn(|| worker(arguments, &common)))
            .collect();
        let mut told = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                let done = common.done.load(Ordering::Relaxed);
                say(&format!("{done} of {} seeds", arguments.seeds));
            }
            let over = |seconds| began.elapsed() >= Duration::from_secs(seconds);
            let is_judged = common.done.load(Ordering::Relaxed) >= ENOUGH;
            if is_judged && arguments.seconds.is_some_and(over) {
                common.stop.store(true, Ordering::Relaxed);
            }
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let done = common.done.into_inner();
    let coverage = common.coverage.into_inner().unwrap_or_default();
    let mut failed = common.failed.into_inner().unwrap_or_default();
    failed.sort();
    if arguments.keep_going {
        for (seed, broken) in &failed {
            say(&format!("seed {seed} broke a promise: {broken}"));
        }
    } else if let Some((seed, broken)) = failed.first() {
        explain(*seed, broken);
    }
    say(&coverage.table());
    let missing = coverage.missing();
    if !missing.is_empty() {
        say(&format!("never reached: {}", missing.join(", ")));
    }
    let twice = common.twice.into_inner();
    say(&format!(
        "{done} seeds from {} in {seconds:.0} s ({:.1} ms of each thread a seed), {twice} of them twice with the \
         same trace: {} violations, {} places never reached.",
        arguments.from,
        seconds * 1_000.0 * arguments.threads as f64 / done.max(1) as f64,
        failed.len(),
        missing.len(),
    ));
    if !failed.is_empty() {
        return Err("a promise is broken".to_owned());
    }
    judge_coverage(done, &missing)
}

/// Whether everything was reached, where so many seeds ran that do.
fn judge_coverage(done: u64, missing: &[String]) -> Result<(), String> {
    if done < ENOUGH || missing.is_empty() {
        return Ok(());
    }
    Err("so many seeds reach everything, and these did not".to_owned())
}

fn worker(arguments: &Arguments, common: &Common) {
    while !common.stop.load(Ordering::Relaxed) {
        let place = common.next.fetch_add(1, Ordering::Relaxed);
        if place >= arguments.seeds {
            return;
        }
        let seed = arguments.from + place;
        let plan = Plan::of(seed);
        let outcome = run(&plan, false);
        let mut broken = outcome.broken.clone();
        if seed.is_multiple_of(TWICE_EVERY) && broken.is_none() {
            common.twice.fetch_add(1, Ordering::Relaxed);
            let again = run(&plan, false);
            if again.hash != outcome.hash {
                broken = Some("the same seed did something else the second time".to_owned());
            }
        }
        common.done.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut coverage) = common.coverage.lock() {
            coverage.add(&outcome);
        }
        if let Some(broken) = broken {
            if !arguments.keep_going {
                common.stop.store(true, Ordering::Relaxed);
            }
            if let Ok(mut failed) = common.failed.lock() {
                failed.push((seed, broken));
            }
        }
    }
}

/// Makes a failing seed's plan shorter and says what it is.
fn explain(seed: u64, broken: &str) {
    say(&format!("seed {seed} broke a promise: {broken}"));
    let (plan, broken) = shrink(&Plan::of(seed));
    say(&format!("{} steps are enough: {broken}", plan.steps.len()));
    for step in &plan.steps {
        say(&format!("    {:?}", step.op));
    }
    let faults: Vec<&str> = plan.switches.iter().map(|fault| fault.as_str()).collect();
    say(&format!("    under: {}", faults.join(", ")));
    if let Some((fault, place)) = plan.switches.aim() {
        say(&format!(
            "    above all: {} at {}",
            fault.as_str(),
            place.as_str()
        ));
    }
    for line in run(&plan, true).lines {
        say(&format!("  {line}"));
    }
    say(&format!(
        "keep it in proof/regressions.jsonl:\n{}",
        line(&broken, &plan)
    ));
}
