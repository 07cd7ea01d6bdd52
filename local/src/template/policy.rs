//! What a function's policies allow, and under which conditions.

use serde_json::Value;

use super::error::{TemplateError, fail};
use crate::condition::{Condition, Context};

/// What a statement may hold. A `NotAction`, for one, would be something else here than on AWS.
const PARTS: [&str; 5] = ["Sid", "Effect", "Action", "Resource", "Condition"];

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
}

/// A permission as a statement grants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// What is allowed.
    pub permission: Permission,
    /// What has to hold of the request, all of it.
    pub conditions: Vec<Condition>,
}

impl Grant {
    /// Whether it allows a request that needs this permission and says this.
    pub fn allows(&self, permission: &Permission, context: &Context) -> bool {
        self.permission == *permission
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(context))
    }
}

pub(super) fn grants(name: &str, policies: &Value) -> Result<Vec<Grant>, TemplateError> {
    let mut allowed = Vec::new();
    for policy in policies.as_array().into_iter().flatten() {
        let Some(statements) = policy["Statement"].as_array() else {
            return fail(format!("a policy of {name} has no Statement"));
        };
        for statement in statements {
            allowed.extend(statement_grants(name, statement)?);
        }
    }
    Ok(allowed)
}

fn statement_grants(name: &str, statement: &Value) -> Result<Vec<Grant>, TemplateError> {
    if statement["Effect"] != "Allow" {
        return fail(format!("a statement of {name} does not allow"));
    }
    let mut parts = statement.as_object().into_iter().flatten();
    let actions = texts(name, statement, "Action")?;
    let resources = texts(name, statement, "Resource")?;
    if let Some((part, _)) = parts.find(|(part, _)| !PARTS.contains(&part.as_str())) {
        return fail(format!(
            "a statement of {name} has the part {part}, which the local stack does not know"
        ));
    }
    let conditions = Condition::parse(&statement["Condition"])
        .map_err(|why| TemplateError::Unfit(format!("a statement of {name} has {why}")))?;
    let mut allowed = Vec::new();
    for action in &actions {
        for resource in &resources {
            let permission = Permission {
                action: action.clone(),
                resource: resource.clone(),
            };
            allowed.push(Grant {
                permission,
                conditions: conditions.clone(),
            });
        }
    }
    Ok(allowed)
}

/// A part of a statement: a text or several.
fn texts(name: &str, statement: &Value, part: &str) -> Result<Vec<String>, TemplateError> {
    let one = std::slice::from_ref(&statement[part]);
    let values = statement[part].as_array().map_or(one, Vec::as_slice);
    let texts: Option<Vec<String>> = values
        .iter()
        .map(|value| value.as_str().map(str::to_owned))
        .collect();
    texts.filter(|texts| !texts.is_empty()).ok_or_else(|| {
        TemplateError::Unfit(format!(
            "a statement of {name} has a part, {part}, that is not a text or several"
        ))
    })
}
