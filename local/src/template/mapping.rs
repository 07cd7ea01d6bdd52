//! What brings the table's stream to a function: an event source mapping.

use serde_json::Value;

use super::error::{TemplateError, fail};

/// What a mapping may say. The last line is about failures and metrics, which are AWS's: here a batch is
/// retried until the function has taken it.
const PROPERTIES: [&str; 12] = [
    "FunctionName",
    "EventSourceArn",
    "StartingPosition",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FunctionResponseTypes",
    "FilterCriteria",
    "BisectBatchOnFunctionError",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "DestinationConfig",
    "MetricsConfig",
];

/// What brings the table's stream to a function.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The function's logical id.
    pub function: String,
    /// How many records it gets at most at once.
    pub batch_size: usize,
    /// The patterns of records that it gets: those that one of them fits; all where there is none.
    pub filters: Vec<Value>,
}

impl Mapping {
    /// Whether the function gets this record.
    pub fn takes(&self, record: &Value) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| fits(filter, Some(record)))
    }
}

/// Whether a value fits a pattern of EventBridge's: an object fits member by member, a list where any of
/// its values does.
fn fits(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::Object(members) => members
            .iter()
            .all(|(name, pattern)| fits(pattern, value.and_then(|value| value.get(name)))),
        Value::Array(any) => any.iter().any(|one| fits_one(one, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn fits_one(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::Object(test) => test.iter().all(|(name, wanted)| match name.as_str() {
            "exists" => *wanted == value.is_some(),
            "prefix" => {
                let texts = (value.and_then(Value::as_str), wanted.as_str());
                matches!(texts, (Some(text), Some(prefix)) if text.starts_with(prefix))
            }
            _ => false,
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            value == Some(pattern)
        }
    }
}

pub(super) fn mapping(name: &str, properties: &Value) -> Result<Mapping, TemplateError> {
    let mut members = properties.as_object().into_iter().flatten();
    if let Some((unknown, _)) = members.find(|(name, _)| !PROPERTIES.contains(&name.as_str())) {
        return fail(format!(
            "{name} has the property {unknown}, which the local stack does not know"
        ));
    }
    let function = properties["FunctionName"].as_str().unwrap_or_default();
    let function = function.trim_end_matches(".Alias");
    if properties["EventSourceArn"] != "wxpay.StreamArn" {
        return fail(format!("{name} is of another source than the table"));
    }
    let filters = properties["FilterCriteria"]["Filters"].as_array();
    let mut patterns = Vec::new();
    for filter in filters.into_iter().flatten() {
        let pattern = filter["Pattern"].as_str().unwrap_or_default();
        let pattern = serde_json::from_str(pattern).map_err(|source| {
            let what = format!("{name} has a Pattern");
            TemplateError::Json { what, source }
        })?;
        patterns.push(pattern);
    }
    Ok(Mapping {
        function: function.to_owned(),
        batch_size: usize::try_from(properties["BatchSize"].as_u64().unwrap_or(100)).unwrap_or(100),
        filters: patterns,
    })
}

#[cfg(test)]
mod tests {
    //! The patterns, as EventBridge reads them.

    use serde_json::json;

    use super::Mapping;

    #[test]
    fn a_record_is_taken_where_every_member_of_a_pattern_has_one_of_its_values() {
        let mapping = Mapping {
            function: "F".to_owned(),
            batch_size: 1,
            filters: vec![json!({
                "eventName": ["INSERT", "MODIFY"],
                "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "ORDER#"}]}}, "NewImage": {"events": {"S": [{"exists": true}]}}},
            })],
        };
        let record = |name: &str, pk: &str, image: serde_json::Value| json!({"eventName": name, "dynamodb": {"Keys": {"pk": {"S": pk}}, "NewImage": image}});
        let told = json!({"events": {"S": "2+0:paid"}});
        assert!(mapping.takes(&record("MODIFY", "ORDER#1", told.clone())));
        assert!(!mapping.takes(&record("REMOVE", "ORDER#1", told.clone())));
        assert!(!mapping.takes(&record("MODIFY", "SKU#1", told)));
        assert!(!mapping.takes(&record("MODIFY", "ORDER#1", json!({}))));
    }
}
