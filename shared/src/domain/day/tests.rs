//! Days begin and end at Beijing's midnight.

use super::*;

#[test]
fn a_day_begins_and_ends_at_midnight_in_beijing() {
    // 2026-01-01T00:00:00+08:00.
    let midnight = Timestamp::from_unix_seconds(1_767_196_800);
    let day = BeijingDay::of(midnight);
    assert_eq!(day.starts_at(), midnight);
    assert_eq!(day.ends_at(), midnight.plus_seconds(86_400));
    assert_eq!(BeijingDay::of(day.ends_at().minus_seconds(1)), day);
    assert_eq!(BeijingDay::of(midnight.minus_seconds(1)), day.before());
    assert_eq!(day.days_before(1), day.before());
    assert!(day.before() < day);
}

#[test]
fn days_before_1970_are_days_too() {
    let day = BeijingDay::of(Timestamp::from_unix_seconds(-8 * 3_600 - 1));
    assert_eq!(day.ends_at().unix_seconds(), -8 * 3_600);
}
