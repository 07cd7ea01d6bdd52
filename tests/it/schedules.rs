//! Schedules run here as the template says: each at its own time, on business time.

use local::Options;
use shared::domain::Timestamp;
use shared::rfc3339;

use crate::harness::TestStack;

/// The template with a second schedule of the sweep.
fn with_schedule(properties: &str) -> String {
    let template = include_str!("../../template.yaml");
    let events = "      Events:\n        EveryMinute:";
    assert!(template.contains(events));
    let more = format!(
        "      Events:\n        Second: {{Type: ScheduleV2, Properties: {{Name: second, {properties}}}}}\n        \
         EveryMinute:"
    );
    template.replacen(events, &more, 1)
}

async fn scheduled(properties: &str, speed: f64) -> TestStack {
    TestStack::with(|options: &mut Options| {
        options.template = Some(with_schedule(properties));
        options.schedules = true;
        options.speed = speed;
    })
    .await
}

/// How often the schedule of this name ran. That a run succeeds is not asked: on a busy machine the
/// table can be too slow for one.
fn runs(stack: &TestStack, schedule: &str) -> u64 {
    let runs = stack.stack.schedule_runs();
    let found = runs.iter().find(|runs| runs.schedule == schedule);
    let found = found.unwrap_or_else(|| panic!("{schedule} is not among {runs:?}"));
    found.runs
}

/// Waits until the schedule ran this often.
async fn until_runs(stack: &TestStack, schedule: &str, wanted: u64) {
    let look = async || serde_json::json!(runs(stack, schedule));
    stack
        .until(look, |runs| runs.as_u64() >= Some(wanted))
        .await;
}

/// A cron expression for each day at the time of day that it is half a day after `now`.
fn daily_half_a_day_after(now: Timestamp) -> String {
    let then = rfc3339::format_utc(now.plus_seconds(12 * 3_600));
    let (hour, minute) = (&then[11..13], &then[14..16]);
    format!("ScheduleExpression: \"cron({minute} {hour} * * ? *)\"")
}

#[tokio::test]
async fn a_daily_function_runs_daily_and_a_minutely_one_each_minute() {
    let now = shared::clock::Clock::system().business();
    let stack = scheduled(&daily_half_a_day_after(now), 1.0).await;
    for quarter in 1..=8 {
        until_runs(&stack, "local-sweep", quarter).await;
        stack.advance(6 * 3_600).await;
    }
    // Two days have passed. The minutely one ran after each quarter, the daily one twice.
    until_runs(&stack, "local-sweep", 9).await;
    until_runs(&stack, "second", 2).await;
    assert_eq!(runs(&stack, "second"), 2);
    // What came due in a week that the clock skipped runs once.
    let minutely = runs(&stack, "local-sweep");
    stack.advance(7 * 86_400).await;
    until_runs(&stack, "second", 3).await;
    until_runs(&stack, "local-sweep", minutely + 1).await;
    assert_eq!(runs(&stack, "second"), 3);
}

#[tokio::test]
async fn a_run_that_finds_nothing_to_do_writes_no_line() {
    let stack = scheduled("ScheduleExpression: rate(1 hour)", 60.0).await;
    let lines = || {
        let lines = stack.log_lines().into_iter();
        let swept = lines.filter(|line| line["message"] == "swept");
        // One that the table was too slow for says so.
        swept.filter(|line| line["error"].is_null()).count()
    };
    until_runs(&stack, "local-sweep", 3).await;
    assert_eq!(lines(), 0);
    stack.native("quiet-0001", 100).await;
    stack.advance(40 * 60).await;
    let look = async || serde_json::json!(lines());
    stack.until(look, |lines| lines.as_u64() >= Some(1)).await;
}

#[tokio::test]
async fn the_simulators_clock_moves_the_schedules_too() {
    let now = shared::clock::Clock::system().business();
    let stack = scheduled(&daily_half_a_day_after(now), 1.0).await;
    stack
        .control("clock", serde_json::json!({"advance_s": 86_400}))
        .await;
    until_runs(&stack, "second", 1).await;
    assert_eq!(runs(&stack, "second"), 1);
}

#[tokio::test]
async fn schedules_are_as_many_times_faster_as_the_speed_says() {
    // An hour is half a second; a year is over an hour.
    let stack = scheduled("ScheduleExpression: rate(1 hour)", 7_200.0).await;
    until_runs(&stack, "second", 4).await;
}

#[tokio::test]
async fn a_schedule_that_is_switched_off_does_not_run() {
    let stack = scheduled("ScheduleExpression: rate(1 minute), State: DISABLED", 60.0).await;
    until_runs(&stack, "local-sweep", 2).await;
    let names: Vec<String> = stack
        .stack
        .schedule_runs()
        .into_iter()
        .map(|runs| runs.schedule)
        .collect();
    assert_eq!(names, ["local-reconcile", "local-sweep"]);
}
