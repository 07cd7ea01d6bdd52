//! One invocation of a function, whatever becomes of it: it is answered in time, and leaves one line.

use std::sync::Arc;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use shared::api::{Answer, Event, HttpFunction, Incoming, Problem};
use shared::clock::Clock;
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Vars};
use shared::platform::Platform;
use shared::telemetry::{Log, LogLine, Metric};

use crate::harness::watch;

#[test]
fn of_several_ages_in_one_line_the_largest_is_told() {
    let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let log = Log::to(Arc::new(move |line: &str| {
        sink.lock().unwrap().push(line.to_owned());
    }));
    let clock = Clock::system();
    let mut record = LogLine::start("sweep", &clock);
    for seconds in [5, 7_200, 40] {
        record.measure(Metric::DueBacklogSeconds, seconds);
    }
    record.write(&log, &clock, "swept");
    let line: Value = serde_json::from_str(&lines.lock().unwrap()[0]).unwrap();
    assert_eq!(line["due_backlog_seconds"], 7_200);
}

/// The least that is an event of the HTTP API.
fn request_event() -> Event {
    let route = "GET /orders/{out_trade_no}";
    let event = json!({"requestContext": {"http": {"method": "GET"}, "routeKey": route}});
    serde_json::from_value(event).unwrap()
}

/// A function that never comes to an end.
struct Endless(Platform);

impl HttpFunction for Endless {
    const NAME: &'static str = "endless";

    fn from_vars(_: &Vars, platform: &Platform) -> Result<Self, ConfigError> {
        Ok(Self(platform.clone()))
    }

    fn platform(&self) -> &Platform {
        &self.0
    }

    fn secrets(&self) -> Vec<&dyn AnySecret> {
        Vec::new()
    }

    async fn serve(&self, _: &Incoming, _: &mut LogLine) -> Result<Answer, Problem> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_request_whose_time_is_over_is_answered_before_lambda_kills_it() {
    let platform = Platform::with(Clock::system(), Log::to(Arc::new(|_| {}))).unwrap();
    let killed_at = platform.clock.wall_millis() + 600;
    let mut context = Context::default();
    context.deadline = u64::try_from(killed_at).unwrap();
    let event = LambdaEvent::new(request_event(), context);
    let answer = Endless(platform.clone()).handle(event).await;
    assert_eq!(answer.status_code, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(platform.clock.wall_millis() < killed_at);
}

/// A function with a mistake in it.
struct Panicking(Platform);

impl HttpFunction for Panicking {
    const NAME: &'static str = "panicking";

    fn from_vars(_: &Vars, platform: &Platform) -> Result<Self, ConfigError> {
        Ok(Self(platform.clone()))
    }

    fn platform(&self) -> &Platform {
        &self.0
    }

    fn secrets(&self) -> Vec<&dyn AnySecret> {
        Vec::new()
    }

    async fn serve(&self, _: &Incoming, line: &mut LogLine) -> Result<Answer, Problem> {
        line.field("caller", "payer");
        panic!("CANARY");
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_leaves_its_line() {
    let lines = watch::Lines::default();
    let log = Arc::clone(&lines);
    let log = Log::to(Arc::new(move |line| {
        log.lock().unwrap().push(line.to_owned());
    }));
    let platform = Platform::with(Clock::system(), log).unwrap();
    let event = LambdaEvent::new(request_event(), Context::default());
    let answer = serde_json::to_value(Panicking(platform).handle(event).await).unwrap();
    assert_eq!(answer["statusCode"], 500);
    assert_eq!(
        answer["headers"]["content-type"],
        "application/problem+json"
    );
    let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["code"], "internal_error");
    let lines = lines.lock().unwrap();
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        json!([
            line["level"],
            line["route"],
            line["caller"],
            line["status"],
            line["code"]
        ]),
        json!([
            "ERROR",
            "GET /orders/{out_trade_no}",
            "payer",
            500,
            "internal_error"
        ]),
        "{line}"
    );
    assert!(!lines[0].contains("CANARY") && !answer.to_string().contains("CANARY"));
}
