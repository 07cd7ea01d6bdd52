//! The webhook under attack: a catalogue of forged, damaged, repeated and contradictory notices.
//!
//! A case is one line: its number in the catalogue (docs/wechatpay.md, "Notices"), the status that it
//! has to be answered with, and what it changes about a notice that would be believed. Whatever is
//! refused leaves every order and refund as it was; before the signature holds not one call is made
//! to the table or the secrets; after it holds, evidence is kept. Answers are constant.

mod attack;
mod catalogue;
mod refunds;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use local::aws::{AwsCall, Fault};
use serde_json::{Value, json};

use self::attack::{
    Door, FUNCTION, all_refused, calls, cases, constant, good, hand_over, send, target,
};
use self::catalogue::{
    ACCEPTED, CONTENTS, ENVELOPES, HEADERS, REFUNDS, SEALS, SIGNATURES, TRANSPORT,
};
use crate::harness::{TestStack, payment_content, watch};

/// The catalogue's numbers of all cases in the tables.
pub(super) fn cases_played() -> BTreeSet<&'static str> {
    let tables = [
        HEADERS, TRANSPORT, SIGNATURES, ENVELOPES, SEALS, CONTENTS, ACCEPTED, REFUNDS,
    ];
    let cases = tables.iter().flat_map(|cases| cases.iter());
    cases.map(|(number, ..)| *number).collect()
}

#[tokio::test]
async fn nothing_without_a_signature_that_holds_reaches_the_table() {
    let (stack, content) = target().await;
    for cases in [HEADERS, TRANSPORT, SIGNATURES] {
        all_refused(&stack, "TRANSACTION.SUCCESS", &content, cases).await;
    }
    // N-44: a bit flipped anywhere in the body.
    let length = good(&stack, "N-44", 0, &content).body().len();
    let books = stack.books();
    let asked = calls(&stack).len();
    for place in (0..length).step_by(7) {
        let flipped = good(&stack, "N-44", place, &content).damaged(|mut body| {
            body[place] ^= 1;
            body
        });
        assert_eq!(send(&stack, flipped).await.unwrap().status, 401, "{place}");
    }
    assert_eq!(calls(&stack).len(), asked, "N-44 reached the table");
    assert_eq!(stack.books(), books);
    // Among all that, the real one is still believed.
    let real = good(&stack, "N-00", 0, &content).as_it_is();
    assert_eq!(send(&stack, real).await.unwrap().status, 204);
    assert_eq!(
        stack.order_item("target-001")["trade_state"]["S"],
        "SUCCESS"
    );
}

#[tokio::test]
async fn a_signed_notice_that_cannot_be_read_or_believed_changes_no_order() {
    let (stack, content) = target().await;
    for cases in [ENVELOPES, SEALS, CONTENTS] {
        all_refused(&stack, "TRANSACTION.SUCCESS", &content, cases).await;
    }
    // What contradicts the record is for a person: an alarm's metric, at the level of errors.
    let lines = stack.log_lines();
    let mismatches: Vec<&Value> = lines
        .iter()
        .filter(|line| line["money_mismatch"] == 1)
        .collect();
    let contradictions = CONTENTS.iter().filter(|(_, status, _)| *status == 409);
    // Each case is told at both doors.
    assert_eq!(mismatches.len(), 2 * contradictions.count());
    assert!(mismatches.iter().all(|line| line["level"] == "ERROR"));
    assert!(
        mismatches
            .iter()
            .all(|line| line["contradiction"].is_string())
    );
    let unopened = lines
        .iter()
        .filter(|line| line["apiv3_key_mismatch"] == 1)
        .count();
    assert!(unopened >= 2 * SEALS.len(), "{unopened}");
    // So is what was taken and is not understood: WeChat Pay will not say it again.
    let parked = CONTENTS.iter().filter(|(id, ..)| is_unknown_state(id));
    assert_eq!(told_of_unknown_states(&stack), 2 * parked.count());
}

fn is_unknown_state(id: &str) -> bool {
    matches!(id, "N-85" | "N-86")
}

/// How many lines called a person for a state without meaning, naming the order.
fn told_of_unknown_states(stack: &TestStack) -> usize {
    let lines = stack.log_lines();
    let unknown = lines
        .iter()
        .filter(|line| line["notice"] == "unknown state");
    unknown
        .inspect(|line| {
            assert_eq!(line["needs_human"], 1, "{line}");
            assert_eq!(line["level"], "ERROR", "{line}");
            assert!(line["order.out_trade_no"].is_string(), "{line}");
            assert!(line["notice.state"].is_string(), "{line}");
        })
        .count()
}

#[tokio::test]
async fn what_is_odd_about_a_genuine_notice_does_not_lose_a_payment() {
    let (stack, _) = target().await;
    for (place, (id, status, make)) in ACCEPTED.iter().enumerate() {
        // Once for each door: over HTTP, and in process.
        for (at, door) in [Door::Http, Door::Process].into_iter().enumerate() {
            let number = format!("odd-{place:06}-{at}");
            stack.native(&number, 100).await;
            let mut content = payment_content(&stack, &number, 100);
            content["transaction_id"] = json!(format!("4200000925202101284997{place:05}{at}"));
            let sent = make(&good(&stack, id, place, &content));
            let answer = match door {
                Door::Http => send(&stack, sent).await,
                Door::Process => hand_over(&stack, sent).await,
            };
            let answer = answer.unwrap();
            let shown = format!("{id} ({place}), {door:?}: {}", answer.body);
            assert_eq!(answer.status, *status, "{shown}");
            let item = stack.order_item(&number);
            assert_eq!(watch::text(&item, "trade_state"), "SUCCESS", "{shown}");
            assert_eq!(watch::number(&item, "refundable"), 100, "{shown}");
            assert!(item.get("attach").is_none(), "{shown}: {item}");
        }
    }
    assert_eq!(stack.evidence().len(), 0);
}

#[tokio::test]
async fn only_the_webhooks_own_address_and_method_reach_it() {
    let (stack, content) = target().await;
    let books = stack.books();
    let asked = calls(&stack).len();
    let headers: Vec<(String, String)> = {
        let body = good(&stack, "N-26", 0, &content).body();
        stack.signature_headers(&body, stack.now())
    };
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = good(&stack, "N-26", 0, &content).body();
    use reqwest::Method;
    for (method, path) in [
        (Method::GET, "/wechatpay/notify"),
        (Method::PUT, "/wechatpay/notify"),
        (Method::HEAD, "/wechatpay/notify"),
        (Method::OPTIONS, "/wechatpay/notify"),
        (Method::DELETE, "/wechatpay/notify"),
        (Method::POST, "/wechatpay/notify/"),
        (Method::POST, "//wechatpay/notify"),
        (Method::POST, "/wechatpay//notify"),
        (Method::POST, "/wechatpay/./notify/x"),
        (Method::POST, "/WECHATPAY/NOTIFY"),
        (Method::POST, "/wechatpay/notify?a=1"),
        (Method::POST, "/wechatpay/notify?out_trade_no=target-001"),
    ] {
        let answer = stack
            .send_bytes(method.clone(), path, None, &headers, Some(body.clone()))
            .await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    let large = stack.raw_notice(&[], vec![b'x'; (10 << 20) + 1]).await;
    assert_eq!(large.status, 413, "N-33: the gateway's own bound");
    assert_eq!(stack.books(), books);
    assert_eq!(calls(&stack).len(), asked);
}

#[tokio::test]
async fn a_storm_of_one_notice_is_one_payment() {
    let (stack, content) = target().await;
    let notice = |id: &str| {
        let mut envelope = good(&stack, id, 0, &content).envelope();
        envelope["id"] = json!(id);
        envelope.to_string().into_bytes()
    };
    // Twice at once is the normal case: two of WeChat Pay's servers each send one.
    let both = join_all([
        stack.signed_notice(notice("one")),
        stack.signed_notice(notice("one")),
    ]);
    assert!(both.await.iter().all(|answer| answer.status == 204));
    let settled = stack.books();
    let version = stack.order_item("target-001")["version"]["N"].clone();
    assert_eq!(version, "2", "placed and paid");
    let before = calls(&stack).len();
    for lane in 0..12 {
        // The same again, and the same fact under other ids: an id never decides what is new.
        let id = format!("other-{lane}");
        let storm =
            (0..25).map(|_| stack.signed_notice(notice(if lane % 2 == 0 { "one" } else { &id })));
        for answer in join_all(storm).await {
            assert_eq!((answer.status, answer.body), (204, Value::Null));
        }
    }
    assert_eq!(stack.books(), settled);
    let written: Vec<String> = calls(&stack)
        .split_off(before)
        .into_iter()
        .map(|call| call.operation)
        .filter(|operation| operation != "GetItem")
        .collect();
    assert!(
        written.is_empty(),
        "a repeat is read, not written: {written:?}"
    );
    assert_eq!(stack.evidence().len(), 0);
}

#[tokio::test]
async fn a_second_payment_of_one_order_is_for_a_person() {
    let (stack, content) = target().await;
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    // N-96: another transaction for the same order.
    all_refused(
        &stack,
        "TRANSACTION.SUCCESS",
        &content,
        cases! { "N-96" 409 saying("transaction_id", json!("4200000925202101284997799999")); },
    )
    .await;
    // N-87: a payment that is known under another order is found by the nightly bill, not here.
    let item = stack.order_item("target-001");
    assert_eq!(
        watch::text(&item, "transaction_id"),
        "4200000925202101284997714293"
    );
}

#[tokio::test]
async fn evidence_keeps_what_was_sealed_sealed() {
    let (stack, content) = target().await;
    let mut unknown = content.clone();
    unknown["out_trade_no"] = json!("nobody-0001");
    let first = stack.notice("TRANSACTION.SUCCESS", &unknown).await;
    assert_eq!((first.status, &first.body), (404, &constant(404)));
    let kept = stack.evidence();
    assert_eq!(kept.len(), 1);
    let evidence = &kept[0];
    assert_eq!(watch::text(evidence, "out_trade_no"), "nobody-0001");
    assert!(watch::text(evidence, "envelope").contains("ciphertext"));
    assert!(!evidence.to_string().contains("CANARY"), "{evidence}");
    let days =
        (watch::number(evidence, "expires_at") - watch::number(evidence, "received_at")) / 86_400;
    assert_eq!(days, 45);
    // WeChat Pay comes back with it for a day; one copy is kept.
    stack.notice("TRANSACTION.SUCCESS", &unknown).await;
    assert_eq!(stack.evidence(), kept);
    // What arrives before its order does (a table restored from yesterday) is accepted once it is there.
    stack.native("nobody-0001", 100).await;
    let retried = stack.notice("TRANSACTION.SUCCESS", &unknown).await;
    assert_eq!(retried.status, 204);
    assert_eq!(
        stack.order_item("nobody-0001")["trade_state"]["S"],
        "SUCCESS"
    );
}

#[tokio::test]
async fn notices_sealed_with_a_key_on_its_way_out_are_still_opened() {
    let stack = TestStack::start().await;
    stack.native("rotate-001", 100).await;
    let old = stack.apiv3_key();
    let rotated = json!({"apiv3_key": "0123456789abcdef0123456789ABCDEF", "also_accepted": [old]});
    stack.put_secret("Apiv3Secret", &rotated.to_string());
    let content = payment_content(&stack, "rotate-001", 100);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    assert_eq!(
        stack.order_item("rotate-001")["trade_state"]["S"],
        "SUCCESS"
    );
    // Which key opened it is told: when no line says so any more, the old one may go.
    let lines = stack.log_lines();
    let told = lines.iter().find(|line| line["settled"] == "changed");
    assert_eq!(told.unwrap()["notice.key"], "other");
}

/// A 2xx is a promise: without the write it stands for, there is none.
#[tokio::test]
async fn no_notice_is_acknowledged_before_its_effect_is_in_the_table() {
    let (stack, content) = target().await;
    let failing = |operation: &'static str, fault: Fault| {
        stack
            .watch
            .set_fault(Some(std::sync::Arc::new(move |call: &AwsCall| {
                (call.caller == FUNCTION && call.operation == operation).then_some(fault)
            })));
    };
    let books = stack.books();
    for (operation, fault) in [
        ("UpdateItem", Fault::Fail),
        ("UpdateItem", Fault::Throttle),
        ("GetItem", Fault::Fail),
        ("GetItem", Fault::Throttle),
    ] {
        failing(operation, fault);
        let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
        assert_eq!(
            (answer.status, answer.body),
            (503, constant(503)),
            "{operation} {fault:?}"
        );
        assert_eq!(stack.books(), books);
    }
    // What would be refused or set aside is not answered so either while the evidence is not kept.
    failing("PutItem", Fault::Fail);
    for (event_type, content) in [
        ("COUPON.USE", content.clone()),
        (
            "TRANSACTION.SUCCESS",
            payment_content(&stack, "nobody-0001", 100),
        ),
        (
            "TRANSACTION.SUCCESS",
            payment_content(&stack, "target-001", 101),
        ),
        ("TRANSACTION.SUCCESS", json!([])),
    ] {
        let answer = stack.notice(event_type, &content).await;
        assert_eq!(
            (answer.status, answer.body),
            (503, constant(503)),
            "{event_type}"
        );
    }
    assert_eq!(stack.evidence().len(), 0);
    // Written, and then the connection broke: whatever was answered, it is one payment.
    failing("UpdateItem", Fault::LoseAnswer);
    let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert!(matches!(answer.status, 204 | 503), "{answer:?}");
    stack.watch.set_fault(None);
    assert_eq!(
        stack.notice("TRANSACTION.SUCCESS", &content).await.status,
        204
    );
    let item = stack.order_item("target-001");
    assert_eq!(
        (
            watch::text(&item, "trade_state"),
            watch::number(&item, "version")
        ),
        ("SUCCESS", 2)
    );
}

#[tokio::test]
async fn without_its_keys_the_webhook_asks_wechat_pay_to_come_back() {
    let stack = TestStack::start().await;
    stack.native("cold-00001", 100).await;
    let content = payment_content(&stack, "cold-00001", 100);
    stack
        .watch
        .set_fault(Some(std::sync::Arc::new(|call: &AwsCall| {
            (call.operation == "GetSecretValue" && call.caller == FUNCTION).then_some(Fault::Fail)
        })));
    let cold = stack.notice("TRANSACTION.SUCCESS", &content).await;
    assert_eq!((cold.status, cold.body), (503, constant(503)));
    stack.watch.set_fault(None);
    let believed = async || {
        let answer = stack.notice("TRANSACTION.SUCCESS", &content).await;
        Value::from(answer.status)
    };
    stack.until(believed, |status| *status == 204).await;
}
