//! Events of money that somebody has to hear of: each is counted under a metric of its own, which
//! `template.yaml` watches with an alarm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use local::aws::Fault;
use serde_json::{Value, json};

use crate::harness::{TestStack, payment_content};

/// How often the log counts this metric.
fn counted(stack: &TestStack, metric: &str) -> i64 {
    let lines = stack.log_lines();
    lines.iter().filter_map(|line| line[metric].as_i64()).sum()
}

/// What the bank does with a refund is counted where it is heard first, and never again.
async fn is_counted_once(act: &str, status: &str, metric: &str) {
    let stack = TestStack::start().await;
    // The bank waits for the test.
    stack
        .control("knobs", json!({"refund_delay_s": null}))
        .await;
    stack.paid("heard-0001", 500).await;
    stack
        .refund("heard-0001", "heard-r1", 200)
        .await
        .expect(202);
    assert_eq!(counted(&stack, metric), 0);
    stack
        .control(&format!("refunds/heard-r1/{act}"), json!({}))
        .await;
    stack.until_refund("heard-0001", "heard-r1", status).await;
    assert_eq!(counted(&stack, metric), 1);
    stack.order("heard-0001").await;
    assert_eq!(counted(&stack, metric), 1, "heard once, told once");
}

#[tokio::test]
async fn a_refund_that_wechat_pay_closes_is_counted_once() {
    is_counted_once("close", "CLOSED", "refund_closed").await;
}

#[tokio::test]
async fn a_refund_that_the_bank_fails_is_counted_once() {
    is_counted_once("abnormal", "ABNORMAL", "refund_stuck").await;
}

#[tokio::test]
async fn a_payment_after_its_orders_close_is_counted_once() {
    let stack = TestStack::start().await;
    stack.native("heard-0002", 100).await;
    stack
        .post(&stack.merchant, "/orders/heard-0002/close", json!({}))
        .await
        .expect(200);
    let content = payment_content(&stack, "heard-0002", 100);
    for _ in 0..2 {
        let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
        assert_eq!(answer.status, 204);
        assert_eq!(counted(&stack, "paid_after_close"), 1);
    }
    stack.paid("heard-0003", 100).await;
    assert_eq!(counted(&stack, "paid_after_close"), 1, "one paid in time");
}

#[tokio::test]
async fn an_order_whose_books_do_not_add_up_is_counted_and_never_fresh() {
    let stack = TestStack::start().await;
    stack.paid("heard-0004", 500).await;
    let order = stack.order("heard-0004").await;
    assert_eq!(order["fresh"], true);
    let sound = stack.order_item("heard-0004");
    let mut unsound = sound.clone();
    unsound["refundable"] = json!({"N": "400"});
    stack.put_item(&unsound);
    let order: Value = stack.order("heard-0004").await;
    stack.put_item(&sound);
    assert_eq!(order["fresh"], false);
    assert_eq!(counted(&stack, "books_unbalanced"), 1);
    assert_eq!(stack.order("heard-0004").await["fresh"], true);
    assert_eq!(counted(&stack, "books_unbalanced"), 1);
}

#[tokio::test]
async fn a_person_is_called_though_the_answer_to_the_write_that_says_so_is_lost() {
    let stack = TestStack::start().await;
    stack.paid("heard-0005", 500).await;
    stack.fault("refund_not_enough", json!({})).await;
    let lost = AtomicBool::new(false);
    stack.watch.set_fault(Some(Arc::new(move |call| {
        let is_refund = call.request["Key"]["sk"]["S"] == "REFUND#heard-r5";
        let is_write = call.operation == "UpdateItem" && is_refund;
        (is_write && !lost.swap(true, Ordering::SeqCst)).then_some(Fault::LoseAnswer)
    })));
    let asked = stack
        .refund("heard-0005", "heard-r5", 200)
        .await
        .expect(202);
    stack.watch.set_fault(None);
    // The SDK writes again, which then finds the version that it has made itself.
    assert_eq!(asked["needs_human"], true, "{asked}");
    assert_eq!(counted(&stack, "needs_human"), 1);
}

#[tokio::test]
async fn a_payment_is_counted_once_and_a_time_that_is_none_is_told() {
    let stack = TestStack::start().await;
    stack.paid("heard-0006", 100).await;
    let content = payment_content(&stack, "heard-0006", 100);
    stack.notice("TRANSACTION.SUCCESS", &content).await;
    stack.order("heard-0006").await;
    assert_eq!(counted(&stack, "order_paid"), 1, "heard often, told once");
    assert_eq!(counted(&stack, "refunded_elsewhere"), 0);
    let without_a_time = |stack: &TestStack| {
        let lines = stack.log_lines();
        let mut times = lines.iter().map(|line| line["success_time"].clone());
        times.any(|time| time == "unreadable")
    };
    assert!(!without_a_time(&stack));
    stack.native("heard-0007", 100).await;
    let mut content = payment_content(&stack, "heard-0007", 100);
    content["success_time"] = json!("yesterday");
    let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!(answer.status, 204);
    assert_eq!(counted(&stack, "order_paid"), 2);
    assert!(without_a_time(&stack));
}

#[tokio::test]
async fn an_answer_in_trouble_is_counted_as_an_error_and_not_as_a_forgery() {
    let stack = TestStack::start().await;
    stack.native("heard-0008", 100).await;
    stack.fault("server_error", json!({"count": 9})).await;
    stack
        .post(&stack.merchant, "/orders/heard-0008/close", json!({}))
        .await;
    assert!(counted(&stack, "wechatpay_errors") > 0);
    assert_eq!(counted(&stack, "wechatpay_unverified"), 0);
}
