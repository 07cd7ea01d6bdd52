//! Callers who ask too much, or for what cannot be: they are answered at once, they cost WeChat Pay
//! little, they take nothing from others, and no answer of theirs is a 5xx.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ALICE, Answer, TestStack, native_order};

fn tea() -> Value {
    json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 1}]})
}

/// How many requests to WeChat Pay went out whose path ends in this.
fn asked(stack: &TestStack, end: &str) -> usize {
    let requests = stack.wire.requests();
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    requests
        .iter()
        .filter(|request| path(&request.target).ends_with(end))
        .count()
}

#[tokio::test]
async fn a_payers_refunds_of_an_unpaid_order_wait_for_nobody_and_starve_nobody() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let placed = stack
        .post_once(&alice, "/orders", "key-0000000000001", tea())
        .await
        .expect(201);
    let number = placed["out_trade_no"].as_str().unwrap();
    let refunds = format!("/orders/{number}/refunds");
    let body = |number: String| json!({"out_refund_no": number, "amount": {"refund": 1}});
    let one = async |place: usize| {
        let number = format!("flood-{place}");
        stack.post(&alice, &refunds, body(number)).await
    };
    let answers: Vec<Answer> = join_all((0..30).map(one)).await;
    for answer in &answers {
        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(answer.body["code"], "order_not_paid");
    }
    let told_to_wait = answers
        .iter()
        .filter(|answer| answer.retry_after == Some(2));
    let questions = asked(&stack, number);
    assert_eq!(
        told_to_wait.count() + questions,
        30,
        "the others read the record"
    );
    // Paid meanwhile, without a notification; a payer asked a moment ago.
    stack.fault("notice_lost", json!({"count": 9})).await;
    stack
        .control(
            &format!("orders/{number}/pay"),
            json!({"openid": ALICE, "pay": placed["pay"]}),
        )
        .await;
    one(30).await;
    let merchants = stack
        .post(&stack.merchant, &refunds, body("merchants-1".to_owned()))
        .await;
    assert_eq!(merchants.status, 202, "{merchants:?}");
}

#[tokio::test]
async fn what_the_merchants_account_lacks_is_no_fault_of_the_servers() {
    let stack = TestStack::start().await;
    let mchid = stack.stack.simulator.merchant().mchid.clone();
    let products = async |open: Value| {
        let path = format!("merchants/{mchid}");
        stack.control(&path, json!({"products": open})).await;
    };
    products(json!(["jsapi"])).await;
    let place = async || {
        stack
            .post(&stack.merchant, "/orders", native_order("closed-0001", 100))
            .await
    };
    for _ in 0..2 {
        let refused = place().await.refused(422, "trade_type_unavailable");
        assert_eq!(refused["wechatpay_code"], "NO_AUTH");
        assert_eq!(refused["wechatpay_status"], 403);
    }
    // Once the product is open, the same request is an order.
    products(json!(["jsapi", "native"])).await;
    let placed = place().await.expect(200);
    assert!(placed["pay"]["code_url"].is_string(), "{placed}");
}

#[tokio::test]
async fn what_an_order_says_is_no_fault_of_the_servers() {
    let stack = TestStack::start().await;
    // An openid of another app: only WeChat Pay can know.
    let elsewhere = json!({"appid": "wxanother", "openid": "oOfAnotherApp000000000000000"});
    stack.control("codes", elsewhere).await;
    let body = json!({
        "trade_type": "jsapi", "out_trade_no": "stranger-01", "description": "Coffee",
        "amount": {"total": 100}, "payer": {"openid": "oOfAnotherApp000000000000000"},
    });
    for _ in 0..2 {
        let answer = stack
            .send(
                Method::POST,
                "/orders",
                Some(&stack.merchant),
                &[],
                Some(body.clone()),
            )
            .await;
        let refused = answer.refused(422, "terms_refused");
        assert!(refused["wechatpay_code"].is_string(), "{refused}");
    }
}
