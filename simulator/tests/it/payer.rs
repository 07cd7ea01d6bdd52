//! Point 19: the payer's phone, which checks what the merchant's page handed it.

use serde_json::{Value, json};

use crate::support::{Bench, sign};

async fn refused(bench: &Bench, number: &str, body: Value, code: &str) -> String {
    let (status, answer) = bench
        .control_raw(&format!("/_sim/orders/{number}/pay"), body)
        .await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (409, Some(code)),
        "{answer}"
    );
    answer["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn point_19_the_phone_checks_pay_sign_app_prefix_and_payer() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    let prepay_id = bench.order("ORDER-19", 1).await;
    let package = format!("prepay_id={prepay_id}");
    let pay =
        |appid: &str, package: &str| json!({"pay": bench.client.request_payment(appid, package)});
    let why = refused(&bench, "ORDER-19", pay("wxother", &package), "BAD_PAY_SIGN").await;
    assert!(why.contains("four lines"), "{why}");
    refused(
        &bench,
        "ORDER-19",
        pay(&file.appid, &prepay_id),
        "BAD_PACKAGE",
    )
    .await;
    let mut no_prefix = pay(&file.appid, &prepay_id);
    no_prefix["pay"]["package"] = json!(package);
    let why = refused(&bench, "ORDER-19", no_prefix, "BAD_PAY_SIGN").await;
    assert!(why.contains("without its prefix"), "{why}");
    refused(
        &bench,
        "ORDER-19",
        pay(&file.appid, "prepay_id=wx0"),
        "NO_SUCH_ID",
    )
    .await;
    refused(
        &bench,
        "ORDER-19",
        json!({"appid": "wxother"}),
        "APPID_MISMATCH",
    )
    .await;
    refused(
        &bench,
        "ORDER-19",
        json!({"openid": "somebody-else"}),
        "OPENID_MISMATCH",
    )
    .await;
    bench.control("/_sim/orders/ORDER-19/fail", json!({})).await;
    let row = bench
        .control("/_sim/orders/ORDER-19/cancel", json!({}))
        .await;
    assert_eq!(
        (row["trade_state"].as_str(), row["failed_attempts"].as_i64()),
        (Some("NOTPAY"), Some(2))
    );
    assert!(bench.inbox.received().is_empty(), "failure has no callback");
    let row = bench
        .control("/_sim/orders/ORDER-19/pay", pay(&file.appid, &package))
        .await;
    assert_eq!(row["trade_state"], "SUCCESS");
    refused(&bench, "ORDER-19", json!({}), "ORDERPAID").await;
}

#[tokio::test]
async fn point_19_one_payer_per_order_and_app_orders_sign_the_bare_id() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    bench
        .client
        .post(
            "/v3/pay/transactions/native",
            &bench.native("ORDER-19-n", 1),
        )
        .await;
    bench
        .control("/_sim/orders/ORDER-19-n/fail", json!({"openid": "first"}))
        .await;
    refused(
        &bench,
        "ORDER-19-n",
        json!({"openid": "second"}),
        "OTHER_PAYER",
    )
    .await;
    bench
        .control("/_sim/orders/ORDER-19-n/pay", json!({"openid": "first"}))
        .await;

    let body = bench.native("ORDER-19-app", 1);
    let answer = bench.client.post("/v3/pay/transactions/app", &body).await;
    let prepay_id = answer.json()["prepay_id"].as_str().unwrap().to_owned();
    let signed = |line: &str| {
        let text = format!("{}\n1414561699\nnonce\n{line}\n", file.appid);
        json!({"app": {
            "appId": file.appid,
            "partnerId": file.mchid,
            "prepayId": prepay_id,
            "packageValue": "Sign=WXPay",
            "nonceStr": "nonce",
            "timeStamp": "1414561699",
            "sign": sign(&bench.client.key, text.as_bytes()),
        }})
    };
    let prefixed = signed(&format!("prepay_id={prepay_id}"));
    let why = refused(&bench, "ORDER-19-app", prefixed, "BAD_PAY_SIGN").await;
    assert!(why.contains("prefix"), "{why}");
    bench
        .control("/_sim/orders/ORDER-19-app/pay", signed(&prepay_id))
        .await;
}
