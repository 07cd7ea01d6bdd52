//! Whole paths through the functions over a table whose answers get lost, and items that nobody can
//! read.
//!
//! These use the stack, so they run against its own table wherever `DYNAMODB_ENDPOINT` points.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use local::aws::{AwsCall, Fault, OPERATOR};
use local::template::physical;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestStack, native_order, refund_of};

/// Whether a call is a function's write to the table.
fn is_write(call: &AwsCall) -> bool {
    let writes = ["PutItem", "UpdateItem", "TransactWriteItems"];
    call.caller != OPERATOR && writes.contains(&call.operation.as_str())
}

/// Lets `percent` of the answers to functions' writes get lost, always the same ones for a seed.
///
/// Not in a rhythm: one that fits the steps of a sweep would keep it from its work for ever, since
/// whoever does not hear of their own claim waits for it to run out.
fn lose(stack: &TestStack, percent: u64, seed: u64) {
    let state = Mutex::new(seed);
    let hook = move |call: &AwsCall| {
        if !is_write(call) {
            return None;
        }
        let mut state = state.lock().unwrap();
        // Knuth's linear congruential generator; its upper bits are random enough.
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((*state >> 33) % 100 < percent).then_some(Fault::LoseAnswer)
    };
    stack.watch.set_fault(Some(Arc::new(hook)));
}

/// The answer, asked for again while it is "try the same again".
async fn persistent(stack: &TestStack, method: Method, path: &str, body: Option<Value>) -> Answer {
    for _ in 0..20 {
        let merchant = Some(stack.merchant.as_str());
        let answer = stack
            .send(method.clone(), path, merchant, &[], body.clone())
            .await;
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("{path} is never answered");
}

async fn until_settled(stack: &TestStack, number: &str, settled: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/orders/{number}");
    let look = async || {
        let answer = persistent(stack, Method::GET, &path, None).await;
        answer.expect(200)
    };
    stack.until(look, settled).await
}

/// A payment, two refunds and one that is too much, whatever gets lost.
async fn a_payment_and_its_refunds(stack: &TestStack, number: &str) {
    let order = native_order(number, 600);
    let placed = persistent(stack, Method::POST, "/orders", Some(order)).await;
    assert!(matches!(placed.status, 200 | 201), "{placed:?}");
    stack.pay(number).await;
    until_settled(stack, number, |order| order["trade_state"] == "SUCCESS").await;
    let refunds = format!("/orders/{number}/refunds");
    let refund = async |name: &str, amount: i64| {
        let body =
            json!({"out_refund_no": format!("{number}-{name}"), "amount": {"refund": amount}});
        persistent(stack, Method::POST, &refunds, Some(body)).await
    };
    for (name, amount) in [("r1", 200), ("r2", 400), ("r2", 400)] {
        let answer = refund(name, amount).await;
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    }
    refund("r3", 1).await.refused(409, "refund_exceeds");
    refund("r1", 201).await.refused(409, "terms_differ");
    let done = |name: &str| {
        let name = format!("{number}-{name}");
        move |order: &Value| refund_of(order, &name).is_some_and(|it| it["status"] == "SUCCESS")
    };
    let (first, second) = (done("r1"), done("r2"));
    let settled = async || {
        stack.advance(130).await;
        // A sweep that finds the table wanting says so; the next minute's goes on.
        let _ = stack.stack.run_scheduled("SweepFunction").await;
        let path = format!("/orders/{number}");
        persistent(stack, Method::GET, &path, None)
            .await
            .expect(200)
    };
    let order = stack
        .until(settled, |order| first(order) && second(order))
        .await;
    assert_eq!(order["amount"]["refundable"], 0);
    let ledger = stack.seen("ledger").await;
    let given: i64 = ledger
        .iter()
        .filter(|row| row["out_trade_no"] == number && row["out_refund_no"].is_string())
        .map(|row| {
            row["amount"]
                .as_i64()
                .unwrap_or_else(|| row["amount"]["refund"].as_i64().unwrap())
        })
        .sum();
    assert_eq!(given, 600, "WeChat Pay gave back as much, and once");
}

#[tokio::test]
async fn with_a_third_of_the_answers_lost_everything_ends_as_it_should() {
    let stack = TestStack::start().await;
    lose(&stack, 33, 1);
    a_payment_and_its_refunds(&stack, "lossy-0001").await;
    stack.watch.set_fault(None);
}

#[tokio::test]
async fn with_two_thirds_of_the_answers_lost_everything_ends_as_it_should() {
    let stack = TestStack::start().await;
    lose(&stack, 66, 2);
    a_payment_and_its_refunds(&stack, "lossy-0002").await;
    stack.watch.set_fault(None);
}

#[tokio::test]
async fn calls_that_are_given_up_although_they_were_done_are_found_done() {
    let stack = TestStack::start().await;
    // The first call of each kind by each function is lost with all the SDK's repeats of it.
    let lost = Mutex::new(BTreeMap::new());
    let hook = move |call: &AwsCall| {
        if !is_write(call) {
            return None;
        }
        let mut lost = lost.lock().unwrap();
        let kind = (call.caller.clone(), call.operation.clone());
        let times = lost.entry(kind).or_insert(0);
        *times += 1;
        (*times <= 3).then_some(Fault::LoseAnswer)
    };
    stack.watch.set_fault(Some(Arc::new(hook)));
    a_payment_and_its_refunds(&stack, "lossy-0003").await;
    stack.watch.set_fault(None);
}

/// Changes an item past every function; gives what it was.
fn set(stack: &TestStack, item: &Value, attribute: &str, value: Value) -> Value {
    let mut changed = item.clone();
    changed[attribute] = value;
    let request = json!({"TableName": physical("Table"), "Item": changed});
    let request = serde_json::from_value(request).unwrap();
    stack.stack.aws.table.put_item(request).unwrap();
    item.clone()
}

#[tokio::test]
async fn an_order_that_nobody_can_read_is_told_and_holds_up_nobody() {
    let stack = TestStack::start().await;
    for number in ["poison-0001", "poison-0002", "poison-0003"] {
        stack.native(number, 500).await;
    }
    let good = stack.order_item("poison-0001");
    set(&stack, &good, "trade_state", json!({"S": "SETTLED"}));
    // Long after their time all three are due, the unreadable one first or not.
    stack.advance(2_000).await;
    let swept = stack.sweep().await;
    assert_eq!(
        (swept["looked_at"].as_i64(), swept["failed"].as_i64()),
        (Some(3), Some(1)),
        "{swept}"
    );
    for number in ["poison-0002", "poison-0003"] {
        assert_eq!(stack.order(number).await["trade_state"], "CLOSED");
    }
    let line = stack
        .log_lines()
        .into_iter()
        .find(|line| {
            line["error"]
                .as_str()
                .is_some_and(|error| error.contains("ORDER#poison-0001"))
        })
        .expect("the line names the item");
    assert_eq!(line["level"], "ERROR", "{line}");
    assert_eq!(line["needs_human"], 1, "{line}");
    let answer = stack.get(&stack.merchant, "/orders/poison-0001").await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    set(&stack, &good, "version", good["version"].clone());
}

#[tokio::test]
async fn what_the_index_holds_of_another_version_is_told_by_the_sweep() {
    let stack = TestStack::start().await;
    let strange = json!({
        "pk": {"S": "PAYOUT#1"}, "sk": {"S": "PAYOUT"},
        "due_shard": {"S": "3"}, "due_at": {"N": "1"},
    });
    set(&stack, &strange, "due_at", json!({"N": "1"}));
    stack.sweep().await;
    let line = stack
        .log_lines()
        .into_iter()
        .find(|line| line["strange"] == 1)
        .expect("the sweep's line counts it");
    assert_eq!(line["level"], "WARN", "{line}");
}
