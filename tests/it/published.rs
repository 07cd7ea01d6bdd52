//! What others hear of orders and refunds: each committed change that is an event, by its id, whatever
//! becomes of the bus and of the publisher; and nothing else.

mod address;
mod consumer;
mod life;
mod outage;
mod replay;
pub mod schemas;

use std::collections::BTreeSet;

use local::template::{Mapping, physical};
use serde_json::{Value, json};

use crate::harness::TestStack;
use crate::harness::watch::text;

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
    let known = shared::domain::EventKind::ALL.map(shared::domain::EventKind::as_str);
    assert_eq!(kinds, known.into());
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
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_whole_and_holds_nobody_up() {
    let stack = life::stack().await;
    life::a_payment_and_a_refund(&stack, "poison-001").await;
    let committed = committed(&stack);
    let good = filtered(&stack);
    let spoilt = |name: &str, value: Value| {
        let mut record = good[0].clone();
        record["dynamodb"]["NewImage"][name] = value;
        record
    };
    let poison = [
        spoilt("events", json!({"S": "nonsense"})),
        spoilt("events", json!({"S": "2+0:unheard-of"})),
        spoilt("trade_state", json!({"S": "TOMORROW"})),
        spoilt("pk", json!({"N": "7"})),
    ];
    let mut records = poison.to_vec();
    records.extend(good.clone());
    records.extend(poison.clone());
    let answer = bring(&stack, &records).await;
    assert_eq!(
        answer,
        json!({"batchItemFailures": []}),
        "nobody waits for them"
    );
    assert_eq!(heard(&events(&stack)), committed);
    let mut aside = stack.stack.aws.events().all();
    aside.retain(|event| event["source"] == "wxpay.unreadable");
    let kept: Vec<Value> = aside
        .iter()
        .map(|event| event["detail"]["record"].clone())
        .collect();
    assert_eq!(kept, [poison.clone(), poison].concat());
    assert!(aside.iter().all(|event| event["detail"]["why"].is_string()));
    // An event of a version that the record never had is none.
    let ahead = spoilt("events", json!({"S": "2+0:paid 9+0:closed"}));
    bring(&stack, &[ahead]).await;
    assert_eq!(heard(&events(&stack)), committed);
    // A refund whose order is gone cannot be told of in whole.
    let gone = json!({"TableName": physical("Table"), "Key": {"pk": {"S": "ORDER#poison-001"}, "sk": {"S": "ORDER"}}});
    let gone = serde_json::from_value(gone).unwrap();
    stack.stack.aws.table.delete_item(gone).unwrap();
    let of_refund: Vec<Value> = good
        .into_iter()
        .filter(|record| text(&record["dynamodb"]["NewImage"], "sk").starts_with("REFUND#"))
        .collect();
    let answer = bring(&stack, &of_refund).await;
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let aside = stack.stack.aws.events().all();
    let why = aside.last().unwrap()["detail"]["why"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(why.contains("is not there"), "{why}");
}
