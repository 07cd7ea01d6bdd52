//! Schedule expressions: what each means, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::Schedule;

/// 2026-11-25T09:14:12Z, a Wednesday; in Beijing it is 17:14:12.
const MADE_MS: i64 = 1_795_598_052_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn text(unix_ms: i64) -> String {
    let form = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let moment = time::UtcDateTime::from_unix_timestamp(unix_ms / 1000);
    moment.unwrap().format(&form).unwrap()
}

#[test]
fn a_rate_runs_at_once_and_then_at_its_interval() {
    for (expression, every_ms) in [
        ("rate(1 minute)", MINUTE_MS),
        ("rate(5 minutes)", 5 * MINUTE_MS),
        ("rate(1 hour)", 60 * MINUTE_MS),
        ("rate(12 hours)", 12 * 60 * MINUTE_MS),
        ("rate(1 day)", DAY_MS),
        ("rate(7 days)", 7 * DAY_MS),
    ] {
        let schedule = Schedule::parse(expression, None).unwrap();
        assert_eq!(schedule.first(MADE_MS), Some(MADE_MS), "{expression}");
        for (passed_ms, intervals) in [
            (0, 1),
            (every_ms - 1, 1),
            (every_ms, 2),
            (every_ms + 1, 2),
            (10 * every_ms, 11),
        ] {
            assert_eq!(
                schedule.after(MADE_MS, MADE_MS + passed_ms),
                Some(MADE_MS + intervals * every_ms),
                "{expression} after {passed_ms} ms"
            );
        }
    }
}

#[test]
fn a_cron_expression_runs_when_aws_runs_it() {
    // The expression, its time zone, and the first two runs in UTC.
    for (expression, zone, first, second) in [
        (
            "cron(0 10 * * ? *)",
            None,
            "2026-11-25T10:00",
            "2026-11-26T10:00",
        ),
        (
            "cron(30 10 * * ? *)",
            Some("Asia/Shanghai"),
            "2026-11-26T02:30",
            "2026-11-27T02:30",
        ),
        (
            "cron(0/15 * * * ? *)",
            None,
            "2026-11-25T09:15",
            "2026-11-25T09:30",
        ),
        (
            "cron(*/20 * * * ? *)",
            None,
            "2026-11-25T09:20",
            "2026-11-25T09:40",
        ),
        (
            "cron(1/10 8-9 * * ? *)",
            None,
            "2026-11-25T09:21",
            "2026-11-25T09:31",
        ),
        (
            "cron(0 8,20 * * ? *)",
            None,
            "2026-11-25T20:00",
            "2026-11-26T08:00",
        ),
        (
            "cron(15 12 ? * MON-FRI *)",
            None,
            "2026-11-25T12:15",
            "2026-11-26T12:15",
        ),
        (
            "cron(15 12 ? * 7 *)",
            None,
            "2026-11-28T12:15",
            "2026-12-05T12:15",
        ),
        (
            "cron(15 12 ? * SUN *)",
            None,
            "2026-11-29T12:15",
            "2026-12-06T12:15",
        ),
        (
            "cron(0 10 ? * 6L *)",
            None,
            "2026-11-27T10:00",
            "2026-12-25T10:00",
        ),
        (
            "cron(0 10 ? * 6#3 *)",
            None,
            "2026-12-18T10:00",
            "2027-01-15T10:00",
        ),
        (
            "cron(0 18 L * ? *)",
            None,
            "2026-11-30T18:00",
            "2026-12-31T18:00",
        ),
        (
            "cron(0 8 3W * ? *)",
            None,
            "2026-12-03T08:00",
            "2027-01-04T08:00",
        ),
        (
            "cron(0 8 1 jan,MAR ? 2027-2028)",
            None,
            "2027-01-01T08:00",
            "2027-03-01T08:00",
        ),
    ] {
        let schedule = Schedule::parse(expression, zone).unwrap();
        let due_ms = schedule.first(MADE_MS).unwrap();
        assert_eq!(text(due_ms), first, "{expression}");
        // A run takes a moment.
        let next_ms = schedule.after(due_ms, due_ms + 800).unwrap();
        assert_eq!(text(next_ms), second, "{expression}");
        // One that ended "before" it was due, by a clock that is set back, does not run twice.
        assert_eq!(schedule.after(due_ms, due_ms - 800), Some(next_ms));
    }
}

#[test]
fn what_was_due_while_the_clock_was_moved_runs_once() {
    let daily = Schedule::parse("cron(0 10 * * ? *)", None).unwrap();
    let due_ms = daily.first(MADE_MS).unwrap();
    let next_ms = daily.after(due_ms, due_ms + 7 * DAY_MS + 1).unwrap();
    assert_eq!(text(next_ms), "2026-12-03T10:00");
}

#[test]
fn a_cron_expression_that_is_over_runs_never() {
    let over = Schedule::parse("cron(0 10 1 1 ? 2020)", None).unwrap();
    assert_eq!(over.first(MADE_MS), None);
}

#[test]
fn an_expression_that_is_none_is_refused_in_a_sentence_that_says_why() {
    // The expression, its time zone, and what the sentence has to hold.
    for (expression, zone, said) in [
        ("", None, "neither rate"),
        ("1 minute", None, "neither rate"),
        ("at(2026-11-25T09:14:12)", None, "neither rate"),
        ("rate(1 minute", None, "neither rate"),
        ("Rate(1 minute)", None, "neither rate"),
        ("rate()", None, "unit"),
        ("rate(1)", None, "unit"),
        ("rate(1 second)", None, "unit"),
        ("rate(1 Minute)", None, "unit"),
        ("rate(1  minute)", None, "unit"),
        ("rate(0 minutes)", None, "value"),
        ("rate(-1 minutes)", None, "value"),
        ("rate(1.5 hours)", None, "value"),
        ("rate(99999999999999999 days)", None, "value"),
        ("cron()", None, "six fields"),
        ("cron(0 10 * * ?)", None, "six fields"),
        ("cron(0 0 10 * * ? *)", None, "six fields"),
        ("cron(0 10 * * * *)", None, "exactly one"),
        ("cron(0 10 ? * ? *)", None, "exactly one"),
        ("cron(0 10 1 * MON *)", None, "exactly one"),
        ("cron(60 10 * * ? *)", None, "cannot be used"),
        ("cron(0 24 * * ? *)", None, "cannot be used"),
        ("cron(0 10 ? * 0 *)", None, "cannot be used"),
        ("cron(0 10 ? * 8 *)", None, "cannot be used"),
        ("cron(0 10 * 13 ? *)", None, "cannot be used"),
        ("cron(0 L * * ? *)", None, "'L' in the hours"),
        ("cron(0 10 +1 * ? *)", None, "'+' in the day of month"),
        ("cron(? 10 * * ? *)", None, "'?' in the minutes"),
        ("cron(0 10 * * ? W)", None, "'W' in the year"),
        ("cron(0 10 * * ? *)", Some("Beijing"), "time zone"),
        ("rate(1 minute)", Some("+08:00"), "time zone"),
    ] {
        let refused = Schedule::parse(expression, zone).unwrap_err();
        assert!(refused.contains(said), "{expression}: {refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    }
}
