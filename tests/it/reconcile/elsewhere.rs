//! Refunds that a bill has and that never left from this record.

use serde_json::{Value, json};

use super::done;
use crate::harness::{ALICE, TestStack, refund_of};

/// A payer's request for 300 of 900 fen that was approved and has arrived, and the table from before the approval.
async fn approved_and_forgotten(stack: &TestStack, key: &str) -> (String, String, Vec<Value>) {
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, &format!("{key}-order"), 3).await;
    let asked = stack
        .asked_back(&alice, &number, &format!("{key}-refund"), 300)
        .await;
    let refund_no = asked["out_refund_no"].as_str().unwrap().to_owned();
    let before = stack.items();
    let approve = format!("/orders/{number}/refunds/{refund_no}/approve");
    stack
        .post(&stack.merchant, &approve, json!({}))
        .await
        .expect(202);
    stack.until_refund(&number, &refund_no, "SUCCESS").await;
    (number, refund_no, before)
}

/// As where the table was restored, or somebody refunded in the merchant platform, beside a refund that is on
/// record: the order's own report tells nothing of it, and how much is left is not known.
#[tokio::test]
async fn a_refund_of_the_bill_that_never_left_from_here_leaves_nothing_to_refund() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    for number in ["beside-0001", "beside-0002"] {
        stack.paid(number, 900).await;
        let first = format!("{number}-r1");
        stack.refund(number, &first, 100).await.expect(202);
        stack.until_refund(number, &first, "SUCCESS").await;
    }
    stack.advance(120).await;
    let lost = json!({"operation": "refund"});
    stack.fault("request_lost", lost).await;
    let unsent = stack.refund("beside-0001", "beside-r5", 50).await;
    assert_eq!(unsent.expect(202)["status"], "RESERVED");
    stack.no_faults().await;
    stack.advance(120).await;
    // Of one the second refund is gone, of the other it waits for a decision again.
    let (asked_for, asked_no, before) = approved_and_forgotten(&stack, "key-reconcile-0001").await;
    stack
        .refund("beside-0001", "beside-r2", 300)
        .await
        .expect(202);
    stack
        .until_refund("beside-0001", "beside-r2", "SUCCESS")
        .await;
    // And one of the third comes to nothing, after WeChat Pay had taken it.
    stack
        .control("knobs", json!({"refund_delay_s": null}))
        .await;
    stack
        .refund("beside-0002", "beside-r4", 200)
        .await
        .expect(202);
    stack.control("refunds/beside-r4/close", json!({})).await;
    stack
        .until_refund("beside-0002", "beside-r4", "CLOSED")
        .await;
    let after = stack.items();
    stack.restore(&before);
    stack.next_morning().await;
    done(&stack, &date, 3).await;
    for (number, refund_no) in [("beside-0001", "beside-r2"), (&asked_for, &asked_no)] {
        let settled = json!("REFUNDED_ELSEWHERE");
        let found = (
            "refund_in_bill_not_here".to_owned(),
            json!(refund_no),
            settled,
        );
        assert_eq!(stack.findings(&date, number), [found]);
        assert_eq!(stack.order(number).await["amount"]["refundable"], 0);
        let more = stack.refund(number, &format!("{number}-r3"), 100).await;
        more.refused(409, "refund_exceeds");
        let lines = stack.log_lines();
        let lines = lines
            .iter()
            .filter(|line| line["order.out_trade_no"] == number);
        let counted = lines.filter(|line| line["refunded_elsewhere"] == 1).count();
        assert_eq!(counted, 1, "{number}");
    }
    // What was reserved before the mark is not sent either, and is looked at ever more seldom.
    for _ in 0..3 {
        stack.advance(60 * 60).await;
        stack.sweep().await;
    }
    let unsent = stack.item("ORDER#beside-0001", "REFUND#beside-r5");
    let attempts: u32 = unsent["due_attempts"]["N"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(attempts >= 3, "{unsent}");
    assert_eq!(
        refund_of(&stack.order("beside-0001").await, "beside-r5").unwrap()["status"],
        "RESERVED"
    );
    // Of one that came to nothing nobody lost or got anything.
    let found = (
        "refund_in_bill_not_here".to_owned(),
        json!("beside-r4"),
        Value::Null,
    );
    assert_eq!(stack.findings(&date, "beside-0002"), [found]);
    let untouched = stack.order("beside-0002").await;
    assert_eq!(untouched["amount"]["refundable"], 800);
    // A day that is reconciled again says the same and asks about neither of the two.
    let asked = stack.wire.requests().len();
    done(&stack, &date, 3).await;
    let again = stack.findings(&date, "beside-0001");
    assert_eq!(again[0].2, json!("REFUNDED_ELSEWHERE"));
    let asked = stack.wire.requests().split_off(asked);
    let about = |asked: &str| asked.contains("refunds/") || asked.contains("out-trade-no/");
    let asked: Vec<&str> = asked
        .iter()
        .map(|asked| asked.target.as_str())
        .filter(|asked| about(asked))
        .collect();
    assert_eq!(asked, ["/v3/refund/domestic/refunds/beside-r4"]);
    stack.restore(&after);
}

/// The record is read before, and others' questions may take minutes.
#[tokio::test]
async fn a_refund_that_is_sent_before_it_is_asked_about_is_no_refund_elsewhere() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    let (number, refund_no, before) = approved_and_forgotten(&stack, "key-reconcile-0002").await;
    let after = stack.items();
    stack.restore(&before);
    stack.next_morning().await;
    // The answer to the question is on its way when the record learns what was done.
    let slow = json!({"operation": "query_refund", "count": 1});
    stack.fault("slow", slow).await;
    let said = stack.wire.requests().len();
    let restored = async {
        let asked = async || {
            let asked = stack.wire.requests().split_off(said);
            Value::from(asked.iter().any(|asked| asked.target.contains(&refund_no)))
        };
        stack.until(asked, |asked| *asked == true).await;
        let order = stack.order_item(&number);
        assert_eq!(order["refundable"]["N"], "900", "the comparison saw it so");
        stack.restore(&after);
    };
    let (outcome, ()) = tokio::join!(stack.reconcile(&date), restored);
    assert_eq!(outcome.unwrap()["status"], "done");
    let order = stack.order(&number).await;
    assert_eq!(order["amount"]["refundable"], 600, "{order}");
}
