//! What cannot be read, or has an order that is gone: it is put aside, as much of it as the bus takes.

use local::template::physical;
use serde_json::{Value, json};
use shared::bus::DETAILS_MAX;

use super::{bring, committed, events, filtered, heard, life};
use crate::harness::TestStack;
use crate::harness::watch::text;

/// A record that no build reads, with a note of so many characters in both of its images.
fn spoilt_and_long(good: &Value, characters: usize) -> Value {
    let mut record = good.clone();
    for image in ["OldImage", "NewImage"] {
        record["dynamodb"][image]["events"] = json!({"S": "nonsense"});
    }
    record["dynamodb"]["NewImage"]["note"] = json!({"S": "x".repeat(characters)});
    record
}

/// What was put aside last.
fn last_aside(stack: &TestStack) -> Value {
    let mut aside = stack.stack.aws.events().all();
    aside.retain(|event| event["source"] == "wxpay.unreadable");
    aside.last().unwrap()["detail"].clone()
}

#[tokio::test]
async fn what_is_too_large_for_the_bus_is_put_aside_without_its_images() {
    let stack = life::stack().await;
    life::a_payment_and_a_refund(&stack, "poison-002").await;
    let good = filtered(&stack);
    let good = good
        .iter()
        .find(|record| record["dynamodb"]["OldImage"].is_object())
        .unwrap();
    let taken = json!({"batchItemFailures": []});
    assert_eq!(bring(&stack, &[spoilt_and_long(good, 0)]).await, taken);
    let small = last_aside(&stack).to_string().len();
    // As large as the bus takes, and a byte more.
    let record = spoilt_and_long(good, DETAILS_MAX - small);
    assert_eq!(bring(&stack, std::slice::from_ref(&record)).await, taken);
    let whole = last_aside(&stack);
    assert_eq!(whole.to_string().len(), DETAILS_MAX);
    assert_eq!(whole["record"], record);
    let record = spoilt_and_long(good, DETAILS_MAX - small + 1);
    assert_eq!(bring(&stack, std::slice::from_ref(&record)).await, taken);
    let mut keys = record;
    let change = keys["dynamodb"].as_object_mut().unwrap();
    change.remove("OldImage");
    change.remove("NewImage");
    assert_eq!(last_aside(&stack)["record"], keys);
    assert!(keys["dynamodb"]["Keys"].is_object() && keys["dynamodb"]["SequenceNumber"].is_string());
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_whole_and_holds_nobody_up() {
    let stack = life::stack().await;
    life::a_payment_and_a_refund(&stack, "poison-001").await;
    let committed = committed(&stack);
    let good = filtered(&stack);
    let spoilt = |name: &str, value: Value| {
        let mut record = good[0].clone();
        record["dynamodb"]["NewImage"][name] = value;
        record
    };
    let poison = [
        spoilt("events", json!({"S": "nonsense"})),
        // No build names an event so.
        spoilt("events", json!({"S": "2+0:unheard-of"})),
        spoilt("trade_state", json!({"S": "TOMORROW"})),
        spoilt("pk", json!({"N": "7"})),
    ];
    let mut records = poison.to_vec();
    records.extend(good.clone());
    records.extend(poison.clone());
    let answer = bring(&stack, &records).await;
    assert_eq!(
        answer,
        json!({"batchItemFailures": []}),
        "nobody waits for them"
    );
    assert_eq!(heard(&events(&stack)), committed);
    let mut aside = stack.stack.aws.events().all();
    aside.retain(|event| event["source"] == "wxpay.unreadable");
    let kept: Vec<Value> = aside
        .iter()
        .map(|event| event["detail"]["record"].clone())
        .collect();
    assert_eq!(kept, [poison.clone(), poison].concat());
    assert!(aside.iter().all(|event| event["detail"]["why"].is_string()));
    // An event of a version that the record never had is none.
    let ahead = spoilt("events", json!({"S": "2+0:paid 9+0:closed"}));
    bring(&stack, &[ahead]).await;
    assert_eq!(heard(&events(&stack)), committed);
    // A refund whose order is gone cannot be told of in whole.
    let gone = json!({"TableName": physical("Table"), "Key": {"pk": {"S": "ORDER#poison-001"}, "sk": {"S": "ORDER"}}});
    let gone = serde_json::from_value(gone).unwrap();
    stack.stack.aws.table.delete_item(gone).unwrap();
    let of_refund: Vec<Value> = good
        .into_iter()
        .filter(|record| text(&record["dynamodb"]["NewImage"], "sk").starts_with("REFUND#"))
        .collect();
    let answer = bring(&stack, &of_refund).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let aside = stack.stack.aws.events().all();
    let why = aside.last().unwrap()["detail"]["why"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(why.contains("is not there"), "{why}");
}
