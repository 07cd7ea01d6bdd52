//! The happy path from order to refund, and what survives a restart.

use serde_json::json;

use crate::support::Bench;

#[tokio::test]
async fn an_order_is_paid_notified_refunded_and_notified_again() {
    let bench = Bench::with(|config| config.speed = 100.0).await;
    let public = bench.client.public_key();
    let prepay_id = bench.order("ORDER-flow-1", 100).await;
    assert_eq!(prepay_id.len(), 36);
    let unpaid = bench.query("ORDER-flow-1").await;
    assert_eq!(unpaid.json()["trade_state"], "NOTPAY");
    assert!(bench.client.verifies(&unpaid, &public));
    let row = bench
        .control("/_sim/orders/ORDER-flow-1/pay", json!({}))
        .await;
    assert_eq!(row["trade_state"], "SUCCESS");
    let notices = bench.inbox.wait(1).await;
    assert!(notices[0].verified_by(&public));
    let payload = notices[0].payload(&bench.client.file.apiv3_key);
    assert!(
        payload.contains("\"out_trade_no\":\"ORDER-flow-1\""),
        "{payload}"
    );
    let refund = bench.refund("ORDER-flow-1", "REFUND-1", 40, 100).await;
    assert_eq!(refund.json()["status"], "PROCESSING", "{}", refund.text());
    let notices = bench.inbox.wait(2).await;
    assert!(notices[1].verified_by(&public));
    let payload = notices[1].payload(&bench.client.file.apiv3_key);
    assert!(
        payload.contains("\"refund_status\":\"SUCCESS\""),
        "{payload}"
    );
    assert_eq!(
        bench.query("ORDER-flow-1").await.json()["trade_state"],
        "REFUND"
    );
    bench
        .notice("ORDER-flow-1", |row| row["state"] == "delivered")
        .await;
    assert_eq!(bench.seen("/_sim/violations").await["items"], json!([]));
    bench.simulator.stop().await;
}

#[tokio::test]
async fn the_ledger_the_clock_and_due_notices_survive_a_stop_without_warning() {
    // So slow that the notice is due when the clock is moved, however long a restart takes.
    const SLOWNESS: i64 = 100;
    let speed = 1.0 / SLOWNESS as f64;
    let first = Bench::with(|config| config.speed = speed).await;
    first.inbox.always(500, std::time::Duration::ZERO);
    first.paid("ORDER-survive", 7).await;
    first.inbox.wait(1).await;
    first
        .notice("ORDER-survive", |row| {
            row["attempts"].as_array().unwrap().len() == 1
        })
        .await;
    first.advance(3).await;
    let (folder, inbox) = (first.folder.clone(), first.inbox.clone());
    // Dropped, not stopped: nothing is written on the way out.
    drop(first.simulator);
    let second = loop {
        let mut config = simulator::Config::new(folder.path());
        config.seed = 2;
        config.speed = speed;
        match simulator::Simulator::start(config).await {
            Ok(simulator) => break simulator,
            Err(simulator::StartError::InUse { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let client = crate::support::Client::from_folder(folder.path());
    assert_eq!(second.business_clock().offset_seconds(), 3);
    let bench = Bench {
        client,
        inbox,
        folder,
        simulator: second,
    };
    assert_eq!(
        bench.query("ORDER-survive").await.json()["trade_state"],
        "SUCCESS"
    );
    bench.inbox.always(204, std::time::Duration::ZERO);
    bench.simulator.business_clock().advance(15 * SLOWNESS);
    bench.inbox.wait(2).await;
    bench
        .notice("ORDER-survive", |row| row["state"] == "delivered")
        .await;
}

#[tokio::test]
async fn a_knob_of_another_version_is_passed_over_in_a_state_and_refused_in_a_call() {
    let bench = Bench::new().await;
    let (status, told) = bench
        .control_raw(
            "/_sim/knobs",
            json!({"rate_limits": false, "rate_limit": true}),
        )
        .await;
    assert_eq!(status, 400);
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("rate_limit"), "{message}");
    assert_eq!(bench.seen("/_sim/knobs").await["rate_limits"], true);
    let folder = bench.folder.clone();
    bench.simulator.stop().await;
    let journal = folder.path().join("state/journal.jsonl");
    let mut lines = std::fs::read_to_string(&journal).unwrap();
    lines.push_str("{\"knobs\":{\"rate_limits\":false,\"of_another_version\":7}}\n");
    std::fs::write(&journal, lines).unwrap();
    let bench = Bench::within(folder, |_| {}).await;
    assert_eq!(bench.seen("/_sim/knobs").await["rate_limits"], false);
}
