//! The process, killed before, within and after each look of a withdrawal.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::process::{LOOK_EVERY, Process, order};
use crate::harness::{PATIENCE, rows};

/// How long nothing may be free: two signed absences lie at least so far apart, in seconds.
const APART_SECONDS: u64 = 5 * 60;

/// Longer than a look's claim, and than any pause between two looks of a withdrawal, in seconds.
const DUE_SECONDS: u64 = APART_SECONDS + 130;

async fn control(process: &Process, path: &str, body: Value) -> Value {
    let url = format!("{}{path}", process.text("control_url"));
    let (status, answer) = process.post(url, None, &[], body).await.unwrap();
    assert!(matches!(status, 200 | 204), "{path}: {status} {answer}");
    answer
}

async fn advance(process: &Process, seconds: u64) {
    control(process, "/_local/clock", json!({"advance_s": seconds})).await;
}

/// Waits for the sweep to ask about the refund after so many seconds, and kills it before it is answered.
async fn dies_while_asking(mut process: Process, folder: &Path, seconds: u64) -> Process {
    let slow = json!({"name": "slow", "operation": "query_refund"});
    control(&process, "/_sim/faults", slow).await;
    advance(&process, seconds).await;
    let url = process.text("control_url").to_owned();
    let struck = async || {
        let faults = rows(&process.http, &url, "faults").await;
        faults
            .iter()
            .any(|fault| fault["name"] == "slow" && fault["struck"] != 0)
    };
    until(struck).await;
    process.die();
    let process = Process::start(folder);
    no_faults(&process).await;
    let order = process.order("drawn-001").await;
    assert_eq!(stands(&order), ("WITHDRAWING", 0), "{order}");
    process
}

/// Waits until the sweep has heard that there is no such refund.
async fn absent(folder: &Path) {
    let heard = async || {
        let log = std::fs::read_to_string(folder.join("log.jsonl")).unwrap_or_default();
        let mut lines = log
            .lines()
            .filter(|line| line.contains("\"function\":\"sweep\""));
        lines.any(|line| line.contains("RESOURCE_NOT_EXISTS"))
    };
    until(heard).await;
}

async fn until(holds: impl AsyncFn() -> bool) {
    for _ in 0..PATIENCE.as_millis() / LOOK_EVERY.as_millis() {
        if holds().await {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("it did not come to be");
}

async fn no_faults(process: &Process) {
    let faults = format!("{}/_sim/faults", process.text("control_url"));
    process.http.delete(faults).send().await.unwrap();
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
    process = Process::start(folder.path());
    let (status, refund) = process.wish(path, json!({})).await.unwrap();
    assert!(matches!(status, 200 | 202), "{status} {refund}");
    assert_eq!(refund["status"], "WITHDRAWING");

    // In the middle of the first look.
    process = dies_while_asking(process, folder.path(), 90).await;
    // After the first absence.
    advance(&process, 130).await;
    absent(folder.path()).await;
    process.die();
    process = Process::start(folder.path());
    let order = process.order("drawn-001").await;
    assert_eq!(stands(&order), ("WITHDRAWING", 0), "{order}");
    // In the middle of the look that would find the second one.
    process = dies_while_asking(process, folder.path(), DUE_SECONDS).await;
    advance(&process, 130).await;
    process
        .until("drawn-001", |order| stands(order) == ("WITHDRAWN", 500))
        .await;

    // Its number is burnt, and what it held can be refunded once.
    let again = json!({"out_refund_no": "drawn-r1", "amount": {"refund": 500}});
    let (_, refund) = process
        .wish("/orders/drawn-001/refunds", again)
        .await
        .unwrap();
    assert_eq!(refund["status"], "WITHDRAWN");
    no_faults(&process).await;
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
    let ledger = rows(&process.http, process.text("control_url"), "ledger").await;
    let refunds: Vec<&Value> = ledger
        .iter()
        .filter_map(|row| row.get("out_refund_no"))
        .filter(|number| number.is_string())
        .collect();
    assert_eq!(refunds, ["drawn-r2"]);
}
