//! What somebody with the webhook's own permissions could write into the table, and that none of it
//! is ever sent: a refund's record has to be authentic by itself.

use serde_json::{Value, json};

use crate::harness::{ALICE, OPERATOR, TestStack};

const WEBHOOK: &str = "NotifyCallbackFunction";

/// Sets attributes of an item as the webhook's role lets it.
async fn altered(stack: &TestStack, caller: &str, key: Value, changes: &[(&str, Value)]) {
    let mut request =
        json!({"Key": key, "ExpressionAttributeNames": {}, "ExpressionAttributeValues": {}});
    let mut set = Vec::new();
    for (name, value) in changes {
        request["ExpressionAttributeNames"][format!("#{name}")] = json!(name);
        request["ExpressionAttributeValues"][format!(":{name}")] = value.clone();
        set.push(format!("#{name} = :{name}"));
    }
    request["UpdateExpression"] = json!(format!("SET {}", set.join(", ")));
    let (status, answer) = stack.call_table(caller, "UpdateItem", request).await;
    assert_eq!(status, 200, "{answer}");
}

fn key(number: &str, refund_number: &str) -> Value {
    json!({
        "pk": {"S": format!("ORDER#{number}")},
        "sk": {"S": format!("REFUND#{refund_number}")},
    })
}

fn refund_item(stack: &TestStack, number: &str, refund_number: &str) -> Value {
    stack.item(
        &format!("ORDER#{number}"),
        &format!("REFUND#{refund_number}"),
    )
}

/// Whether the webhook's role may write this attribute of an item.
async fn webhook_may_write(stack: &TestStack, key: &Value, name: &str) -> bool {
    let request = json!({
        "Key": key,
        "UpdateExpression": "SET #name = :value",
        "ConditionExpression": "attribute_not_exists(trade_state) AND attribute_not_exists(#status)",
        "ExpressionAttributeNames": {"#name": name, "#status": "status"},
        "ExpressionAttributeValues": {":value": {"S": "forged"}},
    });
    // The condition fails for every item there is, so nothing is written either way.
    let (_, answer) = stack.call_table(WEBHOOK, "UpdateItem", request).await;
    let denied = answer.contains("AccessDeniedException");
    assert!(
        denied || answer.contains("ConditionalCheckFailed"),
        "{answer}"
    );
    !denied
}

/// How often a refund of this number was sent.
fn sent(stack: &TestStack, refund_number: &str) -> usize {
    let requests = stack.wire.requests();
    let refunds = requests.iter().filter(|request| {
        request.method == "POST" && request.target == "/v3/refund/domestic/refunds"
    });
    refunds
        .filter(|request| request.json()["out_refund_no"] == refund_number)
        .count()
}

/// Whether the log says of the refund that it is not authentic, and calls a person.
fn person_called(stack: &TestStack, refund_number: &str, what: &str) -> bool {
    stack.log_lines().iter().any(|line| {
        line["refund.out_refund_no"] == refund_number
            && line["not_authentic"] == what
            && line["level"] == "ERROR"
            && line["needs_human"] == 1
    })
}

/// What makes the sweep look at a refund now.
fn due(stack: &TestStack) -> [(&'static str, Value); 2] {
    let now = stack.stack.clock().business().unix_seconds();
    [
        ("due_shard", json!({"S": "4"})),
        ("due_at", json!({"N": now.to_string()})),
    ]
}

#[tokio::test]
async fn a_refund_that_is_written_past_the_code_is_never_sent_and_holds_up_nobody() {
    let stack = TestStack::start().await;
    stack.paid("forged-0001", 600).await;
    stack
        .refund("forged-0001", "forged-r1", 100)
        .await
        .expect(202);
    stack
        .until_refund("forged-0001", "forged-r1", "SUCCESS")
        .await;
    // One without a MAC, and one with a MAC that was made for another refund.
    let genuine = refund_item(&stack, "forged-0001", "forged-r1");
    for (number, mac) in [("forged-r2", None), ("forged-r3", genuine.get("mac"))] {
        let mut forged = genuine.as_object().unwrap().clone();
        forged.retain(|name, _| {
            !["pk", "sk", "mac", "success_time", "refund_id"].contains(&name.as_str())
        });
        forged.extend(mac.map(|mac| ("mac".to_owned(), mac.clone())));
        forged.insert("out_refund_no".to_owned(), json!({"S": number}));
        forged.insert("refund".to_owned(), json!({"N": "500"}));
        forged.insert("status".to_owned(), json!({"S": "RESERVED"}));
        forged.extend(due(&stack).map(|(name, value)| (name.to_owned(), value)));
        let changes: Vec<(&str, Value)> = forged
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        // An update of what is not there makes it.
        altered(&stack, OPERATOR, key("forged-0001", number), &changes).await;
    }
    let waiting = stack
        .refund("forged-0001", "forged-r4", 200)
        .await
        .expect(202);
    assert_eq!(waiting["status"], "RESERVED");
    stack.advance(120).await;
    stack.sweep().await;
    stack
        .until_refund("forged-0001", "forged-r4", "SUCCESS")
        .await;
    for number in ["forged-r2", "forged-r3"] {
        assert_eq!(sent(&stack, number), 0, "{number}");
        assert!(
            person_called(&stack, number, "mac"),
            "{:#?}",
            stack.logged()
        );
        let item = refund_item(&stack, "forged-0001", number);
        assert_eq!(item["status"]["S"], "RESERVED");
        assert!(item["needs_human"]["S"].is_string(), "{item}");
        // Nor is it in the way of the next look at the others.
        let now = stack.stack.clock().business().unix_seconds();
        let due_at: i64 = item["due_at"]["N"].as_str().unwrap().parse().unwrap();
        assert!(due_at > now + 23 * 60 * 60, "{item}");
        let gone = json!({"Key": key("forged-0001", number)});
        assert_eq!(stack.call_table(OPERATOR, "DeleteItem", gone).await.0, 200);
    }
    assert_eq!(sent(&stack, "forged-r4"), 1);
}

#[tokio::test]
async fn the_webhook_changes_no_term_and_nothing_that_a_payer_is_shown() {
    let stack = TestStack::start().await;
    stack.paid("terms-0001", 600).await;
    stack
        .refund("terms-0001", "terms-r1", 100)
        .await
        .expect(202);
    stack.native("terms-0002", 600).await;
    let order = json!({"pk": {"S": "ORDER#terms-0002"}, "sk": {"S": "ORDER"}});
    let told = [
        "trade_state",
        "version",
        "transaction_id",
        "success_time",
        "refundable",
    ];
    for name in told {
        assert!(webhook_may_write(&stack, &order, name).await, "{name}");
    }
    let written = stack.order_item("terms-0002").as_object().unwrap().clone();
    for name in written.keys() {
        let keys = [
            "pk",
            "sk",
            "trade_state",
            "version",
            "events",
            "due_shard",
            "due_at",
            "list_shard",
        ];
        if !keys.contains(&name.as_str()) {
            assert!(!webhook_may_write(&stack, &order, name).await, "{name}");
        }
    }
    for name in [
        "refund",
        "total",
        "mac",
        "notify_url",
        "reason",
        "asked_by",
        "sent_at",
    ] {
        let key = key("terms-0001", "terms-r1");
        assert!(!webhook_may_write(&stack, &key, name).await, "{name}");
    }
}

#[tokio::test]
async fn a_reserved_refund_whose_amount_was_raised_is_not_sent_until_it_is_put_right() {
    let stack = TestStack::start().await;
    stack.paid("raised-0001", 900).await;
    stack
        .refund("raised-0001", "raised-r1", 100)
        .await
        .expect(202);
    stack
        .refund("raised-0001", "raised-r2", 100)
        .await
        .expect(202);
    let key = key("raised-0001", "raised-r2");
    let amount = |fen: &str| [("refund", json!({"N": fen}))];
    altered(&stack, OPERATOR, key.clone(), &amount("600")).await;
    stack.advance(120).await;
    stack.sweep().await;
    assert_eq!(sent(&stack, "raised-r2"), 0);
    assert!(
        person_called(&stack, "raised-r2", "mac"),
        "{:#?}",
        stack.logged()
    );
    let order = stack.order("raised-0001").await;
    assert_eq!(order["amount"]["refundable"], 700);
    // With its own terms it is what was reserved, and goes out at the next look.
    altered(&stack, OPERATOR, key, &amount("100")).await;
    stack.advance(25 * 60 * 60).await;
    stack
        .sweep_until_refund("raised-0001", "raised-r2", "SUCCESS")
        .await;
    assert_eq!(sent(&stack, "raised-r2"), 1);
    let item = refund_item(&stack, "raised-0001", "raised-r2");
    assert_eq!(item["needs_human"], Value::Null);
}

#[tokio::test]
async fn a_payers_request_that_nobody_approved_is_not_sent_whatever_its_record_says() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 3).await;
    let asked = stack
        .asked_back(&alice, &number, "key-0000000000002", 100)
        .await;
    assert_eq!(asked["status"], "REQUESTED");
    let refund_number = asked["out_refund_no"].as_str().unwrap();
    let key = key(&number, refund_number);
    let [shard, at] = due(&stack);
    let reserved = [("status", json!({"S": "RESERVED"})), shard, at];
    altered(&stack, WEBHOOK, key.clone(), &reserved).await;
    stack.sweep().await;
    assert_eq!(sent(&stack, refund_number), 0);
    assert!(
        person_called(&stack, refund_number, "mac"),
        "{:#?}",
        stack.logged()
    );

    // Put back, but asked for more than the payer did: the merchant's approval approves nothing.
    let undo = json!({
        "Key": key.clone(),
        "UpdateExpression": "SET #status = :status REMOVE due_shard, due_at, due_attempts, needs_human",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":status": {"S": "REQUESTED"}},
    });
    assert_eq!(stack.call_table(OPERATOR, "UpdateItem", undo).await.0, 200);
    let raised = [("refund", json!({"N": "200"}))];
    altered(&stack, OPERATOR, key.clone(), &raised).await;
    let approve = format!("/orders/{number}/refunds/{refund_number}/approve");
    stack
        .post(&stack.merchant, &approve, json!({}))
        .await
        .refused(500, "internal_error");
    assert_eq!(sent(&stack, refund_number), 0);
    let item = refund_item(&stack, &number, refund_number);
    assert_eq!(item["status"]["S"], "REQUESTED");
    // What the payer asked for can be approved.
    let own = [("refund", json!({"N": "100"}))];
    altered(&stack, OPERATOR, key, &own).await;
    stack
        .post(&stack.merchant, &approve, json!({}))
        .await
        .expect(202);
    stack.until_refund(&number, refund_number, "SUCCESS").await;
}

#[tokio::test]
async fn a_refund_goes_back_from_its_own_order_whatever_payment_its_record_names() {
    let stack = TestStack::start().await;
    stack.paid("robbed-0001", 600).await;
    stack.paid("robber-0001", 600).await;
    // What a report changes: the number of the payment, here that of the robber's own.
    let theirs = stack.order_item("robber-0001")["transaction_id"].clone();
    let order = json!({"pk": {"S": "ORDER#robbed-0001"}, "sk": {"S": "ORDER"}});
    let changed = [("transaction_id", theirs)];
    altered(&stack, WEBHOOK, order, &changed).await;
    stack
        .refund("robbed-0001", "robbed-r1", 600)
        .await
        .expect(202);
    let ledger = stack.seen("ledger").await;
    let refunded = ledger.iter().filter(|row| row["kind"] == "refund");
    let refunded: Vec<&Value> = refunded.map(|row| &row["out_trade_no"]).collect();
    assert_eq!(refunded, ["robbed-0001"]);
    // And somebody hears of it: the refund's notice names another payment than the record.
    let mismatch = async || {
        let lines = stack.log_lines();
        Value::from(lines.iter().any(|line| line["money_mismatch"] == 1))
    };
    stack.until(mismatch, |told| *told == true).await;
}

#[tokio::test]
async fn a_withdrawn_refund_is_not_sent_whatever_its_record_says() {
    let stack = TestStack::start().await;
    stack.paid("undone-0001", 600).await;
    let lost = json!({"operation": "refund"});
    stack.fault("request_lost", lost).await;
    stack
        .refund("undone-0001", "undone-r1", 600)
        .await
        .expect(202);
    stack.no_faults().await;
    let withdraw = "/orders/undone-0001/refunds/undone-r1/withdraw";
    let withdrawn = stack.post(&stack.merchant, withdraw, json!({})).await;
    assert_eq!(withdrawn.expect(202)["status"], "WITHDRAWING");
    let before = sent(&stack, "undone-r1");
    // Its MAC still says that it was approved, which it was.
    stack.advance(120).await;
    let [shard, at] = due(&stack);
    let reserved = [("status", json!({"S": "RESERVED"})), shard, at];
    altered(&stack, WEBHOOK, key("undone-0001", "undone-r1"), &reserved).await;
    stack.sweep().await;
    assert_eq!(sent(&stack, "undone-r1"), before);
    assert!(
        person_called(&stack, "undone-r1", "guard"),
        "{:#?}",
        stack.logged()
    );
}

#[tokio::test]
async fn dating_a_payment_anew_opens_no_hours_of_policy() {
    let hours = ("AutoApproveRefundHours".to_owned(), "1".to_owned());
    let stack = TestStack::with(|options| options.parameters.extend([hours])).await;
    let alice = stack.login(ALICE).await;
    let number = stack.bought(&alice, "key-0000000000001", 3).await;
    stack.advance(3 * 60 * 60).await;
    let now = stack.stack.clock().business().unix_seconds();
    let order = json!({"pk": {"S": format!("ORDER#{number}")}, "sk": {"S": "ORDER"}});
    let anew = [("success_time", json!({"N": now.to_string()}))];
    altered(&stack, WEBHOOK, order, &anew).await;
    let asked = stack
        .asked_back(&alice, &number, "key-0000000000002", 100)
        .await;
    assert_eq!(asked["status"], "REQUESTED");
}

#[tokio::test]
async fn a_refund_whose_number_is_not_its_orders_is_not_sent() {
    let stack = TestStack::start().await;
    stack.paid("guard-0001", 600).await;
    stack
        .refund("guard-0001", "guard-r1", 100)
        .await
        .expect(202);
    stack
        .refund("guard-0001", "guard-r2", 100)
        .await
        .expect(202);
    // As if it had never been reserved: only whoever reserves writes guards.
    let guard = json!({"pk": {"S": "REFUNDNO#guard-r2"}, "sk": {"S": "REFUNDNO"}});
    let gone = json!({"Key": guard.clone()});
    assert_eq!(stack.call_table(OPERATOR, "DeleteItem", gone).await.0, 200);
    stack.advance(120).await;
    stack.sweep().await;
    assert_eq!(sent(&stack, "guard-r2"), 0);
    assert!(
        person_called(&stack, "guard-r2", "guard"),
        "{:#?}",
        stack.logged()
    );
    let mut guard = guard;
    guard["out_trade_no"] = json!({"S": "guard-0001"});
    let put = json!({"Item": guard});
    assert_eq!(stack.call_table(OPERATOR, "PutItem", put).await.0, 200);
    stack.advance(25 * 60 * 60).await;
    stack
        .sweep_until_refund("guard-0001", "guard-r2", "SUCCESS")
        .await;
}

#[tokio::test]
async fn the_webhooks_role_writes_no_article_no_guard_and_no_key_of_others() {
    let stack = TestStack::start().await;
    stack.put_article("priced", 500, true);
    stack.paid("guarded-01", 500).await;
    stack
        .refund("guarded-01", "guarded-r1", 100)
        .await
        .expect(202);
    let stands = || {
        let guards = ["REFUNDNO#guarded-r1", "REFUNDNO#guarded-r2"];
        let guards = guards.map(|guard| stack.item(guard, "REFUNDNO"));
        json!([stack.item("SKU#priced", "SKU"), guards])
    };
    let before = stands();
    let article = json!({"pk": {"S": "SKU#priced"}, "sk": {"S": "SKU"}});
    let guard = json!({"pk": {"S": "REFUNDNO#guarded-r1"}, "sk": {"S": "REFUNDNO"}});
    let new = json!({"pk": {"S": "REFUNDNO#guarded-r2"}, "sk": {"S": "REFUNDNO"}});
    let cheap = |key: &Value| {
        json!({
            "Key": key, "UpdateExpression": "SET price_fen = :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        })
    };
    for (operation, request) in [
        ("UpdateItem", cheap(&article)),
        ("PutItem", json!({"Item": article})),
        ("UpdateItem", cheap(&guard)),
        ("PutItem", json!({"Item": new})),
        ("DeleteItem", json!({"Key": guard})),
    ] {
        let (status, answer) = stack.call_table(WEBHOOK, operation, request.clone()).await;
        assert!(
            status == 400 && answer.contains("AccessDeniedException"),
            "{operation} {request}: {status} {answer}"
        );
    }
    assert_eq!(stands(), before);
    // The same call of somebody who may: it is the role that refuses.
    let (status, answer) = stack
        .call_table(OPERATOR, "UpdateItem", cheap(&article))
        .await;
    assert_eq!(status, 200, "{answer}");
}

/// Not to send it again is no reason not to ask: it may have been sent while its key was there.
#[tokio::test]
async fn a_refund_that_is_not_authentic_any_more_is_asked_about_and_ends_as_wechat_pay_says() {
    let stack = TestStack::start().await;
    stack.paid("keyless-0001", 600).await;
    for (fault, more) in [
        ("response_lost", json!({"operation": "refund"})),
        ("notice_lost_for_good", json!({})),
    ] {
        stack.fault(fault, more).await;
    }
    let sent_once = stack.refund("keyless-0001", "keyless-r1", 200).await;
    assert_eq!(sent_once.expect(202)["status"], "RESERVED");
    // What its MAC was made with is gone.
    let mac = json!({"S": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="});
    let [shard, at] = due(&stack);
    let changes = [("mac", mac), shard, at];
    altered(
        &stack,
        OPERATOR,
        key("keyless-0001", "keyless-r1"),
        &changes,
    )
    .await;
    let before = sent(&stack, "keyless-r1");
    stack.advance(60).await;
    stack.sweep().await;
    assert!(
        person_called(&stack, "keyless-r1", "mac"),
        "{:#?}",
        stack.logged()
    );
    let item = refund_item(&stack, "keyless-0001", "keyless-r1");
    assert_eq!(item["status"]["S"], "SUCCESS", "{item}");
    assert_eq!(sent(&stack, "keyless-r1"), before, "it is not sent again");
}
