//! What is kept of what passes, and what is not.

use serde_json::json;

use super::*;

fn message(headers: &[(&str, &str)], body: &str) -> Message {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Message::of(headers, body.as_bytes())
}

#[test]
fn what_is_secret_is_not_kept() {
    let kept = message(
        &[
            ("Authorization", "Bearer s3cret"),
            ("cookie", "s3cret"),
            ("accept", "*/*"),
        ],
        r#"{"token":"s3cret","more":[{"bank_account":"s3cret","real_name":"s3cret"}],"kept":1}"#,
    );
    assert!(!format!("{kept:?}").contains("s3cret"), "{kept:?}");
    assert_eq!(kept.headers[0].1, "Bearer …");
    assert_eq!(kept.headers[2].1, "*/*");
    assert!(kept.body.contains(r#""kept":1"#), "{}", kept.body);
    assert_eq!(message(&[], r#"{"code":"s3cret"}"#).body, r#"{"code":"…"}"#);
    let problem = r#"{"code":"not_found","status":404}"#;
    assert_eq!(message(&[], problem).body, problem);
}

#[test]
fn a_body_without_secrets_keeps_its_bytes_and_a_long_one_is_cut() {
    for body in ["{ \"b\" : 1, \"a\":2 }", "no JSON", ""] {
        assert_eq!(message(&[], body).body, body);
    }
    let long = "长".repeat(BODY_MAX);
    let kept = message(&[], &long).body;
    assert!(kept.len() <= BODY_MAX + MASK.len(), "{}", kept.len());
    assert!(kept.ends_with("长…"));
}

#[test]
fn a_write_has_the_keys_of_all_its_items() {
    let recorder = Recorder::new(Clock::system());
    let key = |pk: &str, sk: &str| json!({"pk": {"S": pk}, "sk": {"S": sk}});
    let mut item = key("ORDER#b", "REFUND#1");
    item["status"] = json!({"S": "RESERVED"});
    let request = json!({"TransactItems": [
        {"Update": {"Key": key("ORDER#a", "ORDER"), "ExpressionAttributeValues": {":one": {"N": "1"}}}},
        {"Put": {"Item": item}},
    ]});
    recorder.write("RefundFunction", &request);
    let written = recorder.take_writes();
    let keys = &written[0].keys;
    let pairs: Vec<(&str, &str)> = keys
        .iter()
        .map(|(pk, sk)| (pk.as_str(), sk.as_str()))
        .collect();
    assert_eq!(pairs, [("ORDER#a", "ORDER"), ("ORDER#b", "REFUND#1")]);
    assert!(recorder.take_writes().is_empty(), "taken once");
}

#[test]
fn only_the_newest_are_kept() {
    let recorder = Recorder::new(Clock::system());
    for number in 0..=KEPT_MAX {
        recorder.event(json!(number));
    }
    let events = recorder.take_events();
    assert_eq!(events.len(), KEPT_MAX);
    assert_eq!(events[0].envelope, json!(1));
}
