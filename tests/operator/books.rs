//! The books and the events: what invokes a function, and what reads WeChat Pay's own file.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};

use crate::shop::{PATIENCE, Ran, Shop, shop, wxpay};

fn told(shop: &Shop) -> Vec<Value> {
    let events = shop.run(&["events", "tail", "--last", "1000", "--json"]);
    let lines = events.text().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn ids<'a>(events: impl Iterator<Item = &'a Value>) -> Vec<&'a str> {
    events
        .map(|event| event["detail"]["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_span_of_events_is_told_again_with_the_same_ids() {
    let shop = shop();
    let token = shop.token().await;
    let number = shop.paid(&token, "whose-event-is-told-twice").await;
    let own = |events: &[Value]| {
        let own = ids(events.iter());
        let own = own
            .into_iter()
            .filter(|id| id.starts_with(&format!("{number}:")));
        own.map(str::to_owned).collect::<Vec<String>>()
    };
    let started = Instant::now();
    let first = loop {
        let first = own(&told(&shop));
        if !first.is_empty() {
            break first;
        }
        assert!(started.elapsed() < PATIENCE, "no event of {number}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let today = shop.run(&["orders", "list", "--json"]).json()["date"].clone();
    let today = today.as_str().unwrap();
    let mut arguments = vec![
        "events",
        "replay",
        "--from",
        "2020-01-01",
        "--to",
        "2099-01-01",
    ];
    arguments.extend(["--placed-from", today, "--json"]);
    let replayed = shop.run(&arguments).json();
    assert!(replayed["events"].as_u64().unwrap() >= 1, "{replayed}");
    let again = own(&told(&shop));
    assert!(again.len() > first.len(), "{again:?}");
    let different: BTreeSet<&String> = again.iter().collect();
    assert_eq!(different.len(), first.len(), "{again:?}");
    let backwards = [
        "events",
        "replay",
        "--from",
        "2026-11-29",
        "--to",
        "2026-11-28",
    ];
    shop.run(&backwards).failed(5);
    let people = shop.run(&["events", "tail"]);
    assert!(people.text().contains("order.paid"), "{}", people.out);
}

#[tokio::test]
async fn a_day_is_reconciled_again_and_its_bill_is_fetched() {
    // Its clock is moved: a stack of its own.
    let shop = Shop::start();
    let token = shop.token().await;
    let number = shop.paid(&token, "what-the-bill-has").await;
    let placed = shop.order(&number).await;
    let date = placed["success_time"].as_str().unwrap()[..10].to_owned();
    // Not before the day is over: the function says no.
    let early = shop.run(&["reconcile", "--date", &date]);
    assert_ne!(early.code, 0, "{early:?}");
    shop.clock(36 * 3_600).await;
    let done = shop.run(&["reconcile", "--date", &date, "--json"]);
    assert_eq!(done.json()["status"], "done", "{done:?}");
    assert_eq!(done.json()["differences"], 0, "{done:?}");
    let bill = shop.run(&["bill", "--date", &date]);
    assert!(bill.text().contains(&number), "{bill:?}");
    let file = shop.file("bill.csv");
    let out = file.to_str().unwrap();
    let flow = shop.run(&[
        "bill",
        "--date",
        &date,
        "--kind",
        "fund-flow",
        "--out",
        out,
        "--json",
    ]);
    let bytes = std::fs::read(&file).unwrap().len();
    assert_eq!(flow.json(), json!({"file": out, "bytes": bytes}));
    let none = shop.run(&["bill", "--date", "2020-01-01"]);
    assert_ne!(none.code, 0, "{none:?}");
}

#[tokio::test]
async fn without_the_right_to_invoke_nothing_is_invoked() {
    let shop = shop();
    let mut command = wxpay();
    command
        .args(["reconcile", "--stack", "local", "--region", "eu-west-1"])
        .env("AWS_ENDPOINT_URL", shop.text("aws_url"))
        .env("AWS_ACCESS_KEY_ID", "LOCALQueryFunction")
        .env("AWS_SECRET_ACCESS_KEY", "local");
    let ran = Ran::of(command.output().unwrap());
    assert!(ran.failed(3).contains("not authorized"), "{}", ran.err);
}
