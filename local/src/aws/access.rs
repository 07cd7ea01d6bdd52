//! IAM on this machine: who calls, what a call needs, and whether the template allows it.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::HeaderMap;
use serde_json::Value;

use super::request::{self, KeyNames};
use super::secrets;
use crate::condition::{Context, ENCLOSING_OPERATION, LEADING_KEYS};
use crate::template::{Grant, Permission, Template, arn, physical};

/// The caller that may do everything: the operator's tools and tests.
pub const OPERATOR: &str = "operator";

/// The access key id of a function, or of the operator.
pub fn access_key_of(caller: &str) -> String {
    format!("LOCAL{caller}")
}

/// A permission that a call needs, and what the call says for a policy's conditions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The action and its resource.
    pub permission: Permission,
    /// The values of DynamoDB's condition keys.
    pub context: Context,
}

impl Need {
    /// The partition keys that the call touches under this permission.
    pub fn leading_keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.context.get(LEADING_KEYS).into_iter().flatten();
        keys.map(String::as_str)
    }
}

/// What the template allows.
#[derive(Debug)]
pub struct Access {
    allowed: BTreeMap<String, Vec<Grant>>,
    keys: KeyNames,
}

impl Access {
    /// What this template allows.
    pub fn new(template: &Template) -> Self {
        let functions = template.functions.iter();
        let allowed = functions.map(|(id, function)| (id.clone(), function.allowed.clone()));
        Self {
            allowed: allowed.collect(),
            keys: KeyNames::of(&template.table),
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
    pub fn check(&self, caller: &str, needs: &[Need]) -> Result<(), Need> {
        if caller == OPERATOR {
            return Ok(());
        }
        let allowed = self.allowed.get(caller).map_or(&[][..], Vec::as_slice);
        let is_allowed = |need: &&Need| {
            let mut grants = allowed.iter();
            grants.any(|grant| grant.allows(&need.permission, &need.context))
        };
        match needs.iter().find(|need| !is_allowed(need)) {
            Some(denied) => Err(denied.clone()),
            None => Ok(()),
        }
    }

    /// What a call to the table needs. A batch needs its action on each table; a transaction needs,
    /// for each of its parts, what that part alone would need.
    pub fn table_needs(&self, operation: &str, request: &Value) -> Vec<Need> {
        match operation {
            "BatchGetItem" | "BatchWriteItem" => request["RequestItems"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(table, of_table)| Need {
                    permission: on_table(operation, table, None),
                    context: request::of_batch(&self.keys, operation, of_table),
                })
                .collect(),
            "TransactWriteItems" | "TransactGetItems" => request["TransactItems"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|item| item.as_object().into_iter().flatten())
                .map(|(kind, part)| self.part_needs(operation, kind, part))
                .collect(),
            _ => vec![self.single_need(operation, request)],
        }
    }

    fn part_needs(&self, operation: &str, kind: &str, part: &Value) -> Need {
        let action = match kind {
            "Put" => "PutItem",
            "Update" => "UpdateItem",
            "Delete" => "DeleteItem",
            "Get" => "GetItem",
            _ => "ConditionCheckItem",
        };
        let mut need = self.single_need(action, part);
        let enclosing = BTreeSet::from([operation.to_owned()]);
        need.context.insert(ENCLOSING_OPERATION, enclosing);
        need
    }

    fn single_need(&self, action: &str, request: &Value) -> Need {
        let table = request["TableName"].as_str().unwrap_or_default();
        Need {
            permission: on_table(action, table, request["IndexName"].as_str()),
            context: request::of_single(&self.keys, action, request),
        }
    }
}

fn on_table(action: &str, table: &str, index: Option<&str>) -> Permission {
    // A table may be called by its ARN, too.
    let table = if table == physical("Table") || table == arn("Table") {
        arn("Table")
    } else {
        format!("table/{table}")
    };
    Permission {
        action: format!("dynamodb:{action}"),
        resource: match index {
            Some(index) => format!("{table}/index/{index}"),
            None => table,
        },
    }
}

/// What reading the table's stream needs.
pub(super) fn stream_needs() -> Vec<Need> {
    [
        "DescribeStream",
        "GetRecords",
        "GetShardIterator",
        "ListStreams",
    ]
    .map(|action| Need {
        permission: Permission {
            action: format!("dynamodb:{action}"),
            resource: format!("{}.StreamArn", physical("Table")),
        },
        context: Context::new(),
    })
    .into()
}

/// What a call to the bus needs: its action on each bus that it names.
pub fn bus_needs(operation: &str, request: &Value) -> Vec<Need> {
    let entries = request["Entries"].as_array().into_iter().flatten();
    let buses: BTreeSet<&str> = entries
        .map(|entry| entry["EventBusName"].as_str().unwrap_or("default"))
        .collect();
    let need = |bus| Need {
        permission: Permission {
            action: format!("events:{operation}"),
            resource: arn(bus),
        },
        context: Context::new(),
    };
    buses.into_iter().map(need).collect()
}

/// What a call to the logs needs; no function has it.
pub(super) fn log_needs(operation: &str) -> Vec<Need> {
    vec![Need {
        permission: Permission {
            action: format!("logs:{operation}"),
            resource: arn("FunctionLogs"),
        },
        context: Context::new(),
    }]
}

/// What a call to the secrets needs.
pub fn secret_needs(operation: &str, request: &Value) -> Vec<Need> {
    let id = request["SecretId"].as_str().unwrap_or_default();
    let permission = Permission {
        action: format!("secretsmanager:{operation}"),
        resource: secrets::arn_of(id),
    };
    vec![Need {
        permission,
        context: Context::new(),
    }]
}
