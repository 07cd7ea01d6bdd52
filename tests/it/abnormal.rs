//! An abnormal refund ends on a bank card: applied for once, and nobody reads whose card it is.

use serde_json::{Value, json};

use crate::harness::{ALICE, Answer, TestStack};

const ACCOUNT: &str = "6222020200112230123";
const NAME: &str = "\u{738b}\u{5c0f}\u{660e}-of-the-card";

fn card() -> Value {
    json!({"type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT", "bank_account": ACCOUNT, "real_name": NAME})
}

async fn apply(stack: &TestStack, credential: &str, number: &str, body: Value) -> Answer {
    let path = format!("/orders/{number}/refunds/{number}-r/abnormal");
    stack.post(credential, &path, body).await
}

async fn refunded(stack: &TestStack, number: &str) {
    stack.paid(number, 500).await;
    let refund = stack.refund(number, &format!("{number}-r"), 500).await;
    refund.expect(202);
}

async fn abnormal(stack: &TestStack, number: &str) {
    refunded(stack, number).await;
    let end = format!("refunds/{number}-r/abnormal");
    stack.control(&end, json!({})).await;
    stack
        .until_refund(number, &format!("{number}-r"), "ABNORMAL")
        .await;
}

fn applications(stack: &TestStack) -> Vec<String> {
    let requests = stack.wire.requests();
    requests
        .iter()
        .filter(|request| request.target.ends_with("/apply-abnormal-refund"))
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .collect()
}

async fn patient() -> TestStack {
    let stack = TestStack::start().await;
    stack.watch.hide(ACCOUNT);
    stack.watch.hide(NAME);
    // The bank waits for the test.
    stack
        .control("knobs", json!({"refund_delay_s": null}))
        .await;
    stack
}

#[tokio::test]
async fn an_abnormal_refund_goes_to_a_card_that_nobody_reads() {
    let stack = patient().await;
    abnormal(&stack, "card-00001").await;
    let alice = stack.login(ALICE).await;
    let payers = apply(&stack, &alice, "card-00001", card()).await;
    payers.refused(404, "not_found");
    for missing in ["bank_type", "bank_account", "real_name"] {
        let mut body = card();
        body.as_object_mut().unwrap().remove(missing);
        let refused = apply(&stack, &stack.merchant, "card-00001", body).await;
        let refused = refused.refused(422, "invalid_value");
        assert_eq!(refused["field"], missing);
    }
    let mut number = card();
    number["bank_account"] = json!(6_222_020_200_112_230_123_u64);
    let refused = apply(&stack, &stack.merchant, "card-00001", number).await;
    let refused = refused.refused(422, "invalid_value").to_string();
    assert!(!refused.contains(ACCOUNT), "{refused}");
    for slipped in ["type", "bank_type"] {
        let mut body = card();
        body[slipped] = json!(ACCOUNT);
        let refused = apply(&stack, &stack.merchant, "card-00001", body).await;
        let refused = refused.refused(422, "invalid_value");
        assert_eq!(refused["field"], slipped);
        assert!(!refused.to_string().contains(ACCOUNT), "{refused}");
    }
    let mixed = json!({"type": "MERCHANT_BANK_CARD", "real_name": NAME});
    let refused = apply(&stack, &stack.merchant, "card-00001", mixed).await;
    refused.refused(422, "field_not_allowed");
    assert_eq!(applications(&stack).len(), 0);
    let applied = apply(&stack, &stack.merchant, "card-00001", card()).await;
    assert_eq!(applied.expect(202)["status"], "ABNORMAL");
    let again = apply(&stack, &stack.merchant, "card-00001", card()).await;
    again.expect(200);
    let sent = applications(&stack);
    assert_eq!(sent.len(), 1);
    assert!(
        !sent[0].contains(ACCOUNT) && !sent[0].contains(NAME),
        "{sent:?}"
    );
    let table = json!(stack.items()).to_string();
    assert!(!table.contains(ACCOUNT) && !table.contains(NAME));
    // The notification is lost: the sweep finds out.
    stack.fault("notice_lost_for_good", json!({})).await;
    stack
        .control("refunds/card-00001-r/complete", json!({}))
        .await;
    stack.advance(25 * 60 * 60).await;
    let recorded = || stack.item("ORDER#card-00001", "REFUND#card-00001-r")["status"]["S"].clone();
    assert_eq!(recorded(), "ABNORMAL");
    stack.sweep().await;
    assert_eq!(recorded(), "SUCCESS");
    let late = apply(&stack, &stack.merchant, "card-00001", card()).await;
    let late = late.refused(409, "refund_not_abnormal");
    assert_eq!(late["refund_status"], "SUCCESS");
}

#[tokio::test]
async fn only_an_abnormal_refund_is_applied_for() {
    let stack = patient().await;
    refunded(&stack, "fine-00001").await;
    let own = json!({"type": "MERCHANT_BANK_CARD"});
    let early = apply(&stack, &stack.merchant, "fine-00001", own.clone()).await;
    let early = early.refused(409, "refund_not_abnormal");
    assert_eq!(early["refund_status"], "PROCESSING");
    assert_eq!(applications(&stack).len(), 0);
    abnormal(&stack, "fine-00002").await;
    apply(&stack, &stack.merchant, "fine-00002", own)
        .await
        .expect(202);
    let sent = applications(&stack);
    let body: Value = serde_json::from_str(&sent[0]).unwrap();
    assert_eq!(
        body,
        json!({"out_refund_no": "fine-00002-r", "type": "MERCHANT_BANK_CARD"})
    );
}

#[tokio::test]
async fn an_abnormal_refund_that_was_withdrawn_is_applied_for_though_its_number_is_burnt() {
    let stack = patient().await;
    stack.paid("burnt-0001", 500).await;
    let lost = json!({"operation": "refund"});
    stack.fault("response_lost", lost).await;
    let refund = stack.refund("burnt-0001", "burnt-0001-r", 500).await;
    assert_eq!(refund.expect(202)["status"], "RESERVED");
    let withdraw = "/orders/burnt-0001/refunds/burnt-0001-r/withdraw";
    let withdrawn = stack.post(&stack.merchant, withdraw, json!({})).await;
    assert_eq!(withdrawn.expect(202)["status"], "WITHDRAWING");
    stack.no_faults().await;
    let end = "refunds/burnt-0001-r/abnormal";
    stack.control(end, json!({})).await;
    stack
        .until_refund("burnt-0001", "burnt-0001-r", "ABNORMAL")
        .await;
    let guard = stack.item("REFUNDNO#burnt-0001-r", "REFUNDNO");
    assert!(guard["withdrawn_at"]["N"].is_string(), "{guard}");
    let applied = apply(&stack, &stack.merchant, "burnt-0001", card()).await;
    applied.expect(202);
    assert_eq!(applications(&stack).len(), 1);
}

#[tokio::test]
async fn an_application_without_an_answer_is_asked_about_and_made_once() {
    let stack = patient().await;
    abnormal(&stack, "lost-00001").await;
    let only = json!({"operation": "abnormal_refund"});
    stack.fault("response_lost", only.clone()).await;
    let lost = apply(&stack, &stack.merchant, "lost-00001", card()).await;
    // It arrived, or another did: without its answer nobody knows which.
    lost.expect(200);
    stack.no_faults().await;
    let again = apply(&stack, &stack.merchant, "lost-00001", card()).await;
    again.expect(200);
    assert_eq!(applications(&stack).len(), 1);
    // What never arrived is said so, and the same application again is made.
    abnormal(&stack, "lost-00002").await;
    stack.fault("request_lost", only).await;
    let lost = apply(&stack, &stack.merchant, "lost-00002", card()).await;
    lost.refused(503, "wechatpay_unavailable");
    stack.no_faults().await;
    let again = apply(&stack, &stack.merchant, "lost-00002", card()).await;
    again.expect(202);
}

#[tokio::test]
async fn of_two_cards_at_once_one_is_taken_and_the_other_is_not_said_to_be() {
    let stack = patient().await;
    abnormal(&stack, "both-00001").await;
    let own = json!({"type": "MERCHANT_BANK_CARD"});
    // Both are told that the refund is abnormal before either application arrives.
    let slow = json!({"operation": "query_refund", "count": 2});
    stack.fault("slow", slow).await;
    let (first, second) = tokio::join!(
        apply(&stack, &stack.merchant, "both-00001", card()),
        apply(&stack, &stack.merchant, "both-00001", own),
    );
    let mut answered = [first.status, second.status];
    answered.sort_unstable();
    assert_eq!(answered, [200, 202], "{first:?} {second:?}");
    let taken = |row: &&Value| row["operation"] == "abnormal_refund" && row["status"] == 200;
    let requests = stack.seen("requests").await;
    let sent = |row: &&Value| row["operation"] == "abnormal_refund";
    // The second is not even sent where it hears in time that the first was taken.
    let sent = requests.iter().filter(sent).count();
    assert!((1..=2).contains(&sent), "{requests:?}");
    assert_eq!(requests.iter().filter(taken).count(), 1, "{requests:?}");
}

#[tokio::test]
async fn what_wechat_pay_refuses_of_an_application_is_the_callers_to_mend() {
    let stack = patient().await;
    abnormal(&stack, "wrong-00001").await;
    let operation = json!({"operation": "abnormal_refund"});
    for (fault, status, code) in [
        ("server_error", 503, "wechatpay_unavailable"),
        ("rate_limited", 503, "wechatpay_unavailable"),
    ] {
        stack.fault(fault, operation.clone()).await;
        let refused = apply(&stack, &stack.merchant, "wrong-00001", card()).await;
        refused.refused(status, code);
        stack.no_faults().await;
    }
    // Encrypted under a key that WeChat Pay does not have.
    let old = stack.secret("WechatpaySecret");
    let unknown = old["public_key_id"].as_str().unwrap();
    let last = if unknown.ends_with('0') { '1' } else { '0' };
    let unknown = format!("{}{last}", &unknown[..unknown.len() - 1]);
    let other = json!({
        "public_key_id": unknown,
        "public_key": include_str!("../vectors/wechatpay/keys/merchant_public.pem"),
        "also_accepted": [old],
    });
    stack.put_secret("WechatpaySecret", &other.to_string());
    stack.advance(20 * 60).await;
    let refused = apply(&stack, &stack.merchant, "wrong-00001", card()).await;
    refused.refused(422, "terms_refused");
    stack.put_secret("WechatpaySecret", &old.to_string());
    stack.advance(20 * 60).await;
    let mended = apply(&stack, &stack.merchant, "wrong-00001", card()).await;
    mended.expect(202);
}
