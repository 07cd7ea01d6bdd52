//! Giving money back, and never more than was paid.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{ALICE, TestStack, refund_of};

/// What WeChat Pay has given back or is giving back of an order, in fen.
async fn given_back(stack: &TestStack, number: &str) -> i64 {
    stack
        .seen("ledger")
        .await
        .iter()
        .filter(|row| row["out_trade_no"] == number && row["out_refund_no"].is_string())
        .filter(|row| row["status"] != "CLOSED")
        .map(|row| {
            row["amount"]
                .as_i64()
                .unwrap_or_else(|| row["amount"]["refund"].as_i64().unwrap())
        })
        .sum()
}

#[tokio::test]
async fn a_part_then_the_rest_then_one_fen_too_many() {
    let stack = TestStack::start().await;
    stack.paid("parts-0001", 600).await;
    let first = stack
        .refund("parts-0001", "parts-r1", 200)
        .await
        .expect(202);
    assert_eq!(
        first["amount"],
        json!({"refund": 200, "total": 600, "currency": "CNY"})
    );
    stack
        .until_refund("parts-0001", "parts-r1", "SUCCESS")
        .await;
    // Within WeChat Pay's minute: it waits here, reserved, and says until when.
    let second = stack
        .refund("parts-0001", "parts-r2", 400)
        .await
        .expect(202);
    if second["status"] == "RESERVED" {
        assert!(second["next_attempt_at"].is_string());
    }
    let refused = stack
        .refund("parts-0001", "parts-r3", 1)
        .await
        .refused(409, "refund_exceeds");
    assert_eq!(refused["refundable"], 0);
    stack.advance(120).await;
    stack.sweep().await;
    let order = stack
        .until_refund("parts-0001", "parts-r2", "SUCCESS")
        .await;
    assert_eq!(
        order["amount"],
        json!({"total": 600, "currency": "CNY", "refunded": 600, "refundable": 0})
    );
    assert_eq!(
        order["trade_state"], "SUCCESS",
        "refunds never change that an order was paid"
    );
    assert_eq!(given_back(&stack, "parts-0001").await, 600);
}

#[tokio::test]
async fn a_second_refund_within_the_minute_is_reserved_and_sent_when_due() {
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("minute-001", 600).await;
    let first = stack
        .refund("minute-001", "minute-r1", 100)
        .await
        .expect(202);
    assert_eq!(first["status"], "PROCESSING");
    let second = stack
        .refund("minute-001", "minute-r2", 100)
        .await
        .expect(202);
    assert_eq!(second["status"], "RESERVED");
    assert!(second["next_attempt_at"].is_string());
    // The minute is kept here: WeChat Pay is not even asked.
    let sent = || {
        let requests = stack.wire.requests();
        let refunds = requests
            .iter()
            .filter(|request| request.method == "POST" && request.target.ends_with("/refunds"));
        refunds.count()
    };
    assert_eq!(sent(), 1);
    stack.sweep().await;
    assert_eq!(sent(), 1);
    assert_eq!(
        given_back(&stack, "minute-001").await,
        100,
        "not before its time"
    );
    stack.advance(120).await;
    stack.sweep().await;
    assert_eq!(given_back(&stack, "minute-001").await, 200);
}

#[tokio::test]
async fn fifty_refunds_at_once_never_give_back_more_than_was_paid() {
    let stack = TestStack::start().await;
    stack.paid("fifty-0001", 1000).await;
    let numbers: Vec<String> = (0..50).map(|index| format!("fifty-r{index}")).collect();
    let answers = join_all(
        numbers
            .iter()
            .map(|number| stack.refund("fifty-0001", number, 300)),
    )
    .await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    assert!(
        accepted <= 3,
        "{accepted} of 300 each were accepted of 1000"
    );
    assert!(accepted >= 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 202) {
        assert!(matches!(answer.status, 409 | 503), "{answer:?}");
    }
    for _ in 0..5 {
        stack.advance(120).await;
        stack.sweep().await;
    }
    assert!(given_back(&stack, "fifty-0001").await <= 1000);
    let order = stack.order("fifty-0001").await;
    let refundable = order["amount"]["refundable"].as_i64().unwrap();
    let held: i64 = order["refunds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refund| refund["amount"]["refund"].as_i64().unwrap())
        .sum();
    assert_eq!(
        refundable + held,
        1000,
        "the books: what is left and what is held make the total"
    );
}

#[tokio::test]
async fn the_same_number_refunds_once_however_often_it_is_asked() {
    let stack = TestStack::start().await;
    stack.paid("same-00001", 500).await;
    let answers = join_all((0..20).map(|_| stack.refund("same-00001", "same-r1", 500))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 202).count(),
        1,
        "{answers:?}"
    );
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 202))
    );
    let other = stack
        .refund("same-00001", "same-r1", 499)
        .await
        .refused(409, "terms_differ");
    assert_eq!(other["field"], "amount.refund");
    stack.paid("same-00002", 500).await;
    stack
        .refund("same-00002", "same-r1", 500)
        .await
        .refused(409, "refund_number_taken");
    assert_eq!(given_back(&stack, "same-00001").await, 500);
}

#[tokio::test]
async fn doubt_never_releases_a_reservation_nor_refunds_twice() {
    for fault in [
        "response_lost",
        "request_lost",
        "server_error",
        "server_error_applied",
        "response_unsigned",
        "rate_limited",
        "rate_limited_applied",
        "refund_not_found",
    ] {
        let stack = TestStack::start().await;
        stack.paid("doubt-0001", 500).await;
        stack.fault(fault, json!({"count": 3})).await;
        let asked = stack.refund("doubt-0001", "doubt-r1", 500).await;
        assert_eq!(asked.status, 202, "{fault}: {asked:?}");
        let order = stack.order("doubt-0001").await;
        assert_eq!(order["amount"]["refundable"], 0, "{fault}: it stays taken");
        stack
            .refund("doubt-0001", "doubt-r2", 1)
            .await
            .refused(409, "refund_exceeds");
        stack.no_faults().await;
        stack
            .sweep_until_refund("doubt-0001", "doubt-r1", "SUCCESS")
            .await;
        assert_eq!(given_back(&stack, "doubt-0001").await, 500, "{fault}");
    }
}

#[tokio::test]
async fn a_short_balance_waits_for_a_person_and_is_sent_again_with_the_same_number() {
    let stack = TestStack::start().await;
    stack.paid("short-0001", 500).await;
    stack.fault("refund_not_enough", json!({"count": 1})).await;
    let asked = stack
        .refund("short-0001", "short-r1", 500)
        .await
        .expect(202);
    assert_eq!(
        (&asked["status"], &asked["needs_human"]),
        (&json!("RESERVED"), &json!(true))
    );
    stack.advance(2 * 3600).await;
    stack
        .sweep_until_refund("short-0001", "short-r1", "SUCCESS")
        .await;
    assert_eq!(given_back(&stack, "short-0001").await, 500);
}

#[tokio::test]
async fn a_payers_request_waits_for_the_merchant() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 1).await;
    let path = format!("/orders/{number}/refunds");
    let body = json!({"amount": {"refund": 100}, "reason": "cold"});
    let asked = stack
        .post_once(&alice, &path, "key-0000000000002", body.clone())
        .await
        .expect(202);
    assert_eq!(asked["status"], "REQUESTED");
    assert_eq!(
        stack.order(&number).await["amount"]["refundable"],
        300,
        "a request holds nothing"
    );
    let again = stack
        .post_once(&alice, &path, "key-0000000000002", body.clone())
        .await
        .expect(200);
    assert_eq!(again["out_refund_no"], asked["out_refund_no"]);
    let refund = format!("{path}/{}", asked["out_refund_no"].as_str().unwrap());
    stack
        .post(&alice, &format!("{refund}/approve"), json!({}))
        .await
        .refused(404, "not_found");
    let approved = stack
        .post(&stack.merchant, &format!("{refund}/approve"), json!({}))
        .await
        .expect(202);
    assert_eq!(approved["status"], "PROCESSING");
    stack
        .post(&stack.merchant, &format!("{refund}/reject"), json!({}))
        .await
        .refused(409, "refund_decided");
    stack
        .post(&stack.merchant, &format!("{refund}/approve"), json!({}))
        .await
        .expect(200);
    let second = stack
        .post_once(&alice, &path, "key-0000000000003", body)
        .await
        .expect(202);
    let second = format!("{path}/{}", second["out_refund_no"].as_str().unwrap());
    let rejected = stack
        .post(&stack.merchant, &format!("{second}/reject"), json!({}))
        .await
        .expect(200);
    assert_eq!(rejected["status"], "REJECTED");
    stack
        .post(&stack.merchant, &format!("{second}/approve"), json!({}))
        .await
        .refused(409, "refund_decided");
    assert_eq!(given_back(&stack, &number).await, 100);
}

#[tokio::test]
async fn a_refund_that_wechat_pay_closes_gives_its_amount_back_once() {
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("closed-001", 500).await;
    stack
        .refund("closed-001", "closed-r1", 500)
        .await
        .expect(202);
    stack.fault("notice_duplicated", json!({})).await;
    stack.control("refunds/closed-r1/close", json!({})).await;
    let order = stack
        .until_refund("closed-001", "closed-r1", "CLOSED")
        .await;
    assert_eq!(order["amount"]["refundable"], 500);
    stack.advance(120).await;
    stack
        .refund("closed-001", "closed-r2", 500)
        .await
        .expect(202);
    let refund: Value = refund_of(&stack.order("closed-001").await, "closed-r2")
        .unwrap()
        .clone();
    assert_eq!(refund["amount"]["refund"], 500);
}

#[tokio::test]
async fn a_refund_asked_before_the_payment_is_known_here_asks_wechat_pay_first() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("unknown-02", 500).await;
    stack
        .refund("unknown-02", "unknown-r2", 500)
        .await
        .refused(409, "order_not_paid");
    stack.native("unknown-01", 500).await;
    stack.pay("unknown-01").await;
    // WeChat Pay was asked moments ago; the same request again asks when it may.
    let refund = async || {
        let answer = stack.refund("unknown-01", "unknown-r1", 500).await;
        json!(answer.status)
    };
    stack.until(refund, |status| status == 202).await;
    assert_eq!(given_back(&stack, "unknown-01").await, 500);
}
