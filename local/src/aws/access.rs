//! IAM on this machine: who calls, what a call needs, and whether the template allows it.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde_json::Value;

use crate::template::{Permission, Template, arn, physical};

/// The caller that may do everything: the operator's tools and tests.
pub const OPERATOR: &str = "operator";

/// The access key id of a function, or of the operator.
pub fn access_key_of(caller: &str) -> String {
    format!("LOCAL{caller}")
}

/// What the template allows.
#[derive(Debug)]
pub struct Access {
    allowed: BTreeMap<String, Vec<Permission>>,
}

impl Access {
    /// What this template allows.
    pub fn new(template: &Template) -> Self {
        let of = |function: &crate::template::Function| function.allowed.clone();
        let allowed = template
            .functions
            .iter()
            .map(|(id, function)| (id.clone(), of(function)));
        Self {
            allowed: allowed.collect(),
        }
    }

    /// Who signed the request: the part of the access key id after `LOCAL`.
    pub fn caller(&self, headers: &HeaderMap) -> String {
        headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once("Credential="))
            .and_then(|(_, rest)| rest.split('/').next())
            .and_then(|key| key.strip_prefix("LOCAL"))
            .unwrap_or("nobody")
            .to_owned()
    }

    /// Whether the caller may do all of it.
    ///
    /// # Errors
    /// The first thing that it may not do.
    pub fn check(&self, caller: &str, needed: &[Permission]) -> Result<(), Permission> {
        if caller == OPERATOR {
            return Ok(());
        }
        let allowed = self.allowed.get(caller).map_or(&[][..], Vec::as_slice);
        match needed
            .iter()
            .find(|permission| !allowed.contains(permission))
        {
            Some(denied) => Err(denied.clone()),
            None => Ok(()),
        }
    }
}

/// What a call to the table needs: each item action on each table or index it touches.
pub(super) fn table_permissions(operation: &str, request: &Value) -> Vec<Permission> {
    let one = |action: &str, table: &str, index: Option<&str>| {
        let table = if table == physical("Table") {
            arn("Table")
        } else {
            format!("table/{table}")
        };
        let resource = match index {
            Some(index) => format!("{table}/index/{index}"),
            None => table,
        };
        Permission {
            action: format!("dynamodb:{action}"),
            resource,
        }
    };
    let name = |value: &Value| value["TableName"].as_str().unwrap_or_default().to_owned();
    match operation {
        "BatchGetItem" | "BatchWriteItem" => request["RequestItems"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(table, _)| one(operation, table, None))
            .collect(),
        "TransactWriteItems" => request["TransactItems"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|item| item.as_object().into_iter().flatten())
            .map(|(kind, write)| {
                let action = match kind.as_str() {
                    "Put" => "PutItem",
                    "Update" => "UpdateItem",
                    "Delete" => "DeleteItem",
                    _ => "ConditionCheckItem",
                };
                one(action, &name(write), None)
            })
            .collect(),
        "TransactGetItems" => request["TransactItems"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| one("GetItem", &name(&item["Get"]), None))
            .collect(),
        _ => vec![one(
            operation,
            &name(request),
            request["IndexName"].as_str(),
        )],
    }
}

/// What a call to the secrets needs.
pub(super) fn secret_permissions(operation: &str, request: &Value) -> Vec<Permission> {
    let resource = request["SecretId"].as_str().unwrap_or_default().to_owned();
    vec![Permission {
        action: format!("secretsmanager:{operation}"),
        resource,
    }]
}
