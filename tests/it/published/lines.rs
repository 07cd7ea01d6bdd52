//! What the publisher's log line says, which `wxpay events tail` and the runbooks read, and what it does when
//! its time is over.

use std::sync::Arc;
use std::time::Duration;

use local::aws::{AwsCall, Fault};
use serde_json::{Value, json};

use super::{FUNCTION, bring, committed, events, filtered, heard, life};
use crate::harness::TestStack;

/// The publisher's last line of this kind.
fn line(stack: &TestStack, message: &str) -> Value {
    let lines = stack.log_lines().into_iter();
    let mut lines =
        lines.filter(|line| line["function"] == "publish-events" && line["message"] == message);
    lines.next_back().unwrap()
}

/// The ids that a line names.
fn named(line: &Value) -> Vec<&str> {
    let told = line["told"].as_array().into_iter().flatten();
    told.map(|told| told["id"].as_str().unwrap()).collect()
}

/// The ids of events, as they came to the bus.
fn ids(events: &[Value]) -> Vec<&str> {
    let ids = events.iter().map(|event| &event["detail"]["id"]);
    ids.map(|id| id.as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_line_of_a_batch_says_what_was_told_put_aside_and_left() {
    let stack = life::stack().await;
    life::a_payment_and_a_refund(&stack, "lines-0001").await;
    let good = filtered(&stack);
    let mut poison = good[0].clone();
    poison["dynamodb"]["NewImage"]["events"] = json!({"S": "nonsense"});
    let mut records = good.clone();
    records.extend([poison.clone(), poison]);
    bring(&stack, &records).await;
    let told = line(&stack, "published");
    assert_eq!(told["records"], records.len());
    assert_eq!(
        (&told["events"], &told["put_aside"]),
        (&json!(4), &json!(2))
    );
    assert_eq!(
        told["level"], "ERROR",
        "somebody has to look at what was put aside"
    );
    assert!(
        told["unreadable"].as_str().unwrap().contains("events"),
        "{told}"
    );
    assert!(told["request_id"].is_string());
    assert_eq!(named(&told), ids(&events(&stack)));
    // The bus takes the first of two.
    let fault = |fault: Fault, operation: &'static str| {
        stack.watch.set_fault(Some(Arc::new(move |call: &AwsCall| {
            (call.operation == operation).then_some(fault)
        })));
    };
    let before = events(&stack).len();
    fault(Fault::LeaveSome, "PutEvents");
    bring(&stack, &good).await;
    let left = line(&stack, "published");
    let taken = events(&stack).split_off(before);
    assert_eq!(taken.len(), 1);
    assert_eq!(named(&left), ids(&taken));
    assert_eq!(left["level"], "WARN");
    assert_eq!(
        left["error"],
        "the bus did not take 1 of the events: InternalFailure"
    );
    // It takes none, or the table does not tell of the refund's order.
    fault(Fault::Fail, "PutEvents");
    bring(&stack, &good).await;
    let none = line(&stack, "published");
    assert_eq!(named(&none), [""; 0]);
    let said = "the bus did not take the events: InternalServerError";
    assert_eq!(none["error"], said);
    fault(Fault::Fail, "BatchGetItem");
    let failed = stack
        .stack
        .invoke(FUNCTION, json!({"Records": good.clone()}))
        .await;
    assert!(failed.is_err(), "{failed:?}");
    let failed = line(&stack, "published");
    assert_eq!(failed["level"], "WARN");
    let said = "the table did not complete BatchGetItem orders: InternalServerError";
    assert_eq!(failed["error"], said);
    stack.watch.set_fault(None);
}

#[tokio::test]
async fn what_the_publisher_has_no_time_for_is_named_to_lambda() {
    let stack = life::stack().await;
    life::a_payment_and_a_refund(&stack, "lines-0002").await;
    let records = filtered(&stack);
    let event = json!({"Records": records});
    let within = |seconds| {
        stack
            .stack
            .invoke_within(FUNCTION, event.clone(), Duration::from_secs(seconds))
    };
    let late = within(4).await.unwrap();
    let first = &records[0]["dynamodb"]["SequenceNumber"];
    assert_eq!(
        late,
        json!({"batchItemFailures": [{"itemIdentifier": first}]})
    );
    assert_eq!(events(&stack), [Value::Null; 0]);
    assert_eq!(line(&stack, "published")["error"], "there was no time left");
    assert_eq!(within(20).await.unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(heard(&events(&stack)), committed(&stack));
}
