//! A few seeds, each twice, and every plan that failed once; and what exact time is good for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod flood;

use crate::op::Plan;
use crate::regression::regressions;
use crate::run::run;

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
