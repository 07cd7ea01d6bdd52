//! The page's stream of changes: it tells every kind, and misses nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use crate::support::{Bench, PATIENCE};

/// The event stream, as a browser reads it.
struct Stream {
    response: Response,
    unread: String,
}

impl Stream {
    async fn open(bench: &Bench) -> Self {
        let url = format!("{}/_sim/events", bench.simulator.control_url());
        let response = bench.client.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            unread: String::new(),
        }
    }

    /// The next event's name and data; none when the stream ends.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.unread.split_once("\n\n") {
                let line = |name: &str| {
                    let found = block.lines().find_map(|line| line.strip_prefix(name));
                    found.map(|value| value.trim_start().to_owned())
                };
                let event = line("event:").zip(line("data:"));
                self.unread = rest.to_owned();
                if let Some((name, data)) = event {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
            }
            let read = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = read.expect("an event comes in time").ok().flatten()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Reads until every one of these was told.
    async fn hears(&mut self, wanted: &[&str]) {
        let mut missing: BTreeSet<&str> = wanted.iter().copied().collect();
        while !missing.is_empty() {
            let (name, data) = self.next().await.expect("the stream goes on");
            assert_eq!(data["changed"], name);
            missing.remove(name.as_str());
        }
    }
}

#[tokio::test]
async fn every_kind_of_change_is_told() {
    let bench = Bench::new().await;
    let mut stream = Stream::open(&bench).await;
    assert_eq!(stream.next().await.unwrap().0, "hello");
    bench.order("ORDER-sse", 100).await;
    stream.hears(&["order", "request"]).await;
    bench
        .control("/_sim/orders/ORDER-sse/fail", json!({}))
        .await;
    stream.hears(&["order"]).await;
    bench.control("/_sim/orders/ORDER-sse/pay", json!({})).await;
    stream.hears(&["order", "notice"]).await;
    bench
        .notice("ORDER-sse", |row| row["state"] == "delivered")
        .await;
    bench
        .control("/_sim/knobs", json!({"refund_delay_s": null}))
        .await;
    stream.hears(&["knob"]).await;
    assert_eq!(
        bench
            .refund("ORDER-sse", "REFUND-sse", 40, 100)
            .await
            .status,
        200
    );
    stream.hears(&["refund", "request"]).await;
    bench
        .control("/_sim/refunds/REFUND-sse/close", json!({}))
        .await;
    stream.hears(&["refund", "notice"]).await;
    bench
        .fault(json!({"name": "notice_bad_signature", "count": 1}))
        .await;
    stream.hears(&["fault"]).await;
    bench.order("ORDER-sse-2", 1).await;
    stream.hears(&["order"]).await;
    // The inbox accepts a notice whose signature is wrong: the fault strikes and is used up.
    bench
        .control("/_sim/orders/ORDER-sse-2/pay", json!({}))
        .await;
    stream.hears(&["fault", "violation"]).await;
    let faults = bench.seen("/_sim/faults").await;
    let used_up = faults["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|fault| fault["name"] == "notice_bad_signature")
        .unwrap();
    assert_eq!(
        (&used_up["active"], &used_up["struck"]),
        (&json!([]), &json!(1))
    );
    bench
        .control("/_sim/hostility", json!({"hostility": 0.5}))
        .await;
    stream.hears(&["fault"]).await;
    bench.advance(60).await;
    stream.hears(&["clock"]).await;
    let mchid = bench.client.file.mchid.clone();
    bench
        .control(
            &format!("/_sim/merchants/{mchid}"),
            json!({"balance_fen": 5}),
        )
        .await;
    stream.hears(&["merchant"]).await;
}

#[tokio::test]
async fn time_alone_is_told_too() {
    let bench = Bench::new().await;
    bench.order("ORDER-week", 1).await;
    let mut stream = Stream::open(&bench).await;
    assert_eq!(stream.next().await.unwrap().0, "hello");
    bench.advance(7 * 86_400).await;
    stream.hears(&["clock", "order"]).await;
    let row = bench.seen("/_sim/orders/ORDER-week").await;
    assert_eq!(row["trade_state"], "CLOSED");
}

#[tokio::test]
async fn whoever_looks_after_hello_misses_nothing() {
    let bench = Arc::new(Bench::new().await);
    let writer = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move {
            for index in 0..60 {
                bench.order(&format!("ORDER-race-{index:02}"), 1).await;
            }
        })
    };
    // Readers that start at any moment: what they know is a snapshot taken after hello, renewed
    // whenever an order is told. In the end each has to know every order.
    let mut readers = Vec::new();
    for _ in 0..6 {
        let bench = Arc::clone(&bench);
        readers.push(tokio::spawn(async move {
            let mut stream = Stream::open(&bench).await;
            while let Some((name, _)) = stream.next().await {
                if name == "hello" || name == "order" {
                    let ledger = bench.seen("/_sim/ledger").await;
                    if ledger["total"] == 60 {
                        return;
                    }
                }
            }
            panic!("the stream ended");
        }));
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    for reader in readers {
        tokio::time::timeout(PATIENCE, reader)
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_of_everything() {
    let bench = Bench::new().await;
    let mut stream = Stream::open(&bench).await;
    // Nothing reads the stream; what is told fills the sockets first and then overflows, which is
    // more than any test should send. The library's own listener has the same queue.
    let mut listener = bench.simulator.changes();
    for index in 0..300 {
        bench
            .control(
                "/_sim/hostility",
                json!({"hostility": f64::from(index % 2) / 10.0}),
            )
            .await;
    }
    let lagged = listener.try_recv();
    assert!(
        matches!(
            lagged,
            Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_))
        ),
        "{lagged:?}"
    );
    assert_eq!(stream.next().await.unwrap().0, "hello");
    stream.hears(&["fault"]).await;
}

#[tokio::test]
async fn the_stream_ends_when_the_simulator_stops_and_the_port_is_free_at_once() {
    let bench = Bench::new().await;
    let mut stream = Stream::open(&bench).await;
    assert_eq!(stream.next().await.unwrap().0, "hello");
    let Bench {
        simulator, folder, ..
    } = bench;
    let address = simulator
        .control_url()
        .trim_start_matches("http://")
        .to_owned();
    let stopped = tokio::time::timeout(Duration::from_millis(900), simulator.stop());
    stopped.await.expect("an open stream does not hold it up");
    while stream.next().await.is_some() {}
    tokio::net::TcpListener::bind(&address).await.unwrap();
    drop(folder);
}
