//! What a query answers, WeChat Pay's number, and closing.

use serde_json::json;

use crate::support::Bench;

#[tokio::test]
async fn query_bodies_bodies_equal_the_captured_ones() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    bench.paid("ORDER-20", 1).await;
    let row = bench.seen("/_sim/orders/ORDER-20").await;
    let (transaction, time) = (
        row["transaction_id"].as_str().unwrap(),
        row["success_time"].as_str().unwrap(),
    );
    assert_eq!(
        bench.query("ORDER-20").await.text(),
        format!(
            "{{\"amount\":{{\"currency\":\"CNY\",\"payer_currency\":\"CNY\",\"payer_total\":1,\
             \"total\":1}},\"appid\":\"{}\",\"attach\":\"\",\"bank_type\":\"OTHERS\",\
             \"mchid\":\"{}\",\"out_trade_no\":\"ORDER-20\",\
             \"payer\":{{\"openid\":\"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o\"}},\"promotion_detail\":[],\
             \"success_time\":\"{time}\",\"trade_state\":\"SUCCESS\",\
             \"trade_state_desc\":\"支付成功\",\"trade_type\":\"JSAPI\",\
             \"transaction_id\":\"{transaction}\"}}",
            file.appid, file.mchid
        )
    );
    let by_id = format!("/v3/pay/transactions/id/{transaction}?mchid={}", file.mchid);
    assert_eq!(
        bench.client.get(&by_id).await.body,
        bench.query("ORDER-20").await.body
    );
    bench.refund("ORDER-20", "R-20", 1, 1).await;
    let refunded = bench.query("ORDER-20").await.json();
    assert_eq!(refunded["trade_state"], "REFUND");
    assert_eq!(
        refunded["trade_state_desc"],
        "订单发生过退款，退款详情请查询退款单"
    );

    let missing = bench.query("ORDER-none").await;
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.text(),
        "{\"code\":\"ORDER_NOT_EXIST\",\"message\":\"订单不存在\"}"
    );
    let elsewhere = bench
        .client
        .get("/v3/pay/transactions/out-trade-no/ORDER-20?mchid=1999")
        .await;
    assert_eq!(
        (elsewhere.status, elsewhere.code().as_str()),
        (400, "PARAM_ERROR")
    );
    let without = bench
        .client
        .get("/v3/pay/transactions/out-trade-no/ORDER-20")
        .await;
    assert_eq!(without.status, 400);
    assert!(
        without.json()["message"]
            .as_str()
            .unwrap()
            .contains("/query/mchid")
    );
    let odd = bench
        .client
        .get(&format!("/v3/pay/transactions/id/12?mchid={}", file.mchid))
        .await;
    assert_eq!(odd.json()["message"], "微信订单号非法");
}

#[tokio::test]
async fn query_bodies_another_merchants_payment_is_a_mismatch() {
    let bench = Bench::new().await;
    let row = bench.paid("ORDER-20-own", 1).await;
    let made = bench.control("/_sim/merchants", json!({})).await;
    let folder = std::path::PathBuf::from(made["folder"].as_str().unwrap());
    let other = crate::support::Client::from_folder(&folder);
    let transaction = row["transaction_id"].as_str().unwrap();
    let target = format!(
        "/v3/pay/transactions/id/{transaction}?mchid={}",
        other.file.mchid
    );
    let answer = other.get(&target).await;
    assert_eq!(answer.json()["message"], "商户号和订单信息不匹配");
    assert!(other.verifies(&answer, &other.public_key()));
}

#[tokio::test]
async fn transaction_ids_a_transaction_id_appears_with_the_payment() {
    let bench = Bench::new().await;
    bench.order("ORDER-21", 1).await;
    assert!(
        bench
            .query("ORDER-21")
            .await
            .json()
            .get("transaction_id")
            .is_none()
    );
    let row = bench.control("/_sim/orders/ORDER-21/pay", json!({})).await;
    let transaction = row["transaction_id"].as_str().unwrap();
    assert_eq!(transaction.len(), 28);
    assert!(transaction.starts_with("4200"));
    let day = row["success_time"].as_str().unwrap()[..10].replace('-', "");
    assert_eq!(transaction[10..18], day);
}

#[tokio::test]
async fn closing_closing_is_idempotent_and_never_closes_what_is_paid() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let close = async |number: &str| {
        let path = format!("/v3/pay/transactions/out-trade-no/{number}/close");
        bench.client.post(&path, &json!({"mchid": mchid})).await
    };
    bench.order("ORDER-22", 1).await;
    assert_eq!(close("ORDER-22").await.status, 204);
    assert_eq!(close("ORDER-22").await.status, 204);
    let closed = bench.query("ORDER-22").await.json();
    assert_eq!(closed["trade_state"], "CLOSED");
    assert_eq!(closed.as_object().unwrap().len(), 5);
    let (status, _) = bench
        .control_raw("/_sim/orders/ORDER-22/pay", json!({}))
        .await;
    assert_eq!(status, 409);

    bench.paid("ORDER-22-paid", 1).await;
    let refused = close("ORDER-22-paid").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "ORDER_PAID")
    );
    bench.knob("close_paid_code", json!("ORDERPAID")).await;
    assert_eq!(close("ORDER-22-paid").await.code(), "ORDERPAID");

    assert_eq!(close("ORDER-22-none").await.code(), "ORDER_NOT_EXIST");
    bench.knob("close_unknown_burns", json!(true)).await;
    assert_eq!(close("ORDER-22-none").await.status, 204);
    let path = "/v3/pay/transactions/jsapi";
    let burnt = bench
        .client
        .post(path, &bench.jsapi("ORDER-22-none", 1))
        .await;
    assert_eq!(
        burnt.json()["message"],
        "请求重入时，参数与首次请求时不一致"
    );
}
