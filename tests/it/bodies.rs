//! What callers send: bodies, numbers and keys that are not as they should be.
//!
//! A case is one line. Every one is answered with a problem document of a stable code, over HTTP and in
//! process alike, writes nothing and asks WeChat Pay nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::doors::Request;
use crate::harness::{ALICE, TestStack, native_order};

/// The status of a case, its code, the field that is named ("" for none), and what is sent.
type Case = (u16, &'static str, &'static str, String);

/// `status code "field" body;`, a case a line.
macro_rules! cases {
    ($($status:literal $code:ident $field:literal $body:expr;)*) => {
        vec![$(($status, stringify!($code), $field, ($body).to_string())),*]
    };
}

/// One request after the other, each refused as it says at both doors, none with an effect.
async fn all_refused(
    stack: &TestStack,
    credential: &str,
    path: &str,
    headers: &[(&str, &str)],
    cases: &[Case],
) {
    let mut wrong = Vec::new();
    let books = stack.books();
    for (status, code, field, body) in cases {
        let mut request = Request::new(Method::POST, path)
            .by(credential)
            .body(body.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let (answer, faults) = stack.attacked(&request).await;
        let told = (
            answer.status,
            answer.body["code"].as_str().unwrap_or_default(),
            answer.body["field"].as_str().unwrap_or_default(),
        );
        let shown: String = body.chars().take(120).collect();
        if told != (*status, *code, *field) {
            wrong.push(format!(
                "{shown}\n    {status} {code} {field:?}, not {}",
                answer.body
            ));
        }
        if answer.content_type != "application/problem+json" {
            wrong.push(format!("{shown}\n    is {}", answer.content_type));
        }
        wrong.extend(faults.iter().map(|fault| format!("{shown}\n    {fault}")));
    }
    assert!(wrong.is_empty(), "{path}\n{}", wrong.join("\n"));
    assert_eq!(stack.books(), books, "{path}: something had an effect");
}

/// What is no JSON object at all, whatever the route.
fn no_objects(good: &str) -> Vec<Case> {
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    cases! {
        400 malformed_json "" "";
        400 malformed_json "" "{";
        400 malformed_json "" "not JSON";
        400 malformed_json "" "{'code': 1}";
        400 malformed_json "" good.replacen('{', "{/* */", 1);
        400 malformed_json "" format!("{good}x");
        400 malformed_json "" format!("{good}{good}");
        400 malformed_json "" format!("\u{feff}{good}");
        400 malformed_json "" good.replacen(':', ":NaN,\"a\":", 1);
        400 malformed_json "" good.replacen(':', ":1e400,\"a\":", 1);
        400 malformed_json "" &good[..good.len() - 1];
        422 invalid_value "" "null";
        422 invalid_value "" "1";
        422 invalid_value "" "\"text\"";
        422 invalid_value "" "[]";
        422 invalid_value "" format!("[{good}]");
        422 invalid_value "" deep(30_000);
        422 unknown_field "a" good.replacen('{', &format!("{{\"a\":{},", deep(20_000)), 1);
        422 unknown_field "a" good.replacen('{', "{\"a\":1,", 1);
        422 unknown_field "" good.replacen('{', "{\"\":1,", 1);
        413 body_too_large "" format!("{good}{}", " ".repeat(64 * 1024));
    }
}

fn of(body: &Value, changes: &[(&str, Value)]) -> String {
    let mut body = body.clone();
    for (name, value) in changes {
        body[*name] = value.clone();
    }
    body.to_string()
}

/// A body with one member written in this very way.
fn raw(body: &Value, name: &str, text: &str) -> String {
    let mut body = body.clone();
    body[name] = json!("RAW");
    body.to_string().replace("\"RAW\"", text)
}

fn bought() -> Value {
    json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 2}]})
}

fn item(sku: Value, quantity: &str) -> String {
    format!("{{\"trade_type\":\"jsapi\",\"items\":[{{\"sku\":{sku},\"quantity\":{quantity}}}]}}")
}

const KEY: [(&str, &str); 1] = [("idempotency-key", "key-0000000000001")];

#[tokio::test]
async fn a_payer_orders_articles_and_decides_nothing_else() {
    let stack = TestStack::start().await;
    stack.put_article("dear", 1_000_000_000, true);
    stack.put_article("dearer", 999_999_999, true);
    let alice = stack.login(ALICE).await;
    let good = bought();
    all_refused(
        &stack,
        &alice,
        "/orders",
        &KEY,
        &no_objects(&good.to_string()),
    )
    .await;
    let lines = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|place| json!({"sku": format!("sku-{place}"), "quantity": 1}))
            .collect()
    };
    let cases = cases! {
        // What the server decides.
        422 field_not_allowed "amount" of(&good, &[("amount", json!({"total": 1}))]);
        422 field_not_allowed "payer" of(&good, &[("payer", json!({"openid": ALICE}))]);
        422 field_not_allowed "out_trade_no" of(&good, &[("out_trade_no", json!("mine-00001"))]);
        422 field_not_allowed "description" of(&good, &[("description", json!("Free"))]);
        422 field_not_allowed "time_expire" of(&good, &[("time_expire", json!("2099-01-01T00:00:00Z"))]);
        422 field_not_allowed "scene_info" of(&good, &[("scene_info", json!({"payer_client_ip": "1.2.3.4"}))]);
        422 field_not_allowed "goods_tag" of(&good, &[("goods_tag", json!("WXG"))]);
        422 field_not_allowed "support_fapiao" of(&good, &[("support_fapiao", json!(false))]);
        422 field_not_allowed "limit_pay" of(&good, &[("limit_pay", json!(["no_credit"]))]);
        422 field_not_allowed "detail" of(&good, &[("detail", json!({"cost_price": 1}))]);
        422 field_not_allowed "settle_info" of(&good, &[("settle_info", json!({"profit_sharing": true}))]);
        422 unknown_field "openid" of(&good, &[("openid", json!(ALICE))]);
        422 unknown_field "total" of(&good, &[("total", json!(1))]);
        422 unknown_field "total_fee" of(&good, &[("total_fee", json!(1))]);
        422 unknown_field "price" of(&good, &[("price", json!(1))]);
        422 unknown_field "discount" of(&good, &[("discount", json!(100))]);
        422 unknown_field "notify_url" of(&good, &[("notify_url", json!("http://169.254.169.254/"))]);
        422 unknown_field "mchid" of(&good, &[("mchid", json!("1900009999"))]);
        422 unknown_field "appid" of(&good, &[("appid", json!("wx0000000000000000"))]);
        422 unknown_field "trade_state" of(&good, &[("trade_state", json!("SUCCESS"))]);
        422 unknown_field "items[0].price" of(&good, &[("items", json!([{"sku": "tea", "quantity": 1, "price": 1}]))]);
        422 unknown_field "Items" of(&good, &[("Items", json!([]))]);
        // Kinds.
        422 invalid_value "trade_type" of(&good, &[("trade_type", json!(1))]);
        422 invalid_value "trade_type" of(&good, &[("trade_type", json!("JSAPI"))]);
        422 invalid_value "trade_type" of(&good, &[("trade_type", json!("micropay"))]);
        422 invalid_value "trade_type" of(&good, &[("trade_type", json!(""))]);
        422 invalid_value "trade_type" of(&good, &[("trade_type", Value::Null)]);
        422 invalid_value "items" of(&good, &[("items", json!({}))]);
        422 invalid_value "items" of(&good, &[("items", json!("tea"))]);
        422 invalid_value "items" of(&good, &[("items", Value::Null)]);
        422 invalid_value "items" of(&good, &[("items", json!([]))]);
        422 invalid_value "items" of(&good, &[("items", json!(lines(51)))]);
        422 invalid_value "items[0]" of(&good, &[("items", json!([1]))]);
        422 invalid_value "items[0]" of(&good, &[("items", json!([["tea", 1]]))]);
        422 invalid_value "items[0]" of(&good, &[("items", json!([null]))]);
        422 invalid_value "items[0].sku" of(&good, &[("items", json!([{"quantity": 1}]))]);
        422 invalid_value "items[0].quantity" of(&good, &[("items", json!([{"sku": "tea"}]))]);
        422 invalid_value "attach" of(&good, &[("attach", json!(7))]);
        422 invalid_value "attach" of(&good, &[("attach", json!(""))]);
        422 invalid_value "attach" of(&good, &[("attach", json!("a\nb"))]);
        422 invalid_value "attach" of(&good, &[("attach", json!("a".repeat(129)))]);
        422 invalid_value "attach" of(&good, &[("attach", json!("茶".repeat(43)))]);
        // The same member twice: whoever reads the first and whoever reads the last must not differ.
        422 invalid_value "" good.to_string().replacen('{', "{\"trade_type\":\"native\",", 1);
        422 invalid_value "" good.to_string().replacen('{', "{\"items\":[],", 1);
        422 invalid_value "items[0]" item(json!("tea"), "1,\"quantity\":2");
        // Quantities.
        422 invalid_value "items" item(json!("tea"), "0");
        422 invalid_value "items" item(json!("tea"), "10000");
        422 invalid_value "items" item(json!("tea"), "4294967295");
        422 invalid_value "items[0].quantity" item(json!("tea"), "-1");
        422 invalid_value "items[0].quantity" item(json!("tea"), "-0");
        422 invalid_value "items[0].quantity" item(json!("tea"), "1.5");
        422 invalid_value "items[0].quantity" item(json!("tea"), "1.0");
        422 invalid_value "items[0].quantity" item(json!("tea"), "1e0");
        422 invalid_value "items[0].quantity" item(json!("tea"), "\"1\"");
        422 invalid_value "items[0].quantity" item(json!("tea"), "true");
        422 invalid_value "items[0].quantity" item(json!("tea"), "null");
        422 invalid_value "items[0].quantity" item(json!("tea"), "[1]");
        422 invalid_value "items[0].quantity" item(json!("tea"), "4294967296");
        422 invalid_value "items[0].quantity" item(json!("tea"), "4294967297");
        422 invalid_value "items[0].quantity" item(json!("tea"), "18446744073709551617");
        422 invalid_value "items[0].quantity" item(json!("tea"), "1e30");
        // Articles.
        422 invalid_value "items[0].sku" item(json!(1), "1");
        422 invalid_value "items[0].sku" item(json!({"S": "tea"}), "1");
        422 invalid_value "items" item(json!(""), "1");
        422 invalid_value "items" item(json!("tea#ORDER"), "1");
        422 invalid_value "items" item(json!("../tea"), "1");
        422 invalid_value "items" item(json!("tea "), "1");
        422 invalid_value "items" item(json!("茶"), "1");
        422 invalid_value "items" item(json!("a".repeat(65)), "1");
        422 invalid_value "items" of(&good, &[("items", json!([{"sku": "tea", "quantity": 1}, {"sku": "tea", "quantity": 1}]))]);
        422 unknown_sku "items" item(json!("nothing"), "1");
        422 unknown_sku "items" item(json!("TEA"), "1");
        422 unknown_sku "items" of(&good, &[("items", json!([{"sku": "tea", "quantity": 1}, {"sku": "gone", "quantity": 1}]))]);
        // Sums beyond every bound, where 32 bits would wrap around to something cheap.
        422 invalid_value "items" item(json!("dear"), "2");
        422 invalid_value "items" item(json!("dear"), "5");
        422 invalid_value "items" item(json!("dear"), "9999");
        422 invalid_value "items" of(&good, &[("items", json!([{"sku": "dear", "quantity": 1}, {"sku": "tea", "quantity": 1}]))]);
        422 invalid_value "items" of(&good, &[("items", json!([{"sku": "dear", "quantity": 1}, {"sku": "dearer", "quantity": 1}]))]);
    };
    all_refused(&stack, &alice, "/orders", &KEY, &cases).await;
    // Right at the bounds it is accepted, and the price is the catalogue's.
    for (place, (items, total)) in [
        (json!([{"sku": "dear", "quantity": 1}]), 1_000_000_000),
        (
            json!([{"sku": "coffee", "quantity": 1}, {"sku": "dearer", "quantity": 1}]),
            1_000_000_000,
        ),
        (json!([{"sku": "tea", "quantity": 9999}]), 2_999_700),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("key-at-the-bound-{place}");
        let body = of(
            &good,
            &[
                ("items", items),
                ("attach", json!("茶".repeat(42))),
                ("amount", Value::Null),
            ],
        );
        let padded = format!("{body}{}", " ".repeat(64 * 1024 - body.len()));
        let placed = stack
            .send_bytes(
                Method::POST,
                "/orders",
                Some(&alice),
                &[("idempotency-key", &key)],
                Some(padded.into_bytes()),
            )
            .await
            .expect(201);
        assert_eq!(placed["amount"]["total"], total);
    }
}

#[tokio::test]
async fn a_payers_order_needs_one_good_key() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let good: Vec<Case> = vec![(
        400,
        "malformed_request",
        "Idempotency-Key",
        bought().to_string(),
    )];
    all_refused(&stack, &alice, "/orders", &[], &good).await;
    let long = "k".repeat(65);
    for key in [
        "",
        "short-0000000000"[..15].trim(),
        &long,
        "key with a blank!",
        "key#0000000000001",
        "key/0000000000001",
        "key.0000000000001",
        "ключ-000000000000001",
    ] {
        all_refused(
            &stack,
            &alice,
            "/orders",
            &[("idempotency-key", key)],
            &good,
        )
        .await;
    }
    let twice = [KEY[0], KEY[0]];
    all_refused(&stack, &alice, "/orders", &twice, &good).await;
    let two = [KEY[0], ("idempotency-key", "key-0000000000002")];
    all_refused(&stack, &alice, "/orders", &two, &good).await;
    for key in ["0123456789abcdef", &"K".repeat(64), "key_0000-0000_0001"] {
        stack
            .post_once(&alice, "/orders", key, bought())
            .await
            .expect(201);
    }
}

#[tokio::test]
async fn a_merchant_names_number_description_and_amount_and_each_is_checked() {
    let stack = TestStack::start().await;
    let merchant = stack.merchant.clone();
    let good = native_order("bodies-0001", 100);
    let jsapi = json!({"trade_type": "jsapi", "out_trade_no": "bodies-0001", "description": "Tea", "amount": {"total": 100}});
    let h5 = of(&good, &[("trade_type", json!("h5"))]);
    let h5: Value = serde_json::from_str(&h5).unwrap();
    let amount = |text: &str| raw(&good, "amount", text);
    let goods = |change: Value| {
        let mut goods = json!({"merchant_goods_id": "tea", "quantity": 1, "unit_price": 300});
        for (name, value) in change.as_object().unwrap() {
            goods[name] = value.clone();
        }
        of(&good, &[("detail", json!({"goods_detail": [goods]}))])
    };
    all_refused(
        &stack,
        &merchant,
        "/orders",
        &[],
        &no_objects(&good.to_string()),
    )
    .await;
    let cases = cases! {
        422 field_not_allowed "items" of(&good, &[("items", json!([{"sku": "tea", "quantity": 1}]))]);
        422 unknown_field "notify_url" of(&good, &[("notify_url", json!("http://169.254.169.254/"))]);
        422 unknown_field "mchid" of(&good, &[("mchid", json!("1900009999"))]);
        422 unknown_field "profit_sharing" of(&good, &[("profit_sharing", json!(true))]);
        422 unknown_field "amount.payer_total" amount("{\"total\":100,\"payer_total\":1}");
        422 invalid_value "amount.total" of(&good, &[("amount", Value::Null)]);
        422 invalid_value "amount.total" amount("{}");
        422 invalid_value "amount" amount("100");
        422 invalid_value "amount" amount("[100,\"CNY\"]");
        422 invalid_value "amount.total" amount("{\"total\":0}");
        422 invalid_value "amount.total" amount("{\"total\":-1}");
        422 invalid_value "amount.total" amount("{\"total\":1000000001}");
        422 invalid_value "amount.total" amount("{\"total\":4294967297}");
        422 invalid_value "amount.total" amount("{\"total\":9007199254740993}");
        422 invalid_value "amount.total" amount("{\"total\":9223372036854775807}");
        422 invalid_value "amount.total" amount("{\"total\":9223372036854775808}");
        422 invalid_value "amount.total" amount("{\"total\":100.0}");
        422 invalid_value "amount.total" amount("{\"total\":1e2}");
        422 invalid_value "amount.total" amount("{\"total\":\"100\"}");
        422 invalid_value "amount.total" amount("{\"total\":null}");
        422 invalid_value "amount.total" amount("{\"total\":true}");
        422 invalid_value "amount" amount("{\"total\":100,\"total\":1}");
        422 invalid_value "amount.currency" amount("{\"total\":100,\"currency\":\"USD\"}");
        422 invalid_value "amount.currency" amount("{\"total\":100,\"currency\":\"cny\"}");
        422 invalid_value "amount.currency" amount("{\"total\":100,\"currency\":156}");
        422 invalid_value "description" of(&good, &[("description", Value::Null)]);
        422 invalid_value "description" of(&good, &[("description", json!(""))]);
        422 invalid_value "description" of(&good, &[("description", json!("a".repeat(128)))]);
        422 invalid_value "description" of(&good, &[("description", json!("\u{0}"))]);
        422 invalid_value "description" of(&good, &[("description", json!(["Tea"]))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", Value::Null)]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!(""))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("short"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("n".repeat(33)))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("number|1"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("number*1"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("a/../close"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("A/close?mchid=1"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("number#1"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("number 1"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("number-１"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!("number\n1"))]);
        422 invalid_value "out_trade_no" of(&good, &[("out_trade_no", json!(1_234_567))]);
        422 invalid_value "payer.openid" jsapi;
        422 invalid_value "payer.openid" of(&jsapi, &[("payer", json!({"openid": ""}))]);
        422 invalid_value "payer.openid" of(&jsapi, &[("payer", json!({"openid": "a b"}))]);
        422 invalid_value "payer.openid" of(&jsapi, &[("payer", json!({"openid": "o".repeat(129)}))]);
        422 invalid_value "payer.openid" of(&jsapi, &[("payer", json!({}))]);
        422 invalid_value "payer" of(&jsapi, &[("payer", json!("o"))]);
        422 unknown_field "payer.identity" of(&jsapi, &[("payer", json!({"openid": "o", "identity": {}}))]);
        422 invalid_value "payer.openid" of(&good, &[("payer", json!({"openid": "o"}))]);
        422 invalid_value "time_expire" of(&good, &[("time_expire", json!("2020-01-01T00:00:00+08:00"))]);
        422 invalid_value "time_expire" of(&good, &[("time_expire", json!("2099-01-01T00:00:00+08:00"))]);
        422 invalid_value "time_expire" of(&good, &[("time_expire", json!("tomorrow"))]);
        422 invalid_value "time_expire" of(&good, &[("time_expire", json!("2026-01-01 00:00:00"))]);
        422 invalid_value "time_expire" of(&good, &[("time_expire", json!(1_900_000_000))]);
        422 invalid_value "scene_info" of(&good, &[("scene_info", json!({"payer_client_ip": "1.2.3.4"}))]);
        422 invalid_value "scene_info.payer_client_ip" of(&h5, &[("scene_info", json!({"payer_client_ip": "1.2.3"}))]);
        422 invalid_value "scene_info.payer_client_ip" of(&h5, &[("scene_info", json!({}))]);
        422 invalid_value "goods_tag" of(&good, &[("goods_tag", json!("g".repeat(33)))]);
        422 invalid_value "goods_tag" of(&good, &[("goods_tag", json!(""))]);
        422 invalid_value "support_fapiao" of(&good, &[("support_fapiao", json!("true"))]);
        422 invalid_value "limit_pay" of(&good, &[("limit_pay", json!([]))]);
        422 invalid_value "limit_pay" of(&good, &[("limit_pay", json!("no_credit"))]);
        422 invalid_value "limit_pay" of(&good, &[("limit_pay", json!(["NO_CREDIT"]))]);
        422 invalid_value "limit_pay" of(&good, &[("limit_pay", json!(["no_credit", "no_credit"]))]);
        422 invalid_value "detail" of(&good, &[("detail", json!({}))]);
        422 invalid_value "detail.cost_price" of(&good, &[("detail", json!({"cost_price": -1}))]);
        422 invalid_value "detail.cost_price" of(&good, &[("detail", json!({"cost_price": 1.5}))]);
        422 invalid_value "detail.invoice_id" of(&good, &[("detail", json!({"invoice_id": "i".repeat(33)}))]);
        422 invalid_value "detail.goods_detail" of(&good, &[("detail", json!({"goods_detail": []}))]);
        422 invalid_value "detail.goods_detail" goods(json!({"merchant_goods_id": "a.b"}));
        422 invalid_value "detail.goods_detail" goods(json!({"merchant_goods_id": "g".repeat(33)}));
        422 invalid_value "detail.goods_detail" goods(json!({"goods_name": "n".repeat(257)}));
        422 invalid_value "detail.goods_detail" goods(json!({"wechatpay_goods_id": ""}));
        422 invalid_value "detail.goods_detail[0].quantity" goods(json!({"quantity": 0}));
        422 invalid_value "detail.goods_detail[0].quantity" goods(json!({"quantity": 4_294_967_296_i64}));
        422 invalid_value "detail.goods_detail[0].unit_price" goods(json!({"unit_price": -1}));
        422 invalid_value "detail.goods_detail[0].unit_price" goods(json!({"unit_price": "300"}));
        422 unknown_field "detail.goods_detail[0].price" goods(json!({"price": 300}));
        422 invalid_value "detail" of(&good, &[("detail", json!({"goods_detail": vec![json!({"merchant_goods_id": "g", "quantity": 1, "unit_price": 1}); 200]}))]);
        422 field_not_allowed "settle_info.profit_sharing" of(&good, &[("settle_info", json!({"profit_sharing": true}))]);
        422 invalid_value "settle_info.profit_sharing" of(&good, &[("settle_info", json!({}))]);
        422 unknown_field "settle_info.subsidy_amount" of(&good, &[("settle_info", json!({"profit_sharing": true, "subsidy_amount": 1}))]);
        422 invalid_value "scene_info.store_info.id" of(&good, &[("scene_info", json!({"store_info": {"name": "North Gate"}}))]);
        422 invalid_value "scene_info.store_info.id" of(&good, &[("scene_info", json!({"store_info": {"id": ""}}))]);
        422 invalid_value "scene_info.store_info.address" of(&good, &[("scene_info", json!({"store_info": {"id": "7", "address": "a".repeat(513)}}))]);
        422 invalid_value "scene_info.payer_client_ip" of(&good, &[("scene_info", json!({"payer_client_ip": "here", "store_info": {"id": "7"}}))]);
        422 invalid_value "scene_info" of(&good, &[("scene_info", json!({}))]);
        422 unknown_field "scene_info.device_id" of(&good, &[("scene_info", json!({"device_id": "7", "store_info": {"id": "7"}}))]);
        422 unknown_field "scene_info.h5_info" of(&h5, &[("scene_info", json!({"payer_client_ip": "1.2.3.4", "h5_info": {}}))]);
    };
    all_refused(&stack, &merchant, "/orders", &[], &cases).await;
    stack.post(&merchant, "/orders", good).await.expect(201);
}

#[tokio::test]
async fn what_is_asked_back_is_an_amount_and_little_else() {
    let stack = TestStack::start().await;
    stack.paid("bodies-0002", 1000).await;
    let merchant = stack.merchant.clone();
    let refunds = "/orders/bodies-0002/refunds";
    let good = json!({"out_refund_no": "bodies-r1", "amount": {"refund": 100}});
    let amount = |text: &str| raw(&good, "amount", text);
    all_refused(
        &stack,
        &merchant,
        refunds,
        &[],
        &no_objects(&good.to_string()),
    )
    .await;
    let cases = cases! {
        422 invalid_value "amount" amount("null");
        422 invalid_value "amount" "{}";
        422 invalid_value "amount.refund" amount("{}");
        422 invalid_value "amount" amount("[100]");
        422 invalid_value "amount.refund" amount("{\"refund\":0}");
        422 invalid_value "amount.refund" amount("{\"refund\":-100}");
        422 invalid_value "amount.refund" amount("{\"refund\":100.0}");
        422 invalid_value "amount.refund" amount("{\"refund\":1e2}");
        422 invalid_value "amount.refund" amount("{\"refund\":\"100\"}");
        422 invalid_value "amount.refund" amount("{\"refund\":null}");
        422 invalid_value "amount.refund" amount("{\"refund\":4294967396}");
        422 invalid_value "amount.refund" amount("{\"refund\":18446744073709551716}");
        422 invalid_value "amount" amount("{\"refund\":100,\"refund\":1000}");
        422 invalid_value "amount.currency" amount("{\"refund\":100,\"currency\":\"USD\"}");
        422 unknown_field "amount.total" amount("{\"refund\":100,\"total\":100000}");
        422 unknown_field "amount.from" amount("{\"refund\":100,\"from\":[]}");
        422 unknown_field "funds_account" of(&good, &[("funds_account", json!("AVAILABLE"))]);
        422 unknown_field "notify_url" of(&good, &[("notify_url", json!("http://10.0.0.1/"))]);
        422 unknown_field "transaction_id" of(&good, &[("transaction_id", json!("4200"))]);
        422 unknown_field "user_received_account" of(&good, &[("user_received_account", json!("mine"))]);
        422 invalid_value "reason" of(&good, &[("reason", json!(""))]);
        422 invalid_value "reason" of(&good, &[("reason", json!("a".repeat(81)))]);
        422 invalid_value "reason" of(&good, &[("reason", json!("🍵".repeat(21)))]);
        422 invalid_value "reason" of(&good, &[("reason", json!("a\u{7}"))]);
        422 invalid_value "reason" of(&good, &[("reason", json!(1))]);
        422 invalid_value "out_refund_no" of(&good, &[("out_refund_no", json!(""))]);
        422 invalid_value "out_refund_no" of(&good, &[("out_refund_no", json!("r".repeat(65)))]);
        422 invalid_value "out_refund_no" of(&good, &[("out_refund_no", json!("r#ORDER"))]);
        422 invalid_value "out_refund_no" of(&good, &[("out_refund_no", json!("r/approve"))]);
        422 invalid_value "out_refund_no" of(&good, &[("out_refund_no", json!("r|1"))]);
        422 invalid_value "out_refund_no" of(&good, &[("out_refund_no", json!(["r1"]))]);
        400 malformed_request "Idempotency-Key" json!({"amount": {"refund": 100}});
        409 refund_exceeds "" amount("{\"refund\":1001}");
        409 refund_exceeds "" amount("{\"refund\":1000000000}");
    };
    all_refused(&stack, &merchant, refunds, &[], &cases).await;
    for key in ["", "short", "key#0000000000001"] {
        let case: Vec<Case> = vec![(
            400,
            "malformed_request",
            "Idempotency-Key",
            good.to_string(),
        )];
        all_refused(
            &stack,
            &merchant,
            refunds,
            &[("idempotency-key", key)],
            &case,
        )
        .await;
    }
    let unpaid = cases! { 409 order_not_paid "" good; };
    stack.native("bodies-0003", 1000).await;
    let answer = stack
        .post(&merchant, "/orders/bodies-0003/refunds", good.clone())
        .await;
    answer.refused(unpaid[0].0, unpaid[0].1);
    // A payer may ask, and neither name the number's owner nor decide.
    stack.post(&merchant, refunds, good).await.expect(202);
}

#[tokio::test]
async fn a_close_and_a_decision_take_no_terms() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let merchant = stack.merchant.clone();
    let placed = stack
        .post_once(
            &alice,
            "/orders",
            "key-0000000000001",
            json!({"trade_type": "native", "items": [{"sku": "tea", "quantity": 1}]}),
        )
        .await
        .expect(201);
    let number = placed["out_trade_no"].as_str().unwrap();
    let cases = cases! {
        422 unknown_field "force" json!({"force": true});
        422 unknown_field "mchid" json!({"mchid": "1900009999"});
        422 invalid_value "" "[]";
        422 invalid_value "" "null";
        400 malformed_json "" "{} {}";
        400 malformed_json "" "close";
        400 malformed_json "" " ";
        413 body_too_large "" " ".repeat(64 * 1024 + 1);
    };
    all_refused(
        &stack,
        &merchant,
        &format!("/orders/{number}/close"),
        &[],
        &cases,
    )
    .await;
    stack.pay(number).await;
    stack.until_state(number, "SUCCESS").await;
    let asked = stack
        .asked_back(&alice, number, "key-0000000000002", 100)
        .await;
    let refund = asked["out_refund_no"].as_str().unwrap();
    let refund = format!("/orders/{number}/refunds/{refund}");
    for decision in ["approve", "reject"] {
        all_refused(
            &stack,
            &merchant,
            &format!("{refund}/{decision}"),
            &[],
            &cases,
        )
        .await;
    }
    stack
        .post(&merchant, &format!("{refund}/reject"), json!({}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_login_is_a_fresh_code_and_nothing_else() {
    let stack = TestStack::start().await;
    let code = stack.control("codes", json!({"openid": ALICE})).await["code"].clone();
    let good = json!({"code": code});
    all_refused(&stack, "", "/sessions", &[], &no_objects(&good.to_string())).await;
    let cases = cases! {
        422 invalid_value "code" "{}";
        422 invalid_value "code" json!({"code": null});
        422 invalid_value "code" json!({"code": 1});
        422 invalid_value "code" json!({"code": ""});
        422 invalid_value "code" json!({"code": "a b"});
        422 invalid_value "code" json!({"code": "c".repeat(23)});
        422 invalid_value "code" json!({"code": "c".repeat(65)});
        422 invalid_value "code" json!({"code": "never-issued"});
        422 invalid_value "code" json!({"code": "x&appid=wx0000000000000000000000"});
        422 invalid_value "code" json!({"code": "x%26secret%3Dy%26js_code%3Dz00000"});
        422 invalid_value "code" json!({"code": "a#b00000000000000000000000000000"});
        422 invalid_value "code" json!({"code": "码"});
        422 unknown_field "openid" json!({"code": code, "openid": "oSomebodyElse"});
        422 unknown_field "appid" json!({"code": code, "appid": "wx0000000000000000"});
    };
    all_refused(&stack, "", "/sessions", &[], &cases).await;
    // What has a code's form is for WeChat to judge.
    for made_up in [
        "never-issued_0000000000000000000",
        "neverIssued000000000000000000000",
    ] {
        let asked = stack.wire.requests().len();
        stack
            .send(
                Method::POST,
                "/sessions",
                None,
                &[],
                Some(json!({"code": made_up})),
            )
            .await
            .refused(401, "login_refused");
        let asked = stack.wire.requests().split_off(asked);
        let url = reqwest::Url::parse(&format!("http://wechat{}", asked[0].target)).unwrap();
        let sent: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert_eq!(sent.len(), 4, "{sent:?}");
        assert!(
            sent.contains(&("js_code".to_owned(), made_up.to_owned())),
            "{sent:?}"
        );
    }
    let once = async || {
        stack
            .send(Method::POST, "/sessions", None, &[], Some(good.clone()))
            .await
    };
    let session = once().await.expect(200);
    stack.watch.hide(session["token"].as_str().unwrap());
    once().await.refused(401, "login_refused");
}

/// Bytes that are no UTF-8, wherever they stand.
#[tokio::test]
async fn stray_bytes_are_no_json() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let (books, asked) = (stack.books(), stack.wire.requests().len());
    for body in [
        b"\xff".to_vec(),
        b"{\"trade_type\":\"\xc3\x28\"}".to_vec(),
        b"{\"trade_type\":\"jsapi\",\"attach\":\"\xf0\x28\x8c\x28\"}".to_vec(),
        b"{\"\xff\":1}".to_vec(),
        b"\xff\xfe{\x00}\x00".to_vec(),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec(),
    ] {
        for content_type in ["application/json", "application/octet-stream", "text/plain"] {
            let headers = [KEY[0], ("content-type", content_type)];
            let answer = stack
                .send_bytes(
                    Method::POST,
                    "/orders",
                    Some(&alice),
                    &headers,
                    Some(body.clone()),
                )
                .await;
            answer.refused(400, "malformed_json");
        }
    }
    assert_eq!((stack.books(), stack.wire.requests().len()), (books, asked));
}

#[tokio::test]
async fn an_amount_in_yuan_is_refused_with_the_sentence_that_says_fen() {
    let stack = TestStack::start().await;
    stack.paid("yuan-000001", 2_000).await;
    let order = native_order("yuan-000002", 100);
    let refund = json!({"out_refund_no": "yuan-r1", "amount": {"refund": 1}});
    for (path, body, field) in [
        ("/orders", order, "total"),
        ("/orders/yuan-000001/refunds", refund, "refund"),
    ] {
        for amount in ["12.50", "1e3", "\"1250\"", "\"12.50\""] {
            let amount = format!("{{\"{field}\": {amount}}}");
            let bytes = raw(&body, "amount", &amount).into_bytes();
            let merchant = Some(stack.merchant.as_str());
            let answer = stack
                .send_bytes(Method::POST, path, merchant, &[], Some(bytes))
                .await;
            let refused = answer.refused(422, "invalid_value");
            let detail = refused["detail"].as_str().unwrap();
            assert!(
                detail.ends_with("expected a whole number of fen, such as 1250 for ¥12.50"),
                "{amount}: {detail}"
            );
            assert_eq!(refused["field"], format!("amount.{field}"));
        }
    }
}

/// What is said, word for word: whoever reads it knows what to send instead.
#[tokio::test]
async fn a_refused_value_is_told_as_it_was_sent_with_what_may_be_sent() {
    let stack = TestStack::start().await;
    let alice = stack.login(ALICE).await;
    let order = native_order("words-00001", 100);
    let (payer, merchant) = (alice.as_str(), stack.merchant.as_str());
    let quantity = |text: &str| item(json!("tea"), text);
    let amount = |text: &str| raw(&order, "amount", text);
    for (credential, body, field, detail) in [
        (
            payer,
            quantity("1.5"),
            "items[0].quantity",
            "items[0].quantity: invalid type: floating point `1.5`, expected a whole number, 1 to 9999",
        ),
        (
            payer,
            quantity("-1"),
            "items[0].quantity",
            "items[0].quantity: a quantity must be 1 to 9999, not -1",
        ),
        (
            payer,
            quantity("18446744073709551615"),
            "items[0].quantity",
            "items[0].quantity: a quantity must be 1 to 9999, not 18446744073709551615",
        ),
        (
            payer,
            quantity("10000"),
            "items",
            "a quantity must be 1 to 9999, not 10000",
        ),
        (
            merchant,
            amount("{\"total\":9223372036854775808}"),
            "amount.total",
            "amount.total: an amount must be 1 to 1000000000 fen, not 9223372036854775808",
        ),
        (
            merchant,
            amount("{\"total\":-9223372036854775808}"),
            "amount.total",
            "an amount must be 1 to 1000000000 fen, not -9223372036854775808",
        ),
        (
            merchant,
            amount("{}"),
            "amount.total",
            "amount.total is missing",
        ),
        (
            merchant,
            amount("null"),
            "amount.total",
            "amount.total is missing",
        ),
        (
            merchant,
            "{}".to_owned(),
            "trade_type",
            "trade_type is missing",
        ),
    ] {
        let shown = body.clone();
        let bytes = Some(body.into_bytes());
        let answer = stack
            .send_bytes(Method::POST, "/orders", Some(credential), &KEY, bytes)
            .await;
        let refused = answer.refused(422, "invalid_value");
        assert_eq!(
            json!([refused["field"], refused["detail"]]),
            json!([field, detail]),
            "{shown}"
        );
    }
}
