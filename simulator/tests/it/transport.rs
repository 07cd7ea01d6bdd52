//! Paths, the header check, the headers of answers, the form of JSON.

use serde_json::json;

use crate::support::Bench;

#[tokio::test]
async fn hosts_both_base_urls_serve_one_state_and_strange_paths_answer_empty() {
    let bench = Bench::new().await;
    bench.order("ORDER-01", 1).await;
    let mut backup = bench.client.clone();
    backup.base = bench.simulator.backup_url().to_owned();
    assert_ne!(backup.base, bench.client.base);
    let mchid = &bench.client.file.mchid;
    let path = format!("/v3/pay/transactions/out-trade-no/ORDER-01?mchid={mchid}");
    assert_eq!(backup.get(&path).await.json()["out_trade_no"], "ORDER-01");
    let same = bench.client.draft("GET", &path, b"");
    let (one, other) = (
        bench.client.send(same.clone()).await,
        backup.send(same).await,
    );
    assert_eq!(one.body, other.body, "one signature is good on both hosts");
    let strange = [
        "/v3",
        "/v4/certificates",
        "/v3/pay/transactions/micropay",
        "/v3/pay/transactions/",
        "/v3/pay/transactions/id/",
        "/v3/refund/domestic",
        "/v3/certificates/",
        "//v3/certificates",
    ];
    for target in strange {
        let answer = bench.client.get(target).await;
        assert_eq!((answer.status, answer.body.len()), (404, 0), "{target}");
        assert!(answer.is_unsigned());
    }
    for (method, target) in [
        ("POST", "/v3/certificates"),
        ("GET", "/v3/pay/transactions/jsapi"),
        ("DELETE", path.as_str()),
        ("GET", "/v3/refund/domestic/refunds"),
        ("POST", "/v3/bill/tradebill"),
    ] {
        let answer = bench
            .client
            .send(bench.client.draft(method, target, b""))
            .await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (405, 0),
            "{method} {target}"
        );
        assert!(answer.is_unsigned());
    }
}

#[tokio::test]
async fn required_headers_a_missing_user_agent_is_refused_before_authentication_on_some_paths() {
    let bench = Bench::new().await;
    let text = "{\"code\":\"INVALID_REQUEST\",\"message\":\"Http头缺少Accept或User-Agent\"}";
    for target in ["/v3/certificates", "/v3/refund/domestic/refunds/R1"] {
        let mut draft = bench.client.draft("GET", target, b"");
        draft.user_agent = false;
        draft.authorization = Some(None);
        let answer = bench.client.send(draft).await;
        assert_eq!((answer.status, answer.text().as_str()), (400, text));
        assert!(answer.is_unsigned());
    }
    let mut draft = bench
        .client
        .draft("GET", "/v3/pay/transactions/id/1?mchid=1", b"");
    draft.user_agent = false;
    draft.authorization = Some(None);
    assert_eq!(bench.client.send(draft).await.status, 401);
    let body = bench.jsapi("ORDER-02", 1).to_string();
    let mut draft = bench
        .client
        .draft("POST", "/v3/pay/transactions/jsapi", body.as_bytes());
    draft.user_agent = false;
    assert_eq!(bench.client.send(draft).await.status, 200);
}

#[tokio::test]
async fn answer_headers_answers_carry_the_captured_headers() {
    let bench = Bench::new().await;
    bench.order("ORDER-03", 1).await;
    let found = bench.query("ORDER-03").await;
    let names = [
        "server",
        "date",
        "content-type",
        "content-length",
        "connection",
        "keep-alive",
        "cache-control",
        "x-content-type-options",
        "request-id",
        "content-language",
        "wechatpay-nonce",
        "wechatpay-signature",
        "wechatpay-timestamp",
        "wechatpay-serial",
        "wechatpay-signature-type",
    ];
    let mut sorted: Vec<&str> = found.headers.keys().map(String::as_str).collect();
    sorted.sort_unstable();
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    assert_eq!(found.header("server"), "nginx");
    assert_eq!(
        found.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(found.header("keep-alive"), "timeout=8");
    assert_eq!(found.header("cache-control"), "no-cache, must-revalidate");
    assert!(found.header("request-id").starts_with("08"));
    assert!(found.header("request-id").ends_with("-0"));
    let missing = bench.query("ORDER-none").await;
    assert!(missing.header("request-id").ends_with("-268512771"));
    let mchid = bench.client.file.mchid.clone();
    let path = "/v3/pay/transactions/out-trade-no/ORDER-03/close";
    let closed = bench.client.post(path, &json!({"mchid": mchid})).await;
    assert_eq!(closed.status, 204);
    assert_eq!(closed.header("content-length"), "0");
    assert_eq!(
        closed.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert!(bench.client.verifies(&closed, &bench.client.public_key()));
    let mut draft = bench
        .client
        .draft("GET", "/v3/pay/transactions/id/1?mchid=1", b"");
    draft.authorization = Some(None);
    assert_eq!(bench.client.send(draft).await.header("request-id"), "");
    let mut draft = bench.client.draft("GET", "/v3/certificates", b"");
    draft.authorization = Some(None);
    assert_ne!(bench.client.send(draft).await.header("request-id"), "");
}

#[tokio::test]
async fn sorted_json_json_is_compact_and_sorted_and_languages_are_tolerated() {
    let bench = Bench::new().await;
    bench.order("ORDER-04", 6000).await;
    let file = &bench.client.file;
    let target = format!(
        "/v3/pay/transactions/out-trade-no/ORDER-04?mchid={}",
        file.mchid
    );
    for language in ["en", "zh-CN", "zh-HK", "zh-TW", "xx"] {
        let mut draft = bench.client.draft("GET", &target, b"");
        draft
            .headers
            .push(("Accept-Language".to_owned(), language.to_owned()));
        let answer = bench.client.send(draft).await;
        assert_eq!(
            answer.text(),
            format!(
                "{{\"amount\":{{\"payer_currency\":\"CNY\",\"total\":6000}},\"appid\":\"{}\",\
                 \"mchid\":\"{}\",\"out_trade_no\":\"ORDER-04\",\"promotion_detail\":[],\
                 \"scene_info\":{{\"device_id\":\"\"}},\"trade_state\":\"NOTPAY\",\
                 \"trade_state_desc\":\"订单未支付\"}}",
                file.appid, file.mchid
            )
        );
    }
}

#[tokio::test]
async fn a_body_beyond_all_measure_is_refused_and_noted() {
    let bench = Bench::new().await;
    let body = vec![b'0'; 5 * 1024 * 1024];
    let path = "/v3/pay/transactions/native";
    let draft = bench.client.draft("POST", path, b"");
    let answer = bench.client.send_body(draft, body).await;
    assert_eq!((answer.status, answer.body.len()), (413, 0));
    assert!(answer.is_unsigned());
    let row = bench.last_request().await;
    assert_eq!((&row["status"], &row["path"]), (&json!(413), &json!(path)));
    assert!(
        row["explanation"].as_str().unwrap().contains("4 MiB"),
        "{row}"
    );
}

#[tokio::test]
async fn a_browser_at_the_apis_address_reads_what_it_is_and_where_the_page_is() {
    let bench = Bench::new().await;
    for base in [bench.simulator.base_url(), bench.simulator.backup_url()] {
        let answer = bench.client.http.get(base).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        let text = answer.text().await.unwrap();
        assert!(text.contains("It is not WeChat Pay"), "{text}");
        let page = format!("{}/", bench.simulator.control_url());
        assert!(text.contains(&page), "{text}");
    }
    let rows = bench.seen("/_sim/requests").await;
    assert_eq!(rows["total"], 0, "it is no request to WeChat Pay");
}
