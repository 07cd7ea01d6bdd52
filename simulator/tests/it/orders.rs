//! What an order may hold, repeats, and how long ids live.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::Bench;

const JSAPI: &str = "/v3/pay/transactions/jsapi";

fn error(detail: &str, message: &str) -> String {
    format!("{{\"code\":\"PARAM_ERROR\",\"detail\":{detail},\"message\":\"{message}\"}}")
}

#[tokio::test]
async fn schema_fields_are_refused_one_at_a_time_with_the_observed_words() {
    let bench = Bench::new().await;
    let check = async |path: &str, change: Value, expect: String| {
        let mut body = bench.jsapi("ORDER-15", 1);
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            if *value == json!("REMOVED") {
                parent.remove(name);
            } else {
                parent.insert(name.to_owned(), value.clone());
            }
        }
        let answer = bench.client.post(path, &body).await;
        assert_eq!(answer.status, 400, "{change}");
        assert_eq!(answer.text(), expect, "{change}");
        assert!(answer.is_unsigned());
        assert!(!bench.last_request().await["explanation"].is_null());
    };
    let regex = "^[0-9a-zA-Z_\\\\-\\\\|\\\\*]+$";
    let cases = [
        (
            json!({"/out_trade_no": "1"}),
            "{\"location\":\"body\",\"value\":1}",
            "输入源“/body/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，字节数 1，小于最小值 6".to_owned(),
        ),
        (
            json!({"/out_trade_no": "a".repeat(33)}),
            "{\"location\":\"body\",\"value\":33}",
            "输入源“/body/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，字节数 33，大于最大值 32".to_owned(),
        ),
        (
            json!({"/out_trade_no": "订单号"}),
            "{\"location\":\"body\",\"value\":\"订单号\"}",
            format!("输入源“/body/out_trade_no”映射到值字段“商户订单号”字符串规则校验失败，字符串必须匹配正则表达式“{regex}”"),
        ),
        (
            json!({"/appid": ""}),
            "{\"location\":\"body\",\"value\":0}",
            "输入源“/body/appid”映射到值字段“商户appid”字符串规则校验失败，字符数 0，小于最小值 1".to_owned(),
        ),
        (
            json!({"/payer/openid": 4}),
            "{\"location\":\"body\",\"value\":4}",
            "无法将 JSON 输入源“/body/payer/openid”映射到目标字段“用户标识”中，此字段需要一个 string 类型的 Json 值".to_owned(),
        ),
        (
            json!({"/amount/total": 6910.999}),
            "{\"location\":\"body\",\"value\":6910.999}",
            "无法将 JSON 输入源“/body/amount/total”映射到目标字段“总金额”中，此字段需要一个合法的 64 位有符号整数".to_owned(),
        ),
        (
            json!({"/amount/total": 0}),
            "{\"location\":\"body\",\"value\":0}",
            "输入源“/body/amount/total”映射到数值字段“总金额”规则校验失败，值低于最小值 1".to_owned(),
        ),
        (
            json!({"/payer": "REMOVED"}),
            "{\"location\":\"body\",\"value\":\"\"}",
            "输入源“/body/payer”映射到字段“支付者”必填性规则校验失败，此字段为必填项".to_owned(),
        ),
        (
            json!({"/payer/unionid": "x"}),
            "{\"location\":null,\"value\":[\"/body/payer/unionid\"]}",
            "请求中含有未在API文档中定义的参数".to_owned(),
        ),
        (
            json!({"/time_expire": "20220421191948"}),
            "{\"location\":\"body\",\"value\":\"20220421191948\"}",
            "输入源“/body/time_expire”映射到值字段“交易结束时间”字符串规则校验失败，字符串必须是符合 RFC3339 日期时间格式".to_owned(),
        ),
        (
            json!({"/time_expire": "2030-12-01X10:00:00+08:00"}),
            "{\"location\":\"body\",\"value\":\"2030-12-01X10:00:00+08:00\"}",
            "输入源“/body/time_expire”映射到值字段“交易结束时间”字符串规则校验失败，字符串必须是符合 RFC3339 日期时间格式".to_owned(),
        ),
        // What breaks a rule comes before what no document names.
        (
            json!({"/amount/total": "1", "/payer/unionid": "x", "/extra": 1}),
            "{\"location\":\"body\",\"value\":\"1\"}",
            "无法将 JSON 输入源“/body/amount/total”映射到目标字段“总金额”中，此字段需要一个合法的 64 位有符号整数".to_owned(),
        ),
        (
            json!({"/extra": 1, "/amount": "REMOVED"}),
            "{\"location\":\"body\",\"value\":\"\"}",
            "输入源“/body/amount”映射到字段“订单金额信息”必填性规则校验失败，此字段为必填项".to_owned(),
        ),
        (
            json!({"/attach": null}),
            "{\"location\":\"body\",\"value\":null}",
            "无法将 JSON 输入源“/body/attach”映射到目标字段“附加数据”中，此字段需要一个 string 类型的 Json 值".to_owned(),
        ),
    ];
    for (change, detail, message) in cases {
        check(JSAPI, change, error(detail, &message)).await;
    }
    // The captured body of an empty notify_url, 297 bytes to the letter.
    let captured = "{\"code\":\"PARAM_ERROR\",\"detail\":{\"location\":\"body\",\"value\":\"\"},\"message\":\"输入源“/body/notify_url”映射到值字段“通知地址”字符串规则校验失败，字符串必须匹配正则表达式“^https?://([^\\\\s/?#\\\\[\\\\]\\\\@]+\\\\@)?([^\\\\s/?#\\\\@:]+)(?::\\\\d{2,5})?([^\\\\s?#\\\\[\\\\]]*)$”\"}";
    assert_eq!(captured.len(), 297);
    check(JSAPI, json!({"/notify_url": ""}), captured.to_owned()).await;
    let notify_with_query = json!({"/notify_url": "https://example.com/n?a=1"});
    let refused = captured.replace("\"value\":\"\"", "\"value\":\"https://example.com/n?a=1\"");
    check(JSAPI, notify_with_query, refused).await;
    // A payer's openid belongs to JSAPI orders only, a scene to H5 orders.
    let undefined = error(
        "{\"location\":null,\"value\":[\"/body/payer/openid\"]}",
        "请求中含有未在API文档中定义的参数",
    );
    check("/v3/pay/transactions/native", json!({}), undefined).await;
    let scene = error(
        "{\"location\":\"body\",\"value\":\"\"}",
        "输入源“/body/scene_info”映射到字段“场景信息”必填性规则校验失败，此字段为必填项",
    );
    check(
        "/v3/pay/transactions/h5",
        json!({"/payer": "REMOVED"}),
        scene,
    )
    .await;
}

#[tokio::test]
async fn schema_every_documented_field_is_accepted() {
    let bench = Bench::new().await;
    let mut body = bench.jsapi("ORDER|15*all", 528_800);
    let extra = json!({
        "time_expire": "2030-06-08T10:34:56+08:00",
        "attach": "自定义,数据",
        "goods_tag": "WXG",
        "limit_pay": ["no_credit"],
        "support_fapiao": true,
        "detail": {
            "cost_price": 608_800,
            "invoice_id": "微信123",
            "goods_detail": [{
                "merchant_goods_id": "1246464644",
                "wechatpay_goods_id": "1001",
                "goods_name": "iPhoneX 256G",
                "quantity": 1,
                "unit_price": 528_800,
            }],
        },
        "scene_info": {
            "payer_client_ip": "14.23.150.211",
            "device_id": "013467007045764",
            "store_info": {"id": "0001", "name": "腾讯大厦", "area_code": "440305", "address": "深南大道"},
        },
        "settle_info": {"profit_sharing": false},
        "subsidy_info": {"subsidy_detail": [{
            "subsidy_period_type": "PERIOD",
            "subsidy_plan": [{"subsidy_installment_num": 6, "subsidy_percent": 100}],
        }]},
    });
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = bench.client.post(JSAPI, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER%7C15*all?mchid={mchid}");
    let found = bench.client.get(&target).await;
    assert_eq!(found.json()["scene_info"]["device_id"], "013467007045764");
}

#[tokio::test]
async fn bindings_foreign_apps_and_closed_products_are_refused() {
    let bench = Bench::new().await;
    let mut body = bench.jsapi("ORDER-16", 1);
    body["appid"] = json!("wx0000000000000000");
    let answer = bench.client.post(JSAPI, &body).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "APPID_MCHID_NOT_MATCH")
    );
    assert_eq!(answer.json()["message"], "appid和mch_id不匹配");
    assert!(answer.is_signed());
    let mchid = bench.client.file.mchid.clone();
    bench
        .control(
            &format!("/_sim/merchants/{mchid}"),
            json!({"products": ["native"]}),
        )
        .await;
    let answer = bench.client.post(JSAPI, &bench.jsapi("ORDER-16", 1)).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "NO_AUTH"));
    // An openid that came from a login belongs to the app of that login.
    bench
        .control(
            &format!("/_sim/merchants/{mchid}"),
            json!({"products": ["jsapi"]}),
        )
        .await;
    let codes = bench
        .control("/_sim/codes", json!({"appid": "wxanother"}))
        .await;
    let mut body = bench.jsapi("ORDER-16", 1);
    body["payer"]["openid"] = codes["openid"].clone();
    let answer = bench.client.post(JSAPI, &body).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "PARAM_ERROR")
    );
    assert_eq!(answer.json()["message"], "appid与openid不匹配");
}

#[tokio::test]
async fn repeats_a_number_keeps_its_first_parameters() {
    let bench = Bench::new().await;
    let body = bench.jsapi("ORDER-17", 100);
    let first = bench.client.post(JSAPI, &body).await.json();
    let again = bench.client.post(JSAPI, &body).await;
    assert_eq!(again.status, 200);
    assert_ne!(again.json()["prepay_id"], first["prepay_id"]);
    bench.knob("repeat_same_prepay", json!(true)).await;
    let newest = bench.client.post(JSAPI, &body).await.json();
    assert_eq!(newest["prepay_id"], again.json()["prepay_id"]);

    let refuse = async |body: &Value, path: &str, status: u16, code: &str, message: &str| {
        let answer = bench.client.post(path, body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["message"], message);
        assert!(answer.is_signed());
    };
    let reentry = "请求重入时，参数与首次请求时不一致";
    for (name, value) in [
        ("description", json!("茶")),
        ("attach", json!("new")),
        ("amount", json!({"total": 101, "currency": "CNY"})),
        ("payer", json!({"openid": "another"})),
        ("time_expire", json!("2030-01-01T00:00:00+08:00")),
    ] {
        let mut other = body.clone();
        other[name] = value;
        refuse(&other, JSAPI, 400, "INVALID_REQUEST", reentry).await;
        let explanation = bench.last_request().await["explanation"].clone();
        assert!(
            explanation.as_str().unwrap().contains(name),
            "{explanation}"
        );
    }
    bench.knob("reentry_code", json!("PARAM_ERROR")).await;
    let mut other = body.clone();
    other["description"] = json!("茶");
    refuse(&other, JSAPI, 400, "PARAM_ERROR", reentry).await;
    let native = bench.native("ORDER-17", 100);
    let path = "/v3/pay/transactions/native";
    refuse(&native, path, 403, "OUT_TRADE_NO_USED", "商户订单号重复").await;
    bench.knob("other_trade_type_used", json!(false)).await;
    refuse(&native, path, 400, "PARAM_ERROR", reentry).await;

    bench.control("/_sim/orders/ORDER-17/pay", json!({})).await;
    refuse(&body, JSAPI, 400, "ORDERPAID", "该订单已支付").await;
    bench.knob("order_paid_code", json!("ORDER_PAID")).await;
    refuse(&body, JSAPI, 400, "ORDER_PAID", "该订单已支付").await;
    let closed = bench.jsapi("ORDER-17-closed", 1);
    bench.client.post(JSAPI, &closed).await;
    let mchid = &bench.client.file.mchid;
    let close = "/v3/pay/transactions/out-trade-no/ORDER-17-closed/close";
    assert_eq!(
        bench
            .client
            .post(close, &json!({"mchid": mchid}))
            .await
            .status,
        204
    );
    refuse(&closed, JSAPI, 400, "ORDER_CLOSED", "订单已关闭").await;
}

#[tokio::test]
async fn repeats_a_new_native_code_kills_the_old_one() {
    let bench = Bench::new().await;
    let body = bench.native("ORDER-17-native", 5);
    let path = "/v3/pay/transactions/native";
    let old = bench.client.post(path, &body).await.json()["code_url"].clone();
    assert!(
        old.as_str()
            .unwrap()
            .starts_with("weixin://wxpay/bizpayurl?pr=")
    );
    let new = bench.client.post(path, &body).await.json()["code_url"].clone();
    let pay = "/_sim/orders/ORDER-17-native/pay";
    let (status, answer) = bench.control_raw(pay, json!({"code_url": old})).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (409, Some("CODE_REPLACED"))
    );
    bench.control(pay, json!({"code_url": new})).await;
}

#[tokio::test]
async fn lifetimes_an_order_stays_open_as_long_as_time_expire_lets_it_be_paid() {
    let bench = Bench::new().await;
    let business = bench.seen("/_sim/clock").await["business_time"].clone();
    let business = OffsetDateTime::parse(business.as_str().unwrap(), &Rfc3339).unwrap();
    let expire = business + time::Duration::days(10);
    let mut long = bench.jsapi("ORDER-18-long", 1);
    long["time_expire"] = json!(expire.format(&Rfc3339).unwrap());
    assert_eq!(bench.client.post(JSAPI, &long).await.status, 200);
    bench.order("ORDER-18-usual", 1).await;
    let state = async |number: &str| bench.query(number).await.json()["trade_state"].clone();
    bench.advance(8 * 86_400).await;
    assert_eq!(state("ORDER-18-usual").await, "CLOSED");
    assert_eq!(state("ORDER-18-long").await, "NOTPAY");
    let again = bench.client.post(JSAPI, &long).await;
    assert_eq!(again.status, 200, "a fresh id: {}", again.text());
    bench.advance(2 * 86_400).await;
    assert_eq!(state("ORDER-18-long").await, "CLOSED");
}

#[tokio::test]
async fn lifetimes_ids_expire_and_orders_close_by_themselves() {
    let bench = Bench::new().await;
    let prepay_id = bench.order("ORDER-18", 1).await;
    let h5 = bench.h5("ORDER-18-h5", 1);
    let h5_url = bench
        .client
        .post("/v3/pay/transactions/h5", &h5)
        .await
        .json()["h5_url"]
        .clone();
    assert!(
        h5_url
            .as_str()
            .unwrap()
            .starts_with("https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx")
    );
    bench.advance(301).await;
    let expired = async |number: &str, body: Value, code: &str| {
        let path = format!("/_sim/orders/{number}/pay");
        let (status, answer) = bench.control_raw(&path, body).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (409, Some(code)),
            "{answer}"
        );
    };
    expired("ORDER-18-h5", json!({"h5_url": h5_url}), "PREPAY_EXPIRED").await;
    bench.advance(7_200).await;
    expired(
        "ORDER-18",
        json!({"prepay_id": prepay_id}),
        "PREPAY_EXPIRED",
    )
    .await;
    let fresh = bench.order("ORDER-18", 1).await;
    bench
        .control("/_sim/orders/ORDER-18/pay", json!({"prepay_id": fresh}))
        .await;

    // time_expire: at least a minute, at most 7 or 15 days; it ends paying, not the order.
    let short = |number: &str, native: bool, time: &str| {
        let mut body = if native {
            bench.native(number, 1)
        } else {
            bench.jsapi(number, 1)
        };
        body["time_expire"] = json!(time);
        body
    };
    let past = short("ORDER-18-past", false, "2018-06-08T10:34:56+08:00");
    assert_eq!(bench.client.post(JSAPI, &past).await.status, 200);
    bench.advance(61).await;
    expired("ORDER-18-past", json!({}), "TIME_EXPIRED").await;
    assert_eq!(
        bench.query("ORDER-18-past").await.json()["trade_state"],
        "NOTPAY"
    );
    let far = "2200-01-01T00:00:00+08:00";
    let native = short("ORDER-18-native", true, far);
    bench
        .client
        .post("/v3/pay/transactions/native", &native)
        .await;
    bench
        .client
        .post(JSAPI, &short("ORDER-18-far", false, far))
        .await;
    let day = |number: &str| format!("/_sim/orders/{number}");
    let created = bench.seen("/_sim/clock").await["business_time"]
        .as_str()
        .unwrap()
        .to_owned();
    for (number, days) in [("ORDER-18-native", 7), ("ORDER-18-far", 15)] {
        let until = bench.seen(&day(number)).await["payable_until"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(days_between(&created, &until), days, "{number}");
    }
    bench.advance(7 * 86_400).await;
    for number in ["ORDER-18-past", "ORDER-18-native", "ORDER-18-h5"] {
        assert_eq!(
            bench.query(number).await.json()["trade_state"],
            "CLOSED",
            "{number}"
        );
    }
}

fn days_between(from: &str, until: &str) -> i64 {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let parse = |text: &str| {
        OffsetDateTime::parse(text, &Rfc3339)
            .unwrap()
            .unix_timestamp()
    };
    ((parse(until) - parse(from)) as f64 / 86_400.0).round() as i64
}

#[tokio::test]
async fn a_scene_names_a_real_address_and_a_known_kind_of_page() {
    let bench = Bench::new().await;
    let h5 = "/v3/pay/transactions/h5";
    for (number, member, value, expect) in [
        ("SCENE-1", "payer_client_ip", json!("not an address"), 400),
        ("SCENE-2", "payer_client_ip", json!("300.1.1.1"), 400),
        ("SCENE-3", "payer_client_ip", json!("2001:db8::7"), 200),
        ("SCENE-4", "h5_info", json!({"type": "bogus"}), 400),
        ("SCENE-5", "h5_info", json!({"type": "iOS"}), 200),
        ("SCENE-6", "h5_info", json!({"type": "Android"}), 200),
    ] {
        let mut body = bench.h5(number, 1);
        body["scene_info"][member] = value;
        let answer = bench.client.post(h5, &body).await;
        assert_eq!(answer.status, expect, "{number}: {}", answer.text());
        if expect == 400 {
            assert_eq!(answer.code(), "PARAM_ERROR");
            let explanation = bench.last_request().await["explanation"].clone();
            assert!(explanation.as_str().unwrap().contains(member));
        }
    }
    let mut body = bench.native("SCENE-7", 1);
    body["scene_info"] = json!({"payer_client_ip": "localhost"});
    let native = "/v3/pay/transactions/native";
    assert_eq!(bench.client.post(native, &body).await.status, 400);

    // A loopback address is taken with the order; the H5 cashier turns the payer away when asked to.
    bench.knob("h5_loopback_fails", json!(true)).await;
    let mut body = bench.h5("SCENE-loopback", 1);
    body["scene_info"]["payer_client_ip"] = json!("127.0.0.1");
    assert_eq!(bench.client.post(h5, &body).await.status, 200);
    let pay = "/_sim/orders/SCENE-loopback/pay";
    let (status, answer) = bench.control_raw(pay, json!({})).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (409, Some("BAD_CLIENT_IP")),
        "{answer}"
    );
    // Where the payer's browser runs on this machine there is no other address to send.
    bench.knob("h5_loopback_fails", json!(false)).await;
    assert_eq!(bench.control_raw(pay, json!({})).await.0, 200);
}

#[tokio::test]
async fn a_value_outside_a_documented_list_is_refused_and_the_list_named() {
    let bench = Bench::new().await;
    let plan = |number: Value, percent: Value| {
        json!({"subsidy_detail": [{
            "subsidy_period_type": "DAILY",
            "subsidy_plan": [{"subsidy_installment_num": number, "subsidy_percent": percent}],
        }]})
    };
    let identity = json!({"openid": "oPayer", "identity": {"type": "STUDENT_CARD", "number": "x", "name": "y"}});
    for (member, value, named) in [
        ("limit_pay", json!(["no_credit", "no_coins"]), "no_debit"),
        ("payer", identity, "IDCARD"),
        ("subsidy_info", plan(json!(5), json!(100)), "[3, 6, 12]"),
        ("subsidy_info", plan(json!(6), json!(50)), "[0, 100]"),
    ] {
        let mut body = bench.jsapi("ORDER-list", 1);
        body[member] = value;
        let answer = bench.client.post(JSAPI, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "PARAM_ERROR"),
            "{body}"
        );
        assert_eq!(answer.json()["message"], "参数错误");
        let explanation = bench.last_request().await["explanation"].clone();
        assert!(
            explanation.as_str().unwrap().contains(named),
            "{explanation}"
        );
    }
}

#[tokio::test]
async fn a_payer_may_be_identified_whatever_the_trade_type() {
    let bench = Bench::new().await;
    for (path, mut body) in [
        ("native", bench.native("ORDER-identity-native", 1)),
        ("app", bench.native("ORDER-identity-app", 1)),
        ("h5", bench.h5("ORDER-identity-h5", 1)),
    ] {
        body["payer"] =
            json!({"identity": {"type": "IDCARD", "number": "c2VhbGVk", "name": "c2VhbGVk"}});
        let path = format!("/v3/pay/transactions/{path}");
        // What is sealed needs the name of the key that sealed it.
        let answer = bench.client.post(&path, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(
            answer.text().contains("Wechatpay-Serial"),
            "{}",
            answer.text()
        );
        body["payer"] = json!({});
        let answer = bench.client.post(&path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn closing_without_mchid_is_refused_as_captured() {
    let bench = Bench::new().await;
    bench
        .client
        .post(JSAPI, &bench.jsapi("ORDER-close", 1))
        .await;
    let close = "/v3/pay/transactions/out-trade-no/ORDER-close/close";
    for body in [json!({}), json!({"mch_id": "1900000109"})] {
        let answer = bench.client.post(close, &body).await;
        let captured = error(
            "{\"location\":\"uri_template\",\"value\":\"\"}",
            "输入源“/uri_template/mchid”映射到字段“直连商户号”必填性规则校验失败，此字段为必填项",
        );
        assert_eq!((answer.status, answer.text()), (400, captured), "{body}");
    }
}
