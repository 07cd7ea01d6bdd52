//! What an order carries besides what is paid: coupons, invoices, articles, the store, the settlement.

use serde_json::{Value, json};

use crate::harness::{ALICE, TestStack, native_order};

fn whole(number: &str) -> Value {
    let mut order = native_order(number, 600);
    order["goods_tag"] = json!("WXG");
    order["support_fapiao"] = json!(true);
    order["limit_pay"] = json!(["no_credit"]);
    order["detail"] = json!({
        "cost_price": 700, "invoice_id": "R-7",
        "goods_detail": [
            {"merchant_goods_id": "coffee", "goods_name": "Coffee 咖啡", "quantity": 2, "unit_price": 300},
        ],
    });
    order["scene_info"] = json!({
        "payer_client_ip": "203.0.113.7",
        "store_info": {"id": "7", "name": "North Gate", "area_code": "440305", "address": "1 Gate Street"},
    });
    order
}

/// The bodies of an order's prepays, as they went over the wire.
fn prepays(stack: &TestStack, number: &str) -> Vec<Vec<u8>> {
    let mut requests = stack.wire.requests();
    requests.retain(|request| {
        request.method == "POST"
            && request.target.starts_with("/v3/pay/transactions/")
            && request.json()["out_trade_no"] == number
    });
    requests.into_iter().map(|request| request.body).collect()
}

async fn place(stack: &TestStack, order: &Value) -> crate::harness::Answer {
    stack.post(&stack.merchant, "/orders", order.clone()).await
}

#[tokio::test]
async fn what_a_merchant_adds_is_sent_kept_shown_and_compared() {
    let stack = TestStack::start().await;
    let mut jsapi = whole("extras-0001");
    jsapi["trade_type"] = json!("jsapi");
    jsapi["payer"] = json!({"openid": ALICE});
    place(&stack, &jsapi).await.expect(201);
    let first = prepays(&stack, "extras-0001");
    let sent: Value = serde_json::from_slice(&first[0]).unwrap();
    for name in [
        "goods_tag",
        "support_fapiao",
        "limit_pay",
        "detail",
        "scene_info",
    ] {
        assert_eq!(sent[name], jsapi[name], "{name} is sent as it was given");
    }
    assert_eq!(stack.order_item("extras-0001")["wire_version"]["N"], "2");

    // The merchant sees what was ordered; the address of the payer is nobody's business.
    let shown = stack.order("extras-0001").await;
    for name in ["goods_tag", "support_fapiao", "limit_pay", "detail"] {
        assert_eq!(shown[name], jsapi[name], "{name} is shown as it was given");
    }
    assert_eq!(
        shown["scene_info"],
        json!({"store_info": jsapi["scene_info"]["store_info"]})
    );
    assert_eq!(shown.get("settle_info"), None);

    // The same again is the same, in the very same bytes; WeChat Pay would refuse others.
    place(&stack, &jsapi).await.expect(200);
    let sent = prepays(&stack, "extras-0001");
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));

    type Change = fn(&mut Value);
    let changes: [(&str, Change); 8] = [
        ("goods_tag", |order| order["goods_tag"] = json!("WXH")),
        ("support_fapiao", |order| {
            order["support_fapiao"] = json!(false);
        }),
        ("limit_pay", |order| {
            order["limit_pay"] = json!(["no_credit", "no_debit"]);
        }),
        ("detail", |order| order["detail"]["cost_price"] = json!(701)),
        ("detail", |order| {
            order["detail"]["goods_detail"][0]["quantity"] = json!(1);
        }),
        ("scene_info.store_info", |order| {
            order["scene_info"]["store_info"]["id"] = json!("8");
        }),
        ("scene_info.payer_client_ip", |order| {
            order["scene_info"]["payer_client_ip"] = json!("203.0.113.8");
        }),
        ("goods_tag", |order| {
            order.as_object_mut().unwrap().remove("goods_tag");
        }),
    ];
    for (field, change) in changes {
        let mut other = jsapi.clone();
        change(&mut other);
        let refused = place(&stack, &other).await.refused(409, "terms_differ");
        assert_eq!(refused["field"], field, "{other}");
    }
    assert_eq!(
        prepays(&stack, "extras-0001").len(),
        2,
        "and nothing was sent"
    );

    // Each trade type takes all of it, and a store brings the address that the request came from.
    for trade_type in ["native", "h5", "app"] {
        let number = format!("extras-{trade_type}");
        let mut order = whole(&number);
        order["trade_type"] = json!(trade_type);
        let scene = order["scene_info"].as_object_mut().unwrap();
        scene.remove("payer_client_ip");
        place(&stack, &order).await.expect(201);
        let sent: Value = serde_json::from_slice(&prepays(&stack, &number)[0]).unwrap();
        assert_eq!(
            sent["scene_info"]["payer_client_ip"], "127.0.0.1",
            "{trade_type}"
        );
        assert_eq!(sent["scene_info"]["store_info"]["id"], "7", "{trade_type}");
    }
    // What is not asked for is not sent, and costs nothing.
    stack.native("extras-plain", 1).await;
    let item = stack.order_item("extras-plain");
    for name in [
        "goods_tag",
        "support_fapiao",
        "limit_pay",
        "detail",
        "store_info",
        "profit_sharing",
    ] {
        assert_eq!(item.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn coupons_are_told_of_the_articles_that_a_payer_ordered_at_their_price_of_then() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let body = json!({
        "trade_type": "jsapi",
        "items": [{"sku": "tea", "quantity": 2}, {"sku": "coffee", "quantity": 1}],
    });
    let key = "extras-key-000001";
    let placed = stack.post_once(&alice, "/orders", key, body.clone()).await;
    let placed = placed.expect(201);
    let number = placed["out_trade_no"].as_str().unwrap().to_owned();
    let sent: Value = serde_json::from_slice(&prepays(&stack, &number)[0]).unwrap();
    let shown = stack.order(&number).await;
    let goods = sent["detail"]["goods_detail"].as_array().unwrap();
    let items = shown["items"].as_array().unwrap();
    assert_eq!((goods.len(), items.len()), (2, 2));
    for (goods, item) in goods.iter().zip(items) {
        assert_eq!(goods["merchant_goods_id"], item["sku"]);
        assert_eq!(goods["goods_name"], item["description"]);
        assert_eq!(goods["quantity"], item["quantity"]);
        assert_eq!(goods["unit_price"], item["unit_price"]);
    }
    assert_eq!(shown.get("detail"), None, "the articles are told as items");

    // The catalogue moves on, and the order does not.
    stack.put_article("tea", 999, true);
    let again = stack.post_once(&alice, "/orders", key, body).await;
    again.expect(200);
    let sent = prepays(&stack, &number);
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]));
}

#[tokio::test]
async fn money_is_frozen_only_where_the_stack_says_so() {
    let mut stack = TestStack::with(|options| {
        let on = ("ProfitSharing".to_owned(), "on".to_owned());
        options.parameters.extend([on]);
    })
    .await;
    let frozen = |number: &str| {
        let mut order = native_order(number, 600);
        order["trade_type"] = json!("jsapi");
        order["payer"] = json!({"openid": ALICE});
        order["settle_info"] = json!({"profit_sharing": true});
        order
    };
    place(&stack, &frozen("frozen-0001")).await.expect(201);
    let first = prepays(&stack, "frozen-0001");
    let sent: Value = serde_json::from_slice(&first[0]).unwrap();
    assert_eq!(sent["settle_info"], json!({"profit_sharing": true}));
    let shown = stack.order("frozen-0001").await;
    assert_eq!(shown["settle_info"], json!({"profit_sharing": true}));
    let mut thawed = frozen("frozen-0001");
    thawed["settle_info"] = json!({"profit_sharing": false});
    let refused = place(&stack, &thawed).await.refused(409, "terms_differ");
    assert_eq!(refused["field"], "settle_info.profit_sharing");

    let off = ("ProfitSharing".to_owned(), "off".to_owned());
    stack.options.parameters.extend([off]);
    let stack = stack.restarted().await;
    let refused = place(&stack, &frozen("frozen-0002")).await;
    let refused = refused.refused(422, "field_not_allowed");
    assert_eq!(refused["field"], "settle_info.profit_sharing");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("ProfitSharing is off"), "{detail}");
    assert!(prepays(&stack, "frozen-0002").is_empty());
    let missing = stack.get(&stack.merchant, "/orders/frozen-0002").await;
    missing.refused(404, "not_found");
    // What was placed before stays what it is, and goes out as it did.
    place(&stack, &frozen("frozen-0001")).await.expect(200);
    assert_eq!(prepays(&stack, "frozen-0001").last(), Some(&first[0]));
}
