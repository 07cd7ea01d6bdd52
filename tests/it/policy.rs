//! Who decides, how often WeChat Pay and the secrets are asked, and who is told: what no caller may
//! bend by timing, by repeating or by asking a lot.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use local::aws::Fault;
use serde_json::{Value, json};

use crate::harness::forge::{payment_content, refund_content};
use crate::harness::{ALICE, TestStack, native_order, watch};

const HOUR: i64 = 3600;

/// A payer's order of three teas, paid `paid_ago` seconds ago by WeChat Pay's clock, told by a notice.
async fn bought(stack: &TestStack, token: &str, paid_ago: i64) -> String {
    let order = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 3}]});
    let placed = stack.post_once(token, "/orders", "key-bought-000001", order);
    let placed = placed.await.expect(201);
    let number = placed["out_trade_no"].as_str().unwrap().to_owned();
    let total = placed["amount"]["total"].as_i64().unwrap();
    let mut content = payment_content(stack, &number, total);
    let paid_at = stack
        .stack
        .clock()
        .business()
        .minus_seconds(paid_ago.min(0));
    content["success_time"] = Value::from(shared::rfc3339::format(paid_at));
    let told = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!(told.status, 204, "{}", told.body);
    if paid_ago > 0 {
        stack.advance(paid_ago).await;
    }
    number
}

async fn asked_back(stack: &TestStack, token: &str, number: &str) -> String {
    let asked = stack
        .asked_back(token, number, "key-refund-000001", 100)
        .await;
    asked["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_hours_of_policy_a_payers_request_waits_however_the_clocks_stand() {
    for paid_ago in [-2, -1, 0, 1, HOUR] {
        let stack = TestStack::start().await;
        let alice = stack.login(ALICE).await;
        let number = bought(&stack, &alice, paid_ago).await;
        assert_eq!(
            asked_back(&stack, &alice, &number).await,
            "REQUESTED",
            "{paid_ago}"
        );
        assert_eq!(
            stack.order(&number).await["amount"]["refundable"],
            stack.order(&number).await["amount"]["total"]
        );
    }
}

#[tokio::test]
async fn within_the_hours_of_policy_a_payers_request_is_approved_by_itself() {
    for (paid_ago, approved) in [(-1, true), (59 * 60, true), (HOUR, false), (61 * 60, false)] {
        let stack = lenient().await;
        let alice = stack.login(ALICE).await;
        let number = bought(&stack, &alice, paid_ago).await;
        let status = asked_back(&stack, &alice, &number).await;
        assert_eq!(status != "REQUESTED", approved, "{paid_ago}: {status}");
    }
}

/// A stack whose payers' requests are approved by themselves for an hour.
async fn lenient() -> TestStack {
    let change = |options: &mut local::stack::Options| {
        let hours = ("AutoApproveRefundHours".to_owned(), "1".to_owned());
        options.parameters.extend([hours]);
    };
    TestStack::with(change).await
}

#[tokio::test]
async fn a_payer_who_names_numbers_takes_none_from_the_merchant_nor_learns_which_are_taken() {
    let stack = lenient().await;
    let alice = stack.login(ALICE).await;
    let number = bought(&stack, &alice, 60).await;
    stack.paid("policy-theirs", 500).await;
    stack
        .refund("policy-theirs", "RF-1001", 100)
        .await
        .expect(202);
    for named in ["RF-1001", "RF-1002"] {
        let body = json!({"amount": {"refund": 1}, "out_refund_no": named});
        let path = format!("/orders/{number}/refunds");
        let asked = stack.post(&alice, &path, body).await.expect(202);
        assert_eq!(asked["status"], "REQUESTED", "{named}");
    }
    stack
        .refund("policy-theirs", "RF-1002", 100)
        .await
        .expect(202);
}

#[tokio::test]
async fn a_refund_of_the_merchants_is_not_answered_with_what_a_payer_asked_for() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = bought(&stack, &alice, 60).await;
    let path = format!("/orders/{number}/refunds");
    let keyed = json!({"amount": {"refund": 100}});
    let asked = stack
        .post_once(&alice, &path, "key-of-a-payers-01", keyed)
        .await;
    let asked = asked.expect(202);
    let theirs = asked["out_refund_no"].as_str().unwrap();
    let body = json!({"amount": {"refund": 100}, "out_refund_no": theirs});
    for decision in ["", "reject"] {
        if !decision.is_empty() {
            let path = format!("{path}/{theirs}/{decision}");
            stack
                .post(&stack.merchant, &path, json!({}))
                .await
                .expect(200);
        }
        let answer = stack.post(&stack.merchant, &path, body.clone()).await;
        assert_eq!(
            answer.refused(409, "terms_differ")["field"],
            "out_refund_no"
        );
    }
}

#[tokio::test]
async fn a_payment_by_another_payer_is_believed_and_said_to_be() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let strange = |stack: &TestStack| {
        let lines = stack.log_lines();
        lines
            .iter()
            .filter(|line| line["payer"].is_string())
            .count()
    };
    // The notice of `bought` names another payer.
    bought(&stack, &alice, 60).await;
    assert_eq!(strange(&stack), 1);
    stack.paid("policy-payer", 500).await;
    assert_eq!(strange(&stack), 1, "nobody was named as its payer");
}

/// As after a table was restored from a moment before the payment.
#[tokio::test]
async fn what_was_given_back_without_a_refund_on_record_calls_a_person() {
    let stack = TestStack::start().await;
    stack.native("policy-else", 500).await;
    let before = stack.order_item("policy-else");
    stack.pay("policy-else").await;
    stack.until_state("policy-else", "SUCCESS").await;
    stack
        .refund("policy-else", "policy-e1", 200)
        .await
        .expect(202);
    stack
        .until_refund("policy-else", "policy-e1", "SUCCESS")
        .await;
    let after = stack.order_item("policy-else");
    stack.put_item(&before);
    stack.until_state("policy-else", "SUCCESS").await;
    let told = stack.order_item("policy-else")["events"]["S"].clone();
    assert!(
        told.as_str().unwrap().ends_with(":refunded_elsewhere"),
        "nobody delivers for it unasked: {told}"
    );
    // How much is left is not known here, so nothing is: it could go back twice.
    let told = stack.order("policy-else").await;
    assert_eq!(told["amount"]["refundable"], 0, "{told}");
    let more = stack.refund("policy-else", "policy-e2", 100).await;
    assert_eq!(more.refused(409, "refund_exceeds")["refundable"], 0);
    stack.put_item(&after);
    let lines = stack.log_lines();
    let told = lines.iter().find(|line| line["refunded"] == "elsewhere");
    assert_eq!(told.unwrap()["refunded_elsewhere"], 1);
}

/// An order's item as if it had been placed under another number that this stack once had.
fn of_another_merchant(mut item: Value) -> Value {
    item["mchid"]["S"] = Value::from("1900009999");
    item
}

/// "No such order" names no merchant: told to one, it says nothing of another's orders.
#[tokio::test]
async fn what_another_merchant_is_told_ends_no_order() {
    let stack = TestStack::start().await;
    stack.fault("request_lost", json!({})).await;
    let order = native_order("policy-moved", 500);
    let placed = stack.post(&stack.merchant, "/orders", order).await;
    assert_eq!(placed.status, 503, "WeChat Pay never heard of it");
    stack.no_faults().await;
    let ours = stack.order_item("policy-moved");
    let look = async || {
        stack.advance(3 * HOUR).await;
        stack.sweep().await;
        stack.order_item("policy-moved")["trade_state"]["S"].clone()
    };
    stack.put_item(&of_another_merchant(ours.clone()));
    for _ in 0..3 {
        assert_eq!(look().await, "NOTPAY");
    }
    stack.put_item(&ours);
    stack.until(look, |state| state == "CLOSED").await;
}

/// Nor is it closed here because it can be closed there, by hand or by the sweep.
#[tokio::test]
async fn an_order_of_another_merchant_is_not_closed() {
    let stack = TestStack::start().await;
    stack.native("policy-others", 500).await;
    let ours = stack.order_item("policy-others");
    stack.put_item(&of_another_merchant(ours.clone()));
    let path = "/orders/policy-others/close";
    let answer = stack.post(&stack.merchant, path, json!({})).await;
    assert_eq!(answer.expect(202)["trade_state"], "NOTPAY");
    let lines = stack.log_lines();
    let told = lines.iter().find(|line| line["function"] == "close-order");
    assert_eq!(told.unwrap()["money_mismatch"], 1);
    stack.advance(8 * 24 * HOUR).await;
    stack.sweep().await;
    let state = &stack.order_item("policy-others")["trade_state"]["S"];
    assert_eq!(state, "NOTPAY");
    // Nor where the intention was stored under the other number.
    let mut closing = of_another_merchant(ours.clone());
    closing["trade_state"]["S"] = json!("CLOSING");
    closing["closing_at"] = json!({"N": stack.now().to_string()});
    stack.put_item(&closing);
    let answer = stack.post(&stack.merchant, path, json!({})).await;
    assert_eq!(answer.expect(202)["trade_state"], "CLOSING");
    let requests = stack.wire.requests();
    let closes = |request: &&crate::harness::tap::Request| request.target.ends_with("/close");
    assert_eq!(requests.iter().filter(closes).count(), 0);
    stack.put_item(&ours);
}

#[tokio::test]
async fn a_refund_that_is_sent_in_vain_is_sent_ever_less_often() {
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("policy-vain", 500).await;
    let fault = json!({"operation": "refund"});
    stack.fault("server_error", fault).await;
    stack
        .refund("policy-vain", "policy-v1", 100)
        .await
        .expect(202);
    let due = || {
        let item = stack.item("ORDER#policy-vain", "REFUND#policy-v1");
        let now = stack.stack.clock().business().unix_seconds();
        watch::number(&item, "due_at") - now
    };
    let mut waits = vec![due()];
    for _ in 0..4 {
        stack.advance(due() + 1).await;
        stack.sweep().await;
        waits.push(due());
    }
    assert!(
        waits.windows(2).skip(1).all(|pair| pair[0] < pair[1]),
        "{waits:?}"
    );
}

/// Waiting for one's turn is no failure, and makes nobody slower when the turn comes.
#[tokio::test]
async fn a_refund_that_waited_for_its_turn_is_sent_again_as_soon_as_any_other() {
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("policy-queue", 600).await;
    for index in 0..6 {
        let number = format!("policy-q{index}");
        stack.refund("policy-queue", &number, 100).await.expect(202);
    }
    let waiting = async || {
        let order = stack.order("policy-queue").await;
        let refunds = order["refunds"].as_array().unwrap().clone();
        let mut waiting = refunds
            .into_iter()
            .filter(|refund| refund["status"] == "RESERVED");
        (waiting.next().unwrap_or_default(), waiting.count())
    };
    let mut last = waiting().await;
    while last.1 > 0 {
        stack.advance(61).await;
        stack.sweep().await;
        last = waiting().await;
    }
    stack
        .fault("server_error", json!({"operation": "refund"}))
        .await;
    stack.advance(61).await;
    stack.sweep().await;
    let number = last.0["out_refund_no"].as_str().unwrap();
    let item = stack.item("ORDER#policy-queue", &format!("REFUND#{number}"));
    let wait = watch::number(&item, "due_at") - stack.stack.clock().business().unix_seconds();
    assert!((1..=2 * 60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_refund_that_is_refused_for_hours_calls_a_person_once() {
    let stack = TestStack::start().await;
    stack.paid("policy-stuck", 500).await;
    stack.fault("refund_not_enough", json!({})).await;
    stack
        .refund("policy-stuck", "policy-s1", 100)
        .await
        .expect(202);
    // Twice: no more, or WeChat Pay would say for once that these are too many.
    for _ in 0..2 {
        stack.advance(HOUR + 60).await;
        stack.sweep().await;
    }
    let lines = stack.log_lines();
    let calls = lines
        .iter()
        .filter(|line| line["refund_stuck"] == 1 || line["needs_human"] == 1);
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_report_about_a_payment_that_contradicts_the_record_is_not_called_fresh() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("policy-fresh", 500).await;
    let paid = stack.pay("policy-fresh").await;
    let path = format!(
        "/orders?transaction_id={}",
        paid["transaction_id"].as_str().unwrap()
    );
    stack.fault("response_wrong_amount", json!({})).await;
    let order = stack.get(&stack.merchant, &path).await.expect(200);
    assert_eq!(
        (&order["trade_state"], &order["fresh"]),
        (&json!("NOTPAY"), &json!(false))
    );
    stack.no_faults().await;
    let order = stack.get(&stack.merchant, &path).await.expect(200);
    assert_eq!(
        (&order["trade_state"], &order["fresh"]),
        (&json!("SUCCESS"), &json!(true))
    );
}

#[tokio::test]
async fn a_report_about_a_refund_that_contradicts_the_record_is_not_called_fresh() {
    let stack = TestStack::start().await;
    // The bank waits for the test.
    let waits = json!({"refund_delay_s": null});
    stack.control("knobs", waits).await;
    stack.paid("policy-other", 500).await;
    let asked = stack.refund("policy-other", "policy-o1", 200).await;
    assert_eq!(asked.expect(202)["status"], "PROCESSING");
    let query = json!({"operation": "query_refund"});
    stack.fault("response_wrong_amount", query).await;
    let order = stack.order("policy-other").await;
    assert_eq!(order["refunds"][0]["status"], "PROCESSING", "{order}");
    assert_eq!(order["fresh"], false, "{order}");
    let lines = stack.log_lines();
    let mismatch = lines.iter().filter(|line| line["money_mismatch"] == 1);
    assert_eq!(mismatch.count(), 1);
    stack.no_faults().await;
    // It is asked about at most once in two seconds.
    let again = || stack.order("policy-other");
    stack.until(again, |order| order["fresh"] == true).await;
}

#[tokio::test]
async fn a_close_that_is_answered_without_a_signature_is_told_as_that() {
    let stack = TestStack::start().await;
    stack.native("policy-close", 500).await;
    stack.fault("response_unsigned", json!({})).await;
    let path = "/orders/policy-close/close";
    stack
        .post(&stack.merchant, path, json!({}))
        .await
        .expect(202);
    let lines = stack.log_lines();
    let told = lines.iter().find(|line| line["function"] == "close-order");
    assert_eq!(told.unwrap()["wechatpay_unverified"], 1);
    assert!(told.unwrap()["wechatpay_errors"].is_null());
}

#[tokio::test]
async fn a_refusal_is_told_with_wechat_pays_number_of_the_call() {
    let stack = TestStack::start().await;
    stack.paid("policy-number", 500).await;
    stack.fault("refund_not_enough", json!({"count": 1})).await;
    stack
        .refund("policy-number", "policy-n1", 100)
        .await
        .expect(202);
    let lines = stack.log_lines();
    let told = lines
        .iter()
        .find(|line| line["wechatpay.error"].is_string());
    assert!(told.unwrap()["wechatpay.request_id"].is_string());
}

#[tokio::test]
async fn however_many_refunds_of_an_unpaid_order_are_asked_for_wechat_pay_is_asked_rarely() {
    let stack = TestStack::start().await;
    stack.native("policy-asks", 500).await;
    let began = Instant::now();
    let asks = (0..8).map(|index| {
        let stack = &stack;
        async move {
            stack
                .refund("policy-asks", &format!("policy-a{index}"), 100)
                .await
        }
    });
    for answer in join_all(asks).await {
        answer.refused(409, "order_not_paid");
    }
    let queries = stack.wire.requests();
    let queries = queries
        .iter()
        .filter(|request| request.target.contains("/out-trade-no/policy-asks"))
        .count();
    // One for two seconds, which are counted in whole ones.
    let most = (began.elapsed().as_secs() + 2).div_ceil(2);
    assert!(
        (1..=most).contains(&(queries as u64)),
        "{queries} in {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_refund_asked_right_after_a_question_asks_again_and_finds_the_payment() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("policy-turn", 500).await;
    assert_eq!(stack.order("policy-turn").await["trade_state"], "NOTPAY");
    stack.pay("policy-turn").await;
    // The question of a moment ago was answered with NOTPAY; a refund has a question of its own.
    stack
        .refund("policy-turn", "policy-t1", 200)
        .await
        .expect(202);
}

#[tokio::test]
async fn a_signed_refund_notice_for_another_merchant_changes_nothing() {
    let stack = TestStack::start().await;
    let order = stack.paid("policy-mch", 500).await;
    stack.fault("notice_lost", json!({})).await;
    stack
        .refund("policy-mch", "policy-m1", 200)
        .await
        .expect(202);
    let books = stack.books();
    let mut content = refund_content(&stack, &order, "policy-m1", 200, "CLOSED");
    content["mchid"] = Value::from("1900000001");
    let answer = stack.notice("REFUND.CLOSED", &content).await;
    assert_eq!(answer.status, 409);
    assert_eq!(stack.books(), books);
    assert_eq!(stack.evidence().len(), 1);
}

/// How often the secret of callers' keys was read while `busy` went on.
async fn readings<F: Future>(stack: &TestStack, fail: bool, busy: F) -> usize {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let secret = local::template::arn("ApiSecret");
    stack.watch.set_fault(Some(Arc::new(move |call| {
        if call.operation != "GetSecretValue" || call.request["SecretId"] != secret {
            return None;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        fail.then_some(Fault::Fail)
    })));
    busy.await;
    stack.watch.set_fault(None);
    read.load(Ordering::SeqCst)
}

#[tokio::test]
async fn garbage_for_credentials_does_not_make_the_secrets_be_read_each_time() {
    let stack = TestStack::start().await;
    stack.native("policy-secret", 500).await;
    for fail in [false, true] {
        let attempts = readings(&stack, fail, async {
            for index in 0..20 {
                let credential = format!("garbage-{index}");
                let answer = stack.get(&credential, "/orders/policy-secret").await;
                assert_eq!(answer.status, 401);
            }
        });
        // One try, which the SDK makes of up to three attempts.
        assert!(attempts.await <= 3);
    }
}

#[tokio::test]
async fn a_secret_that_was_never_readable_is_tried_every_two_seconds_and_no_more() {
    let stack = TestStack::start().await;
    let good = stack.secret("ApiSecret").to_string();
    stack.put_secret("ApiSecret", "{}");
    let began = Instant::now();
    let attempts = readings(&stack, false, async {
        for _ in 0..20 {
            let answer = stack.get(&stack.merchant, "/orders/policy-never").await;
            answer.refused(503, "not_configured");
        }
    });
    let attempts = attempts.await as u64;
    assert!(attempts <= began.elapsed().as_secs() / 2 + 1, "{attempts}");
    stack.put_secret("ApiSecret", &good);
    let look = || async {
        let answer = stack.get(&stack.merchant, "/orders/policy-never").await;
        Value::from(answer.status)
    };
    stack.until(look, |status| *status == 404).await;
}

#[tokio::test]
async fn a_signed_notice_that_names_no_order_of_ours_calls_a_person() {
    let stack = TestStack::start().await;
    let content = payment_content(&stack, "policy-nobody", 500);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        404
    );
    assert_eq!(
        stack
            .notice_sealing("TRANSACTION.SUCCESS", b"{}")
            .await
            .status,
        500
    );
    let told = stack.log_lines();
    let told = told.iter().filter(|line| line["needs_human"] == 1).count();
    assert_eq!(told, 2);
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_found_by_the_next_look_and_not_called_fresh_unasked() {
    let stack = TestStack::start().await;
    stack.paid("policy-lost", 500).await;
    stack
        .fault("response_lost", json!({"count": 1, "operation": "refund"}))
        .await;
    let lost = stack
        .refund("policy-lost", "policy-l1", 200)
        .await
        .expect(202);
    assert_eq!(lost["status"], "RESERVED");
    let order = stack.order("policy-lost").await;
    assert_ne!(order["refunds"][0]["status"], "RESERVED", "{order}");
    assert_eq!(order["fresh"], true);

    stack.fault("server_error", json!({})).await;
    stack
        .refund("policy-lost", "policy-l2", 100)
        .await
        .expect(202);
    let order = stack.order("policy-lost").await;
    assert_eq!(order["fresh"], false, "{order}");
}

#[tokio::test]
async fn the_sweep_closes_nothing_on_a_report_that_contradicts_the_record() {
    let stack = TestStack::start().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("policy-wrong", 500).await;
    stack.pay("policy-wrong").await;
    stack.fault("response_wrong_amount", json!({})).await;
    stack.advance(8 * 24 * HOUR).await;
    stack.sweep().await;
    let item = stack.order_item("policy-wrong");
    assert_eq!(item["trade_state"]["S"], "NOTPAY");
    let closes = stack.wire.requests();
    assert!(
        !closes
            .iter()
            .any(|request| request.target.ends_with("/close"))
    );
    stack.no_faults().await;
    stack.until_state("policy-wrong", "SUCCESS").await;
}
