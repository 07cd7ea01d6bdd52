//! Placing orders.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{ALICE, Answer, BOB, TestStack, native_order};

fn coffee() -> Value {
    json!({"trade_type": "jsapi", "items": [{"sku": "coffee", "quantity": 3}]})
}

#[tokio::test]
async fn a_payers_order_is_priced_by_the_server_and_belongs_to_them() {
    let stack = TestStack::start().await;
    let (alice, bob) = (stack.login(ALICE).await, stack.login(BOB).await);
    let placed = stack
        .post_once(&alice, "/orders", "key-0000000000001", coffee())
        .await
        .expect(201);
    assert_eq!(placed["amount"], json!({"total": 3, "currency": "CNY"}));
    assert_eq!(placed["trade_state"], "NOTPAY");
    let pay: Vec<&String> = placed["pay"].as_object().unwrap().keys().collect();
    assert_eq!(
        pay,
        ["nonceStr", "package", "paySign", "signType", "timeStamp"]
    );
    let path = format!("/orders/{}", placed["out_trade_no"].as_str().unwrap());
    stack.get(&alice, &path).await.expect(200);
    stack.get(&bob, &path).await.refused(404, "not_found");
    let missing = stack
        .get(&bob, "/orders/ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        .await
        .refused(404, "not_found");
    assert_eq!(
        missing,
        stack.get(&bob, &path).await.body,
        "somebody else's is as good as missing"
    );
    let mine = stack.get(&alice, "/orders").await.expect(200);
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        stack.get(&bob, "/orders").await.expect(200)["items"],
        json!([])
    );
}

#[tokio::test]
async fn the_merchant_sees_what_was_ordered_as_it_was_then_and_a_payer_as_before() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let items = json!([{"sku": "tea", "quantity": 2}, {"sku": "coffee", "quantity": 1}]);
    let body = json!({"trade_type": "jsapi", "items": items, "attach": "table 12"});
    let key = "key-0000000000001";
    let placed = stack.post_once(&alice, "/orders", key, body.clone()).await;
    let number = placed.expect(201)["out_trade_no"].clone();
    let path = format!("/orders/{}", number.as_str().unwrap());

    // What is on sale may change, and go: an order is what it was, and its repeats are its repeats.
    stack.put_article("tea", 9_999, true);
    stack.put_article("coffee", 9_999, false);
    let again = stack.post_once(&alice, "/orders", key, body.clone()).await;
    assert_eq!(again.expect(200)["amount"]["total"], 601);
    for (field, other) in [
        ("items", json!([{"sku": "tea", "quantity": 2}])),
        (
            "items",
            json!([{"sku": "tea", "quantity": 2}, {"sku": "coffee", "quantity": 2}]),
        ),
        (
            "items",
            json!([{"sku": "coffee", "quantity": 1}, {"sku": "tea", "quantity": 2}]),
        ),
        ("attach", Value::Null),
    ] {
        let mut body = body.clone();
        body[field] = other;
        let answer = stack.post_once(&alice, "/orders", key, body).await;
        assert_eq!(answer.refused(409, "terms_differ")["field"], field);
    }

    let seen = stack.get(&stack.merchant, &path).await.expect(200);
    assert_eq!(
        [&seen["placed_by"], &seen["description"], &seen["attach"]],
        ["payer", "Tea 茶 等", "table 12"]
    );
    assert_eq!(seen["payer"], json!({"openid": ALICE}));
    assert_eq!(
        seen["items"],
        json!([
            {"sku": "tea", "description": "Tea 茶", "quantity": 2, "unit_price": 300},
            {"sku": "coffee", "description": "Coffee 咖啡", "quantity": 1, "unit_price": 1},
        ])
    );
    let own = stack.get(&alice, &path).await.expect(200);
    for answer in [
        &own,
        &stack.get(&alice, "/orders").await.expect(200)["items"][0],
    ] {
        for name in ["placed_by", "description", "attach", "payer", "items"] {
            assert_eq!(answer[name], Value::Null, "{name}");
        }
    }

    // By WeChat Pay's number the merchant sees the same; of an order of their own no payer and no items.
    stack.pay(number.as_str().unwrap()).await;
    let paid = stack.until_state(number.as_str().unwrap(), "SUCCESS").await;
    let by_payment = format!(
        "/orders?transaction_id={}",
        paid["transaction_id"].as_str().unwrap()
    );
    assert_eq!(
        stack.get(&stack.merchant, &by_payment).await.expect(200),
        paid
    );
    stack.native("merchants-own-1", 100).await;
    let own = stack.order("merchants-own-1").await;
    assert_eq!(
        [&own["placed_by"], &own["items"]],
        [&json!("merchant"), &json!([])]
    );
    assert_eq!([&own["payer"], &own["attach"]], [&Value::Null; 2]);
}

#[tokio::test]
async fn sixteen_equal_creates_at_once_give_one_order_and_one_usable_code() {
    let stack = TestStack::start().await;
    let create = async |_| {
        let order = native_order("at-once-01", 100);
        let answer = stack.post(&stack.merchant, "/orders", order.clone()).await;
        if answer.body["code"] != "code_pending" {
            return answer;
        }
        // Two seconds were not enough for the one who asks: send it again, as the answer says.
        let again = async || {
            let answer = stack.post(&stack.merchant, "/orders", order.clone()).await;
            answer.body
        };
        let body = stack.until(again, |body| body["pay"].is_object()).await;
        Answer {
            status: 200,
            body,
            ..answer
        }
    };
    let answers = join_all((0..16).map(create)).await;
    let mut codes: Vec<Value> = answers
        .iter()
        .map(|answer| {
            assert!(matches!(answer.status, 200 | 201), "{answer:?}");
            answer.body["pay"]["code_url"].clone()
        })
        .collect();
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    codes.dedup();
    assert_eq!(codes.len(), 1, "one code for all: {codes:?}");
    stack
        .control("orders/at-once-01/pay", json!({"code_url": codes[0]}))
        .await;
    stack.until_state("at-once-01", "SUCCESS").await;
}

#[tokio::test]
async fn sixteen_equal_payers_creates_give_one_order_each_of_whose_parameters_pays() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let creates =
        (0..16).map(|_| stack.post_once(&alice, "/orders", "key-0000000000001", coffee()));
    let answers = join_all(creates).await;
    let mut numbers: Vec<&Value> = answers
        .iter()
        .map(|answer| &answer.body["out_trade_no"])
        .collect();
    numbers.dedup();
    assert_eq!(numbers.len(), 1);
    let orders = stack.seen("ledger").await;
    assert_eq!(orders.len(), 1);
    let number = numbers[0].as_str().unwrap();
    let pay = &answers[7].body["pay"];
    stack
        .control(
            &format!("orders/{number}/pay"),
            json!({"openid": ALICE, "pay": pay}),
        )
        .await;
    stack.until_state(number, "SUCCESS").await;
}

#[tokio::test]
async fn the_same_number_with_other_terms_names_the_field_that_differs() {
    let stack = TestStack::start().await;
    stack.native("terms-0001", 100).await;
    for (field, body) in [
        ("amount.total", native_order("terms-0001", 101)),
        ("description", {
            let mut body = native_order("terms-0001", 100);
            body["description"] = json!("Tea");
            body
        }),
        ("attach", {
            let mut body = native_order("terms-0001", 100);
            body["attach"] = json!("note");
            body
        }),
    ] {
        let refused = stack
            .post(&stack.merchant, "/orders", body)
            .await
            .refused(409, "terms_differ");
        assert_eq!(refused["field"], field);
    }
    let again = stack
        .post(&stack.merchant, "/orders", native_order("terms-0001", 100))
        .await
        .expect(200);
    assert_eq!(again["out_trade_no"], "terms-0001");
}

#[tokio::test]
async fn an_order_keeps_its_price_whatever_the_catalogue_says_afterwards() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let order = async |key: &str| {
        let body = json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 2}]});
        stack.post_once(&alice, "/orders", key, body).await
    };
    let first = order("key-0000000000001").await.expect(201);
    assert_eq!(first["amount"]["total"], 600);
    stack.put_article("tea", 1, true);
    let again = order("key-0000000000001").await.expect(200);
    assert_eq!(again["amount"]["total"], 600);
    assert_eq!(again["out_trade_no"], first["out_trade_no"]);
    assert_eq!(
        order("key-0000000000002").await.expect(201)["amount"]["total"],
        2
    );
    stack.put_article("tea", 1, false);
    order("key-0000000000003").await.refused(422, "unknown_sku");
    let again = order("key-0000000000001").await.expect(200);
    assert_eq!(again["amount"]["total"], 600, "ordered is ordered");
}

#[tokio::test]
async fn a_paid_or_expired_order_is_repeated_without_anything_to_pay_with() {
    let stack = TestStack::start().await;
    stack.paid("paid-00001", 100).await;
    let paid = stack
        .post(&stack.merchant, "/orders", native_order("paid-00001", 100))
        .await
        .expect(200);
    assert_eq!(
        (&paid["trade_state"], &paid["pay"]),
        (&json!("SUCCESS"), &Value::Null)
    );
    stack.native("late-00001", 100).await;
    stack.advance(31 * 60).await;
    let late = stack
        .post(&stack.merchant, "/orders", native_order("late-00001", 100))
        .await
        .expect(200);
    assert_eq!(
        (&late["trade_state"], &late["pay"]),
        (&json!("NOTPAY"), &Value::Null)
    );
}

#[tokio::test]
async fn what_wechat_pay_did_with_an_unanswered_order_is_found_by_sending_it_again() {
    // Beside each other: each waits until a claim on the code has run out.
    let faults = [
        "response_lost",
        "server_error_applied",
        "response_unsigned",
        "html_error",
    ];
    join_all(faults.map(|fault| async move {
        let stack = TestStack::start().await;
        stack.fault(fault, json!({"count": 4})).await;
        let order = native_order("lost-00001", 100);
        let place = async || stack.post(&stack.merchant, "/orders", order.clone()).await;
        let first = place().await;
        assert!(matches!(first.status, 201 | 503), "{fault}: {first:?}");
        stack.no_faults().await;
        let again = async || place().await.body;
        let again = stack
            .until(again, |body| body["pay"]["code_url"].is_string())
            .await;
        let code = json!({"code_url": again["pay"]["code_url"]});
        stack.control("orders/lost-00001/pay", code).await;
        stack.until_state("lost-00001", "SUCCESS").await;
        let orders = stack.seen("ledger").await.len();
        assert_eq!(orders, 1, "{fault}: one order at WeChat Pay");
    }))
    .await;
}

/// An h5 order as API Gateway hands it over from this address.
fn from_address(stack: &TestStack, address: &str) -> Value {
    let body = json!({
        "trade_type": "h5", "out_trade_no": "policy-h5", "description": "Coffee",
        "amount": {"total": 100},
    });
    json!({
        "version": "2.0", "routeKey": "POST /orders", "rawPath": "/orders", "rawQueryString": "",
        "headers": {
            "authorization": format!("Bearer {}", stack.merchant),
            "content-type": "application/json",
        },
        "requestContext": {
            "accountId": "1", "apiId": "local", "domainName": "127.0.0.1", "domainPrefix": "127",
            "http": {
                "method": "POST", "path": "/orders", "protocol": "HTTP/1.1",
                "sourceIp": address, "userAgent": "test",
            },
            "requestId": "1", "routeKey": "POST /orders", "stage": "$default",
            "time": "28/Jan/2026:09:07:11 +0000", "timeEpoch": 1_769_591_231_000_u64,
        },
        "body": body.to_string(), "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn a_merchants_h5_order_can_be_repeated_from_another_address() {
    let stack = TestStack::start().await;
    let first = stack.event("CreateOrderFunction", from_address(&stack, "203.0.113.7"));
    first.await.unwrap().expect(201);
    let again = stack.event("CreateOrderFunction", from_address(&stack, "203.0.113.8"));
    let again = again.await.unwrap().expect(200);
    assert!(again["pay"]["h5_url"].is_string(), "{again}");
}

#[tokio::test]
async fn an_apps_pay_parameters_are_those_of_pay_req_and_pay() {
    let stack = TestStack::start().await;
    let mut order = native_order("policy-app", 100);
    order["trade_type"] = Value::from("app");
    let placed = stack
        .post(&stack.merchant, "/orders", order)
        .await
        .expect(201);
    let mut fields: Vec<&String> = placed["pay"].as_object().unwrap().keys().collect();
    fields.sort();
    let wanted = [
        "appId",
        "nonceStr",
        "packageValue",
        "partnerId",
        "prepayId",
        "sign",
        "timeStamp",
    ];
    assert_eq!(fields, wanted);
    stack
        .control("orders/policy-app/pay", json!({"app": placed["pay"]}))
        .await;
    stack.until_state("policy-app", "SUCCESS").await;
}
