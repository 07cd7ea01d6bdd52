//! Orders and refunds that come to every end, and what is said of them.

use serde_json::{Value, json};

use super::{Heard, events, heard};
use crate::harness::{ALICE, PATIENCE, TestStack, refund_of};

/// A stack whose bank waits for the test.
pub(super) async fn stack() -> TestStack {
    let stack = TestStack::start().await;
    let knobs = json!({"refund_delay_s": null});
    stack.control("knobs", knobs).await;
    stack
}

/// An order that is paid and whose refund is made.
pub(super) async fn a_payment_and_a_refund(stack: &TestStack, order: &str) {
    stack.paid(order, 500).await;
    refunded(stack, order, &format!("{order}-r"), "complete", "SUCCESS").await;
}

/// A refund by the merchant that the bank ends so.
async fn refunded(stack: &TestStack, order: &str, refund: &str, end: &str, status: &str) {
    stack.refund(order, refund, 100).await.expect(202);
    let asked = stack.until(
        || stack.order(order),
        |order| refund_of(order, refund).is_some_and(|refund| refund["status"] == "PROCESSING"),
    );
    asked.await;
    stack
        .control(&format!("refunds/{refund}/{end}"), json!({}))
        .await;
    stack.until_refund(order, refund, status).await;
}

/// What a payer asks for; gives the refund's number.
async fn asked(stack: &TestStack, payer: &str, order: &str, key: &str) -> String {
    let asked = stack.asked_back(payer, order, key, 10).await;
    asked["out_refund_no"].as_str().unwrap().to_owned()
}

/// A payer's order, placed and paid; gives its number.
async fn bought(stack: &TestStack, payer: &str) -> String {
    let body = json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 1}], "attach": "table 12"});
    let placed = stack.post_once(payer, "/orders", "key-0000000000001", body);
    let placed = placed.await.expect(201);
    let order = placed["out_trade_no"].as_str().unwrap().to_owned();
    stack.pay(&order).await;
    stack.until_state(&order, "SUCCESS").await;
    order
}

/// Comes to every kind of event there is.
pub(super) async fn everything(stack: &TestStack) {
    let alice = stack.login(ALICE).await;
    let order = bought(stack, &alice).await;
    for (key, decision) in [
        ("ask-000000000001", "reject"),
        ("ask-000000000002", "approve"),
    ] {
        let refund = asked(stack, &alice, &order, key).await;
        let path = format!("/orders/{order}/refunds/{refund}/{decision}");
        let decided = stack.post(&stack.merchant, &path, json!({})).await;
        assert!(decided.status < 300, "{decided:?}");
    }
    stack.native("life-close", 100).await;
    stack
        .post(&stack.merchant, "/orders/life-close/close", json!({}))
        .await
        .expect(200);
    a_payment_and_a_refund(stack, "life-0001").await;
    for (order, end, status) in [
        ("life-0002", "close", "CLOSED"),
        ("life-0003", "abnormal", "ABNORMAL"),
    ] {
        stack.paid(order, 500).await;
        refunded(stack, order, &format!("{order}-r"), end, status).await;
    }
    // WeChat Pay refuses one, and never hears of another.
    stack.paid("life-0004", 500).await;
    stack.fault("refund_not_enough", json!({})).await;
    stack
        .refund("life-0004", "life-0004-r", 100)
        .await
        .expect(202);
    stack.no_faults().await;
    stack.paid("life-0005", 500).await;
    let lost = json!({"operation": "refund"});
    stack.fault("request_lost", lost).await;
    stack
        .refund("life-0005", "life-0005-r", 100)
        .await
        .expect(202);
    stack.no_faults().await;
    let withdraw = "/orders/life-0005/refunds/life-0005-r/withdraw";
    stack
        .post(&stack.merchant, withdraw, json!({}))
        .await
        .expect(202);
    for _ in 0..2 {
        stack.advance(6 * 60).await;
        stack.sweep().await;
    }
    refunded_elsewhere(stack, "life-0006").await;
}

/// An order as after a table was restored from before its payment: WeChat Pay knows a refund of it, and
/// the record none.
async fn refunded_elsewhere(stack: &TestStack, order: &str) {
    stack.native(order, 500).await;
    let mut earlier = stack.order_item(order);
    stack.pay(order).await;
    stack.until_state(order, "SUCCESS").await;
    refunded(stack, order, &format!("{order}-r"), "complete", "SUCCESS").await;
    // Above all versions that were told of, and these can be told again.
    earlier["version"] = json!({"N": "7"});
    earlier["events"] = stack.order_item(order)["events"].clone();
    stack.put_item(&earlier);
    stack.until_state(order, "SUCCESS").await;
    // What a person does then.
    let mut mended = stack.order_item(order);
    mended["refundable"] = json!({"N": "400"});
    stack.put_item(&mended);
}

/// Waits until all of this was heard.
pub(super) async fn until_heard(stack: &TestStack, wanted: &Heard) {
    let pause = std::time::Duration::from_millis(40);
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        if heard(&events(stack)).is_superset(wanted) {
            return;
        }
        tokio::time::sleep(pause).await;
    }
    let told = heard(&events(stack));
    let missing: Vec<&(String, String)> = wanted.difference(&told).collect();
    panic!("never heard: {missing:?}");
}

/// What is told in a refund's event of its order.
#[expect(clippy::unwrap_used, reason = "this is a test")]
pub(super) fn detail<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let mut found = events.iter().filter(|event| event["detail-type"] == kind);
    &found.next().unwrap()["detail"]
}
