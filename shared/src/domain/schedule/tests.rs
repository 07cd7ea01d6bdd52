//! How the waits grow.

use super::*;

#[test]
fn the_first_look_after_a_change_follows_none() {
    assert_eq!(Due::first(Timestamp::from_unix_seconds(7)).attempts, 0);
}

#[test]
fn what_does_not_change_is_looked_at_ever_less_often_and_each_hour_at_least() {
    let waits: Vec<i64> = (0..8).map(backoff_seconds).collect();
    assert_eq!(waits, [60, 120, 300, 600, 1_800, 3_600, 3_600, 3_600]);
}
