//! Least privilege, at run time: what the functions do is what the template lets them do.

use std::collections::BTreeSet;

use local::template::Permission;
use serde_json::json;

use crate::harness::forge::refund_content;
use crate::harness::{ALICE, TestStack};

/// Everything each function has a right for, done once.
async fn everything(stack: &TestStack) {
    let alice = stack.login(ALICE).await;
    let order = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 1}]});
    let placed = stack
        .post_once(&alice, "/orders", "key-0000000000001", order.clone())
        .await
        .expect(201);
    let number = placed["out_trade_no"].as_str().unwrap().to_owned();
    // What was ordered before can be had again after it went off sale: the record is read.
    let sold_out = json!({"trade_type": "native", "items": [{"sku": "gone", "quantity": 1}]});
    stack
        .post_once(&alice, "/orders", "key-0000000000001", sold_out)
        .await
        .refused(409, "terms_differ");
    stack.pay(&number).await;
    stack.until_state(&number, "SUCCESS").await;
    stack.get(&alice, "/orders").await.expect(200);
    let unhandled = stack.notice("COUPON.USE", &json!({})).await;
    assert_eq!(unhandled.status, 204);
    let refunds = format!("/orders/{number}/refunds");
    let asked = json!({"amount": {"refund": 100}});
    stack
        .post_once(&alice, &refunds, "key-0000000000002", asked)
        .await
        .expect(202);
    stack.refund(&number, "access-r1", 100).await.expect(202);
    // Within a minute of the other, so that the sweep sends it.
    let later = stack.refund(&number, "access-r2", 100).await.expect(202);
    assert_eq!(later["status"], "RESERVED");
    let order = stack.order(&number).await;
    let unknown = refund_content(stack, &order, "access-r3", 100, "SUCCESS");
    let unknown = stack.notice("REFUND.SUCCESS", &unknown).await;
    assert_eq!(unknown.status, 404);
    stack.native("access-0001", 100).await;
    stack
        .post(&stack.merchant, "/orders/access-0001/close", json!({}))
        .await
        .expect(200);
    stack.native("access-0002", 100).await;
    stack.advance(40 * 60).await;
    stack.sweep().await;
}

#[tokio::test]
async fn the_template_allows_exactly_what_the_functions_do() {
    let stack = TestStack::start().await;
    everything(&stack).await;
    let used = stack.stack.aws.used();
    let mut allowed = BTreeSet::new();
    for (id, function) in &stack.stack.template.functions {
        for permission in &function.allowed {
            // What the emulator has no counterpart for: keys and logs.
            let emulated = ["dynamodb:", "secretsmanager:"];
            if emulated
                .iter()
                .any(|service| permission.action.starts_with(service))
            {
                allowed.insert((id.clone(), permission.clone()));
            }
        }
    }
    let unused: Vec<&(String, Permission)> = allowed.difference(&used).collect();
    let missing: Vec<&(String, Permission)> = used.difference(&allowed).collect();
    assert!(unused.is_empty(), "allowed and never used: {unused:#?}");
    assert!(missing.is_empty(), "used and not allowed: {missing:#?}");
}

#[tokio::test]
async fn a_permission_that_is_missing_is_refused_here_as_it_would_be_there() {
    let stack = TestStack::start().await;
    let client = shared::platform::Platform::system().unwrap().http;
    let ask = |function: &str, secret: &str| {
        client
            .post(&stack.stack.aws.url)
            .header("x-amz-target", "secretsmanager.GetSecretValue")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential=LOCAL{function}/20260101/local/x"),
            )
            .body(json!({"SecretId": local::template::arn(secret)}).to_string())
            .send()
    };
    let own = ask("NotifyCallbackFunction", "Apiv3Secret").await.unwrap();
    assert_eq!(own.status(), 200);
    for (function, secret) in [
        ("NotifyCallbackFunction", "SigningSecret"),
        ("QueryFunction", "Apiv3Secret"),
        ("LoginFunction", "SigningSecret"),
        ("nobody", "AppSecret"),
    ] {
        let denied = ask(function, secret).await.unwrap();
        assert_eq!(denied.status(), 400, "{function} read {secret}");
        assert!(
            denied
                .text()
                .await
                .unwrap()
                .contains("AccessDeniedException")
        );
    }
}

/// What a call is about, where it is about an order, a refund or a refund's number.
fn is_of_the_books(keys: &serde_json::Value) -> bool {
    let text = keys.to_string();
    text.contains("ORDER#") || text.contains("REFUNDNO#")
}

/// The emulator answers every read with the newest, whatever was asked for; DynamoDB would not.
#[tokio::test]
async fn every_decision_is_read_consistently_and_every_write_has_its_condition() {
    let stack = TestStack::start().await;
    everything(&stack).await;
    let mut seen = BTreeSet::new();
    for call in stack.watch.calls() {
        let (operation, request) = (call.operation.as_str(), &call.request);
        let consistent = &request["ConsistentRead"];
        let condition = |write: &serde_json::Value| write["ConditionExpression"].is_string();
        let holds = match operation {
            "GetItem" => *consistent == true,
            // An index has no consistent reads: what it suggests is claimed by a condition.
            "Query" if request["IndexName"].is_string() => true,
            "Query" => *consistent == true,
            "BatchGetItem" => request["RequestItems"]
                .as_object()
                .unwrap()
                .values()
                .all(|keys| keys["ConsistentRead"] == true || !is_of_the_books(&keys["Keys"])),
            "PutItem" | "UpdateItem" => condition(request),
            "TransactWriteItems" => request["TransactItems"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|item| item.as_object().unwrap().values())
                .all(condition),
            "GetSecretValue" => true,
            // Nothing is ever deleted, and nothing is scanned.
            _ => false,
        };
        assert!(holds, "{} sent {operation} {request}", call.caller);
        seen.insert(operation.to_owned());
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}
