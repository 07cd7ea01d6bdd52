//! An item of the table as a person reads it: without DynamoDB's names of types.

use serde_json::{Map, Value};

/// The attributes of an image, or none where there was no item.
pub(super) fn plain(image: &Value) -> Value {
    let Some(attributes) = image.as_object() else {
        return Value::Null;
    };
    let attributes = attributes.iter();
    let plain: Map<String, Value> = attributes
        .map(|(name, value)| (name.clone(), plain_value(value)))
        .collect();
    Value::Object(plain)
}

fn plain_value(value: &Value) -> Value {
    let Some((kind, inside)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return value.clone();
    };
    match kind.as_str() {
        "N" => number(inside),
        "NULL" => Value::Null,
        "L" => {
            let values = inside.as_array().into_iter().flatten();
            Value::Array(values.map(plain_value).collect())
        }
        "M" => plain(inside),
        _ => inside.clone(),
    }
}

/// A number as a number where JSON has it, and otherwise its digits.
fn number(digits: &Value) -> Value {
    let text = digits.as_str().unwrap_or_default();
    text.parse::<i64>()
        .map_or_else(|_| digits.clone(), Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_loses_its_types_and_nothing_else() {
        let image = json!({
            "pk": {"S": "ORDER#1"}, "total": {"N": "600"}, "ratio": {"N": "0.5"}, "on_sale": {"BOOL": true},
            "gone": {"NULL": true}, "list": {"L": [{"N": "-1"}, {"S": "two"}]}, "map": {"M": {"a": {"S": "b"}}},
            "names": {"SS": ["x", "y"]},
        });
        let read = json!({
            "pk": "ORDER#1", "total": 600, "ratio": "0.5", "on_sale": true, "gone": null, "list": [-1, "two"],
            "map": {"a": "b"}, "names": ["x", "y"],
        });
        assert_eq!(plain(&image), read);
        assert_eq!(plain(&Value::Null), Value::Null);
    }
}
