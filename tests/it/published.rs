//! What others hear of orders and refunds: each committed change that is an event, by its id, whatever
//! becomes of the bus and of the publisher; and nothing else.

mod address;
mod consumer;
mod life;
mod lines;
mod outage;
mod poison;
mod replay;
pub mod schemas;

use std::collections::BTreeSet;

use local::template::Mapping;
use serde_json::{Value, json};

use crate::harness::TestStack;
use crate::harness::watch::{number, text};

/// The function that publishes.
const FUNCTION: &str = "PublishEventsFunction";

/// An id, and what it is called.
type Heard = BTreeSet<(String, String)>;

/// The whole stream as Lambda would bring it, from its beginning.
fn stream(stack: &TestStack) -> Vec<Value> {
    let [mapping]: &[Mapping] = &stack.stack.template.mappings[..] else {
        panic!("one mapping");
    };
    assert_eq!(mapping.function, FUNCTION);
    let (mut records, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = stack.stack.aws.stream(FUNCTION, after.as_deref(), 1_000);
        let page = page.unwrap();
        let Some(last) = page.last() else {
            return records;
        };
        after = last["dynamodb"]["SequenceNumber"]
            .as_str()
            .map(str::to_owned);
        records.extend(page);
    }
}

/// What a committed change is called, told from the stream's images alone.
fn transition(record: &Value) -> Option<(String, String)> {
    let images = &record["dynamodb"];
    proof::books::transition(&images["OldImage"], &images["NewImage"])
}

/// The committed changes that are events.
fn committed(stack: &TestStack) -> Heard {
    stream(stack).iter().filter_map(transition).collect()
}

/// The events on the bus; what was put aside is none.
fn events(stack: &TestStack) -> Vec<Value> {
    let mut events = stack.stack.aws.events().all();
    events.retain(|event| event["source"] == "wxpay");
    events
}

/// What these events say that happened.
fn heard(events: &[Value]) -> Heard {
    let heard = events.iter().map(|event| {
        let id = event["detail"]["id"].as_str().unwrap().to_owned();
        (id, event["detail-type"].as_str().unwrap().to_owned())
    });
    heard.collect()
}

/// Invokes the publisher with these records.
async fn bring(stack: &TestStack, records: &[Value]) -> Value {
    let event = json!({"Records": records});
    stack.stack.invoke(FUNCTION, event).await.unwrap()
}

/// The records that the filter of the template lets through.
fn filtered(stack: &TestStack) -> Vec<Value> {
    let mapping = &stack.stack.template.mappings[0];
    let mut records = stream(stack);
    records.retain(|record| mapping.takes(record));
    records
}

#[tokio::test]
async fn each_event_is_told_as_its_schema_says_and_none_without_a_change() {
    let mut stack = life::stack().await;
    life::everything(&stack).await;
    stack.stack.start_stream();
    let committed = committed(&stack);
    life::until_heard(&stack, &committed).await;
    let events = events(&stack);
    assert_eq!(heard(&events), committed);
    // Every kind was met, and nothing was told twice: there was no trouble.
    let kinds: BTreeSet<&str> = committed.iter().map(|(_, kind)| kind.as_str()).collect();
    let known = shared::domain::EventKind::ALL;
    let known = known.iter().map(shared::domain::EventKind::as_str);
    assert_eq!(kinds, known.collect::<BTreeSet<&str>>());
    assert_eq!(events.len(), committed.len());
    schemas::check(&events);
    consumer::ships_once(&events);
}

#[tokio::test]
async fn records_that_come_twice_or_out_of_order_give_no_second_id() {
    let stack = life::stack().await;
    life::a_payment_and_a_refund(&stack, "twice-0001").await;
    let committed = committed(&stack);
    assert_eq!(committed.len(), 2, "{committed:?}");
    let mut records = filtered(&stack);
    let taken = json!({"batchItemFailures": []});
    assert_eq!(bring(&stack, &records).await, taken);
    records.reverse();
    assert_eq!(bring(&stack, &records).await, taken);
    for record in &records {
        bring(&stack, std::slice::from_ref(record)).await;
    }
    let events = events(&stack);
    assert_eq!(events.len(), 3 * committed.len(), "each comes once a time");
    assert_eq!(heard(&events), committed);
    let of_one = |id: &str| {
        let told = events.iter().filter(|event| event["detail"]["id"] == id);
        told.map(|event| &event["detail"]).collect::<Vec<_>>()
    };
    for (id, _) in &committed {
        let told = of_one(id);
        assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    }
    // Without the template's filter, what is no event tells nothing.
    let before = stack.stack.aws.events().all().len();
    let mut quiet = stream(&stack);
    quiet.retain(|record| transition(record).is_none());
    assert!(quiet.len() > 2, "{quiet:#?}");
    assert_eq!(bring(&stack, &quiet).await, taken);
    assert_eq!(stack.stack.aws.events().all().len(), before);
}

/// Changes an item without events as a newer build would that knows an event more.
fn changed_by_a_newer_build(stack: &TestStack, mut item: Value) {
    assert_eq!(item["events"], Value::Null);
    let version = number(&item, "version") + 1;
    item["events"] = json!({"S": format!("{version}+7:some_future_kind")});
    item["version"] = json!({"N": version.to_string()});
    stack.put_item(&item);
}

/// A canary writes it while the old build runs as well, or it is rolled back afterwards.
#[tokio::test]
async fn an_event_that_only_another_build_knows_is_kept_and_told_and_blocks_nobody() {
    let stack = life::stack().await;
    for order in ["newer-0001", "newer-0002"] {
        stack.native(order, 500).await;
        changed_by_a_newer_build(&stack, stack.order_item(order));
        assert_eq!(stack.order(order).await["trade_state"], "NOTPAY");
    }
    // The webhook, the merchant and the sweep go on with it.
    stack.pay("newer-0001").await;
    stack.until_state("newer-0001", "SUCCESS").await;
    let refund = stack.refund("newer-0001", "newer-r1", 200).await;
    assert_eq!(refund.expect(202)["status"], "PROCESSING");
    let refund = || stack.item("ORDER#newer-0001", "REFUND#newer-r1");
    changed_by_a_newer_build(&stack, refund());
    stack.fault("notice_lost_for_good", json!({})).await;
    let end = "refunds/newer-r1/complete";
    stack.control(end, json!({})).await;
    stack
        .sweep_until_refund("newer-0001", "newer-r1", "SUCCESS")
        .await;
    stack.advance(8 * 24 * 60 * 60).await;
    let closed = async || {
        stack.sweep().await;
        stack.advance(150).await;
        stack.order_item("newer-0002")["trade_state"].clone()
    };
    stack.until(closed, |state| state["S"] == "CLOSED").await;
    let entry = |item: Value, place: usize| {
        let mut entries = text(&item, "events").split(' ');
        entries.nth(place).unwrap().to_owned()
    };
    for order in ["newer-0001", "newer-0002"] {
        let kept = entry(stack.order_item(order), 0);
        assert_eq!(kept, "2+7:some_future_kind");
    }
    assert!(entry(stack.order_item("newer-0001"), 1).ends_with(":paid"));
    assert!(entry(stack.order_item("newer-0002"), 1).ends_with(":closed"));
    assert!(entry(refund(), 0).ends_with("+7:some_future_kind"));
    assert!(entry(refund(), 1).ends_with(":succeeded"));
    // It is told by whoever reads it first, as the other build would tell it.
    let taken = json!({"batchItemFailures": []});
    assert_eq!(bring(&stack, &filtered(&stack)).await, taken);
    let mut expected = committed(&stack);
    assert_eq!(expected.len(), 3, "{expected:?}");
    let of = |id: &str, kind: &str| (id.to_owned(), format!("{kind}.some_future_kind"));
    let version = entry(refund(), 0);
    let version = version.split('+').next().unwrap();
    expected.extend([
        of("newer-0001:order:2", "order"),
        of("newer-0002:order:2", "order"),
        of(&format!("newer-0001:newer-r1:{version}"), "refund"),
    ]);
    assert_eq!(heard(&events(&stack)), expected);
    let events = stack.stack.aws.events().all();
    let aside = |event: &&Value| event["source"] == "wxpay.unreadable";
    assert_eq!(events.iter().filter(aside).count(), 0);
}
