//! What is signed by whom, and how signatures are forged on purpose.

use serde_json::json;
use simulator::Mode;

use crate::support::{Bench, certificate_mode};

#[tokio::test]
async fn signed_answers_success_and_business_errors_are_signed_and_the_rest_is_not() {
    let bench = Bench::new().await;
    let public = bench.client.public_key();
    bench.order("ORDER-09", 1).await;
    assert!(
        bench
            .client
            .verifies(&bench.query("ORDER-09").await, &public)
    );
    assert!(
        bench
            .client
            .verifies(&bench.query("ORDER-none").await, &public)
    );
    let mut other = bench.jsapi("ORDER-09", 2);
    let changed = bench
        .client
        .post("/v3/pay/transactions/jsapi", &other)
        .await;
    assert_eq!(changed.status, 400);
    assert!(bench.client.verifies(&changed, &public));
    other["nonsense"] = json!(1);
    let schema = bench
        .client
        .post("/v3/pay/transactions/jsapi", &other)
        .await;
    assert_eq!(schema.status, 400);
    assert!(schema.is_unsigned());
    bench
        .fault(json!({"name": "server_error", "count": 1}))
        .await;
    let error = bench.query("ORDER-09").await;
    assert_eq!(error.status, 500);
    assert!(error.is_unsigned());

    bench.knob("sign_schema_errors", json!(true)).await;
    bench.knob("sign_server_errors", json!(true)).await;
    let schema = bench
        .client
        .post("/v3/pay/transactions/jsapi", &other)
        .await;
    assert!(bench.client.verifies(&schema, &public));
    bench
        .fault(json!({"name": "server_error", "count": 1}))
        .await;
    assert!(
        bench
            .client
            .verifies(&bench.query("ORDER-09").await, &public)
    );
}

#[tokio::test]
async fn signing_keys_the_mode_decides_who_signs_answers() {
    let bench = Bench::new().await;
    let certificates = bench.client.get("/v3/certificates").await;
    assert_eq!(
        (certificates.status, certificates.code().as_str()),
        (404, "RESOURCE_NOT_EXISTS")
    );
    assert!(
        certificates
            .text()
            .contains("无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。")
    );

    let bench = Bench::with(certificate_mode).await;
    let answer = bench.query("ORDER-none").await;
    assert_eq!(answer.header("wechatpay-serial").len(), 40);
    assert!(
        bench
            .client
            .verifies(&answer, &bench.client.platform_certificate())
    );
    let pem = std::fs::read_to_string(bench.client.folder.join("platform_key.pem")).unwrap();
    let certificate_key =
        std::fs::read_to_string(bench.client.folder.join("platform_cert_key.pem")).unwrap();
    assert_eq!(pem, certificate_key, "platform_key.pem is what signs");

    let bench = Bench::with(|config| config.mode = Mode::Both).await;
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER-none?mchid={mchid}");
    let by_certificate = bench.client.get(&target).await;
    assert!(
        bench
            .client
            .verifies(&by_certificate, &bench.client.platform_certificate())
    );
    let mut draft = bench.client.draft("GET", &target, b"");
    let id = bench.client.file.public_key_id.clone();
    draft
        .headers
        .push(("Wechatpay-Serial".to_owned(), id.clone()));
    let by_public_key = bench.client.send(draft).await;
    assert_eq!(by_public_key.header("wechatpay-serial"), id);
    assert!(
        bench
            .client
            .verifies(&by_public_key, &bench.client.public_key())
    );
    assert_eq!(bench.client.get("/v3/certificates").await.status, 200);
}

#[tokio::test]
async fn signing_keys_notices_are_mixed_by_the_ratio_during_a_switch() {
    let bench = Bench::with(|config| config.mode = Mode::Both).await;
    let mchid = bench.client.file.mchid.clone();
    for (share, expect) in [(1.0, "PUB_KEY_ID_"), (0.0, "")] {
        let path = format!("/_sim/merchants/{mchid}");
        bench
            .control(&path, json!({"public_key_share": share}))
            .await;
        let before = bench.inbox.received().len();
        bench.paid(&format!("ORDER-10-{share}"), 1).await;
        let notice = bench.inbox.wait(before + 1).await.pop().unwrap();
        let serial = notice.header("wechatpay-serial").to_owned();
        assert!(serial.starts_with(expect), "{serial}");
        assert_eq!(serial.starts_with("PUB_KEY_ID_"), share == 1.0);
        let keys = [
            bench.client.public_key(),
            bench.client.platform_certificate(),
        ];
        assert!(keys.iter().any(|key| notice.verified_by(key)));
    }
    bench
        .control(
            &format!("/_sim/merchants/{mchid}"),
            json!({"public_key_share": 0.5}),
        )
        .await;
    let before = bench.inbox.received().len();
    for index in 0..16 {
        bench.paid(&format!("ORDER-10-mixed-{index}"), 1).await;
    }
    let notices = bench.inbox.wait(before + 16).await;
    let by_public_key = notices[before..]
        .iter()
        .filter(|notice| notice.header("wechatpay-serial").starts_with("PUB_KEY_ID_"))
        .count();
    assert!((1..16).contains(&by_public_key), "{by_public_key} of 16");
}

#[tokio::test]
async fn nonces_nonces_have_their_two_alphabets_and_times_are_those_of_signing() {
    let bench = Bench::new().await;
    bench.paid("ORDER-11", 1).await;
    let answer = bench.query("ORDER-11").await;
    let nonce = answer.header("wechatpay-nonce");
    assert_eq!(nonce.len(), 32);
    assert!(
        nonce
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    assert_eq!(answer.header("wechatpay-signature").len(), 344);
    let kind = "WECHATPAY2-SHA256-RSA2048";
    assert_eq!(answer.header("wechatpay-signature-type"), kind);
    let now = bench
        .client
        .draft("GET", "/", b"")
        .timestamp
        .parse::<i64>()
        .unwrap();
    let signed_at: i64 = answer.header("wechatpay-timestamp").parse().unwrap();
    assert!((now - signed_at).abs() <= 2);
    let notice = bench.inbox.wait(1).await.pop().unwrap();
    let nonce = notice.header("wechatpay-nonce");
    assert_eq!(nonce.len(), 32);
    assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(notice.header("wechatpay-signature-type"), kind);
}

#[tokio::test]
async fn probes_probes_fail_verification_and_spare_the_retry() {
    let bench = Bench::with(|config| config.speed = 1000.0).await;
    let public = bench.client.public_key();
    bench.order("ORDER-12", 1).await;
    bench.fault(json!({"name": "response_probe"})).await;
    let probed = bench.query("ORDER-12").await;
    assert!(
        probed
            .header("wechatpay-signature")
            .starts_with("WECHATPAY/SIGNTEST/")
    );
    assert!(!bench.client.verifies(&probed, &public));
    let retried = bench.query("ORDER-12").await;
    assert!(bench.client.verifies(&retried, &public));

    bench.fault(json!({"name": "notice_probe"})).await;
    bench.inbox.answer(&[401]);
    bench.control("/_sim/orders/ORDER-12/pay", json!({})).await;
    let notices = bench.inbox.wait(2).await;
    assert!(
        notices[0]
            .header("wechatpay-signature")
            .starts_with("WECHATPAY/SIGNTEST/")
    );
    assert!(notices[1].verified_by(&public));
    bench
        .notice("ORDER-12", |row| row["state"] == "delivered")
        .await;
    assert_eq!(bench.seen("/_sim/violations").await["items"], json!([]));

    // A merchant that accepts a probe is caught, and told again properly.
    bench.paid("ORDER-12-careless", 1).await;
    bench
        .notice("ORDER-12-careless", |row| row["state"] == "delivered")
        .await;
    let violations = bench.seen("/_sim/violations").await;
    assert_eq!(
        violations["items"][0]["kind"], "accepted_forgery",
        "{violations}"
    );
    assert_eq!(violations["items"][0]["out_trade_no"], "ORDER-12-careless");
}

#[tokio::test]
async fn an_event_of_another_product_may_be_accepted_unopened_and_a_payment_may_not() {
    let bench = Bench::with(|config| config.speed = 1000.0).await;
    bench
        .fault(json!({"name": "notice_unknown_event", "count": 1}))
        .await;
    bench
        .fault(json!({"name": "notice_unopenable", "count": 2}))
        .await;
    bench.paid("ORDER-coupon", 1).await;
    let coupon = bench
        .notice("ORDER-coupon", |row| {
            row["event_type"] == "COUPON.USE" && row["state"] != "pending"
        })
        .await;
    assert_eq!(coupon["attempts"][0]["twist"], "unopenable", "{coupon}");
    assert_eq!(coupon["state"], "delivered", "{coupon}");
    let payment = bench
        .notice("ORDER-coupon", |row| {
            row["event_type"] == "TRANSACTION.SUCCESS" && row["state"] == "delivered"
        })
        .await;
    assert_eq!(payment["attempts"][0]["twist"], "unopenable", "{payment}");
    let violations = bench.seen("/_sim/violations").await;
    let violations = violations["items"].as_array().unwrap();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert_eq!(violations[0]["kind"], "accepted_forgery");
    assert_eq!(violations[0]["event_type"], "TRANSACTION.SUCCESS");
}

#[tokio::test]
async fn forged_answers_answers_can_be_stale_unsigned_altered_foreign_or_compressed() {
    let bench = Bench::new().await;
    let public = bench.client.public_key();
    bench.order("ORDER-13", 1).await;
    let strike = async |name: &str| {
        bench.fault(json!({"name": name, "count": 1})).await;
        bench.query("ORDER-13").await
    };
    let now = bench
        .client
        .draft("GET", "/", b"")
        .timestamp
        .parse::<i64>()
        .unwrap();
    let stale = strike("response_stale").await;
    assert!(now - stale.header("wechatpay-timestamp").parse::<i64>().unwrap() > 300);
    assert!(
        bench.client.verifies(&stale, &public),
        "only its date is wrong"
    );
    assert!(strike("response_unsigned").await.is_unsigned());
    let foreign = strike("response_unknown_serial").await;
    assert_ne!(
        foreign.header("wechatpay-serial"),
        bench.client.file.public_key_id
    );
    assert!(
        !bench
            .client
            .verifies(&strike("response_altered").await, &public)
    );
    let mixed = strike("response_mixed_up").await;
    assert!(bench.client.verifies(&mixed, &public));
    assert_ne!(mixed.json()["out_trade_no"], "ORDER-13");
    let compressed = strike("response_compressed").await;
    assert_eq!(compressed.header("content-encoding"), "deflate");
    assert!(serde_json::from_slice::<serde_json::Value>(&compressed.body).is_err());
}
