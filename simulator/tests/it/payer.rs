//! The payer's phone, which checks what the merchant's page handed it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Bench, Client, private_key, sign};

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
async fn phone_the_phone_checks_pay_sign_app_prefix_and_payer() {
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
async fn phone_one_payer_per_order_and_app_orders_sign_the_bare_id() {
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

/// Another certificate of the merchant, and a client that signs with it.
async fn second_certificate(bench: &Bench) -> Client {
    let path = format!("/_sim/merchants/{}/certificates", bench.client.file.mchid);
    let made = bench.control(&path, json!({})).await;
    let mut second = bench.client.clone();
    second.file.serial_no = made["serial_no"].as_str().unwrap().to_owned();
    second.key = Arc::new(private_key(made["apiclient_key"].as_str().unwrap()));
    second
}

#[tokio::test]
async fn phone_an_id_is_paid_by_the_certificate_that_asked_for_it() {
    let bench = Bench::new().await;
    let appid = bench.client.file.appid.clone();
    let second = second_certificate(&bench).await;
    let jsapi = "/v3/pay/transactions/jsapi";
    let package = |prepay_id: &str| format!("prepay_id={prepay_id}");
    let pay =
        |client: &Client, id: &str| json!({"pay": client.request_payment(&appid, &package(id))});
    let body = bench.jsapi("ORDER-19-keys", 1);
    let first_id = bench.order("ORDER-19-keys", 1).await;
    let again = second.post(jsapi, &body).await.json();
    let second_id = again["prepay_id"].as_str().unwrap().to_owned();
    assert_ne!(first_id, second_id);
    for (client, id) in [(&second, &first_id), (&bench.client, &second_id)] {
        refused(&bench, "ORDER-19-keys", pay(client, id), "BAD_PAY_SIGN").await;
    }
    bench
        .control("/_sim/orders/ORDER-19-keys/pay", pay(&second, &second_id))
        .await;

    // The first id stays good with the first certificate.
    let first_id = bench.order("ORDER-19-keys-2", 1).await;
    let body = bench.jsapi("ORDER-19-keys-2", 1);
    assert_eq!(second.post(jsapi, &body).await.status, 200);
    let path = "/_sim/orders/ORDER-19-keys-2/pay";
    bench.control(path, pay(&bench.client, &first_id)).await;

    // An id that is handed out to both may be signed by both.
    bench.knob("repeat_same_prepay", json!(true)).await;
    let id = bench.order("ORDER-19-keys-3", 1).await;
    let body = bench.jsapi("ORDER-19-keys-3", 1);
    assert_eq!(second.post(jsapi, &body).await.json()["prepay_id"], id);
    let fail = "/_sim/orders/ORDER-19-keys-3/fail";
    bench.control(fail, pay(&bench.client, &id)).await;
    let path = "/_sim/orders/ORDER-19-keys-3/pay";
    bench.control(path, pay(&second, &id)).await;
}

#[tokio::test]
async fn ids_of_a_journal_that_names_no_certificates_belong_to_the_orders() {
    let bench = Bench::new().await;
    let appid = bench.client.file.appid.clone();
    let id = bench.order("ORDER-old", 1).await;
    let folder = Arc::clone(&bench.folder);
    bench.simulator.stop().await;
    let journal = folder.path().join("state/journal.jsonl");
    let lines = std::fs::read_to_string(&journal).unwrap();
    let mut stripped = String::new();
    for line in lines.lines() {
        let mut record: Value = serde_json::from_str(line).unwrap();
        let tickets = record.pointer_mut("/order/tickets");
        for ticket in tickets.and_then(Value::as_array_mut).into_iter().flatten() {
            ticket.as_object_mut().unwrap().remove("serials");
        }
        stripped.push_str(&format!("{record}\n"));
    }
    std::fs::write(&journal, stripped).unwrap();
    let bench = Bench::within(folder, |_| {}).await;
    let package = format!("prepay_id={id}");
    let pay = json!({"pay": bench.client.request_payment(&appid, &package)});
    bench.control("/_sim/orders/ORDER-old/pay", pay).await;
}

#[tokio::test]
async fn an_attempt_by_nobody_in_particular_binds_no_payer() {
    let bench = Bench::new().await;
    let body = bench.native("ORDER-anybody", 1);
    let native = "/v3/pay/transactions/native";
    assert_eq!(bench.client.post(native, &body).await.status, 200);
    for ending in ["fail", "cancel"] {
        let path = format!("/_sim/orders/ORDER-anybody/{ending}");
        bench.control(&path, json!({})).await;
    }
    let pay = "/_sim/orders/ORDER-anybody/pay";
    let row = bench.control(pay, json!({"openid": "oSomebody"})).await;
    assert_eq!(row["openid"], "oSomebody");
}
