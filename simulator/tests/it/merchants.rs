//! Several merchants and keys at once, and rotation while running.

use serde_json::json;

use crate::support::{Bench, Client};

#[tokio::test]
async fn merchants_have_keys_and_numbers_of_their_own() {
    let bench = Bench::new().await;
    let made = bench
        .control("/_sim/merchants", json!({"mchid": "1900009999"}))
        .await;
    let folder = std::path::PathBuf::from(made["folder"].as_str().unwrap());
    let other = Client::from_folder(&folder);
    bench.order("ORDER-shared", 1).await;
    let mut body = bench.jsapi("ORDER-shared", 2);
    body["mchid"] = json!(other.file.mchid);
    body["appid"] = json!(other.file.appid);
    let answer = other.post("/v3/pay/transactions/jsapi", &body).await;
    assert_eq!(
        answer.status,
        200,
        "one number, two merchants: {}",
        answer.text()
    );
    assert!(other.verifies(&answer, &other.public_key()));
    assert!(!other.verifies(&answer, &bench.client.public_key()));
    let row = bench
        .control(
            "/_sim/orders/ORDER-shared/pay",
            json!({"mchid": other.file.mchid}),
        )
        .await;
    assert_eq!(row["amount"]["total"], 2);
    assert_eq!(
        bench.query("ORDER-shared").await.json()["trade_state"],
        "NOTPAY"
    );
    let notice = bench.inbox.wait(1).await.pop().unwrap();
    assert!(notice.payload(&other.file.apiv3_key).contains("1900009999"));
    let (status, _) = bench
        .control_raw("/_sim/merchants", json!({"mchid": "1900009999"}))
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn wechat_pays_keys_rotate_while_running() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let old_key = bench.client.public_key();
    let rotate = format!("/_sim/merchants/{mchid}/rotate");
    bench.control(&rotate, json!({"what": "public_key"})).await;
    let renewed = Client::from_folder(bench.folder.path());
    assert_ne!(renewed.file.public_key_id, bench.client.file.public_key_id);
    let answer = bench.query("none").await;
    assert_eq!(
        answer.header("wechatpay-serial"),
        renewed.file.public_key_id
    );
    assert!(renewed.verifies(&answer, &renewed.public_key()));
    assert!(!renewed.verifies(&answer, &old_key));
    bench.control(&rotate, json!({"what": "apiv3_key"})).await;
    bench.paid("ORDER-rotated", 1).await;
    let notice = bench.inbox.wait(1).await.pop().unwrap();
    let newest = Client::from_folder(bench.folder.path());
    assert!(
        notice
            .payload(&newest.file.apiv3_key)
            .contains("ORDER-rotated")
    );
    let (status, _) = bench
        .control_raw(&rotate, json!({"what": "everything"}))
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn one_merchant_is_described_alone() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    bench.control("/_sim/merchants", json!({})).await;
    let one = bench.seen(&format!("/_sim/merchants/{mchid}")).await;
    assert_eq!(one["mchid"], mchid);
    assert_eq!(one["has_apiv3_key"], true);
    let nobody = bench.seen("/_sim/merchants/1").await;
    assert_eq!(nobody["code"], "NOT_FOUND");
}
