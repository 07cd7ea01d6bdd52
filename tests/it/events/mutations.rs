//! Whatever stands in an event of the HTTP API, the function answers: no header, path, query or body
//! ends an invocation, and no member has to be there.
//!
//! The events of `events/` are changed at random, always the same way, and go in where Lambda puts
//! them. What fails is made shorter by `proptest` and printed.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::BoxedStrategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};

use super::{function_of, read};
use crate::harness::{Answer, TestStack, runtime};

/// The functions behind the HTTP API, by their events.
const FUNCTIONS: [&str; 6] = [
    "login",
    "create-order",
    "notify-callback",
    "query",
    "close-order",
    "refund",
];

/// How many changed events are tried.
const CASES: u32 = 300;

/// Headers that somebody on the way acts on.
const NAMES: [&str; 14] = [
    "host",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-for",
    "forwarded",
    "authorization",
    "content-type",
    "content-length",
    "cookie",
    "idempotency-key",
    "x-amzn-trace-id",
    "wechatpay-timestamp",
    "wechatpay-serial",
];

/// Values that something took amiss before, or could.
const VALUES: [&str; 14] = [
    "https,http",
    "https, http",
    "[",
    "[::1",
    "x:99999",
    "a b",
    "user@",
    "%",
    "%zz",
    "/",
    "é",
    "\u{0}",
    "a\r\nb",
    "",
];

/// Paths and queries of the same kind.
const ADDRESSES: [&str; 12] = [
    "[",
    ":99999",
    "//",
    "///a:b@c:d",
    "/orders/%",
    "/orders/%ff/close",
    "/orders/../sessions",
    "/orders/\u{0}",
    "/订单/é",
    "/a?b#c",
    "<>\"{}|\\^`",
    "a=1&a=2&=&&%=%zz&é",
];

/// One change of an event.
#[derive(Clone, Debug)]
enum Change {
    Header(String, String),
    Path(String),
    Query(String),
    Body(String),
    Encoded(bool),
    /// A member, at any depth, is not there.
    Without(Index),
    /// A member, at any depth, is something else.
    Instead(Index, Value),
}

fn text(usual: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![
        select(usual).prop_map(str::to_owned),
        any::<String>(),
        // Longer than an address or a body may be.
        select(usual).prop_map(|text| format!("/{text}").repeat(70_000 / (text.len() + 1))),
    ]
    .boxed()
}

fn value() -> BoxedStrategy<Value> {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!([]),
        json!({}),
        json!([["a"]]),
    ];
    prop_oneof![select(values.to_vec()), text(&VALUES).prop_map(Value::from),].boxed()
}

fn changes() -> BoxedStrategy<Vec<Change>> {
    let change = prop_oneof![
        4 => (text(&NAMES), text(&VALUES)).prop_map(|(name, value)| Change::Header(name, value)),
        2 => text(&ADDRESSES).prop_map(Change::Path),
        2 => text(&ADDRESSES).prop_map(Change::Query),
        1 => text(&VALUES).prop_map(Change::Body),
        1 => any::<bool>().prop_map(Change::Encoded),
        1 => any::<Index>().prop_map(Change::Without),
        2 => (any::<Index>(), value()).prop_map(|(member, value)| Change::Instead(member, value)),
    ];
    vec(change, 1..5).boxed()
}

/// The pointers of all members, at any depth.
fn members(value: &Value, at: &str, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        members(member, &at, found);
        found.push(at);
    }
}

fn changed(mut event: Value, changes: &[Change]) -> Value {
    for change in changes {
        match change {
            Change::Header(name, value) => {
                let known = event["headers"].as_object().cloned();
                let mut headers = known.unwrap_or_default();
                headers.insert(name.clone(), Value::from(value.as_str()));
                event["headers"] = Value::Object(headers);
            }
            Change::Path(path) => event["rawPath"] = Value::from(path.as_str()),
            Change::Query(query) => event["rawQueryString"] = Value::from(query.as_str()),
            Change::Body(body) => event["body"] = Value::from(body.as_str()),
            Change::Encoded(encoded) => event["isBase64Encoded"] = Value::from(*encoded),
            Change::Without(member) | Change::Instead(member, _) => {
                let mut pointers = Vec::new();
                members(&event, "", &mut pointers);
                let pointer = member.get(&pointers);
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                let name = name.replace("~1", "/").replace("~0", "~");
                let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                if let Change::Instead(_, value) = change {
                    parent.insert(name, value.clone());
                } else {
                    parent.remove(&name);
                }
            }
        }
    }
    event
}

/// What every answer is, to whatever it is one.
fn check(function: &str, answer: &Answer) {
    assert!(matches!(answer.status, 200..=499 | 502 | 503), "{answer:?}");
    if answer.status >= 400 && function != "notify-callback" {
        assert_eq!(
            answer.content_type, "application/problem+json",
            "{answer:?}"
        );
    }
}

#[test]
fn whatever_stands_in_an_event_is_answered() {
    let runtime = runtime();
    let stack = runtime.block_on(TestStack::start());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_time: 30_000,
        ..Config::default()
    };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let cases = (select(&FUNCTIONS[..]), changes());
    let tried = runner.run(&cases, |(function, changes)| {
        let event = changed(read(&format!("{function}.happy")), &changes);
        let answer = runtime.block_on(stack.event(&function_of(function), event));
        check(
            function,
            &answer.unwrap_or_else(|error| panic!("{error:?}")),
        );
        Ok(())
    });
    if let Err(failure) = tried {
        panic!("{failure}");
    }
    runtime.block_on(async { drop(stack) });
}

#[tokio::test]
async fn no_header_changes_the_answer_of_a_function_that_does_not_read_it() {
    let stack = TestStack::start().await;
    for function in FUNCTIONS {
        let event = read(&format!("{function}.happy"));
        let ask = async |header: Option<(&str, &str)>| {
            let mut event = event.clone();
            if let Some((name, value)) = header {
                event["headers"][name] = Value::from(value);
            }
            // Without a credential and a signature nothing is changed by the first of them.
            for name in ["authorization", "wechatpay-signature"] {
                event["headers"].as_object_mut().unwrap().remove(name);
            }
            event["body"] = Value::Null;
            stack.event(&function_of(function), event).await
        };
        let usual = ask(None).await.unwrap();
        for (name, value) in [
            ("x-forwarded-proto", "https,http"),
            ("x-forwarded-proto", "[]"),
            ("host", "["),
            ("host", "x:99999"),
            ("host", ""),
        ] {
            let answer = ask(Some((name, value))).await;
            assert_eq!(
                answer.as_ref(),
                Ok(&usual),
                "{function} with {name}: {value}"
            );
        }
    }
}

#[tokio::test]
async fn a_chain_of_proxies_reaches_the_api() {
    let stack = TestStack::start().await;
    stack.native("proxied-1", 100).await;
    let merchant = Some(stack.merchant.as_str());
    let header = ("x-forwarded-proto", "https,http");
    let answer = stack
        .send(Method::GET, "/orders/proxied-1", merchant, &[header], None)
        .await;
    assert_eq!(answer.expect(200)["out_trade_no"], "proxied-1");
    // Another host is refused by the local stack's port itself, before any function.
    let header = ("host", "x:99999");
    let answer = stack
        .send(Method::GET, "/orders/proxied-1", merchant, &[header], None)
        .await;
    assert_eq!(answer.status, 403);
}
