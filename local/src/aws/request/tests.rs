//! What requests say for conditions, operation by operation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{KeyNames, of_batch, of_single};
use crate::condition::{ATTRIBUTES, Context, LEADING_KEYS, RETURN_VALUES, SELECT};

fn keys() -> KeyNames {
    KeyNames::of(&json!({
        "KeySchema": [
            {"AttributeName": "sk", "KeyType": "RANGE"},
            {"AttributeName": "pk", "KeyType": "HASH"},
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "due",
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "due_at", "KeyType": "RANGE"},
            ],
        }],
    }))
}

fn values(context: &Context, key: &str) -> Option<Vec<String>> {
    let values = context.get(key)?;
    Some(values.iter().cloned().collect())
}

fn leading(action: &str, request: &Value) -> Option<Vec<String>> {
    values(&of_single(&keys(), action, request), LEADING_KEYS)
}

fn some(values: &[&str]) -> Option<Vec<String>> {
    let values: BTreeSet<String> = values.iter().map(|value| (*value).to_owned()).collect();
    Some(values.into_iter().collect())
}

#[test]
fn the_leading_key_of_an_item_is_its_partition_key() {
    let item = json!({"pk": {"S": "ORDER#1"}, "sk": {"S": "ORDER"}});
    for action in ["GetItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"] {
        assert_eq!(
            leading(action, &json!({"Key": item})),
            some(&["ORDER#1"]),
            "{action}"
        );
        // What is no key of an item has one that no pattern is meant for.
        assert_eq!(leading(action, &json!({})), some(&[""]), "{action}");
    }
    assert_eq!(
        leading("PutItem", &json!({"Item": item})),
        some(&["ORDER#1"])
    );
    assert_eq!(leading("PutItem", &json!({"Key": item})), some(&[""]));
    let number = json!({"Key": {"pk": {"N": "7"}}});
    assert_eq!(leading("GetItem", &number), some(&["7"]));
    assert_eq!(leading("Scan", &json!({})), None);
}

#[test]
fn the_leading_key_of_a_query_is_what_its_partition_key_has_to_equal() {
    let values = json!({":p": {"S": "ORDER#1"}, ":s": {"S": "REFUND#"}, ":n": {"N": "7"}});
    for (index, expression, found) in [
        (None, "pk = :p", "ORDER#1"),
        (None, "pk=:p", "ORDER#1"),
        (None, "#p = :p AND begins_with(sk, :s)", "ORDER#1"),
        (None, "begins_with ( sk , :s ) and (pk = :p)", "ORDER#1"),
        (None, ":p = pk", "ORDER#1"),
        (None, "sk = :s AND pk = :p", "ORDER#1"),
        (None, "sk >= :s AND pk = :p", "ORDER#1"),
        (Some("due"), "due_shard = :n AND due_at <= :p", "7"),
        // What does not name the partition, or not by equality.
        (None, "sk = :s", ""),
        (None, "pk <= :p", ""),
        (None, "pk >= :p", ""),
        (None, "pk <> :p", ""),
        (None, "pk = :unknown", ""),
        (None, "", ""),
        (Some("due"), "pk = :p", ""),
        (Some("other"), "pk = :p", ""),
    ] {
        let mut request = json!({
            "KeyConditionExpression": expression,
            "ExpressionAttributeNames": {"#p": "pk"},
            "ExpressionAttributeValues": values,
        });
        if let Some(index) = index {
            request["IndexName"] = Value::from(index);
        }
        assert_eq!(
            leading("Query", &request),
            some(&[found]),
            "{index:?} {expression}"
        );
    }
    let listed = json!({"KeyConditions": {
        "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "ORDER#1"}]},
    }});
    assert_eq!(leading("Query", &listed), some(&["ORDER#1"]));
}

#[test]
fn a_batch_has_the_leading_keys_of_all_its_items() {
    let read = json!({"Keys": [
        {"pk": {"S": "SKU#tea"}, "sk": {"S": "SKU"}},
        {"pk": {"S": "SKU#cup"}, "sk": {"S": "SKU"}},
        {"sk": {"S": "SKU"}},
    ], "ProjectionExpression": "price_fen, #d", "ExpressionAttributeNames": {"#d": "description"}});
    let context = of_batch(&keys(), "BatchGetItem", &read);
    assert_eq!(
        values(&context, LEADING_KEYS),
        some(&["", "SKU#cup", "SKU#tea"])
    );
    assert_eq!(
        values(&context, ATTRIBUTES),
        some(&["description", "pk", "price_fen", "sk"])
    );
    assert_eq!(values(&context, SELECT), some(&["SPECIFIC_ATTRIBUTES"]));
    let write = json!([
        {"PutRequest": {"Item": {"pk": {"S": "ORDER#1"}, "sk": {"S": "ORDER"}, "total": {"N": "1"}}}},
        {"DeleteRequest": {"Key": {"pk": {"S": "ORDER#2"}, "sk": {"S": "ORDER"}}}},
    ]);
    let context = of_batch(&keys(), "BatchWriteItem", &write);
    assert_eq!(
        values(&context, LEADING_KEYS),
        some(&["ORDER#1", "ORDER#2"])
    );
    assert_eq!(values(&context, ATTRIBUTES), some(&["pk", "sk", "total"]));
    assert_eq!(values(&context, SELECT), None);
}

#[test]
fn the_attributes_are_those_that_a_request_names() {
    for (request, named) in [
        (
            json!({"Key": {"pk": {"S": "1"}, "sk": {"S": "2"}}}),
            &["pk", "sk"][..],
        ),
        (
            json!({"Item": {"pk": {"S": "1"}, "a": {"M": {"b": {"S": "2"}}}}}),
            &["a", "pk"][..],
        ),
        (
            json!({"ProjectionExpression": "a, b.c, d[0].e, _f"}),
            &["_f", "a", "b", "d"][..],
        ),
        (
            json!({
                "UpdateExpression": "SET #a = if_not_exists(#a, :zero) + :one, b.#c = :x REMOVE d ADD e :n",
                "ConditionExpression": "attribute_exists(pk) AND NOT size(f) > :n OR g BETWEEN :n AND :x",
                "ExpressionAttributeNames": {"#a": "version", "#c": "inside"},
            }),
            &["b", "d", "e", "f", "g", "pk", "version"][..],
        ),
        (
            json!({"FilterExpression": "begins_with(a, :x) and contains(b, :y)"}),
            &["a", "b"][..],
        ),
        (json!({"AttributesToGet": ["a", "b"]}), &["a", "b"][..]),
        (
            json!({"AttributeUpdates": {"a": {}}, "Expected": {"b": {}}}),
            &["a", "b"][..],
        ),
        (
            json!({"ExpressionAttributeNames": {"#a": "unused"}}),
            &[][..],
        ),
    ] {
        let context = of_single(&keys(), "UpdateItem", &request);
        assert_eq!(values(&context, ATTRIBUTES), some(named), "{request}");
    }
}

#[test]
fn select_and_return_values_are_what_is_asked_or_implied() {
    for (action, request, select, returned) in [
        ("Query", json!({}), Some("ALL_ATTRIBUTES"), None),
        (
            "Query",
            json!({"IndexName": "due"}),
            Some("ALL_PROJECTED_ATTRIBUTES"),
            None,
        ),
        (
            "Query",
            json!({"ProjectionExpression": "a"}),
            Some("SPECIFIC_ATTRIBUTES"),
            None,
        ),
        ("Query", json!({"Select": "COUNT"}), Some("COUNT"), None),
        (
            "Scan",
            json!({"AttributesToGet": ["a"]}),
            Some("SPECIFIC_ATTRIBUTES"),
            None,
        ),
        ("GetItem", json!({}), Some("ALL_ATTRIBUTES"), None),
        (
            "GetItem",
            json!({"ProjectionExpression": "a"}),
            Some("SPECIFIC_ATTRIBUTES"),
            None,
        ),
        ("PutItem", json!({}), None, Some("NONE")),
        (
            "PutItem",
            json!({"ReturnValues": "ALL_OLD"}),
            None,
            Some("ALL_OLD"),
        ),
        (
            "UpdateItem",
            json!({"ReturnValues": "ALL_NEW"}),
            None,
            Some("ALL_NEW"),
        ),
        ("DeleteItem", json!({}), None, Some("NONE")),
        ("ConditionCheckItem", json!({}), None, None),
    ] {
        let context = of_single(&keys(), action, &request);
        let one = |value: Option<&str>| value.map(|value| vec![value.to_owned()]);
        assert_eq!(values(&context, SELECT), one(select), "{action} {request}");
        assert_eq!(
            values(&context, RETURN_VALUES),
            one(returned),
            "{action} {request}"
        );
    }
}
