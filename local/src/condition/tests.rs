//! Conditions: every operator against every kind of request, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use super::{Condition, Context, KEYS, LEADING_KEYS, RETURN_VALUES, SELECT, like};

fn condition(operator: &str, key: &str, values: Value) -> Condition {
    let mut block = json!({});
    block[operator][key] = values;
    let parsed = Condition::parse(&block).unwrap();
    assert_eq!(parsed.len(), 1);
    parsed[0].clone()
}

fn context(key: &'static str, values: Option<&[&str]>) -> Context {
    let mut context = Context::new();
    if let Some(values) = values {
        let values = values.iter().map(|value| (*value).to_owned());
        context.insert(key, values.collect());
    }
    context
}

/// The requests that each operator is tried on: without the key, without a value of it, and with
/// values that do, do not and partly do match `ORDER#*` or `ORDER#1`.
const REQUESTS: [Option<&[&str]>; 6] = [
    None,
    Some(&[]),
    Some(&["ORDER#1"]),
    Some(&["SKU#tea"]),
    Some(&["ORDER#1", "ORDER#2"]),
    Some(&["ORDER#1", "SKU#tea"]),
];

#[test]
fn a_condition_on_several_values_holds_as_in_iam() {
    for (operator, values, holds) in [
        (
            "ForAllValues:StringLike",
            json!("ORDER#*"),
            [true, true, true, false, true, false],
        ),
        (
            "ForAllValues:StringLike",
            json!(["ORDER#*", "SKU#*"]),
            [true, true, true, true, true, true],
        ),
        (
            "ForAllValues:StringEquals",
            json!("ORDER#1"),
            [true, true, true, false, false, false],
        ),
        // A star is nothing special here.
        (
            "ForAllValues:StringEquals",
            json!("ORDER#*"),
            [true, true, false, false, false, false],
        ),
        (
            "ForAllValues:StringEqualsIgnoreCase",
            json!("order#1"),
            [true, true, true, false, false, false],
        ),
        (
            "ForAllValues:StringNotLike",
            json!("ORDER#*"),
            [true, true, false, true, false, false],
        ),
        (
            "ForAllValues:StringNotEquals",
            json!(["ORDER#1", "SKU#tea"]),
            [true, true, false, false, false, false],
        ),
        (
            "ForAnyValue:StringLike",
            json!("ORDER#*"),
            [false, false, true, false, true, true],
        ),
        (
            "ForAnyValue:StringEquals",
            json!("SKU#tea"),
            [false, false, false, true, false, true],
        ),
        (
            "ForAnyValue:StringLikeIfExists",
            json!("ORDER#*"),
            [true, false, true, false, true, true],
        ),
        (
            "ForAllValues:StringLikeIfExists",
            json!("ORDER#*"),
            [true, true, true, false, true, false],
        ),
        (
            "Null",
            json!("false"),
            [false, true, true, true, true, true],
        ),
        (
            "Null",
            json!(true),
            [true, false, false, false, false, false],
        ),
    ] {
        let condition = condition(operator, LEADING_KEYS, values.clone());
        for (request, holds) in REQUESTS.into_iter().zip(holds) {
            let context = context(LEADING_KEYS, request);
            assert_eq!(
                condition.holds(&context),
                holds,
                "{operator} {values} {request:?}"
            );
        }
    }
}

#[test]
fn a_condition_on_one_value_holds_as_in_iam() {
    let requests: [Option<&[&str]>; 3] = [None, Some(&["NONE"]), Some(&["ALL_OLD"])];
    for (operator, value, holds) in [
        ("StringEquals", json!("NONE"), [false, true, false]),
        (
            "StringEquals",
            json!(["NONE", "ALL_OLD"]),
            [false, true, true],
        ),
        ("StringEqualsIfExists", json!("NONE"), [true, true, false]),
        ("StringNotEquals", json!("NONE"), [true, false, true]),
        (
            "StringNotEqualsIfExists",
            json!("NONE"),
            [true, false, true],
        ),
        (
            "StringNotEqualsIgnoreCase",
            json!("none"),
            [true, false, true],
        ),
        ("StringLike", json!("ALL_*"), [false, false, true]),
        ("StringNotLike", json!("ALL_*"), [true, true, false]),
        ("StringLikeIfExists", json!("ALL_*"), [true, false, true]),
    ] {
        let condition = condition(operator, RETURN_VALUES, value.clone());
        for (request, holds) in requests.into_iter().zip(holds) {
            let context = context(RETURN_VALUES, request);
            assert_eq!(
                condition.holds(&context),
                holds,
                "{operator} {value} {request:?}"
            );
        }
    }
}

#[test]
fn all_operators_and_keys_of_a_block_are_conditions() {
    let block = json!({
        "ForAllValues:StringLike": {LEADING_KEYS: "ORDER#*"},
        "StringEqualsIfExists": {SELECT: "SPECIFIC_ATTRIBUTES", RETURN_VALUES: "NONE"},
    });
    let conditions = Condition::parse(&block).unwrap();
    let keys: Vec<&str> = conditions.iter().map(Condition::key).collect();
    assert_eq!(keys, [LEADING_KEYS, RETURN_VALUES, SELECT]);
    assert_eq!(Condition::parse(&Value::Null).unwrap(), []);
}

#[test]
fn what_iam_has_and_this_has_not_is_refused() {
    for (block, said) in [
        (json!("x"), "not an object"),
        (json!({"StringEquals": "x"}), "without keys"),
        (json!({"ArnLike": {"dynamodb:Select": "x"}}), "ArnLike"),
        (
            json!({"stringEquals": {"dynamodb:Select": "x"}}),
            "stringEquals",
        ),
        (
            json!({"ForSomeValues:StringLike": {LEADING_KEYS: "x"}}),
            "ForSomeValues",
        ),
        (
            json!({"ForAllValues:Null": {LEADING_KEYS: "x"}}),
            "ForAllValues:Null",
        ),
        (
            json!({"StringEquals": {"aws:SourceIp": "x"}}),
            "aws:SourceIp",
        ),
        (
            json!({"StringEquals": {"dynamodb:leadingkeys": "x"}}),
            "dynamodb:leadingkeys",
        ),
        (
            json!({"StringLike": {LEADING_KEYS: "ORDER#*"}}),
            "without ForAllValues",
        ),
        (
            json!({"ForAllValues:StringEquals": {SELECT: "COUNT"}}),
            "one value",
        ),
        (
            json!({"ForAllValues:StringLike": {LEADING_KEYS: []}}),
            "not a text",
        ),
        (
            json!({"ForAllValues:StringLike": {LEADING_KEYS: 7}}),
            "not a text",
        ),
        (
            json!({"ForAllValues:StringLike": {LEADING_KEYS: ["a", 7]}}),
            "not a text",
        ),
    ] {
        let refused = Condition::parse(&block).unwrap_err();
        assert!(refused.contains(said), "{block}: {refused}");
    }
    for (key, _) in KEYS {
        assert!(key.starts_with("dynamodb:"));
    }
}

#[test]
fn a_pattern_is_matched_whole() {
    for (pattern, text, is_like) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "anything", true),
        ("ORDER#*", "ORDER#", true),
        ("ORDER#*", "ORDER#1", true),
        ("ORDER#*", "XORDER#1", false),
        ("ORDER#*", "order#1", false),
        ("*#1", "ORDER#1", true),
        ("*#1", "ORDER#12", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "a1b2c3c", true),
        ("a*b*c", "a1c2b3", false),
        ("a*bc", "abcbc", true),
        ("?", "", false),
        ("?", "路", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("***", "x", true),
        ("a**", "a", true),
    ] {
        assert_eq!(like(pattern, text), is_like, "{pattern:?} {text:?}");
    }
}
