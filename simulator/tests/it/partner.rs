//! Partner mode (服务商): the same rules under other names.

use serde_json::json;

use crate::support::Bench;

#[tokio::test]
async fn a_partner_orders_queries_closes_and_refunds_for_its_sub_merchant() {
    let bench = Bench::new().await;
    let file = bench.client.file.clone();
    let (sub, sub_appid) = ("1900000110", "wxd678efh567hg6788");
    let mut body = bench.jsapi("ORDER-partner", 10);
    let members = body.as_object_mut().unwrap();
    members.remove("appid");
    members.remove("mchid");
    body["sp_appid"] = json!(file.appid);
    body["sp_mchid"] = json!(file.mchid);
    body["sub_appid"] = json!(sub_appid);
    body["sub_mchid"] = json!(sub);
    let path = "/v3/pay/partner/transactions/jsapi";
    let refused = bench.client.post(path, &body).await;
    assert_eq!(
        refused.text(),
        "{\"code\":\"PARAM_ERROR\",\"detail\":{\"location\":null,\"value\":[\"/body/payer/openid\"]},\"message\":\"请求中含有未在API文档中定义的参数\"}"
    );
    body["payer"] = json!({"sub_openid": "oSub"});
    let mut missing = body.clone();
    missing.as_object_mut().unwrap().remove("sub_mchid");
    assert_eq!(
        bench.client.post(path, &missing).await.json()["message"],
        "输入源“/body/sub_mchid”映射到字段“子商户号/二级商户号”必填性规则校验失败，此字段为必填项"
    );
    let mut same = body.clone();
    same["sub_appid"] = json!(file.appid);
    assert_eq!(
        bench.client.post(path, &same).await.code(),
        "INVALID_REQUEST"
    );
    assert_eq!(bench.client.post(path, &body).await.status, 200);
    let query = format!(
        "/v3/pay/partner/transactions/out-trade-no/ORDER-partner?sp_mchid={}&sub_mchid={sub}",
        file.mchid
    );
    assert_eq!(
        bench.client.get(&query).await.json()["trade_state"],
        "NOTPAY"
    );
    let target = format!(
        "/v3/pay/transactions/out-trade-no/ORDER-partner?mchid={}",
        file.mchid
    );
    let direct = bench.client.get(&target).await;
    assert_eq!(direct.json()["message"], "商户号和订单信息不匹配");
    bench
        .control("/_sim/orders/ORDER-partner/pay", json!({}))
        .await;
    let paid = bench.client.get(&query).await.json();
    assert_eq!(paid["sub_mchid"], sub);
    assert_eq!(paid["sp_appid"], file.appid);
    assert_eq!(paid["payer"]["sub_openid"], "oSub");
    assert!(paid["payer"]["sp_openid"].is_string());
    let payload = bench.inbox.wait(1).await[0].payload(&file.apiv3_key);
    let start = format!(
        "{{\"sp_appid\":\"{}\",\"sp_mchid\":\"{}\",\"sub_appid\":\"{sub_appid}\",\
         \"sub_mchid\":\"{sub}\",\"out_trade_no\":\"ORDER-partner\"",
        file.appid, file.mchid
    );
    assert!(payload.starts_with(&start), "{payload}");
    let mut refund = bench.refund_body("ORDER-partner", "R-partner", 10, 10);
    let path = "/v3/refund/domestic/refunds";
    assert_eq!(
        bench.client.post(path, &refund).await.status,
        404,
        "sub_mchid is missing"
    );
    refund["sub_mchid"] = json!(sub);
    assert_eq!(bench.client.post(path, &refund).await.status, 200);
    let found = format!("{path}/R-partner?sub_mchid={sub}");
    assert_eq!(bench.client.get(&found).await.status, 200);
    bench.advance(5).await;
    let payload = bench.inbox.wait(2).await[1].payload(&file.apiv3_key);
    assert!(payload.starts_with(&format!(
        "{{\"sp_mchid\":\"{}\",\"sub_mchid\":\"{sub}\"",
        file.mchid
    )));

    body["out_trade_no"] = json!("ORDER-partner-2");
    bench
        .client
        .post("/v3/pay/partner/transactions/jsapi", &body)
        .await;
    let close = "/v3/pay/partner/transactions/out-trade-no/ORDER-partner-2/close";
    let closing = json!({"sp_mchid": file.mchid, "sub_mchid": sub});
    assert_eq!(bench.client.post(close, &closing).await.status, 204);
}
