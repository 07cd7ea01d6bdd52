//! The story: who wrote a change, which order a call is about, what was lost.

use serde_json::json;

use super::*;

fn write(at_ms: i64, caller: &str, keys: &[(&str, &str)]) -> Write {
    let keys = keys.iter();
    let keys = keys.map(|(pk, sk)| ((*pk).to_owned(), (*sk).to_owned()));
    Write {
        at_ms,
        caller: caller.to_owned(),
        keys: keys.collect(),
    }
}

fn record(second: i64, pk: &str, before: Value, after: Value) -> Value {
    json!({"eventName": "MODIFY", "dynamodb": {
        "Keys": {"pk": {"S": pk}, "sk": {"S": "ORDER"}}, "OldImage": before, "NewImage": after,
        "SequenceNumber": "1", "ApproximateCreationDateTime": second as f64,
    }})
}

#[test]
fn a_change_is_told_with_its_writer_and_both_images() {
    let mut writes = VecDeque::from([
        write(10_100, "CreateOrderFunction", &[("ORDER#a", "ORDER")]),
        write(
            11_900,
            "SweepFunction",
            &[("ORDER#b", "ORDER"), ("ORDER#a", "ORDER")],
        ),
    ]);
    // The first write changed nothing: its second is over.
    let image = json!({"trade_state": {"S": "NOTPAY"}, "version": {"N": "1"}});
    let entry = change_entry(
        &record(11, "ORDER#a", Value::Null, image.clone()),
        &mut writes,
    );
    assert_eq!(
        (&entry["by"], &entry["at_ms"]),
        (&json!("SweepFunction"), &json!(11_900))
    );
    assert_eq!(entry["order"], "a");
    assert_eq!(
        (&entry["before"], &entry["after"]["version"]),
        (&Value::Null, &json!(1))
    );
    // A transaction is the writer of each of its items, once.
    let entry = change_entry(
        &record(11, "ORDER#b", Value::Null, image.clone()),
        &mut writes,
    );
    assert_eq!(entry["by"], "SweepFunction");
    let entry = change_entry(&record(11, "ORDER#b", Value::Null, image), &mut writes);
    assert_eq!(
        (&entry["by"], &entry["at_ms"]),
        (&Value::Null, &json!(11_000))
    );
}

#[test]
fn a_call_is_about_the_order_of_its_path_or_its_answer() {
    let call = |target: &str, asked: &str, told: &str| {
        let call = Call {
            at_ms: 1,
            took_ms: 2,
            method: "POST".to_owned(),
            target: target.to_owned(),
            function: "QueryFunction".to_owned(),
            request: Message::of([], asked.as_bytes()),
            status: 200,
            answer: Message::of([], told.as_bytes()),
        };
        call_entry(&call, "")
    };
    let entry = call("/orders/a-1/refunds/r-1/approve?x=1", "{}", "{}");
    assert_eq!(
        (&entry["order"], &entry["refund"]),
        (&json!("a-1"), &json!("r-1"))
    );
    let entry = call("/orders", "{}", r#"{"out_trade_no":"b-2"}"#);
    assert_eq!(
        (&entry["order"], &entry["kind"]),
        (&json!("b-2"), &json!("api"))
    );
    let entry = call(
        "/orders",
        r#"{"out_trade_no":"c-3"}"#,
        r#"{"code":"terms_differ"}"#,
    );
    assert_eq!(entry["order"], "c-3");
    assert_eq!(call("/articles", "", "")["order"], Value::Null);
}

#[test]
fn a_lost_notification_is_told_once_for_each_attempt() {
    let mut story = Story::default();
    let attempt =
        |status: Value| json!({"at_ms": 7_000, "status": status, "verdict": "lost on the way"});
    let row = |attempts: Vec<Value>| json!({"items": [{"id": "n", "out_trade_no": "a", "attempts": attempts}]});
    let mut fresh = Vec::new();
    story.lost_notices(&row(vec![attempt(Value::Null)]), 2_000, &mut fresh);
    story.lost_notices(
        &row(vec![attempt(Value::Null), attempt(json!(204))]),
        2_000,
        &mut fresh,
    );
    assert_eq!(fresh.len(), 1);
    assert_eq!(
        (&fresh[0]["at_ms"], &fresh[0]["lost"]),
        (&json!(5_000), &json!("lost on the way"))
    );
    story.lost_notices(
        &row(vec![
            attempt(Value::Null),
            attempt(json!(204)),
            attempt(Value::Null),
        ]),
        0,
        &mut fresh,
    );
    assert_eq!(fresh.len(), 2);
}
