//! The bus down, half down and deaf, and the publisher killed at random: what was heard in the end is what
//! was committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use local::aws::{AwsCall, Fault, FaultHook};
use serde_json::{Value, json};

use super::{Heard, bring, committed, events, filtered, heard, life, transition};
use crate::harness::TestStack;

/// When an order that was just placed is looked at first, and then again.
const UNPAID_LOOK_SECONDS: i64 = 5 * 60;

/// A small generator, so that a seed says what happens.
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let step = |state: u64| {
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
        };
        let last = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                Some(step(state))
            });
        (step(last.unwrap_or_default()) >> 33) % sides
    }
}

#[tokio::test]
async fn an_outage_with_a_publisher_that_is_killed_at_random_loses_and_invents_nothing() {
    let seed = 1_790_000_007;
    let dice = Arc::new(Dice(AtomicU64::new(seed)));
    let mut stack = life::stack().await;
    let chance = Arc::clone(&dice);
    stack.watch.set_fault(Some(Arc::new(move |call: &AwsCall| {
        let of_events = call.operation == "PutEvents" || call.operation == "BatchGetItem";
        if !of_events || call.caller != super::FUNCTION {
            return None;
        }
        let puts = call.operation == "PutEvents";
        match chance.roll(8) {
            0 | 1 => Some(Fault::Fail),
            2 | 3 if puts => Some(Fault::LoseAnswer),
            4 if puts => Some(Fault::LeaveSome),
            5 => Some(Fault::Throttle),
            _ => None,
        }
    })));
    stack.stack.start_stream();
    for part in ["a", "b", "c"] {
        let order = format!("outage-{part}");
        life::a_payment_and_a_refund(&stack, &order).await;
        // Killed wherever it is, and started again where it came to.
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(dice.roll(120))).await;
            stack.stack.stop_stream();
            tokio::time::sleep(Duration::from_millis(dice.roll(30))).await;
            stack.stack.start_stream();
        }
    }
    stack.stack.stop_stream();
    life::everything(&stack).await;
    stack.stack.start_stream();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The outage is over.
    stack.watch.set_fault(None);
    stack.stack.stop_stream();
    stack.stack.start_stream();
    let committed = committed(&stack);
    life::until_heard(&stack, &committed).await;
    assert_eq!(heard(&events(&stack)), committed, "seed {seed}");
}

/// How the publisher's calls to the bus end; the others are as ever.
fn bus(stack: &TestStack, fault: Option<Fault>) {
    let hook = fault.map(|fault| -> FaultHook {
        Arc::new(move |call: &AwsCall| {
            let puts = call.operation == "PutEvents" && call.caller == super::FUNCTION;
            puts.then_some(fault)
        })
    });
    stack.watch.set_fault(hook);
}

#[tokio::test]
async fn what_the_bus_leaves_behind_is_named_to_lambda_and_told_when_it_is_brought_again() {
    let stack = life::stack().await;
    life::a_payment_and_a_refund(&stack, "behind-001").await;
    let committed = committed(&stack);
    assert_eq!(committed.len(), 2, "{committed:?}");
    let records = filtered(&stack);
    let place_of = |answer: &Value| {
        let named = &answer["batchItemFailures"];
        assert_eq!(named.as_array().unwrap().len(), 1, "{answer}");
        let number = &named[0]["itemIdentifier"];
        let same = |record: &Value| record["dynamodb"]["SequenceNumber"] == *number;
        records.iter().position(same).unwrap()
    };
    // It takes none: all of them are brought again, from the first that is an event.
    bus(&stack, Some(Fault::Fail));
    let first = place_of(&bring(&stack, &records).await);
    assert!(transition(&records[first]).is_some());
    assert!(
        records[..first]
            .iter()
            .all(|record| transition(record).is_none())
    );
    assert_eq!(heard(&events(&stack)), Heard::new());
    // It takes the first of two.
    bus(&stack, Some(Fault::LeaveSome));
    let left = place_of(&bring(&stack, &records).await);
    let missing = transition(&records[left]).unwrap();
    assert_eq!(missing.1, "refund.succeeded");
    let told = heard(&events(&stack));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(!told.contains(&missing));
    bus(&stack, None);
    let answer = bring(&stack, &records[left..]).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(heard(&events(&stack)), committed);
}

#[tokio::test]
async fn with_every_notification_lost_two_sweeps_settle_each_payment_and_an_hour_without_the_bus_loses_no_event()
 {
    let mut stack = life::stack().await;
    stack.fault("notice_lost", json!({})).await;
    bus(&stack, Some(Fault::Fail));
    stack.stack.start_stream();
    let numbers: Vec<String> = (0..12).map(|index| format!("unheard-{index:03}")).collect();
    for number in &numbers {
        stack.native(number, 500).await;
        stack.pay(number).await;
    }
    let state = |number: &str| stack.order_item(number)["trade_state"]["S"].clone();
    for number in &numbers {
        assert_eq!(state(number), "NOTPAY");
    }
    // A sweep each minute.
    for _ in 0..2 {
        stack.advance(UNPAID_LOOK_SECONDS).await;
        stack.sweep().await;
    }
    for number in &numbers {
        assert_eq!(state(number), "SUCCESS", "{number}");
    }
    // For an hour nobody hears of it; the publisher says why.
    stack.advance(60 * 60).await;
    let committed = committed(&stack);
    assert_eq!(committed.len(), numbers.len());
    let delayed = || {
        let lines = stack.log_lines();
        let told = lines.iter().any(|line| {
            let error = line["error"].as_str().unwrap_or_default();
            line["function"] == "publish-events"
                && line["level"] == "WARN"
                && error.contains("the bus did not take the events")
        });
        std::future::ready(json!(told))
    };
    stack.until(delayed, |told| told == true).await;
    assert_eq!(events(&stack), Vec::<Value>::new());
    bus(&stack, None);
    stack.stack.stop_stream();
    stack.stack.start_stream();
    life::until_heard(&stack, &committed).await;
    let events = events(&stack);
    assert_eq!(heard(&events), committed);
    for event in &events {
        assert_eq!(event["detail-type"], "order.paid");
        assert_eq!(event["detail"]["order"]["trade_state"], "SUCCESS");
    }
}
