//! A function as the template declares it: its environment, what leads to it and what it may do.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

use super::error::{TemplateError, fail};
use super::policy::{Grant, grants};
use super::resolver::{Resolver, plain};
use crate::schedule::Schedule;

/// The methods of routes. `ANY` is not among them: the functions' routes name theirs.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What a schedule may say. The second line is about failures and permissions, which are AWS's;
/// dates of start and end are not among them: a schedule that ends is none of the bundle's.
const SCHEDULE_PROPERTIES: [&str; 13] = [
    "Name",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "State",
    "Input",
    "RetryPolicy",
    "DeadLetterConfig",
    "RoleArn",
    "PermissionsBoundary",
    "GroupName",
    "KmsKeyArn",
    "Description",
    "OmitName",
];

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
    /// The schedules that run it.
    pub schedules: Vec<Scheduled>,
    /// What it may do.
    pub allowed: Vec<Grant>,
}

/// A schedule that runs a function.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The schedule's name on AWS.
    pub name: String,
    /// When it runs.
    pub schedule: Schedule,
    /// Whether it runs at all.
    pub enabled: bool,
    /// The event, in place of the one that the scheduler makes.
    pub input: Option<Value>,
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
        .ok_or_else(|| TemplateError::Unfit(format!("the function {name} has no Timeout")))?;
    let events = properties["Events"].as_object().into_iter().flatten();
    let (mut routes, mut schedules) = (Vec::new(), Vec::new());
    for (event, declared) in events {
        let place = format!("the event {event} of {name}");
        match declared["Type"].as_str() {
            Some("HttpApi") => routes.push(route(&place, &declared["Properties"])?),
            Some("ScheduleV2") => schedules.push(schedule(event, &place, &declared["Properties"])?),
            other => {
                return fail(format!(
                    "{place} is of the type {}, which the local stack does not have",
                    other.unwrap_or("(none)")
                ));
            }
        }
    }
    Ok(Function {
        binary: binary.to_owned(),
        environment,
        timeout_seconds,
        routes,
        schedules,
        allowed: grants(name, &properties["Policies"])?,
    })
}

fn property(place: &str, properties: &Value, name: &str) -> Result<String, TemplateError> {
    let value = properties[name].as_str().map(str::to_owned);
    value.ok_or_else(|| TemplateError::Unfit(format!("{place} has no {name}")))
}

fn route(place: &str, properties: &Value) -> Result<(String, String), TemplateError> {
    let method = property(place, properties, "Method")?.to_ascii_uppercase();
    let path = property(place, properties, "Path")?;
    if !METHODS.contains(&method.as_str()) {
        return fail(format!(
            "{place} has the Method {method:?}, which is not one of HTTP"
        ));
    }
    if !path.starts_with('/') {
        return fail(format!(
            "{place} has the Path {path:?}, which does not begin with a slash"
        ));
    }
    if path.contains("+}") {
        return fail(format!(
            "{place} has the Path {path:?}: the local stack knows no parameter of several segments"
        ));
    }
    Ok((method, path))
}

fn schedule(event: &str, place: &str, properties: &Value) -> Result<Scheduled, TemplateError> {
    let unknown = properties.as_object().into_iter().flatten();
    let mut unknown = unknown.filter(|(name, _)| !SCHEDULE_PROPERTIES.contains(&name.as_str()));
    if let Some((name, _)) = unknown.next() {
        return fail(format!(
            "{place} has the property {name}, which the local stack does not know"
        ));
    }
    let expression = property(place, properties, "ScheduleExpression")?;
    let time_zone = properties["ScheduleExpressionTimezone"].as_str();
    let schedule = Schedule::parse(&expression, time_zone).map_err(|why| {
        TemplateError::Unfit(format!("{place} has a schedule that cannot be used: {why}"))
    })?;
    let enabled = match properties["State"].as_str() {
        None | Some("ENABLED") => true,
        Some("DISABLED") => false,
        Some(other) => {
            return fail(format!(
                "{place} has the State {other:?}, which is neither ENABLED nor DISABLED"
            ));
        }
    };
    let input = match properties["Input"].as_str() {
        None => None,
        Some(text) => Some(serde_json::from_str(text).map_err(|source| {
            let what = format!("{place} has an Input");
            TemplateError::Json { what, source }
        })?),
    };
    Ok(Scheduled {
        name: properties["Name"].as_str().unwrap_or(event).to_owned(),
        schedule,
        enabled,
        input,
    })
}
