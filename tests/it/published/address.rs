//! `--events-url`: the same envelope with the same retries, whatever the address answers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use local::deliverer::Address;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{committed, events, heard, life};
use crate::harness::{PATIENCE, TestStack};

/// Somebody's back office: what it answers next, and what it was posted and took.
#[derive(Default)]
struct BackOffice {
    answers: Mutex<Vec<u16>>,
    posted: Mutex<Vec<String>>,
    taken: Mutex<Vec<Value>>,
}

async fn receive(
    State(office): State<Arc<BackOffice>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    assert_eq!(headers["x-api-key"], "the-key");
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    let event: Value = serde_json::from_slice(&body).unwrap();
    let id = event["detail"]["id"].as_str().unwrap().to_owned();
    office.posted.lock().unwrap().push(id);
    let status = office.answers.lock().unwrap().pop().unwrap_or(204);
    if status == 204 {
        office.taken.lock().unwrap().push(event);
    }
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("retry-after", "0")])
}

async fn until(what: impl Fn() -> bool) {
    let pause = Duration::from_millis(40);
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        if what() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
    panic!("it did not come to be");
}

#[tokio::test]
async fn each_event_is_posted_until_it_is_taken_and_what_is_refused_for_good_is_kept() {
    let office = Arc::new(BackOffice::default());
    // The last is answered first: trouble that passes, and one refusal for good.
    *office.answers.lock().unwrap() = vec![503, 429, 400, 401, 409, 500, 407];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    let router = Router::new()
        .fallback(receive)
        .with_state(Arc::clone(&office));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let stack = TestStack::with(|options| {
        options.stream = true;
        let key = Some("the-key".to_owned());
        options.events_to = Some(Address { url, key });
    })
    .await;
    let knobs = json!({"refund_delay_s": null});
    stack.control("knobs", knobs).await;
    life::a_payment_and_a_refund(&stack, "posted-001").await;
    life::a_payment_and_a_refund(&stack, "posted-002").await;
    let wanted = committed(&stack);
    life::until_heard(&stack, &wanted).await;
    until(|| office.taken.lock().unwrap().len() == wanted.len() - 1).await;
    let kept = stack.stack.data_dir.join("events-undelivered.jsonl");
    until(|| kept.is_file()).await;
    let kept: Value = serde_json::from_str(std::fs::read_to_string(kept).unwrap().trim()).unwrap();
    let mut told = office.taken.lock().unwrap().clone();
    told.push(kept);
    assert_eq!(heard(&told), wanted);
    assert_eq!(office.posted.lock().unwrap().len(), wanted.len() + 6);
    let lines: BTreeSet<String> = events(&stack).iter().map(Value::to_string).collect();
    let posted: BTreeSet<String> = told.iter().map(Value::to_string).collect();
    assert_eq!(posted, lines, "the very lines of the bus");
    // Nothing that is done is posted anew by a restart.
    let place = stack.stack.data_dir.join("events-url.txt");
    let done = wanted.len().to_string();
    until(|| std::fs::read_to_string(&place).is_ok_and(|text| text == done)).await;
    let stack = stack.restarted().await;
    stack.paid("posted-003", 500).await;
    until(|| office.taken.lock().unwrap().len() == wanted.len()).await;
    let last = office.taken.lock().unwrap().last().unwrap().clone();
    assert_eq!(last["detail"]["order"]["out_trade_no"], "posted-003");
    assert_eq!(office.posted.lock().unwrap().len(), wanted.len() + 7);
    server.abort();
}
