//! Deadlines: times, and durations that are no deadline.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;

#[test]
fn a_deadline_is_a_time_and_a_duration_is_none() {
    let clock = Clock::system();
    let most = Duration::from_secs(60);
    let soon = u64::try_from(clock.wall_millis() + 5_000).unwrap();
    let left = |at_ms| Deadline::at_ms_of_wall(at_ms, &clock).left(&clock, most);
    assert!((4_000..=4_700).contains(&left(soon).as_millis()));
    assert_eq!(left(soon - 10_000), Duration::ZERO, "it has passed");
    for unreachable in [0, 600_000] {
        assert!((8_000..=8_700).contains(&left(unreachable).as_millis()));
    }
}
