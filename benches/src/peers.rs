//! What others do for the same work, beside this project, in one run (benches/peers/run).
//!
//! Libraries build an `Authorization` header and take a payment's notice; functions create an order, cold
//! and warm. What counts is the kernel's account of each process, everything in it included: its garbage
//! collector, its just-in-time compiler. Before every batch of a peer's stands one of ours, so that
//! whatever else the machine does falls on both, and a ratio is the median of such pairs.

mod function;
mod library;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::rfc3339;

use crate::authority::Authority;
use crate::child::Spawner;
use crate::goals::Goal;
use crate::numbers::CREATE_ORDER;
use crate::world::World;
use crate::{Arguments, Result, artefacts, exit, machine, simulator_keys};

/// This project's name in the list.
const OURS: &str = "ours";
/// What is no library of WeChat Pay's, but what they stand on.
const OPENSSL: &str = "OpenSSL";

const HEADER_TO_OPENSSL_MAX: f64 = 1.05;
const HEADER_TIMES_MIN: f64 = 3.0;
const NOTICE_MAX: Duration = Duration::from_micros(25);
const COLD_TIMES_NODE_MIN: f64 = 15.0;
const COLD_TIMES_PYTHON_MIN: f64 = 40.0;

/// One of those who are measured.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Peer {
    name: String,
    version: String,
    /// The language's version, and the cryptography's where it is not the language's own.
    runtime: String,
    program: PathBuf,
}

/// Those who are measured, by what they are.
#[derive(Debug, Default, PartialEq, Eq)]
struct Peers {
    libraries: Vec<Peer>,
    functions: Vec<Peer>,
}

impl Peers {
    /// Reads the list: kind, name, version, runtime and program, between tabs.
    fn parse(list: &str) -> Result<Self> {
        let mut peers = Self::default();
        for line in list.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [kind, name, version, runtime, program] = fields.as_slice() else {
                return Err(format!("{line:?} is no peer").into());
            };
            let peer = Peer {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
                runtime: (*runtime).to_owned(),
                program: PathBuf::from(program),
            };
            match *kind {
                "library" => peers.libraries.push(peer),
                "function" => peers.functions.push(peer),
                other => return Err(format!("{other:?} is no kind of peer").into()),
            }
        }
        Ok(peers)
    }
}

/// What all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    /// Signs a request and builds its `Authorization` header.
    Header,
    /// Verifies, opens and reads a payment's notice.
    Notice,
    /// From exec to the first answer of create-order.
    ColdOrder,
    /// One more order in a process that runs.
    WarmOrder,
}

/// One piece of work and how all do it, this project first.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Comparison {
    work: Work,
    rounds: usize,
    rows: Vec<Row>,
}

/// How one does it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    name: String,
    version: String,
    runtime: String,
    /// The median of all samples, in nanoseconds of processor time.
    median_ns: u64,
    /// The least and the most of them.
    least_ns: u64,
    most_ns: u64,
    /// How many times our time it takes: the median of the pairs.
    times_ours: f64,
}

/// A peer's samples, each with the one of ours that stood before it.
#[derive(Debug)]
struct Samples {
    peer: Peer,
    pairs: Vec<(Duration, Duration)>,
}

impl Comparison {
    fn of(work: Work, ours: &Peer, samples: Vec<Samples>) -> Self {
        let our_samples = samples.iter().flat_map(|of| of.pairs.iter());
        let our_samples = our_samples.map(|(ours, _)| *ours).collect();
        let rounds = samples.first().map_or(0, |of| of.pairs.len());
        let mut rows = vec![Row::of(ours, our_samples, 1.0)];
        for Samples { peer, pairs } in samples {
            let ratios = pairs
                .iter()
                .map(|(ours, theirs)| theirs.as_secs_f64() / ours.as_secs_f64().max(1e-9));
            let times_ours = median_of(ratios);
            let theirs = pairs.iter().map(|(_, theirs)| *theirs).collect();
            rows.push(Row::of(&peer, theirs, times_ours));
        }
        if let Some((_, peers)) = rows.split_first_mut() {
            peers.sort_by(|one, other| one.times_ours.total_cmp(&other.times_ours));
        }
        Self { work, rounds, rows }
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl Row {
    fn of(peer: &Peer, mut samples: Vec<Duration>, times_ours: f64) -> Self {
        samples.sort_unstable();
        let at = |index: usize| {
            let sample = samples.get(index).copied().unwrap_or_default();
            u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX)
        };
        Self {
            name: peer.name.clone(),
            version: peer.version.clone(),
            runtime: peer.runtime.clone(),
            median_ns: at(samples.len() / 2),
            least_ns: at(0),
            most_ns: at(samples.len().saturating_sub(1)),
            times_ours,
        }
    }
}

fn median_of(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What one run showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Beside {
    date: String,
    machine: String,
    /// Where this project's create-order comes from.
    artefacts: String,
    /// Whether everyone had a processor of their own.
    pinned: bool,
    comparisons: Vec<Comparison>,
}

/// Measures, prints and, where it is asked for, records.
pub(crate) async fn run(root: &Path, list: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let peers = Peers::parse(&std::fs::read_to_string(list)?)?;
    let machine = machine();
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    let keys = folder.path().join("keys");
    simulator_keys(&keys).await?;
    let stack = folder.path().join("stack");
    let world = World::start(&stack, &keys, &authority).await?;
    let mut declared: BTreeMap<String, String> = world.functions();
    declared.retain(|_, binary| binary == CREATE_ORDER);
    let (functions, artefacts) =
        artefacts::functions(root, arguments.artefacts.as_deref(), &declared)?;
    let program = folder.path().join(CREATE_ORDER);
    let built = functions
        .get(CREATE_ORDER)
        .ok_or("there is no create-order")?;
    std::fs::copy(built, &program)?;
    let ours = peers.libraries.iter().find(|peer| peer.name == OURS);
    let ours = ours.ok_or("this project's own library is missing")?;
    let create_order = Peer {
        program,
        ..ours.clone()
    };
    // An odd number, so that a median is one of the samples.
    let rounds = usize::from(arguments.rounds) | 1;
    let spawner = Spawner::new();
    let mut comparisons = library::measure(
        &world,
        &stack.join("simulator"),
        folder.path(),
        &spawner,
        &peers.libraries,
        2 * rounds + 1,
    )
    .await?;
    comparisons.extend(
        function::measure(
            &world,
            &authority,
            &spawner,
            &create_order,
            &peers.functions,
            rounds,
        )
        .await?,
    );
    world.stop().await;
    let beside = Beside {
        date: rfc3339::format_utc(Clock::system().wall())
            .chars()
            .take(10)
            .collect(),
        machine,
        artefacts,
        pinned: spawner.processor.is_some(),
        comparisons,
    };
    let goals = judge(&beside);
    report::print(&beside, &goals);
    if arguments.record {
        report::record(root, &beside, &goals)?;
        println!("\nRecorded.");
    }
    let strict = std::env::var_os("CI").is_some();
    Ok(exit(strict && goals.iter().any(|goal| goal.met.is_none())))
}

/// The goals. They are clocks, which a reader judges; only that one was not measured is a failure.
fn judge(beside: &Beside) -> Vec<Goal> {
    let of = |work: Work| beside.comparisons.iter().find(|all| all.work == work);
    let times = |work: Work, name: &str| Some(of(work)?.row(name)?.times_ours);
    let goal = |what: String, limit: String, measured: Option<(String, bool)>| Goal {
        what,
        limit,
        met: measured.as_ref().map(|(_, met)| *met),
        measured: measured.map_or("nobody to measure beside".to_owned(), |(told, _)| told),
        gate: false,
    };
    let mut goals = vec![goal(
        "header, beside OpenSSL's signature".to_owned(),
        format!("≤ {HEADER_TO_OPENSSL_MAX} ×"),
        times(Work::Header, OPENSSL).map(|times| {
            let ratio = 1.0 / times;
            (format!("{ratio:.3} ×"), ratio <= HEADER_TO_OPENSSL_MAX)
        }),
    )];
    let mut part_of = |work: Work, what: &str, name: &str, least: f64| {
        goals.push(goal(
            format!("{what}, beside {name}"),
            format!("≤ 1/{least}"),
            times(work, name).map(|times| (format!("1/{times:.1}"), times >= least)),
        ));
    };
    for name in ["wechatpay-go", "wechatpay-java", "wechatpay-node-v3"] {
        part_of(Work::Header, "header", name, HEADER_TIMES_MIN);
    }
    let cold = "cold create-order";
    part_of(Work::ColdOrder, cold, "Node", COLD_TIMES_NODE_MIN);
    part_of(Work::ColdOrder, cold, "Python", COLD_TIMES_PYTHON_MIN);
    let notice = of(Work::Notice);
    let ours = notice.and_then(|notice| notice.row(OURS));
    goals.push(goal(
        "notice".to_owned(),
        format!("≤ {} µs", NOTICE_MAX.as_micros()),
        ours.map(|ours| {
            let median = Duration::from_nanos(ours.median_ns);
            (report::microseconds(ours.median_ns), median <= NOTICE_MAX)
        }),
    ));
    let fastest = notice.and_then(|notice| {
        let libraries = notice.rows.iter();
        libraries
            .filter(|row| row.name != OURS && row.name != OPENSSL)
            .min_by(|one, other| one.times_ours.total_cmp(&other.times_ours))
    });
    goals.push(goal(
        "notice, beside the fastest of the libraries".to_owned(),
        "less".to_owned(),
        fastest.map(|row| {
            let told = format!("1/{:.2} of {}", row.times_ours, row.name);
            (told, row.times_ours > 1.0)
        }),
    ));
    goals
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "these are tests")]

    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Comparison, OURS, Peer, Peers, Samples, Work};

    fn peer(name: &str) -> Peer {
        Peer {
            name: name.to_owned(),
            version: "1".to_owned(),
            runtime: "any".to_owned(),
            program: PathBuf::from("/bin/true"),
        }
    }

    #[test]
    fn the_list_is_read_as_it_is_written() {
        let peers = Peers::parse("library\tone\t1\tany\t/bin/true\n").unwrap();
        assert_eq!(peers.libraries, [peer("one")]);
        assert!(peers.functions.is_empty());
        assert!(Peers::parse("library one 1 any /bin/true").is_err());
        assert!(Peers::parse("servant\tone\t1\tany\t/bin/true").is_err());
    }

    #[test]
    fn a_ratio_is_of_pairs_and_no_disturbed_pair_moves_it() {
        let micros = |pairs: [(u64, u64); 3]| {
            pairs
                .map(|(ours, theirs)| (Duration::from_micros(ours), Duration::from_micros(theirs)))
                .to_vec()
        };
        // The machine is slower by half in the second round and is taken away in the third.
        let slow = Samples {
            peer: peer("slow"),
            pairs: micros([(10, 40), (15, 60), (10, 900)]),
        };
        let fast = Samples {
            peer: peer("fast"),
            pairs: micros([(10, 20), (15, 30), (90, 20)]),
        };
        let all = Comparison::of(Work::Notice, &peer(OURS), vec![slow, fast]);
        let told: Vec<(&str, u64, f64)> = all
            .rows
            .iter()
            .map(|row| (row.name.as_str(), row.median_ns, row.times_ours))
            .collect();
        assert_eq!(
            told,
            [
                (OURS, 15_000, 1.0),
                ("fast", 20_000, 2.0),
                ("slow", 60_000, 4.0)
            ]
        );
        assert_eq!(all.rounds, 3);
    }
}
