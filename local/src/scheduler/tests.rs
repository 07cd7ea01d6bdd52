//! How fast the schedules' time passes.

use std::time::Duration;

use super::{WAIT_MAX, passed_ms, wait};

#[test]
fn the_schedules_time_passes_as_many_times_faster_as_asked_for() {
    for (span_ms, speed, passed) in [
        (1_000, 1.0, 1_000),
        (1_000, 60.0, 60_000),
        (1_000, 0.5, 500),
        (1_440_000, 60.0, 24 * 3_600_000),
        (0, 60.0, 0),
    ] {
        let span = Duration::from_millis(span_ms);
        assert_eq!(passed_ms(span, speed), passed);
        let waits = wait(passed, speed);
        assert_eq!(waits, span.min(WAIT_MAX), "{passed} ms at {speed}");
    }
}

#[test]
fn a_wait_is_bounded_whatever_the_speed() {
    assert_eq!(wait(i64::MAX, f64::MIN_POSITIVE), WAIT_MAX);
    assert_eq!(wait(-1, 60.0), Duration::ZERO);
    assert_eq!(passed_ms(Duration::MAX, f64::MAX), i64::MAX);
}
