//! Notices about refunds.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::attack::{all_refused, cases};
use super::catalogue::REFUNDS;
use super::told_of_unknown_states;
use crate::harness::{TestStack, payment_content, refund_content, watch};

/// A paid order of 1000 fen with a refund of 300 under way, which no bank ends by itself.
async fn refunding() -> (TestStack, Value) {
    let stack = TestStack::start().await;
    stack
        .control("knobs", json!({"refund_delay_s": null}))
        .await;
    stack.paid("refund-001", 1000).await;
    let asked = stack
        .refund("refund-001", "refund-r1", 300)
        .await
        .expect(202);
    assert_eq!(asked["status"], "PROCESSING");
    let order = stack.order("refund-001").await;
    (stack, order)
}

#[tokio::test]
async fn a_refunds_notice_is_believed_only_where_everything_fits() {
    let (stack, order) = refunding().await;
    // Another order that has a refund of its own: neither may be taken for the other.
    stack.paid("refund-002", 1000).await;
    stack
        .refund("refund-002", "other-r1", 300)
        .await
        .expect(202);
    let content = refund_content(&stack, &order, "refund-r1", 300, "SUCCESS");
    all_refused(&stack, "REFUND.SUCCESS", &content, REFUNDS).await;
    let parked = REFUNDS.iter().filter(|(_, status, _)| *status == 204);
    assert_eq!(told_of_unknown_states(&stack), 2 * parked.count());
    // And the true one, twice: one change.
    assert_eq!(stack.notice("REFUND.SUCCESS", &content).await.status, 204);
    let settled = stack.books();
    assert_eq!(stack.notice("REFUND.SUCCESS", &content).await.status, 204);
    assert_eq!(stack.books(), settled);
    let item = stack.item("ORDER#refund-001", "REFUND#refund-r1");
    assert_eq!(watch::text(&item, "status"), "SUCCESS");
    // N-54: the payment's notice, sent again after the refund.
    let mut payment = payment_content(&stack, "refund-001", 1000);
    payment["transaction_id"] = order["transaction_id"].clone();
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &payment).await.status,
        204
    );
    assert_eq!(stack.books(), settled);
    // CLOSED cannot follow SUCCESS.
    let closed = refund_content(&stack, &order, "refund-r1", 300, "CLOSED");
    all_refused(
        &stack,
        "REFUND.CLOSED",
        &closed,
        cases! { "N-93" 409 as_it_is(); },
    )
    .await;
    let ended = stack.order("refund-001").await;
    assert_eq!(
        (&ended["amount"]["refunded"], &ended["amount"]["refundable"]),
        (&json!(300), &json!(700))
    );
}

#[tokio::test]
async fn a_refund_closed_or_abnormal_by_notice_gives_back_what_it_should_and_once() {
    let (stack, order) = refunding().await;
    let refundable = async || stack.order("refund-001").await["amount"]["refundable"].clone();
    let abnormal = refund_content(&stack, &order, "refund-r1", 300, "ABNORMAL");
    assert_eq!(stack.notice("REFUND.ABNORMAL", &abnormal).await.status, 204);
    assert_eq!(refundable().await, 700, "abnormal stays reserved");
    let closed = refund_content(&stack, &order, "refund-r1", 300, "CLOSED");
    let storm = join_all((0..10).map(|_| stack.notice("REFUND.CLOSED", &closed))).await;
    assert!(
        storm
            .iter()
            .all(|answer| matches!(answer.status, 204 | 503)),
        "{storm:?}"
    );
    assert!(storm.iter().any(|answer| answer.status == 204));
    assert_eq!(refundable().await, 1000, "given back once");
    // N-93: a SUCCESS after it is for a person and moves nothing.
    let late = refund_content(&stack, &order, "refund-r1", 300, "SUCCESS");
    all_refused(
        &stack,
        "REFUND.SUCCESS",
        &late,
        cases! { "N-93" 409 as_it_is(); },
    )
    .await;
    assert_eq!(refundable().await, 1000);
}

#[tokio::test]
async fn a_refunds_notice_that_overtakes_the_refunds_answer_is_believed() {
    let stack = TestStack::start().await;
    stack.paid("early-0001", 500).await;
    let order = stack.order("early-0001").await;
    // WeChat Pay applied it and the answer was lost: the notice is the first thing heard of it.
    stack
        .fault("response_lost", json!({"count": 1, "operation": "refund"}))
        .await;
    let asked = stack
        .refund("early-0001", "early-r1", 200)
        .await
        .expect(202);
    assert_eq!(asked["status"], "RESERVED");
    let content = refund_content(&stack, &order, "early-r1", 200, "SUCCESS");
    assert_eq!(stack.notice("REFUND.SUCCESS", &content).await.status, 204);
    let item = stack.item("ORDER#early-0001", "REFUND#early-r1");
    assert_eq!(watch::text(&item, "status"), "SUCCESS");
}
