//! A table that was restored to an earlier moment is led back to what WeChat Pay has.

use serde_json::{Value, json};

use crate::harness::TestStack;

/// What WeChat Pay has given back of an order, in fen.
fn given_back(ledger: &[Value], number: &str) -> i64 {
    let refunds = ledger
        .iter()
        .filter(|row| row["kind"] == "refund" && row["out_trade_no"] == number);
    refunds
        .filter(|row| row["status"] == "SUCCESS")
        .map(|row| row["amount"]["refund"].as_i64().unwrap())
        .sum()
}

/// What is wrong with an order here, after all that the runbook asks for; none where it is as at WeChat
/// Pay, or is left to a person and gives nothing back.
fn wrong(here: &Value, there: &Value, refunded: i64) -> Option<String> {
    let amount = &here["amount"];
    let state = there["trade_state"].as_str().unwrap();
    let same = match state {
        "SUCCESS" => here["trade_state"] == "SUCCESS" && amount["refunded"] == 0,
        // The report says that something was given back, and not how much: nothing more is, here.
        "REFUND" => {
            here["trade_state"] == "SUCCESS"
                && (amount["refunded"] == refunded || amount["refundable"] == 0)
        }
        _ => here["trade_state"] == state,
    };
    (!same).then(|| format!("here {here:#}, there {there:#}, of which {refunded} went back"))
}

/// Does what "Getting the table back" says from step 4 on; gives the orders that the table does not have.
async fn recover(stack: &TestStack, date: &str) -> Vec<String> {
    stack.sweep().await;
    let outcome = stack.reconcile(date).await.unwrap();
    assert_eq!(outcome["status"], "done", "{outcome}");
    let ledger = stack.seen("ledger").await;
    let mut missing = Vec::new();
    for there in ledger.iter().filter(|row| row["kind"] == "order") {
        let number = there["out_trade_no"].as_str().unwrap();
        let path = format!("/orders/{number}");
        let answer = stack.get(&stack.merchant, &path).await;
        if answer.status == 404 {
            missing.push(number.to_owned());
            let money = ["SUCCESS", "REFUND"].contains(&there["trade_state"].as_str().unwrap());
            let named = stack.findings(date, number);
            let named = named.iter().any(|(kind, ..)| kind == "in_bill_not_here");
            assert_eq!(named, money, "{there:#}");
            continue;
        }
        let here = answer.expect(200);
        let refunded = given_back(&ledger, number);
        assert_eq!(wrong(&here, there, refunded), None);
    }
    missing
}

#[tokio::test]
async fn a_table_of_any_earlier_moment_is_led_back_to_what_wechat_pay_has() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    // How many of the orders the table has, and all that is in it.
    let mut moments = Vec::new();
    let numbers = ["paid-later", "closed-later", "never-paid", "paid-before"];
    for (there, number) in numbers[..3].iter().enumerate() {
        moments.push((there, stack.items()));
        stack.native(number, 500).await;
    }
    stack.paid("paid-before", 900).await;
    moments.push((4, stack.items()));
    // Reserved, and nothing more is known of it here: the answer is lost.
    stack
        .fault("response_lost", json!({"operation": "refund", "count": 1}))
        .await;
    stack
        .refund("paid-before", "refund-1", 300)
        .await
        .expect(202);
    moments.push((4, stack.items()));
    stack
        .sweep_until_refund("paid-before", "refund-1", "SUCCESS")
        .await;
    // Beside one that is on record, the order's own report tells nothing of another.
    moments.push((4, stack.items()));
    stack.advance(120).await;
    let more = stack.refund("paid-before", "refund-3", 200).await;
    more.expect(202);
    stack
        .until_refund("paid-before", "refund-3", "SUCCESS")
        .await;
    stack.pay("paid-later").await;
    stack.until_state("paid-later", "SUCCESS").await;
    moments.push((4, stack.items()));
    stack
        .refund("paid-later", "refund-2", 200)
        .await
        .expect(202);
    stack
        .until_refund("paid-later", "refund-2", "SUCCESS")
        .await;
    let close = "/orders/closed-later/close";
    stack.post(&stack.merchant, close, json!({})).await;

    stack.next_morning().await;
    for (there, items) in &moments {
        stack.restore(items);
        let missing = recover(&stack, &date).await;
        assert_eq!(missing, numbers[*there..]);
        let ledger = stack.seen("ledger").await;
        let sent = ledger.iter().filter(|row| row["kind"] == "refund").count();
        assert_eq!(sent, 3, "nothing is given back twice");
    }
}
