//! WeChat Pay's platform certificates: who is believed first, and who after that; when they are
//! downloaded; and that none counts a second longer than it is valid.

use serde_json::{Value, json};
use simulator::Mode;

use crate::harness::{TestStack, native_order};

const YEAR: i64 = 365 * 24 * 60 * 60;

async fn with_certificates() -> TestStack {
    TestStack::with(|options| options.mode = Mode::Certificate).await
}

/// The certificates as they lie in the table.
fn kept(stack: &TestStack) -> Value {
    stack.item("KEYS#wechatpay", "CERTIFICATES")
}

/// When they were downloaded, in seconds.
fn downloaded_at(stack: &TestStack) -> i64 {
    let at = kept(stack)["downloaded_at"]["N"].clone();
    at.as_str().unwrap().parse().unwrap()
}

async fn merchant(stack: &TestStack, rest: &str, body: Value) -> Value {
    let mchid = &stack.stack.simulator.merchant().mchid;
    stack
        .control(&format!("merchants/{mchid}{rest}"), body)
        .await
}

fn counted(stack: &TestStack) -> bool {
    let lines = stack.log_lines();
    lines.iter().any(|line| line["certificates_stale"] == 1)
}

async fn place(stack: &TestStack, number: &str) -> u16 {
    let order = native_order(number, 100);
    stack.post(&stack.merchant, "/orders", order).await.status
}

#[tokio::test]
async fn they_lie_sealed_in_the_table_and_are_downloaded_again_for_a_reason() {
    let stack = with_certificates().await;
    let answer = kept(&stack)["answer"]["S"].as_str().unwrap().to_owned();
    // Byte for byte as it came, and so nothing of a certificate but its seal.
    let (_, answers) = stack.wire.reader()();
    assert!(answers.iter().any(|came| came.contains(&answer)));
    let listed: Value = serde_json::from_str(&answer).unwrap();
    assert!(listed["data"][0]["encrypt_certificate"]["ciphertext"].is_string());
    assert!(!answer.contains("BEGIN"), "{answer}");
    stack.paid("certificate-1", 100).await;

    // Within the hour there is no reason for another download.
    let first = downloaded_at(&stack);
    stack.advance(3_000).await;
    stack.sweep().await;
    assert_eq!(downloaded_at(&stack), first);
    stack.advance(700).await;
    stack.sweep().await;
    let hourly = downloaded_at(&stack);
    assert!(hourly > first);

    // An answer that is signed with a certificate of which nobody knew yet.
    assert_eq!(place(&stack, "certificate-2").await, 201);
    merchant(&stack, "/rotate", json!({"what": "platform_certificate"})).await;
    merchant(&stack, "", json!({"new_certificate_share": 1.0})).await;
    stack.advance(400).await;
    stack.sweep().await;
    assert_eq!(downloaded_at(&stack), hourly, "nobody known vouches for it");
    merchant(&stack, "", json!({"new_certificate_share": 0.0})).await;
    stack.advance(400).await;
    stack.sweep().await;
    let known = downloaded_at(&stack);
    assert!(known > hourly);
    merchant(&stack, "", json!({"new_certificate_share": 1.0})).await;
    stack.advance(16 * 60).await;
    stack.paid("certificate-3", 100).await;

    // What needs an APIv3 key that is about to go is sealed anew, under the one that stays.
    stack.advance(3_600).await;
    stack.sweep().await;
    let before = downloaded_at(&stack);
    let old = stack.secret("Apiv3Secret")["apiv3_key"].clone();
    let new = "ROTATEDunderCertificates00000001";
    stack.watch.hide(new);
    merchant(&stack, "", json!({"apiv3_key": new})).await;
    let both = json!({"apiv3_key": new, "also_accepted": [old]});
    stack.put_secret("Apiv3Secret", &both.to_string());
    stack.advance(20 * 60).await;
    stack.sweep().await;
    assert!(downloaded_at(&stack) > before);
    stack.put_secret("Apiv3Secret", &json!({"apiv3_key": new}).to_string());
    stack.advance(20 * 60).await;
    stack.paid("certificate-4", 100).await;
    assert!(!counted(&stack), "{:#?}", stack.logged());
}

#[tokio::test]
async fn once_a_certificate_is_held_no_other_is_believed_but_by_its_word() {
    let stack = with_certificates().await;
    let first = kept(&stack);
    // Another certificate from one moment to the next, as no merchant sees it who was not deceived.
    merchant(&stack, "/rotate", json!({"what": "platform_certificate"})).await;
    merchant(&stack, "", json!({"new_certificate_share": 1.0})).await;
    merchant(
        &stack,
        "/rotate",
        json!({"what": "platform_certificate_end"}),
    )
    .await;
    for _ in 0..13 {
        stack.advance(3_601).await;
        stack.sweep().await;
    }
    assert_eq!(kept(&stack), first);
    assert_eq!(place(&stack, "deceived-1").await, 503);
    // After twelve hours without a download that is believed somebody is called.
    assert!(counted(&stack));

    // Who has found out that it is right takes the old ones away, and the next is the first again.
    let table = local::template::physical("Table");
    let key = json!({"pk": first["pk"], "sk": first["sk"]});
    let request = json!({"TableName": table, "Key": key});
    let request = serde_json::from_value(request).unwrap();
    stack.stack.aws.table.delete_item(request).unwrap();
    stack.sweep().await;
    assert_ne!(kept(&stack)["answer"], first["answer"]);
    stack.advance(16 * 60).await;
    stack.paid("deceived-2", 100).await;
}

#[tokio::test]
async fn an_expired_certificate_verifies_nothing() {
    let stack = with_certificates().await;
    stack.advance(5 * YEAR - 3 * 86_400).await;
    // The merchant's own lasts as long, and somebody has seen to it.
    let made = merchant(&stack, "/certificates", json!({})).await;
    let mut signing = stack.secret("SigningSecret");
    signing["serial_no"] = made["serial_no"].clone();
    signing["private_key"] = made["apiclient_key"].clone();
    stack.put_secret("SigningSecret", &signing.to_string());
    stack.advance(20 * 60).await;
    stack.sweep().await;
    assert_eq!(place(&stack, "expired-2").await, 201);
    assert!(counted(&stack), "three days before, somebody is told");
    stack.advance(4 * 86_400).await;
    stack.sweep().await;
    assert_eq!(place(&stack, "expired-3").await, 503);
    let lines = stack.log_lines();
    let told = lines.iter().any(|line| {
        let problems = line["problems"].to_string();
        problems.contains("the platform certificates have all expired")
    });
    assert!(told, "{:#?}", stack.logged());
}
