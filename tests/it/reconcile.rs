//! Yesterday's bills against the record: agreement, each difference, each trouble with a bill.

use serde_json::{Value, json};

use crate::harness::TestStack;

/// The statuses of paid orders are in the table, not only at WeChat Pay.
async fn known_as(stack: &TestStack, number: &str, state: &str) {
    let look = async || stack.order_item(number)["trade_state"]["S"].clone();
    stack.until(look, |seen| seen == state).await;
}

async fn paid_and_known(stack: &TestStack, number: &str, total: i64) {
    stack.native(number, total).await;
    stack.pay(number).await;
    known_as(stack, number, "SUCCESS").await;
}

async fn done(stack: &TestStack, date: &str, differences: u64) {
    let outcome = stack.reconcile(date).await.unwrap();
    let expected = json!({"date": date, "status": "done", "differences": differences});
    assert_eq!(outcome, expected, "{:#?}", stack.logged());
}

#[tokio::test]
async fn a_day_that_agrees_is_done_once_and_told_in_three_ways() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    paid_and_known(&stack, "agree-0001", 1_200).await;
    paid_and_known(&stack, "agree-0002", 34).await;
    stack.native("agree-0003", 77).await;
    stack
        .refund("agree-0001", "agree-r1", 200)
        .await
        .expect(202);
    stack
        .until_refund("agree-0001", "agree-r1", "SUCCESS")
        .await;
    // Not before ten: the next run asks again.
    stack.next_day_at(9 * 3_600).await;
    let run = async || {
        stack
            .stack
            .run_scheduled("ReconcileFunction")
            .await
            .unwrap()
    };
    let early = run().await;
    assert_eq!(
        (&early["date"], &early["status"]),
        (&json!(date), &json!("waiting"))
    );
    assert_eq!(stack.report_file(&date, "done.json"), None);
    stack.advance(3_600 + 900).await;
    let first = run().await;
    assert_eq!(
        first,
        json!({"date": date, "status": "done", "differences": 0})
    );
    let report = stack.report(&date);
    assert_eq!(report["trade_bill"]["total"], 1_234);
    assert_eq!(report["trade_bill"]["refunded"], 200);
    assert_eq!(report["fund_flow_bill"]["sum_in"], 1_234);
    assert_eq!(report["fund_flow_bill"]["sum_out"], 200);
    assert_eq!(report["on_record"], json!({"payments": 2, "refunds": 1}));
    assert_eq!(report["difference_count"], 0);
    assert_eq!(report["hours"].as_array().unwrap().len(), 24);
    let page = stack.report_file(&date, "report.html").unwrap();
    assert!(
        page.contains("The books agree.") && page.contains("<svg"),
        "{page}"
    );
    let csv = stack.report_file(&date, "report.csv").unwrap();
    assert_eq!(csv.lines().count(), 1);
    // A run that finds the day done asks nobody; a named day is reconciled again.
    let asked = stack.wire.requests().len();
    let again = run().await;
    assert_eq!(again, json!({"date": date, "status": "already_done"}));
    assert_eq!(stack.wire.requests().len(), asked);
    done(&stack, &date, 0).await;
    for wrong in [json!("2026-13-01"), json!(7), json!(stack.today())] {
        let event = json!({"date": wrong});
        let refused = stack.stack.invoke("ReconcileFunction", event).await;
        assert!(refused.is_err(), "{wrong}: {refused:?}");
    }
}

#[tokio::test]
async fn a_quiet_day_is_done_without_a_bill() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    stack.native("quiet-0001", 100).await;
    stack.next_morning().await;
    done(&stack, &date, 0).await;
    let report = stack.report(&date);
    assert_eq!(report["trade_bill"], Value::Null);
    assert_eq!(report["fund_flow_bill"], Value::Null);
}

#[tokio::test]
async fn what_the_bill_proves_paid_is_settled_through_a_query() {
    let stack = TestStack::start().await;
    let date = stack.new_day().await;
    stack.fault("notice_lost", json!({})).await;
    for (number, total) in [("lost-0001", 500), ("lost-0002", 600)] {
        stack.native(number, total).await;
        stack.pay(number).await;
    }
    // One is refunded, and nobody tells of that either: WeChat Pay took it, and its answer was lost.
    stack.until_state("lost-0002", "SUCCESS").await;
    stack
        .fault("response_lost", json!({"operation": "refund", "count": 1}))
        .await;
    stack.refund("lost-0002", "lost-r1", 600).await.expect(202);
    stack.next_morning().await;
    assert_eq!(stack.order_item("lost-0001")["trade_state"]["S"], "NOTPAY");
    let before = stack.wire.requests().len();
    done(&stack, &date, 2).await;
    let found =
        |kind: &str, refund: Value, settled: &str| vec![(kind.to_owned(), refund, json!(settled))];
    assert_eq!(
        stack.findings(&date, "lost-0001"),
        found("in_bill_unpaid_here", Value::Null, "SUCCESS")
    );
    assert_eq!(
        stack.findings(&date, "lost-0002"),
        found("refund_in_bill_not_here", json!("lost-r1"), "SUCCESS")
    );
    let asked = stack.wire.requests().split_off(before);
    let paths: Vec<&str> = asked.iter().map(|asked| asked.target.as_str()).collect();
    for path in ["out-trade-no/lost-0001", "refunds/lost-r1"] {
        assert!(paths.iter().any(|asked| asked.contains(path)), "{paths:?}");
    }
    known_as(&stack, "lost-0001", "SUCCESS").await;
    // The file alone settles nothing: while no answer comes, the day is not done.
    let date = stack.new_day().await;
    stack.native("lost-0003", 500).await;
    stack.pay("lost-0003").await;
    stack.next_morning().await;
    let unanswered = json!({"operation": "query"});
    stack.fault("server_error", unanswered).await;
    let refused = stack.reconcile(&date).await;
    assert!(refused.is_ok_and(|outcome| outcome["status"] == "waiting"));
    assert_eq!(stack.order_item("lost-0003")["trade_state"]["S"], "NOTPAY");
    assert_eq!(stack.report_file(&date, "done.json"), None);
    let found = stack.findings(&date, "lost-0003");
    assert_eq!(found[0].2, Value::Null, "told, and not settled");
    stack.no_faults().await;
    done(&stack, &date, 1).await;
    known_as(&stack, "lost-0003", "SUCCESS").await;
}
