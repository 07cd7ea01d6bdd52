//! A refund that WeChat Pay will not take has an end: it is not sent for ever, and the merchant can
//! take it back without that it is paid twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::domain::terms::Party;
use shared::domain::{
    EventLog, Fen, OrderId, Refund, RefundId, RefundState, Timestamp, TransactionId,
};
use shared::refund_mac::{RefundMacKeys, Stage};

use crate::harness::{ALICE, Answer, TestStack, refund_of, watch};

const HOUR: i64 = 3_600;

/// What a merchant decides about a refund.
async fn decide(stack: &TestStack, number: &str, refund: &str, decision: &str) -> Answer {
    let path = format!("/orders/{number}/refunds/{refund}/{decision}");
    stack.post(&stack.merchant, &path, json!({})).await
}

fn sendings(stack: &TestStack) -> usize {
    let requests = stack.wire.requests();
    let sendings = requests.iter().filter(|request| {
        request.method == "POST" && request.target == "/v3/refund/domestic/refunds"
    });
    sendings.count()
}

fn stands(stack: &TestStack, number: &str, refund: &str) -> (Value, Value) {
    let item = stack.item(&format!("ORDER#{number}"), &format!("REFUND#{refund}"));
    let refundable = stack.order_item(number)["refundable"]["N"].clone();
    (item["status"]["S"].clone(), refundable)
}

/// A paid order whose refund of everything WeChat Pay never heard of, and no fault any more.
async fn unheard(stack: &TestStack, number: &str, refund: &str) {
    stack.paid(number, 500).await;
    stack
        .fault("request_lost", json!({"operation": "refund"}))
        .await;
    let asked = stack.refund(number, refund, 500).await.expect(202);
    assert_eq!(asked["status"], "RESERVED");
    stack.no_faults().await;
}

#[tokio::test]
async fn what_wechat_pay_never_took_is_free_after_two_absences_and_its_number_is_burnt() {
    let stack = TestStack::start().await;
    unheard(&stack, "drawn-0001", "drawn-r1").await;
    let reject = decide(&stack, "drawn-0001", "drawn-r1", "reject").await;
    let told = reject.refused(409, "refund_decided");
    assert!(
        told["detail"].as_str().unwrap().contains("withdraw"),
        "{told}"
    );
    let alice = stack.login(ALICE).await;
    for decision in ["withdraw", "retry"] {
        let path = format!("/orders/drawn-0001/refunds/drawn-r1/{decision}");
        let payers = stack.post(&alice, &path, json!({})).await;
        payers.refused(404, "not_found");
    }
    let withdrawn = decide(&stack, "drawn-0001", "drawn-r1", "withdraw").await;
    assert_eq!(withdrawn.expect(202)["status"], "WITHDRAWING");
    let sent = sendings(&stack);
    let again = decide(&stack, "drawn-0001", "drawn-r1", "withdraw").await;
    assert_eq!(again.expect(200)["status"], "WITHDRAWING");
    let retried = decide(&stack, "drawn-0001", "drawn-r1", "retry").await;
    retried.refused(409, "refund_decided");
    let withdrawing = (json!("WITHDRAWING"), json!("0"));
    for seconds in [0, 61, 60, 120, 100] {
        stack.advance(seconds).await;
        stack.sweep().await;
        assert_eq!(
            stands(&stack, "drawn-0001", "drawn-r1"),
            withdrawing,
            "{seconds}"
        );
    }
    stack.advance(60).await;
    stack.sweep().await;
    let free = (json!("WITHDRAWN"), json!("500"));
    assert_eq!(stands(&stack, "drawn-0001", "drawn-r1"), free);
    assert_eq!(sendings(&stack), sent, "nothing was sent any more");
    let repeat = stack
        .refund("drawn-0001", "drawn-r1", 500)
        .await
        .expect(200);
    assert_eq!(repeat["status"], "WITHDRAWN");
    stack.paid("drawn-0002", 500).await;
    let elsewhere = stack.refund("drawn-0002", "drawn-r1", 500).await;
    elsewhere.refused(409, "refund_number_taken");
    stack
        .refund("drawn-0001", "drawn-r2", 500)
        .await
        .expect(202);
}

#[tokio::test]
async fn what_wechat_pay_took_wins_over_a_withdrawal_long_after_and_calls_a_person() {
    let stack = TestStack::start().await;
    stack.paid("taken-0001", 500).await;
    stack.fault("notice_lost", json!({})).await;
    stack
        .fault("response_lost", json!({"operation": "refund"}))
        .await;
    stack
        .fault("refund_not_found", json!({"operation": "query_refund"}))
        .await;
    let asked = stack
        .refund("taken-0001", "taken-r1", 500)
        .await
        .expect(202);
    assert_eq!(asked["status"], "RESERVED");
    let withdrawn = decide(&stack, "taken-0001", "taken-r1", "withdraw").await;
    withdrawn.expect(202);
    for _ in 0..3 {
        stack.advance(5 * 60).await;
        stack.sweep().await;
    }
    let free = (json!("WITHDRAWN"), json!("500"));
    assert_eq!(
        stands(&stack, "taken-0001", "taken-r1"),
        free,
        "its 404 was false"
    );
    // Its look half an hour later finds it.
    stack.no_faults().await;
    stack.fault("notice_lost", json!({})).await;
    stack.advance(HOUR).await;
    stack.sweep().await;
    let (status, refundable) = stands(&stack, "taken-0001", "taken-r1");
    assert_ne!(status, "WITHDRAWN");
    assert_eq!(refundable, "0", "what is given back is no more to be given");
    let refund = refund_of(&stack.order("taken-0001").await, "taken-r1").cloned();
    assert_eq!(refund.unwrap()["needs_human"], true);
    let lines = stack.log_lines();
    assert!(lines.iter().any(|line| line["needs_human"] == 1));
}

#[tokio::test]
async fn what_wechat_pay_took_wins_also_where_its_amount_is_in_another_refund_by_now() {
    let stack = TestStack::start().await;
    let number = "twice-0001";
    stack.paid(number, 500).await;
    stack.fault("notice_lost_for_good", json!({})).await;
    let lost = json!({"operation": "refund"});
    stack.fault("response_lost", lost).await;
    let unknown = json!({"operation": "query_refund"});
    stack.fault("refund_not_found", unknown).await;
    stack.refund(number, "twice-r1", 500).await.expect(202);
    decide(&stack, number, "twice-r1", "withdraw")
        .await
        .expect(202);
    for _ in 0..3 {
        stack.advance(5 * 60).await;
        stack.sweep().await;
    }
    let free = (json!("WITHDRAWN"), json!("500"));
    assert_eq!(stands(&stack, number, "twice-r1"), free);
    stack.no_faults().await;
    stack.fault("notice_lost_for_good", json!({})).await;
    // The merchant refunds it under another number, as it may.
    stack.refund(number, "twice-r2", 500).await.expect(202);
    let sent = sendings(&stack);
    for _ in 0..6 {
        stack.advance(HOUR).await;
        stack.sweep().await;
    }
    assert_eq!(stands(&stack, number, "twice-r1").0, "SUCCESS");
    assert_eq!(stands(&stack, number, "twice-r2").0, "RESERVED");
    let told = stack.order(number).await;
    assert_eq!(told["amount"]["refunded"], 500, "{told}");
    assert_eq!(told["amount"]["refundable"], 0, "{told}");
    assert_eq!(
        refund_of(&told, "twice-r1").unwrap()["needs_human"],
        true,
        "{told}"
    );
    // WeChat Pay says that all is refunded: no repeat changes that.
    assert!(sendings(&stack) - sent <= 2, "sent for ever");
    let more = stack.refund(number, "twice-r3", 1).await;
    assert_eq!(more.refused(409, "refund_exceeds")["refundable"], 0);
    // Withdrawn, the second leaves books that balance again.
    decide(&stack, number, "twice-r2", "withdraw")
        .await
        .expect(202);
    for _ in 0..3 {
        stack.advance(6 * 60).await;
        stack.sweep().await;
    }
    let over = (json!("WITHDRAWN"), json!("0"));
    assert_eq!(stands(&stack, number, "twice-r2"), over);
    let lines = stack.log_lines();
    let mismatch = lines.iter().filter(|line| line["money_mismatch"] == 1);
    assert_eq!(mismatch.count(), 0, "it is no contradiction");
}

#[tokio::test]
async fn an_unsigned_no_such_refund_frees_nothing() {
    let stack = TestStack::start().await;
    unheard(&stack, "bare-00001", "bare-r1").await;
    decide(&stack, "bare-00001", "bare-r1", "withdraw")
        .await
        .expect(202);
    stack.fault("response_unsigned", json!({})).await;
    let calls = || {
        let lines = stack.log_lines();
        let calls = lines.iter().filter(|line| line["refund_stuck"] == 1);
        calls.count()
    };
    let withdrawing = (json!("WITHDRAWING"), json!("0"));
    for minutes in [10, 20, 20, 0, 60, 60, 60] {
        let called = calls();
        stack.advance(minutes * 60).await;
        stack.sweep().await;
        assert_eq!(stands(&stack, "bare-00001", "bare-r1"), withdrawing);
        assert!(called == 0 || calls() == called, "once, not at each look");
    }
    assert_eq!(calls(), 1, "it takes too long");
    stack.no_faults().await;
    for _ in 0..3 {
        stack.advance(HOUR).await;
        stack.sweep().await;
    }
    let free = (json!("WITHDRAWN"), json!("500"));
    assert_eq!(stands(&stack, "bare-00001", "bare-r1"), free);
    // What WeChat Pay says in the end calls nobody again for the time that it took.
    assert_eq!(calls(), 1);
    let lines = stack.log_lines();
    let anew = lines.iter().filter(|line| line["needs_human"] == 1);
    assert_eq!(anew.count(), 0);
}

#[tokio::test]
async fn what_was_taken_although_it_was_withdrawn_calls_once_and_once_more_where_it_takes_too_long()
{
    let stack = TestStack::start().await;
    let number = "slow-00001";
    // The bank waits for the test.
    let waits = json!({"refund_delay_s": null});
    stack.control("knobs", waits).await;
    stack.paid(number, 500).await;
    stack.fault("notice_lost_for_good", json!({})).await;
    let lost = json!({"operation": "refund"});
    stack.fault("response_lost", lost).await;
    stack.refund(number, "slow-r1", 500).await.expect(202);
    let withdrawn = decide(&stack, number, "slow-r1", "withdraw").await;
    withdrawn.expect(202);
    let counted = || {
        let lines = stack.log_lines();
        let count = |metric: &str| lines.iter().filter(|line| line[metric] == 1).count();
        (count("needs_human"), count("refund_stuck"))
    };
    stack.advance(120).await;
    stack.sweep().await;
    let taken = (json!("PROCESSING"), json!("0"));
    assert_eq!(stands(&stack, number, "slow-r1"), taken);
    assert_eq!(counted(), (1, 0), "it was taken after all");
    let lines = stack.log_lines();
    let called = lines.iter().find(|line| line["needs_human"] == 1).unwrap();
    let why = "WeChat Pay has taken it although it was withdrawn";
    assert_eq!(called["needs_human_because"], why, "{called}");
    stack.advance(3 * 24 * HOUR).await;
    for _ in 0..3 {
        stack.sweep().await;
        assert_eq!(counted(), (1, 1), "and takes too long");
        stack.advance(24 * HOUR).await;
    }
    stack.control("refunds/slow-r1/complete", json!({})).await;
    stack.sweep().await;
    assert_eq!(stands(&stack, number, "slow-r1").0, "SUCCESS");
    assert_eq!(counted(), (1, 1), "and its end calls nobody");
    let order = stack.order(number).await;
    let refund = refund_of(&order, "slow-r1").unwrap();
    assert_eq!(refund["needs_human"], true, "{order}");
}

#[tokio::test]
async fn a_refund_whose_order_wechat_pay_never_finds_is_tried_for_a_day_and_not_for_ever() {
    let stack = TestStack::start().await;
    stack.paid("gone-00001", 500).await;
    stack.fault("refund_not_found", json!({})).await;
    let asked = stack.refund("gone-00001", "gone-r1", 500).await;
    assert_eq!(asked.expect(202)["status"], "RESERVED");
    for _ in 0..30 {
        stack.advance(HOUR + 1).await;
        stack.sweep().await;
    }
    let sent = sendings(&stack);
    assert!((20..=30).contains(&sent), "about a day: {sent}");
    for _ in 0..3 {
        stack.advance(24 * HOUR).await;
        stack.sweep().await;
    }
    assert_eq!(sendings(&stack), sent);
    let path = "/orders/gone-00001/refunds/gone-r1";
    let shown = stack.get(&stack.merchant, path).await.expect(200);
    let stands = (
        &shown["status"],
        &shown["needs_human"],
        &shown["next_attempt_at"],
    );
    assert_eq!(stands, (&json!("RESERVED"), &json!(true), &Value::Null));
    stack.no_faults().await;
    let retried = decide(&stack, "gone-00001", "gone-r1", "retry").await;
    assert_eq!(retried.expect(202)["status"], "PROCESSING");
}

#[tokio::test]
async fn a_refund_without_an_answer_is_asked_about_without_end_and_a_person_called_once() {
    // What is too busy or in trouble refuses nothing, and may have taken it.
    for fault in ["rate_limited", "server_error"] {
        let stack = TestStack::start().await;
        stack.paid("busy-00001", 500).await;
        stack.fault(fault, json!({"operation": "refund"})).await;
        let asked = stack.refund("busy-00001", "busy-r1", 500).await;
        assert_eq!(asked.expect(202)["status"], "RESERVED", "{fault}");
        let calls = |metric: &str| {
            let lines = stack.log_lines();
            lines.iter().filter(|line| line[metric] == 1).count()
        };
        for hours in 0..30 {
            assert_eq!(calls("refund_stuck"), usize::from(hours > 0), "{fault}");
            stack.advance(HOUR + 1).await;
            stack.sweep().await;
        }
        // For longer than a day, since each time it says that it has none.
        assert!(sendings(&stack) > 25, "{fault}: {}", sendings(&stack));
        assert_eq!((calls("refund_stuck"), calls("needs_human")), (1, 0));
        let path = "/orders/busy-00001/refunds/busy-r1";
        let shown = stack.get(&stack.merchant, path).await.expect(200);
        assert_eq!(shown["status"], "RESERVED", "{fault}");
        assert_eq!(shown["needs_human"], true, "{fault}");
        assert!(shown["next_attempt_at"].is_string(), "{fault}: {shown}");
        stack.no_faults().await;
        stack
            .sweep_until_refund("busy-00001", "busy-r1", "SUCCESS")
            .await;
        let ledger = stack.seen("ledger").await;
        let refunds = ledger.iter().filter(|row| row["kind"] == "refund");
        assert_eq!(refunds.count(), 1, "{fault}");
    }
}

#[tokio::test]
async fn a_short_balance_is_tried_for_a_day_and_then_when_the_merchant_says_so() {
    let stack = TestStack::start().await;
    stack.paid("poor-00001", 500).await;
    stack.fault("refund_not_enough", json!({})).await;
    let asked = stack.refund("poor-00001", "poor-r1", 500).await.expect(202);
    assert!(asked["next_attempt_at"].is_string(), "{asked}");
    let due = || stack.item("ORDER#poor-00001", "REFUND#poor-r1")["due_at"].clone();
    let mut tries = 0;
    while due().is_object() {
        stack.advance(HOUR + 1).await;
        stack.sweep().await;
        tries += 1;
        assert!(tries < 30, "it has no end");
    }
    assert!((20..=25).contains(&tries), "about a day: {tries}");
    let sent = sendings(&stack);
    for _ in 0..3 {
        stack.advance(24 * HOUR).await;
        stack.sweep().await;
    }
    assert_eq!(sendings(&stack), sent);
    let path = "/orders/poor-00001/refunds/poor-r1";
    let shown = stack.get(&stack.merchant, path).await.expect(200);
    assert_eq!(
        (
            &shown["status"],
            &shown["needs_human"],
            &shown["next_attempt_at"]
        ),
        (&json!("RESERVED"), &json!(true), &Value::Null)
    );
    let calls = stack.log_lines();
    let calls = calls.iter().filter(|line| line["needs_human"] == 1).count();
    assert_eq!(calls, 2, "when it began, and when it ended");
    stack.no_faults().await;
    let retried = decide(&stack, "poor-00001", "poor-r1", "retry").await;
    assert_eq!(retried.expect(202)["status"], "PROCESSING");
}

/// What comes of `sends` where the refund is withdrawn after somebody got the right to send it, and before
/// that somebody looks a last time at the guard of its number.
async fn withdrawn_before_the_last_look<T>(
    stack: &TestStack,
    number: &str,
    refund: &str,
    sends: impl Future<Output = T>,
) -> T {
    let (looking, mut looks) = tokio::sync::mpsc::unbounded_channel();
    let (withdrawn, over) = mpsc::channel::<()>();
    let (over, claimed) = (Mutex::new(over), AtomicBool::new(false));
    let guard = json!(format!("REFUNDNO#{refund}"));
    stack.watch.set_fault(Some(Arc::new(move |call| {
        if call.operation == "TransactWriteItems" {
            claimed.store(true, Ordering::SeqCst);
        }
        let is_look = call.operation == "GetItem" && call.request["Key"]["pk"]["S"] == guard;
        if is_look && claimed.load(Ordering::SeqCst) {
            let _ = looking.send(());
            // Nothing is ever sent: it ends when the withdrawal does, for whoever looks again at once.
            tokio::task::block_in_place(|| over.lock().unwrap().recv().ok());
        }
        None
    })));
    let withdraws = async {
        looks.recv().await.unwrap();
        let answer = decide(stack, number, refund, "withdraw").await;
        assert_eq!(answer.expect(202)["status"], "WITHDRAWING");
        drop(withdrawn);
    };
    let (sent, ()) = tokio::join!(sends, withdraws);
    stack.watch.set_fault(None);
    sent
}

/// A call is held while others go on, for which there are several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_withdrawn_before_its_bytes_leave_is_not_sent() {
    let stack = TestStack::start().await;
    stack.paid("halted-001", 500).await;
    let asked = stack.refund("halted-001", "halted-r1", 500);
    let asked = withdrawn_before_the_last_look(&stack, "halted-001", "halted-r1", asked).await;
    assert_eq!(asked.expect(202)["status"], "WITHDRAWING");
    assert_eq!(sendings(&stack), 0, "by the function that was asked");
    unheard(&stack, "halted-002", "halted-r2").await;
    let sent = sendings(&stack);
    stack.advance(120).await;
    withdrawn_before_the_last_look(&stack, "halted-002", "halted-r2", stack.sweep()).await;
    assert_eq!(sendings(&stack), sent, "by the sweep");
    // The merchant did it, so nobody is called.
    let lines = stack.log_lines();
    let called = |line: &Value| line["needs_human"] == 1 || line["not_authentic"].is_string();
    assert!(!lines.iter().any(called), "{lines:#?}");
    for _ in 0..3 {
        stack.advance(5 * 60 + 60).await;
        stack.sweep().await;
    }
    let free = (json!("WITHDRAWN"), json!("500"));
    assert_eq!(stands(&stack, "halted-001", "halted-r1"), free);
    assert_eq!(stands(&stack, "halted-002", "halted-r2"), free);
    assert_eq!(sendings(&stack), sent);
}

/// The MAC of an approved refund, as this stack's functions make it.
fn vouched_for(stack: &TestStack, item: &Value) -> String {
    let text = |name: &str| item[name]["S"].as_str().unwrap().to_owned();
    let fen = |name: &str| Fen::new(watch::number(item, name)).unwrap();
    let refund = Refund {
        refund_id: RefundId::parse(text("out_refund_no")).unwrap(),
        order_id: OrderId::parse(text("out_trade_no")).unwrap(),
        transaction_id: TransactionId::parse(text("transaction_id")).unwrap(),
        sub_mchid: None,
        amount: fen("refund"),
        total: fen("total"),
        reason: item["reason"]["S"].as_str().map(str::to_owned),
        notify_url: text("notify_url"),
        asked_by: Party::parse(&text("asked_by")).unwrap(),
        created_at: Timestamp::from_unix_seconds(watch::number(item, "created_at")),
        reserved_at: None,
        sent_at: None,
        state: RefundState::Reserved,
        version: 1,
        wechatpay_refund_id: None,
        refusals: 0,
        refused_since: None,
        needs_human: None,
        mac: None,
        events: EventLog::new(),
    };
    let secret = stack.secret("SigningSecret");
    let none: [&str; 0] = [];
    let keys = RefundMacKeys::parse(secret["record_key"].as_str(), &none).unwrap();
    let refund = keys.vouch(refund, Stage::Approved);
    STANDARD.encode(refund.mac.unwrap().as_bytes())
}

#[tokio::test]
async fn a_definite_refusal_is_not_sent_again_by_itself() {
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    stack.paid("never-0001", 500).await;
    stack
        .refund("never-0001", "never-r1", 100)
        .await
        .expect(202);
    let later = stack
        .refund("never-0001", "never-r2", 100)
        .await
        .expect(202);
    assert_eq!(later["status"], "RESERVED");
    // What WeChat Pay refuses for good: an address that it cannot use, vouched for as all else.
    let unusable = "http://shop.example/?no=query";
    let mut item = stack.item("ORDER#never-0001", "REFUND#never-r2");
    item["notify_url"] = json!({"S": unusable});
    item["mac"] = json!({"S": vouched_for(&stack, &item)});
    stack.put_item(&item);
    let before = sendings(&stack);
    stack.advance(120).await;
    stack.sweep().await;
    assert_eq!(sendings(&stack), before + 1);
    let item = stack.item("ORDER#never-0001", "REFUND#never-r2");
    assert_eq!(item["due_at"], Value::Null, "{item}");
    assert!(item["needs_human"]["S"].is_string(), "{item}");
    for _ in 0..5 {
        stack.advance(24 * HOUR).await;
        stack.sweep().await;
    }
    assert_eq!(sendings(&stack), before + 1);
    let calls = stack.log_lines();
    let calls = calls.iter().filter(|line| line["needs_human"] == 1).count();
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn a_late_approval_is_not_late_and_a_refund_that_nobody_takes_calls_a_person_once() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 1).await;
    let asked = stack
        .asked_back(&alice, &number, "key-0000000000002", 100)
        .await;
    let refund = asked["out_refund_no"].as_str().unwrap();
    // The merchant takes five days to decide, and WeChat Pay then hears nothing of it.
    stack.advance(5 * 24 * HOUR).await;
    let lost = json!({"operation": "refund"});
    stack.fault("request_lost", lost).await;
    decide(&stack, &number, refund, "approve").await.expect(202);
    let calls = || {
        let lines = stack.log_lines();
        lines
            .iter()
            .filter(|line| line["refund_stuck"] == 1)
            .count()
    };
    stack.advance(10 * 60).await;
    stack.sweep().await;
    assert_eq!(calls(), 0, "it was approved ten minutes ago");
    for _ in 0..6 {
        stack.advance(HOUR + 60).await;
        stack.sweep().await;
    }
    assert_eq!(calls(), 1, "once, not at each look");
    let item = stack.item(&format!("ORDER#{number}"), &format!("REFUND#{refund}"));
    let waited = watch::number(&item, "reserved_at") - watch::number(&item, "created_at");
    assert!(waited >= 5 * 24 * HOUR, "{item}");
}

#[tokio::test]
async fn a_payers_numbers_and_the_merchants_are_two_kinds() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 1).await;
    let path = format!("/orders/{number}/refunds");
    let body = json!({"amount": {"refund": 100}, "out_refund_no": "RF-1"});
    let asked = stack.post(&alice, &path, body.clone()).await.expect(202);
    assert_eq!(asked["out_refund_no"], "payer-RF-1");
    let again = stack.post(&alice, &path, body).await.expect(200);
    assert_eq!(again["out_refund_no"], "payer-RF-1");
    // The merchant's next number is still the merchant's.
    stack.refund(&number, "RF-1", 50).await.expect(202);
    let theirs = stack.refund(&number, "payer-RF-2", 50).await;
    assert_eq!(
        theirs.refused(422, "invalid_value")["field"],
        "out_refund_no"
    );
}
