//! Faults by name: listed, explained, counted, and the same for the same seed.

use serde_json::{Value, json};

use crate::support::Bench;

#[tokio::test]
async fn every_fault_is_named_and_explained_and_unknown_ones_are_refused() {
    let bench = Bench::new().await;
    let listed = bench.seen("/_sim/faults").await;
    let names: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    for name in [
        "notice_lost",
        "notice_duplicated",
        "notice_late",
        "notice_reordered",
        "notice_bad_signature",
        "notice_probe",
        "notice_unknown_serial",
        "response_probe",
        "response_unsigned",
        "response_stale",
        "response_lost",
        "request_lost",
        "server_error",
        "server_error_applied",
        "html_error",
        "rate_limited",
        "rate_limited_applied",
        "slow",
        "refund_not_found",
        "refund_not_enough",
        "close_user_paying",
        "unknown_fields",
        "bill_late",
        "bill_bad_hash",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let items = listed["items"].as_array().unwrap();
    assert!(
        items
            .iter()
            .all(|item| item["what"].as_str().unwrap().len() > 10)
    );
    let (status, answer) = bench
        .control_raw("/_sim/faults", json!({"name": "nonsense"}))
        .await;
    assert_eq!(status, 400);
    assert!(answer["message"].as_str().unwrap().contains("nonsense"));
    let (status, _) = bench
        .control_raw("/_sim/faults", json!({"name": "slow", "rate": 2.0}))
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_counted_fault_ends_and_delete_clears_all() {
    let bench = Bench::new().await;
    bench.order("ORDER-count", 1).await;
    bench
        .fault(json!({"name": "server_error", "count": 2}))
        .await;
    let statuses = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(bench.query("ORDER-count").await.status);
        }
        statuses
    };
    assert_eq!(statuses(3).await, [500, 500, 200]);
    bench
        .fault(json!({"name": "server_error", "out_trade_no": "ORDER-other"}))
        .await;
    assert_eq!(statuses(1).await, [200]);
    bench.fault(json!({"name": "rate_limited"})).await;
    assert_eq!(statuses(2).await, [429, 429]);
    let url = format!("{}/_sim/faults", bench.simulator.control_url());
    bench.client.http.delete(url).send().await.unwrap();
    assert_eq!(statuses(1).await, [200]);
}

#[tokio::test]
async fn the_same_seed_and_requests_give_the_same_faults() {
    let run = async |seed: u64| {
        let bench = Bench::with(|config| config.seed = seed).await;
        bench.order("ORDER-seed", 1).await;
        bench
            .fault(json!({"name": "server_error", "rate": 0.5}))
            .await;
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(bench.query("ORDER-seed").await.status);
        }
        statuses
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    assert!(first.contains(&200) && first.contains(&500));
}

#[tokio::test]
async fn hostility_zero_is_kind_and_one_is_cruel() {
    let cruel = Bench::with(|config| {
        config.hostility = 1.0;
        config.speed = 1000.0;
    })
    .await;
    let mut odd = 0;
    for index in 0..60 {
        let body = cruel.native(&format!("ORDER-cruel-{index}"), 1).to_string();
        let path = "/v3/pay/transactions/native";
        let draft = cruel.client.draft("POST", path, body.as_bytes());
        // Six seconds of a slow answer are more than this test waits for.
        let sent = tokio::time::timeout(
            std::time::Duration::from_millis(500),
            cruel.client.try_send(draft),
        );
        odd += match sent.await {
            Ok(Ok(answer)) => usize::from(
                answer.status != 200 || !cruel.client.verifies(&answer, &cruel.client.public_key()),
            ),
            Ok(Err(_)) | Err(_) => 1,
        };
    }
    assert!((5..55).contains(&odd), "{odd} of 60 went wrong");
    let struck: Vec<Value> = cruel.seen("/_sim/faults").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["struck"].as_u64().unwrap() > 0)
        .cloned()
        .collect();
    assert!(struck.len() > 3);
}

#[tokio::test]
async fn hostile_answers_are_what_they_say() {
    let bench = Bench::new().await;
    bench.order("ORDER-hostile", 1).await;
    let public = bench.client.public_key();
    let strike = async |name: &str| {
        bench.fault(json!({"name": name, "count": 1})).await;
        bench.query("ORDER-hostile").await
    };
    let unknown = strike("unknown_fields").await;
    assert!(unknown.json()["new_member"].is_object());
    assert!(bench.client.verifies(&unknown, &public));
    assert_eq!(
        strike("unknown_state").await.json()["trade_state"],
        "REVIEWING"
    );
    let wrong = strike("response_wrong_amount").await;
    assert_eq!(wrong.json()["amount"]["total"], 2);
    assert!(bench.client.verifies(&wrong, &public));
    assert!(strike("response_oversized").await.body.len() > 10_000_000);
    bench
        .fault(json!({"name": "response_truncated", "count": 1}))
        .await;
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER-hostile?mchid={mchid}");
    let cut = bench
        .client
        .try_send(bench.client.draft("GET", &target, b""))
        .await;
    assert!(cut.is_err());
    let close = "/v3/pay/transactions/out-trade-no/ORDER-hostile/close";
    bench
        .fault(json!({"name": "close_user_paying", "count": 1}))
        .await;
    let paying = bench.client.post(close, &json!({"mchid": mchid})).await;
    assert_eq!((paying.status, paying.code().as_str()), (202, "USERPAYING"));
    assert_eq!(
        bench.query("ORDER-hostile").await.json()["trade_state"],
        "NOTPAY"
    );
    bench.fault(json!({"name": "prepay_odd", "count": 1})).await;
    let odd = bench
        .client
        .post("/v3/pay/transactions/jsapi", &bench.jsapi("ORDER-odd", 1))
        .await;
    assert!(odd.json()["prepay_id"].as_str().unwrap().contains('\n'));
    bench
        .fault(json!({"name": "request_late", "count": 1}))
        .await;
    let body = bench.jsapi("ORDER-late", 1).to_string();
    let path = "/v3/pay/transactions/jsapi";
    let sent = bench
        .client
        .try_send(bench.client.draft("POST", path, body.as_bytes()))
        .await;
    assert!(sent.is_err());
    assert_eq!(bench.query("ORDER-late").await.status, 404, "not yet");
    let applied = async {
        while bench.query("ORDER-late").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, applied)
        .await
        .unwrap();
}

#[tokio::test]
async fn accepting_a_forged_notice_is_a_violation() {
    for name in [
        "notice_bad_signature",
        "notice_unknown_serial",
        "notice_stale",
        "notice_unopenable",
    ] {
        let bench = Bench::with(|config| config.speed = 1000.0).await;
        bench.fault(json!({"name": name, "count": 1})).await;
        bench.paid("ORDER-forged", 1).await;
        let row = bench
            .notice("ORDER-forged", |row| row["state"] == "delivered")
            .await;
        assert_eq!(
            row["attempts"].as_array().unwrap().len(),
            2,
            "then it comes properly"
        );
        let violations = bench.seen("/_sim/violations").await;
        assert_eq!(violations["items"].as_array().unwrap().len(), 1, "{name}");
        let first = &bench.inbox.received()[0];
        let genuine = first.verified_by(&bench.client.public_key());
        assert_eq!(genuine, name != "notice_bad_signature", "{name}");
    }
}
