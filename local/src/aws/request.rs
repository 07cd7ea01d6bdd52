//! What a request to the table says for the conditions of a policy: DynamoDB's condition keys
//! ("Using IAM policy conditions for fine-grained access control" in its developer guide).
//!
//! Where a request cannot be read, its value is one that no pattern is meant for, so that what is
//! not understood is refused rather than let through.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::condition::{ATTRIBUTES, Context, LEADING_KEYS, RETURN_VALUES, SELECT};

/// The expressions whose attributes a request touches.
const EXPRESSIONS: [&str; 5] = [
    "ProjectionExpression",
    "KeyConditionExpression",
    "FilterExpression",
    "ConditionExpression",
    "UpdateExpression",
];

/// Members whose own members are named by attributes.
const BY_ATTRIBUTE: [&str; 7] = [
    "Item",
    "Key",
    "AttributeUpdates",
    "Expected",
    "KeyConditions",
    "QueryFilter",
    "ScanFilter",
];

/// The words of expressions that are not attributes, in capitals.
const WORDS: [&str; 17] = [
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "ATTRIBUTE_EXISTS",
    "ATTRIBUTE_NOT_EXISTS",
    "ATTRIBUTE_TYPE",
    "BEGINS_WITH",
    "CONTAINS",
    "SIZE",
    "IF_NOT_EXISTS",
    "LIST_APPEND",
];

/// The names of partition keys: the table's and each index's.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyNames {
    table: String,
    indexes: BTreeMap<String, String>,
}

impl KeyNames {
    /// Those of the template's table.
    pub(super) fn of(table: &Value) -> Self {
        let partition = |keys: &Value| {
            let mut keys = keys.as_array().into_iter().flatten();
            let key = keys.find(|key| key["KeyType"] == "HASH");
            let name = key.and_then(|key| key["AttributeName"].as_str());
            name.unwrap_or_default().to_owned()
        };
        let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"];
        let indexes = indexes
            .into_iter()
            .filter_map(|kind| table[kind].as_array());
        let named = |index: &Value| {
            Some((
                index["IndexName"].as_str()?.to_owned(),
                partition(&index["KeySchema"]),
            ))
        };
        Self {
            table: partition(&table["KeySchema"]),
            indexes: indexes.flatten().filter_map(named).collect(),
        }
    }

    /// The one that a request goes by: its index's, or the table's.
    fn asked(&self, request: &Value) -> &str {
        match request["IndexName"].as_str() {
            Some(index) => self.indexes.get(index).map_or("", String::as_str),
            None => &self.table,
        }
    }
}

/// What a request for one item, or for a part of a transaction, or a query or scan says.
pub(super) fn of_single(keys: &KeyNames, action: &str, request: &Value) -> Context {
    let mut context = Context::new();
    let leading = match action {
        "Query" => Some(queried(keys.asked(request), request)),
        "PutItem" => Some(text_of(&request["Item"][&keys.table])),
        "GetItem" | "UpdateItem" | "DeleteItem" | "ConditionCheckItem" => {
            Some(text_of(&request["Key"][&keys.table]))
        }
        // A scan has none, as on AWS; ForAllValues holds for it, so a role must not be given one.
        _ => None,
    };
    if let Some(leading) = leading {
        context.insert(LEADING_KEYS, BTreeSet::from([leading]));
    }
    context.insert(ATTRIBUTES, attributes(request));
    if matches!(action, "GetItem" | "Query" | "Scan") {
        context.insert(SELECT, BTreeSet::from([select(request)]));
    }
    if matches!(action, "PutItem" | "UpdateItem" | "DeleteItem") {
        let returned = request["ReturnValues"].as_str().unwrap_or("NONE");
        context.insert(RETURN_VALUES, BTreeSet::from([returned.to_owned()]));
    }
    context
}

/// What a batch says about one table.
pub(super) fn of_batch(keys: &KeyNames, operation: &str, of_table: &Value) -> Context {
    let mut context = Context::new();
    let (mut leading, mut named) = (BTreeSet::new(), BTreeSet::new());
    if operation == "BatchGetItem" {
        for key in of_table["Keys"].as_array().into_iter().flatten() {
            leading.insert(text_of(&key[&keys.table]));
            named.extend(names_of(key));
        }
        named.extend(attributes(of_table));
        context.insert(SELECT, BTreeSet::from([select(of_table)]));
    } else {
        let writes = of_table.as_array().into_iter().flatten();
        for write in writes.flat_map(|write| write.as_object().into_iter().flatten()) {
            let (_, write) = write;
            let item = if write["Item"].is_null() {
                &write["Key"]
            } else {
                &write["Item"]
            };
            leading.insert(text_of(&item[&keys.table]));
            named.extend(names_of(item));
        }
    }
    context.insert(LEADING_KEYS, leading);
    context.insert(ATTRIBUTES, named);
    context
}

/// A key's value as text; nothing where there is none.
fn text_of(value: &Value) -> String {
    let kinds = ["S", "N", "B"];
    let found = kinds.iter().find_map(|kind| value[kind].as_str());
    found.unwrap_or_default().to_owned()
}

fn names_of(object: &Value) -> impl Iterator<Item = String> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
}

/// What a read asks for. Only a query or scan can say so; a read that names attributes asks for
/// these, and any other for everything.
fn select(request: &Value) -> String {
    let named =
        request["ProjectionExpression"].is_string() || request["AttributesToGet"].is_array();
    let implied = match (named, request["IndexName"].is_string()) {
        (true, _) => "SPECIFIC_ATTRIBUTES",
        (false, true) => "ALL_PROJECTED_ATTRIBUTES",
        (false, false) => "ALL_ATTRIBUTES",
    };
    request["Select"].as_str().unwrap_or(implied).to_owned()
}

/// The partition that a query is for: what its key condition wants the partition key to equal.
fn queried(partition_key: &str, request: &Value) -> String {
    let listed = &request["KeyConditions"][partition_key];
    if listed["ComparisonOperator"] == "EQ" {
        return text_of(&listed["AttributeValueList"][0]);
    }
    let expression = request["KeyConditionExpression"]
        .as_str()
        .unwrap_or_default();
    let tokens = tokens(expression);
    let is_key = |token: &str| resolved(token, request) == partition_key;
    let value = tokens.windows(3).find_map(|three| match three {
        [left, middle, right] if middle == "=" && is_key(left) => Some(right),
        [left, middle, right] if middle == "=" && is_key(right) => Some(left),
        _ => None,
    });
    let value = value.map(|name| &request["ExpressionAttributeValues"][name]);
    value.map(text_of).unwrap_or_default()
}

/// The top-level attributes that a request names anywhere.
fn attributes(request: &Value) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for member in BY_ATTRIBUTE {
        named.extend(names_of(&request[member]));
    }
    let listed = request["AttributesToGet"].as_array().into_iter().flatten();
    named.extend(listed.filter_map(Value::as_str).map(str::to_owned));
    for expression in EXPRESSIONS {
        let expression = request[expression].as_str().unwrap_or_default();
        let mut before = String::new();
        for token in tokens(expression) {
            // What follows a dot is inside an attribute.
            let is_name =
                token.starts_with(|letter: char| letter.is_alphabetic() || "#_".contains(letter));
            let is_word = WORDS.contains(&token.to_ascii_uppercase().as_str());
            if is_name && !is_word && before != "." {
                named.insert(resolved(&token, request).to_owned());
            }
            before = token;
        }
    }
    named
}

/// The attribute that a name in an expression stands for.
fn resolved<'a>(token: &'a str, request: &'a Value) -> &'a str {
    let names = &request["ExpressionAttributeNames"];
    names[token].as_str().unwrap_or(token)
}

/// Names, values and signs of an expression.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_name = false;
    for letter in expression.chars() {
        let of_name = letter.is_alphanumeric() || letter == '_';
        let starts_name = of_name || letter == '#' || letter == ':';
        match tokens.last_mut() {
            Some(last) if in_name && of_name => last.push(letter),
            // `<=` is one sign, and not an equality.
            Some(last) if (last == "<" || last == ">") && "<>=".contains(letter) => {
                last.push(letter);
            }
            _ if letter.is_whitespace() => {}
            _ => tokens.push(letter.to_string()),
        }
        in_name = starts_name;
    }
    tokens
}

#[cfg(test)]
mod tests;
