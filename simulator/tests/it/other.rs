//! Limits and bad days, login, the form of times.

use serde_json::{Value, json};

use crate::support::{Bench, within_a_second};

#[tokio::test]
async fn rate_limits_limits_errors_and_gateways_answer_as_documented() {
    let bench = Bench::new().await;
    let codes = within_a_second(async || {
        let mut codes = Vec::new();
        for _ in 0..4 {
            let path = "/v3/bill/fundflowbill?bill_date=x";
            codes.push(bench.client.get(path).await.code());
        }
        codes
    })
    .await;
    assert_eq!(codes[..3], ["PARAM_ERROR"; 3]);
    assert_eq!(codes[3], "FREQUENCY_LIMITED");
    bench.order("ORDER-33", 1).await;
    let strike = async |name: &str| {
        bench.fault(json!({"name": name, "count": 1})).await;
        bench.query("ORDER-33").await
    };
    let limited = strike("rate_limited").await;
    assert_eq!(
        (limited.status, limited.text().as_str()),
        (
            429,
            "{\"code\":\"FREQUENCY_LIMITED\",\"message\":\"频率超限\"}"
        )
    );
    let busy = strike("server_error").await;
    assert_eq!(
        (busy.status, busy.text().as_str()),
        (
            500,
            "{\"code\":\"SYSTEM_ERROR\",\"message\":\"系统繁忙，请稍后重试\"}"
        )
    );
    let gateway = strike("html_error").await;
    assert_eq!(
        (gateway.status, gateway.header("content-type")),
        (502, "text/html")
    );
    assert!(gateway.text().starts_with("<html>"));
    let away = strike("unavailable").await;
    assert_eq!((away.status, away.header("retry-after")), (503, "86400"));
    let moved = strike("redirected").await;
    assert_eq!(moved.status, 302);
}

#[tokio::test]
async fn login_login_codes_work_once_for_five_minutes_and_errors_are_200() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    let login = async |appid: &str, secret: &str, code: &str| -> Value {
        let target = format!(
            "{}/sns/jscode2session?appid={appid}&secret={secret}&js_code={code}\
             &grant_type=authorization_code",
            bench.client.base
        );
        let response = bench.client.http.get(target).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    };
    let issue = async |openid: Option<&str>| {
        let issued = bench
            .control("/_sim/codes", json!({"openid": openid}))
            .await;
        issued["code"].as_str().unwrap().to_owned()
    };
    let code = issue(Some("oPayer")).await;
    let session = login(&file.appid, &file.app_secret, &code).await;
    assert_eq!(session["openid"], "oPayer");
    assert!(session["session_key"].is_string());
    assert!(session.get("errcode").is_none());
    let errcode = async |appid: &str, secret: &str, code: &str, expect: i64| {
        let answer = login(appid, secret, code).await;
        assert_eq!(answer["errcode"], expect, "{answer}");
        assert!(answer["errmsg"].as_str().unwrap().contains("rid: "));
    };
    errcode(&file.appid, &file.app_secret, &code, 40163).await;
    errcode(&file.appid, &file.app_secret, "nonsense", 40029).await;
    errcode("wxnobody", &file.app_secret, &code, 40013).await;
    errcode(&file.appid, "wrong", &code, 40125).await;
    errcode("", &file.app_secret, &code, 41002).await;
    errcode(&file.appid, "", &code, 41004).await;
    errcode(&file.appid, &file.app_secret, "", 41008).await;
    let late = issue(None).await;
    bench.advance(301).await;
    errcode(&file.appid, &file.app_secret, &late, 40029).await;
    for _ in 0..100 {
        let code = issue(Some("oBusy")).await;
        login(&file.appid, &file.app_secret, &code).await;
    }
    let code = issue(Some("oBusy")).await;
    errcode(&file.appid, &file.app_secret, &code, 45011).await;
}

#[tokio::test]
async fn times_bodies_are_in_beijing_time_and_headers_in_unix_seconds() {
    let bench = Bench::new().await;
    bench.advance(86_400).await;
    bench.paid("ORDER-35", 1).await;
    let answer = bench.query("ORDER-35").await;
    let success = answer.json()["success_time"].as_str().unwrap().to_owned();
    assert_eq!(success.len(), "2018-06-08T10:34:56+08:00".len());
    assert!(success.ends_with("+08:00"));
    let parsed =
        time::OffsetDateTime::parse(&success, &time::format_description::well_known::Rfc3339)
            .unwrap();
    let signed_at: i64 = answer.header("wechatpay-timestamp").parse().unwrap();
    let ahead = parsed.unix_timestamp() - signed_at;
    // Business time is a day ahead; the signature is dated by real time.
    assert!((86_390..=86_400).contains(&ahead), "{ahead}");
    let notice = bench.inbox.wait(1).await.pop().unwrap();
    assert!(
        notice.envelope()["create_time"]
            .as_str()
            .unwrap()
            .ends_with("+08:00")
    );
    assert_eq!(notice.header("wechatpay-timestamp").len(), 10);
}

#[tokio::test]
async fn numbers_at_the_edge_of_what_numbers_can_say_break_nothing() {
    let bench = Bench::new().await;
    for seconds in [i64::MAX, i64::MAX / 1_000, 101 * 366 * 86_400, -1, i64::MIN] {
        let (status, told) = bench
            .control_raw("/_sim/clock", json!({"advance_s": seconds}))
            .await;
        assert_eq!(status, 400, "{seconds}: {told}");
    }
    for timestamp in ["-9223372036854775808", "9223372036854775807", "-1", "1e9"] {
        let mut draft = bench.client.draft("GET", "/v3/certificates", b"");
        draft.timestamp = timestamp.to_owned();
        let refused = bench.client.send(draft).await;
        assert!(matches!(refused.status, 400 | 401), "{timestamp}");
    }
    for knob in ["time_expire_days_max", "native_time_expire_days_max"] {
        let (status, _) = bench.control_raw("/_sim/knobs", json!({knob: 0})).await;
        assert_eq!(status, 400, "{knob}");
    }
    bench.order("ORDER-EDGE", 1).await;
    assert_eq!(bench.query("ORDER-EDGE").await.status, 200);
}

#[tokio::test]
async fn login_a_session_is_written_as_captured_and_a_grant_is_asked_for() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    let issued = bench
        .control("/_sim/codes", json!({"openid": "oPayer"}))
        .await;
    let code = issued["code"].as_str().unwrap();
    let login = async |grant: &str| {
        let target = format!(
            "{}/sns/jscode2session?appid={}&secret={}&js_code={code}{grant}",
            bench.client.base, file.appid, file.app_secret
        );
        let response = bench.client.http.get(target).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        response.text().await.unwrap()
    };
    for grant in ["", "&grant_type=client_credential"] {
        let answer: Value = serde_json::from_str(&login(grant).await).unwrap();
        assert_eq!(answer["errcode"], 40002, "{answer}");
    }
    let answer = login("&grant_type=authorization_code").await;
    assert!(answer.starts_with("{\"session_key\":\""), "{answer}");
    assert!(answer.ends_with(",\"openid\":\"oPayer\"}"), "{answer}");
}

#[tokio::test]
async fn of_a_number_longer_than_numbers_are_only_the_beginning_is_kept() {
    let bench = Bench::new().await;
    let path = "/v3/pay/transactions/native";
    let body = bench.native(&"号".repeat(300_000), 1).to_string();
    let mut draft = bench.client.draft("POST", path, body.as_bytes());
    draft.authorization = Some(None);
    assert_eq!(bench.client.send(draft).await.status, 401);
    let row = bench.last_request().await;
    assert_eq!(row["out_trade_no"], "号".repeat(64));
}
