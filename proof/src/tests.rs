//! A few seeds, each twice, and every plan that failed once; and what exact time is good for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod edges;
mod flood;
mod pauses;
mod permissions;
mod witness;

use std::process::Command;

use serde_json::{Value, json};

use crate::op::{Plan, Signs};
use crate::regression::regressions;
use crate::run::run;
use crate::weather::Weather;
use crate::world::{Ground, World};

/// Does this in a world without faults, under a clock that stands still while nobody waits.
fn in_a_world<T>(act: impl AsyncFnOnce(&World) -> T) -> T {
    in_a_world_with(json!({"on": [], "percent": 0}), act)
}

/// The same in a world with these faults.
fn in_a_world_with<T>(faults: Value, act: impl AsyncFnOnce(&World) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let faults = serde_json::from_value(faults).unwrap();
        let weather = Weather::new(1, faults, false);
        let world = World::new(Ground::of(Signs::PublicKey).unwrap(), 1, weather).unwrap();
        act(&world).await
    })
}

#[test]
fn what_failed_once_does_not_fail_again() {
    for regression in regressions().unwrap() {
        let outcome = run(&regression.plan, false);
        assert_eq!(outcome.broken, None, "{}", regression.why);
    }
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..4 {
        let plan = Plan::of(seed);
        let (once, again) = (run(&plan, true), run(&plan, true));
        assert_eq!(once.broken, None, "seed {seed}");
        let differing = once
            .lines
            .iter()
            .zip(&again.lines)
            .find(|(one, other)| one != other);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(once.hash, again.hash, "seed {seed}");
    }
}

#[test]
fn another_seed_is_another_story() {
    assert_ne!(run(&Plan::of(1), false).hash, run(&Plan::of(2), false).hash);
}

/// The seeds that are run in another process and in other threads, too.
const COMPARED: std::ops::Range<u64> = 4..8;

fn hashes() -> Vec<String> {
    let of = |seed| format!("hash of {seed}: {:016x}", run(&Plan::of(seed), false).hash);
    COMPARED.map(of).collect()
}

#[test]
fn a_seed_decides_everything_in_any_thread_and_any_process() {
    let here = hashes();
    if std::env::var_os("PROOF_HASHES").is_some() {
        println!("{}", here.join("\n"));
        return;
    }
    let threads = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(hashes)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect::<Vec<_>>()
    });
    for elsewhere in threads {
        assert_eq!(elsewhere, here);
    }
    let name = "tests::a_seed_decides_everything_in_any_thread_and_any_process";
    let ran = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("PROOF_HASHES", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&ran.stdout);
    let there: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with("hash of "))
        .collect();
    assert_eq!(there, here, "{printed}");
}
