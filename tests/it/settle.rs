//! The record follows WeChat Pay's: by notice, by query, by the sweep alone.

use serde_json::{Value, json};

use crate::harness::TestStack;
use crate::harness::tap::Held;

#[tokio::test]
async fn with_every_notice_dropped_a_query_finds_the_payment() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("query-0001", 100).await;
    stack.pay("query-0001").await;
    assert_eq!(stack.order_item("query-0001")["trade_state"]["S"], "NOTPAY");
    let order = stack.until_state("query-0001", "SUCCESS").await;
    assert_eq!(order["fresh"], true);
    assert!(order["transaction_id"].is_string() && order["success_time"].is_string());
    let by_payment = format!(
        "/orders?transaction_id={}",
        order["transaction_id"].as_str().unwrap()
    );
    let found = stack.get(&stack.merchant, &by_payment).await.expect(200);
    assert_eq!(found["out_trade_no"], "query-0001");
}

#[tokio::test]
async fn with_every_notice_dropped_the_sweep_alone_finds_the_payment() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("sweep-0001", 100).await;
    stack.pay("sweep-0001").await;
    stack.sweep().await;
    assert_eq!(
        stack.order_item("sweep-0001")["trade_state"]["S"],
        "NOTPAY",
        "not due yet"
    );
    stack.advance(301).await;
    let swept = stack.sweep().await;
    assert_eq!(swept["looked_at"], 1);
    let item = stack.order_item("sweep-0001");
    assert_eq!(item["trade_state"]["S"], "SUCCESS");
    assert_eq!(item["due_at"], Value::Null, "nothing is left to be learnt");
}

#[tokio::test]
async fn an_order_paid_in_its_last_moment_is_asked_about_before_it_is_closed() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("last-00001", 100).await;
    stack.pay("last-00001").await;
    // Nobody looked until it was over.
    stack.advance(40 * 60).await;
    stack.sweep().await;
    let item = stack.order_item("last-00001");
    assert_eq!(item["trade_state"]["S"], "SUCCESS");
    assert_eq!(
        item["closed_at"],
        Value::Null,
        "it was never thought closed"
    );
    let requests = stack.wire.requests();
    let closes = requests
        .iter()
        .filter(|request| request.target.ends_with("/close"));
    assert_eq!(closes.count(), 0);
}

#[tokio::test]
async fn an_unpaid_order_is_closed_at_wechat_pay_after_its_time() {
    let stack = TestStack::start().await;
    stack.native("expire-001", 100).await;
    stack.advance(32 * 60).await;
    stack.sweep().await;
    let item = stack.order_item("expire-001");
    assert_eq!(
        (&item["trade_state"]["S"], &item["due_at"]),
        (&json!("CLOSED"), &Value::Null)
    );
    let ledger = stack.seen("ledger").await;
    assert_eq!(ledger[0]["trade_state"], "CLOSED");
}

#[tokio::test]
async fn an_order_whose_prepay_may_be_on_its_way_is_not_closed_while_wechat_pay_does_not_know_it() {
    let stack = TestStack::start().await;
    stack
        .fault("request_lost", json!({"operation": "order"}))
        .await;
    let placed = crate::harness::native_order("onway-0001", 100);
    let answer = stack.post(&stack.merchant, "/orders", placed).await;
    answer.refused(503, "wechatpay_unavailable");
    stack.no_faults().await;
    let seconds = |name: &str| -> i64 {
        let item = stack.order_item("onway-0001");
        item[name]["N"].as_str().unwrap().parse().unwrap()
    };
    // Each minute from its end to the moment from which "no such order" counts.
    stack
        .advance(seconds("time_expire") - seconds("created_at"))
        .await;
    for _ in 0..9 {
        stack.advance(60).await;
        stack.sweep().await;
        let item = stack.order_item("onway-0001");
        assert_eq!(item["trade_state"]["S"], "NOTPAY", "and not CLOSING");
    }
    let requests = stack.wire.requests();
    let of_order = requests
        .iter()
        .filter(|request| request.target.contains("onway-0001"));
    let targets: Vec<_> = of_order.map(|request| request.target.clone()).collect();
    assert!(targets.len() > 2, "it was asked about: {targets:?}");
    assert!(
        !targets.iter().any(|target| target.ends_with("/close")),
        "{targets:?}"
    );
}

#[tokio::test]
async fn an_order_paid_just_before_its_close_ends_paid_and_says_so() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("before-001", 100).await;
    stack.pay("before-001").await;
    let refused = stack
        .post(&stack.merchant, "/orders/before-001/close", json!({}))
        .await;
    let refused = refused.refused(409, "order_paid");
    assert_eq!(refused["trade_state"], "SUCCESS");
    assert_eq!(stack.order("before-001").await["trade_state"], "SUCCESS");
}

#[tokio::test]
async fn an_order_paid_after_its_close_here_ends_paid() {
    let stack = TestStack::start().await;
    stack.native("after-0001", 100).await;
    let closed = stack
        .post(&stack.merchant, "/orders/after-0001/close", json!({}))
        .await
        .expect(200);
    assert_eq!(closed["trade_state"], "CLOSED");
    let content = crate::harness::payment_content(&stack, "after-0001", 100);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    let item = stack.order_item("after-0001");
    assert_eq!(item["trade_state"]["S"], "SUCCESS");
    assert!(
        item["closed_at"]["N"].is_string(),
        "that it had been closed stays on record"
    );
}

#[tokio::test]
async fn a_close_that_is_not_answered_with_204_is_not_closed() {
    let stack = TestStack::start().await;
    stack.native("paying-001", 100).await;
    stack.fault("close_user_paying", json!({"count": 1})).await;
    let closing = stack
        .post(&stack.merchant, "/orders/paying-001/close", json!({}))
        .await
        .expect(202);
    assert_eq!(closing["trade_state"], "CLOSING");
    stack.advance(120).await;
    stack.sweep().await;
    assert_eq!(stack.order_item("paying-001")["trade_state"]["S"], "CLOSED");
}

#[tokio::test]
async fn what_has_changed_is_looked_at_soon_however_long_nothing_did() {
    let stack = TestStack::start().await;
    stack.native("anew-00001", 500).await;
    stack.advance(301).await;
    stack.sweep().await;
    let looks = |item: &Value| item["due_attempts"]["N"].clone();
    assert_eq!(looks(&stack.order_item("anew-00001")), "1");
    stack.fault("close_user_paying", json!({"count": 1})).await;
    stack
        .post(&stack.merchant, "/orders/anew-00001/close", json!({}))
        .await
        .expect(202);
    let closing = stack.order_item("anew-00001");
    assert_eq!(closing["trade_state"]["S"], "CLOSING");
    assert_eq!(looks(&closing), Value::Null);
    stack.paid("anew-00002", 500).await;
    let refund = stack.refund("anew-00002", "anew-r2", 200).await;
    assert_eq!(refund.expect(202)["status"], "PROCESSING");
    let refund = stack.item("ORDER#anew-00002", "REFUND#anew-r2");
    assert_eq!(looks(&refund), Value::Null);
}

#[tokio::test]
async fn of_a_shards_orders_the_two_longest_due_are_asked_about_at_once() {
    let stack = TestStack::start().await;
    for place in ["3", "1", "2"] {
        let number = format!("abreast-{place}");
        stack.native(&number, 100).await;
        let mut order = stack.order_item(&number);
        order["due_shard"] = json!({"S": "0"});
        order["due_at"] = json!({"N": place});
        stack.put_item(&order);
    }
    let asked = "GET /v3/pay/transactions/out-trade-no/abreast-";
    stack.wire.hold(Held::Unsent, &[asked]);
    let told = stack.log_lines().len();
    let held = async || json!(stack.wire.held());
    let seen = tokio::select! {
        _ = stack.sweep() => held().await,
        seen = stack.until(held, |held| *held == 2) => seen,
    };
    assert_eq!(seen, 2);
    assert_eq!(stack.log_lines().len(), told, "neither look has ended");
    let due_at = |place: &str| stack.order_item(&format!("abreast-{place}"))["due_at"]["N"].clone();
    assert_ne!(due_at("1"), "1");
    assert_ne!(due_at("2"), "2");
    assert_eq!(due_at("3"), "3", "it waits for one of them");
}

#[tokio::test]
async fn notices_twice_late_and_out_of_order_settle_once() {
    let stack = TestStack::start().await;
    stack.fault("notice_duplicated", json!({})).await;
    stack.native("twice-0001", 100).await;
    stack.pay("twice-0001").await;
    stack
        .until(
            || async { json!(stack.seen("notifications").await) },
            |notices| {
                let attempts: usize = notices
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|notice| notice["attempts"].as_array().unwrap().len())
                    .sum();
                attempts >= 2
            },
        )
        .await;
    stack.until_state("twice-0001", "SUCCESS").await;
    assert_eq!(
        stack.order_item("twice-0001")["version"]["N"],
        "2",
        "placed and paid: two versions"
    );
    assert_eq!(stack.seen("violations").await, Vec::<Value>::new());
}

#[tokio::test]
async fn wechat_pay_out_of_reach_leaves_the_record_and_says_that_it_is_not_fresh() {
    for fault in [
        "server_error",
        "html_error",
        "response_unsigned",
        "response_stale",
        "request_lost",
    ] {
        let stack = TestStack::start().await;
        stack.native("reach-0001", 100).await;
        stack.fault(fault, json!({})).await;
        let order = stack.order("reach-0001").await;
        assert_eq!(
            (&order["fresh"], &order["trade_state"]),
            (&json!(false), &json!("NOTPAY")),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_stack_that_is_stopped_goes_on_where_it_was() {
    let stack = TestStack::start().await;
    stack.native("again-0001", 100).await;
    let stack = stack.restarted().await;
    let again = stack
        .post(
            &stack.merchant,
            "/orders",
            crate::harness::native_order("again-0001", 100),
        )
        .await;
    let again = again.expect(200);
    stack
        .control(
            "orders/again-0001/pay",
            json!({"code_url": again["pay"]["code_url"]}),
        )
        .await;
    stack.until_state("again-0001", "SUCCESS").await;
}

#[tokio::test]
async fn whatever_wechat_pay_signs_with_an_order_is_paid_and_given_back() {
    for mode in [
        simulator::Mode::PublicKey,
        simulator::Mode::Certificate,
        simulator::Mode::Both,
    ] {
        let stack = TestStack::with(|options| options.mode = mode).await;
        stack.paid("mode-0001", 500).await;
        stack.refund("mode-0001", "mode-r1", 500).await.expect(202);
        stack.until_refund("mode-0001", "mode-r1", "SUCCESS").await;
        let notices = stack.seen("notifications").await;
        assert!(!notices.is_empty());
        for notice in notices {
            assert_eq!(notice["attempts"][0]["status"], 204, "{mode:?}: {notice}");
        }
    }
}

#[tokio::test]
async fn a_person_is_called_once_for_an_order_of_which_wechat_pay_says_nothing() {
    let stack = TestStack::start().await;
    stack.native("silent-001", 100).await;
    let silent = json!({"operation": "query"});
    stack.fault("server_error", silent).await;
    let sweeps = |field: &str| {
        let lines = stack.log_lines();
        let of_order = lines.iter().filter(|line| {
            line["function"] == "sweep" && line["order.out_trade_no"] == "silent-001"
        });
        of_order.filter(|line| !line[field].is_null()).count()
    };
    // It may be paid for half an hour, and is looked at once an hour.
    stack.advance(60 * 60).await;
    stack.sweep().await;
    assert_eq!((sweeps("message"), sweeps("needs_human")), (1, 0));
    for _ in 0..5 {
        stack.advance(60 * 60 + 60).await;
        stack.sweep().await;
    }
    assert_eq!(sweeps("message"), 6, "{:#?}", stack.logged());
    assert_eq!(sweeps("overdue"), 5);
    assert_eq!(sweeps("needs_human"), 1, "and not at each look");
}
