//! Least privilege, at run time: what the functions do is what the template lets them do.

use std::collections::BTreeSet;

use local::aws::AwsCall;
use local::condition::{Condition, LEADING_KEYS, like};
use local::template::{Grant, Permission};
use serde_json::{Value, json};
use simulator::Mode;

use crate::harness::forge::refund_content;
use crate::harness::{ALICE, TestStack};

/// A stack on which a payer may have one unpaid order, so that [`everything`] comes to the bound.
async fn stack_with_one_open_order(mode: Mode) -> TestStack {
    TestStack::with(|options| {
        options.mode = mode;
        let bound = ("MaxOpenOrdersPerPayer".to_owned(), "1".to_owned());
        options.parameters.extend([bound]);
    })
    .await
}

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
    // With as many unpaid orders as a payer may have, the orders themselves are read.
    let another = json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 2}]});
    stack
        .post_once(&alice, "/orders", "key-0000000000003", another)
        .await
        .refused(429, "too_many_open_orders");
    stack.pay(&number).await;
    stack.until_state(&number, "SUCCESS").await;
    stack.get(&alice, "/orders").await.expect(200);
    let day = format!("/orders?date={}", stack.today());
    stack.get(&stack.merchant, &day).await.expect(200);
    stack.get("", "/articles").await.expect(200);
    let waiting = "/refunds?status=REQUESTED";
    stack.get(&stack.merchant, waiting).await.expect(200);
    let unhandled = stack.notice("COUPON.USE", &json!({})).await;
    assert_eq!(unhandled.status, 204);
    let refunds = format!("/orders/{number}/refunds");
    stack
        .asked_back(&alice, &number, "key-0000000000002", 100)
        .await;
    stack.refund(&number, "access-r1", 100).await.expect(202);
    // Within a minute of the other, so that the sweep sends it.
    let later = stack.refund(&number, "access-r2", 100).await.expect(202);
    assert_eq!(later["status"], "RESERVED");
    let retry = format!("{refunds}/access-r2/retry");
    stack
        .post(&stack.merchant, &retry, json!({}))
        .await
        .expect(202);
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
    // At a full ten minutes the sweep also looks how long requests wait.
    let now = stack.stack.clock().business().unix_seconds();
    stack.advance(50 * 60 - now % 600).await;
    stack.sweep().await;
    // A refund that WeChat Pay never hears of is withdrawn, and the sweep burns its number.
    stack
        .fault("request_lost", json!({"operation": "refund"}))
        .await;
    stack.refund(&number, "access-r4", 50).await.expect(202);
    stack.no_faults().await;
    let withdraw = format!("{refunds}/access-r4/withdraw");
    stack
        .post(&stack.merchant, &withdraw, json!({}))
        .await
        .expect(202);
    for _ in 0..2 {
        stack.advance(6 * 60).await;
        stack.sweep().await;
    }
    // A day whose bill has a payment that nobody told of.
    stack.new_day().await;
    stack.fault("notice_lost", json!({})).await;
    stack.native("access-0003", 100).await;
    stack.pay("access-0003").await;
    stack.next_morning().await;
    let reconciled = stack.stack.run_scheduled("ReconcileFunction").await;
    assert_eq!(reconciled.unwrap()["status"], "done");
    // What others hear of, a refund's event among it, which is told with its order.
    let publisher = "PublishEventsFunction";
    let records = stack.stack.aws.stream(publisher, None, 1_000).unwrap();
    let event = json!({"Records": records});
    let told = stack.stack.invoke(publisher, event).await.unwrap();
    assert_eq!(told, json!({"batchItemFailures": []}));
    // And what they hear again.
    let now = stack.stack.clock().business();
    let moment = |seconds| shared::rfc3339::format(now.plus_seconds(seconds));
    let span = json!({"from": moment(-86_400), "to": moment(60), "placed_from": moment(-86_400)});
    stack.stack.invoke(publisher, span).await.unwrap();
}

#[tokio::test]
async fn the_template_allows_exactly_what_the_functions_do() {
    allowed_is_used(Mode::PublicKey).await;
}

#[tokio::test]
async fn the_template_allows_exactly_what_the_functions_do_with_certificates() {
    allowed_is_used(Mode::Both).await;
}

async fn allowed_is_used(mode: Mode) {
    let stack = stack_with_one_open_order(mode).await;
    everything(&stack).await;
    let used = stack.stack.aws.used();
    let mut allowed = BTreeSet::new();
    for (id, function) in &stack.stack.template.functions {
        for Grant { permission, .. } in &function.allowed {
            // What the emulator has no counterpart for: keys, logs, and the bucket that Lambda itself
            // writes to with the function's role.
            let emulated = ["dynamodb:", "events:", "s3:", "secretsmanager:"];
            let is_lambdas = permission.resource.contains("FailedRecords");
            if !is_lambdas
                && emulated
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
    let unused = unused_keys(&stack, &stack.watch.calls());
    assert!(
        unused.is_empty(),
        "keys allowed and never used: {unused:#?}"
    );
}

/// The patterns of partition keys that a role is allowed and that none of these calls used.
fn unused_keys(stack: &TestStack, calls: &[AwsCall]) -> Vec<(String, Permission, String)> {
    let mut unused = Vec::new();
    for (id, function) in &stack.stack.template.functions {
        let needs = calls
            .iter()
            .filter(|call| call.caller == *id)
            .flat_map(|call| &call.needs);
        let needs: Vec<_> = needs.collect();
        for grant in &function.allowed {
            let of_keys = |condition: &&Condition| condition.key() == LEADING_KEYS;
            for pattern in grant
                .conditions
                .iter()
                .filter(of_keys)
                .flat_map(Condition::values)
            {
                let used = needs.iter().any(|need| {
                    need.permission == grant.permission
                        && need.leading_keys().any(|key| like(pattern, key))
                });
                if !used {
                    unused.push((id.clone(), grant.permission.clone(), pattern.clone()));
                }
            }
        }
    }
    unused
}

/// The template with one more statement of the login function's, which has no business at the table.
fn with_statement(statement: &str) -> String {
    let template = include_str!("../../template.yaml");
    let after =
        "              Action: kms:Decrypt\n              Resource: !GetAtt SecretsKey.Arn\n";
    assert!(template.contains(after));
    let statement: Vec<String> = statement
        .lines()
        .map(|line| format!("            {line}\n"))
        .collect();
    template.replacen(after, &format!("{after}{}", statement.concat()), 1)
}

/// Calls the table as a function; gives whether it was allowed.
async fn allowed(stack: &TestStack, function: &str, operation: &str, request: &Value) -> bool {
    let (status, text) = stack.call_table(function, operation, request.clone()).await;
    let denied = text.contains("AccessDeniedException");
    // Either refused as IAM refuses, or done.
    assert!(denied || status == 200, "{operation}: {status} {text}");
    !denied
}

#[tokio::test]
async fn a_role_that_is_bound_to_keys_touches_no_others() {
    let statement = "- Effect: Allow\n  \
        Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:BatchGetItem, \
        dynamodb:Query]\n  \
        Resource: [!GetAtt Table.Arn, !Sub \"${Table.Arn}/index/due\"]\n  \
        Condition:\n    \
        ForAllValues:StringLike: {dynamodb:LeadingKeys: [\"NOTICE#*\", \"7\"]}\n    \
        StringEqualsIfExists: {dynamodb:ReturnValues: NONE}";
    let stack = TestStack::with(|options| options.template = Some(with_statement(statement))).await;
    let table = local::template::physical("Table");
    let key = |pk: &str| json!({"pk": {"S": pk}, "sk": {"S": "X"}});
    let put = |pk: &str| json!({"TableName": table, "Item": key(pk)});
    let part = |kind: &str, pk: &str| {
        let mut part = json!({});
        part[kind] = match kind {
            "Put" => put(pk),
            "ConditionCheck" => json!({
                "TableName": table, "Key": key(pk),
                "ConditionExpression": "attribute_not_exists(pk)",
            }),
            _ => json!({
                "TableName": table, "Key": key(pk), "UpdateExpression": "SET a = :a",
                "ExpressionAttributeValues": {":a": {"S": "a"}},
            }),
        };
        part
    };
    let write = |parts: &[Value]| json!({"TransactItems": parts});
    let read = |keys: &[&str]| {
        let keys: Vec<Value> = keys.iter().map(|pk| key(pk)).collect();
        let mut request = json!({"RequestItems": {}});
        request["RequestItems"][&table] = json!({"Keys": keys});
        request
    };
    let query = |index: &str, expression: &str, value: Value| {
        let mut request = json!({
            "TableName": table, "KeyConditionExpression": expression,
            "ExpressionAttributeValues": {":v": value},
        });
        if !index.is_empty() {
            request["IndexName"] = json!(index);
        }
        request
    };
    let mut returning = put("NOTICE#1");
    returning["ReturnValues"] = json!("ALL_OLD");
    let text = |text: &str| json!({"S": text});
    for (operation, request, is_allowed) in [
        ("PutItem", put("NOTICE#1"), true),
        ("PutItem", put("SKU#tea"), false),
        ("PutItem", put("XNOTICE#1"), false),
        ("PutItem", returning, false),
        (
            "GetItem",
            json!({"TableName": table, "Key": key("NOTICE#1")}),
            true,
        ),
        (
            "GetItem",
            json!({"TableName": table, "Key": key("ORDER#1")}),
            false,
        ),
        (
            "UpdateItem",
            part("Update", "NOTICE#1")["Update"].clone(),
            true,
        ),
        (
            "UpdateItem",
            part("Update", "ORDER#1")["Update"].clone(),
            false,
        ),
        (
            "TransactWriteItems",
            write(&[part("Put", "NOTICE#2"), part("Update", "NOTICE#1")]),
            true,
        ),
        (
            "TransactWriteItems",
            write(&[part("Update", "NOTICE#2"), part("Put", "ORDER#1")]),
            false,
        ),
        // What is allowed to be put may not for that be checked.
        (
            "TransactWriteItems",
            write(&[
                part("Update", "NOTICE#2"),
                part("ConditionCheck", "NOTICE#3"),
            ]),
            false,
        ),
        ("BatchGetItem", read(&["NOTICE#1", "NOTICE#2"]), true),
        ("BatchGetItem", read(&["NOTICE#1", "ORDER#1"]), false),
        ("Query", query("", "pk = :v", text("NOTICE#1")), true),
        ("Query", query("", "pk = :v", text("ORDER#1")), false),
        ("Query", query("due", "due_shard = :v", text("7")), true),
        ("Query", query("due", "due_shard = :v", text("8")), false),
        // An index that the statement does not name, and an action that it does not.
        ("Query", query("payer", "openid = :v", text("7")), false),
        ("Scan", json!({"TableName": table}), false),
        (
            "DeleteItem",
            json!({"TableName": table, "Key": key("NOTICE#1")}),
            false,
        ),
    ] {
        assert_eq!(
            allowed(&stack, "LoginFunction", operation, &request).await,
            is_allowed,
            "{operation} {request}"
        );
    }
    // Nothing of a refused transaction was done.
    assert_eq!(stack.item("ORDER#1", "X"), Value::Null);
    // The comparison of roles with their use sees which of the two keys nobody used.
    let calls = stack.watch.calls();
    let unused = unused_keys(&stack, &calls);
    let of_put = |(_, permission, _): &&(String, Permission, String)| {
        permission.action == "dynamodb:PutItem"
            && permission.resource == local::template::arn("Table")
    };
    let unused: Vec<&str> = unused
        .iter()
        .filter(|(id, ..)| id == "LoginFunction")
        .filter(of_put)
        .map(|(.., pattern)| pattern.as_str())
        .collect();
    assert_eq!(unused, ["7"]);
    for item in stack.items() {
        let is_ours = item["sk"]["S"] == "X";
        if is_ours {
            let request = json!({"TableName": table, "Key": {"pk": item["pk"], "sk": item["sk"]}});
            let request = serde_json::from_value(request).unwrap();
            stack.stack.aws.table.delete_item(request).unwrap();
        }
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_refused_here_as_it_would_be_there() {
    let stack = TestStack::start().await;
    let client = shared::process::Process::system().unwrap().http;
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
    let stack = stack_with_one_open_order(Mode::Both).await;
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
            "GetSecretValue" | "HeadObject" | "PutEvents" | "PutObject" => true,
            // Nothing is ever deleted, and nothing is scanned.
            _ => false,
        };
        assert!(holds, "{} sent {operation} {request}", call.caller);
        seen.insert(operation.to_owned());
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}
