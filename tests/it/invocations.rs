//! One invocation of a function, whatever becomes of it: it is answered in time, and leaves one line.

use std::sync::Arc;

use lambda_runtime::{Context, LambdaEvent};
use local::functions;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use shared::api::{Answer, Event, HttpFunction, Incoming, Problem};
use shared::clock::Clock;
use shared::config::secrets::AnySecret;
use shared::config::{ConfigError, Vars};
use shared::process::Process;
use shared::telemetry::{Log, LogLine, Metric};
use shared::transport::Transport;

use crate::harness::{TestStack, watch};

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
struct Endless(Process);

impl HttpFunction for Endless {
    const NAME: &'static str = "endless";

    fn from_vars(_: &Vars, process: &Process) -> Result<Self, ConfigError> {
        Ok(Self(process.clone()))
    }

    fn process(&self) -> &Process {
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
    let process = Process::with(Clock::system(), Log::to(Arc::new(|_| {}))).unwrap();
    let killed_at = process.clock.wall_millis() + 600;
    let mut context = Context::default();
    context.deadline = u64::try_from(killed_at).unwrap();
    let event = LambdaEvent::new(request_event(), context);
    let answer = Endless(process.clone()).handle(event).await;
    assert_eq!(answer.status_code, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(process.clock.wall_millis() < killed_at);
}

/// A function with a mistake in it.
struct Panicking(Process);

impl HttpFunction for Panicking {
    const NAME: &'static str = "panicking";

    fn from_vars(_: &Vars, process: &Process) -> Result<Self, ConfigError> {
        Ok(Self(process.clone()))
    }

    fn process(&self) -> &Process {
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
    let process = Process::with(Clock::system(), log).unwrap();
    let event = LambdaEvent::new(request_event(), Context::default());
    let answer = serde_json::to_value(Panicking(process).handle(event).await).unwrap();
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

/// The sweep with a mistake in it: it panics over an order about which WeChat Pay redirects it.
fn mistaken_sweep(stack: &TestStack, lines: &watch::Lines) -> functions::Invoke {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(Policy::custom(|_| panic!("CANARY")))
        .build()
        .unwrap();
    let lines = Arc::clone(lines);
    let log = Log::to(Arc::new(move |line| {
        lines.lock().unwrap().push(line.to_owned());
    }));
    let process = Process {
        clock: stack.stack.clock().clone(),
        transport: Transport::new(http.clone()),
        http,
        log,
    };
    let mut variables = stack.stack.template.functions["SweepFunction"]
        .environment
        .clone();
    for (name, value) in [
        ("AWS_REGION", "local"),
        (
            "AWS_ACCESS_KEY_ID",
            &local::aws::access_key_of("SweepFunction"),
        ),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", &stack.stack.aws.url),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    functions::link("sweep", &Vars::from_map(variables), &process).unwrap()
}

#[tokio::test]
async fn a_panic_over_one_item_leaves_its_line_and_the_sweep_goes_on() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    let numbers = ["panic-0001", "panic-0002", "panic-0003"];
    for number in numbers {
        stack.native(number, 100).await;
        stack.pay(number).await;
    }
    let mistaken = json!({"out_trade_no": "panic-0002"});
    stack.fault("redirected", mistaken).await;
    stack.advance(301).await;
    let lines = watch::Lines::default();
    let sweep = mistaken_sweep(&stack, &lines);
    let mut context = Context::default();
    context.deadline = u64::try_from(stack.stack.clock().wall_millis() + 60_000).unwrap();
    let swept = sweep(json!({}), context).await.unwrap();
    assert_eq!(swept, json!({"looked_at": 3, "failed": 1, "left": 0}));
    let lines = lines.lock().unwrap().clone();
    assert!(!lines.concat().contains("CANARY"), "{lines:?}");
    let lines = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    let of_items: Vec<Value> = lines
        .filter(|line: &Value| line["message"] == "looked at")
        .collect();
    let of = |number: &str| {
        let mut found = of_items
            .iter()
            .filter(|line| line["order.out_trade_no"] == number);
        let line = found.next().unwrap();
        assert!(found.next().is_none(), "{number} has two lines");
        json!([line["level"], line["needs_human"], line["error"]])
    };
    assert_eq!(of("panic-0001"), json!(["INFO", null, null]));
    assert_eq!(
        of("panic-0002"),
        json!(["ERROR", 1, "the look at it panicked"])
    );
    assert_eq!(of("panic-0003"), json!(["INFO", null, null]));
    let state = |number: &str| stack.order_item(number)["trade_state"]["S"].clone();
    assert_eq!(
        numbers.map(state),
        [json!("SUCCESS"), json!("NOTPAY"), json!("SUCCESS")]
    );
    // Once the mistake is mended, it is found where the claim left it.
    stack.no_faults().await;
    stack.advance(150).await;
    stack.sweep().await;
    assert_eq!(state("panic-0002"), "SUCCESS");
}
