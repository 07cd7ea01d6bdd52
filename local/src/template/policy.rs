//! What a function's policies allow.

use serde_json::Value;

use super::error::{TemplateError, fail};

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
}

pub(super) fn permissions(name: &str, policies: &Value) -> Result<Vec<Permission>, TemplateError> {
    let mut allowed = Vec::new();
    for policy in policies.as_array().into_iter().flatten() {
        let Some(statements) = policy["Statement"].as_array() else {
            return fail(format!("a policy of {name} has no Statement"));
        };
        for statement in statements {
            if statement["Effect"] != "Allow" {
                return fail(format!("a statement of {name} does not allow"));
            }
            let (actions, resources) = (
                texts(name, statement, "Action")?,
                texts(name, statement, "Resource")?,
            );
            for action in &actions {
                for resource in &resources {
                    allowed.push(Permission {
                        action: action.clone(),
                        resource: resource.clone(),
                    });
                }
            }
        }
    }
    Ok(allowed)
}

/// A part of a statement: a text or several.
fn texts(name: &str, statement: &Value, part: &str) -> Result<Vec<String>, TemplateError> {
    let values = match &statement[part] {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts: Option<Vec<String>> = values
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect();
    texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
        TemplateError(format!(
            "a statement of {name} has a part, {part}, that is not a text or several"
        ))
    })
}
