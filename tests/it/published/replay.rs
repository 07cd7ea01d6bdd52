//! A replay: the same events with the same ids, from the records alone.

use serde_json::{Value, json};

use super::{FUNCTION, committed, events, heard, life};
use crate::harness::TestStack;

/// Replays a span, in as many runs as it takes; gives how many events were told.
async fn replay(stack: &TestStack, from: i64, to: i64, more: Value) -> Value {
    let moment = |seconds: i64| {
        shared::rfc3339::format(shared::domain::Timestamp::from_unix_seconds(seconds))
    };
    let mut event = json!({"from": moment(from), "to": moment(to)});
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    let mut told = 0;
    loop {
        let mut answer = stack.stack.invoke(FUNCTION, event.clone()).await.unwrap();
        told += answer["events"].as_u64().unwrap();
        match answer.as_object_mut().unwrap().remove("next") {
            Some(next) => event["next"] = next,
            None => return json!({"events": told}),
        }
    }
}

#[tokio::test]
async fn a_lost_day_is_told_again_from_the_records_with_the_same_ids() {
    // The stream is brought to nobody, and then forgotten.
    let stack = life::stack().await;
    let began = stack.stack.clock().business().unix_seconds();
    life::everything(&stack).await;
    let ended = stack.stack.clock().business().unix_seconds() + 1;
    let committed = committed(&stack);
    assert_eq!(events(&stack), [Value::Null; 0]);
    let day = json!({"placed_from": shared::rfc3339::format(stack.stack.clock().business().minus_seconds(86_400))});
    let told = replay(&stack, began, ended, day.clone()).await;
    assert_eq!(told, json!({"events": committed.len()}));
    assert_eq!(heard(&events(&stack)), committed);
    // Once more: nothing has another id.
    replay(&stack, began, ended, day.clone()).await;
    assert_eq!(events(&stack).len(), 2 * committed.len());
    assert_eq!(heard(&events(&stack)), committed);
    // A span tells what happened in it.
    let before = events(&stack).len();
    let cut = events(&stack)[0]["detail"]["occurred_at"].clone();
    let cut = shared::rfc3339::parse(cut.as_str().unwrap()).unwrap();
    let cut = cut.unix_seconds();
    replay(&stack, began - 600, cut, day.clone()).await;
    let early = events(&stack).split_off(before);
    replay(&stack, cut, ended, day.clone()).await;
    let late = events(&stack).split_off(before + early.len());
    assert_eq!(early.len() + late.len(), committed.len());
    assert!(
        late.iter()
            .any(|event| event["detail"]["id"] == events(&stack)[0]["detail"]["id"])
    );
    // It goes on behind the order that was done.
    let orders = stack.items();
    let order = orders.iter().filter(|item| item["sk"]["S"] == "ORDER");
    let created =
        |item: &Value| -> i64 { item["created_at"]["N"].as_str().unwrap().parse().unwrap() };
    let newest =
        order.max_by_key(|item| (created(item), std::cmp::Reverse(item["pk"].to_string())));
    let newest = newest.unwrap();
    let number = newest["out_trade_no"]["S"].as_str().unwrap();
    let mut on = day;
    on["next"] = json!({"created_at": created(newest), "out_trade_no": number});
    let before = events(&stack).len();
    replay(&stack, began, ended, on).await;
    let rest = events(&stack).split_off(before);
    assert!(!rest.is_empty());
    assert!(
        rest.iter()
            .all(|event| event["detail"]["order"]["out_trade_no"] != number)
    );
}

#[tokio::test]
async fn a_span_that_is_none_is_refused_and_one_that_the_bus_does_not_take_fails() {
    let stack = life::stack().await;
    for event in [
        json!({}),
        json!({"from": "yesterday", "to": "2026-09-21T00:00:00+08:00"}),
        json!({"from": "2026-09-21T00:00:00+08:00", "to": "2026-09-21T00:00:00+08:00"}),
        json!({"from": "2026-09-20T00:00:00+08:00", "to": "2026-09-21T00:00:00+08:00", "till": 1}),
        json!({"from": "2026-09-20T00:00:00+08:00", "to": "2026-09-21T00:00:00+08:00", "next": {"created_at": 1, "out_trade_no": "|"}}),
    ] {
        let refused = stack.stack.invoke(FUNCTION, event.clone()).await;
        assert!(refused.is_err(), "{event}: {refused:?}");
    }
    stack.paid("replay-001", 500).await;
    stack.watch.set_fault(Some(std::sync::Arc::new(|call| {
        (call.operation == "PutEvents").then_some(local::aws::Fault::Fail)
    })));
    let now = stack.stack.clock().business();
    let moment = |seconds| shared::rfc3339::format(now.plus_seconds(seconds));
    let span = json!({"from": moment(-600), "to": moment(600), "placed_from": moment(-600)});
    assert!(stack.stack.invoke(FUNCTION, span.clone()).await.is_err());
    stack.watch.set_fault(None);
    let told = stack.stack.invoke(FUNCTION, span).await.unwrap();
    assert_eq!(told, json!({"events": 1}));
}

/// What a replay's line says, and that one which cannot be read holds up no other.
#[tokio::test]
async fn a_replay_says_what_it_told_and_what_it_could_not_read() {
    let stack = life::stack().await;
    for number in ["replay-101", "replay-102"] {
        stack.paid(number, 500).await;
    }
    let mut spoilt = stack.order_item("replay-101");
    let kept = spoilt.clone();
    spoilt["events"] = json!({"S": "nonsense"});
    stack.put_item(&spoilt);
    let now = stack.stack.clock().business();
    let moment = |seconds| shared::rfc3339::format(now.plus_seconds(seconds));
    let span = json!({"from": moment(-600), "to": moment(600), "placed_from": moment(-600)});
    let told = stack.stack.invoke(FUNCTION, span).await.unwrap();
    assert_eq!(told, json!({"events": 1, "unreadable": 1}));
    let lines = stack.log_lines();
    let line = lines
        .iter()
        .rfind(|line| line["message"] == "replayed")
        .unwrap();
    assert_eq!(
        (&line["events"], &line["level"]),
        (&json!(1), &json!("ERROR"))
    );
    assert!(line["unreadable"].is_string(), "{line}");
    assert_eq!(line["told"][0]["id"], events(&stack)[0]["detail"]["id"]);
    stack.put_item(&kept);
}

/// An order can be refunded for a year: whoever tells of a refund again looks back that far.
#[tokio::test]
async fn a_replay_finds_the_refund_of_an_order_that_was_placed_a_year_ago() {
    let stack = life::stack().await;
    stack.paid("replay-201", 500).await;
    stack.advance(364 * 24 * 60 * 60).await;
    let began = stack.stack.clock().business().unix_seconds();
    stack
        .refund("replay-201", "replay-r2", 200)
        .await
        .expect(202);
    let end = "refunds/replay-r2/complete";
    stack.control(end, json!({})).await;
    stack
        .until_refund("replay-201", "replay-r2", "SUCCESS")
        .await;
    let ended = stack.stack.clock().business().unix_seconds() + 1;
    let told = replay(&stack, began, ended, json!({})).await;
    assert_eq!(told, json!({"events": 1}));
    assert_eq!(events(&stack)[0]["detail-type"], "refund.succeeded");
}

/// A run that has no time for another page says where the next one goes on, between days and within one.
#[tokio::test]
async fn a_replay_without_time_says_where_the_next_one_goes_on() {
    let stack = life::stack().await;
    for number in 0..101 {
        stack.native(&format!("replay-3{number:03}"), 500).await;
    }
    stack.paid("replay-3999", 500).await;
    let now = stack.stack.clock().business();
    let moment = |seconds| shared::rfc3339::format(now.plus_seconds(seconds));
    let mut event = json!({"from": moment(-600), "to": moment(600), "placed_from": moment(-600)});
    let within = |event: Value, seconds: u64| {
        let time = std::time::Duration::from_millis(seconds * 1_000 + 500);
        stack.stack.invoke_within(FUNCTION, event, time)
    };
    // No page is begun.
    let mut told = 0;
    let early = within(event.clone(), 10).await.unwrap();
    let day = shared::domain::BeijingDay::of(now.plus_seconds(-600));
    let at = day.starts_at().unix_seconds();
    assert_eq!(early, json!({"events": 0, "next": {"created_at": at}}));
    event["next"] = early["next"].clone();
    // One is, and takes too long for another.
    stack.watch.set_fault(Some(std::sync::Arc::new(|call| {
        if call.operation == "Query" && call.caller == FUNCTION {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        None
    })));
    let mut pages = 0;
    loop {
        let answer = within(event.clone(), 20).await.unwrap();
        told += answer["events"].as_u64().unwrap();
        pages += 1;
        let next = answer.get("next");
        if pages == 1 {
            assert!(
                next.is_some_and(|next| next["out_trade_no"].is_string()),
                "{answer}"
            );
        }
        let Some(next) = next else { break };
        event["next"] = next.clone();
        assert!(pages < 6, "{event}");
    }
    stack.watch.set_fault(None);
    assert_eq!(told, 1, "each is told once");
}
