//! The process, killed again and again while a refund is withdrawn.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::process::{Process, order};

/// How long nothing may be free: two signed absences lie at least so far apart, in seconds.
const APART_SECONDS: u64 = 5 * 60;

/// How far the business clock is moved between two deaths, in seconds.
const STEP_SECONDS: u64 = 90;

/// In so many steps both absences are found, though each look may die with the process.
const STEPS_MAX: u64 = 40;

async fn control(process: &Process, path: &str, body: Value) -> Value {
    let url = format!("{}{path}", process.text("control_url"));
    let (status, answer) = process.post(url, None, &[], body).await.unwrap();
    assert!(matches!(status, 200 | 204), "{path}: {status} {answer}");
    answer
}

/// The only refund of the order, and what is left to refund.
fn stands(order: &Value) -> (&str, i64) {
    let refunds = order["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 1, "{order}");
    (
        refunds[0]["status"].as_str().unwrap(),
        order["amount"]["refundable"].as_i64().unwrap(),
    )
}

#[tokio::test]
async fn killed_at_any_step_of_a_withdrawal_nothing_is_free_before_the_second_absence() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path());
    let placed = process.wish("/orders", order("drawn-001")).await.unwrap();
    assert_eq!(placed.0, 201, "{}", placed.1);
    control(&process, "/_sim/orders/drawn-001/pay", json!({})).await;
    process
        .until("drawn-001", |order| order["trade_state"] == "SUCCESS")
        .await;
    let lost = json!({"name": "request_lost", "operation": "refund"});
    control(&process, "/_sim/faults", lost).await;
    let asked = json!({"out_refund_no": "drawn-r1", "amount": {"refund": 500}});
    let (status, refund) = process
        .wish("/orders/drawn-001/refunds", asked)
        .await
        .unwrap();
    assert_eq!(
        (status, &refund["status"]),
        (202, &json!("RESERVED")),
        "{refund}"
    );

    // Killed before the answer, if it is quick enough; the same request continues.
    let path = "/orders/drawn-001/refunds/drawn-r1/withdraw";
    let url = format!("{}{path}", process.text("api_url"));
    let merchant = process.text("merchant_api_key").to_owned();
    let request = process.request(url, Some(&merchant), &[], json!({}));
    let under_way = tokio::spawn(request.send());
    tokio::task::yield_now().await;
    process.die();
    // It may have been answered: then this is the repeat.
    let _ = under_way.await.unwrap();
    let began = Instant::now();
    process = Process::start(folder.path());
    let (status, refund) = process.wish(path, json!({})).await.unwrap();
    assert!(matches!(status, 200 | 202), "{status} {refund}");
    assert_eq!(refund["status"], "WITHDRAWING");

    let mut moved = 0;
    loop {
        let order = process.order("drawn-001").await;
        let (status, refundable) = stands(&order);
        if status == "WITHDRAWN" {
            assert_eq!(refundable, 500, "{order}");
            let passed = moved + began.elapsed().as_secs();
            assert!(
                passed >= APART_SECONDS,
                "free after {passed} seconds: {order}"
            );
            break;
        }
        assert_eq!((status, refundable), ("WITHDRAWING", 0), "{order}");
        assert!(moved < STEPS_MAX * STEP_SECONDS, "{order}");
        let step = json!({"advance_s": STEP_SECONDS});
        control(&process, "/_local/clock", step).await;
        moved += STEP_SECONDS;
        // The sweep may be looking at it, and so may this request, in the moment of death.
        let url = format!("{}/orders/drawn-001", process.text("api_url"));
        let request = process.http.get(url).bearer_auth(&merchant);
        let under_way = tokio::spawn(request.send());
        tokio::task::yield_now().await;
        process.die();
        let _ = under_way.await.unwrap();
        process = Process::start(folder.path());
    }

    // Its number is burnt, and what it held can be refunded once.
    let again = json!({"out_refund_no": "drawn-r1", "amount": {"refund": 500}});
    let (_, refund) = process
        .wish("/orders/drawn-001/refunds", again)
        .await
        .unwrap();
    assert_eq!(refund["status"], "WITHDRAWN");
    let faults = format!("{}/_sim/faults", process.text("control_url"));
    process.http.delete(faults).send().await.unwrap();
    let other = json!({"out_refund_no": "drawn-r2", "amount": {"refund": 500}});
    let (status, refund) = process
        .wish("/orders/drawn-001/refunds", other)
        .await
        .unwrap();
    assert_eq!(status, 202, "{refund}");
    let done = |order: &Value| {
        let refunds = order["refunds"].as_array().unwrap();
        refunds.iter().any(|refund| refund["status"] == "SUCCESS")
    };
    process.until("drawn-001", done).await;
    let ledger = format!("{}/_sim/ledger", process.text("control_url"));
    let ledger: Value = process
        .http
        .get(ledger)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let refunds = ledger["items"].as_array().unwrap().iter();
    let refunds: Vec<&Value> = refunds
        .filter_map(|row| row.get("out_refund_no"))
        .filter(|number| number.is_string())
        .collect();
    assert_eq!(refunds, ["drawn-r2"]);
}
