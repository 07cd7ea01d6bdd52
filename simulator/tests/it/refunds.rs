//! Refunds, their limits, their endings and their accidents.

use serde_json::json;

use crate::support::{Bench, within_a_second};

#[tokio::test]
async fn refunds_a_refund_number_refunds_once_and_limits_hold() {
    let bench = Bench::new().await;
    bench.knob("refund_delay_s", json!(null)).await;
    bench.knob("rate_limits", json!(false)).await;
    bench.paid("ORDER-23", 100).await;
    bench.order("ORDER-23-unpaid", 100).await;
    let first = bench.refund("ORDER-23", "R-23", 40, 100).await;
    assert_eq!(first.status, 200);
    let again = bench.refund("ORDER-23", "R-23", 40, 100).await;
    assert_eq!(first.body, again.body);
    let refused =
        async |order: &str, number: &str, refund, total, status: u16, code: &str, text: &str| {
            let answer = bench.refund(order, number, refund, total).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{}",
                answer.text()
            );
            if !text.is_empty() {
                assert_eq!(answer.json()["message"], text);
            }
        };
    let differs = "订单金额或退款金额与之前请求不一致，请核实后再试";
    refused("ORDER-23", "R-23", 41, 100, 400, "INVALID_REQUEST", differs).await;
    refused("ORDER-23", "R-soon", 1, 100, 429, "FREQUENCY_LIMITED", "").await;
    bench
        .knob("refund_too_soon_code", json!("INVALID_REQUEST"))
        .await;
    refused("ORDER-23", "R-soon", 1, 100, 400, "INVALID_REQUEST", "").await;
    bench.advance(60).await;
    refused("ORDER-23", "R-over", 61, 100, 400, "INVALID_REQUEST", "").await;
    refused(
        "ORDER-23",
        "R-total",
        1,
        99,
        400,
        "INVALID_REQUEST",
        "您的请求参数与订单信息不一致",
    )
    .await;
    let none = "原订单不存在";
    refused(
        "ORDER-23-none",
        "R-x",
        1,
        100,
        404,
        "RESOURCE_NOT_EXISTS",
        none,
    )
    .await;
    refused(
        "ORDER-23-unpaid",
        "R-x",
        1,
        100,
        404,
        "RESOURCE_NOT_EXISTS",
        none,
    )
    .await;
    assert_eq!(
        bench.refund("ORDER-23", "R-rest", 60, 100).await.status,
        200
    );
    bench.advance(60).await;
    refused(
        "ORDER-23",
        "R-more",
        1,
        100,
        400,
        "INVALID_REQUEST",
        "订单已全额退款",
    )
    .await;

    bench.knob("refund_interval_s", json!(0)).await;
    bench.paid("ORDER-23-many", 100).await;
    for index in 0..50 {
        assert_eq!(
            bench
                .refund("ORDER-23-many", &format!("M-{index}"), 1, 100)
                .await
                .status,
            200
        );
    }
    refused("ORDER-23-many", "M-50", 1, 100, 400, "INVALID_REQUEST", "").await;
    bench.paid("ORDER-23-old", 100).await;
    bench.advance(366 * 86_400).await;
    bench
        .knob("refund_overdue_code", json!("TRADE_OVERDUE"))
        .await;
    refused("ORDER-23-old", "R-old", 1, 100, 403, "TRADE_OVERDUE", "").await;

    let mchid = bench.client.file.mchid.clone();
    bench
        .control(
            &format!("/_sim/merchants/{mchid}"),
            json!({"balance_fen": 10}),
        )
        .await;
    bench.paid("ORDER-23-poor", 100).await;
    let short = bench.refund("ORDER-23-poor", "R-poor", 11, 100).await;
    assert_eq!(short.status, 403);
    assert_eq!(
        short.text(),
        "{\"code\":\"NOT_ENOUGH\",\"message\":\"基本账户余额不足，请充值后重新发起\"}"
    );
    assert_eq!(short.body.len(), 85);
    assert!(short.is_signed());
    assert_eq!(
        bench
            .refund("ORDER-23-poor", "R-poor", 10, 100)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn refund_endings_a_refund_starts_processing_and_ends_by_scenario() {
    let bench = Bench::new().await;
    let row = bench.paid("ORDER-24", 10).await;
    let answer = bench.refund("ORDER-24", "R-24", 10, 10).await;
    let refund = answer.json();
    let (id, time) = (
        refund["refund_id"].as_str().unwrap(),
        refund["create_time"].as_str().unwrap(),
    );
    assert_eq!((id.len(), &id[..3]), (29, "503"));
    assert_eq!(
        answer.text(),
        format!(
            "{{\"amount\":{{\"currency\":\"CNY\",\"discount_refund\":0,\"from\":[],\
             \"payer_refund\":10,\"payer_total\":10,\"refund\":10,\"refund_fee\":0,\
             \"settlement_refund\":10,\"settlement_total\":10,\"total\":10}},\
             \"channel\":\"ORIGINAL\",\"create_time\":\"{time}\",\"funds_account\":\"AVAILABLE\",\
             \"out_refund_no\":\"R-24\",\"out_trade_no\":\"ORDER-24\",\"promotion_detail\":[],\
             \"refund_id\":\"{id}\",\"status\":\"PROCESSING\",\"transaction_id\":\"{}\",\
             \"user_received_account\":\"支付用户零钱\"}}",
            row["transaction_id"].as_str().unwrap()
        )
    );
    let path = "/v3/refund/domestic/refunds/R-24";
    assert_eq!(bench.client.get(path).await.body, answer.body);
    bench.inbox.wait(1).await;
    bench.advance(5).await;
    let done = bench.client.get(path).await.json();
    assert_eq!(done["status"], "SUCCESS");
    assert!(done["success_time"].as_str().unwrap().ends_with("+08:00"));
    let missing = bench.client.get("/v3/refund/domestic/refunds/none").await;
    assert_eq!(
        (missing.status, missing.text().as_str()),
        (
            404,
            "{\"code\":\"RESOURCE_NOT_EXISTS\",\"message\":\"退款单不存在\"}"
        )
    );

    bench.knob("refund_delay_s", json!(null)).await;
    for (call, status) in [
        ("complete", "SUCCESS"),
        ("close", "CLOSED"),
        ("abnormal", "ABNORMAL"),
    ] {
        let number = format!("ORDER-24-{call}");
        bench.paid(&number, 10).await;
        bench.refund(&number, &format!("R-{call}"), 10, 10).await;
        let row = bench
            .control(&format!("/_sim/refunds/R-{call}/{call}"), json!({}))
            .await;
        assert_eq!(row["status"], status);
        let event = format!("REFUND.{status}");
        bench
            .notice(&number, |row| {
                row["event_type"] == event && row["state"] == "delivered"
            })
            .await;
    }
    bench.advance(60).await;
    let again = bench.refund("ORDER-24-close", "R-new", 10, 10).await;
    assert_eq!(
        again.status,
        200,
        "a closed refund frees what it held: {}",
        again.text()
    );
}

#[tokio::test]
async fn refund_endings_an_abnormal_refund_goes_to_a_bank_card() {
    let bench = Bench::new().await;
    bench.paid("ORDER-24-card", 10).await;
    bench
        .fault(json!({"name": "refund_abnormal", "count": 1}))
        .await;
    let id = bench.refund("ORDER-24-card", "R-card", 10, 10).await.json()["refund_id"].clone();
    bench.advance(5).await;
    let path = format!(
        "/v3/refund/domestic/refunds/{}/apply-abnormal-refund",
        id.as_str().unwrap()
    );
    let sealed = |text: &str| crate::support::seal_field(&bench.client.public_key(), text);
    let body = json!({
        "out_refund_no": "R-card",
        "type": "USER_BANK_CARD",
        "bank_type": "ICBC_DEBIT",
        "bank_account": sealed("6222020200112230000"),
        "real_name": sealed("张三"),
    });
    let without = bench.client.post(&path, &body).await;
    assert_eq!(
        without.json()["message"],
        "HTTP header缺少微信支付平台证书序列号(Wechatpay-Serial)"
    );
    let with = async |serial: &str, body: &serde_json::Value| {
        let mut draft = bench
            .client
            .draft("POST", &path, body.to_string().as_bytes());
        draft
            .headers
            .push(("Wechatpay-Serial".to_owned(), serial.to_owned()));
        bench.client.send(draft).await
    };
    let wrong = with("ABC", &body).await;
    assert_eq!(
        wrong.json()["message"],
        "平台证书序列号Wechatpay-Serial错误"
    );
    let id = bench.client.file.public_key_id.clone();
    let mut plain = body.clone();
    plain["real_name"] = json!("张三");
    assert_eq!(with(&id, &plain).await.code(), "PARAM_ERROR");
    let accepted = with(&id, &body).await;
    assert_eq!(
        accepted.json()["status"],
        "PROCESSING",
        "{}",
        accepted.text()
    );
    bench.advance(5).await;
    let done = bench
        .client
        .get("/v3/refund/domestic/refunds/R-card")
        .await
        .json();
    assert_eq!(
        (done["status"].as_str(), done["channel"].as_str()),
        (Some("SUCCESS"), Some("OTHER_BANKCARD"))
    );
    assert_eq!(
        with(&id, &body).await.code(),
        "INVALID_REQUEST",
        "only an abnormal one"
    );
}

#[tokio::test]
async fn refund_limits_failing_refunds_are_limited_and_a_429_may_hide_acceptance() {
    let bench = Bench::new().await;
    let codes = within_a_second(async || {
        let mut codes = Vec::new();
        for index in 0..7 {
            let number = format!("R-{index}");
            codes.push(bench.refund("ORDER-25-none", &number, 1, 1).await.code());
        }
        codes
    })
    .await;
    assert_eq!(codes[..6], ["RESOURCE_NOT_EXISTS"; 6]);
    assert_eq!(codes[6], "FREQUENCY_LIMITED");
    // A second is too short for 150 good ones on a busy machine; `rate_limits_…` shows that calls are
    // counted, and here is how many.
    let told = bench.last_request().await["explanation"].clone();
    let told = told.as_str().unwrap();
    assert!(told.contains("150 calls and 6 failing calls"), "{told}");
    bench.knob("rate_limits", json!(false)).await;
    bench.paid("ORDER-25", 10).await;
    bench
        .fault(json!({"name": "rate_limited_applied", "count": 1, "operation": "refund"}))
        .await;
    let answer = bench.refund("ORDER-25", "R-25", 10, 10).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (429, "FREQUENCY_LIMITED")
    );
    assert_eq!(
        bench
            .client
            .get("/v3/refund/domestic/refunds/R-25")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn accepted_silently_accepted_refunds_may_drop_fail_or_answer_202() {
    let bench = Bench::new().await;
    for (index, fault) in ["response_lost", "server_error_applied", "accepted"]
        .iter()
        .enumerate()
    {
        let (order, number) = (format!("ORDER-26-{index}"), format!("R-26-{index}"));
        bench.paid(&order, 10).await;
        bench
            .fault(json!({"name": fault, "count": 1, "operation": "refund"}))
            .await;
        let body = bench.refund_body(&order, &number, 10, 10).to_string();
        let path = "/v3/refund/domestic/refunds";
        let draft = bench.client.draft("POST", path, body.as_bytes());
        match bench.client.try_send(draft).await {
            Ok(answer) => assert_eq!(answer.status, if index == 1 { 500 } else { 202 }),
            Err(_) => assert_eq!(index, 0, "only the first drops"),
        }
        let found = bench.client.get(&format!("{path}/{number}")).await;
        assert_eq!(found.status, 200, "{fault}: it was applied");
        assert_eq!(
            bench.refund(&order, &number, 10, 10).await.status,
            200,
            "the same again"
        );
    }
    bench
        .fault(json!({"name": "request_lost", "count": 1, "operation": "refund"}))
        .await;
    bench.paid("ORDER-26-lost", 10).await;
    let body = bench
        .refund_body("ORDER-26-lost", "R-26-lost", 10, 10)
        .to_string();
    let draft = bench
        .client
        .draft("POST", "/v3/refund/domestic/refunds", body.as_bytes());
    assert!(bench.client.try_send(draft).await.is_err());
    let path = "/v3/refund/domestic/refunds/R-26-lost";
    assert_eq!(bench.client.get(path).await.status, 404, "not applied");
}

#[tokio::test]
async fn the_largest_amounts_are_added_up_without_harm() {
    let bench = Bench::new().await;
    bench.paid("ORDER-vast", i64::MAX).await;
    let mut body = bench.refund_body("ORDER-vast", "R-vast", 100, i64::MAX);
    body["amount"]["from"] = json!([
        {"account": "AVAILABLE", "amount": i64::MAX},
        {"account": "UNAVAILABLE", "amount": i64::MAX},
    ]);
    let refused = bench
        .client
        .post("/v3/refund/domestic/refunds", &body)
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "PARAM_ERROR")
    );

    // A balance that is set to its maximum while a refund is at the bank stays there when it closes.
    let path = format!("/_sim/merchants/{}", bench.client.file.mchid);
    bench
        .fault(json!({"name": "refund_closed", "count": 1}))
        .await;
    let accepted = bench.refund("ORDER-vast", "R-full", 100, i64::MAX).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    bench.control(&path, json!({"balance_fen": i64::MAX})).await;
    bench.advance(5).await;
    let closed = bench
        .client
        .get("/v3/refund/domestic/refunds/R-full")
        .await
        .json();
    assert_eq!(closed["status"], "CLOSED");
    let settings = bench.control(&path, json!({})).await;
    assert_eq!(settings["balance_fen"], i64::MAX);
}

#[tokio::test]
async fn an_empty_notify_url_breaks_the_rule_of_its_length_as_captured() {
    let bench = Bench::new().await;
    bench.paid("ORDER-empty-url", 10).await;
    let mut body = bench.refund_body("ORDER-empty-url", "R-empty-url", 1, 10);
    body["notify_url"] = json!("");
    let answer = bench
        .client
        .post("/v3/refund/domestic/refunds", &body)
        .await;
    let captured = "{\"code\":\"PARAM_ERROR\",\"detail\":{\"location\":\"body\",\"value\":0},\
                    \"message\":\"输入源“/body/notify_url”映射到值字段“退款结果回调url”字符串规则校验失败，字节数 0，小于最小值 8\"}";
    assert_eq!((answer.status, answer.text().as_str()), (400, captured));
}
