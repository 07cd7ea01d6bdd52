//! Random walks through everything at the same time: the merchant and two payers, a hostile WeChat
//! Pay, a table that fails, a clock that jumps, a stack that stops and starts; beside a model that is
//! as simple as a shopkeeper's notebook.
//!
//! Whatever happens on the way, at the end (no more trouble, sweeps, time) every order is paid or
//! closed, both sides' books agree, no more was refunded than was paid, and nothing that an answer
//! promised is lost. What can happen stands in [`op::Op`], which walks there are in [`plan`], how an
//! operation is performed and checked in [`walker`].
//!
//! A walk that fails is made shorter, for [`SHRINK_MS`] at most, and printed as a list that belongs
//! into [`regressions`]. `WALK_SEED` walks one seed alone, `WALK_SEEDS` as many from there on,
//! `WALK_STEPS` makes walks longer and `WALK_SHOW` prints what happened. A seed does not decide how
//! concurrent work is scheduled, so a walk may fail once and not again.

mod notebook;
mod op;
mod plan;
mod refunds;
mod regressions;
mod rest;
mod trouble;
mod walker;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use self::op::{NAMES, Op, Start};
use self::plan::Planned;
use self::walker::{Tally, Walk};
use crate::harness::{TestStack, runtime};

/// How many operations a walk has.
const STEPS: u64 = 80;

/// How many walks are under way at the same time in each test.
const AT_ONCE: usize = 4;

/// How long a failing walk is made shorter, in milliseconds.
const SHRINK_MS: u32 = 120_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Walks once; `begun` counts the operations.
fn walk(start: Start, ops: &[Op], begun: &AtomicUsize, loud: bool) -> Tally {
    runtime().block_on(async {
        let mut walk = Walk::begin(start, loud).await;
        for op in ops {
            begun.fetch_add(1, Ordering::SeqCst);
            walk.perform(op).await;
        }
        walk.rest().await
    })
}

/// Walks a list that a failure left behind.
fn replay(start: Start, ops: &[Op]) -> Tally {
    walk(start, ops, &AtomicUsize::new(0), true)
}

/// The faults that WeChat Pay can be told to make.
fn faults() -> &'static [&'static str] {
    static FAULTS: OnceLock<Vec<&'static str>> = OnceLock::new();
    FAULTS.get_or_init(|| {
        let names = runtime().block_on(async {
            let stack = TestStack::start().await;
            walker::faults(&stack).await
        });
        names.into_iter().map(|name| &*name.leak()).collect()
    })
}

/// How many operations each walk has.
fn steps() -> usize {
    usize::try_from(variable("WALK_STEPS").unwrap_or(STEPS)).unwrap()
}

/// The walk of a seed, of this many steps, and what shrinks it. Nothing is kept of it in files, and
/// the seed alone decides; a shorter walk is the beginning of a longer one.
fn planned(seed: u64, steps: usize) -> (TestRunner, impl ValueTree<Value = Planned> + use<>) {
    let config = Config {
        failure_persistence: None,
        max_shrink_time: SHRINK_MS,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let start = Start {
        seed,
        hostile: seed % 2 == 1,
    };
    let tree = plan::walks(start, steps, faults()).new_tree(&mut runner);
    (runner, tree.unwrap())
}

/// What became of a seed's walk of this many steps: how much happened, or after how many operations
/// it failed.
fn walk_of(seed: u64, steps: usize, loud: bool) -> Result<Tally, usize> {
    let (plan, ops, _) = planned(seed, steps).1.current();
    let begun = AtomicUsize::new(0);
    let walked = catch_unwind(AssertUnwindSafe(|| walk(plan.start, &ops, &begun, loud)));
    walked.map_err(|_| begun.into_inner())
}

/// Makes a failing walk shorter and fails with it.
fn shrink(seed: u64, begun: usize) -> ! {
    // First the shortest beginning that fails, as each try takes a while.
    let (mut too_few, mut enough) = (0, begun);
    while too_few + 1 < enough {
        let middle = too_few.midpoint(enough);
        match walk_of(seed, middle, false) {
            Ok(_) => too_few = middle,
            Err(_) => enough = middle,
        }
    }
    let (mut runner, tree) = planned(seed, enough);
    let (plan, ops, _) = tree.current();
    let shrunk = runner.run_one(tree, |(plan, ops, begun)| {
        walk(plan.start, &ops, &begun.unwrap_or_default(), false);
        Ok(())
    });
    let (start, shortest, reason) = match shrunk {
        Err(TestError::Fail(reason, (plan, ops, _))) => (plan.start, ops, reason.to_string()),
        _ => (plan.start, ops, "it did not fail again".to_owned()),
    };
    let again = catch_unwind(AssertUnwindSafe(|| replay(start, &shortest)));
    eprintln!(
        "the walk of seed {seed} failed after {begun} operations; {} are enough:\n\n{}\n{reason}",
        shortest.len(),
        op::literal(start, &shortest)
    );
    match again {
        Err(failure) => resume_unwind(failure),
        Ok(_) => panic!("the walk of seed {seed} failed, but not each time"),
    }
}

fn walks(seeds: Range<u64>) {
    let seeds: Vec<u64> = match variable("WALK_SEED") {
        // One test is enough for it.
        Some(_) if seeds.start > 0 => return,
        Some(seed) => (seed..seed + variable("WALK_SEEDS").unwrap_or(1)).collect(),
        None => seeds.collect(),
    };
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    for seeds in seeds.chunks(AT_ONCE) {
        let walked: Vec<Result<Tally, usize>> = thread::scope(|scope| {
            let walks: Vec<_> = seeds
                .iter()
                .map(|seed| scope.spawn(|| walk_of(*seed, steps(), true)))
                .collect();
            walks.into_iter().map(|walk| walk.join().unwrap()).collect()
        });
        for (seed, walked) in seeds.iter().zip(walked) {
            match walked {
                Ok(walked) => tally = tally.and(&walked),
                Err(begun) => failed.push((begun, *seed)),
            }
        }
    }
    // The shortest is the quickest to be made shorter.
    if let Some((begun, seed)) = failed.into_iter().min() {
        shrink(seed, begun);
    }
    check_coverage(&tally, seeds.len());
}

/// A walk through nothing proves nothing.
fn check_coverage(tally: &Tally, walks: usize) {
    let walks = u32::try_from(walks).unwrap();
    assert!(
        tally.orders_paid >= 3 * walks && tally.refunds_accepted >= 2 * walks,
        "{tally:?}"
    );
    // A few walks are too few for what happens rarely.
    if walks >= 4 {
        let missing: Vec<_> = NAMES
            .iter()
            .filter(|name| !tally.ran.contains_key(*name))
            .collect();
        assert!(missing.is_empty(), "{missing:?} never ran: {tally:?}");
    }
}

#[test]
fn whatever_happens_in_the_end_the_books_balance() {
    walks(0..4);
}

#[test]
fn whatever_else_happens_in_the_end_the_books_balance() {
    walks(4..8);
}

#[test]
fn a_shorter_walk_is_the_beginning_of_a_longer_one() {
    let ops = |steps| planned(1, steps).1.current().1;
    assert_eq!(ops(20), ops(50)[..20]);
}
