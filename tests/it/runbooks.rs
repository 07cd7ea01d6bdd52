//! What docs/operations.md promises of refunds that do not move on: the alarm goes off, and is over
//! when the refund moves.

use serde_json::{Value, json};

use crate::harness::{TestStack, refund_of};

/// Whether a line counts this metric.
fn counted(stack: &TestStack, metric: &str) -> bool {
    let lines = stack.logged();
    let mut lines = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    lines.any(|line: Value| line[metric].as_i64().is_some_and(|count| count > 0))
}

#[tokio::test]
async fn a_refund_that_becomes_abnormal_counts_as_stuck_at_once() {
    // At WeChat Pay's own speed the bank takes five seconds, within which it is told to fail.
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("abnormal-01", 500).await;
    stack
        .refund("abnormal-01", "abnormal-r1", 500)
        .await
        .expect(202);
    assert!(!counted(&stack, "refund_stuck"));
    stack
        .control("refunds/abnormal-r1/abnormal", json!({}))
        .await;
    stack
        .until_refund("abnormal-01", "abnormal-r1", "ABNORMAL")
        .await;
    assert!(counted(&stack, "refund_stuck"), "{:#?}", stack.logged());
}

#[tokio::test]
async fn a_refund_that_lacked_funds_needs_nobody_once_it_is_taken() {
    let stack = TestStack::start().await;
    stack.paid("no-funds-01", 500).await;
    stack.fault("refund_not_enough", json!({"count": 1})).await;
    let asked = stack.refund("no-funds-01", "no-funds-r1", 500).await;
    let asked = asked.expect(202);
    assert_eq!(asked["status"], "RESERVED");
    assert_eq!(asked["needs_human"], true);
    assert!(counted(&stack, "needs_human"));
    assert!(!counted(&stack, "refund_stuck"));
    // Somebody tops the account up; the sweep tries again within the hour.
    stack.advance(61 * 60).await;
    stack.sweep().await;
    let order = stack
        .until_refund("no-funds-01", "no-funds-r1", "SUCCESS")
        .await;
    let refund = refund_of(&order, "no-funds-r1").unwrap();
    assert_eq!(refund["needs_human"], Value::Null, "{refund}");
}
