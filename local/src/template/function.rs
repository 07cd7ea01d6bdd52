//! A function as the template declares it: its environment, what leads to it and what it may do.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use super::error::{TemplateError, fail};
use super::policy::{Permission, permissions};
use super::resolver::{Resolver, plain};

/// The methods of routes. `ANY` is not among them: the functions' routes name theirs.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A function as the template declares it.
#[derive(Clone, Debug)]
pub struct Function {
    /// The crate and binary that implements it.
    pub binary: String,
    /// Its environment, the globals' included.
    pub environment: BTreeMap<String, String>,
    /// How long one invocation may take, in seconds.
    pub timeout_seconds: u64,
    /// The API's routes that lead to it, as (method, path).
    pub routes: Vec<(String, String)>,
    /// Whether a schedule runs it.
    pub scheduled: bool,
    /// What it may do.
    pub allowed: Vec<Permission>,
}

pub(super) fn function(
    name: &str,
    resource: &Yaml,
    globals: &Value,
    resolver: &Resolver<'_>,
) -> Result<Function, TemplateError> {
    let Some(binary) = resource["Metadata"]["BuildProperties"]["Binary"].as_str() else {
        return fail(format!(
            "the function {name} names no Binary in its Metadata"
        ));
    };
    let properties = resolver.resolve(name, &resource["Properties"])?;
    let mut environment = BTreeMap::new();
    for variables in [
        &globals["Environment"]["Variables"],
        &properties["Environment"]["Variables"],
    ] {
        for (variable, value) in variables.as_object().into_iter().flatten() {
            environment.insert(variable.clone(), plain(value));
        }
    }
    let timeout_seconds = properties["Timeout"]
        .as_u64()
        .or_else(|| globals["Timeout"].as_u64())
        .ok_or_else(|| TemplateError(format!("the function {name} has no Timeout")))?;
    let (mut routes, mut scheduled) = (Vec::new(), false);
    for (event, declared) in properties["Events"].as_object().into_iter().flatten() {
        match declared["Type"].as_str() {
            Some("HttpApi") => {
                let of = |property: &str| {
                    declared["Properties"][property]
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| {
                            TemplateError(format!("the event {event} of {name} has no {property}"))
                        })
                };
                let (method, path) = (of("Method")?.to_ascii_uppercase(), of("Path")?);
                if !METHODS.contains(&method.as_str()) {
                    return fail(format!(
                        "the event {event} of {name} has the Method {method:?}, which is none"
                    ));
                }
                if !path.starts_with('/') {
                    return fail(format!(
                        "the event {event} of {name} has the Path {path:?}, which does not begin \
                         with a slash"
                    ));
                }
                routes.push((method, path));
            }
            Some("Schedule" | "ScheduleV2") => scheduled = true,
            other => {
                return fail(format!(
                    "the event {event} of {name} is of the type {}, which the local stack does not have",
                    other.unwrap_or("(none)")
                ));
            }
        }
    }
    if routes.is_empty() && !scheduled {
        return fail(format!(
            "the function {name} has no Events: neither a route nor a schedule leads to it"
        ));
    }
    Ok(Function {
        binary: binary.to_owned(),
        environment,
        timeout_seconds,
        routes,
        scheduled,
        allowed: permissions(name, &properties["Policies"])?,
    })
}
